//! Columns without a dictionary, which are most of a file's bytes, and columns without any value (Parquet format,
//! "Plain"). Parquet's writer takes a value through several copies; here a page is gathered once.

use std::ops::Range;

use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::basic::{Compression, Encoding, Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use super::PAGE_BYTES;
use super::chunk::{Chunk, Pages, is_enough};
use super::hybrid::{Levels, with_value};

/// A page has no more rows, so that a look-up of one reads little.
const PAGE_ROWS: usize = 20_000;

/// How long a text is stands before it in so many bytes.
const LENGTH_BYTES: usize = 4;

/// The values of a column that is written plain.
pub(super) enum Plain<'a> {
    Texts(&'a StringViewArray),
    /// Numbers, and instants as numbers.
    Longs(Int64Array),
    /// Nulls only.
    Nothing(usize),
}

impl<'a> Plain<'a> {
    /// Returns the values of a column, where a plain chunk is what the properties ask for.
    pub fn of(
        values: &'a ArrayRef,
        column: &ColumnDescPtr,
        properties: &WriterProperties,
    ) -> Option<Plain<'a>> {
        if !is_enough(column, properties) {
            return None;
        }
        if values.null_count() == values.len() {
            return Some(Plain::Nothing(values.len()));
        }
        let path = column.path();
        if properties.dictionary_enabled(path) {
            return None;
        }
        match values.data_type() {
            // Parquet cuts long texts in statistics, which we do not.
            DataType::Utf8View
                if properties.statistics_enabled(path) == EnabledStatistics::None =>
            {
                Some(Plain::Texts(values.as_string_view()))
            }
            DataType::Int64 => Some(Plain::Longs(values.as_primitive::<Int64Type>().clone())),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let times = values.as_primitive::<TimestampMicrosecondType>();
                Some(Plain::Longs(times.reinterpret_cast()))
            }
            _ => None,
        }
    }

    /// Writes the chunk as the next column of a row group.
    pub fn write(
        &self,
        column: ColumnDescPtr,
        properties: &WriterProperties,
        pages: &mut Pages,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<()> {
        let compression = match self {
            Plain::Nothing(_) => Compression::UNCOMPRESSED,
            _ => properties.compression(column.path()),
        };
        let mut chunk = Chunk::new(Encoding::PLAIN, compression);
        let mut next = 0;
        while next < self.len() {
            let rows = self.page_rows(next);
            next = rows.end;
            pages.page.clear();
            self.levels().push(rows.clone(), &mut pages.page);
            self.push_values(rows.clone(), &mut pages.page);
            chunk.push_data(pages, rows.len())?;
        }
        let is_told = properties.statistics_enabled(column.path()) != EnabledStatistics::None;
        let statistics = is_told.then(|| self.statistics(column.physical_type()));
        chunk.finish(column, statistics, group)
    }

    fn len(&self) -> usize {
        match self {
            Plain::Texts(texts) => texts.len(),
            Plain::Longs(numbers) => numbers.len(),
            Plain::Nothing(rows) => *rows,
        }
    }

    /// Returns which rows have a value.
    fn levels(&self) -> Levels<'_> {
        match self {
            Plain::Texts(texts) => Levels::Of(texts.nulls()),
            Plain::Longs(numbers) => Levels::Of(numbers.nulls()),
            Plain::Nothing(_) => Levels::Nowhere,
        }
    }

    /// Returns the rows from `first` on that become one page.
    fn page_rows(&self, first: usize) -> Range<usize> {
        let most = self.len().min(first + PAGE_ROWS);
        let Plain::Texts(texts) = self else {
            // Numbers of so many rows take less than a page.
            return first..most;
        };
        let mut bytes = 0;
        let is_beyond = |view: &u128| {
            bytes += LENGTH_BYTES + *view as u32 as usize;
            bytes > PAGE_BYTES
        };
        let beyond = texts.views()[first..most].iter().position(is_beyond);
        // A text that is longer than a page has one to itself.
        first..beyond.map_or(most, |rows| first + rows.max(1))
    }

    /// Appends the values of these rows, those that are null left out.
    fn push_values(&self, rows: Range<usize>, out: &mut Vec<u8>) {
        match self {
            Plain::Texts(texts) => {
                for row in with_value(texts.nulls(), rows) {
                    push_text(texts.value(row), out);
                }
            }
            Plain::Longs(numbers) => {
                for row in with_value(numbers.nulls(), rows) {
                    out.extend_from_slice(&numbers.value(row).to_le_bytes());
                }
            }
            Plain::Nothing(_) => {}
        }
    }

    fn statistics(&self, physical: Type) -> Statistics {
        let nulls = Some(match self {
            Plain::Texts(texts) => texts.null_count(),
            Plain::Longs(numbers) => numbers.null_count(),
            Plain::Nothing(rows) => *rows,
        } as u64);
        match (self, physical) {
            (Plain::Longs(numbers), _) => {
                Statistics::int64(min(numbers), max(numbers), None, nulls, false)
            }
            (_, Type::BOOLEAN) => Statistics::boolean(None, None, None, nulls, false),
            (_, Type::INT32) => Statistics::int32(None, None, None, nulls, false),
            (_, Type::INT64) => Statistics::int64(None, None, None, nulls, false),
            _ => Statistics::byte_array(None, None, None, nulls, false),
        }
    }
}

/// Appends a text in the encoding PLAIN.
pub(super) fn push_text(text: &str, out: &mut Vec<u8>) {
    let length: [u8; LENGTH_BYTES] = (text.len() as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int32Array, TimestampMicrosecondArray};
    use arrow::compute::{cast, concat_batches};
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::basic::ZstdLevel;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
    use proptest::prelude::*;

    use super::super::{ZSTD_LEVEL, chunk};
    use super::*;

    fn properties(has_statistics: bool) -> WriterProperties {
        let statistics = match has_statistics {
            true => EnabledStatistics::Chunk,
            false => EnabledStatistics::None,
        };
        let zstd = ZstdLevel::try_new(ZSTD_LEVEL).expect("zstd has this level");
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(statistics);
        properties.build()
    }

    /// Writes a file of this column alone, and reads it with Parquet's reader.
    fn read_back(column: &ArrayRef, has_statistics: bool) -> (ArrayRef, Arc<ParquetMetaData>) {
        let properties = properties(has_statistics);
        let file = chunk::file_of(column, properties, |leaf, properties, pages, group| {
            let plain = Plain::of(column, &leaf, properties).expect("is a plain column");
            plain.write(leaf, properties, pages, group)
        });
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        let reader = reader.expect("is a file");
        let told = Arc::clone(reader.metadata());
        let batches: Result<Vec<_>, _> = reader.build().expect("can be read").collect();
        let batches = batches.expect("is read");
        let rows = concat_batches(&batches[0].schema(), &batches).expect("fit together");
        let read = cast(rows.column(0), column.data_type()).expect("is what was written");
        (read, told)
    }

    proptest! {
        /// Runs of values and of nulls, some as long as a group; texts around what a page holds.
        #[test]
        fn texts_are_read_as_they_were_written(
            runs in prop::collection::vec(
                (
                    prop::option::of(prop_oneof![
                        8 => "[a-z\u{e9}]{0,20}",
                        1 => (PAGE_BYTES / 3..PAGE_BYTES * 2).prop_map(|bytes| "x".repeat(bytes)),
                    ]),
                    1..20_usize,
                ),
                1..12,
            ),
        ) {
            let texts = runs.iter().flat_map(|(text, count)| {
                let is_long = text.as_ref().is_some_and(|text| text.len() > PAGE_BYTES / 4);
                std::iter::repeat_n(text.as_deref(), if is_long { 1 } else { *count })
            });
            let column: ArrayRef = Arc::new(StringViewArray::from_iter(texts));
            let (read, told) = read_back(&column, false);
            prop_assert_eq!(&read, &column);
            prop_assert!(told.row_group(0).column(0).statistics().is_none());
        }

        #[test]
        fn numbers_are_read_as_they_were_written(
            runs in prop::collection::vec((prop::option::of(any::<i64>()), 1..30_usize), 1..20),
        ) {
            let numbers: Int64Array = runs
                .iter()
                .flat_map(|(number, count)| std::iter::repeat_n(*number, *count))
                .collect();
            let column: ArrayRef = Arc::new(numbers.clone());
            let (read, told) = read_back(&column, true);
            prop_assert_eq!(&read, &column);
            let told = told.row_group(0).column(0).statistics();
            let Some(Statistics::Int64(told)) = told else {
                panic!("statistics of numbers: {told:?}");
            };
            prop_assert_eq!(told.min_opt().copied(), min(&numbers));
            prop_assert_eq!(told.max_opt().copied(), max(&numbers));
            prop_assert_eq!(told.null_count_opt(), Some(numbers.null_count() as u64));
        }
    }

    #[test]
    fn many_rows_become_several_pages() {
        let times: ArrayRef = Arc::new(
            TimestampMicrosecondArray::from_iter((0..3 * PAGE_ROWS as i64).map(|row| {
                let has_value = row % 11 != 0;
                has_value.then_some(row * 1_000_000)
            }))
            .with_timezone("UTC"),
        );
        let (read, told) = read_back(&times, true);
        assert_eq!(&read, &times);
        let offsets = told.offset_index().expect("are told");
        let first_rows = offsets[0][0].page_locations().iter();
        let first_rows: Vec<i64> = first_rows.map(|page| page.first_row_index).collect();
        assert_eq!(first_rows, [0, PAGE_ROWS as i64, 2 * PAGE_ROWS as i64]);
    }

    #[test]
    fn a_column_without_any_value_is_nulls_of_its_type() {
        let columns: [ArrayRef; 4] = [
            Arc::new(StringViewArray::new_null(9)),
            Arc::new(Int32Array::new_null(9)),
            Arc::new(Int64Array::new_null(9)),
            Arc::new(BooleanArray::new_null(9)),
        ];
        for column in columns {
            let (read, told) = read_back(&column, true);
            assert_eq!(&read, &column);
            let statistics = told.row_group(0).column(0).statistics().expect("are told");
            assert_eq!(statistics.null_count_opt(), Some(9));
            assert!(statistics.min_bytes_opt().is_none());
            assert_eq!(
                told.row_group(0).column(0).compression(),
                Compression::UNCOMPRESSED
            );
        }
    }
}
