//! Documents of MongoDB, whole and in part.

use super::*;

const KEY: &str = r#"{"id":"{\"$oid\": \"65a1b2c3d4e5f60708090a0b\"}"}"#;

#[test]
fn documents_of_mongodb_are_read() {
    let after = json!({"_id": {"$oid": "65a1b2c3d4e5f60708090a0b"}, "sid": SID, "vendor": {"$numberInt": "2"},
        "updatedAt": {"$date": {"$numberLong": "1764000606000"}}});
    let message = json!({"op": "u", "after": after.to_string(), "source": {"connector": "mongodb", "db": "app",
        "collection": "recordings", "ts_ms": 1_764_000_606_050_i64}});
    let row = one(&message.to_string()).2;
    assert_eq!(
        (row.vendor, row.row_key),
        (Some(2), text("65a1b2c3d4e5f60708090a0b"))
    );
    assert_eq!(row.recorded_at, Some(1_764_000_606_000_000));
}

/// An update of which Debezium sends what changed, and no document.
fn update(updated: &Value, removed: &Value) -> Value {
    json!({"before": null, "after": null, "op": "u", "ts_ms": 1_764_000_606_120_i64,
        "updateDescription": {"updatedFields": updated.to_string(), "removedFields": removed, "truncatedArrays": null},
        "source": {"connector": "mongodb", "db": "app", "collection": "recordings", "ts_ms": 1_764_000_606_000_i64, "ord": 3}})
}

#[test]
fn an_update_without_its_document_tells_what_changed() {
    let updated =
        json!({"status": "uploaded", "storage.vendor": {"$numberInt": "2"}, "files.0.name": "a"});
    let message = update(&updated, &json!(["storage.bucket"]));
    let mapping = Mapping {
        table: Some("recordings".to_string()),
        fields: BTreeMap::from([
            ("sid".to_string(), "sid".to_string()),
            ("status".to_string(), "status".to_string()),
            ("vendor".to_string(), "storage.vendor".to_string()),
            ("bucket".to_string(), "storage.bucket".to_string()),
            ("url".to_string(), "files.0.name".to_string()),
        ]),
        ..Mapping::default()
    };
    let (_, occurred_at, row) = one_of(&message.to_string(), Some(KEY), &[mapping]);
    let expected = SessionRecordRow {
        source_table: text("app.recordings"),
        row_key: text("65a1b2c3d4e5f60708090a0b"),
        change: text("update"),
        status: text("uploaded"),
        vendor: Some(2),
        vendor_name: text("oss"),
        url: text("a"),
        ..SessionRecordRow::default()
    };
    assert_eq!((occurred_at, row), (Some(1_764_000_606_000_000), expected));

    // Without a mapping, too: what an update leaves out names the session.
    let (_, _, row) = one_of(&message.to_string(), Some(KEY), &[]);
    assert_eq!(row.status, text("uploaded"));
    assert_eq!(row.vendor, None, "no usual name leads into `storage`");
}

#[test]
fn updates_of_one_second_are_told_apart() {
    let first = update(&json!({"status": "failed"}), &Value::Null);
    let mut second = first.clone();
    assert_eq!(one(&first.to_string()).0, one(&second.to_string()).0);
    second["source"]["ord"] = json!(4);
    assert_ne!(one(&first.to_string()).0, one(&second.to_string()).0);
}

#[test]
fn an_update_needs_what_changed() {
    let mut message = update(&json!({}), &Value::Null);
    message["updateDescription"]["updatedFields"] = json!(7);
    assert_eq!(
        given(&message.to_string(), None, &[]),
        Err(RejectCode::InvalidField)
    );
    message["updateDescription"] = Value::Null;
    assert_eq!(
        given(&message.to_string(), None, &[]),
        Err(RejectCode::MissingField)
    );
    // What is no path of a document stays a name.
    let deep = vec!["a"; 10_000].join(".");
    one(&update(&json!({ deep: 1 }), &Value::Null).to_string());
}

/// An event of a change stream, as MongoDB's own connector sends it.
fn streamed(operation: &str) -> Value {
    json!({"_id": {"_data": "8265"}, "operationType": operation, "ns": {"db": "app", "coll": "recordings"},
        "documentKey": {"_id": {"$oid": "65a1b2c3d4e5f60708090a0b"}},
        "clusterTime": {"$timestamp": {"t": 1_764_000_606, "i": 3}}})
}

#[test]
fn events_of_a_change_stream_are_read() {
    let mut insert = streamed("insert");
    insert["fullDocument"] =
        json!({"_id": {"$oid": "65a1b2c3d4e5f60708090a0b"}, "sid": SID, "vendor": 2});
    let (_, occurred_at, row) = one(&insert.to_string());
    assert_eq!(occurred_at, Some(1_764_000_606_000_000));
    assert_eq!(row.sid, text(SID));
    assert_eq!(row.source_table, text("app.recordings"));
    assert_eq!(row.row_key, text("65a1b2c3d4e5f60708090a0b"));

    let mut update = streamed("update");
    update["updateDescription"] =
        json!({"updatedFields": {"status": "uploaded"}, "removedFields": ["vendor"]});
    update["wallTime"] = json!({"$date": "2025-11-24T16:10:06.250Z"});
    let (_, occurred_at, row) = one(&update.to_string());
    assert_eq!(occurred_at, Some(1_764_000_606_250_000));
    assert_eq!(
        (row.change, row.status, row.sid, row.row_key),
        (
            text("update"),
            text("uploaded"),
            None,
            text("65a1b2c3d4e5f60708090a0b")
        )
    );

    let (_, _, row) = one(&streamed("delete").to_string());
    let key = text("65a1b2c3d4e5f60708090a0b");
    assert_eq!((row.change, row.row_key), (text("delete"), key));
    assert_eq!(
        given(&streamed("invalidate").to_string(), None, &[]),
        Ok(vec![Given::Skipped(SkipReason::ControlMessage)])
    );
}
