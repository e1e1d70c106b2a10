//! What reaches every topic beside good messages: broken ones, tombstones, tests.

use serde_json::json;

use super::session_records;
use super::storage_events;
use super::story::{MINUTE, SECOND, Story, rfc3339};
use super::webhooks;
use super::world::{APPS, Notices};
use crate::event::{Micros, Stream};

/// Adds a little noise around a story, in turn.
pub(super) fn add(story: &mut Story) {
    let at = story.starts_at + story.span(SECOND, MINUTE);
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
