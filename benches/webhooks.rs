//! How many callbacks a second `tapetrail serve` answers on one core: run it by `benches/webhooks.sh`.
//!
//! Starts the server on the first core, and on the others `wrk` with signed callbacks, each answered when the broker
//! has it. Prints one line for each round, and fails if fewer messages are in Kafka than were answered 200.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use sha2::Sha256;

const SECRET: &str = "console-secret";
const PARTITIONS: i32 = 6;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends the callbacks of the file in `REQUESTS` in turn; prints what it counted, for us.
const SCRIPT: &str = r#"
local requests, at = {}, 0
init = function()
  for line in io.lines(os.getenv("REQUESTS")) do
    local signature, body = line:match("^(%x+) (.*)$")
    requests[#requests + 1] = wrk.format("POST", "/webhooks",
      {["Content-Type"] = "application/json", ["Agora-Signature-V2"] = signature}, body)
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local errors = summary.errors
  print(string.format("= %d %d %d %.0f %.0f", summary.requests, summary.duration,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"#;

fn main() {
    let Ok(brokers) = std::env::var("TAPETRAIL_TEST_BROKERS") else {
        println!("webhooks: run benches/webhooks.sh, which starts a broker");
        return;
    };
    let seconds = number("SECONDS_A_ROUND", 10);
    let connections = number("CONNECTIONS", 64);
    let topic = format!("callbacks-{}", uuid::Uuid::new_v4().simple());
    for name in [topic.clone(), format!("{topic}.calls")] {
        create_topic(&brokers, &name);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let bytes = write_requests(dir.path(), 2_000);
    let receive = free_address();
    let server = Server::start(&brokers, &topic, dir.path(), &receive);
    println!("{connections} connections, callbacks of {bytes} B in the mean, server on one core");
    for _ in 0..number("ROUNDS", 3) {
        let (before, cpu) = (in_kafka(&brokers, &topic), server.cpu());
        let round = load(dir.path(), &receive, seconds, connections);
        let cpu = server.cpu() - cpu;
        let kept = in_kafka(&brokers, &topic) - before;
        assert!(kept >= round.answered, "{kept} of {}", round.answered);
        println!(
            "{:.0} callbacks/s, p50 {:.1} ms, p99 {:.1} ms, {} not answered 200, {:.0} % of the core",
            round.answered as f64 / round.elapsed.as_secs_f64(),
            round.p50_ms,
            round.p99_ms,
            round.errors,
            100.0 * cpu.as_secs_f64() / round.elapsed.as_secs_f64(),
        );
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

fn create_topic(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        client(brokers).create().expect("an admin client");
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let made = block_on(admin.create_topics([&new], &AdminOptions::new())).expect("an answer");
    made[0].as_ref().expect("the topic is created");
}

fn in_kafka(brokers: &str, topic: &str) -> u64 {
    let consumer: BaseConsumer = client(brokers).create().expect("a consumer");
    let end = |partition| {
        let ends = consumer.fetch_watermarks(topic, partition, TIMEOUT);
        ends.expect("watermarks").1 as u64
    };
    (0..PARTITIONS).map(end).sum()
}

/// Writes signed callbacks for `wrk`; returns the mean length of their bodies.
fn write_requests(dir: &Path, count: u64) -> usize {
    let (mut lines, mut bytes) = (String::new(), 0);
    for n in 0..count {
        let body = callback(n);
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
        let signature = mac.chain_update(&body).finalize().into_bytes();
        writeln!(lines, "{} {body}", hex::encode(signature)).expect("memory");
        bytes += body.len();
    }
    std::fs::write(dir.join("requests"), lines).expect("is written");
    std::fs::write(dir.join("wrk.lua"), SCRIPT).expect("is written");
    bytes / count as usize
}

/// An `uploaded` of a session of its own.
fn callback(n: u64) -> String {
    let sid = format!("{:032x}", 0x5eed_0000_0000 + n);
    let at = 1_795_132_800_000 + n;
    serde_json::json!({
        "noticeId": format!("{n:08x}-0000-4000-8000-000000000000"), "productId": 3, "eventType": 31, "notifyMs": at + 250,
        "payload": {"cname": format!("room_{n}"), "uid": "900001", "sid": sid, "sequence": 14, "sendts": at, "serviceType": 2,
            "serviceScene": "rtc_record", "details": {"msgName": "uploaded", "status": 0, "fileList": [
                {"fileName": format!("tenantA/20261124/{sid}_room_{n}.m3u8"), "trackType": "audio_and_video", "uid": "0",
                 "mixedAllUser": true, "isPlayable": true, "sliceStartTime": at - 60_000}]}}
    })
    .to_string()
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// The process under test, on the first core alone. Killed when dropped.
struct Server(Child);

impl Server {
    fn start(brokers: &str, topic: &str, dir: &Path, receive: &str) -> Server {
        let config = dir.join("serve.toml");
        let text = format!(
            "[kafka]\nbrokers = \"{brokers}\"\n\n[kafka.topics]\nwebhooks = \"{topic}\"\napi_calls = \"{topic}.calls\"\n\n\
             [serve]\nreceive = \"{receive}\"\nhttp = \"\"\n"
        );
        std::fs::write(&config, text).expect("the configuration is written");
        let built = env!("CARGO_BIN_EXE_tapetrail").to_string();
        let program = std::env::var("TAPETRAIL").unwrap_or(built);
        let child = Command::new("taskset")
            .args(["--cpu-list", "0", &program, "--config"])
            .arg(config)
            .arg("serve")
            .env("TAPETRAIL_WEBHOOK_SECRETS", format!("a={SECRET}"))
            .spawn()
            .expect("taskset and tapetrail start");
        let server = Server(child);
        let deadline = Instant::now() + TIMEOUT;
        // It listens before it knows the brokers; the first round finds out.
        while TcpStream::connect(receive).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(1));
        server
    }

    /// What the process has used of its core so far.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()));
        let stat = stat.expect("the server lives");
        // After the name, which may hold anything: state is the first, then `utime` and `stime` the 12th and 13th.
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|t| t.parse::<u64>().expect("ticks")).sum();
        // A tick is 10 ms to whoever asks.
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Round {
    answered: u64,
    errors: u64,
    elapsed: Duration,
    p50_ms: f64,
    p99_ms: f64,
}

fn load(dir: &Path, receive: &str, seconds: u64, connections: u64) -> Round {
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
        .args(["--timeout", "10s", "-s"])
        .arg(dir.join("wrk.lua"))
        .arg(format!("http://{receive}"))
        .env("REQUESTS", dir.join("requests"))
        .stderr(Stdio::inherit())
        .output()
        .expect("wrk runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("= "));
    let line = line.unwrap_or_else(|| panic!("wrk said no more than:\n{said}"));
    let words: Vec<f64> = line
        .split(' ')
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [requests, micros, errors, p50, p99] = words[..] else {
        panic!("wrk said: {line}");
    };
    Round {
        answered: (requests - errors) as u64,
        errors: errors as u64,
        elapsed: Duration::from_micros(micros as u64),
        p50_ms: p50 / 1_000.0,
        p99_ms: p99 / 1_000.0,
    }
}
