//! A generated fleet by way of Kafka: every message that the truth counts is in the lake.

use std::collections::BTreeMap;
use std::io::BufReader;

use tapetrail::event::Stream;
use tapetrail::generate::Truth;

use crate::broker::Broker;
use crate::consumer::Deployment;

#[test]
fn a_generated_fleet_comes_through_kafka_whole() {
    let deployment = Deployment::new(Broker::shared(), &Stream::ALL.map(|stream| (stream, 3)));
    let directory = tempfile::tempdir().expect("a directory");
    let into = directory.path().join("fleet");
    let into = into.to_str().expect("a plain path");
    // Kafka drops what is older than a topic's retention, and refuses what is of tomorrow.
    let arguments = [
        "generate",
        "--kafka",
        "--sessions",
        "300",
        "--start",
        "5d",
        "--rate",
        "100000",
        "-o",
        into,
    ];
    let made = deployment.command(&arguments).output().expect("it runs");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    deployment.drain();

    let truth = std::fs::File::open(directory.path().join("fleet/truth.ndjson"));
    let truth = Truth::read(BufReader::new(truth.expect("it is there"))).expect("is a truth");
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for (topic, _, _) in deployment.lake().positions() {
        let stream = Stream::ALL
            .into_iter()
            .find(|it| deployment.topic(*it) == topic);
        *held
            .entry(stream.expect("one of ours").to_string())
            .or_default() += 1;
    }
    assert_eq!(held, truth.fleet.messages);
}
