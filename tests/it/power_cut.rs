//! Power cuts at every moment of a real process: what it said it had committed is whole afterwards, with
//! `durability = "fsync"`, and with `"os"` it is not (fault F23). [`crate::disk`] is the disk that loses.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tapetrail::config::Durability;
use tapetrail::lake::store::Location;
use tapetrail::lake::table::Lake;
use tempfile::TempDir;

use crate::disk::{Disk, Instead, Names, Picture, restore};
use crate::lake::{contents, messages, verified};

/// A file of messages for each commit.
const COMMITS: usize = 2;

/// Files to import, a configuration, and a directory that is the disk.
struct Scene {
    directory: TempDir,
    files: Vec<PathBuf>,
    durability: &'static str,
}

impl Scene {
    fn new(durability: &'static str, commits: usize, messages_each: usize) -> Scene {
        let directory = tempfile::tempdir().expect("a directory");
        let all = messages(commits * messages_each);
        let files: Vec<PathBuf> = (all.chunks(messages_each).enumerate())
            .map(|(number, messages)| {
                let file = directory.path().join(format!("{number}.ndjson"));
                fs::write(&file, messages.join(&b'\n')).expect("is written");
                file
            })
            .collect();
        fs::create_dir(directory.path().join("disk")).expect("is made");
        Scene {
            directory,
            files,
            durability,
        }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// Imports the files into a lake on the disk, a commit each.
    fn import(&self, disk: &Disk) -> Output {
        let mut command = self.command(self.durability, &self.root());
        disk.carry(&mut command);
        command.output().expect("the program runs")
    }

    /// The same into a lake under `root` on a disk that is nothing special.
    fn import_again(&self, root: &Path) -> Output {
        let mut command = self.command("os", root);
        command.output().expect("the program runs")
    }

    fn command(&self, durability: &str, root: &Path) -> Command {
        let config = self.directory.path().join(format!("{durability}.toml"));
        fs::write(&config, format!("durability = \"{durability}\"\n")).expect("is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapetrail"));
        command
            .arg("--config")
            .arg(config)
            .arg("--lake")
            .arg(root.join("data/lake"))
            .args(["import", "--stream", "webhooks"])
            .args(&self.files);
        command
    }

    /// Returns how many files the process has said to be in the lake.
    fn acknowledged(&self, said: &str) -> usize {
        let is_told = |line: &str| line.contains("; version ") || line.contains("already in");
        said.split_inclusive('\n')
            .filter(|line| line.ends_with('\n') && is_told(line))
            .count()
    }
}

fn lake(root: &Path) -> Lake {
    let path = root.join("data/lake");
    let path = path.to_str().expect("is text");
    Lake::new(Location::open(path, Durability::Os).expect("opens"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Turns the machine on again and imports all files once more: those that were acknowledged are in the lake
/// already, and with the others it holds what it would hold without the power cut. Returns the lake's directory.
async fn expect_nothing_lost(
    scene: &Scene,
    picture: &Picture,
    acknowledged: usize,
    at: &str,
) -> TempDir {
    let after = tempfile::tempdir().expect("a directory");
    restore(picture, after.path());
    let again = scene.import_again(after.path());
    let said = said(&again);
    assert!(again.status.success(), "{at}: {said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[..acknowledged]
            .iter()
            .all(|line| line.ends_with("already in the lake, nothing added")),
        "{at}: {acknowledged} files were acknowledged, yet:\n{said}"
    );
    let undisturbed = lake(&scene.root());
    assert_eq!(
        contents(&lake(after.path())).await,
        contents(&undisturbed).await,
        "{at}"
    );
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_a_power_cut_at_every_moment() {
    let scene = Scene::new("fsync", COMMITS, 7);
    let disk = Disk::new(&scene.root());
    disk.record();
    let imported = scene.import(&disk);
    assert!(imported.status.success(), "{}", said(&imported));
    let moments = disk.moments();
    let (mut seen, mut last) = (HashSet::new(), None);
    for (number, moment) in moments.iter().enumerate() {
        let acknowledged = scene.acknowledged(&moment.said);
        for (names, picture) in [(Names::Late, &moment.late), (Names::Early, &moment.early)] {
            if seen.insert((acknowledged, picture)) {
                let at = format!("moment {number} of {}, names {names:?}", moments.len());
                last = Some(expect_nothing_lost(&scene, picture, acknowledged, &at).await);
            }
        }
    }
    let last = last.expect("the disk had states");
    verified(&lake(last.path())).await;
    let end = moments.last().expect("has moments");
    assert_eq!(scene.acknowledged(&end.said), COMMITS);
    assert!(seen.len() > 20, "only {} states of the disk", seen.len());
}

/// What a process acknowledges it may have found: left by one that was killed before its sync.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_a_death_survives_a_power_cut() {
    let deaths = disturb_each_sync(Instead::Death).await;
    assert!(deaths > 8, "only {deaths} syncs");
}

/// A name that is there though its sync failed is no reason to call the commit landed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_a_failed_sync_survives_a_power_cut() {
    let errors = disturb_each_sync(Instead::Error).await;
    assert!(errors > 8, "only {errors} syncs");
}

/// Disturbs every sync of an import in turn, imports once more, and cuts the power. Returns how many there were.
async fn disturb_each_sync(instead: Instead) -> usize {
    let mut last = None;
    for sync in 1.. {
        let scene = Scene::new("fsync", 1, 4);
        let disk = Disk::new(&scene.root());
        disk.disturb(sync, instead);
        let first = scene.import(&disk);
        if disk.syncs() < sync {
            let last: TempDir = last.expect("an import syncs");
            verified(&lake(last.path())).await;
            return sync - 1;
        }
        if !first.status.success() {
            let second = scene.import(&disk);
            assert!(second.status.success(), "{}", said(&second));
        }
        for names in [Names::Late, Names::Early] {
            let picture = disk.after_power_cut(names);
            let at = format!("{instead:?} at sync {sync}, names {names:?}");
            last = Some(expect_nothing_lost(&scene, &picture, 1, &at).await);
        }
    }
    unreachable!("an import ends")
}

/// The check can fail: without syncs an acknowledged commit is gone, or names files without content.
#[test]
fn without_syncs_what_is_acknowledged_is_lost() {
    let scene = Scene::new("os", 1, 4);
    let disk = Disk::new(&scene.root());
    let imported = scene.import(&disk);
    assert!(imported.status.success(), "{}", said(&imported));
    assert_eq!(disk.syncs(), 0);
    assert!(disk.after_power_cut(Names::Late).is_empty());
    let early = disk.after_power_cut(Names::Early);
    let mut files = early
        .iter()
        .filter_map(|(path, content)| Some((path, content.as_ref()?)));
    assert!(
        files.clone().count() > 2 && files.all(|(_, content)| content.is_empty()),
        "{:?}",
        early.keys()
    );
}
