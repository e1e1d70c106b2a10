//! A portion: messages of one stream that become files together.
//!
//! The polling thread only copies a message's bytes into it. All that costs time, from redaction to compressed
//! Parquet, is done with whole portions, several at a time, on other threads ([`Encoders`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range as Span;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::record_batch::RecordBatch;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};

use super::writer::{Done, Encoded};
use crate::clock::Clock;
use crate::config::Config;
use crate::event::{Micros, RejectCode, Stream, TimestampType};
use crate::intake::{HeaderList, Intake, Message};
use crate::lake::commit::Range;
use crate::lake::encode::encode;
use crate::lake::log::AppId;
use crate::table::rows::{Origin, ROW_BYTES, Rows};

/// What a message brings beside its bytes.
pub(super) struct Arrival<'m> {
    pub partition: i32,
    pub offset: i64,
    pub received_at: Option<Micros>,
    pub timestamp_type: Option<TimestampType>,
    pub message: Message<'m>,
}

/// Offsets of a partition that hold no message.
pub(super) struct Gap {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
    pub reason: &'static str,
    pub detail: Cow<'static, str>,
}

/// Messages and gaps in the order they came. Reuse it for the next portion: memory that is fresh is slow.
#[derive(Default)]
pub(super) struct Portion {
    /// Values, keys and headers, one after the other.
    text: Vec<u8>,
    entries: Vec<Entry>,
    headers: Vec<Header>,
    bytes: usize,
}

enum Entry {
    Message {
        partition: i32,
        offset: i64,
        received_at: Option<Micros>,
        timestamp_type: Option<TimestampType>,
        value: Option<Span<usize>>,
        key: Option<Span<usize>>,
        headers: Span<usize>,
    },
    Gap(Gap),
}

struct Header {
    name: Span<usize>,
    value: Span<usize>,
}

impl Portion {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns about how many bytes the portion's rows will hold in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, arrival: &Arrival<'_>) {
        let began = self.text.len();
        let value = arrival.message.value.map(|value| self.keep(value));
        let key = arrival.message.key.map(|key| self.keep(key));
        let first = self.headers.len();
        if let Some(list) = arrival.message.headers {
            for (name, value) in list.headers() {
                let (name, value) = (self.keep(name.as_bytes()), self.keep(value));
                self.headers.push(Header { name, value });
            }
        }
        self.bytes += self.text.len() - began + ROW_BYTES;
        self.entries.push(Entry::Message {
            partition: arrival.partition,
            offset: arrival.offset,
            received_at: arrival.received_at,
            timestamp_type: arrival.timestamp_type,
            value,
            key,
            headers: first..self.headers.len(),
        });
    }

    pub fn push_gap(&mut self, gap: Gap) {
        self.bytes += ROW_BYTES;
        self.entries.push(Entry::Gap(gap));
    }

    /// Empties it, but keeps its memory, unless a giant message made that large.
    fn clear(&mut self, bytes: usize) {
        self.text.clear();
        self.text.shrink_to(bytes);
        self.entries.clear();
        self.headers.clear();
        self.bytes = 0;
    }

    fn keep(&mut self, bytes: &[u8]) -> Span<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }

    /// Turns the messages into rows, in order.
    fn decode(&self, stream: Stream, source: &Source, intake: &mut Intake) -> Decoded {
        let mut rows = Rows::expecting(stream, self.entries.len());
        let mut counts = Counts::default();
        let mut partitions: BTreeMap<i32, OfPartition> = BTreeMap::new();
        for entry in &self.entries {
            let before = rows.len();
            let of_partition = match entry {
                Entry::Gap(gap) => {
                    let origin = source.origin(gap.partition, gap.from);
                    rows.push_gap(&origin, gap.to, gap.reason, &gap.detail);
                    counts.gaps += 1;
                    partitions.entry(gap.partition).or_default()
                }
                Entry::Message {
                    partition,
                    offset,
                    received_at,
                    timestamp_type,
                    value,
                    key,
                    headers,
                } => {
                    let origin = Origin {
                        received_at: *received_at,
                        timestamp_type: *timestamp_type,
                        ..source.origin(*partition, *offset)
                    };
                    let headers = Headers {
                        portion: self,
                        span: headers.clone(),
                    };
                    let message = Message {
                        value: value.clone().map(|span| &self.text[span]),
                        key: key.clone().map(|span| &self.text[span]),
                        headers: Some(&headers),
                    };
                    let left = intake.take(&mut rows, &origin, &message);
                    counts.events += u64::from(left.events);
                    counts.skipped += u64::from(left.skipped);
                    counts.dead += u64::from(left.dead);
                    if let Some(code) = left.reject {
                        *counts.rejects.entry(code).or_default() += 1;
                    }
                    let of_partition = partitions.entry(*partition).or_default();
                    of_partition.latest.see(left.occurred_at);
                    of_partition
                }
            };
            of_partition.rows += (rows.len() - before) as i64;
        }
        Decoded {
            rows: rows.finish(),
            counts,
            partitions,
        }
    }
}

/// The headers of one message of a portion.
struct Headers<'p> {
    portion: &'p Portion,
    span: Span<usize>,
}

impl HeaderList for Headers<'_> {
    fn headers(&self) -> Vec<(&str, &[u8])> {
        let text = &self.portion.text;
        let headers = self.portion.headers[self.span.clone()].iter();
        let named = headers.map(|header| {
            let name = str::from_utf8(&text[header.name.clone()]);
            let name = name.expect("the name of a header was text when it was kept");
            (name, &text[header.value.clone()])
        });
        named.collect()
    }
}

/// Where a stream's messages come from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub topic: String,
    /// Names cluster and epoch in every row, so that a topic made anew repeats no position.
    pub source_id: String,
}

impl Source {
    fn origin(&self, partition: i32, offset: i64) -> Origin<'_> {
        Origin {
            topic: self.topic.as_str().into(),
            partition: Some(partition),
            offset,
            source_id: Some(self.source_id.as_str().into()),
            ..Origin::default()
        }
    }
}

/// What a portion's messages are.
struct Decoded {
    rows: RecordBatch,
    counts: Counts,
    partitions: BTreeMap<i32, OfPartition>,
}

#[derive(Default)]
struct OfPartition {
    rows: i64,
    latest: Latest,
}

/// Rows by disposition, and dead letters by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    pub dead: u64,
    pub skipped: u64,
    pub gaps: u64,
    pub rejects: BTreeMap<RejectCode, u64>,
}

/// The three latest trusted event times of a partition, so that one broken clock moves no watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest([Micros; 3]);

impl Default for Latest {
    fn default() -> Self {
        Latest([Micros::MIN; 3])
    }
}

impl Latest {
    fn see(&mut self, occurred_at: Option<Micros>) {
        let Some(at) = occurred_at else { return };
        if at > self.0[2] {
            self.0[2] = at;
            self.0.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    /// Takes in what others saw.
    pub(super) fn join(&mut self, other: Latest) {
        for at in other.0 {
            self.see(Some(at));
        }
    }

    /// Returns the third latest; none until three were seen.
    pub(super) fn watermark(&self) -> Option<Micros> {
        Some(self.0[2]).filter(|at| *at > Micros::MIN)
    }
}

/// A portion that takes no more messages, and the offsets it covers.
pub(super) struct Sealed {
    pub stream: Stream,
    pub source: Source,
    pub portion: Portion,
    /// The number of rows is not known yet.
    pub ranges: BTreeMap<i32, (AppId, Range)>,
    /// The epoch that the portion begins, where it does.
    pub epoch: Option<(AppId, Range)>,
}

/// Decodes and encodes portions beside the polling thread, as many at a time as there are cores.
pub(super) struct Encoders {
    runtime: Handle,
    at_work: Arc<Semaphore>,
    intake: Intake,
    clock: Clock,
    done: Sender<Done>,
    /// Emptied portions.
    spare: Arc<Mutex<Vec<Portion>>>,
    /// What an emptied portion may keep.
    spare_bytes: usize,
}

impl Encoders {
    pub fn new(config: &Config, runtime: Handle, clock: Clock, done: Sender<Done>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Encoders {
            runtime,
            at_work: Arc::new(Semaphore::new(cores)),
            intake: Intake::new(config),
            clock,
            done,
            spare: Arc::default(),
            spare_bytes: config.consume.file_bytes.as_u64() as usize,
        }
    }

    /// Returns an empty portion.
    pub fn portion(&self) -> Portion {
        lock(&self.spare).pop().unwrap_or_default()
    }

    /// Begins with a portion; those before it are begun first.
    pub fn encode(&self, sealed: Sealed) -> JoinHandle<Encoded> {
        let (at_work, done) = (Arc::clone(&self.at_work), self.done.clone());
        let (mut intake, clock) = (self.intake.clone(), self.clock.clone());
        let (spare, spare_bytes) = (Arc::clone(&self.spare), self.spare_bytes);
        let keep = move |mut portion: Portion| {
            portion.clear(spare_bytes);
            lock(&spare).push(portion);
        };
        self.runtime.spawn(async move {
            let _permit = at_work.acquire().await.expect("nobody closes it");
            let work = spawn_blocking(move || sealed.encode(&mut intake, &clock, &done, keep));
            work.await.expect("encoding does not panic")
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sealed {
    fn encode(
        self,
        intake: &mut Intake,
        clock: &Clock,
        done: &Sender<Done>,
        keep: impl FnOnce(Portion),
    ) -> Encoded {
        let decoded = self.portion.decode(self.stream, &self.source, intake);
        keep(self.portion);
        let mut ranges = BTreeMap::from_iter(self.epoch);
        for (partition, (app_id, mut range)) in self.ranges {
            range.rows = decoded.partitions.get(&partition).map_or(0, |of| of.rows);
            ranges.insert(app_id, range);
        }
        let latest = decoded.partitions.iter();
        // The polling thread may be gone already when the process stops.
        let _ = done.send(Done::Decoded {
            stream: self.stream,
            counts: decoded.counts,
            latest: latest
                .map(|(&partition, of)| (partition, of.latest))
                .collect(),
        });
        let files = encode(self.stream, &decoded.rows, clock.now() / 1000);
        Encoded {
            files: files.expect("rows of our own builders can be encoded"),
            rows: decoded.rows.num_rows(),
            ranges,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(partition: i32, offset: i64, value: Option<&[u8]>) -> Arrival<'_> {
        Arrival {
            partition,
            offset,
            received_at: Some(1_700_000_000_000_000),
            timestamp_type: Some(TimestampType::Producer),
            message: Message {
                value,
                ..Message::default()
            },
        }
    }

    fn source() -> Source {
        Source {
            topic: "t".into(),
            source_id: "c@0".into(),
        }
    }

    #[test]
    fn rows_and_watermarks_are_told_by_partition_and_dead_letters_by_reason() {
        let mut portion = Portion::default();
        let notice = |at: i64| {
            format!(
                r#"{{"noticeId":"n{at}","productId":3,"eventType":40,"notifyMs":{at},"payload":{{"cname":"c","uid":"1","sid":"s","sequence":1,"sendts":{at},"serviceType":0,"details":{{}}}}}}"#
            )
        };
        let at = [1_699_999_999_000, 1_699_999_998_000, 1_699_999_997_000];
        let both = format!("[{},{}]", notice(at[0]), notice(at[1]));
        portion.push(&arrival(0, 7, Some(both.as_bytes())));
        portion.push(&arrival(1, 3, Some(b"{")));
        portion.push(&arrival(0, 8, None));
        portion.push(&arrival(0, 9, Some(notice(at[1]).as_bytes())));
        portion.push(&arrival(0, 10, Some(notice(at[2]).as_bytes())));
        portion.push_gap(Gap {
            partition: 1,
            from: 4,
            to: 9,
            reason: "no_message",
            detail: "none".into(),
        });
        let mut intake = Intake::new(&Config::default());
        let decoded = portion.decode(Stream::Webhooks, &source(), &mut intake);
        assert_eq!(decoded.rows.num_rows(), 7);
        assert_eq!(decoded.partitions[&0].rows, 5);
        assert_eq!(decoded.partitions[&1].rows, 2);
        let watermark = |partition| decoded.partitions[&partition].latest.watermark();
        assert_eq!(watermark(0), Some(at[2] * 1000));
        assert_eq!(watermark(1), None);
        let expected = Counts {
            events: 4,
            dead: 1,
            skipped: 1,
            gaps: 1,
            rejects: BTreeMap::from([(RejectCode::InvalidJson, 1)]),
        };
        assert_eq!(decoded.counts, expected);
    }

    #[test]
    fn a_dead_letter_keeps_the_key_and_headers_of_its_own_message() {
        struct List(Vec<(&'static str, &'static [u8])>);
        impl HeaderList for List {
            fn headers(&self) -> Vec<(&str, &[u8])> {
                self.0.iter().map(|&(name, value)| (name, value)).collect()
            }
        }
        let mut portion = Portion::default();
        for (offset, name) in [(0, "first"), (1, "second")] {
            let list = List(vec![(name, b"v"), ("trace", name.as_bytes())]);
            let mut arrival = arrival(0, offset, Some(b"nothing"));
            arrival.message.key = Some(name.as_bytes());
            arrival.message.headers = Some(&list);
            portion.push(&arrival);
        }
        let mut intake = Intake::new(&Config::default());
        let decoded = portion.decode(Stream::ApiCalls, &source(), &mut intake);
        let text = |column: &str, row| {
            use arrow::array::AsArray;
            decoded.rows[column].as_string_view().value(row).to_string()
        };
        assert_eq!(text("key", 1), "second");
        assert_eq!(text("headers", 0), r#"{"first":"v","trace":"first"}"#);
        assert_eq!(text("headers", 1), r#"{"second":"v","trace":"second"}"#);
    }

    #[test]
    fn a_watermark_is_the_third_latest_of_all_portions() {
        let mut all = Latest::default();
        for times in [[5, 90, 7], [6, 8, 1]] {
            let mut latest = Latest::default();
            times.into_iter().for_each(|at| latest.see(Some(at)));
            all.join(latest);
        }
        assert_eq!(all.watermark(), Some(7));
    }
}
