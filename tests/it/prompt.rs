//! The prompt of `tapetrail sql` at a terminal of its own, which `script` makes: keys in, screen out.

// Elsewhere `script` takes other options.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

/// Nothing here takes a part of this.
const FAR_TOO_LONG: Duration = Duration::from_secs(90);

/// A person at the prompt.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn open(directory: &Path) -> Terminal {
        let program = env!("CARGO_BIN_EXE_tapetrail");
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .arg(format!("stty cols 200 rows 50; exec '{program}' sql"))
            .arg("/dev/null")
            .current_dir(directory)
            .env("TAPETRAIL_HISTORY", directory.join("history"))
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` of util-linux runs");
        let mut output = child.stdout.take().expect("is piped");
        let (tell, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let _ = tell.send(bytes[..count].to_vec());
            }
        });
        let keys = child.stdin.take().expect("is piped");
        Terminal {
            child,
            keys,
            screen,
            seen: String::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys arrive");
        self.keys.flush().expect("keys arrive");
    }

    /// Waits until the screen shows `text`, and forgets what it showed up to there.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            match self.screen.recv_timeout(FAR_TOO_LONG) {
                Ok(bytes) => self.seen += &plain(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("`{text}` is not shown ({error}): {:?}", self.seen),
            }
        }
    }

    #[track_caller]
    fn expect_prompt(&mut self) {
        self.expect("tapetrail> ");
    }

    fn leaves(mut self) {
        self.press("\\q\r");
        let status = self.child.wait().expect("ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Terminal {
    /// Hangs up, so that a test that fails leaves no query running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Removes what moves the cursor and colors: `ESC [ ... letter`.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' => drop(rest.by_ref().find(char::is_ascii_alphabetic)),
            next => plain.push(next),
        }
    }
    plain
}

fn lake() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let lines: Vec<String> = (crate::lake::messages(3).iter())
        .map(|message| String::from_utf8_lossy(message).into_owned())
        .collect();
    fs::write(directory.path().join("a.ndjson"), lines.join("\n")).expect("is written");
    let import = ["import", "--stream", "webhooks", "a.ndjson"];
    assert!(
        crate::cli::tapetrail(directory.path(), &import)
            .status
            .success()
    );
    directory
}

#[test]
fn a_person_gets_answers_help_and_a_history() {
    let directory = lake();
    let mut terminal = Terminal::open(directory.path());
    terminal.expect("\\? for help");
    terminal.expect_prompt();
    // Over two lines, until the `;`.
    terminal.press("SELECT 4000 + count(*) AS hooks\rFROM webhooks;\r");
    terminal.expect("4003");
    terminal.expect("1 row");
    terminal.expect_prompt();
    // A name is completed where only one fits.
    terminal.press("SELECT 40 + 2 AS n FROM session_rec\t LIMIT 0;\r");
    terminal.expect("FROM session_records");
    terminal.expect(" LIMIT 0;");
    terminal.expect("0 rows");
    terminal.expect_prompt();
    // An error shows its place and is no reason to leave.
    terminal.press("SELECT sidd FROM webhooks;\r");
    terminal.expect("error: ");
    terminal.expect("1 | SELECT sidd FROM webhooks;");
    terminal.expect("           ^");
    terminal.expect_prompt();
    terminal.press("\\d sessions\r");
    terminal.expect("upload_verdict");
    terminal.expect_prompt();
    terminal.press("\\query dead_letters_by_reason\r");
    terminal.expect("0 rows");
    terminal.expect_prompt();
    terminal.press("\\nothing\r");
    terminal.expect("there is no command `\\nothing`");
    terminal.expect_prompt();
    // A line that is given up is not run.
    terminal.press("SELECT 'given up'\u{3}");
    terminal.expect_prompt();
    // A query that is canceled gives the prompt back. The first statement's answer shows that the keyboard no longer
    // belongs to the line that is typed, and Ctrl-C is a signal.
    terminal.press(
        "SELECT 1 AS one; SELECT sum(a.value * b.value % 7) FROM range(10000000) a, range(10000000) b;\r",
    );
    terminal.expect("1 row");
    terminal.press("\u{3}");
    terminal.expect("canceled");
    terminal.expect_prompt();
    terminal.press("SELECT 40 + 2 AS n;\r");
    terminal.expect("42");
    terminal.expect_prompt();
    terminal.leaves();

    let path = directory.path().join("history");
    let history = fs::read_to_string(&path).expect("is kept");
    assert!(history.contains("FROM webhooks;"), "{history}");
    // What was asked is nobody else's business.
    let mode = fs::metadata(&path).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut terminal = Terminal::open(directory.path());
    terminal.expect_prompt();
    // Back twice: past `\q` to what was typed before it.
    terminal.press("\u{10}\u{10}");
    terminal.expect("SELECT 40 + 2 AS n;");
    terminal.press("\u{3}");
    terminal.expect_prompt();
    terminal.leaves();
}
