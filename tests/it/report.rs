//! The fleet report: every number is a cell of a named query, in every format, and the same lake gives the same bytes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::json::writer::{JsonArray, WriterBuilder};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use serde_json::{Map, Value};
use tapetrail::config::Durability;
use tapetrail::detection::library::Library;
use tapetrail::detection::run::{RunOptions, run};
use tapetrail::engine::{Engine, EngineOptions};
use tapetrail::lake::history::AsOf;
use tapetrail::lake::store::Location;
use tapetrail::lake::table::Lake;
use tapetrail::report::{
    Asked, Given, Report, Span, gather, write_csv, write_html, write_json, write_markdown,
};
use tapetrail::verify;
use tempfile::TempDir;

use crate::cli::tapetrail;

const STREAMS: [&str; 4] = ["api_calls", "webhooks", "storage_events", "session_records"];

/// Enough detections for every section to have something, few enough to be quick.
const DETECTIONS: [&str; 4] = [
    "conflicting_starts",
    "failed_then_switched",
    "missing_upload",
    "vendor_mismatch",
];

/// A lake with the events of a few channels.
fn lake() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/investigate");
    for stream in STREAMS {
        let file = fixtures.join(format!("{stream}.ndjson"));
        let output = tapetrail(
            directory.path(),
            &[
                "import",
                "--stream",
                stream,
                file.to_str().expect("is text"),
            ],
        );
        assert_eq!(output.status.code(), Some(0));
    }
    directory
}

struct Made {
    engine: Arc<Engine>,
    report: Report,
}

async fn made(directory: &Path, library: &Library) -> Made {
    let root = directory.join("lake");
    let location = Location::open(root.to_str().expect("is text"), Durability::Os);
    let lake = Lake::new(location.expect("is a lake"));
    let options = EngineOptions {
        views: library.views(),
        kept: library.kept_views_of_report().expect("the queries are SQL"),
        ..EngineOptions::default()
    };
    let engine = Arc::new(Engine::open(&lake, options).await.expect("opens"));
    let options = RunOptions {
        only: DETECTIONS.map(str::to_string).to_vec(),
        ..RunOptions::default()
    };
    let findings = run(&engine, library, &options).await.expect("detects");
    let verified = verify::look(&lake, library, &AsOf::Newest)
        .await
        .expect("verifies");
    let given = Given {
        findings: &findings,
        verified: &verified,
    };
    given.register(&engine, library).expect("registers");
    let rows = engine
        .run(
            "SELECT min(requested_at) AS a, max(requested_at) AS b FROM starts",
            &[],
        )
        .await
        .expect("runs");
    let at = |column: usize| {
        let array = rows[0].column(column);
        match ScalarValue::try_from_array(array, 0).expect("is a value") {
            ScalarValue::TimestampMicrosecond(Some(at), _) => at,
            other => panic!("{other:?}"),
        }
    };
    let span = Span {
        first_at: at(0),
        last_at: at(1),
    };
    let window = Asked::default().resolve(span).expect("is a window");
    let report = gather(&engine, library, window).await.expect("gathers");
    Made { engine, report }
}

fn objects(batches: &[RecordBatch]) -> Vec<Map<String, Value>> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, JsonArray>(Vec::new());
    for batch in batches {
        writer.write(batch).expect("writes");
    }
    writer.finish().expect("finishes");
    let bytes = writer.into_inner();
    match bytes.is_empty() {
        true => Vec::new(),
        false => serde_json::from_slice(&bytes).expect("is JSON"),
    }
}

fn text(report: &Report, write: fn(&Report, &mut Vec<u8>) -> anyhow::Result<()>) -> String {
    let mut bytes = Vec::new();
    write(report, &mut bytes).expect("writes");
    String::from_utf8(bytes).expect("is text")
}

/// Returns the JSON that a page carries.
fn embedded(page: &str) -> Value {
    let start = page.find("id=\"report\">").expect("has it") + "id=\"report\">".len();
    let end = start + page[start..].find("</script>").expect("ends");
    serde_json::from_str(&page[start..end]).expect("is JSON")
}

#[tokio::test]
async fn every_number_is_a_cell_of_a_named_query() {
    let directory = lake();
    let library = Library::embedded().expect("the queries are right");
    let Made { engine, report } = made(directory.path(), &library).await;
    let page = text(&report, |report, out| write_html(report, out));
    let json: Value =
        serde_json::from_str(&text(&report, |report, out| write_json(report, out))).expect("JSON");
    assert_eq!(embedded(&page), json, "the page carries what the JSON says");

    for query in library.reports() {
        let columns = query.check_columns(&engine).await;
        columns.unwrap_or_else(|error| panic!("{}: {error:#}", query.name));
    }

    let instant = |at| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
    let params = BTreeMap::from([
        ("since", instant(report.window.since)),
        ("until", instant(report.window.until)),
        ("previous_since", instant(report.window.previous_since)),
        ("period", ScalarValue::from("day")),
        ("channels_max", ScalarValue::from(20_i64)),
    ]);
    let mut cells = csv_cells(&text(&report, |report, out| write_csv(report, out)));
    let sections = json["sections"].as_array().expect("has sections");
    assert_eq!(sections.len(), 16);
    for section in sections {
        let name = section["query"].as_str().expect("has a name");
        let path = format!("{}/queries/{name}.sql", env!("CARGO_MANIFEST_DIR"));
        let sql = std::fs::read_to_string(&path).expect("is a file");
        let taken: Vec<_> = params
            .iter()
            .filter(|(param, _)| sql.contains(&format!("${param}")))
            .map(|(param, value)| (param.to_string(), value.clone()))
            .collect();
        let rows = engine.run(&sql, &taken).await.expect("runs");
        let rows = objects(&rows);
        assert_eq!(
            section["rows"],
            Value::Array(rows.iter().cloned().map(Value::Object).collect()),
            "{name}"
        );
        let stem = name.trim_start_matches("reports/");
        for (row, object) in rows.iter().enumerate() {
            for (column, value) in object {
                let cell = cells.remove(&(stem.to_string(), row + 1, column.clone()));
                let expected = match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(cell, Some(expected), "{name} {row} {column}");
            }
        }
    }
    assert!(cells.is_empty(), "CSV has more: {cells:?}");
    insta::assert_snapshot!(
        "report",
        text(&report, |report, out| write_markdown(report, out))
    );

    let again = made(directory.path(), &library).await.report;
    assert_eq!(page, text(&again, |report, out| write_html(report, out)));
}

/// Returns the cells of the CSV by query, row and column; the fixtures have no line break in a cell.
fn csv_cells(csv: &str) -> BTreeMap<(String, usize, String), String> {
    let mut cells = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let mut parts = line.splitn(4, ',');
        let mut next = || parts.next().expect("has four columns").to_string();
        let key = (next(), next().parse().expect("is a number"), next());
        let value = next();
        let value = match value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => value,
        };
        cells.insert(key, value);
    }
    cells
}

#[test]
fn a_lake_without_events_is_nothing_to_report() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = tapetrail(directory.path(), &["report", "-o", "report.html"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("nothing to report"), "{told}");
    assert!(!directory.path().join("report.html").exists());
}
