//! What an operator sees and chooses: metrics, readiness, where a first start begins, topics without messages.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{Deployment, free_address, get, metrics};
use crate::eventually;
use crate::messages::message;
use crate::producer::Producer;

const STREAM: Stream = Stream::Webhooks;

#[test]
fn metrics_tell_lag_rows_and_dead_letters() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(STREAM, 2)]);
    let http = free_address();
    deployment.set(&["consume", "http"], http.as_str());
    let producer = Producer::new(broker.address());
    let topic = deployment.topic(STREAM).to_string();
    deployment.produce(&producer, 0..100);
    for _ in 0..3 {
        producer.send_raw(&topic, 1, Some(b"{"), None, None);
    }
    producer.send_raw(&topic, 1, None, None, Some("a tombstone"));
    producer.flush();
    let mut process = deployment.consume();
    deployment.wait_for_all(&producer);

    let of_partition = |name: &str, partition: i32| {
        format!("tapetrail_{name}{{partition=\"{partition}\",topic=\"{topic}\"}}")
    };
    let of_stream =
        |name: &str, labels: &str| format!("tapetrail_{name}{{{labels}stream=\"{STREAM}\"}}");
    let expected = [
        (of_partition("lag", 0), 0.0),
        (of_partition("lag", 1), 0.0),
        (of_partition("messages_total", 0), 50.0),
        (of_partition("messages_total", 1), 54.0),
        (of_partition("stored_offset", 1), 54.0),
        (of_stream("rows_total", "disposition=\"event\","), 100.0),
        (of_stream("rows_total", "disposition=\"dead\","), 3.0),
        (of_stream("rows_total", "disposition=\"skipped\","), 1.0),
        (
            of_stream("dead_letters_total", "reason=\"invalid_json\","),
            3.0,
        ),
        (of_stream("committed_rows_total", ""), 104.0),
    ];
    // Lag is as old as the client's statistics: a second.
    let mut missing = Vec::new();
    let told = || {
        let now = metrics(&http);
        missing = expected
            .iter()
            .filter(|(name, value)| now.get(name) != Some(value))
            .collect();
        missing.is_empty()
    };
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("the metrics agree", told)
    }))
    .is_err()
    {
        panic!("not as expected: {missing:?}\n{:#?}", metrics(&http));
    }
    let now = metrics(&http);
    for name in [
        of_partition("watermark_timestamp_seconds", 0),
        of_stream("commit_seconds_count", ""),
    ] {
        assert!(
            now.get(&name).is_some_and(|value| *value > 0.0),
            "{name}: {now:#?}"
        );
    }
    process.stop();
    deployment.expect_exactly(&producer);
}

#[test]
fn a_first_start_at_a_time_reads_from_there() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(STREAM, 1)]);
    deployment.set(&["consume", "start"], "2026-11-20T12:00:00Z");
    let noon_ms = 1_795_176_000_000;
    let (before, from) = (
        Producer::new(broker.address()),
        Producer::new(broker.address()),
    );
    let topic = deployment.topic(STREAM);
    for n in 0..40 {
        before.send_at(topic, 0, &message(STREAM, n), noon_ms - 40 + n as i64);
    }
    before.flush();
    for n in 40..100 {
        from.send_at(topic, 0, &message(STREAM, n), noon_ms + n as i64);
    }
    from.flush();
    deployment.drain();
    deployment.expect_exactly(&from);
}

#[test]
fn a_first_start_at_the_end_reads_what_comes() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(STREAM, 1)]);
    let http = free_address();
    deployment.set(&["consume", "http"], http.as_str());
    deployment.set(&["consume", "start"], "latest");
    let (before, after) = (
        Producer::new(broker.address()),
        Producer::new(broker.address()),
    );
    deployment.produce(&before, 0..40);
    before.flush();
    let mut process = deployment.consume();
    eventually("the consumer is ready", || {
        get(&http, "/readyz").is_some_and(|(status, _)| status == 200)
    });
    deployment.produce(&after, 40..100);
    deployment.wait_for_all(&after);
    process.stop();
    deployment.expect_exactly(&after);
}

#[test]
fn topics_without_messages_or_that_are_not_there_end_at_once() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(STREAM, 2)]);
    deployment.set(&["kafka", "topics", "storage_events"], "no.such.topic");
    deployment.drain();
    assert_eq!(deployment.lake().rows().count(), 0);
}

/// A deployment rolls on only when each process says it is ready, those that wait for a partition, too.
#[test]
fn a_member_without_a_partition_is_ready() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(STREAM, 1)]);
    let addresses = [free_address(), free_address()];
    let start = |address: &String| deployment.consume_at(address);
    let mut members: Vec<_> = addresses.iter().map(start).collect();
    for address in &addresses {
        eventually("both are ready", || {
            get(address, "/readyz").is_some_and(|(status, _)| status == 200)
        });
    }
    for member in &mut members {
        member.stop();
    }
}
