//! Columns with the same value in every row: a third of those that have any. Parquet's writer finds that out by
//! hashing and comparing the value of each row; here the column chunk is written as what that comes to, a dictionary
//! of one value and a run of it (Parquet format, "Dictionary Encoding" and "Run Length Encoding / Bit-Packing Hybrid").

use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::data_type::ByteArray;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{self, Chunk, push_run};

/// A longer text has no statistics: Parquet's writer would cut it.
const TEXT_BYTES_MAX: usize = 64;

/// A value that every row of a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant<'a> {
    Text(&'a str),
    Int(i32),
    Long(i64),
}

impl<'a> Constant<'a> {
    /// Returns the value of a column whose rows are all alike, none of them null.
    pub fn of(column: &'a ArrayRef) -> Option<Constant<'a>> {
        if column.is_empty() || column.null_count() > 0 {
            return None;
        }
        match column.data_type() {
            DataType::Utf8View => {
                let texts = column.as_string_view();
                let (first, first_view) = (texts.value(0), texts.views()[0]);
                // The views are the same where a text is short, or was found to come again.
                let is_same = |row| texts.views()[row] == first_view || texts.value(row) == first;
                (1..texts.len())
                    .all(is_same)
                    .then_some(Constant::Text(first))
            }
            DataType::Int32 => {
                repeated(column.as_primitive::<Int32Type>().values()).map(Constant::Int)
            }
            DataType::Int64 => {
                repeated(column.as_primitive::<Int64Type>().values()).map(Constant::Long)
            }
            _ => None,
        }
    }

    /// Writes the chunk of `rows` rows as the next column of a row group.
    pub fn write(
        &self,
        column: ColumnDescPtr,
        rows: usize,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<()> {
        let mut chunk = Chunk::new(Encoding::RLE_DICTIONARY);
        chunk.push_dictionary(self.plain(), 1)?;
        let page = run(rows);
        let bytes = page.len();
        chunk.push_data(page, rows, bytes)?;
        let statistics = Some(self.statistics());
        chunk.finish(column, Compression::UNCOMPRESSED, statistics, group)
    }

    /// The value in the encoding of a dictionary page.
    fn plain(&self) -> Bytes {
        match self {
            Constant::Text(text) => {
                let length = (text.len() as u32).to_le_bytes();
                Bytes::from([&length, text.as_bytes()].concat())
            }
            Constant::Int(number) => Bytes::copy_from_slice(&number.to_le_bytes()),
            Constant::Long(number) => Bytes::copy_from_slice(&number.to_le_bytes()),
        }
    }

    fn statistics(&self) -> Statistics {
        match *self {
            Constant::Text(text) => {
                let bound = (text.len() <= TEXT_BYTES_MAX).then(|| ByteArray::from(text));
                Statistics::byte_array(bound.clone(), bound, None, Some(0), false)
            }
            Constant::Int(number) => {
                Statistics::int32(Some(number), Some(number), None, Some(0), false)
            }
            Constant::Long(number) => {
                Statistics::int64(Some(number), Some(number), None, Some(0), false)
            }
        }
    }
}

/// Says whether a run is all that a column of these properties needs: it has a dictionary, and nothing that looks at
/// each row.
pub(super) fn is_enough(column: &ColumnDescPtr, properties: &WriterProperties) -> bool {
    let path = column.path();
    properties.dictionary_enabled(path)
        && properties.statistics_enabled(path) == EnabledStatistics::Chunk
        && chunk::is_enough(column, properties)
}

fn repeated<T: Copy + PartialEq>(values: &[T]) -> Option<T> {
    let first = *values.first()?;
    values.iter().all(|value| *value == first).then_some(first)
}

/// Returns a data page of `rows` rows, none of them null, all of the dictionary's only value.
fn run(rows: usize) -> Bytes {
    let mut levels = Vec::new();
    // How often, and the level: the value is there.
    push_run(rows, &mut levels);
    levels.push(1);
    let mut page = Vec::from((levels.len() as u32).to_le_bytes());
    page.extend(levels);
    // Of how many bits an index is. The index of the only value has none, and takes no byte in the run.
    page.push(0);
    push_run(rows, &mut page);
    Bytes::from(page)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int64Array, RecordBatch, StringViewArray};
    use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::file::writer::SerializedFileWriter;

    use super::*;

    /// One column, by its name `c`.
    fn file_of(column: &ArrayRef, by_parquet: bool) -> Bytes {
        let rows = RecordBatch::try_from_iter_with_nullable([("c", Arc::clone(column), true)]);
        let rows = rows.expect("is a batch");
        let properties = Arc::new(
            WriterProperties::builder()
                .set_statistics_enabled(EnabledStatistics::Chunk)
                .build(),
        );
        let bytes = if by_parquet {
            let properties = WriterProperties::clone(&properties);
            let writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties));
            let mut writer = writer.expect("can be written");
            writer.write(&rows).expect("is written");
            writer.into_inner()
        } else {
            let schema = ArrowSchemaConverter::new().convert(&rows.schema());
            let schema = schema.expect("has a form");
            let root = schema.root_schema_ptr();
            let writer = SerializedFileWriter::new(Vec::new(), root, Arc::clone(&properties));
            let mut writer = writer.expect("can be written");
            let mut group = writer.next_row_group().expect("begins");
            assert!(is_enough(&schema.column(0), &properties));
            let constant = Constant::of(column).expect("all rows are alike");
            let written = constant.write(schema.column(0), column.len(), &mut group);
            written.expect("is written");
            group.close().expect("is whole");
            writer.into_inner()
        };
        Bytes::from(bytes.expect("is whole"))
    }

    /// The bytes of the only column chunk, and what the file tells of it.
    fn chunk(file: &Bytes) -> (Bytes, ColumnChunkMetaData) {
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
                let (ours, told) = chunk(&file_of(&column, false));
                let (theirs, expected) = chunk(&file_of(&column, true));
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

    #[test]
    fn only_a_value_in_every_row_is_constant() {
        let of = |texts: Vec<Option<&str>>| {
            let column: ArrayRef = Arc::new(StringViewArray::from(texts));
            Constant::of(&column).is_some()
        };
        assert!(of(vec![Some("a"), Some("a")]));
        assert!(!of(vec![Some("a"), None]));
        assert!(!of(vec![Some("a"), Some("b")]));
        assert!(!of(vec![
            Some("a text that is long, 1"),
            Some("a text that is long, 2")
        ]));
        assert!(!of(vec![None, None]));
        assert!(!of(vec![]));
    }
}
