//! Redacted JSON text -> events of a stream. Pure: no I/O, no clock, no state.
//!
//! A message can hold several events; each is handed to `emit` in order, and what cannot be one is handed on
//! as a dead letter or as skipped, so that every message leaves at least one row. Decoders see redacted text
//! only: no secret can reach a column.

pub mod identity;
pub mod object_key;
pub mod scalar;
pub mod storage_events;
pub mod time;
pub mod webhooks;

use std::borrow::Cow;

use crate::config::Mapping;
use crate::event::{Micros, Reject, RejectCode, SkipReason, Stream};
use crate::table::rows::Event;

/// What a decoder may need to know beside the text of the message.
#[derive(Debug, Clone, Copy)]
pub struct DecodeContext<'c> {
    /// How rows of the customer's database map to session records.
    pub mappings: &'c [Mapping],
    /// What the check of a webhook's signature said, before redaction; a replay carries the verdict over.
    pub signature: webhooks::Signature<'c>,
    /// The message's key, redacted.
    pub key: Option<&'c str>,
    /// The record's time: the event time of last resort for session records.
    pub received_at: Option<Micros>,
}

/// One thing that a message held, in the order of the message.
#[derive(Debug, Clone, PartialEq)]
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
    let _ = context;
    match stream {
        Stream::StorageEvents => storage_events::decode(text, context, emit),
        Stream::ApiCalls | Stream::Webhooks | Stream::SessionRecords => {
            Err(Reject::new(RejectCode::UnknownShape, "no format of this stream is known"))
        }
    }
}

/// Says in words of ours why a message could not be read: serde's own would quote values, which may be secrets.
pub fn reject(error: &serde_json::Error) -> Reject {
    let position = format!("line {} column {}", error.line(), error.column());
    if error.is_eof() {
        return Reject::new(RejectCode::InvalidJson, format!("the text ends in the middle, at {position}"));
    }
    let message = error.to_string();
    if error.is_syntax() {
        return match message.starts_with("recursion limit exceeded") {
            true => Reject::new(RejectCode::TooDeep, format!("nested too deeply at {position}")),
            false => Reject::new(RejectCode::InvalidJson, format!("this is not JSON at {position}")),
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
