//! CSV with a header line. Lists become text, items separated by a comma and a space; null is an empty field.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, StringArray};
use arrow::csv::{Writer, WriterBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::cells::texts;
use super::{Render, Rendered};

/// Writes CSV as rows come.
pub struct CsvRenderer<W: Write> {
    writer: Writer<W>,
    schema: SchemaRef,
    rows: usize,
}

impl<W: Write> CsvRenderer<W> {
    pub fn new(out: W, schema: &Schema) -> Self {
        let as_text = |name: &String| Field::new(name, DataType::Utf8, true);
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| as_text(field.name()))
            .collect();
        CsvRenderer {
            writer: WriterBuilder::new().with_header(true).build(out),
            schema: Arc::new(Schema::new(fields)),
            rows: 0,
        }
    }
}

impl<W: Write> Render for CsvRenderer<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        let columns = batch
            .columns()
            .iter()
            .map(|column| Ok(Arc::new(StringArray::from(texts(column)?)) as ArrayRef))
            .collect::<Result<Vec<_>>>()?;
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        Ok(self.writer.write(&batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Rendered> {
        // The header comes with the first batch, so that no rows is a header, too.
        self.writer
            .write(&RecordBatch::new_empty(Arc::clone(&self.schema)))?;
        self.writer.into_inner().flush()?;
        Ok(Rendered {
            rows: self.rows,
            is_cut: false,
        })
    }
}
