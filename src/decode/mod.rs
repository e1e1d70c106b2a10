//! Redacted JSON text -> events of a stream. Pure: no I/O, no clock, no state.
//!
//! A message can hold several events; each is handed to `emit` in order, and what cannot be one is handed on
//! as a dead letter or as skipped, so that every message leaves at least one row. Decoders see redacted text
//! only: no secret can reach a column.

pub mod api_calls;
pub mod audits;
mod file_list;
pub mod identity;
pub mod object_key;
mod outlined;
mod raw;
pub mod scalar;
pub mod session_records;
pub mod storage_events;
pub mod time;
pub mod upload_status;
pub mod webhooks;

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::config::Mapping;
use crate::event::{Micros, Reject, RejectCode, SkipReason, Stream};
use crate::redact::outline::Outlined;
use crate::table::rows::Event;

/// What a decoder may need to know beside the text of the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeContext<'c> {
    /// How rows of the customer's database map to session records.
    pub mappings: &'c [Mapping],
    /// What the check of a webhook's signature said, before redaction; a replay carries the verdict over.
    pub signature: webhooks::Signature<'c>,
    /// The message's key, redacted.
    pub key: Option<&'c str>,
    /// The record's time: the event time of last resort for session records.
    pub received_at: Option<Micros>,
    /// The text and its outline, if there is one: the same rows for less time.
    pub outlined: Option<Outlined<'c>>,
}

/// One thing that a message held, in the order of the message.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events, and none is kept: a box would cost an allocation each"
)]
pub enum Decoded<'a> {
    Event(Event<'a>),
    Skipped {
        reason: SkipReason,
        payload: Option<Cow<'a, str>>,
    },
    /// One record of a message is wrong; its neighbours are not touched.
    Rejected {
        reject: Reject,
        payload: Option<Cow<'a, str>>,
    },
}

/// Takes what a decoder finds.
pub type Emit<'e> = dyn FnMut(Decoded<'_>) + 'e;

/// Hands the events of one message to `emit`.
///
/// `Err` means that the whole message is a dead letter; then nothing was emitted.
pub fn decode(
    stream: Stream,
    text: &str,
    context: &DecodeContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    if matches!(text.trim_ascii(), "" | "null") {
        emit(Decoded::Skipped {
            reason: SkipReason::Tombstone,
            payload: None,
        });
        return Ok(());
    }
    match stream {
        Stream::ApiCalls => api_calls::decode(text, context, emit),
        Stream::StorageEvents => storage_events::decode(text, context, emit),
        Stream::Webhooks => webhooks::decode(text, context, emit),
        Stream::SessionRecords => session_records::decode(text, context, emit),
        Stream::Audits => audits::decode(text, context, emit),
        Stream::UploadStatus => upload_status::decode(text, context, emit),
    }
}

/// Calls `decode_one` with an event's text and the payload that its row keeps: for an object once, for a list once
/// an element, where a bad element is a dead letter of its own.
///
/// `whole` is the message that `text` is of. It is the payload where there is one event, else the event's own text
/// is: so the payload of any row decodes to that row again.
pub(crate) fn each_element(
    text: &str,
    whole: &str,
    emit: &mut Emit<'_>,
    mut decode_one: impl FnMut(&str, &str, &mut Emit<'_>) -> Result<(), Reject>,
) -> Result<(), Reject> {
    let start = text.trim_ascii_start();
    if start.starts_with('{') {
        return decode_one(text, whole, emit);
    }
    if !start.starts_with('[') {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| reject(&error))?;
        return Err(not_an_object());
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| reject(&error))?;
    match elements.as_slice() {
        [] => emit(Decoded::Skipped {
            reason: SkipReason::EmptyList,
            payload: Some(Cow::Borrowed(whole)),
        }),
        [only] if only.get().starts_with('{') => return decode_one(only.get(), whole, emit),
        [_] => return Err(not_an_object()),
        elements => {
            for element in elements.iter().map(|element| element.get()) {
                let outcome = match element.starts_with('{') {
                    true => decode_one(element, element, emit),
                    false => Err(not_an_object()),
                };
                if let Err(reject) = outcome {
                    emit(Decoded::Rejected {
                        reject,
                        payload: Some(Cow::Borrowed(element)),
                    });
                }
            }
        }
    }
    Ok(())
}

fn not_an_object() -> Reject {
    Reject::new(RejectCode::NotAnObject, "an event must be a JSON object")
}

/// The reject of an event without a field that it cannot do without.
pub(crate) fn missing(field: &str) -> Reject {
    let detail = format!("`{field}` is missing, or not of a type that can be read");
    Reject::new(RejectCode::MissingField, detail)
}

/// Says in words of ours why a message could not be read: serde's own would quote values, which may be secrets.
pub(crate) fn reject(error: &serde_json::Error) -> Reject {
    describe(
        error,
        format!("line {} column {}", error.line(), error.column()),
    )
}

/// The same for JSON that a field holds; positions count from the field's beginning.
pub(crate) fn reject_in(error: &serde_json::Error, field: &str) -> Reject {
    let (line, column) = (error.line(), error.column());
    describe(error, format!("line {line} column {column} of `{field}`"))
}

fn describe(error: &serde_json::Error, position: String) -> Reject {
    if error.is_eof() {
        return Reject::new(
            RejectCode::InvalidJson,
            format!("the text ends in the middle, at {position}"),
        );
    }
    let message = error.to_string();
    if error.is_syntax() {
        return match message.starts_with("recursion limit exceeded") {
            true => Reject::new(
                RejectCode::TooDeep,
                format!("nested too deeply at {position}"),
            ),
            false => Reject::new(
                RejectCode::InvalidJson,
                format!("this is not JSON at {position}"),
            ),
        };
    }
    // The name in this message is one of ours: unknown keys are skipped without being compared.
    let duplicate = message
        .strip_prefix("duplicate field `")
        .and_then(|rest| rest.split_once('`'));
    match duplicate {
        Some((field, _)) => Reject::new(
            RejectCode::DuplicateKey,
            format!("the key `{field}` is there twice in one object, at {position}"),
        ),
        None => Reject::new(
            RejectCode::InvalidField,
            format!("a field has a type that cannot be read, at {position}"),
        ),
    }
}

#[cfg(test)]
mod tests;
