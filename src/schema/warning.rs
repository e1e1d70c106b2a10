//! What fits the contract and still costs something: messages that the consumer takes, but that detections
//! cannot use in full. No schema can say these things, since each is about two fields or more.

use std::borrow::Cow;

use chrono::DateTime;
use serde_json::Value;

use super::{Problem, recognize};
use crate::event::Stream;

/// What the consumer reads as epoch milliseconds: a smaller number is taken for seconds, a greater one for
/// microseconds or nanoseconds.
const MILLIS: std::ops::Range<i64> = 253_402_300_800..253_402_300_800_000;

/// Returns what a producer should know about a message that fits the contract.
pub fn warnings(stream: Stream, message: &Value) -> Vec<Problem> {
    let mut warnings = Warnings::default();
    if let Some(batch) = message.as_array() {
        for (index, item) in batch.iter().enumerate() {
            let of_item = self::warnings(stream, item).into_iter();
            warnings
                .0
                .extend(of_item.map(|warning| warning.at(&format!("/{index}"))));
        }
        return warnings.0;
    }
    match stream {
        Stream::ApiCalls => api_call(message, &mut warnings),
        Stream::Webhooks => webhook(message, &mut warnings),
        Stream::StorageEvents => storage_event(message, &mut warnings),
        Stream::SessionRecords => session_record(message, &mut warnings),
        Stream::Audits | Stream::UploadStatus => {}
    }
    if let Some((path, inner)) = recognize::inner_message(stream, message) {
        let inner = self::warnings(stream, inner).into_iter();
        warnings.0.extend(inner.map(|warning| warning.at(path)));
    }
    for (path, text) in recognize::inner_texts(stream, message) {
        if let Some(inner) = recognize::json_of(text) {
            let inner = self::warnings(stream, &inner).into_iter();
            warnings
                .0
                .extend(inner.map(|warning| warning.inside(&path)));
        }
    }
    warnings.0
}

#[derive(Default)]
struct Warnings(Vec<Problem>);

impl Warnings {
    fn add(&mut self, path: &str, problem: &str, cure: &str) {
        self.0.push(Problem::new(path, problem, cure));
    }
}

fn api_call(call: &Value, warnings: &mut Warnings) {
    times_of_call(call, warnings);
    let response = &call["response"];
    if response.is_null() && is_blank(&call["error"]) {
        warnings.add(
            "/response",
            "there is no response and no `error`: the outcome stays unknown and nothing says why",
            "send the response, or the transport error's text in `error`",
        );
    }
    if response.is_object() && is_blank(&response["status"]) {
        warnings.add(
            "/response/status",
            "the response has no `status`: its outcome cannot be told",
            "add the HTTP status as `status`",
        );
    }
    let url = call["request"]["url"].as_str().unwrap_or_default();
    let path = Path::of(url);
    if is_blank(&call["app_id"]) && path.app_id.is_none() {
        warnings.add(
            "/app_id",
            "neither `app_id` nor the path of `request.url` names the app: the same channel name in two apps is two channels",
            "add `app_id`, or send the whole path, /v1/apps/{appid}/cloud_recording/...",
        );
    }
    let Some(operation) = path.operation else {
        warnings.add(
            "/request/url",
            "the path is none of the six operations of Cloud Recording: the call is kept as `other`",
            "send the path as it was called, /v1/apps/{appid}/cloud_recording/...; leave other APIs out",
        );
        return;
    };
    bodies(operation, call, warnings);
}

fn times_of_call(call: &Value, warnings: &mut Warnings) {
    let requested_at = instant(call, "/requested_at", warnings);
    let responded_at = instant(call, "/responded_at", warnings);
    if let (Some(requested_at), Some(responded_at)) = (requested_at, responded_at)
        && requested_at > responded_at
    {
        warnings.add(
            "/responded_at",
            "`responded_at` lies before `requested_at`",
            "take both from the same clock, `requested_at` before the request is sent",
        );
    }
    if call["responded_at"].is_null() && call["response"].is_object() {
        warnings.add(
            "/responded_at",
            "there is a response and no `responded_at`: it cannot be told whether a record was written before it",
            "add the instant at which the response came as `responded_at`",
        );
    }
}

fn bodies(operation: &str, call: &Value, warnings: &mut Warnings) {
    let request = body(&call["request"]["body"]);
    if request.is_none() {
        warnings.add(
            "/request/body",
            "the body is a text that is not JSON: nothing can be read from it",
            "send the body as an object, or as the JSON text that was sent, whole",
        );
    }
    let storage = request
        .as_deref()
        .map_or(&Value::Null, |body| &body["clientRequest"]["storageConfig"]);
    if operation == "start" && request.is_some() {
        if !storage.is_object() {
            warnings.add(
                "/request/body/clientRequest/storageConfig",
                "a start without `storageConfig`: it cannot be told where the recording was sent",
                "log the body as it is sent, with `storageConfig.vendor`, `region` and `bucket`; its keys may be left out",
            );
        } else if is_blank(&storage["vendor"]) || is_blank(&storage["bucket"]) {
            warnings.add(
                "/request/body/clientRequest/storageConfig",
                "`storageConfig` has no `vendor` or no `bucket`: it cannot be told where the recording was sent",
                "log `vendor` and `bucket` as they are sent",
            );
        }
    }
    let is_ok = matches!(&call["response"]["status"], status if status == 200 || status == "200");
    let response = body(&call["response"]["body"]).unwrap_or_default();
    let (field, cost) = match operation {
        "acquire" => ("resourceId", "the start that follows cannot be tied to it"),
        "start" => ("sid", "its files and webhooks cannot be tied to it"),
        _ => return,
    };
    if is_ok && is_blank(&response[field]) {
        warnings.add(
            &format!("/response/body/{field}"),
            &format!("the response says 200 and has no `{field}`: {cost}"),
            "log the response's body as it came",
        );
    }
}

fn webhook(message: &Value, warnings: &mut Warnings) {
    let Some(body) = message
        .get("body")
        .filter(|_| message.get("raw_body").is_none())
    else {
        if message.get("raw_body").is_none() {
            notification("", message, warnings);
        }
        return;
    };
    let is_signed = message["headers"].as_object().is_some_and(|headers| {
        headers
            .keys()
            .any(|name| name.to_ascii_lowercase().starts_with("agora-signature"))
    });
    if is_signed {
        warnings.add(
            "/body",
            "the signature is here and the bytes it was made of are not: it cannot be checked",
            "send the body exactly as received, as the text `raw_body`, in place of `body`",
        );
    }
    match body {
        Value::Array(batch) => {
            for (index, one) in batch.iter().enumerate() {
                notification(&format!("/body/{index}"), one, warnings);
            }
        }
        Value::Object(_) => notification("/body", body, warnings),
        _ => {}
    }
}

fn notification(at: &str, notification: &Value, warnings: &mut Warnings) {
    if is_blank(&notification["noticeId"]) && is_blank(&notification["notificationId"]) {
        warnings.add(
            at,
            "there is no `noticeId`: a redelivery is recognised by its content only",
            "pass Agora's body on whole",
        );
    }
    let product = &notification["productId"];
    if !(product.is_null() || product == 3 || product == "3") {
        warnings.add(
            &format!("{at}/productId"),
            "`productId` is not 3: this is another product's event, and its numbers mean other things",
            "send Cloud Recording's events only",
        );
    }
    let payload = &notification["payload"];
    if is_blank(&payload["sid"]) && is_blank(&notification["sid"]) {
        warnings.add(
            &format!("{at}/payload/sid"),
            "there is no `sid`: the event belongs to no session",
            "pass Agora's body on whole",
        );
    }
    if is_blank(&payload["sendts"]) {
        warnings.add(
            &format!("{at}/payload/sendts"),
            "there is no `sendts`: the time of the event is not known",
            "pass Agora's body on whole",
        );
    }
}

fn storage_event(event: &Value, warnings: &mut Warnings) {
    match recognize::form(Stream::StorageEvents, event) {
        Ok("neutral") => neutral(event, warnings),
        Ok("gcs_object") => warnings.add(
            "",
            "an object without the attributes of its message: nothing says what happened to it, so it is no new file",
            "have the connector write the attributes into the value: eventType, bucketId, objectId, objectGeneration, eventTime",
        ),
        _ => {}
    }
}

fn neutral(event: &Value, warnings: &mut Warnings) {
    instant(event, "/occurred_at", warnings);
    if event["kind"] == "created" && is_blank(&event["size"]) {
        warnings.add(
            "/size",
            "an object was created and its `size` is not said",
            "add `size`, in bytes",
        );
    }
    const SLUGS: [&str; 10] = [
        "s3", "oss", "cos", "azblob", "gcs", "obs", "bos", "qiniu", "ks3", "s3compat",
    ];
    let is_known = match &event["vendor"] {
        Value::String(text) => SLUGS.contains(&text.as_str()) || text.parse::<u8>().is_ok(),
        _ => true,
    };
    if !is_known {
        warnings.add(
            "/vendor",
            "`vendor` is no vendor that Agora has a number for",
            &format!("write Agora's number, or one of {}", SLUGS.join(", ")),
        );
    }
    let key = event["key"].as_str().unwrap_or_default();
    if key.starts_with('/') {
        warnings.add(
            "/key",
            "`key` starts with a slash: names of recordings never do",
            "write the name as the store has it, without bucket and leading slash",
        );
    }
    if key.to_ascii_lowercase().contains("%2f") {
        warnings.add(
            "/key",
            "`key` looks encoded; the neutral form takes it as it is",
            "decode the name before it is sent",
        );
    }
}

fn session_record(record: &Value, warnings: &mut Warnings) {
    let envelope = match recognize::form(Stream::SessionRecords, record) {
        Ok("debezium_with_schema") => &record["payload"],
        Ok("debezium") => record,
        Ok("debezium_flattened") => {
            if is_blank(&record["__source_ts_ms"]) && is_blank(&record["__ts_ms"]) {
                warnings.add(
                    "",
                    "a flattened row without `__source_ts_ms`: the record's time is Kafka's unless a column is mapped to `recorded_at`",
                    "set add.fields=op,table,source.ts_ms in the connector's transformation",
                );
            }
            return;
        }
        _ => return,
    };
    if envelope["op"].is_null() {
        return;
    }
    let source = &envelope["source"];
    if is_blank(&source["table"]) && is_blank(&source["collection"]) {
        warnings.add(
            "/source/table",
            "the envelope does not say its table: a mapping for one table cannot be chosen",
            "leave `source` in the envelope, or configure one mapping without `table`",
        );
    }
    if is_blank(&envelope["source"]["ts_ms"]) {
        warnings.add(
            "/source/ts_ms",
            "the envelope does not say when the change was committed",
            "leave `source` in the envelope",
        );
    }
}

/// What the path of a call says.
struct Path<'a> {
    app_id: Option<&'a str>,
    operation: Option<&'static str>,
}

impl<'a> Path<'a> {
    fn of(url: &'a str) -> Path<'a> {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let prefix = segments
            .iter()
            .position(|segment| *segment == "cloud_recording");
        let operations = [
            "acquire",
            "start",
            "update",
            "updateLayout",
            "query",
            "stop",
        ];
        let last = segments.last().filter(|_| prefix.is_some());
        Path {
            app_id: prefix
                .filter(|at| *at >= 2 && segments[at - 2] == "apps")
                .map(|at| segments[at - 1]),
            operation: last.and_then(|last| operations.into_iter().find(|known| known == last)),
        }
    }
}

/// Returns an instant in epoch milliseconds; none where it is another unit, of which it warns.
fn instant(message: &Value, path: &str, warnings: &mut Warnings) -> Option<i64> {
    let number = match message.pointer(path)? {
        Value::String(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => return Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()),
        },
        number => number.as_f64()? as i64,
    };
    if !MILLIS.contains(&number) {
        warnings.add(
            path,
            "the number is no epoch milliseconds of 1978 to 9999; its unit is guessed by its magnitude",
            "write epoch milliseconds, or RFC 3339 text",
        );
        return None;
    }
    Some(number)
}

/// Returns a body as JSON: an object as it is, text as what it holds; none for text that is not JSON.
fn body(body: &Value) -> Option<Cow<'_, Value>> {
    match body {
        Value::String(text) if text.trim().is_empty() => Some(Cow::Owned(Value::Null)),
        Value::String(text) => serde_json::from_str(text).ok().map(Cow::Owned),
        other => Some(Cow::Borrowed(other)),
    }
}

/// Says whether a field holds nothing: absent, null or an empty text.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
