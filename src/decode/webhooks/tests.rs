//! Notifications in every form that was seen, and what is wrong.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{decoded, decoded_with, event, rejected};
use super::*;
use crate::event::{SkipReason, Stream};

const SID: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";

/// The example of `domain/webhooks.md`, section 6.
fn uploaded() -> Value {
    json!({"noticeId": "0f3c9d1e7b5a4c2d8e6f1a2b3c4d5e6f", "productId": 3, "eventType": 31, "notifyMs": 1764000605123_i64,
     "payload": {"cname": "room_42", "uid": "900001", "sid": SID, "sequence": 14,
      "sendts": 1764000604870_i64, "serviceType": 2, "serviceScene": "rtc_record",
      "details": {"msgName": "uploaded", "status": 0, "fileList": [
       {"fileName": "tenantA/20251124/a.m3u8", "trackType": "audio_and_video", "uid": "0",
        "mixedAllUser": true, "isPlayable": true, "sliceStartTime": 1764000001000_i64}]}}})
}

fn row(message: &Value) -> WebhookRow<'static> {
    match event(Stream::Webhooks, &message.to_string()).row {
        EventRow::Webhook(row) => row,
        other => panic!("not a webhook: {other:?}"),
    }
}

/// Decodes a recording event of this type with these details.
fn details(event_type: i32, details: Value) -> WebhookRow<'static> {
    let mut message = uploaded();
    message["eventType"] = json!(event_type);
    message["payload"]["details"] = details;
    row(&message)
}

fn text(text: &'static str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(text))
}

fn files(names: &[&'static str]) -> Option<Vec<Cow<'static, str>>> {
    Some(names.iter().map(|name| Cow::Borrowed(*name)).collect())
}

#[test]
fn a_notification_fills_its_columns() {
    let message = uploaded().to_string();
    let event = event(Stream::Webhooks, &message);
    assert_eq!(event.event_id, "0f3c9d1e7b5a4c2d8e6f1a2b3c4d5e6f");
    assert_eq!(event.occurred_at, Some(1_764_000_604_870_000));
    assert_eq!(event.payload, message);
    let expected = WebhookRow {
        notice_id: text("0f3c9d1e7b5a4c2d8e6f1a2b3c4d5e6f"),
        product_id: Some(3),
        event_type: Some(31),
        event_name: text("uploaded"),
        sid: text(SID),
        cname: text("room_42"),
        uid: text("900001"),
        sequence: Some(14),
        sent_at: Some(1_764_000_604_870_000),
        notified_at: Some(1_764_000_605_123_000),
        service_type: Some(2),
        service_scene: text("rtc_record"),
        signature: text("unchecked"),
        is_test: Some(false),
        status: Some(0),
        files: files(&["tenantA/20251124/a.m3u8"]),
        ..WebhookRow::default()
    };
    assert_eq!(event.row, EventRow::Webhook(expected));
}

#[test]
fn a_wrapper_adds_what_the_receiver_knows() {
    let bare = row(&uploaded());
    for wrapped in [
        json!({"raw_body": uploaded().to_string()}),
        json!({"raw_body": uploaded()}),
        json!({"body": uploaded()}),
        json!({"body": uploaded().to_string(), "raw_body": null}),
        json!({"body": [uploaded()]}),
        json!({"body": uploaded(), "raw_body": "[redacted]"}),
        json!({"raw_body": uploaded().to_string(), "body": {"other": 1}}),
    ] {
        let mut message = wrapped.clone();
        message["received_at"] = json!("2025-11-24T16:10:05.500Z");
        message["headers"] = json!({"content-type": "application/json"});
        message["response_status"] = json!(200);
        message["app_id"] = json!("app1");
        let expected = WebhookRow {
            app_id: text("app1"),
            delivered_at: Some(1_764_000_605_500_000),
            response_status: Some(200),
            ..bare.clone()
        };
        assert_eq!(row(&message), expected, "{wrapped}");
        let message = message.to_string();
        assert_eq!(event(Stream::Webhooks, &message).payload, message);
    }
}

#[test]
fn several_notifications_give_a_row_each_that_decodes_again() {
    let mut other = uploaded();
    other["noticeId"] = json!("n2");
    for message in [
        json!([uploaded(), other]),
        json!({"raw_body": json!([uploaded(), other]).to_string(), "received_at": 1}),
        json!([{"body": uploaded()}, {"body": [other]}]),
    ] {
        let rows = decoded(Stream::Webhooks, &message.to_string()).expect("a list");
        assert_eq!(rows.len(), 2);
        for (one, id) in rows
            .into_iter()
            .zip(["0f3c9d1e7b5a4c2d8e6f1a2b3c4d5e6f", "n2"])
        {
            let Decoded::Event(one) = one else {
                panic!("not an event: {one:?}");
            };
            assert_eq!(one.event_id, id);
            assert_eq!(event(Stream::Webhooks, &one.payload).event_id, id);
        }
    }
}

#[test]
fn empty_lists_are_skipped() {
    for message in ["[]", r#"{"raw_body":"[]"}"#, r#"{"body":[]}"#] {
        let skipped = Decoded::Skipped {
            reason: SkipReason::EmptyList,
            payload: Some(message.into()),
        };
        assert_eq!(decoded(Stream::Webhooks, message), Ok(vec![skipped]));
    }
    let tombstone = decoded(Stream::Webhooks, " null ").expect("a tombstone");
    assert!(matches!(
        tombstone[..],
        [Decoded::Skipped {
            reason: SkipReason::Tombstone,
            ..
        }]
    ));
}

#[test]
fn the_format_before_2019_is_read() {
    let row = row(
        &json!({"notificationId": "n-1", "eventType": 11, "notifyMs": 2, "eventMs": 1560408533119_i64,
        "sid": SID.to_uppercase(), "payload": {"noticeLevel": 1, "sequence": "3", "details": {"exitStatus": 1}}}),
    );
    assert_eq!(row.notice_id, text("n-1"));
    assert_eq!(row.event_name, text("session_exit"));
    assert_eq!(row.sid, text(SID));
    assert_eq!(row.sequence, Some(3));
    assert_eq!(row.exit_status, Some(1));
}

#[test]
fn the_event_time_is_the_first_that_is_there() {
    let at = |message: Value| event(Stream::Webhooks, &message.to_string()).occurred_at;
    let (sent, event_ms, notified) = (1764000604870_i64, 1764000604000_i64, 1764000606000_i64);
    let mut message = json!({"eventType": 1, "notifyMs": notified, "eventMs": event_ms, "payload": {"sendts": sent}});
    assert_eq!(at(message.clone()), Some(sent * 1000));
    message["payload"] = json!({});
    assert_eq!(at(message.clone()), Some(event_ms * 1000));
    message["eventMs"] = json!(null);
    assert_eq!(at(message.clone()), Some(notified * 1000));
    message["notifyMs"] = json!("soon");
    assert_eq!(at(message), None);
}

#[test]
fn a_redelivery_without_notice_id_gets_the_same_id() {
    let id = |message: &Value| event(Stream::Webhooks, &message.to_string()).event_id;
    let mut message = uploaded();
    message["noticeId"] = json!("");
    let first = id(&message);
    assert_eq!(first.len(), 32);
    message["notifyMs"] = json!(1);
    assert_eq!(id(&message), first);
    assert_eq!(
        id(&json!({"received_at": 5, "headers": {"a": "b"}, "body": message})),
        first
    );
    message["payload"]["sequence"] = json!(15);
    assert_ne!(id(&message), first);
}

#[test]
fn details_of_each_event_have_their_columns() {
    let error = details(
        1,
        json!({"module": 1, "errorLevel": 5, "errorCode": "47", "stat": 0, "errorMsg": "upload"}),
    );
    assert_eq!(
        (error.module, error.error_level, error.error_code),
        (Some(1), Some(5), Some(47))
    );
    assert_eq!(error.error_message, text("upload"));
    assert_eq!(
        details(2, json!({"module": 1, "warnCode": 31})).warn_code,
        Some(31)
    );
    let update = details(
        3,
        json!({"status": "5", "recordingMode": 0, "fileList": "a.m3u8"}),
    );
    assert_eq!((update.status, update.files), (Some(5), files(&["a.m3u8"])));
    assert_eq!(
        details(12, json!({"newUid": 4294967295_u32})).new_uid,
        text("4294967295")
    );
    assert_eq!(
        details(33, json!({"progress": 10000})).progress,
        Some(10000)
    );
    assert_eq!(details(41, json!({"leaveCode": 24})).leave_code, Some(24));
    let stream = details(43, json!({"streamUid": 17, "state": 1, "utcMs": 5}));
    assert_eq!(
        (stream.stream_uid, stream.stream_state),
        (text("17"), Some(1))
    );
    assert_eq!(
        details(45, json!({"fileName": "p/a;b.jpg"})).files,
        files(&["p/a;b.jpg"])
    );
    let stopped = details(
        71,
        json!({"code": 3, "message": "start_engine_failed", "fileList": [{"filename": "w.mp4"}]}),
    );
    assert_eq!(
        (stopped.stop_code, stopped.files),
        (Some(3), files(&["w.mp4"]))
    );
    assert_eq!(
        details(72, json!({"limitType": "WebGL"})).result,
        text("WebGL")
    );
    assert_eq!(
        details(73, json!({"reason": "audio_silence"})).result,
        text("audio_silence")
    );
    let transcoded = details(
        81,
        json!({"result": "partial_success",
        "uids": [{"uid": "1", "fileList": [{"fileName": "1.mp4"}]}, {"uid": "2", "fileList": [{"fileName": "2.mp4"}]}]}),
    );
    assert_eq!(
        (transcoded.result, transcoded.files),
        (text("partial_success"), files(&["1.mp4", "2.mp4"]))
    );
    let download = details(
        90,
        json!({"vendor": 2, "region": 1, "bucket": "b", "filename": "a.ts;b.ts;"}),
    );
    assert_eq!(
        (download.vendor, download.vendor_name, download.region),
        (Some(2), text("oss"), Some(1))
    );
    assert_eq!(
        (download.region_code, download.bucket),
        (text("cn-shanghai"), text("b"))
    );
    assert_eq!(download.files, files(&["a.ts", "b.ts"]));
    let publishing = details(100, json!({"rtmpUrl": "[redacted]", "status": "onhold"}));
    assert_eq!(
        (publishing.result, publishing.status),
        (text("onhold"), None)
    );
    let last = details(
        1001,
        json!({"result": "failed", "fileList": [{"fileName": "a.mp4"}]}),
    );
    assert_eq!(
        (last.event_name, last.result),
        (text("postpone_transcode_final_result"), text("failed"))
    );
}

#[test]
fn unknown_events_and_other_products_are_kept() {
    assert_eq!(
        details(48, json!({"msgName": "new_thing"})).event_name,
        text("new_thing")
    );
    assert_eq!(details(62, json!("odd")).event_name, None);
    let mut message = uploaded();
    message["productId"] = json!(1);
    message["payload"] = json!({"channelName": "x"});
    let row = row(&message);
    assert_eq!(
        (row.product_id, row.event_type, row.event_name),
        (Some(1), Some(31), None)
    );
}

#[test]
fn the_consoles_test_is_marked() {
    for (field, value) in [
        ("cname", json!("test_webhook")),
        ("cname", json!("test")),
        ("uid", json!(12121212)),
    ] {
        let mut message = uploaded();
        message["payload"][field] = value;
        assert_eq!(row(&message).is_test, Some(true));
    }
}

#[test]
fn the_signatures_verdict_goes_into_every_row() {
    let message = json!([uploaded(), {"body": uploaded()}]).to_string();
    for (signature, word, id) in [
        (Signature::Valid { key_id: "k" }, "valid", text("k")),
        (Signature::Invalid, "invalid", None),
    ] {
        let context = DecodeContext {
            signature,
            ..DecodeContext::default()
        };
        for one in decoded_with(Stream::Webhooks, &message, &context).expect("a list") {
            let Decoded::Event(Event {
                row: EventRow::Webhook(row),
                ..
            }) = one
            else {
                panic!("not a webhook: {one:?}");
            };
            assert_eq!(
                (row.signature, row.signature_key_id),
                (text(word), id.clone())
            );
        }
    }
}

#[test]
fn what_is_no_notification_says_so() {
    let check = |message: &str, code| {
        let reject = rejected(Stream::Webhooks, message);
        assert_eq!(reject.code, code, "{message}");
        assert!(!reject.detail.contains("s3cr3t"), "{}", reject.detail);
    };
    use RejectCode::*;
    check("{}", UnknownShape);
    check(
        r#"{"request":{"url":"s3cr3t"},"requested_at":1}"#,
        UnknownShape,
    );
    check(r#"{"received_at":1,"body":null}"#, UnknownShape);
    check(r#"{"raw_body":""}"#, UnknownShape);
    check(r#"{"body":{"a":1}}"#, UnknownShape);
    check(r#"{"raw_body":"{\"s3cr3t"}"#, InvalidJson);
    check(r#"{"raw_body":"7"}"#, NotAnObject);
    check(r#"{"noticeId":"s3cr3t"}"#, MissingField);
    check(r#"{"eventType":"s3cr3t","payload":{}}"#, MissingField);
    check(r#"{"eventType":1,"eventType":2}"#, DuplicateKey);
    check(
        r#"{"eventType":1,"payload":{"sid":"s3cr3t","sid":"b"}}"#,
        DuplicateKey,
    );
    check("true", NotAnObject);
    check("[[]]", NotAnObject);
}

proptest! {
    #[test]
    fn a_cut_or_changed_notification_never_panics(at in 0_usize..2000, byte: u8) {
        let text = json!({"raw_body": uploaded().to_string(), "received_at": 1}).to_string();
        let at = at % text.len();
        prop_assert!(decoded(Stream::Webhooks, &text[..at]).is_err() || at == 0);
        let mut bytes = text.into_bytes();
        bytes[at] = byte;
        let secrets = [("k".to_string(), "secret".to_string())];
        check_signature(&bytes, &[("agora-signature", b"00")], &secrets);
        if let Ok(changed) = String::from_utf8(bytes) {
            let _ = decoded(Stream::Webhooks, &changed);
        }
    }
}
