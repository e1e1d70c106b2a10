//! A fleet as messages in Kafka, no faster than asked for.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Context, Sink};
use crate::clock::Clock;
use crate::event::Stream;
use crate::generate::Produced;
use crate::source::producer::Producer;

/// Shorter than this is not waited for: the clock is asked once for many messages.
const PACE: Duration = Duration::from_millis(5);

/// The topics of the four streams.
pub(super) struct Topics {
    producer: Producer,
    /// In order of the streams.
    topics: Vec<(Stream, String)>,
    /// Messages a second.
    rate: Option<u32>,
    clock: Clock,
    started: Instant,
    sent: u64,
}

impl Topics {
    pub(super) fn connect(context: &Context, rate: Option<u32>) -> Result<Topics> {
        let config = &context.config;
        config.check()?;
        let topics = config.topics();
        if topics.len() < Stream::ALL.len() {
            bail!("kafka.topics: a fleet needs a topic for each of the four streams");
        }
        let producer = Producer::connect(config)?;
        for (_, topic) in &topics {
            producer.require_topic(topic)?;
        }
        Ok(Topics {
            producer,
            topics,
            rate,
            started: context.clock.instant(),
            clock: context.clock.clone(),
            sent: 0,
        })
    }

    /// Waits until so many messages may have been sent.
    fn keep_pace(&self) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_secs_f64(self.sent as f64 / f64::from(rate));
        let early = due.saturating_sub(self.clock.elapsed(self.started));
        if early >= PACE {
            self.producer.wait(early);
        }
    }
}

impl Sink for Topics {
    fn take(&mut self, message: &Produced) -> Result<()> {
        self.keep_pace();
        let topic = self
            .topics
            .iter()
            .find(|(stream, _)| *stream == message.stream);
        let (_, topic) = topic.expect("all streams have a topic");
        let (key, value) = (message.key.as_deref(), message.value.as_deref());
        self.producer.send(topic, key, value, message.at)?;
        self.sent += 1;
        Ok(())
    }

    fn close(self) -> Result<()> {
        self.producer.flush()
    }
}
