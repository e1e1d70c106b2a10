//! Messages of the four streams, each with the event id that its row must show.

use serde_json::json;
use tapetrail::event::Stream;

/// A message, and the `event_id` that its producer gave it; none where the stream's format has no place for one.
#[derive(Debug, Clone)]
pub struct Message {
    pub value: String,
    pub event_id: Option<String>,
}

/// Returns message number `n` of a stream; another number, another event.
pub fn message(stream: Stream, n: u64) -> Message {
    let event_id = format!("{stream}-{n}");
    let value = match stream {
        Stream::ApiCalls => api_call(&event_id, n),
        Stream::Webhooks => webhook(&event_id, n),
        Stream::StorageEvents => storage_event(&event_id, n),
        Stream::SessionRecords => session_record(n),
        Stream::Audits | Stream::UploadStatus => unreachable!("they do not come by Kafka"),
    };
    Message {
        value: value.to_string(),
        event_id: (stream != Stream::SessionRecords).then_some(event_id),
    }
}

/// 2026-11-20T00:00:00Z and one second for each number.
fn at_ms(n: u64) -> u64 {
    1_795_132_800_000 + n * 1_000
}

fn sid(n: u64) -> String {
    format!("{:032x}", 0x5eed_0000_0000_u64 + n)
}

const APP: &str = "0123456789abcdef0123456789abcdef";

fn api_call(event_id: &str, n: u64) -> serde_json::Value {
    let resource = format!("resource-{n}");
    json!({
        "event_id": event_id,
        "requested_at": at_ms(n),
        "responded_at": at_ms(n) + 180,
        "request": {
            "method": "POST",
            "url": format!("https://api.agora.io/v1/apps/{APP}/cloud_recording/resourceid/{resource}/mode/mix/start"),
            "headers": {"Content-Type": "application/json"},
            "body": {
                "cname": format!("room-{n}"),
                "uid": "527841",
                "clientRequest": {
                    "recordingConfig": {"channelType": 0, "streamTypes": 2, "maxIdleTime": 30},
                    "storageConfig": {
                        "vendor": 2, "region": 1, "bucket": "calls-oss", "accessKey": "LTAI-key",
                        "secretKey": "oss-secret", "fileNamePrefix": ["calls", "2026"],
                    },
                },
            },
        },
        "response": {"status": 200, "body": {"resourceId": resource, "sid": sid(n)}},
        "caller": {"service": "recorder-api", "host": "pod-7", "trace_id": format!("trace-{n}"), "attempt": 1},
    })
}

fn webhook(notice_id: &str, n: u64) -> serde_json::Value {
    json!({
        "noticeId": notice_id,
        "productId": 3,
        "eventType": 31,
        "notifyMs": at_ms(n) + 500,
        "payload": {
            "cname": format!("room-{n}"), "uid": "527841", "sid": sid(n), "sequence": 4, "sendts": at_ms(n),
            "serviceType": 2,
            "details": {"msgName": "uploaded", "fileList": [], "status": 0},
        },
    })
}

fn storage_event(event_id: &str, n: u64) -> serde_json::Value {
    json!({
        "event_id": event_id,
        "occurred_at": at_ms(n),
        "kind": "created",
        "vendor": "s3",
        "bucket": "calls-s3",
        "region": "us-east-1",
        "key": format!("calls/2026/{}_room-{n}.m3u8", sid(n)),
        "size": 4_096,
    })
}

fn session_record(n: u64) -> serde_json::Value {
    json!({
        "id": n,
        "app_id": APP,
        "cname": format!("room-{n}"),
        "sid": sid(n),
        "vendor": "oss",
        "bucket": "calls-oss",
        "status": "recorded",
        "recorded_at": at_ms(n),
    })
}
