//! `verify` is verified: it names every breakage made on purpose, and passes over what is legal.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Int32Type, Int64Type};
use bytes::Bytes;
use deltalake::DeltaTable;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use tapetrail::detection::library::Library;
use tapetrail::lake::table::Lake;
use tapetrail::table::rows::{Origin, Rows};
use tapetrail::verify::verify;

use crate::lake::{
    Refused, STREAM, app_id, consume, live_files, memory_lake, messages, range, read, verified,
    written,
};

/// Messages of a lake that is about to be broken: events, lists, tombstones and poison among them.
const MESSAGES: usize = 30;

async fn whole_lake() -> Lake {
    let lake = memory_lake();
    let outcome = consume(&lake, &messages(MESSAGES), 10, Refused::Die).await;
    outcome.expect("a store that works");
    verified(&lake).await;
    lake
}

async fn table(lake: &Lake) -> DeltaTable {
    lake.open(STREAM).await.expect("opens").expect("is there")
}

/// Returns the codes of all problems, of a full and of an incremental run alike.
async fn problems(lake: &Lake) -> Vec<&'static str> {
    let library = Library::embedded().expect("the queries are right");
    let incremental = verify(lake, &library, false)
        .await
        .expect("can be verified");
    let full = verify(lake, &library, true).await.expect("can be verified");
    let codes = |report: &tapetrail::verify::Report| {
        let mut codes: Vec<_> = report.problems.iter().map(|problem| problem.code).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    };
    assert_eq!(codes(&incremental), codes(&full), "both runs see the same");
    codes(&full)
}

/// Writes the next version of the table by hand, as a foreign tool or an accident would.
async fn commit(table: &DeltaTable, actions: &[Value]) {
    let version = table.version().expect("is loaded") + 1;
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    let path = Path::from(format!("_delta_log/{version:020}.json"));
    let written = table
        .object_store()
        .put(&path, lines.join("\n").into())
        .await;
    written.expect("a store that works");
}

fn removed(path: &str, data_change: bool) -> Value {
    json!({"remove": {"path": path, "dataChange": data_change, "deletionTimestamp": 0}})
}

/// Writes rows as a file of the table and returns the action that adds it.
async fn added(table: &DeltaTable, beside: &str, rows: &RecordBatch, data_change: bool) -> Value {
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).expect("a schema");
    writer.write(rows).expect("rows");
    let bytes = Bytes::from(writer.into_inner().expect("rows"));
    let (directory, name) = beside.split_once('/').expect("a partition");
    let (size, path) = (bytes.len(), format!("{directory}/by-hand-{name}"));
    let file = Path::parse(&path).expect("a path");
    table
        .object_store()
        .put(&file, bytes.into())
        .await
        .expect("a store that works");
    let date = directory.split_once('=').expect("a partition").1;
    json!({"add": {
        "path": path, "size": size, "modificationTime": 0, "dataChange": data_change,
        "partitionValues": {"event_date": date},
    }})
}

/// Replaces the first file with a row that `is_wanted` by what `change` makes of its rows.
async fn rewrite(
    lake: &Lake,
    data_change: bool,
    is_wanted: impl Fn(&RecordBatch, usize) -> bool,
    change: impl Fn(&RecordBatch, usize) -> RecordBatch,
) {
    let table = table(lake).await;
    for path in live_files(&table) {
        let batches = read(&table, &path).await;
        let rows = concat_batches(&batches[0].schema(), &batches).expect("one schema");
        if let Some(row) = (0..rows.num_rows()).find(|&row| is_wanted(&rows, row)) {
            let add = added(&table, &path, &change(&rows, row), data_change).await;
            commit(&table, &[removed(&path, data_change), add]).await;
            return;
        }
    }
    panic!("no row is as wanted");
}

/// Takes the row of a message out of the table, as if its rewrite had lost it.
pub async fn lose_a_row(lake: &Lake, wanted: i64) {
    rewrite(
        lake,
        false,
        |rows, row| offset(rows, row) == wanted,
        without,
    )
    .await;
}

fn without(rows: &RecordBatch, row: usize) -> RecordBatch {
    let keep = (0..rows.num_rows())
        .map(|at| at != row)
        .collect::<BooleanArray>();
    filter_record_batch(rows, &keep).expect("one flag a row")
}

fn doubled(rows: &RecordBatch, row: usize) -> RecordBatch {
    concat_batches(&rows.schema(), &[rows.clone(), rows.slice(row, 1)]).expect("one schema")
}

fn disposition(rows: &RecordBatch, row: usize) -> String {
    let column = arrow::compute::cast(&rows["disposition"], &arrow::datatypes::DataType::Utf8);
    column
        .expect("text")
        .as_string::<i32>()
        .value(row)
        .to_string()
}

fn offset(rows: &RecordBatch, row: usize) -> i64 {
    rows["offset"].as_primitive::<Int64Type>().value(row)
}

fn record_index(rows: &RecordBatch, row: usize) -> i32 {
    rows["record_index"].as_primitive::<Int32Type>().value(row)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_is_found() {
    let lake = whole_lake().await;
    rewrite(&lake, true, |rows, row| offset(rows, row) == 14, without).await;
    assert_eq!(problems(&lake).await, ["hole", "rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_is_found_though_the_rewrite_calls_itself_a_compaction() {
    let lake = whole_lake().await;
    rewrite(&lake, false, |rows, row| offset(rows, row) == 14, without).await;
    assert_eq!(problems(&lake).await, ["hole", "rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_and_the_last_row_are_missed_too() {
    for wanted in [0, MESSAGES as i64 - 1] {
        let lake = whole_lake().await;
        rewrite(
            &lake,
            true,
            |rows, row| offset(rows, row) == wanted,
            without,
        )
        .await;
        assert_eq!(problems(&lake).await, ["hole", "rows"], "offset {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_row_is_found() {
    let lake = whole_lake().await;
    rewrite(&lake, true, |rows, row| offset(rows, row) == 7, doubled).await;
    assert_eq!(problems(&lake).await, ["repeated", "rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_dead_letter_is_found() {
    let lake = whole_lake().await;
    rewrite(
        &lake,
        true,
        |rows, row| disposition(rows, row) == "dead",
        without,
    )
    .await;
    assert_eq!(problems(&lake).await, ["hole", "rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_of_a_message_is_missed_wherever_it_stood() {
    // The first of two leaves a hole in `record_index`, the last only a row too few.
    for (index, codes) in [(0, ["rows", "torn"].as_slice()), (1, &["rows"])] {
        let lake = whole_lake().await;
        // Offset 3 is a list of two events.
        let is_wanted =
            |rows: &RecordBatch, row| offset(rows, row) == 3 && record_index(rows, row) == index;
        rewrite(&lake, true, is_wanted, without).await;
        assert_eq!(problems(&lake).await, codes, "record_index {index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_range_is_found() {
    let lake = whole_lake().await;
    let ledger = crate::lake::ledger(&lake).await.expect("opens");
    let more = messages(5);
    // A consumer without our check would commit this: ten offsets are jumped over.
    let from = MESSAGES as i64 + 10;
    let batch = written(&ledger, 0, from, &more)
        .await
        .expect("a store that works");
    let range = range(from, more.len(), batch.ranges[&app_id(0)].rows as usize);
    let table = table(&lake).await;
    let rows = tapetrail::lake::log::stored_offsets(&table, STREAM)
        .await
        .expect("can be read");
    let rows = rows.values().filter_map(|stored| stored.rows).sum::<i64>() + range.rows;
    let txn = |name: String, version: i64| json!({"txn": {"appId": name, "version": version}});
    let mut actions: Vec<Value> = batch.adds.iter().map(|add| json!({"add": add})).collect();
    actions.push(txn(app_id(0).to_string(), range.to));
    actions.push(txn(app_id(0).rows().to_string(), rows));
    commit(&table, &actions).await;
    assert_eq!(problems(&lake).await, ["hole"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_restored_by_a_new_version_is_found() {
    let lake = whole_lake().await;
    let newest = table(&lake).await;
    let before = {
        let mut table = newest.clone();
        table.load_version(2).await.expect("is there");
        live_files(&table)
    };
    // What RESTORE does: files go, the offsets stay.
    let gone = live_files(&newest)
        .into_iter()
        .filter(|path| !before.contains(path));
    let actions: Vec<Value> = gone.map(|path| removed(&path, true)).collect();
    commit(&newest, &actions).await;
    assert_eq!(problems(&lake).await, ["hole", "rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_restored_by_cutting_its_log_is_found() {
    let lake = whole_lake().await;
    let newest = table(&lake).await;
    let version = newest.version().expect("is loaded");
    let path = Path::from(format!("_delta_log/{version:020}.json"));
    newest.object_store().delete(&path).await.expect("is there");
    assert_eq!(problems(&lake).await, ["restored"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_is_passed_over() {
    let lake = whole_lake().await;
    let whole = table(&lake).await;
    let files = live_files(&whole);
    let directory = |path: &String| path.split_once('/').expect("a partition").0.to_string();
    let (first, second) = files
        .iter()
        .flat_map(|a| files.iter().map(move |b| (a, b)))
        .find(|(a, b)| a < b && directory(a) == directory(b))
        .expect("two files of one day");
    let mut batches = read(&whole, second).await;
    batches.extend(read(&whole, first).await);
    let rows = concat_batches(&batches[0].schema(), &batches).expect("one schema");
    let add = added(&whole, first, &rows, false).await;
    commit(
        &whole,
        &[removed(first, false), removed(second, false), add],
    )
    .await;
    assert_eq!(problems(&lake).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn legal_holes_are_passed_over() {
    let lake = whole_lake().await;
    let mut ledger = crate::lake::ledger(&lake).await.expect("opens");
    let from = MESSAGES as i64;
    let mut rows = Rows::new(STREAM);
    let origin = Origin {
        topic: "recording.webhooks".into(),
        partition: Some(0),
        offset: from,
        source_id: Some("c1@0".into()),
        ..Origin::default()
    };
    rows.push_gap(
        &origin,
        from + 40,
        "no_message",
        "transaction markers or compaction",
    );
    let rows = rows.finish();
    let mut batch = written(&ledger, 0, from + 40, &messages(2))
        .await
        .expect("a store that works");
    for file in tapetrail::lake::encode::encode(STREAM, &rows, 0).expect("can be encoded") {
        batch
            .adds
            .push(ledger.put(&file).await.expect("a store that works"));
    }
    let covered = batch.ranges.get_mut(&app_id(0)).expect("is there");
    covered.from = from;
    covered.rows += 1;
    ledger.commit(&batch).await.expect("follows what is stored");
    assert_eq!(problems(&lake).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_that_says_what_it_removed_is_passed_over() {
    let lake = whole_lake().await;
    let whole = table(&lake).await;
    let mut actions = Vec::new();
    let (mut kept_rows, mut first_kept) = (0, i64::MAX);
    // Everything before the last commit's first offset goes; the log says where the partition begins now.
    for path in live_files(&whole) {
        let (mut rows, mut first) = (0, i64::MAX);
        for batch in read(&whole, &path).await {
            rows += batch.num_rows() as i64;
            first = batch["offset"]
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .copied()
                .fold(first, i64::min);
        }
        if first < 20 {
            actions.push(removed(&path, true));
        } else {
            kept_rows += rows;
            first_kept = first_kept.min(first);
        }
    }
    assert!(
        !actions.is_empty() && kept_rows > 0,
        "something goes and something stays"
    );
    let txn = |name: String, version: i64| json!({"txn": {"appId": name, "version": version}});
    actions.push(txn(app_id(0).start().to_string(), first_kept));
    actions.push(txn(app_id(0).rows().to_string(), kept_rows));
    commit(&whole, &actions).await;
    assert_eq!(problems(&lake).await, [""; 0]);
}
