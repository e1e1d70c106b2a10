//! Which form of its stream a message has, and which stream a message could be of, by content alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::Problem;
use crate::event::Stream;

/// Returns the name of the definition in the stream's schema that a message comes nearest to.
pub(super) fn form(stream: Stream, message: &Value) -> Result<&'static str, Problem> {
    match stream {
        Stream::ApiCalls => api_call(message),
        Stream::Webhooks => webhook(message),
        Stream::StorageEvents => storage_event(message),
        Stream::SessionRecords => session_record(message),
        Stream::Audits => Ok("result"),
    }
}

/// Returns the stream whose messages look like this one.
pub fn guess(message: &Value) -> Option<Stream> {
    if message.is_array() {
        return guess(message.get(0)?);
    }
    let object = message.as_object()?;
    let has = |key: &str| object.contains_key(key);
    if has("requested_at") || (has("request") && (has("response") || has("error"))) {
        return Some(Stream::ApiCalls);
    }
    if has("eventType") && (has("payload") || has("noticeId")) || has("raw_body") {
        return Some(Stream::Webhooks);
    }
    if object
        .get("body")
        .is_some_and(|body| guess(body) == Some(Stream::Webhooks))
    {
        return Some(Stream::Webhooks);
    }
    // A row of a database can have a column `bucket`; what it has not is one of the clouds' envelopes.
    if storage_event(message).is_ok() {
        return Some(Stream::StorageEvents);
    }
    let form = session_record(message).ok()?;
    let names_session = [
        "sid",
        "cname",
        "channel",
        "resource_id",
        "recording_sid",
        "vendor",
    ];
    let is_row = form != "plain" || names_session.into_iter().any(has);
    is_row.then_some(Stream::SessionRecords)
}

/// Returns the texts of a wrapper that hold another message, each with its path.
pub(super) fn inner_texts(stream: Stream, message: &Value) -> Vec<(String, &str)> {
    let at = |path: &str| Some((path.to_string(), message.pointer(path)?.as_str()?));
    let each = |list: &str, field: &str| {
        let items = message[list].as_array().map_or(0, Vec::len);
        (0..items)
            .filter_map(|index| at(&format!("/{list}/{index}/{field}")))
            .collect()
    };
    let paths: &[&str] = match (stream, form(stream, message)) {
        (Stream::Webhooks, Ok("wrapped_raw")) => &["/raw_body"],
        (Stream::Webhooks, Ok("wrapped")) => &["/body"],
        // A confirmation holds a sentence for a person.
        (Stream::StorageEvents, Ok("sns")) if message["Type"] == "Notification" => &["/Message"],
        (Stream::StorageEvents, Ok("sqs_message")) => &["/body"],
        (Stream::StorageEvents, Ok("sqs_api_message")) => &["/Body"],
        (Stream::StorageEvents, Ok("sqs_batch")) => return each("Records", "body"),
        (Stream::StorageEvents, Ok("sqs_api_batch")) => return each("Messages", "Body"),
        (Stream::StorageEvents, Ok("sns_batch")) => return each("Records", "Sns/Message"),
        (Stream::StorageEvents, Ok("mns")) => &["/MessageBody"],
        _ => &[],
    };
    paths.iter().copied().filter_map(at).collect()
}

/// Reads the JSON that a wrapper's text holds: as it is, or in base64 as Alibaba's queues send it.
pub(super) fn json_of(text: &str) -> Option<Value> {
    let text = text.trim();
    let plain = serde_json::from_str(text).ok();
    plain.or_else(|| serde_json::from_slice(&STANDARD.decode(text).ok()?).ok())
}

fn api_call(message: &Value) -> Result<&'static str, Problem> {
    const CURE: &str = "send one call a message: {\"requested_at\": ..., \"request\": {\"method\": ..., \"url\": ...}, \
        \"response\": {\"status\": ...}}";
    match message {
        Value::Object(_) => Ok("call"),
        _ => Err(not_an_object(message, CURE)),
    }
}

fn webhook(message: &Value) -> Result<&'static str, Problem> {
    const CURE: &str = "send Agora's callback body as it came, or wrap it: \
        {\"received_at\": ..., \"headers\": {...}, \"raw_body\": \"the body as received\"}";
    let object = match message {
        Value::Object(object) => object,
        _ => return Err(not_an_object(message, CURE)),
    };
    let has = |key: &str| object.contains_key(key);
    if has("raw_body") {
        Ok("wrapped_raw")
    } else if has("body") {
        Ok("wrapped")
    } else if [
        "eventType",
        "noticeId",
        "notificationId",
        "payload",
        "notifyMs",
    ]
    .into_iter()
    .any(has)
    {
        Ok("notification")
    } else if has("received_at") || has("headers") {
        // A wrapper that lost its content.
        Ok("wrapped_raw")
    } else {
        Err(Problem::new(
            "",
            "this is no webhook: it has no `eventType` and wraps no body",
            CURE,
        ))
    }
}

fn storage_event(message: &Value) -> Result<&'static str, Problem> {
    const CURE: &str = "send the notification as the cloud sends it (Amazon S3 plain or by SNS, SQS, EventBridge; \
        MinIO; Ceph; Alibaba OSS plain or by MNS, EventBridge), or the neutral form: {\"occurred_at\", \"kind\", \"vendor\", \
        \"bucket\", \"key\"}";
    let Some(object) = message.as_object() else {
        return Err(not_an_object(message, CURE));
    };
    let has = |key: &str| object.contains_key(key);
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("Event") == "s3:TestEvent" {
        return Ok("s3_test");
    }
    if has("Records") {
        return records(object);
    }
    if has("Messages") {
        return Ok("sqs_api_batch");
    }
    match text("eventSource").trim() {
        "aws:s3" => return Ok("s3_record"),
        "minio:s3" => return Ok("minio_record"),
        "ceph:s3" => return Ok("ceph_record"),
        "acs:oss" => return Ok("oss_record"),
        _ => {}
    }
    if has("events") {
        return Ok("oss");
    }
    if has("TopicArn") || (has("Message") && has("Type")) {
        return Ok("sns");
    }
    if has("MessageBody") {
        return Ok("mns");
    }
    if text("source") == "aws.s3" || has("detail-type") {
        return Ok("s3_eventbridge");
    }
    if text("source") == "acs.oss" || (text("type").starts_with("oss:") && has("data")) {
        return Ok("oss_eventbridge");
    }
    if has("occurred_at") || (has("bucket") && has("key")) {
        return Ok("neutral");
    }
    if has("body") && (has("messageId") || has("receiptHandle") || object.len() == 1) {
        return Ok("sqs_message");
    }
    if has("Body") && (has("MessageId") || has("ReceiptHandle") || object.len() == 1) {
        return Ok("sqs_api_message");
    }
    Err(Problem::new(
        "",
        "this is no storage event of a known form",
        CURE,
    ))
}

/// Tells the senders apart that all write `Records`.
fn records(object: &Map<String, Value>) -> Result<&'static str, Problem> {
    let first = object["Records"].get(0).unwrap_or(&Value::Null);
    let source = first["eventSource"].as_str().unwrap_or_default();
    match source {
        "minio:s3" => Ok("minio"),
        "ceph:s3" => Ok("ceph"),
        "aws:sqs" => Ok("sqs_batch"),
        "aws:s3" => Ok("s3"),
        _ if first.get("body").is_some() => Ok("sqs_batch"),
        _ if first.get("Sns").is_some() => Ok("sns_batch"),
        _ if object.contains_key("EventName") => Ok("minio"),
        "" => Ok("s3"),
        _ => Err(Problem::new(
            "/Records/0/eventSource",
            "`eventSource` names a sender whose notifications this version does not read",
            "map the notification to the neutral form: {\"occurred_at\", \"kind\", \"vendor\", \"bucket\", \"key\"}",
        )),
    }
}

fn session_record(message: &Value) -> Result<&'static str, Problem> {
    let Some(object) = message.as_object() else {
        let cure = "send a row as an object: a Debezium envelope, a flattened row or your own JSON";
        return Err(not_an_object(message, cure));
    };
    let has = |key: &str| object.contains_key(key);
    let extras = [
        "__op",
        "__table",
        "__deleted",
        "__source_ts_ms",
        "__ts_ms",
        "__lsn",
    ];
    Ok(if has("schema") && has("payload") {
        "debezium_with_schema"
    } else if has("op") && (has("source") || has("before") || has("after")) {
        "debezium"
    } else if extras.into_iter().any(has) {
        "debezium_flattened"
    } else {
        "plain"
    })
}

fn not_an_object(message: &Value, cure: &str) -> Problem {
    let problem = format!(
        "the message is {}; an object is needed",
        super::sentence::kind(message)
    );
    Problem::new("", problem, cure)
}
