//! `audit` as its user meets it: two directories for buckets and a store that lets nobody look, sessions whose files are
//! where they were sent, elsewhere, nowhere and in part, and what detections make of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use arrow::array::{Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;

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

/// A server that lets nobody look, and does not answer at all any more after so many requests.
fn closed_store(answers: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for (number, mut stream) in listener.incoming().flatten().enumerate() {
            std::thread::spawn(move || {
                if number >= answers {
                    // Until whoever asks is gone.
                    while stream.read(&mut [0; 8192]).is_ok_and(|read| read > 0) {}
                    return;
                }
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

fn rows_of(directory: &Path, sql: &str) -> Vec<String> {
    let (said, why, code) = run(directory, &["sql", "--format", "csv", "-c", sql]);
    assert_eq!(code, Some(0), "{why}");
    said.lines().skip(1).map(str::to_string).collect()
}

#[test]
fn every_store_is_looked_into_and_what_is_there_decides() {
    let directory = scene();
    let at = directory.path();
    configure(at, &closed_store(usize::MAX));
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
        rows_of(at, counts),
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
    let only = "missing_upload,vendor_mismatch,incomplete_files";
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
    let three = sid(3);
    assert!(
        told.contains(&(Some("incomplete_files"), Some(&three))),
        "{told:?}"
    );
    assert_eq!(told.len(), 3, "{told:?}");
    let (page, why, code) = run(at, &["investigate", "--sid", &sid(1)]);
    assert_eq!(code, Some(0), "{why}");
    assert!(
        page.contains("calls-s3") && page.contains("audit: files found"),
        "{page}"
    );

    let (page, why, _) = run(at, &["investigate", "--sid", &sid(3)]);
    let partial = "Looks into the buckets missed 1 file of it that had been promised.";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&page).contains(partial), "{page}\n{why}");

    // What was looked for is not looked for again, unless it is named; only the store that refused is asked once more.
    let (_, why, _) = run(at, &["audit", "--since", "2025-01-01"]);
    let again = "4 sessions in 3 stores: 0 files found, 0 promised files missing";
    assert!(why.contains(again), "{why}");
    fs::remove_file(at.join("oss/calls/2025").join(slice(0, 2))).expect("is there");
    let (_, why, _) = run(at, &["audit", "--sid", &sid(0)]);
    assert!(
        why.contains("1 session in 3 stores: 3 files found"),
        "{why}"
    );
    let now = format!(
        "SELECT count(*) FROM session_files WHERE sid = '{}'",
        sid(0)
    );
    assert_eq!(rows_of(at, &now), ["3"], "the last look counts");
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
            "audit.stores.a.vendor: `nobody` is no vendor",
        ),
        (
            "[audit.stores.a]\nurl = \"file:///\"",
            "audit.stores.a: bucket",
        ),
        (
            "[audit.stores.a]\nurl = \"s3://b\"\n[audit.stores.c]\nurl = \"s3://b\"",
            "audit.stores.c: is the bucket `b` of audit.stores.a",
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

/// Imports what there is of each stream.
fn import(directory: &Path) {
    for stream in ["api_calls", "webhooks", "session_records"] {
        let file = format!("{stream}.ndjson");
        let (_, why, code) = run(directory, &["import", "--stream", stream, &file]);
        assert_eq!(code, Some(0), "{why}");
    }
}

fn end(process: &mut Child, signal: &str) -> Option<i32> {
    let pid = process.id().to_string();
    Command::new("kill").args([signal, &pid]).status().unwrap();
    process.wait().unwrap().code()
}

#[test]
fn a_listing_answers_for_its_store() {
    let directory = scene();
    let at = directory.path();
    // Nobody answers there: whoever asked the stores themselves would learn nothing.
    let stores = r#"
[audit.stores.hangzhou]
url = "s3://calls-oss"
vendor = "oss"
endpoint = "http://127.0.0.1:9"
columns = { key = "object", size = "length", written_at = "changed" }

[audit.stores.virginia]
url = "s3://calls-s3"
endpoint = "http://127.0.0.1:9"
"#;
    let mappings = r#"
[[session_records.mappings]]
fields = { app_id = "app_id", cname = "cname", sid = "sid", vendor = "vendor", bucket = "bucket", status = "status", recorded_at = "recorded_at" }
vendors = { oss = 2 }
"#;
    fs::write(at.join("t.toml"), format!("{mappings}{stores}")).expect("written");
    import(at);

    // As Amazon makes it, copied from its bucket: keys are encoded, versions of the past and other buckets do not count.
    let inventory = at.join("inv/calls-s3/all");
    fs::create_dir_all(inventory.join("data")).expect("a directory");
    fs::create_dir_all(inventory.join("2026-01-01T01-00Z")).expect("a directory");
    let row = |bucket: &str, end: &str, is_latest: bool| {
        let key = file(1, end).replace('-', "%2D");
        format!(
            "\"{bucket}\",\"calls/2025/{key}\",\"7\",\"{is_latest}\",\"2025-03-01T11:00:00.000Z\",\"e7ag\"\n"
        )
    };
    let rows = [
        row("calls-s3", ".m3u8", true),
        row("calls-s3", "_20250301100001000.ts", false),
        row("calls-other", "_20250301100002000.ts", true),
    ];
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(rows.concat().as_bytes()).expect("packs");
    fs::write(
        inventory.join("data/1.csv.gz"),
        packed.finish().expect("packs"),
    )
    .expect("written");
    let manifest = json!({
        "sourceBucket": "calls-s3", "destinationBucket": "arn:aws:s3:::inventories", "version": "2016-11-30",
        "creationTimestamp": "1767229200000", "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, IsLatest, LastModifiedDate, ETag",
        "files": [{"key": "inv/calls-s3/all/data/1.csv.gz", "size": 1, "MD5checksum": "0"}],
    });
    fs::write(
        inventory.join("2026-01-01T01-00Z/manifest.json"),
        manifest.to_string(),
    )
    .expect("written");

    // Somebody's own list, of which only the last write says when it was made: after the first session, before the others.
    let keys = [file(0, ".m3u8"), slice(0, 1)].map(|name| format!("calls/2025/{name}"));
    let list = RecordBatch::try_from_iter([
        (
            "object",
            std::sync::Arc::new(StringArray::from(keys.to_vec())) as _,
        ),
        (
            "length",
            std::sync::Arc::new(Int64Array::from(vec![7, 5])) as _,
        ),
        (
            "changed",
            std::sync::Arc::new(StringArray::from(vec![
                "2025-03-01 10:11:00",
                "2025-03-01 10:45:00",
            ])) as _,
        ),
    ])
    .expect("three columns");
    let file = fs::File::create(at.join("oss.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, list.schema(), None).expect("writes");
    writer.write(&list).expect("writes");
    writer.close().expect("writes");

    let arguments = [
        "audit",
        "--since",
        "2025-01-01",
        "--listing",
        "virginia=inv/calls-s3/all/2026-01-01T01-00Z/manifest.json",
        "--listing",
        "hangzhou=oss.parquet",
    ];
    let (said, why, code) = run(at, &arguments);
    assert_eq!(code, Some(1), "{why}");
    assert!(said.contains("not where it was sent"), "{said}");
    let looked = "SELECT sid, store, result, coalesce(key, '-'), CAST(occurred_at AS STRING) FROM audits ORDER BY 1, 2, 4";
    let row = |number: usize, rest: &str| format!("{},{rest}", sid(number));
    let index = |number: usize| format!("calls/2025/{}_room-{number}.m3u8", sid(number));
    let (list_at, inventory_at) = ("2025-03-01T10:45:00Z", "2026-01-01T01:00:00Z");
    assert_eq!(
        rows_of(at, looked),
        [
            row(0, &format!("hangzhou,found,{},{list_at}", index(0))),
            row(
                0,
                &format!("hangzhou,found,calls/2025/{},{list_at}", slice(0, 1))
            ),
            row(0, &format!("virginia,missing,-,{inventory_at}")),
            row(1, &format!("virginia,found,{},{inventory_at}", index(1))),
            row(2, &format!("virginia,missing,-,{inventory_at}")),
            row(3, &format!("virginia,missing,-,{inventory_at}")),
        ]
    );
    let (_, why, _) = run(at, &arguments);
    assert!(why.contains("0 sessions in 2 stores"), "{why}");

    // CSV with usual names, made later: what it does not list is not there.
    fs::write(
        at.join("oss.csv"),
        format!(
            "Key,Size,Last Modified\n{},9,2025-03-02T00:00:00Z\n",
            index(3)
        ),
    )
    .expect("written");
    fs::write(
        at.join("t.toml"),
        format!("{mappings}{stores}").replace("columns", "# columns"),
    )
    .expect("written");
    let (_, why, code) = run(
        at,
        &[
            "audit",
            "--since",
            "2025-01-01",
            "--listing",
            "hangzhou=oss.csv",
        ],
    );
    assert_eq!(code, Some(1), "{why}");
    let (found, why, _) = run(
        at,
        &[
            "detect",
            "--only",
            "missing_upload,vendor_mismatch",
            "--format",
            "csv",
        ],
    );
    let found: Vec<_> = found.lines().skip(1).collect();
    assert_eq!(found.len(), 2, "{found:?}\n{why}");
    assert!(
        found
            .iter()
            .any(|it| it.contains("vendor_mismatch") && it.contains(&sid(1))),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|it| it.contains("missing_upload") && it.contains(&sid(2))),
        "{found:?}"
    );

    for (listing, said) in [
        (
            "nobody=oss.csv",
            "no store is called `nobody`; the stores are hangzhou, virginia",
        ),
        ("oss.csv", "write STORE=PATH"),
        (
            "hangzhou=inv/calls-s3/all/2026-01-01T01-00Z/manifest.json",
            "an inventory of the bucket `calls-s3`",
        ),
        ("hangzhou=webhooks.ndjson", "no manifest.json"),
        (
            "hangzhou=t.toml",
            "no column looks like the keys of objects",
        ),
        ("hangzhou=gone.csv", "cannot read"),
    ] {
        let (_, why, code) = run(at, &["audit", "--listing", listing]);
        assert_eq!(code, Some(2), "{listing}: {why}");
        assert!(why.contains(said), "{listing}: {why}");
    }
}

#[test]
fn whoever_follows_looks_for_sessions_as_they_end() {
    let directory = scene();
    let at = directory.path();
    configure(at, "http://127.0.0.1:9");
    let settings = fs::read_to_string(at.join("t.toml")).expect("is there");
    let (settings, _) = settings
        .split_once("[audit.stores.closed]")
        .expect("is there");
    fs::write(at.join("t.toml"), settings).expect("written");
    import(at);
    let log = fs::File::create(at.join("log")).expect("a file");
    let mut process = Command::new(env!("CARGO_BIN_EXE_tapetrail"))
        .current_dir(at)
        .args([
            "--config",
            "t.toml",
            "audit",
            "--since",
            "2025-01-01",
            "--follow",
            "100ms",
        ])
        .stderr(log)
        .spawn()
        .expect("the program is built");
    let said = || fs::read_to_string(at.join("log")).expect("is there");
    while !said().contains("4 sessions in 2 stores") && process.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    // Another one ends, and is as nowhere as the third.
    let (number, begin) = (4, BEGIN_MS + 86_400_000);
    fs::write(at.join("more.ndjson"), start(number, begin).to_string()).expect("written");
    run(at, &["import", "--stream", "api_calls", "more.ndjson"]);
    fs::write(
        at.join("more.ndjson"),
        uploaded(number, begin + 600_000).to_string(),
    )
    .expect("written");
    run(at, &["import", "--stream", "webhooks", "more.ndjson"]);
    while !said().contains("1 session in 2 stores") && process.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(end(&mut process, "-TERM"), Some(0), "{}", said());
    let twice = "SELECT sid FROM audits GROUP BY sid, store, key HAVING count(*) > 1";
    assert!(rows_of(at, twice).is_empty(), "each is looked for once");
    assert_eq!(rows_of(at, "SELECT count(DISTINCT sid) FROM audits"), ["5"]);
}

#[test]
fn an_audit_that_died_goes_on_where_it_stopped() {
    const SESSIONS: usize = 60;
    /// Two questions at the start, one for each session of the first commit.
    const ANSWERS: usize = 2 + 50;
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    for bucket in ["oss", "s3"] {
        fs::create_dir(at.join(bucket)).expect("a directory");
    }
    let calls: String = (0..SESSIONS)
        .map(|number| format!("{}\n", start(number, BEGIN_MS + number as u64)))
        .collect();
    fs::write(at.join("api_calls.ndjson"), calls).expect("written");
    configure(at, &closed_store(ANSWERS));
    run(at, &["import", "--stream", "api_calls", "api_calls.ndjson"]);
    let mut process = Command::new(env!("CARGO_BIN_EXE_tapetrail"))
        .current_dir(at)
        .env("TAPETRAIL_STORE_CLOSED_AWS_SKIP_SIGNATURE", "true")
        .args(["--config", "t.toml", "audit", "--since", "2025-01-01"])
        .spawn()
        .expect("the program is built");
    let audited = "SELECT count(DISTINCT sid) FROM audits";
    while rows_of(at, audited) == ["0"] && process.try_wait().unwrap().is_none() {}
    assert_eq!(end(&mut process, "-KILL"), None);
    assert_eq!(rows_of(at, audited), ["50"]);

    configure(at, &closed_store(usize::MAX));
    let (_, why, code) = run(at, &["audit", "--since", "2025-01-01"]);
    assert_eq!(code, Some(1), "{why}");
    assert!(
        why.contains("60 sessions in 3 stores"),
        "the one that refused is asked again: {why}"
    );
    let looks = "SELECT store, result, count(*), count(DISTINCT sid) FROM audits GROUP BY 1, 2 ORDER BY 1, 2";
    assert_eq!(
        rows_of(at, looks),
        [
            "closed,denied,110,60",
            "hangzhou,missing,60,60",
            "virginia,missing,60,60"
        ]
    );
    let (_, why, code) = run(at, &["verify", "--full"]);
    assert_eq!(code, Some(0), "{why}");
}
