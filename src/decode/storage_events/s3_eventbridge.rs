//! Amazon S3 through EventBridge (`domain/storage-events.md`, section 1).

use serde::Deserialize;

use super::object_event::{Found, Kind, ObjectEvent, region_code, required};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time::Instant;
use crate::event::{Reject, SkipReason};

pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        head.source.as_deref() == Some("aws.s3") && head.detail_type.as_deref().is_some()
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Text<'a>,
    #[serde(borrow)]
    account: Text<'a>,
    /// To the second.
    time: Instant,
    #[serde(borrow)]
    region: Text<'a>,
    #[serde(borrow)]
    detail: Object<Detail<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail<'a> {
    #[serde(borrow)]
    bucket: Object<Bucket<'a>>,
    #[serde(borrow)]
    object: Object<S3Object<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct S3Object<'a> {
    /// Not encoded.
    #[serde(borrow)]
    key: Text<'a>,
    size: Long,
    #[serde(borrow)]
    etag: Text<'a>,
    #[serde(borrow, rename = "version-id")]
    version: Text<'a>,
    #[serde(borrow)]
    sequencer: Text<'a>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: Event<'_> = read(notification.text)?;
    let detail_type = required(event.detail_type, "detail-type")?;
    let kind = match &*detail_type {
        "Object Created" => Kind::Created,
        "Object Deleted" => Kind::Removed,
        _ if detail_type.starts_with("Object ") => Kind::Other,
        // API calls by CloudTrail, for one.
        _ => return Ok(Found::Nothing(SkipReason::ControlMessage)),
    };
    let detail = event.detail.0.unwrap_or_default();
    let object = detail.object.0.unwrap_or_default();
    Ok(Found::Event(ObjectEvent {
        provider: "s3",
        vendor: Some(1),
        event_id: event.id.filled().map(String::from),
        occurred_at: event.time.micros(),
        account: event.account.filled(),
        bucket: required(
            detail.bucket.0.unwrap_or_default().name,
            "detail.bucket.name",
        )?,
        region_code: region_code(event.region),
        key: required(object.key, "detail.object.key")?,
        kind,
        event_name: Some(detail_type),
        size: object.size.0,
        etag: object.etag.filled(),
        version: object.version.filled(),
        sequencer: object.sequencer.filled(),
    }))
}
