//! The one pass over a message: validates the JSON and copies it, secrets replaced.
//!
//! What stays is copied in long stretches, whitespace included; a stretch ends only where a secret is replaced.
//! Most messages leave through the fast branch of each token: no escape, no tell-tale name, nothing that
//! could hide a secret in a string.

mod replace;

use super::escape::unescape;
use super::names::{self, Kind};
use super::outline::{Recorder, Span};
use super::{MAX_DEPTH, Redactor, scan};
use crate::event::{Reject, RejectCode};

/// What stands for a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// What a pass found out about the text as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// The output differs from the input.
    pub is_changed: bool,
    /// There is a key like `value`, or a list with a tell-tale name in it: a secret may stand beside its name.
    pub suspects_pairs: bool,
}

/// Appends the redacted `text` to `out`, and tells `outline` what stands where in it. `level` counts the strings that
/// the text is wrapped in.
pub(super) fn pass<R: Recorder>(
    redactor: &Redactor,
    text: &str,
    level: usize,
    out: &mut String,
    outline: R,
) -> Result<Passed, Reject> {
    let mut pass = Pass {
        redactor,
        text,
        bytes: text.as_bytes(),
        level,
        at: 0,
        copied: 0,
        out,
        outline,
        objects: 0,
        depth: 0,
        fingerprinted: 0,
        key: Key::default(),
        whole: None,
        wrong: None,
        passed: Passed {
            is_changed: false,
            suspects_pairs: false,
        },
    };
    match pass.run() {
        Ok(()) => {
            pass.out.push_str(&text[pass.copied..]);
            Ok(pass.passed)
        }
        Err(Stop) => Err(pass.reject()),
    }
}

struct Pass<'p, R> {
    redactor: &'p Redactor,
    text: &'p str,
    bytes: &'p [u8],
    level: usize,
    at: usize,
    /// Everything before is in `out`.
    copied: usize,
    out: &'p mut String,
    outline: R,
    /// One bit for each open container, the innermost lowest: object or array.
    objects: u64,
    depth: usize,
    /// One bit for each open container, by depth: it has its fingerprint.
    fingerprinted: u64,
    /// The key last read.
    key: Key,
    /// Where the container began that is replaced whole, and how deep it lies.
    whole: Option<(usize, usize)>,
    passed: Passed,
    /// What stopped the pass.
    wrong: Option<Wrong>,
}

/// The pass cannot go on; it holds the reason itself, so that the many small steps have little to return.
struct Stop;

type Step = Result<(), Stop>;

struct Wrong {
    code: RejectCode,
    at: usize,
    what: &'static str,
}

/// What comes next in the text.
enum Next {
    /// A key and its value; `separator` is the comma or brace before.
    Key {
        separator: usize,
    },
    Value,
    Nothing,
}

/// A key of an object.
#[derive(Clone, Copy)]
struct Key {
    kind: Kind,
    /// Its bytes, without quotes.
    start: usize,
    end: usize,
    /// The comma or brace before it.
    separator: usize,
}

impl Default for Key {
    fn default() -> Key {
        Key {
            kind: Kind::Plain,
            start: 0,
            end: 0,
            separator: 0,
        }
    }
}

impl<R: Recorder> Pass<'_, R> {
    fn run(&mut self) -> Step {
        let mut next = Next::Value;
        loop {
            if let Next::Key { separator } = next {
                self.key(separator)?;
            }
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(b'{') => {
                    let separator = self.open(true)?;
                    if self.peek() != Some(b'}') {
                        next = Next::Key { separator };
                        continue;
                    }
                    self.close();
                }
                Some(b'[') => {
                    self.open(false)?;
                    if self.peek() != Some(b']') {
                        next = Next::Value;
                        continue;
                    }
                    self.close();
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => return Err(self.wrong("a value")),
            }
            next = self.after_value()?;
            if let Next::Nothing = next {
                return Ok(());
            }
        }
    }

    /// Goes on to what follows a value, closing what ends here.
    #[inline]
    fn after_value(&mut self) -> Result<Next, Stop> {
        loop {
            let byte = self.peek();
            if self.depth == 0 {
                return match byte {
                    None => Ok(Next::Nothing),
                    Some(_) => Err(self.wrong("nothing after the end")),
                };
            }
            let is_object = self.objects & 1 == 1;
            match byte {
                Some(b',') => {
                    let separator = self.at;
                    self.at += 1;
                    return Ok(if is_object {
                        Next::Key { separator }
                    } else {
                        Next::Value
                    });
                }
                Some(b'}') if is_object => self.close(),
                Some(b']') if !is_object => self.close(),
                _ if is_object => return Err(self.wrong("`,` or `}`")),
                _ => return Err(self.wrong("`,` or `]`")),
            }
        }
    }

    /// Skips whitespace and returns the byte there, without taking it.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Opens a container and returns where it began.
    #[inline]
    fn open(&mut self, is_object: bool) -> Result<usize, Stop> {
        if self.depth == MAX_DEPTH {
            let code = RejectCode::TooDeep;
            let (at, what) = (self.at, "");
            self.wrong = Some(Wrong { code, at, what });
            return Err(Stop);
        }
        if self.whole.is_none() && self.is_secret_value() {
            self.whole = Some((self.at, self.depth));
        }
        if self.whole.is_none() {
            let start = self.written(self.at);
            self.outline.open(start);
        }
        self.objects = self.objects << 1 | u64::from(is_object);
        self.fingerprinted &= !(1 << self.depth);
        self.depth += 1;
        self.at += 1;
        Ok(self.at - 1)
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.at += 1;
        match self.whole {
            None => {
                let end = self.written(self.at);
                self.outline.close(end);
            }
            Some((start, depth)) if depth == self.depth => {
                self.whole = None;
                self.replace(start, self.at);
            }
            Some(_) => {}
        }
    }

    /// The value that starts here stands under the last key.
    #[inline]
    fn is_member(&self) -> bool {
        self.objects & 1 == 1 && self.depth > 0
    }

    /// The value that starts here is a secret by its key.
    #[inline]
    fn is_secret_value(&self) -> bool {
        self.key.kind.is_secret() && self.is_member()
    }

    #[inline]
    fn key(&mut self, separator: usize) -> Step {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a key in quotes"));
        }
        let start = self.at + 1;
        let mut end = scan::notable(self.bytes, start);
        let mut kind = Kind::Plain;
        if self.bytes.get(end) == Some(&b'"') {
            if self.whole.is_none() {
                kind = names::classify(&self.bytes[start..end]);
                let key = self.span(start - 1, end + 1, false);
                self.outline.key(key);
            }
        } else {
            let is_escaped;
            (end, is_escaped) = self.end_of_string(end)?;
            if self.whole.is_none() {
                kind = names::classify(unescape(&self.text[start..end]).as_bytes());
                // A form taken for a key: `{"secretKey=x&a=1":""}`.
                self.key = Key::default();
                let key = self.suspect_string(start, end, is_escaped);
                self.outline.key(key);
            }
        }
        self.at = end + 1;
        self.passed.suspects_pairs |= kind == Kind::PairValue;
        self.key = Key {
            kind,
            start,
            end,
            separator,
        };
        if self.peek() != Some(b':') {
            return Err(self.wrong("`:` after a key"));
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Step {
        let start = self.at + 1;
        let mut end = scan::notable(self.bytes, start);
        let mut is_escaped = false;
        let is_notable = self.bytes.get(end) != Some(&b'"');
        if is_notable {
            (end, is_escaped) = self.end_of_string(end)?;
        }
        self.at = end + 1;
        if self.whole.is_some() {
            return Ok(());
        }
        if self.is_secret_value() {
            self.secret_string(start, end, is_escaped);
            return Ok(());
        }
        let value = &self.bytes[start..end];
        let may_hide = is_notable || matches!(value.first(), Some(b'{' | b'[' | b'e'));
        let written = if may_hide || self.key.kind == Kind::Endpoint {
            self.suspect_string(start, end, is_escaped)
        } else {
            if !self.is_member() && names::is_sensitive_name(value) {
                self.passed.suspects_pairs = true;
            }
            self.span(start - 1, end + 1, is_escaped)
        };
        self.outline.leaf(written);
        Ok(())
    }

    /// Returns the closing quote's position, everything between checked, and whether there are escapes from `at` on.
    fn end_of_string(&mut self, mut at: usize) -> Result<(usize, bool), Stop> {
        let mut is_escaped = false;
        loop {
            at = scan::delimiter(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => return Ok((at, is_escaped)),
                Some(b'\\') => {
                    is_escaped = true;
                    at = self.end_of_escape(at)?;
                }
                Some(_) => {
                    return Err(self.wrong_at(at, "control characters to be escaped in a string"));
                }
                None => return Err(self.wrong_at(at, "the rest of a string")),
            }
        }
    }

    fn end_of_escape(&mut self, at: usize) -> Result<usize, Stop> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.bytes.get(at + 2..at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
                Some(_) => Err(self.wrong_at(at, "four hex digits after `\\u`")),
                None => Err(self.wrong_at(at, "the rest of a string")),
            },
            Some(_) => Err(self.wrong_at(at, "another character after a backslash")),
            None => Err(self.wrong_at(at, "the rest of a string")),
        }
    }

    fn number(&mut self) -> Step {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.wrong("a digit")),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if self.whole.is_none() {
            match self.is_secret_value() {
                true => self.replace(start, self.at),
                false => self.keep(start, self.at),
            }
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Step {
        match self.bytes.get(self.at) {
            Some(b'0'..=b'9') => self.digits(),
            _ => return Err(self.wrong("a digit")),
        }
        Ok(())
    }

    #[inline(always)]
    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[inline]
    fn literal(&mut self, literal: &[u8]) -> Step {
        if !self.bytes[self.at..].starts_with(literal) {
            return Err(self.wrong("`true`, `false` or `null`"));
        }
        let start = self.at;
        self.at += literal.len();
        if self.whole.is_none() {
            self.keep(start, self.at);
        }
        Ok(())
    }

    /// Leaves a value as it is.
    #[inline]
    fn keep(&mut self, start: usize, end: usize) {
        let value = self.span(start, end, false);
        self.outline.leaf(value);
    }

    /// Where in the output the input from `start` to `end` will stand, if nothing of it is replaced.
    #[inline]
    fn span(&self, start: usize, end: usize, is_escaped: bool) -> Span {
        Span::new(self.written(start), self.written(end), is_escaped)
    }

    /// Where in the output the input from `at` on will stand.
    #[inline]
    fn written(&self, at: usize) -> usize {
        self.out.len() + (at - self.copied)
    }

    /// `expected` completes "expected ..".
    #[cold]
    fn wrong(&mut self, expected: &'static str) -> Stop {
        self.wrong_at(self.at, expected)
    }

    #[cold]
    fn wrong_at(&mut self, at: usize, what: &'static str) -> Stop {
        let code = RejectCode::InvalidJson;
        self.wrong = Some(Wrong { code, at, what });
        Stop
    }

    fn reject(&self) -> Reject {
        let Some(Wrong { code, at, what }) = self.wrong else {
            return Reject::new(RejectCode::InvalidJson, "not JSON");
        };
        let detail = match code {
            RejectCode::TooDeep => format!("nested deeper than {MAX_DEPTH} levels at byte {at}"),
            _ if at >= self.bytes.len() => {
                format!("not JSON: it ends at byte {at}, where {what} should follow")
            }
            _ => format!("not JSON at byte {at}: expected {what}"),
        };
        Reject::new(code, detail)
    }
}
