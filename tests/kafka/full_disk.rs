//! F21: a disk that is full, at the data and at the log: nothing is torn, the process says that it is not ready,
//! and goes on by itself when there is room again.
//!
//! The disk is a small tmpfs in a mount namespace of its own, which needs root or user namespaces.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::{Deployment, free_address, get};
use crate::eventually;
use crate::producer::Producer;

#[test]
fn a_full_disk_at_the_data_is_waited_out() {
    is_waited_out("lake");
}

#[test]
fn a_full_disk_at_the_log_is_waited_out() {
    is_waited_out("lake/api_calls/_delta_log");
}

/// Fills the disk that is mounted at `full`, wholly and but for a page, and makes room again.
fn is_waited_out(full: &str) {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(Stream::ApiCalls, 2)]);
    let disk = SmallDisk::mount(full);
    let inside = disk.dir.path().join("lake");
    deployment.place_lake(disk.starter(), inside, disk.path("lake"));
    let http = free_address();
    deployment.set(&["consume", "http"], http.as_str());
    let is_ready = || get(&http, "/readyz").is_some_and(|(status, _)| status == 200);
    let producer = Producer::new(broker.address());
    deployment.produce(&producer, 0..100);
    let mut process = deployment.consume();
    deployment.wait_for_all(&producer);
    for (round, bytes_left) in [0, 4096].into_iter().enumerate() {
        eventually("the consumer is ready", is_ready);
        let before = deployment.lake();
        let ballast = fill(&disk.path(full), bytes_left);
        let next = 100 * (round as u64 + 1);
        deployment.produce(&producer, next..next + 100);
        producer.flush();
        eventually("it says that it is not ready, and why", || {
            get(&http, "/readyz").is_some_and(|(status, why)| {
                status == 503 && why.contains("lake api_calls") && why.contains("No space left")
            })
        });
        // Every version is read as text, every live file as Parquet.
        let during = deployment.lake();
        assert_eq!(during.positions(), before.positions());
        assert_eq!(during.transactions(), before.transactions());
        assert!(process.is_running(), "it gave up:\n{}", process.said());

        fs::remove_file(ballast).expect("is removed");
        deployment.wait_for_all(&producer);
    }
    eventually("the consumer is ready again", is_ready);
    process.stop();
    deployment.expect_exactly(&producer);
}

/// Takes all room of a disk but `bytes_left`.
fn fill(disk: &Path, bytes_left: u64) -> PathBuf {
    let path = disk.join("ballast");
    let mut file = File::create(&path).expect("a file");
    while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    let length = file.metadata().expect("its length").len();
    file.set_len(length - bytes_left).expect("is cut");
    path
}

/// Two megabytes, and a process that holds the namespace in which they are mounted.
struct SmallDisk {
    keeper: Child,
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(at: &str) -> SmallDisk {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().join(at);
        fs::create_dir_all(&at).expect("a directory");
        // Ends when its input does, and that with this process.
        let script = "mount -t tmpfs -o size=2m tmpfs \"$0\" && echo mounted && exec cat";
        let mut keeper = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(&at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut said = String::new();
        let stdout = keeper.stdout.take().expect("is piped");
        BufReader::new(stdout).read_line(&mut said).expect("a line");
        assert_eq!(
            said.trim(),
            "mounted",
            "a tmpfs cannot be mounted in a namespace of its own; run as root or allow user namespaces"
        );
        SmallDisk { keeper, dir }
    }

    /// Returns the words that start a program in the namespace.
    fn starter(&self) -> Vec<String> {
        let pid = self.keeper.id().to_string();
        let words = [
            "nsenter",
            "--user",
            "--mount",
            "--preserve-credentials",
            "--target",
            &pid,
        ];
        words.map(str::to_string).to_vec()
    }

    /// Returns a path as those outside of the namespace reach it.
    fn path(&self, name: &str) -> PathBuf {
        let inside = self.dir.path().join(name);
        let inside = inside.strip_prefix("/").expect("is absolute");
        Path::new("/proc")
            .join(self.keeper.id().to_string())
            .join("root")
            .join(inside)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
