//! MinIO bucket notifications (`domain/storage-events.md`, section 2).

use std::borrow::Cow;

use super::key_encoding::form_decoded;
use super::object_event::{Found, joined_id};
use super::s3_record::{Dialect, S3Record, kind};
use super::{Format, Notification, read};
use crate::event::Reject;

pub(super) const FORMAT: Format = Format {
    recognize: |head| head.is_from("minio:s3"),
    decode,
};

const DIALECT: Dialect = Dialect {
    provider: "minio",
    vendor: 11,
    key: decoded_key,
    kind,
    event_id: |ids| joined_id(ids.request_id, &[ids.sequencer, Some(ids.key)]),
};

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let record: S3Record<'_> = read(notification.text)?;
    record
        .into_object_event(&DIALECT, notification.outer_key)
        .map(Found::Event)
}

/// The record's key is form encoded, the message's `Key` is not: where that one equals what was written,
/// a bridge has decoded the record already, and doing it again would corrupt the name.
fn decoded_key<'a>(written: Cow<'a, str>, bucket: &str, outer_key: Option<&str>) -> Cow<'a, str> {
    let outer = outer_key
        .and_then(|outer| outer.strip_prefix(bucket))
        .and_then(|outer| outer.strip_prefix('/'));
    match outer {
        Some(outer) if outer == written => written,
        _ => form_decoded(written),
    }
}
