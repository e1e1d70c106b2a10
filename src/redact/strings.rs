//! What can hide inside a string: JSON, base64 of JSON, URLs, credentials, free text that names a secret.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::outline::NoOutline;
use super::scrub::{self, Mode};
use super::{Redactor, Rewritten, names};

/// JSON in a string in a string ...: deeper than this it is scrubbed as text.
const LEVELS_MAX: usize = 8;

/// Shorter base64 cannot hold an object with a secret worth the name.
const BASE64_BYTES_MIN: usize = 24;

/// Redacts the inside of a string, escapes undone. `key` is the key it stands under, or empty.
pub(super) fn redact<'a>(
    redactor: &Redactor,
    value: &'a str,
    key: &[u8],
    level: usize,
) -> Cow<'a, str> {
    let first = value.trim_start().as_bytes().first();
    if let Some(b'{' | b'[' | b'"') = first {
        if level < LEVELS_MAX {
            let mut inner = String::with_capacity(value.len() + 64);
            match redactor.text_of_json(value, level + 1, &mut inner, NoOutline) {
                Ok(Rewritten::No) => return Cow::Borrowed(value),
                Ok(_) => return Cow::Owned(inner),
                Err(_) if names::holds_identity(key) => return Cow::Borrowed(value),
                Err(_) => return scrub::scrub(value, Mode::Broken),
            }
        }
        return scrub::scrub(value, Mode::Broken);
    }
    if first == Some(&b'e')
        && value.len() >= BASE64_BYTES_MIN
        && let Some(outcome) = base64_json(redactor, value, level)
    {
        return outcome.map_or(Cow::Borrowed(value), Cow::Owned);
    }
    if names::is_same_name(key, "endpoint")
        && !value.contains("://")
        && let Some((_, host)) = value.rsplit_once('@')
    {
        return Cow::Owned(host.to_string());
    }
    if scrub::may_hold_secret(value) && !names::holds_identity(key) {
        return scrub::scrub(value, Mode::Text);
    }
    Cow::Borrowed(value)
}

/// Returns `None` if the text is no base64 of a JSON object, else its redacted form where that differs.
fn base64_json(redactor: &Redactor, value: &str, level: usize) -> Option<Option<String>> {
    if level >= LEVELS_MAX {
        return None;
    }
    let value = value.trim_end();
    let alphabets = match value.len() % 4 {
        0 => [STANDARD, URL_SAFE],
        _ => [STANDARD_NO_PAD, URL_SAFE_NO_PAD],
    };
    alphabets.iter().find_map(|alphabet| {
        let decoded = String::from_utf8(alphabet.decode(value).ok()?).ok()?;
        if !decoded.starts_with('{') {
            return None;
        }
        match redact(redactor, &decoded, b"", level + 1) {
            Cow::Borrowed(_) => Some(None),
            Cow::Owned(clean) => Some(Some(alphabet.encode(clean))),
        }
    })
}
