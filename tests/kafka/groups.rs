//! F5, F6, F7, F8, F16, F25: several processes, one topic; who owns what, and who may commit.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{COMMITTED_ROWS, Deployment, free_address, metric, metrics};
use crate::eventually;
use crate::producer::{Producer, while_producing};

/// F5: what is revoked with a batch open is committed before or dropped, never both.
#[test]
fn a_second_consumer_joins_in_the_middle_of_a_batch() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 4), (Stream::Webhooks, 2)]);
    // So long that batches are open when the second one comes.
    deployment.set(&["consume", "commit_interval"], "2s");
    let producer = Producer::new(broker.address());
    let addresses = [free_address(), free_address()];
    let committed = || addresses.each_ref().map(|at| metric(at, COMMITTED_ROWS));
    let (mut first, mut second) = while_producing(&deployment, &producer, || {
        let first = deployment.consume_at(&addresses[0]);
        eventually("the first has committed", || committed()[0] > 0.0);
        let second = deployment.consume_at(&addresses[1]);
        eventually("the second commits", || committed()[1] > 0.0);
        let then = committed();
        eventually("both go on", || {
            let now = committed();
            now[0] > then[0] && now[1] > then[1]
        });
        (first, second)
    });
    let revoked = "tapetrail_rebalances_total{kind=\"revoke\"}";
    assert!(
        metrics(&addresses[0])
            .get(revoked)
            .is_some_and(|n| *n >= 1.0),
        "the first gave partitions away:\n{}",
        first.said()
    );
    deployment.wait_for_all(&producer);
    first.stop();
    second.stop();
    deployment.expect_exactly(&producer);
}

/// F6: a process sleeps with a batch open, its partitions move on, it wakes and commits: it must lose.
#[test]
fn a_zombie_commits_nothing() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..200);
    producer.flush();
    // It never commits by the clock, so what it has read when it falls asleep is what it commits when it wakes.
    let mut hoarding = deployment.with(&["consume", "commit_interval"], "1h");
    let address = free_address();
    hoarding.set(&["consume", "http"], address.as_str());
    let mut zombie = hoarding.consume();
    eventually("the first has read all, and committed nothing", || {
        metric(&address, "tapetrail_messages_total") == 200.0
    });
    zombie.signal("STOP");
    assert!(deployment.lake().positions().is_empty());
    let mut heir = while_producing(&deployment, &producer, || {
        let heir = deployment.consume();
        eventually("the heir has both partitions, and commits", || {
            let stored = deployment.lake().transactions();
            stored.len() == 2 && stored.values().all(|next| *next > 100)
        });
        zombie.signal("CONT");
        eventually("the zombie's batch is refused", || {
            metric(&address, "tapetrail_fenced_total") >= 1.0 || !zombie.is_running()
        });
        heir
    });
    assert!(
        zombie
            .said()
            .contains("another consumer committed these offsets"),
        "{}",
        zombie.said()
    );
    // What it got when it was back in the group it commits now, or the heir does after it.
    if zombie.is_running() {
        zombie.stop();
    }
    deployment.wait_for_all(&producer);
    heir.stop();
    deployment.expect_exactly(&producer);
}

/// F7: two groups write one lake by mistake: each reads all, yet no position is there twice.
#[test]
fn two_deployments_on_one_lake_repeat_nothing() {
    let deployment = Deployment::new(Broker::shared(), &[(Stream::ApiCalls, 2)]);
    expect_that_two_deployments_repeat_nothing(&deployment);
}

/// Lets another group write the lake of a deployment on the shared broker.
#[track_caller]
pub fn expect_that_two_deployments_repeat_nothing(deployment: &Deployment) {
    let producer = Producer::new(Broker::shared().address());
    let addresses = [free_address(), free_address()];
    let mut other = deployment.with(&["kafka", "group"], format!("{}-other", deployment.group()));
    other.set(&["consume", "http"], addresses[1].as_str());
    let refused = || {
        addresses
            .each_ref()
            .map(|at| metric(at, "tapetrail_fenced_total"))
    };
    let mut processes = while_producing(deployment, &producer, || {
        let mut processes = [deployment.consume_at(&addresses[0]), other.consume()];
        let versions = || deployment.lake().tables[&Stream::ApiCalls].versions;
        eventually("both have tried, and commits go on", || {
            let is_contested = refused().iter().sum::<f64>() >= 1.0
                || processes.iter_mut().any(|process| !process.is_running());
            is_contested && versions() > 20
        });
        processes
    });
    eventually("the lake holds all that was produced", || {
        // One of the two may have refused to go on; the work must not stop with both.
        assert!(
            processes.iter_mut().any(|process| process.is_running()),
            "both gave up"
        );
        let positions = deployment.lake().positions();
        producer
            .produced()
            .keys()
            .all(|position| positions.contains(position))
    });
    for process in &mut processes {
        if process.is_running() {
            process.stop();
        }
    }
    deployment.expect_exactly(&producer);
}

/// F8: two writers on different partitions of one table: both progress.
#[test]
fn two_members_commit_to_one_table() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::ApiCalls, 6)]);
    let producer = Producer::new(broker.address());
    let addresses = [free_address(), free_address()];
    let mut members = addresses.each_ref().map(|at| deployment.consume_at(at));
    let committed = || addresses.each_ref().map(|at| metric(at, COMMITTED_ROWS));
    while_producing(&deployment, &producer, || {
        eventually("both commit", || committed().iter().all(|rows| *rows > 0.0));
        let (before, then) = (deployment.lake().transactions(), committed());
        eventually("both go on, and with them all six partitions", || {
            let (now, rows) = (deployment.lake().transactions(), committed());
            let is_ahead =
                |(id, next): (&String, &i64)| before.get(id).is_none_or(|was| next > was);
            now.len() == 6 && now.iter().all(is_ahead) && rows[0] > then[0] && rows[1] > then[1]
        });
    });
    deployment.wait_for_all(&producer);
    for member in &mut members {
        assert!(member.is_running(), "a member gave up:\n{}", member.said());
        member.stop();
    }
    deployment.expect_exactly(&producer);
}

/// F16: partitions that are added later are read from their start.
#[test]
fn new_partitions_are_read_from_their_start() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::Webhooks, 1)]);
    let producer = Producer::new(broker.address());
    let mut process = deployment.consume();
    deployment.produce(&producer, 0..50);
    deployment.wait_for_all(&producer);
    let topic = deployment.topic(Stream::Webhooks);
    broker.grow_topic(topic, 3);
    // A client of its own, which knows of the new partitions at once.
    let late = Producer::new(broker.address());
    for n in 50..150 {
        late.send(
            topic,
            (n % 3) as i32,
            &crate::messages::message(Stream::Webhooks, n),
        );
    }
    deployment.wait_for_all(&late);
    process.stop();
    let mut produced = producer.produced();
    produced.extend(late.produced());
    deployment.lake().expect(&produced);
    deployment.expect_verified();
}

/// A member that has not said good-bye keeps the next one waiting until its session is over.
#[test]
fn whoever_comes_to_the_end_has_left_the_group() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::ApiCalls, 16)]);
    let producer = Producer::new(broker.address());
    for round in 0..6 {
        deployment.produce(&producer, round * 500..(round + 1) * 500);
        producer.flush();
        deployment.drain();
        assert_eq!(
            broker.group_members(deployment.group()),
            0,
            "in round {round}"
        );
    }
    deployment.expect_exactly(&producer);
}

/// F25: a stop in the middle of a batch commits it or leaves it to the next owner, and leaves the group.
#[test]
fn a_stop_in_the_middle_of_a_batch_is_clean() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    deployment.set(&["consume", "commit_interval"], "2s");
    // Only a member that says good-bye is gone before this.
    deployment.set(&["kafka", "properties", "session.timeout.ms"], "300000");
    let producer = Producer::new(broker.address());
    for signals in [1, 2] {
        while_producing(&deployment, &producer, || {
            let then = deployment.lake().tables[&Stream::ApiCalls].versions;
            let mut process = deployment.consume();
            eventually("the consumer commits", || {
                deployment.lake().tables[&Stream::ApiCalls].versions > then + 1
            });
            for _ in 0..signals {
                process.signal("TERM");
            }
            let status = process.wait();
            // The second signal may end it at once.
            assert!(
                status.success() || signals == 2,
                "after SIGTERM: {status}\n{}",
                process.said()
            );
        });
        if signals == 1 {
            eventually("the group is empty", || {
                broker.group_members(deployment.group()) == 0
            });
        }
    }
    deployment.set(&["kafka", "group"], format!("{}-next", deployment.group()));
    deployment.drain();
    deployment.expect_exactly(&producer);
}
