//! The lake as any other engine would read it: the Delta log by its own text, the Parquet files by `parquet`.
//!
//! Nothing here uses the code under test or the `deltalake` crate, so that a mistake is not made twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tapetrail::event::Stream;

use crate::producer::{Position, Produced};

/// The columns that tell where a row came from and what it is.
const COLUMNS: [&str; 9] = [
    "disposition",
    "topic",
    "partition",
    "offset",
    "record_index",
    "offset_to",
    "event_id",
    "reason",
    "replay_of",
];

#[derive(Debug, Clone)]
pub struct Row {
    pub disposition: String,
    pub position: Position,
    pub record_index: i32,
    pub offset_to: Option<i64>,
    pub event_id: Option<String>,
    pub reason: Option<String>,
    pub replay_of: Option<String>,
}

/// One table at its latest version.
#[derive(Debug, Default)]
pub struct Table {
    pub rows: Vec<Row>,
    /// The `txn` actions: application id -> next offset.
    pub transactions: BTreeMap<String, i64>,
    /// Versions, the first one included.
    pub versions: u64,
    /// Parquet files that no version names: left by a process that died before its commit.
    pub orphans: Vec<PathBuf>,
}

/// The tables of some streams.
#[derive(Debug)]
pub struct Lake {
    pub tables: BTreeMap<Stream, Table>,
}

impl Lake {
    /// Reads the tables that exist by now; the others are empty.
    pub fn read(root: &Path, streams: impl Iterator<Item = Stream>) -> Lake {
        let tables = streams.map(|stream| (stream, Table::read(&root.join(stream.stem()))));
        Lake {
            tables: tables.collect(),
        }
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.tables.values().flat_map(|table| &table.rows)
    }

    /// Returns the rows of one disposition.
    pub fn rows_of<'a>(&'a self, disposition: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows()
            .filter(move |row| row.disposition == disposition)
    }

    /// Returns the only row of a position.
    #[track_caller]
    pub fn row_at(&self, topic: &str, partition: i32, offset: i64) -> &Row {
        let position = (topic.to_string(), partition, offset);
        let rows: Vec<_> = self.rows().filter(|row| row.position == position).collect();
        assert_eq!(rows.len(), 1, "rows of {position:?}");
        rows[0]
    }

    /// Returns the next offset of every partition, as the tables say, by application id.
    pub fn transactions(&self) -> BTreeMap<String, i64> {
        let all = self
            .tables
            .values()
            .flat_map(|table| table.transactions.clone());
        // `<cluster>/<topic>/<partition>@<epoch>`; other ids count other things.
        let is_offset = |id: &str| {
            id.rsplit_once('@')
                .is_some_and(|(_, epoch)| epoch.parse::<u32>().is_ok())
        };
        all.filter(|(id, _)| is_offset(id)).collect()
    }

    /// Returns the positions that have a row of their own; gaps do not.
    pub fn positions(&self) -> BTreeSet<Position> {
        let rows = self.rows().filter(|row| row.disposition != "gap");
        rows.map(|row| row.position.clone()).collect()
    }

    /// Fails the test unless every produced position has its row, none has two, and none is from nowhere.
    #[track_caller]
    pub fn expect(&self, produced: &Produced) {
        let mut repeated = Vec::new();
        let mut foreign = Vec::new();
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        let mut positions = BTreeSet::new();
        for row in self
            .rows()
            .filter(|row| row.replay_of.is_none() && row.disposition != "gap")
        {
            positions.insert(&row.position);
            if !seen.insert((&row.position, row.record_index)) {
                repeated.push(&row.position);
            }
            match produced.get(&row.position) {
                None => foreign.push(&row.position),
                Some(event_id) => {
                    if event_id.is_some() && row.disposition == "event" && *event_id != row.event_id
                    {
                        wrong.push((&row.position, event_id, &row.event_id));
                    }
                }
            }
        }
        let missing: Vec<_> = produced
            .keys()
            .filter(|position| !positions.contains(position))
            .collect();
        assert!(
            missing.is_empty() && repeated.is_empty() && foreign.is_empty() && wrong.is_empty(),
            "of {} produced: {} missing {:?}, {} repeated {:?}, {} from nowhere {:?}, {} with another event {:?}",
            produced.len(),
            missing.len(),
            first(&missing),
            repeated.len(),
            first(&repeated),
            foreign.len(),
            first(&foreign),
            wrong.len(),
            first(&wrong),
        );
    }
}

fn first<T>(items: &[T]) -> &[T] {
    &items[..items.len().min(5)]
}

impl Table {
    fn read(dir: &Path) -> Table {
        let mut table = Table::default();
        let mut live = BTreeSet::new();
        let mut named = BTreeSet::new();
        // Every version is there: nothing in these tests cleans a log up.
        while let Ok(text) =
            fs::read_to_string(dir.join(format!("_delta_log/{:020}.json", table.versions)))
        {
            for line in text.lines() {
                let action: Value = serde_json::from_str(line).expect("an action of the log");
                if let Some(path) = action["add"]["path"].as_str() {
                    named.insert(path.to_string());
                    live.insert(path.to_string());
                }
                if let Some(path) = action["remove"]["path"].as_str() {
                    live.remove(path);
                }
                if let Some(id) = action["txn"]["appId"].as_str() {
                    let next = action["txn"]["version"].as_i64().expect("an offset");
                    table.transactions.insert(id.to_string(), next);
                }
            }
            table.versions += 1;
        }
        for path in &live {
            table.rows.extend(read_file(&dir.join(unescape(path))));
        }
        let named: BTreeSet<PathBuf> = named.iter().map(|path| dir.join(unescape(path))).collect();
        let pattern = format!("{}/**/*.parquet", dir.display());
        let files = glob::glob(&pattern)
            .expect("a pattern")
            .filter_map(Result::ok);
        let is_data = |path: &PathBuf| {
            !path
                .components()
                .any(|part| part.as_os_str() == "_delta_log")
        };
        table.orphans = files
            .filter(is_data)
            .filter(|path| !named.contains(path))
            .collect();
        table
    }
}

/// Paths in the log are URL-encoded.
fn unescape(path: &str) -> String {
    let pair = format!("p={}", path.replace('+', "%2B"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.expect("one pair").1.into_owned()
}

fn read_file(path: &Path) -> Vec<Row> {
    let file = File::open(path)
        .unwrap_or_else(|error| panic!("a live file is gone, {}: {error}", path.display()));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let reader = builder.with_projection(mask).build().expect("a reader");
    reader
        .flat_map(|batch| rows_of(&batch.expect("a batch")))
        .collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let text = |name: &str| -> StringArray {
        cast(&batch[name], &DataType::Utf8)
            .expect("text")
            .as_string::<i32>()
            .clone()
    };
    let (disposition, topic, event_id) = (text("disposition"), text("topic"), text("event_id"));
    let (reason, replay_of) = (text("reason"), text("replay_of"));
    let partition = batch["partition"].as_primitive::<Int32Type>();
    let offset = batch["offset"].as_primitive::<Int64Type>();
    let record_index = batch["record_index"].as_primitive::<Int32Type>();
    let offset_to = batch["offset_to"].as_primitive::<Int64Type>();
    let option =
        |array: &StringArray, row| array.is_valid(row).then(|| array.value(row).to_string());
    (0..batch.num_rows())
        .map(|row| Row {
            disposition: disposition.value(row).to_string(),
            position: (
                topic.value(row).to_string(),
                partition.value(row),
                offset.value(row),
            ),
            record_index: record_index.value(row),
            offset_to: offset_to.is_valid(row).then(|| offset_to.value(row)),
            event_id: option(&event_id, row),
            reason: option(&reason, row),
            replay_of: option(&replay_of, row),
        })
        .collect()
}
