//! `audit` as its user meets it: two directories for buckets and a store that lets nobody look, sessions whose files are
//! where they were sent, elsewhere, nowhere and in part, and what detections make of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::stderr;

const APP: &str = "0123456789abcdef0123456789abcdef";
/// 2025-03-01T10:00:00Z
const BEGIN_MS: u64 = 1_740_823_200_000;

/// What became of the files of each session.
#[derive(Clone, Copy)]
enum Fate {
    AsSent,
    Elsewhere,
    Nowhere,
    InPart,
}

const FATES: [Fate; 4] = [Fate::AsSent, Fate::Elsewhere, Fate::Nowhere, Fate::InPart];

fn sid(number: usize) -> String {
    format!("{:032x}", 0xabc0 + number)
}

fn file(number: usize, end: &str) -> String {
    format!("{}_room-{number}{end}", sid(number))
}

fn slice(number: usize, second: u64) -> String {
    file(number, &format!("_202503011000{second:02}000.ts"))
}

/// Writes the calls, notifications and records of all sessions, which were sent to OSS, and their files.
fn scene() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut calls, mut webhooks, mut records) = (String::new(), String::new(), String::new());
    for (number, fate) in FATES.into_iter().enumerate() {
        let at = BEGIN_MS + number as u64 * 3_600_000;
        calls += &format!("{}\n", start(number, at));
        webhooks += &format!("{}\n", uploaded(number, at + 600_000));
        records += &format!(
            "{}\n",
            json!({"app_id": APP, "cname": format!("room-{number}"), "sid": sid(number), "vendor": "oss",
                "bucket": "calls-oss", "status": "recorded", "recorded_at": at + 1_000})
        );
        let slices = [slice(number, 1), slice(number, 2), slice(number, 3)];
        let index = slices.iter().map(|name| format!("#EXTINF:15.0\n{name}\n"));
        let index: String = index.collect();
        let index =
            format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:15\n{index}#EXT-X-ENDLIST\n");
        let (bucket, left_out) = match fate {
            Fate::AsSent => ("oss", 0),
            Fate::Elsewhere => ("s3", 0),
            Fate::InPart => ("oss", 1),
            Fate::Nowhere => continue,
        };
        let into = directory.path().join(bucket).join("calls/2025");
        fs::create_dir_all(&into).expect("a directory");
        fs::write(into.join(file(number, ".m3u8")), index).expect("written");
        for name in &slices[left_out..] {
            fs::write(into.join(name), "slice").expect("written");
        }
    }
    for (name, text) in [
        ("api_calls", calls),
        ("webhooks", webhooks),
        ("session_records", records),
    ] {
        fs::write(directory.path().join(format!("{name}.ndjson")), text).expect("written");
    }
    directory
}

fn start(number: usize, at: u64) -> Value {
    json!({
        "requested_at": at, "responded_at": at + 200,
        "request": {
            "method": "POST",
            "url": format!("https://api.agora.io/v1/apps/{APP}/cloud_recording/resourceid/r-{number}/mode/mix/start"),
            "body": {"cname": format!("room-{number}"), "uid": "900001", "clientRequest": {"storageConfig": {
                "vendor": 2, "region": 1, "bucket": "calls-oss", "fileNamePrefix": ["calls", "2025"]}}},
        },
        "response": {"status": 200, "body": {"resourceId": format!("r-{number}"), "sid": sid(number)}},
    })
}

fn uploaded(number: usize, at: u64) -> Value {
    json!({
        "noticeId": format!("n-{number}"), "productId": 3, "eventType": 31, "notifyMs": at,
        "payload": {"cname": format!("room-{number}"), "uid": "900001", "sid": sid(number), "sequence": 9,
            "sendts": at, "serviceType": 2,
            "details": {"msgName": "uploaded", "status": 0, "fileList": [{"fileName": file(number, ".m3u8")}]}},
    })
}

/// A server that lets nobody look.
fn closed_store() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 8192]);
                let page =
                    "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>";
                let length = page.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
                );
            });
        }
    });
    endpoint
}

fn configure(directory: &Path, closed: &str) {
    let at = directory.display();
    let text = format!(
        r#"
[[session_records.mappings]]
fields = {{ app_id = "app_id", cname = "cname", sid = "sid", vendor = "vendor", bucket = "bucket", status = "status", recorded_at = "recorded_at" }}
vendors = {{ oss = 2 }}

[audit]
requests_per_second = 1000

[audit.stores.hangzhou]
url = "file://{at}/oss"
vendor = "oss"
bucket = "calls-oss"

[audit.stores.virginia]
url = "file://{at}/s3"
vendor = "s3"
bucket = "calls-s3"

[audit.stores.closed]
url = "s3://calls-minio"
vendor = "s3compat"
endpoint = "{closed}"
"#
    );
    fs::write(directory.join("t.toml"), text).expect("written");
}

fn run(directory: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tapetrail"))
        .current_dir(directory)
        // A setting of one store alone.
        .env("TAPETRAIL_STORE_CLOSED_AWS_SKIP_SIGNATURE", "true")
        .args(["--config", "t.toml"])
        .args(arguments)
        .output()
        .expect("the program is built");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (said, stderr(&output), output.status.code())
}

fn rows(directory: &Path, sql: &str) -> Vec<String> {
    let (said, why, code) = run(directory, &["sql", "--format", "csv", "-c", sql]);
    assert_eq!(code, Some(0), "{why}");
    said.lines().skip(1).map(str::to_string).collect()
}

#[test]
fn every_store_is_looked_into_and_what_is_there_decides() {
    let directory = scene();
    let at = directory.path();
    configure(at, &closed_store());
    for stream in ["api_calls", "webhooks", "session_records"] {
        let file = format!("{stream}.ndjson");
        let (_, why, code) = run(at, &["import", "--stream", stream, &file]);
        assert_eq!(code, Some(0), "{why}");
    }
    let (_, why, code) = run(at, &["audit", "--since", "2025-01-01"]);
    assert_eq!(code, Some(1), "{why}");
    assert!(why.contains("audit.stores.closed: may not list"), "{why}");
    assert!(why.contains("4 sessions in 3 stores"), "{why}");

    let counts = "SELECT sid, store, result, coalesce(promised_by, '-'), count(*) FROM audits GROUP BY ALL ORDER BY 1, 2, 3, 4";
    let row = |number: usize, rest: &str| format!("{},{rest}", sid(number));
    assert_eq!(
        rows(at, counts),
        [
            row(0, "closed,denied,-,1"),
            row(0, "hangzhou,found,index,3"),
            row(0, "hangzhou,found,webhook,1"),
            row(0, "virginia,missing,webhook,1"),
            row(1, "closed,denied,-,1"),
            row(1, "hangzhou,missing,webhook,1"),
            row(1, "virginia,found,-,1"),
            row(1, "virginia,found,index,3"),
            row(2, "closed,denied,-,1"),
            row(2, "hangzhou,missing,webhook,1"),
            row(2, "virginia,missing,webhook,1"),
            row(3, "closed,denied,-,1"),
            row(3, "hangzhou,found,index,2"),
            row(3, "hangzhou,found,webhook,1"),
            row(3, "hangzhou,missing,index,1"),
            row(3, "virginia,missing,webhook,1"),
        ]
    );

    // No bucket sent a notification, and still it is known where the files are and that some are nowhere.
    let only = "missing_upload,vendor_mismatch";
    let (found, why, _) = run(at, &["detect", "--only", only, "--format", "ndjson"]);
    let found: Vec<Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).expect("a finding"))
        .collect();
    let told: Vec<_> = found
        .iter()
        .map(|it| (it["detection"].as_str(), it["sids"][0].as_str()))
        .collect();
    let (one, two) = (sid(1), sid(2));
    assert!(
        told.contains(&(Some("vendor_mismatch"), Some(&one))),
        "{told:?}\n{why}"
    );
    assert!(
        told.contains(&(Some("missing_upload"), Some(&two))),
        "{told:?}\n{why}"
    );
    assert_eq!(told.len(), 2, "{told:?}");
    let (page, why, code) = run(at, &["investigate", "--sid", &sid(1)]);
    assert_eq!(code, Some(0), "{why}");
    assert!(
        page.contains("calls-s3") && page.contains("audit: files found"),
        "{page}"
    );

    // What was looked for is not looked for again, unless it is named.
    let (_, why, _) = run(at, &["audit", "--since", "2025-01-01"]);
    assert!(why.contains("0 sessions in 3 stores"), "{why}");
    fs::remove_file(at.join("oss/calls/2025").join(slice(0, 2))).expect("is there");
    let (_, why, _) = run(at, &["audit", "--sid", &sid(0)]);
    assert!(
        why.contains("1 sessions in 3 stores: 3 files found"),
        "{why}"
    );
    let now = format!(
        "SELECT count(*) FROM session_files WHERE sid = '{}'",
        sid(0)
    );
    assert_eq!(rows(at, &now), ["3"], "the last look counts");
    let (_, why, code) = run(at, &["verify", "--full"]);
    assert_eq!(code, Some(0), "{why}");
}

#[test]
fn a_store_that_cannot_be_looked_into_is_refused_with_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    for (store, said) in [
        ("", "[audit.stores.main]"),
        ("[audit.stores.a]\nurl = \"ftp://x\"", "audit.stores.a: url"),
        ("[audit.stores.a]\nurl = \"\"", "audit.stores.a.url"),
        (
            "[audit.stores.a]\nurl = \"s3://b\"\nvendor = \"nobody\"",
            "audit.stores.a: vendor",
        ),
        (
            "[audit.stores.a]\nurl = \"file:///\"",
            "audit.stores.a: bucket",
        ),
        (
            "[audit]\nrequests_per_second = 0",
            "audit.requests_per_second",
        ),
    ] {
        fs::write(at.join("t.toml"), store).expect("written");
        let (_, why, code) = run(at, &["audit"]);
        assert_eq!(code, Some(2), "{store}: {why}");
        assert!(why.contains(said), "{store}: {why}");
    }
}
