//! Calls as clients log them: the contract's form, its drift, and what is wrong.

use proptest::prelude::*;
use serde_json::json;

use super::super::tests::{decoded, event, rejected};
use super::*;
use crate::event::Stream;
use crate::redact::Redactor;
use crate::redact::outline::Outline;

const START_PATH: &str = "/v1/apps/app1/cloud_recording/resourceid/res-1/mode/mix/start";
const SID: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";

fn row(text: &str) -> ApiCallRow<'static> {
    match event(Stream::ApiCalls, text).row {
        EventRow::ApiCall(row) => row,
        other => panic!("not an API call: {other:?}"),
    }
}

/// Decodes one call made of the least there must be and `more`.
fn call(url: &str, more: serde_json::Value) -> ApiCallRow<'static> {
    row(&call_text(url, more))
}

fn call_text(url: &str, more: serde_json::Value) -> String {
    let mut call = json!({"requested_at": "2026-11-22T10:00:00.123Z", "request": {"url": url}});
    for (key, value) in more.as_object().expect("an object") {
        if key == "body" {
            call["request"]["body"] = value.clone();
        } else {
            call[key] = value.clone();
        }
    }
    call.to_string()
}

fn start_body() -> serde_json::Value {
    json!({"cname": "room_42", "uid": "900001", "clientRequest": {
        "token": "[redacted]",
        "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
        "storageConfig": {
            "vendor": 2, "region": 3, "bucket": "acme-oss", "accessKey": "[redacted]",
            "access_key_fingerprint": "k1:0011", "secretKey": "[redacted]", "stsExpiration": 1795344000,
            "fileNamePrefix": ["tenantA", "20251124"],
            "extensionParams": {"endpoint": "https://u@Minio.Example:9000/x"}}}})
}

#[test]
fn a_start_fills_its_columns() {
    let text = call_text(
        &format!("https://API.agora.io{START_PATH}"),
        json!({
            "event_id": "e-1", "responded_at": 1795341600456_i64, "body": start_body(),
            "response": {"status": 200, "body": {"resourceId": "res-1", "sid": SID.to_uppercase()}},
            "caller": {"service": "rec", "host": "h1", "ip": "10.0.0.1", "region": "eu", "environment": "prod",
                       "version": "1.2", "trace_id": "t", "attempt": "2"},
            "context": {"user_region": "CN", "user_ip": "10.0.0.2", "environment": "app"}}),
    );
    let event = event(Stream::ApiCalls, &text);
    assert_eq!(event.event_id, "e-1");
    assert_eq!(event.occurred_at, Some(1_795_341_600_123_000));
    assert_eq!(event.payload, text);
    let EventRow::ApiCall(mut row) = event.row else {
        panic!("not an API call");
    };
    assert_eq!(row.request_hash.take().map(|hash| hash.len()), Some(32));
    let text = |text: &'static str| Some(Cow::Borrowed(text));
    let expected = ApiCallRow {
        app_id: text("app1"),
        operation: text("start"),
        mode: text("mix"),
        cname: text("room_42"),
        uid: text("900001"),
        resource_id: text("res-1"),
        sid: text(SID),
        requested_at: Some(1_795_341_600_123_000),
        responded_at: Some(1_795_341_600_456_000),
        http_status: Some(200),
        outcome: text("ok"),
        vendor: Some(2),
        vendor_name: text("oss"),
        region: Some(3),
        region_code: text("cn-beijing"),
        bucket: text("acme-oss"),
        endpoint: text("minio.example:9000"),
        prefix: text("tenantA/20251124"),
        access_key_fingerprint: text("k1:0011"),
        sts_expires_at: Some(1_795_344_000_000_000),
        av_file_types: Some(vec!["hls".into(), "mp4".into()]),
        request_host: text("api.agora.io"),
        caller_service: text("rec"),
        caller_host: text("h1"),
        caller_ip: text("10.0.0.1"),
        caller_region: text("eu"),
        caller_environment: text("prod"),
        caller_version: text("1.2"),
        caller_trace_id: text("t"),
        caller_attempt: Some(2),
        context_user_region: text("CN"),
        context_user_ip: text("10.0.0.2"),
        context_environment: text("app"),
        ..ApiCallRow::default()
    };
    assert_eq!(row, expected);
}

#[test]
fn a_call_is_read_from_its_outline_alone() {
    let text = call_text(
        START_PATH,
        json!({"body": start_body(), "response": {"status": 200}}),
    );
    let (mut redacted, mut outline) = (String::new(), Outline::default());
    let outcome =
        Redactor::new(None).json_with_outline(text.as_bytes(), &mut redacted, &mut outline);
    outcome.expect("the call is JSON");
    let outlined = outline.of(&redacted).expect("it is short");
    type InOnePass<'a> = Call<'a, Body<'a, RequestBody<'a>>, Body<'a, ResponseBody<'a>>>;
    let call = from_outline::<InOnePass<'_>>(&outlined).expect("nothing asks for the text");
    assert!(
        call.request
            .0
            .is_some_and(|request| matches!(request.body, Body::Read(_)))
    );
}

#[test]
fn a_body_may_be_a_string_and_an_uid_a_number() {
    let mut body = start_body();
    body["uid"] = json!(900001);
    let as_object = call(START_PATH, json!({"body": body}));
    let as_string = call(START_PATH, json!({"body": body.to_string()}));
    assert_eq!(as_string, as_object);
    assert_eq!(as_string.uid.as_deref(), Some("900001"));

    let response = json!({"sid": SID, "cname": "room_42", "uid": 7, "resourceId": "r"});
    let answered = json!({"response": {"status": "200", "body": response.to_string()}});
    let row = call(START_PATH, answered);
    assert_eq!(row.sid.as_deref(), Some(SID));
    assert_eq!(row.cname.as_deref(), Some("room_42"));
    assert_eq!(row.uid.as_deref(), Some("7"));
    assert_eq!(row.outcome.as_deref(), Some("ok"));
}

#[test]
fn a_broken_body_keeps_the_row() {
    for body in [
        json!("{\"cname\": \"roo"),
        json!("<html>502</html>"),
        json!([1]),
        json!(7),
        json!(""),
    ] {
        let more = json!({"body": body, "response": {"status": 502, "body": body}});
        let row = call(START_PATH, more);
        assert_eq!(row.operation.as_deref(), Some("start"));
        assert_eq!(row.resource_id.as_deref(), Some("res-1"));
        assert_eq!(row.outcome.as_deref(), Some("indeterminate"));
        assert_eq!(row.cname, None);
    }
}

#[test]
fn a_start_without_response_or_sid_is_indeterminate() {
    for response in [
        json!(null),
        json!({}),
        json!("none"),
        json!({"status": null}),
        json!({"status": 200, "body": {"sid": ""}}),
        json!({"status": 500, "body": {"sid": "", "code": 15}}),
    ] {
        let row = call(
            START_PATH,
            json!({"response": response, "error": "timeout"}),
        );
        assert_eq!(row.outcome.as_deref(), Some("indeterminate"), "{response}");
        assert_eq!(row.sid, None);
        assert_eq!(row.error.as_deref(), Some("timeout"));
    }
    assert_eq!(
        call(START_PATH, json!({})).outcome.as_deref(),
        Some("indeterminate")
    );
}

#[test]
fn errors_keep_code_and_reason() {
    let answer = |status, body: serde_json::Value| {
        call(
            START_PATH,
            json!({"response": {"status": status, "body": body}}),
        )
    };
    let conflict = answer(
        400,
        json!({"code": 53, "reason": "conflict", "cname": "room_42"}),
    );
    assert_eq!(conflict.code, Some(53));
    assert_eq!(conflict.reason_text.as_deref(), Some("conflict"));
    assert_eq!(conflict.outcome.as_deref(), Some("conflict"));
    let gateway = answer(401, json!({"message": "Unauthorized"}));
    assert_eq!(gateway.reason_text.as_deref(), Some("Unauthorized"));
    assert_eq!(gateway.outcome.as_deref(), Some("rejected"));
}

#[test]
fn an_acquire_shows_the_storage_of_its_start_parameter() {
    let storage = json!({"vendor": "1", "region": "0", "bucket": "b", "fileNamePrefix": "a/b/",
        "access_key_fingerprint": "k1:2"});
    let row = call(
        "/v1/apps/app1/cloud_recording/acquire",
        json!({"body": {"cname": "c", "uid": "1", "clientRequest": {
            "resourceExpiredHour": 24, "regionAffinity": 1, "excludeResourceIds": ["r0"],
            "startParameter": {"storageConfig": storage}}},
            "response": {"status": 200, "body": {"resourceId": "r1"}}}),
    );
    assert_eq!(row.operation.as_deref(), Some("acquire"));
    assert_eq!(row.mode, None);
    assert_eq!(row.resource_id.as_deref(), Some("r1"));
    assert_eq!(row.outcome.as_deref(), Some("ok"));
    assert_eq!(row.vendor, None);
    assert_eq!(row.start_parameter_vendor, Some(1));
    assert_eq!(row.start_parameter_vendor_name.as_deref(), Some("s3"));
    assert_eq!(
        row.start_parameter_region_code.as_deref(),
        Some("us-east-1")
    );
    assert_eq!(row.start_parameter_bucket.as_deref(), Some("b"));
    assert_eq!(row.start_parameter_prefix.as_deref(), Some("a/b"));
    assert_eq!(
        row.start_parameter_access_key_fingerprint.as_deref(),
        Some("k1:2")
    );
    assert_eq!(row.resource_expired_hour, Some(24));
    assert_eq!(row.recorder_region.as_deref(), Some("1"));
    assert_eq!(row.exclude_resource_ids, Some(vec!["r0".into()]));
    assert_eq!(row.request_hash, None);
}

#[test]
fn an_update_may_carry_new_storage() {
    let row = call(
        &format!("/v1/apps/app1/cloud_recording/resourceid/r/sid/{SID}/mode/mix/update"),
        json!({"body": {"clientRequest": {"storageConfig": {"vendor": 1, "region": 99, "fileNamePrefix": []}}}}),
    );
    assert_eq!(row.operation.as_deref(), Some("update"));
    assert_eq!(row.vendor_name.as_deref(), Some("s3"));
    assert_eq!(row.region, Some(99));
    assert_eq!(row.region_code, None);
    assert_eq!(row.prefix, None);
}

#[test]
fn an_endpoint_of_amazon_is_amazon_s3() {
    let storage = |endpoint: &str| {
        json!({"body": {"clientRequest": {"storageConfig":
            {"vendor": 11, "region": 0, "bucket": "b", "extensionParams": {"endpoint": endpoint}}}}})
    };
    let row = call(START_PATH, storage("https://s3.eu-west-1.amazonaws.com/"));
    assert_eq!((row.vendor, row.region), (Some(1), Some(4)));
    assert_eq!(row.vendor_name.as_deref(), Some("s3"));
    assert_eq!(row.region_code.as_deref(), Some("eu-west-1"));
    assert_eq!(row.endpoint.as_deref(), Some("s3.eu-west-1.amazonaws.com"));
    let row = call(START_PATH, storage("minio.example:9000"));
    assert_eq!((row.vendor, row.region), (Some(11), Some(0)));
}

#[test]
fn a_stop_or_query_says_what_was_uploaded() {
    let stop = format!("/v1/apps/app1/cloud_recording/resourceid/r/sid/{SID}/mode/web/stop");
    for (server_response, status, files) in [
        (
            json!({"uploadingStatus": "uploaded", "fileListMode": "string", "fileList": "p/a.m3u8"}),
            "uploaded",
            vec!["p/a.m3u8"],
        ),
        (
            json!({"uploadingStatus": "unknow", "fileList": [{"fileName": "a.m3u8"}, {"filename": "b.mp4"}]}),
            "unknown",
            vec!["a.m3u8", "b.mp4"],
        ),
        (
            json!({"extensionServiceState": [
                {"serviceName": "web_recorder_service", "playload": {"state": "exit", "fileList": [{"filename": "w.m3u8"}]}},
                {"serviceName": "upload_service", "payload": {"uploadingStatus": "backuped"}}]}),
            "backuped",
            vec!["w.m3u8"],
        ),
    ] {
        let row = call(
            &stop,
            json!({"response": {"status": 200, "body": {"serverResponse": server_response}}}),
        );
        assert_eq!(row.uploading_status.as_deref(), Some(status));
        assert_eq!(
            row.files,
            Some(files.into_iter().map(Cow::Borrowed).collect())
        );
        assert_eq!(row.sid.as_deref(), Some(SID));
    }
    let query = stop.replace("stop", "query");
    let row = call(
        &query,
        json!({"response": {"status": 200, "body": {"serverResponse": {"status": "5"}}}}),
    );
    assert_eq!(row.recording_status, Some(5));
    assert_eq!((row.uploading_status, row.files), (None, None));
}

#[test]
fn what_no_operation_fits_is_kept() {
    let row = call(
        "/v1/ncs/ip",
        json!({"app_id": "app9", "response": {"status": 200, "body": "ok"}}),
    );
    assert_eq!(row.operation.as_deref(), Some("other"));
    assert_eq!(row.app_id.as_deref(), Some("app9"));
    assert_eq!(row.outcome.as_deref(), Some("ok"));
}

#[test]
fn odd_types_of_fields_that_only_inform_are_absent() {
    let row = call(
        START_PATH,
        json!({"event_id": {}, "caller": {"attempt": "x", "region": ["eu"], "service": 5}, "context": "none",
            "responded_at": "late",
            "body": {"cname": ["c"], "clientRequest": {"storageConfig": {"vendor": "oss", "region": "abc",
                "bucket": {}, "extensionParams": "x"}}}}),
    );
    assert_eq!(row.caller_attempt, None);
    assert_eq!(row.caller_region, None);
    assert_eq!(row.caller_service.as_deref(), Some("5"));
    assert_eq!(
        (row.vendor, row.region, row.bucket, row.cname),
        (None, None, None, None)
    );
    assert_eq!(row.responded_at, None);
}

#[test]
fn what_an_event_needs_is_asked_for_by_name() {
    let check = |text: &str, code, part: &str| {
        let reject = rejected(Stream::ApiCalls, text);
        assert_eq!(reject.code, code, "{text}");
        assert!(reject.detail.contains(part), "{}", reject.detail);
        assert!(!reject.detail.contains("s3cr3t"), "{}", reject.detail);
    };
    use RejectCode::*;
    check(
        r#"{"request":{"url":"/x"}}"#,
        MissingField,
        "`requested_at`",
    );
    check(
        r#"{"requested_at":null,"request":{"url":"/x"}}"#,
        MissingField,
        "`requested_at`",
    );
    check(
        r#"{"requested_at":"s3cr3t","request":{"url":"/x"}}"#,
        InvalidField,
        "`requested_at`",
    );
    check(r#"{"requested_at":1}"#, MissingField, "`request.url`");
    check(
        r#"{"requested_at":1,"request":{"url":""}}"#,
        MissingField,
        "`request.url`",
    );
    check(
        r#"{"requested_at":1,"request":"s3cr3t"}"#,
        MissingField,
        "`request.url`",
    );
    check(
        r#"{"requested_at":1,"requested_at":"s3cr3t"}"#,
        DuplicateKey,
        "`requested_at`",
    );
    let body = r#"{"cname":"a","cname":"s3cr3t"}"#;
    check(
        &format!(r#"{{"requested_at":1,"request":{{"url":"/x","body":{body}}}}}"#),
        DuplicateKey,
        "`request.body`",
    );
    check(
        "{\"requested_at\":1,\"request\":{\"url\":\"s3cr3t",
        InvalidJson,
        "ends in the middle",
    );
    check("{\"s3cr3t\" 1}", InvalidJson, "not JSON");
    check("{} s3cr3t", InvalidJson, "not JSON");
    check("\"s3cr3t\"", NotAnObject, "object");
    check("[1]", NotAnObject, "object");
}

#[test]
fn a_list_of_calls_gives_a_row_each() {
    let good = call_text(START_PATH, json!({}));
    let list = format!("[{good}, 7, {{}}, {good}]");
    let outcome = decoded(Stream::ApiCalls, &list).expect("the list is one");
    assert_eq!(outcome.len(), 4);
    for (index, one) in outcome.iter().enumerate() {
        match one {
            Decoded::Event(event) => assert_eq!(event.payload, good),
            Decoded::Rejected { reject, payload } => {
                let expected = [
                    None,
                    Some((RejectCode::NotAnObject, "7")),
                    Some((RejectCode::MissingField, "{}")),
                ];
                assert_eq!(
                    expected[index],
                    Some((reject.code, payload.as_deref().expect("kept")))
                );
            }
            Decoded::Skipped { .. } => panic!("nothing is skipped"),
        }
    }
    let alone = format!(" [{good}]");
    assert_eq!(event(Stream::ApiCalls, &alone).payload, alone);
    assert_eq!(
        event(Stream::ApiCalls, &alone).event_id,
        event(Stream::ApiCalls, &good).event_id
    );
}

#[test]
fn ids_and_hashes_do_not_depend_on_host_or_fingerprint() {
    let with = |fingerprint: &str, bucket: &str| {
        let body = json!({"clientRequest": {"storageConfig": {
            "bucket": bucket, "accessKey": "[redacted]", "access_key_fingerprint": fingerprint}}});
        call_text(START_PATH, json!({"body": body}))
    };
    let (one, other) = (with("k1:1", "b"), with("k2:2", "b"));
    assert_eq!(
        event(Stream::ApiCalls, &one).event_id,
        event(Stream::ApiCalls, &other).event_id
    );
    assert_eq!(row(&one).request_hash, row(&other).request_hash);
    assert_ne!(row(&one).request_hash, row(&with("k1:1", "c")).request_hash);
}

proptest! {
    #[test]
    fn a_cut_or_changed_call_never_panics(at in 0_usize..2000, byte: u8) {
        let text = call_text(START_PATH, json!({"body": start_body().to_string(), "response": {"status": 200}}));
        let at = at % text.len();
        prop_assert!(decoded(Stream::ApiCalls, &text[..at]).is_err() || at == 0);
        let mut bytes = text.into_bytes();
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            let _ = decoded(Stream::ApiCalls, &changed);
        }
    }
}
