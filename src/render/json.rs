//! JSON: one array of objects, or one object a line. Nulls are written, so that every row has every key.

use std::io::Write;

use anyhow::Result;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited, Writer, WriterBuilder};
use arrow::record_batch::RecordBatch;

use super::{Render, Rendered};

/// Writes JSON as rows come.
pub struct JsonRenderer<W: Write, F: JsonFormat> {
    writer: Writer<W, F>,
    rows: usize,
}

impl<W: Write> JsonRenderer<W, JsonArray> {
    /// One array of objects.
    pub fn array(out: W) -> Self {
        JsonRenderer::new(out)
    }
}

impl<W: Write> JsonRenderer<W, LineDelimited> {
    /// One object a line.
    pub fn lines(out: W) -> Self {
        JsonRenderer::new(out)
    }
}

impl<W: Write, F: JsonFormat> JsonRenderer<W, F> {
    fn new(out: W) -> Self {
        JsonRenderer {
            writer: WriterBuilder::new().with_explicit_nulls(true).build(out),
            rows: 0,
        }
    }
}

impl<W: Write, F: JsonFormat> Render for JsonRenderer<W, F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Rendered> {
        self.writer.finish()?;
        let mut out = self.writer.into_inner();
        if F::default().ends_without_newline() {
            writeln!(out)?;
        }
        out.flush()?;
        Ok(Rendered {
            rows: self.rows,
            is_cut: false,
        })
    }
}

/// Says whether a format leaves the last line open.
trait EndsWithoutNewline {
    fn ends_without_newline(&self) -> bool;
}

impl<F: JsonFormat> EndsWithoutNewline for F {
    fn ends_without_newline(&self) -> bool {
        let mut end = Vec::new();
        // Writing to memory cannot fail.
        let _ = self.end_row(&mut end);
        !end.ends_with(b"\n")
    }
}
