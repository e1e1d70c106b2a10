//! The recording proxy: passes calls of the Cloud Recording API on as they come, and tells Kafka of each of them.
//!
//! 1. [`forward`] passes a call on and its answer back, both streaming, and copies what passes.
//! 2. [`record`] makes an event of what the caller saw; `redact` removes its secrets.
//! 3. [`spool`] has it on disk before the caller has the end of the answer.
//! 4. [`dispatch`] sends what is spooled to Kafka, in order, and forgets it when Kafka has it.
//!
//! A call never waits for Kafka, and never fails because of it. With `--enforce`, [`guard`] refuses starts that would
//! send a channel's recording to two places.

mod dispatch;
mod forward;
mod guard;
mod metrics;
mod record;
mod spool;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use axum::Router;
use serde_json::Value;
use tokio::sync::Notify;

use self::forward::Client;
use self::guard::{Channel, Guard, Outcome, Session};
use self::metrics::ProxyMetrics;
use self::record::Call;
use self::spool::{NotKept, Spool};
use crate::clock::Clock;
use crate::config::Config;
use crate::decode::api_calls::path::{self, Operation};
use crate::event::Stream;
use crate::metrics::Vitals;
use crate::redact::Redactor;
use crate::source::acknowledged::AcknowledgedProducer;

/// Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    client: Client,
    /// Without a slash at the end.
    upstream: String,
    settings: crate::config::Proxy,
    guard: Option<Guard>,
    redactor: Redactor,
    spool: Spool,
    producer: AcknowledgedProducer,
    topic: String,
    /// The brokers have said once that they know the topic.
    knows_topic: AtomicBool,
    /// Something was spooled.
    spooled: Notify,
    metrics: ProxyMetrics,
    clock: Clock,
}

impl Proxy {
    /// Opens the spool, and connects to Kafka, which need not be there.
    pub fn new(
        config: &Config,
        is_enforcing: bool,
        vitals: &Vitals,
        clock: &Clock,
    ) -> Result<Proxy> {
        let settings = config.proxy.clone();
        let topics = config.topics().into_iter();
        let mut topics = topics.filter(|(stream, _)| *stream == Stream::ApiCalls);
        let (_, topic) = topics.next().context(
            "kafka.topics.api_calls: is switched off; name the topic that `proxy` sends to",
        )?;
        let spool = Spool::open(&settings.spool, settings.spool_bytes_max.as_u64())?;
        let metrics = ProxyMetrics::new(vitals);
        metrics.waiting_bytes.set(spool.waiting_bytes() as i64);
        Ok(Proxy(Arc::new(Inner {
            client: forward::client()?,
            upstream: settings.upstream.trim_end_matches('/').to_string(),
            guard: is_enforcing.then(|| Guard::new(settings.storage.clone())),
            settings,
            redactor: Redactor::of(config),
            spool,
            producer: AcknowledgedProducer::connect(config)?,
            topic,
            knows_topic: AtomicBool::new(false),
            spooled: Notify::new(),
            metrics,
            clock: clock.clone(),
        })))
    }

    /// Returns the one route there is: everything is passed on.
    pub fn routes(&self) -> Router {
        Router::new()
            .fallback(forward::pass)
            .with_state(self.clone())
    }
}

impl Inner {
    /// Keeps a call that is over, and tells the guard how it ended.
    fn keep(&self, call: &Call, channel: Option<&Channel>) {
        let parsed = path::parse(&call.url);
        let status = call
            .status
            .map_or("none".to_string(), |status| status.as_u16().to_string());
        let labels = [parsed.operation.as_str(), status.as_str()];
        self.metrics.calls.with_label_values(&labels).inc();
        self.inform_guard(call, &parsed, channel);
        let event = call.event(&self.settings.caller);
        let text = event.to_string();
        let mut redacted = String::new();
        if self.redactor.json(text.as_bytes(), &mut redacted).is_err() {
            // Nested too deeply, for example.
            redacted = self.redactor.bytes(text.as_bytes()).replace('\n', " ");
        }
        match self.spool.append(&redacted) {
            Ok(()) => self.spooled.notify_one(),
            Err(error) => self.is_not_kept(redacted, &error),
        }
        self.metrics
            .waiting_bytes
            .set(self.spool.waiting_bytes() as i64);
    }

    fn inform_guard(&self, call: &Call, path: &path::Path<'_>, channel: Option<&Channel>) {
        let Some(guard) = &self.guard else { return };
        let now = self.clock.now();
        let status = call.status.map(|status| status.as_u16());
        if let Some(channel) = channel {
            let body = call.response_body.value(&call.response_headers);
            let sid = body
                .get("sid")
                .and_then(Value::as_str)
                .filter(|sid| !sid.is_empty());
            let outcome = match (status, sid) {
                (Some(200), Some(sid)) => Outcome::Started(Session {
                    resource_id: path.resource_id.unwrap_or_default().to_string(),
                    sid: sid.to_string(),
                    mode: path.mode.unwrap_or_default().to_string(),
                }),
                // 206: the request reached the backend, and nobody knows (API facts, section 5).
                (None | Some(200 | 206 | 500..), _) => Outcome::Unknown,
                _ => Outcome::Rejected,
            };
            guard.ended(channel, outcome, now);
        }
        if let (Operation::Stop, Some(200 | 404), Some(sid)) = (path.operation, status, path.sid) {
            guard.is_over(sid, now);
        }
    }

    /// An event for which the disk has no place: where the disk is at fault, Kafka may still take it.
    fn is_not_kept(&self, event: String, error: &NotKept) {
        self.metrics.lost.inc();
        tracing::error!("an event is not kept: {error}");
        if matches!(error, NotKept::Disk(_)) {
            let key = dispatch::channel(&event);
            let key = key.as_deref().map(str::as_bytes);
            let at = self.clock.now();
            let sent = self.producer.send(&self.topic, key, event.as_bytes(), at);
            let lost = self.metrics.lost.clone();
            tokio::spawn(async move {
                if sent.await.is_ok() {
                    // It was counted in advance: the process could have died meanwhile.
                    lost.dec();
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
