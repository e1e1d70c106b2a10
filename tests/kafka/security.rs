//! A broker that asks for TLS and a password: librdkafka's properties pass through the configuration.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::producer::Producer;

#[test]
fn sasl_over_tls_works_by_properties_alone() {
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
        ("sasl.mechanism", facts["SASL_MECHANISM"].as_str()),
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
    deployment.lake().expect(&producer.produced());
}
