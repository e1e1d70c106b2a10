//! F12, F13: brokers that are down, slow, or answer with errors.

use std::time::Duration;

use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{Deployment, free_address, get, metrics};
use crate::eventually;
use crate::producer::Producer;

/// F12: while the broker is down the consumer says it is not ready; when it is back, nothing is missing.
#[test]
fn a_consumer_outlives_its_broker() {
    let broker = Broker::own();
    let mut deployment = Deployment::new(&broker, &[(Stream::ApiCalls, 2)]);
    let http = free_address();
    deployment.set(&["consume", "http"], http.as_str());
    let is_ready = || get(&http, "/readyz").is_some_and(|(status, _)| status == 200);
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..200);
    let mut process = deployment.consume();
    deployment.wait_for_all(&producer);
    eventually("the consumer is ready", is_ready);

    broker.kill();
    eventually("the consumer is not ready any more", || !is_ready());
    assert_eq!(
        get(&http, "/healthz").map(|(status, _)| status),
        Some(200),
        "it lives, though"
    );
    broker.start();

    deployment.produce(&producer, 200..400);
    deployment.wait_for_all(&producer);
    eventually("the consumer is ready again", is_ready);
    process.stop();
    deployment.expect_exactly(&producer);
}

/// A cluster of three that can be made to fail in ways that a real one cannot be asked for.
fn mock() -> MockCluster<'static, DefaultProducerContext> {
    MockCluster::new(3).expect("a mock cluster")
}

fn on_mock(mock: &MockCluster<'static, DefaultProducerContext>) -> (Deployment, Producer) {
    let deployment = Deployment::on(&mock.bootstrap_servers(), &[(Stream::ApiCalls, 4)]);
    mock.create_topic(deployment.topic(Stream::ApiCalls), 4, 3)
        .expect("a topic");
    let producer = Producer::new(&mock.bootstrap_servers());
    (deployment, producer)
}

/// F12, with a cluster: leaders move, brokers go one by one, one is slow.
#[test]
fn leaders_move_and_brokers_stall() {
    let mock = mock();
    let (deployment, producer) = on_mock(&mock);
    let topic = deployment.topic(Stream::ApiCalls);
    let http = free_address();
    let mut process = deployment.consume_at(&http);
    deployment.produce(&producer, 0..200);
    deployment.wait_for_all(&producer);
    for (round, broker) in [1, 2, 3].into_iter().enumerate() {
        for partition in 0..4 {
            mock.partition_leader(topic, partition, Some(broker))
                .expect("a leader");
        }
        let next = 250 * round as u64 + 200;
        deployment.produce(&producer, next..next + 100);
        mock.broker_round_trip_time(broker, Duration::from_millis(300))
            .expect("a delay");
        deployment.produce(&producer, next + 100..next + 200);
        deployment.wait_for_all(&producer);
        mock.broker_round_trip_time(broker, Duration::ZERO)
            .expect("no delay");
        // As a real cluster does; the mock's group would stay without its coordinator.
        let group = MockCoordinator::Group(deployment.group().to_string());
        mock.coordinator(group, broker % 3 + 1)
            .expect("another coordinator");
        mock.broker_down(broker).expect("down");
        for partition in 0..4 {
            mock.partition_leader(topic, partition, Some(broker % 3 + 1))
                .expect("a leader");
        }
        // With the two that are left.
        deployment.produce(&producer, next + 200..next + 250);
        deployment.wait_for_all(&producer);
        mock.broker_up(broker).expect("up");
    }
    // All of them at once.
    for broker in 1..=3 {
        mock.broker_down(broker).expect("down");
    }
    eventually("it is not ready without a broker", || {
        get(&http, "/readyz").is_some_and(|(status, _)| status == 503)
    });
    assert!(process.is_running(), "it gave up:\n{}", process.said());
    for broker in 1..=3 {
        mock.broker_up(broker).expect("up");
    }
    deployment.produce(&producer, 1_000..1_100);
    deployment.wait_for_all(&producer);
    process.stop();
    deployment.expect_exactly(&producer);
}

/// F13: errors of every request that a consumer makes.
#[test]
fn errors_of_the_group_lose_nothing() {
    use RDKafkaApiKey as Key;
    use RDKafkaRespErr as Error;
    let mock = mock();
    let (deployment, producer) = on_mock(&mock);
    let http = free_address();
    let mut process = deployment.consume_at(&http);
    let assignments = || {
        let told = metrics(&http);
        let name = "tapetrail_rebalances_total{kind=\"assign\"}";
        told.get(name).copied().unwrap_or_default()
    };
    let mut next = 0..;
    let mut produce = || {
        let first = 100 * next.next().expect("has no end");
        deployment.produce(&producer, first..first + 100);
        deployment.wait_for_all(&producer);
    };
    produce();
    let errors = [
        (
            Key::Fetch,
            Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        ),
        (Key::Fetch, Error::RD_KAFKA_RESP_ERR_UNKNOWN),
        (
            Key::OffsetCommit,
            Error::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        ),
        (
            Key::OffsetCommit,
            Error::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        ),
        (
            Key::OffsetCommit,
            Error::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
        ),
    ];
    for (request, error) in errors {
        mock.request_errors(request, &[error; 3]);
        produce();
        assert!(process.is_running(), "{error:?}:\n{}", process.said());
    }
    // The group throws the member out, and what it asks on its way back fails, too.
    let on_the_way_back = [
        (
            Key::JoinGroup,
            Error::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        ),
        (Key::JoinGroup, Error::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
        (
            Key::SyncGroup,
            Error::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
        ),
        (
            Key::FindCoordinator,
            Error::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        ),
        (
            Key::ListOffsets,
            Error::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        ),
    ];
    let thrown_out = [
        Error::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        Error::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
    ];
    for (round, (request, error)) in on_the_way_back.into_iter().enumerate() {
        let before = assignments();
        mock.request_errors(request, &[error; 2]);
        mock.request_errors(Key::Heartbeat, &[thrown_out[round % 2]]);
        eventually("the member is back", || assignments() > before);
        produce();
        assert!(process.is_running(), "{error:?}:\n{}", process.said());
    }
    process.stop();
    deployment.expect_exactly(&producer);
}

/// F13, the fatal one: a fenced member can only end or begin anew; neither loses anything.
#[test]
fn a_fenced_member_loses_nothing() {
    let mock = mock();
    let (mut deployment, producer) = on_mock(&mock);
    deployment.set(&["kafka", "properties", "group.instance.id"], "one");
    let mut process = deployment.consume();
    deployment.produce(&producer, 0..100);
    deployment.wait_for_all(&producer);
    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
    mock.request_errors(RDKafkaApiKey::Heartbeat, &[fenced]);
    deployment.produce(&producer, 100..200);
    producer.flush();
    eventually("it goes on or ends", || {
        let positions = deployment.lake().positions().len();
        positions == 200 || !process.is_running()
    });
    process.kill();
    deployment.drain();
    deployment.expect_exactly(&producer);
}
