//! What the endpoints count, and which refusals they log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts};

use crate::clock::Clock;
use crate::metrics::Vitals;

/// Somebody who sends nonsense must not fill the log: of each reason one line in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Why a request is refused: a label of `tapetrail_refused_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    SignatureMissing,
    SignatureInvalid,
    Sender,
    Token,
    TooLarge,
    Unreadable,
    Busy,
    Slow,
    Kafka,
}

impl Reason {
    pub const fn label(self) -> &'static str {
        match self {
            Reason::SignatureMissing => "signature_missing",
            Reason::SignatureInvalid => "signature_invalid",
            Reason::Sender => "sender",
            Reason::Token => "token",
            Reason::TooLarge => "too_large",
            Reason::Unreadable => "unreadable",
            Reason::Busy => "busy",
            Reason::Slow => "slow",
            Reason::Kafka => "kafka",
        }
    }

    pub const fn status(self) -> StatusCode {
        match self {
            Reason::SignatureMissing | Reason::SignatureInvalid | Reason::Token => {
                StatusCode::UNAUTHORIZED
            }
            Reason::Sender => StatusCode::FORBIDDEN,
            Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::Unreadable => StatusCode::BAD_REQUEST,
            Reason::Busy | Reason::Slow | Reason::Kafka => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

pub(super) struct ServerMetrics {
    pub requests: IntCounterVec,
    pub seconds: HistogramVec,
    pub in_flight: IntGauge,
    pub accepted: IntCounterVec,
    refused: IntCounterVec,
    /// When a refusal was last logged, and how many were not since.
    logged: Mutex<BTreeMap<Reason, (Instant, u64)>>,
    clock: Clock,
}

impl ServerMetrics {
    pub fn new(vitals: &Vitals, clock: Clock) -> Self {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels);
            vitals.register(metric.expect("name and labels are right"))
        };
        let in_flight = IntGauge::new(
            "tapetrail_http_requests_in_flight",
            "Requests that have no answer yet",
        );
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "tapetrail_http_request_seconds",
                "Time from the head of a request to its answer",
            )
            .buckets(vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ]),
            &["endpoint"],
        );
        ServerMetrics {
            requests: counter(
                "tapetrail_http_requests_total",
                "Requests, by the status of their answers",
                &["endpoint", "status"],
            ),
            seconds: vitals.register(seconds.expect("buckets are right")),
            in_flight: vitals.register(in_flight.expect("name is right")),
            accepted: counter(
                "tapetrail_accepted_messages_total",
                "Messages that Kafka has acknowledged",
                &["stream"],
            ),
            refused: counter(
                "tapetrail_refused_total",
                "Requests that were refused: signature_missing, signature_invalid, sender, token, too_large, unreadable, busy, slow, kafka",
                &["endpoint", "reason"],
            ),
            logged: Mutex::default(),
            clock,
        }
    }

    /// Counts a refusal, and logs it unless one like it was logged just now.
    pub fn refuse(&self, endpoint: &str, reason: Reason, text: &str) {
        let label = reason.label();
        self.refused.with_label_values(&[endpoint, label]).inc();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.instant();
        let (at, more) = logged.get(&reason).copied().unzip();
        if at.is_some_and(|at| now.duration_since(at) < LOG_INTERVAL) {
            logged.entry(reason).and_modify(|(_, more)| *more += 1);
            return;
        }
        logged.insert(reason, (now, 0));
        let more: u64 = more.unwrap_or_default();
        tracing::warn!(endpoint, reason = label, more, "refused: {text}");
    }
}
