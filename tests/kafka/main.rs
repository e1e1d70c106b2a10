//! Tests against a real Apache Kafka: nothing lost, nothing twice, whatever happens to consumer or broker.
//!
//! Each test makes topics, a group and a lake of its own, starts the `tapetrail` binary as users do, and in the
//! end compares the lake with the producer's own list, position by position ([`lake::Lake::expect`]), and with the
//! word of `tapetrail verify`. All share one broker, which `broker.sh` starts, unless `TAPETRAIL_TEST_BROKERS`
//! names one; tests that must stop a broker start another. Run them with `cargo test --test kafka`.
//!
//! The faults, by the names that tests carry:
//! F1 death before the commit, F2 after it, F3 inside it · F5 a rebalance in the middle of a batch · F6 a zombie ·
//! F7 two deployments on one lake · F8 two members of one group · F9 maintenance beside consumers · F10, F11 poison · F12 brokers down, slow, moved ·
//! F13 errors of requests · F14 retention passed us · F15 the topic is another one · F16 new partitions ·
//! F17 redelivery · F18 transactions and compaction · F21 a full disk ·
//! F25 a stop in the middle of a batch. `object_store` makes several of them with the lake on a real S3 server,
//! `database` has a real database's changes come through a real connector.
//! F4 and F21 to F24 are faults of the store, which `tests/it` makes without a broker.

#[path = "../planted/mod.rs"]
mod planted;

mod broker;
mod consumer;
mod customer;
mod http;
mod lake;
mod messages;
mod producer;
mod service;
mod store;

mod crash;
mod database;
mod full_disk;
mod generate;
mod groups;
mod holes;
mod input;
mod maintenance;
mod object_store;
mod operation;
mod outage;
mod proxy;
mod secrets;
mod security;
mod serve;

use std::time::{Duration, Instant};

/// Waits until `condition` holds; fails the test, naming `what`, after a time far beyond what it can take.
///
/// The one place where a test waits for another process.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    // A bound for machines that are slow and busy, no measure of speed.
    let deadline = Instant::now() + Duration::from_secs(180);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
