//! Proves from the tables alone that nothing is lost and nothing is repeated (design, section 7).
//!
//! Every commit says in the table's log which offset each partition has reached, where it began and how many
//! rows it has. The rows themselves are compared with that. A run goes on where the last one ended, as long as
//! the table has only grown since; anything else is verified from the start.

mod found;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;
use deltalake::DeltaTable;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::detection::library::Library;
use crate::engine::{Engine, EngineOptions, readable};
use crate::event::{Micros, Stream};
use crate::lake::history::AsOf;
use crate::lake::log::{Source, Stored, added_since, stored_offsets};
use crate::lake::table::{Lake, Texts, provider, provider_of_files};
use found::{Found, Tally};

/// Where the last run's result lies in the lake. Losing it costs a full run, nothing else.
const STATE_FILE: &str = "_verified.json";

/// Problems named per partition; a table that was cut in a thousand places needs no thousand lines.
const PROBLEMS_NAMED: usize = 10;

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    pub partitions: Vec<Verified>,
    pub problems: Vec<Problem>,
}

/// One partition or imported file, compared with the log.
#[derive(Debug, Clone)]
pub struct Verified {
    pub stream: Stream,
    pub source: Source,
    pub first: i64,
    /// Everything before this offset is in the table once.
    pub next: i64,
    pub rows: i64,
    /// Offsets that this run looked at; the others were verified before.
    pub looked_at: i64,
    /// The latest trusted event time among the rows.
    pub occurred_at: Option<Micros>,
    pub is_whole: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub stream: Stream,
    /// None where it concerns the whole table.
    pub source: Option<Source>,
    pub code: &'static str,
    pub detail: String,
}

/// What the last run knows, by stream.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    #[serde(default)]
    tables: BTreeMap<String, TableState>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct TableState {
    version: u64,
    /// The table's own id: another table at the same place starts anew.
    id: String,
    partitions: Vec<PartitionState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PartitionState {
    topic: String,
    partition: Option<i32>,
    source_id: String,
    next: i64,
    rows: i64,
    occurred_at: Option<Micros>,
}

/// Verifies all tables of a lake and remembers how far; `is_full` looks at every row again.
pub async fn verify(lake: &Lake, library: &Library, is_full: bool) -> Result<Report> {
    let (report, state) = compare_tables(lake, library, &AsOf::Newest, is_full).await?;
    if report.problems.is_empty() {
        lake.write(STATE_FILE, serde_json::to_vec_pretty(&state)?)
            .await?;
    }
    Ok(report)
}

/// The same of the lake as it was, without a trace in it.
pub async fn look(lake: &Lake, library: &Library, as_of: &AsOf) -> Result<Report> {
    let (report, _state) = compare_tables(lake, library, as_of, false).await?;
    Ok(report)
}

async fn compare_tables(
    lake: &Lake,
    library: &Library,
    as_of: &AsOf,
    is_full: bool,
) -> Result<(Report, State)> {
    let mut report = Report::default();
    let mut next_state = State::default();
    let state: State = match lake.read(STATE_FILE).await? {
        // A state that cannot be read is no reason to trust anything: look at every row.
        Some(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        None => State::default(),
    };
    for stream in Stream::TABLES {
        let table = lake.open_as_of(stream, as_of).await?;
        let version = table.as_ref().and_then(DeltaTable::version);
        // What was verified of a later state than the one that is asked for says nothing of it.
        let is_earlier = |before: &&TableState| {
            *as_of == AsOf::Newest || version.is_some_and(|version| before.version <= version)
        };
        let before = state.tables.get(stream.stem()).filter(is_earlier);
        let Some(table) = table else {
            if before.is_some() {
                report.problem(
                    stream,
                    None,
                    "table_gone",
                    "the table was verified before and is gone",
                );
            }
            continue;
        };
        let verified = verify_table(stream, &table, library, before, is_full, &mut report).await?;
        next_state
            .tables
            .insert(stream.stem().to_string(), verified);
    }
    Ok((report, next_state))
}

async fn verify_table(
    stream: Stream,
    table: &DeltaTable,
    library: &Library,
    before: Option<&TableState>,
    is_full: bool,
    report: &mut Report,
) -> Result<TableState> {
    let version = table.version().context("the table is loaded")?;
    let id = table.snapshot()?.metadata().id().to_string();
    if let Some(before) = before.filter(|before| before.id != id || before.version > version) {
        let detail = format!(
            "version {} was verified before, the newest is {version} now: the table was replaced or its log was cut",
            before.version
        );
        report.problem(stream, None, "restored", &detail);
    }
    let before = before.filter(|before| !is_full && before.id == id && before.version <= version);
    let added = match before {
        Some(before) => added_since(table, before.version).await?,
        None => None,
    };
    let (tables, before) = match (added, before) {
        (Some(paths), Some(before)) => (
            provider_of_files(table, paths).await?,
            before.partitions.as_slice(),
        ),
        _ => (provider(table, Texts::Copied).await?, &[][..]),
    };
    let options = EngineOptions {
        views: library.views_under(&["verify/positions", "verify/spans"])?,
        ..EngineOptions::default()
    };
    let engine = Engine::new(vec![(stream, tables)], options).await?;
    let found = positions(&engine, library, stream).await?;
    let stored = stored_offsets(table, stream).await?;
    let mut verified = Vec::new();
    for (source, stored) in &stored {
        let before = before.iter().find(|before| before.source() == *source);
        let result = compare(stream, source, stored, before, found.get(source), report);
        if !result.is_whole {
            name_holes(&engine, library, &result, report).await?;
        }
        verified.push(result);
    }
    for source in found.keys().filter(|source| !stored.contains_key(source)) {
        report.problem(
            stream,
            Some(source),
            "unaccounted",
            "rows are there that no commit accounts for",
        );
    }
    let partitions = verified.iter().map(PartitionState::of).collect();
    report.partitions.extend(verified);
    Ok(TableState {
        version,
        id,
        partitions,
    })
}

/// Holds one partition's rows against what the log says of it.
fn compare(
    stream: Stream,
    source: &Source,
    stored: &Stored,
    before: Option<&PartitionState>,
    found: Option<&Found>,
    report: &mut Report,
) -> Verified {
    let start = stored.start.unwrap_or(0);
    let (begin, rows_before) = before.map_or((start, 0), |before| (before.next, before.rows));
    let rows_expected = stored.rows.unwrap_or(0) - stored.dropped - rows_before;
    let problems_before = report.problems.len();
    let mut problem = |code, detail: String| report.problem(stream, Some(source), code, &detail);
    let nothing = Found {
        first: begin,
        next: begin,
        ..Found::default()
    };
    let found = found.unwrap_or(&nothing);
    if found.first > begin {
        problem(
            "hole",
            format!("offsets {begin} to {} have no row", found.first - 1),
        );
    }
    if found.first < begin {
        problem(
            "repeated",
            format!(
                "offset {} comes again, though {begin} was reached before",
                found.first
            ),
        );
    }
    if found.next < stored.next {
        problem(
            "hole",
            format!(
                "offsets {} to {} have no row, though the commits cover them",
                found.next,
                stored.next - 1
            ),
        );
    }
    if found.next > stored.next {
        problem(
            "unaccounted",
            format!(
                "rows go up to offset {}, the commits only to {}",
                found.next - 1,
                stored.next - 1
            ),
        );
    }
    let holes = (found.next - found.first) - found.covered;
    if holes > 0 {
        problem(
            "hole",
            format!(
                "{holes} offsets between {} and {} have no row",
                found.first,
                found.next - 1
            ),
        );
    }
    if holes < 0 {
        problem(
            "repeated",
            format!("a gap and messages overlap at {} offsets", -holes),
        );
    }
    if found.repeated > 0 {
        problem(
            "repeated",
            format!("{} rows are there more than once", found.repeated),
        );
    }
    if found.torn > 0 {
        problem(
            "torn",
            format!("{} messages lack an event in the middle", found.torn),
        );
    }
    if found.rows != rows_expected {
        problem(
            "rows",
            format!(
                "{} rows are there, {rows_expected} were committed",
                found.rows
            ),
        );
    }
    Verified {
        stream,
        source: source.clone(),
        first: start,
        next: stored.next,
        rows: rows_before + found.rows,
        looked_at: found.covered,
        occurred_at: found
            .occurred_at
            .max(before.and_then(|before| before.occurred_at)),
        is_whole: report.problems.len() == problems_before,
    }
}

/// Adds to a partition that was found wrong where exactly it is.
async fn name_holes(
    engine: &Engine,
    library: &Library,
    verified: &Verified,
    report: &mut Report,
) -> Result<()> {
    let (topic, partition, source_id) = match &verified.source {
        Source::Partition {
            topic,
            partition,
            source_id,
        } => (topic.as_str(), Some(*partition), source_id),
        Source::Import { source_id } => ("import", None, source_id),
    };
    let params = [
        (
            "stream".to_string(),
            ScalarValue::from(verified.stream.stem()),
        ),
        ("topic".to_string(), ScalarValue::from(topic)),
        (
            "partition".to_string(),
            ScalarValue::Int64(partition.map(i64::from)),
        ),
        (
            "source_id".to_string(),
            ScalarValue::from(source_id.as_str()),
        ),
    ];
    let spans = engine
        .collect(library.statement("verify/spans")?, &params)
        .await?;
    let (from, to) = (numbers(&spans, "from_offset"), numbers(&spans, "to_offset"));
    let (repeated, missing) = (numbers(&spans, "repeated"), numbers(&spans, "missing"));
    let mut named = 0;
    for row in 0..spans.num_rows() {
        let mut details = Vec::new();
        if row > 0 && from[row] > to[row - 1] {
            details.push((
                "hole",
                format!("no row for offsets {} to {}", to[row - 1], from[row] - 1),
            ));
        }
        if repeated[row] > 0 {
            details.push((
                "repeated",
                format!(
                    "offset {} is there {} times too often",
                    from[row], repeated[row]
                ),
            ));
        }
        if missing[row] > 0 {
            details.push((
                "torn",
                format!("offset {} lacks {} of its events", from[row], missing[row]),
            ));
        }
        for (code, detail) in details {
            named += 1;
            if named > PROBLEMS_NAMED {
                return Ok(());
            }
            report.problem(verified.stream, Some(&verified.source), code, &detail);
        }
    }
    Ok(())
}

async fn positions(
    engine: &Engine,
    library: &Library,
    stream: Stream,
) -> Result<BTreeMap<Source, Found>> {
    let params = [("stream".to_string(), ScalarValue::from(stream.stem()))];
    let mut rows = engine
        .execute(library.statement("verify/positions")?, &params)
        .await?;
    let mut tally = Tally::default();
    while let Some(rows) = rows.try_next().await.map_err(readable)? {
        tally.add(&rows)?;
    }
    Ok(tally.found())
}

fn numbers(rows: &RecordBatch, name: &str) -> Vec<i64> {
    rows[name].as_primitive::<Int64Type>().values().to_vec()
}

impl Report {
    fn problem(
        &mut self,
        stream: Stream,
        source: Option<&Source>,
        code: &'static str,
        detail: &str,
    ) {
        self.problems.push(Problem {
            stream,
            source: source.cloned(),
            code,
            detail: detail.to_string(),
        });
    }
}

impl PartitionState {
    fn of(verified: &Verified) -> Self {
        let (topic, partition, source_id) = match verified.source.clone() {
            Source::Partition {
                topic,
                partition,
                source_id,
            } => (topic, Some(partition), source_id),
            Source::Import { source_id } => ("import".to_string(), None, source_id),
        };
        PartitionState {
            topic,
            partition,
            source_id,
            next: verified.next,
            rows: verified.rows,
            occurred_at: verified.occurred_at,
        }
    }

    fn source(&self) -> Source {
        Source::new(&self.topic, self.partition, &self.source_id)
    }
}
