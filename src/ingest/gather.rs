//! The state of the write path: messages being gathered per stream, and where each partition stands.
//!
//! Only the polling thread touches it, from its loop and from inside rebalances. Nothing here waits for Kafka;
//! waiting for a writer happens in `assign`, `revoke` and `reset` only, each with a bound.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::portion::{Arrival, Counts, Encoders, Gap, Latest, Portion, Sealed, Source};
use super::writer::{Done, Job};
use crate::clock::Clock;
use crate::config::{Consume, OnGap, Start};
use crate::event::{Disposition, Stream};
use crate::lake::commit::Range;
use crate::lake::log::AppId;
use crate::metrics::Metrics;
use crate::source::kafka::{End, KafkaSource, Offsets, TopicPartition, Watermarks};

/// A batch is looked at for its deadline at least this often.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// After so many reports of a partition's end (one a second, from the thread that carries out seeks), its position
/// is not one from before a seek any more.
const ENDS_UNTIL_SETTLED: u32 = 1;

/// Why a gap is legal.
const NO_MESSAGE: &str = "the broker holds no message at these offsets: transaction markers, aborted transactions or compaction";

/// Everything the polling thread knows.
pub(super) struct Gathering {
    pub streams: Vec<StreamState>,
    pub encoders: Encoders,
    pub settings: Consume,
    pub start: Start,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub done: Receiver<Done>,
    pub shutdown: CancellationToken,
    /// Bytes of the portions that are being encoded or wait to be written.
    pub in_flight: usize,
    /// For `--stop-at-end`: the offsets that stood at the start.
    pub targets: BTreeMap<TopicPartition, i64>,
    pub assigned_once: bool,
    /// Reports in a row that the group has settled with us in it.
    pub member_reports: u32,
    pub totals: Totals,
    /// Partitions that were stopped during this run, each with its sentence.
    pub stopped: BTreeMap<TopicPartition, String>,
    /// A partition was stopped or assigned since the loop looked: it must be paused.
    pub pause_due: bool,
    /// Ends of partitions were told since the loop looked: positions may have passed markers.
    pub positions_due: bool,
    /// Stored offsets of new partitions, which the group is told of: a process may have died before it did.
    pub group_due: Vec<(TopicPartition, i64)>,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    pub messages: u64,
    pub bytes: u64,
    pub events: u64,
    pub skipped: u64,
    pub dead: u64,
    pub gaps: u64,
    pub commits: u64,
    pub committed_rows: u64,
}

pub(super) struct StreamState {
    pub stream: Stream,
    pub topic: String,
    pub cluster: String,
    pub epoch: i64,
    source: Source,
    /// `--new-epoch`: the first commit says that this epoch began.
    pub announces_epoch: bool,
    pub jobs: UnboundedSender<Job>,
    pub partitions: BTreeMap<i32, PartitionState>,
    portion: Portion,
    /// What the portion covers; the writer learns the numbers of rows when it is decoded.
    ranges: BTreeMap<i32, Range>,
    generation: u64,
    /// When the oldest message came that is not committed.
    opened: Option<Instant>,
    uncommitted_bytes: usize,
    /// Commits asked for and not answered.
    outstanding: usize,
    /// A fenced batch was dropped: stored offsets must be read again.
    pub reset_due: bool,
}

#[derive(Debug)]
pub(super) struct PartitionState {
    /// The next offset that is expected.
    pub next: i64,
    /// The table holds no offset of this partition yet.
    is_first: bool,
    committed: Option<i64>,
    end: Option<End>,
    /// How often the client told the partition's end since reading began at its present place.
    ends_heard: u32,
    pub is_stopped: bool,
    latest: Latest,
    messages: prometheus::IntCounter,
    message_bytes: prometheus::IntCounter,
}

impl StreamState {
    pub fn new(
        stream: Stream,
        topic: String,
        cluster: String,
        epoch: i64,
        jobs: UnboundedSender<Job>,
    ) -> Self {
        StreamState {
            stream,
            source: Source {
                topic: topic.clone(),
                source_id: format!("{cluster}@{epoch}"),
            },
            topic,
            cluster,
            epoch,
            announces_epoch: false,
            jobs,
            partitions: BTreeMap::new(),
            portion: Portion::default(),
            ranges: BTreeMap::new(),
            generation: 0,
            opened: None,
            uncommitted_bytes: 0,
            outstanding: 0,
            reset_due: false,
        }
    }

    pub fn app_id(&self, partition: i32) -> AppId {
        AppId::partition(&self.cluster, &self.topic, partition, self.epoch)
    }

    /// Returns the state of the epoch after this one.
    pub fn next_epoch(&self) -> StreamState {
        let (topic, cluster) = (self.topic.clone(), self.cluster.clone());
        let mut next = StreamState::new(
            self.stream,
            topic,
            cluster,
            self.epoch + 1,
            self.jobs.clone(),
        );
        next.announces_epoch = true;
        next
    }

    /// Gathers a gap from where a partition stands up to `to`, and returns where it stood.
    fn gap(
        &mut self,
        number: i32,
        to: i64,
        reason: &'static str,
        detail: Cow<'static, str>,
        clock: &Clock,
    ) -> i64 {
        let bytes_before = self.portion.bytes();
        let from = self.advance(number, to, clock);
        self.portion.push_gap(Gap {
            partition: number,
            from,
            to,
            reason,
            detail,
        });
        self.uncommitted_bytes += self.portion.bytes() - bytes_before;
        from
    }

    /// Notes that the portion covers a partition up to `to`, and returns where it stood.
    fn advance(&mut self, number: i32, to: i64, clock: &Clock) -> i64 {
        if self.opened.is_none() {
            self.opened = Some(clock.instant());
        }
        let partition = self.partitions.get_mut(&number);
        let partition = partition.expect("the caller looked it up");
        let from = std::mem::replace(&mut partition.next, to);
        let range = self.ranges.entry(number).or_insert_with(|| Range {
            from,
            to,
            is_first: std::mem::take(&mut partition.is_first),
            rows: 0,
        });
        range.to = to;
        from
    }

    fn has_uncommitted(&self) -> bool {
        self.opened.is_some() || self.outstanding > 0
    }

    fn drop_gathered(&mut self) {
        self.portion = Portion::default();
        self.ranges.clear();
        self.opened = None;
        self.uncommitted_bytes = 0;
    }
}

impl Gathering {
    /// Gathers one message, unless it is not expected here.
    pub fn take(&mut self, index: usize, arrival: &Arrival<'_>) {
        let state = &mut self.streams[index];
        let Some(partition) = state.partitions.get_mut(&arrival.partition) else {
            return;
        };
        // After a seek, what was fetched before may still come.
        if partition.is_stopped || arrival.offset < partition.next {
            return;
        }
        let value_bytes = arrival.message.value.map_or(0, <[u8]>::len) as u64;
        partition.messages.inc();
        partition.message_bytes.inc_by(value_bytes);
        self.totals.messages += 1;
        self.totals.bytes += value_bytes;
        if arrival.offset > partition.next {
            // The broker gave everything it has from `next` on, and would have refused an offset it lacks.
            let (number, to) = (arrival.partition, arrival.offset);
            state.gap(number, to, "no_message", NO_MESSAGE.into(), &self.clock);
            self.totals.gaps += 1;
        }
        let bytes_before = state.portion.bytes();
        state.portion.push(arrival);
        state.advance(arrival.partition, arrival.offset + 1, &self.clock);
        state.uncommitted_bytes += state.portion.bytes() - bytes_before;
        if state.portion.bytes() >= self.settings.file_bytes.as_u64() as usize {
            self.seal(index);
        }
    }

    /// Says whether another portion may be gathered without passing the memory bound.
    pub fn has_room(&self) -> bool {
        self.in_flight + self.gathered_bytes() < self.settings.memory_bytes.as_u64() as usize
    }

    fn gathered_bytes(&self) -> usize {
        self.streams.iter().map(|state| state.portion.bytes()).sum()
    }

    /// Commits what is due, frees memory early when many streams share it, and tells the gauges.
    pub fn tick(&mut self, now: Instant) {
        let commit_bytes = self.settings.commit_bytes.as_u64() as usize;
        for index in 0..self.streams.len() {
            let state = &mut self.streams[index];
            let is_old = state
                .opened
                .is_some_and(|opened| now.duration_since(opened) >= self.settings.commit_interval);
            let fill = state.uncommitted_bytes as f64 / commit_bytes as f64;
            self.metrics
                .batch_fill
                .with_label_values(&[state.stream.stem()])
                .set(fill);
            if is_old || state.uncommitted_bytes >= commit_bytes {
                self.commit(index);
            }
        }
        if !self.has_room() && self.in_flight == 0 {
            let largest =
                (0..self.streams.len()).max_by_key(|&index| self.streams[index].portion.bytes());
            if let Some(index) = largest {
                self.seal(index);
            }
        }
        let buffered = self.in_flight + self.gathered_bytes();
        self.metrics.buffered_bytes.set(buffered as i64);
    }

    /// Has the gathered messages of a stream encoded, and hands them to its writer.
    fn seal(&mut self, index: usize) {
        let state = &mut self.streams[index];
        if state.portion.is_empty() {
            return;
        }
        let ranges = std::mem::take(&mut state.ranges);
        let ranges: BTreeMap<i32, (AppId, Range)> = ranges
            .into_iter()
            .map(|(partition, range)| (partition, (state.app_id(partition), range)))
            .collect();
        let before = state.epoch - 1;
        let epoch = std::mem::take(&mut state.announces_epoch).then(|| {
            let range = Range {
                from: before,
                to: state.epoch,
                is_first: before == 0,
                rows: 0,
            };
            (AppId::epoch(&state.cluster, &state.topic), range)
        });
        let sealed = Sealed {
            stream: state.stream,
            source: state.source.clone(),
            ranges,
            epoch,
            portion: std::mem::replace(&mut state.portion, self.encoders.portion()),
        };
        let bytes = sealed.portion.bytes();
        self.in_flight += bytes;
        // The writer ends only after this thread, or when waiting for the store was given up.
        let _ = state.jobs.send(Job::Portion {
            generation: state.generation,
            bytes,
            encoding: self.encoders.encode(sealed),
        });
    }

    /// Asks for a commit of everything a stream has gathered.
    fn commit(&mut self, index: usize) {
        self.seal(index);
        let state = &mut self.streams[index];
        if state.opened.take().is_some() {
            state.uncommitted_bytes = 0;
            state.outstanding += 1;
            let _ = state.jobs.send(Job::Commit {
                generation: state.generation,
            });
        }
    }

    /// Takes the writers' answers that are there, and tells the group what the lake holds.
    pub fn settle(&mut self, kafka: &dyn Offsets) {
        if !self.group_due.is_empty() {
            kafka.commit(&std::mem::take(&mut self.group_due), false);
        }
        while let Ok(done) = self.done.try_recv() {
            self.on_done(done, kafka, false);
        }
    }

    /// Waits a moment for a writer's answer.
    pub fn settle_one(&mut self, kafka: &dyn Offsets) {
        if let Ok(done) = self.done.recv_timeout(TICK) {
            self.on_done(done, kafka, false);
        }
    }

    fn on_done(&mut self, done: Done, kafka: &dyn Offsets, wait: bool) {
        match done {
            Done::Decoded {
                stream,
                counts,
                latest,
            } => self.note_decoded(stream, &counts, &latest),
            Done::Released { bytes } => self.in_flight -= bytes,
            Done::Committed {
                stream,
                ranges,
                rows,
                version,
                took,
            } => {
                self.totals.commits += 1;
                self.totals.committed_rows += rows as u64;
                tracing::info!(%stream, version, rows, partitions = ranges.len(), took_ms = took.as_millis() as u64, "committed");
                let Some(state) = self.streams.iter_mut().find(|state| state.stream == stream)
                else {
                    return;
                };
                state.outstanding = state.outstanding.saturating_sub(1);
                let mut offsets = Vec::new();
                for partition in state.partitions.keys().copied().collect::<Vec<_>>() {
                    let app_id = state.app_id(partition);
                    let Some(range) = ranges.get(&app_id) else {
                        continue;
                    };
                    let topic = state.topic.clone();
                    if let Some(held) = state.partitions.get_mut(&partition) {
                        held.committed = Some(range.to);
                        let at = TopicPartition { topic, partition };
                        held.tell(&self.metrics, &at);
                        offsets.push((at, range.to));
                    }
                }
                if !offsets.is_empty() {
                    kafka.commit(&offsets, wait);
                }
            }
            Done::Fenced {
                stream,
                generation,
                why,
            } => {
                tracing::warn!(%stream, why, "another consumer committed these offsets; the batch is dropped and read again");
                self.metrics
                    .fenced
                    .with_label_values(&[stream.stem()])
                    .inc();
                for state in self
                    .streams
                    .iter_mut()
                    .filter(|state| state.stream == stream)
                {
                    if state.generation == generation {
                        state.generation += 1;
                        state.outstanding = 0;
                        state.drop_gathered();
                        state.reset_due = true;
                    }
                }
            }
        }
    }

    fn note_decoded(&mut self, stream: Stream, counts: &Counts, latest: &BTreeMap<i32, Latest>) {
        self.totals.events += counts.events;
        self.totals.skipped += counts.skipped;
        self.totals.dead += counts.dead;
        for (disposition, count) in [
            (Disposition::Event, counts.events),
            (Disposition::Dead, counts.dead),
            (Disposition::Skipped, counts.skipped),
            (Disposition::Gap, counts.gaps),
        ] {
            if count > 0 {
                let labels = [stream.stem(), disposition.as_str()];
                self.metrics.rows.with_label_values(&labels).inc_by(count);
            }
        }
        for (code, count) in &counts.rejects {
            let labels = [stream.stem(), code.as_str()];
            let dead_letters = self.metrics.dead_letters.with_label_values(&labels);
            dead_letters.inc_by(*count);
        }
        let state = self.streams.iter_mut().find(|state| state.stream == stream);
        let Some(state) = state else { return };
        for (partition, latest) in latest {
            // A partition may have gone to another consumer meanwhile.
            if let Some(held) = state.partitions.get_mut(partition) {
                held.latest.join(*latest);
            }
        }
    }

    /// Commits everything and waits until it is in the lake, as long as `drain_timeout` allows.
    ///
    /// Returns false when something is left; it is the next owner's then.
    pub fn drain(&mut self, kafka: &dyn Offsets, streams: impl Fn(&StreamState) -> bool) -> bool {
        for index in 0..self.streams.len() {
            if streams(&self.streams[index]) {
                self.commit(index);
            }
        }
        let started = self.clock.instant();
        let is_open = |state: &StreamState| streams(state) && state.has_uncommitted();
        while self.streams.iter().any(is_open) {
            if self.clock.elapsed(started) >= self.settings.drain_timeout {
                return false;
            }
            match self.done.recv_timeout(TICK) {
                Ok(done) => self.on_done(done, kafka, true),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Returns where to start each partition of an assignment.
    pub fn assign(
        &mut self,
        kafka: &dyn Offsets,
        partitions: &[TopicPartition],
    ) -> Vec<Option<i64>> {
        self.assigned_once = true;
        let mut starts = vec![None; partitions.len()];
        for index in 0..self.streams.len() {
            let topic = self.streams[index].topic.clone();
            let mine: Vec<usize> = (0..partitions.len())
                .filter(|&at| partitions[at].topic == topic)
                .collect();
            let numbers: Vec<i32> = mine.iter().map(|&at| partitions[at].partition).collect();
            let placed = self.place(kafka, index, &numbers);
            for (at, start) in mine.into_iter().zip(placed) {
                starts[at] = start;
            }
        }
        self.pause_due = true;
        // Not before: who starts at the end and says that it is ready must know where the end was.
        if !partitions.is_empty() {
            self.metrics.ready("assignment");
        }
        starts
    }

    /// Reads the stored offsets of partitions and notes where each goes on; none for those that must not be read.
    pub fn place(
        &mut self,
        kafka: &dyn Offsets,
        index: usize,
        partitions: &[i32],
    ) -> Vec<Option<i64>> {
        if partitions.is_empty() {
            return Vec::new();
        }
        let state = &self.streams[index];
        // Partition 0 tells whether the topic is known to the lake at all.
        let mut app_ids: Vec<AppId> = partitions.iter().map(|&p| state.app_id(p)).collect();
        app_ids.push(state.app_id(0));
        let Some(stored) = self.stored(index, app_ids) else {
            return vec![None; partitions.len()];
        };
        let is_known_topic = stored.iter().any(Option::is_some);
        let placed = partitions.iter().zip(&stored);
        placed
            .map(|(&partition, &stored)| {
                self.place_one(kafka, index, partition, stored, is_known_topic)
            })
            .collect()
    }

    /// Asks a writer for offsets; waits as long as the process is not told to stop.
    fn stored(&self, index: usize, app_ids: Vec<AppId>) -> Option<Vec<Option<i64>>> {
        let (reply, answer) = channel();
        let _ = self.streams[index]
            .jobs
            .send(Job::Stored { app_ids, reply });
        loop {
            match answer.recv_timeout(TICK) {
                Ok(offsets) => return Some(offsets),
                Err(RecvTimeoutError::Timeout) if !self.shutdown.is_cancelled() => {}
                Err(_) => return None,
            }
        }
    }

    fn place_one(
        &mut self,
        kafka: &dyn Offsets,
        index: usize,
        number: i32,
        stored: Option<i64>,
        is_known_topic: bool,
    ) -> Option<i64> {
        let state = &mut self.streams[index];
        let at = TopicPartition {
            topic: state.topic.clone(),
            partition: number,
        };
        let labels = [at.topic.clone(), number.to_string()];
        let mut partition = PartitionState {
            next: 0,
            is_first: stored.is_none(),
            committed: stored,
            end: None,
            ends_heard: 0,
            is_stopped: false,
            latest: Latest::default(),
            messages: self.metrics.messages.with_label_values(&labels),
            message_bytes: self.metrics.message_bytes.with_label_values(&labels),
        };
        let watermarks = kafka.watermarks(&at);
        let place = match (stored, watermarks) {
            (Some(stored), Ok(Watermarks { low, .. })) if stored < low => {
                match self.settings.on_gap {
                    OnGap::Accept => {
                        let detail = format!(
                            "the operator accepted that the {} offsets before {low} are lost: the topic's retention removed them before they were consumed",
                            low - stored
                        );
                        state.portion.push_gap(Gap {
                            partition: number,
                            from: stored,
                            to: low,
                            reason: "accepted_loss",
                            detail: detail.into(),
                        });
                        state.ranges.insert(
                            number,
                            Range {
                                from: stored,
                                to: low,
                                is_first: false,
                                rows: 0,
                            },
                        );
                        state.opened.get_or_insert(self.clock.instant());
                        self.totals.gaps += 1;
                        Ok(low)
                    }
                    OnGap::Stop => Err(format!(
                        "the lake goes on at offset {stored}, but the topic's retention removed everything before {low}: {} messages are lost; set consume.on_gap = \"accept\" (or pass --accept-gap) to go on and record the gap",
                        low - stored
                    )),
                }
            }
            (Some(stored), Ok(Watermarks { high, .. })) if stored > high => Err(format!(
                "the lake goes on at offset {stored}, but the partition ends at {high}: the topic was made anew or shortened; pass --new-epoch {} to consume it from its start as a new epoch",
                state.topic
            )),
            // A broker that does not answer now refuses the offset later, if it must.
            (Some(stored), _) => Ok(stored),
            (None, Ok(watermarks)) => {
                // A partition that joined a known topic is read from its start: none of it is old news.
                let start = if is_known_topic {
                    Start::Earliest
                } else {
                    self.start
                };
                match start {
                    Start::Earliest => Ok(watermarks.low),
                    Start::Latest => Ok(watermarks.high),
                    Start::At(at_ms) => kafka
                        .offset_at(&at, at_ms)
                        .map_err(|error| format!("consume.start: {error:#}")),
                }
            }
            (None, Err(error)) => Err(format!("{error:#}; it is read after the next rebalance")),
        };
        let outcome = match place {
            Ok(next) => {
                partition.next = next;
                self.stopped.remove(&at);
                self.group_due
                    .extend(stored.map(|stored| (at.clone(), stored)));
                Some(next)
            }
            Err(why) => {
                tracing::error!(partition = %at, "{why}");
                self.metrics
                    .unready(&format!("partition {at}"), why.clone());
                partition.is_stopped = true;
                self.stopped.insert(at.clone(), why);
                None
            }
        };
        partition.tell(&self.metrics, &at);
        self.streams[index].partitions.insert(number, partition);
        self.metrics
            .stopped_partitions
            .set(self.stopped.len() as i64);
        outcome
    }

    /// Reads stored offsets again after a fence, and goes on from there.
    pub fn reset_fenced(&mut self, source: &KafkaSource) -> Result<()> {
        for index in 0..self.streams.len() {
            if std::mem::take(&mut self.streams[index].reset_due) {
                let numbers: Vec<i32> = self.streams[index].partitions.keys().copied().collect();
                self.seek_to_stored(source, index, &numbers)?;
            }
        }
        Ok(())
    }

    /// Looks at every partition again after the broker refused an offset without saying whose.
    pub fn place_again(&mut self, source: &KafkaSource) -> Result<()> {
        for index in 0..self.streams.len() {
            // What is gathered belongs to the lake first: stored offsets are looked at next.
            let topic = self.streams[index].topic.clone();
            self.drain(source, |state| state.topic == topic);
            let mut refused = Vec::new();
            for (&partition, held) in &self.streams[index].partitions {
                let at = TopicPartition {
                    topic: topic.clone(),
                    partition,
                };
                let watermarks = source.watermarks(&at)?;
                if !held.is_stopped && !(watermarks.low..=watermarks.high).contains(&held.next) {
                    refused.push(partition);
                }
            }
            self.seek_to_stored(source, index, &refused)?;
        }
        Ok(())
    }

    fn seek_to_stored(
        &mut self,
        source: &KafkaSource,
        index: usize,
        numbers: &[i32],
    ) -> Result<()> {
        let starts = self.place(source, index, numbers);
        let topic = &self.streams[index].topic;
        let placed = numbers.iter().zip(starts);
        let offsets: Vec<(TopicPartition, i64)> = placed
            .filter_map(|(&partition, start)| {
                let at = TopicPartition {
                    topic: topic.clone(),
                    partition,
                };
                start.map(|start| (at, start))
            })
            .collect();
        self.pause_due = true;
        match offsets.is_empty() {
            true => Ok(()),
            false => source.seek(&offsets),
        }
    }

    /// Pauses the partitions that wait for the operator.
    pub fn pause_stopped(&mut self, source: &KafkaSource) -> Result<()> {
        if std::mem::take(&mut self.pause_due) && !self.stopped.is_empty() {
            source.pause(&self.stopped.keys().cloned().collect::<Vec<_>>())?;
        }
        Ok(())
    }

    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.streams
            .iter()
            .flat_map(|state| {
                state.partitions.keys().map(|&partition| TopicPartition {
                    topic: state.topic.clone(),
                    partition,
                })
            })
            .collect()
    }

    /// Returns the assigned partitions that do not wait for the operator.
    pub fn readable(&self) -> Vec<TopicPartition> {
        let mut assigned = self.assigned();
        assigned.retain(|at| !self.stopped.contains_key(at));
        assigned
    }

    /// Commits or drops what was gathered of these partitions; after it nothing of them is in memory.
    pub fn revoke(&mut self, kafka: &dyn Offsets, partitions: &[TopicPartition]) {
        let is_affected = |state: &StreamState| partitions.iter().any(|at| at.topic == state.topic);
        if !self.drain(kafka, is_affected) {
            tracing::warn!(
                "the lake did not take the last batch in time; the next owner reads it again"
            );
        }
        for state in &mut self.streams {
            for at in partitions.iter().filter(|at| at.topic == state.topic) {
                state.partitions.remove(&at.partition);
            }
        }
        self.group_due.retain(|(at, _)| !partitions.contains(at));
        for at in partitions {
            self.stopped.remove(at);
            self.metrics.ready(&format!("partition {at}"));
        }
        self.metrics
            .stopped_partitions
            .set(self.stopped.len() as i64);
    }

    /// Notes that the group has settled. No assignment is made where no partition is left for this member.
    pub fn note_membership(&mut self, is_member: bool) {
        self.member_reports = if is_member {
            self.member_reports + 1
        } else {
            0
        };
        // Between joining and being given what others hand over, the group looks settled for a moment.
        if self.member_reports == 2 {
            self.assigned_once = true;
            self.metrics.ready("assignment");
        }
    }

    /// Notes the ends of partitions for lag and for `--stop-at-end`.
    pub fn note_ends(&mut self, ends: &[(TopicPartition, End)]) {
        for (at, end) in ends {
            let state = self
                .streams
                .iter_mut()
                .find(|state| state.topic == at.topic);
            if let Some(partition) = state.and_then(|state| state.partitions.get_mut(&at.partition))
            {
                partition.end = Some(*end);
                partition.ends_heard += 1;
                partition.tell(&self.metrics, at);
            }
        }
        self.positions_due = true;
    }

    /// Goes past what ends a partition without being a message: transaction markers and aborted messages.
    ///
    /// No message comes for them, only the client's position moves. It moves in the order of the messages, so
    /// everything before it has been taken; but for a moment after a seek it is still the old one.
    pub fn pass_markers(&mut self, source: &KafkaSource) -> Result<()> {
        if !std::mem::take(&mut self.positions_due) {
            return Ok(());
        }
        for (at, position) in source.positions()? {
            let state = self
                .streams
                .iter_mut()
                .find(|state| state.topic == at.topic);
            let Some(state) = state else { continue };
            let Some(partition) = state.partitions.get_mut(&at.partition) else {
                continue;
            };
            let is_settled = partition.ends_heard > ENDS_UNTIL_SETTLED;
            if is_settled && !partition.is_stopped && position > partition.next {
                let to = position;
                let number = at.partition;
                let from = state.gap(number, to, "no_message", NO_MESSAGE.into(), &self.clock);
                tracing::debug!(partition = %at, from, to, "the partition ends in transaction markers");
                self.totals.gaps += 1;
            }
        }
        Ok(())
    }

    /// Says whether every assigned partition has reached the offset that stood at the start.
    pub fn is_at_end(&self) -> bool {
        self.assigned_once
            && self.streams.iter().all(|state| {
                state.partitions.iter().all(|(&number, partition)| {
                    let at = TopicPartition {
                        topic: state.topic.clone(),
                        partition: number,
                    };
                    let target = self.targets.get(&at).copied().unwrap_or(0);
                    partition.is_stopped || partition.next >= target
                })
            })
    }
}

impl PartitionState {
    fn tell(&self, metrics: &Metrics, at: &TopicPartition) {
        let labels = [at.topic.clone(), at.partition.to_string()];
        if let Some(committed) = self.committed {
            metrics
                .stored_offset
                .with_label_values(&labels)
                .set(committed);
            if let Some(end) = self.end {
                metrics
                    .lag
                    .with_label_values(&labels)
                    .set((end.high - committed).max(0));
            }
        } else if let Some(end) = self.end {
            metrics
                .lag
                .with_label_values(&labels)
                .set((end.high - self.next).max(0));
        }
        if let Some(watermark) = self.latest.watermark() {
            let seconds = watermark as f64 / 1e6;
            metrics.watermark.with_label_values(&labels).set(seconds);
        }
    }
}
