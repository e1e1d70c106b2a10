//! A broker that asks for TLS and a password: librdkafka's properties pass through the configuration.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::eventually;
use crate::producer::Producer;

#[test]
fn sasl_plain_over_tls_works_by_properties_alone() {
    consume_over_tls("PLAIN");
}

/// Brokers of 3.8.0 and before also took the wrong answer that librdkafka gave before 2.6.1; this one does not.
#[test]
fn sasl_scram_over_tls_works_by_properties_alone() {
    consume_over_tls("SCRAM-SHA-512");
}

fn consume_over_tls(mechanism: &str) {
    let own;
    let broker = match std::env::var("TAPETRAIL_TEST_BROKERS") {
        // Somebody else's broker: what its listeners ask for is not known here.
        Ok(_) => {
            own = Broker::own();
            &own
        }
        Err(_) => Broker::shared(),
    };
    let facts = broker.facts();
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    deployment.set(&["kafka", "brokers"], facts["SASL_BROKERS"].as_str());
    let properties = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", mechanism),
        ("sasl.username", facts["SASL_USER"].as_str()),
        ("sasl.password", facts["SASL_PASSWORD"].as_str()),
        ("ssl.ca.location", facts["SSL_CA"].as_str()),
    ];
    for (name, value) in properties {
        deployment.set(&["kafka", "properties", name], value);
    }
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..100);
    producer.flush();
    let mut process = deployment.consume_with(&["-vv", "--stop-at-end"], &[]);
    let status = process.wait();
    assert!(status.success(), "{status}\n{}", process.said());
    assert!(
        !process.said().contains(&facts["SASL_PASSWORD"]),
        "the password is in the log"
    );
    deployment.set(&["kafka", "properties", "sasl.password"], "another");
    let mut refused = deployment.consume_with(&[], &[]);
    eventually("with another password nothing is answered", || {
        refused.said().contains("no broker answers")
    });
    refused.kill();
    deployment.lake().expect(&producer.produced());
}
