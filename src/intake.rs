//! One message -> the rows it leaves: redact, decode, gather. The same for Kafka, files and replay.
//!
//! Whatever the message is, at least one row is left, and nothing that is kept of it has a secret in it.

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::{Config, Mapping};
use crate::decode::storage_events::message_in_base64;
use crate::decode::webhooks::{Signature, check_signature};
use crate::decode::{DecodeContext, Decoded, decode};
use crate::event::{Micros, Reject, RejectCode, SkipReason, Stream};
use crate::redact::Redactor;
use crate::redact::outline::{Outline, Outlined};
use crate::table::rows::{Origin, Remains, Rows};

/// How much memory each buffer keeps from one message to the next.
const KEPT_BYTES: usize = 256 * 1024;

/// A message as its source hands it over.
#[derive(Clone, Copy, Default)]
pub struct Message<'m> {
    /// None is a tombstone.
    pub value: Option<&'m [u8]>,
    pub key: Option<&'m [u8]>,
    /// Asked only for the few messages whose headers matter.
    pub headers: Option<&'m dyn HeaderList>,
}

/// The headers of a message.
pub trait HeaderList {
    fn headers(&self) -> Vec<(&str, &[u8])>;
}

impl Message<'_> {
    fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.map_or_else(Vec::new, HeaderList::headers)
    }
}

/// How many rows a message left, by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    pub events: u32,
    pub skipped: u32,
    pub dead: u32,
    /// Why the first dead letter is one.
    pub reject: Option<RejectCode>,
    /// The latest event time of the message that can be believed.
    pub occurred_at: Option<Micros>,
}

/// Takes messages in. Not shared between threads, because it reuses its buffers: a thread takes a clone.
#[derive(Clone)]
pub struct Intake {
    redactor: Arc<Redactor>,
    mappings: Arc<[Mapping]>,
    webhook_secrets: Arc<[(String, String)]>,
    message_bytes_max: usize,
    /// The redacted text of the message in hand.
    text: String,
    /// What stands where in that text.
    outline: Outline,
}

impl Intake {
    pub fn new(config: &Config) -> Self {
        Intake {
            redactor: Arc::new(Redactor::of(config)),
            mappings: config.session_records.mappings.clone().into(),
            webhook_secrets: config.secrets.webhook_secrets.clone().into(),
            message_bytes_max: config.consume.message_bytes_max.as_u64() as usize,
            text: String::new(),
            outline: Outline::default(),
        }
    }

    /// Appends the rows of one message.
    pub fn take(&mut self, rows: &mut Rows, origin: &Origin<'_>, message: &Message<'_>) -> Left {
        let value = match message.value {
            None | Some([]) => {
                rows.push_skipped(origin, 0, SkipReason::Tombstone, None);
                return Left {
                    skipped: 1,
                    ..Left::default()
                };
            }
            Some(value) => value,
        };
        if value.len() > self.message_bytes_max {
            let raw = format!(
                "[{} bytes, sha256 {}]",
                value.len(),
                hex::encode(Sha256::digest(value))
            );
            let detail = format!(
                "the message has {} bytes, consume.message_bytes_max allows {}",
                value.len(),
                self.message_bytes_max
            );
            let reject = Reject::new(RejectCode::TooLarge, detail);
            return self.push_dead(rows, origin, message, &reject, None, Some(raw));
        }
        let opened = match rows.stream() {
            Stream::StorageEvents => message_in_base64(value),
            _ => None,
        };
        let json = opened.as_deref().unwrap_or(value);
        let signature = match rows.stream() {
            // Over the bytes as they came: redaction changes them.
            Stream::Webhooks if !self.webhook_secrets.is_empty() => {
                check_signature(value, &message.headers(), &self.webhook_secrets)
            }
            _ => Signature::Unchecked,
        };
        let mut text = std::mem::take(&mut self.text);
        let mut outline = std::mem::take(&mut self.outline);
        let redacted = self
            .redactor
            .json_with_outline(json, &mut text, &mut outline);
        let left = match redacted {
            Ok(()) => {
                let outlined = outline.of(&text);
                self.take_text(rows, origin, message, &text, outlined, signature)
            }
            Err(reject) => {
                // As it came: what base64 held may be a piece that nothing in it gives away.
                let raw = self.redactor.bytes(value);
                self.push_dead(rows, origin, message, &reject, None, Some(raw))
            }
        };
        text.clear();
        // One giant message must not hold its memory for ever.
        text.shrink_to(KEPT_BYTES);
        outline.shrink_to(KEPT_BYTES);
        self.text = text;
        self.outline = outline;
        left
    }

    /// Appends the rows of what a table keeps of a message: its payload, or for broken ones the scrubbed bytes.
    ///
    /// With `is_dead_only` nothing is appended for a message that is still a dead letter.
    pub fn take_stored(
        &mut self,
        rows: &mut Rows,
        origin: &Origin<'_>,
        content: &str,
        is_json: bool,
        signature: Signature<'_>,
        is_dead_only: bool,
    ) -> Left {
        let mut trial = Rows::new(rows.stream());
        let message = Message::default();
        let mut text = String::new();
        let readable = match is_json {
            true => Ok(content),
            false => self
                .redactor
                .json(content.as_bytes(), &mut text)
                .map(|()| text.as_str()),
        };
        let left = match &readable {
            Ok(text) => self.take_text(&mut trial, origin, &message, text, None, signature),
            Err(reject) => self.push_dead(
                &mut trial,
                origin,
                &message,
                reject,
                None,
                Some(content.to_string()),
            ),
        };
        if (left.dead == 0 || !is_dead_only)
            && let Ok(text) = readable
        {
            self.take_text(rows, origin, &message, text, None, signature);
        }
        left
    }

    /// Appends the rows of a message that is redacted JSON already.
    fn take_text(
        &self,
        rows: &mut Rows,
        origin: &Origin<'_>,
        message: &Message<'_>,
        text: &str,
        outlined: Option<Outlined<'_>>,
        signature: Signature<'_>,
    ) -> Left {
        let key = match rows.stream() {
            Stream::SessionRecords => self.redacted_key(message),
            _ => None,
        };
        let context = DecodeContext {
            mappings: &self.mappings,
            signature,
            key: key.as_deref(),
            received_at: origin.received_at,
            outlined,
        };
        let mut left = Left::default();
        let mut record_index = origin.first_index;
        let outcome = decode(rows.stream(), text, &context, &mut |decoded| {
            match decoded {
                Decoded::Event(event) => {
                    let occurred_at = rows.push_event(origin, record_index, &event);
                    left.occurred_at = left.occurred_at.max(occurred_at);
                    left.events += 1;
                }
                Decoded::Skipped { reason, payload } => {
                    rows.push_skipped(origin, record_index, reason, payload.as_deref());
                    left.skipped += 1;
                }
                Decoded::Rejected { reject, payload } => {
                    let remains = self.remains(message, payload, None);
                    rows.push_dead(origin, record_index, &reject, &remains);
                    left.dead += 1;
                    left.reject.get_or_insert(reject.code);
                }
            }
            record_index += 1;
        });
        match outcome {
            Err(reject) => self.push_dead(rows, origin, message, &reject, Some(text), None),
            Ok(()) if record_index == origin.first_index => {
                // A decoder that finds nothing must say so; the message still leaves its row.
                let detail = "nothing in this message could be read as an event";
                let reject = Reject::new(RejectCode::UnknownShape, detail);
                self.push_dead(rows, origin, message, &reject, Some(text), None)
            }
            Ok(()) => left,
        }
    }

    fn push_dead(
        &self,
        rows: &mut Rows,
        origin: &Origin<'_>,
        message: &Message<'_>,
        reject: &Reject,
        payload: Option<&str>,
        raw: Option<String>,
    ) -> Left {
        let remains = self.remains(message, payload.map(Cow::Borrowed), raw);
        rows.push_dead(origin, origin.first_index, reject, &remains);
        Left {
            dead: 1,
            reject: Some(reject.code),
            ..Left::default()
        }
    }

    fn remains<'r>(
        &self,
        message: &Message<'_>,
        payload: Option<Cow<'r, str>>,
        raw: Option<String>,
    ) -> Remains<'r> {
        let headers = message.headers();
        Remains {
            payload,
            raw: raw.map(Cow::Owned),
            key: self.redacted_key(message).map(Cow::Owned),
            headers: self
                .redactor
                .headers(headers.iter().map(|(name, value)| (*name, Some(*value))))
                .map(Cow::Owned),
        }
    }

    /// Returns the message's key as text, redacted.
    fn redacted_key(&self, message: &Message<'_>) -> Option<String> {
        let key = message.key?;
        let mut json = String::new();
        match std::str::from_utf8(key) {
            Ok(text) if text.starts_with('{') && self.redactor.json(key, &mut json).is_ok() => {
                Some(json)
            }
            Ok(text) => Some(self.redactor.text(text).into_owned()),
            Err(_) => Some(self.redactor.bytes(key)),
        }
    }
}
