//! Qiniu Kodo notifications, taken out of their `Message` (`domain/storage-events.md`, section 9).

use serde::Deserialize;

use super::object_event::{Found, Kind, ObjectEvent, joined_id, required};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Text};
use crate::decode::time::Instant;
use crate::event::Reject;

pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        head.event.as_deref().is_some()
            && head.bucket.as_deref().is_some()
            && head.key.as_deref().is_some()
            // The neutral form may have a member of this name.
            && head.kind.0.is_none()
            && head.occurred_at.0.is_none()
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    event: Text<'a>,
    /// Nanoseconds.
    time: Instant,
    #[serde(borrow, rename = "reqid")]
    request_id: Text<'a>,
    #[serde(borrow, rename = "user_id")]
    account: Text<'a>,
    #[serde(borrow)]
    bucket: Text<'a>,
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(rename = "fsize")]
    size: Long,
    /// Qiniu's own, no MD5.
    #[serde(borrow)]
    hash: Text<'a>,
    /// Where a copy lies.
    #[serde(borrow)]
    dest_bucket: Text<'a>,
    #[serde(borrow)]
    dest_key: Text<'a>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: Event<'_> = read(notification.text)?;
    let event_name = required(event.event, "event")?;
    // A copy lies elsewhere; of all other events the object itself is meant.
    let (bucket, key) = match &*event_name {
        "copy" => (
            event.dest_bucket.filled().or(event.bucket.filled()),
            event.dest_key.filled().or(event.key.filled()),
        ),
        _ => (event.bucket.filled(), event.key.filled()),
    };
    let key = required(Text(key), "key")?;
    Ok(Found::Event(ObjectEvent {
        provider: "qiniu",
        vendor: Some(0),
        event_id: joined_id(&event.request_id, &[Some(&key)]),
        occurred_at: event.time.micros(),
        account: event.account.filled(),
        bucket: required(Text(bucket), "bucket")?,
        region_code: None,
        key,
        kind: kind(&event_name),
        event_name: Some(event_name),
        size: event.size.0,
        etag: event.hash.filled(),
        version: None,
        sequencer: None,
    }))
}

/// Reads an event's name. `mkfile` ends an upload in parts. What is moved is no longer where it was recorded to.
fn kind(event: &str) -> Kind {
    match event {
        "put" | "mkfile" | "copy" | "append" => Kind::Created,
        "delete" | "move" => Kind::Removed,
        _ => Kind::Other,
    }
}
