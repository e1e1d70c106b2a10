//! Maxwell and Canal (`domain/state-records.md`, section 3).

use super::*;

fn maxwell(kind: &str) -> Value {
    json!({"database": "app", "table": "recordings", "type": kind, "ts": 1_764_000_606, "xid": 8721, "xoffset": 3,
        "data": {"id": 7712, "channel": "room_42", "rec_uid": "900001", "resource_id": "rA", "sid": SID, "vendor": 2,
            "bucket": "acme-oss", "prefix": "tenantA", "status": "uploaded", "updated_at": "2025-11-24 16:10:06"},
        "old": {"status": "recording"}})
}

/// The same row, where every value is a text.
fn canal(kind: &str, ids: &[&str]) -> Value {
    let row = |id: &&str| {
        json!({"id": id, "channel": "room_42", "rec_uid": "900001", "resource_id": "rA", "sid": SID, "vendor": "2",
            "bucket": "acme-oss", "prefix": "tenantA", "status": "uploaded", "updated_at": "2025-11-24 16:10:06"})
    };
    let rows: Vec<_> = ids.iter().map(row).collect();
    let old: Vec<_> = ids.iter().map(|_| json!({"status": "recording"})).collect();
    json!({"data": rows, "old": old, "database": "app", "table": "recordings", "type": kind, "es": 1_764_000_606_000_i64,
        "ts": 1_764_000_607_000_i64, "id": 12, "isDdl": false, "pkNames": ["id"], "sql": ""})
}

fn changed(change: &str) -> SessionRecordRow<'static> {
    SessionRecordRow {
        source_table: text("app.recordings"),
        change: text(change),
        ..mismatch()
    }
}

#[test]
fn maxwell_is_read() {
    for (kind, change) in [
        ("insert", "insert"),
        ("update", "update"),
        ("delete", "delete"),
        ("bootstrap-insert", "snapshot"),
    ] {
        let (_, occurred_at, row) = one(&maxwell(kind).to_string());
        assert_eq!(occurred_at, Some(1_764_000_606_000_000));
        assert_eq!(row, changed(change));
    }
    for kind in [
        "bootstrap-start",
        "bootstrap-complete",
        "table-alter",
        "database-create",
    ] {
        let message =
            json!({"database": "app", "table": "recordings", "type": kind, "ts": 1, "data": {}});
        assert_eq!(
            given(&message.to_string(), None, &[]),
            Ok(vec![Given::Skipped(SkipReason::ControlMessage)])
        );
    }
    assert_eq!(
        given(&maxwell("upsert").to_string(), None, &[]),
        Err(RejectCode::InvalidField)
    );
}

#[test]
fn maxwell_says_its_key_in_the_message_or_beside_it() {
    let mut message = maxwell("update");
    message["data"].as_object_mut().expect("a row").remove("id");
    let beside = r#"{"database":"app","table":"recordings","pk.id":7712}"#;
    assert_eq!(
        one_of(&message.to_string(), Some(beside), &[]).2,
        changed("update")
    );
    message["primary_key"] = json!([7712, "b"]);
    let row = one_of(&message.to_string(), Some(beside), &[]).2;
    assert_eq!(row.row_key, text("7712/b"));
}

#[test]
fn a_redelivery_has_one_id_and_a_later_change_another() {
    let first = one(&maxwell("update").to_string()).0;
    assert_eq!(one(&maxwell("update").to_string()).0, first);
    let mut later = maxwell("update");
    later["xid"] = json!(8722);
    assert_ne!(one(&later.to_string()).0, first);
    later["position"] = json!("mysql-bin.000004:5512");
    let by_position = one(&later.to_string()).0;
    later["xid"] = json!(8723);
    assert_eq!(one(&later.to_string()).0, by_position);
}

#[test]
fn canal_is_read() {
    for (kind, change) in [
        ("INSERT", "insert"),
        ("UPDATE", "update"),
        ("DELETE", "delete"),
    ] {
        let (_, occurred_at, row) = one(&canal(kind, &["7712"]).to_string());
        assert_eq!(occurred_at, Some(1_764_000_606_000_000));
        assert_eq!(row, changed(change));
    }
    let mut ddl = canal("ALTER", &[]);
    ddl["isDdl"] = json!(true);
    ddl["data"] = Value::Null;
    for (message, reason) in [
        (ddl, SkipReason::ControlMessage),
        (canal("QUERY", &["1"]), SkipReason::ControlMessage),
        (canal("INSERT", &[]), SkipReason::EmptyList),
    ] {
        assert_eq!(
            given(&message.to_string(), None, &[]),
            Ok(vec![Given::Skipped(reason)])
        );
    }
}

#[test]
fn each_row_of_canal_keeps_what_decodes_to_it_alone() {
    let message = canal("UPDATE", &["7712", "7713"]).to_string();
    let given = given(&message, None, &[]).expect("two rows");
    assert_eq!(given.len(), 2);
    for (given, id) in given.into_iter().zip(["7712", "7713"]) {
        let Given::Event {
            event_id,
            payload,
            row,
            ..
        } = given
        else {
            panic!("{given:?}");
        };
        assert_eq!(row.row_key, text(id));
        assert_eq!(one(&payload), (event_id, Some(1_764_000_606_000_000), *row));
        assert!(payload.contains("\"old\":[{"), "{payload}");
    }
}

#[test]
fn a_row_may_be_kept_as_text() {
    let row = json!({"sid": SID, "vendor": 2, "bucket": "acme-oss"}).to_string();
    let expected = one(&row).2;
    assert_eq!(one(&json!(row).to_string()).2, expected);
    assert_eq!(
        one(&json!({"schema": {"type": "string"}, "payload": row}).to_string()).2,
        expected
    );
    assert_eq!(given("\"hello\"", None, &[]), Err(RejectCode::NotAnObject));
}
