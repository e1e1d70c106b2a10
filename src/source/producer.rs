//! A Kafka producer for generated fleets: bounded in memory, and it says when a message was not taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::kafka::explain_config;
use crate::config::Config;
use crate::event::Micros;

/// Messages that wait for their brokers, in kB: the bound on what a producer holds.
const QUEUE_KB: &str = "32768";

/// How long brokers may take for what is still waiting at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the producer attends to its deliveries when its queue is full.
const PAUSE: Duration = Duration::from_millis(50);

/// A full queue of which nothing is taken for so many pauses has no broker.
const PAUSES_MAX: u32 = 600;

pub struct Producer {
    producer: BaseProducer<Deliveries>,
}

/// Counts what brokers did not take.
#[derive(Default)]
pub(super) struct Deliveries {
    failed: AtomicU64,
}

impl Deliveries {
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Producer {
    /// Connects with the settings of `kafka`; librdkafka ignores the properties that only a consumer knows.
    pub fn connect(config: &Config) -> Result<Producer> {
        let mut client = settings();
        for (property, value) in &config.kafka.properties {
            client.set(property, value);
        }
        client
            .set("bootstrap.servers", &config.kafka.brokers)
            .set("queue.buffering.max.kbytes", QUEUE_KB)
            .set_log_level(RDKafkaLogLevel::Warning);
        let producer = client
            .create_with_context(Deliveries::default())
            .map_err(explain_config)?;
        Ok(Producer { producer })
    }

    /// Fails unless the brokers know a topic: a producer would make it, with one partition.
    pub fn require_topic(&self, topic: &str) -> Result<()> {
        find_topic(self.producer.client(), topic, Duration::from_secs(10))
    }

    /// Hands a message over; waits while the queue is full. `at` becomes the record's timestamp (`CreateTime`).
    pub fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        at: Micros,
    ) -> Result<()> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).timestamp(at / 1_000);
        record.key = key;
        record.payload = value;
        for _ in 0..PAUSES_MAX {
            match self.producer.send(record) {
                Ok(()) => {
                    self.producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.producer.poll(PAUSE);
                    record = again;
                }
                Err((error, _)) => return Err(error).context("cannot produce to Kafka"),
            }
        }
        bail!("the brokers take nothing any more");
    }

    /// Attends to deliveries for so long.
    pub fn wait(&self, time: Duration) {
        self.producer.poll(time);
    }

    /// Waits until the brokers have everything; fails when they refused any of it.
    pub fn flush(&self) -> Result<()> {
        self.producer
            .flush(FLUSH_TIMEOUT)
            .context("the brokers do not take what they were sent")?;
        match self.producer.context().failed() {
            0 => Ok(()),
            failed => bail!("the brokers refused {failed} messages"),
        }
    }
}

/// Returns the settings of whoever sends much at a time and looks in the end whether all of it was taken.
pub(super) fn settings() -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("client.id", "tapetrail")
        .set("compression.type", "zstd")
        .set("enable.idempotence", "true")
        .set("linger.ms", "20");
    client
}

/// Fails unless the brokers know a topic, within `timeout`.
pub(super) fn find_topic<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<()> {
    let metadata =
        (client.fetch_metadata(Some(topic), timeout)).context("cannot reach the brokers")?;
    let known = metadata.topics().iter().any(|found| {
        found.name() == topic && found.error().is_none() && !found.partitions().is_empty()
    });
    match known {
        true => Ok(()),
        false => bail!(
            "topic `{topic}` does not exist\nhint: create it with as many partitions as consumers may share"
        ),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};

    use super::*;
    use crate::source::mock::Broker;

    #[test]
    fn what_was_flushed_is_at_the_broker() {
        let broker = Broker::start(["fleet"], 1).expect("a broker starts");
        let mut config = Config::default();
        config.kafka.brokers = broker.address();
        let producer = Producer::connect(&config).expect("connects");
        producer.require_topic("fleet").expect("it is there");
        for value in [Some(b"{}".as_slice()), None] {
            producer
                .send("fleet", Some(b"k"), value, 1_788_220_800_000_000)
                .expect("is taken");
        }
        producer.flush().expect("the broker takes them");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .create()
            .expect("a consumer");
        let ends = consumer.fetch_watermarks("fleet", 0, Duration::from_secs(10));
        assert_eq!(ends.expect("it has an end"), (0, 2));
    }
}
