//! Text in base64 inside of what broke: pieces of a message that nobody can put together again, and that hold its
//! secrets all the same.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::json::REDACTED;

/// A shorter piece says too little to be told from a word.
const DIGITS_MIN: usize = 16;

/// Returns the text without pieces of base64 that hold text; borrowed where there are none.
///
/// A piece may begin anywhere: what stood before it is lost. So it is read at each place that its groups of four can
/// begin at. Digests, tickets and other random bytes are no text at any.
pub(super) fn without_text(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..]
            .iter()
            .take_while(|byte| is_digit(**byte))
            .count();
        if length >= DIGITS_MIN && holds_text(&bytes[at..at + length]) {
            // What follows is its end, in another line perhaps, or the other parts of a token.
            let more = bytes[at..].iter().take_while(|byte| {
                is_digit(**byte) || matches!(byte, b'=' | b'.' | b'\\' | b'\r' | b'\n')
            });
            let end = at + more.count();
            out.push_str(&text[copied..at]);
            out.push_str(REDACTED);
            (copied, at) = (end, end);
        } else {
            at += length.max(1);
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn holds_text(digits: &[u8]) -> bool {
    (0..4).any(|start| {
        let digits = &digits[start..];
        let digits = &digits[..digits.len() / 4 * 4];
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD]
            .iter()
            .filter_map(|alphabet| alphabet.decode(digits).ok())
            .any(|bytes| is_text(&bytes))
    })
}

/// Says whether all of it can be read, characters cut in two at its ends aside.
fn is_text(bytes: &[u8]) -> bool {
    let is_rest = |byte: &u8| (0x80..0xC0).contains(byte);
    let bytes = &bytes[bytes.iter().take_while(|byte| is_rest(byte)).count().min(3)..];
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_control = |c: char| c.is_control() && !c.is_ascii_whitespace();
    !text.is_empty() && !text.contains(is_control)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const JSON: &str =
        r#"{"bucket":"acme","metadata":{"upload_token":"s3cr3t-s3cr3t-s3cr3t","name":"\u623F"}}"#;

    #[test]
    fn pieces_of_text_go_wherever_they_begin() {
        let encoded = STANDARD.encode(JSON);
        for start in 0..encoded.len() - DIGITS_MIN - 8 {
            let piece = &encoded[start..];
            let broken = format!("{{\"MessageBody\":\u{FFFD}{piece}\"");
            let expected = "{\"MessageBody\":\u{FFFD}[redacted]\"";
            assert_eq!(without_text(&broken), expected, "{start}");
        }
        let lines = format!("{}\r\n{}\r\n", &encoded[..76], &encoded[76..]);
        assert_eq!(without_text(&lines), REDACTED);
    }

    #[test]
    fn what_is_no_text_stays() {
        for text in [
            "",
            "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6",
            "9B2CF535F27731C974343645A3985328",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "VdxfQy0aRcZ8kLmN3pTgWsBj",
            "/v1/apps/0123456789abcdef0123456789abcdef/cloud_recording/resourceid/r1/mode/mix/start",
            "tenantA/20251124/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_20251124161005317.ts",
            "clientRequest recordingFileConfig extensionServiceConfig",
        ] {
            assert_eq!(without_text(text), text);
        }
    }
}
