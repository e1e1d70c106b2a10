//! A table for people: columns as wide as they need, narrowed to the terminal by wrapping; where that would
//! be unreadable, one block a row with one line a column.

use std::io::Write;

use anyhow::Result;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::cells::{char_width, is_number, printable, texts, width};
use super::{Render, Rendered};

/// Between two columns.
const GAP: &str = "  ";
/// A column is wrapped to no less than this many characters.
const COLUMN_WIDTH_MIN: usize = 14;
/// Text of a block is wrapped to no less than this.
const BLOCK_TEXT_WIDTH_MIN: usize = 20;

/// Gathers rows, then writes them as a table.
pub struct TableRenderer<W: Write> {
    out: W,
    schema: SchemaRef,
    /// Columns of the terminal; none for as wide as it takes.
    width_max: Option<usize>,
    rows_max: usize,
    rows: Vec<Vec<Option<String>>>,
    rows_taken: usize,
}

impl<W: Write> TableRenderer<W> {
    pub fn new(out: W, schema: SchemaRef, width_max: Option<usize>, rows_max: usize) -> Self {
        TableRenderer {
            out,
            schema,
            width_max,
            rows_max,
            rows: Vec::new(),
            rows_taken: 0,
        }
    }

    fn write_columns(&mut self, widths: &[usize]) -> Result<()> {
        let names: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let is_number: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|field| is_number(field.data_type()))
            .collect();
        let header: Vec<_> = names.iter().map(|name| Some(name.clone())).collect();
        write_row(&mut self.out, &header, widths, &is_number)?;
        let rule: Vec<_> = widths.iter().map(|width| "─".repeat(*width)).collect();
        writeln!(self.out, "{}", rule.join(GAP))?;
        for row in &self.rows {
            write_row(&mut self.out, row, widths, &is_number)?;
        }
        Ok(())
    }

    /// Writes each row as a block; columns that are null are left out of it.
    fn write_blocks(&mut self) -> Result<()> {
        let names: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let name_width = names.iter().map(|name| width(name)).max().unwrap_or(0);
        let width_max = self.width_max.unwrap_or(usize::MAX);
        let text_width = width_max
            .saturating_sub(name_width + GAP.len())
            .max(BLOCK_TEXT_WIDTH_MIN);
        let rule = "─".repeat(width_max.min(60).saturating_sub(4));
        for (index, row) in self.rows.iter().enumerate() {
            let number = (index + 1).to_string();
            let rule: String = rule.chars().skip(number.len()).collect();
            writeln!(self.out, "── {number} {rule}")?;
            for (name, text) in names.iter().zip(row) {
                let Some(text) = text else { continue };
                for (line, text) in wrapped(text, text_width).into_iter().enumerate() {
                    let name = if line == 0 { *name } else { "" };
                    writeln!(self.out, "{name:name_width$}{GAP}{text}")?;
                }
            }
        }
        Ok(())
    }
}

impl<W: Write> Render for TableRenderer<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows_taken += batch.num_rows();
        let wanted = batch.num_rows().min(self.rows_max - self.rows.len());
        let batch = batch.slice(0, wanted);
        let columns = batch
            .columns()
            .iter()
            .map(texts)
            .collect::<Result<Vec<_>>>()?;
        self.rows.extend((0..wanted).map(|row| {
            let cells = columns
                .iter()
                .map(|column| column[row].as_deref().map(printable));
            cells.collect()
        }));
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows_taken > self.rows_max
    }

    fn finish(mut self: Box<Self>) -> Result<Rendered> {
        let mut natural: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|field| width(field.name()))
            .collect();
        for row in &self.rows {
            for (widest, text) in natural.iter_mut().zip(row) {
                let lines = text.as_deref().unwrap_or("").lines();
                *widest = lines.map(width).max().unwrap_or(0).max(*widest);
            }
        }
        match fit(&natural, self.width_max) {
            Some(widths) => self.write_columns(&widths)?,
            None => self.write_blocks()?,
        }
        self.out.flush()?;
        Ok(Rendered {
            rows: self.rows.len(),
            is_cut: self.is_full(),
        })
    }
}

/// Returns the widths of the columns, the widest narrowed first until all fit; none where they cannot.
fn fit(natural: &[usize], width_max: Option<usize>) -> Option<Vec<usize>> {
    let Some(width_max) = width_max else {
        return Some(natural.to_vec());
    };
    let gaps = GAP.len() * natural.len().saturating_sub(1);
    let available = width_max.checked_sub(gaps)?;
    let widths_at = |cap: usize| natural.iter().map(move |width| (*width).min(cap));
    let widest = natural.iter().copied().max().unwrap_or(0);
    (COLUMN_WIDTH_MIN..=widest.max(COLUMN_WIDTH_MIN))
        .rev()
        .find(|cap| widths_at(*cap).sum::<usize>() <= available)
        .map(|cap| widths_at(cap).collect())
}

/// Writes one row on as many lines as its tallest cell needs.
fn write_row(
    out: &mut impl Write,
    row: &[Option<String>],
    widths: &[usize],
    is_number: &[bool],
) -> Result<()> {
    let cells: Vec<Vec<String>> = row
        .iter()
        .zip(widths)
        .map(|(text, width)| wrapped(text.as_deref().unwrap_or(""), *width))
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let mut text = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let part = cell.get(line).map_or("", String::as_str);
            let padding = " ".repeat(widths[column].saturating_sub(width(part)));
            match is_number[column] {
                true => text.extend([&padding, part, GAP]),
                false => text.extend([part, &padding, GAP]),
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Breaks a text into lines of at most `width_max`, after a space where there is one.
pub fn wrapped(text: &str, width_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut rest = paragraph;
        loop {
            let end = end_of_line(rest, width_max);
            lines.push(rest[..end].trim_end().to_string());
            rest = rest[end..].trim_start();
            if rest.is_empty() {
                break;
            }
        }
    }
    lines
}

/// Returns where the first line of a text ends, in bytes.
fn end_of_line(text: &str, width_max: usize) -> usize {
    let mut taken = 0;
    let mut after_space = None;
    for (at, c) in text.char_indices() {
        taken += char_width(c);
        if taken > width_max {
            // At least one character a line, or a narrow column would never end.
            let one = text.chars().next().map_or(0, char::len_utf8);
            return after_space.unwrap_or(at).max(one);
        }
        if c == ' ' {
            after_space = Some(at + 1);
        }
    }
    text.len()
}
