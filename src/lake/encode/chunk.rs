//! A column chunk whose pages we write ourselves: its pages, its bytes, and what the file tells of it.

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

/// The pages of a chunk so far.
pub(super) struct Chunk {
    out: TrackedWrite<Vec<u8>>,
    dictionary_offset: Option<i64>,
    pages: Vec<PageLocation>,
    /// Of the pages with data: how their values are written.
    encoding: Encoding,
    rows: usize,
    uncompressed_bytes: usize,
}

impl Chunk {
    /// Begins a chunk whose values are written in `encoding`.
    pub fn new(encoding: Encoding) -> Self {
        Chunk {
            out: TrackedWrite::new(Vec::new()),
            dictionary_offset: None,
            pages: Vec::new(),
            encoding,
            rows: 0,
            uncompressed_bytes: 0,
        }
    }

    /// Appends the dictionary, which comes before all data.
    pub fn push_dictionary(&mut self, values: Bytes, count: u32) -> Result<()> {
        let bytes = values.len();
        let page = Page::DictionaryPage {
            buf: values,
            num_values: count,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let location = self.push(page, bytes)?;
        self.dictionary_offset = Some(location.offset);
        Ok(())
    }

    /// Appends the page of the next rows, which takes `uncompressed_bytes` when it is not compressed.
    pub fn push_data(&mut self, page: Bytes, rows: usize, uncompressed_bytes: usize) -> Result<()> {
        let page = Page::DataPage {
            buf: page,
            num_values: u32::try_from(rows).context("a row group has fewer rows")?,
            encoding: self.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let location = self.push(page, uncompressed_bytes)?;
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
        compression: Compression,
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
            .set_compression(compression)
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

/// Says whether a chunk of ours has all that the properties ask of a column: it has no bloom filter and no
/// statistics of pages.
pub(super) fn is_enough(column: &ColumnDescPtr, properties: &WriterProperties) -> bool {
    let path = column.path();
    properties.bloom_filter_properties(path).is_none()
        && properties.statistics_enabled(path) != EnabledStatistics::Page
}

/// Appends the header of a run: twice its length, seven bits a byte, the lowest first. With the lowest bit set it is
/// of groups of eight values that follow, without it of one value (Parquet format, "Run Length Encoding /
/// Bit-Packing Hybrid").
fn push_header(mut header: u64, out: &mut Vec<u8>) {
    while header > 0x7F {
        out.push(header as u8 | 0x80);
        header >>= 7;
    }
    out.push(header as u8);
}

/// Appends the header of a run of one value.
pub(super) fn push_run(length: usize, out: &mut Vec<u8>) {
    push_header((length as u64) << 1, out);
}

/// Appends the header of so many groups of eight values.
pub(super) fn push_groups(groups: usize, out: &mut Vec<u8>) {
    push_header((groups as u64) << 1 | 1, out);
}
