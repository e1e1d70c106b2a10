//! Rows of `check` on stdout, as they come: a stream that never ends is judged while it runs.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use crate::schema::Problem;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// The message breaks the contract.
    Error,
    /// The message fits, and detections cannot use it in full.
    Warning,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    file: &'a str,
    line: u64,
    level: Level,
    path: &'a str,
    problem: &'a str,
    cure: &'a str,
}

impl<'a> Row<'a> {
    pub(super) fn new(file: &'a str, line: u64, level: Level, problem: &'a Problem) -> Self {
        Row {
            file,
            line,
            level,
            path: &problem.path,
            problem: &problem.problem,
            cure: &problem.cure,
        }
    }

    const NAMES: [&'static str; 6] = ["file", "line", "level", "path", "problem", "cure"];

    fn cells(&self) -> [String; 6] {
        let line = self.line.to_string();
        [
            self.file,
            &line,
            self.level.as_str(),
            self.path,
            self.problem,
            self.cure,
        ]
        .map(str::to_string)
    }
}

pub(super) struct Printer<W> {
    out: W,
    format: Format,
    /// 0: no bound.
    rows_max: usize,
    printed: usize,
    left_out: u64,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, format: Format, rows_max: usize) -> Self {
        Printer {
            out,
            format,
            rows_max,
            printed: 0,
            left_out: 0,
        }
    }

    /// Returns how many rows were not printed because there were too many.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(super) fn print(&mut self, row: &Row<'_>) -> io::Result<()> {
        if self.rows_max > 0 && self.printed == self.rows_max {
            self.left_out += 1;
            return Ok(());
        }
        if self.printed == 0 {
            self.header()?;
        }
        let is_first = self.printed == 0;
        self.printed += 1;
        let out = &mut self.out;
        match self.format {
            // Sentences do not fit into columns: a block for each row, as compilers do it.
            Format::Table => {
                let at = if row.path.is_empty() { "" } else { " at " };
                let (file, line, level) = (row.file, row.line, row.level.as_str());
                writeln!(
                    out,
                    "{file}:{line}: {level}{at}{}: {}",
                    row.path, row.problem
                )?;
                writeln!(out, "    change: {}", row.cure)
            }
            Format::Json => {
                write!(out, "{}", if is_first { "[\n" } else { ",\n" })?;
                serde_json::to_writer(out, row).map_err(io::Error::from)
            }
            Format::Ndjson => {
                serde_json::to_writer(&mut *out, row).map_err(io::Error::from)?;
                writeln!(out)
            }
            Format::Csv => {
                let cells = row
                    .cells()
                    .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
                writeln!(out, "{}", cells.join(","))
            }
            Format::Markdown => {
                let cells = row.cells().map(|cell| cell.replace('|', "\\|"));
                writeln!(out, "| {} |", cells.join(" | "))
            }
        }
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.printed == 0 {
            self.header()?;
        }
        match self.format {
            Format::Json if self.printed == 0 => writeln!(self.out, "[]")?,
            Format::Json => writeln!(self.out, "\n]")?,
            _ => {}
        }
        self.out.flush()
    }

    fn header(&mut self) -> io::Result<()> {
        match self.format {
            Format::Csv => writeln!(self.out, "{}", Row::NAMES.join(",")),
            Format::Markdown => {
                writeln!(self.out, "| {} |", Row::NAMES.join(" | "))?;
                writeln!(self.out, "|{}", "---|".repeat(Row::NAMES.len()))
            }
            _ => Ok(()),
        }
    }
}
