//! Rows -> text on stdout. One file a format; the only room that writes to stdout.
//!
//! A renderer takes batches as they come. JSON and CSV go straight out; a table has to see its rows first
//! and therefore holds a bounded number of them.

mod cells;
mod csv;
mod json;
mod markdown;
mod output;
mod table;

use anyhow::Result;
use arrow::record_batch::RecordBatch;

pub use csv::CsvRenderer;
pub use json::JsonRenderer;
pub use markdown::MarkdownRenderer;
pub use output::{Output, terminal_width};
pub use table::{TableRenderer, wrapped};

/// Writes rows in one format.
pub trait Render {
    /// Takes the next rows; all batches have one schema.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Says whether more rows would change nothing, so that a query can be stopped.
    fn is_full(&self) -> bool {
        false
    }

    /// Writes what is left, and the end.
    fn finish(self: Box<Self>) -> Result<Rendered>;
}

/// What became of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendered {
    /// Rows written.
    pub rows: usize,
    /// There were more rows than the renderer was asked for.
    pub is_cut: bool,
}

#[cfg(test)]
mod tests;
