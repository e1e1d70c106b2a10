//! Retention by age: days that are older than `maintain.retention` go, and gaps take the place of their rows.
//!
//! A day is dropped as a whole. What is dropped were rows of certain offsets, which a partition's later days do not
//! follow in order. So the same commit adds `gap` rows, one for each span of offsets that are gone, and counts in the
//! log how many rows fewer there are: `verify` finds every offset covered, and each row too few.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use chrono::{DateTime, NaiveDate, TimeDelta};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{ident, lit};
use deltalake::DeltaTable;
use deltalake::protocol::DeltaOperation;
use futures::StreamExt;
use serde_json::json;
use uuid::Uuid;

use super::compact::{put, remove};
use super::rows::sorted;
use super::{Maintenance, Summary};
use crate::event::Stream;
use crate::lake::encode::encode;
use crate::lake::log::{Source, stored_offsets};
use crate::lake::replace::{Replaced, Replacement, replace};
use crate::table::PARTITION_COLUMN;
use crate::table::rows::{Origin, Rows};

/// The day of rows without any date; they never become old.
const NO_DATE: &str = "1970-01-01";

/// How the names of files begin that hold the gaps of dropped days.
const DROPPED_PREFIX: &str = "dropped-";

/// Says whether a file holds the gaps of dropped days; the next day that is dropped rewrites it.
pub(super) fn is_record_of_dropped(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.starts_with(DROPPED_PREFIX)
}

const POSITION: [&str; 6] = [
    "topic",
    "source_id",
    "partition",
    "offset",
    "record_index",
    "offset_to",
];

impl Maintenance<'_> {
    pub(super) async fn drop_old_days(
        &self,
        stream: Stream,
        table: &mut DeltaTable,
        summary: &mut Summary,
    ) -> Result<()> {
        let first_kept = self.first_kept_day();
        let days: Vec<String> = dates(table)?
            .filter(|date| is_old(date, first_kept))
            .collect();
        for day in days {
            if self.stop.is_cancelled() {
                break;
            }
            if self.is_dry_run {
                summary.days_dropped += 1;
                for file in table.snapshot()?.log_data().iter() {
                    if date_of(&file.path()) == Some(&day) {
                        summary.rows_dropped += file.num_records().unwrap_or(0) as u64;
                        summary.files_after -= 1;
                        summary.bytes_after -= file.size().unsigned_abs();
                    }
                }
                continue;
            }
            (self.progress)(&format!("{stream} {day}: dropping, it is too old"));
            let (replaced, rows) = self.drop_day(stream, table, &day).await?;
            match replaced {
                Replaced::Landed(version) => {
                    tracing::debug!(%stream, day, rows, version, "dropped");
                    summary.days_dropped += 1;
                    summary.rows_dropped += rows;
                }
                Replaced::Moved | Replaced::Busy => break,
            }
        }
        Ok(())
    }

    /// Returns the first day that is young enough; none where everything is kept.
    pub(super) fn first_kept_day(&self) -> Option<NaiveDate> {
        let age = TimeDelta::from_std(self.settings.retention?).ok()?;
        let now = DateTime::from_timestamp_micros(self.clock.now())?;
        Some(now.checked_sub_signed(age)?.date_naive())
    }

    async fn drop_day(
        &self,
        stream: Stream,
        table: &mut DeltaTable,
        day: &str,
    ) -> Result<(Replaced, u64)> {
        let (mut gone, mut kept, mut removes) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows_gone = 0;
        for file in table.snapshot()?.log_data().iter() {
            let path = file.path().to_string();
            let is_of_day = date_of(&path) == Some(day);
            if is_of_day || is_record_of_dropped(&path) {
                removes.push(file.remove_action(true));
                gone.push(path);
            } else {
                kept.push(path);
            }
            if is_of_day {
                rows_gone += file.num_records().unwrap_or(0) as u64;
            }
        }
        let gaps = self.gaps(stream, table, gone, kept).await?;
        let stored = stored_offsets(table, stream).await?;
        let mut numbers = Vec::new();
        for (source, fewer) in &gaps.fewer {
            if let (Some(app_id), Some(stored)) = (source.app_id(stream), stored.get(source)) {
                numbers.push((app_id.dropped(), stored.dropped + fewer));
            }
        }
        let mut adds = Vec::new();
        for mut file in encode(stream, &gaps.rows, self.now_ms())? {
            let name = format!("{DROPPED_PREFIX}{}", Uuid::new_v4().simple());
            file.add.path = format!("{PARTITION_COLUMN}={NO_DATE}/{name}.parquet");
            adds.push(put(table, file).await?);
        }
        let replacement = Replacement {
            removes,
            adds,
            numbers,
            operation: DeltaOperation::Delete {
                predicate: Some(format!("{PARTITION_COLUMN} = '{day}'")),
            },
            note: json!({"maintain": "retention", "day": day, "rows": rows_gone}),
        };
        let replaced = replace(table, &replacement).await?;
        if !matches!(replaced, Replaced::Landed(_)) {
            remove(table, &replacement.adds).await;
        }
        Ok((replaced, rows_gone))
    }

    /// Returns the gaps that take the place of the rows of the files that go.
    async fn gaps(
        &self,
        stream: Stream,
        table: &DeltaTable,
        gone: Vec<String>,
        kept: Vec<String>,
    ) -> Result<Gaps> {
        let memory = self.settings.memory_bytes.as_u64() as usize / 2;
        let is_original = || ident("replay_of").is_null();
        // Of a message of several events some may stay: those have an index over 0, or the rest has a hole.
        let is_later_event = is_original().and(ident("record_index").gt(lit(0)));
        let keys = || POSITION.into_iter().take(5);
        let mut gone = Cursor::new(
            sorted(
                table,
                gone,
                Some(is_original()),
                Some(&POSITION),
                keys(),
                memory,
            )
            .await?,
        );
        let mut kept = Cursor::new(
            sorted(
                table,
                kept,
                Some(is_later_event),
                Some(&POSITION),
                keys(),
                memory,
            )
            .await?,
        );
        let detail = "dropped by retention, older than maintain.retention";
        let mut gaps = Merging::new(stream, self.clock.now(), detail);
        let mut next = gone.next().await?;
        while let Some(first) = next {
            let mut message = Message::of(&first);
            loop {
                next = gone.next().await?;
                match &next {
                    Some(row) if row.is_same_message(&first) => message.add(row),
                    _ => break,
                }
            }
            while let Some(stays) = kept.peek().await?
                && stays.message() < first.message()
            {
                kept.next().await?;
            }
            let stays = kept.peek().await?;
            message.is_split |= stays.is_some_and(|stays| stays.is_same_message(&first));
            gaps.add(&first, &message);
        }
        Ok(gaps.finish())
    }
}

/// Says whether a day is before the first that is kept.
pub(super) fn is_old(date: &str, first_kept: Option<NaiveDate>) -> bool {
    let is_before = |first: NaiveDate| date.parse().is_ok_and(|day: NaiveDate| day < first);
    date != NO_DATE && first_kept.is_some_and(is_before)
}

fn dates(table: &DeltaTable) -> Result<impl Iterator<Item = String>> {
    let files = table.snapshot()?.log_data();
    let dates: BTreeSet<String> = files
        .iter()
        .filter_map(|file| date_of(&file.path()).map(str::to_string))
        .collect();
    Ok(dates.into_iter())
}

/// Returns the date that a file's directory names.
fn date_of(path: &str) -> Option<&str> {
    let (directory, _) = path.rsplit_once('/')?;
    directory.strip_prefix(PARTITION_COLUMN)?.strip_prefix('=')
}

/// Where one row came from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    topic: String,
    source_id: String,
    partition: Option<i32>,
    offset: i64,
    record_index: i32,
    /// The first offset after it.
    to: i64,
}

impl Position {
    fn message(&self) -> (&str, &str, Option<i32>, i64) {
        (&self.topic, &self.source_id, self.partition, self.offset)
    }

    fn is_same_message(&self, other: &Position) -> bool {
        self.message() == other.message()
    }

    fn source(&self) -> Source {
        Source::new(&self.topic, self.partition, &self.source_id)
    }
}

/// Reads positions one by one.
struct Cursor {
    batches: SendableRecordBatchStream,
    positions: std::vec::IntoIter<Position>,
    peeked: Option<Position>,
}

impl Cursor {
    fn new(batches: SendableRecordBatchStream) -> Self {
        Cursor {
            batches,
            positions: Vec::new().into_iter(),
            peeked: None,
        }
    }

    async fn next(&mut self) -> Result<Option<Position>> {
        if let Some(position) = self.peeked.take() {
            return Ok(Some(position));
        }
        loop {
            if let Some(position) = self.positions.next() {
                return Ok(Some(position));
            }
            match self.batches.next().await {
                Some(batch) => self.positions = positions(&batch?)?.into_iter(),
                None => return Ok(None),
            }
        }
    }

    async fn peek(&mut self) -> Result<Option<&Position>> {
        self.peeked = self.next().await?;
        Ok(self.peeked.as_ref())
    }
}

fn positions(rows: &RecordBatch) -> Result<Vec<Position>> {
    let text = |name: &str| cast(&rows[name], &DataType::Utf8);
    let (topics, source_ids) = (text("topic")?, text("source_id")?);
    let (topics, source_ids) = (topics.as_string::<i32>(), source_ids.as_string::<i32>());
    let partitions = rows["partition"].as_primitive::<Int32Type>();
    let indexes = rows["record_index"].as_primitive::<Int32Type>();
    let offsets = rows["offset"].as_primitive::<Int64Type>();
    let ends = rows["offset_to"].as_primitive::<Int64Type>();
    (0..rows.num_rows())
        .map(|row| {
            let offset = offsets.is_valid(row).then(|| offsets.value(row));
            let offset = offset.context("a row has no offset")?;
            Ok(Position {
                topic: topics.value(row).to_string(),
                source_id: source_ids.value(row).to_string(),
                partition: partitions.is_valid(row).then(|| partitions.value(row)),
                offset,
                record_index: match indexes.is_valid(row) {
                    true => indexes.value(row),
                    false => 0,
                },
                to: match ends.is_valid(row) {
                    true => ends.value(row),
                    false => offset + 1,
                },
            })
        })
        .collect()
}

/// The rows of one message, or of a gap, that go.
struct Message {
    indexes: BTreeSet<i32>,
    rows: i64,
    to: i64,
    /// Other rows of it stay.
    is_split: bool,
}

impl Message {
    fn of(row: &Position) -> Self {
        Message {
            indexes: BTreeSet::from([row.record_index]),
            rows: 1,
            to: row.to,
            is_split: false,
        }
    }

    fn add(&mut self, row: &Position) {
        self.indexes.insert(row.record_index);
        self.rows += 1;
        self.to = self.to.max(row.to);
    }

    fn is_whole(&self) -> bool {
        let last = self.indexes.last().copied().unwrap_or(0);
        !self.is_split && self.indexes.len() as i64 == i64::from(last) + 1
    }
}

/// What takes the place of the rows that go.
struct Gaps {
    rows: RecordBatch,
    /// By source, how many rows fewer there are than before.
    fewer: BTreeMap<Source, i64>,
}

/// Merges messages, in order, into spans without a hole.
struct Merging {
    rows: Rows,
    detail: &'static str,
    taken_at: i64,
    open: Option<(Position, i64)>,
    fewer: BTreeMap<Source, i64>,
}

impl Merging {
    fn new(stream: Stream, taken_at: i64, detail: &'static str) -> Self {
        Merging {
            rows: Rows::new(stream),
            detail,
            taken_at,
            open: None,
            fewer: BTreeMap::new(),
        }
    }

    fn add(&mut self, at: &Position, message: &Message) {
        *self.fewer.entry(at.source()).or_default() += message.rows;
        if !message.is_whole() {
            // Its other events have rows of their own: each of those that go leaves one, too.
            for index in &message.indexes {
                self.push(at, *index, message.to);
            }
            return;
        }
        match &mut self.open {
            Some((from, to)) if *to == at.offset && from.source() == at.source() => {
                *to = message.to;
            }
            _ => {
                self.close();
                self.open = Some((at.clone(), message.to));
            }
        }
    }

    fn close(&mut self) {
        if let Some((from, to)) = self.open.take() {
            self.push(&from, 0, to);
        }
    }

    fn push(&mut self, at: &Position, index: i32, to: i64) {
        let origin = Origin {
            topic: at.topic.as_str().into(),
            partition: at.partition,
            offset: at.offset,
            first_index: index,
            source_id: Some(at.source_id.as_str().into()),
            taken_at: self.taken_at,
            ..Origin::default()
        };
        self.rows.push_gap(&origin, to, "retention", self.detail);
        *self.fewer.entry(at.source()).or_default() -= 1;
    }

    fn finish(mut self) -> Gaps {
        self.close();
        Gaps {
            rows: self.rows.finish(),
            fewer: self.fewer,
        }
    }
}
