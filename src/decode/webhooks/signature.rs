//! Signatures of notifications: HMAC over the raw bytes of the body, checked before anything is redacted
//! (`domain/webhooks.md`, section 2).

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha1::Sha1;
use sha2::Sha256;

use super::super::scalar::{List, Object, Text};

/// What the check of a notification's signature said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature<'a> {
    /// No secret is configured, there is no signature, or the signed bytes are not there.
    #[default]
    Unchecked,
    /// It fits the secret of this id.
    Valid { key_id: &'a str },
    /// It fits none of the secrets.
    Invalid,
}

/// Checks a message as it was received. `secrets` are pairs of id and secret, of which several may be in use.
///
/// The signature is looked for in the wrapper's `headers`, then in the record's; SHA-256 goes before SHA-1, and a
/// wrong SHA-256 is not made good by a right SHA-1. The signed bytes are a wrapper's `raw_body` text, else the
/// message itself where it has no wrapper; a `body` was parsed and written anew by someone, so nothing signs it.
pub fn check_signature<'s>(
    raw: &[u8],
    kafka_headers: &[(&str, &[u8])],
    secrets: &'s [(String, String)],
) -> Signature<'s> {
    if secrets.is_empty() {
        return Signature::Unchecked;
    }
    let Ok(text) = std::str::from_utf8(raw) else {
        return Signature::Unchecked;
    };
    let Ok(Object(wrapper)) = serde_json::from_str::<Object<Wrapper<'_>>>(text) else {
        return Signature::Unchecked;
    };
    let wrapper = wrapper.unwrap_or_default();
    let Some(body) = wrapper.signed_body(raw) else {
        return Signature::Unchecked;
    };
    let headers = wrapper.headers.0.unwrap_or_default();
    let in_record = |hash: Hash| {
        let mut named = kafka_headers.iter();
        let (_, value) = named.find(|(name, _)| name.eq_ignore_ascii_case(hash.header()))?;
        std::str::from_utf8(value).ok()
    };
    let v2 = headers.v2.as_deref().or_else(|| in_record(Hash::Sha256));
    let v1 = headers.v1.as_deref().or_else(|| in_record(Hash::Sha1));
    check_body(&body, v2, v1, secrets)
}

/// Checks the signed bytes themselves against the signatures that came with them, `Agora-Signature-V2` and
/// `Agora-Signature`, in constant time for each secret. The rules are those of [`check_signature`].
pub fn check_body<'s>(
    body: &[u8],
    v2: Option<&str>,
    v1: Option<&str>,
    secrets: &'s [(String, String)],
) -> Signature<'s> {
    for (hash, signature) in [(Hash::Sha256, v2), (Hash::Sha1, v1)] {
        if let Some(signature) = signature.map(str::trim).filter(|text| !text.is_empty()) {
            return verdict(hash, body, signature, secrets);
        }
    }
    Signature::Unchecked
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha1,
}

impl Hash {
    const fn header(self) -> &'static str {
        match self {
            Hash::Sha256 => "agora-signature-v2",
            Hash::Sha1 => "agora-signature",
        }
    }
}

fn verdict<'s>(
    hash: Hash,
    body: &[u8],
    signature: &str,
    secrets: &'s [(String, String)],
) -> Signature<'s> {
    let Ok(signature) = hex::decode(signature) else {
        return Signature::Invalid;
    };
    let fits = |secret: &str| match hash {
        Hash::Sha256 => Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .is_ok_and(|mac| mac.chain_update(body).verify_slice(&signature).is_ok()),
        Hash::Sha1 => Hmac::<Sha1>::new_from_slice(secret.as_bytes())
            .is_ok_and(|mac| mac.chain_update(body).verify_slice(&signature).is_ok()),
    };
    match secrets.iter().find(|(_, secret)| fits(secret)) {
        Some((key_id, _)) => Signature::Valid { key_id },
        None => Signature::Invalid,
    }
}

/// What a wrapper says about the signature; empty for a bare notification.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wrapper<'a> {
    headers: Object<Headers>,
    #[serde(borrow)]
    raw_body: Option<&'a RawValue>,
    body: Option<&'a RawValue>,
}

impl Wrapper<'_> {
    fn signed_body<'b>(&self, raw: &'b [u8]) -> Option<Cow<'b, [u8]>> {
        match (self.raw_body, self.body) {
            (None, None) => Some(Cow::Borrowed(raw)),
            (Some(body), _) => {
                let body: String = serde_json::from_str(body.get()).ok()?;
                Some(Cow::Owned(body.into_bytes()))
            }
            (None, Some(_)) => None,
        }
    }
}

/// The two signatures among a wrapper's headers, whatever the case of their names; a value may be a list.
#[derive(Default)]
struct Headers {
    v2: Option<Cow<'static, str>>,
    v1: Option<Cow<'static, str>>,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;

        impl<'de> serde::de::Visitor<'de> for HeadersVisitor {
            type Value = Headers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("headers")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Headers, A::Error> {
                let mut headers = Headers::default();
                while let Some((Text(name), values)) =
                    map.next_entry::<Text<'de>, List<Text<'de>>>()?
                {
                    let is = |hash: Hash| {
                        name.as_deref()
                            .is_some_and(|name| name.eq_ignore_ascii_case(hash.header()))
                    };
                    let value = values.into_items().into_iter().find_map(Text::filled);
                    let value = value.map(|value| Cow::Owned(value.into_owned()));
                    if is(Hash::Sha256) {
                        headers.v2 = value;
                    } else if is(Hash::Sha1) {
                        headers.v1 = value;
                    }
                }
                Ok(headers)
            }
        }
        from.deserialize_map(HeadersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"eventMs":1560408533119,"eventType":10,"noticeId":"4eb720f0-8da7-11e9-a43e-53f411c2761f","notifyMs":1560408533119,"payload":{"a":"1","b":2},"productId":1}"#;
    const V1: &str = "033c62f40f687675f17f0f41f91a40c71c0f134c";
    const V2: &str = "6d3320c60b11101395b7fc8f9068748808a0aa1bfa064438e39d1bc2c7d74d99";

    fn secrets() -> Vec<(String, String)> {
        let pair = |id: &str, secret: &str| (id.to_string(), secret.to_string());
        vec![pair("old", "other"), pair("new", "secret")]
    }

    fn check(raw: &str, kafka_headers: &[(&str, &str)], expected: Signature<'_>) {
        let headers: Vec<_> = kafka_headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let secrets = secrets();
        assert_eq!(
            check_signature(raw.as_bytes(), &headers, &secrets),
            expected,
            "{raw}"
        );
    }

    fn wrapped(headers: &str) -> String {
        let body = serde_json::Value::from(BODY);
        format!(r#"{{"received_at":1,"headers":{headers},"raw_body":{body}}}"#)
    }

    const VALID: Signature<'_> = Signature::Valid { key_id: "new" };

    #[test]
    fn the_documented_vectors_fit_a_bare_message() {
        check(BODY, &[("Agora-Signature-V2", V2)], VALID);
        check(BODY, &[("agora-signature", V1)], VALID);
        check(BODY, &[("AGORA-SIGNATURE-V2", &V2.to_uppercase())], VALID);
        check(BODY, &[], Signature::Unchecked);
        check(
            &format!("{BODY}\n"),
            &[("agora-signature-v2", V2)],
            Signature::Invalid,
        );

        let without_event_ms = BODY.replace("\"eventMs\":1560408533119,", "");
        let v1 = "5a3bb6a6d9fad2ea9ae3fb707a14c9d7f3136df1";
        let v2 = "de96da5acf03b0021ac3b4fa2225e7ae6f3533a30d50bb02c08ea4fa748bda24";
        check(&without_event_ms, &[("agora-signature", v1)], VALID);
        check(&without_event_ms, &[("agora-signature-v2", v2)], VALID);
        check(
            &without_event_ms,
            &[("agora-signature-v2", V2)],
            Signature::Invalid,
        );
    }

    #[test]
    fn a_wrappers_headers_sign_its_raw_body() {
        check(
            &wrapped(&format!(r#"{{"Agora-Signature-V2":"{V2}"}}"#)),
            &[],
            VALID,
        );
        check(
            &wrapped(&format!(r#"{{"agora-signature":["{V1}"]}}"#)),
            &[],
            VALID,
        );
        check(&wrapped("{}"), &[("agora-signature-v2", V2)], VALID);
        check(&wrapped("null"), &[], Signature::Unchecked);
        check(
            &wrapped(r#"{"agora-signature-v2":""}"#),
            &[],
            Signature::Unchecked,
        );
    }

    #[test]
    fn a_wrong_newer_signature_is_not_made_good_by_the_older() {
        let headers = format!(r#"{{"agora-signature-v2":"00","agora-signature":"{V1}"}}"#);
        check(&wrapped(&headers), &[], Signature::Invalid);
        check(
            BODY,
            &[("agora-signature-v2", "no hex"), ("agora-signature", V1)],
            Signature::Invalid,
        );
    }

    #[test]
    fn a_body_that_was_written_anew_cannot_be_checked() {
        let message = format!(r#"{{"headers":{{"agora-signature-v2":"{V2}"}},"body":{BODY}}}"#);
        check(&message, &[], Signature::Unchecked);
        check(
            "{\"cut",
            &[("agora-signature-v2", V2)],
            Signature::Unchecked,
        );
        assert_eq!(
            check_signature(b"\xff", &[], &secrets()),
            Signature::Unchecked
        );
        assert_eq!(
            check_signature(BODY.as_bytes(), &[], &[]),
            Signature::Unchecked
        );
    }
}
