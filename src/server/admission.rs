//! The gate of the endpoints: how many requests may be under way, and how long one may take.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::IntGauge;
use tokio::sync::Semaphore;

use super::answer::Refusal;
use super::metrics::{Reason, ServerMetrics};
use crate::clock::Clock;

/// Agora waits 10 s for an answer (`domain/webhooks.md`, section 1); whoever is told in time tries again.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);

pub(super) struct Admission {
    places: Semaphore,
    metrics: Arc<ServerMetrics>,
    clock: Clock,
}

impl Admission {
    pub fn new(requests_max: usize, metrics: Arc<ServerMetrics>, clock: Clock) -> Self {
        Admission {
            places: Semaphore::new(requests_max),
            metrics,
            clock,
        }
    }
}

/// Lets a request through, unless too many are under way; counts it, and answers for it when it takes too long.
pub(super) async fn admit(
    State((admission, endpoint)): State<(Arc<Admission>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let metrics = &admission.metrics;
    let started = admission.clock.instant();
    let response = match admission.places.try_acquire() {
        Err(_) => {
            let text = "too many requests are under way (serve.requests_max); try again";
            refuse(metrics, endpoint, Reason::Busy, text)
        }
        Ok(_place) => {
            let _counted = InFlight::count(&metrics.in_flight);
            let answered = tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await;
            answered.unwrap_or_else(|_| {
                let text =
                    "the request did not arrive in time, or Kafka did not take it; try again";
                refuse(metrics, endpoint, Reason::Slow, text)
            })
        }
    };
    let status = response.status();
    (metrics.requests)
        .with_label_values(&[endpoint, status.as_str()])
        .inc();
    let took = admission.clock.elapsed(started);
    (metrics.seconds)
        .with_label_values(&[endpoint])
        .observe(took.as_secs_f64());
    response
}

fn refuse(metrics: &ServerMetrics, endpoint: &str, reason: Reason, text: &str) -> Response {
    metrics.refuse(endpoint, reason, text);
    Refusal::new(reason, text).into_response()
}

/// A request under way, until this is dropped: its sender may go away at any moment.
struct InFlight<'m>(&'m IntGauge);

impl InFlight<'_> {
    fn count(gauge: &IntGauge) -> InFlight<'_> {
        gauge.inc();
        InFlight(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
