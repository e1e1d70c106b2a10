//! F5, F6, F7, F8, F16, F25: several processes, one topic; who owns what, and who may commit.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
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
    let (mut first, mut second) = while_producing(&deployment, &producer, || {
        let first = deployment.consume();
        eventually("the first has committed", || {
            !deployment.lake().positions().is_empty()
        });
        let second = deployment.consume();
        eventually("the second is a member", || {
            broker.group_members(deployment.group()) == 2
        });
        let versions = || deployment.lake().tables[&Stream::ApiCalls].versions;
        let then = versions();
        eventually("both go on", || versions() > then + 3);
        (first, second)
    });
    deployment.wait_for_all(&producer);
    first.stop();
    second.stop();
    deployment.expect_exactly(&producer);
}

/// F6: a process sleeps with a batch open, its partitions move on, it wakes and commits: it must lose.
#[test]
fn a_zombie_commits_nothing() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    deployment.set(&["consume", "commit_interval"], "1s");
    let producer = Producer::new(broker.address());
    let (mut zombie, mut heir) = while_producing(&deployment, &producer, || {
        let mut zombie = deployment.consume();
        eventually("the first has committed", || {
            !deployment.lake().positions().is_empty()
        });
        zombie.signal("STOP");
        let asleep_at = deployment.lake().transactions();
        let heir = deployment.consume();
        eventually("the heir has both partitions, and commits", || {
            let now = deployment.lake().transactions();
            asleep_at.iter().all(|(id, next)| now[id] > *next)
        });
        zombie.signal("CONT");
        eventually("the zombie is back in the group, or gone", || {
            broker.group_members(deployment.group()) == 2 || !zombie.is_running()
        });
        (zombie, heir)
    });
    deployment.wait_for_all(&producer);
    if zombie.is_running() {
        zombie.stop();
    }
    heir.stop();
    deployment.expect_exactly(&producer);
}

/// F7: two groups write one lake by mistake: each reads all, yet no position is there twice.
#[test]
fn two_deployments_on_one_lake_repeat_nothing() {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    let producer = Producer::new(broker.address());
    let other_group = format!("{}-other", deployment.group());
    let mut processes = while_producing(&deployment, &producer, || {
        let mine = deployment.consume();
        let other = deployment.consume_set(&["kafka", "group"], other_group);
        let versions = || deployment.lake().tables[&Stream::ApiCalls].versions;
        eventually("commits go on", || versions() > 20);
        [mine, other]
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
    let mut members = [deployment.consume(), deployment.consume()];
    eventually("the group has two members", || {
        broker.group_members(deployment.group()) == 2
    });
    while_producing(&deployment, &producer, || {
        // Each member owns partitions of its own, so all of them advance only if both commit.
        let before = deployment.lake().transactions();
        eventually("all six partitions advance", || {
            let now = deployment.lake().transactions();
            now.len() == 6
                && now
                    .iter()
                    .all(|(id, next)| before.get(id).is_none_or(|then| next > then))
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
