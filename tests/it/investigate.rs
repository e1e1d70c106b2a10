//! `investigate` as a support engineer meets it: from files to the answer, in every form, and what it says when there
//! is no answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::tapetrail;

const FAILED_THEN_SWITCHED: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";
const SID_BEFORE: &str = "08c5e1d07a2f4e6c8d90b1a2c3d4e508";
const SID_SILENT: &str = "10c5e1d07a2f4e6c8d90b1a2c3d4e510";
const SID_AFTER: &str = "12c5e1d07a2f4e6c8d90b1a2c3d4e512";

/// A lake with three channels: one that failed into OSS and went to S3 while its record says OSS; one that is well,
/// and one of the same name in another app whose only start was never answered.
fn lake() -> &'static Path {
    static LAKE: OnceLock<TempDir> = OnceLock::new();
    let lake = LAKE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for stream in ["api_calls", "webhooks", "storage_events", "session_records"] {
            let file = case_file(stream);
            let path = file.to_str().expect("is text");
            let import = tapetrail(directory.path(), &["import", "--stream", stream, path]);
            let said = String::from_utf8_lossy(&import.stderr);
            assert!(
                import.status.success() && said.contains(" 0 dead letters"),
                "{said}"
            );
        }
        directory
    });
    lake.path()
}

fn case_file(stream: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/investigate");
    directory.join(format!("{stream}.ndjson"))
}

/// Returns the exit code and what stands on stdout, else on stderr.
fn investigate(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tapetrail(lake(), &[&["investigate"], arguments].concat());
    let code = output.status.code();
    let text = match code {
        Some(0) => output.stdout,
        _ => {
            assert!(output.stdout.is_empty(), "talk goes to stderr");
            output.stderr
        }
    };
    (code, String::from_utf8(text).expect("is text"))
}

fn answer(arguments: &[&str]) -> String {
    let (code, text) = investigate(arguments);
    assert_eq!(code, Some(0), "{text}");
    text
}

#[test]
fn the_page_names_the_place_the_call_and_the_next_step() {
    insta::assert_snapshot!("investigate-table", answer(&["--cname", "room_42"]));
}

/// Of three channels; one is asked for, by whatever names it.
#[test]
fn sql_over_one_case_sees_what_the_answer_is_made_of() {
    let rows = |arguments: &[&str], sql: &str| -> String {
        let sql = ["--format", "csv", "-c", sql];
        let output = tapetrail(lake(), &[&["sql"], arguments, &sql].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).expect("is text")
    };
    let all = "SELECT DISTINCT cname FROM api_calls ORDER BY cname";
    assert_eq!(rows(&[], all).lines().count(), 3, "{}", rows(&[], all));
    for case in [
        ["--sid", FAILED_THEN_SWITCHED],
        ["--resource-id", "ticket-2"],
        ["--cname", "room_42"],
    ] {
        assert_eq!(rows(&case, all), "cname\nroom_42\n", "{case:?}");
        let sids = rows(&case, "SELECT sid FROM sessions");
        assert_eq!(sids, format!("sid\n{FAILED_THEN_SWITCHED}\n"), "{case:?}");
    }
    let findings = "SELECT detection, table_versions FROM findings ORDER BY detection";
    let of_case = rows(&["--sid", FAILED_THEN_SWITCHED], findings);
    assert_eq!(of_case, rows(&[], findings));
    assert!(of_case.contains("vendor_mismatch"), "{of_case}");
    let output = tapetrail(lake(), &["sql", "--sid", "nobody", "-c", "SELECT 1"]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).expect("is text");
    assert!(said.contains("nobody"), "{said}");
}

#[test]
fn the_markdown_page_says_the_same() {
    let sid = ["--sid", FAILED_THEN_SWITCHED, "--format", "markdown"];
    insta::assert_snapshot!("investigate-markdown", answer(&sid));
}

#[test]
fn the_object_says_the_same() {
    let ticket = ["--resource-id", "ticket-2", "--format", "json"];
    insta::assert_snapshot!("investigate-json", answer(&ticket));
}

#[test]
fn the_objects_a_line_say_the_same() {
    let key = format!("tenantA/{FAILED_THEN_SWITCHED}_room_42.m3u8");
    let lines = answer(&["--key", &key, "--format", "ndjson"]);
    insta::assert_snapshot!("investigate-ndjson", lines);
}

#[test]
fn what_is_well_is_called_well() {
    let app = "8f14e45fceea167a5a36dedd4bea2543";
    let page = answer(&["--cname", "lobby", "--app", app]);
    assert!(
        page.contains("Its files are where the customer's record says"),
        "{page}"
    );
    assert!(
        page.contains("None: what is known fits together."),
        "{page}"
    );
}

#[test]
fn a_start_without_an_answer_is_not_called_lost() {
    let app = "1a5e0c4f7b3d4e2a9c8f6d1b0e7a3c01";
    let page = answer(&["--cname", "lobby", "--app", app]);
    assert!(page.contains("may have left a session behind"), "{page}");
    assert!(page.contains("Nothing of this case came by"), "{page}");
    assert!(
        page.contains("Not judged by ghost_start: the outcome of the start of 2024-06-03 11:30:00"),
        "{page}"
    );
}

#[test]
fn what_has_no_answer_gets_a_sentence_and_exit_code_2() {
    let mut said = String::new();
    for arguments in [
        &["--sid", "00000000000000000000000000000000"][..],
        &["--cname", "lobby"],
        &["--cname", "lobby", "--app", "none"],
        &["--cname", "room_42", "--at", "yesterday"],
        &["--app", "8f14e45fceea167a5a36dedd4bea2543"],
    ] {
        let (code, text) = investigate(arguments);
        assert_eq!(code, Some(2), "{text}");
        said += &format!("## {}\n{}\n\n", arguments.join(" "), text.trim_end());
    }
    insta::assert_snapshot!("investigate-refusals", said);
}

/// Imports lines, each stream's, into a lake of their own.
fn imported(streams: [(&str, String); 3]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (stream, lines) in streams {
        let path = directory.path().join(format!("{stream}.ndjson"));
        std::fs::write(&path, lines).expect("can be written");
        let path = path.to_str().expect("is text");
        let import = tapetrail(directory.path(), &["import", "--stream", stream, path]);
        let said = String::from_utf8_lossy(&import.stderr);
        assert!(said.contains(" 0 dead letters"), "{said}");
    }
    directory
}

/// Writes three recordings of one app, two hours apart, into a lake. Of the one in the middle no notification says that it was
/// uploaded, and no slice was seen; only the others show that such notifications and slices come here at all.
fn lake_of_three() -> TempDir {
    let (mut calls, mut webhooks, mut files) = (String::new(), String::new(), String::new());
    for (hour, sid) in [(8_u32, SID_BEFORE), (10, SID_SILENT), (12, SID_AFTER)] {
        let channel = format!("room_{hour}");
        let (uid, ticket) = (format!("90{hour}"), format!("tk-{hour}"));
        let at =
            |minute: u32, second: u32| format!("2026-11-20T{hour:02}:{minute:02}:{second:02}.000Z");
        let base = format!("/v1/apps/app1/cloud_recording/resourceid/{ticket}");
        let body = json!({"cname": channel, "uid": uid,
            "clientRequest": {"storageConfig": {"vendor": 1, "region": 4, "bucket": "acme-rec"}}});
        let start = json!({"requested_at": at(0, 0), "responded_at": at(0, 1),
            "request": {"method": "POST", "url": format!("{base}/mode/mix/start"), "body": body},
            "response": {"status": 200, "body": {"resourceId": ticket, "sid": sid}}});
        let stop = json!({"requested_at": at(10, 0), "responded_at": at(10, 1),
            "request": {"method": "POST", "url": format!("{base}/sid/{sid}/mode/mix/stop"),
                "body": {"cname": channel, "uid": uid, "clientRequest": {"async_stop": true}}},
            "response": {"status": 200, "body": {"resourceId": ticket, "sid": sid}}});
        calls += &format!("{start}\n{stop}\n");
        let told: &[(i32, u32)] = match sid {
            SID_SILENT => &[(40, 0), (42, 0), (41, 10)],
            _ => &[(40, 0), (42, 0), (41, 10), (31, 11), (11, 11)],
        };
        for (sequence, (event_type, minute)) in told.iter().enumerate() {
            let sent_at = 1_795_161_600_000_u64
                + u64::from(hour - 8) * 3_600_000
                + u64::from(*minute) * 60_000
                + 5_000;
            let notice = json!({"noticeId": format!("{sid}-{event_type}"), "productId": 3, "eventType": event_type,
                "notifyMs": sent_at + 100, "payload": {"cname": channel, "uid": uid, "sid": sid, "sequence": sequence,
                "sendts": sent_at, "serviceType": 1, "details": {"status": 0, "leaveCode": 24, "exitStatus": 0}}});
            webhooks += &format!("{notice}\n");
        }
        let slice = format!("{sid}_{channel}_20261120{hour:02}0010000.ts");
        let index = format!("{sid}_{channel}.m3u8");
        let names: &[&str] = match sid {
            SID_SILENT => &[&index],
            _ => &[&slice, &index, &index],
        };
        for (nth, key) in names.iter().enumerate() {
            let second = u32::try_from(nth).expect("few");
            let file = json!({"event_id": format!("{sid}-{nth}"), "occurred_at": at(10, 10 + second), "kind": "created",
                "vendor": 1, "bucket": "acme-rec", "region": "eu-west-1", "key": key, "size": 900});
            files += &format!("{file}\n");
        }
    }
    imported([
        ("api_calls", calls),
        ("webhooks", webhooks),
        ("storage_events", files),
    ])
}

#[test]
fn what_other_sessions_show_of_the_streams_counts() {
    let lake = lake_of_three();
    let found = tapetrail(lake.path(), &["detect", "--format", "json"]).stdout;
    let found: Vec<Value> = serde_json::from_slice(&found).expect("JSON");
    let names_it = |finding: &&Value| finding["sids"] == json!([SID_SILENT]);
    let found = explanations(found.iter().filter(names_it));
    let names: Vec<_> = found.keys().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"unannounced_upload"), "{found:?}");
    assert!(names.contains(&"incomplete_files"), "{found:?}");

    let investigate = ["investigate", "--sid", SID_SILENT, "--format", "json"];
    let case = tapetrail(lake.path(), &investigate).stdout;
    let case: Value = serde_json::from_slice(&case).expect("JSON");
    let findings = case["findings"].as_array().expect("a list");
    assert_eq!(explanations(findings.iter()), found);
    let sessions = case["sessions"].as_array().map(Vec::len);
    assert_eq!(sessions, Some(1), "the others are not of the case");
}

/// Writes three recordings into S3. The customer's rows, documents of MongoDB, said OSS of all of them, and call the channel by a
/// name of their own; that of the first was corrected weeks later, that of the second deleted, by changes that name nothing but
/// the document; that of the third knows only the ticket.
fn lake_of_documents() -> TempDir {
    let (mut calls, mut files, mut changes) = (String::new(), String::new(), String::new());
    for (number, sid) in [SID_BEFORE, SID_SILENT, SID_AFTER].into_iter().enumerate() {
        let (channel, ticket) = (format!("room_{number}"), format!("tk-{number}"));
        let at = |second: usize| format!("2026-10-0{}T10:00:{second:02}.000Z", number + 1);
        let base = format!("/v1/apps/app1/cloud_recording/resourceid/{ticket}");
        let start = json!({"requested_at": at(0), "responded_at": at(1),
            "request": {"method": "POST", "url": format!("{base}/mode/mix/start"), "body": {"cname": channel, "uid": "7",
                "clientRequest": {"storageConfig": {"vendor": 1, "region": 4, "bucket": "acme-rec"}}}},
            "response": {"status": 200, "body": {"resourceId": ticket, "sid": sid}}});
        calls += &format!("{start}\n");
        for (nth, name) in [
            format!("{sid}_{channel}_0.ts"),
            format!("{sid}_{channel}.m3u8"),
        ]
        .iter()
        .enumerate()
        {
            let file = json!({"event_id": format!("{sid}-{nth}"), "occurred_at": at(20 + nth), "kind": "created", "vendor": 1,
                "bucket": "acme-rec", "region": "eu-west-1", "key": name, "size": 900});
            files += &format!("{file}\n");
        }
        let change = |operation: &str, day: i64| {
            let second = 1_790_848_830_i64 + day * 86_400;
            json!({"operationType": operation, "ns": {"db": "app", "coll": "recordings"}, "documentKey": {"_id": number},
                "clusterTime": {"$timestamp": {"t": second, "i": 1}}})
        };
        let mut insert = change("insert", number as i64);
        let document =
            json!({"_id": number, "vendor": 2, "bucket": "acme-oss", "status": "uploaded"});
        insert["fullDocument"] = document;
        let (name, value) = if sid == SID_AFTER {
            ("resourceId", ticket.as_str())
        } else {
            ("sid", sid)
        };
        insert["fullDocument"][name] = json!(value);
        insert["fullDocument"]["channel"] = json!(format!("Lesson {number}"));
        changes += &format!("{insert}\n");
        let later = match sid {
            SID_BEFORE => {
                let mut update = change("update", 45);
                let fields = json!({"vendor": 1, "bucket": "acme-rec"});
                update["updateDescription"] = json!({"updatedFields": fields, "removedFields": []});
                format!("{update}\n")
            }
            SID_SILENT => format!("{}\n", change("delete", 20)),
            _ => String::new(),
        };
        changes += &later;
    }
    imported([
        ("api_calls", calls),
        ("storage_events", files),
        ("session_records", changes),
    ])
}

#[test]
fn changes_that_name_only_a_row_or_a_ticket_are_of_the_case() {
    let lake = lake_of_documents();
    let found = tapetrail(lake.path(), &["detect", "--format", "json"]).stdout;
    let found: Vec<Value> = serde_json::from_slice(&found).expect("JSON");
    for (sid, mismatches, changes) in [(SID_BEFORE, 0, 2), (SID_SILENT, 0, 2), (SID_AFTER, 1, 1)] {
        let case = tapetrail(
            lake.path(),
            &["investigate", "--sid", sid, "--format", "json"],
        );
        let case: Value = serde_json::from_slice(&case.stdout).expect("JSON");
        let findings = case["findings"].as_array().expect("a list");
        let of_session = found
            .iter()
            .filter(|finding| finding["sids"] == json!([sid]));
        assert_eq!(
            explanations(findings.iter()),
            explanations(of_session),
            "{sid}"
        );
        let named = |finding: &&Value| finding["detection"] == json!("vendor_mismatch");
        assert_eq!(findings.iter().filter(named).count(), mismatches, "{sid}");
        let timeline = case["timeline"].as_array().expect("a list");
        let of_row = |event: &&Value| event["stream"] == json!("session_records");
        assert_eq!(timeline.iter().filter(of_row).count(), changes, "{sid}");
    }
}

/// What each finding says, by its detection and id.
fn explanations<'f>(
    findings: impl Iterator<Item = &'f Value>,
) -> BTreeMap<(String, String), Value> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_string();
    findings
        .map(|finding| {
            (
                (text(finding, "detection"), text(finding, "finding_id")),
                finding["explanation"].clone(),
            )
        })
        .collect()
}
