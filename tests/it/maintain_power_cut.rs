//! Power cuts at every moment of a maintenance run: the lake holds the same rows at each, and the next run goes on.
//! [`crate::disk`] is the disk that loses what was not synced.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tapetrail::clock::Clock;
use tapetrail::config::{self, Durability};
use tapetrail::lake::store::Location;
use tapetrail::lake::table::Lake;
use tapetrail::maintain::Maintenance;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::disk::{Disk, Instead, Names, Picture, restore};
use crate::lake::{contents, messages, verified};

/// Files of one day, each a commit: some for the run that was long ago, and as many for this one.
const FILES: usize = 6;
const MESSAGES_EACH: usize = 2;

const DAY: Duration = Duration::from_secs(86_400);
/// Longer ago than the history reaches; the files are older still.
const LONG_AGO: Duration = DAY.saturating_mul(60);
const LONGER_AGO: Duration = DAY.saturating_mul(90);

/// A lake on a disk, in which there is everything to do: files to sort, and versions and files that are no longer
/// needed.
struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("disk")).expect("is made");
        let scene = Scene { directory };
        let all = messages(FILES * MESSAGES_EACH);
        let files: Vec<PathBuf> = (all.chunks(MESSAGES_EACH).enumerate())
            .map(|(number, messages)| {
                let file = scene.directory.path().join(format!("{number}.ndjson"));
                fs::write(&file, messages.join(&b'\n')).expect("is written");
                file
            })
            .collect();
        let (early, late) = files.split_at(FILES / 2);
        scene.import(early);
        succeeds(&mut scene.maintain());
        grow_old(&scene.root().join("data/lake/webhooks"));
        scene.import(late);
        scene
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    fn import(&self, files: &[PathBuf]) {
        let mut command = self.command();
        command.args(["import", "--stream", "webhooks"]).args(files);
        succeeds(&mut command);
    }

    fn maintain(&self) -> Command {
        let mut command = self.command();
        command.args(["maintain", "--min-files", "2", "--format", "json"]);
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapetrail"));
        command.arg("--lake").arg(self.root().join("data/lake"));
        command
    }
}

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output
}

/// Makes all commits and files of a table so old that nobody asks for them any more.
fn grow_old(table: &Path) {
    for entry in fs::read_dir(table).expect("a table") {
        for file in fs::read_dir(entry.expect("is readable").path()).expect("a directory") {
            let path = file.expect("is readable").path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let text = fs::read_to_string(&path).expect("a commit");
                fs::write(&path, of_long_ago(&text)).expect("is written");
            }
            let file = File::options().append(true).open(&path).expect("opens");
            let then = SystemTime::now() - LONGER_AGO;
            file.set_modified(then).expect("can be changed");
        }
    }
}

/// Changes the time at which a commit says that it was made.
fn of_long_ago(commit: &str) -> String {
    let lines = commit.lines().map(|line| {
        let mut action: Value = serde_json::from_str(line).expect("a line of a commit");
        if let Some(made_at) = action.pointer_mut("/commitInfo/timestamp") {
            let millis = made_at.as_u64().expect("a time");
            *made_at = (millis - LONG_AGO.as_millis() as u64).into();
        }
        format!("{action}\n")
    });
    lines.collect()
}

fn lake(root: &Path) -> Lake {
    let path = root.join("data/lake");
    let path = path.to_str().expect("is text");
    Lake::new(Location::open(path, Durability::Os).expect("opens"))
}

/// Turns the machine on again: the rows are there, and still are after the next run.
async fn expect_all_rows(picture: &Picture, rows: &[String], at: &str) -> TempDir {
    let after = tempfile::tempdir().expect("a directory");
    restore(picture, after.path());
    let lake = lake(after.path());
    assert_eq!(contents(&lake).await, rows, "{at}");
    let maintenance = Maintenance {
        settings: &config::Maintain {
            min_files: 2,
            ..config::Maintain::default()
        },
        is_dry_run: false,
        clock: &Clock::system(),
        stop: &CancellationToken::new(),
        progress: &|_| {},
    };
    let maintained = maintenance.run(&lake).await;
    maintained.unwrap_or_else(|error| panic!("{at}: {error:#}"));
    assert_eq!(contents(&lake).await, rows, "{at}, after the next run");
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_survive_a_power_cut_at_every_moment_of_maintenance() {
    let scene = Scene::new();
    let rows = contents(&lake(&scene.root())).await;
    let disk = Disk::new(&scene.root());
    disk.record();
    let mut command = scene.maintain();
    disk.carry(&mut command);
    let summary = succeeds(&mut command).stdout;
    let summary: Value = serde_json::from_slice(&summary).expect("is JSON");
    for done in ["versions_removed", "files_removed"] {
        assert!(summary[0][done].as_u64() > Some(1), "{summary}");
    }
    let files = |when: &str| summary[0][when].as_u64().expect("a number");
    assert!(files("files_after") < files("files_before"), "{summary}");
    let moments = disk.moments();
    let mut seen = HashSet::new();
    for (number, moment) in moments.iter().enumerate() {
        for (names, picture) in [(Names::Late, &moment.late), (Names::Early, &moment.early)] {
            if seen.insert(picture) {
                let at = format!("moment {number} of {}, names {names:?}", moments.len());
                let after = expect_all_rows(picture, &rows, &at).await;
                if number + 1 == moments.len() {
                    verified(&lake(after.path())).await;
                }
            }
        }
    }
    assert!(seen.len() > 5, "only {} states of the disk", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_survive_a_death_in_maintenance_and_a_power_cut_after_the_next_run() {
    disturb_each_sync(Instead::Death).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_survive_a_failed_sync_in_maintenance_and_a_power_cut_after_the_next_run() {
    disturb_each_sync(Instead::Error).await;
}

/// Disturbs every sync of a run in turn, runs once more, and cuts the power.
async fn disturb_each_sync(instead: Instead) {
    for sync in 1.. {
        let scene = Scene::new();
        let rows = contents(&lake(&scene.root())).await;
        let disk = Disk::new(&scene.root());
        disk.disturb(sync, instead);
        let mut command = scene.maintain();
        disk.carry(&mut command);
        let first = command.output().expect("the program runs");
        if disk.syncs() < sync {
            assert!(sync > 4, "only {sync} syncs");
            return;
        }
        if !first.status.success() {
            succeeds(&mut command);
        }
        for names in [Names::Late, Names::Early] {
            let picture = disk.after_power_cut(names);
            let at = format!("{instead:?} at sync {sync}, names {names:?}");
            expect_all_rows(&picture, &rows, &at).await;
        }
    }
}

/// The check can fail: without syncs the sorted files are empty, and rows are gone.
#[test]
fn without_syncs_rows_are_lost() {
    let scene = Scene::new();
    let config = scene.directory.path().join("os.toml");
    fs::write(&config, "durability = \"os\"\n").expect("is written");
    let disk = Disk::new(&scene.root());
    let mut command = scene.maintain();
    disk.carry(command.arg("--config").arg(config));
    succeeds(&mut command);
    assert_eq!(disk.syncs(), 0);
    let early = disk.after_power_cut(Names::Early);
    let is_empty = |content: &Option<_>| {
        content
            .as_ref()
            .is_some_and(|bytes: &Arc<[u8]>| bytes.is_empty())
    };
    let is_sorted = |path: &Path| path.to_string_lossy().contains("/sorted-");
    assert!(
        early
            .iter()
            .any(|(path, content)| is_sorted(path) && is_empty(content))
    );
}
