//! `tapetrail serve`: what was answered 200 is in Kafka, and so in the lake, whatever happens to server or broker.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use sha2::Sha256;
use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{Deployment, Process, free_address, get, metric};
use crate::eventually;
use crate::http::{Api, Client, Over};
use crate::messages::message;

const SECRET: &str = "console-secret";
const TOKEN: &str = "producers-token";

/// A server of its own addresses, in front of a deployment's topics.
struct Server<'d> {
    deployment: &'d Deployment,
    receive: String,
    http: String,
}

impl Server<'_> {
    fn new(deployment: &Deployment) -> Server<'_> {
        Server {
            deployment,
            receive: free_address(),
            http: free_address(),
        }
    }

    /// Starts the process; it takes messages once it is ready.
    fn start(&self) -> Process {
        let args = ["serve", "--receive", &self.receive, "--http", &self.http];
        let secrets = format!("old=another,new={SECRET}");
        let tokens = format!("test={TOKEN}");
        let environment = [
            ("TAPETRAIL_WEBHOOK_SECRETS", secrets.as_str()),
            ("TAPETRAIL_API_CALL_TOKENS", tokens.as_str()),
        ];
        self.deployment.start_with(&args, &environment)
    }

    fn is_ready(&self) -> bool {
        get(&self.http, "/readyz").is_some_and(|(status, _)| status == 200)
    }

    fn client(&self) -> Option<Client> {
        Client::connect(&self.receive)
    }
}

/// Sends callback number `n` with its signature.
fn send_callback(client: &mut Client, n: u64) -> Option<u16> {
    let body = message(Stream::Webhooks, n).value;
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
    let signature = mac.chain_update(&body).finalize().into_bytes();
    let header = format!("Agora-Signature-V2: {}", hex::encode(signature));
    let (status, _) = client.post("/webhooks", &header, &body)?;
    Some(status)
}

fn notice_id(n: u64) -> String {
    message(Stream::Webhooks, n)
        .event_id
        .expect("a webhook has an id")
}

/// Drains the topics and expects everything that was answered 200 as an event of the lake.
#[track_caller]
fn expect_kept(deployment: &Deployment, accepted: &BTreeSet<String>) {
    deployment.drain();
    let lake = deployment.lake();
    let kept: BTreeSet<String> = lake
        .rows_of("event")
        .filter_map(|row| row.event_id.clone())
        .collect();
    let lost: Vec<_> = accepted.difference(&kept).collect();
    assert!(
        lost.is_empty(),
        "answered 200 and not in the lake: {lost:?}"
    );
    deployment.expect_verified();
}

const STREAMS: [(Stream, i32); 2] = [(Stream::Webhooks, 2), (Stream::ApiCalls, 1)];

/// F12: no answer 200 before the brokers' acknowledgment, none while the broker stands still.
#[test]
fn a_callback_is_answered_200_when_the_broker_has_it_and_not_before() {
    let broker = Broker::own();
    let mut deployment = Deployment::new(&broker, &STREAMS);
    deployment.set(&["kafka", "properties", "message.timeout.ms"], "1500");
    let server = Server::new(&deployment);
    let mut process = server.start();
    eventually("the server is ready", || server.is_ready());
    let topic = deployment.topic(Stream::Webhooks).to_string();
    let in_kafka = || -> i64 { (0..2).map(|p| broker.watermarks(&topic, p).1).sum() };
    let mut accepted = BTreeSet::new();
    let mut client = server.client().expect("it listens");
    for n in 0..50 {
        assert_eq!(send_callback(&mut client, n), Some(200));
        accepted.insert(notice_id(n));
        assert_eq!(in_kafka(), n as i64 + 1, "it was answered 200");
    }

    broker.pause();
    for n in 50..53 {
        assert_eq!(
            send_callback(&mut client, n),
            Some(503),
            "the broker cannot have taken it"
        );
    }
    eventually("the server is not ready any more", || !server.is_ready());
    broker.resume();
    eventually("the server is ready again", || server.is_ready());
    for n in 50..100 {
        assert_eq!(send_callback(&mut client, n), Some(200));
        accepted.insert(notice_id(n));
    }

    let unsigned = message(Stream::Webhooks, 100).value;
    let forged = format!("Agora-Signature-V2: {}", "0".repeat(64));
    for header in [forged.as_str(), "Accept: */*"] {
        let (status, _) = client
            .post("/webhooks", header, &unsigned)
            .expect("an answer");
        assert_eq!(status, 401);
    }
    let refused = metric(&server.http, "tapetrail_refused_total");
    assert_eq!(
        refused, 5.0,
        "three without a broker, two without a signature"
    );
    process.stop();
    assert_eq!(accepted.len(), 100);
    expect_kept(&deployment, &accepted);
    assert!(!process.said().contains(SECRET) && !process.said().contains(TOKEN));
}

/// What the clients of a load have seen.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    accepted: Mutex<BTreeSet<String>>,
    is_over: AtomicBool,
}

impl Load {
    fn accepted(&self) -> usize {
        self.accepted.lock().expect("not poisoned").len()
    }

    /// Sends callback after callback, each until it is answered 200, as the sender does for a while.
    fn run(&self, server: &Server<'_>) {
        let mut client = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            while !self.is_over.load(Ordering::Relaxed) {
                let Some(connected) = client.as_mut() else {
                    client = server.client();
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                match send_callback(connected, n) {
                    Some(200) => {
                        let mut accepted = self.accepted.lock().expect("not poisoned");
                        accepted.insert(notice_id(n));
                        break;
                    }
                    Some(_) => std::thread::sleep(Duration::from_millis(20)),
                    None => client = None,
                }
            }
        }
    }
}

const KILLS: usize = 20;

/// The great one: under load the process is killed again and again; one stop in between is a graceful one.
#[test]
fn what_was_answered_200_survives_20_kills_of_the_server() {
    let deployment = Deployment::new(Broker::shared(), &STREAMS);
    let server = Server::new(&deployment);
    let load = Load::default();
    let mut random = Pcg64::seed_from_u64(20);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load.run(&server));
        }
        let over = Over(&load.is_over);
        let mut process = server.start();
        for round in 0..=KILLS {
            let before = load.accepted();
            let more = random.random_range(10..200);
            eventually("more is accepted", || load.accepted() >= before + more);
            std::thread::sleep(Duration::from_millis(random.random_range(0..30)));
            match round == KILLS / 2 {
                true => process.stop(),
                false => process.kill(),
            }
            process = server.start();
        }
        let before = load.accepted();
        eventually("the last one accepts, too", || load.accepted() > before);
        drop(over);
        process.stop();
    });
    let accepted = load.accepted.into_inner().expect("not poisoned");
    assert!(accepted.len() > KILLS * 10);
    expect_kept(&deployment, &accepted);
}

/// A batch by HTTP is what a batch by a Kafka client would be, without its secrets; twice adds nothing.
#[test]
fn api_calls_by_http_are_events_of_the_lake() {
    let deployment = Deployment::new(Broker::shared(), &STREAMS);
    let server = Server::new(&deployment);
    let mut process = server.start();
    eventually("the server is ready", || server.is_ready());
    let calls: Vec<_> = (0..100).map(|n| message(Stream::ApiCalls, n)).collect();
    let lines: Vec<_> = calls.iter().map(|call| call.value.as_str()).collect();
    let mut client = server.client().expect("it listens");
    let token = format!("Authorization: Bearer {TOKEN}");
    let (status, answer) = client
        .post("/api-calls", &token, &lines.join("\n"))
        .expect("an answer");
    assert_eq!((status, answer.as_str()), (200, r#"{"accepted":100}"#));
    let (status, _) = client
        .post("/api-calls", "Authorization: Bearer x", &lines.join("\n"))
        .expect("an answer");
    assert_eq!(status, 401);
    process.stop();
    let accepted = calls.into_iter().filter_map(|call| call.event_id);
    expect_kept(&deployment, &accepted.collect());
}

/// The snippets for producers, copied as they stand and run, where the language is on the machine.
#[test]
fn the_snippets_of_producers_md_record_their_calls() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/PRODUCERS.md"));
    let text = text.expect("PRODUCERS.md");
    let deployment = Deployment::new(Broker::shared(), &STREAMS);
    let server = Server::new(&deployment);
    let mut process = server.start();
    eventually("the server is ready", || server.is_ready());
    let api = Api::start();
    let dir = tempfile::tempdir().expect("a directory");
    let mut calls = 0;
    for (language, file, program) in [
        ("js", "calls.js", &["node"][..]),
        ("python", "calls.py", &["python3"]),
        ("go", "calls.go", &["go", "run"]),
        ("java", "Recorded.java", &["java"]),
    ] {
        let (_, snippet) = text
            .split_once(&format!("```{language}\n"))
            .expect("a snippet");
        let (snippet, _) = snippet.split_once("```").expect("has an end");
        let path = dir.path().join(file);
        std::fs::write(&path, snippet).expect("is written");
        let run = |agora: &str| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).arg(&path);
            command.env("AGORA_URL", agora);
            command.env("TAPETRAIL_URL", format!("http://{}", server.receive));
            command.env("TAPETRAIL_TOKEN", TOKEN);
            command.output()
        };
        let Ok(output) = run(&format!("http://{}", api.address)) else {
            println!("{language} is not on this machine: its snippet is not run");
            continue;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("sid"), "{language}: {output:?}");
        // Nobody listens there: a call without an answer is recorded, too.
        run("http://127.0.0.1:1").expect("runs again");
        calls += 2;
    }
    process.stop();
    deployment.drain();
    let kept = deployment.lake().rows_of("event").count();
    assert_eq!(kept, calls, "each call is an event");
    deployment.expect_verified();
}
