//! The write path: Kafka -> rows -> files and offsets in one commit.
//!
//! One thread polls and gathers; portions of messages are decoded and encoded on threads beside it ([`portion`]);
//! one task per stream writes and commits them in order ([`writer`]). They meet in two queues: jobs to a writer,
//! answers to the polling thread. Rebalances run inside a poll, so everything the polling thread knows is in one
//! place ([`gather`]) that only it touches.

mod gather;
mod portion;
/// Public so that what it does when the store fails can be seen without a broker.
pub mod writer;

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::intake::Message;
use crate::lake::commit::Ledger;
use crate::lake::log::AppId;
use crate::lake::table::Lake;
use crate::metrics::Metrics;
use crate::source::kafka::{
    Assignee, End, KafkaSource, Offsets, Polled, Standing, TopicPartition, timestamp,
};
pub use gather::Totals;
use gather::{Gathering, StreamState, TICK};
use portion::{Arrival, Encoders};
use writer::Writer;

/// What one run of the consumer is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Drain up to the offsets that stand at the start, then exit.
    pub stop_at_end: bool,
    /// Topics that were made anew: consumed from their start, as a new epoch.
    pub new_epochs: Vec<String>,
}

/// Messages between two looks at the clock and at the writers' answers.
const MESSAGES_PER_LOOK: u32 = 128;

/// A full memory is waited out this long before the partitions are paused, which costs the prefetched messages.
const PAUSE_AFTER: Duration = Duration::from_secs(5);

/// Consumes until told to stop, or to the end. Blocks; runs on a thread of its own beside the runtime.
pub fn run(
    config: &Config,
    lake: &Lake,
    run: &Run,
    clock: &Clock,
    metrics: &Arc<Metrics>,
    shutdown: &CancellationToken,
) -> Result<Totals> {
    let shared = Arc::new(Shared::default());
    let source = KafkaSource::connect(config, shared.clone())?;
    let Some(cluster) = cluster_id(&source, config, shutdown, metrics)? else {
        return Ok(Totals::default());
    };
    let (tell, done) = channel();
    let abandon = CancellationToken::new();
    let mut streams = Vec::new();
    for (stream, topic) in config.topics() {
        let table = Handle::current().block_on(lake.open_or_create(stream))?;
        let mut ledger = Ledger::new(stream, table);
        let epoch = AppId::epoch(&cluster, &topic);
        let epoch = Handle::current()
            .block_on(ledger.stored(&epoch))?
            .unwrap_or(0);
        let (jobs, queue) = tokio::sync::mpsc::unbounded_channel();
        let writer = Writer {
            ledger,
            jobs: queue,
            done: tell.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            abandon: abandon.clone(),
        };
        tokio::spawn(writer.run());
        streams.push(StreamState::new(
            stream,
            topic,
            cluster.clone(),
            epoch,
            jobs,
        ));
    }
    let encoders = Encoders::new(config, Handle::current(), clock.clone(), tell);
    begin_epochs(&source, &mut streams, run)?;
    let targets = match run.stop_at_end {
        true => targets(&source, &streams)?,
        false => BTreeMap::new(),
    };
    let topics: Vec<String> = streams.iter().map(|state| state.topic.clone()).collect();
    shared.begin(Gathering {
        streams,
        encoders,
        settings: config.consume.clone(),
        start: config.consume.start,
        clock: clock.clone(),
        metrics: metrics.clone(),
        done,
        shutdown: shutdown.clone(),
        in_flight: 0,
        targets,
        assigned_once: false,
        member_reports: 0,
        totals: Totals::default(),
        stopped: BTreeMap::new(),
        pause_due: false,
        positions_due: false,
        group_due: Vec::new(),
    });
    source.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    let outcome = poll_until_done(&source, &shared, run, clock, shutdown);
    let drained = shared.with(|gathering| gathering.drain(&source, |_| true));
    // Leaving gives the partitions back, the stopped ones, too: what is to be said of them is said now.
    let (stopped, totals) =
        shared.with(|gathering| (gathering.stopped.pop_first(), gathering.totals));
    source.leave();
    abandon.cancel();
    outcome?;
    if !drained {
        bail!(
            "the lake did not take the last batch within consume.drain_timeout; nothing is lost: it is read again at the next start"
        );
    }
    match stopped {
        Some((partition, why)) if run.stop_at_end => {
            bail!("partition {partition} was not read to its end: {why}")
        }
        _ => Ok(totals),
    }
}

/// The loop of the polling thread.
fn poll_until_done(
    source: &KafkaSource,
    shared: &Shared,
    run: &Run,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> Result<()> {
    let mut full_since: Option<Instant> = None;
    let mut is_paused = false;
    let mut until_look = 0;
    let mut has_room = true;
    loop {
        if until_look == 0 {
            until_look = MESSAGES_PER_LOOK;
            let now = clock.instant();
            let is_done = shared.with(|gathering| -> Result<bool> {
                gathering.settle(source);
                gathering.reset_fenced(source)?;
                gathering.pause_stopped(source)?;
                gathering.pass_markers(source)?;
                gathering.tick(now);
                has_room = gathering.has_room();
                Ok(run.stop_at_end && gathering.is_at_end())
            })?;
            if is_done || shutdown.is_cancelled() {
                return Ok(());
            }
        }
        if !has_room {
            // Writers are behind: wait for them, at length with the partitions paused but the group served.
            until_look = 0;
            let since = *full_since.get_or_insert_with(|| clock.instant());
            if clock.elapsed(since) < PAUSE_AFTER {
                shared.with(|gathering| gathering.settle_one(source));
                continue;
            }
            source.pause(&shared.with(|gathering| gathering.assigned()))?;
            is_paused = true;
        } else {
            full_since = None;
            if std::mem::take(&mut is_paused) {
                source.resume(&shared.with(|gathering| gathering.readable()))?;
            }
        }
        match source.poll(TICK) {
            Polled::Message(message) => {
                until_look -= u32::from(until_look > 0);
                has_room = shared.take(&message);
            }
            Polled::Nothing => until_look = 0,
            Polled::OffsetOutOfRange => {
                until_look = 0;
                shared.with(|gathering| gathering.place_again(source))?;
            }
            Polled::Trouble(error) => {
                until_look = 0;
                tracing::warn!(%error, "Kafka answers with an error; trying again");
            }
            Polled::Fatal(error) => {
                return Err(error).context("the Kafka client cannot go on; restart the consumer");
            }
        }
    }
}

/// Waits for the broker's name of the cluster; none when told to stop before it came.
fn cluster_id(
    source: &KafkaSource,
    config: &Config,
    shutdown: &CancellationToken,
    metrics: &Metrics,
) -> Result<Option<String>> {
    let topics = config.topics();
    let topic = topics.first().map_or("", |(_, topic)| topic);
    let mut is_told = false;
    while !shutdown.is_cancelled() {
        if let Some(cluster) = source.cluster_id(topic) {
            return Ok(Some(cluster));
        }
        let why = source.why_no_broker();
        metrics.unready("broker", format!("{why} ({})", config.kafka.brokers));
        if !is_told {
            tracing::warn!(brokers = config.kafka.brokers, "{why}; trying on");
            is_told = true;
        }
    }
    Ok(None)
}

/// Begins a new epoch of each topic that the operator says was made anew, if it was.
fn begin_epochs(source: &KafkaSource, streams: &mut [StreamState], run: &Run) -> Result<()> {
    for topic in &run.new_epochs {
        let Some(state) = streams.iter_mut().find(|state| state.topic == *topic) else {
            bail!("--new-epoch {topic}: no stream is configured to read this topic");
        };
        let partitions = source.partitions(topic)?.unwrap_or_default();
        let mut is_anew = false;
        for at in &partitions {
            let (reply, answer) = channel();
            let app_ids = vec![state.app_id(at.partition)];
            let _ = state.jobs.send(writer::Job::Stored { app_ids, reply });
            let stored = answer.recv().context("the lake could not be read")?;
            let high = source.watermarks(at)?.high;
            is_anew |= stored
                .first()
                .copied()
                .flatten()
                .is_some_and(|stored| stored > high);
        }
        if !is_anew {
            bail!(
                "--new-epoch {topic}: no partition ends before the offset the lake holds, so the topic was not made anew; leave the flag out"
            );
        }
        *state = state.next_epoch();
    }
    Ok(())
}

/// Returns the offset after the last message of every partition.
fn targets(source: &KafkaSource, streams: &[StreamState]) -> Result<BTreeMap<TopicPartition, i64>> {
    let mut targets = BTreeMap::new();
    for state in streams {
        let Some(partitions) = source.partitions(&state.topic)? else {
            tracing::warn!(
                "the broker has no topic `{}` (kafka.topics.{}); it is left out",
                state.topic,
                state.stream
            );
            continue;
        };
        for at in partitions {
            let high = source.watermarks(&at)?.high;
            targets.insert(at, high);
        }
    }
    if targets.is_empty() {
        bail!(
            "none of the topics is at the brokers, so there is no end to stop at; create them, or name yours under kafka.topics"
        );
    }
    Ok(targets)
}

/// The polling thread's state, where rebalances find it. The lock is never contended.
#[derive(Default)]
struct Shared {
    gathering: Mutex<Option<Gathering>>,
}

impl Shared {
    fn begin(&self, gathering: Gathering) {
        *self.lock() = Some(gathering);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Gathering>> {
        self.gathering
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Gathering) -> T) -> T {
        act(self
            .lock()
            .as_mut()
            .expect("gathering began before the first poll"))
    }

    /// Gathers a message, and says whether another may be gathered.
    fn take(&self, message: &BorrowedMessage<'_>) -> bool {
        let (received_at, timestamp_type) = timestamp(message);
        let arrival = Arrival {
            partition: message.partition(),
            offset: message.offset(),
            received_at,
            timestamp_type,
            message: Message {
                value: message.payload(),
                key: message.key(),
                headers: Some(message),
            },
        };
        let topic = message.topic();
        self.with(|gathering| {
            let index = gathering
                .streams
                .iter()
                .position(|state| state.topic == topic);
            if let Some(index) = index {
                gathering.take(index, &arrival);
            }
            gathering.has_room()
        })
    }
}

impl Assignee for Shared {
    fn assign(&self, kafka: &dyn Offsets, partitions: &[TopicPartition]) -> Vec<Option<i64>> {
        self.with(|gathering| {
            gathering
                .metrics
                .rebalances
                .with_label_values(&["assign"])
                .inc();
            gathering.assign(kafka, partitions)
        })
    }

    fn revoke(&self, kafka: &dyn Offsets, partitions: &[TopicPartition]) {
        self.with(|gathering| {
            gathering
                .metrics
                .rebalances
                .with_label_values(&["revoke"])
                .inc();
            gathering.revoke(kafka, partitions);
        });
    }

    fn ends(&self, ends: &[(TopicPartition, End)], standing: Standing) {
        if let Some(gathering) = self.lock().as_mut() {
            match standing.is_connected {
                true => gathering.metrics.ready("broker"),
                false => gathering
                    .metrics
                    .unready("broker", "no broker is connected"),
            }
            gathering.note_membership(standing.is_member);
            gathering.note_ends(ends);
        }
    }
}
