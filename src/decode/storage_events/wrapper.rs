//! Texts inside wrappers: JSON as it is, or JSON in base64 as Alibaba's queues send it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::{Reject, RejectCode};

/// Returns the JSON that a wrapper's text holds.
pub(super) fn unwrap(text: &str) -> Result<Cow<'_, str>, Reject> {
    let text = text.trim_ascii();
    if looks_like_json(text) {
        return Ok(Cow::Borrowed(text));
    }
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|inner| looks_like_json(inner.trim_ascii_start()))
        .map(Cow::Owned)
        .ok_or_else(|| {
            Reject::new(
                RejectCode::UnknownShape,
                "the wrapper's text is neither a JSON notification nor base64 of one",
            )
        })
}

fn looks_like_json(text: &str) -> bool {
    text.starts_with(['{', '[', '"'])
}
