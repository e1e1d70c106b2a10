//! Earlier versions of a table: which can still be read, when each was committed, and what was newest at an instant.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, SecondsFormat};
use deltalake::DeltaTable;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use super::table::Lake;
use crate::event::{Micros, Stream};

/// The state of the lake that is asked for. The tables' versions have nothing to do with each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AsOf {
    #[default]
    Newest,
    /// For each table the newest version that was committed at or before this instant.
    Time(Micros),
    /// These versions, none where there was no table; tables that are not named are read at their newest.
    Versions(BTreeMap<Stream, Option<u64>>),
}

impl AsOf {
    /// Reads `api_calls=12,webhooks=none`, as [`versions`] writes it; none when `text` is not of this form.
    pub fn parse_versions(text: &str) -> Option<Result<AsOf>> {
        text.contains('=').then(|| {
            let mut versions = BTreeMap::new();
            for part in text.split(',').map(str::trim) {
                let (stem, version) = part
                    .split_once('=')
                    .with_context(|| format!("`{part}` is not of the form TABLE=VERSION"))?;
                let stream: Stream = stem.parse().map_err(anyhow::Error::msg)?;
                let version = match version {
                    "none" => None,
                    number => Some(number.parse().with_context(|| {
                        format!("`{number}` is no version of {stream}; versions are numbers from 0, or `none`")
                    })?),
                };
                ensure!(
                    versions.insert(stream, version).is_none(),
                    "{stream} is named twice"
                );
            }
            Ok(AsOf::Versions(versions))
        })
    }
}

/// Names the versions that tables are loaded at, in the form that [`AsOf::parse_versions`] reads; all tables, so
/// that one which is made later is not read by who asks for this state again.
pub fn versions(tables: &[(Stream, DeltaTable)]) -> String {
    let named = Stream::TABLES.map(|stream| {
        let table = tables.iter().find(|(of, _)| *of == stream);
        match table.and_then(|(_, table)| table.version()) {
            Some(version) => format!("{stream}={version}"),
            None => format!("{stream}=none"),
        }
    });
    named.join(",")
}

impl Lake {
    /// Opens the tables that were there at a state of the lake.
    pub async fn tables(&self, as_of: &AsOf) -> Result<Vec<(Stream, DeltaTable)>> {
        let mut tables = Vec::new();
        for stream in Stream::TABLES {
            if let Some(table) = self.open_as_of(stream, as_of).await? {
                tables.push((stream, table));
            }
        }
        Ok(tables)
    }

    /// Opens the table of a stream that was there at a state of the lake.
    pub async fn open_as_of(&self, stream: Stream, as_of: &AsOf) -> Result<Option<DeltaTable>> {
        let newest = self.open(stream).await?;
        let version = match (as_of, &newest) {
            (AsOf::Newest, _) => return Ok(newest),
            (AsOf::Time(_), None) => return Ok(None),
            (AsOf::Time(instant), Some(table)) => {
                match History::read(table).await?.at(table, *instant).await? {
                    Found::Version(version) => version,
                    Found::BeforeTheTable => return Ok(None),
                    Found::Gone { first, at } => bail!(
                        "what the table {stream} held at {} is gone: its history begins with version {first}, committed at {}; `maintain` removes what is older than maintain.history",
                        time(*instant),
                        time(at)
                    ),
                }
            }
            (AsOf::Versions(versions), newest) => match (versions.get(&stream), newest) {
                (None, _) => return Ok(newest.clone()),
                (Some(None), _) => return Ok(None),
                (Some(Some(version)), Some(_)) => *version,
                (Some(Some(version)), None) => {
                    bail!("there is no table {stream} in this lake, so it has no version {version}")
                }
            },
        };
        match newest {
            Some(table) => Ok(Some(load(stream, table, version).await?)),
            None => Ok(None),
        }
    }
}

/// Loads an earlier version, and makes sure that all of it is still there.
async fn load(stream: Stream, mut table: DeltaTable, version: u64) -> Result<DeltaTable> {
    let newest = table.version().context("the table is loaded")?;
    if version == newest {
        return Ok(table);
    }
    ensure!(
        version < newest,
        "there is no version {version} of the table {stream}: its newest is {newest}"
    );
    let history = History::read(&table).await?;
    if let Some(first) = history.first().filter(|first| version < *first) {
        let at = history.committed_at(&table, first).await?;
        bail!(
            "version {version} of the table {stream} is gone: its history begins with version {first}, committed at {}; `maintain` removes what is older than maintain.history",
            time(at)
        );
    }
    let loaded = table.load_version(version).await;
    loaded.with_context(|| format!("cannot read version {version} of the table {stream}"))?;
    let there: HashSet<String> = data_files(&table)
        .await?
        .into_iter()
        .map(|file| file.location.to_string())
        .collect();
    let needed = live_paths(&table)?;
    let missing = needed.iter().filter(|path| !there.contains(*path)).count();
    ensure!(
        missing == 0,
        "version {version} of the table {stream} is gone: {missing} of its {} files were vacuumed",
        needed.len()
    );
    Ok(table)
}

/// Returns the paths of the files that the loaded version holds, relative to the table.
pub fn live_paths(table: &DeltaTable) -> Result<HashSet<String>> {
    let files = table.snapshot()?.log_data();
    Ok(files.iter().map(|file| file.path().to_string()).collect())
}

/// Lists the Parquet files in the directories of the table's dates, whether a version names them or not.
pub async fn data_files(table: &DeltaTable) -> Result<Vec<ObjectMeta>> {
    let store = table.object_store();
    let mut files: Vec<ObjectMeta> = store
        .list(None)
        .try_filter(|file| futures::future::ready(is_data_file(&file.location)))
        .try_collect()
        .await
        .context("cannot list the table's files")?;
    files.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(files)
}

fn is_data_file(path: &Path) -> bool {
    let path = path.as_ref();
    path.starts_with(crate::table::PARTITION_COLUMN) && path.ends_with(".parquet")
}

/// The files of a table's log.
#[derive(Debug, Default)]
pub struct History {
    /// Versions whose commit is there, with the bytes of its file, ascending.
    pub commits: BTreeMap<u64, u64>,
    pub checkpoints: BTreeMap<u64, u64>,
}

/// What was newest at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Version(u64),
    BeforeTheTable,
    /// The version is no longer there; the first that is.
    Gone {
        first: u64,
        at: Micros,
    },
}

impl History {
    pub async fn read(table: &DeltaTable) -> Result<History> {
        let files: Vec<ObjectMeta> = table
            .object_store()
            .list(Some(&Path::from(LOG)))
            .try_collect()
            .await
            .context("cannot list the table's log")?;
        let mut history = History::default();
        for file in files {
            let name = file.location.filename().unwrap_or_default();
            let number = |suffix| name.strip_suffix(suffix)?.parse().ok();
            if let Some(version) = number(COMMIT) {
                history.commits.insert(version, file.size);
            } else if let Some(version) = number(CHECKPOINT) {
                history.checkpoints.insert(version, file.size);
            }
        }
        Ok(history)
    }

    /// Returns the least version that can be read: the first of all, or that of a checkpoint which all later
    /// commits follow.
    pub fn first(&self) -> Option<u64> {
        let newest = *self.commits.keys().next_back()?;
        // Where the chain of commits that ends with the newest begins.
        let chain = self.commits.keys().rev().zip((0..=newest).rev());
        let chain = chain.take_while(|(version, expected)| **version == *expected);
        let begin = chain.last().map_or(newest, |(version, _)| *version);
        if begin == 0 {
            return Some(0);
        }
        // A checkpoint serves when the commit after it is in the chain.
        let serves = self.checkpoints.range(begin - 1..);
        serves.map(|(version, _)| *version).next()
    }

    /// Returns what was newest at an instant, by the commits' own account of when they were made.
    pub async fn at(&self, table: &DeltaTable, instant: Micros) -> Result<Found> {
        let newest = table.version().context("the table is loaded")?;
        let first = self.first().unwrap_or(newest);
        let at = self.committed_at(table, first).await?;
        if at > instant {
            return Ok(match first {
                0 => Found::BeforeTheTable,
                first => Found::Gone { first, at },
            });
        }
        // `low` was committed by then, everything after `high` later.
        let (mut low, mut high) = (first, newest);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.committed_at(table, middle).await? <= instant {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        Ok(Found::Version(low))
    }

    /// Returns when a version was committed, by its own account.
    pub async fn committed_at(&self, table: &DeltaTable, version: u64) -> Result<Micros> {
        let path = commit_path(version);
        let (store, path) = (table.object_store(), Path::from(path));
        let found = match store.get(&path).await {
            Ok(found) => found,
            // A checkpoint without its commit: another tool cleaned up. Its file is as old.
            Err(object_store::Error::NotFound { .. }) => {
                let path = Path::from(checkpoint_path(version));
                return Ok(store.head(&path).await?.last_modified.timestamp_micros());
            }
            Err(error) => return Err(error.into()),
        };
        let written_at = found.meta.last_modified.timestamp_micros();
        let bytes = found.bytes().await?;
        let lines = bytes.split(|byte| *byte == b'\n');
        let told = lines
            .filter_map(|line| serde_json::from_slice::<Line>(line).ok()?.commit_info)
            .find_map(|info| info.timestamp);
        Ok(told.map_or(written_at, |millis| millis.saturating_mul(1000)))
    }
}

pub const LOG: &str = "_delta_log";
const COMMIT: &str = ".json";
const CHECKPOINT: &str = ".checkpoint.parquet";

pub fn commit_path(version: u64) -> String {
    format!("{LOG}/{version:020}{COMMIT}")
}

pub fn checkpoint_path(version: u64) -> String {
    format!("{LOG}/{version:020}{CHECKPOINT}")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    commit_info: Option<CommitInfo>,
}

#[derive(Deserialize)]
struct CommitInfo {
    /// Milliseconds since the epoch.
    timestamp: Option<i64>,
}

fn time(at: Micros) -> String {
    DateTime::from_timestamp_micros(at).map_or(at.to_string(), |at| {
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(commits: &[u64], checkpoints: &[u64]) -> Option<u64> {
        let set = |versions: &[u64]| versions.iter().map(|version| (*version, 1)).collect();
        let history = History {
            commits: set(commits),
            checkpoints: set(checkpoints),
        };
        history.first()
    }

    #[test]
    fn history_begins_with_what_all_later_commits_follow() {
        assert_eq!(history(&[], &[]), None);
        assert_eq!(history(&[0, 1, 2], &[]), Some(0));
        assert_eq!(history(&[4, 5, 6], &[4]), Some(4));
        assert_eq!(
            history(&[5, 6], &[4]),
            Some(4),
            "a checkpoint needs no commit"
        );
        assert_eq!(
            history(&[3, 4, 5, 6], &[4]),
            Some(4),
            "3 has nothing before it"
        );
        assert_eq!(history(&[0, 1, 3, 4, 5], &[1, 4]), Some(4), "2 is missing");
        assert_eq!(history(&[0, 1, 3, 4, 5], &[2, 4]), Some(2));
        assert_eq!(history(&[3, 4], &[]), None, "nothing can be read");
    }

    #[test]
    fn states_are_read_as_they_are_cited() {
        let read = |text: &str| AsOf::parse_versions(text).expect("has an equals sign");
        let state = AsOf::Versions(BTreeMap::from([
            (Stream::ApiCalls, Some(12)),
            (Stream::SessionRecords, None),
        ]));
        assert_eq!(
            read("api_calls=12,session_records=none").expect("is right"),
            state
        );
        assert!(AsOf::parse_versions("2026-11-17").is_none());
        for wrong in [
            "api_calls=",
            "calls=1",
            "api_calls=1,webhooks",
            "api_calls=1,api_calls=2",
        ] {
            read(wrong).expect_err(wrong);
        }
    }
}
