//! Free text and what is left of broken messages: secrets are found by what stands before them.
//!
//! Three things give a secret away: a tell-tale name with a separator after it, a URL, and the name of an
//! authentication scheme. Quotes may be escaped to any level, since JSON in strings in JSON breaks, too.
//! Where the end of a secret is in doubt, more is removed rather than less.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::json::REDACTED;
use super::value::{self, Name};
use super::{encoded, names, url};

/// How much a text is trusted to be well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Free text: complete, written for people.
    Text,
    /// JSON or anything else that broke: may end inside a secret, and names may be apart from their values.
    Broken,
}

/// What a hit of [`HITS`] is the beginning of.
#[derive(Clone, Copy)]
enum Hit {
    Name,
    Url,
    Scheme,
    Base64,
}

/// All that gives a secret away, found in one walk over the text.
static HITS: LazyLock<(AhoCorasick, Vec<Hit>)> = LazyLock::new(|| {
    let spelled = [
        "access_key",
        "access-key",
        "access key",
        "api_key",
        "api-key",
        "api key",
    ];
    let spelled_more = [
        "rtmp_url",
        "rtmp-url",
        "api_data",
        "api-data",
        "private_key",
        "private-key",
        "private key",
    ];
    let words = names::WORDS
        .into_iter()
        .chain(names::WHOLE_NAMES)
        .chain(spelled)
        .chain(spelled_more);
    let mut hits: Vec<(&str, Hit)> = words
        .chain(["value", "val", "endpoint", "pass_", "pass-"])
        .map(|word| (word, Hit::Name))
        .collect();
    hits.extend(["://", ":\\/", ":\\\\/", "%3a%2f%2f"].map(|mark| (mark, Hit::Url)));
    hits.extend(
        [
            "basic ",
            "bearer ",
            "basic\t",
            "bearer\t",
            "basic%20",
            "bearer%20",
        ]
        .map(|name| (name, Hit::Scheme)),
    );
    // `{"`, `{ `, `{\n`, `{\r`
    hits.extend(["eyj", "eyi", "eya", "eyb", "ewo", "ew0"].map(|start| (start, Hit::Base64)));
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(hits.iter().map(|(text, _)| text))
        .expect("the patterns are few and short");
    (finder, hits.into_iter().map(|(_, hit)| hit).collect())
});

/// Tells fast that a text in [`Mode::Text`] holds nothing to scrub; `true` means only that it may.
pub(super) fn may_hold_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    if is_time(bytes) || url::is_plain(bytes) {
        return false;
    }
    if names::contains_word(bytes) || bytes.starts_with(b"ey") {
        return true;
    }
    let has_mark = bytes.iter().enumerate().any(|(at, byte)| match byte {
        b' ' | b'\t' => ends_with_name(&bytes[..at], &["basic", "bearer"]),
        b':' | b'=' => may_separate(bytes, at),
        _ => false,
    });
    // Escapes of other kinds, quotes and brackets: let the real search decide.
    let is_odd = |byte: &u8| matches!(byte, b'%' | b'\\' | b'\'' | b'>');
    has_mark || bytes.iter().any(is_odd) && (HITS.0.is_match(text) || text.contains("\\u00"))
}

/// Most strings with a colon are times: `2026-11-22T10:00:00.123Z`.
fn is_time(text: &[u8]) -> bool {
    const TIME_BYTES_MAX: usize = 35;
    let is_part = |byte: &u8| matches!(byte, b'0'..=b':' | b'-' | b'.' | b'T' | b'Z' | b'+');
    text.len() <= TIME_BYTES_MAX && text.iter().all(is_part)
}

/// A colon of a URL, or a colon or equals sign after one of the short names.
fn may_separate(bytes: &[u8], at: usize) -> bool {
    if matches!(bytes.get(at + 1), Some(b'/' | b'\\')) {
        return true;
    }
    match bytes[..at].last() {
        Some(b'0'..=b'9') | None => false,
        Some(_) => {
            let before = bytes[..at].trim_ascii_end();
            let before = before.strip_suffix(b"\"").unwrap_or(before);
            ends_with_name(before, &names::WHOLE_NAMES)
        }
    }
}

fn ends_with_name(bytes: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| {
        let start = bytes.len().checked_sub(name.len());
        start.is_some_and(|start| bytes[start..].eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// Walks over a text after the first, at most.
const WALKS_MAX: usize = 8;

/// Returns the text without secrets; borrowed if there are none.
pub(super) fn scrub(text: &str, mode: Mode) -> Cow<'_, str> {
    let mut clean = without_named(text, mode);
    // What was replaced may have kept a name before it from having a value: the same text must not lose more the next time.
    for _ in 0..WALKS_MAX {
        let Cow::Owned(changed) = &clean else { break };
        let Cow::Owned(again) = without_named(changed, mode) else {
            break;
        };
        clean = Cow::Owned(again);
    }
    if mode == Mode::Broken
        && let Cow::Owned(plain) = encoded::without_text(&clean)
    {
        return Cow::Owned(plain);
    }
    clean
}

/// Removes what something before it gives away.
fn without_named(text: &str, mode: Mode) -> Cow<'_, str> {
    if let Cow::Owned(plain) = without_unicode_escapes(text) {
        let clean = Scrubber::new(&plain, mode).run();
        // An escape that hides nothing may stay as it was written.
        return clean.map_or(Cow::Borrowed(text), Cow::Owned);
    }
    Scrubber::new(text, mode)
        .run()
        .map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Writes `\u0041` as `A`, at whatever level of escaping: a name or separator may hide in it.
fn without_unicode_escapes(text: &str) -> Cow<'_, str> {
    let mut plain = String::new();
    let mut copied = 0;
    for at in memchr::memmem::find_iter(text.as_bytes(), b"\\u00") {
        let code = text
            .get(at + 4..at + 6)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(code @ 0x20..0x7F) = code else {
            continue;
        };
        let start = text[copied..at].trim_end_matches('\\').len() + copied;
        plain.push_str(&text[copied..start]);
        if matches!(code, b'"' | b'\\') {
            // Escaped at the same level, so that quotes still pair up.
            plain.push_str(&text[start..=at]);
        }
        plain.push(char::from(code));
        copied = at + 6;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    plain.push_str(&text[copied..]);
    Cow::Owned(plain)
}

struct Scrubber<'t> {
    text: &'t str,
    mode: Mode,
    at: usize,
    /// Where the search ends for now: at the end, or at the query of a URL whose path is searched.
    limit: usize,
    /// That query, and what to write in its place.
    query: Option<(Range<usize>, &'static str)>,
    /// Where the path of the last URL ends. A URL inside it ends there, too.
    path_end: usize,
    /// Everything before is in `out`.
    copied: usize,
    out: String,
    is_changed: bool,
}

impl<'t> Scrubber<'t> {
    fn new(text: &'t str, mode: Mode) -> Scrubber<'t> {
        Scrubber {
            text,
            mode,
            at: 0,
            limit: text.len(),
            query: None,
            path_end: 0,
            copied: 0,
            out: String::new(),
            is_changed: false,
        }
    }

    /// Returns `None` if nothing had to go.
    fn run(mut self) -> Option<String> {
        let (finder, hits) = &*HITS;
        loop {
            let span = Input::new(self.text).span(self.at..self.limit);
            if let Some(found) = finder.find(span) {
                match hits[found.pattern().as_usize()] {
                    Hit::Name => self.name(found.range()),
                    Hit::Url => self.url(found.range()),
                    Hit::Scheme => self.scheme(found.range()),
                    Hit::Base64 => self.base64(found.range()),
                }
            } else if let Some((query, by)) = self.query.take() {
                self.limit = self.text.len();
                self.replace(query, by);
            } else {
                break;
            }
        }
        if !self.is_changed {
            return None;
        }
        self.out.push_str(&self.text[self.copied..]);
        Some(self.out)
    }

    /// The text as far as it is searched now.
    fn searched(&self) -> &'t str {
        &self.text[..self.limit]
    }

    fn replace(&mut self, range: Range<usize>, by: &str) {
        let range = range.start.max(self.copied)..range.end.max(self.copied);
        self.at = range.end.max(self.at);
        if &self.text[range.clone()] == by {
            return;
        }
        self.out.push_str(&self.text[self.copied..range.start]);
        self.out.push_str(by);
        self.copied = range.end;
        self.is_changed = true;
    }

    fn name(&mut self, found: Range<usize>) {
        let name = Name::around(self.searched(), found.clone());
        self.at = found.end.max(name.range.end);
        if !self.is_tell_tale(&name) {
            return;
        }
        let mut secret = name.value(self.searched(), self.mode);
        if secret.is_none() && self.mode == Mode::Broken {
            secret = name.neighbor(self.searched(), self.mode);
        }
        if let Some(secret) = secret {
            self.at = self.at.max(secret.start);
            if names::is_same_name(&self.text.as_bytes()[name.range], "endpoint") {
                self.endpoint(secret);
            } else if !value::is_harmless(self.text, &secret) {
                self.replace(secret, REDACTED);
            } else {
                self.at = self.at.max(secret.end);
            }
        }
    }

    /// In what broke, a value may stand before its name, so that `value` counts as a name there.
    fn is_tell_tale(&self, name: &Name) -> bool {
        let bytes = &self.text.as_bytes()[name.range.clone()];
        let counts_when_broken =
            || names::holds_pair_value(bytes) || names::is_same_name(bytes, "endpoint");
        names::is_sensitive(bytes)
            || self.mode == Mode::Broken && name.is_quoted && counts_when_broken()
    }

    /// An endpoint without a scheme loses its user info, or all if it may be cut off inside that.
    fn endpoint(&mut self, value: Range<usize>) {
        let endpoint = &self.text[value.clone()];
        if endpoint.contains(":/") || endpoint.contains(":\\") {
            return;
        }
        match endpoint.rfind('@') {
            Some(at) => self.replace(value.start..value.start + at + 1, ""),
            None if value.end == self.limit => self.replace(value, REDACTED),
            None => {}
        }
    }

    fn url(&mut self, found: Range<usize>) {
        self.at = found.end;
        let Some(parts) = url::Parts::around(self.searched(), found, self.mode, self.path_end)
        else {
            return;
        };
        if let Some((range, by)) = parts.authority {
            self.replace(range, by);
        }
        self.at = self.at.max(parts.path.start);
        self.path_end = parts.path.end;
        if parts.hides_path {
            self.replace(parts.path, REDACTED);
        }
        // The path is searched like any text, but not beyond its end.
        if let Some((query, by)) = parts.query {
            self.limit = query.start;
            self.query = Some((query, by));
        }
    }

    /// `Basic x` and `Bearer x` lose the `x`, unless it is a word that people write there.
    fn scheme(&mut self, found: Range<usize>) {
        const WORDS: [&str; 8] = [
            "auth",
            "authentication",
            "authorization",
            "realm",
            "credentials",
            "token",
            "tokens",
            "scheme",
        ];
        let is_inside = self.text[..found.start].ends_with(|c: char| c.is_ascii_alphanumeric());
        let secret = value::bare(
            self.searched(),
            value::skip_blank(self.searched(), found.end),
        );
        let word = &self.text[secret.clone()];
        let letters = word
            .split(|c: char| !c.is_ascii_alphabetic())
            .next()
            .unwrap_or(word);
        let is_prose = letters.len() == word.len() || word[letters.len()..].starts_with('=');
        if is_inside
            || is_prose
                && WORDS
                    .iter()
                    .any(|known| letters.eq_ignore_ascii_case(known))
        {
            self.at = found.end - 1;
            return;
        }
        self.at = found.end;
        if !value::is_harmless(self.text, &secret) {
            self.replace(secret, REDACTED);
        }
    }

    /// Base64 of JSON that names a secret, and a JSON web token, go as a whole. Lines may be broken in it.
    fn base64(&mut self, found: Range<usize>) {
        self.at = found.start + 1;
        let bytes = self.searched().as_bytes();
        if found.start > 0 && bytes[found.start - 1].is_ascii_alphanumeric() {
            return;
        }
        let is_digit = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'\\' | b'\r' | b'\n')
        };
        let length = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|byte| is_digit(byte))
                .count()
        };
        let mut end = found.start + length(found.start);
        let digits: String = self.text[found.start..end]
            .chars()
            .filter(|c| !matches!(c, '\\' | '\r' | '\n'))
            .collect();
        let whole = &digits[..digits.len() / 4 * 4];
        let alphabets = [STANDARD_NO_PAD, URL_SAFE_NO_PAD];
        let Some(decoded) = alphabets
            .iter()
            .find_map(|alphabet| alphabet.decode(whole).ok())
        else {
            return;
        };
        if digits.len() < 12 || decoded.first() != Some(&b'{') {
            return;
        }
        let is_web_token = bytes.get(end) == Some(&b'.') && digits.len() >= 16;
        while is_web_token && bytes.get(end) == Some(&b'.') {
            end += 1 + length(end + 1);
        }
        if is_web_token || HITS.0.is_match(&decoded) {
            self.replace(found.start..end, REDACTED);
        }
    }
}
