//! Amazon S3 event notifications, each record by itself (`domain/storage-events.md`, section 1).

use super::key_encoding::form_decoded;
use super::object_event::Found;
use super::s3_record::{Dialect, S3Record, kind};
use super::{Format, Notification, read};
use crate::event::Reject;

pub(super) const FORMAT: Format = Format {
    recognize: |head| head.is_from("aws:s3"),
    decode,
};

const DIALECT: Dialect = Dialect {
    provider: "s3",
    vendor: 1,
    key: |key, _, _| form_decoded(key),
    kind,
    event_id: |ids| ids.of_request(),
};

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let record: S3Record<'_> = read(notification.text)?;
    record.into_object_event(&DIALECT, None).map(Found::Event)
}
