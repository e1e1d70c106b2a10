//! Where a secret begins and ends in text that may be JSON, escaped JSON, a form, a header, XML or a sentence.

use std::ops::Range;

use super::json::REDACTED;
use super::names;
use super::scrub::Mode;

/// A name in a text, and how it is written.
pub(super) struct Name {
    pub range: Range<usize>,
    /// A quote, escaped or not, stands before or after it, as with a key of JSON.
    pub is_quoted: bool,
}

impl Name {
    /// The whole name around a part of it.
    pub(super) fn around(text: &str, part: Range<usize>) -> Name {
        let bytes = text.as_bytes();
        let before = bytes[..part.start]
            .iter()
            .rev()
            .take_while(|byte| names::is_name_byte(**byte))
            .count();
        let after = bytes[part.end..]
            .iter()
            .take_while(|byte| names::is_name_byte(**byte))
            .count();
        let range = part.start - before..part.end + after;
        let quote = range.end + count(bytes, range.end, b'\\');
        Name {
            is_quoted: bytes[..range.start].last() == Some(&b'"')
                || bytes.get(quote) == Some(&b'"'),
            range,
        }
    }

    /// The value after the name and a separator.
    pub(super) fn value(&self, text: &str, mode: Mode) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let is_xml = self.range.start > 0
            && bytes[self.range.start - 1] == b'<'
            && bytes.get(self.range.end) == Some(&b'>');
        if is_xml {
            let start = self.range.end + 1;
            let length = memchr::memchr(b'<', &bytes[start..]).unwrap_or(bytes.len() - start);
            return Some(start..start + length);
        }
        let at = skip(text, self.range.end, &BETWEEN);
        let is_option =
            text[self.range.start..].starts_with("--") && bytes.get(self.range.end) == Some(&b' ');
        let at = match skip_one(text, at, &SEPARATORS) {
            Some(at) => at,
            // `secret key: x`
            None => match skip_one(text, at, &["key", "id", "value", "token"])
                .map(|at| skip(text, at, &BETWEEN))
            {
                Some(at) => skip_one(text, at, &SEPARATORS)?,
                None if is_option => self.range.end + 1,
                None => return None,
            },
        };
        let at = skip(text, skip_blank(text, at), &MORE_SEPARATORS);
        let name = &bytes[self.range.clone()];
        let is_header = ["authorization", "cookie"].iter().any(|word| {
            let mut parts = name.windows(word.len());
            parts.any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        });
        Some(value(
            text,
            at,
            self.is_quoted && mode == Mode::Broken,
            is_header,
        ))
    }

    /// The value beside a name that is itself a value: `"Authorization","x"` and `"Authorization","value":"x"`.
    pub(super) fn neighbor(&self, text: &str, mode: Mode) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let end = self.range.end + count(bytes, self.range.end, b'\\');
        if !self.is_quoted {
            return None;
        }
        // One of the two quotes may be missing, or the comma.
        let end = if bytes.get(end) == Some(&b'"') {
            end + 1
        } else {
            self.range.end
        };
        let comma = skip_blank(text, end);
        let start = match bytes.get(comma) {
            Some(b',') => skip_blank(text, comma + 1),
            Some(b'"' | b'\\' | b'{' | b'[') => comma,
            _ => return None,
        };
        let beside = value(text, start, false, false);
        let after = beside.end + count(bytes, beside.end, b'\\');
        let colon = skip_blank(text, after + 1);
        if bytes.get(after) == Some(&b'"') && bytes.get(colon) == Some(&b':') {
            let key = &bytes[beside];
            return names::holds_pair_value(key)
                .then(|| value(text, skip_blank(text, colon + 1), true, false));
        }
        Some(value(text, start, mode == Mode::Broken, false))
    }
}

/// What may stand between a name and its separator.
const BETWEEN: [&str; 20] = [
    " ", "\t", "\n", "\r", "\\", "\"", "'", "`", "]", ")", "[", "%22", "%27", "%20", "&quot;",
    "&#34;", "&#39;", "%5c", "%5d", "*",
];
const SEPARATORS: [&str; 5] = [":", "=", "%3a", "%3d", "->"];
/// What may follow the first separator.
const MORE_SEPARATORS: [&str; 17] = [
    ":", "=", ">", " ", "\t", "\n", "\r", "%3a", "%3d", "%3e", "%20", "%22", "%27", "%5c",
    "&quot;", "&#34;", "&#39;",
];

fn skip_one(text: &str, at: usize, parts: &[&str]) -> Option<usize> {
    let rest = &text.as_bytes()[at..];
    let begins = |part: &&&str| {
        rest.get(..part.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(part.as_bytes()))
    };
    parts.iter().find(begins).map(|part| at + part.len())
}

fn skip(text: &str, mut at: usize, parts: &[&str]) -> usize {
    loop {
        at = skip_blank(text, at);
        match skip_one(text, at, parts) {
            Some(next) => at = next,
            None => return at,
        }
    }
}

/// Skips whitespace, that of JSON in a string (`\n`) included.
pub(super) fn skip_blank(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    loop {
        let slashes = count(bytes, at, b'\\');
        match bytes.get(at + slashes) {
            Some(b' ' | b'\t' | b'\n' | b'\r') if slashes == 0 => at += 1,
            Some(b'n' | b'r' | b't') if slashes > 0 => at += slashes + 1,
            _ => return at,
        }
    }
}

fn count(bytes: &[u8], at: usize, byte: u8) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take_while(|other| **other == byte).count()
}

/// Tells whether a value needs no redaction: none, null, a boolean, or redacted already.
pub(super) fn is_harmless(text: &str, value: &Range<usize>) -> bool {
    let is_literal = matches!(&text[value.clone()], "null" | "true" | "false");
    let is_quoted = text[..value.start].ends_with('"');
    value.is_empty() || &text[value.clone()] == REDACTED || is_literal && !is_quoted
}

/// The extent of the value that begins at `at`, quotes excluded. In JSON (`is_json`) a quote ends it only if
/// JSON could go on after it; a header's value goes to the end of the line.
fn value(text: &str, at: usize, is_json: bool, is_header: bool) -> Range<usize> {
    let bytes = text.as_bytes();
    let slashes = count(bytes, at, b'\\');
    let start = at + slashes;
    match bytes.get(start) {
        Some(b'"') => start + 1..end_of_quoted(bytes, start + 1, slashes, is_json),
        Some(quote @ (b'\'' | b'`')) => {
            let mut quotes =
                memchr::memchr_iter(*quote, &bytes[start + 1..]).map(|end| start + 1 + end);
            start + 1
                ..quotes
                    .find(|end| bytes[end - 1] != b'\\')
                    .unwrap_or(bytes.len())
        }
        // An object or list: where it ends cannot be told for sure.
        Some(b'{' | b'[') if !text[start..].starts_with(REDACTED) => start..bytes.len(),
        _ if is_header => start..end_of_line(bytes, start),
        _ => {
            let bare = bare(text, start);
            let is_number = bytes[bare.clone()]
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
            if !is_json || is_number || is_harmless(text, &bare) {
                return bare;
            }
            // The quote before it is missing.
            start..end_of_quoted(bytes, start, 0, true)
        }
    }
}

/// At a level of escaping where quotes have `slashes` backslashes, one in the value has that many twice and one
/// more; fewer belong to a string further out, which ends here.
fn end_of_quoted(bytes: &[u8], start: usize, slashes: usize, is_json: bool) -> usize {
    if !(slashes + 1).is_power_of_two() {
        return bytes.len();
    }
    let mut last_quote = None;
    for quote in memchr::memchr_iter(b'"', &bytes[start..]).map(|at| start + at) {
        let before = bytes[start..quote]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        if before >= slashes && before % (2 * (slashes + 1)) != slashes {
            continue;
        }
        let next = bytes[quote + 1..]
            .iter()
            .find(|byte| !byte.is_ascii_whitespace());
        if !is_json || matches!(next, None | Some(b',' | b'}' | b']' | b')' | b';' | b'\\')) {
            return quote - before.min(slashes);
        }
        // The end of a key: the value's last quote is missing, or the bracket it began with.
        if next == Some(&b':') {
            return last_quote.unwrap_or(bytes.len());
        }
        last_quote = Some(quote - before.min(slashes));
    }
    bytes.len()
}

fn end_of_line(bytes: &[u8], at: usize) -> usize {
    let ends = |at: &usize| match bytes[*at] {
        b'\n' | b'\r' | b'"' => true,
        b'\\' => matches!(bytes.get(at + 1), Some(b'n' | b'r' | b'"' | b'\\')),
        _ => false,
    };
    (at..bytes.len()).find(ends).unwrap_or(bytes.len())
}

/// The extent of a value without quotes. Punctuation ends it only where something else begins after it.
pub(super) fn bare(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let mut word = at;
    loop {
        let is_redacted = text[word..].starts_with(REDACTED);
        let mut end = word + if is_redacted { REDACTED.len() } else { 0 };
        while end < bytes.len() && !ends_bare(bytes, end) {
            end += 1;
        }
        let is_scheme = ["basic", "bearer", "digest"]
            .iter()
            .any(|scheme| text[word..end].eq_ignore_ascii_case(scheme));
        if !is_scheme || bytes.get(end) != Some(&b' ') {
            return at..end;
        }
        word = skip_blank(text, end);
    }
}

fn ends_bare(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'&' | b'<' | b'>' => true,
        b'\\' => bytes.get(at + 1) != Some(&b'/'),
        b'%' => bytes
            .get(at..at + 3)
            .is_some_and(|code| matches!(code, b"%22" | b"%26" | b"%27")),
        b',' | b';' | b'|' | b')' | b'}' | b']' => {
            let rest = &bytes[at + 1..];
            let name = rest
                .iter()
                .take_while(|byte| names::is_name_byte(**byte))
                .count();
            match rest.first() {
                None => true,
                Some(next) if next.is_ascii_whitespace() => true,
                Some(
                    b',' | b';' | b'|' | b')' | b'}' | b']' | b'"' | b'\'' | b'\\' | b'<' | b'.'
                    | b'{',
                ) => true,
                _ => name > 0 && matches!(rest.get(name), Some(b'=' | b':')),
            }
        }
        _ => false,
    }
}
