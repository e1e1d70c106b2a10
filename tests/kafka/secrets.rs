//! No secret of a topic is kept, logged or served: planted ones go through a real broker and a real process.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{Deployment, free_address, get};
use crate::eventually;
use crate::planted::{HEADERS, KEPT, SECRET, assert_no_secret, everything, key, messages};
use crate::producer::Producer;

#[test]
fn no_secret_of_a_topic_is_kept_logged_or_served() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &Stream::ALL.map(|stream| (stream, 1)));
    let http = free_address();
    deployment.set(&["consume", "http"], http.as_str());
    let producer = Producer::new(broker.address());
    for stream in Stream::ALL {
        for (number, message) in messages(stream).iter().enumerate() {
            producer.send_with(deployment.topic(stream), message, &key(number), &HEADERS);
        }
    }
    let webhook_secrets = format!("k={SECRET}");
    let environment = [
        ("TAPETRAIL_FINGERPRINT_KEY", SECRET),
        ("TAPETRAIL_WEBHOOK_SECRETS", webhook_secrets.as_str()),
    ];
    let mut process = deployment.consume_with(&["-vv"], &environment);
    let mut served = String::new();
    let mut look = |path: &str| get(&http, path).map(|(_, text)| served.push_str(&text));
    // Both pages before the first message, with the reason why it is not ready, and after the last.
    eventually("the process serves", || look("/readyz").is_some());
    look("/metrics");
    deployment.wait_for_all(&producer);
    look("/readyz");
    look("/metrics");
    process.stop();
    assert!(served.contains("tapetrail_dead_letters_total{"), "{served}");
    assert_no_secret("/metrics and /readyz", &served);
    let said = process.said();
    assert!(said.contains("DEBUG") || said.contains("TRACE"), "{said}");
    assert_no_secret("the log", &said);
    let all = everything(&deployment.lake_dir());
    for (path, text) in &all {
        assert_no_secret(&path.display().to_string(), text);
    }
    // The search can fail: what is planted in harmless places is found, in every table.
    for stream in Stream::ALL {
        let directory = deployment.lake_dir().join(stream.stem());
        let mut of_table = all.iter().filter(|(path, _)| path.starts_with(&directory));
        assert!(
            of_table.any(|(_, text)| text.contains(KEPT)),
            "nothing is found in {stream}"
        );
    }
    deployment.expect_exactly(&producer);
}
