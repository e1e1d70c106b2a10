//! What the proxy counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

use crate::metrics::Vitals;

pub(super) struct ProxyMetrics {
    pub calls: IntCounterVec,
    pub refused: IntCounterVec,
    pub sent: IntCounter,
    /// A gauge, because an event that was not kept may reach Kafka all the same.
    pub lost: IntGauge,
    pub waiting_bytes: IntGauge,
}

impl ProxyMetrics {
    pub fn new(vitals: &Vitals) -> Self {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels);
            vitals.register(metric.expect("name and labels are right"))
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help);
            vitals.register(metric.expect("name is right"))
        };
        let sent = IntCounter::new(
            "tapetrail_sent_events_total",
            "Events that Kafka has acknowledged",
        );
        ProxyMetrics {
            calls: counter(
                "tapetrail_proxied_calls_total",
                "Calls passed on, by the status of their answers; none where no answer came",
                &["operation", "status"],
            ),
            refused: counter(
                "tapetrail_refused_calls_total",
                "Calls that --enforce refused: storage (not allowed for the app), conflict (the channel is locked)",
                &["reason"],
            ),
            sent: vitals.register(sent.expect("name is right")),
            lost: gauge(
                "tapetrail_lost_events",
                "Events that were neither spooled nor acknowledged",
            ),
            waiting_bytes: gauge(
                "tapetrail_spool_waiting_bytes",
                "Bytes of events that Kafka does not have yet",
            ),
        }
    }
}
