//! Google Cloud Storage through Eventarc: CloudEvents around an object (`domain/storage-events.md`, section 6).

use std::borrow::Cow;

use serde::Deserialize;

use super::gcs::{PROVIDER, Resource, VENDOR};
use super::object_event::{Found, Kind, ObjectEvent, required};
use super::{Format, Notification, read};
use crate::decode::scalar::{Object, Text};
use crate::decode::time::Instant;
use crate::event::Reject;

const TYPE: &str = "google.cloud.storage.object.";

pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        let event_type = head.cloud_event_type.as_deref();
        event_type.is_some_and(|event_type| event_type.starts_with(TYPE))
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CloudEvent<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, rename = "type")]
    event_type: Text<'a>,
    /// `//storage.googleapis.com/projects/_/buckets/<bucket>`.
    #[serde(borrow)]
    source: Text<'a>,
    /// `objects/<key>`.
    #[serde(borrow)]
    subject: Text<'a>,
    time: Instant,
    #[serde(borrow)]
    data: Object<Resource<'a>>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: CloudEvent<'_> = read(notification.text)?;
    let resource = event.data.0.unwrap_or_default();
    let event_type = required(event.event_type, "type")?;
    let bucket = resource.bucket.filled().or_else(|| {
        let (_, bucket) = event.source.as_deref()?.rsplit_once("/buckets/")?;
        Some(Cow::Owned(bucket.to_string()))
    });
    let subject = event.subject.as_deref();
    let key = subject
        .and_then(|subject| subject.strip_prefix("objects/"))
        .map(|key| Cow::Owned(key.to_string()))
        .or(resource.name.filled());
    let generation = resource.generation.filled();
    let times = [event.time, resource.updated, resource.created];
    Ok(Found::Event(ObjectEvent {
        provider: PROVIDER,
        vendor: Some(VENDOR),
        event_id: event.id.filled().map(String::from),
        occurred_at: times.into_iter().find_map(Instant::micros),
        account: None,
        bucket: required(Text(bucket), "data.bucket")?,
        region_code: None,
        key: required(Text(key), "subject")?,
        kind: kind(&event_type),
        event_name: Some(event_type),
        size: resource.size.0,
        etag: resource.etag.filled(),
        version: generation.clone(),
        sequencer: generation,
    }))
}

/// Reads `google.cloud.storage.object.v1.finalized`. An object that another one replaces goes as well, and nothing
/// tells here; its generation is the older one, so that the other stays the last.
fn kind(event_type: &str) -> Kind {
    match event_type.rsplit('.').next() {
        Some("finalized") => Kind::Created,
        Some("deleted" | "archived") => Kind::Removed,
        _ => Kind::Other,
    }
}
