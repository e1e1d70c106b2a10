//! Alibaba OSS notifications, each event by itself (`domain/storage-events.md`, section 4).

use std::borrow::Cow;

use serde::Deserialize;

use super::key_encoding::plain_or_decoded;
use super::object_event::{Found, Kind, ObjectEvent, joined_id, region_code, required, trimmed};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time::Instant;
use crate::event::Reject;
use crate::vendor;

pub(super) const FORMAT: Format = Format {
    recognize: |head| head.is_from("acs:oss"),
    decode,
};

pub(super) const PROVIDER: &str = "oss";
pub(super) const VENDOR: i32 = 2;

/// An element of `events[]`; also `data` of an EventBridge event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OssRecord<'a> {
    #[serde(borrow, rename = "eventName")]
    pub event_name: Text<'a>,
    #[serde(rename = "eventTime")]
    pub event_time: Instant,
    #[serde(borrow)]
    pub region: Text<'a>,
    #[serde(borrow)]
    pub oss: Object<Oss<'a>>,
    #[serde(borrow, rename = "responseElements")]
    pub response: Object<Response<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    #[serde(borrow, rename = "requestId")]
    request_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Oss<'a> {
    #[serde(borrow)]
    pub bucket: Object<Bucket<'a>>,
    #[serde(borrow)]
    pub object: Object<OssObject<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bucket<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `acs:oss:<region>:<owner>:<bucket>`.
    #[serde(borrow)]
    pub arn: Text<'a>,
    #[serde(borrow, rename = "ownerIdentity")]
    pub owner: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OssObject<'a> {
    #[serde(borrow)]
    pub key: Text<'a>,
    size: Long,
    #[serde(borrow, rename = "eTag")]
    etag: Text<'a>,
    #[serde(borrow, rename = "versionId")]
    version: Text<'a>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let record: OssRecord<'_> = read(notification.text)?;
    record.into_object_event().map(Found::Event)
}

impl<'a> OssRecord<'a> {
    pub fn into_object_event(self) -> Result<ObjectEvent<'a>, Reject> {
        let oss = self.oss.0.unwrap_or_default();
        let bucket = oss.bucket.0.unwrap_or_default();
        let object = oss.object.0.unwrap_or_default();
        let name = Text(trimmed(bucket.name));
        let event_name = required(Text(trimmed(self.event_name)), "eventName")?;
        // Whether it is encoded is stated nowhere.
        let key = plain_or_decoded(required(object.key, "oss.object.key")?);
        let request_id = self.response.0.unwrap_or_default().request_id;
        Ok(ObjectEvent {
            provider: PROVIDER,
            vendor: Some(VENDOR),
            event_id: joined_id(&request_id, &[Some(&key)]),
            occurred_at: self.event_time.micros(),
            account: trimmed(bucket.owner),
            bucket: required(name, "oss.bucket.name")?,
            region_code: region(self.region, &bucket.arn),
            key,
            kind: kind(&event_name),
            event_name: Some(event_name),
            size: object.size.0,
            etag: trimmed(object.etag),
            version: object.version.filled(),
            sequencer: None,
        })
    }
}

/// Reads the region from its field; from the bucket's ARN where the field names no region of OSS.
fn region<'a>(field: Text<'a>, arn: &Text<'_>) -> Option<Cow<'a, str>> {
    let field = region_code(field);
    if field.as_deref().is_some_and(is_known) {
        return field;
    }
    let in_arn = arn.as_deref().and_then(|arn| arn.trim().split(':').nth(2));
    let in_arn = in_arn.map(|code| code.strip_prefix("oss-").unwrap_or(code));
    match in_arn {
        Some(code) if is_known(code) || (field.is_none() && !code.is_empty()) => {
            Some(Cow::Owned(code.to_string()))
        }
        _ => field,
    }
}

fn is_known(code: &str) -> bool {
    let oss = vendor::vendors().iter().find(|vendor| vendor.id == VENDOR);
    oss.is_some_and(|oss| {
        let mut codes = oss.regions.iter().map(|region| region.region_code);
        codes.any(|known| known == Some(code))
    })
}

/// Reads an event's name. Parts and begun uploads are named `ObjectCreated:` too, aborted ones `ObjectRemoved:`.
fn kind(event_name: &str) -> Kind {
    match event_name {
        "ObjectCreated:PutObject"
        | "ObjectCreated:PostObject"
        | "ObjectCreated:CopyObject"
        | "ObjectCreated:AppendObject"
        | "ObjectCreated:CompleteMultipartUpload" => Kind::Created,
        "ObjectRemoved:DeleteObject" | "ObjectRemoved:DeleteObjects" => Kind::Removed,
        _ => Kind::Other,
    }
}
