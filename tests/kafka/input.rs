//! F10, F11, F17: messages that no producer should send, and messages that were sent twice.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::messages::message;
use crate::producer::Producer;

/// What is wrong, the bytes (none: a tombstone), what becomes of them.
fn poison() -> Vec<(&'static str, Option<Vec<u8>>, &'static str)> {
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let mut huge = message(Stream::ApiCalls, 1).value.into_bytes();
    huge.resize(10 * 1024 * 1024, b'x');
    vec![
        ("tombstone", None, "skipped"),
        ("empty value", bytes(""), "skipped"),
        (
            "truncated JSON",
            bytes(r#"{"event_id": "a", "request": {"me"#),
            "dead",
        ),
        (
            "truncated inside a secret",
            bytes(r#"{"request": {"body": {"clientRequest": {"token": "006-half"#),
            "dead",
        ),
        ("a number", bytes("42"), "dead"),
        ("a text", bytes(r#""hello""#), "dead"),
        (
            "wrong types",
            bytes(r#"{"requested_at": [], "request": 7}"#),
            "dead",
        ),
        (
            "no field that matters",
            bytes(r#"{"hello": "world"}"#),
            "dead",
        ),
        (
            "not UTF-8",
            Some(b"{\"event_id\": \"\xff\xfe\"}".to_vec()),
            "dead",
        ),
        (
            "a NUL byte",
            Some(b"{\"event_id\": \"a\0b\"}".to_vec()),
            "dead",
        ),
        (
            "deep nesting",
            Some([vec![b'['; 20_000], vec![b']'; 20_000]].concat()),
            "dead",
        ),
        ("10 MB of no JSON", Some(huge), "dead"),
    ]
}

/// F10: each bad message leaves one row with its position; the good ones between are events; a restart adds none.
#[test]
fn each_poison_message_leaves_one_row_and_stops_nothing() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 1)]);
    deployment.set(&["consume", "memory_bytes"], "256MB");
    broker.alter_topic(
        deployment.topic(Stream::ApiCalls),
        &[("max.message.bytes", "16777216")],
    );
    let producer = Producer::new(broker.address());
    let topic = deployment.topic(Stream::ApiCalls);
    for (n, (_, value, _)) in poison().iter().enumerate() {
        producer.send_raw(topic, 0, value.as_deref(), None, Some("a key"));
        producer.send(topic, 0, &message(Stream::ApiCalls, n as u64));
    }
    deployment.drain();
    deployment.expect_exactly(&producer);

    let lake = deployment.lake();
    for (n, (name, _, disposition)) in poison().iter().enumerate() {
        let row = lake.row_at(topic, 0, 2 * n as i64);
        assert_eq!(row.disposition, *disposition, "{name}");
        assert!(row.reason.is_some(), "{name}: the row has a reason");
        assert_eq!(
            lake.row_at(topic, 0, 2 * n as i64 + 1).disposition,
            "event",
            "after {name}"
        );
    }
    deployment.drain();
    assert_eq!(
        deployment.lake().rows().count(),
        lake.rows().count(),
        "a restart adds nothing"
    );
}

/// F11: a partition of poison alone advances, too.
#[test]
fn a_partition_of_poison_alone_is_read_once() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::Webhooks, 1)]);
    let producer = Producer::new(broker.address());
    for _ in 0..20 {
        producer.send_raw(
            deployment.topic(Stream::Webhooks),
            0,
            Some(b"poison"),
            None,
            None,
        );
    }
    producer.flush();
    for _ in 0..3 {
        deployment.drain();
        deployment.expect_exactly(&producer);
        assert_eq!(deployment.lake().rows_of("dead").count(), 20);
    }
}

/// F17: what a producer or the service sent twice is there twice, under one event id.
#[test]
fn a_redelivered_event_keeps_its_id() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::ApiCalls, 1), (Stream::Webhooks, 1)]);
    let producer = Producer::new(broker.address());
    // Without an id of its own, a call's id derives from its content.
    let mut call = message(Stream::ApiCalls, 1);
    call.value = call.value.replace(r#""event_id":"api_calls-1","#, "");
    call.event_id = None;
    let notification = message(Stream::Webhooks, 1);
    let mut resent = notification.clone();
    resent.value = resent.value.replace("\"notifyMs\":", "\"notifyMs\":1");
    assert_ne!(resent.value, notification.value);
    for _ in 0..2 {
        producer.send(deployment.topic(Stream::ApiCalls), 0, &call);
    }
    producer.send(deployment.topic(Stream::Webhooks), 0, &notification);
    producer.send(deployment.topic(Stream::Webhooks), 0, &resent);
    producer.flush();
    deployment.drain();
    deployment.expect_exactly(&producer);
    let lake = deployment.lake();
    for table in lake.tables.values() {
        let ids: Vec<_> = table
            .rows
            .iter()
            .map(|row| row.event_id.as_deref())
            .collect();
        assert_eq!(ids.len(), 2);
        assert!(ids[0].is_some() && ids[0] == ids[1], "{ids:?}");
    }
    let answer = deployment
        .command(&[
            "sql",
            "--format",
            "csv",
            "-c",
            "SELECT count(*) AS n FROM starts",
        ])
        .output();
    let answer = answer.expect("sql runs");
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout).trim(),
        "n\n1",
        "the views see one start; {}",
        String::from_utf8_lossy(&answer.stderr)
    );
}
