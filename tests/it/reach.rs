//! How far streams and buckets have come: what the log says of files is what all their rows say.

use arrow::util::pretty::pretty_format_batches;
use tapetrail::detection::library::Library;
use tapetrail::detection::reach;
use tapetrail::engine::{Engine, EngineOptions};
use tapetrail::event::Stream;
use tapetrail::lake::history::AsOf;
use tapetrail::lake::reach::of_tables;
use tapetrail::lake::table::Lake;

use crate::faulty_store::{FaultyStore, Operation, Verdict};
use crate::lake::lake_in;
use crate::layout;

/// Returns what a session says of the streams and of the buckets.
async fn said(lake: &Lake, options: EngineOptions) -> [String; 2] {
    let engine = Engine::open(lake, options).await.expect("opens");
    let mut said = Vec::new();
    for sql in [
        "SELECT scope, stream, topic, CAST(\"partition\" AS BIGINT), vendor_name, bucket, watermark, low_watermark, last_at, is_idle
         FROM watermarks ORDER BY 1, 2, 3, 4, 5, 6",
        "SELECT vendor_name, bucket, first_at, last_at, events FROM monitored_buckets ORDER BY 1, 2",
    ] {
        let rows = engine.run(sql, &[]).await.expect("runs");
        said.push(pretty_format_batches(&rows).expect("is text").to_string());
    }
    said.try_into().expect("there are two")
}

/// Requires that the log says what the rows say, and returns it.
pub async fn assert_reach(lake: &Lake) -> [String; 2] {
    let library = Library::embedded().expect("the queries are right");
    let options = || EngineOptions {
        views: library.views(),
        ..EngineOptions::default()
    };
    let tables = lake.tables(&AsOf::Newest).await.expect("opens");
    let reaches = of_tables(&tables, |_| true).expect("is read");
    let reaches = reaches.expect("every file tells it");
    let given = reach::given(&library, &reaches).await.expect("is computed");
    assert_eq!(given.len(), 2);
    let by_log = said(lake, EngineOptions { given, ..options() }).await;
    assert_eq!(by_log, said(lake, options()).await);
    by_log
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_how_far_streams_have_come() {
    let (lake, disk) = layout::lake().await;
    let [watermarks, buckets] = assert_reach(&lake).await;
    assert!(watermarks.contains("| partition"), "{watermarks}");
    assert!(buckets.contains("| s3"), "{buckets}");

    let store = FaultyStore::new(disk, |_| Verdict::Pass);
    let tables = lake_in(store.clone()).tables(&AsOf::Newest).await;
    let reaches = of_tables(&tables.expect("opens"), |_| true);
    assert_eq!(reaches.expect("is read").expect("is told").len(), 3);
    let opened = store.calls();
    let mut files = (opened.iter())
        .filter(|call| call.operation == Operation::Get && call.path.contains("event_date="));
    assert!(files.next().is_none(), "no file has to be opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_days_that_are_read_count() {
    let (lake, _) = layout::lake().await;
    let tables = lake.tables(&AsOf::Newest).await.expect("opens");
    let of_day = |day: Option<&str>| {
        let is_read = |date: chrono::NaiveDate| day.is_none_or(|day| date.to_string() == day);
        let reaches = of_tables(&tables, is_read).expect("is read");
        let mut reaches = reaches.expect("every file tells it").into_iter();
        let of_calls = reaches.find(|(stream, _)| *stream == Stream::ApiCalls);
        of_calls.expect("there are calls").1
    };
    let (all, none) = (of_day(None), of_day(Some("2001-01-01")));
    assert_eq!(all.partitions.len(), 1);
    assert_eq!(none.partitions, []);
}
