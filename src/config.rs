//! Settings: file, environment and flags become one checked [`Config`]. Every default is here once.
//!
//! Order: flag over environment over file over default. Unknown keys are errors. Secrets come from the
//! environment only and are never printed.

mod check;
mod proxy;
mod serve;
mod vendor_number;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytesize::ByteSize;
use chrono::DateTime;
use serde::Deserialize;

use crate::event::Stream;

pub use proxy::{AllowedStorage, Proxy};
pub use serve::{Serve, network};

/// The configuration file as written. Every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Root of the lake: a directory, or the URL of an object store: s3://, gs://, az://.
    pub lake: Option<String>,
    /// `fsync` (default): what is acknowledged survives a power cut. `os`: it survives a killed process.
    pub durability: Durability,
    pub kafka: Kafka,
    pub consume: Consume,
    pub serve: Serve,
    pub proxy: Proxy,
    pub maintain: Maintain,
    pub redact: Redact,
    pub session_records: SessionRecords,
    pub detect: Detect,
    pub audit: Audit,
    #[serde(skip)]
    pub secrets: Secrets,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    #[default]
    Fsync,
    Os,
}

/// Where messages come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// `group.id`. Processes of one group share the partitions.
    pub group: String,
    /// Topic of each stream; a stream that is left out keeps its default, `""` switches it off.
    pub topics: BTreeMap<String, String>,
    /// Any librdkafka property, passed on as it is: `security.protocol`, `sasl.mechanism`, ...
    pub properties: BTreeMap<String, String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Kafka {
            brokers: "localhost:9092".to_string(),
            group: "tapetrail".to_string(),
            topics: BTreeMap::new(),
            properties: BTreeMap::new(),
        }
    }
}

/// How messages become commits.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Consume {
    pub start: Start,
    /// A stream commits at least this often while it has rows.
    #[serde(with = "human_duration")]
    pub commit_interval: Duration,
    /// ... and as soon as it holds this many bytes.
    #[serde(with = "human_size")]
    pub commit_bytes: ByteSize,
    /// Rows are sorted and written to a file in portions of this size.
    #[serde(with = "human_size")]
    pub file_bytes: ByteSize,
    /// Bound on all rows in memory, of all streams, being gathered or being written.
    #[serde(with = "human_size")]
    pub memory_bytes: ByteSize,
    /// A longer message becomes a dead letter of which only length and hash are kept.
    #[serde(with = "human_size")]
    pub message_bytes_max: ByteSize,
    /// What to do at an offset hole that Kafka cannot explain: `stop` that partition, or `accept` it as a `gap` row.
    pub on_gap: OnGap,
    /// Address of `/metrics`, `/healthz` and `/readyz`; `""` switches them off.
    pub http: String,
    /// How long a stop or a revoked partition waits for its last commit.
    #[serde(with = "human_duration")]
    pub drain_timeout: Duration,
}

/// Where a partition starts that the lake knows nothing of: `earliest`, `latest` or an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Start {
    Earliest,
    Latest,
    /// Milliseconds since the epoch.
    At(i64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Start, String> {
        match text {
            "earliest" => Ok(Start::Earliest),
            "latest" => Ok(Start::Latest),
            time => match DateTime::parse_from_rfc3339(time) {
                Ok(at) => Ok(Start::At(at.timestamp_millis())),
                Err(_) => Err(format!(
                    "`{time}` is neither `earliest`, `latest` nor a time such as 2026-11-22T10:00:00Z"
                )),
            },
        }
    }
}

impl TryFrom<String> for Start {
    type Error = String;

    fn try_from(text: String) -> Result<Start, String> {
        text.parse()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGap {
    #[default]
    Stop,
    Accept,
}

impl Default for Consume {
    fn default() -> Self {
        Consume {
            start: Start::Earliest,
            commit_interval: Duration::from_secs(30),
            commit_bytes: ByteSize::mb(128),
            file_bytes: ByteSize::mb(10),
            memory_bytes: ByteSize::mb(40),
            message_bytes_max: ByteSize::mb(8),
            on_gap: OnGap::Stop,
            http: "127.0.0.1:9464".to_string(),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// How the lake is kept fast and small.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Maintain {
    /// Size of the files that small ones are sorted into.
    #[serde(with = "human_size")]
    pub file_bytes: ByteSize,
    /// A day is rewritten when it has this many files, or sets of files, of about one size.
    pub min_files: usize,
    /// Bound on the memory for sorting; what does not fit goes to the system's temporary directory.
    #[serde(with = "human_size")]
    pub memory_bytes: ByteSize,
    /// Earlier versions of the tables can be read for this long; older ones are removed with the files that only they need.
    #[serde(with = "human_duration")]
    pub history: Duration,
    /// Days of events older than this are dropped; none keeps them for ever.
    #[serde(deserialize_with = "human_duration::optional")]
    pub retention: Option<Duration>,
}

impl Default for Maintain {
    fn default() -> Self {
        Maintain {
            file_bytes: ByteSize::mb(64),
            min_files: 4,
            memory_bytes: ByteSize::mb(256),
            history: Duration::from_secs(30 * 86_400),
            retention: None,
        }
    }
}

/// Redaction's only setting; the key itself is `TAPETRAIL_FINGERPRINT_KEY`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// Names the key in every fingerprint, so that a rotation is visible: letters, digits, `-`, `_`.
    pub fingerprint_key_id: String,
}

impl Default for Redact {
    fn default() -> Self {
        Redact {
            fingerprint_key_id: "k1".to_string(),
        }
    }
}

/// How rows of the customer's database map to session records.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionRecords {
    /// Tried in order; the first whose `table` fits the message's source table is used.
    pub mappings: Vec<Mapping>,
}

/// One mapping of columns to the fields of a session record.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// Source table, `schema.table` or `db.schema.table`, `*` for any; without it the mapping fits every message.
    pub table: Option<String>,
    /// Field of the session record, one of [`Mapping::FIELDS`] -> path of the column, dots between steps,
    /// alternatives after `|`.
    pub fields: BTreeMap<String, String>,
    /// What the customer writes for a vendor -> Agora's vendor number, or the vendor's name.
    #[serde(deserialize_with = "vendor_number::map")]
    pub vendors: BTreeMap<String, i32>,
    /// Custom host of a URL -> the same (CDN and CNAME domains).
    #[serde(deserialize_with = "vendor_number::map")]
    pub hosts: BTreeMap<String, i32>,
}

impl Mapping {
    /// What can be known of a session record.
    pub const FIELDS: [&str; 12] = [
        "app_id",
        "cname",
        "uid",
        "resource_id",
        "sid",
        "vendor",
        "bucket",
        "region",
        "prefix",
        "url",
        "status",
        "recorded_at",
    ];
}

/// What detections may take for granted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detect {
    /// Parameter overrides by detection: `[detect.params.missing_upload] missing_after = "24h"`.
    pub params: BTreeMap<String, BTreeMap<String, toml::Value>>,
}

/// Where and how `tapetrail audit` looks for files.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// By names of the operator's.
    pub stores: BTreeMap<String, AuditStore>,
    /// A session is looked for this long after its end.
    #[serde(with = "human_duration")]
    pub grace: Duration,
    /// Bound on the requests to all stores together.
    pub requests_per_second: u32,
    /// Sessions that are looked for at a time.
    pub concurrency: usize,
}

impl Default for Audit {
    fn default() -> Self {
        Audit {
            stores: BTreeMap::new(),
            grace: Duration::from_secs(30 * 60),
            requests_per_second: 20,
            concurrency: 4,
        }
    }
}

/// A store that is looked into. Credentials come from the environment: `TAPETRAIL_STORE_<NAME>_AWS_ACCESS_KEY_ID` and so
/// on for this one alone, `AWS_ACCESS_KEY_ID` for all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditStore {
    /// s3://BUCKET, gs://BUCKET, az://CONTAINER, file:///DIRECTORY; with a path where all keys begin with one.
    pub url: String,
    /// Agora's vendor number, or the vendor's name; what the URL says unless it is given.
    #[serde(deserialize_with = "vendor_number::optional")]
    pub vendor: Option<i32>,
    /// The bucket, as rows have it; that of the URL unless it is given.
    pub bucket: Option<String>,
    /// Endpoint of a store that speaks S3: OSS, COS, OBS, MinIO.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Whether the bucket is part of the endpoint's host name.
    pub virtual_hosted: bool,
    /// What the columns of its listings are called, where the usual names do not fit.
    pub columns: ListingColumns,
}

/// Which column of a listing is what.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListingColumns {
    pub key: Option<String>,
    pub bucket: Option<String>,
    pub size: Option<String>,
    pub etag: Option<String>,
    pub written_at: Option<String>,
}

/// Read from the environment; `Debug` shows only whether they are set.
#[derive(Clone, Default)]
pub struct Secrets {
    /// `TAPETRAIL_FINGERPRINT_KEY`
    pub fingerprint_key: Option<String>,
    /// `TAPETRAIL_WEBHOOK_SECRETS`: `id=secret`, separated by commas.
    pub webhook_secrets: Vec<(String, String)>,
    /// `TAPETRAIL_API_CALL_TOKENS`: `id=token`, separated by commas.
    pub api_call_tokens: Vec<(String, String)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("fingerprint_key", &self.fingerprint_key.is_some())
            .field("webhook_secrets", &self.webhook_secrets.len())
            .field("api_call_tokens", &self.api_call_tokens.len())
            .finish()
    }
}

impl Config {
    /// Reads the file, if one is named, and the secrets, and checks all values.
    pub fn load(file: Option<&Path>) -> Result<Config> {
        let mut config = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| {
                    format!("cannot read the configuration `{}`", path.display())
                })?;
                toml::from_str(&text)
                    .map_err(|error| anyhow!("{}: {}", path.display(), sentence(&text, &error)))?
            }
            None => Config::default(),
        };
        config.secrets = Secrets::from_environment()?;
        config.check()?;
        Ok(config)
    }

    /// Returns the topic of each stream that is switched on.
    pub fn topics(&self) -> Vec<(Stream, String)> {
        Stream::ALL
            .into_iter()
            .map(|stream| {
                let topic = self.kafka.topics.get(stream.stem());
                let topic = topic.map_or(stream.default_topic(), String::as_str);
                (stream, topic.to_string())
            })
            .filter(|(_, topic)| !topic.is_empty())
            .collect()
    }
}

/// Says in one sentence where the text is wrong and how. Quotes no line of it: one may hold a password.
fn sentence(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let section = (text.lines().take(number))
        .filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']'))
        .last()
        .map(|section| section.trim_matches(['[', ']']));
    let key = line.split_once('=').map(|(key, _)| key.trim());
    let place: Vec<&str> = section.into_iter().chain(key).collect();
    let place = place.join(".");
    let message = error.message().replace('\n', ", ");
    match section == Some("kafka.properties") {
        // The value could be `sasl.password`.
        true => format!("line {number}: {place}: must be a text in quotes"),
        false if place.is_empty() => format!("line {number}: {message}"),
        false => format!("line {number}: {place}: {message}"),
    }
}

impl Secrets {
    fn from_environment() -> Result<Secrets> {
        Ok(Secrets {
            fingerprint_key: std::env::var("TAPETRAIL_FINGERPRINT_KEY")
                .ok()
                .filter(|key| !key.is_empty()),
            webhook_secrets: pairs("TAPETRAIL_WEBHOOK_SECRETS", "secret")?,
            api_call_tokens: pairs("TAPETRAIL_API_CALL_TOKENS", "token")?,
        })
    }
}

/// Reads `id=secret` entries, separated by commas. Quotes none of them: each holds a secret.
fn pairs(variable: &str, what: &str) -> Result<Vec<(String, String)>> {
    let text = std::env::var(variable).unwrap_or_default();
    let entries = text.split(',').map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .map(|entry| match entry.split_once('=') {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
                Ok((id.to_string(), secret.to_string()))
            }
            _ => bail!("{variable}: each entry must be `id={what}`, entries separated by commas"),
        })
        .collect()
}

mod human_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        const CURE: &str = "write \"30s\" or \"5m\"";
        let text = String::deserialize(from)
            .map_err(|_| D::Error::custom(format!("this is no duration; {CURE}")))?;
        humantime::parse_duration(&text)
            .map_err(|_| D::Error::custom(format!("`{text}` is no duration; {CURE}")))
    }

    /// A key that is left out is none; one that is there must be a duration.
    pub(super) fn optional<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        deserialize(from).map(Some)
    }
}

mod human_size {
    use bytesize::ByteSize;
    use serde::{Deserialize, Deserializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bytes(u64),
        Text(String),
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
        const CURE: &str = "write \"32MB\", or a number of bytes";
        match Written::deserialize(from) {
            Ok(Written::Bytes(bytes)) => Ok(ByteSize::b(bytes)),
            Ok(Written::Text(text)) => text
                .parse()
                .map_err(|_| D::Error::custom(format!("`{text}` is no size; {CURE}"))),
            Err(_) => Err(D::Error::custom(format!("this is no size; {CURE}"))),
        }
    }
}
