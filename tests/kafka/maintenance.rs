//! F9: files are sorted while consumers commit, and the sorting is killed again and again.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::producer::{Producer, while_producing};

const KILLS: u64 = 24;

#[test]
fn maintenance_killed_beside_running_consumers_loses_nothing_and_repeats_nothing() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2), (Stream::Webhooks, 2)]);
    deployment.set(&["maintain", "min_files"], 2);
    // Maintenance needs some turns between the commits of two consumers; fewer and larger ones leave them.
    deployment.set(&["consume", "commit_interval"], "1s");
    let producer = Producer::new(broker.address());
    let mut consumers = [deployment.consume(), deployment.consume()];
    let mut random = Pcg64::seed_from_u64(9);
    while_producing(&deployment, &producer, || {
        for kill in 0..KILLS {
            let mut maintenance = deployment.start(&["maintain"]);
            std::thread::sleep(Duration::from_millis(random.random_range(5..1_500)));
            maintenance.kill();
            if kill % 6 == 5 {
                consumers[0].kill();
                consumers[0] = deployment.consume();
            }
        }
        // One that comes to its end while consumers commit.
        let mut maintenance = deployment.start(&["maintain"]);
        let status = maintenance.wait();
        assert!(status.success(), "{status}\n{}", maintenance.said());
    });
    deployment.wait_for_all(&producer);
    for consumer in &mut consumers {
        consumer.stop();
        let said = consumer.said();
        assert!(!said.contains("the lake refuses"), "{said}");
    }
    deployment.expect_exactly(&producer);
    let mut maintenance = deployment.start(&["maintain"]);
    assert!(maintenance.wait().success(), "{}", maintenance.said());
    deployment.expect_exactly(&producer);
}
