//! What the views say of a database's rows after changes that hold all of a row, or some of it, or none.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::tapetrail;

const SID: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";

/// Imports changes and returns what is believed then: key, sid, vendor, bucket, status.
fn believed(changes: &[Value]) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
    fs::write(directory.path().join("rows.ndjson"), lines).expect("is written");
    let import = ["import", "--stream", "session_records", "rows.ndjson"];
    run(directory.path(), &import);
    let sql = "SELECT split_part(record_id, '#', 2), sid, vendor_name, bucket, status FROM believed ORDER BY 1";
    let rows = run(directory.path(), &["sql", "--format", "csv", "-c", sql]);
    rows.lines().skip(1).collect::<Vec<_>>().join("\n")
}

fn run(directory: &Path, arguments: &[&str]) -> String {
    let output = tapetrail(directory, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A change of row 7 as Debezium sends it from PostgreSQL, `second` seconds after the first.
fn change(op: &str, second: i64, before: Value, after: Value) -> Value {
    json!({"op": op, "before": before, "after": after, "source": {"connector": "postgresql", "db": "app", "schema": "public",
        "table": "recordings", "ts_ms": 1_795_342_206_000_i64 + second * 1_000, "lsn": 1_000 + second}})
}

fn row(sid: Option<&str>, vendor: i32, bucket: Option<&str>, updated_at: &str) -> Value {
    json!({"id": 7, "channel": "room_42", "sid": sid, "vendor": vendor, "bucket": bucket, "status": "uploaded",
        "updated_at": updated_at})
}

#[test]
fn a_row_that_was_deleted_is_not_believed_whatever_the_connector_makes_up_of_it() {
    let insert = change(
        "c",
        0,
        Value::Null,
        row(Some(SID), 2, Some("a"), "2026-11-22T10:00:00Z"),
    );
    assert_eq!(
        believed(std::slice::from_ref(&insert)),
        format!("7,{SID},oss,a,uploaded")
    );
    let made_up = json!({"id": 7, "channel": "", "sid": null, "vendor": 0, "bucket": null, "status": "recording",
        "updated_at": "1970-01-01T00:00:00.000000Z"});
    let delete = change("d", 9, made_up, Value::Null);
    assert_eq!(believed(&[insert.clone(), delete.clone()]), "");
    // Another row by the same key, written in the same transaction: nothing is left of the first.
    let again = change(
        "c",
        9,
        Value::Null,
        row(None, 1, None, "2026-11-22T10:00:05Z"),
    );
    assert_eq!(believed(&[insert, delete, again]), "7,,s3,,uploaded");
}

#[test]
fn a_snapshot_says_all_of_a_row_and_an_update_may_say_some_of_it() {
    let insert = change(
        "c",
        0,
        Value::Null,
        row(Some(SID), 2, Some("a"), "2026-11-22T10:00:00Z"),
    );
    let update = change(
        "u",
        5,
        Value::Null,
        json!({"id": 7, "sid": SID, "vendor": 1}),
    );
    let both = [insert, update];
    assert_eq!(believed(&both), format!("7,{SID},s3,a,uploaded"));
    let snapshot = change(
        "r",
        9,
        Value::Null,
        row(Some(SID), 1, None, "2026-11-22T10:00:05Z"),
    );
    let all = [&both[..], &[snapshot]].concat();
    assert_eq!(believed(&all), format!("7,{SID},s3,,uploaded"));
}

#[test]
fn an_update_that_says_null_takes_a_value_back_and_one_that_says_nothing_does_not() {
    let insert = change(
        "c",
        0,
        Value::Null,
        row(Some(SID), 2, Some("a"), "2026-11-22T10:00:00Z"),
    );
    let after = |after: Value| believed(&[insert.clone(), change("u", 5, Value::Null, after)]);
    let mut whole = row(Some(SID), 2, None, "2026-11-22T10:00:05Z");
    assert_eq!(after(whole.clone()), format!("7,{SID},oss,,uploaded"));
    whole["vendor"] = Value::Null;
    whole["status"] = json!(" ");
    assert_eq!(after(whole.clone()), format!("7,{SID},,,"));
    // Left out, or not sent by the connector because it did not change: as it was.
    whole["status"] = json!("__debezium_unavailable_value");
    let columns = whole.as_object_mut().expect("is an object");
    columns.remove("vendor");
    columns.remove("bucket");
    assert_eq!(after(whole), format!("7,{SID},oss,a,uploaded"));
}

#[test]
fn updates_of_what_changed_add_up() {
    let event = |operation: &str, number: i64| {
        json!({"operationType": operation, "ns": {"db": "app", "coll": "recordings"}, "documentKey": {"_id": 7},
            "clusterTime": {"$timestamp": {"t": 1_795_342_206_i64, "i": number}}})
    };
    let mut insert = event("insert", 1);
    insert["fullDocument"] =
        json!({"_id": 7, "sid": SID, "vendor": 2, "bucket": "a", "status": "recording"});
    let mut update = event("update", 2);
    update["updateDescription"] =
        json!({"updatedFields": {"vendor": 1, "status": "uploaded"}, "removedFields": []});
    let both = [insert, update];
    assert_eq!(believed(&both), format!("7,{SID},s3,a,uploaded"));
    let mut removal = event("update", 3);
    removal["updateDescription"] = json!({"updatedFields": {}, "removedFields": ["bucket"]});
    let three = [&both[..], &[removal]].concat();
    assert_eq!(believed(&three), format!("7,{SID},s3,,uploaded"));
    let all = [&three[..], &[event("delete", 4)]].concat();
    assert_eq!(believed(&all), "");
}
