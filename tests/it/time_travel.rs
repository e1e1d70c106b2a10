//! `--as-of`: what was known at a time or at versions, and what is said where that is gone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tapetrail::clock::Clock;
use tapetrail::config::{self, Durability};
use tapetrail::event::MICROS_PER_DAY;
use tapetrail::lake::history::History;
use tapetrail::lake::store::Location;
use tapetrail::lake::table::Lake;
use tapetrail::maintain::Maintenance;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::cli::tapetrail;

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn run(directory: &Path, arguments: &[&str]) -> String {
    let output = tapetrail(directory, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

#[track_caller]
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = tapetrail(directory, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    stderr(&output)
}

/// Imports a fixture of a detection, each stream as a file of its own.
fn import(directory: &Path, detection: &str, file: &str) {
    let path = format!(
        "{}/tests/detections/{detection}/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = fs::read_to_string(path).expect("a fixture");
    let lines: Vec<Value> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("//"))
        .map(|line| serde_json::from_str(line).expect("a line of a fixture"))
        .collect();
    for stream in ["api_calls", "webhooks", "storage_events", "session_records"] {
        let of_stream = lines.iter().filter(|line| line["stream"] == stream);
        let values: Vec<String> = of_stream
            .map(|line| format!("{}\n", line["value"]))
            .collect();
        if !values.is_empty() {
            let name = format!("{detection}-{stream}-{file}");
            fs::write(directory.join(&name), values.concat()).expect("is written");
            run(directory, &["import", "--stream", stream, &name]);
        }
    }
}

/// Imports several files of about one size, so that there is something to sort.
fn import_some(directory: &Path) {
    for detection in [
        "conflicting_starts",
        "failed_then_switched",
        "redundant_starts",
    ] {
        for file in ["hit.ndjson", "miss.ndjson"] {
            import(directory, detection, file);
        }
    }
}

/// Sorts all that there is to sort; returns how many files of a table that made.
fn sort(directory: &Path, table: &str) -> usize {
    run(directory, &["maintain", "--min-files", "2"]);
    let files = data_files(directory, table);
    let name = |file: &PathBuf| {
        file.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let names = files.iter().filter_map(name);
    names.filter(|name| name.starts_with("sorted-")).count()
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn findings_are_computed_again_from_the_versions_they_cite_byte_for_byte() {
    let directory = directory();
    let at = directory.path();
    import(at, "conflicting_starts", "hit.ndjson");
    let detect = [
        "detect",
        "--only",
        "conflicting_starts,failed_then_switched",
        "--format",
        "json",
    ];
    let before = run(at, &detect);
    let findings: Vec<Value> = serde_json::from_str(&before).expect("is JSON");
    let cited = findings[0]["table_versions"]
        .as_str()
        .expect("is cited")
        .to_string();
    let all =
        "api_calls=1,webhooks=1,storage_events=1,session_records=1,audits=none,upload_status=none";
    assert_eq!(cited, all);

    import_some(at);
    assert!(
        sort(at, "api_calls") > 0,
        "the cited version's files are replaced"
    );
    let now = run(at, &detect);
    assert_ne!(now, before, "there is more to find now");
    let again = run(at, &[&detect[..], &["--as-of", &cited]].concat());
    assert_eq!(again, before);
}

#[test]
fn a_report_is_the_same_again_at_the_versions_it_cites() {
    let directory = directory();
    let at = directory.path();
    import(at, "conflicting_starts", "hit.ndjson");
    let report = ["report", "--format", "json"];
    let before = run(at, &report);
    let read: Value = serde_json::from_str(&before).expect("is JSON");
    let cited = read["table_versions"].as_str().expect("is cited");

    import(at, "failed_then_switched", "hit.ndjson");
    // Remembers how far a state is whole that is later than the report's.
    run(at, &["verify"]);
    assert_ne!(run(at, &report), before, "there is more to report now");
    let again = run(at, &[&report[..], &["--as-of", cited]].concat());
    assert_eq!(again, before);
}

#[test]
fn sql_and_investigate_answer_as_of_a_time() {
    let directory = directory();
    let at = directory.path();
    import(at, "conflicting_starts", "hit.ndjson");
    let between = "SELECT count(*) AS n FROM log_api_calls";
    let sql = ["sql", "--format", "csv", "-c", between];
    let before = run(at, &sql);
    // The clock of the commit, which is what `--as-of` goes by; the next is made a millisecond later at least.
    let committed = commit_time(at, "api_calls", 1);
    while SystemTime::now() <= committed + Duration::from_millis(1) {}
    import(at, "conflicting_starts", "miss.ndjson");
    import(at, "failed_then_switched", "hit.ndjson");

    let then = chrono::DateTime::<chrono::Utc>::from(committed).to_rfc3339();
    assert_ne!(run(at, &sql), before);
    assert_eq!(run(at, &[&sql[..], &["--as-of", &then]].concat()), before);
    assert_eq!(
        run(at, &[&sql[..], &["--as-of", "api_calls=1"]].concat()),
        before
    );
    assert_eq!(
        run(at, &[&sql[..], &["--as-of", "api_calls=0"]].concat()),
        "n\n0\n"
    );
    let long_ago = tapetrail(at, &[&sql[..], &["--as-of", "2001-01-01"]].concat());
    assert_eq!(stdout(&long_ago), "n\n0\n", "there was no lake");
    let said = stderr(&long_ago);
    assert!(said.contains("at that time"), "{said}");
    let investigate = ["investigate", "--cname", "room_101", "--as-of"];
    let said = refused(at, &[&investigate[..], &["2001-01-01"]].concat());
    assert!(said.contains("room_101"), "nothing knew of it: {said}");
}

#[test]
fn findings_are_relations_of_sql_as_detect_prints_them() {
    let directory = directory();
    let at = directory.path();
    import(at, "conflicting_starts", "hit.ndjson");
    import(at, "missing_upload", "hit.ndjson");
    let detected = |options: &[&str]| -> Vec<Value> {
        let found = run(at, &[&["detect", "--format", "json"], options].concat());
        serde_json::from_str(&found).expect("is JSON")
    };
    let selected = |options: &[&str], sql: &str| -> Vec<Value> {
        let sql = ["sql", "--format", "json", "-c", sql];
        serde_json::from_str(&run(at, &[&sql[..], options].concat())).expect("is JSON")
    };
    let ids = |findings: Vec<Value>| -> BTreeSet<String> {
        findings
            .iter()
            .map(|of| of["finding_id"].to_string())
            .collect()
    };
    let all = "SELECT * FROM findings";
    let (before, cited) = (detected(&[]), selected(&[], all));
    assert!(!before.is_empty());
    let versions = before[0]["table_versions"]
        .as_str()
        .expect("is cited")
        .to_string();
    assert_eq!(before[0]["table_versions"], cited[0]["table_versions"]);
    assert_eq!(ids(before), ids(cited.clone()));
    // Both in one statement, with what there is to find.
    let not_judged = detected(&["--not-judged"]).len();
    let joined = "SELECT (SELECT count(*) FROM not_judged) AS n, title FROM findings JOIN detections USING (detection)";
    let joined = selected(&[], joined);
    assert_eq!(
        (joined.len(), &joined[0]["n"]),
        (cited.len(), &not_judged.into())
    );

    import(at, "failed_then_switched", "hit.ndjson");
    assert_eq!(selected(&["--as-of", &versions], all), cited);
    // The window selects them by the end of their evidence.
    let last_at = |finding: &Value| {
        let at = finding["last_at"].as_str().expect("has a time");
        chrono::DateTime::parse_from_rfc3339(at).expect("is a time")
    };
    let last = cited.iter().map(last_at).max().expect("there are some");
    let at_last = last.to_rfc3339();
    let earlier = selected(&["--as-of", &versions, "--until", &at_last], all);
    let until = |finding: &&Value| last_at(finding) < last;
    assert!(!earlier.is_empty() && earlier.len() < cited.len());
    assert_eq!(
        earlier,
        cited.iter().filter(until).cloned().collect::<Vec<_>>()
    );
    let tables = run(at, &["sql", "--tables", "--format", "csv"]);
    assert!(
        tables.contains("findings,view,explanation,string,"),
        "{tables}"
    );
    // What only asks for columns computes nothing.
    let described = run(at, &["sql", "--format", "csv", "-c", "DESCRIBE not_judged"]);
    assert!(described.contains("why,"), "{described}");
}

fn commit_time(lake: &Path, table: &str, version: u64) -> SystemTime {
    let path = lake.join(format!("lake/{table}/_delta_log/{version:020}.json"));
    let text = fs::read_to_string(path).expect("a commit");
    let info: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let millis = info["commitInfo"]["timestamp"].as_u64().expect("a time");
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[test]
fn a_state_that_cannot_be_read_is_refused_in_one_sentence() {
    let directory = directory();
    let at = directory.path();
    import(at, "conflicting_starts", "hit.ndjson");
    let mut said = String::new();
    for state in [
        "12",
        "soon",
        "api_calls=99",
        "storage_events=3",
        "api_calls=one",
        "calls=1",
        "api_calls=1,api_calls=0",
    ] {
        said += &refused(at, &["sql", "-c", "SELECT 1", "--as-of", state]);
    }
    insta::assert_snapshot!("as-of-refusals", said);
}

/// Opens the lake that the program made.
fn lake(directory: &Path) -> Lake {
    let path = directory.join("lake");
    Lake::new(Location::open(path.to_str().expect("text"), Durability::Os).expect("opens"))
}

/// Cleans as if it were two months later.
async fn clean_long_after(directory: &Path) {
    let maintenance = Maintenance {
        settings: &config::Maintain {
            min_files: 2,
            ..config::Maintain::default()
        },
        is_dry_run: false,
        clock: &Clock::fixed(Clock::system().now() + 60 * MICROS_PER_DAY),
        stop: &CancellationToken::new(),
        progress: &|_| {},
    };
    maintenance.run(&lake(directory)).await.expect("maintains");
}

/// Makes files older than they are.
fn age(files: &[PathBuf]) {
    for file in files {
        let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400 + 60);
        let file = fs::File::options()
            .append(true)
            .open(file)
            .expect("is there");
        file.set_modified(two_days_ago).expect("can be changed");
    }
}

fn data_files(directory: &Path, table: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for day in fs::read_dir(directory.join("lake").join(table)).expect("a table") {
        let day = day.expect("is readable").path();
        if day
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .starts_with("event_date=")
        {
            files.extend(
                fs::read_dir(day)
                    .expect("a day")
                    .map(|file| file.expect("a file").path()),
            );
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cleaned_up_is_refused_and_what_is_needed_stays() {
    let directory = directory();
    let at = directory.path();
    import_some(at);
    let count = [
        "sql",
        "--format",
        "csv",
        "-c",
        "SELECT count(*) AS n FROM log_api_calls",
    ];
    let before = run(at, &count);
    let sums = run(at, &[&count[..], &["--as-of", "api_calls=2"]].concat());
    assert!(sort(at, "api_calls") > 0, "files are replaced");
    let old = data_files(at, "api_calls");
    // A file that no commit names, once old and once as a consumer might be about to commit it.
    let day = old[0].parent().expect("a day");
    let (orphan, young) = (
        day.join("part-orphan.parquet"),
        day.join("part-young.parquet"),
    );
    fs::copy(&old[0], &orphan).expect("copies");
    let half_written = day.join("part-half.parquet#4711000001");
    fs::copy(&old[0], &half_written).expect("copies");
    age(&old);
    age(std::slice::from_ref(&orphan));
    fs::copy(&old[0], &young).expect("copies");

    // Within the history everything is there.
    sort(at, "api_calls");
    assert_eq!(
        run(at, &[&count[..], &["--as-of", "api_calls=2"]].concat()),
        sums
    );
    assert!(orphan.exists(), "not older than the history");

    clean_long_after(at).await;
    assert_eq!(run(at, &count), before, "the newest version is whole");
    run(at, &["verify", "--full"]);
    assert!(!orphan.exists() && young.exists() && !half_written.exists());
    let table = lake(at).open(tapetrail::event::Stream::ApiCalls).await;
    let table = table.expect("opens").expect("is there");
    let live = crate::lake::live_files(&table).len();
    assert_eq!(
        data_files(at, "api_calls").len(),
        live + 1,
        "only what is live, and the young one"
    );
    let first = History::read(&table).await.expect("reads").first();
    assert_eq!(first, table.version());
    let said = refused(at, &[&count[..], &["--as-of", "api_calls=1"]].concat());
    assert!(
        said.contains("version 1 of the table api_calls is gone: its history begins with version"),
        "{said}"
    );
    let said = refused(at, &[&count[..], &["--as-of", "2h"]].concat());
    assert!(
        said.contains("is gone: its history begins with version"),
        "{said}"
    );
}

/// Another engine's VACUUM leaves the log and takes the files.
#[test]
fn a_version_whose_files_were_vacuumed_is_refused() {
    let directory = directory();
    let at = directory.path();
    import(at, "conflicting_starts", "hit.ndjson");
    let before = data_files(at, "api_calls");
    import_some(at);
    assert!(
        sort(at, "api_calls") > 0,
        "the version's files are replaced"
    );
    for file in before {
        fs::remove_file(&file).expect("is there");
    }
    let said = refused(at, &["sql", "-c", "SELECT 1", "--as-of", "api_calls=1"]);
    assert!(said.contains("files were vacuumed"), "{said}");
}
