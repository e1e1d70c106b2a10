//! A broker: the shared one, or one that a test may stop; and what an administrator does to it.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::service::Service;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A running Apache Kafka, reached through its plain listener.
pub struct Broker {
    brokers: String,
    /// None for a broker that somebody else runs.
    service: Option<Service>,
}

impl Broker {
    /// Returns the broker that all tests share.
    pub fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("TAPETRAIL_TEST_BROKERS") {
            Ok(brokers) => Broker {
                brokers,
                service: None,
            },
            Err(_) => Broker::own(),
        })
    }

    /// Starts a broker of the caller's own. It ends when dropped, or with this process.
    pub fn own() -> Broker {
        let service = Service::new("broker");
        Broker {
            brokers: service.start(&[]),
            service: Some(service),
        }
    }

    /// The address of the plain listener.
    pub fn address(&self) -> &str {
        &self.brokers
    }

    /// What the script says of the broker: the SASL_SSL listener, its user and password, the certificate.
    pub fn facts(&self) -> BTreeMap<String, String> {
        self.service().facts()
    }

    /// Ends the broker as if its machine had failed.
    pub fn kill(&self) {
        self.service().stop("KILL");
    }

    /// Starts the broker again: same ports, same data.
    pub fn start(&self) {
        self.service().start(&[]);
    }

    /// Lets the broker stand still: its connections stay open, and nobody answers.
    pub fn pause(&self) {
        self.service().signal("STOP");
    }

    /// Lets a broker go on that stood still.
    pub fn resume(&self) {
        self.service().signal("CONT");
    }

    fn service(&self) -> &Service {
        self.service.as_ref().expect("a broker of our own")
    }

    /// Makes a topic that keeps messages of any age, unless `settings` say otherwise: some tests send old ones.
    pub fn create_topic(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        new = new.set("retention.ms", "-1");
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let made = block_on(self.admin().create_topics([&new], &options())).expect("an answer");
        made[0].as_ref().expect("the topic is created");
    }

    pub fn delete_topic(&self, topic: &str) {
        let gone = block_on(self.admin().delete_topics(&[topic], &options())).expect("an answer");
        gone[0].as_ref().expect("the topic is deleted");
    }

    /// Grows a topic to `count` partitions.
    pub fn grow_topic(&self, topic: &str, count: usize) {
        let grown = NewPartitions::new(topic, count);
        let made =
            block_on(self.admin().create_partitions([&grown], &options())).expect("an answer");
        made[0].as_ref().expect("the partitions are created");
    }

    /// Removes all messages of a partition before `offset`, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .expect("an offset");
        block_on(self.admin().delete_records(&list, &options())).expect("records are deleted");
    }

    /// Replaces the settings of a topic.
    pub fn alter_topic(&self, topic: &str, settings: &[(&str, &str)]) {
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (key, value) in settings {
            altered = altered.set(key, value);
        }
        let done = block_on(self.admin().alter_configs([&altered], &options())).expect("an answer");
        done[0].as_ref().expect("the settings are changed");
    }

    /// Returns the first and the next offset of a partition.
    pub fn watermarks(&self, topic: &str, partition: i32) -> (i64, i64) {
        let consumer: BaseConsumer = self.client().create().expect("a consumer");
        consumer
            .fetch_watermarks(topic, partition, TIMEOUT)
            .expect("watermarks")
    }

    /// Counts the messages of a partition by reading it.
    pub fn messages(&self, topic: &str, partition: i32) -> usize {
        let mut config = self.client();
        config
            .set("group.id", "counts")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
        consumer.assign(&list).expect("an assignment");
        consumer.iter().take_while(Result::is_ok).count()
    }

    /// Returns the offset that a group has committed, or none.
    pub fn group_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", group)
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let committed = consumer
            .committed_offsets(list, TIMEOUT)
            .expect("offsets of the group");
        match committed.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Returns how many members a group has.
    pub fn group_members(&self, group: &str) -> usize {
        let consumer: BaseConsumer = self.client().create().expect("a consumer");
        let groups = consumer
            .fetch_group_list(Some(group), TIMEOUT)
            .expect("groups");
        groups
            .groups()
            .iter()
            .map(|group| group.members().len())
            .sum()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}
