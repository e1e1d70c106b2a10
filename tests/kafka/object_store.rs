//! A real S3 server in the loop: its own notifications become storage events, and the lake lives on it as on disk.

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use object_store::path::Path as Key;
use object_store::{
    Error, MultipartUpload as _, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use serde_json::Value;
use tapetrail::event::Stream;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::eventually;
use crate::groups;
use crate::producer::{Producer, while_producing};
use crate::store::Store;

const SID: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";

/// Keys that a recording may have, and one that nobody records.
fn keys() -> [String; 4] {
    [
        format!("calls/2026/{SID}_room-1.m3u8"),
        format!("calls/2026/{SID}_room-1__uid_s_527841__uid_e_av.m3u8"),
        format!("{SID}_a b+c%2Fd=e&f~(g).m3u8"),
        "notes/录音 1.txt".to_string(),
    ]
}

/// Nothing of ours is between the client that puts an object and the row that tells of it.
#[test]
fn objects_that_a_client_puts_and_deletes_become_rows() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::StorageEvents, 2)]);
    let topic = deployment.topic(Stream::StorageEvents);
    let store = Store::start_with_notifications(broker, topic);
    let bucket = store.bucket_with_notifications("recordings");
    let mut consumer = deployment.consume();
    for key in keys() {
        bucket.put(&key, "eleven byte");
    }
    let long = "calls/2026/in-parts.mp4";
    bucket.runtime.block_on(async {
        let key = Key::parse(long).expect("a key");
        let mut upload = bucket.client.put_multipart(&key).await.expect("begins");
        for _ in 0..2 {
            let part = vec![7_u8; 5 << 20].into();
            upload.put_part(part).await.expect("a part");
        }
        upload.complete().await.expect("ends");
    });
    bucket.delete(&keys()[0]);

    let mut expected: BTreeSet<(String, String, String)> = keys()
        .into_iter()
        .map(|key| ("created".to_string(), key, "11".to_string()))
        .collect();
    expected.insert(("created".into(), long.into(), (10 << 20).to_string()));
    expected.insert(("removed".into(), keys()[0].clone(), String::new()));
    let sql = "SELECT kind, key, size, bucket, provider, sid, cname, file_type FROM storage_events ORDER BY occurred_at";
    let mut rows = Vec::new();
    eventually("each object has its rows", || {
        rows = query(&deployment, sql);
        rows.len() >= expected.len()
    });
    consumer.stop();
    let text = |row: &Value, name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let found: BTreeSet<_> = rows
        .iter()
        .map(|row| (text(row, "kind"), text(row, "key"), text(row, "size")))
        .collect();
    assert_eq!(found, expected);
    assert!(rows.iter().all(|row| row["bucket"] == "recordings"));
    assert!(
        rows.iter().all(|row| row["provider"] == "minio"),
        "{rows:?}"
    );
    let of_session = rows.iter().find(|row| row["key"] == keys()[0].as_str());
    let of_session = of_session.expect("is there");
    assert_eq!(of_session["sid"], SID);
    assert_eq!(of_session["cname"], "room-1");
    deployment.expect_verified();
}

/// F1, F2, F6, F9, F12, F22 where the lake is a bucket: two consumers and the sorting beside them are killed again and
/// again, and the server itself in between.
#[test]
fn consumers_and_their_store_killed_at_random_moments_lose_nothing_and_repeat_nothing() {
    const KILLS: u64 = 14;
    let broker = Broker::shared();
    let store = Store::start();
    let streams = [(Stream::ApiCalls, 4), (Stream::StorageEvents, 2)];
    let mut deployment = Deployment::new(broker, &streams);
    deployment.place_lake_in(store.bucket("lakes"));
    deployment.set(&["maintain", "min_files"], 2);
    let producer = Producer::new(broker.address());
    let mut members = [deployment.consume(), deployment.consume()];
    let versions = || -> u64 {
        let lake = deployment.lake();
        lake.tables.values().map(|table| table.versions).sum()
    };
    let mut random = Pcg64::seed_from_u64(20);
    while_producing(&deployment, &producer, || {
        for kill in 0..KILLS {
            let mut maintenance = deployment.start(&["maintain"]);
            std::thread::sleep(Duration::from_millis(random.random_range(50..2_000)));
            maintenance.kill();
            let victim = random.random_range(0..members.len());
            members[victim].kill();
            members[victim] = deployment.consume();
            if kill % 5 == 3 {
                store.kill();
                std::thread::sleep(Duration::from_millis(random.random_range(50..1_000)));
                store.start_again();
            }
        }
        let then = versions();
        eventually("commits go on", || versions() > then + 2);
    });
    deployment.wait_for_all(&producer);
    for member in &mut members {
        member.stop();
    }
    deployment.expect_exactly(&producer);
    let mut maintenance = deployment.start(&["maintain"]);
    assert!(maintenance.wait().success(), "{}", maintenance.said());
    deployment.expect_exactly(&producer);
}

/// F7 where the lake is a bucket.
#[test]
fn two_deployments_on_one_lake_in_a_bucket_repeat_nothing() {
    let store = Store::start();
    let mut deployment = Deployment::new(Broker::shared(), &[(Stream::ApiCalls, 2)]);
    deployment.place_lake_in(store.bucket("lakes"));
    groups::expect_that_two_deployments_repeat_nothing(&deployment);
}

/// What commits stand on: of many writers of one name one wins, each time, and what it wrote stays.
#[test]
fn of_many_writers_of_one_name_one_wins() {
    const WRITERS: usize = 16;
    let store = Store::start();
    let bucket = store.bucket("lakes");
    bucket.runtime.block_on(async {
        let client = Arc::new(bucket.client.clone());
        for round in 0..20 {
            let key = Key::from(format!("_delta_log/{round:020}.json"));
            let writers = (0..WRITERS).map(|writer| {
                let (client, key) = (Arc::clone(&client), key.clone());
                tokio::spawn(async move {
                    let options = PutOptions::from(PutMode::Create);
                    client
                        .put_opts(&key, writer.to_string().into(), options)
                        .await
                })
            });
            let outcomes = join_all(writers).await;
            let mut winners = Vec::new();
            for (writer, outcome) in outcomes.into_iter().enumerate() {
                match outcome.expect("no panic") {
                    Ok(_) => winners.push(writer),
                    Err(Error::AlreadyExists { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
            let object = client.get(&key).await.expect("is there");
            let bytes = object.bytes().await.expect("can be read");
            assert_eq!(bytes, winners[0].to_string().as_bytes());
        }
    });
}

/// Each command gives the same bytes for a lake in a bucket as for the same lake on disk.
#[test]
fn every_command_gives_the_same_for_a_lake_in_a_bucket() {
    let scene = Scene::new();
    for stream in Stream::ALL {
        let file = scene.fleet(&format!("{stream}.ndjson.zst"));
        scene.both(&["import", "--stream", stream.stem(), &file]);
    }
    let broken = scene.directory.path().join("broken.ndjson");
    std::fs::write(&broken, "{\"noticeId\": \"cut\n[]\n").expect("written");
    let broken = broken.to_str().expect("a plain path");
    scene.both(&["import", "--stream", "webhooks", broken]);
    scene.both(&["import", "--stream", "webhooks", broken]);

    let count = "SELECT disposition, count(*) AS n FROM log_webhooks GROUP BY ALL ORDER BY 1";
    let counted = scene.both(&["sql", "--format", "csv", "-c", count]);
    assert!(counted.contains("dead"), "{counted}");
    let sid = "SELECT sid FROM sessions WHERE sid IS NOT NULL ORDER BY sid LIMIT 1";
    let sid = scene.both(&["sql", "--format", "csv", "-c", sid]);
    let sid = sid.lines().nth(1).expect("a session");
    // All detections run for the report; the rows of some are enough.
    let only = "conflicting_starts,vendor_mismatch,missing_upload";
    let detect = ["detect", "--only", only, "--format", "ndjson"];
    let found = scene.both(&detect);
    assert!(found.lines().count() > 10, "{found}");
    scene.both(&["detect", "--only", only, "--not-judged", "--format", "csv"]);
    scene.both(&["investigate", "--sid", sid, "--format", "markdown"]);
    scene.both(&["report", "--format", "json"]);
    scene.both(&["replay", "--dry-run"]);
    scene.both(&["replay"]);
    scene.both(&["verify"]);
    scene.both(&["verify", "--full"]);
    scene.both(&["maintain", "--dry-run", "--format", "csv"]);
    scene.both(&["maintain"]);
    scene.both(&["verify", "--full"]);
    let again = scene.both(&detect);
    let findings = |text: &str| -> BTreeSet<String> {
        let ids = text.lines().map(|line| {
            let finding: Value = serde_json::from_str(line).expect("a finding");
            finding["finding_id"].to_string()
        });
        ids.collect()
    };
    assert_eq!(
        findings(&found),
        findings(&again),
        "sorting changes nothing"
    );
    let as_of = "api_calls=1,webhooks=1,storage_events=1,session_records=1";
    scene.both(&[&detect[..], &["--as-of", as_of]].concat());
}

/// Who may not write, or names what is not there, is told by whom and why in a line or two, and no secret.
#[test]
fn what_the_store_refuses_is_said_in_its_own_words() {
    let scene = Scene::new();
    let file = scene.fleet("webhooks.ndjson.zst");
    let import = ["import", "--stream", "webhooks", &file];
    let refused = |lake: &str, change: &[(&str, &str)]| {
        let output = scene.run(lake, &import, change);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.lines().count() <= 4 && !said.contains("<?xml"),
            "{said}"
        );
        said
    };
    let said = refused(
        "s3://lakes/lake",
        &[("AWS_SECRET_ACCESS_KEY", "QzWrongSecret")],
    );
    assert!(said.contains("SignatureDoesNotMatch"), "{said}");
    assert!(!said.contains("QzWrongSecret"), "{said}");
    let said = refused("s3://no-such-bucket/lake", &[]);
    assert!(said.contains("NoSuchBucket"), "{said}");
    let said = refused("s3://lakes/lake", &[("AWS_SKIP_SIGNATURE", "true")]);
    assert!(said.contains("AccessDenied"), "{said}");
}

/// What an audit says of sessions whose files are where they were sent, in another bucket, there in part, and nowhere, while
/// one store refuses to be looked into and another one to be read.
#[test]
fn an_audit_finds_files_where_nobody_expected_them() {
    let store = Store::start();
    let (main, other) = (store.bucket("calls-oss"), store.bucket("calls-s3"));
    let (_closed, _shelf) = (store.bucket("calls-closed"), store.shelf("calls-shelf"));
    let inventories = store.bucket("inventories");
    let [as_sent, elsewhere, in_part, nowhere] =
        [1, 2, 3, 4].map(|number| format!("{number:032x}"));
    let leaked = |text: String| -> &'static str { text.leak() };
    for (bucket, sid, has_slice) in [
        (&main, &as_sent, true),
        (&other, &elsewhere, true),
        (&main, &in_part, false),
    ] {
        let slice = format!("{sid}_room-{sid}_20250301100001000.ts");
        let index =
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:15\n#EXTINF:15.0\n{slice}\n#EXT-X-ENDLIST\n");
        bucket.put(&format!("calls/2025/{sid}_room-{sid}.m3u8"), leaked(index));
        if has_slice {
            bucket.put(&format!("calls/2025/{slice}"), "slice");
        }
    }
    other.put(
        "calls/2025/ffffffffffffffffffffffffffffffff_room-2.m3u8",
        "of another",
    );

    let directory = tempfile::tempdir().expect("a directory");
    let environment = store.environment();
    let mut config = "[audit]\nrequests_per_second = 1000\n".to_string();
    for (name, bucket, vendor) in [
        ("main", "calls-oss", "oss"),
        ("other", "calls-s3", "s3"),
        ("closed", "calls-closed", "cos"),
        ("shelf", "calls-shelf", "obs"),
    ] {
        config += &format!(
            "[audit.stores.{name}]\nurl = \"s3://{bucket}\"\nvendor = \"{vendor}\"\nendpoint = \"{}\"\n",
            environment["AWS_ENDPOINT"]
        );
    }
    std::fs::write(directory.path().join("t.toml"), config).expect("written");
    let start = |sid: &String| {
        let call = serde_json::json!({
            "requested_at": 1_740_823_200_000_u64, "responded_at": 1_740_823_200_200_u64,
            "request": {
                "method": "POST",
                "url": format!("/v1/apps/0123456789abcdef0123456789abcdef/cloud_recording/resourceid/r{sid}/mode/mix/start"),
                "body": {"cname": format!("room-{sid}"), "uid": "1", "clientRequest": {"storageConfig": {
                    "vendor": 2, "region": 1, "bucket": "calls-oss", "fileNamePrefix": ["calls", "2025"]}}},
            },
            "response": {"status": 200, "body": {"resourceId": format!("r{sid}"), "sid": sid}},
        });
        format!("{call}\n")
    };
    let calls: String = [&as_sent, &elsewhere, &in_part, &nowhere]
        .map(start)
        .concat();
    std::fs::write(directory.path().join("calls.ndjson"), calls).expect("written");
    let run = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_tapetrail"))
            .current_dir(directory.path())
            .envs(&environment)
            // These two alone are asked without credentials.
            .env("TAPETRAIL_STORE_CLOSED_AWS_SKIP_SIGNATURE", "true")
            .env("TAPETRAIL_STORE_SHELF_AWS_SKIP_SIGNATURE", "true")
            .args(["--config", "t.toml"])
            .args(arguments)
            .output()
            .expect("it runs")
    };
    let imported = run(&["import", "--stream", "api_calls", "calls.ndjson"]);
    assert!(imported.status.success(), "{imported:?}");

    let audited = run(&["audit", "--since", "2025-01-01", "--format", "ndjson"]);
    assert_eq!(audited.status.code(), Some(1), "{audited:?}");
    let why = String::from_utf8_lossy(&audited.stderr);
    assert!(
        why.contains("audit.stores.closed: may not list `calls-closed`"),
        "{why}"
    );
    assert!(
        why.contains("audit.stores.shelf: may not read objects of `calls-shelf`"),
        "{why}"
    );
    assert!(!why.contains("audit.stores.shelf: may not list"), "{why}");
    assert!(
        why.contains("4 sessions in 4 stores: 5 files found"),
        "{why}"
    );
    let text = String::from_utf8_lossy(&audited.stdout);
    let wrong: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    let told = |row: &Value| {
        ["what", "sid", "store", "detail"]
            .map(|name| row[name].as_str().unwrap_or("-").to_string())
            .join(" | ")
    };
    let told: Vec<String> = wrong.iter().map(told).collect();
    assert_eq!(
        told[..3],
        [
            format!(
                "not where it was sent | {elsewhere} | other | 2 files, first calls/2025/{elsewhere}_room-{elsewhere}.m3u8; the accepted start named oss:calls-oss"
            ),
            format!(
                "promised, not there | {in_part} | main | calls/2025/{in_part}_room-{in_part}_20250301100001000.ts (promised by index)"
            ),
            format!("no file in any store | {nowhere} | - | looked into main, other, shelf"),
        ],
        "{text}"
    );
    assert_eq!(told.len(), 4, "{text}");
    assert!(
        told[3].starts_with("denied | - | closed | 4 sessions: "),
        "{text}"
    );
    assert!(told[3].contains("AccessDenied"), "{text}");

    // An inventory that is in a bucket itself, made a year later.
    let sid = &elsewhere;
    inventories.put(
        "daily/calls-s3/all/data/1.csv",
        leaked(format!("\"calls-s3\",\"calls/2025/{sid}_room%2D{sid}.m3u8\",\"77\",\"2025-03-01T10:10:00.000Z\"\n")),
    );
    inventories.put(
        "daily/calls-s3/all/2026-01-01T01-00Z/manifest.json",
        r#"{"sourceBucket": "calls-s3", "destinationBucket": "arn:aws:s3:::inventories", "version": "2016-11-30",
            "creationTimestamp": "1767229200000", "fileFormat": "CSV", "fileSchema": "Bucket, Key, Size, LastModifiedDate",
            "files": [{"key": "daily/calls-s3/all/data/1.csv", "size": 99, "MD5checksum": "0"}]}"#,
    );
    let listing = "other=s3://inventories/daily/calls-s3/all/2026-01-01T01-00Z/manifest.json";
    let listed = run(&[
        "audit",
        "--sid",
        sid,
        "--listing",
        listing,
        "--format",
        "csv",
    ]);
    let text = String::from_utf8_lossy(&listed.stdout);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    let row = format!(
        "other,s3,calls-s3,found,,calls/2025/{sid}_room-{sid}.m3u8,77,2025-03-01T10:10:00Z,"
    );
    assert_eq!(rows, [row], "{listed:?}");
    let verified = run(&["verify", "--full"]);
    assert!(verified.status.success(), "{verified:?}");
}

/// A fleet's files, a bucket and a directory.
struct Scene {
    directory: TempDir,
    bucket: crate::store::Bucket,
    /// Ends with the scene.
    _store: Store,
}

impl Scene {
    fn new() -> Scene {
        let store = Store::start();
        let scene = Scene {
            directory: tempfile::tempdir().expect("a directory"),
            bucket: store.bucket("lakes"),
            _store: store,
        };
        let made = scene.run(
            "unused",
            &["generate", "--sessions", "300", "-o", "fleet"],
            &[],
        );
        assert!(made.status.success(), "{made:?}");
        scene
    }

    fn fleet(&self, name: &str) -> String {
        let path = self.directory.path().join("fleet").join(name);
        path.to_str().expect("a plain path").to_string()
    }

    fn run(&self, lake: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_tapetrail"))
            .current_dir(self.directory.path())
            .envs(self.bucket.environment())
            .envs(environment.iter().copied())
            .args(["--lake", lake])
            .args(arguments)
            .output()
            .expect("it runs")
    }

    /// Runs a command on both lakes and expects the same of it; returns what it printed.
    #[track_caller]
    fn both(&self, arguments: &[&str]) -> String {
        let disk = self.run("lake", arguments, &[]);
        let remote = self.run("s3://lakes/some/lake", arguments, &[]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&remote.stdout), text(&disk.stdout), "{arguments:?}");
        assert_eq!(
            (remote.status.code(), without_times(&text(&remote.stderr))),
            (disk.status.code(), without_times(&text(&disk.stderr))),
            "{arguments:?}"
        );
        assert_ne!(disk.status.code(), Some(2), "{arguments:?}: {disk:?}");
        text(&disk.stdout)
    }
}

/// Takes out how long something took.
fn without_times(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains(" in "));
    lines.map(|line| format!("{line}\n")).collect()
}

fn query(deployment: &Deployment, sql: &str) -> Vec<Value> {
    let output = deployment
        .command(&["sql", "--format", "ndjson", "-c", sql])
        .output()
        .expect("sql runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>().expect("JSON")
}
