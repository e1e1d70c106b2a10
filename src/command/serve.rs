//! `tapetrail serve`: HTTP -> Kafka.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::kafka_args::KafkaArgs;
use super::service::{self, Served};
use super::{Context, LogFormat, Outcome};
use crate::metrics::Vitals;
use crate::server::{self, Receiver};

/// Take callbacks and API calls over HTTP, and pass them on to Kafka
///
/// POST /webhooks takes Agora's callbacks: set it as the callback address in Agora's console, behind your TLS proxy.
/// Their signatures are checked with the secrets in TAPETRAIL_WEBHOOK_SECRETS (id=secret, comma-separated; during a
/// rotation the old one and the new one). POST /api-calls takes records of API calls, one JSON object a line, from
/// producers without a Kafka client; it is there when TAPETRAIL_API_CALL_TOKENS names tokens (id=token,
/// comma-separated), of which a producer sends one as `Authorization: Bearer <token>`.
///
/// The answer is 200 when Kafka has acknowledged the message, and never before, so that what was answered 200 is not
/// lost whatever happens to this process; any other answer asks the sender to try again. SIGTERM lets the requests
/// under way have their answers first. As many processes as you like can run side by side.
///
/// `/metrics` (Prometheus), `/healthz` and `/readyz` are served at serve.http, apart from what others reach.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address of /webhooks and /api-calls [default: 127.0.0.1:9466]
    #[arg(long, env = "TAPETRAIL_RECEIVE", value_name = "ADDRESS")]
    receive: Option<String>,

    /// Address of /metrics, /healthz and /readyz; empty for none [default: 127.0.0.1:9465]
    #[arg(long, env = "TAPETRAIL_HTTP", value_name = "ADDRESS")]
    http: Option<String>,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// How log lines are written to stderr
    #[arg(long, value_enum, default_value = "text", env = "TAPETRAIL_LOG_FORMAT")]
    log_format: LogFormat,
}

/// How long a stop waits for requests that are under way: longer than one may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

pub fn run(args: ServeArgs, mut context: Context) -> Result<Outcome> {
    super::start_logging(args.log_format, context.verbose);
    let config = &mut context.config;
    args.kafka.apply(&mut config.kafka)?;
    if let Some(receive) = args.receive {
        config.serve.receive = receive;
    }
    if let Some(http) = args.http {
        config.serve.http = http;
    }
    config.check()?;
    super::runtime()?.block_on(serve(&context))
}

async fn serve(context: &Context) -> Result<Outcome> {
    let config = &context.config;
    let vitals = Vitals::default();
    let shutdown = CancellationToken::new();
    let receiver = Receiver::new(config, &vitals, &context.clock)?;
    service::serve_health("serve.http", &config.serve.http, &vitals).await?;
    let listener = server::listen("serve.receive", &config.serve.receive).await?;
    service::stop_on_signal(
        shutdown.clone(),
        "stopping: requests under way get their answers",
        "stopped at once; whoever got no answer sends again",
    )?;
    if config.secrets.api_call_tokens.is_empty() {
        tracing::info!("/api-calls is off: TAPETRAIL_API_CALL_TOKENS names no token");
    }
    if config.secrets.webhook_secrets.is_empty() {
        tracing::warn!("callbacks are taken unchecked: TAPETRAIL_WEBHOOK_SECRETS names no secret");
    }
    tracing::info!(address = %listener.local_addr()?, "taking messages");
    let attending = tokio::spawn({
        let (receiver, shutdown) = (receiver.clone(), shutdown.clone());
        async move { receiver.attend(shutdown).await }
    });
    let served = service::serve_until_stopped(
        "serve.receive",
        listener,
        receiver.routes(),
        &vitals,
        &shutdown,
        DRAIN_TIMEOUT,
    )
    .await?;
    if served == Served::NotAll {
        tracing::warn!("stopped with requests under way; they get no answer and are sent again");
    }
    attending.await.context("the look at the brokers died")?;
    tracing::info!("done");
    Ok(Outcome::Clean)
}
