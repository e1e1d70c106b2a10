//! A Kafka producer that says of each message whether the brokers have it: what `serve` and `proxy` answer by.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use super::kafka::explain_config;
use super::producer::find_topic;
use super::trouble::LastTrouble;
use crate::config::Config;
use crate::event::Micros;

/// Messages that wait for their brokers, in kB: the bound on what the producer holds.
const QUEUE_KB: &str = "65536";

/// A message that no broker took for so long is given back; the caller has an answer to give.
const DELIVERY_TIMEOUT_MS: &str = "8000";

/// Messages of so many milliseconds go together.
const LINGER_MS: &str = "5";

/// How large a message may be before it is sent; brokers have a bound of their own (`message.max.bytes`).
const MESSAGE_BYTES_MAX: &str = "16777216";

/// How long brokers may take to say that they know a topic.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a message is not in Kafka, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    #[error("the message is larger than the brokers allow (message.max.bytes)")]
    TooLarge,
    /// To be tried again.
    #[error("not in Kafka, try again: {0}")]
    Unavailable(String),
}

/// Idempotent, `acks=all`. Shared by all requests of a process.
pub struct AcknowledgedProducer {
    settings: ClientConfig,
    trouble: Arc<LastTrouble>,
    /// Made anew after an error that librdkafka calls fatal.
    producer: RwLock<Arc<Inner>>,
}

type Inner = ThreadedProducer<Acknowledgments>;

impl AcknowledgedProducer {
    /// Connects with the settings of `kafka`; the brokers need not be there yet.
    pub fn connect(config: &Config) -> Result<AcknowledgedProducer> {
        let mut settings = ClientConfig::new();
        settings
            .set("client.id", "tapetrail")
            .set("compression.type", "zstd")
            .set("linger.ms", LINGER_MS)
            .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
            .set("message.max.bytes", MESSAGE_BYTES_MAX)
            .set("reconnect.backoff.max.ms", "1000");
        for (property, value) in &config.kafka.properties {
            settings.set(property, value);
        }
        settings
            .set("bootstrap.servers", &config.kafka.brokers)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("queue.buffering.max.kbytes", QUEUE_KB)
            .set_log_level(RDKafkaLogLevel::Warning);
        let trouble = Arc::new(LastTrouble::default());
        let producer = create(&settings, &trouble)?;
        Ok(AcknowledgedProducer {
            settings,
            trouble,
            producer: RwLock::new(producer),
        })
    }

    /// Hands a message over; the future is done when all brokers in sync have it. `at` becomes the record's
    /// timestamp (`CreateTime`). Never waits: where the queue is full it says so.
    pub fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: &[u8],
        at: Micros,
    ) -> impl Future<Output = Result<(), Undelivered>> + Send + use<> {
        let handed_over = self.hand_over(topic, key, value, at);
        async move {
            let outcome = match handed_over {
                Ok(acknowledged) => acknowledged.await.unwrap_or_else(|_| {
                    // The producer was given up with the message in it.
                    Err(KafkaError::MessageProduction(Code::PurgeQueue))
                }),
                Err(error) => Err(error),
            };
            outcome.map_err(|error| undelivered(&error))
        }
    }

    fn hand_over(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: &[u8],
        at: Micros,
    ) -> KafkaResult<oneshot::Receiver<KafkaResult<()>>> {
        let producer = self.current();
        let outcome = enqueue(&producer, topic, key, value, at);
        match outcome {
            Err(KafkaError::MessageProduction(Code::Fatal)) => {
                let renewed = self.renew(&producer)?;
                enqueue(&renewed, topic, key, value, at)
            }
            outcome => outcome,
        }
    }

    /// Asks the brokers whether they know the topics; says why not, naming the setting that is wrong where it is
    /// known. Waits for their answer: not for a thread that others need.
    pub fn probe(&self, topics: &[&str]) -> Result<()> {
        let producer = self.current();
        for topic in topics {
            let found = find_topic(producer.client(), topic, PROBE_TIMEOUT);
            found.map_err(|error| match self.trouble.get() {
                Some(why) => anyhow::anyhow!(why),
                None => error,
            })?;
        }
        self.trouble.is_over();
        Ok(())
    }

    /// Waits until nothing is under way any more, for so long at most.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let flushed = self.current().flush(timeout);
        flushed.context("the brokers do not take what they were sent")
    }

    fn current(&self) -> Arc<Inner> {
        Arc::clone(&self.producer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new producer in the place of one that cannot go on, unless somebody else was faster.
    fn renew(&self, failed: &Arc<Inner>) -> KafkaResult<Arc<Inner>> {
        let mut current = self
            .producer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, failed) {
            tracing::warn!(target: "kafka", "the producer cannot go on; a new one takes its place");
            *current = connect(&self.settings, &self.trouble)?;
        }
        Ok(Arc::clone(&current))
    }
}

fn create(settings: &ClientConfig, trouble: &Arc<LastTrouble>) -> Result<Arc<Inner>> {
    connect(settings, trouble).map_err(explain_config)
}

fn connect(settings: &ClientConfig, trouble: &Arc<LastTrouble>) -> KafkaResult<Arc<Inner>> {
    let context = Acknowledgments {
        trouble: Arc::clone(trouble),
    };
    settings.create_with_context(context).map(Arc::new)
}

fn enqueue(
    producer: &Inner,
    topic: &str,
    key: Option<&[u8]>,
    value: &[u8],
    at: Micros,
) -> KafkaResult<oneshot::Receiver<KafkaResult<()>>> {
    let (sender, receiver) = oneshot::channel();
    let mut record: BaseRecord<'_, [u8], [u8], Box<Acknowledge>> =
        BaseRecord::with_opaque_to(topic, Box::new(sender))
            .payload(value)
            .timestamp(at / 1_000);
    record.key = key;
    match producer.send(record) {
        Ok(()) => Ok(receiver),
        Err((error, _)) => Err(error),
    }
}

fn undelivered(error: &KafkaError) -> Undelivered {
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => Undelivered::TooLarge,
        Some(Code::QueueFull) => {
            Undelivered::Unavailable("too many messages wait for the brokers".to_string())
        }
        Some(Code::MessageTimedOut) => {
            Undelivered::Unavailable("no broker took it within message.timeout.ms".to_string())
        }
        Some(code) => Undelivered::Unavailable(code.to_string()),
        None => Undelivered::Unavailable(error.to_string()),
    }
}

type Acknowledge = oneshot::Sender<KafkaResult<()>>;

/// Hears what became of each message, on the producer's own thread.
struct Acknowledgments {
    trouble: Arc<LastTrouble>,
}

impl ProducerContext for Acknowledgments {
    type DeliveryOpaque = Box<Acknowledge>;

    fn delivery(&self, result: &DeliveryResult<'_>, acknowledge: Box<Acknowledge>) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Who asked may have gone away; the message is where it is.
        let _ = acknowledge.send(outcome);
    }
}

impl ClientContext for Acknowledgments {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "kafka", facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The probe says it, once and in a sentence.
        self.trouble.note(&error, reason);
        tracing::debug!(target: "kafka", %error, reason);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};

    use super::*;
    use crate::source::mock::Broker;

    fn producer(broker: &Broker, properties: &[(&str, &str)]) -> AcknowledgedProducer {
        let mut config = Config::default();
        config.kafka.brokers = broker.address();
        for (name, value) in properties {
            let (name, value) = (name.to_string(), value.to_string());
            config.kafka.properties.insert(name, value);
        }
        AcknowledgedProducer::connect(&config).expect("connects")
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_at_the_broker() {
        let broker = Broker::start(["calls"], 1).expect("a broker starts");
        let producer = producer(&broker, &[]);
        producer.probe(&["calls"]).expect("it is there");
        let sent = producer.send("calls", Some(b"k"), b"{}", 1_788_220_800_000_000);
        sent.await.expect("is acknowledged");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .create()
            .expect("a consumer");
        let ends = consumer.fetch_watermarks("calls", 0, Duration::from_secs(10));
        assert_eq!(ends.expect("it has an end"), (0, 1));
    }

    #[tokio::test]
    async fn without_a_broker_there_is_no_acknowledgment() {
        let broker = Broker::start(["calls"], 1).expect("a broker starts");
        let producer = producer(&broker, &[("message.timeout.ms", "200")]);
        drop(broker);
        let outcome = producer.send("calls", None, b"{}", 0).await;
        assert!(matches!(outcome, Err(Undelivered::Unavailable(_))));
    }

    #[tokio::test]
    async fn a_message_too_large_is_told_from_one_to_be_tried_again() {
        let broker = Broker::start(["calls"], 1).expect("a broker starts");
        let producer = producer(&broker, &[("message.max.bytes", "1000")]);
        let outcome = producer.send("calls", None, &[b' '; 2_000], 0).await;
        assert_eq!(outcome, Err(Undelivered::TooLarge));
    }
}
