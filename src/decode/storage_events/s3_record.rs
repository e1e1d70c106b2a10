//! One record as S3 writes it and as MinIO and Ceph follow it.

use std::borrow::Cow;

use serde::Deserialize;

use super::object_event::{Kind, ObjectEvent, joined_id, region_code, required};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time::Instant;
use crate::event::Reject;

/// An element of `Records[]` (`domain/storage-events.md`, sections 1 to 3).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct S3Record<'a> {
    #[serde(borrow, rename = "awsRegion")]
    region: Text<'a>,
    #[serde(rename = "eventTime")]
    event_time: Instant,
    #[serde(borrow, rename = "eventName")]
    event_name: Text<'a>,
    #[serde(borrow, rename = "responseElements")]
    response: Object<Response<'a>>,
    #[serde(borrow)]
    s3: Object<S3<'a>>,
    /// Ceph.
    #[serde(borrow, rename = "eventId")]
    event_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow, rename = "x-amz-request-id")]
    request_id: Text<'a>,
    #[serde(borrow, rename = "x-amz-id-2")]
    host_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct S3<'a> {
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
    #[serde(borrow, rename = "ownerIdentity")]
    owner: Object<Owner<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner<'a> {
    #[serde(borrow, rename = "principalId")]
    principal_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct S3Object<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    size: Long,
    #[serde(borrow, rename = "eTag")]
    etag: Text<'a>,
    /// Older Ceph.
    #[serde(borrow, rename = "etag")]
    lower_case_etag: Text<'a>,
    #[serde(borrow, rename = "versionId")]
    version: Text<'a>,
    #[serde(borrow)]
    sequencer: Text<'a>,
}

/// What differs between those who write this record.
pub(super) struct Dialect {
    pub provider: &'static str,
    pub vendor: i32,
    /// Reads the key as written, given the bucket's name.
    pub key: for<'a> fn(Cow<'a, str>, bucket: &str, outer_key: Option<&str>) -> Cow<'a, str>,
    pub kind: fn(&str) -> Kind,
    /// Makes the id of an event.
    pub event_id: fn(&Ids<'_>) -> Option<String>,
}

/// What a record holds to tell it from others.
pub(super) struct Ids<'i> {
    pub request_id: &'i Text<'i>,
    pub host_id: Option<&'i str>,
    /// Ceph's own.
    pub event_id: Option<&'i str>,
    pub sequencer: Option<&'i str>,
    pub key: &'i str,
}

impl Ids<'_> {
    /// S3 gives no id: one request on one key is one event.
    pub fn of_request(&self) -> Option<String> {
        joined_id(self.request_id, &[self.host_id, Some(self.key)])
    }
}

impl<'a> S3Record<'a> {
    pub fn into_object_event(
        self,
        dialect: &Dialect,
        outer_key: Option<&str>,
    ) -> Result<ObjectEvent<'a>, Reject> {
        let s3 = self.s3.0.unwrap_or_default();
        let bucket = s3.bucket.0.unwrap_or_default();
        let object = s3.object.0.unwrap_or_default();
        let response = self.response.0.unwrap_or_default();
        let bucket_name = required(bucket.name, "s3.bucket.name")?;
        let written_key = required(object.key, "s3.object.key")?;
        let event_name = required(self.event_name, "eventName")?;
        let key = (dialect.key)(written_key, &bucket_name, outer_key);
        let sequencer = object.sequencer.filled();
        let event_id = (dialect.event_id)(&Ids {
            request_id: &response.request_id,
            host_id: response.host_id.as_deref(),
            event_id: self.event_id.as_deref(),
            sequencer: sequencer.as_deref(),
            key: &key,
        });
        Ok(ObjectEvent {
            provider: dialect.provider,
            vendor: Some(dialect.vendor),
            event_id,
            occurred_at: self.event_time.micros(),
            account: bucket.owner.0.unwrap_or_default().principal_id.filled(),
            region_code: region_code(self.region),
            kind: (dialect.kind)(event_name.strip_prefix("s3:").unwrap_or(&event_name)),
            size: object.size.0,
            etag: object.etag.filled().or(object.lower_case_etag.filled()),
            version: object.version.filled(),
            bucket: bucket_name,
            key,
            event_name: Some(event_name),
            sequencer,
        })
    }
}

/// Reads an event's name without `s3:`. Only the names of finished objects count as created.
pub(super) fn kind(event_name: &str) -> Kind {
    match event_name {
        "ObjectCreated:Put"
        | "ObjectCreated:Post"
        | "ObjectCreated:Copy"
        | "ObjectCreated:CompleteMultipartUpload" => Kind::Created,
        "ObjectRemoved:Delete"
        | "ObjectRemoved:DeleteMarkerCreated"
        | "LifecycleExpiration:Delete"
        | "LifecycleExpiration:DeleteMarkerCreated" => Kind::Removed,
        _ => Kind::Other,
    }
}
