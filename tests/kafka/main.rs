//! Tests against a real Apache Kafka: nothing lost, nothing twice, whatever happens to consumer or broker.
//!
//! Each test makes topics, a group and a lake of its own, starts the `tapetrail` binary as users do, and in the
//! end compares the lake with the producer's own list, position by position ([`lake::Lake::expect`]), and with the
//! word of `tapetrail verify`. All share one broker, which `broker.sh` starts, unless `TAPETRAIL_TEST_BROKERS`
//! names one; tests that must stop a broker start another. Run them with `cargo test --test kafka`.
//!
//! F1 .. F25 are the faults of the table in `ARCHITECTURE.md`.

mod broker;
mod consumer;
mod lake;
mod messages;
mod producer;

mod crash;
mod groups;
mod holes;
mod input;
mod operation;
mod outage;
mod security;

use std::time::{Duration, Instant};

/// Waits until `condition` holds; fails the test, naming `what`, after a time far beyond what it can take.
///
/// The one place where a test waits for another process.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
