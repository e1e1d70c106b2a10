//! A batch of rows -> sorted Parquet files, one for each date. CPU work: runs off the polling thread.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::kernels::partition::partition;
use arrow::compute::take;
use arrow::datatypes::{
    DataType, Date32Type, Field, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use deltalake::kernel::Add;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::order::order;
use crate::event::Stream;
use crate::table::{
    BLOOM_COLUMNS, PARTITION_COLUMN, PLAIN_COLUMNS, UNRANGED_COLUMNS, sort_columns,
};

/// A Parquet file that is in no table yet.
pub struct DataFile {
    pub bytes: Bytes,
    /// What the commit says of it; the path is relative to the table.
    pub add: Add,
}

/// Columns whose least and greatest value every file tells in the log, so that queries can skip it.
const STATISTICS_COLUMNS: [&str; 13] = [
    "disposition",
    "topic",
    "partition",
    "offset",
    "record_index",
    "source_id",
    "occurred_at",
    "received_at",
    "app_id",
    "cname",
    "sid",
    "requested_at",
    "replay_of",
];

/// Texts in the log's statistics are cut to this many characters, as other engines do.
const STATISTICS_TEXT_CHARS: usize = 32;

/// A file holds one row group up to this many rows.
const ROW_GROUP_ROWS: usize = 1_048_576;

/// Data pages of this size are compressed in a core's cache, and a look-up of a few rows reads little more than them.
const PAGE_BYTES: usize = 256 * 1024;

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
        let add = add(&date, &rows, bytes.len(), modified_at);
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

fn sort(stream: Stream, rows: &RecordBatch) -> Result<RecordBatch> {
    let keys: Vec<ArrayRef> = std::iter::once(&PARTITION_COLUMN)
        .chain(sort_columns(stream))
        .chain(&["topic", "partition", "offset", "record_index"])
        .map(|name| Arc::clone(&rows[*name]))
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

/// Writes one file, a column after the other: so only one column's encoder and compressor are in memory, and in cache.
fn write(stream: Stream, rows: &RecordBatch) -> Result<Vec<u8>> {
    let schema = rows.schema();
    let properties = Arc::new(writer_properties(stream, rows));
    let mut file = file_writer(Vec::new(), &schema, &properties)?;
    for first in (0..rows.num_rows()).step_by(ROW_GROUP_ROWS) {
        let count = ROW_GROUP_ROWS.min(rows.num_rows() - first);
        let mut group = file.next_row_group()?;
        for (index, column) in rows.columns().iter().enumerate() {
            let field = schema.field(index);
            let alone = Arc::new(schema.project(&[index])?);
            let writers = ArrowRowGroupWriterFactory::new(
                &file_writer(std::io::sink(), &alone, &properties)?,
                alone,
            );
            let leaves = compute_leaves(field, &column.slice(first, count))?;
            let writers = writers.create_column_writers(0)?;
            for (leaf, mut writer) in leaves.iter().zip(writers) {
                writer.write(leaf)?;
                writer.close()?.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
    }
    Ok(file.into_inner()?)
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

fn writer_properties(stream: Stream, rows: &RecordBatch) -> WriterProperties {
    let zstd = ZstdLevel::try_new(1).expect("zstd has a level 1");
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
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if is_constant(column) {
            // One value takes a few bytes: compressed it would take more, and a compressor costs time to make.
            let path = leaf_path(field);
            properties = properties.set_column_compression(path, Compression::UNCOMPRESSED);
        }
    }
    for name in BLOOM_COLUMNS {
        if rows.schema().column_with_name(name).is_some() {
            let column = ColumnPath::from(name);
            // Without a bound a filter is made for a million values.
            properties = properties
                .set_column_bloom_filter_enabled(column.clone(), true)
                .set_column_bloom_filter_max_ndv(column, rows.num_rows() as u64);
        }
    }
    properties.build()
}

/// Returns where a column's values are in the file.
fn leaf_path(field: &Field) -> ColumnPath {
    match field.data_type() {
        DataType::List(_) => ColumnPath::from(vec![
            field.name().clone(),
            "list".to_string(),
            "item".to_string(),
        ]),
        _ => ColumnPath::from(field.name().as_str()),
    }
}

/// Says whether all rows have the same value, or none.
fn is_constant(column: &ArrayRef) -> bool {
    if column.null_count() > 0 || column.is_empty() {
        return column.null_count() == column.len();
    }
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            let first = texts.value(0);
            (1..texts.len()).all(|row| texts.value(row) == first)
        }
        DataType::Int32 => is_repeated(column.as_primitive::<Int32Type>().values()),
        DataType::Int64 => is_repeated(column.as_primitive::<Int64Type>().values()),
        _ => false,
    }
}

fn is_repeated<T: PartialEq>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

fn add(date: &str, rows: &RecordBatch, bytes: usize, modified_at: i64) -> Add {
    Add {
        path: format!("{PARTITION_COLUMN}={date}/part-{}.parquet", Uuid::new_v4()),
        partition_values: HashMap::from([(PARTITION_COLUMN.to_string(), Some(date.to_string()))]),
        size: bytes as i64,
        modification_time: modified_at,
        data_change: true,
        stats: Some(statistics(rows).to_string()),
        ..Add::default()
    }
}

/// Returns a file's statistics in the form of the Delta protocol ("Per-file Statistics").
pub fn statistics(rows: &RecordBatch) -> Value {
    let mut least = Map::new();
    let mut greatest = Map::new();
    let mut nulls = Map::new();
    for name in STATISTICS_COLUMNS {
        let Some(column) = rows.column_by_name(name) else {
            continue;
        };
        nulls.insert(name.to_string(), column.null_count().into());
        if let Some((min, max)) = bounds(column) {
            least.insert(name.to_string(), min);
            greatest.insert(name.to_string(), max);
        }
    }
    json!({
        "numRecords": rows.num_rows(),
        "minValues": least,
        "maxValues": greatest,
        "nullCount": nulls,
    })
}

/// Returns a bound below and one above all values, or none where there is no value or no bound.
fn bounds(column: &ArrayRef) -> Option<(Value, Value)> {
    use arrow::compute::{max, max_string_view, min, min_string_view};
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            let least: String = min_string_view(texts)?
                .chars()
                .take(STATISTICS_TEXT_CHARS)
                .collect();
            let greatest = upper_text_bound(max_string_view(texts)?)?;
            Some((least.into(), greatest.into()))
        }
        DataType::Int32 => {
            let numbers = column.as_primitive::<Int32Type>();
            Some((min(numbers)?.into(), max(numbers)?.into()))
        }
        DataType::Int64 => {
            let numbers = column.as_primitive::<Int64Type>();
            Some((min(numbers)?.into(), max(numbers)?.into()))
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            let text = |micros| {
                let at = DateTime::from_timestamp_micros(micros)?;
                Some(Value::from(at.to_rfc3339_opts(SecondsFormat::Micros, true)))
            };
            Some((text(min(times)?)?, text(max(times)?)?))
        }
        _ => None,
    }
}

/// Returns a short text that is not less than `text`, or none when there is no such text.
fn upper_text_bound(text: &str) -> Option<String> {
    if text.chars().count() <= STATISTICS_TEXT_CHARS {
        return Some(text.to_string());
    }
    // The greatest character after the cut keeps the bound above everything that was cut off.
    let mut bound: String = text.chars().take(STATISTICS_TEXT_CHARS).collect();
    bound.push(char::MAX);
    Some(bound)
}
