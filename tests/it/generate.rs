//! `generate` as its user meets it: the same bytes each time, nobody's files replaced, a truth in its published form,
//! and a score that tells what is wrong.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::cli::tapetrail;

const FILES: [&str; 6] = [
    "api_calls.ndjson.zst",
    "session_records.ndjson.zst",
    "storage_events.ndjson.zst",
    "tapetrail.toml",
    "truth.ndjson",
    "webhooks.ndjson.zst",
];

fn generate(directory: &Path, into: &str, more: &[&str]) -> Output {
    let smallest = ["generate", "--sessions", "300", "-o", into];
    tapetrail(directory, &[&smallest, more].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_same_options_give_the_same_bytes_and_nothing_is_replaced_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for into in ["one", "two"] {
        let made = generate(at, into, &[]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
        assert!(made.stdout.is_empty(), "talk goes to stderr");
    }
    let mut names: Vec<String> = fs::read_dir(at.join("one"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, FILES);
    for name in FILES {
        let read = |of: &str| fs::read(at.join(of).join(name)).unwrap();
        assert!(read("one") == read("two"), "{name} differs");
    }

    let refused = generate(at, "one", &["--seed", "9"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("hint: "), "{}", stderr(&refused));
    assert_eq!(fs::read_dir(at.join("one")).unwrap().count(), FILES.len());

    let more = ["--seed", "9", "--overwrite", "--compress", "none"];
    let replaced = generate(at, "one", &more);
    assert_eq!(replaced.status.code(), Some(0), "{}", stderr(&replaced));
    assert!(at.join("one/webhooks.ndjson").exists());
    assert!(
        !at.join("one/webhooks.ndjson.zst").exists(),
        "of the earlier fleet"
    );
}

#[test]
fn a_truth_has_its_published_form() {
    let directory = tempfile::tempdir().unwrap();
    let made = generate(directory.path(), "fleet", &["--noise", "100"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let published: Value =
        serde_json::from_str(include_str!("../../schemas/truth.v1.json")).unwrap();
    let published = jsonschema::validator_for(&published).unwrap();
    let truth = fs::read_to_string(directory.path().join("fleet/truth.ndjson")).unwrap();
    assert!(truth.lines().count() > 100);
    for line in truth.lines() {
        let errors: Vec<_> = published
            .iter_errors(&serde_json::from_str(line).unwrap())
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
}

/// One storm, three starts within a second, and a truth that also names one that never was.
#[test]
fn a_score_below_one_exits_with_1_and_says_what_was_missed_and_how_to_look() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let start = |second: u32| {
        format!(
            r#"{{"requested_at":"2026-11-22T10:00:0{second}Z","responded_at":"2026-11-22T10:00:0{second}.5Z","request":{{"method":"POST","url":"/v1/apps/0123456789abcdef0123456789abcdef/cloud_recording/resourceid/R{second}/mode/mix/start","body":{{"cname":"room 1","uid":"{second}","clientRequest":{{"storageConfig":{{"vendor":1,"region":0,"bucket":"b"}}}}}}}},"response":{{"status":500,"body":{{"code":62}}}}}}"#
        )
    };
    fs::write(at.join("calls.ndjson"), [0, 1, 2].map(start).join("\n")).unwrap();
    let imported = tapetrail(at, &["import", "--stream", "api_calls", "calls.ndjson"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));

    let fleet = r#"{"kind":"fleet","judged":["start_storm"]}"#;
    let storm =
        r#"{"kind":"finding","detection":"start_storm","variant":"new_uids","cname":"room 1"}"#;
    let other = r#"{"kind":"finding","detection":"start_storm","case":"never_was","app_id":"a","cname":"room 2"}"#;
    fs::write(at.join("right.ndjson"), [fleet, storm].join("\n")).unwrap();
    fs::write(at.join("wrong.ndjson"), [storm, other, fleet].join("\n")).unwrap();

    let score = |truth: &str| tapetrail(at, &["generate", "--score", truth, "--format", "json"]);
    let right = score("right.ndjson");
    assert_eq!(right.status.code(), Some(0), "{}", stderr(&right));
    let wrong = score("wrong.ndjson");
    assert_eq!(wrong.status.code(), Some(1), "{}", stderr(&wrong));
    let rows: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(rows[0]["recall"], 0.5);
    assert_eq!(rows[0]["precision"], 1.0);
    let told = stderr(&wrong);
    assert!(
        told.contains("missed: start_storm (never_was), channel room 2"),
        "{told}"
    );
    assert!(
        told.contains("investigate --cname 'room 2' --app a"),
        "{told}"
    );
}
