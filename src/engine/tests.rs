use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::keeping::slice_bounds;
use super::*;
use crate::config::Durability;
use crate::event::SkipReason;
use crate::lake::commit::{Batch, Ledger};
use crate::lake::encode::encode;
use crate::lake::store::Location;
use crate::lake::table::{Texts, provider};
use crate::table;
use crate::table::rows::{Event, EventRow, Origin, Rows};
use crate::table::webhooks::WebhookRow;

const DAY: Micros = MICROS_PER_DAY;

/// One webhook a day from day 20,000 on, and a skipped message.
fn webhooks(days: i64) -> Vec<(Stream, Vec<RecordBatch>)> {
    let mut rows = Rows::new(Stream::Webhooks);
    for day in 0..days {
        let at = (20_000 + day) * DAY;
        let origin = Origin {
            topic: "t".into(),
            partition: Some(0),
            offset: day,
            received_at: Some(at),
            ..Origin::default()
        };
        let event = Event {
            event_id: format!("e{day}").into(),
            occurred_at: Some(at),
            payload: "{}".into(),
            row: EventRow::Webhook(WebhookRow {
                sid: Some(format!("s{day}").into()),
                ..WebhookRow::default()
            }),
        };
        rows.push_event(&origin, 0, &event);
    }
    let origin = Origin {
        offset: days,
        received_at: Some((20_000 + days) * DAY),
        ..Origin::default()
    };
    rows.push_skipped(&origin, 0, SkipReason::Tombstone, None);
    vec![(Stream::Webhooks, vec![rows.finish()])]
}

fn view(name: &str, sql: &str) -> View {
    View {
        name: name.to_string(),
        sql: sql.into(),
        sliced_by: None,
        may_be_kept: false,
    }
}

async fn engine(read_from: Option<Micros>) -> Engine {
    let options = EngineOptions {
        read_from,
        views: vec![view(
            "webhooks",
            "SELECT * FROM log_webhooks WHERE disposition = 'event'",
        )],
        ..EngineOptions::default()
    };
    Engine::memory(webhooks(10), options).await.expect("opens")
}

async fn count(engine: &Engine, sql: &str, params: &[(String, ScalarValue)]) -> i64 {
    let statement = Statement::parse_one(sql).expect("is SQL");
    let batch = engine.collect(&statement, params).await.expect("runs");
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

async fn refusal(sql: &str) -> String {
    let engine = engine(None).await;
    engine
        .run(sql, &[])
        .await
        .expect_err("is refused")
        .to_string()
}

fn param(name: &str, value: ScalarValue) -> (String, ScalarValue) {
    (name.to_string(), value)
}

#[tokio::test]
async fn views_show_events_and_logs_show_all() {
    let engine = engine(None).await;
    assert_eq!(
        count(&engine, "SELECT count(*) FROM webhooks", &[]).await,
        10
    );
    assert_eq!(
        count(&engine, "SELECT count(*) FROM log_webhooks", &[]).await,
        11
    );
}

#[tokio::test]
async fn a_stream_without_a_table_is_empty() {
    let engine = engine(None).await;
    assert_eq!(
        count(&engine, "SELECT count(*) FROM log_api_calls", &[]).await,
        0
    );
    let catalog = engine.catalog().await.expect("lists");
    let columns: usize = Stream::TABLES
        .iter()
        .map(|stream| table::schema(*stream).fields().len())
        .sum();
    let of_view = table::schema(Stream::Webhooks).fields().len();
    assert_eq!(catalog.num_rows(), columns + of_view);
    let descriptions = catalog["description"].as_string::<i32>();
    assert!(
        descriptions
            .iter()
            .all(|text| text.is_some_and(|text| !text.is_empty()))
    );
}

#[tokio::test]
async fn reading_from_a_day_leaves_earlier_ones_out() {
    let engine = engine(Some(20_004 * DAY + 5)).await;
    assert_eq!(
        count(&engine, "SELECT count(*) FROM webhooks", &[]).await,
        6
    );
}

#[tokio::test]
async fn parameters_are_typed_from_the_start() {
    let engine = engine(None).await;
    let params = [
        param("sid", ScalarValue::from("s3")),
        param("gap", ScalarValue::DurationMicrosecond(Some(DAY))),
        param(
            "from",
            ScalarValue::TimestampMicrosecond(Some(20_001 * DAY), Some("UTC".into())),
        ),
    ];
    let sql = "SELECT count(*) FROM webhooks WHERE sid = $sid";
    assert_eq!(count(&engine, sql, &params).await, 1);
    let sql = "SELECT count(*) FROM webhooks WHERE occurred_at - $gap >= $from";
    assert_eq!(count(&engine, sql, &params).await, 8);
    let sql = "SELECT count(*) FROM webhooks WHERE occurred_at - $from <= $gap";
    assert_eq!(count(&engine, sql, &params).await, 3);
    let sql = "SELECT $gap AS gap, occurred_at + $gap AS later FROM webhooks";
    let statement = Statement::parse_one(sql).expect("is SQL");
    let schema = engine
        .output_schema(&statement, &params)
        .await
        .expect("plans");
    let time = table::schema(Stream::Webhooks)
        .field_with_name("occurred_at")
        .expect("is a column")
        .data_type()
        .clone();
    assert_eq!(schema.field(1).data_type(), &time);
}

#[tokio::test]
async fn whatever_writes_is_refused() {
    let target = std::env::temp_dir().join("tapetrail-must-not-appear.csv");
    for sql in [
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "DROP VIEW webhooks",
        "INSERT INTO log_webhooks SELECT * FROM log_webhooks",
        "DELETE FROM log_webhooks",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/'",
        &format!("COPY (SELECT 1) TO '{}'", target.display()),
        &format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{}'", target.display()),
    ] {
        assert!(refusal(sql).await.contains("only reads"), "{sql}");
    }
    assert!(!target.exists());
}

#[tokio::test]
async fn what_only_looks_is_allowed() {
    let engine = engine(None).await;
    for sql in [
        "EXPLAIN SELECT * FROM webhooks",
        "DESCRIBE webhooks",
        "SHOW TABLES",
        "SET datafusion.execution.batch_size = 1024",
    ] {
        engine.run(sql, &[]).await.expect(sql);
    }
}

#[tokio::test]
async fn errors_are_short_and_say_where() {
    let message = refusal("SELECT sidd\nFROM webhooks").await;
    assert!(message.contains("line 1, column 8"), "{message}");
    let message = refusal("SELECT * FROM webhook").await;
    assert!(message.contains("webhook"), "{message}");
    assert!(!message.contains("Error during planning"), "{message}");
}

/// Returns how many files of a lake with one file a day a query would open.
async fn files_opened(engine: &Engine, condition: &str) -> usize {
    let sql = format!("EXPLAIN SELECT event_id FROM webhooks WHERE {condition}");
    let batches = engine.run(&sql, &[]).await.expect("plans");
    let text = |batch: &RecordBatch| {
        let plans = arrow::compute::cast(batch.column(1), &DataType::Utf8).expect("is text");
        let plans = plans.as_string::<i32>();
        plans.iter().flatten().collect::<String>()
    };
    batches
        .iter()
        .map(text)
        .collect::<String>()
        .matches(".parquet")
        .count()
}

/// Returns a session over a lake with one file a day.
async fn over_files(directory: &tempfile::TempDir, views: Vec<View>) -> Engine {
    let stream = Stream::Webhooks;
    std::fs::create_dir(directory.path().join(stream.stem())).expect("makes a directory");
    let path = directory.path().to_string_lossy();
    let lake = Lake::new(Location::open(&path, Durability::Os).expect("opens"));
    let table = lake.open_or_create(stream).await.expect("is made");
    let mut ledger = Ledger::new(stream, table);
    let mut commit = Batch::default();
    for (_, batches) in webhooks(10) {
        for file in encode(stream, &batches[0], 0).expect("encodes") {
            commit.adds.push(ledger.put(&file).await.expect("is put"));
        }
    }
    ledger.commit(&commit).await.expect("commits");

    let table = lake.open(stream).await.expect("opens").expect("is there");
    let provider = provider(&table, Texts::Copied).await.expect("can be read");
    let options = EngineOptions {
        views,
        ..EngineOptions::default()
    };
    let engine = Engine::new(vec![(stream, provider)], options).await;
    engine.expect("opens")
}

#[tokio::test]
async fn a_filter_reaches_the_files_through_a_view() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let sql = "SELECT * FROM log_webhooks WHERE disposition = 'event'";
    let engine = over_files(&directory, vec![view("webhooks", sql)]).await;
    assert_eq!(
        count(&engine, "SELECT count(*) FROM webhooks", &[]).await,
        10
    );
    // The plan names no more than five files of a group.
    assert!(files_opened(&engine, "true").await >= 5);
    assert_eq!(files_opened(&engine, "sid = 's3'").await, 1);
    let since = "occurred_at >= TIMESTAMP '2024-10-12T00:00:00Z'";
    assert_eq!(files_opened(&engine, since).await, 2);
    assert_eq!(
        files_opened(&engine, "event_date = DATE '2024-10-04'").await,
        1
    );
}

#[tokio::test]
async fn a_statement_that_reads_whole_tables_is_a_run_of_its_own() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let sids =
        "SELECT sid, count(*) AS events FROM log_webhooks WHERE sid IS NOT NULL GROUP BY sid";
    let views = vec![
        View {
            may_be_kept: true,
            ..view("sids", sids)
        },
        view(
            "pairs",
            "SELECT a.sid FROM sids AS a INNER JOIN sids AS b ON b.sid = a.sid",
        ),
    ];
    let engine = over_files(&directory, views).await;
    engine
        .give(
            "findings",
            engine
                .run("SELECT 1 AS n", &[])
                .await
                .expect("runs")
                .remove(0),
        )
        .expect("is given");
    for (sql, looks_up, pairs) in [
        ("SELECT count(*) FROM pairs", false, 10),
        ("SELECT count(*) FROM pairs CROSS JOIN findings", false, 10),
        ("SELECT count(*) FROM pairs WHERE sid <> 's3'", false, 9),
        ("SELECT count(*) FROM pairs WHERE sid = 's3'", true, 1),
        (
            "SELECT count(*) FROM pairs WHERE sid IN ('s3', 's4')",
            true,
            2,
        ),
        // A join tells the rows of one side to the other.
        (
            "SELECT count(*) FROM pairs INNER JOIN log_webhooks AS one ON one.sid = pairs.sid WHERE one.cname = 'c'",
            true,
            0,
        ),
        (
            "SELECT count(*) FROM pairs LEFT ANTI JOIN log_webhooks AS one ON one.sid = pairs.sid AND one.cname = 'c'",
            false,
            10,
        ),
    ] {
        let statement = Statement::parse_one(sql).expect("is SQL");
        let is_lookup = engine.looks_up(&statement, &[]).await.expect("plans");
        assert_eq!(is_lookup, looks_up, "{sql}");
        assert_eq!(count(&engine, sql, &[]).await, pairs, "as one plan: {sql}");
        let run = engine.as_run(&statement, &[]).await.expect("opens");
        let run = run.expect("there is little data");
        assert_eq!(count(&run, sql, &[]).await, pairs, "as a run: {sql}");
    }
    let once = Statement::parse_one("SELECT count(*) FROM sids").expect("is SQL");
    assert!(engine.as_run(&once, &[]).await.expect("opens").is_none());
}

#[tokio::test]
async fn a_kept_view_gives_what_it_would_give_anyway() {
    let options = |kept: &[&str]| EngineOptions {
        views: vec![
            view("webhooks", "SELECT sid FROM log_webhooks"),
            view("sids", "SELECT DISTINCT sid FROM webhooks"),
        ],
        kept: Kept {
            views: kept.iter().map(ToString::to_string).collect(),
            ..Kept::default()
        },
        ..EngineOptions::default()
    };
    for kept in [&[][..], &["webhooks"], &["webhooks", "sids"]] {
        let engine = Engine::memory(webhooks(10), options(kept)).await;
        let engine = engine.expect("opens");
        let sids = count(&engine, "SELECT count(*) FROM sids", &[]).await;
        assert_eq!(sids, 11, "ten sessions and none: {kept:?}");
    }
}

#[tokio::test]
async fn slices_hold_every_row_once() {
    for slices in [1, 2, 4, 8, 16, 32] {
        let bounds = slice_bounds(slices);
        assert_eq!(bounds.len() + 1, slices.min(16));
        assert!(bounds.is_sorted());
    }
    let sql = "SELECT md5(sid) AS id FROM log_webhooks WHERE sid IS NOT NULL GROUP BY sid";
    for slices in [1, 4, 16] {
        let options = EngineOptions {
            views: vec![View {
                sliced_by: Some("id".to_string()),
                ..view("ids", sql)
            }],
            kept: Kept::views(["ids"]),
            ..EngineOptions::default()
        };
        let engine = Engine::memory(webhooks(40), options).await;
        let mut engine = engine.expect("opens");
        engine.slices = slices;
        let ids = "SELECT count(DISTINCT id) * 1000 + count(*) FROM ids";
        assert_eq!(count(&engine, ids, &[]).await, 40_040);
    }
}

#[tokio::test]
async fn step_by_step_the_rows_are_the_same() {
    let sql = "
        WITH early AS (SELECT sid FROM webhooks WHERE sid <= $last),
        known AS (SELECT sid FROM early UNION ALL SELECT sid FROM never UNION ALL SELECT sid FROM early),
        webhooks AS (SELECT DISTINCT sid FROM known)
        SELECT count(*) FROM webhooks INNER JOIN known ON known.sid = webhooks.sid";
    let statement = Statement::parse_one(sql).expect("is SQL");
    let params = [param("last", ScalarValue::from("s4"))];
    for stepwise in [Stepwise::Never, Stepwise::LittleData, Stepwise::Always] {
        let options = EngineOptions {
            views: vec![
                view(
                    "webhooks",
                    "SELECT sid FROM log_webhooks WHERE sid IS NOT NULL",
                ),
                view("never", "SELECT sid FROM webhooks WHERE sid = 'none'"),
                view("broken", "SELECT sid FROM nowhere"),
                view(
                    "one_side",
                    "SELECT sid FROM never UNION ALL SELECT webhooks.sid FROM webhooks",
                ),
                view(
                    "one_side_in_order",
                    "SELECT sid FROM never UNION ALL SELECT webhooks.sid FROM webhooks ORDER BY sid LIMIT 20",
                ),
            ],
            stepwise,
            ..EngineOptions::default()
        };
        let engine = Engine::memory(webhooks(10), options).await.expect("opens");
        // Twice: nothing of the first run is in the way of the second.
        for _ in 0..2 {
            let batch = engine.collect(&statement, &params).await.expect("runs");
            let rows = batch.column(0).as_primitive::<Int64Type>().value(0);
            assert_eq!(rows, 10, "{stepwise:?}");
        }
        for one_side in ["one_side", "one_side_in_order"] {
            let rows = count(&engine, &format!("SELECT count(*) FROM {one_side}"), &[]).await;
            assert_eq!(rows, 10, "{stepwise:?}: {one_side}");
        }
        let error = engine.run("SELECT * FROM broken", &[]).await;
        let error = format!("{:#}", error.expect_err("cannot be used"));
        assert!(
            error.contains("the view `broken` cannot be used"),
            "{error}"
        );
        assert!(error.contains("nowhere"), "{error}");
    }
}

#[tokio::test]
async fn a_kept_view_is_given_up_after_its_last_reader_and_can_be_computed_again() {
    let reader = |sql| Statement::parse_one(sql).expect("is SQL");
    let readers = vec![
        reader("SELECT count(*) FROM over"),
        reader("SELECT count(*) FROM sids"),
    ];
    let options = EngineOptions {
        views: vec![
            view("sids", "SELECT sid FROM log_webhooks WHERE sid IS NOT NULL"),
            view("over", "SELECT sid FROM sids"),
        ],
        kept: Kept {
            readers: readers.clone(),
            ..Kept::views(["sids"])
        },
        ..EngineOptions::default()
    };
    let engine = Engine::memory(webhooks(10), options).await.expect("opens");
    let is_there = || engine.session.table_exist("sids").expect("is a name");
    engine.collect(&readers[0], &[]).await.expect("runs");
    assert!(is_there(), "the other one reads it, too");
    engine.collect(&readers[1], &[]).await.expect("runs");
    assert!(!is_there());
    assert_eq!(count(&engine, "SELECT count(*) FROM over", &[]).await, 10);
}

#[tokio::test]
async fn null_among_alternatives_takes_no_row_and_is_not_asked() {
    let engine = engine(None).await;
    let sql =
        "SELECT count(*) FROM log_webhooks WHERE (sid = $sid OR cname = $cname) AND topic = 't'";
    let params = |sid: Option<&str>| {
        let text = |value: Option<&str>| ScalarValue::Utf8(value.map(str::to_string));
        [param("sid", text(sid)), param("cname", text(None))]
    };
    assert_eq!(count(&engine, sql, &params(Some("s3"))).await, 1);
    assert_eq!(count(&engine, sql, &params(None)).await, 0);
    let plan = engine
        .run(&format!("EXPLAIN {sql}"), &params(Some("s3")))
        .await
        .expect("explains");
    let shown = arrow::util::pretty::pretty_format_batches(&plan).expect("is text");
    assert!(!shown.to_string().contains("NULL"), "{shown}");
}
