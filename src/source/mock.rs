//! A Kafka broker inside this process, for the demo: librdkafka's mock cluster, and a producer that keeps in
//! step with a consumer group.
//!
//! The mock speaks the protocol over loopback, so that whoever consumes from it cannot tell the difference. It
//! keeps about 5 MB or 100,000 batches of a partition and drops the oldest without a word: [`Feed`] therefore
//! never lets more than [`IN_FLIGHT_BYTES_MAX`] of a partition wait for the group's commits.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use twox_hash::XxHash3_128;

use super::producer::{self, Deliveries};
use crate::event::Micros;

/// Bytes of one partition that may wait to be committed, before compression: under the mock's own bound.
const IN_FLIGHT_BYTES_MAX: usize = 4_000_000;

/// How long one look at the group's commits may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the producer attends to its own business between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The broker; it ends with this value.
pub struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Broker {
    /// Starts a broker on a free loopback port, with these topics.
    pub fn start<'a>(topics: impl IntoIterator<Item = &'a str>, partitions: i32) -> Result<Self> {
        let cluster = MockCluster::new(1).context("cannot start the in-process broker")?;
        for topic in topics {
            cluster
                .create_topic(topic, partitions, 1)
                .with_context(|| format!("cannot create the topic `{topic}`"))?;
        }
        Ok(Broker { cluster })
    }

    /// Returns `host:port`, as `bootstrap.servers` takes it.
    pub fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}

/// A message for a topic of the feed.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Index into the feed's topics.
    pub topic: usize,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Becomes the record's timestamp (`CreateTime`), in whole milliseconds.
    pub at: Micros,
}

/// Produces to some topics, no faster than a group commits.
pub struct Feed {
    producer: BaseProducer<Deliveries>,
    group: BaseConsumer,
    topics: Vec<Topic>,
}

struct Topic {
    name: String,
    partitions: Vec<Partition>,
    /// Messages without a key take the partitions in turn.
    sent: usize,
}

/// What of a partition the group has not committed yet.
#[derive(Default)]
struct Partition {
    committed: i64,
    /// Sizes of the messages from `committed` on.
    waiting: VecDeque<usize>,
    waiting_bytes: usize,
}

impl Feed {
    /// Connects to a broker whose topics are new, on behalf of a group that reads them from the start.
    pub fn connect(
        address: &str,
        topics: Vec<String>,
        partitions: usize,
        group: &str,
    ) -> Result<Self> {
        let producer = producer::settings()
            .set("bootstrap.servers", address)
            .create_with_context(Deliveries::default())
            .context("cannot create the producer")?;
        let group = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("group.id", group)
            .create()
            .context("cannot create the reader of the group's commits")?;
        let topics = topics
            .into_iter()
            .map(|name| Topic {
                name,
                partitions: (0..partitions).map(|_| Partition::default()).collect(),
                sent: 0,
            })
            .collect();
        Ok(Feed {
            producer,
            group,
            topics,
        })
    }

    /// Hands one message to the broker. Answers false where its partition is full even after another look at
    /// the group's commits: ask again, unless the group has died.
    ///
    /// A key always goes to the same partition, on every machine.
    pub fn try_send(&mut self, record: &Record<'_>) -> Result<bool> {
        let topic = &mut self.topics[record.topic];
        let number = topic.choose(record.key);
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if topic.partitions[number].is_full_for(size) {
            self.producer.poll(PAUSE);
            self.look()?;
            if self.topics[record.topic].partitions[number].is_full_for(size) {
                return Ok(false);
            }
        }
        self.enqueue(record, number)?;
        let topic = &mut self.topics[record.topic];
        topic.sent += 1;
        topic.partitions[number].waiting.push_back(size);
        topic.partitions[number].waiting_bytes += size;
        Ok(true)
    }

    /// Waits until the broker has everything that was sent.
    pub fn flush(&self) -> Result<()> {
        self.producer
            .flush(Duration::from_secs(30))
            .context("the in-process broker does not take what it was sent")?;
        match self.producer.context().failed() {
            0 => Ok(()),
            failed => bail!("the in-process broker refused {failed} messages"),
        }
    }

    /// Returns how many messages the group has not committed yet.
    pub fn lag(&mut self) -> Result<u64> {
        self.producer.poll(PAUSE);
        self.look()?;
        let waiting = self.topics.iter().flat_map(|topic| &topic.partitions);
        Ok(waiting
            .map(|partition| partition.waiting.len() as u64)
            .sum())
    }

    fn enqueue(&self, record: &Record<'_>, partition: usize) -> Result<()> {
        let mut message = BaseRecord::to(&self.topics[record.topic].name)
            .partition(partition as i32)
            .timestamp(record.at / 1_000);
        message.key = record.key;
        message.payload = record.value;
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.producer.poll(PAUSE);
                    message = again;
                }
                Err((error, _)) => {
                    return Err(error).context("cannot produce to the in-process broker");
                }
            }
        }
    }

    /// Reads the group's commits.
    fn look(&mut self) -> Result<()> {
        let mut asked = TopicPartitionList::new();
        for topic in &self.topics {
            asked.add_partition_range(&topic.name, 0, topic.partitions.len() as i32 - 1);
        }
        let committed = self
            .group
            .committed_offsets(asked, LOOK_TIMEOUT)
            .context("cannot read the group's commits")?;
        for element in committed.elements() {
            if let Offset::Offset(offset) = element.offset() {
                let topic = self
                    .topics
                    .iter_mut()
                    .find(|topic| topic.name == element.topic());
                let topic = topic.expect("only our topics were asked for");
                topic.partitions[element.partition() as usize].commit(offset);
            }
        }
        Ok(())
    }
}

impl Topic {
    fn choose(&self, key: Option<&[u8]>) -> usize {
        let partitions = self.partitions.len();
        match key {
            Some(key) => (XxHash3_128::oneshot(key) % partitions as u128) as usize,
            None => self.sent % partitions,
        }
    }
}

impl Partition {
    fn is_full_for(&self, size: usize) -> bool {
        !self.waiting.is_empty() && self.waiting_bytes + size > IN_FLIGHT_BYTES_MAX
    }

    fn commit(&mut self, offset: i64) {
        while self.committed < offset {
            let Some(size) = self.waiting.pop_front() else {
                break;
            };
            self.waiting_bytes -= size;
            self.committed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::consumer::CommitMode;
    use rdkafka::message::Message;

    const TOPIC: &str = "recording.test";

    fn record(key: &[u8]) -> Record<'_> {
        Record {
            topic: 0,
            key: Some(key),
            value: Some(b"{}"),
            at: 1_788_220_800_123_000,
        }
    }

    #[test]
    fn what_is_sent_arrives_with_its_time_and_lag_follows_the_groups_commits() {
        let broker = Broker::start([TOPIC], 2).expect("a broker starts");
        let mut feed =
            Feed::connect(&broker.address(), vec![TOPIC.to_string()], 2, "g").expect("connects");
        for _ in 0..3 {
            assert!(feed.try_send(&record(b"k")).expect("sends"));
        }
        feed.flush().expect("the broker takes them");
        assert_eq!(feed.lag().expect("a lag"), 3);

        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .set("group.id", "g")
            .create()
            .expect("a consumer");
        let partition = feed.topics[0].choose(Some(b"k")) as i32;
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(TOPIC, partition, Offset::Beginning)
            .expect("an offset");
        consumer.assign(&assignment).expect("assigned");
        for _ in 0..3 {
            let message = consumer
                .poll(LOOK_TIMEOUT)
                .expect("comes")
                .expect("is good");
            assert_eq!(message.timestamp().to_millis(), Some(1_788_220_800_123));
        }
        let mut commit = TopicPartitionList::new();
        commit
            .add_partition_offset(TOPIC, partition, Offset::Offset(2))
            .expect("an offset");
        consumer.commit(&commit, CommitMode::Sync).expect("commits");
        assert_eq!(feed.lag().expect("a lag"), 1);
    }

    #[test]
    fn a_full_partition_waits_for_commits_and_an_empty_one_takes_any_size() {
        let mut partition = Partition::default();
        assert!(!partition.is_full_for(IN_FLIGHT_BYTES_MAX * 2));
        partition.waiting.extend([IN_FLIGHT_BYTES_MAX, 10]);
        partition.waiting_bytes = IN_FLIGHT_BYTES_MAX + 10;
        assert!(partition.is_full_for(1));
        partition.commit(1);
        assert!(!partition.is_full_for(1));
        // The group may know of more than was counted here; that is no fault.
        partition.commit(9);
        assert_eq!(partition.waiting_bytes, 0);
    }
}
