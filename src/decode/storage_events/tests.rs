use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::{Micros, Stream};
use crate::table::rows::EventRow;
use crate::table::storage_events::StorageEventRow;

mod clouds;
mod formats;
mod keys;
mod wrappers;

pub(super) const SID: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";
/// 2025-11-24T16:10:05Z.
pub(super) const AT: Micros = 1_764_000_605_000_000;

/// What a message gave, with everything owned.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Event {
        event_id: String,
        occurred_at: Option<Micros>,
        payload: String,
        key: String,
        row: Box<StorageEventRow<'static>>,
    },
    Skipped(SkipReason, String),
    Rejected(RejectCode, String),
}

/// Decodes through the stream's own door.
pub(super) fn given(text: &str) -> Result<Vec<Given>, RejectCode> {
    let mut all = Vec::new();
    let context = DecodeContext::default();
    let mut emit = |decoded: Decoded<'_>| {
        all.push(match decoded {
            Decoded::Event(event) => {
                let EventRow::StorageEvent { key, row } = event.row else {
                    panic!("a row of another stream");
                };
                Given::Event {
                    event_id: event.event_id.into_owned(),
                    occurred_at: event.occurred_at,
                    payload: event.payload.into_owned(),
                    key: key.into_owned(),
                    row: Box::new(owned(row)),
                }
            }
            Decoded::Skipped { reason, payload } => {
                Given::Skipped(reason, payload.unwrap_or_default().into_owned())
            }
            Decoded::Rejected { reject, payload } => {
                Given::Rejected(reject.code, payload.expect("kept").into_owned())
            }
        });
    };
    let outcome = crate::decode::decode(Stream::StorageEvents, text, &context, &mut emit);
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

/// Decodes a message of one event: id, time, key, row. Checks that its payload is the whole message.
pub(super) fn one(text: &str) -> (String, Option<Micros>, String, StorageEventRow<'static>) {
    match given(text).as_deref() {
        Ok(
            [
                Given::Event {
                    event_id,
                    occurred_at,
                    payload,
                    key,
                    row,
                },
            ],
        ) => {
            assert_eq!(payload, text);
            (event_id.clone(), *occurred_at, key.clone(), (**row).clone())
        }
        other => panic!("{text} gave {other:?}"),
    }
}

pub(super) fn text(value: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Owned(value.to_string()))
}

fn owned(row: StorageEventRow<'_>) -> StorageEventRow<'static> {
    let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
    StorageEventRow {
        provider: own(row.provider),
        vendor: row.vendor,
        vendor_name: own(row.vendor_name),
        account: own(row.account),
        bucket: own(row.bucket),
        region_code: own(row.region_code),
        kind: own(row.kind),
        event_name: own(row.event_name),
        size: row.size,
        etag: own(row.etag),
        version: own(row.version),
        sequencer: own(row.sequencer),
        prefix: own(row.prefix),
        file_name: own(row.file_name),
        sid: own(row.sid),
        cname: own(row.cname),
        recorded_uid: own(row.recorded_uid),
        file_type: own(row.file_type),
        failover_index: row.failover_index,
    }
}

/// An S3 record with this key as written.
pub(super) fn s3_record(key: &str) -> serde_json::Value {
    json!({"eventSource": "aws:s3", "eventTime": "2025-11-24T16:10:05Z", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "acme-rec"}, "object": {"key": key}}})
}

#[test]
fn messages_that_mean_nothing_are_skipped() {
    for message in [
        r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2025-11-24T16:10:05.000Z","Bucket":"acme-rec","RequestId":"r","HostId":"h"}"#,
        r#"[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"c"}}]"#,
        r#"{"id":"1","type":"Microsoft.EventGrid.SubscriptionValidationEvent"}"#,
        r#"{"Type":"Notification","Message":"{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\"}"}"#,
        r#"{"Records":[{"eventSource":"OBS","eventName":"TestEvent"}]}"#,
        r#"{"events":[{"eventSource":"acs:oss","eventName":"oss:TestEvent"}]}"#,
    ] {
        let skipped = Given::Skipped(SkipReason::TestMessage, message.to_string());
        assert_eq!(given(message), Ok(vec![skipped]), "{message}");
    }
    for message in [
        r#"{"Records":[]}"#,
        r#"{"events":[]}"#,
        "[]",
        r#"{"Messages":[]}"#,
    ] {
        let skipped = Given::Skipped(SkipReason::EmptyList, message.to_string());
        assert_eq!(given(message), Ok(vec![skipped]), "{message}");
    }
    for message in [
        r#"{"Type":"SubscriptionConfirmation","TopicArn":"t","Message":"You have chosen","SubscribeURL":"u"}"#,
        r#"{"source":"acs.oss","type":"oss:ObjectReplication:ObjectCreated","data":{}}"#,
        r#"{"source":"acs.oss","type":"oss:ActionTrail:ApiCall","data":{}}"#,
        r#"{"source":"acs.oss","type":"oss:BucketCreated:PutBucket","data":{}}"#,
        r#"{"source":"aws.s3","detail-type":"AWS API Call via CloudTrail","detail":{}}"#,
    ] {
        let skipped = Given::Skipped(SkipReason::ControlMessage, message.to_string());
        assert_eq!(given(message), Ok(vec![skipped]), "{message}");
    }
}

#[test]
fn what_is_no_notification_says_why() {
    for (message, code) in [
        ("{}", RejectCode::UnknownShape),
        ("7", RejectCode::NotAnObject),
        ("true", RejectCode::NotAnObject),
        (r#""hello""#, RejectCode::UnknownShape),
        (r#"{"Records":{}}"#, RejectCode::InvalidField),
        (r#"{"events":"x"}"#, RejectCode::InvalidField),
        (r#"{"Records":[7]}"#, RejectCode::NotAnObject),
        (
            r#"{"Records":[{"eventSource":"acme:s3"}]}"#,
            RejectCode::UnknownShape,
        ),
        (
            r#"{"Records":[{"eventSource":"aws:s3"}]}"#,
            RejectCode::MissingField,
        ),
        (
            r#"{"eventSource":"aws:s3","eventSource":"aws:s3"}"#,
            RejectCode::DuplicateKey,
        ),
        (
            r#"{"Type":"Notification","Message":"hello"}"#,
            RejectCode::UnknownShape,
        ),
        (r#"{"body":"{\"Records\":"}"#, RejectCode::InvalidJson),
        (
            r#"{"bucket":"b","key":"k","kind":"moved"}"#,
            RejectCode::InvalidField,
        ),
        (
            r#"{"bucket":"b","key":"","kind":"created"}"#,
            RejectCode::MissingField,
        ),
        (
            r#"{"bucket":"b","key":"k","occurred_at":1}"#,
            RejectCode::MissingField,
        ),
        (
            r#"{"bucket":"b","key":"k","kind":"created","vendor":"dropbox"}"#,
            RejectCode::InvalidField,
        ),
        (
            r#"{"kind":"storage#object","bucket":"b"}"#,
            RejectCode::MissingField,
        ),
        (r#"{"message":null}"#, RejectCode::UnknownShape),
        (r#"{"message":"hello"}"#, RejectCode::UnknownShape),
        (
            r#"{"cos":{"cosBucket":{"name":"b"}},"event":{"eventName":"cos:ObjectCreated:Put"}}"#,
            RejectCode::MissingField,
        ),
        (
            r#"{"eventType":"Microsoft.Storage.BlobCreated","data":{}}"#,
            RejectCode::MissingField,
        ),
    ] {
        assert_eq!(given(message), Err(code), "{message}");
    }
}

#[test]
fn wrong_types_cost_a_field_or_the_one_record() {
    let mut record = s3_record("a.ts");
    record["s3"]["object"]["size"] = json!("812");
    record["s3"]["object"]["eTag"] = json!({});
    record["eventTime"] = json!("soon");
    record["awsRegion"] = json!(["eu"]);
    let (_, occurred_at, _, row) = one(&json!({"Records": [record]}).to_string());
    assert_eq!(
        (occurred_at, row.size, row.etag, row.region_code),
        (None, Some(812), None, None)
    );

    let bad = json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": 5});
    let message = json!({"Records": [s3_record("1.ts"), bad, s3_record("2.ts")]}).to_string();
    let given = given(&message).expect("one record is wrong, not the message");
    let keys: Vec<_> = given
        .iter()
        .map(|given| match given {
            Given::Event { key, .. } => key.as_str(),
            Given::Rejected(RejectCode::MissingField, payload) => {
                assert_eq!(payload, &bad.to_string());
                "bad"
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys, ["1.ts", "bad", "2.ts"]);
}

#[test]
fn wrapping_without_end_is_refused() {
    let mut message = s3_record("a.ts").to_string();
    for _ in 0..=DEPTH_MAX {
        message = format!("[{message}]");
    }
    assert_eq!(given(&message), Err(RejectCode::TooDeep));
}

/// Any JSON, with the names that formats look for among its keys.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let word = prop::sample::select(vec![
        "Records",
        "events",
        "Messages",
        "eventSource",
        "aws:s3",
        "minio:s3",
        "acs:oss",
        "acs.oss",
        "aws.s3",
        "source",
        "type",
        "detail-type",
        "detail",
        "data",
        "s3",
        "oss",
        "cos",
        "cosObject",
        "cosBucket",
        "obs",
        "OBS",
        "HC.OBS.DWR",
        "attributes",
        "bucketId",
        "objectId",
        "eventType",
        "OBJECT_DELETE",
        "Microsoft.Storage.BlobCreated",
        "/containers/c/blobs/k",
        "storage#object",
        "google.cloud.storage.object.v1.deleted",
        "specversion",
        "data_base64",
        "message",
        "url",
        "eventOrigin",
        "bos:realtime",
        "content",
        "event",
        "object",
        "bucket",
        "key",
        "Key",
        "name",
        "kind",
        "created",
        "body",
        "Message",
        "schema",
        "payload",
        "subject",
        "Event",
        "eventName",
        "size",
        "occurred_at",
        "vendor",
        "%2",
        "[",
        "{\"key\":1}",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        word.clone().prop_map(serde_json::Value::from),
        ".{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(key, value)| (key.to_string(), value));
                serde_json::Value::Object(members.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_message_panics_and_every_one_leaves_a_trace(message in any_json()) {
        if let Ok(given) = given(&message.to_string()) {
            prop_assert!(!given.is_empty());
        }
    }

    #[test]
    fn no_text_panics(message in ".{0,60}") {
        let _ = given(&message);
    }
}
