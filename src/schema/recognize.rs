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
        Stream::UploadStatus => Ok("state"),
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
    if has("audited_at") && has("result") {
        return Some(Stream::Audits);
    }
    if ["sid", "file", "status", "at"].into_iter().all(has) {
        return Some(Stream::UploadStatus);
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

/// Returns the member of a wrapper that is another message, with its path.
pub(super) fn inner_message(stream: Stream, message: &Value) -> Option<(&'static str, &Value)> {
    let path = match (stream, form(stream, message)) {
        (Stream::StorageEvents, Ok("cloudevent")) => "/data",
        (Stream::StorageEvents, Ok("connect")) => "/payload",
        _ => return None,
    };
    let inner = message.pointer(path)?;
    (inner.is_object() || inner.is_array()).then_some((path, inner))
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
        (Stream::StorageEvents, Ok("mns_topic" | "qiniu")) => &["/Message"],
        (Stream::StorageEvents, Ok("smn")) if !is_confirmation(message) => &["/message"],
        (Stream::StorageEvents, Ok("cloudevent")) => &["/data", "/data_base64"],
        (Stream::StorageEvents, Ok("connect")) => &["/payload"],
        _ => &[],
    };
    paths.iter().copied().filter_map(at).collect()
}

fn is_confirmation(message: &Value) -> bool {
    let kind = message["type"].as_str().unwrap_or_default();
    kind.ends_with("Confirmation")
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
    const CURE: &str = "send the notification as the cloud sends it (Amazon S3, MinIO, Ceph, Alibaba OSS, Tencent COS, Huawei OBS, \
        Azure Event Grid, Google Pub/Sub and Eventarc, Baidu BOS, Qiniu, ZOS; plain or by the queues and buses of the cloud), or the \
        neutral form: {\"occurred_at\", \"kind\", \"vendor\", \"bucket\", \"key\"}";
    let Some(object) = message.as_object() else {
        return Err(not_an_object(message, CURE));
    };
    let has = |key: &str| object.contains_key(key);
    if text_of(object, "Event") == "s3:TestEvent" {
        return Ok("s3_test");
    }
    if has("Records") {
        return records(object);
    }
    if has("Messages") {
        return Ok("sqs_api_batch");
    }
    if let Some(form) = form_of_sender(object) {
        return Ok(form);
    }
    if has("events") {
        let first = &object["events"][0];
        return Ok(match first.get("eventOrigin") {
            Some(_) => "bos",
            None => "oss",
        });
    }
    if let Some(form) = form_of_queue(object) {
        return Ok(form);
    }
    if has("occurred_at") || (has("bucket") && has("key") && !has("event")) {
        return Ok("neutral");
    }
    if has("event") && has("bucket") && has("key") {
        return Ok("qiniu_event");
    }
    if has("specversion") {
        return Ok("cloudevent");
    }
    // Debezium writes its envelope in this way, too.
    let payload = object.get("payload").filter(|_| has("schema"));
    if payload.is_some_and(|payload| payload.is_string() || storage_event(payload).is_ok()) {
        return Ok("connect");
    }
    Err(Problem::new(
        "",
        "this is no storage event of a known form",
        CURE,
    ))
}

/// Knows one notification by itself by who sent it.
fn form_of_sender(object: &Map<String, Value>) -> Option<&'static str> {
    let has = |key: &str| object.contains_key(key);
    let text = |key: &str| text_of(object, key);
    let is_azure = |key: &str| text(key).starts_with("Microsoft.Storage.");
    Some(match text("eventSource").trim() {
        "aws:s3" => "s3_record",
        "minio:s3" => "minio_record",
        "ceph:s3" => "ceph_record",
        "ctyun:s3" => "zos_record",
        "acs:oss" => "oss_record",
        "OBS" => "obs_record",
        _ if object.get("cos").is_some_and(Value::is_object) => "cos_record",
        _ if text("eventType") == "Microsoft.EventGrid.SubscriptionValidationEvent" => {
            "azure_validation"
        }
        _ if is_azure("eventType") => "azure_eventgrid",
        _ if is_azure("type") => "azure_cloudevent",
        _ if text("type").starts_with("google.cloud.storage.object.") => "gcs_eventarc",
        _ if text("eventType").starts_with("OBJECT_") => "gcs_fields",
        _ if text("kind") == "storage#object" => "gcs_object",
        _ if text("eventOrigin").starts_with("bos:") => "bos_record",
        _ if text("source") == "aws.s3" || has("detail-type") => "s3_eventbridge",
        _ if text("source").starts_with("HC.OBS") => "obs_eventgrid",
        _ if text("source") == "acs.oss" => "oss_eventbridge",
        _ if text("type").starts_with("oss:") && has("data") => "oss_eventbridge",
        _ => return None,
    })
}

/// Knows the wrapper of a queue or a topic.
fn form_of_queue(object: &Map<String, Value>) -> Option<&'static str> {
    let has = |key: &str| object.contains_key(key);
    let message = object.get("message").unwrap_or(&Value::Null);
    if text_of(object, "Subject") == "Qiniu KODO Notification" {
        Some("qiniu")
    } else if has("TopicOwner") {
        Some("mns_topic")
    } else if has("TopicArn") || (has("Message") && has("Type")) {
        Some("sns")
    } else if has("MessageBody") {
        Some("mns")
    } else if has("topic_urn") {
        Some("smn")
    } else if message.get("attributes").is_some() || message.get("data").is_some() {
        Some("gcs_push")
    } else if has("attributes") && (has("messageId") || has("message_id") || has("data")) {
        Some("gcs_message")
    } else if has("body") && (has("messageId") || has("receiptHandle") || object.len() == 1) {
        Some("sqs_message")
    } else if has("Body") && (has("MessageId") || has("ReceiptHandle") || object.len() == 1) {
        Some("sqs_api_message")
    } else {
        None
    }
}

/// Tells the senders apart that all write `Records`.
fn records(object: &Map<String, Value>) -> Result<&'static str, Problem> {
    let first = object["Records"].get(0).unwrap_or(&Value::Null);
    let source = first["eventSource"].as_str().unwrap_or_default();
    match source.trim() {
        "minio:s3" => Ok("minio"),
        "ceph:s3" => Ok("ceph"),
        "ctyun:s3" => Ok("zos"),
        "OBS" => Ok("obs"),
        "aws:sqs" => Ok("sqs_batch"),
        "aws:s3" => Ok("s3"),
        _ if first.get("cos").is_some() => Ok("cos"),
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

fn text_of<'v>(object: &'v Map<String, Value>, key: &str) -> &'v str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
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
    let is_typed = object.get("database").is_some_and(Value::is_string)
        && object.get("type").is_some_and(Value::is_string);
    let is_canal = is_typed && (has("isDdl") || object.get("data").is_some_and(Value::is_array));
    let is_maxwell = is_typed && (has("data") || has("ts") && has("table"));
    Ok(if has("schema") && has("payload") {
        "debezium_with_schema"
    } else if has("op") && (has("source") || has("before") || has("after")) {
        "debezium"
    } else if extras.into_iter().any(has) {
        "debezium_flattened"
    } else if is_canal {
        "canal"
    } else if is_maxwell {
        "maxwell"
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
