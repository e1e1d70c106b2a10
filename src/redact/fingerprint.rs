//! Keyed fingerprints of access keys: they tell "same bucket, other account" without keeping the key.
//!
//! A fingerprint is `<key id>:<32 lower-case hex digits of HMAC-SHA256>`. It depends on nothing but the
//! configured key and the value, so that all hosts agree.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The configured key of the fingerprints.
#[derive(Clone)]
pub struct FingerprintKey {
    /// Names the key in every fingerprint: 1 to 16 letters, digits, `-` or `_`.
    pub id: String,
    /// The key itself. Never printed.
    pub secret: Vec<u8>,
}

const HEX_DIGITS: usize = 32;
const KEY_ID_BYTES_MAX: usize = 16;

/// Makes fingerprints, the key's share of the work done beforehand.
pub(super) struct Fingerprinter {
    id: String,
    keyed: Hmac<Sha256>,
}

impl Fingerprinter {
    pub(super) fn new(key: FingerprintKey) -> Fingerprinter {
        Fingerprinter {
            keyed: Hmac::new_from_slice(&key.secret).expect("HMAC takes keys of any length"),
            id: key.id,
        }
    }

    /// Appends the fingerprint of `value`.
    pub(super) fn write(&self, value: &[u8], out: &mut String) {
        let mut keyed = self.keyed.clone();
        keyed.update(value);
        let digest = keyed.finalize().into_bytes();
        out.push_str(&self.id);
        out.push(':');
        for byte in &digest[..HEX_DIGITS / 2] {
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
    }
}

/// Tells whether a text has exactly the shape of a fingerprint. Only such a text may stay when a stored
/// payload is read again.
pub(super) fn is_fingerprint(text: &[u8]) -> bool {
    let Some(colon) = text.len().checked_sub(HEX_DIGITS + 1) else {
        return false;
    };
    let (id, hex) = (&text[..colon], &text[colon + 1..]);
    let is_id_byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text[colon] == b':'
        && (1..=KEY_ID_BYTES_MAX).contains(&id.len())
        && id.iter().all(is_id_byte)
        && hex
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_first_half_of_the_hmac() {
        let key = FingerprintKey {
            id: "k1".to_string(),
            secret: b"key".to_vec(),
        };
        let mut out = String::new();
        Fingerprinter::new(key).write(b"The quick brown fox jumps over the lazy dog", &mut out);
        assert_eq!(out, "k1:f7bc83f430538424b13298e6aa6fb143");
        assert!(is_fingerprint(out.as_bytes()));
    }

    #[test]
    fn only_the_exact_shape_is_a_fingerprint() {
        let hex = "f7bc83f430538424b13298e6aa6fb143";
        assert!(is_fingerprint(format!("a-b_C9:{hex}").as_bytes()));
        for text in [
            hex.to_string(),
            format!(":{hex}"),
            format!("k 1:{hex}"),
            format!("k1:{hex}0"),
            format!("k1:{}", hex.to_uppercase()),
            format!("12345678901234567:{hex}"),
            format!("k1:{}", &hex[1..]),
            String::new(),
        ] {
            assert!(!is_fingerprint(text.as_bytes()), "{text}");
        }
    }
}
