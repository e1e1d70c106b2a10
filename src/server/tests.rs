//! The endpoints over a broker in this process: who is let in, what they are told, and what Kafka gets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::decode::webhooks::{Signature, check_signature};
use crate::source::mock::Broker;

/// The documented vector (`domain/webhooks.md`, section 2): the secret is `secret`.
const BODY: &str = r#"{"eventMs":1560408533119,"eventType":10,"noticeId":"4eb720f0-8da7-11e9-a43e-53f411c2761f","notifyMs":1560408533119,"payload":{"a":"1","b":2},"productId":1}"#;
const V1: &str = "033c62f40f687675f17f0f41f91a40c71c0f134c";
const V2: &str = "6d3320c60b11101395b7fc8f9068748808a0aa1bfa064438e39d1bc2c7d74d99";

/// 2026-11-22T10:00:00.123Z.
const NOW: Micros = 1_795_341_600_123_000;

struct Scene {
    broker: Option<Broker>,
    receiver: Receiver,
    vitals: Vitals,
}

fn config(broker: &Broker) -> Config {
    let mut config = Config::default();
    config.kafka.brokers = broker.address();
    let properties = [("message.timeout.ms", "300"), ("linger.ms", "0")];
    config.kafka.properties = properties
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into();
    let pair = |id: &str, secret: &str| (id.to_string(), secret.to_string());
    config.secrets.webhook_secrets = vec![pair("old", "other"), pair("new", "secret")];
    config.secrets.api_call_tokens = vec![pair("a", "token-a"), pair("b", "token-b")];
    config
}

impl Scene {
    async fn new(change: impl FnOnce(&mut Config)) -> Scene {
        let topics = [Stream::Webhooks, Stream::ApiCalls].map(Stream::default_topic);
        let broker = Broker::start(topics, 1).expect("a broker starts");
        let mut config = config(&broker);
        change(&mut config);
        let vitals = Vitals::default();
        let receiver = Receiver::new(&config, &vitals, &Clock::fixed(NOW)).expect("is right");
        receiver.probe().await;
        assert_eq!(vitals.why_unready(), [""; 0]);
        Scene {
            broker: Some(broker),
            receiver,
            vitals,
        }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Body) -> (StatusCode, Value) {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).expect("a request");
        let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = self.receiver.routes().oneshot(request).await;
        let response = answered.expect("is infallible");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        let body = body.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn callback(&self, headers: &[(&str, &str)], body: &str) -> StatusCode {
        let (status, _) = self
            .post("/webhooks", headers, Body::from(body.to_string()))
            .await;
        status
    }

    /// Returns all messages of a topic, with their keys.
    fn sent(&self, stream: Stream) -> Vec<(Option<String>, String)> {
        let broker = self.broker.as_ref().expect("is still there");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .set("group.id", "tests")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(stream.default_topic(), 0, Offset::Beginning)
            .expect("an offset");
        consumer.assign(&list).expect("an assignment");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        (consumer.iter().map_while(Result::ok))
            .map(|message| {
                let value = message.payload().expect("no tombstone");
                (message.key().map(text), text(value))
            })
            .collect()
    }

    fn told(&self, line: &str) -> bool {
        self.vitals.render().lines().any(|told| told == line)
    }
}

#[tokio::test]
async fn a_signed_callback_is_in_kafka_with_its_bytes_and_signatures() {
    let scene = Scene::new(|_| {}).await;
    let signed: [&[(&str, &str)]; 3] = [
        &[("Agora-Signature-V2", V2), ("Agora-Signature", V1)],
        &[("Agora-Signature", V1)],
        &[("agora-signature-v2", &V2.to_uppercase())],
    ];
    for headers in signed {
        assert_eq!(scene.callback(headers, BODY).await, StatusCode::OK);
    }
    let sent = scene.sent(Stream::Webhooks);
    assert_eq!(sent.len(), 3);
    let (_, first) = &sent[0];
    let wrapper: Value = serde_json::from_str(first).expect("JSON");
    let expected = json!({
        "received_at": "2026-11-22T10:00:00.123Z",
        "headers": {"agora-signature-v2": V2, "agora-signature": V1},
        "response_status": 200,
        "raw_body": BODY,
    });
    assert_eq!(wrapper, expected);
    let secrets = [("new".to_string(), "secret".to_string())];
    for (_, message) in &sent {
        let again = check_signature(message.as_bytes(), &[], &secrets);
        assert_eq!(again, Signature::Valid { key_id: "new" });
    }
    assert!(scene.told("tapetrail_accepted_messages_total{stream=\"webhooks\"} 3"));
}

#[tokio::test]
async fn a_callback_without_a_signature_that_fits_is_refused_and_counted() {
    let scene = Scene::new(|_| {}).await;
    let altered = BODY.replace("\"b\":2", "\"b\":3");
    let truncated = &V2[..62];
    let refused: [(&[(&str, &str)], &str); 6] = [
        (&[("Agora-Signature-V2", V2)], &altered),
        (&[("Agora-Signature-V2", V1)], BODY),
        (&[("Agora-Signature-V2", truncated)], BODY),
        (&[("Agora-Signature-V2", "no hex")], BODY),
        // A wrong SHA-256 is not made good by a right SHA-1.
        (
            &[
                ("Agora-Signature-V2", &V2.replace('6', "7")),
                ("Agora-Signature", V1),
            ],
            BODY,
        ),
        (&[("Agora-Signature", V1)], &format!("{BODY}\n")),
    ];
    for (headers, body) in refused {
        let status = scene.callback(headers, body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    let missing: [&[(&str, &str)]; 2] = [&[], &[("Agora-Signature-V2", " ")]];
    for headers in missing {
        let status = scene.callback(headers, BODY).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    assert!(scene.sent(Stream::Webhooks).is_empty());
    let refused = |reason: &str, count: u32| {
        let labels = format!("endpoint=\"webhooks\",reason=\"{reason}\"");
        scene.told(&format!("tapetrail_refused_total{{{labels}}} {count}"))
    };
    assert!(refused("signature_invalid", 6) && refused("signature_missing", 2));
}

#[tokio::test]
async fn the_consoles_list_is_taken_and_keyed_by_its_first_channel() {
    let unsigned = |config: &mut Config| {
        config.serve.require_signature = false;
        config.secrets.webhook_secrets.clear();
    };
    let scene = Scene::new(unsigned).await;
    let list = r#"[{"noticeId":"1","productId":3,"eventType":31,"payload":{"cname":"test"}},{"noticeId":"2"}]"#;
    assert_eq!(scene.callback(&[], list).await, StatusCode::OK);
    assert_eq!(scene.callback(&[], "no JSON").await, StatusCode::OK);
    let sent = scene.sent(Stream::Webhooks);
    assert_eq!(sent[0].0.as_deref(), Some("test"));
    let wrapper: Value = serde_json::from_str(&sent[0].1).expect("JSON");
    assert_eq!(wrapper["raw_body"], list);
    assert_eq!(sent[1].0, None);
}

#[tokio::test]
async fn without_secrets_callbacks_are_only_taken_when_that_is_said() {
    let broker = Broker::start(["t"], 1).expect("a broker starts");
    let mut config = config(&broker);
    config.secrets.webhook_secrets.clear();
    let refused = Receiver::new(&config, &Vitals::default(), &Clock::fixed(NOW));
    let error = refused.err().expect("is refused").to_string();
    assert!(error.contains("TAPETRAIL_WEBHOOK_SECRETS") && error.contains("require_signature"));
}

#[tokio::test]
async fn a_body_beyond_the_bound_and_a_stranger_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let senders = dir.path().join("senders");
    std::fs::write(&senders, "198.51.100.9").expect("is written");
    let scene = Scene::new(|config| config.serve.senders = Some(senders.clone())).await;
    let headers = [("Agora-Signature-V2", V2)];
    assert_eq!(scene.callback(&headers, BODY).await, StatusCode::FORBIDDEN);
    // What anybody can write is not believed.
    let forged = [headers[0], ("X-Forwarded-For", "198.51.100.9")];
    assert_eq!(scene.callback(&forged, BODY).await, StatusCode::FORBIDDEN);

    let scene = Scene::new(|config| config.serve.body_bytes_max = bytesize::ByteSize(100)).await;
    let status = scene.callback(&headers, BODY).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn more_requests_than_allowed_are_told_to_try_again() {
    let scene = Scene::new(|config| config.serve.requests_max = 1).await;
    let never_ends = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let waiting = scene.post("/webhooks", &[], Body::from_stream(never_ends));
    let crowded = async {
        loop {
            let status = scene.callback(&[("Agora-Signature-V2", V2)], BODY).await;
            if status != StatusCode::OK {
                break status;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        (status, _) = waiting => panic!("it has no body yet: {status}"),
        status = crowded => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
    }
    // Who went away has left its place.
    let status = scene.callback(&[("Agora-Signature-V2", V2)], BODY).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn without_kafka_nothing_is_answered_200_and_the_process_is_not_ready() {
    let mut scene = Scene::new(|_| {}).await;
    scene.broker = None;
    let status = scene.callback(&[("Agora-Signature-V2", V2)], BODY).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(scene.vitals.why_unready()[0].starts_with("kafka: "));
}

#[tokio::test]
async fn api_calls_are_kept_line_by_line_without_their_secrets() {
    let scene = Scene::new(|_| {}).await;
    let call = json!({
        "requested_at": "2026-11-22T10:00:00.123Z",
        "request": {"method": "POST", "url": "/v1/apps/a/cloud_recording/resourceid/R/mode/mix/start",
            "headers": {"Authorization": "Basic cGxhbnRlZA=="},
            "body": {"cname": "room_42", "uid": "1", "clientRequest": {"storageConfig": {"vendor": 1, "secretKey": "planted-1"}}}},
        "response": null,
    });
    let lines = format!(
        "{call}\n\n{{\"request\":{{}},\"secretKey\":\"planted-2\"}}\n{{\"secretKey\":\"planted-3\n"
    );
    let (status, answer) = scene
        .post(
            "/api-calls",
            &[("Authorization", "Bearer token-b")],
            Body::from(lines),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["accepted"], 3);
    let problems = answer["problems"].as_array().expect("some do not fit");
    let lines: Vec<_> = problems.iter().map(|found| &found["line"]).collect();
    assert!(
        lines.contains(&&json!(3)) && lines.contains(&&json!(4)),
        "{answer}"
    );
    let sent = scene.sent(Stream::ApiCalls);
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0].0.as_deref(), Some("room_42"));
    let kept = format!("{sent:?}{answer}");
    assert!(
        !kept.contains("planted") && !kept.contains("cGxhbnRlZA"),
        "{kept}"
    );
}

#[tokio::test]
async fn api_calls_need_a_token() {
    let scene = Scene::new(|_| {}).await;
    let refused: [&[(&str, &str)]; 4] = [
        &[],
        &[("Authorization", "Bearer token")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "token-a")],
    ];
    for headers in refused {
        let (status, answer) = scene.post("/api-calls", headers, Body::from("{}")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
        let error = answer["error"].as_str().expect("says why");
        assert!(!error.contains("token-"), "{error}");
    }
    assert!(scene.sent(Stream::ApiCalls).is_empty());
    // Where no token is configured there is no such place.
    let scene = Scene::new(|config| config.secrets.api_call_tokens.clear()).await;
    let (status, _) = scene.post("/api-calls", &[], Body::from("{}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_not_made_by_a_message() {
    let broker = Broker::start([Stream::ApiCalls.default_topic()], 1).expect("a broker starts");
    let vitals = Vitals::default();
    let config = config(&broker);
    let receiver = Receiver::new(&config, &vitals, &Clock::fixed(NOW)).expect("is right");
    let sent = receiver.0.send("recording.webhooks", None, b"{}", NOW);
    assert!(matches!(sent.await, Err(Undelivered::Unavailable(_))));
    receiver.flush(Duration::from_secs(1)).expect("is empty");
}
