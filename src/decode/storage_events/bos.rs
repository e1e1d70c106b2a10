//! Baidu BOS notifications, each event by itself (`domain/storage-events.md`, section 9).

use chrono::DateTime;
use serde::Deserialize;

use super::key_encoding::plain_or_decoded;
use super::object_event::{Found, Kind, ObjectEvent, required};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time;
use crate::event::{Micros, Reject};

pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        let origin = head.event_origin.as_deref();
        origin.is_some_and(|origin| origin.starts_with("bos:"))
    },
    decode,
};

/// The body of a notification, or an element of `events[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow, rename = "eventId")]
    id: Text<'a>,
    #[serde(borrow, rename = "eventType")]
    event_type: Text<'a>,
    #[serde(borrow, rename = "eventTime")]
    time: Text<'a>,
    #[serde(borrow)]
    content: Object<Content<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    /// `<region>.bcebos.com`.
    #[serde(borrow)]
    domain: Text<'a>,
    #[serde(borrow)]
    bucket: Text<'a>,
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    etag: Text<'a>,
    #[serde(borrow, rename = "eTag")]
    e_tag: Text<'a>,
    #[serde(rename = "filesize")]
    size: Long,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: Event<'_> = read(notification.text)?;
    let content = event.content.0.unwrap_or_default();
    let event_type = required(event.event_type, "eventType")?;
    let domain = content.domain.as_deref().unwrap_or_default();
    let region = domain
        .strip_suffix(".bcebos.com")
        .and_then(|name| name.rsplit('.').next());
    Ok(Found::Event(ObjectEvent {
        provider: "bos",
        vendor: Some(8),
        event_id: event.id.filled().map(String::from),
        occurred_at: event.time.as_deref().and_then(instant),
        account: None,
        bucket: required(content.bucket, "content.bucket")?,
        region_code: region.map(|region| region.to_string().into()),
        // Whether it is encoded is stated nowhere.
        key: plain_or_decoded(required(content.object, "content.object")?),
        kind: kind(&event_type),
        event_name: Some(event_type),
        size: content.size.0,
        etag: content.etag.filled().or(content.e_tag.filled()),
        version: None,
        sequencer: None,
    }))
}

/// Reads a time "in GMT", which is RFC 3339, or as HTTP writes dates.
fn instant(text: &str) -> Option<Micros> {
    time::parse(text).or_else(|| {
        let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
        Some(date.timestamp_micros())
    })
}

fn kind(event_type: &str) -> Kind {
    match event_type {
        "PutObject"
        | "PostObject"
        | "AppendObject"
        | "CopyObject"
        | "CompleteMultipartObject"
        | "CompleteMultipartUpload" => Kind::Created,
        "DeleteObject" => Kind::Removed,
        _ => Kind::Other,
    }
}
