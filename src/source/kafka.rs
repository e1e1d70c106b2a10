//! The Kafka consumer: its settings, its rebalances, its watermarks. Knows nothing of the lake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message as _, Timestamp};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::trouble::LastTrouble;
use crate::config::Config;
use crate::event::{Micros, TimestampType};
use crate::intake::HeaderList;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The broker's first offset and the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    pub low: i64,
    pub high: i64,
}

/// What the ingest does inside a rebalance, on the polling thread.
pub trait Assignee: Send + Sync {
    /// Returns the offset to start at for each partition, in order; none leaves a partition unread.
    fn assign(&self, kafka: &dyn Offsets, partitions: &[TopicPartition]) -> Vec<Option<i64>>;

    /// Commits or drops the work on these partitions before it returns.
    fn revoke(&self, kafka: &dyn Offsets, partitions: &[TopicPartition]);

    /// Hears the ends of partitions, once a second, and how the client stands with the brokers.
    fn ends(&self, ends: &[(TopicPartition, End)], standing: Standing);
}

/// How the client stands with the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// At least one broker answers.
    pub is_connected: bool,
    /// The group has settled with this member in it, whether partitions fell to it or not.
    pub is_member: bool,
}

/// The end of a partition as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub high: i64,
}

/// What can be asked of, and told to, the broker about offsets.
pub trait Offsets {
    fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks>;
    /// Returns the first offset at or after an instant (milliseconds since the epoch), or the end.
    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<i64>;
    /// Commits the group's offsets, which only lag tools read.
    fn commit(&self, offsets: &[(TopicPartition, i64)], wait: bool);
}

/// Requests to the broker that a person or a rebalance waits for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What is left to look at when brokers are silent. One that waits for a TLS handshake says nothing to others.
const NO_BROKER: &str = "no broker answers; check kafka.brokers, and kafka.properties.\"security.protocol\" where they ask for TLS or a login";

const SECOND: Duration = Duration::from_secs(1);

/// More than a client hears in the time of a request.
const EVENTS_SERVED: usize = 32;

/// Statistics, from which lag is read, come this often.
const STATISTICS_INTERVAL: &str = "1000";

/// librdkafka's prefetch queue, in kB: what is decoded in a tenth of a second, and a small part of the memory.
const PREFETCH_KB: &str = "16384";

/// What one answer of a broker may hold, and of one partition in it, in bytes. librdkafka's own bounds are 50 MB and
/// 1 MB, all of it in memory until the last message of it is taken. A larger message comes all the same.
const FETCH_BYTES: &str = "8388608";
const FETCH_PARTITION_BYTES: &str = "524288";

pub struct KafkaSource {
    consumer: BaseConsumer<Rebalancer>,
    trouble: Arc<LastTrouble>,
}

/// One thing a poll can bring.
pub enum Polled<'s> {
    Message(BorrowedMessage<'s>),
    /// Nothing came within the time, or a callback was served.
    Nothing,
    /// A stored offset is not on the broker any more.
    OffsetOutOfRange,
    /// The broker answers with an error; librdkafka goes on trying.
    Trouble(KafkaError),
    /// librdkafka cannot go on.
    Fatal(KafkaError),
}

impl KafkaSource {
    /// Connects; the broker need not be there yet.
    pub fn connect(config: &Config, assignee: Arc<dyn Assignee>) -> Result<KafkaSource> {
        let trouble = Arc::new(LastTrouble::default());
        let context = Rebalancer {
            assignee,
            trouble: Arc::clone(&trouble),
            was_connected: AtomicBool::new(false),
        };
        let consumer = client_config(config)
            .create_with_context(context)
            .map_err(explain_config)?;
        Ok(KafkaSource { consumer, trouble })
    }

    /// Says why no broker can be used, naming the setting that is wrong as far as the client has heard.
    pub fn why_no_broker(&self) -> String {
        self.trouble.get().unwrap_or_else(|| NO_BROKER.to_string())
    }

    pub fn subscribe(&self, topics: &[&str]) -> Result<()> {
        Ok(self.consumer.subscribe(topics)?)
    }

    /// Returns the cluster's id, which names offsets in the lake; none when no broker tells it in time, or as soon
    /// as it is known why not. To be asked before the subscription: it serves what the client has heard.
    pub fn cluster_id(&self, topic: &str) -> Option<String> {
        for _ in 0..REQUEST_TIMEOUT.as_secs() {
            // The id comes with metadata, which librdkafka would ask for a second later by itself.
            if self.consumer.fetch_metadata(Some(topic), SECOND).is_ok() {
                return self.consumer.client().fetch_cluster_id(REQUEST_TIMEOUT);
            }
            serve(&self.consumer);
            if self.trouble.get().is_some() {
                return None;
            }
        }
        None
    }

    /// Returns the partitions of a topic, or none when the broker does not know it.
    pub fn partitions(&self, topic: &str) -> Result<Option<Vec<TopicPartition>>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found
            .filter(|found| found.error().is_none() && !found.partitions().is_empty())
            .map(|found| {
                let partitions = found.partitions().iter();
                let named = partitions.map(|partition| TopicPartition {
                    topic: topic.to_string(),
                    partition: partition.id(),
                });
                named.collect()
            }))
    }

    /// Waits for the next thing to happen; rebalances run inside.
    pub fn poll(&self, timeout: Duration) -> Polled<'_> {
        use RDKafkaErrorCode as Code;
        match self.consumer.poll(timeout) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => Polled::Nothing,
            Some(Ok(message)) => Polled::Message(message),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                Polled::Fatal(KafkaError::MessageConsumptionFatal(code))
            }
            Some(Err(KafkaError::MessageConsumption(
                Code::AutoOffsetReset | Code::OffsetOutOfRange,
            ))) => Polled::OffsetOutOfRange,
            Some(Err(error)) => Polled::Trouble(error),
        }
    }

    /// Goes on reading at these offsets. What was fetched from elsewhere is dropped by librdkafka.
    pub fn seek(&self, offsets: &[(TopicPartition, i64)]) -> Result<()> {
        let list = self.list(offsets)?;
        let outcome = self.consumer.seek_partitions(list, REQUEST_TIMEOUT);
        let seeked = outcome.is_ok_and(|list| list.elements().iter().all(|e| e.error().is_ok()));
        if seeked {
            return Ok(());
        }
        // A partition that is not being fetched cannot seek; assigning it anew always works.
        let list = self.list(offsets)?;
        self.consumer.incremental_unassign(&list)?;
        self.consumer.incremental_assign(&list)?;
        Ok(())
    }

    /// Returns the offset up to which each assigned partition was handed over, transaction markers included.
    pub fn positions(&self) -> Result<Vec<(TopicPartition, i64)>> {
        let list = self.consumer.position()?;
        let placed = list.elements().into_iter().filter_map(|element| {
            let at = TopicPartition {
                topic: element.topic().to_string(),
                partition: element.partition(),
            };
            match element.offset() {
                Offset::Offset(offset) => Some((at, offset)),
                _ => None,
            }
        });
        Ok(placed.collect())
    }

    /// Stops fetching; polls go on serving rebalances.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<()> {
        Ok(self.consumer.pause(&self.unplaced(partitions))?)
    }

    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<()> {
        Ok(self.consumer.resume(&self.unplaced(partitions))?)
    }

    /// Leaves the group; the revocation runs inside. To be closed is the whole of it: a client that gives up its
    /// subscription first may be closed before it has told the broker that it leaves, and the group then waits for it
    /// until its session is over.
    pub fn leave(self) {
        drop(self.consumer);
    }

    fn unplaced(&self, partitions: &[TopicPartition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        list
    }

    fn list(&self, offsets: &[(TopicPartition, i64)]) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (at, offset) in offsets {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))?;
        }
        Ok(list)
    }
}

impl Offsets for KafkaSource {
    fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks> {
        self.consumer.watermarks(partition)
    }

    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<i64> {
        self.consumer.offset_at(partition, at_ms)
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)], wait: bool) {
        Offsets::commit(&self.consumer, offsets, wait);
    }
}

impl Offsets for BaseConsumer<Rebalancer> {
    fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks> {
        let (low, high) = self
            .fetch_watermarks(&partition.topic, partition.partition, REQUEST_TIMEOUT)
            .with_context(|| format!("cannot read the watermarks of {partition}"))?;
        Ok(Watermarks { low, high })
    }

    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(at_ms))?;
        let found = self.offsets_for_times(list, REQUEST_TIMEOUT)?;
        match found.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset),
            _ => Ok(self.watermarks(partition)?.high),
        }
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)], wait: bool) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (at, offset) in offsets {
            // Only a malformed name is refused, and these came from the broker.
            let _ = list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset));
        }
        let mode = if wait {
            CommitMode::Sync
        } else {
            CommitMode::Async
        };
        if let Err(error) = Consumer::commit(self, &list, mode) {
            tracing::warn!(%error, "the group's offsets could not be committed; the lake's are");
        }
    }
}

impl HeaderList for BorrowedMessage<'_> {
    fn headers(&self) -> Vec<(&str, &[u8])> {
        rdkafka::Message::headers(self).map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| (header.key, header.value.unwrap_or_default()))
                .collect()
        })
    }
}

/// Looks at offsets without joining the group.
pub struct Broker {
    consumer: BaseConsumer<Listener>,
}

/// Hears what is wrong with the brokers while somebody waits for their answer.
#[derive(Default)]
struct Listener {
    trouble: LastTrouble,
}

impl ClientContext for Listener {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "kafka", facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason);
        self.trouble.note(&error, reason);
    }
}

impl ConsumerContext for Listener {}

impl Broker {
    pub fn connect(config: &Config) -> Result<Broker> {
        let config = client_config(config);
        let consumer = config.create_with_context(Listener::default());
        Ok(Broker {
            consumer: consumer.map_err(explain_config)?,
        })
    }

    /// Adds to the error of a request why no broker answers, where the client knows.
    fn explained<T>(&self, outcome: KafkaResult<T>) -> Result<T> {
        outcome.map_err(|error| {
            serve(&self.consumer);
            match self.consumer.client().context().trouble.get() {
                Some(why) => anyhow::anyhow!(why),
                None => error.into(),
            }
        })
    }

    pub fn watermarks(&self, at: &TopicPartition, timeout: Duration) -> Result<Watermarks> {
        let found = self
            .consumer
            .fetch_watermarks(&at.topic, at.partition, timeout);
        let found = self.explained(found);
        let (low, high) = found.with_context(|| format!("cannot read the watermarks of {at}"))?;
        Ok(Watermarks { low, high })
    }

    /// Returns the group's offset; none when it never committed one.
    pub fn committed(&self, at: &TopicPartition, timeout: Duration) -> Result<Option<i64>> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&at.topic, at.partition);
        let found = self.consumer.committed_offsets(list, timeout);
        let found = self.explained(found);
        let found = found.with_context(|| format!("cannot read the group's offset of {at}"))?;
        Ok(found
            .elements()
            .first()
            .and_then(|element| match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            }))
    }
}

/// Returns the record's time and who set it.
pub fn timestamp(message: &BorrowedMessage<'_>) -> (Option<Micros>, Option<TimestampType>) {
    match message.timestamp() {
        Timestamp::CreateTime(ms) if ms >= 0 => {
            (Some(ms.saturating_mul(1000)), Some(TimestampType::Producer))
        }
        Timestamp::LogAppendTime(ms) if ms >= 0 => {
            (Some(ms.saturating_mul(1000)), Some(TimestampType::Broker))
        }
        _ => (None, None),
    }
}

/// Serves what a client without a subscription has heard: statistics, errors. A poll serves one thing.
fn serve<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    for _ in 0..EVENTS_SERVED {
        let _ = consumer.poll(Duration::ZERO);
    }
}

/// Runs the rebalances of the group: offsets are set inside the assignment, so that no seek can race.
struct Rebalancer {
    assignee: Arc<dyn Assignee>,
    trouble: Arc<LastTrouble>,
    was_connected: AtomicBool,
}

impl ClientContext for Rebalancer {
    fn stats(&self, statistics: Statistics) {
        let mut ends = Vec::new();
        for (topic, of_topic) in &statistics.topics {
            for (&partition, of_partition) in &of_topic.partitions {
                // -1 is librdkafka's own partition for messages without one.
                if partition < 0 || of_partition.hi_offset < 0 {
                    continue;
                }
                let topic = topic.clone();
                let end = End {
                    high: of_partition.hi_offset,
                };
                ends.push((TopicPartition { topic, partition }, end));
            }
        }
        let is_connected = statistics
            .brokers
            .values()
            .any(|broker| broker.state == "UP");
        if is_connected {
            self.trouble.is_over();
            self.was_connected.store(true, Ordering::Relaxed);
        }
        let is_member = statistics
            .cgrp
            .is_some_and(|group| group.state == "up" && group.join_state == "steady");
        let standing = Standing {
            is_connected,
            is_member,
        };
        self.assignee.ends(&ends, standing);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", facility, message),
            _ => tracing::debug!(target: "kafka", facility, message),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition comes this way, too, where a consumer asked to be told of it.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        match self.trouble.note(&error, reason) {
            // Before the first connection somebody waits for it, and says why it does not come.
            Some(why) if !self.was_connected.load(Ordering::Relaxed) => {
                tracing::debug!(target: "kafka", %error, "{why}");
            }
            Some(why) => tracing::warn!(target: "kafka", %error, "{why}"),
            // It comes with every broken connection; who waits for brokers says so, once.
            None if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => {
                tracing::debug!(target: "kafka", %error, reason);
            }
            None => {
                tracing::warn!(target: "kafka", %error, reason, "the broker is in trouble");
            }
        }
    }
}

impl ConsumerContext for Rebalancer {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                let starts = self.assignee.assign(consumer, &partitions);
                for (mut element, start) in list.elements().into_iter().zip(starts) {
                    // `End` keeps a partition that must not be read quiet; it is paused after the assignment.
                    let offset = start.map_or(Offset::End, Offset::Offset);
                    element
                        .set_offset(offset)
                        .expect("an absolute offset or the end");
                }
            }
            Rebalance::Revoke(list) => self.assignee.revoke(consumer, &partitions(list)),
            Rebalance::Error(error) => {
                tracing::warn!(%error, "a rebalance failed; librdkafka tries again")
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "the group's offsets were not committed; the lake's are");
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    let named = elements.iter().map(|element| TopicPartition {
        topic: element.topic().to_string(),
        partition: element.partition(),
    });
    named.collect()
}

/// Returns librdkafka's settings: our defaults, then the user's, then what exactly-once depends on.
pub fn client_config(config: &Config) -> ClientConfig {
    let mut settings: BTreeMap<&str, &str> = BTreeMap::from([
        ("client.id", "tapetrail"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("queued.max.messages.kbytes", PREFETCH_KB),
        ("fetch.max.bytes", FETCH_BYTES),
        ("fetch.message.max.bytes", FETCH_PARTITION_BYTES),
        ("fetch.queue.backoff.ms", "10"),
        ("fetch.wait.max.ms", "100"),
        ("statistics.interval.ms", STATISTICS_INTERVAL),
        ("topic.metadata.refresh.interval.ms", "30000"),
        ("reconnect.backoff.max.ms", "5000"),
    ]);
    for (property, value) in &config.kafka.properties {
        settings.insert(property, value);
    }
    settings.extend([
        ("bootstrap.servers", config.kafka.brokers.as_str()),
        ("group.id", config.kafka.group.as_str()),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // A stored offset that is gone must be heard of, never jumped over.
        ("auto.offset.reset", "error"),
        ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true"),
    ]);
    let mut client = ClientConfig::new();
    for (property, value) in settings {
        client.set(property, value);
    }
    client.set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// Turns librdkafka's complaint about a property into one that names the key.
pub fn explain_config(error: KafkaError) -> anyhow::Error {
    match error {
        KafkaError::ClientConfig(_, reason, property, _) => anyhow::anyhow!(
            "kafka.properties.{property}: {reason}; see librdkafka's CONFIGURATION.md for the allowed values"
        ),
        // `<property> failed: <why>`: a file that is not there, a key that cannot be read.
        KafkaError::ClientCreation(reason) => match reason.split_once(" failed: ") {
            Some((property, why)) if is_property(property) && property.ends_with(".location") => {
                anyhow::anyhow!(
                    "kafka.properties.\"{property}\": the file cannot be read, or is not what it should be (librdkafka: {})",
                    why.trim()
                )
            }
            Some((property, why)) if is_property(property) => {
                anyhow::anyhow!("kafka.properties.\"{property}\": {}", why.trim())
            }
            _ => anyhow::anyhow!("kafka.properties: {reason}"),
        },
        error => anyhow::anyhow!("kafka: {error}"),
    }
}

fn is_property(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '.' || c == '_';
    name.contains('.') && name.chars().all(is_of_name)
}
