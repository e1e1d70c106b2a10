//! From the spool to Kafka, in order: an event is forgotten when Kafka has acknowledged it and all before it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Inner, Proxy};
use crate::source::acknowledged::Undelivered;

/// Events of about so many bytes are under way at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// How long to wait before brokers are tried again.
const PAUSE: Duration = Duration::from_secs(1);

impl Proxy {
    /// Sends what is spooled until `shutdown`, and then what is there already, if Kafka takes it at once.
    pub async fn dispatch(&self, shutdown: CancellationToken) -> Result<()> {
        let proxy = &self.0;
        let mut is_trouble_told = false;
        loop {
            match proxy.send_batch().await {
                Ok(true) if is_trouble_told => {
                    tracing::info!("Kafka takes events again");
                    is_trouble_told = false;
                }
                Ok(true) => {}
                Ok(false) if shutdown.is_cancelled() => return Ok(()),
                Ok(false) => tokio::select! {
                    () = proxy.spooled.notified() => {}
                    () = shutdown.cancelled() => {}
                },
                Err(error) => {
                    if shutdown.is_cancelled() {
                        tracing::warn!("events stay in the spool for the next start: {error:#}");
                        return Ok(());
                    }
                    if !is_trouble_told {
                        tracing::warn!(
                            "calls go through, their events wait in the spool: {error:#}"
                        );
                        is_trouble_told = true;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = shutdown.cancelled() => {}
                    }
                }
            }
        }
    }
}

impl Inner {
    /// Sends the next events; false when there are none.
    async fn send_batch(self: &Arc<Self>) -> Result<bool> {
        let (events, position) = self
            .spool
            .read(BATCH_BYTES)
            .context("proxy.spool: cannot be read")?;
        if events.is_empty() {
            return Ok(false);
        }
        self.find_topic().await?;
        let at = self.clock.now();
        let mut under_way = Vec::with_capacity(events.len());
        for event in &events {
            let key = channel(event);
            let key = key.as_deref().map(str::as_bytes);
            under_way.push(self.producer.send(&self.topic, key, event.as_bytes(), at));
        }
        for sent in under_way {
            match sent.await {
                Ok(()) => self.metrics.sent.inc(),
                Err(error @ Undelivered::TooLarge) => {
                    // It would never pass, and nothing behind it.
                    self.metrics.lost.inc();
                    tracing::error!("an event is dropped: {error}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.spool
            .forget(position)
            .context("proxy.spool: cannot be written")?;
        self.metrics
            .waiting_bytes
            .set(self.spool.waiting_bytes() as i64);
        Ok(true)
    }

    /// A topic that is not there must not be made by a message.
    async fn find_topic(self: &Arc<Self>) -> Result<()> {
        if self.knows_topic.load(Ordering::Relaxed) {
            return Ok(());
        }
        let proxy = Arc::clone(self);
        let probe =
            tokio::task::spawn_blocking(move || proxy.producer.probe(&[proxy.topic.as_str()]));
        probe.await.context("the look at the brokers died")??;
        self.knows_topic.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Returns the channel of an event: it keeps what belongs together in one partition.
pub(super) fn channel(event: &str) -> Option<String> {
    let event: Value = serde_json::from_str(event).ok()?;
    let channel = event.pointer("/request/body/cname")?.as_str()?;
    (!channel.is_empty()).then(|| channel.to_string())
}
