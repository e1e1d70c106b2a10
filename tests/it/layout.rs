//! How a lake of many files lies on disk, and how little of it a lookup reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::compute::{SortColumn, lexsort_to_indices};
use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tapetrail::config::Config;
use tapetrail::detection::library::Library;
use tapetrail::engine::{Engine, EngineOptions};
use tapetrail::event::{Stream, TimestampType};
use tapetrail::intake::{Intake, Message};
use tapetrail::lake::commit::{Batch, Ledger, Range};
use tapetrail::lake::encode::encode;
use tapetrail::lake::log::AppId;
use tapetrail::lake::table::Lake;
use tapetrail::table::rows::{Origin, Rows};
use tapetrail::table::sort_columns;
use tokio::sync::OnceCell;

use crate::faulty_store::{FaultyStore, Operation, Verdict};
use crate::lake::{BEGIN, lake_in, live_files};

/// Commits a day; each leaves one small file, as a consumer with a short interval does.
const COMMITS_A_DAY: i64 = 21;
const DAYS: i64 = 5;
const COMMITS: i64 = COMMITS_A_DAY * DAYS;
const MESSAGES: i64 = 6;

/// Returns the session of a message: texts without order, as the service makes them.
fn sid(number: i64) -> String {
    format!(
        "{:032x}",
        (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    )
}

fn at_ms(number: i64) -> i64 {
    BEGIN / 1000 + number * 86_400_000 / (COMMITS_A_DAY * MESSAGES)
}

fn message(stream: Stream, number: i64) -> String {
    let (sid, at) = (sid(number), at_ms(number));
    match stream {
        Stream::ApiCalls => format!(
            r#"{{"event_id":"a{number}","requested_at":{at},"responded_at":{at},"request":{{"method":"POST","url":"/v1/apps/app1/cloud_recording/resourceid/r{number}/mode/mix/start","body":{{"cname":"room-{number}","uid":"7","clientRequest":{{"storageConfig":{{"vendor":1,"region":0,"bucket":"b"}}}}}}}},"response":{{"status":200,"body":{{"sid":"{sid}","resourceId":"r{number}"}}}}}}"#
        ),
        Stream::StorageEvents => format!(
            r#"{{"event_id":"s{number}","occurred_at":{at},"kind":"created","vendor":"s3","bucket":"b","key":"{sid}_room-{number}.m3u8","size":9}}"#
        ),
        _ => format!(
            r#"{{"noticeId":"w{number}","productId":3,"eventType":40,"notifyMs":{at},"payload":{{"cname":"room-{number}","uid":"7","sid":"{sid}","sequence":1,"sendts":{at},"serviceType":0,"details":{{"msgName":"recorder_started"}}}}}}"#
        ),
    }
}

/// One lake for all tests here: making it takes longer than looking at it.
pub async fn lake() -> (Lake, Arc<InMemory>) {
    static DISK: OnceCell<Arc<InMemory>> = OnceCell::const_new();
    let disk = DISK.get_or_init(|| async {
        let disk = Arc::new(InMemory::new());
        let lake = lake_in(disk.clone());
        for stream in [Stream::ApiCalls, Stream::Webhooks, Stream::StorageEvents] {
            fill(&lake, stream).await;
        }
        disk
    });
    let disk = Arc::clone(disk.await);
    (lake_in(disk.clone()), disk)
}

async fn fill(lake: &Lake, stream: Stream) {
    let mut intake = Intake::new(&Config::default());
    let table = lake.open_or_create(stream).await.expect("makes the table");
    let mut ledger = Ledger::new(stream, table);
    for commit in 0..COMMITS {
        let mut rows = Rows::new(stream);
        for number in commit * MESSAGES..(commit + 1) * MESSAGES {
            let origin = Origin {
                topic: stream.default_topic().into(),
                partition: Some(0),
                offset: number,
                source_id: Some("c1@0".into()),
                received_at: Some(at_ms(number) * 1000),
                timestamp_type: Some(TimestampType::Broker),
                ..Origin::default()
            };
            let value = message(stream, number);
            let message = Message {
                value: Some(value.as_bytes()),
                ..Message::default()
            };
            assert_eq!(intake.take(&mut rows, &origin, &message).events, 1);
        }
        let range = Range {
            from: commit * MESSAGES,
            to: (commit + 1) * MESSAGES,
            is_first: commit == 0,
            rows: MESSAGES,
        };
        let app_id = AppId::partition("c1", stream.default_topic(), 0, 0);
        let mut batch = Batch {
            adds: Vec::new(),
            ranges: BTreeMap::from([(app_id, range)]),
        };
        for file in encode(stream, &rows.finish(), BEGIN / 1000).expect("encodes") {
            batch.adds.push(ledger.put(&file).await.expect("is put"));
        }
        ledger.commit(&batch).await.expect("is committed");
    }
}

/// What a query read of one table, by the plan's own account and by the store's.
#[derive(Debug)]
struct Reading {
    rows: usize,
    /// Files of which at least the footer was read.
    files: usize,
    /// Row groups whose rows were read, after statistics and bloom filters.
    row_groups: usize,
}

/// Runs a query and returns what it read of a stream's table.
async fn reading(stream: Stream, sql: &str) -> Reading {
    let (_, disk) = lake().await;
    let store = FaultyStore::new(disk, |_| Verdict::Pass);
    let views = Library::embedded().expect("the queries are right").views();
    let options = EngineOptions {
        views,
        ..EngineOptions::default()
    };
    let engine = Engine::open(&lake_in(store.clone()), options)
        .await
        .expect("opens");
    let rows = engine.run(sql, &[]).await.expect("runs");
    let directory = format!("lake/{stream}/event_date=");
    let calls = store.calls();
    let files: BTreeSet<_> = (calls.iter())
        .filter(|call| call.operation == Operation::Get && call.path.starts_with(&directory))
        .map(|call| &call.path)
        .collect();
    let plan = engine
        .run(&format!("EXPLAIN ANALYZE {sql}"), &[])
        .await
        .expect("explains");
    let plan = pretty_format_batches(&plan).expect("is text").to_string();
    let scans = plan.lines().filter(|line| line.contains(&directory));
    Reading {
        rows: rows.iter().map(|batch| batch.num_rows()).sum(),
        files: files.len(),
        row_groups: scans
            .map(|scan| matched(scan, "row_groups_pruned_bloom_filter="))
            .sum(),
    }
}

/// Returns the last number of a metric like `name=18 total → 1 matched`.
fn matched(plan: &str, metric: &str) -> usize {
    // A scan that was spared, because nothing could match, has none.
    let Some((_, rest)) = plan.split_once(metric) else {
        return 0;
    };
    let (_, rest) = rest.split_once("total → ").expect("a metric of pruning");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

fn around(column: &str, number: i64) -> String {
    let minutes = 10 * 60_000;
    let (from, to) = (at_ms(number) - minutes, at_ms(number) + minutes);
    format!("{column} >= to_timestamp_millis({from}) AND {column} < to_timestamp_millis({to})")
}

#[tokio::test]
async fn the_files_and_the_log_are_laid_out_as_promised() {
    let (lake, disk) = lake().await;
    for stream in [Stream::ApiCalls, Stream::Webhooks] {
        let table = lake.open(stream).await.expect("opens").expect("is there");
        let paths = live_files(&table);
        assert!(
            paths.len() >= COMMITS as usize,
            "{stream}: {} files",
            paths.len()
        );
        for path in paths {
            let path = Path::from(format!("lake/{stream}/{path}"));
            let bytes = disk
                .get(&path)
                .await
                .expect("is there")
                .bytes()
                .await
                .expect("is read");
            assert_layout(stream, bytes);
        }
        // Version 0 made the table, so the hundredth commit is version 99.
        let checkpoint = format!("lake/{stream}/_delta_log/{:020}.checkpoint.parquet", 99);
        disk.head(&Path::from(checkpoint))
            .await
            .expect("a checkpoint every 100 commits");
        let state = table.snapshot().expect("is loaded");
        let protocol = state.protocol();
        assert_eq!(
            (protocol.min_reader_version(), protocol.min_writer_version()),
            (1, 2)
        );
    }
}

/// Sorted, zstd, statistics, and bloom filters on what people look up.
fn assert_layout(stream: Stream, bytes: Bytes) {
    let reader = SerializedFileReader::new(bytes.clone()).expect("is Parquet");
    let row_group = reader.metadata().row_group(0);
    for column in row_group.columns() {
        let name = column.column_path().string();
        // What is small is not worth compressing, nor is what hardly gets smaller.
        let is_left =
            column.uncompressed_size() < 200 || name == "request_hash" || name.ends_with("_at");
        assert!(
            matches!(column.compression(), Compression::ZSTD(_)) || is_left,
            "{name}"
        );
        let has_filter = column.bloom_filter_offset().is_some();
        assert_eq!(
            has_filter,
            ["sid", "cname"].contains(&name.as_str()),
            "{name}"
        );
        if sort_columns(stream).contains(&name.as_str()) {
            assert!(column.statistics().is_some(), "{name} has no statistics");
        }
    }
    let rows = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.build())
        .expect("is Parquet");
    for rows in rows {
        let rows = rows.expect("is whole");
        let keys: Vec<SortColumn> = (sort_columns(stream).iter())
            .map(|name| SortColumn {
                values: Arc::clone(&rows[*name]),
                options: None,
            })
            .collect();
        let order = lexsort_to_indices(&keys, None).expect("can be compared");
        assert!(
            order.values().is_sorted(),
            "rows lie in the order of {:?}",
            sort_columns(stream)
        );
    }
}

#[tokio::test]
async fn a_session_is_found_in_one_file_of_many() {
    let sid = sid(300);
    for stream in [Stream::Webhooks, Stream::ApiCalls] {
        let read = reading(
            stream,
            &format!("SELECT * FROM {stream} WHERE sid = '{sid}'"),
        )
        .await;
        assert_eq!((read.rows, read.row_groups), (1, 1), "{stream}: {read:?}");
        // By the least and greatest sid of each file, in the log; a rewrite sorted by session does better.
        assert!(read.files <= COMMITS as usize / 3, "{stream}: {read:?}");
    }
}

#[tokio::test]
async fn a_channel_at_a_time_is_found_in_one_file_of_many() {
    let sql = |stream: Stream, time: &str| {
        let when = around(time, 300);
        format!("SELECT * FROM {stream} WHERE cname = 'room-300' AND {when}")
    };
    for (stream, time) in [
        (Stream::ApiCalls, "requested_at"),
        (Stream::Webhooks, "occurred_at"),
    ] {
        let read = reading(stream, &sql(stream, time)).await;
        assert_eq!((read.rows, read.row_groups), (1, 1), "{stream}: {read:?}");
        assert!(read.files <= 2, "{stream}: {read:?}");
    }
}

#[tokio::test]
async fn a_time_alone_opens_the_files_of_that_time() {
    let sql = format!(
        "SELECT event_id FROM api_calls WHERE {}",
        around("occurred_at", 300)
    );
    let read = reading(Stream::ApiCalls, &sql).await;
    assert!(read.rows >= 1 && read.files <= 3, "{read:?}");
}

#[tokio::test]
async fn views_of_sessions_let_the_filter_through() {
    let timeline = format!("SELECT * FROM session_timeline WHERE sid = '{}'", sid(300));
    for stream in [Stream::ApiCalls, Stream::Webhooks] {
        let read = reading(stream, &timeline).await;
        assert_eq!((read.rows, read.row_groups), (3, 1), "{stream}: {read:?}");
        assert!(read.files <= COMMITS as usize / 3, "{stream}: {read:?}");
    }
    let files = format!("SELECT * FROM session_files WHERE sid = '{}'", sid(300));
    let read = reading(Stream::StorageEvents, &files).await;
    assert_eq!((read.rows, read.row_groups), (1, 1), "{read:?}");
}

/// `starts` reads its table several times over: the call, its mirrors, its ticket. Each time the filter is there.
#[tokio::test]
async fn starts_of_a_channel_are_found_in_the_files_of_the_channel() {
    let starts = "SELECT * FROM starts WHERE app_id = 'app1' AND cname = 'room-300'";
    let read = reading(Stream::ApiCalls, starts).await;
    assert_eq!(read.rows, 1, "{read:?}");
    assert!(read.row_groups <= 8, "{read:?}");
}

/// The session id is in one file; what belongs to the same start is found by the channel that this file names.
#[tokio::test]
async fn a_session_is_told_from_the_files_of_its_channel() {
    for view in ["starts", "sessions"] {
        let sql = format!("SELECT * FROM {view} WHERE sid = '{}'", sid(300));
        let read = reading(Stream::ApiCalls, &sql).await;
        assert_eq!(read.rows, 1, "{view}: {read:?}");
        // Of the hundreds that its scans could read; `sessions` reads `starts` twice, to tell the first of each session.
        assert!(read.row_groups <= COMMITS as usize / 4, "{view}: {read:?}");
    }
}

/// What `--since` and `--until` leave out is not opened, whatever the query.
#[tokio::test]
async fn a_window_opens_the_days_that_it_touches() {
    // The lake begins on 2026-09-21 and ends on the 26th.
    let micros = |date: &str| {
        let at = chrono::DateTime::parse_from_rfc3339(date).expect("a time");
        Some(at.timestamp_micros())
    };
    let days = |from: u32, to: u32| -> Vec<String> {
        (from..=to).map(|day| format!("2026-09-{day}")).collect()
    };
    let windows = [
        (None, None, days(21, 26)),
        (micros("2026-09-25T00:00:00Z"), None, days(25, 26)),
        // A day that a bound falls into is read whole; one that begins with the end is not.
        (micros("2026-09-25T23:59:59Z"), None, days(25, 26)),
        (None, micros("2026-09-23T00:00:00Z"), days(21, 22)),
        (None, micros("2026-09-23T00:00:00.000001Z"), days(21, 23)),
        (
            micros("2026-09-23T12:00:00Z"),
            micros("2026-09-24T12:00:00Z"),
            days(23, 24),
        ),
    ];
    for (read_from, read_until, expected) in windows {
        let (_, disk) = lake().await;
        let store = FaultyStore::new(disk, |_| Verdict::Pass);
        let options = EngineOptions {
            read_from,
            read_until,
            ..EngineOptions::default()
        };
        let engine = Engine::open(&lake_in(store.clone()), options)
            .await
            .expect("opens");
        let sql = "SELECT min(payload), min(occurred_at) FROM log_webhooks";
        engine.run(sql, &[]).await.expect("runs");
        let calls = store.calls();
        let opened: BTreeSet<String> = (calls.iter())
            .filter(|call| call.operation == Operation::Get)
            .filter_map(|call| call.path.split_once("lake/webhooks/event_date="))
            .map(|(_, path)| path[..10].to_string())
            .collect();
        assert!(
            opened.iter().eq(&expected),
            "{read_from:?} to {read_until:?}: {opened:?}"
        );
    }
}
