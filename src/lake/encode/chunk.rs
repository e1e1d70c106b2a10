//! A column chunk whose pages we write ourselves: its pages, its bytes, and what the file tells of it. All columns of
//! a file share one compressor ([`Pages`]): Parquet's writer makes one, and a decompressor, for each column, which takes
//! longer than compressing a small one.

use anyhow::{Context, Result};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::ZSTD_LEVEL;

/// What the columns of a file are written with, one after the other.
pub(super) struct Pages {
    compressor: Compressor<'static>,
    /// The page in hand.
    pub page: Vec<u8>,
    compressed: Vec<u8>,
}

impl Pages {
    pub fn new() -> Result<Self> {
        Ok(Pages {
            compressor: Compressor::new(ZSTD_LEVEL)?,
            page: Vec::new(),
            compressed: Vec::new(),
        })
    }

    /// Returns the page in hand as it is written.
    fn packed(&mut self, compression: Compression) -> Result<Bytes> {
        if compression == Compression::UNCOMPRESSED {
            return Ok(Bytes::copy_from_slice(&self.page));
        }
        self.compressed.clear();
        self.compressed.reserve(compress_bound(self.page.len()));
        self.compressor
            .compress_to_buffer(&self.page, &mut self.compressed)?;
        Ok(Bytes::copy_from_slice(&self.compressed))
    }
}

/// The pages of a chunk so far.
pub(super) struct Chunk {
    out: TrackedWrite<Vec<u8>>,
    dictionary_offset: Option<i64>,
    pages: Vec<PageLocation>,
    /// Of the pages with data: how their values are written.
    encoding: Encoding,
    compression: Compression,
    rows: usize,
    uncompressed_bytes: usize,
}

impl Chunk {
    /// Begins a chunk whose values are written in `encoding`.
    pub fn new(encoding: Encoding, compression: Compression) -> Self {
        Chunk {
            out: TrackedWrite::new(Vec::new()),
            dictionary_offset: None,
            pages: Vec::new(),
            encoding,
            compression,
            rows: 0,
            uncompressed_bytes: 0,
        }
    }

    /// Appends the dictionary in hand, which comes before all data.
    pub fn push_dictionary(&mut self, pages: &mut Pages, values: usize) -> Result<()> {
        let page = Page::DictionaryPage {
            buf: pages.packed(self.compression)?,
            num_values: u32::try_from(values)?,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let location = self.push(page, pages.page.len())?;
        self.dictionary_offset = Some(location.offset);
        Ok(())
    }

    /// Appends the page in hand, which is of the next `rows` rows.
    pub fn push_data(&mut self, pages: &mut Pages, rows: usize) -> Result<()> {
        let page = Page::DataPage {
            buf: pages.packed(self.compression)?,
            num_values: u32::try_from(rows)?,
            encoding: self.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let location = self.push(page, pages.page.len())?;
        self.pages.push(location);
        self.rows += rows;
        Ok(())
    }

    fn push(&mut self, page: Page, uncompressed_bytes: usize) -> Result<PageLocation> {
        let page = CompressedPage::new(page, uncompressed_bytes);
        let written = SerializedPageWriter::new(&mut self.out).write_page(page)?;
        self.uncompressed_bytes += written.uncompressed_size;
        Ok(PageLocation {
            offset: written.offset as i64,
            compressed_page_size: i32::try_from(written.compressed_size)?,
            first_row_index: self.rows as i64,
        })
    }

    /// Appends the chunk to a row group, as its next column.
    pub fn finish(
        self,
        column: ColumnDescPtr,
        statistics: Option<Statistics>,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<()> {
        let bytes = Bytes::from(self.out.into_inner()?);
        let mut encodings = vec![Encoding::RLE, self.encoding];
        let mut encoding_stats = Vec::new();
        if self.dictionary_offset.is_some() {
            encodings.push(Encoding::PLAIN);
            encoding_stats.push(PageEncodingStats {
                page_type: PageType::DICTIONARY_PAGE,
                encoding: Encoding::PLAIN,
                count: 1,
            });
        }
        encoding_stats.push(PageEncodingStats {
            page_type: PageType::DATA_PAGE,
            encoding: self.encoding,
            count: i32::try_from(self.pages.len())?,
        });
        let first = self.pages.first().context("a chunk has a page with data")?;
        let mut metadata = ColumnChunkMetaData::builder(column)
            .set_compression(self.compression)
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(encoding_stats)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_dictionary_page_offset(self.dictionary_offset)
            .set_data_page_offset(first.offset);
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(OffsetIndexMetaData {
                page_locations: self.pages,
                unencoded_byte_array_data_bytes: None,
            }),
        };
        Ok(group.append_column(&bytes, close)?)
    }
}

/// Says whether a chunk of ours has all that the properties ask of a column: no list, no bloom filter and no
/// statistics of pages.
pub(super) fn is_enough(column: &ColumnDescPtr, properties: &WriterProperties) -> bool {
    let path = column.path();
    column.max_def_level() == 1
        && column.max_rep_level() == 0
        && properties.bloom_filter_properties(path).is_none()
        && properties.statistics_enabled(path) != EnabledStatistics::Page
}

#[cfg(test)]
pub(super) use test_file::{batch_of, file_of};

#[cfg(test)]
mod test_file {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::file::writer::SerializedFileWriter;

    use super::*;

    /// Rows of this column alone, by the name `c`.
    pub fn batch_of(column: &ArrayRef) -> RecordBatch {
        let rows = RecordBatch::try_from_iter_with_nullable([("c", Arc::clone(column), true)]);
        rows.expect("is a batch")
    }

    /// A file of this column alone, whose chunk `write` appends.
    pub fn file_of(
        column: &ArrayRef,
        properties: WriterProperties,
        write: impl FnOnce(
            ColumnDescPtr,
            &WriterProperties,
            &mut Pages,
            &mut SerializedRowGroupWriter<'_, Vec<u8>>,
        ) -> Result<()>,
    ) -> Bytes {
        let schema = ArrowSchemaConverter::new().convert(&batch_of(column).schema());
        let schema = schema.expect("has a form");
        let properties = Arc::new(properties);
        let root = schema.root_schema_ptr();
        let file = SerializedFileWriter::new(Vec::new(), root, Arc::clone(&properties));
        let mut file = file.expect("can be written");
        let mut group = file.next_row_group().expect("begins");
        let mut pages = Pages::new().expect("zstd has memory");
        let written = write(schema.column(0), &properties, &mut pages, &mut group);
        written.expect("is written");
        group.close().expect("is whole");
        Bytes::from(file.into_inner().expect("is whole"))
    }
}
