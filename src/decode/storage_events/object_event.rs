//! What every format gives: one object event in words of ours, and the steps that formats share.

use std::borrow::Cow;

use crate::decode::identity::{DELIVERY_FIELDS, derive_event_id};
use crate::decode::scalar::Text;
use crate::decode::{Decoded, Emit, object_key};
use crate::event::{Micros, Reject, RejectCode, SkipReason};
use crate::table::rows::{Event, EventRow};
use crate::table::storage_events::StorageEventRow;
use crate::vendor;

/// What a format found in a notification.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and nearly always an event"
)]
pub(super) enum Found<'a> {
    Event(ObjectEvent<'a>),
    /// A notification about something else than objects.
    Nothing(SkipReason),
}

/// One object that appeared or went.
pub(super) struct ObjectEvent<'a> {
    pub provider: &'static str,
    pub vendor: Option<i32>,
    /// The provider's id, or one made of its ids; else one is derived from the content.
    pub event_id: Option<String>,
    pub occurred_at: Option<Micros>,
    pub account: Option<Cow<'a, str>>,
    pub bucket: Cow<'a, str>,
    pub region_code: Option<Cow<'a, str>>,
    /// Decoded.
    pub key: Cow<'a, str>,
    pub kind: Kind,
    pub event_name: Option<Cow<'a, str>>,
    pub size: Option<i64>,
    pub etag: Option<Cow<'a, str>>,
    pub version: Option<Cow<'a, str>>,
    /// As given.
    pub sequencer: Option<Cow<'a, str>>,
}

/// What became of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Created,
    Removed,
    /// No finished object: a part, the begin of an upload, tags, metadata.
    Other,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Created => "created",
            Kind::Removed => "removed",
            Kind::Other => "other",
        }
    }
}

/// Sequencers of one key are compared as hexadecimal numbers, the shorter padded with zeros on the left.
const SEQUENCER_LEN: usize = 32;

impl ObjectEvent<'_> {
    /// Hands the event on as a row. `text` is the notification by itself, `payload` what is stored.
    pub fn emit(&self, text: &str, payload: &str, emit: &mut Emit<'_>) {
        let event_id = match &self.event_id {
            Some(event_id) => Cow::Borrowed(event_id.as_str()),
            None => Cow::Owned(derive_event_id(text, DELIVERY_FIELDS)),
        };
        let name = object_key::parse(&self.key);
        let row = StorageEventRow {
            provider: Some(Cow::Borrowed(self.provider)),
            vendor: self.vendor,
            vendor_name: self.vendor.and_then(vendor::slug).map(Cow::Borrowed),
            account: borrowed(&self.account),
            bucket: Some(Cow::Borrowed(&self.bucket)),
            region_code: borrowed(&self.region_code),
            kind: Some(Cow::Borrowed(self.kind.as_str())),
            event_name: borrowed(&self.event_name),
            size: self.size,
            etag: borrowed(&self.etag),
            version: borrowed(&self.version),
            sequencer: self.sequencer.as_deref().map(padded),
            prefix: name.prefix.map(Cow::Borrowed),
            file_name: name.file_name.map(Cow::Borrowed),
            sid: name.sid,
            cname: name.cname.map(Cow::Borrowed),
            recorded_uid: name.recorded_uid.map(Cow::Borrowed),
            file_type: name.file_type.map(Cow::Borrowed),
            failover_index: name.failover_index,
        };
        emit(Decoded::Event(Event {
            event_id,
            occurred_at: self.occurred_at,
            payload: Cow::Borrowed(payload),
            row: EventRow::StorageEvent {
                key: Cow::Borrowed(&self.key),
                row,
            },
        }));
    }
}

fn borrowed<'a>(text: &'a Option<Cow<'_, str>>) -> Option<Cow<'a, str>> {
    text.as_deref().map(Cow::Borrowed)
}

/// Makes the order of texts the order of writes.
fn padded(sequencer: &str) -> Cow<'_, str> {
    if sequencer.len() >= SEQUENCER_LEN {
        Cow::Borrowed(sequencer)
    } else {
        Cow::Owned(format!("{sequencer:0>SEQUENCER_LEN$}"))
    }
}

/// Joins a provider's ids into one, where the first is there: alone the others tell no two events apart.
pub(super) fn joined_id(first: &Text<'_>, others: &[Option<&str>]) -> Option<String> {
    let first = first.as_deref().filter(|id| !id.is_empty())?;
    let mut id = String::with_capacity(first.len() + 128);
    id.push_str(first);
    for other in others.iter().flatten().filter(|other| !other.is_empty()) {
        id.push('/');
        id.push_str(other);
    }
    Some(id)
}

/// Returns a text that must be there, or says which one is not.
pub(super) fn required<'a>(text: Text<'a>, path: &str) -> Result<Cow<'a, str>, Reject> {
    text.filled().ok_or_else(|| {
        Reject::new(
            RejectCode::MissingField,
            format!("`{path}` is missing, empty or no text"),
        )
    })
}

/// Returns a region code without the spaces and the `oss-` that some senders put around it.
pub(super) fn region_code(text: Text<'_>) -> Option<Cow<'_, str>> {
    let text = trimmed(text)?;
    match text.strip_prefix("oss-") {
        Some(code) => Some(Cow::Owned(code.to_string())),
        None => Some(text),
    }
}

/// Returns a text without spaces at its ends; none where nothing is left.
pub(super) fn trimmed(text: Text<'_>) -> Option<Cow<'_, str>> {
    let text = match text.0? {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_string()),
    };
    (!text.is_empty()).then_some(text)
}
