use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Mapping;
use crate::decode::DecodeContext;
use crate::event::{Micros, Stream};
use crate::table::session_records::SessionRecordRow;

mod configured;
mod explained;
mod mongodb;
mod mysql;
mod no_records;
mod values;

const SID: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";
/// When the record was received, where a test says nothing else.
const RECEIVED: Micros = 1_764_009_999_000_000;

const ENVELOPE: &str = r#"{"before":null,"after":{"id":7712,"channel":"room_42","rec_uid":"900001","resource_id":"rA","sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6","vendor":2,"bucket":"acme-oss","prefix":"tenantA","status":"uploaded","updated_at":1764000606000},"source":{"version":"3.0.0.Final","connector":"postgresql","name":"app","ts_ms":1764000606050,"snapshot":"false","db":"app","sequence":"[\"24023119\",\"24023128\"]","schema":"public","table":"recordings","txId":555,"lsn":24023128,"xmin":null},"transaction":null,"op":"c","ts_ms":1764000606120}"#;
const FLATTENED: &str = r#"{"id":7712,"channel":"room_42","rec_uid":"900001","sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6","vendor":1,"bucket":"acme-rec","status":"uploaded","__op":"u","__source_ts_ms":1764000700000}"#;

/// What a message gave, with everything owned.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    Event {
        event_id: String,
        occurred_at: Option<Micros>,
        payload: String,
        row: Box<SessionRecordRow<'static>>,
    },
    Skipped(SkipReason),
    Rejected(RejectCode),
}

/// Decodes through the stream's own door.
fn given(text: &str, key: Option<&str>, mappings: &[Mapping]) -> Result<Vec<Given>, RejectCode> {
    let mut all = Vec::new();
    let context = DecodeContext {
        mappings,
        key,
        received_at: Some(RECEIVED),
        ..DecodeContext::default()
    };
    let mut emit = |decoded: Decoded<'_>| {
        all.push(match decoded {
            Decoded::Event(event) => {
                let EventRow::SessionRecord { row, .. } = event.row else {
                    panic!("a row of another stream");
                };
                Given::Event {
                    event_id: event.event_id.into_owned(),
                    occurred_at: event.occurred_at,
                    payload: event.payload.into_owned(),
                    row: Box::new(owned(row)),
                }
            }
            Decoded::Skipped { reason, .. } => Given::Skipped(reason),
            Decoded::Rejected { reject, .. } => Given::Rejected(reject.code),
        });
    };
    let outcome = crate::decode::decode(Stream::SessionRecords, text, &context, &mut emit);
    match outcome {
        Ok(()) => Ok(all),
        Err(reject) => {
            assert!(
                all.is_empty(),
                "a dead letter of the whole message emits nothing"
            );
            Err(reject.code)
        }
    }
}

/// Returns the fields that a message says are null.
fn emptied(text: &str, mappings: &[Mapping]) -> String {
    let mut emptied = String::new();
    let context = DecodeContext {
        mappings,
        ..DecodeContext::default()
    };
    let mut emit = |decoded: Decoded<'_>| {
        if let Decoded::Event(event) = decoded
            && let EventRow::SessionRecord { emptied: names, .. } = event.row
        {
            emptied = names.into_owned();
        }
    };
    crate::decode::decode(Stream::SessionRecords, text, &context, &mut emit).expect("is an event");
    emptied
}

type One = (String, Option<Micros>, SessionRecordRow<'static>);

/// Decodes a message of one event. Checks that its payload is the whole message.
fn one_of(text: &str, key: Option<&str>, mappings: &[Mapping]) -> One {
    match given(text, key, mappings).as_deref() {
        Ok(
            [
                Given::Event {
                    event_id,
                    occurred_at,
                    payload,
                    row,
                },
            ],
        ) => {
            assert_eq!(payload, text);
            (event_id.clone(), *occurred_at, (**row).clone())
        }
        other => panic!("{text} gave {other:?}"),
    }
}

fn one(text: &str) -> One {
    one_of(text, None, &[])
}

fn text(value: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Owned(value.to_string()))
}

fn owned(row: SessionRecordRow<'_>) -> SessionRecordRow<'static> {
    let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
    SessionRecordRow {
        source_table: own(row.source_table),
        row_key: own(row.row_key),
        change: own(row.change),
        app_id: own(row.app_id),
        sid: own(row.sid),
        cname: own(row.cname),
        uid: own(row.uid),
        resource_id: own(row.resource_id),
        vendor: row.vendor,
        vendor_name: own(row.vendor_name),
        bucket: own(row.bucket),
        region: own(row.region),
        prefix: own(row.prefix),
        url: own(row.url),
        status: own(row.status),
        recorded_at: row.recorded_at,
    }
}

/// The row of the documented envelope.
fn mismatch() -> SessionRecordRow<'static> {
    SessionRecordRow {
        source_table: text("app.public.recordings"),
        row_key: text("7712"),
        change: text("insert"),
        sid: text(SID),
        cname: text("room_42"),
        uid: text("900001"),
        resource_id: text("rA"),
        vendor: Some(2),
        vendor_name: text("oss"),
        bucket: text("acme-oss"),
        prefix: text("tenantA"),
        status: text("uploaded"),
        recorded_at: Some(1_764_000_606_000_000),
        ..SessionRecordRow::default()
    }
}

#[test]
fn the_envelope_is_read_with_and_without_schema() {
    let (event_id, occurred_at, row) = one(ENVELOPE);
    assert_eq!(event_id.len(), 32);
    assert_eq!(occurred_at, Some(1_764_000_606_050_000));
    assert_eq!(row, mismatch());

    let schema = json!({"type": "struct", "name": "app.public.recordings.Envelope"});
    let wrapped = format!("{{\"schema\":{schema},\"payload\":{ENVELOPE}}}");
    let key = r#"{"schema":{"type":"struct"},"payload":{"id":7712}}"#;
    assert_eq!(
        one_of(&wrapped, Some(key), &[]),
        (event_id, occurred_at, mismatch())
    );
}

#[test]
fn the_flattened_row_is_read() {
    let (_, occurred_at, row) = one(FLATTENED);
    assert_eq!(occurred_at, Some(1_764_000_700_000_000));
    let expected = SessionRecordRow {
        source_table: None,
        change: text("update"),
        resource_id: None,
        vendor: Some(1),
        vendor_name: text("s3"),
        bucket: text("acme-rec"),
        prefix: None,
        recorded_at: None,
        ..mismatch()
    };
    assert_eq!(row, expected);

    let mut message: Value = serde_json::from_str(FLATTENED).expect("JSON");
    message["__table"] = json!("recordings");
    message["__deleted"] = json!("true");
    let (_, _, row) = one(&message.to_string());
    assert_eq!(
        (row.source_table, row.change),
        (text("recordings"), text("delete"))
    );
}

#[test]
fn a_plain_row_is_its_latest_state() {
    let message = json!({"channelName": "room_42", "recordingSid": SID.to_uppercase(), "appId": "a1", "storageVendor": "aliyun",
        "region": "cn-hangzhou", "bucketName": "acme-oss", "filePrefix": "/tenantA/", "recordingStatus": "uploaded",
        "createdAt": "2025-11-24 16:00:00", "updatedAt": "2025-11-24T16:10:06Z"});
    let (_, occurred_at, row) = one(&message.to_string());
    assert_eq!(occurred_at, Some(1_764_000_606_000_000));
    let expected = SessionRecordRow {
        source_table: None,
        row_key: None,
        change: text("update"),
        app_id: text("a1"),
        uid: None,
        resource_id: None,
        region: text("cn-hangzhou"),
        ..mismatch()
    };
    assert_eq!(row, expected);
}

#[test]
fn the_time_of_the_change_falls_back_step_by_step() {
    let mut message: Value = serde_json::from_str(ENVELOPE).expect("JSON");
    message["source"]["ts_ms"] = json!("1764000606051");
    assert_eq!(one(&message.to_string()).1, Some(1_764_000_606_051_000));
    message["source"]["ts_ms"] = json!(0);
    assert_eq!(one(&message.to_string()).1, Some(1_764_000_606_000_000));
    message["after"]["updated_at"] = Value::Null;
    assert_eq!(one(&message.to_string()).1, Some(RECEIVED));
    assert_eq!(one(&format!("{{\"sid\":\"{SID}\"}}")).1, Some(RECEIVED));
}

#[test]
fn a_delete_tells_what_was_there() {
    let mut message: Value = serde_json::from_str(ENVELOPE).expect("JSON");
    message["op"] = json!("d");
    message["before"] = message["after"].take();
    let (_, _, row) = one(&message.to_string());
    let expected = SessionRecordRow {
        change: text("delete"),
        ..mismatch()
    };
    assert_eq!(row, expected);

    // Without REPLICA IDENTITY FULL only the key is known; columns that must not be null hold what the connector makes up.
    let made_up = json!({"id": 7712, "channel": "", "rec_uid": 0, "sid": null, "vendor": null, "status": "recording",
        "updated_at": "1970-01-01T00:00:00.000000Z"});
    for before in [Value::Null, json!({"id": 7712}), made_up] {
        message["before"] = before;
        let (_, _, row) = one_of(&message.to_string(), Some(r#"{"id":7712}"#), &[]);
        let expected = SessionRecordRow {
            source_table: text("app.public.recordings"),
            row_key: text("7712"),
            change: text("delete"),
            ..SessionRecordRow::default()
        };
        assert_eq!(row, expected);
    }
}

#[test]
fn snapshots_are_told_from_inserts() {
    for (op, flag, change) in [
        ("r", json!("true"), "snapshot"),
        ("r", json!(false), "snapshot"),
        ("c", json!(true), "snapshot"),
        ("r", json!("last"), "snapshot"),
        ("c", json!("false"), "insert"),
        ("u", Value::Null, "update"),
    ] {
        let mut message: Value = serde_json::from_str(ENVELOPE).expect("JSON");
        message["op"] = json!(op);
        message["source"]["snapshot"] = flag;
        assert_eq!(one(&message.to_string()).2.change, text(change));
    }
}

#[test]
fn redeliveries_and_repeated_snapshots_have_one_id() {
    let id = |change: &dyn Fn(&mut Value)| {
        let mut message: Value = serde_json::from_str(ENVELOPE).expect("JSON");
        change(&mut message);
        one(&message.to_string()).0
    };
    let first = id(&|_| {});
    assert_eq!(first, id(&|message| message["ts_ms"] = json!(1)));
    assert_ne!(first, id(&|message| message["source"]["lsn"] = json!(1)));
    assert_ne!(first, id(&|message| message["after"]["vendor"] = json!(1)));
    assert_ne!(first, id(&|message| message["after"]["id"] = json!(1)));
    assert_ne!(
        first,
        id(&|message| message["source"]["table"] = json!("other"))
    );

    let snapshot = |lsn: i64, vendor: i32| {
        id(&|message| {
            message["op"] = json!("r");
            message["source"]["lsn"] = json!(lsn);
            message["source"]["ts_ms"] = json!(lsn);
            message["after"]["vendor"] = json!(vendor);
        })
    };
    assert_eq!(
        snapshot(1_764_000_606_050, 2),
        snapshot(1_764_000_999_000, 2)
    );
    assert_ne!(
        snapshot(1_764_000_606_050, 2),
        snapshot(1_764_000_606_050, 1)
    );

    let flattened = |op: &str, at: i64| {
        let mut message: Value = serde_json::from_str(FLATTENED).expect("JSON");
        message["__op"] = json!(op);
        message["__source_ts_ms"] = json!(at);
        message["__ts_ms"] = json!(at + 7);
        one(&message.to_string()).0
    };
    assert_eq!(
        flattened("r", 1_764_000_700_000),
        flattened("r", 1_764_000_800_000)
    );
    assert_ne!(
        flattened("u", 1_764_000_700_000),
        flattened("u", 1_764_000_800_000)
    );
}

#[test]
fn a_document_as_text_is_read() {
    let after = json!({"_id": "a7", "sid": SID}).to_string();
    let message =
        json!({"after": after, "op": "c", "source": {"db": "app", "collection": "recordings"}});
    let row = one(&message.to_string()).2;
    assert_eq!(row.source_table, text("app.recordings"));
    assert_eq!((row.row_key, row.sid), (text("a7"), text(SID)));
}

/// Any JSON, with the names that formats look for among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "op",
        "c",
        "d",
        "r",
        "before",
        "after",
        "source",
        "ts_ms",
        "lsn",
        "file",
        "pos",
        "table",
        "schema",
        "payload",
        "__op",
        "__deleted",
        "__source_ts_ms",
        "id",
        "sid",
        "cname",
        "vendor",
        "bucket",
        "url",
        "prefix",
        "https://a@b:c/d?e",
        "://",
        "s3://",
        "%",
        "updated_at",
        "{\"sid\":1}",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8).prop_map(|members| {
                Value::Object(
                    members
                        .into_iter()
                        .map(|(key, value)| (key.to_string(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_message_panics_and_every_one_leaves_a_trace(message in any_json(), key in any_json(), path in ".{0,9}") {
        let fields = BTreeMap::from([("sid".to_string(), path.clone()), ("url".to_string(), format!("after.{path}|url"))]);
        let mapping = Mapping { fields, ..Mapping::default() };
        let (message, key) = (message.to_string(), key.to_string());
        for mappings in [&[][..], &[mapping]] {
            if let Ok(given) = given(&message, Some(&key), mappings) {
                prop_assert!(!given.is_empty());
            }
        }
    }
}

#[test]
fn an_update_names_what_it_empties_and_no_more() {
    let said = |row: serde_json::Value| emptied(&row.to_string(), &[]);
    let row = json!({"cname": "room_42", "sid": "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6", "uid": null, "vendor": 2, "bucket": " ",
        "url": null});
    assert_eq!(said(row.clone()), "uid,bucket,url");
    // One of two names has a value; a customer's own session id says nothing of ours; a URL tells the vendor.
    let mut other = row;
    other["recording_uid"] = json!(7);
    other["session_id"] = json!(null);
    other["bucket"] = json!({"name": "acme"});
    other["vendor"] = json!(null);
    other["url"] = json!("https://acme-rec.s3.amazonaws.com/a.m3u8");
    assert_eq!(said(other.clone()), "");
    other["__op"] = json!("c");
    other["__source_ts_ms"] = json!(1_764_000_700_000_i64);
    other["cname"] = json!(null);
    assert_eq!(said(other), "", "an insert leaves nothing out");

    let mapping = Mapping {
        fields: [
            ("sid", "sid"),
            ("bucket", "storage.bucket|old_bucket"),
            ("status", "state"),
        ]
        .map(|(field, path)| (field.to_string(), path.to_string()))
        .into(),
        ..Mapping::default()
    };
    let said = |row: serde_json::Value| emptied(&row.to_string(), std::slice::from_ref(&mapping));
    assert_eq!(
        said(json!({"sid": "s", "storage": {"bucket": null}, "status": null})),
        "bucket"
    );
    assert_eq!(
        said(json!({"sid": "s", "storage": {}, "state": ""})),
        "status"
    );
    let unavailable = "__debezium_unavailable_value";
    assert_eq!(
        said(json!({"sid": "s", "storage": {"bucket": null}, "old_bucket": unavailable})),
        ""
    );
}
