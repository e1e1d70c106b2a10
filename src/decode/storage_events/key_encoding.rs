//! How object keys are written in notifications (`domain/storage-events.md`, section 11).
//!
//! Decoding twice, or decoding what was never encoded, corrupts names: `+` and `%` are legal in a channel name.
//! So each format says which of these it needs, and none is tried for luck.

use std::borrow::Cow;

use crate::decode::object_key;

/// Decodes form encoding: `+` is a space, `%XX` a byte.
pub fn form_decoded(key: Cow<'_, str>) -> Cow<'_, str> {
    if key.bytes().any(|byte| byte == b'+' || byte == b'%') {
        decoded(&key, true).map_or(key, Cow::Owned)
    } else {
        key
    }
}

/// Decodes percent encoding: `%XX` is a byte, `+` stays.
pub(in crate::decode) fn percent_decoded(key: &str) -> Option<String> {
    decoded(key, false)
}

/// Takes a key as it is where nobody states whether it is encoded. Only one that names no recording until it is
/// decoded is taken for an encoded one.
pub(super) fn plain_or_decoded(written: Cow<'_, str>) -> Cow<'_, str> {
    if !written.contains('%') || object_key::parse(&written).sid.is_some() {
        return written;
    }
    match percent_decoded(&written) {
        Some(decoded) if object_key::parse(&decoded).sid.is_some() => Cow::Owned(decoded),
        _ => written,
    }
}

/// Returns none where the bytes are no UTF-8: then the text was not encoded this way. A `%` without two
/// hexadecimal digits stands for itself.
fn decoded(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        bytes.push(match (first, escaped) {
            (_, Some((high, low))) => {
                rest = &after[2..];
                high * 16 + low
            }
            (b'+', None) if plus_is_space => b' ',
            (other, None) => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_encoding_is_undone_once() {
        for (written, key) in [
            ("a/b.ts", "a/b.ts"),
            ("a%2Fb+c%2Bd.ts", "a/b c+d.ts"),
            ("100%25+x", "100% x"),
            ("%2525", "%25"),
            ("%e6%88%bf.ts", "房.ts"),
            ("50%.ts", "50%.ts"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%ff.ts", "%ff.ts"),
        ] {
            assert_eq!(form_decoded(Cow::Borrowed(written)), key);
        }
    }

    #[test]
    fn percent_encoding_leaves_plus_alone() {
        assert_eq!(percent_decoded("a%2Fb+c").as_deref(), Some("a/b+c"));
        assert_eq!(percent_decoded("%ff"), None);
    }
}
