//! Ceph RGW bucket notifications (`domain/storage-events.md`, section 3).

use super::object_event::{Found, Kind, joined_id};
use super::s3_record::{self, Dialect, S3Record};
use super::{Format, Notification, read};
use crate::event::Reject;

pub(super) const FORMAT: Format = Format {
    recognize: |head| head.is_from("ceph:s3"),
    decode,
};

const DIALECT: Dialect = Dialect {
    provider: "ceph",
    vendor: 11,
    // Written raw.
    key: |key, _, _| key,
    kind: |event_name| match event_name {
        // Also sent when a multipart upload begins, which is no object yet.
        "ObjectCreated:Post" => Kind::Other,
        _ => s3_record::kind(event_name),
    },
    event_id: |ids| joined_id(ids.request_id, &[ids.host_id, ids.event_id, Some(ids.key)]),
};

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let record: S3Record<'_> = read(notification.text)?;
    record.into_object_event(&DIALECT, None).map(Found::Event)
}
