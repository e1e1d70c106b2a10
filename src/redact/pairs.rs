//! Secrets beside their name instead of under it: `{"name":"Authorization","value":"Basic .."}` and
//! `["Authorization","Basic .."]`.
//!
//! The one pass cannot see these in time, since the value may come first. It only notices keys like `value` and
//! names in lists; this second step then reads the text once more, which is valid JSON by then.

use std::ops::Range;

use super::escape::unescape;
use super::json::REDACTED;
use super::{names, scan};

/// Returns the text with such values replaced, or `None` if there are none.
pub(super) fn redact(text: &str) -> Option<String> {
    let mut reader = Reader {
        text,
        at: 0,
        secrets: Vec::new(),
    };
    reader.value(b"");
    let mut secrets = reader.secrets;
    if secrets.is_empty() {
        return None;
    }
    secrets.sort_by_key(|secret| (secret.start, usize::MAX - secret.end));
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for secret in secrets {
        if secret.start >= copied {
            out.push_str(&text[copied..secret.start]);
            out.push('"');
            out.push_str(REDACTED);
            out.push('"');
            copied = secret.end;
        }
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Reads valid JSON; collects the values to replace.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    secrets: Vec<Range<usize>>,
}

/// A value that was read.
struct Value {
    range: Range<usize>,
    /// It is a string that is a tell-tale name.
    is_name: bool,
    /// Null, a boolean, `""` and what is redacted already are no secrets.
    is_harmless: bool,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        self.at += blank;
        rest.get(blank).copied()
    }

    /// Reads the value that stands under `key`, the nearest one above it.
    fn value(&mut self, key: &[u8]) -> Value {
        let first = self.peek();
        let start = self.at;
        let mut is_name = false;
        let mut is_harmless = false;
        match first {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(key),
            Some(b'"') => {
                let inside = self.string();
                let text = unescape(&self.text[inside]);
                is_name = names::is_sensitive_name(text.as_bytes());
                is_harmless = text.is_empty() || text == REDACTED;
            }
            _ => {
                let rest = &self.text.as_bytes()[start..];
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
                self.at += rest.iter().position(is_end).unwrap_or(rest.len());
                is_harmless = matches!(first, Some(b't' | b'f' | b'n'));
            }
        }
        Value {
            range: start..self.at,
            is_name,
            is_harmless,
        }
    }

    /// Reads a string and returns where its inside is.
    fn string(&mut self) -> Range<usize> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = scan::delimiter(bytes, start);
        while bytes.get(end) == Some(&b'\\') {
            end = scan::delimiter(bytes, end + 2);
        }
        self.at = end + 1;
        start..end
    }

    fn object(&mut self) {
        let mut names = 0;
        let mut candidates = Vec::new();
        self.at += 1;
        while self.peek() == Some(b'"') {
            let key = self.string();
            let key = unescape(&self.text[key]);
            self.peek();
            self.at += 1; // the colon
            let value = self.value(key.as_bytes());
            names += usize::from(value.is_name);
            if !value.is_harmless && names::holds_pair_value(key.as_bytes()) {
                candidates.push(value);
            }
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.at += 1;
        let is_secret = |value: &Value| names > usize::from(value.is_name);
        let secrets = candidates.into_iter().filter(is_secret);
        self.secrets.extend(secrets.map(|value| value.range));
    }

    /// A list of two is taken for a header, unless it is the parts of a path.
    fn array(&mut self, key: &[u8]) {
        let mut length = 0;
        let mut has_name = false;
        let mut second = None;
        self.at += 1;
        while !matches!(self.peek(), Some(b']') | None) {
            let value = self.value(key);
            match length {
                0 => has_name = value.is_name,
                1 if !value.is_harmless => second = Some(value.range),
                _ => {}
            }
            length += 1;
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.at += 1;
        let is_path = [&b"prefix"[..], b"path"].iter().any(|part| {
            key.to_ascii_lowercase()
                .windows(part.len())
                .any(|window| window == *part)
        });
        if length == 2 && has_name && !is_path {
            self.secrets.extend(second);
        }
    }
}
