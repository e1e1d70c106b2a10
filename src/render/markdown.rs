//! A GitHub-flavored markdown table, for tickets and chat.

use std::io::Write;

use anyhow::Result;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::cells::{is_number, printable, texts};
use super::{Render, Rendered};

/// Writes markdown as rows come.
pub struct MarkdownRenderer<W: Write> {
    out: W,
    rows: usize,
}

impl<W: Write> MarkdownRenderer<W> {
    pub fn new(mut out: W, schema: &Schema) -> Result<Self> {
        let names: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| escape(field.name()))
            .collect();
        writeln!(out, "| {} |", names.join(" | "))?;
        let rules: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| {
                if is_number(field.data_type()) {
                    "---:"
                } else {
                    "---"
                }
            })
            .collect();
        writeln!(out, "| {} |", rules.join(" | "))?;
        Ok(MarkdownRenderer { out, rows: 0 })
    }
}

impl<W: Write> Render for MarkdownRenderer<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch
            .columns()
            .iter()
            .map(texts)
            .collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = columns
                .iter()
                .map(|column| column[row].as_deref().map_or(String::new(), escape))
                .collect();
            writeln!(self.out, "| {} |", cells.join(" | "))?;
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Rendered> {
        self.out.flush()?;
        Ok(Rendered {
            rows: self.rows,
            is_cut: false,
        })
    }
}

/// Keeps a value inside its cell, and from being read as markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '\n' => escaped.push_str("<br>"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}
