//! The words of the domain that every room shares. No I/O, no clock.

use std::fmt;
use std::str::FromStr;

/// One of the inputs, or what `tapetrail audit` finds. Its stem names the schema, the decoder, the table and the tests
/// alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    ApiCalls,
    Webhooks,
    StorageEvents,
    SessionRecords,
    Audits,
    UploadStatus,
}

impl Stream {
    /// The inputs that come by Kafka.
    pub const ALL: [Stream; 4] = [
        Stream::ApiCalls,
        Stream::Webhooks,
        Stream::StorageEvents,
        Stream::SessionRecords,
    ];

    /// The inputs: those, and what is imported from files alone.
    pub const INPUTS: [Stream; 5] = [
        Stream::ApiCalls,
        Stream::Webhooks,
        Stream::StorageEvents,
        Stream::SessionRecords,
        Stream::UploadStatus,
    ];

    /// All that has a table in the lake.
    pub const TABLES: [Stream; 6] = [
        Stream::ApiCalls,
        Stream::Webhooks,
        Stream::StorageEvents,
        Stream::SessionRecords,
        Stream::Audits,
        Stream::UploadStatus,
    ];

    /// The stem: `api_calls`, `webhooks`, `storage_events`, `session_records`, `audits`, `upload_status`.
    pub const fn stem(self) -> &'static str {
        match self {
            Stream::ApiCalls => "api_calls",
            Stream::Webhooks => "webhooks",
            Stream::StorageEvents => "storage_events",
            Stream::SessionRecords => "session_records",
            Stream::Audits => "audits",
            Stream::UploadStatus => "upload_status",
        }
    }

    /// The topic that is read unless the configuration names another (design, section 2).
    pub const fn default_topic(self) -> &'static str {
        match self {
            Stream::ApiCalls => "recording.api-calls",
            Stream::Webhooks => "recording.webhooks",
            Stream::StorageEvents => "recording.storage-events",
            Stream::SessionRecords => "recording.session-records",
            // Nobody sends the one, the other is exported by hand.
            Stream::Audits | Stream::UploadStatus => "",
        }
    }

    /// Returns the input of this name.
    pub fn input(text: &str) -> Result<Self, String> {
        among(Stream::INPUTS, text)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stem())
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        among(Stream::TABLES, text)
    }
}

/// Returns the one of these streams that is called so.
fn among<const N: usize>(streams: [Stream; N], text: &str) -> Result<Stream, String> {
    let found = streams.into_iter().find(|stream| stream.stem() == text);
    found.ok_or_else(|| {
        let known = streams.map(Stream::stem).join(", ");
        format!("no stream is called `{text}`; the streams are {known}")
    })
}

/// What a row of a stream's table is the trace of (design, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// An event of the stream.
    Event,
    /// A dead letter: a message that cannot be an event, kept with the reason.
    Dead,
    /// A message that means nothing by right: tombstone, empty list, provider's test message.
    Skipped,
    /// Offsets that hold no message by right, or that the operator accepted as lost.
    Gap,
}

impl Disposition {
    pub const fn as_str(self) -> &'static str {
        match self {
            Disposition::Event => "event",
            Disposition::Dead => "dead",
            Disposition::Skipped => "skipped",
            Disposition::Gap => "gap",
        }
    }
}

/// Why a message is a dead letter: a stable code for machines and a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub code: RejectCode,
    /// One sentence; never quotes a value of the message, which could be a secret.
    pub detail: String,
}

impl Reject {
    pub fn new(code: RejectCode, detail: impl Into<String>) -> Self {
        Reject {
            code,
            detail: detail.into(),
        }
    }
}

/// The codes a dead letter's `reason` column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectCode {
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// The text is not JSON, or ends in the middle.
    InvalidJson,
    /// JSON nested deeper than [`crate::redact::MAX_DEPTH`] levels.
    TooDeep,
    /// The same key twice in one object, where the key matters.
    DuplicateKey,
    /// Longer than `consume.message_bytes_max`.
    TooLarge,
    /// JSON, but a scalar or a list where an object is needed.
    NotAnObject,
    /// An object of no recognisable shape for this stream.
    UnknownShape,
    /// A field that an event of this stream must have is missing.
    MissingField,
    /// A field has a type or a value that the contract does not allow.
    InvalidField,
    /// No mapping is configured for this source table.
    NoMapping,
}

impl RejectCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            RejectCode::InvalidUtf8 => "invalid_utf8",
            RejectCode::InvalidJson => "invalid_json",
            RejectCode::TooDeep => "too_deep",
            RejectCode::DuplicateKey => "duplicate_key",
            RejectCode::TooLarge => "too_large",
            RejectCode::NotAnObject => "not_an_object",
            RejectCode::UnknownShape => "unknown_shape",
            RejectCode::MissingField => "missing_field",
            RejectCode::InvalidField => "invalid_field",
            RejectCode::NoMapping => "no_mapping",
        }
    }
}

/// Why a message is `skipped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// A null or empty value.
    Tombstone,
    /// A list of events with nothing in it.
    EmptyList,
    /// A provider's own test message.
    TestMessage,
    /// A message about something else than rows or objects: a transaction marker, a heartbeat, DDL.
    ControlMessage,
}

impl SkipReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            SkipReason::Tombstone => "tombstone",
            SkipReason::EmptyList => "empty_list",
            SkipReason::TestMessage => "test_message",
            SkipReason::ControlMessage => "control_message",
        }
    }
}

/// Microseconds since 1970-01-01T00:00:00Z, as all times in the lake.
pub type Micros = i64;

pub const MICROS_PER_SECOND: Micros = 1_000_000;
pub const MICROS_PER_DAY: Micros = 86_400 * MICROS_PER_SECOND;

/// Who set a Kafka record's timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// `CreateTime`: the producer.
    Producer,
    /// `LogAppendTime`: the broker.
    Broker,
}

impl TimestampType {
    pub const fn as_str(self) -> &'static str {
        match self {
            TimestampType::Producer => "producer",
            TimestampType::Broker => "broker",
        }
    }
}
