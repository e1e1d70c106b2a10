//! `check --explain`: what a mapping finds in sample messages of `session_records`, field by field, and why.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};

use super::input::{self, Line, Lines};
use crate::command::{Context, Format, Outcome};
use crate::decode::DecodeContext;
use crate::decode::session_records::{Explained, explain, refused};
use crate::event::Stream;
use crate::redact::Redactor;
use crate::render::{CsvRenderer, JsonRenderer, MarkdownRenderer, Output, Render, TableRenderer};

/// A sample is a few messages; of a whole topic the first tell enough.
const CHANGES_MAX: usize = 20;

/// One change and where it stood.
struct Change<'f> {
    file: &'f str,
    line: u64,
    explained: Vec<Explained>,
}

pub(super) fn run(
    paths: &[PathBuf],
    stream: Option<Stream>,
    format: Format,
    context: &Context,
) -> Result<Outcome> {
    if let Some(stream) = stream.filter(|stream| *stream != Stream::SessionRecords) {
        bail!(
            "--explain shows what a mapping finds, and {stream} needs none: use --stream session_records"
        );
    }
    let stdin = [PathBuf::from("-")];
    let names: Vec<String> = match paths {
        [] => vec!["stdin".to_string()],
        paths => paths
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
    };
    let paths = if paths.is_empty() { &stdin } else { paths };
    let mut changes = Vec::new();
    let mut is_cut = false;
    for (path, name) in paths.iter().zip(&names) {
        let (_, reader) = input::open(path)?;
        let bytes_max = context.config.consume.message_bytes_max.as_u64();
        let mut lines = Lines::new(reader, bytes_max);
        loop {
            let at = lines.count() + 1;
            let line = lines
                .next()
                .with_context(|| format!("cannot read `{name}` after line {}", at - 1))?;
            let text = match line {
                None => break,
                Some(Line::Blank | Line::TooLong) => continue,
                Some(Line::Text(text)) => text,
            };
            if changes.len() >= CHANGES_MAX {
                is_cut = true;
                break;
            }
            changes.extend(
                of_message(text, context)
                    .into_iter()
                    .map(|explained| Change {
                        file: name,
                        line: at,
                        explained,
                    }),
            );
        }
    }
    print(&changes, format)?;
    if is_cut {
        eprintln!("the first {CHANGES_MAX} changes only: a sample tells enough");
    }
    let is_dead = |value: &str| value.starts_with("dead letter");
    let is_found = |change: &Change<'_>| {
        let mut fields = change.explained.iter();
        fields.any(|explained| explained.value.as_deref().is_some_and(is_dead))
    };
    Ok(match changes.iter().any(is_found) {
        true => Outcome::Found,
        false => Outcome::Clean,
    })
}

/// Explains a message as the consumer would read it, its secrets gone.
fn of_message(message: &[u8], context: &Context) -> Vec<Vec<Explained>> {
    let mut text = String::new();
    if let Err(reject) = Redactor::new(None).json(message, &mut text) {
        return vec![vec![refused(&reject)]];
    }
    let context = DecodeContext {
        mappings: &context.config.session_records.mappings,
        ..DecodeContext::default()
    };
    explain(&text, &context)
}

fn print(changes: &[Change<'_>], format: Format) -> Result<()> {
    if format == Format::Table {
        for change in changes {
            writeln!(Output::stdout(), "{}:{}", change.file, change.line)?;
            let batch = batch(&[change], false)?;
            let renderer = TableRenderer::new(Output::stdout(), batch.schema(), None, usize::MAX);
            write(Box::new(renderer), &batch)?;
            writeln!(Output::stdout())?;
        }
        return Ok(());
    }
    let batch = batch(&changes.iter().collect::<Vec<_>>(), true)?;
    let output = Output::stdout();
    let renderer: Box<dyn Render> = match format {
        Format::Table | Format::Json => Box::new(JsonRenderer::array(output)),
        Format::Ndjson => Box::new(JsonRenderer::lines(output)),
        Format::Csv => Box::new(CsvRenderer::new(output, &batch.schema())),
        Format::Markdown => Box::new(MarkdownRenderer::new(output, &batch.schema())?),
    };
    write(renderer, &batch)
}

fn write(mut renderer: Box<dyn Render>, batch: &RecordBatch) -> Result<()> {
    renderer.write(batch)?;
    renderer.finish()?;
    Ok(())
}

/// One row a field; `with_place` says of which message, too.
fn batch(changes: &[&Change<'_>], with_place: bool) -> Result<RecordBatch> {
    let rows: Vec<(&Change<'_>, &Explained)> = changes
        .iter()
        .flat_map(|change| {
            change
                .explained
                .iter()
                .map(|explained| (*change, explained))
        })
        .collect();
    let text = |of: fn(&Explained) -> Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(
            rows.iter().map(|(_, explained)| of(explained)),
        ))
    };
    let mut columns: Vec<(&str, ArrayRef, bool)> = Vec::new();
    if with_place {
        let files = StringArray::from_iter_values(rows.iter().map(|(change, _)| change.file));
        let lines = UInt64Array::from_iter_values(rows.iter().map(|(change, _)| change.line));
        columns.push(("file", Arc::new(files), false));
        columns.push(("line", Arc::new(lines), false));
    }
    columns.push(("field", text(|explained| Some(explained.field)), false));
    columns.push(("value", text(|explained| explained.value.as_deref()), true));
    columns.push(("why", text(|explained| Some(&explained.why)), false));
    RecordBatch::try_from_iter_with_nullable(columns).context("the explanation is a table")
}
