//! `tapetrail import`: NDJSON files -> lake, through the same path as Kafka's messages.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::counted;
use super::{Context, Outcome};
use crate::event::Stream;
use crate::intake::{Intake, Message};
use crate::lake::commit::{Batch, CommitError, Ledger, Range};
use crate::lake::log::AppId;
use crate::source::csv::lines;
use crate::source::file;
use crate::table::rows::{Origin, Rows};

/// Import NDJSON files into the lake
///
/// Each line is one message as it would be in the stream's topic. Files may be plain, gzip or zstd. A file lands
/// in one commit or not at all; the same content again, whatever the file is called or however it is packed,
/// adds nothing. The service's own upload status (upload_status), which its support exports, may also be CSV with
/// the names of the columns in its first line: sid, file, vendor, bucket, status, at.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// api_calls, webhooks, storage_events, session_records or upload_status
    #[arg(long, value_parser = Stream::input)]
    stream: Stream,

    /// Files or glob patterns
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

/// Lines between two looks at the progress bar.
const LINES_PER_LOOK: i64 = 10_000;

pub fn run(args: ImportArgs, context: Context) -> Result<Outcome> {
    super::start_logging(super::LogFormat::Text, context.verbose);
    let files = file::expand(&args.paths)?;
    super::runtime()?.block_on(async {
        let table = context.lake()?.open_or_create(args.stream).await?;
        let mut importer = Importer {
            ledger: Ledger::new(args.stream, table),
            intake: Intake::new(&context.config),
            context: &context,
        };
        for path in &files {
            importer
                .import(path)
                .await
                .with_context(|| format!("cannot import `{}`", path.display()))?;
        }
        Ok(Outcome::Clean)
    })
}

struct Importer<'c> {
    ledger: Ledger,
    intake: Intake,
    context: &'c Context,
}

impl Importer<'_> {
    async fn import(&mut self, path: &Path) -> Result<()> {
        let stream = self.ledger.stream();
        let source_id = file::source_id(path)?;
        let app_id = AppId::import(stream, &source_id);
        self.ledger.refresh().await?;
        if self.ledger.stored(&app_id).await?.is_some() {
            eprintln!("{}: already in the lake, nothing added", path.display());
            return Ok(());
        }
        let (mut batch, counts) = self.read(path, &source_id).await?;
        if counts.lines == 0 {
            eprintln!("{}: empty, nothing added", path.display());
            return Ok(());
        }
        let range = Range {
            from: 1,
            to: counts.lines + 1,
            is_first: true,
            rows: counts.rows,
        };
        batch.ranges = BTreeMap::from([(app_id, range)]);
        match self.ledger.commit(&batch).await {
            Ok(version) => eprintln!(
                "{}: {}, {}, {}, {} skipped; version {version} of {stream}",
                path.display(),
                counted(counts.lines.unsigned_abs(), "line"),
                counted(counts.events, "event"),
                counted(counts.dead, "dead letter"),
                counts.skipped
            ),
            Err(CommitError::Fenced(_)) => {
                eprintln!(
                    "{}: another import of it was faster, nothing added",
                    path.display()
                );
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads all lines into files that wait for their commit.
    async fn read(&mut self, path: &Path, source_id: &str) -> Result<(Batch, Counts)> {
        let progress = progress_bar(path)?;
        let started_at = self.context.clock.now();
        let portion_bytes = self.context.config.consume.file_bytes.as_u64() as usize;
        let mut reader = lines(self.ledger.stream(), file::open(path)?)?;
        let mut rows = Rows::new(self.ledger.stream());
        let (mut batch, mut counts, mut line) = (Batch::default(), Counts::default(), Vec::new());
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            counts.lines += 1;
            let text = line.trim_ascii();
            let origin = Origin {
                topic: "import".into(),
                offset: counts.lines,
                source_id: Some(source_id.into()),
                taken_at: started_at,
                ..Origin::default()
            };
            let message = Message {
                value: Some(text),
                ..Message::default()
            };
            let rows_before = rows.len();
            let left = self.intake.take(&mut rows, &origin, &message);
            counts.rows += (rows.len() - rows_before) as i64;
            counts.events += u64::from(left.events);
            counts.dead += u64::from(left.dead);
            counts.skipped += u64::from(left.skipped);
            if counts.lines % LINES_PER_LOOK == 0 {
                progress.set_position(counts.lines as u64);
            }
            if rows.bytes() >= portion_bytes {
                self.ledger
                    .put_rows(&mut rows, &mut batch, self.context.clock.now() / 1000)
                    .await?;
            }
        }
        self.ledger
            .put_rows(&mut rows, &mut batch, self.context.clock.now() / 1000)
            .await?;
        progress.finish_and_clear();
        Ok((batch, counts))
    }
}

#[derive(Default)]
struct Counts {
    lines: i64,
    rows: i64,
    events: u64,
    dead: u64,
    skipped: u64,
}

fn progress_bar(path: &Path) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{prefix} {spinner} {pos} lines, {per_sec}")?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(ProgressBar::new_spinner()
        .with_style(style)
        .with_prefix(name))
}
