//! F1, F2, F3 and the great one: processes that die, at named points and at random ones.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{Deployment, Process};
use crate::eventually;
use crate::producer::{Producer, while_producing};

const KILLS: u64 = 32;

/// Two consumers share ten partitions of four streams; one or the other is killed again and again.
/// One is a static member, which gets its partitions back at once; of the other the group learns by its silence.
#[test]
fn consumers_killed_at_random_moments_lose_nothing_and_repeat_nothing() {
    let broker = Broker::shared();
    let streams = [
        (Stream::ApiCalls, 4),
        (Stream::Webhooks, 2),
        (Stream::StorageEvents, 2),
        (Stream::SessionRecords, 2),
    ];
    let deployment = Deployment::new(broker, &streams);
    let producer = Producer::new(broker.address());
    let start = |member: usize| match member {
        0 => deployment.consume_set(&["kafka", "properties", "group.instance.id"], "static"),
        _ => deployment.consume(),
    };
    let mut members: [Process; 2] = [start(0), start(1)];
    let versions = || {
        let lake = deployment.lake();
        lake.tables
            .values()
            .map(|table| table.versions)
            .sum::<u64>()
    };
    let mut random = Pcg64::seed_from_u64(20);
    while_producing(&deployment, &producer, || {
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(random.random_range(50..2_500)));
            let victim = random.random_range(0..members.len());
            members[victim].kill();
            members[victim] = start(victim);
        }
    });
    // Between their deaths they were at work.
    assert!(versions() > KILLS, "only {} commits", versions());

    deployment.wait_for_all(&producer);
    for member in &mut members {
        member.stop();
    }
    deployment.expect_exactly(&producer);
}

/// F1: the process dies when a file is written and no commit names it yet.
#[test]
fn death_before_the_commit_leaves_an_orphan_file_and_no_hole() {
    for failpoint in ["after_parquet", "before_commit"] {
        let (deployment, producer) = one_death(failpoint);
        assert_eq!(
            deployment.lake().positions().len(),
            100,
            "{failpoint}: nothing more is committed"
        );
        deployment.drain();
        deployment.expect_exactly(&producer);
        let orphans = &deployment.lake().tables[&Stream::ApiCalls].orphans;
        assert!(
            !orphans.is_empty(),
            "{failpoint}: the dead process's file is an orphan"
        );
    }
}

/// F2: the process dies between the table's commit and the group's offsets.
#[test]
fn death_after_the_commit_repeats_nothing_and_the_group_catches_up() {
    let (deployment, producer) = one_death("after_commit");
    assert!(
        deployment.lake().positions().len() > 100,
        "the commit is there"
    );
    let (broker, topic) = (Broker::shared(), deployment.topic(Stream::ApiCalls));
    let stored: i64 = deployment.lake().transactions().values().sum();
    let of_group = |partition| broker.group_offset(deployment.group(), topic, partition);
    let told: i64 = (0..2).filter_map(of_group).sum();
    assert!(
        told < stored,
        "the group knows of {told} already, of {stored}"
    );
    deployment.drain();
    deployment.expect_exactly(&producer);
    for partition in 0..2 {
        let (_, end) = broker.watermarks(topic, partition);
        eventually("the group's offset is the table's", || {
            of_group(partition) == Some(end)
        });
    }
}

/// F3: the process dies while the commit file is written: the version is wholly there or not at all.
#[test]
fn death_inside_the_commit_leaves_no_half_version() {
    let (deployment, producer) = one_death("inside_commit");
    assert_eq!(
        deployment.lake().positions().len(),
        100,
        "what was staged is not a version"
    );
    let log = deployment.lake_dir().join("api_calls/_delta_log");
    let staged = format!("{}/*.json#*", log.display());
    let staged = glob::glob(&staged).expect("a pattern").count();
    assert_eq!(staged, 1, "the process died between staging and link");
    deployment.drain();
    deployment.expect_exactly(&producer);
}

/// Lets a consumer of one stream, which has committed 100 messages before, run into `failpoint` with 500 more.
fn one_death(failpoint: &str) -> (Deployment, Producer) {
    let broker = Broker::shared();
    let deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..100);
    producer.flush();
    deployment.drain();
    deployment.produce(&producer, 100..600);
    producer.flush();
    let mut process = deployment.consume_with(&[], &[("TAPETRAIL_FAILPOINT", failpoint)]);
    let status = process.wait();
    assert!(
        status.code().is_none(),
        "{failpoint}: the process aborts, but: {status}\n{}",
        process.said()
    );
    (deployment, producer)
}
