//! Huawei OBS through EventGrid and DWR: CloudEvents around one record (`domain/storage-events.md`, section 8).

use std::borrow::Cow;

use serde::Deserialize;

use super::object_event::Found;
use super::obs::ObsRecord;
use super::{Format, Notification, read};
use crate::decode::scalar::{Object, Text};
use crate::decode::time::Instant;
use crate::event::{MICROS_PER_SECOND, Micros, Reject};

pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        let source = head.source.as_deref();
        source.is_some_and(|source| source.starts_with("HC.OBS"))
    },
    decode,
};

const HOUR: Micros = 3600 * MICROS_PER_SECOND;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CloudEvent<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    /// `OBS:DWR:ObjectCreated:PUT`.
    #[serde(borrow, rename = "type")]
    event_type: Text<'a>,
    time: Instant,
    /// The key, not encoded; in the record a setting decides.
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    data: Object<ObsRecord<'a>>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: CloudEvent<'_> = read(notification.text)?;
    let mut record = event.data.0.unwrap_or_default();
    if record.event_name.as_deref().is_none_or(str::is_empty) {
        let event_type = event.event_type.as_deref().unwrap_or_default();
        let name = event_type
            .trim_start_matches("OBS:")
            .trim_start_matches("DWR:");
        record.event_name.0 = Some(Cow::Owned(name.to_string()));
    }
    record.event_time = time(record.event_time, event.time);
    let mut object_event = record.into_object_event(event.subject.filled())?;
    if let Some(id) = event.id.filled() {
        object_event.event_id = Some(id.into_owned());
    }
    Ok(Found::Event(object_event))
}

/// The record's time may be that of China, eight hours ahead, although it ends in `Z`; the event's, a moment later, is
/// not. An object cannot be written after it is told of, so the difference tells.
fn time(of_record: Instant, of_event: Instant) -> Instant {
    match (of_record, of_event) {
        (Instant::At(record), Instant::At(event)) if record - event > 7 * HOUR => {
            Instant::At(record - 8 * HOUR)
        }
        (Instant::At(_), _) => of_record,
        _ => of_event,
    }
}
