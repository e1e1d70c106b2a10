//! A service that a script beside this file runs, in a directory of its own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// It ends when dropped, or with this process.
pub struct Service {
    /// Of the script, without `.sh`; its environment begins with `TAPETRAIL_` and this.
    name: &'static str,
    dir: PathBuf,
}

impl Service {
    /// Makes the directory; starts nothing.
    pub fn new(name: &'static str) -> Service {
        Service {
            name,
            dir: tempfile::tempdir().expect("a directory").keep(),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts it, with further environment; returns what the script says of it, an address.
    pub fn start(&self, environment: &[(&str, &str)]) -> String {
        self.call("start", &[], environment, "")
    }

    /// Ends it, by a signal.
    pub fn stop(&self, signal: &str) {
        let variable = self.variable("SIGNAL");
        self.call("stop", &[], &[(&variable, signal)], "");
    }

    /// Runs a command of the script with something on stdin; returns what it printed, without the line's end.
    #[track_caller]
    pub fn call(
        &self,
        command: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &str,
    ) -> String {
        let script = format!(
            "{}/tests/kafka/{}.sh",
            env!("CARGO_MANIFEST_DIR"),
            self.name
        );
        let mut child = Command::new(script)
            .arg(command)
            .arg(&self.dir)
            .args(arguments)
            .env(self.variable("OWNER"), std::process::id().to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the script runs");
        let mut stdin = child.stdin.take().expect("is piped");
        // A script that wants no input may have ended.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("the script ends");
        assert!(
            output.status.success(),
            "{}.sh {command} failed: {}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// What the script says of the service in `<name>.env`.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.dir.join(format!("{}.env", self.name)));
        let text = text.expect("facts");
        let facts = text.lines().filter_map(|line| line.split_once('='));
        facts
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    /// Sends a signal to the process itself.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.dir.join("pid")).expect("a pid");
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, pid.trim()])
            .status();
        assert!(
            sent.expect("sh runs").success(),
            "{} has ended",
            self.dir.display()
        );
    }

    fn variable(&self, name: &str) -> String {
        format!("TAPETRAIL_{}_{name}", self.name.to_uppercase())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop("KILL");
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
