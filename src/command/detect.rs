//! `tapetrail detect`: findings as rows on stdout, a summary on stderr.

use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use super::output::{EngineArgs, OutputArgs, tell_table};
use super::{Context, Outcome};
use crate::detection::front_matter::Severity;
use crate::detection::library::Library;
use crate::detection::run::{self, Findings, RunOptions};
use crate::detection::window::Window;

/// Find recordings that went elsewhere than believed, and other faults
///
/// Runs the detections and prints their findings, one row each, the worst first: what happened, to which
/// channel and sessions, where the files are instead, and the events that prove it. A table shows the whole
/// story; `--format json` is for machines. A summary goes to stderr.
///
/// Each finding cites in `table_versions` what it was computed from (below a table it is said once): `--as-of` with these
/// versions computes it again, byte for byte, whatever has come since.
#[derive(Debug, Args)]
pub struct DetectArgs {
    /// Run only these detections, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,

    /// Findings whose evidence ends at or after this: 7d (ago), 2026-11-22 or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Findings whose evidence ends before this
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Exit with 1 when a finding is of this severity or worse: info, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,

    /// Value of a detection's parameter, for example missing_upload.missing_after=24h
    #[arg(long = "param", value_name = "DETECTION.NAME=VALUE")]
    params: Vec<String>,

    /// Print the sessions that could not be judged, and why, instead of the findings
    #[arg(long)]
    not_judged: bool,

    /// List the detections with their parameters
    #[arg(long)]
    list: bool,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    engine: EngineArgs,
}

pub async fn run(args: DetectArgs, context: &Context) -> Result<Outcome> {
    if args.list {
        args.output.print(&args.engine.library()?.catalog()?)?;
        return Ok(Outcome::Clean);
    }
    let window = Window::parse(
        args.since.as_deref(),
        args.until.as_deref(),
        context.clock.now(),
    )?;
    let kept = |library: &Library| library.kept_views(&args.only);
    let (engine, library) = args
        .engine
        .open_keeping(context, window.read_from(), kept)
        .await?;
    let engine = Arc::new(engine);
    let options = RunOptions {
        overrides: library.overrides(&context.config.detect.params, &args.params)?,
        only: args.only,
        window,
    };
    let findings = run::run(&engine, &library, &options).await?;
    match args.not_judged {
        true => args.output.print(&findings.not_judged)?,
        // In a table the line below it says the same for all.
        false if args.output.is_table() => args.output.print(&findings.rows)?,
        false => args
            .output
            .print(&findings.citing(engine.table_versions())?)?,
    }
    tell_summary(&findings, args.not_judged)?;
    eprintln!("computed from {}", engine.table_versions());
    Ok(outcome(&findings, args.fail_on))
}

fn tell_summary(findings: &Findings, lists_not_judged: bool) -> Result<()> {
    eprintln!();
    tell_table(&findings.summary()?)?;
    if findings.not_judged.num_rows() > 0 && !lists_not_judged {
        eprintln!("hint: --not-judged lists what could not be judged, and why");
    }
    Ok(())
}

fn outcome(findings: &Findings, fail_on: Option<Severity>) -> Outcome {
    match (findings.worst(), fail_on) {
        (Some(worst), Some(limit)) if worst >= limit => Outcome::Found,
        _ => Outcome::Clean,
    }
}
