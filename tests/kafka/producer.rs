//! A producer that remembers what it produced, position by position, from the broker's own acknowledgments.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use crate::consumer::Deployment;
use crate::messages::Message;

/// Topic, partition, offset.
pub type Position = (String, i32, i64);

/// What was produced: the event id, where the message has one, of every position.
pub type Produced = BTreeMap<Position, Option<String>>;

/// An idempotent producer, optionally a transactional one.
pub struct Producer {
    inner: ThreadedProducer<Ledger>,
    produced: Arc<Mutex<Produced>>,
}

impl Producer {
    pub fn new(brokers: &str) -> Producer {
        Producer::with(brokers, &[])
    }

    /// Returns a producer whose messages count once [`Producer::commit`] has ended their transaction.
    pub fn transactional(brokers: &str, id: &str) -> Producer {
        let producer = Producer::with(brokers, &[("transactional.id", id)]);
        producer
            .inner
            .init_transactions(Duration::from_secs(30))
            .expect("transactions");
        producer
    }

    fn with(brokers: &str, properties: &[(&str, &str)]) -> Producer {
        let produced = Arc::new(Mutex::new(Produced::new()));
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "16777216")
            .set("linger.ms", "5")
            // Brokers go down and come back; who is slow already need not wait on top.
            .set("reconnect.backoff.max.ms", "500");
        for (key, value) in properties {
            config.set(*key, *value);
        }
        let ledger = Ledger(Arc::clone(&produced));
        Producer {
            inner: config.create_with_context(ledger).expect("a producer"),
            produced,
        }
    }

    /// Sends a message of the tests' own making.
    pub fn send(&self, topic: &str, partition: i32, message: &Message) {
        self.send_raw(
            topic,
            partition,
            Some(message.value.as_bytes()),
            message.event_id.as_deref(),
            None,
        );
    }

    /// The same with a record time of the caller's, in milliseconds since the epoch.
    pub fn send_at(&self, topic: &str, partition: i32, message: &Message, at_ms: i64) {
        let opaque = Box::new(message.event_id.clone());
        let record: BaseRecord<'_, str, [u8], _> = BaseRecord::with_opaque_to(topic, opaque)
            .partition(partition)
            .payload(message.value.as_bytes())
            .timestamp(at_ms);
        self.enqueue(record);
    }

    /// Sends any value, a tombstone included; `event_id` is what its row must show.
    pub fn send_raw(
        &self,
        topic: &str,
        partition: i32,
        value: Option<&[u8]>,
        event_id: Option<&str>,
        key: Option<&str>,
    ) {
        let opaque = Box::new(event_id.map(str::to_string));
        let mut record: BaseRecord<'_, str, [u8], _> =
            BaseRecord::with_opaque_to(topic, opaque).partition(partition);
        record.payload = value;
        record.key = key;
        self.enqueue(record);
    }

    /// Sends a message with a key and headers.
    pub fn send_with(&self, topic: &str, value: &[u8], key: &str, headers: &[(&str, &str)]) {
        let mut owned = OwnedHeaders::new();
        for (name, value) in headers {
            owned = owned.insert(Header {
                key: name,
                value: Some(value.as_bytes()),
            });
        }
        let record: BaseRecord<'_, str, [u8], _> =
            BaseRecord::with_opaque_to(topic, Box::new(None))
                .partition(0)
                .payload(value)
                .key(key)
                .headers(owned);
        self.enqueue(record);
    }

    fn enqueue(&self, mut record: BaseRecord<'_, str, [u8], Box<Option<String>>>) {
        while let Err((error, back)) = self.inner.send(record) {
            let is_full = matches!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
            );
            assert!(is_full, "a message cannot be sent: {error}");
            record = back;
            self.flush();
        }
    }

    /// Waits until the broker has acknowledged everything.
    pub fn flush(&self) {
        self.inner
            .flush(Duration::from_secs(120))
            .expect("the broker acknowledges");
    }

    pub fn begin(&self) {
        self.inner
            .begin_transaction()
            .expect("a transaction begins");
    }

    pub fn commit(&self) {
        self.inner
            .commit_transaction(Duration::from_secs(30))
            .expect("the transaction commits");
    }

    /// Ends the transaction so that nobody may read what was sent in it, and forgets that it was sent.
    pub fn abort(&self, before: Produced) {
        self.flush();
        self.inner
            .abort_transaction(Duration::from_secs(30))
            .expect("the transaction aborts");
        *self.produced.lock().expect("no panic holds it") = before;
    }

    /// Waits until everything is acknowledged, and returns it.
    pub fn produced(&self) -> Produced {
        self.flush();
        self.acknowledged()
    }

    /// Returns what is acknowledged by now.
    pub fn acknowledged(&self) -> Produced {
        self.produced.lock().expect("no panic holds it").clone()
    }
}

/// Produces to all of a deployment's topics without pause while `act` runs; returns what `act` returned.
pub fn while_producing<T>(
    deployment: &Deployment,
    producer: &Producer,
    act: impl FnOnce() -> T,
) -> T {
    /// Ends the producing thread even when `act` fails.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            let mut next = 0;
            while !is_over.load(Ordering::Relaxed) {
                deployment.produce(producer, next..next + 20);
                producer.flush();
                next += 20;
                // Steady rather than fast: the tests are about what happens, not about how much.
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        act()
    })
}

/// Notes where the broker put each message.
struct Ledger(Arc<Mutex<Produced>>);

impl ClientContext for Ledger {}

impl ProducerContext for Ledger {
    type DeliveryOpaque = Box<Option<String>>;

    fn delivery(&self, result: &DeliveryResult<'_>, event_id: Self::DeliveryOpaque) {
        // A message that was purged by an abort has no position.
        if let Ok(message) = result {
            let position = (
                message.topic().to_string(),
                message.partition(),
                message.offset(),
            );
            let before = self
                .0
                .lock()
                .expect("no panic holds it")
                .insert(position, *event_id);
            assert!(before.is_none(), "the broker gave one position twice");
        }
    }
}
