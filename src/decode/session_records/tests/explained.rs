//! What `check --explain` says.

use super::*;

/// Returns value and reason of a field of the only change.
fn said(message: &Value, mappings: &[Mapping], field: &str) -> (Option<String>, String) {
    let context = DecodeContext {
        mappings,
        ..DecodeContext::default()
    };
    let changes = explain(&message.to_string(), &context);
    assert_eq!(changes.len(), 1);
    let found = changes[0].iter().find(|explained| explained.field == field);
    let found = found.unwrap_or_else(|| panic!("{field} is not explained"));
    (found.value.clone(), found.why.clone())
}

fn mapping(table: Option<&str>, fields: &[(&str, &str)]) -> Mapping {
    Mapping {
        table: table.map(str::to_string),
        fields: fields
            .iter()
            .map(|(field, path)| (field.to_string(), path.to_string()))
            .collect(),
        vendors: BTreeMap::from([("primary".to_string(), 2)]),
        hosts: BTreeMap::from([("files.acme.example".to_string(), 1)]),
    }
}

fn is(value: Option<&str>, why: &str) -> (Option<String>, String) {
    (value.map(str::to_string), why.to_string())
}

#[test]
fn of_a_partial_update_each_field_says_whether_it_is_in_it() {
    let message = json!({"op": "u", "after": null, "source": {"db": "app", "collection": "recordings"},
        "updateDescription": {"updatedFields": "{\"status\": \"uploaded\"}", "removedFields": ["storage.bucket"]}});
    let fields = [
        ("sid", "sid"),
        ("status", "status"),
        ("vendor", "storage.vendor"),
        ("bucket", "storage.bucket"),
    ];
    let mappings = [mapping(Some("recordings"), &fields)];
    let said = |field: &str| said(&message, &mappings, field);
    let why = "`updateDescription` without a document: any other field keeps what it was";
    assert_eq!(said("extent"), is(Some("what changed"), why));
    assert_eq!(said("status"), is(Some("uploaded"), "column `status`"));
    assert_eq!(said("sid"), is(None, "the update does not name `sid`"));
    assert_eq!(
        said("vendor"),
        is(None, "the update does not name `storage.vendor`")
    );
    assert_eq!(said("bucket"), is(None, "`storage.bucket` was removed"));
}

#[test]
fn of_a_deleted_row_that_is_known_by_its_key_nothing_is_taken() {
    let mut message: Value = serde_json::from_str(ENVELOPE).expect("JSON");
    message["op"] = json!("d");
    message["after"] = Value::Null;
    message["before"] = json!({"id": 7712, "channel": "", "rec_uid": 0, "status": "recording"});
    for field in ["uid", "status", "vendor"] {
        let why = "of the deleted row only the key is known";
        assert_eq!(said(&message, &[], field), is(None, why));
    }
    assert_eq!(said(&message, &[], "row_key").0.as_deref(), Some("7712"));
}

#[test]
fn each_field_says_where_its_value_is_from() {
    let envelope: Value = serde_json::from_str(ENVELOPE).expect("JSON");
    let mappings = [
        mapping(Some("public.users"), &[("sid", "id")]),
        mapping(
            Some("public.recordings"),
            &[
                ("sid", "recording_sid | sid"),
                ("cname", "channel"),
                ("uid", "recorder"),
                ("region", "storage.region"),
                ("vendor", "vendor"),
                ("recorded_at", "status"),
            ],
        ),
    ];
    let said = |field: &str| said(&envelope, &mappings, field);
    assert_eq!(said("form").0.as_deref(), Some("Debezium"));
    assert_eq!(
        said("mapping"),
        is(
            Some("session_records.mappings[1], table public.recordings"),
            "the first whose `table` fits"
        )
    );
    assert_eq!(
        said("sid"),
        is(
            Some(SID),
            "column `sid`, the first of `recording_sid | sid` with a value"
        )
    );
    assert_eq!(said("cname"), is(Some("room_42"), "column `channel`"));
    assert_eq!(said("uid"), is(None, "the row has no column `recorder`"));
    assert_eq!(said("region"), is(None, "the row has no column `storage`"));
    assert_eq!(said("bucket"), is(None, "the mapping does not name it"));
    assert_eq!(
        said("vendor"),
        is(Some("2 (oss)"), "column `vendor`: a number")
    );
    assert_eq!(
        said("recorded_at"),
        is(None, "column `status` holds no time that can be read")
    );
    assert_eq!(
        said("occurred_at"),
        is(
            Some("2025-11-24T16:10:06.050Z"),
            "when the database committed it"
        )
    );
    assert!(said("columns").0.expect("names").contains("rec_uid"));
}

#[test]
fn a_vendor_says_how_it_was_understood() {
    let fields = [("sid", "sid"), ("vendor", "store"), ("url", "url")];
    let mappings = [mapping(None, &fields)];
    let row = |store: Value, url: &str| json!({"sid": SID, "store": store, "url": url});
    let vendor = |store: Value, url: &str| said(&row(store, url), &mappings, "vendor");
    let ours = "https://files.acme.example/a.mp4";
    let at = "column `store`";
    assert_eq!(
        vendor(json!("Primary"), ""),
        is(
            Some("2 (oss)"),
            &format!("{at}, by `vendors` of the mapping")
        )
    );
    assert_eq!(
        vendor(json!("aws"), ""),
        is(Some("1 (s3)"), &format!("{at}: a name of a vendor"))
    );
    assert_eq!(
        vendor(json!(null), ours),
        is(
            Some("1 (s3)"),
            "the host of `url`, by `hosts` of the mapping"
        )
    );
    assert_eq!(
        vendor(
            json!("mine"),
            "https://acme.oss-cn-beijing.aliyuncs.com/a.mp4"
        ),
        is(
            Some("2 (oss)"),
            "the host of `url`: what column `store` holds is no vendor"
        )
    );
    assert_eq!(
        vendor(json!("mine"), ""),
        is(
            None,
            &format!("{at}: no number and no known name; add it to `vendors` of the mapping")
        )
    );
    assert_eq!(
        vendor(json!("__debezium_unavailable_value"), ""),
        is(
            None,
            "`store` did not change, and the connector did not send it: unknown"
        )
    );
    assert_eq!(
        vendor(json!({"id": 2}), ""),
        is(None, "`store` is an object: name a member of it, `store.x`")
    );
}

#[test]
fn what_cannot_be_mapped_says_why() {
    let row = json!({"id": 7, "name": "Ada"});
    assert_eq!(
        said(&row, &[], "form"),
        is(Some("plain row"), "none of the envelopes")
    );
    assert_eq!(
        said(&row, &[], "outcome").0.as_deref(),
        Some("dead letter, no_mapping")
    );
    assert_eq!(said(&row, &[], "columns").0.as_deref(), Some("id, name"));
    assert_eq!(
        said(&json!(null), &[], "outcome"),
        is(Some("skipped"), "tombstone")
    );
    assert_eq!(
        said(&json!([]), &[], "outcome"),
        is(Some("skipped"), "empty_list")
    );
    assert_eq!(
        said(&json!({"op": "c", "source": {}}), &[], "outcome")
            .0
            .as_deref(),
        Some("dead letter, missing_field")
    );
}

/// The mappings that are shipped, and what customers' rows look like (`domain/state-records.md`, section 4).
#[test]
fn the_shipped_mappings_find_what_customers_write() {
    #[derive(serde::Deserialize)]
    struct File {
        session_records: crate::config::SessionRecords,
    }
    let text = include_str!("../../../../schemas/session_records.mappings.toml");
    let File { session_records } = toml::from_str(text).expect("a configuration");
    let of_table = |table: &str, row: Value| {
        let (schema, table) = table.split_once('.').unwrap_or(("public", table));
        json!({"op": "u", "after": row, "source": {"db": "app", "schema": schema, "table": table, "ts_ms": 1_764_000_606_000_i64}})
    };
    let file = "https://acme.oss-cn-beijing.aliyuncs.com/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_0.mp4";
    let messages = [
        of_table(
            "recordings",
            json!({"channel": "room_42", "sid": SID, "vendor": "primary", "prefix": "tenantA"}),
        ),
        of_table(
            "class_sessions",
            json!({"session_id": 5, "room_id": "room_42", "recording_sid": SID, "audio_file_url": file}),
        ),
        of_table(
            "dbo.Recordings",
            json!({"AgoraRecordingSid": SID, "IsUploadedToS3": false, "RecordingUrl": file}),
        ),
        of_table(
            "calls",
            json!({"channel": "room_42", "recording": {"sid": SID},
            "storage_config": "{\"vendor\":2,\"fileNamePrefix\":[\"tenantA\"]}"}),
        ),
        json!({"channelName": "room_42", "recording": {"sid": SID}, "storage": {"provider": "aliyun", "prefix": "tenantA/"}}),
    ];
    assert_eq!(messages.len(), session_records.mappings.len());
    for (place, message) in messages.iter().enumerate() {
        let said = |field: &str| said(message, &session_records.mappings, field);
        let name = said("mapping").0.expect("a mapping fits");
        assert!(
            name.starts_with(&format!("session_records.mappings[{place}]")),
            "{name}"
        );
        assert_eq!(said("sid").0.as_deref(), Some(SID), "{message}");
        assert_eq!(said("vendor").0.as_deref(), Some("2 (oss)"), "{message}");
        assert_eq!(said("prefix").0.as_deref(), Some("tenantA"), "{message}");
    }
    let flag = of_table(
        "dbo.Recordings",
        json!({"AgoraRecordingSid": SID, "IsUploadedToS3": true}),
    );
    let vendor = said(&flag, &session_records.mappings, "vendor");
    assert_eq!(vendor.0.as_deref(), Some("1 (s3)"));
}
