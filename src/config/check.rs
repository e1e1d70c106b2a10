//! Settings that can be read and still cannot work, each refused with its key and the cure.

use std::time::Duration;

use anyhow::{Result, bail};
use bytesize::ByteSize;

use super::{Audit, Config, Maintain, Mapping};
use crate::event::Stream;

impl Config {
    /// Refuses values that cannot work, each with the key and the cure.
    pub fn check(&self) -> Result<()> {
        for stem in self.kafka.topics.keys() {
            if !Stream::ALL.iter().any(|stream| stream.stem() == stem) {
                let known = Stream::ALL.map(Stream::stem).join(", ");
                bail!(
                    "kafka.topics.{stem}: no stream of that name comes by Kafka; those that do are {known}"
                );
            }
        }
        if self.kafka.brokers.trim().is_empty() {
            bail!(
                "kafka.brokers: names no broker; write \"host:9092\", several separated by commas"
            );
        }
        if self.kafka.group.trim().is_empty() {
            bail!("kafka.group: is empty; name the group whose processes share the work");
        }
        let topics = self.topics();
        for (index, (stream, topic)) in topics.iter().enumerate() {
            if let Some((other, _)) = topics[..index].iter().find(|(_, taken)| taken == topic) {
                bail!(
                    "kafka.topics.{stream}: `{topic}` is already the topic of {other}; give each stream a topic of its own"
                );
            }
        }
        for (property, owner) in RESERVED_PROPERTIES {
            if self.kafka.properties.contains_key(property) {
                bail!("kafka.properties.{property}: exactly-once depends on this; {owner}");
            }
        }
        let consume = &self.consume;
        if consume.commit_interval < Duration::from_millis(100) {
            bail!("consume.commit_interval: must be at least 100ms; a commit takes 10 to 100 ms");
        }
        if consume.file_bytes.as_u64() < 64 * 1024 {
            bail!("consume.file_bytes: must be at least 64kB; smaller files make every query slow");
        }
        if consume.memory_bytes.as_u64() < 2 * consume.file_bytes.as_u64() {
            bail!(
                "consume.memory_bytes: must be at least twice consume.file_bytes ({}), so that one portion is gathered while another is written",
                consume.file_bytes
            );
        }
        if !consume.http.is_empty() && !names_a_port(&consume.http) {
            bail!(
                "consume.http: `{}` is no address; write \"127.0.0.1:9464\", or \"\" for none",
                consume.http
            );
        }
        self.serve.check()?;
        self.proxy.check()?;
        self.maintain.check()?;
        self.audit.check()?;
        let key_id = &self.redact.fingerprint_key_id;
        let is_key_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key_id.is_empty() || key_id.len() > 16 || !key_id.chars().all(is_key_id) {
            bail!(
                "redact.fingerprint_key_id: must be 1 to 16 letters, digits, `-` or `_`, for example \"k1\""
            );
        }
        for (index, mapping) in self.session_records.mappings.iter().enumerate() {
            check_mapping(mapping, &format!("session_records.mappings[{index}]"))?;
        }
        Ok(())
    }
}

impl Audit {
    fn check(&self) -> Result<()> {
        if self.requests_per_second == 0 {
            bail!("audit.requests_per_second: must be at least 1");
        }
        if self.concurrency == 0 {
            bail!("audit.concurrency: must be at least 1");
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for (name, store) in &self.stores {
            if name.is_empty() || !name.chars().all(is_name) {
                bail!("audit.stores.{name}: a store's name is of letters, digits, `-` and `_`");
            }
            if store.url.is_empty() {
                bail!(
                    "audit.stores.{name}.url: is missing; write s3://BUCKET, gs://BUCKET, az://CONTAINER or file:///DIRECTORY"
                );
            }
        }
        Ok(())
    }
}

impl Maintain {
    fn check(&self) -> Result<()> {
        if !(ByteSize::mb(1)..=ByteSize::gb(1)).contains(&self.file_bytes) {
            bail!(
                "maintain.file_bytes: must be from 1MB to 1GB, for example \"64MB\"; smaller files make queries slow, larger ones take as much memory to write"
            );
        }
        if self.min_files < 2 {
            bail!("maintain.min_files: must be at least 2; one file alone is not rewritten");
        }
        if self.memory_bytes < ByteSize::mb(64) {
            bail!("maintain.memory_bytes: must be at least 64MB, or sorting cannot begin");
        }
        if self.history < Duration::from_secs(3600) {
            bail!(
                "maintain.history: must be at least 1h: queries that run, and findings that are to be computed again, need the versions they began with"
            );
        }
        if self.retention.is_some_and(|age| age < RETENTION_LEAST) {
            bail!(
                "maintain.retention: must be at least 32 days, because detections look back 31; leave the key out to keep everything"
            );
        }
        Ok(())
    }
}

/// Detections read 31 days before the window that is asked for.
const RETENTION_LEAST: Duration = Duration::from_secs(32 * 86_400);

pub(super) fn names_a_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn check_mapping(mapping: &Mapping, key: &str) -> Result<()> {
    for (field, path) in &mapping.fields {
        if !Mapping::FIELDS.contains(&field.as_str()) {
            bail!(
                "{key}.fields.{field}: a session record has no field `{field}` to take from `{path}`; the fields are {}",
                Mapping::FIELDS.join(", ")
            );
        }
        if path.split('|').any(|path| path.trim().is_empty()) {
            bail!(
                "{key}.fields.{field}: names no column; write a path such as \"storage.vendor\", or leave the field out"
            );
        }
    }
    Ok(())
}

/// librdkafka properties that the consumer sets itself, and what to do instead.
const RESERVED_PROPERTIES: [(&str, &str); 7] = [
    ("bootstrap.servers", "set kafka.brokers"),
    ("group.id", "set kafka.group"),
    (
        "enable.auto.commit",
        "remove it: offsets live in the lake's commits",
    ),
    (
        "enable.auto.offset.store",
        "remove it: offsets live in the lake's commits",
    ),
    ("auto.offset.reset", "set consume.start"),
    (
        "isolation.level",
        "remove it: aborted transactions must not be read",
    ),
    (
        "enable.partition.eof",
        "remove it: the consumer needs the ends of partitions",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let config: Result<Config, _> = toml::from_str(text);
        match config {
            Ok(config) => config.check().expect_err("must be refused").to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn defaults_pass() {
        Config::default().check().expect("defaults are right");
    }

    #[test]
    fn wrong_values_name_the_key_and_the_cure() {
        assert!(refused("[kafka.topics]\napi = \"x\"").contains("kafka.topics.api"));
        assert!(refused("[kafka.topics]\nwebhooks = \"recording.api-calls\"").contains("already"));
        assert!(refused("[kafka.properties]\n\"group.id\" = \"x\"").contains("set kafka.group"));
        assert!(refused("[consume]\ncommit_interval = \"soon\"").contains("no duration"));
        assert!(refused("[consume]\nmemory_bytes = \"1MB\"").contains("twice"));
        assert!(refused("[serve]\nreceive = \"9466\"").contains("serve.receive"));
        assert!(refused("[serve]\nhttp = \"127.0.0.1:9466\"").contains("another port"));
        assert!(refused("[serve]\ntrusted_proxies = [\"proxy\"]").contains("\"10.0.0.0/8\""));
        assert!(refused("[serve]\nrequests_max = 0").contains("for example 256"));
        assert!(refused("[serve]\nbody_bytes_max = \"1kB\"").contains("from 16kB"));
        assert!(refused("[proxy]\nupstream = \"api.agora.io\"").contains("proxy.upstream"));
        assert!(refused("[proxy]\nspool_bytes_max = \"1MB\"").contains("at least 16MB"));
        assert!(refused("[proxy.storage]\napp = []").contains("names no place"));
        assert!(refused("[consume]\nintervall = \"1s\"").contains("unknown field"));
    }

    #[test]
    fn an_empty_topic_switches_a_stream_off() {
        let config: Config = toml::from_str("[kafka.topics]\nwebhooks = \"\"").expect("parses");
        assert_eq!(config.topics().len(), 3);
    }
}
