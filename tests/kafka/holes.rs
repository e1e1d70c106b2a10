//! F14, F15, F18: offsets without a message, by right, by loss, and because the topic is another one.

use std::collections::{BTreeMap, BTreeSet};

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::eventually;
use crate::messages::message;
use crate::producer::Producer;

const STREAM: Stream = Stream::ApiCalls;

/// F14: retention passed the stored offset: that partition stops with a sentence; accepted, it leaves a gap row.
#[test]
fn retention_that_passed_us_is_never_silent() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(STREAM, 2)]);
    let topic = deployment.topic(STREAM).to_string();
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..200);
    producer.flush();
    deployment.drain();
    deployment.produce(&producer, 200..400);
    producer.flush();
    // Each partition has 200 messages, of which the lake has 100.
    broker.delete_records(&topic, 0, 150);

    let mut process = deployment.consume_with(&["--stop-at-end"], &[]);
    assert_eq!(
        process.wait().code(),
        Some(2),
        "it says that it could not do it:\n{}",
        process.said()
    );
    let said = process.said();
    for word in [topic.as_str(), "100", "150", "on_gap"] {
        assert!(said.contains(word), "the sentence names `{word}`:\n{said}");
    }
    let positions = deployment.lake().positions();
    assert!(
        !positions.contains(&(topic.clone(), 0, 150)),
        "nothing is read beyond the hole"
    );
    assert!(
        positions.contains(&(topic.clone(), 1, 199)),
        "the other partition is not held up"
    );
    assert_eq!(deployment.lake().rows_of("gap").count(), 0);

    deployment.set(&["consume", "on_gap"], "accept");
    deployment.drain();
    let mut produced = producer.produced();
    produced.retain(|(_, partition, offset), _| *partition != 0 || !(100..150).contains(offset));
    let lake = deployment.lake();
    lake.expect(&produced);
    let gaps: Vec<_> = lake.rows_of("gap").collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (gaps[0].position.1, gaps[0].position.2, gaps[0].offset_to),
        (0, 100, Some(150))
    );
    assert!(gaps[0].reason.is_some());
    deployment.expect_verified();
}

/// F15: a topic that was made anew has other messages at old offsets: refused, until the operator says so.
#[test]
fn a_recreated_topic_is_refused_until_a_new_epoch_begins() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(STREAM, 1)]);
    let topic = deployment.topic(STREAM);
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..100);
    producer.flush();
    deployment.drain();

    broker.delete_topic(topic);
    eventually("the topic can be made again", || {
        std::panic::catch_unwind(|| broker.create_topic(topic, 1, &[])).is_ok()
    });
    let anew = Producer::new(broker.address());
    for n in 100..140 {
        anew.send(topic, 0, &message(STREAM, n));
    }
    anew.flush();
    let mut process = deployment.consume_with(&["--stop-at-end"], &[]);
    assert_eq!(
        process.wait().code(),
        Some(2),
        "it refuses:\n{}",
        process.said()
    );
    assert!(
        process.said().contains("--new-epoch"),
        "the cure is named:\n{}",
        process.said()
    );
    deployment.lake().expect(&producer.produced());

    let mut process = deployment.consume_with(&["--stop-at-end", "--new-epoch", topic], &[]);
    let status = process.wait();
    assert!(status.success(), "{status}\n{}", process.said());
    let lake = deployment.lake();
    assert_eq!(lake.rows().count(), 140, "nothing is there twice");
    let ids: BTreeSet<_> = lake
        .rows_of("event")
        .filter_map(|row| row.event_id.clone())
        .collect();
    let sent: BTreeSet<_> = [&producer, &anew]
        .iter()
        .flat_map(|producer| producer.produced().into_values().flatten())
        .collect();
    assert_eq!(ids, sent, "both topics' messages are there");
    let epochs: Vec<_> = lake.transactions().into_iter().collect();
    assert_eq!(
        epochs.iter().map(|(_, next)| *next).collect::<Vec<_>>(),
        [100, 40],
        "{epochs:?}"
    );
    deployment.expect_verified();

    deployment.drain();
    assert_eq!(
        deployment.lake().rows().count(),
        lake.rows().count(),
        "the epoch begins once"
    );
}

/// F18: aborted transactions and the markers of all of them are no loss, the one at the very end included.
#[test]
fn transactions_leave_legal_holes() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(STREAM, 2)]);
    let producer = Producer::transactional(broker.address(), deployment.group());
    for (round, commits) in [true, false, true, true, false].into_iter().enumerate() {
        let before = producer.acknowledged();
        let next = 50 * round as u64;
        producer.begin();
        deployment.produce(&producer, next..next + 50);
        if commits {
            producer.commit()
        } else {
            producer.abort(before)
        }
        if round == 2 {
            deployment.drain();
            deployment.expect_exactly(&producer);
        }
    }
    deployment.drain();
    deployment.expect_exactly(&producer);
    // An open transaction does not hold a bounded run up, nor is anything of it read.
    let committed = producer.acknowledged();
    producer.begin();
    deployment.produce(&producer, 250..260);
    producer.flush();
    deployment.drain();
    deployment.lake().expect(&committed);
    producer.abort(committed);
    deployment.drain();
    deployment.expect_exactly(&producer);
    // The stored offsets are the ends of the partitions, the markers behind the last message included.
    for partition in 0..2 {
        let (_, end) = broker.watermarks(deployment.topic(STREAM), partition);
        let id = format!("/{}/{partition}@", deployment.topic(STREAM));
        let transactions = deployment.lake().transactions();
        let stored = transactions.iter().find(|(key, _)| key.contains(&id));
        assert_eq!(stored.map(|(_, next)| *next), Some(end), "{transactions:?}");
    }
}

/// F18: what compaction removed is no loss either.
#[test]
fn compaction_leaves_legal_holes() {
    let broker = Broker::shared();
    let deployment = Deployment::on(broker.address(), &[(STREAM, 1)]);
    let topic = deployment.topic(STREAM);
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "200"),
        ("delete.retention.ms", "0"),
    ];
    broker.create_topic(topic, 1, &settings);
    let producer = Producer::new(broker.address());
    let mut latest = BTreeMap::new();
    for n in 0..200 {
        let (key, message) = (format!("key-{}", n % 5), message(STREAM, n));
        producer.send_raw(
            topic,
            0,
            Some(message.value.as_bytes()),
            message.event_id.as_deref(),
            Some(&key),
        );
        latest.insert(key, n as i64);
        // A batch of its own for each of the rounds, so that segments can end between them.
        if n % 20 == 19 {
            producer.flush();
            std::thread::sleep(std::time::Duration::from_millis(150));
        }
    }
    producer.flush();
    eventually("the broker has compacted", || {
        broker.messages(topic, 0) < 150
    });
    deployment.drain();
    let lake = deployment.lake();
    let positions = lake.positions();
    assert!(positions.len() < 150, "compaction was real");
    assert!(
        latest
            .values()
            .all(|offset| positions.contains(&(topic.to_string(), 0, *offset)))
    );
    let produced = producer.produced();
    lake.expect(
        &produced
            .into_iter()
            .filter(|(position, _)| positions.contains(position))
            .collect(),
    );
    deployment.expect_verified();
}
