//! A broker that asks for TLS and a password: librdkafka's properties pass through the configuration.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::eventually;
use crate::producer::Producer;

/// A CA that has signed nothing.
const OTHER_CA: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBgjCCASegAwIBAgIUQF9CtNfflqo6BYAVYnoGbnzX9j0wCgYIKoZIzj0EAwIw\n\
FTETMBEGA1UEAwwKYW5vdGhlciBDQTAgFw0yNjExMjMxMzA5MDVaGA8yMTI2MTAz\n\
MDEzMDkwNVowFTETMBEGA1UEAwwKYW5vdGhlciBDQTBZMBMGByqGSM49AgEGCCqG\n\
SM49AwEHA0IABJ8ALuQmBAeCGgSuxrbKVAPt1wP/k4ZOFKA3MAx8riLxdq0coEbm\n\
D1nn8RyByJQv7qeeI3JcvDCrdtMioKY5+AqjUzBRMB0GA1UdDgQWBBSpoxG+gtBx\n\
/JM58AxFMuLcMg0nRjAfBgNVHSMEGDAWgBSpoxG+gtBx/JM58AxFMuLcMg0nRjAP\n\
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCfwaiTbk4di05cDAhy\n\
ZAN+o+T0nxYqReQFsrwCfrD15AIhALn23ahOt9/0IqEqKMNvi/COA6mCyTY/M47o\n\
GLAwwzlg\n\
-----END CERTIFICATE-----\n\
";

#[test]
fn sasl_plain_over_tls_works_by_properties_alone() {
    consume_over_tls("PLAIN");
}

/// Brokers of 3.8.0 and before also took the wrong answer that librdkafka gave before 2.6.1; this one does not.
#[test]
fn sasl_scram_over_tls_works_by_properties_alone() {
    consume_over_tls("SCRAM-SHA-512");
}

/// Who gives a wrong password, CA, mechanism or protocol is told which setting it is, and never the password.
#[test]
fn what_is_wrong_with_the_login_is_named() {
    let own = own_broker();
    let broker = own.as_ref().unwrap_or_else(|| Broker::shared());
    let wrong = [
        ("sasl.password", "tReallyWrong", &["\"sasl.password\""][..]),
        (
            "sasl.mechanism",
            "SCRAM-SHA-256",
            &["\"sasl.mechanism\"", "SCRAM-SHA-512"],
        ),
        ("ssl.ca.pem", OTHER_CA, &["\"ssl.ca.location\""]),
        (
            "security.protocol",
            "PLAINTEXT",
            &["\"security.protocol\"", "SASL_SSL"],
        ),
    ];
    let topics = [(Stream::ApiCalls, 1)];
    for (property, value, names) in wrong {
        let mut deployment = Deployment::on(broker.address(), &topics);
        log_in(&mut deployment, broker, "PLAIN");
        deployment.set(&["kafka", "properties", property], value);
        if property == "ssl.ca.pem" {
            deployment.unset(&["kafka", "properties", "ssl.ca.location"]);
        }
        let mut refused = deployment.consume_with(&["-vv"], &[]);
        eventually(&format!("{property}: it says {names:?}"), || {
            let said = refused.said();
            names.iter().all(|name| said.contains(name))
        });
        assert!(refused.is_running(), "it tries on:\n{}", refused.said());
        refused.kill();
        assert!(
            !refused.said().contains("tReallyWrong"),
            "{}",
            refused.said()
        );
    }
}

/// What cannot even be begun with is one sentence that names the key.
#[test]
fn a_file_that_is_not_there_is_named() {
    let broker = Broker::shared();
    let mut deployment = Deployment::on(broker.address(), &[(Stream::ApiCalls, 1)]);
    deployment.set(&["kafka", "properties", "security.protocol"], "SSL");
    let path = ["kafka", "properties", "ssl.ca.location"];
    deployment.set(&path, "/no/such/ca.pem");
    let mut process = deployment.consume();
    assert_eq!(process.wait().code(), Some(2), "{}", process.said());
    let said = process.said();
    let key = "kafka.properties.\"ssl.ca.location\"";
    assert!(
        said.contains(key) && said.contains("cannot be read"),
        "{said}"
    );
}

/// `verify` waits for the brokers' answer itself, and says why none comes.
#[test]
fn verify_names_a_wrong_password_too() {
    let own = own_broker();
    let broker = own.as_ref().unwrap_or_else(|| Broker::shared());
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 1)]);
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..10);
    producer.flush();
    deployment.drain();
    log_in(&mut deployment, broker, "PLAIN");
    let brokers = broker.facts()["SASL_BROKERS"].clone();
    deployment.expect_verified();
    deployment.set(&["kafka", "properties", "sasl.password"], "another");
    let verify = deployment
        .command(&["verify", "--brokers", &brokers])
        .output();
    let verify = verify.expect("verify runs");
    let said = String::from_utf8_lossy(&verify.stderr);
    assert_eq!(verify.status.code(), Some(2), "{said}");
    assert!(said.contains("\"sasl.password\""), "{said}");
}

/// Starts a broker where the shared one is somebody else's: what its listeners ask for is not known here.
fn own_broker() -> Option<Broker> {
    std::env::var("TAPETRAIL_TEST_BROKERS")
        .ok()
        .map(|_| Broker::own())
}

/// Sets what the broker's listener for SASL over TLS asks for.
fn log_in(deployment: &mut Deployment, broker: &Broker, mechanism: &str) {
    let facts = broker.facts();
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
}

fn consume_over_tls(mechanism: &str) {
    let own = own_broker();
    let broker = own.as_ref().unwrap_or_else(|| Broker::shared());
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    log_in(&mut deployment, broker, mechanism);
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..100);
    producer.flush();
    let mut process = deployment.consume_with(&["-vv", "--stop-at-end"], &[]);
    let status = process.wait();
    assert!(status.success(), "{status}\n{}", process.said());
    assert!(
        !process.said().contains(&broker.facts()["SASL_PASSWORD"]),
        "the password is in the log"
    );
    deployment.expect_exactly(&producer);
}
