//! `tapetrail maintain`: sorts, retains, cleans; once or again and again.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use bytesize::ByteSize;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use tokio_util::sync::CancellationToken;

use super::output::{OutputArgs, counted};
use super::{Context, LogFormat, Outcome, WARNINGS};
use crate::maintain::{Maintenance, Summary};

/// Keep the lake fast and small: sort small files into large ones, drop what is too old
///
/// Rewrites the small files of each day as few large ones, sorted by session or channel, so that a look-up opens a few
/// of them; the rows stay the same. Writes a checkpoint of each table, and removes versions older than
/// maintain.history with the files that only they need, and files that no commit ever named. With maintain.retention,
/// days of events that are older are dropped; gaps take the place of their rows, so that `verify` passes over them.
///
/// Runs beside consumers and queries, may run twice at once, and can be killed at any moment: each step is one commit
/// that lands whole or not at all. Run it every hour; the settings are those of `[maintain]` in the configuration.
#[derive(Debug, Args)]
pub struct MaintainArgs {
    /// Run again and again, this long after the end of the run before: 1h, 30m; SIGTERM ends it after the step in hand
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "dry_run")]
    every: Option<Duration>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Size of the files that small ones are sorted into [default: 64MB]
    #[arg(long, value_name = "SIZE")]
    file_bytes: Option<ByteSize>,

    /// Rewrite a day when it has this many files of about one size [default: 4]
    #[arg(long, value_name = "N")]
    min_files: Option<usize>,

    /// Memory for sorting; what does not fit goes to the temporary directory [default: 256MB]
    #[arg(long, value_name = "SIZE")]
    memory_bytes: Option<ByteSize>,

    /// How long `--as-of` reaches back; older versions and their files are removed [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    history: Option<Duration>,

    /// Drop days of events that are older than this [default: keep everything]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    retention: Option<Duration>,

    /// How log lines are written to stderr
    #[arg(long, value_enum, default_value = "text", env = "TAPETRAIL_LOG_FORMAT")]
    log_format: LogFormat,

    #[command(flatten)]
    output: OutputArgs,
}

/// Runs closer to each other only rewrite the same rows more often.
const EVERY_LEAST: Duration = Duration::from_secs(60);

pub fn run(args: MaintainArgs, mut context: Context) -> Result<Outcome> {
    match args.every {
        Some(_) => super::start_logging(args.log_format, context.verbose),
        // The bar and the summary tell the steps.
        None if context.verbose == 0 => super::start_logging_at(args.log_format, WARNINGS),
        None => super::start_logging(args.log_format, context.verbose),
    }
    let settings = &mut context.config.maintain;
    settings.file_bytes = args.file_bytes.unwrap_or(settings.file_bytes);
    settings.min_files = args.min_files.unwrap_or(settings.min_files);
    settings.memory_bytes = args.memory_bytes.unwrap_or(settings.memory_bytes);
    settings.history = args.history.unwrap_or(settings.history);
    settings.retention = args.retention.or(settings.retention);
    context.config.check()?;
    if args.every.is_some_and(|every| every < EVERY_LEAST) {
        bail!("--every: must be at least 1m; 1h is often enough");
    }
    super::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        super::service::stop_on_signal(
            stop.clone(),
            "stopping after the step in hand",
            "stopped at once; nothing is harmed",
        )?;
        match args.every {
            Some(every) => again_and_again(every, &context, &stop).await,
            None => once(&args, &context, &stop).await,
        }
    })
}

async fn once(args: &MaintainArgs, context: &Context, stop: &CancellationToken) -> Result<Outcome> {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
    };
    bar.enable_steady_tick(Duration::from_millis(200));
    let progress = |step: &str| bar.set_message(step.to_string());
    let maintenance = Maintenance {
        settings: &context.config.maintain,
        is_dry_run: args.dry_run,
        clock: &context.clock,
        stop,
        progress: &progress,
    };
    let summaries = maintenance.run(&context.lake()?).await;
    bar.finish_and_clear();
    let summaries = summaries?;
    if summaries.is_empty() {
        eprintln!(
            "note: there is no table in the lake `{}` yet; nothing to do",
            context.lake
        );
        return Ok(Outcome::Clean);
    }
    args.output.print(&rows(&summaries, args.dry_run)?)?;
    eprintln!("{}", sentence(&summaries, args.dry_run));
    if stop.is_cancelled() {
        eprintln!("stopped before the end; what was done stays");
    }
    Ok(Outcome::Clean)
}

async fn again_and_again(
    every: Duration,
    context: &Context,
    stop: &CancellationToken,
) -> Result<Outcome> {
    let lake = context.lake()?;
    let progress = |step: &str| tracing::debug!("{step}");
    let maintenance = Maintenance {
        settings: &context.config.maintain,
        is_dry_run: false,
        clock: &context.clock,
        stop,
        progress: &progress,
    };
    while !stop.is_cancelled() {
        let started = context.clock.instant();
        match maintenance.run(&lake).await {
            Ok(summaries) => {
                let took_ms = context.clock.elapsed(started).as_millis() as u64;
                tracing::info!(took_ms, "{}", sentence(&summaries, false));
            }
            // A lake that does not answer now may do so in an hour.
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "this run failed; trying again at the next"
            ),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(Outcome::Clean)
}

/// Returns a row a table.
fn rows(summaries: &[Summary], is_dry_run: bool) -> Result<RecordBatch> {
    let number = |of: &dyn Fn(&Summary) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(summaries.iter().map(of)))
    };
    let names = summaries.iter().filter_map(|summary| summary.stream);
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(names.map(|it| it.stem())));
    let mut columns = vec![
        ("table", names),
        ("files_before", number(&|of| of.files_before as u64)),
        ("files_after", number(&|of| of.files_after as u64)),
        ("bytes_before", number(&|of| of.bytes_before)),
    ];
    if !is_dry_run {
        columns.push(("bytes_after", number(&|of| of.bytes_after)));
    }
    columns.extend([
        ("days_dropped", number(&|of| of.days_dropped as u64)),
        ("rows_dropped", number(&|of| of.rows_dropped)),
        ("versions_removed", number(&|of| of.versions_removed as u64)),
        ("files_removed", number(&|of| of.files_removed as u64)),
        ("bytes_removed", number(&|of| of.bytes_removed)),
    ]);
    RecordBatch::try_from_iter(columns).context("the summary is a table")
}

fn sentence(summaries: &[Summary], is_dry_run: bool) -> String {
    let total = |of: fn(&Summary) -> u64| summaries.iter().map(of).sum::<u64>();
    let (before, after) = (
        total(|of| of.files_before as u64),
        total(|of| of.files_after as u64),
    );
    let sizes = match is_dry_run {
        true => String::new(),
        false => format!(
            ", {} -> {}",
            ByteSize::b(total(|of| of.bytes_before)),
            ByteSize::b(total(|of| of.bytes_after))
        ),
    };
    let mut parts = vec![format!("files {before} -> {after}{sizes}")];
    let days = total(|of| of.days_dropped as u64);
    if days > 0 {
        let rows = total(|of| of.rows_dropped);
        parts.push(format!(
            "{} with {} dropped",
            counted(days, "day"),
            counted(rows, "row")
        ));
    }
    parts.push(format!(
        "{} and {} no longer needed removed ({})",
        counted(total(|of| of.versions_removed as u64), "version"),
        counted(total(|of| of.files_removed as u64), "file"),
        ByteSize::b(total(|of| of.bytes_removed))
    ));
    let what = parts.join("; ");
    match is_dry_run {
        true => format!("would be: {what}; nothing was changed"),
        false => what,
    }
}
