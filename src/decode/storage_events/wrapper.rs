//! Texts inside wrappers: JSON as it is, or JSON in base64 as Alibaba's queues send it.
//!
//! What comes out may be stored as an event's payload. So nothing is opened here that [`crate::redact`] does not
//! look into: of base64 only what holds an object, in the standard alphabet and from the first character on.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::{Reject, RejectCode};

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
