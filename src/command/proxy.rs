//! `tapetrail proxy`: calls of the API -> the service, and an event of each -> Kafka.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::kafka_args::KafkaArgs;
use super::service::{self, Served};
use super::{Context, LogFormat, Outcome};
use crate::metrics::Vitals;
use crate::proxy::Proxy;
use crate::server;

/// Stand between your backend and the API: pass calls on as they are, and record each of them
///
/// Give your backend http://<proxy> as the base URL of the Cloud Recording API. Calls and answers pass unchanged, and
/// of each an event with request, answer and timing goes to the topic of the stream api_calls. Credentials pass, too,
/// and are stored nowhere. The backend can say more in two headers that are not passed on, JSON objects both:
/// Tapetrail-Caller ({"service": "meeting-api", "attempt": 2}) and Tapetrail-Context ({"user_region": "eu"}).
///
/// Calls never depend on Kafka: events wait in proxy.spool until Kafka has them, in order, and survive a kill. What
/// fails to reach the service is answered 502, and recorded.
///
/// With --enforce the first start of a channel locks its storage. A start or an update that names other storage is
/// answered 409 while that recording lives, which the service is asked, and one that names storage which
/// [proxy.storage] does not allow for its app is answered 403; neither reaches the service. State is in this process:
/// a channel that it has seen no start of passes, and so does one of which the service does not say how it is.
#[derive(Debug, Args)]
pub struct ProxyArgs {
    /// Address that your backend calls [default: 127.0.0.1:9467]
    #[arg(long, env = "TAPETRAIL_LISTEN", value_name = "ADDRESS")]
    listen: Option<String>,

    /// Base URL of the service [default: https://api.agora.io]
    #[arg(long, env = "TAPETRAIL_UPSTREAM", value_name = "URL")]
    upstream: Option<String>,

    /// Directory of the events that Kafka does not have yet; of this process alone [default: ./spool]
    #[arg(long, env = "TAPETRAIL_SPOOL", value_name = "DIR")]
    spool: Option<PathBuf>,

    /// Refuse starts that would send a channel's recording to two places
    #[arg(long)]
    enforce: bool,

    /// Address of /metrics, /healthz and /readyz; empty for none [default: 127.0.0.1:9468]
    #[arg(long, env = "TAPETRAIL_HTTP", value_name = "ADDRESS")]
    http: Option<String>,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// How log lines are written to stderr
    #[arg(long, value_enum, default_value = "text", env = "TAPETRAIL_LOG_FORMAT")]
    log_format: LogFormat,
}

/// How long a stop waits for calls that are under way.
const CALLS_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a stop waits for Kafka; the rest stays in the spool.
const KAFKA_TIMEOUT: Duration = Duration::from_secs(5);

pub fn run(args: ProxyArgs, mut context: Context) -> Result<Outcome> {
    super::start_logging(args.log_format, context.verbose);
    let config = &mut context.config;
    args.kafka.apply(&mut config.kafka)?;
    let proxy = &mut config.proxy;
    proxy.listen = args.listen.unwrap_or_else(|| proxy.listen.clone());
    proxy.upstream = args.upstream.unwrap_or_else(|| proxy.upstream.clone());
    proxy.spool = args.spool.unwrap_or_else(|| proxy.spool.clone());
    proxy.http = args.http.unwrap_or_else(|| proxy.http.clone());
    config.check()?;
    super::runtime()?.block_on(serve(&context, args.enforce))
}

async fn serve(context: &Context, is_enforcing: bool) -> Result<Outcome> {
    let config = &context.config;
    service::warn_without_fingerprints(config);
    let vitals = Vitals::default();
    let shutdown = CancellationToken::new();
    let proxy = Proxy::new(config, is_enforcing, &vitals, &context.clock)?;
    service::serve_health("proxy.http", &config.proxy.http, &vitals).await?;
    let listener = server::listen("proxy.listen", &config.proxy.listen).await?;
    service::stop_on_signal(
        shutdown.clone(),
        "stopping: calls under way go on to their end",
        "stopped at once; what was recorded is in the spool",
    )?;
    tracing::info!(address = %listener.local_addr()?, upstream = config.proxy.upstream, "passing calls on");
    if is_enforcing {
        tracing::info!(
            "--enforce knows nothing of recordings that began before: the first start of each channel passes"
        );
    }
    let calls_are_over = CancellationToken::new();
    let dispatching = tokio::spawn({
        let (proxy, calls_are_over) = (proxy.clone(), calls_are_over.clone());
        async move { proxy.dispatch(calls_are_over).await }
    });
    let served = service::serve_until_stopped(
        "proxy.listen",
        listener,
        proxy.routes(),
        &vitals,
        &shutdown,
        CALLS_TIMEOUT,
    )
    .await?;
    if served == Served::NotAll {
        tracing::warn!("stopped with calls under way");
    }
    calls_are_over.cancel();
    match tokio::time::timeout(KAFKA_TIMEOUT, dispatching).await {
        Ok(ended) => ended.context("the dispatcher died")??,
        Err(_) => tracing::warn!("events stay in the spool for the next start"),
    }
    tracing::info!("done");
    Ok(Outcome::Clean)
}
