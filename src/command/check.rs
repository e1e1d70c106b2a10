//! `tapetrail check`: does this producer's output fit the contract? Reads NDJSON, prints what is wrong and what
//! to change. Nothing is stored, and no value of a message is printed but by `--explain`, redacted.

mod explain;
mod input;
mod json;
mod print;

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::output::counted;
use super::{Context, Format, Outcome};
use crate::decode::storage_events::message_in_base64;
use crate::event::Stream;
use crate::schema;
use crate::source::csv::lines;
use input::{Line, Lines};
use print::{Level, Printer, Row};

/// Check a producer's output against the published schemas
///
/// Reads NDJSON, one message a line, and says line by line what is wrong and what to change. An error means that
/// the message breaks the contract: most such messages become dead letters or lose what is wrong. A warning means
/// that it fits and still cannot be audited in full. Exit code 0: all fits (warnings included), 1: something is
/// wrong, 2: cannot be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of NDJSON: plain, gzip or zstd. `-` or nothing is stdin
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The stream: api_calls, webhooks, storage_events, session_records, or upload_status, which may be CSV. Guessed for
    /// each file if left out
    #[arg(long, value_name = "NAME", value_parser = Stream::input)]
    stream: Option<Stream>,

    /// How to print what is wrong
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Print at most this many errors and warnings; the others are counted only. 0 prints all
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_errors: usize,

    /// Show instead, for samples of session_records, what the configured mapping finds in each field, and why. Secrets are
    /// redacted first
    #[arg(long)]
    explain: bool,
}

pub fn run(args: Args, context: &Context) -> Result<Outcome> {
    if args.explain {
        return explain::run(&args.paths, args.stream, args.format, context);
    }
    let stdout = io::stdout().lock();
    let mut check = Check {
        line_bytes_max: context.config.consume.message_bytes_max.as_u64(),
        printer: Printer::new(io::BufWriter::new(stdout), args.format, args.max_errors),
        stream: args.stream,
        tally: Tally::default(),
    };
    let outcome = check.all(&args.paths);
    if outcome.is_ok() || check.tally.lines > 0 {
        check.tally.report(check.printer.left_out());
    }
    match outcome {
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(check.tally.outcome()),
        Err(error) => Err(error),
        Ok(()) => Ok(check.tally.outcome()),
    }
}

/// One run over all files.
struct Check<W> {
    /// A longer line is a dead letter of which nothing is kept.
    line_bytes_max: u64,
    printer: Printer<W>,
    stream: Option<Stream>,
    tally: Tally,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lines: u64,
    wrong: u64,
    warned: u64,
}

impl Tally {
    fn outcome(&self) -> Outcome {
        if self.wrong == 0 {
            Outcome::Clean
        } else {
            Outcome::Found
        }
    }

    fn report(&self, left_out: u64) {
        let fine = self.lines - self.wrong;
        eprintln!(
            "{}: {fine} fine ({} of them with warnings), {} wrong",
            counted(self.lines, "line"),
            self.warned,
            self.wrong
        );
        if left_out > 0 {
            eprintln!("{left_out} errors and warnings were not printed; --max-errors 0 prints all");
        }
    }
}

impl<W: Write> Check<W> {
    fn all(&mut self, paths: &[PathBuf]) -> Result<()> {
        let stdin = [PathBuf::from("-")];
        for path in if paths.is_empty() { &stdin } else { paths } {
            let (name, reader) = input::open(path)?;
            let reader = match self.stream {
                Some(stream) => {
                    lines(stream, reader).with_context(|| format!("cannot read `{name}`"))?
                }
                None => reader,
            };
            self.file(&name, reader)?;
        }
        self.printer.finish().context("cannot write to stdout")
    }

    fn file(&mut self, name: &str, reader: impl BufRead) -> Result<()> {
        let mut stream = self.stream;
        let mut lines = Lines::new(reader, self.line_bytes_max);
        loop {
            let at = lines.count() + 1;
            let line = lines
                .next()
                .with_context(|| format!("cannot read `{name}` after line {}", at - 1))?;
            let Some(line) = line else { return Ok(()) };
            let message = match line {
                Line::Blank => continue,
                Line::TooLong => Err(too_long(self.line_bytes_max)),
                Line::Text(text) => parse(text),
            };
            let rows = match message {
                Err(problem) => vec![(Level::Error, problem)],
                // A tombstone is legal and means nothing.
                Ok((Value::Null, _)) => Vec::new(),
                Ok((message, twice)) => {
                    if stream.is_none() {
                        stream = schema::guess(&message);
                        if let Some(stream) = stream {
                            eprintln!(
                                "{name}: looks like {stream} by its content (--stream says it for certain)"
                            );
                        }
                    }
                    judge(stream, &message, &twice)
                }
            };
            self.tally.lines += 1;
            if rows.iter().any(|(level, _)| *level == Level::Error) {
                self.tally.wrong += 1;
            } else if !rows.is_empty() {
                self.tally.warned += 1;
            }
            for (level, problem) in &rows {
                let row = Row::new(name, at, *level, problem);
                self.printer.print(&row).context("cannot write to stdout")?;
            }
        }
    }
}

/// Returns what is wrong with a message; warnings only for one that fits. `twice` are the keys given twice.
fn judge(
    stream: Option<Stream>,
    message: &Value,
    twice: &[String],
) -> Vec<(Level, schema::Problem)> {
    let Some(stream) = stream else {
        let streams = Stream::INPUTS.map(Stream::stem).join(", ");
        let problem = wrong(
            "this looks like no message of any stream",
            format!("say which stream it should be: --stream, one of {streams}"),
        );
        return vec![(Level::Error, problem)];
    };
    let mut errors = schema::validate(stream, message);
    errors.extend(twice.iter().map(|path| schema::Problem {
        path: path.clone(),
        ..wrong(
            "the key stands twice in its object: which value counts is chance",
            "write it once",
        )
    }));
    if errors.is_empty() {
        let warnings = schema::warnings(stream, message).into_iter();
        return warnings.map(|warning| (Level::Warning, warning)).collect();
    }
    errors
        .into_iter()
        .map(|error| (Level::Error, error))
        .collect()
}

fn parse(line: &[u8]) -> Result<(Value, Vec<String>), schema::Problem> {
    let opened = message_in_base64(line);
    let text = str::from_utf8(opened.as_deref().unwrap_or(line)).map_err(|error| {
        let problem = format!("byte {} of the line is not UTF-8", error.valid_up_to() + 1);
        wrong(problem, "write the message in UTF-8")
    })?;
    json::read(text).map_err(|error| {
        let cure = "write one whole JSON message a line; `jq -c .` makes lines of indented JSON";
        if error.is_eof() {
            return wrong("the JSON ends in the middle", cure);
        }
        // The parser's words name what it waited for, and nothing of what it read.
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        wrong(
            format!("no JSON at column {}: {words}", error.column()),
            cure,
        )
    })
}

fn too_long(bytes_max: u64) -> schema::Problem {
    wrong(
        format!(
            "the line is longer than {bytes_max} bytes: the consumer keeps its length and hash only"
        ),
        "send smaller messages, or raise consume.message_bytes_max",
    )
}

fn wrong(problem: impl Into<String>, cure: impl Into<String>) -> schema::Problem {
    schema::Problem {
        path: String::new(),
        problem: problem.into(),
        cure: cure.into(),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: Option<Stream>, format: Format, max: usize, text: &str) -> (String, Tally) {
        let mut out = Vec::new();
        let mut check = Check {
            line_bytes_max: 1000,
            printer: Printer::new(&mut out, format, max),
            stream,
            tally: Tally::default(),
        };
        check.file("in.ndjson", text.as_bytes()).expect("reads");
        check.printer.finish().expect("writes");
        let tally = check.tally;
        (String::from_utf8(out).expect("UTF-8"), tally)
    }

    const LINES: &str = concat!(
        r#"{"occurred_at": 1795341600000, "kind": "created", "vendor": 1, "bucket": "b", "key": "k", "size": 1}"#,
        "\n\n",
        r#"{"occurred_at": 1795341600000, "kind": "gone", "vendor": 1, "bucket": "b", "key": "k"}"#,
        "\nnull\n{\"occurred_at\": \n",
        r#"{"occurred_at": 1795341600000, "kind": "created", "vendor": 1, "bucket": "b", "key": "/k", "size": 1}"#,
    );

    #[test]
    fn each_line_is_judged_and_counted() {
        let (out, tally) = check(Some(Stream::StorageEvents), Format::Ndjson, 0, LINES);
        let rows: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let at: Vec<_> = rows
            .iter()
            .map(|row| (&row["line"], &row["level"], &row["path"]))
            .collect();
        assert_eq!(
            format!("{at:?}"),
            format!(
                "{:?}",
                [
                    (
                        &Value::from(3),
                        &Value::from("error"),
                        &Value::from("/kind")
                    ),
                    (&Value::from(5), &Value::from("error"), &Value::from("")),
                    (
                        &Value::from(6),
                        &Value::from("warning"),
                        &Value::from("/key")
                    ),
                ]
            )
        );
        assert_eq!(
            tally,
            Tally {
                lines: 5,
                wrong: 2,
                warned: 1
            }
        );
        assert_eq!(tally.outcome(), Outcome::Found);
    }

    #[test]
    fn a_stream_that_is_not_named_is_guessed_from_the_first_line_that_tells() {
        let (_, tally) = check(
            None,
            Format::Ndjson,
            0,
            &format!("{{\"hello\": 1}}\n{LINES}"),
        );
        assert_eq!(
            tally,
            Tally {
                lines: 6,
                wrong: 3,
                warned: 1
            }
        );
    }

    #[test]
    fn no_more_is_printed_than_asked_for_and_all_is_counted() {
        let (out, tally) = check(Some(Stream::StorageEvents), Format::Ndjson, 1, LINES);
        assert_eq!(out.lines().count(), 1);
        assert_eq!(tally.wrong, 2);
    }

    #[test]
    fn a_line_too_long_or_not_utf8_is_wrong_and_the_next_is_read() {
        let text = format!("{{\"a\": \"{}\"}}\n{{}}\n", "x".repeat(2000));
        let (out, tally) = check(Some(Stream::SessionRecords), Format::Ndjson, 0, &text);
        assert!(out.contains("longer than 1000 bytes"), "{out}");
        assert_eq!(
            tally,
            Tally {
                lines: 2,
                wrong: 1,
                warned: 0
            }
        );
        assert!(
            parse(b"{\"a\": \"\xff\"}").is_err_and(|problem| problem.problem.contains("byte 8"))
        );
    }

    #[test]
    fn every_format_prints_every_row() {
        for format in [Format::Table, Format::Json, Format::Csv, Format::Markdown] {
            let (out, _) = check(Some(Stream::StorageEvents), format, 0, LINES);
            assert_eq!(out.matches("in.ndjson").count(), 3, "{format:?}: {out}");
        }
        let (out, _) = check(Some(Stream::StorageEvents), Format::Json, 0, LINES);
        let rows: Value = serde_json::from_str(&out).expect("one JSON value");
        assert_eq!(rows.as_array().map(Vec::len), Some(3));
        let (out, _) = check(Some(Stream::StorageEvents), Format::Json, 0, "");
        assert_eq!(out.trim(), "[]");
    }
}
