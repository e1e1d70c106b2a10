//! What the commands share that run until somebody stops them: signals, health, and a server that ends in good order.

use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::metrics::Vitals;
use crate::server::{self, health};

/// Warns once where access keys will leave nothing behind to tell accounts apart by.
pub(super) fn warn_without_fingerprints(config: &Config) {
    if config.secrets.fingerprint_key.is_none() {
        tracing::warn!(
            "TAPETRAIL_FINGERPRINT_KEY is not set: access keys are removed without a fingerprint"
        );
    }
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

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// Whoever asked before the stop has an answer.
    All,
    /// Requests were still under way when the time for them was over.
    NotAll,
}

/// Serves `routes` at the address that `key` names until `shutdown`, then lets requests under way have their answers
/// for `drain_timeout` at most. The process is not ready from the stop on.
pub(super) async fn serve_until_stopped(
    key: &str,
    listener: TcpListener,
    routes: Router,
    vitals: &Vitals,
    shutdown: &CancellationToken,
    drain_timeout: Duration,
) -> Result<Served> {
    let serving = server::run(listener, routes, shutdown.clone());
    let stopped = async {
        shutdown.cancelled().await;
        vitals.unready("stop", "the process is stopping");
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        served = serving => served
            .with_context(|| format!("{key}: the server died"))
            .map(|()| Served::All),
        () = stopped => Ok(Served::NotAll),
    }
}
