//! What the rows of a table say of every partition and imported file. Ten million offsets are looked at one by one, so
//! what has been seen is a bit for each: nearly all messages are one row, of one offset.

use std::collections::BTreeMap;

use anyhow::Result;
use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::HashMap;

use crate::event::Micros;
use crate::lake::log::Source;

/// What the rows say of one partition or file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub first: i64,
    /// The offset after the last.
    pub next: i64,
    /// Offsets that have a row, those of gaps included.
    pub covered: i64,
    pub rows: i64,
    /// Rows beyond the first of an event.
    pub repeated: i64,
    /// Messages that lack an event before their last.
    pub torn: i64,
    pub occurred_at: Option<Micros>,
}

/// Takes in rows of `verify/positions`, in any order.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sources: Vec<(Source, OfSource)>,
}

impl Tally {
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let column = |name: &str, data_type: &DataType| cast(&rows[name], data_type);
        // Views of what was read: the texts are not copied.
        let topics = column("topic", &DataType::Utf8View)?;
        let source_ids = column("source_id", &DataType::Utf8View)?;
        let partitions = column("partition", &DataType::Int32)?;
        let from = column("from_offset", &DataType::Int64)?;
        let to = column("to_offset", &DataType::Int64)?;
        let indexes = column("record_index", &DataType::Int64)?;
        let names = (
            topics.as_string_view(),
            source_ids.as_string_view(),
            partitions.as_primitive::<Int32Type>(),
        );
        let from: &Int64Array = from.as_primitive::<Int64Type>();
        let to: &Int64Array = to.as_primitive::<Int64Type>();
        let indexes: &Int64Array = indexes.as_primitive::<Int64Type>();
        let times = rows["occurred_at"].as_primitive::<TimestampMicrosecondType>();
        for row in 0..rows.num_rows() {
            let occurred_at = times.is_valid(row).then(|| times.value(row));
            let position = Position {
                from: from.value(row),
                to: to.value(row),
                index: indexes.value(row),
            };
            self.source(names, row).see(position, occurred_at);
        }
        Ok(())
    }

    /// Returns what was seen of each source.
    pub(super) fn found(self) -> BTreeMap<Source, Found> {
        let found = self.sources.into_iter();
        found.map(|(source, of)| (source, of.found())).collect()
    }

    fn source(
        &mut self,
        (topics, source_ids, partitions): (&StringViewArray, &StringViewArray, &Int32Array),
        row: usize,
    ) -> &mut OfSource {
        let number = partitions.is_valid(row).then(|| partitions.value(row));
        let (name, id) = (topics.value(row), source_ids.value(row));
        // There are few, and the partition tells most of them apart.
        let is_it = |(known, _): &(Source, OfSource)| match (known, number) {
            (
                Source::Partition {
                    topic,
                    partition,
                    source_id,
                },
                Some(number),
            ) => *partition == number && source_id == id && topic == name,
            (Source::Import { source_id }, None) => source_id == id,
            _ => false,
        };
        let place = self.sources.iter().position(is_it).unwrap_or_else(|| {
            let source = Source::new(name, number, id);
            self.sources.push((source, OfSource::default()));
            self.sources.len() - 1
        });
        &mut self.sources[place].1
    }
}

/// Offsets that a row covers, and the place of its event in the message.
#[derive(Debug, Clone, Copy)]
struct Position {
    from: i64,
    to: i64,
    index: i64,
}

/// The rows of one source.
#[derive(Debug, Default)]
struct OfSource {
    /// Offsets with a row that is all of its message, or its first event.
    seen: Bits,
    /// All other rows: further events of a message, gaps, repeats.
    others: Vec<Position>,
    rows: i64,
    occurred_at: Option<Micros>,
}

impl OfSource {
    fn see(&mut self, position: Position, occurred_at: Option<Micros>) {
        self.rows += 1;
        self.occurred_at = self.occurred_at.max(occurred_at);
        let is_usual = position.index == 0 && position.to == position.from + 1;
        if !is_usual || !self.seen.insert(position.from) {
            self.others.push(position);
        }
    }

    fn found(mut self) -> Found {
        let mut found = Found {
            first: self.seen.first().unwrap_or(i64::MAX),
            next: self.seen.last().map_or(i64::MIN, |last| last + 1),
            covered: self.seen.count(),
            rows: self.rows,
            occurred_at: self.occurred_at,
            ..Found::default()
        };
        self.others
            .sort_unstable_by_key(|row| (row.from, row.index));
        for message in self.others.chunk_by(|one, other| one.from == other.from) {
            let from = message[0].from;
            let first = self.seen.contains(from).then_some(Position {
                from,
                to: from + 1,
                index: 0,
            });
            let rows = || first.iter().chain(message);
            let to = rows().map(|row| row.to).max().unwrap_or(from);
            let index_end = rows().map(|row| row.index + 1).max().unwrap_or(0);
            let mut indexes: Vec<i64> = rows().map(|row| row.index).collect();
            indexes.dedup();
            found.first = found.first.min(from);
            found.next = found.next.max(to);
            found.covered += to - from - i64::from(first.is_some());
            found.repeated += (rows().count() - indexes.len()) as i64;
            found.torn += i64::from(index_end > indexes.len() as i64);
        }
        found
    }
}

/// A set of offsets: a bit each, in blocks, as those of a topic may begin anywhere.
#[derive(Debug, Default)]
struct Bits {
    blocks: HashMap<i64, Box<Block>>,
}

type Block = [u64; BLOCK_WORDS as usize];

const BLOCK_WORDS: i64 = 1024;
const BLOCK_BITS: i64 = BLOCK_WORDS * 64;

impl Bits {
    /// Adds an offset; says whether it is new.
    fn insert(&mut self, offset: i64) -> bool {
        let (block, word, bit) = place(offset);
        let block = self.blocks.entry(block);
        let words = block.or_insert_with(|| Box::new([0; BLOCK_WORDS as usize]));
        let is_new = words[word] & bit == 0;
        words[word] |= bit;
        is_new
    }

    fn contains(&self, offset: i64) -> bool {
        let (block, word, bit) = place(offset);
        (self.blocks.get(&block)).is_some_and(|words| words[word] & bit != 0)
    }

    fn count(&self) -> i64 {
        let words = self.blocks.values().flat_map(|words| words.iter());
        words.map(|word| i64::from(word.count_ones())).sum()
    }

    fn first(&self) -> Option<i64> {
        let (block, words) = self.blocks.iter().min_by_key(|(block, _)| **block)?;
        let mut all = (0..).zip(words.iter());
        let (word, bits) = all.find(|(_, bits)| **bits != 0)?;
        Some(block * BLOCK_BITS + word * 64 + i64::from(bits.trailing_zeros()))
    }

    fn last(&self) -> Option<i64> {
        let (block, words) = self.blocks.iter().max_by_key(|(block, _)| **block)?;
        let mut all = (1..).zip(words.iter().rev());
        let (behind, bits) = all.find(|(_, bits)| **bits != 0)?;
        let end = (block + 1) * BLOCK_BITS - (behind - 1) * 64;
        Some(end - 1 - i64::from(bits.leading_zeros()))
    }
}

/// Returns where the bit of an offset is: its block, the word in it, the bit in that.
fn place(offset: i64) -> (i64, usize, u64) {
    let within = offset.rem_euclid(BLOCK_BITS);
    (
        offset.div_euclid(BLOCK_BITS),
        (within / 64) as usize,
        1 << (within % 64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &[(i64, i64, i64)]) -> Found {
        let mut of = OfSource::default();
        for (from, to, index) in rows.iter().copied() {
            of.see(Position { from, to, index }, Some(from));
        }
        of.found()
    }

    #[test]
    fn messages_in_any_order_cover_their_offsets() {
        for first in [0, 7, 65_530, 5_000_000_000] {
            let mut rows: Vec<_> = (first..first + 200_000).map(|at| (at, at + 1, 0)).collect();
            rows.reverse();
            let expected = Found {
                first,
                next: first + 200_000,
                covered: 200_000,
                rows: 200_000,
                occurred_at: Some(first + 199_999),
                ..Found::default()
            };
            assert_eq!(found(&rows), expected);
        }
    }

    #[test]
    fn messages_of_several_events_and_gaps_are_counted_once() {
        let of = found(&[(4, 5, 1), (4, 5, 0), (4, 5, 2), (5, 9, 0), (9, 10, 0)]);
        assert_eq!((of.first, of.next, of.covered, of.rows), (4, 10, 6, 5));
        assert_eq!((of.repeated, of.torn), (0, 0));
    }

    #[test]
    fn a_hole_covers_less_than_it_spans() {
        let of = found(&[(1, 2, 0), (3, 4, 0), (70_000, 70_001, 0)]);
        assert_eq!((of.first, of.next, of.covered), (1, 70_001, 3));
    }

    #[test]
    fn repeats_and_torn_messages_are_seen() {
        let of = found(&[(1, 2, 0), (1, 2, 0), (2, 3, 0), (2, 3, 1), (2, 3, 1)]);
        assert_eq!((of.repeated, of.torn, of.covered), (2, 0, 2));
        let of = found(&[(1, 2, 0), (1, 2, 2), (2, 3, 1)]);
        assert_eq!((of.repeated, of.torn, of.covered), (0, 2, 2));
    }

    #[test]
    fn a_gap_over_messages_covers_them_again() {
        let of = found(&[(1, 5, 0), (1, 2, 0), (2, 3, 0)]);
        assert_eq!((of.first, of.next, of.covered, of.repeated), (1, 5, 5, 1));
    }
}
