//! `tapetrail demo`: everything at once, with nothing installed: a broker in this process, a generated fleet with
//! planted faults, the consumer, the detections, and what they found against what was planted.

mod feed;
mod place;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytesize::ByteSize;
use clap::Args;

use super::output::EngineArgs;
use super::{Context, LogFormat, Outcome, WARNINGS};
use crate::config::Config;
use crate::detection::library::Library;
use crate::detection::run::{self as detections, Findings, RunOptions};
use crate::engine::Engine;
use crate::generate::{self, Found, SESSIONS_MIN, Settings, Truth};
use place::Place;

/// See it work: a broker, a fleet with planted faults, and what is found
///
/// Needs nothing but this program. Starts a broker of its own, sends it the API calls, webhooks, storage events
/// and session records of a generated fleet, consumes them into a lake as `consume` does, runs the detections,
/// compares what they find with what was planted, and shows one case in full. The lake stays, for queries of
/// your own. Exits with 1 when something that was planted was not found, or more was.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Recordings of the fleet
    #[arg(long, value_name = "N", default_value_t = Settings::default().sessions, value_parser = clap::value_parser!(u32).range(i64::from(SESSIONS_MIN)..))]
    sessions: u32,

    /// Another number makes another fleet, the same number the same one
    #[arg(long, value_name = "N", default_value_t = Settings::default().seed)]
    seed: u64,
}

/// Where the demo's lake lies unless `--lake` says otherwise.
const DEFAULT_LAKE: &str = "./lake-demo";

/// `lake` is what `--lake` says; the configured lake is no place for a demo.
pub fn run(args: DemoArgs, lake: Option<String>, mut context: Context) -> Result<Outcome> {
    match context.verbose {
        0 => super::start_logging_at(LogFormat::Text, WARNINGS),
        verbose => super::start_logging(LogFormat::Text, verbose),
    }
    let started = context.clock.instant();
    let place = Place::claim(lake.as_deref().unwrap_or(DEFAULT_LAKE))?;
    context.lake = place.lake();
    context.config = config();
    let settings = Settings {
        sessions: args.sessions,
        seed: args.seed,
        ..Settings::default()
    };
    let runtime = super::runtime()?;
    let truth = feed::fill(&runtime, &context, settings)?;
    place.write_truth(&truth)?;
    eprintln!("running the detections");
    let seen = runtime.block_on(look(&context))?;
    let found = Found::from_rows(&seen.findings.rows);
    let not_judged = Found::not_judged_from_rows(&seen.findings.not_judged);
    let scoring = truth.score(&found, &not_judged, &[]);
    report::planted_against_found(&truth, &scoring, &seen)?;
    let case = runtime.block_on(report::one_case(&seen, &truth))?;
    report::what_next(&context.lake, case, context.clock.elapsed(started));
    Ok(
        match seen.rows_are_complete(&truth) && scoring.is_perfect() {
            true => Outcome::Clean,
            false => Outcome::Found,
        },
    )
}

/// What the demo's consumer is configured to do: all defaults but for what a fleet and a short run need.
fn config() -> Config {
    let mut config = Config::default();
    config.kafka.group = "tapetrail-demo".to_string();
    config.consume.http = String::new();
    // The whole run is shorter than the usual interval; the feed waits for commits, too.
    config.consume.commit_interval = Duration::from_secs(2);
    config.consume.commit_bytes = ByteSize::mb(32);
    config.session_records.mappings = vec![generate::mapping()];
    config.secrets.fingerprint_key = Some("fingerprints of the demo".to_string());
    config.secrets.webhook_secrets = vec![(
        generate::SIGNING_KEY_ID.to_string(),
        generate::SIGNING_SECRET.to_string(),
    )];
    config
}

/// What was seen in the lake.
struct Seen {
    engine: Arc<Engine>,
    library: Library,
    findings: Findings,
    /// Messages in each stream's table.
    messages: BTreeMap<String, i64>,
    /// Rows that hold one of the planted credentials.
    secrets: i64,
}

impl Seen {
    /// Says whether the lake holds every message once, and no secret.
    fn rows_are_complete(&self, truth: &Truth) -> bool {
        let held = self
            .messages
            .iter()
            .map(|(stream, count)| (stream.as_str(), *count));
        let sent = truth.fleet.messages.iter();
        let sent = sent.map(|(stream, count)| (stream.as_str(), *count as i64));
        held.eq(sent) && self.secrets == 0
    }
}

async fn look(context: &Context) -> Result<Seen> {
    let (engine, library) = EngineArgs::default()
        .open_keeping(context, None, |library| library.kept_views(&[]))
        .await?;
    let engine = Arc::new(engine);
    let findings = detections::run(&engine, &library, &RunOptions::default()).await?;
    Ok(Seen {
        messages: report::messages(&engine).await?,
        secrets: report::secrets(&engine).await?,
        engine,
        library,
        findings,
    })
}
