//! `tapetrail` as a user deploys it: a configuration, a lake, processes that are watched, stopped and killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tapetrail::event::Stream;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::eventually;
use crate::lake::Lake;
use crate::messages;
use crate::producer::Producer;
use crate::store::Bucket;

/// Topics, a group, a configuration and a lake that belong together and to one test.
pub struct Deployment {
    dir: TempDir,
    lake: PathBuf,
    /// What starts the program where it sees its lake, when we reach that by another path.
    starter: Vec<String>,
    seen_lake: Option<PathBuf>,
    /// What the lake is in, when that is not a disk.
    bucket: Option<Arc<Bucket>>,
    name: String,
    settings: toml::Table,
    topics: BTreeMap<Stream, (String, i32)>,
    processes: AtomicUsize,
}

impl Deployment {
    /// Creates a topic for each of `streams`, with that many partitions, on `broker`.
    pub fn new(broker: &Broker, streams: &[(Stream, i32)]) -> Deployment {
        let deployment = Deployment::on(broker.address(), streams);
        for (topic, partitions) in deployment.topics.values() {
            broker.create_topic(topic, *partitions, &[]);
        }
        deployment
    }

    /// The same for topics that the caller creates.
    pub fn on(brokers: &str, streams: &[(Stream, i32)]) -> Deployment {
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        let topic = |stream: Stream| format!("{name}.{stream}");
        let topics: BTreeMap<_, _> = streams
            .iter()
            .map(|(stream, partitions)| (*stream, (topic(*stream), *partitions)))
            .collect();
        let dir = tempfile::tempdir().expect("a directory");
        let mut deployment = Deployment {
            lake: dir.path().join("lake"),
            starter: Vec::new(),
            seen_lake: None,
            bucket: None,
            dir,
            settings: toml::from_str(SETTINGS).expect("the settings parse"),
            name: name.clone(),
            topics: topics.clone(),
            processes: AtomicUsize::new(0),
        };
        deployment.set(&["kafka", "brokers"], brokers);
        deployment.set(&["kafka", "group"], name);
        for stream in Stream::ALL {
            let topic = topics.get(&stream).map_or("", |(topic, _)| topic.as_str());
            deployment.set(&["kafka", "topics", stream.stem()], topic);
        }
        deployment
    }

    /// Returns the same topics, group and lake with one setting changed.
    pub fn with(&self, path: &[&str], value: impl Into<toml::Value>) -> Deployment {
        let mut other = Deployment {
            dir: tempfile::tempdir().expect("a directory"),
            lake: self.lake.clone(),
            starter: self.starter.clone(),
            seen_lake: self.seen_lake.clone(),
            bucket: self.bucket.clone(),
            name: self.name.clone(),
            settings: self.settings.clone(),
            topics: self.topics.clone(),
            processes: AtomicUsize::new(0),
        };
        other.set(path, value);
        other
    }

    /// Changes a setting for all processes that start after this.
    pub fn set(&mut self, path: &[&str], value: impl Into<toml::Value>) {
        set(&mut self.settings, path, value.into());
    }

    /// Takes a setting away again.
    pub fn unset(&mut self, path: &[&str]) {
        let (last, tables) = path.split_last().expect("a path");
        let tables = tables.iter().try_fold(&mut self.settings, |table, name| {
            table.get_mut(*name)?.as_table_mut()
        });
        tables.and_then(|table| table.remove(*last));
    }

    pub fn topic(&self, stream: Stream) -> &str {
        &self.topics[&stream].0
    }

    pub fn group(&self) -> &str {
        &self.name
    }

    pub fn streams(&self) -> impl Iterator<Item = Stream> {
        self.topics.keys().copied()
    }

    /// Returns a directory that holds what the lake holds now.
    pub fn lake_dir(&self) -> PathBuf {
        if let Some(bucket) = &self.bucket {
            return bucket.copy().join("lake");
        }
        self.seen_lake.as_ref().unwrap_or(&self.lake).clone()
    }

    /// Has the lake at `lake` as processes see it that `starter` starts, and at `seen` for the test.
    pub fn place_lake(&mut self, starter: Vec<String>, lake: PathBuf, seen: PathBuf) {
        (self.starter, self.lake, self.seen_lake) = (starter, lake, Some(seen));
    }

    /// Has the lake in a bucket.
    pub fn place_lake_in(&mut self, bucket: Bucket) {
        self.lake = PathBuf::from(format!("s3://{}/lake", bucket.name()));
        self.bucket = Some(Arc::new(bucket));
    }

    /// Reads the lake as it is now, without any code of `tapetrail`.
    pub fn lake(&self) -> Lake {
        Lake::read(&self.lake_dir(), self.streams())
    }

    /// Sends messages `numbers` of every stream, in turn over its partitions.
    pub fn produce(&self, producer: &Producer, numbers: std::ops::Range<u64>) {
        for n in numbers {
            for (stream, (topic, partitions)) in &self.topics {
                let partition = (n % *partitions as u64) as i32;
                producer.send(topic, partition, &messages::message(*stream, n));
            }
        }
    }

    /// A `tapetrail` command on this lake with this configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_with(&self.settings, args)
    }

    fn command_with(&self, settings: &toml::Table, args: &[&str]) -> Command {
        let config = self.unique_file("toml");
        std::fs::write(&config, settings.to_string()).expect("the configuration is written");
        let mut words = self.starter.iter().map(String::as_str);
        let program = env!("CARGO_BIN_EXE_tapetrail");
        let mut command = match words.next() {
            None => Command::new(program),
            Some(starter) => {
                let mut command = Command::new(starter);
                command.args(words).arg(program);
                command
            }
        };
        if let Some(bucket) = &self.bucket {
            command.envs(bucket.environment());
        }
        command
            .arg("--config")
            .arg(config)
            .arg("--lake")
            .arg(&self.lake)
            .args(args);
        command
    }

    fn unique_file(&self, extension: &str) -> PathBuf {
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        self.dir.path().join(format!("{number}.{extension}"))
    }

    /// Starts a consumer with further arguments and environment.
    pub fn consume_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Process {
        let arguments = [&["consume"], args].concat();
        let mut command = self.command(&arguments);
        command.envs(environment.iter().copied());
        Process::start(command, self.unique_file("log"))
    }

    /// Starts another command on this lake with further environment.
    pub fn start_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut command = self.command(args);
        command.envs(environment.iter().copied());
        Process::start(command, self.unique_file("log"))
    }

    /// Starts another command on this lake.
    pub fn start(&self, args: &[&str]) -> Process {
        Process::start(self.command(args), self.unique_file("log"))
    }

    pub fn consume(&self) -> Process {
        self.consume_with(&[], &[])
    }

    /// Starts a consumer that serves its metrics at `address`.
    pub fn consume_at(&self, address: &str) -> Process {
        self.consume_set(&["consume", "http"], address)
    }

    /// Starts a consumer for which one setting differs from the others'.
    pub fn consume_set(&self, path: &[&str], value: impl Into<toml::Value>) -> Process {
        let mut settings = self.settings.clone();
        set(&mut settings, path, value.into());
        Process::start(
            self.command_with(&settings, &["consume"]),
            self.unique_file("log"),
        )
    }

    /// Consumes to the end of all topics; fails the test where that fails.
    #[track_caller]
    pub fn drain(&self) {
        let mut process = self.consume_with(&["--stop-at-end"], &[]);
        let status = process.wait();
        assert!(
            status.success(),
            "consume --stop-at-end: {status}\n{}",
            process.said()
        );
    }

    /// Waits until the lake holds everything that was produced so far.
    #[track_caller]
    pub fn wait_for_all(&self, producer: &Producer) {
        let produced = producer.produced();
        eventually("the lake holds all that was produced", || {
            let positions = self.lake().positions();
            produced.keys().all(|position| positions.contains(position))
        });
    }

    /// The end of every test: the lake is what was produced, and `verify` says so.
    #[track_caller]
    pub fn expect_exactly(&self, producer: &Producer) {
        self.lake().expect(&producer.produced());
        self.expect_verified();
    }

    /// Expects `verify` to find nothing wrong, neither in the tables nor beside the broker's offsets.
    #[track_caller]
    pub fn expect_verified(&self) {
        let brokers = self.settings["kafka"]["brokers"]
            .as_str()
            .expect("an address");
        for args in [&["verify"][..], &["verify", "--full", "--brokers", brokers]] {
            let output = self.command(args).output().expect("verify runs");
            assert!(
                output.status.success(),
                "{args:?}: {}\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

fn set(settings: &mut toml::Table, path: &[&str], value: toml::Value) {
    let (last, tables) = path.split_last().expect("a path");
    let mut table = settings;
    for name in tables {
        let entry = table
            .entry(*name)
            .or_insert_with(|| toml::Table::new().into());
        table = entry.as_table_mut().expect("a table");
    }
    table.insert((*last).to_string(), value);
}

/// What all deployments begin with: frequent commits, and a group that notices a death within seconds.
const SETTINGS: &str = r#"
[kafka.properties]
"session.timeout.ms" = "3000"
"heartbeat.interval.ms" = "300"
"topic.metadata.refresh.interval.ms" = "1000"
"reconnect.backoff.max.ms" = "500"

[consume]
commit_interval = "200ms"
http = ""

[[session_records.mappings]]
[session_records.mappings.fields]
app_id = "app_id"
cname = "cname"
sid = "sid"
vendor = "vendor"
bucket = "bucket"
status = "status"
recorded_at = "recorded_at"
[session_records.mappings.vendors]
oss = 2
"#;

/// A running `tapetrail`. Killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(mut command: Command, log: PathBuf) -> Process {
        let out = File::create(&log).expect("a log");
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a log"))
            .stderr(out);
        Process {
            child: command.spawn().expect("tapetrail starts"),
            log,
        }
    }

    /// Everything the process said on stdout and stderr.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`: the process has no chance to do anything more.
    pub fn kill(&mut self) {
        self.child
            .kill()
            .expect("a process that was not yet waited for");
        self.child.wait().expect("the process has ended");
    }

    /// Sends a signal by its name, `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid])
            .status();
        assert!(
            sent.expect("sh runs").success(),
            "the process has ended:\n{}",
            self.said()
        );
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let log = self.log.clone();
        eventually(
            &format!("the process ends; its log is {}", log.display()),
            || {
                status = self.child.try_wait().expect("a child of ours");
                status.is_some()
            },
        );
        status.expect("it has ended")
    }

    /// Asks for a graceful stop and expects one.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "after SIGTERM: {status}\n{}", self.said());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // The test's output is shown because it failed; the log would be gone with its directory.
            println!("-- {}:\n{}", self.log.display(), self.said());
        }
    }
}

/// Returns an address on loopback that nobody listens on.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// Returns status and body of a GET, or none while nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_string()))
}

/// Returns every metric, labels included, with its value; none while nobody answers.
pub fn metrics(address: &str) -> BTreeMap<String, f64> {
    let (_, text) = get(address, "/metrics").unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    pairs
        .filter_map(|(name, value)| Some((name.to_string(), value.parse().ok()?)))
        .collect()
}

/// Returns the sum of a metric over all of its labels; 0 before it is told for the first time.
pub fn metric(address: &str, name: &str) -> f64 {
    let is_asked_for = |full: &str| full.split('{').next() == Some(name);
    let all = metrics(address).into_iter();
    all.filter(|(full, _)| is_asked_for(full))
        .map(|(_, value)| value)
        .sum()
}

/// A counter of rows that the process has committed itself.
pub const COMMITTED_ROWS: &str = "tapetrail_committed_rows_total";
