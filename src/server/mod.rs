//! The HTTP server: what producers without a Kafka client send, and what tells how a process is.
//!
//! A message is answered 200 when Kafka has acknowledged it, and not before: whoever gets another answer, or none,
//! still has it and sends it again.
//!
//! - [`Receiver`]: `POST /webhooks` takes Agora's callbacks (in `webhooks`), `POST /api-calls` batches of API calls
//!   (in `api_calls`). Both go through `admission`, which bounds how many are under way and how long.
//! - [`health`]: `/metrics`, `/healthz`, `/readyz` of any long-running process.

pub mod health;
mod admission;
mod answer;
mod api_calls;
mod metrics;
mod senders;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::admission::Admission;
use self::metrics::ServerMetrics;
use self::senders::Senders;
use crate::clock::Clock;
use crate::config::Config;
use crate::event::{Micros, Stream};
use crate::metrics::Vitals;
use crate::redact::Redactor;
use crate::source::acknowledged::{AcknowledgedProducer, Undelivered};

/// How often the brokers are asked whether they are there and know the topics.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// How often the list of senders is looked at.
const SENDERS_INTERVAL: Duration = Duration::from_secs(60);

/// Under this cause the process is not ready.
const KAFKA: &str = "kafka";

/// Takes messages over HTTP and answers when Kafka has them. Cheap to clone.
#[derive(Clone)]
pub struct Receiver(Arc<Inner>);

struct Inner {
    producer: AcknowledgedProducer,
    webhooks_topic: String,
    api_calls_topic: String,
    /// Pairs of id and secret.
    webhook_secrets: Vec<(String, String)>,
    is_signature_required: bool,
    /// Pairs of id and token.
    api_call_tokens: Vec<(String, String)>,
    senders: Senders,
    redactor: Redactor,
    admission: Arc<Admission>,
    body_bytes_max: usize,
    /// The brokers have said once that they know the topics: before, a message could make one.
    knows_topics: AtomicBool,
    /// The log says already that messages are not taken.
    is_trouble_told: AtomicBool,
    metrics: Arc<ServerMetrics>,
    vitals: Vitals,
    clock: Clock,
}

impl Receiver {
    /// Connects to Kafka, which need not be there yet; reads the list of senders, which must.
    pub fn new(config: &Config, vitals: &Vitals, clock: &Clock) -> Result<Receiver> {
        let serve = &config.serve;
        let secrets = &config.secrets;
        if secrets.webhook_secrets.is_empty() && serve.require_signature {
            bail!(
                "TAPETRAIL_WEBHOOK_SECRETS names no secret to check callbacks with; set it to `id=secret` with the secret from Agora's console, or set serve.require_signature = false to take them unchecked"
            );
        }
        let topic = |stream: Stream| {
            let topics = config.topics().into_iter();
            let mut found = topics.filter(|(of, _)| *of == stream);
            found.next().map(|(_, topic)| topic).with_context(|| {
                format!(
                    "kafka.topics.{stream}: is switched off; name the topic that `serve` sends to"
                )
            })
        };
        vitals.unready(KAFKA, "the brokers have not answered yet");
        let metrics = Arc::new(ServerMetrics::new(vitals, clock.clone()));
        Ok(Receiver(Arc::new(Inner {
            producer: AcknowledgedProducer::connect(config)?,
            webhooks_topic: topic(Stream::Webhooks)?,
            api_calls_topic: topic(Stream::ApiCalls)?,
            webhook_secrets: secrets.webhook_secrets.clone(),
            is_signature_required: serve.require_signature,
            api_call_tokens: secrets.api_call_tokens.clone(),
            senders: Senders::open(serve)?,
            redactor: Redactor::of(config),
            admission: Arc::new(Admission::new(
                serve.requests_max,
                Arc::clone(&metrics),
                clock.clone(),
            )),
            body_bytes_max: serve.body_bytes_max.as_u64() as usize,
            knows_topics: AtomicBool::new(false),
            is_trouble_told: AtomicBool::new(false),
            metrics,
            vitals: vitals.clone(),
            clock: clock.clone(),
        })))
    }

    /// Returns the endpoints. They want to know who calls: [`run`] tells them.
    pub fn routes(&self) -> Router {
        let admitted = |endpoint: &'static str| {
            let state = (Arc::clone(&self.0.admission), endpoint);
            from_fn_with_state(state, admission::admit)
        };
        let mut router = Router::new().route(
            "/webhooks",
            post(webhooks::receive).layer(admitted("webhooks")),
        );
        if !self.0.api_call_tokens.is_empty() {
            router = router.route(
                "/api-calls",
                post(api_calls::receive).layer(admitted("api_calls")),
            );
        }
        router
            .layer(DefaultBodyLimit::max(self.0.body_bytes_max))
            .with_state(self.clone())
    }

    /// Looks after the brokers and the list of senders until `shutdown`.
    pub async fn attend(&self, shutdown: CancellationToken) {
        tokio::join!(
            self.attend_brokers(&shutdown),
            self.attend_senders(&shutdown)
        );
    }

    async fn attend_brokers(&self, shutdown: &CancellationToken) {
        loop {
            self.probe().await;
            if !pause(PROBE_INTERVAL, shutdown).await {
                return;
            }
        }
    }

    /// Asks the brokers whether they are there and know the topics, and is ready if they do.
    async fn probe(&self) {
        let receiver = self.clone();
        let probe = tokio::task::spawn_blocking(move || {
            let server = &receiver.0;
            let topics = [&server.webhooks_topic, &server.api_calls_topic];
            server.producer.probe(&topics.map(String::as_str))
        });
        match probe.await {
            Ok(Ok(())) => {
                self.0.knows_topics.store(true, Ordering::Relaxed);
                self.0.is_trouble_told.store(false, Ordering::Relaxed);
                if self.0.vitals.ready(KAFKA) {
                    tracing::info!("the brokers answer: messages are taken");
                }
            }
            Ok(Err(error)) => self.0.is_without_kafka(&format!("{error:#}")),
            Err(_) => self.0.is_without_kafka("the look at the brokers died"),
        }
    }

    async fn attend_senders(&self, shutdown: &CancellationToken) {
        while self.0.senders.are_listed() && pause(SENDERS_INTERVAL, shutdown).await {
            self.0.senders.refresh();
        }
    }

    /// Waits for what is still on its way to Kafka.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.0.producer.flush(timeout)
    }
}

impl Inner {
    /// Hands a message over; the future ends with Kafka's acknowledgment.
    fn send(
        &self,
        topic: &str,
        key: Option<&str>,
        value: &[u8],
        at: Micros,
    ) -> impl Future<Output = Result<(), Undelivered>> + Send + use<> {
        let is_open = self.knows_topics.load(Ordering::Relaxed);
        let key = key.map(str::as_bytes);
        let sent = is_open.then(|| self.producer.send(topic, key, value, at));
        async move {
            match sent {
                Some(sent) => sent.await,
                None => Err(Undelivered::Unavailable(
                    "no broker has said yet that it knows the topics".to_string(),
                )),
            }
        }
    }

    fn is_without_kafka(&self, why: &str) {
        self.vitals.unready(KAFKA, why);
        if !self.is_trouble_told.swap(true, Ordering::Relaxed) {
            tracing::warn!("no message is taken: {why}");
        }
    }
}

/// Waits; false when it is time to stop.
async fn pause(time: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = shutdown.cancelled() => false,
    }
}

/// Listens at an address of the configuration, of which `key` is the name.
pub async fn listen(key: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: cannot listen at {address}; choose another address"))
}

/// Serves until `shutdown`, then until the requests that are under way have their answers.
pub async fn run(
    listener: TcpListener,
    routes: Router,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // An answer is one small packet that somebody waits for.
        let _ = connection.set_nodelay(true);
    });
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

#[cfg(test)]
mod tests;
