//! What the pass writes in the place of a secret.

use std::borrow::Cow;

use super::{Pass, REDACTED};
use crate::redact::escape::{escape, unescape};
use crate::redact::fingerprint::is_fingerprint;
use crate::redact::names::{self, Kind};
use crate::redact::outline::{Recorder, Span};
use crate::redact::strings;

impl<R: Recorder> Pass<'_, R> {
    /// Replaces a string that is secret by its key.
    pub(super) fn secret_string(&mut self, start: usize, end: usize, is_escaped: bool) {
        let value = unescape(&self.text[start..end]);
        let depth = self.depth - 1;
        let has_fingerprint = self.fingerprinted >> depth & 1 == 1;
        let is_fingerprint_member = self.key.kind == Kind::Fingerprint;
        if is_fingerprint_member {
            if has_fingerprint {
                self.drop_member(end + 1);
                return;
            }
            self.fingerprinted |= 1 << depth;
        }
        let is_harmless = value.is_empty()
            || value == REDACTED
            || is_fingerprint_member && is_fingerprint(value.as_bytes());
        if is_harmless {
            let kept = self.span(start - 1, end + 1, is_escaped);
            self.outline.leaf(kept);
            return;
        }
        self.replace(start - 1, end + 1);
        if let (Kind::AccessKey, false, Some(fingerprinter)) =
            (self.key.kind, has_fingerprint, &self.redactor.fingerprinter)
        {
            self.fingerprinted |= 1 << depth;
            self.out.push(',');
            let key = self.write_quoted(|out| out.push_str(names::FINGERPRINT));
            self.outline.key(key);
            self.out.push(':');
            let fingerprint = self.write_quoted(|out| fingerprinter.write(value.as_bytes(), out));
            self.outline.leaf(fingerprint);
        }
    }

    /// Looks closer at a string that could hide something; returns where it stands in the output.
    #[cold]
    pub(super) fn suspect_string(&mut self, start: usize, end: usize, is_escaped: bool) -> Span {
        let value = unescape(&self.text[start..end]);
        if !self.is_member() && names::is_sensitive_name(value.as_bytes()) {
            self.passed.suspects_pairs = true;
        }
        let key = unescape(&self.text[self.key.start..self.key.end]);
        let clean = match strings::redact(self.redactor, &value, key.as_bytes(), self.level) {
            Cow::Borrowed(_) => return self.span(start - 1, end + 1, is_escaped),
            Cow::Owned(clean) => escape(&clean),
        };
        self.copy_and_skip(start - 1, end + 1);
        let start = self.out.len();
        self.out.push_str(&clean);
        Span::new(start, self.out.len(), clean.contains('\\'))
    }

    /// Writes [`REDACTED`] in the place of a value.
    pub(super) fn replace(&mut self, start: usize, end: usize) {
        self.copy_and_skip(start, end);
        let replaced = self.write_quoted(|out| out.push_str(REDACTED));
        self.outline.leaf(replaced);
    }

    /// Leaves out the member whose value ends at `end`. It is never an object's first.
    fn drop_member(&mut self, end: usize) {
        self.copy_and_skip(self.key.separator.max(self.copied), end);
    }

    /// Copies what comes before `start`, and goes on behind `end`.
    fn copy_and_skip(&mut self, start: usize, end: usize) {
        self.out.push_str(&self.text[self.copied..start]);
        self.copied = end;
        self.passed.is_changed = true;
    }

    /// Writes a string that needs no escapes.
    fn write_quoted(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = self.out.len();
        self.out.push('"');
        write(self.out);
        self.out.push('"');
        Span::new(start, self.out.len(), false)
    }
}
