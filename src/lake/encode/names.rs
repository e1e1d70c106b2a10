//! Columns of few different values, many of the same value in every row. Parquet's writer hashes the value of each row,
//! and compares it with the least and the greatest so far; here each value is looked up among the few, mostly the one
//! of the row before (Parquet format, "Dictionary Encoding").

use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int32Type, Int64Type};
use parquet::basic::{Compression, Encoding};
use parquet::data_type::ByteArray;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Chunk, Pages, is_enough};
use super::hybrid::{self, Levels, with_value};
use super::plain;

/// More values than these are better found by their hash.
const NAMES_MAX: usize = 32;

/// A longer text has no statistics: Parquet's writer would cut it.
const TEXT_BYTES_MAX: usize = 64;

/// A column of few different values.
pub(super) struct Names<'a> {
    values: Values<'a>,
    /// The place among them of each value that is not null.
    indexes: Vec<u8>,
    levels: Levels<'a>,
    rows: usize,
}

/// Different values, in the order in which they first came.
enum Values<'a> {
    Texts(Vec<&'a str>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
}

impl<'a> Names<'a> {
    /// Returns the column, where it has few different values and a dictionary is what the properties ask for.
    pub fn of(
        values: &'a ArrayRef,
        column: &ColumnDescPtr,
        properties: &WriterProperties,
    ) -> Option<Names<'a>> {
        let path = column.path();
        let is_asked_for = properties.dictionary_enabled(path)
            && properties.statistics_enabled(path) == EnabledStatistics::Chunk
            && is_enough(column, properties);
        if !is_asked_for || values.is_empty() {
            return None;
        }
        let (values_found, indexes) = match values.data_type() {
            DataType::Utf8View => {
                let texts = values.as_string_view();
                let views = texts.views();
                // The views are the same where a text is short, or was found to come again.
                let is_same = |row: usize, other: usize| {
                    views[row] == views[other]
                        || views[row] as u64 == views[other] as u64
                            && texts.value(row) == texts.value(other)
                };
                let (first_rows, indexes) = find(values, is_same)?;
                let texts = first_rows.into_iter().map(|row| texts.value(row));
                (Values::Texts(texts.collect()), indexes)
            }
            DataType::Int32 => {
                let (numbers, indexes) = find_numbers::<Int32Type>(values)?;
                (Values::Ints(numbers), indexes)
            }
            DataType::Int64 => {
                let (numbers, indexes) = find_numbers::<Int64Type>(values)?;
                (Values::Longs(numbers), indexes)
            }
            _ => return None,
        };
        Some(Names {
            values: values_found,
            indexes,
            levels: Levels::Of(values.nulls()),
            rows: values.len(),
        })
    }

    /// Writes the chunk as the next column of a row group.
    pub fn write(
        &self,
        column: ColumnDescPtr,
        properties: &WriterProperties,
        pages: &mut Pages,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<()> {
        let compression = match self.values.len() {
            // A few bytes, which only become more.
            1 => Compression::UNCOMPRESSED,
            _ => properties.compression(column.path()),
        };
        let mut chunk = Chunk::new(Encoding::RLE_DICTIONARY, compression);
        pages.page.clear();
        self.values.push(&mut pages.page);
        chunk.push_dictionary(pages, self.values.len())?;
        pages.page.clear();
        self.levels.push(0..self.rows, &mut pages.page);
        let bits = usize::BITS - (self.values.len() - 1).leading_zeros();
        pages.page.push(bits as u8);
        hybrid::push(&self.indexes, bits, &mut pages.page);
        chunk.push_data(pages, self.rows)?;
        let nulls = self.rows - self.indexes.len();
        let statistics = self.values.statistics(nulls as u64);
        chunk.finish(column, Some(statistics), group)
    }
}

/// Looks up each value of a column, nulls left out, among those before. Returns the rows whose values are new, and of each
/// row the place among them of the value that it has; none where there are too many, or no values.
fn find(
    values: &ArrayRef,
    is_same: impl Fn(usize, usize) -> bool,
) -> Option<(Vec<usize>, Vec<u8>)> {
    let rows = with_value(values.nulls(), 0..values.len());
    let mut first_rows: Vec<usize> = Vec::new();
    let mut indexes = Vec::with_capacity(rows.size_hint().1.unwrap_or(0));
    let mut last = 0;
    for row in rows {
        let is_last = first_rows
            .get(last)
            .is_some_and(|first| is_same(row, *first));
        if !is_last {
            let found = first_rows.iter().position(|first| is_same(row, *first));
            last = found.unwrap_or(first_rows.len());
            if found.is_none() {
                if first_rows.len() == NAMES_MAX {
                    return None;
                }
                first_rows.push(row);
            }
        }
        indexes.push(last as u8);
    }
    (!first_rows.is_empty()).then_some((first_rows, indexes))
}

/// Returns the different numbers of a column, and of each row the place among them, as [`find`] does.
fn find_numbers<T: ArrowPrimitiveType>(values: &ArrayRef) -> Option<(Vec<T::Native>, Vec<u8>)> {
    let numbers = values.as_primitive::<T>().values();
    let (first_rows, indexes) = find(values, |row, other| numbers[row] == numbers[other])?;
    let found = first_rows.into_iter().map(|row| numbers[row]);
    Some((found.collect(), indexes))
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Values::Texts(texts) => texts.len(),
            Values::Ints(numbers) => numbers.len(),
            Values::Longs(numbers) => numbers.len(),
        }
    }

    /// Appends the values in the encoding of a dictionary page.
    fn push(&self, out: &mut Vec<u8>) {
        match self {
            Values::Texts(texts) => {
                for text in texts {
                    plain::push_text(text, out);
                }
            }
            Values::Ints(numbers) => out.extend(numbers.iter().flat_map(|n| n.to_le_bytes())),
            Values::Longs(numbers) => out.extend(numbers.iter().flat_map(|n| n.to_le_bytes())),
        }
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let nulls = Some(nulls);
        match self {
            Values::Texts(texts) => {
                let is_short = texts.iter().all(|text| text.len() <= TEXT_BYTES_MAX);
                let bound = |text: Option<&&str>| {
                    text.filter(|_| is_short).map(|text| ByteArray::from(*text))
                };
                let (least, greatest) = (bound(texts.iter().min()), bound(texts.iter().max()));
                Statistics::byte_array(least, greatest, None, nulls, false)
            }
            Values::Ints(numbers) => {
                let (least, greatest) = (numbers.iter().min(), numbers.iter().max());
                Statistics::int32(least.copied(), greatest.copied(), None, nulls, false)
            }
            Values::Longs(numbers) => {
                let (least, greatest) = (numbers.iter().min(), numbers.iter().max());
                Statistics::int64(least.copied(), greatest.copied(), None, nulls, false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int64Array, RecordBatch, StringViewArray};
    use arrow::compute::concat_batches;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use proptest::prelude::*;

    use super::super::chunk;
    use super::*;

    fn properties() -> WriterProperties {
        let properties = WriterProperties::builder();
        let properties = properties.set_statistics_enabled(EnabledStatistics::Chunk);
        properties.build()
    }

    fn is_written_by_us(column: &ArrayRef) -> bool {
        let schema = ArrowSchemaConverter::new().convert(&chunk::batch_of(column).schema());
        let leaf = schema.expect("has a form").column(0);
        Names::of(column, &leaf, &properties()).is_some()
    }

    /// One column, by its name `c`.
    fn file_of(column: &ArrayRef, by_parquet: bool) -> Bytes {
        let properties = properties();
        if !by_parquet {
            return chunk::file_of(column, properties, |leaf, properties, pages, group| {
                let names = Names::of(column, &leaf, properties).expect("has few values");
                names.write(leaf, properties, pages, group)
            });
        }
        let rows = chunk::batch_of(column);
        let writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties));
        let mut writer = writer.expect("can be written");
        writer.write(&rows).expect("is written");
        Bytes::from(writer.into_inner().expect("is whole"))
    }

    fn read(file: Bytes) -> RecordBatch {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        let reader = reader.expect("is a file");
        let batches: Result<Vec<_>, _> = reader.build().expect("can be read").collect();
        let batches = batches.expect("is read");
        concat_batches(&batches[0].schema(), &batches).expect("fit together")
    }

    /// The bytes of the only column chunk, and what the file tells of it.
    fn only_chunk(file: &Bytes) -> (Bytes, ColumnChunkMetaData) {
        let reader = SerializedFileReader::new(file.clone()).expect("is a file");
        let chunk = reader.metadata().row_group(0).column(0).clone();
        let (start, length) = chunk.byte_range();
        (file.slice(start as usize..(start + length) as usize), chunk)
    }

    #[test]
    fn a_run_is_byte_for_byte_what_parquet_makes_of_the_column() {
        for rows in [1, 2, 63, 64, 7000, 300_000] {
            let columns: [ArrayRef; 4] = [
                Arc::new(StringViewArray::from(vec!["start"; rows])),
                Arc::new(StringViewArray::from(vec!["recording.api-calls"; rows])),
                Arc::new(Int32Array::from(vec![-1; rows])),
                Arc::new(Int64Array::from(vec![1 << 40; rows])),
            ];
            for column in columns {
                let (ours, told) = only_chunk(&file_of(&column, false));
                let (theirs, expected) = only_chunk(&file_of(&column, true));
                if rows < 20_000 {
                    // Beyond that Parquet begins another page.
                    assert_eq!(ours, theirs, "{rows} rows");
                    assert_eq!(told.page_encoding_stats(), expected.page_encoding_stats());
                }
                assert_eq!(told.statistics(), expected.statistics());
                assert_eq!(told.encodings_mask(), expected.encodings_mask());
                assert_eq!(told.num_values(), expected.num_values());
            }
        }
    }

    proptest! {
        #[test]
        fn few_values_are_read_as_they_were_written(
            runs in prop::collection::vec((prop::option::of(0..40_usize), 1..30_usize), 1..60),
        ) {
            let rows = runs.iter().flat_map(|(value, count)| std::iter::repeat_n(*value, *count));
            let rows: Vec<Option<usize>> = rows.collect();
            let value = |value: usize| match value % 2 {
                0 => format!("{value}"),
                _ => format!("a text that is long, {value}"),
            };
            let texts = rows.iter().map(|row| row.map(value));
            let columns: [ArrayRef; 3] = [
                Arc::new(StringViewArray::from_iter(texts)),
                Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.map(|row| row as i32)))),
                Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.map(|row| -(row as i64))))),
            ];
            let values: BTreeSet<usize> = rows.iter().flatten().copied().collect();
            for column in columns {
                if !(1..=NAMES_MAX).contains(&values.len()) {
                    prop_assert!(!is_written_by_us(&column));
                    continue;
                }
                let file = file_of(&column, false);
                let theirs = file_of(&column, true);
                let (_, told) = only_chunk(&file);
                let (_, expected) = only_chunk(&theirs);
                prop_assert_eq!(told.statistics(), expected.statistics());
                prop_assert_eq!(told.encodings_mask(), expected.encodings_mask());
                prop_assert_eq!(read(file), read(theirs));
            }
        }
    }
}
