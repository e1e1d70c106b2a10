//! How fast `tapetrail consume` drains a topic, and what it costs: run it by `benches/throughput.sh`.
//!
//! Fills a topic with API calls of about 1 KB at full speed, lets `consume --stop-at-end` at its defaults drain it
//! into a new lake, and, where `kcat` is installed, lets `kcat -C -e` drain the same topic into `/dev/null`: the
//! least that any consumer of this broker on this machine can take. Prints one line for each round.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

mod messages;
use messages::{CALLS_PER_SESSION, api_call};

fn main() {
    let Ok(brokers) = std::env::var("TAPETRAIL_TEST_BROKERS") else {
        println!("throughput: run benches/throughput.sh, which starts a broker");
        return;
    };
    let messages = number("MESSAGES", 2_000_000);
    let partitions = number("PARTITIONS", 16);
    let rounds = number("ROUNDS", 3);
    let topic = format!("throughput-{}", uuid::Uuid::new_v4().simple());
    create_topic(&brokers, &topic, partitions as i32);
    let bytes = fill(&brokers, &topic, messages, partitions);
    println!(
        "topic {topic}: {messages} messages in {partitions} partitions, mean {} B, {:.0} MB",
        bytes / messages,
        bytes as f64 / 1e6
    );

    let dir = tempfile::tempdir().expect("a directory");
    let mut best_of_us = f64::INFINITY;
    for round in 0..rounds {
        let lake = dir.path().join(format!("lake-{round}"));
        let cost = measure(consume(&brokers, &topic, dir.path(), &lake));
        assert_eq!(rows(&lake), messages, "every message is a row of the lake");
        print("tapetrail", messages, bytes, &cost);
        best_of_us = best_of_us.min(cost.elapsed.as_secs_f64());
        if round == 0 {
            println!(
                "  lake: {:.0} MB of Parquet",
                parquet_bytes(&lake) as f64 / 1e6
            );
        }
    }
    if Command::new("kcat")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        println!("kcat is not installed (apt-get install kcat): no ratio");
        return;
    }
    let mut best_of_kcat = f64::INFINITY;
    for _ in 0..rounds {
        let cost = measure(kcat(&brokers, &topic));
        print("kcat -C -e", messages, bytes, &cost);
        best_of_kcat = best_of_kcat.min(cost.elapsed.as_secs_f64());
    }
    println!(
        "ratio of the best rounds: kcat needs {:.2} of tapetrail's time",
        best_of_kcat / best_of_us
    );
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number")),
        Err(_) => default,
    }
}

fn create_topic(brokers: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        client(brokers).create().expect("an admin client");
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let made = block_on(admin.create_topics([&new], &AdminOptions::new())).expect("an answer");
    made[0].as_ref().expect("the topic is created");
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// Produces the messages and returns their bytes.
fn fill(brokers: &str, topic: &str, messages: u64, partitions: u64) -> u64 {
    let mut config = client(brokers);
    config
        .set("linger.ms", "50")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "200000");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let mut value = String::with_capacity(4096);
    let mut bytes = 0;
    for n in 0..messages {
        value.clear();
        api_call(&mut value, n);
        bytes += value.len() as u64;
        // Keyed by session, as a producer that keeps a channel in one partition does.
        let partition = ((n / CALLS_PER_SESSION) % partitions) as i32;
        let mut record = BaseRecord::<(), str>::to(topic)
            .partition(partition)
            .payload(&value);
        while let Err((_full, back)) = producer.send(record) {
            record = back;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    producer
        .flush(Duration::from_secs(120))
        .expect("the broker acknowledges");
    bytes
}

fn consume(brokers: &str, topic: &str, dir: &Path, lake: &Path) -> Command {
    let config = dir.join("consume.toml");
    let group = lake.file_name().expect("a name").to_string_lossy();
    let text = format!(
        "[kafka]\nbrokers = \"{brokers}\"\ngroup = \"{topic}-{group}\"\n\n[kafka.topics]\napi_calls = \"{topic}\"\n\
         webhooks = \"\"\nstorage_events = \"\"\nsession_records = \"\"\n\n[consume]\nhttp = \"\"\n{}\n",
        // More lines of `[consume]`, to try other sizes.
        std::env::var("CONSUME").unwrap_or_default(),
    );
    std::fs::write(&config, text).expect("the configuration is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapetrail"));
    command
        .arg("--config")
        .arg(config)
        .arg("--lake")
        .arg(lake)
        .args(["consume", "--stop-at-end"]);
    command.stderr(Stdio::null());
    command
}

fn kcat(brokers: &str, topic: &str) -> Command {
    let mut command = Command::new("kcat");
    command.args([
        "-C",
        "-e",
        "-q",
        "-o",
        "beginning",
        "-b",
        brokers,
        "-t",
        topic,
    ]);
    command
}

struct Cost {
    elapsed: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

/// Runs a command to its end and returns what the kernel says it took.
// `wait4` does the waiting, because it alone tells the cost of this one child.
#[allow(clippy::disallowed_methods, clippy::zombie_processes)]
fn measure(mut command: Command) -> Cost {
    let start = Instant::now();
    let child: Child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the command starts");
    let peak = std::thread::spawn({
        let status = format!("/proc/{}/status", child.id());
        move || watch_peak(&status)
    });
    let mut status = 0;
    // SAFETY: `rusage` is plain numbers, for which zeros are valid; `wait4` fills it for a child of ours.
    let (waited, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (
            libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage),
            usage,
        )
    };
    let elapsed = start.elapsed();
    assert!(
        waited > 0 && status == 0,
        "{command:?} failed: wait status {status}"
    );
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Cost {
        elapsed,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_bytes: peak.join().expect("the peak is watched"),
    }
}

/// Returns the most memory that a process had, when it is gone. What `wait4` says of it begins with the memory of the
/// process that started it, which holds all the messages it produced.
fn watch_peak(status: &str) -> u64 {
    let mut peak = 0;
    while let Ok(text) = std::fs::read_to_string(status) {
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(kilobytes) = line.and_then(|line| line.trim().strip_suffix(" kB")) else {
            break;
        };
        peak = kilobytes.parse::<u64>().expect("a number") * 1024;
        std::thread::sleep(Duration::from_millis(20));
    }
    peak
}

fn print(name: &str, messages: u64, bytes: u64, cost: &Cost) {
    let seconds = cost.elapsed.as_secs_f64();
    println!(
        "{name:<11} {seconds:>6.2} s  {:>8.0} events/s  {:>5.0} MB/s  {:>5.2} us of CPU per event  peak {:>4.0} MB",
        messages as f64 / seconds,
        bytes as f64 / 1e6 / seconds,
        cost.cpu.as_secs_f64() * 1e6 / messages as f64,
        cost.peak_bytes as f64 / 1e6,
    );
}

/// Adds up the rows of all files that the log names.
fn rows(lake: &Path) -> u64 {
    let versions = glob::glob(&format!("{}/api_calls/_delta_log/*.json", lake.display()));
    let versions = versions.expect("a pattern").filter_map(Result::ok);
    let texts = versions.map(|path| std::fs::read_to_string(path).expect("a version"));
    texts
        .map(|text| text.lines().map(rows_of_action).sum::<u64>())
        .sum()
}

fn rows_of_action(line: &str) -> u64 {
    let action: serde_json::Value = serde_json::from_str(line).expect("an action");
    action["add"]["stats"].as_str().map_or(0, |stats| {
        let stats: serde_json::Value = serde_json::from_str(stats).expect("statistics");
        stats["numRecords"].as_u64().expect("a number of rows")
    })
}

fn parquet_bytes(lake: &Path) -> u64 {
    let files = glob::glob(&format!("{}/**/*.parquet", lake.display())).expect("a pattern");
    files
        .filter_map(Result::ok)
        .filter_map(|path| path.metadata().ok())
        .map(|about| about.len())
        .sum()
}
