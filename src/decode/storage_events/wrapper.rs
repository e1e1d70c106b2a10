//! Texts inside wrappers: JSON as it is, or JSON in base64 as Alibaba's queues send it.
//!
//! What comes out may be stored as an event's payload. So nothing is opened here that [`crate::redact`] does not
//! look into: of base64 only what holds an object, in the standard alphabet and from the first character on.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::{Reject, RejectCode};

/// Returns the JSON of a message that is base64 through and through, as a queue's consumer may pass it on; none for
/// any other. Not redacted yet, so it is asked before redaction.
pub fn message_in_base64(message: &[u8]) -> Option<Vec<u8>> {
    // No JSON begins with an `e`, and all base64 of an object does.
    if message.first() != Some(&b'e') {
        return None;
    }
    let inner = STANDARD.decode(message.trim_ascii_end()).ok()?;
    inner.starts_with(b"{").then_some(inner)
}

/// Returns the JSON that a wrapper's text holds.
pub(super) fn unwrap(text: &str) -> Result<Cow<'_, str>, Reject> {
    if text.trim_ascii_start().starts_with(['{', '[', '"']) {
        return Ok(Cow::Borrowed(text));
    }
    STANDARD
        .decode(text.trim_ascii_end())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|inner| inner.starts_with('{'))
        .map(Cow::Owned)
        .ok_or_else(|| {
            Reject::new(
                RejectCode::UnknownShape,
                "the wrapper's text is neither a JSON notification nor base64 of one",
            )
        })
}
