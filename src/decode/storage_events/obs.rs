//! Huawei OBS notifications, each record by itself (`domain/storage-events.md`, section 8).

use std::borrow::Cow;

use serde::Deserialize;

use super::key_encoding::form_decoded;
use super::object_event::{Found, Kind, ObjectEvent, joined_id, region_code, required};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time::Instant;
use crate::event::Reject;

pub(super) const FORMAT: Format = Format {
    recognize: |head| head.is_from("OBS"),
    decode,
};

/// An element of `Records[]`; also `data` of an EventGrid event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ObsRecord<'a> {
    #[serde(borrow, rename = "eventRegion")]
    region: Text<'a>,
    #[serde(rename = "eventTime")]
    pub event_time: Instant,
    #[serde(borrow, rename = "eventName")]
    pub event_name: Text<'a>,
    #[serde(borrow, rename = "responseElements")]
    response: Object<Response<'a>>,
    #[serde(borrow)]
    obs: Object<Obs<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow, rename = "x-obs-request-id")]
    request_id: Text<'a>,
    #[serde(borrow, rename = "x-obs-id-2")]
    host_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Obs<'a> {
    #[serde(borrow)]
    bucket: Object<Bucket<'a>>,
    #[serde(borrow)]
    object: Object<ObsObject<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    /// The same again.
    #[serde(borrow)]
    bucket: Text<'a>,
    #[serde(borrow, rename = "ownerIdentity")]
    owner: Object<Owner<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner<'a> {
    #[serde(borrow, rename = "ID")]
    id: Text<'a>,
}

/// Its `sequencer` is not read: it only advises, and is `1` in object after object. So the time orders the writes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ObsObject<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    size: Long,
    #[serde(borrow, rename = "eTag")]
    etag: Text<'a>,
    #[serde(borrow, rename = "versionId")]
    version: Text<'a>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let record: ObsRecord<'_> = read(notification.text)?;
    record.into_object_event(None).map(Found::Event)
}

impl<'a> ObsRecord<'a> {
    /// Makes the event. The record's own key is form-encoded; `plain_key` is the same from elsewhere, where it is not.
    pub fn into_object_event(
        self,
        plain_key: Option<Cow<'a, str>>,
    ) -> Result<ObjectEvent<'a>, Reject> {
        let obs = self.obs.0.unwrap_or_default();
        let bucket = obs.bucket.0.unwrap_or_default();
        let object = obs.object.0.unwrap_or_default();
        let response = self.response.0.unwrap_or_default();
        let event_name = required(self.event_name, "eventName")?;
        let name = bucket.name.filled().or(bucket.bucket.filled());
        let key = match plain_key {
            Some(key) => key,
            None => form_decoded(required(object.key, "obs.object.key")?),
        };
        Ok(ObjectEvent {
            provider: "obs",
            vendor: Some(7),
            event_id: joined_id(
                &response.request_id,
                &[response.host_id.as_deref(), Some(&key)],
            ),
            occurred_at: self.event_time.micros(),
            account: bucket.owner.0.unwrap_or_default().id.filled(),
            bucket: required(Text(name), "obs.bucket.name")?,
            region_code: region_code(self.region),
            key,
            kind: kind(&event_name),
            event_name: Some(event_name),
            size: object.size.0,
            etag: object.etag.filled(),
            // Without versioning it is the text `null`.
            version: object.version.filled().filter(|version| version != "null"),
            sequencer: None,
        })
    }
}

/// Reads an event's name, which EventGrid writes with other capitals: `ObjectCreated:PUT`.
fn kind(event_name: &str) -> Kind {
    let is_one_of = |names: &[&str]| {
        names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(event_name))
    };
    if is_one_of(&[
        "ObjectCreated:Put",
        "ObjectCreated:Post",
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
    ]) {
        Kind::Created
    } else if is_one_of(&["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"]) {
        Kind::Removed
    } else {
        Kind::Other
    }
}
