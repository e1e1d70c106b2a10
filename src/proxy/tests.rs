//! The proxy between a caller and a service on loopback, with a broker in this process.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{self, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;
use crate::source::mock::Broker;

const START: &str = "/v1/apps/app/cloud_recording/resourceid/R/mode/mix/start";

#[derive(Clone, Default)]
struct Service(Arc<Mutex<State>>);

/// What the service has seen, and what it answers to the next calls; 0 is never.
#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    answers: std::collections::VecDeque<(u16, String)>,
}

impl Service {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("not poisoned")
    }
}

#[derive(Debug)]
struct Seen {
    method: String,
    target: String,
    headers: HeaderMap,
    body: String,
}

async fn answer(extract::State(service): extract::State<Service>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.expect("a body").to_vec()).expect("text"),
    };
    let answer = {
        let mut state = service.state();
        state.seen.push(seen);
        state.answers.pop_front()
    };
    let (status, body) = answer.unwrap_or((200, String::from("{}")));
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("x-resource-id", "42")], body).into_response()
}

struct Scene {
    service: Service,
    broker: Broker,
    proxy: Proxy,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new(is_enforcing: bool) -> Scene {
        let broker = Broker::start([Stream::ApiCalls.default_topic()], 1).expect("a broker");
        let service = Service::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let mut config = Config::default();
        config.proxy.upstream = format!("http://{}/", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        config.kafka.brokers = broker.address();
        let dir = tempfile::tempdir().expect("a directory");
        config.proxy.spool = dir.path().join("spool");
        let proxy = Proxy::new(&config, is_enforcing, &Vitals::default(), &Clock::system());
        Scene {
            service,
            broker,
            proxy: proxy.expect("is right"),
            _dir: dir,
        }
    }

    fn answer_with(&self, status: u16, body: Value) {
        let answers = &mut self.service.state().answers;
        answers.push_back((status, body.to_string()));
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.service.state().seen)
    }

    async fn call(&self, target: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method("POST")
            .uri(target)
            .header("host", "proxy")
            .header("authorization", "Basic cGxhbnRlZA==")
            .header("tapetrail-context", r#"{"user_region":"eu"}"#)
            .header("connection", "keep-alive, x-mine")
            .header("x-mine", "1")
            .header("x-custom", "passes")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = self
            .proxy
            .routes()
            .oneshot(request)
            .await
            .expect("is infallible");
        assert_eq!(response.headers().get("x-mine"), None);
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let body = String::from_utf8(body.expect("a body").to_vec());
        (status, body.expect("text"))
    }

    async fn start(&self, bucket: &str) -> (StatusCode, String) {
        let body = json!({"cname": "room", "uid": "1", "clientRequest": {"token": "planted-token",
            "storageConfig": {"vendor": 2, "region": 1, "bucket": bucket, "accessKey": "planted-key", "secretKey": "planted-secret"}}});
        self.call(START, &body.to_string()).await
    }

    /// Lets the dispatcher send what is spooled, and returns all events that Kafka has.
    async fn events(&self) -> Vec<Value> {
        let over = CancellationToken::new();
        over.cancel();
        self.proxy.dispatch(over).await.expect("dispatches");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.broker.address())
            .set("group.id", "tests")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(Stream::ApiCalls.default_topic(), 0, Offset::Beginning)
            .expect("an offset");
        consumer.assign(&list).expect("an assignment");
        (consumer.iter().map_while(Result::ok))
            .map(|message| {
                let value = message.payload().expect("no tombstone");
                assert!(!String::from_utf8_lossy(value).contains("planted"));
                serde_json::from_slice(value).expect("JSON")
            })
            .collect()
    }
}

#[tokio::test]
async fn a_call_passes_unchanged_and_its_event_is_in_kafka_without_secrets() {
    let scene = Scene::new(false).await;
    scene.answer_with(200, json!({"resourceId": "R", "sid": "S"}));
    let (status, body) = scene.start("a").await;
    assert_eq!(
        (status.as_u16(), body.as_str()),
        (200, r#"{"resourceId":"R","sid":"S"}"#)
    );
    let seen = scene.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("POST", START)
    );
    assert!(
        seen[0].body.contains("planted-secret"),
        "the service gets the credentials"
    );
    assert_eq!(seen[0].headers["authorization"], "Basic cGxhbnRlZA==");
    assert_eq!(seen[0].headers["x-custom"], "passes");
    for gone in ["x-mine", "tapetrail-context"] {
        assert_eq!(seen[0].headers.get(gone), None, "{gone}");
    }
    assert_ne!(seen[0].headers["host"], "proxy");
    let events = scene.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["response"]["body"]["sid"], "S");
    assert_eq!(events[0]["response"]["headers"]["x-resource-id"], "42");
    assert_eq!(events[0]["request"]["body"]["cname"], "room");
    assert_eq!(events[0]["context"]["user_region"], "eu");
    assert_eq!(events[0]["error"], Value::Null);
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_answered_502_and_recorded() {
    let mut scene = Scene::new(false).await;
    let inner = Arc::get_mut(&mut scene.proxy.0).expect("nobody else has it");
    inner.upstream = "http://127.0.0.1:1".to_string();
    let (status, body) = scene.start("a").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("tapetrail proxy"), "{body}");
    let events = scene.events().await;
    assert_eq!(events[0]["response"], Value::Null);
    assert!(
        events[0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("connect")),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_an_event_with_an_unknown_outcome() {
    let scene = Scene::new(false).await;
    scene.answer_with(0, Value::Null);
    tokio::select! {
        _ = scene.start("a") => panic!("the service never answers"),
        () = async {
            while scene.service.state().seen.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } => {}
    }
    let events = scene.events().await;
    assert_eq!(events[0]["response"], Value::Null);
    assert!(
        events[0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("gave up"))
    );
}

#[tokio::test]
async fn enforced_a_second_start_with_other_storage_does_not_reach_the_service_while_the_first_lives()
 {
    let scene = Scene::new(true).await;
    scene.answer_with(200, json!({"resourceId": "R", "sid": "S"}));
    assert_eq!(scene.start("a").await.0, StatusCode::OK);
    scene.seen();
    scene.answer_with(200, json!({"serverResponse": {"status": 5}}));
    let (status, body) = scene.start("b").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        body.contains("bucket `a`") && body.contains("bucket `b`"),
        "{body}"
    );
    let seen = scene.seen();
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0].target.ends_with("/sid/S/mode/mix/query"),
        "only asked: {seen:?}"
    );
    // The service says that it is over: the channel is free.
    scene.answer_with(404, json!({"code": 404}));
    scene.answer_with(200, json!({"resourceId": "R", "sid": "S2"}));
    assert_eq!(scene.start("b").await.0, StatusCode::OK);
    // The service does not say: it passes.
    scene.answer_with(500, json!({}));
    assert_eq!(scene.start("a").await.0, StatusCode::OK);
    let events = scene.events().await;
    let statuses: Vec<_> = events
        .iter()
        .map(|event| event["response"]["status"].as_u64())
        .collect();
    assert_eq!(statuses, [Some(200), Some(409), Some(200), Some(200)]);
}
