//! `tapetrail report`: the fleet's routing errors as a page for people and as numbers for machines.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use clap::{Args, ValueEnum};
use datafusion::common::runtime::SpawnedTask;

use super::output::EngineArgs;
use super::{Context, Outcome};
use crate::detection::library::Library;
use crate::detection::run::{self as detections, RunOptions};
use crate::detection::window;
use crate::engine::Engine;
use crate::event::Micros;
use crate::lake::history::AsOf;
use crate::render::Output;
use crate::report::{
    Asked, Given, Period, Report, Span, gather, write_csv, write_html, write_json, write_markdown,
};
use crate::verify;

/// Show where recordings went over time, by kind, app, vendor, release and region
///
/// Runs the detections and the queries of `queries/reports/` and writes one HTML page that opens without a
/// network: how many routing errors, of which kind, per 1,000 starts, each day or week beside the one before; by app,
/// vendor pair, bucket, region and release of the caller; the time between competing starts; how long assets
/// stayed lost; the worst channels; what could not be judged; up to when every stream is complete and verified.
/// `--format json`, `csv` and `markdown` carry the same numbers. The same lake gives the same bytes.
///
/// With --since, the window is compared with the equally long one before it.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Start of the window: 7d (ago), 2026-11-22 or an RFC 3339 time [default: the first event's day or week]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// End of the window, exclusive [default: the end of the last event's day or week]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// What trends have one value for [default: day up to five weeks, else week]
    #[arg(long, value_enum, value_name = "PERIOD")]
    by: Option<By>,

    /// What to write
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    format: ReportFormat,

    /// File to write; `-` is stdout, as is nothing where stdout is no terminal
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Value of a detection's parameter, for example missing_upload.missing_after=24h
    #[arg(long = "param", value_name = "DETECTION.NAME=VALUE")]
    params: Vec<String>,

    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Week,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Html,
    Json,
    Csv,
    Markdown,
}

pub async fn run(args: ReportArgs, context: &Context) -> Result<Outcome> {
    let to_stdout = args
        .output
        .as_ref()
        .is_none_or(|path| path.as_os_str() == "-");
    if args.output.is_none() && args.format == ReportFormat::Html && std::io::stdout().is_terminal()
    {
        bail!("HTML is nothing for a terminal\nhint: tapetrail report --output report.html");
    }
    let now = context.clock.now();
    let instant = |text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| window::instant(text, now)).transpose()
    };
    let asked = Asked {
        since: instant(&args.since)?,
        until: instant(&args.until)?,
        period: args.by.map(|by| match by {
            By::Day => Period::Day,
            By::Week => Period::Week,
        }),
    };
    let report = make(&args, context, asked).await?;
    match &args.output {
        Some(path) if !to_stdout => {
            let file =
                File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
            let mut file = BufWriter::new(file);
            write(&report, args.format, &mut file)?;
            file.flush()
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            eprintln!("wrote `{}`", path.display());
        }
        _ => {
            let mut output = Output::stdout();
            write(&report, args.format, &mut output)?;
            output.flush()?;
        }
    }
    Ok(Outcome::Clean)
}

async fn make(args: &ReportArgs, context: &Context, asked: Asked) -> Result<Report> {
    eprintln!("reading the lake");
    let opened = args.engine.open_tables(context).await?;
    let library = &opened.library;
    let kept = library.kept_views_of_report()?;
    let mut engine = (opened.engine_keeping(&args.engine, asked.since, kept.clone())).await?;
    let Some(span) = span(&engine, library).await? else {
        let (when, hint) = match (&args.since, &args.until) {
            (None, None) => (
                "",
                "`tapetrail consume` and `tapetrail import` bring events, --lake names another lake",
            ),
            _ => (
                " between --since and --until",
                "without these two the report is about all events that there are",
            ),
        };
        bail!(
            "the lake `{}` has no events{when}: nothing to report\nhint: {hint}",
            context.lake
        );
    };
    let window = asked.resolve(span)?;
    let detected = window::Window {
        since: asked.since.map(|_| window.previous_since),
        until: Some(window.until),
    };
    if detected.read_from() != asked.since {
        engine = (opened.engine_keeping(&args.engine, detected.read_from(), kept)).await?;
    }
    let as_of = match args.engine.is_past() {
        true => (args.engine.again(&engine)).as_of(context.clock.now())?,
        false => AsOf::Newest,
    };
    eprintln!(
        "verifying, and running {} detections",
        library.detections().len()
    );
    let (lake, queries) = (context.lake()?, library.clone());
    let verified = SpawnedTask::spawn(async move { verify::look(&lake, &queries, &as_of).await });
    let options = RunOptions {
        overrides: library.overrides(&context.config.detect.params, &args.params)?,
        only: Vec::new(),
        window: detected,
    };
    let engine = Arc::new(engine);
    let findings = detections::run(&engine, library, &options).await?;
    let verified = verified
        .join_unwind()
        .await
        .context("verifying was stopped")??;
    eprintln!("gathering the report");
    let given = Given {
        findings: &findings,
        verified: &verified,
    };
    given.register(&engine, library)?;
    gather(&engine, library, window).await
}

/// Returns from when to when there are events, none where there are none.
async fn span(engine: &Engine, library: &Library) -> Result<Option<Span>> {
    let query = library
        .query("reports/span")
        .context("there is no query `reports/span`")?;
    let rows = engine.collect(query.sql.statement()?, &[]).await?;
    let value = |column: &str| -> Option<Micros> {
        let column = rows.column_by_name(column)?;
        let column = column.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.iter().next().flatten()
    };
    let found = value("first_at").zip(value("last_at"));
    Ok(found.map(|(first_at, last_at)| Span { first_at, last_at }))
}

fn write(report: &Report, format: ReportFormat, out: impl Write) -> Result<()> {
    match format {
        ReportFormat::Html => write_html(report, out),
        ReportFormat::Json => write_json(report, out),
        ReportFormat::Csv => write_csv(report, out),
        ReportFormat::Markdown => write_markdown(report, out),
    }
}
