//! Messages that do not parse: cut at every byte, damaged at every byte, binary, too deep.

use super::planted::{MESSAGES, planted};
use super::*;
use crate::event::RejectCode;

fn code(message: &[u8]) -> Option<RejectCode> {
    let mut out = String::from("left over");
    let code = redactor()
        .json(message, &mut out)
        .err()
        .map(|reject| reject.code);
    assert!(code.is_none() || out.is_empty());
    code
}

/// What the write path keeps of a message.
fn kept(message: &[u8]) -> String {
    let redactor = redactor();
    let mut out = String::new();
    match redactor.json(message, &mut out) {
        Ok(()) => out,
        Err(reject) => redactor.bytes(message) + &reject.detail,
    }
}

#[test]
fn cut_at_every_byte_no_secret_survives() {
    for message in MESSAGES {
        let message = planted(message);
        for end in 0..message.len() {
            let cut = &message.as_bytes()[..end];
            assert_clean(&kept(cut), &message[..end]);
        }
    }
}

#[test]
fn wrapped_and_cut_at_every_byte_no_secret_survives() {
    for message in MESSAGES {
        let inner = escape::escape(&planted(message));
        let message = format!(
            "{{\"body\":{}}}",
            escape::escape(&format!("{{\"Message\":{inner}}}"))
        );
        for end in (0..message.len()).filter(|end| message.is_char_boundary(*end)) {
            assert_clean(&kept(&message.as_bytes()[..end]), &message[..end]);
        }
    }
}

#[test]
fn damaged_at_every_byte_no_secret_survives() {
    for message in MESSAGES {
        let message = planted(message);
        for position in 0..=message.len() {
            // Damage inside the mark is no longer the mark.
            for damage in [&b"\0"[..], b"\xff", b"\xe2\x82", b"\x01"] {
                let mut damaged = message.clone().into_bytes();
                damaged.splice(position..position, damage.iter().copied());
                assert_clean(&kept(&damaged), &message[..position]);
            }
        }
    }
}

#[test]
fn a_missing_quote_comma_or_closing_bracket_lets_no_secret_through() {
    for message in MESSAGES {
        let message = planted(message);
        for (position, byte) in message.bytes().enumerate() {
            if matches!(byte, b'"' | b'}' | b']' | b',' | b'\\') {
                let mut damaged = message.clone().into_bytes();
                damaged.remove(position);
                let mut out = String::new();
                if redactor().json(&damaged, &mut out).is_err() {
                    assert_clean(
                        &redactor().bytes(&damaged),
                        &String::from_utf8_lossy(&damaged),
                    );
                }
            }
        }
    }
}

#[test]
fn rejects_name_the_place_and_quote_nothing() {
    for (message, wanted, place) in [
        (&b""[..], RejectCode::InvalidJson, "byte 0"),
        (b"  ", RejectCode::InvalidJson, "byte 2"),
        (b"{\"a\":1,}", RejectCode::InvalidJson, "byte 7"),
        (b"{\"a\" 1}", RejectCode::InvalidJson, "byte 5"),
        (b"{\"a\":1} x", RejectCode::InvalidJson, "byte 8"),
        (b"{\"a\":\"q7Zk2W", RejectCode::InvalidJson, "byte 12"),
        (b"[1 2]", RejectCode::InvalidJson, "byte 3"),
        (b"[01]", RejectCode::InvalidJson, "byte 2"),
        (b"[1.]", RejectCode::InvalidJson, "byte 3"),
        (b"[-]", RejectCode::InvalidJson, "byte 2"),
        (b"[1e]", RejectCode::InvalidJson, "byte 3"),
        (b"[tru]", RejectCode::InvalidJson, "byte 1"),
        (b"[\"\\x\"]", RejectCode::InvalidJson, "byte 2"),
        (b"[\"\\u12g4\"]", RejectCode::InvalidJson, "byte 2"),
        (b"[\"a\nb\"]", RejectCode::InvalidJson, "byte 3"),
        (b"[}", RejectCode::InvalidJson, "byte 1"),
        (b"{1:2}", RejectCode::InvalidJson, "byte 1"),
        (b"[\"\xff\"]", RejectCode::InvalidUtf8, "byte 2"),
    ] {
        let mut out = String::new();
        let reject = redactor()
            .json(message, &mut out)
            .expect_err("must be refused");
        assert_eq!(reject.code, wanted);
        assert!(
            reject.detail.contains(place),
            "{} wants {place}",
            reject.detail
        );
        assert!(!reject.detail.contains("q7Zk2W"), "{}", reject.detail);
    }
}

#[test]
fn nesting_is_allowed_to_the_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(code(nested(MAX_DEPTH).as_bytes()), None);
    assert_eq!(
        code(nested(MAX_DEPTH + 1).as_bytes()),
        Some(RejectCode::TooDeep)
    );
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert_eq!(code(objects(MAX_DEPTH).as_bytes()), None);
    assert_eq!(
        code(objects(MAX_DEPTH + 1).as_bytes()),
        Some(RejectCode::TooDeep)
    );
    assert_eq!(
        code("[".repeat(1_000_000).as_bytes()),
        Some(RejectCode::TooDeep)
    );
    let secret = planted(&objects(80).replace('1', r#"{"token":"MARK"}"#));
    assert_clean(&kept(secret.as_bytes()), "too deep");
}

#[test]
fn long_and_hostile_messages_take_linear_time_and_little_stack() {
    for piece in [
        "https://a/",
        "%2F",
        "\"token\",",
        "token:",
        "\\\\\"",
        "{\"value\":",
        "eyJ",
        "'",
        "Basic ",
    ] {
        let long = piece.repeat(20_000);
        let message = format!("{{\"x\":{}}}", escape::escape(&long));
        assert_eq!(code(message.as_bytes()), None);
        redactor().bytes(&message.as_bytes()[..message.len() - 2]);
        redactor().text(&long);
    }
}

#[test]
fn binary_is_kept_as_length_and_hash() {
    let mut binary = MARK.as_bytes().to_vec();
    binary.extend([0; 20]);
    assert_eq!(
        redactor().bytes(&binary),
        format!(
            "[{} bytes, sha256 {}]",
            binary.len(),
            hex::encode(Sha256::digest(&binary))
        )
    );
    let utf16: Vec<u8> = planted(r#"{"token":"MARK"}"#)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(redactor().bytes(&utf16).contains("sha256"));
    assert_eq!(redactor().bytes(b""), "");
}
