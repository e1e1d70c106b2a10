//! `tapetrail consume`: Kafka -> lake.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::kafka_args::KafkaArgs;
use super::{Context, Outcome, service};
use crate::config::{OnGap, Start};
use crate::ingest::{self, Run, Totals};
use crate::metrics::Metrics;

/// Consume the four topics into the lake, exactly once
///
/// Offsets are part of every commit to the lake, so a killed process loses nothing and repeats nothing. Start as
/// many processes with the same kafka.group as you like: they share the partitions. SIGTERM commits what is
/// gathered and leaves the group; a second one stops at once.
///
/// `/metrics` (Prometheus), `/healthz` and `/readyz` are served at consume.http.
#[derive(Debug, Args)]
pub struct ConsumeArgs {
    /// Stop at the offsets that stand at the start
    #[arg(long)]
    stop_at_end: bool,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// Consumer group
    #[arg(short = 'G', long, env = "TAPETRAIL_GROUP")]
    group: Option<String>,

    /// Where a partition starts that the lake knows nothing of: earliest, latest, or a time
    #[arg(long, env = "TAPETRAIL_START", value_name = "WHERE")]
    start: Option<Start>,

    /// Address of /metrics, /healthz and /readyz; empty for none
    #[arg(long, env = "TAPETRAIL_HTTP", value_name = "ADDRESS")]
    http: Option<String>,

    /// Go on where Kafka has lost messages, and record the gap
    #[arg(long)]
    accept_gap: bool,

    /// Consume a topic that was made anew from its start, as a new epoch
    #[arg(long, value_name = "TOPIC")]
    new_epoch: Vec<String>,

    /// How log lines are written to stderr
    #[arg(long, value_enum, default_value = "text", env = "TAPETRAIL_LOG_FORMAT")]
    log_format: super::LogFormat,
}

pub fn run(args: ConsumeArgs, mut context: Context) -> Result<Outcome> {
    super::start_logging(args.log_format, context.verbose);
    let config = &mut context.config;
    args.kafka.apply(&mut config.kafka)?;
    if let Some(group) = args.group {
        config.kafka.group = group;
    }
    if let Some(start) = args.start {
        config.consume.start = start;
    }
    if let Some(http) = args.http {
        config.consume.http = http;
    }
    if args.accept_gap {
        config.consume.on_gap = OnGap::Accept;
    }
    config.check()?;
    service::warn_without_fingerprints(config);
    let run = Run {
        stop_at_end: args.stop_at_end,
        new_epochs: args.new_epoch,
    };
    let totals = super::runtime()?.block_on(consume(&context, run))?;
    tracing::info!(
        messages = totals.messages,
        events = totals.events,
        dead = totals.dead,
        skipped = totals.skipped,
        gaps = totals.gaps,
        commits = totals.commits,
        "done"
    );
    Ok(Outcome::Clean)
}

async fn consume(context: &Context, run: Run) -> Result<Totals> {
    let metrics = Arc::new(Metrics::new());
    let shutdown = CancellationToken::new();
    // Before anybody can ask.
    metrics.unready("assignment", "no partitions are assigned yet");
    service::serve_health(
        "consume.http",
        &context.config.consume.http,
        metrics.vitals(),
    )
    .await?;
    service::stop_on_signal(
        shutdown.clone(),
        "stopping: committing what is gathered",
        "stopped at once; what was not committed is read again at the next start",
    )?;
    consume_on_thread(context, run, metrics, shutdown).await
}

/// Runs the consumer beside the runtime until it is done.
pub async fn consume_on_thread(
    context: &Context,
    run: Run,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> Result<Totals> {
    let lake = context.lake()?;
    let (config, clock) = (context.config.clone(), context.clock.clone());
    tokio::task::spawn_blocking(move || {
        ingest::run(&config, &lake, &run, &clock, &metrics, &shutdown)
    })
    .await
    .context("the consumer's thread died")?
}
