//! Redacted JSON text -> events of a stream. Pure: no I/O, no clock, no state.
//!
//! A message can hold several events; each is handed to `emit` in order, and what cannot be one is handed on
//! as a dead letter or as skipped, so that every message leaves at least one row. Decoders see redacted text
//! only: no secret can reach a column.

use std::borrow::Cow;

use crate::event::{Reject, SkipReason};
use crate::table::rows::Event;

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
