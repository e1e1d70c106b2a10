//! What a process tells about itself: Prometheus metrics, health and readiness. Holds numbers, no logic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// What every long-running process tells: its metrics, and why it is not ready, if it is not. Cheap to clone.
#[derive(Clone, Default)]
pub struct Vitals {
    registry: Registry,
    /// Why the process is not ready, by cause; empty is ready.
    unready: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Vitals {
    /// Returns all metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("metrics are text");
        String::from_utf8(text).expect("metrics are UTF-8")
    }

    /// Says that the process is not ready because of `cause`, until `ready` is told.
    pub fn unready(&self, cause: &str, why: impl Into<String>) {
        self.causes().insert(cause.to_string(), why.into());
    }

    /// Returns whether `cause` is none why the process is not ready.
    pub fn is_ready(&self, cause: &str) -> bool {
        !self.causes().contains_key(cause)
    }

    /// Returns whether the process was not ready because of `cause`.
    pub fn ready(&self, cause: &str) -> bool {
        self.causes().remove(cause).is_some()
    }

    /// Returns why the process is not ready; empty when it is.
    pub fn why_unready(&self) -> Vec<String> {
        let causes = self.causes();
        causes
            .iter()
            .map(|(cause, why)| format!("{cause}: {why}"))
            .collect()
    }

    /// Has `render` tell of a metric, too.
    pub fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: M) -> M {
        register(&self.registry, metric)
    }

    fn causes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.unready
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The metrics of a consumer and the reasons why it is not ready, if any.
pub struct Metrics {
    vitals: Vitals,
    pub messages: IntCounterVec,
    pub message_bytes: IntCounterVec,
    pub rows: IntCounterVec,
    pub dead_letters: IntCounterVec,
    pub lag: IntGaugeVec,
    pub stored_offset: IntGaugeVec,
    pub watermark: GaugeVec,
    pub commit_seconds: HistogramVec,
    pub commit_rows: IntCounterVec,
    pub commit_failures: IntCounterVec,
    pub fenced: IntCounterVec,
    pub file_bytes: IntCounterVec,
    pub batch_fill: GaugeVec,
    pub buffered_bytes: IntGauge,
    pub rebalances: IntCounterVec,
    pub stopped_partitions: IntGauge,
}

impl Metrics {
    pub fn new() -> Self {
        let vitals = Vitals::default();
        let registry = vitals.registry.clone();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels);
            register(&registry, metric.expect("name and labels are right"))
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels);
            register(&registry, metric.expect("name and labels are right"))
        };
        let real = |name: &str, help: &str, labels: &[&str]| {
            let metric = GaugeVec::new(Opts::new(name, help), labels);
            register(&registry, metric.expect("name and labels are right"))
        };
        let single = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help);
            register(&registry, metric.expect("name is right"))
        };
        let commit_seconds = HistogramVec::new(
            HistogramOpts::new("tapetrail_commit_seconds", "Time of one commit to the lake")
                .buckets(vec![
                    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
                ]),
            &["stream"],
        );
        Metrics {
            messages: counter(
                "tapetrail_messages_total",
                "Messages consumed",
                &["topic", "partition"],
            ),
            message_bytes: counter(
                "tapetrail_message_bytes_total",
                "Bytes of messages consumed, before redaction",
                &["topic", "partition"],
            ),
            rows: counter(
                "tapetrail_rows_total",
                "Rows gathered, by disposition: event, dead, skipped, gap",
                &["stream", "disposition"],
            ),
            dead_letters: counter(
                "tapetrail_dead_letters_total",
                "Messages that became dead letters, by reason",
                &["stream", "reason"],
            ),
            lag: gauge(
                "tapetrail_lag",
                "Messages between the end of the partition and what is in the lake",
                &["topic", "partition"],
            ),
            stored_offset: gauge(
                "tapetrail_stored_offset",
                "Next offset that the lake holds for the partition",
                &["topic", "partition"],
            ),
            watermark: real(
                "tapetrail_watermark_timestamp_seconds",
                "Latest trusted event time that three events of the partition have reached",
                &["topic", "partition"],
            ),
            commit_seconds: register(&registry, commit_seconds.expect("buckets are right")),
            commit_rows: counter(
                "tapetrail_committed_rows_total",
                "Rows in the lake",
                &["stream"],
            ),
            commit_failures: counter(
                "tapetrail_commit_failures_total",
                "Tries to write or commit that the store refused; each is tried again",
                &["stream"],
            ),
            fenced: counter(
                "tapetrail_fenced_total",
                "Batches dropped because another consumer had committed their offsets",
                &["stream"],
            ),
            file_bytes: counter(
                "tapetrail_file_bytes_total",
                "Bytes of Parquet written",
                &["stream"],
            ),
            batch_fill: real(
                "tapetrail_batch_fill_ratio",
                "Bytes gathered since the last commit by consume.commit_bytes",
                &["stream"],
            ),
            buffered_bytes: single(
                "tapetrail_buffered_bytes",
                "Bytes of rows in memory, gathered or being written",
            ),
            rebalances: counter(
                "tapetrail_rebalances_total",
                "Changes of the assignment",
                &["kind"],
            ),
            stopped_partitions: single(
                "tapetrail_stopped_partitions",
                "Partitions that wait for the operator at an offset hole",
            ),
            vitals,
        }
    }

    /// What HTTP tells of this consumer.
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// Says that the process is not ready because of `cause`, until `ready` is told.
    pub fn unready(&self, cause: &str, why: impl Into<String>) {
        self.vitals.unready(cause, why);
    }

    pub fn ready(&self, cause: &str) {
        self.vitals.ready(cause);
    }

    /// Returns why the process is not ready; empty when it is.
    pub fn why_unready(&self) -> Vec<String> {
        self.vitals.why_unready()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

fn register<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: M) -> M {
    registry
        .register(Box::new(metric.clone()))
        .expect("each name is registered once");
    metric
}
