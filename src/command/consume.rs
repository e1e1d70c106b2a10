//! `tapetrail consume`: Kafka -> lake.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::kafka_args::KafkaArgs;
use super::{Context, Outcome};
use crate::config::{OnGap, Start};
use crate::ingest::{self, Run, Totals};
use crate::metrics::{Metrics, Vitals};
use crate::server::{self, health};

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
    if config.secrets.fingerprint_key.is_none() {
        tracing::warn!(
            "TAPETRAIL_FINGERPRINT_KEY is not set: access keys are removed without a fingerprint"
        );
    }
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
    serve_health(
        "consume.http",
        &context.config.consume.http,
        metrics.vitals(),
    )
    .await?;
    stop_on_signal(
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

/// Serves metrics, health and readiness for as long as the process lives, at the address that `key` names.
pub(super) async fn serve_health(key: &str, address: &str, vitals: &Vitals) -> Result<()> {
    if address.is_empty() {
        return Ok(());
    }
    let listener = server::listen(key, address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving /metrics, /healthz and /readyz");
    let for_ever = CancellationToken::new();
    tokio::spawn(server::run(listener, health::routes(vitals), for_ever));
    Ok(())
}

/// SIGTERM and SIGINT ask for a stop; a second one does not wait for it.
pub(super) fn stop_on_signal(
    shutdown: CancellationToken,
    stopping: &'static str,
    at_once: &'static str,
) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                tracing::warn!("{at_once}");
                std::process::exit(2);
            }
            tracing::info!("{stopping}");
            shutdown.cancel();
        }
    });
    Ok(())
}
