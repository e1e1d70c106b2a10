//! China Telecom ZOS bucket notifications (`domain/storage-events.md`, section 0): records as S3 writes them.

use super::key_encoding::plain_or_decoded;
use super::object_event::Found;
use super::s3_record::{Dialect, S3Record, kind};
use super::{Format, Notification, read};
use crate::event::Reject;

pub(super) const FORMAT: Format = Format {
    recognize: |head| head.is_from("ctyun:s3"),
    decode,
};

const DIALECT: Dialect = Dialect {
    provider: "zos",
    vendor: 11,
    // Whether it is encoded is stated nowhere.
    key: |key, _, _| plain_or_decoded(key),
    kind,
    event_id: |ids| ids.of_request(),
};

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let record: S3Record<'_> = read(notification.text)?;
    record.into_object_event(&DIALECT, None).map(Found::Event)
}
