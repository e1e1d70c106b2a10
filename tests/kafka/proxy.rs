//! `tapetrail proxy`: a call never depends on Kafka, and what its caller has seen is in the lake.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{Deployment, Process, free_address, metric};
use crate::eventually;
use crate::http::{Api, Client, Over};

const STREAMS: [(Stream, i32); 1] = [(Stream::ApiCalls, 1)];

/// A proxy of its own addresses and spool, before a service that always starts.
struct Proxy<'d> {
    deployment: &'d Deployment,
    listen: String,
    http: String,
    spool: tempfile::TempDir,
    api: Api,
}

impl Proxy<'_> {
    fn new(deployment: &Deployment) -> Proxy<'_> {
        Proxy {
            deployment,
            listen: free_address(),
            http: free_address(),
            spool: tempfile::tempdir().expect("a directory"),
            api: Api::start(),
        }
    }

    fn start(&self) -> Process {
        let upstream = format!("http://{}", self.api.address);
        let spool = self.spool.path().to_str().expect("a path of ours");
        let addresses = ["--listen", &self.listen, "--http", &self.http];
        let rest = ["--upstream", &upstream, "--spool", spool];
        self.deployment
            .start(&[&["proxy"], &addresses[..], &rest[..]].concat())
    }

    fn client(&self) -> Option<Client> {
        Client::connect(&self.listen)
    }
}

/// Makes a start, and returns the sid of its answer.
fn start(client: &mut Client, n: usize) -> Option<String> {
    let path = format!("/v1/apps/app/cloud_recording/resourceid/R{n}/mode/mix/start");
    let body = format!(
        r#"{{"cname":"room-{n}","uid":"1","clientRequest":{{"storageConfig":{{"vendor":1,"region":0,"bucket":"b","accessKey":"planted-key","secretKey":"planted-secret"}}}}}}"#
    );
    let (status, answer) = client.post(&path, "Authorization: Basic cGxhbnRlZA==", &body)?;
    assert_eq!(status, 200, "{answer}");
    let (_, sid) = answer.split_once("\"sid\":\"").expect("a sid");
    Some(sid.trim_end_matches("\"}").to_string())
}

/// Drains the topic and expects an event of every session that a caller was told of.
#[track_caller]
fn expect_recorded(deployment: &Deployment, sids: &BTreeSet<String>) {
    deployment.drain();
    let sql = ["sql", "--format", "csv", "-c", "SELECT sid FROM api_calls"];
    let output = deployment.command(&sql).output().expect("sql runs");
    let recorded: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_string)
        .collect();
    let lost: Vec<_> = sids.difference(&recorded).collect();
    assert!(lost.is_empty(), "not recorded: {lost:?} of {}", sids.len());
    deployment.expect_verified();
}

/// F12: without a broker calls go through, and their events come when it is back, in order and without secrets.
#[test]
fn calls_go_through_without_a_broker_and_are_recorded_when_it_is_back() {
    let broker = Broker::own();
    let mut deployment = Deployment::new(&broker, &STREAMS);
    deployment.set(&["kafka", "properties", "message.timeout.ms"], "1500");
    let proxy = Proxy::new(&deployment);
    let mut process = proxy.start();
    eventually("the proxy listens", || proxy.client().is_some());
    let sent = || metric(&proxy.http, "tapetrail_sent_events_total");
    let mut client = proxy.client().expect("it listens");
    let mut sids = BTreeSet::new();
    for n in 0..20 {
        sids.extend(start(&mut client, n));
    }
    eventually("they are in Kafka", || sent() == 20.0);
    broker.kill();
    for n in 20..60 {
        sids.extend(start(&mut client, n));
    }
    assert!(metric(&proxy.http, "tapetrail_spool_waiting_bytes") > 0.0);
    for entry in std::fs::read_dir(proxy.spool.path()).expect("a directory") {
        let content = std::fs::read(entry.expect("a file").path()).expect("is readable");
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains("planted") && !content.contains("cGxhbnRlZA"));
    }
    // Not even a death in between loses any.
    process.kill();
    process = proxy.start();
    eventually("the proxy listens again", || proxy.client().is_some());
    client = proxy.client().expect("it listens");
    for n in 60..80 {
        sids.extend(start(&mut client, n));
    }
    broker.start();
    eventually("all of them are in Kafka", || {
        metric(&proxy.http, "tapetrail_spool_waiting_bytes") == 0.0
    });
    process.stop();
    assert_eq!(sids.len(), 80);
    expect_recorded(&deployment, &sids);
}

const KILLS: usize = 10;

/// Killed at random moments under load: what a caller was answered is recorded.
#[test]
fn what_a_caller_was_answered_is_recorded_over_10_kills() {
    let deployment = Deployment::new(Broker::shared(), &STREAMS);
    let proxy = Proxy::new(&deployment);
    let sids = Mutex::new(BTreeSet::new());
    let is_over = AtomicBool::new(false);
    let answered = || sids.lock().expect("not poisoned").len();
    let mut random = Pcg64::seed_from_u64(10);
    std::thread::scope(|scope| {
        for caller in 0..3 {
            let (proxy, sids, is_over) = (&proxy, &sids, &is_over);
            scope.spawn(move || {
                let mut client = None;
                let mut n = caller * 1_000_000;
                while !is_over.load(Ordering::Relaxed) {
                    n += 1;
                    match client.as_mut().map(|client| start(client, n)) {
                        Some(Some(sid)) => {
                            sids.lock().expect("not poisoned").insert(sid);
                        }
                        _ => {
                            client = proxy.client();
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    }
                }
            });
        }
        let over = Over(&is_over);
        let mut process = proxy.start();
        for _ in 0..KILLS {
            let more = answered() + random.random_range(10..200);
            eventually("more calls are answered", || answered() >= more);
            process.kill();
            process = proxy.start();
        }
        let before = answered();
        eventually("the last one answers, too", || answered() > before);
        drop(over);
        eventually("all of it is in Kafka", || {
            metric(&proxy.http, "tapetrail_spool_waiting_bytes") == 0.0
        });
        process.stop();
    });
    expect_recorded(&deployment, &sids.into_inner().expect("not poisoned"));
}
