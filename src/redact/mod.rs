//! Secrets out, before anything is written anywhere (design, section 3).
//!
//! A message is copied once, and what tells of a secret is replaced by `"[redacted]"`. After this room nothing
//! ever sees a secret: rows, dead letters, logs and findings are made from its output. Where it is in doubt it
//! removes too much rather than too little.
//!
//! - [`Redactor::json`]: a message. The one pass is in `json`, names in `names`, insides of strings in `strings`.
//! - [`Redactor::text`] and [`Redactor::bytes`]: free text, and what does not parse; both in `scrub`.
//! - [`Redactor::headers`]: the headers of a Kafka record.

mod encoded;
mod escape;
mod fingerprint;
mod json;
mod names;
pub mod outline;
mod pairs;
mod scan;
mod scrub;
mod strings;
mod url;
mod value;

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::event::{Reject, RejectCode};
pub use fingerprint::FingerprintKey;
use fingerprint::Fingerprinter;
use json::REDACTED;
use outline::{NoOutline, Outline, Recorder};
use scrub::Mode;

/// Levels of nesting that a message may have; deeper JSON is a dead letter.
pub const MAX_DEPTH: usize = 64;

/// Removes secrets. Has no state but the key of the fingerprints; share it by `Arc`.
pub struct Redactor {
    fingerprinter: Option<Fingerprinter>,
}

impl Redactor {
    /// Without a key there are no fingerprints.
    pub fn new(key: Option<FingerprintKey>) -> Redactor {
        Redactor {
            fingerprinter: key.map(Fingerprinter::new),
        }
    }

    /// Fingerprints with the key of the configuration, where it has one.
    pub fn of(config: &Config) -> Redactor {
        let secret = config.secrets.fingerprint_key.as_ref();
        Redactor::new(secret.map(|secret| FingerprintKey {
            id: config.redact.fingerprint_key_id.clone(),
            secret: secret.as_bytes().to_vec(),
        }))
    }

    /// Clears `out`, then writes the redacted JSON text into it.
    ///
    /// The whole message is checked, so `out` is valid JSON; redacting it again changes nothing. On an error
    /// `out` is empty and the message is one for [`Redactor::bytes`]; the error says where, and quotes nothing.
    pub fn json(&self, message: &[u8], out: &mut String) -> Result<(), Reject> {
        self.message(message, out, |text, out| {
            self.text_of_json(text, 0, out, NoOutline).map(drop)
        })
    }

    /// Does what [`Redactor::json`] does, and outlines what it wrote, for whoever reads it next.
    pub fn json_with_outline(
        &self,
        message: &[u8],
        out: &mut String,
        outline: &mut Outline,
    ) -> Result<(), Reject> {
        outline.clear();
        self.message(message, out, |text, out| {
            if text.len() > outline::TEXT_BYTES_MAX {
                return self.text_of_json(text, 0, out, NoOutline).map(drop);
            }
            let rewritten = self.text_of_json(text, 0, out, &mut *outline)?;
            if rewritten != Rewritten::ByPairs {
                outline.finish(out);
            }
            Ok(())
        })
    }

    /// Redacts a whole message by `redact`.
    #[inline]
    fn message(
        &self,
        message: &[u8],
        out: &mut String,
        redact: impl FnOnce(&str, &mut String) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        out.clear();
        let text = std::str::from_utf8(message).map_err(|error| {
            let detail = format!("not UTF-8 at byte {}", error.valid_up_to());
            Reject::new(RejectCode::InvalidUtf8, detail)
        })?;
        out.reserve(text.len() + 128);
        redact(text, out).inspect_err(|_| out.clear())
    }

    /// Redacts free text: error texts, Kafka keys, header values, messages of exceptions.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        strings::redact(self, text, b"", 0)
    }

    /// Scrubs bytes that do not parse. What is no text is kept as its length and hash only.
    pub fn bytes(&self, message: &[u8]) -> String {
        match readable(message) {
            Some(text) => scrub::scrub(&text, Mode::Broken).into_owned(),
            None => {
                let hash = hex::encode(Sha256::digest(message));
                format!("[{} bytes, sha256 {hash}]", message.len())
            }
        }
    }

    /// Returns a record's headers as the text of a JSON object, values redacted by name and by content; `None`
    /// if there are none. A header that is there more than once has an array of its values.
    pub fn headers<'a>(
        &self,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Option<String> {
        let mut grouped: Vec<(&str, Vec<String>)> = Vec::new();
        for (name, value) in headers {
            let value = self.header(name, value);
            match grouped.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => grouped.push((name, vec![value])),
            }
        }
        if grouped.is_empty() {
            return None;
        }
        let members: Vec<String> = grouped
            .into_iter()
            .map(|(name, values)| {
                let name = escape::escape(&self.text(name));
                match values.as_slice() {
                    [value] => format!("{name}:{value}"),
                    values => format!("{name}:[{}]", values.join(",")),
                }
            })
            .collect();
        Some(format!("{{{}}}", members.join(",")))
    }

    /// Returns one header's value as JSON.
    fn header(&self, name: &str, value: Option<&[u8]>) -> String {
        let Some(value) = value else {
            return "null".to_string();
        };
        if names::is_sensitive(name.as_bytes()) && !value.is_empty() {
            return escape::escape(REDACTED);
        }
        match std::str::from_utf8(value) {
            Ok(text) => escape::escape(&self.text(text)),
            Err(_) => escape::escape(&self.bytes(value)),
        }
    }

    /// Appends the redacted JSON text.
    fn text_of_json<R: Recorder>(
        &self,
        text: &str,
        level: usize,
        out: &mut String,
        outline: R,
    ) -> Result<Rewritten, Reject> {
        let start = out.len();
        let passed = json::pass(self, text, level, out, outline)?;
        if passed.suspects_pairs
            && let Some(clean) = pairs::redact(&out[start..])
        {
            out.truncate(start);
            out.push_str(&clean);
            return Ok(Rewritten::ByPairs);
        }
        Ok(match passed.is_changed {
            true => Rewritten::ByPass,
            false => Rewritten::No,
        })
    }
}

/// Whether redacted JSON differs from the input, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rewritten {
    No,
    /// By the one pass, which knows where everything stands.
    ByPass,
    /// In a second step as well, after which nothing stands where the pass wrote it.
    ByPairs,
}

/// Returns bytes as text if that is what they are, characters left out that could only split a name:
/// NUL, other control characters, bytes that are not UTF-8.
fn readable(message: &[u8]) -> Option<String> {
    let is_junk = |c: char| {
        c == char::REPLACEMENT_CHARACTER || (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
    };
    let text = String::from_utf8_lossy(message);
    let junk = text.chars().filter(|c| is_junk(*c)).count();
    if junk == 0 {
        return Some(text.into_owned());
    }
    // One such character in ten is more than damage: this is another format.
    if junk * 10 > text.chars().count() {
        return None;
    }
    Some(text.chars().filter(|c| !is_junk(*c)).collect())
}

#[cfg(test)]
pub(crate) mod tests;
