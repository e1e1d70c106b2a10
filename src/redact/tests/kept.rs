//! Redaction changes nothing that is needed.

use super::*;

fn assert_same(message: &str) {
    assert_eq!(json(message), message);
}

#[test]
fn messages_of_all_streams_keep_what_is_needed() {
    for message in [
        r#"{"requested_at":"2026-11-22T10:00:00.123Z","request":{"method":"POST","url":"https://api.agora.io/v1/apps/0123456789abcdef0123456789abcdef/cloud_recording/resourceid/AbC-_dEf/mode/mix/start","body":{"cname":"room:42 = token: x","uid":"900001","clientRequest":{"recordingConfig":{"maxIdleTime":30,"decryptionMode":7},"recordingFileConfig":{"avFileType":["hls","mp4"]},"storageConfig":{"vendor":1,"region":0,"bucket":"acme-token-rec","stsExpiration":1764000000,"fileNamePrefix":["token","20251124"],"extensionParams":{"sse":"kms","tag":"RETENTION_DAYS=30","endpoint":"https://minio.example:9000"}}}}},"response":{"status":200,"body":{"resourceId":"AbC-_dEf","sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6"}},"error":null,"caller":{"service":"token-service","host":"h-1","attempt":1},"context":{"user_region":"EU"}}"#,
        r#"{"noticeId":"0f3c","productId":3,"eventType":31,"notifyMs":1764000605123,"payload":{"cname":"room_42","uid":"900001","sid":"5b1d","sequence":14,"serviceScene":"postpone_transcode::rtc_record","details":{"msgName":"uploaded","status":0,"fileList":[{"fileName":"tenantA/20251124/5b1d_room_42.m3u8","trackType":"audio_and_video","isPlayable":true}]}}}"#,
        r#"{"Records":[{"eventVersion":"2.5","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2025-11-24T16:10:05.317Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:AIDAEXAMPLE"},"responseElements":{"x-amz-request-id":"REQ1","x-amz-id-2":"HOST1"},"s3":{"bucket":{"name":"secret-rec","ownerIdentity":{"principalId":"A1"},"arn":"arn:aws:s3:::secret-rec"},"object":{"key":"token=a/5b1d_room%3A42.m3u8","size":812,"eTag":"9b2c","sequencer":"0065A1"}}}]}"#,
        r#"{"before":null,"after":{"id":7712,"channel":"room: token=42","resource_id":"rA","sid":"5b1d","vendor":2,"bucket":"acme-oss","status":"uploaded"},"source":{"version":"3.0.0.Final","sequence":"[\"24023119\",\"24023128\"]","table":"recordings","lsn":24023128,"xmin":null},"op":"c","ts_ms":1764000606120}"#,
        r#"{"message":{"attributes":{"eventType":"OBJECT_FINALIZE","notificationConfig":"projects/_/buckets/acme-rec/notificationConfigs/3"},"data":"eyJraW5kIjoic3RvcmFnZSNvYmplY3QiLCJidWNrZXQiOiJhY21lLXJlYyIsIm5hbWUiOiJ0ZW5hbnRBL3hfcm9vbS5tM3U4Iiwic2l6ZSI6IjgxMiJ9","messageId":"157810539096020"}}"#,
        r#"{"source":"acs.oss","type":"oss:ObjectCreated:PutObject","subject":"acs:oss:cn-hangzhou:100200300:acme-rec/a.m3u8","data":{"url":"https://acme.blob.core.windows.net/acme-rec/tenantA/x.mp4"}}"#,
        r#"{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"token"},{"type":"int32","field":"vendor"}]},"payload":{"vendor":2}}"#,
    ] {
        assert_same(message);
    }
}

#[test]
fn harmless_text_stays() {
    for text in [
        "connect timed out after 5000 ms: api.agora.io:443",
        "Basic authentication failed",
        "invalid token (code 110)",
        "HTTP 401: Invalid authentication credentials",
        "GET https://api.agora.io/v1/apps/a/cloud_recording/query returned 404",
        "okhttp/4.9.1 (Linux; Android 13) basic realm=\"x\"",
        "{broken json: yes",
        "[warn] nothing here",
        "a=1&b=2",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "token: null, secret=true",
        "see https://docs.example/#",
    ] {
        let expected = text.trim_end_matches('#');
        assert_eq!(redactor().text(text), expected);
        assert!(
            matches!(redactor().text(expected), Cow::Borrowed(_)),
            "{text}"
        );
    }
}

#[test]
fn text_keeps_all_but_the_secrets() {
    for (text, expected) in [
        (
            "POST https://u:p@h.example/x?token=abc failed: secretKey=abc, stsToken: 'x' at once",
            "POST https://h.example/x?[redacted] failed: secretKey=[redacted], stsToken: '[redacted]' at once",
        ),
        ("a=1&secretKey=abc&b=2", "a=1&secretKey=[redacted]&b=2"),
        ("Basic dTpw", "Basic [redacted]"),
        (
            "got \"Bearer abc.def\" (401)",
            "got \"Bearer [redacted]\" (401)",
        ),
        ("rtmp://h.example/live/key", "rtmp://h.example/[redacted]"),
        (
            "{\"token\":\"a\",\"b\":1}",
            "{\"token\":\"[redacted]\",\"b\":1}",
        ),
        (
            "Authorization: Basic abc\nHost: h",
            "Authorization: [redacted]\nHost: h",
        ),
        ("--token abc --region eu", "--token [redacted] --region eu"),
    ] {
        let redactor = redactor();
        let out = redactor.text(text);
        assert_eq!(out, expected);
        assert_eq!(redactor.text(&out), out);
    }
}

#[test]
fn bytes_keep_what_is_around_a_secret() {
    let cut = br#"{"cname":"room","storageConfig":{"accessKey":"AKIA","secretKey":"s3","vendor":2,"bucket":"b","url":"https:\/\/u:p@h.example\/x?y=1"},"regi"#;
    assert_eq!(
        redactor().bytes(cut),
        r#"{"cname":"room","storageConfig":{"accessKey":"[redacted]","secretKey":"[redacted]","vendor":2,"bucket":"b","url":"https:\/\/h.example\/x?[redacted]"},"regi"#
    );
}

#[test]
fn whitespace_and_unusual_json_stay_as_they_are() {
    for message in [
        "  { \"a\" : [ 1 , -0.5e+10 , \"\\ud83d\\ude00\\/\" , { } , [ ] ] }\n",
        "\"lone \\ud800 surrogate\"",
        "[12345678901234567890123, 1.0, \"\\u0000\", \"é€😀\"]",
        "0",
        "{\"\":{\"\":\"\"}}",
    ] {
        assert_same(message);
    }
}
