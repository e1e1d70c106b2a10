//! What streams do to messages that were good when they were sent: they come twice, late, in another order and
//! with other types; and what reaches every topic beside good messages: broken ones, tombstones, tests.
//!
//! Nothing here changes what happened, so nothing here changes what must be found.

use serde_json::{Value, json};

use super::Produced;
use super::session_records;
use super::storage_events;
use super::story::{HOUR, MINUTE, SECOND, Story, millis, rfc3339};
use super::webhooks;
use super::world::{APPS, Notices};
use crate::event::{Micros, Stream};

/// Adds the noise of a story once it is told.
pub(super) fn add(story: &mut Story) {
    if story.is_quiet() {
        return;
    }
    drift(story);
    delay(story);
    read_rows_again(story);
    redeliver(story);
    add_strangers(story);
}

/// Messages that are no event, around a story, in turn.
fn add_strangers(story: &mut Story) {
    let at = story.starts_at + story.noise_span(SECOND, MINUTE);
    match story.index % 400 {
        20 => {
            let cut = truncated_call(story);
            dead_letter(story, Stream::ApiCalls, cut, at);
        }
        60 => dead_letter(
            story,
            Stream::ApiCalls,
            br#"{"hello":"world"}"#.to_vec(),
            at,
        ),
        100 => dead_letter(story, Stream::Webhooks, br#""pong""#.to_vec(), at),
        140 => dead_letter(
            story,
            Stream::Webhooks,
            b"\xff\xfe{\"noticeId\":\"x\"}".to_vec(),
            at,
        ),
        180 => dead_letter(
            story,
            Stream::StorageEvents,
            br#"{"bucket":"lumen-class-hz"}"#.to_vec(),
            at,
        ),
        220 => dead_letter(
            story,
            Stream::SessionRecords,
            b"not json at all".to_vec(),
            at,
        ),
        260 => session_records::tombstone(story, at),
        300 => webhooks::console_check(story, at),
        340 => {
            let s3 = APPS
                .iter()
                .map(|app| app.other)
                .find(|storage| storage.notices == Notices::S3);
            storage_events::test_message(story, s3.expect("an app has an S3 bucket"), at);
        }
        _ => {}
    }
}

/// Some producers write texts for numbers and numbers for texts (API facts, section 4). A caller's log does so for all
/// calls or for none: what was sent to two hosts is logged alike.
fn drift(story: &mut Story) {
    let calls_drift = story.noise_falls(80);
    for number in 0..story.messages.len() {
        let drifts = match story.messages[number].stream {
            Stream::ApiCalls => calls_drift,
            _ => story.noise_falls(80),
        };
        if !drifts {
            continue;
        }
        let message = &mut story.messages[number];
        let Some(Ok(mut value)) = message.value.as_deref().map(serde_json::from_slice) else {
            continue;
        };
        swap_types(&mut value);
        message.value = Some(value.to_string().into_bytes());
    }
}

/// Fields that are written as a number here and as a text there.
const DRIFTING: [&str; 17] = [
    "uid",
    "rec_uid",
    "vendor",
    "code",
    "status",
    "sequence",
    "sendts",
    "notifyMs",
    "eventType",
    "leaveCode",
    "errorCode",
    "warnCode",
    "exitStatus",
    "streamUid",
    "sliceStartTime",
    "size",
    "resourceExpiredHour",
];

fn swap_types(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(swap_types),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::Number(number) if DRIFTING.contains(&name.as_str()) => {
                        *member = json!(number.to_string());
                    }
                    Value::String(text) if DRIFTING.contains(&name.as_str()) => {
                        if let Ok(number) = text.parse::<i64>() {
                            *member = json!(number);
                        }
                    }
                    Value::Bool(flag) if name == "mixedAllUser" || name == "isPlayable" => {
                        *member = json!(flag.to_string());
                    }
                    _ => swap_types(member),
                }
            }
            if let Some(name) = members.remove("fileName") {
                members.insert("filename".to_string(), name);
            }
        }
        _ => {}
    }
}

/// Messages come later than others that were sent after them; a bucket's notices now and then by hours.
fn delay(story: &mut Story) {
    let hours_late = match story.noise_falls(25) {
        true => story.noise_span(HOUR, 8 * HOUR),
        false => 0,
    };
    for number in 0..story.messages.len() {
        if story.noise_falls(50) {
            let late = story.noise_span(5 * SECOND, 20 * MINUTE);
            story.messages[number].at += late;
        }
        if story.messages[number].stream == Stream::StorageEvents {
            story.messages[number].at += hours_late;
        }
    }
}

/// A connector that was set up anew reads the rows as they stand (state record facts, section 1).
fn read_rows_again(story: &mut Story) {
    if !story.noise_falls(20) {
        return;
    }
    let later = story.noise_span(MINUTE, 10 * HOUR);
    let last = (story.messages.iter().rev())
        .find(|message| message.stream == Stream::SessionRecords)
        .cloned();
    let Some(mut message) = last else { return };
    let Some(Ok(mut value)) = message
        .value
        .as_deref()
        .map(serde_json::from_slice::<Value>)
    else {
        return;
    };
    let envelope = match value.get("payload").is_some() {
        true => &mut value["payload"],
        false => &mut value,
    };
    if envelope.get("op").is_none() {
        return;
    }
    message.at += later;
    envelope["op"] = json!("r");
    envelope["source"]["snapshot"] = json!("true");
    envelope["source"]["ts_ms"] = json!(millis(message.at));
    envelope["ts_ms"] = json!(millis(message.at));
    message.value = Some(value.to_string().into_bytes());
    story.messages.push(message);
}

/// Producers send again what was not acknowledged in time: the same bytes, at another offset.
fn redeliver(story: &mut Story) {
    for number in 0..story.messages.len() {
        if !story.noise_falls(40) {
            continue;
        }
        let later = match story.noise_falls(100) {
            true => story.noise_span(HOUR, 6 * HOUR),
            false => story.noise_span(SECOND, 10 * MINUTE),
        };
        let again = Produced {
            at: story.messages[number].at + later,
            ..story.messages[number].clone()
        };
        story.messages.push(again);
    }
}

/// Sends something that cannot be an event of its stream.
fn dead_letter(story: &mut Story, stream: Stream, value: Vec<u8>, at: Micros) {
    story.emit_bytes(stream, None, Some(value), at);
    story.dead_letters.push(stream);
}

/// A call cut off in the middle of a credential.
fn truncated_call(story: &mut Story) -> Vec<u8> {
    let secret = story.secret("CUT");
    let whole = json!({
        "requested_at": rfc3339(story.starts_at),
        "request": {"method": "POST", "url": "/v1/apps/x/cloud_recording/acquire", "body": {
            "clientRequest": {"startParameter": {"storageConfig": {"vendor": 2, "secretKey": secret}}}}},
    })
    .to_string();
    let cut = whole.find(&secret).expect("it is in there") + secret.len() - 6;
    whole.as_bytes()[..cut].to_vec()
}
