//! How far partitions and buckets have come, by file: the few events that decide a watermark are kept in the log beside
//! each file (`tags` of the Delta protocol), so that nobody has to read a whole lake to know them.

use std::collections::HashMap;

use anyhow::{Context, Result};
use arrow::array::{
    Array, AsArray, BooleanArray, Int32Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use chrono::NaiveDate;
use deltalake::DeltaTable;
use deltalake::kernel::Add;
use serde::{Deserialize, Serialize};

use crate::event::{Micros, Stream};
use crate::table::PARTITION_COLUMN;

/// The tag that holds it. Another name once the meaning changes: who does not find it reads the rows.
pub const TAG: &str = "tapetrail.reach";

/// Distinct events that have to reach an instant before it can be a watermark (`queries/views/watermarks.sql`).
const WITNESSES: usize = 3;

/// What some rows of a stream tell of it. Only events whose time can be trusted count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub partitions: Vec<PartitionReach>,
    pub buckets: Vec<BucketReach>,
}

/// How far a partition has come; imported files are one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReach {
    pub topic: String,
    pub partition: Option<i32>,
    pub first: Sighting,
    /// The latest of distinct events, the latest first; no more than decide a watermark.
    pub latest: Vec<Sighting>,
}

/// An event at its time, which is never later than its arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub at: Micros,
    pub event_id: String,
}

/// How far the events of a bucket have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketReach {
    pub vendor_name: Option<String>,
    pub bucket: String,
    pub first_at: Micros,
    pub last_at: Micros,
    pub events: i64,
}

impl Reach {
    /// Takes in further rows of a stream's table.
    pub fn add(&mut self, stream: Stream, rows: &RecordBatch) -> Result<()> {
        let columns = Columns::of(stream, rows)?;
        // Rows of one partition or bucket tend to follow each other.
        let (mut partition, mut bucket) = (0, 0);
        for row in 0..rows.num_rows() {
            let Some(at) = columns.trusted_at(row) else {
                continue;
            };
            partition = self.partition(partition, &columns, row, at);
            self.partitions[partition].see(at, columns.event_id.value(row));
            if let Some(name) = columns.bucket(row) {
                bucket = self.bucket(bucket, columns.vendor_name(row), name, at);
                self.buckets[bucket].see(at, at, 1);
            }
        }
        Ok(())
    }

    /// Takes in what other rows tell.
    pub fn merge(&mut self, other: Reach) {
        for of in other.partitions {
            match (self.partitions.iter_mut())
                .find(|known| known.topic == of.topic && known.partition == of.partition)
            {
                Some(known) => {
                    known.see_first(of.first.at, &of.first.event_id);
                    for sighting in of.latest {
                        known.see_latest(sighting.at, &sighting.event_id);
                    }
                }
                None => self.partitions.push(of),
            }
        }
        for of in other.buckets {
            match (self.buckets.iter_mut())
                .find(|known| known.bucket == of.bucket && known.vendor_name == of.vendor_name)
            {
                Some(known) => known.see(of.first_at, of.last_at, of.events),
                None => self.buckets.push(of),
            }
        }
    }

    /// Returns what a commit says beside a file.
    pub fn to_tags(&self) -> Result<HashMap<String, Option<String>>> {
        Ok([(TAG.to_string(), Some(serde_json::to_string(self)?))].into())
    }

    /// Reads what a commit says beside a file; none where it says nothing that is understood.
    fn of_file(file: &Add) -> Option<Reach> {
        let tag = file.tags.as_ref()?.get(TAG)?.as_ref()?;
        serde_json::from_str(tag).ok()
    }

    /// Returns the place of a row's partition among those known, which may be `near`; adds it where it is new.
    fn partition(&mut self, near: usize, columns: &Columns<'_>, row: usize, at: Micros) -> usize {
        let (topic, partition) = (columns.topic.value(row), columns.partition(row));
        let is_it = |known: &PartitionReach| known.partition == partition && known.topic == topic;
        if self.partitions.get(near).is_some_and(is_it) {
            return near;
        }
        self.partitions.iter().position(is_it).unwrap_or_else(|| {
            self.partitions.push(PartitionReach {
                topic: topic.to_string(),
                partition,
                first: Sighting::new(at, columns.event_id.value(row)),
                latest: Vec::new(),
            });
            self.partitions.len() - 1
        })
    }

    /// The same for a bucket.
    fn bucket(&mut self, near: usize, vendor_name: Option<&str>, name: &str, at: Micros) -> usize {
        let is_it = |known: &BucketReach| {
            known.bucket == name && known.vendor_name.as_deref() == vendor_name
        };
        if self.buckets.get(near).is_some_and(is_it) {
            return near;
        }
        self.buckets.iter().position(is_it).unwrap_or_else(|| {
            self.buckets.push(BucketReach {
                vendor_name: vendor_name.map(str::to_string),
                bucket: name.to_string(),
                first_at: at,
                last_at: at,
                events: 0,
            });
            self.buckets.len() - 1
        })
    }
}

impl Sighting {
    fn new(at: Micros, event_id: &str) -> Sighting {
        Sighting {
            at,
            event_id: event_id.to_string(),
        }
    }
}

impl PartitionReach {
    fn see(&mut self, at: Micros, event_id: &str) {
        self.see_first(at, event_id);
        self.see_latest(at, event_id);
    }

    fn see_first(&mut self, at: Micros, event_id: &str) {
        if at < self.first.at {
            self.first = Sighting::new(at, event_id);
        }
    }

    fn see_latest(&mut self, at: Micros, event_id: &str) {
        let latest = &mut self.latest;
        if latest.len() == WITNESSES && latest.last().is_some_and(|last| at <= last.at) {
            return;
        }
        match latest.iter_mut().find(|known| known.event_id == event_id) {
            Some(known) => known.at = known.at.max(at),
            None => latest.push(Sighting::new(at, event_id)),
        }
        latest.sort_by(|a, b| (b.at, &a.event_id).cmp(&(a.at, &b.event_id)));
        latest.truncate(WITNESSES);
    }
}

impl BucketReach {
    fn see(&mut self, first_at: Micros, last_at: Micros, events: i64) {
        self.first_at = self.first_at.min(first_at);
        self.last_at = self.last_at.max(last_at);
        self.events += events;
    }
}

/// Returns what the log says of the tables' files, those alone whose date `is_read`; none where it says nothing of one of
/// them, as of files that an earlier release wrote.
pub fn of_tables(
    tables: &[(Stream, DeltaTable)],
    is_read: impl Fn(NaiveDate) -> bool,
) -> Result<Option<Vec<(Stream, Reach)>>> {
    let mut reaches = Vec::new();
    for (stream, table) in tables {
        let mut reach = Reach::default();
        for file in table.snapshot()?.log_data().iter() {
            #[expect(deprecated, reason = "nothing else gives the tags of a file")]
            let file = file.add_action();
            if !date_of(&file).is_some_and(&is_read) {
                continue;
            }
            match Reach::of_file(&file) {
                Some(of) => reach.merge(of),
                None => return Ok(None),
            }
        }
        reaches.push((*stream, reach));
    }
    Ok(Some(reaches))
}

fn date_of(file: &Add) -> Option<NaiveDate> {
    let date = file.partition_values.get(PARTITION_COLUMN)?.as_ref()?;
    date.parse().ok()
}

/// The columns that it is read from.
struct Columns<'r> {
    disposition: &'r StringViewArray,
    time_trusted: &'r BooleanArray,
    occurred_at: &'r TimestampMicrosecondArray,
    received_at: &'r TimestampMicrosecondArray,
    topic: &'r StringViewArray,
    partition: &'r Int32Array,
    event_id: &'r StringViewArray,
    /// Of storage events: vendor and bucket.
    place: Option<(&'r StringViewArray, &'r StringViewArray)>,
}

impl<'r> Columns<'r> {
    fn of(stream: Stream, rows: &'r RecordBatch) -> Result<Columns<'r>> {
        let column = |name: &str| {
            (rows.column_by_name(name)).with_context(|| format!("there is no column `{name}`"))
        };
        let texts = |name: &str| {
            let texts = column(name)?.as_string_view_opt();
            texts.with_context(|| format!("the column `{name}` holds no texts"))
        };
        let times = |name: &str| {
            let times = column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
            times.with_context(|| format!("the column `{name}` holds no times"))
        };
        let place = match stream {
            Stream::StorageEvents => Some((texts("vendor_name")?, texts("bucket")?)),
            // Others name buckets, too, but do not tell that one is watched.
            _ => None,
        };
        Ok(Columns {
            disposition: texts("disposition")?,
            time_trusted: (column("time_trusted")?.as_boolean_opt())
                .context("the column `time_trusted` holds no booleans")?,
            occurred_at: times("occurred_at")?,
            received_at: times("received_at")?,
            topic: texts("topic")?,
            partition: (column("partition")?.as_primitive_opt::<Int32Type>())
                .context("the column `partition` holds no numbers")?,
            event_id: texts("event_id")?,
            place,
        })
    }

    /// Returns the time of an event, never later than its arrival; none where it cannot be trusted.
    fn trusted_at(&self, row: usize) -> Option<Micros> {
        let is_trusted = self.time_trusted.is_valid(row) && self.time_trusted.value(row);
        if !is_trusted || self.disposition.value(row) != "event" || self.occurred_at.is_null(row) {
            return None;
        }
        let at = self.occurred_at.value(row);
        Some(match self.received_at.is_valid(row) {
            true => at.min(self.received_at.value(row)),
            false => at,
        })
    }

    fn partition(&self, row: usize) -> Option<i32> {
        let is_known = self.partition.is_valid(row);
        is_known.then(|| self.partition.value(row))
    }

    fn bucket(&self, row: usize) -> Option<&'r str> {
        let (_, buckets) = self.place?;
        buckets.is_valid(row).then(|| buckets.value(row))
    }

    fn vendor_name(&self, row: usize) -> Option<&'r str> {
        let (vendors, _) = self.place?;
        vendors.is_valid(row).then(|| vendors.value(row))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, new_null_array};

    use super::*;
    use crate::table;

    /// Rows of storage events: partition, event id, when it happened, when it arrived, its bucket.
    type Event = (
        i32,
        &'static str,
        Micros,
        Option<Micros>,
        Option<&'static str>,
    );

    fn rows(events: &[Event], is_trusted: bool) -> RecordBatch {
        let schema = table::schema(Stream::StorageEvents);
        let texts = |value: &dyn Fn(&Event) -> Option<&'static str>| -> ArrayRef {
            Arc::new(StringViewArray::from_iter(events.iter().map(value)))
        };
        let times = |value: &dyn Fn(&Event) -> Option<Micros>| -> ArrayRef {
            let times: TimestampMicrosecondArray = events.iter().map(value).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        let columns = schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                "disposition" => texts(&|_| Some("event")),
                "topic" => texts(&|_| Some("storage")),
                "partition" => {
                    Arc::new(Int32Array::from_iter_values(events.iter().map(|of| of.0))) as _
                }
                "event_id" => texts(&|of| Some(of.1)),
                "occurred_at" => times(&|of| Some(of.2)),
                "received_at" => times(&|of| of.3),
                "time_trusted" => Arc::new(BooleanArray::from(vec![is_trusted; events.len()])) as _,
                "vendor_name" => texts(&|_| Some("s3")),
                "bucket" => texts(&|of| of.4),
                _ => new_null_array(field.data_type(), events.len()),
            });
        let columns = columns.collect();
        RecordBatch::try_new(schema, columns).expect("is of the table's form")
    }

    const EVENTS: [Event; 8] = [
        (0, "a", 100, None, Some("one")),
        (0, "b", 200, Some(150), Some("two")),
        (1, "c", 50, None, None),
        (0, "a", 900, Some(800), Some("one")),
        (0, "d", 700, None, Some("one")),
        (0, "d", 700, None, Some("one")),
        (0, "e", 600, None, Some("one")),
        (0, "f", 500, None, Some("two")),
    ];

    fn of(events: &[Event]) -> Reach {
        let mut reach = Reach::default();
        let rows = rows(events, true);
        reach.add(Stream::StorageEvents, &rows).expect("is read");
        reach
    }

    #[test]
    fn the_first_event_and_the_last_three_distinct_ones_are_kept() {
        let reach = of(&EVENTS);
        let [zero, one] = &reach.partitions[..] else {
            panic!("there are two partitions");
        };
        assert_eq!(zero.first, Sighting::new(100, "a"));
        let latest = [(800, "a"), (700, "d"), (600, "e")];
        assert_eq!(zero.latest, latest.map(|(at, id)| Sighting::new(at, id)));
        assert_eq!(one.latest, [Sighting::new(50, "c")]);
        let buckets: Vec<_> = (reach.buckets.iter())
            .map(|of| (of.bucket.as_str(), of.first_at, of.last_at, of.events))
            .collect();
        assert_eq!(buckets, [("one", 100, 800, 5), ("two", 150, 500, 2)]);
    }

    #[test]
    fn files_together_tell_what_their_rows_tell() {
        for cut in 0..=EVENTS.len() {
            let mut merged = of(&EVENTS[..cut]);
            merged.merge(of(&EVENTS[cut..]));
            merged.partitions.sort_by_key(|of| of.partition);
            merged.buckets.sort_by(|a, b| a.bucket.cmp(&b.bucket));
            assert_eq!(merged, of(&EVENTS), "cut at {cut}");
        }
    }

    #[test]
    fn times_that_cannot_be_trusted_tell_nothing() {
        let mut reach = Reach::default();
        let rows = rows(&EVENTS, false);
        reach.add(Stream::StorageEvents, &rows).expect("is read");
        assert_eq!(reach, Reach::default());
    }

    #[test]
    fn a_tag_is_read_as_it_was_written_and_others_are_none() {
        let reach = of(&EVENTS);
        let file = |tags| Add {
            tags: Some(tags),
            ..Add::default()
        };
        let tags = reach.to_tags().expect("is written");
        assert_eq!(Reach::of_file(&file(tags)), Some(reach));
        let other = HashMap::from([(TAG.to_string(), Some("{}".to_string()))]);
        assert_eq!(Reach::of_file(&file(other)), None);
        assert_eq!(Reach::of_file(&Add::default()), None);
    }
}
