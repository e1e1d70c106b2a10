//! Rows -> sorted Parquet files. A batch in memory becomes one file for each date ([`encode`]); a stream of rows that
//! are sorted already becomes files of a given size ([`SortedFiles`]). CPU work: runs off the polling thread.

mod chunk;
mod hybrid;
mod names;
mod plain;
mod statistics;

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::kernels::partition::partition;
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use bytes::Bytes;
use deltalake::kernel::Add;
use parquet::arrow::arrow_writer::{
    ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
    WriterVersion,
};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use super::order::order;
use super::reach::Reach;
use crate::event::Stream;
use crate::table::{
    BLOOM_COLUMNS, HASH_COLUMNS, NAME_COLUMNS, PARTITION_COLUMN, PLAIN_COLUMNS, REPEATED_COLUMNS,
    UNRANGED_COLUMNS, sort_columns,
};
use chunk::Pages;
use names::Names;
use plain::Plain;
pub use statistics::Statistics;

/// A Parquet file that is in no table yet.
pub struct DataFile {
    pub bytes: Bytes,
    /// What the commit says of it; the path is relative to the table.
    pub add: Add,
}

/// A file holds one row group up to this many rows.
const ROW_GROUP_ROWS: usize = 1_048_576;

/// Data pages of this size are compressed in a core's cache, and a look-up of a few rows reads little more than them.
const PAGE_BYTES: usize = 256 * 1024;

/// Up to this size a column's values are in a dictionary, in a sorted file.
const DICTIONARY_BYTES: usize = 16 * 1024 * 1024;

/// Higher levels save little of what the files of `maintain` take, and cost a multiple.
const ZSTD_LEVEL: i32 = 1;

/// Sorts the rows by date and by the stream's sort columns and writes one file a date.
///
/// `modified_at` is the time in the log, milliseconds since the epoch.
pub fn encode(stream: Stream, rows: &RecordBatch, modified_at: i64) -> Result<Vec<DataFile>> {
    let sorted = sort(stream, rows)?;
    let dates = sorted
        .column_by_name(PARTITION_COLUMN)
        .context("every table has the partition column")?;
    let ranges = partition(std::slice::from_ref(dates))?.ranges();
    let without_date = sorted.project(&file_columns(&sorted.schema()))?;
    let dates = dates.as_primitive::<Date32Type>();
    let mut files = Vec::with_capacity(ranges.len());
    for range in ranges {
        let rows = without_date.slice(range.start, range.len());
        let date = Date32Type::to_naive_date_opt(dates.value(range.start))
            .context("a date within the calendar")?
            .to_string();
        let bytes = Bytes::from(write(stream, &rows)?);
        let mut told = Told::default();
        told.add(stream, &rows)?;
        let name = format!("part-{}", Uuid::new_v4());
        let add = add(&date, &name, &told, bytes.len(), modified_at)?;
        files.push(DataFile { bytes, add });
    }
    Ok(files)
}

/// Returns the columns a file holds: all but the partition column, which is in the path.
fn file_columns(schema: &SchemaRef) -> Vec<usize> {
    (0..schema.fields().len())
        .filter(|&index| schema.field(index).name() != PARTITION_COLUMN)
        .collect()
}

/// Returns the columns that decide the order of rows within a date: ascending, nulls before values.
pub fn order_columns(stream: Stream) -> impl Iterator<Item = &'static str> {
    let position = ["topic", "partition", "offset", "record_index"];
    sort_columns(stream).iter().copied().chain(position)
}

fn sort(stream: Stream, rows: &RecordBatch) -> Result<RecordBatch> {
    let keys: Vec<ArrayRef> = std::iter::once(PARTITION_COLUMN)
        .chain(order_columns(stream))
        .map(|name| Arc::clone(&rows[name]))
        .collect();
    let order = order(&keys)?;
    let in_order = |column: &ArrayRef| match column.null_count() == column.len() {
        // Most columns of a batch are empty.
        true => Ok(Arc::clone(column)),
        false => take(column, &order, None),
    };
    let columns = rows
        .columns()
        .iter()
        .map(in_order)
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

/// Writes one file, a column after the other, each of which is one leaf: so only one column's encoder and compressor are
/// in memory, and in cache.
fn write(stream: Stream, rows: &RecordBatch) -> Result<Vec<u8>> {
    let schema = rows.schema();
    let leaves = ArrowSchemaConverter::new().convert(&schema)?;
    let mut properties = writer_properties(stream, &schema, rows.num_rows());
    for (index, column) in rows.columns().iter().enumerate() {
        if is_hardly_compressed(schema.field(index)) || column.null_count() == column.len() {
            let path = leaves.column(index).path().clone();
            properties = properties.set_column_compression(path, Compression::UNCOMPRESSED);
        }
    }
    let properties = Arc::new(properties.build());
    let mut file = file_writer(Vec::new(), &schema, &properties)?;
    let mut pages = Pages::new()?;
    for first in (0..rows.num_rows()).step_by(ROW_GROUP_ROWS) {
        let count = ROW_GROUP_ROWS.min(rows.num_rows() - first);
        let mut group = file.next_row_group()?;
        for (index, column) in rows.columns().iter().enumerate() {
            let leaf = leaves.column(index);
            let values = column.slice(first, count);
            if let Some(names) = Names::of(&values, &leaf, &properties) {
                names.write(leaf, &properties, &mut pages, &mut group)?;
            } else if let Some(plain) = Plain::of(&values, &leaf, &properties) {
                plain.write(leaf, &properties, &mut pages, &mut group)?;
            } else {
                let alone = Arc::new(schema.project(&[index])?);
                write_column(&alone, &values, &properties, &mut group)?;
            }
        }
        group.close()?;
    }
    Ok(file.into_inner()?)
}

/// Writes the next column of a row group: the only one of the schema `alone`.
fn write_column(
    alone: &SchemaRef,
    column: &ArrayRef,
    properties: &WriterPropertiesPtr,
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
) -> Result<()> {
    let file = file_writer(std::io::sink(), alone, properties)?;
    let writers = ArrowRowGroupWriterFactory::new(&file, Arc::clone(alone));
    let leaves = compute_leaves(alone.field(0), column)?;
    let writers = writers.create_column_writers(0)?;
    for (leaf, mut writer) in leaves.iter().zip(writers) {
        writer.write(leaf)?;
        writer.close()?.append_to_row_group(group)?;
    }
    Ok(())
}

/// Returns a writer for rows of this schema. The Arrow schema is left out of the file: it would tell readers to make
/// string views, and the Parquet schema says all there is.
fn file_writer<W: Write + Send>(
    sink: W,
    schema: &Schema,
    properties: &WriterPropertiesPtr,
) -> Result<SerializedFileWriter<W>> {
    let parquet = ArrowSchemaConverter::new().convert(schema)?;
    Ok(SerializedFileWriter::new(
        sink,
        parquet.root_schema_ptr(),
        Arc::clone(properties),
    )?)
}

/// Opens a file in memory that will hold about `rows` rows.
fn writer(stream: Stream, schema: SchemaRef, rows: usize) -> Result<ArrowWriter<Vec<u8>>> {
    let mut properties = writer_properties(stream, &schema, rows);
    for name in REPEATED_COLUMNS {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), true)
            .set_column_dictionary_page_size_limit(column, DICTIONARY_BYTES);
    }
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        // The Arrow schema would tell readers to make string views; the Parquet schema says all there is.
        .with_skip_arrow_metadata(true);
    Ok(ArrowWriter::try_new_with_options(
        Vec::new(),
        schema,
        options,
    )?)
}

fn writer_properties(stream: Stream, schema: &SchemaRef, rows: usize) -> WriterPropertiesBuilder {
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).expect("zstd has this level");
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("tapetrail ", env!("CARGO_PKG_VERSION")).to_string());
    for name in sort_columns(stream) {
        let column = ColumnPath::from(*name);
        properties = properties.set_column_statistics_enabled(column, EnabledStatistics::Page);
    }
    for name in PLAIN_COLUMNS {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    for name in UNRANGED_COLUMNS {
        let column = ColumnPath::from(name);
        properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    for name in BLOOM_COLUMNS {
        if schema.column_with_name(name).is_some() {
            let column = ColumnPath::from(name);
            // Without a bound a filter is made for a million values.
            properties = properties
                .set_column_bloom_filter_enabled(column.clone(), true)
                .set_column_bloom_filter_max_ndv(column, rows.min(ROW_GROUP_ROWS) as u64);
        }
    }
    properties
}

/// Says whether compressing a column of a few thousand rows costs more time than it is worth: one that takes a few
/// bits a row, and one of instants or hashes, which have little that comes again. Compaction compresses all.
fn is_hardly_compressed(field: &Field) -> bool {
    match field.data_type() {
        DataType::Boolean | DataType::Int32 | DataType::Timestamp(..) => true,
        _ => {
            let mut columns = NAME_COLUMNS.iter().chain(&HASH_COLUMNS);
            columns.any(|name| name == field.name())
        }
    }
}

/// What the commit of a file tells of its rows.
#[derive(Debug, Default)]
struct Told {
    statistics: Statistics,
    reach: Reach,
}

impl Told {
    /// Takes in further rows of the file.
    fn add(&mut self, stream: Stream, rows: &RecordBatch) -> Result<()> {
        self.statistics.add(rows);
        self.reach.add(stream, rows)
    }
}

/// Returns what a commit says of a file that is named `name`.
fn add(date: &str, name: &str, told: &Told, bytes: usize, modified_at: i64) -> Result<Add> {
    Ok(Add {
        path: format!("{PARTITION_COLUMN}={date}/{name}.parquet"),
        partition_values: HashMap::from([(PARTITION_COLUMN.to_string(), Some(date.to_string()))]),
        size: bytes as i64,
        modification_time: modified_at,
        data_change: true,
        stats: Some(told.statistics.to_json().to_string()),
        tags: Some(told.reach.to_tags()?),
        ..Add::default()
    })
}

/// Files of one date made of rows that come in their order, a batch at a time. Together they are a *run*: no two of
/// them overlap, and their names tell that they belong together.
pub struct SortedFiles {
    stream: Stream,
    date: String,
    run: Uuid,
    /// Bytes at which a file is closed.
    file_bytes: usize,
    rows_expected: usize,
    modified_at: i64,
    open: Option<OpenFile>,
    files: usize,
}

struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    told: Told,
}

/// How the name of a file begins that is part of a run.
const RUN_PREFIX: &str = "sorted-";

impl SortedFiles {
    /// `modified_at` is the time in the log, milliseconds since the epoch.
    pub fn new(
        stream: Stream,
        date: &str,
        rows_expected: usize,
        file_bytes: usize,
        modified_at: i64,
    ) -> Self {
        SortedFiles {
            stream,
            date: date.to_string(),
            run: Uuid::new_v4(),
            file_bytes,
            rows_expected,
            modified_at,
            open: None,
            files: 0,
        }
    }

    /// Appends the next rows, of all columns of the table; returns a file when one is full.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<Option<DataFile>> {
        let rows = rows.project(&file_columns(&rows.schema()))?;
        if self.open.is_none() {
            self.open = Some(OpenFile {
                writer: writer(self.stream, rows.schema(), self.rows_expected)?,
                told: Told::default(),
            });
        }
        let open = self.open.as_mut().expect("was opened above");
        open.writer.write(&rows)?;
        open.told.add(self.stream, &rows)?;
        match open.writer.bytes_written() + open.writer.in_progress_size() >= self.file_bytes {
            true => self.finish(),
            false => Ok(None),
        }
    }

    /// Returns the last file, if there is one.
    pub fn finish(&mut self) -> Result<Option<DataFile>> {
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        let bytes = Bytes::from(open.writer.into_inner()?);
        self.files += 1;
        let name = format!("{RUN_PREFIX}{}-{:05}", self.run.simple(), self.files);
        let add = add(&self.date, &name, &open.told, bytes.len(), self.modified_at)?;
        Ok(Some(DataFile { bytes, add }))
    }
}

/// Returns the name of the run that a file of a table belongs to; none for a file that is a run by itself.
pub fn run_of(path: &str) -> Option<&str> {
    let (_, name) = path.rsplit_once('/')?;
    let (run, _) = name.strip_prefix(RUN_PREFIX)?.rsplit_once('-')?;
    Some(run)
}
