//! What the pass writes in the place of a secret.

use std::borrow::Cow;

use super::{Pass, REDACTED};
use crate::redact::escape::{escape, unescape};
use crate::redact::fingerprint::is_fingerprint;
use crate::redact::names::{self, Kind};
use crate::redact::strings;

impl Pass<'_> {
    /// Replaces a string that is secret by its key.
    pub(super) fn secret_string(&mut self, start: usize, end: usize) {
        let value = unescape(&self.text[start..end]);
        let depth = self.depth - 1;
        let has_fingerprint = self.fingerprinted >> depth & 1 == 1;
        if self.key.kind == Kind::Fingerprint {
            if has_fingerprint {
                self.drop_member(end + 1);
                return;
            }
            self.fingerprinted |= 1 << depth;
            if is_fingerprint(value.as_bytes()) {
                return;
            }
        }
        if value.is_empty() || value == REDACTED {
            return;
        }
        self.replace(start - 1, end + 1);
        if let (Kind::AccessKey, false, Some(fingerprinter)) =
            (self.key.kind, has_fingerprint, &self.redactor.fingerprinter)
        {
            self.fingerprinted |= 1 << depth;
            self.out.push_str(",\"");
            self.out.push_str(names::FINGERPRINT);
            self.out.push_str("\":\"");
            fingerprinter.write(value.as_bytes(), self.out);
            self.out.push('"');
        }
    }

    /// Looks closer at a string that could hide something.
    #[cold]
    pub(super) fn suspect_string(&mut self, start: usize, end: usize) {
        let value = unescape(&self.text[start..end]);
        if !self.is_member() && names::is_sensitive_name(value.as_bytes()) {
            self.passed.suspects_pairs = true;
        }
        let key = unescape(&self.text[self.key.start..self.key.end]);
        if let Cow::Owned(clean) =
            strings::redact(self.redactor, &value, key.as_bytes(), self.level)
        {
            self.out.push_str(&self.text[self.copied..start - 1]);
            self.out.push_str(&escape(&clean));
            self.copied = end + 1;
            self.passed.is_changed = true;
        }
    }

    /// Writes [`REDACTED`] in the place of a value.
    pub(super) fn replace(&mut self, start: usize, end: usize) {
        self.out.push_str(&self.text[self.copied..start]);
        self.out.push('"');
        self.out.push_str(REDACTED);
        self.out.push('"');
        self.copied = end;
        self.passed.is_changed = true;
    }

    /// Leaves out the member whose value ends at `end`. It is never an object's first.
    fn drop_member(&mut self, end: usize) {
        self.out
            .push_str(&self.text[self.copied..self.key.separator.max(self.copied)]);
        self.copied = end;
        self.passed.is_changed = true;
    }
}
