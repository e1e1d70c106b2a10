//! A small stream of messages, a consumer of it that needs no broker, and a look at what a table holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::DeltaTable;
use deltalake::kernel::Add;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tapetrail::config::{Config, Durability};
use tapetrail::detection::library::Library;
use tapetrail::event::{MICROS_PER_SECOND, Micros, Stream, TimestampType};
use tapetrail::intake::{Intake, Message};
use tapetrail::lake::commit::{Batch, CommitError, Ledger, Range};
use tapetrail::lake::encode::encode;
use tapetrail::lake::log::AppId;
use tapetrail::lake::store::Location;
use tapetrail::lake::table::Lake;
use tapetrail::table::rows::{Origin, Rows};
use tapetrail::verify::verify;

pub const STREAM: Stream = Stream::Webhooks;

/// 2026-09-21T14:13:20Z, near the end of a day's afternoon.
pub const BEGIN: Micros = 1_790_000_000 * MICROS_PER_SECOND;

/// Returns a lake in `store`, which counts paths from its root.
pub fn lake_in(store: Arc<dyn ObjectStore>) -> Lake {
    let url = "memory:///lake/".parse().expect("a URL");
    let durability = Durability::Os;
    Lake::new(Location {
        store,
        url,
        durability,
    })
}

pub fn memory_lake() -> Lake {
    lake_in(Arc::new(InMemory::new()))
}

pub fn app_id(partition: i32) -> AppId {
    AppId::partition("c1", "recording.webhooks", partition, 0)
}

/// Returns messages of all sorts: events over several days, lists, tombstones and poison.
pub fn messages(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| match number % 7 {
            3 => format!("[{},{}]", webhook(number, "a"), webhook(number, "b")).into_bytes(),
            5 if number % 2 == 0 => Vec::new(),
            5 => b"{\"noticeId\": \"cut".to_vec(),
            _ => webhook(number, "").into_bytes(),
        })
        .collect()
}

fn webhook(number: usize, part: &str) -> String {
    let at = 1_790_000_000_000 + number as i64 * 7_200_000;
    let sid = number % 4;
    format!(
        r#"{{"noticeId":"n{number}{part}","productId":3,"eventType":40,"notifyMs":{at},"payload":{{"cname":"room-{sid}","uid":"7","sid":"5f0a{sid:028}","sequence":{number},"sendts":{at},"serviceType":0,"details":{{"msgName":"recorder_started"}}}}}}"#
    )
}

/// Returns the rows of messages that begin at `offset`, as the consumer makes them.
pub fn rows(partition: i32, offset: i64, messages: &[Vec<u8>]) -> RecordBatch {
    let mut intake = Intake::new(&Config::default());
    let mut rows = Rows::new(STREAM);
    for (offset, value) in (offset..).zip(messages) {
        let origin = Origin {
            topic: "recording.webhooks".into(),
            partition: Some(partition),
            offset,
            source_id: Some("c1@0".into()),
            received_at: Some(BEGIN + offset * 7_200 * MICROS_PER_SECOND),
            timestamp_type: Some(TimestampType::Producer),
            ..Origin::default()
        };
        let message = Message {
            value: (!value.is_empty()).then_some(value),
            ..Message::default()
        };
        intake.take(&mut rows, &origin, &message);
    }
    rows.finish()
}

/// Writes the files of messages that begin at `offset` and returns the batch that commits them.
pub async fn written(
    ledger: &Ledger,
    partition: i32,
    offset: i64,
    messages: &[Vec<u8>],
) -> Result<Batch, CommitError> {
    let rows = rows(partition, offset, messages);
    let mut adds: Vec<Add> = Vec::new();
    for file in encode(STREAM, &rows, BEGIN / 1000).expect("rows can be encoded") {
        adds.push(ledger.put(&file).await?);
    }
    let range = range(offset, messages.len(), rows.num_rows());
    Ok(Batch {
        adds,
        ranges: BTreeMap::from([(app_id(partition), range)]),
    })
}

/// Returns the range of so many messages; a partition's first begins at 0.
pub fn range(from: i64, messages: usize, rows: usize) -> Range {
    Range {
        from,
        to: from + messages as i64,
        is_first: from == 0,
        rows: rows as i64,
    }
}

pub async fn ledger(lake: &Lake) -> Result<Ledger> {
    Ok(Ledger::new(STREAM, lake.open_or_create(STREAM).await?))
}

/// Says what a consumer does when the store refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Ends, as a killed process does.
    Die,
    /// Tries again, as `ingest` does, without its pauses.
    Retry,
}

/// Tries that a fault of one call may cost.
const TRIES: usize = 5;

/// Opens the lake and consumes from the stored offset to the end, in commits of `size` messages.
pub async fn consume(
    lake: &Lake,
    messages: &[Vec<u8>],
    size: usize,
    refused: Refused,
) -> Result<()> {
    let mut opened = ledger(lake).await;
    for _ in 0..TRIES {
        if opened.is_err() && refused == Refused::Retry {
            opened = ledger(lake).await;
        }
    }
    let mut ledger = opened?;
    loop {
        let mut outcome = step(&mut ledger, messages, size).await;
        for _ in 0..TRIES {
            if outcome.is_err() && refused == Refused::Retry {
                outcome = step(&mut ledger, messages, size).await;
            }
        }
        if outcome? {
            return Ok(());
        }
    }
}

/// Commits the next messages; says whether there were none.
async fn step(ledger: &mut Ledger, messages: &[Vec<u8>], size: usize) -> Result<bool, CommitError> {
    ledger.refresh().await?;
    let offset = ledger.stored(&app_id(0)).await?.unwrap_or(0);
    let rest = &messages[offset as usize..];
    if rest.is_empty() {
        return Ok(true);
    }
    let batch = written(ledger, 0, offset, &rest[..size.min(rest.len())]).await?;
    ledger.commit(&batch).await?;
    Ok(false)
}

/// Returns every row of the newest version as text, sorted; what differs from run to run is left out.
pub async fn contents(lake: &Lake) -> Vec<String> {
    let table = lake.open(STREAM).await.expect("opens").expect("is there");
    let mut lines = Vec::new();
    for path in live_files(&table) {
        for batch in read(&table, &path).await {
            lines.extend(lines_of(&batch));
        }
    }
    lines.sort();
    lines
}

/// Requires that each partition holds as many messages as `counts` says, in order of partition, and that `verify`
/// says the same.
pub async fn expect_exactly(lake: &Lake, counts: &[usize]) {
    expect_positions(lake, counts).await;
    verified(lake).await;
}

/// Requires every offset of each partition once, from 0 on, and every event of a message once.
///
/// Looks at positions alone, so that a mistake which every consumer here would make alike is seen.
pub async fn expect_positions(lake: &Lake, counts: &[usize]) {
    let table = lake.open(STREAM).await.expect("opens").expect("is there");
    let mut found = vec![BTreeMap::<i64, Vec<i32>>::new(); counts.len()];
    for path in live_files(&table) {
        for batch in read(&table, &path).await {
            let partition = batch["partition"].as_primitive::<Int32Type>();
            let offset = batch["offset"].as_primitive::<Int64Type>();
            let index = batch["record_index"].as_primitive::<Int32Type>();
            for row in 0..batch.num_rows() {
                let of_partition = &mut found[partition.value(row) as usize];
                let indexes = of_partition.entry(offset.value(row)).or_default();
                indexes.push(index.value(row));
            }
        }
    }
    for (partition, (found, count)) in found.iter_mut().zip(counts).enumerate() {
        let offsets: Vec<i64> = found.keys().copied().collect();
        let produced: Vec<i64> = (0..*count as i64).collect();
        assert_eq!(offsets, produced, "offsets of partition {partition}");
        for (offset, indexes) in found {
            indexes.sort_unstable();
            assert!(
                indexes.iter().copied().eq(0..indexes.len() as i32),
                "partition {partition}, offset {offset}: events {indexes:?}"
            );
        }
    }
}

/// Requires that `verify` finds every offset once.
pub async fn verified(lake: &Lake) {
    let library = Library::embedded().expect("the queries are right");
    let report = verify(lake, &library, true).await.expect("can be verified");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(report.partitions.iter().all(|partition| partition.is_whole));
}

/// Returns the paths of the files that the loaded version holds.
pub fn live_files(table: &DeltaTable) -> Vec<String> {
    let state = table.snapshot().expect("is loaded");
    let files = state.log_data();
    files.iter().map(|file| file.path().to_string()).collect()
}

pub async fn read(table: &DeltaTable, path: &str) -> Vec<RecordBatch> {
    let path = object_store::path::Path::parse(path).expect("a path");
    let file = table.object_store().get(&path).await.expect("is there");
    let bytes = file.bytes().await.expect("can be read");
    ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.build())
        .expect("is Parquet")
        .collect::<Result<_, _>>()
        .expect("is whole")
}

/// Returns each row as `column=value` of all columns that have one.
pub fn lines_of(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let options = FormatOptions::default();
    let columns: Vec<_> = (schema.fields().iter())
        .zip(batch.columns())
        .map(|(field, column)| {
            let format = ArrayFormatter::try_new(column.as_ref(), &options).expect("can be shown");
            (field.name(), column, format)
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            (columns.iter())
                .filter(|(_, column, _)| !column.is_null(row))
                .map(|(name, _, format)| format!("{name}={}", format.value(row)))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}
