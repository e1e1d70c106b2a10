//! Every detection against messages as they would come from Kafka: `tests/detections/<name>/hit.ndjson` holds
//! the fault, `miss.ndjson` the neighbors that look alike. Both together give `expected.snap`, `miss` alone
//! gives nothing. Messages enter through redaction and decoding, so that the real path is run.
//!
//! A line is `{"stream": "api_calls", "at": "2026-11-22T10:00:00Z", "value": {...}}`: the message and the time
//! that the broker gave it; `partition` may be added. Notifications wrapped with their raw bytes may be signed
//! with the secret below. `UPDATE_EXPECTED=1` writes the snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use arrow::json::ArrayWriter;
use arrow::record_batch::RecordBatch;
use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;
use tapetrail::config::Config;
use tapetrail::detection::library::Library;
use tapetrail::detection::run::{Findings, RunOptions, run};
use tapetrail::engine::{Engine, EngineOptions, Stepwise};
use tapetrail::event::{Micros, Stream, TimestampType};
use tapetrail::intake::{Intake, Message};
use tapetrail::table::rows::{Origin, Rows};

datatest_stable::harness! {
    { test = detection, root = "queries/detections", pattern = r"\.sql$" },
}

/// Signs the notifications of fixtures that come with their raw bytes and a signature.
const SIGNING_SECRET: &str = "fixture-secret";

/// One line of a fixture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'l> {
    stream: String,
    /// The record's timestamp.
    at: String,
    #[serde(default)]
    partition: i32,
    #[serde(borrow)]
    value: &'l RawValue,
}

fn detection(path: &Path) -> datatest_stable::Result<()> {
    let name = path
        .file_stem()
        .context("a query has a name")?
        .to_string_lossy();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(check(&name))
        .map_err(|error| format!("{error:#}").into())
}

async fn check(name: &str) -> Result<()> {
    // From disk rather than as embedded: a changed query needs no build.
    let library = Library::with_directory(Some(Path::new("queries")))?;
    let fixtures = Path::new("tests/detections").join(name);
    let (hit, miss) = (fixtures.join("hit.ndjson"), fixtures.join("miss.ndjson"));

    let together = find(&library, name, &[hit.clone(), miss.clone()]).await?;
    ensure!(
        together.rows.num_rows() > 0,
        "`{}` gives no finding",
        hit.display()
    );
    let ids = together.rows["finding_id"].clone();
    let unique: BTreeSet<String> = texts(&ids).into_iter().collect();
    ensure!(
        unique.len() == ids.len(),
        "two findings have one id: identity columns are missing"
    );
    compare(&fixtures.join("expected.snap"), &snapshot(&together)?)?;

    let alone = find(&library, name, std::slice::from_ref(&miss)).await?;
    ensure!(
        alone.rows.num_rows() == 0,
        "`{}` alone must give no finding, but gives\n{}",
        miss.display(),
        snapshot(&alone)?
    );

    // Late, repeated and disordered messages change nothing in the result, nor does planning the detection in one piece,
    // as for much data.
    let messages = repeated_backwards(read(&[hit, miss])?);
    let disordered = find_in(&library, name, messages, Stepwise::Never).await?;
    let (expected, given) = (snapshot(&together)?, snapshot(&disordered)?);
    ensure!(
        expected == given,
        "repeated and in reverse order, the same messages give something else\n--- in order\n{expected}\n--- repeated and reversed\n{given}"
    );
    Ok(())
}

async fn find(library: &Library, name: &str, files: &[PathBuf]) -> Result<Findings> {
    find_in(library, name, read(files)?, Stepwise::Always).await
}

async fn find_in(
    library: &Library,
    name: &str,
    lines: Vec<String>,
    stepwise: Stepwise,
) -> Result<Findings> {
    let options = EngineOptions {
        views: library.views(),
        kept: library.kept_views(&[])?,
        stepwise,
        ..EngineOptions::default()
    };
    let engine = Engine::memory(tables(&lines)?, options).await?;
    let options = RunOptions {
        only: vec![name.to_string()],
        ..RunOptions::default()
    };
    run(&Arc::new(engine), library, &options).await
}

/// Returns the lines of the files; empty lines and those that start with `//` are for people.
fn read(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("a detection needs the fixture `{}`", file.display()))?;
        let is_message = |line: &&str| !line.trim().is_empty() && !line.starts_with("//");
        lines.extend(text.lines().filter(is_message).map(str::to_string));
    }
    Ok(lines)
}

/// Returns every line twice, last first. Only the offsets and the order of arrival change.
fn repeated_backwards(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .rev()
        .flat_map(|line| [line.clone(), line])
        .collect()
}

/// Takes the messages through redaction and decoding into rows of the tables.
fn tables(lines: &[String]) -> Result<Vec<(Stream, Vec<RecordBatch>)>> {
    let mut config = Config::default();
    config.secrets.webhook_secrets = vec![("fixtures".to_string(), SIGNING_SECRET.to_string())];
    let mut intake = Intake::new(&config);
    let mut rows: BTreeMap<Stream, Rows> = Stream::TABLES
        .into_iter()
        .map(|stream| (stream, Rows::new(stream)))
        .collect();
    let mut offsets: BTreeMap<(Stream, i32), i64> = BTreeMap::new();
    for text in lines {
        let line: Line<'_> =
            serde_json::from_str(text).with_context(|| format!("no fixture line: {text}"))?;
        let stream: Stream = line.stream.parse().map_err(anyhow::Error::msg)?;
        let next = offsets.entry((stream, line.partition)).or_default();
        let rows = rows.get_mut(&stream).expect("all streams are there");
        take(rows, &line, *next, &mut intake).with_context(|| text.clone())?;
        *next += 1;
    }
    Ok(rows
        .into_iter()
        .map(|(stream, mut rows)| (stream, vec![rows.finish()]))
        .collect())
}

fn take(rows: &mut Rows, line: &Line<'_>, offset: i64, intake: &mut Intake) -> Result<()> {
    let received_at: Micros = DateTime::parse_from_rfc3339(&line.at)
        .context("`at` is no RFC 3339 time")?
        .timestamp_micros();
    let stream = rows.stream();
    let origin = Origin {
        topic: stream.default_topic().into(),
        partition: Some(line.partition),
        offset,
        received_at: Some(received_at),
        timestamp_type: Some(TimestampType::Broker),
        ..Origin::default()
    };
    let message = Message {
        value: Some(line.value.get().as_bytes()),
        ..Message::default()
    };
    match intake.take(rows, &origin, &message).reject {
        None => Ok(()),
        Some(code) => bail!("the message is a dead letter: {}", code.as_str()),
    }
}

/// Returns findings and what could not be judged as JSON, one row after the other.
fn snapshot(findings: &Findings) -> Result<String> {
    let rows = |batch: &RecordBatch| -> Result<serde_json::Value> {
        let mut writer = ArrayWriter::new(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        Ok(serde_json::from_slice(&writer.into_inner())?)
    };
    let snapshot = serde_json::json!({
        "findings": rows(&findings.rows)?,
        "not_judged": rows(&findings.not_judged)?,
    });
    Ok(serde_json::to_string_pretty(&snapshot)? + "\n")
}

fn compare(file: &Path, given: &str) -> Result<()> {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        return Ok(std::fs::write(file, given)?);
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    ensure!(
        expected == given,
        "`{}` is not what the detection gives; if this is right, run again with UPDATE_EXPECTED=1\n{}",
        file.display(),
        difference(&expected, given)
    );
    Ok(())
}

/// Returns the lines that only one of two texts has.
fn difference(expected: &str, given: &str) -> String {
    let only = |sign: char, these: &str, those: &str| -> String {
        let known: BTreeSet<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !known.contains(line));
        lines.map(|line| format!("{sign} {line}\n")).collect()
    };
    only('-', expected, given) + &only('+', given, expected)
}

fn texts(column: &arrow::array::ArrayRef) -> Vec<String> {
    use arrow::array::AsArray;
    let texts = column.as_string::<i32>();
    texts
        .iter()
        .map(|text| text.unwrap_or_default().to_string())
        .collect()
}
