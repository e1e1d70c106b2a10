//! The service's own upload status, as its user imports it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cli::stderr;

const CSV: &str = "\
SID,File,Vendor,Bucket,Status,At
5b1de9c07a2f4e6c8d90b1a2c3d4e5f6,tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8,s3,acme-rec,Uploaded,2026-11-22 10:10:05
5b1de9c07a2f4e6c8d90b1a2c3d4e5f6,,1,acme-rec,uploaded,soon
";

/// The same first line, and what comes later of the same file.
const NDJSON: &str = r#"{"sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6","file":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","vendor":1,"bucket":"acme-rec","status":"failed","at":1795342205001}
"#;

fn run(directory: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tapetrail"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .expect("the program is built");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (said, stderr(&output), output.status.code())
}

#[test]
fn upload_status_comes_as_csv_and_as_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    fs::write(at.join("status.csv"), CSV).expect("written");
    fs::write(at.join("status.ndjson"), NDJSON).expect("written");

    let check = ["check", "--stream", "upload_status", "--format", "csv"];
    let (said, why, code) = run(at, &[&check[..], &["status.csv"]].concat());
    assert_eq!(code, Some(1), "{why}");
    assert!(why.contains("2 lines: 1 fine"), "{why}");
    let wrong = said.lines().nth(1).unwrap_or_default();
    assert!(
        wrong.starts_with("\"status.csv\",\"3\",\"error\",\"/at\","),
        "{said}"
    );
    let (_, why, code) = run(at, &["check", "status.ndjson"]);
    assert_eq!(code, Some(0), "{why}");
    assert!(why.contains("looks like upload_status"), "{why}");

    let import = ["import", "--stream", "upload_status"];
    let (_, why, code) = run(at, &[&import[..], &["status.csv"]].concat());
    assert_eq!(code, Some(0), "{why}");
    assert!(
        why.contains("3 lines, 1 event, 1 dead letter, 1 skipped"),
        "{why}"
    );
    let sql = |sql: &str| run(at, &["sql", "--format", "csv", "-c", sql]).0;
    let verdict = "SELECT verdict, announced_by, CAST(announced_at AS STRING) FROM session_uploads";
    assert!(
        sql(verdict).ends_with("uploaded,upload_status,2026-11-22T10:10:05Z\n"),
        "{}",
        sql(verdict)
    );
    let dead = "SELECT stream, \"offset\", detail FROM dead_letters";
    assert!(
        sql(dead).ends_with("upload_status,3,`at` is no time\n"),
        "{}",
        sql(dead)
    );

    let (_, why, code) = run(at, &[&import[..], &["status.ndjson"]].concat());
    assert_eq!(code, Some(0), "{why}");
    assert!(
        sql(verdict).ends_with("unknown,,\n"),
        "the last state counts: {}",
        sql(verdict)
    );
    let (_, why, code) = run(at, &["verify", "--full"]);
    assert_eq!(code, Some(0), "{why}");
    let (_, why, code) = run(at, &["check", "--stream", "upload_status", "status.toml"]);
    assert_eq!(code, Some(2), "{why}");
}
