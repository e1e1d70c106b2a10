//! Notifications of object stores -> `storage_events` (`domain/storage-events.md`, design section 2).
//!
//! A message is recognized by what it holds, never by configuration. It is opened layer by layer: lists and
//! wrappers (SQS, SNS, MNS, SMN, Pub/Sub, CloudEvents, connectors) are opened here, until a single notification is left, which one of the
//! [`FORMATS`] reads. The next format is one file and one line in that list.

mod azure;
mod bos;
mod ceph;
mod cos;
mod gcs;
mod gcs_eventarc;
mod head;
pub(super) mod key_encoding;
mod minio;
mod neutral;
mod object_event;
mod obs;
mod obs_eventgrid;
mod oss;
mod oss_eventbridge;
mod qiniu;
mod s3;
mod s3_eventbridge;
mod s3_record;
mod wrapper;
mod zos;

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{DecodeContext, Decoded, Emit};
use crate::event::{Reject, RejectCode, SkipReason};
use head::{Head, Items};
pub use key_encoding::form_decoded;
use object_event::Found;
pub use wrapper::message_in_base64;

/// How one provider writes one notification.
struct Format {
    /// Says by the top level of a notification whether it has this format.
    recognize: fn(&Head<'_>) -> bool,
    /// Reads a notification that [`Format::recognize`] took.
    decode: for<'a> fn(Notification<'a>) -> Result<Found<'a>, Reject>,
}

/// Every format. No two recognize the same notification, so the order matters for speed only.
const FORMATS: [Format; 16] = [
    s3::FORMAT,
    oss::FORMAT,
    minio::FORMAT,
    cos::FORMAT,
    azure::FORMAT,
    gcs::FORMAT,
    obs::FORMAT,
    s3_eventbridge::FORMAT,
    oss_eventbridge::FORMAT,
    gcs_eventarc::FORMAT,
    obs_eventgrid::FORMAT,
    ceph::FORMAT,
    zos::FORMAT,
    bos::FORMAT,
    qiniu::FORMAT,
    neutral::FORMAT,
];

/// One layer of a message on its way to the formats.
#[derive(Clone, Copy)]
struct Notification<'a> {
    /// JSON of this layer.
    text: &'a str,
    /// What is stored with an event found in this layer: it decodes to that event alone.
    payload: &'a str,
    /// `Key` of the message around the record, as MinIO writes it: `<bucket>/<key>`, not encoded.
    outer_key: Option<&'a str>,
    /// How many layers are around this one.
    depth: usize,
}

/// Layers around a notification: EventBridge in SQS in a connector's wrapper takes five.
const DEPTH_MAX: usize = 8;

const UNKNOWN: &str = "no known storage notification: neither `Records`, `events` or a wrapper around them, \
    nor an `eventSource` or `source` of a known store; other stores can send the neutral form with `kind`, `bucket` and `key`";

/// Hands the object events of one message to `emit`.
pub fn decode(text: &str, _context: &DecodeContext<'_>, emit: &mut Emit<'_>) -> Result<(), Reject> {
    let message = Notification {
        text,
        payload: text,
        outer_key: None,
        depth: 0,
    };
    open(message, emit)
}

/// Opens one layer. `Err` means that nothing was emitted.
fn open(layer: Notification<'_>, emit: &mut Emit<'_>) -> Result<(), Reject> {
    if layer.depth > DEPTH_MAX {
        return Err(Reject::new(
            RejectCode::TooDeep,
            format!("more than {DEPTH_MAX} wrappers around a storage notification"),
        ));
    }
    match layer.text.trim_ascii_start().as_bytes().first() {
        Some(b'{') => open_object(layer, emit),
        Some(b'[') => {
            let items: Vec<&RawValue> = read(layer.text)?;
            open_list(layer, &items, None, emit)
        }
        Some(b'"') => open_text(layer, &read::<Cow<'_, str>>(layer.text)?, emit),
        _ => Err(Reject::new(
            RejectCode::NotAnObject,
            "a storage notification must be an object or a list of them",
        )),
    }
}

fn open_object(layer: Notification<'_>, emit: &mut Emit<'_>) -> Result<(), Reject> {
    let head: Head<'_> = read(layer.text)?;
    if let Some(reason) = head.skip_reason() {
        emit_skipped(reason, layer.payload, emit);
        return Ok(());
    }
    for (name, items) in [
        ("Records", &head.records),
        ("events", &head.events),
        ("Messages", &head.messages),
    ] {
        match items {
            Items::Absent => {}
            Items::List(items) => {
                return open_list(layer, items, head.outer_key.as_deref(), emit);
            }
            Items::NotAList => {
                return Err(Reject::new(
                    RejectCode::InvalidField,
                    format!("`{name}` must be a list of notifications"),
                ));
            }
        }
    }
    if let Some(format) = FORMATS.iter().find(|format| (format.recognize)(&head)) {
        match (format.decode)(layer)? {
            Found::Event(event) => event.emit(layer.text, layer.payload, emit),
            Found::Nothing(reason) => emit_skipped(reason, layer.payload, emit),
        }
        return Ok(());
    }
    if let Some(inner) = head.wrapped_text() {
        return open_text(layer, inner, emit);
    }
    if let Some(inner) = head.wrapped_json() {
        if inner == "null" {
            emit_skipped(SkipReason::Tombstone, layer.payload, emit);
            return Ok(());
        }
        return open(inside(layer, inner, layer.payload), emit);
    }
    Err(Reject::new(RejectCode::UnknownShape, UNKNOWN))
}

/// Opens every element; a bad one is rejected alone where it has neighbors.
fn open_list(
    layer: Notification<'_>,
    items: &[&RawValue],
    outer_key: Option<&str>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    match items {
        [] => emit_skipped(SkipReason::EmptyList, layer.payload, emit),
        [only] => {
            let inner = Notification {
                outer_key,
                ..inside(layer, only.get(), layer.payload)
            };
            return open(inner, emit);
        }
        _ => {
            for item in items {
                if let Err(reject) = open(inside(layer, item.get(), item.get()), emit) {
                    emit(Decoded::Rejected {
                        reject,
                        payload: Some(Cow::Borrowed(item.get())),
                    });
                }
            }
        }
    }
    Ok(())
}

/// Opens a notification that a wrapper carries as text.
fn open_text(layer: Notification<'_>, text: &str, emit: &mut Emit<'_>) -> Result<(), Reject> {
    let inner = wrapper::unwrap(text)?;
    open(inside(layer, &inner, layer.payload), emit)
}

fn inside<'a>(layer: Notification<'_>, text: &'a str, payload: &'a str) -> Notification<'a> {
    Notification {
        text,
        payload,
        outer_key: None,
        depth: layer.depth + 1,
    }
}

fn emit_skipped(reason: SkipReason, payload: &str, emit: &mut Emit<'_>) {
    emit(Decoded::Skipped {
        reason,
        payload: Some(Cow::Borrowed(payload)),
    });
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Reject> {
    serde_json::from_str(text).map_err(|error| super::reject(&error))
}

#[cfg(test)]
mod tests;
