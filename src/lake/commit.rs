//! One Delta commit = data files + the offsets they end at. The only writer of the log.
//!
//! The protocol (design, section 7; engineering notes, section 2):
//! 1. one state S of the table; in S the stored offset must equal the `from` of every range;
//! 2. the commit lands as the very next version after S or not at all. When somebody else was faster, S is read
//!    again: either one of the offsets moved (fenced), or the same files are committed against the new S;
//! 3. after an unclear error the table is reloaded: if it holds our offsets and our files, it was our commit.
//!
//! `deltalake` could rebase a commit by itself, but reads every winner's commit for that each time it loses: with
//! several consumers of one table the slower one fell ever further behind.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::anyhow;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

use super::encode::{DataFile, encode};
use super::failpoint::failpoint;
use super::log::{AppId, read_commit};
use super::plain::sentence;
use crate::clock::Clock;
use crate::event::Stream;
use crate::table::PARTITION_COLUMN;
use crate::table::rows::Rows;

/// The offsets `[from, to)` of one partition that a commit covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub from: i64,
    pub to: i64,
    /// The table holds no offset yet: this range is the partition's first.
    pub is_first: bool,
    /// Rows of the batch that belong to the range; none where the offset counts something else.
    pub rows: i64,
}

/// What one commit adds to a table.
#[derive(Debug, Default)]
pub struct Batch {
    /// Files that are in the store already.
    pub adds: Vec<Add>,
    pub ranges: BTreeMap<AppId, Range>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.ranges.is_empty()
    }

    /// Appends ranges that follow those the batch has.
    pub fn extend_ranges(&mut self, ranges: BTreeMap<AppId, Range>) {
        for (app_id, range) in ranges {
            match self.ranges.entry(app_id) {
                Entry::Vacant(entry) => {
                    entry.insert(range);
                }
                Entry::Occupied(mut entry) => {
                    let held = entry.get_mut();
                    assert_eq!(
                        held.to, range.from,
                        "ranges of one partition follow each other"
                    );
                    held.to = range.to;
                    held.rows += range.rows;
                }
            }
        }
    }
}

/// A batch that others' commits were faster than is tried again this often at once. Each try takes as long as one of
/// theirs, so of ten consumers of a table one that loses so often has other troubles.
const CONFLICTS_MAX: u32 = 100;

/// Commits of others that are read one by one to learn what they did to the offsets.
const FOLLOWED_MAX: u64 = 50;

/// Before a file waits longer than this for its commit, nobody removes it as an orphan.
pub const STALE_AFTER: Duration = Duration::from_secs(12 * 3600);

/// Why a commit did not land, as far as the caller acts differently.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else moved one of our offsets: what is stored is the truth. Drop the batch, read on from there.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The store does not answer as it should; the same batch can be tried again.
    #[error("the store is unavailable: {}", sentence(.0))]
    Unavailable(anyhow::Error),
}

/// A table and the offsets known to be in it at the version it is loaded at.
pub struct Ledger {
    stream: Stream,
    table: DeltaTable,
    /// Valid for the loaded version only.
    known: BTreeMap<AppId, Option<i64>>,
}

impl Ledger {
    pub fn new(stream: Stream, table: DeltaTable) -> Self {
        Ledger {
            stream,
            table,
            known: BTreeMap::new(),
        }
    }

    pub fn stream(&self) -> Stream {
        self.stream
    }

    pub fn version(&self) -> u64 {
        self.table.version().unwrap_or(0)
    }

    /// Loads the newest version.
    pub async fn refresh(&mut self) -> Result<(), CommitError> {
        let before = self.version();
        update(&mut self.table).await.map_err(unavailable)?;
        if self.version() != before && !self.follow(before).await {
            self.known.clear();
        }
        Ok(())
    }

    /// Learns from the commits after version `before` what they did to the offsets, so that not every offset has to be
    /// looked up in the whole log again. Returns whether all of them could be read.
    async fn follow(&mut self, before: u64) -> bool {
        let log = self.table.log_store();
        let passed = self.version().checked_sub(before);
        if self.known.is_empty() || passed.is_none_or(|passed| passed > FOLLOWED_MAX) {
            return false;
        }
        for version in before + 1..=self.version() {
            let Ok(Some(commit)) = log.read_commit_entry(version).await else {
                return false;
            };
            let Ok(actions) = read_commit(&commit) else {
                return false;
            };
            for txn in actions.into_iter().filter_map(|action| action.txn) {
                self.known.insert(txn.app_id, Some(txn.version));
            }
        }
        true
    }

    /// Returns the next offset that the loaded version holds for `app_id`.
    pub async fn stored(&mut self, app_id: &AppId) -> Result<Option<i64>, CommitError> {
        if let Some(offset) = self.known.get(app_id) {
            return Ok(*offset);
        }
        let state = self.table.snapshot().map_err(unavailable)?;
        let log_store = self.table.log_store();
        let offset = state
            .transaction_version(log_store.as_ref(), app_id.as_str())
            .await
            .map_err(unavailable)?;
        self.known.insert(app_id.clone(), offset);
        Ok(offset)
    }

    /// Writes a data file to the table's directory; it belongs to no version until a commit names it.
    pub async fn put(&self, file: &DataFile) -> Result<Add, CommitError> {
        let path = object_store::path::Path::parse(&file.add.path)
            .map_err(|error| CommitError::Unavailable(error.into()))?;
        self.table
            .object_store()
            .put(&path, file.bytes.clone().into())
            .await
            .map_err(|error| CommitError::Unavailable(error.into()))?;
        failpoint("after_parquet");
        Ok(file.add.clone())
    }

    /// Writes gathered rows as data files and starts the rows anew; the files wait in `batch` for its commit.
    ///
    /// `modified_at` is the time in the log, milliseconds since the epoch.
    pub async fn put_rows(
        &self,
        rows: &mut Rows,
        batch: &mut Batch,
        modified_at: i64,
    ) -> anyhow::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let (stream, rows) = (rows.stream(), rows.finish());
        let files =
            tokio::task::spawn_blocking(move || encode(stream, &rows, modified_at)).await??;
        for file in &files {
            batch.adds.push(self.put(file).await?);
        }
        Ok(())
    }

    /// Commits files and offsets together and returns the version.
    ///
    /// On `Unavailable` the same batch may be committed again: a commit that did land is recognised.
    pub async fn commit(&mut self, batch: &Batch) -> Result<u64, CommitError> {
        if let Some(version) = self.check_offsets(batch).await? {
            return Ok(version);
        }
        self.check_files(batch).await?;
        let mut conflicts = 0;
        loop {
            let offsets = self.offsets(batch).await?;
            failpoint("before_commit");
            let error = match self.append(batch, &offsets).await {
                Ok(version) => {
                    failpoint("after_commit");
                    if self.version() == version {
                        let offsets = offsets.into_iter();
                        self.known
                            .extend(offsets.map(|(app_id, offset)| (app_id, Some(offset))));
                    } else {
                        // A later version is loaded, in which somebody may have moved them on.
                        self.known.clear();
                    }
                    return Ok(version);
                }
                Err(error) => error,
            };
            if let Some(version) = self.resolve(batch).await? {
                return Ok(version);
            }
            // Nobody moved our offsets: safe to try again. Right away, if others' offsets or maintenance are in the
            // way; the batch has nothing to do with them.
            if !is_conflict(&error) {
                return Err(unavailable(error));
            }
            conflicts += 1;
            if conflicts == CONFLICTS_MAX {
                return Err(CommitError::Unavailable(anyhow!(
                    "the table changed under the commit: {error}"
                )));
            }
        }
    }

    /// Requires that files which have waited long for their commit are still there: `maintain` takes what no commit
    /// names for what a dead process left behind.
    async fn check_files(&self, batch: &Batch) -> Result<(), CommitError> {
        let stale_before = Clock::system().now() / 1000 - STALE_AFTER.as_millis() as i64;
        let store = self.table.object_store();
        for add in batch
            .adds
            .iter()
            .filter(|add| add.modification_time < stale_before)
        {
            let path = object_store::path::Path::parse(&add.path)
                .map_err(|error| CommitError::Unavailable(error.into()))?;
            match store.head(&path).await {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(CommitError::Fenced(format!(
                        "`{path}` waited so long for its commit that it was removed as an orphan"
                    )));
                }
                Err(error) => return Err(CommitError::Unavailable(error.into())),
            }
        }
        Ok(())
    }

    /// Returns every offset that the commit sets: ends, and for positions their start and their rows.
    async fn offsets(&mut self, batch: &Batch) -> Result<BTreeMap<AppId, i64>, CommitError> {
        let mut offsets = BTreeMap::new();
        for (app_id, range) in &batch.ranges {
            offsets.insert(app_id.clone(), range.to);
            if range.rows > 0 {
                let before = self.stored(&app_id.rows()).await?.unwrap_or(0);
                offsets.insert(app_id.rows(), before + range.rows);
                if range.is_first {
                    offsets.insert(app_id.start(), range.from);
                }
            }
        }
        Ok(offsets)
    }

    /// Requires that the stored offset equals the start of every range; equality, not "not beyond": a hole
    /// is as wrong as a repeat. Returns a version when the batch turns out to be in the table already.
    async fn check_offsets(&mut self, batch: &Batch) -> Result<Option<u64>, CommitError> {
        let mut landed = 0;
        for (app_id, range) in &batch.ranges {
            let stored = self.stored(app_id).await?;
            let expected = (!range.is_first).then_some(range.from);
            if stored == Some(range.to) && stored != expected {
                landed += 1;
            } else if stored != expected {
                return Err(CommitError::Fenced(format!(
                    "`{app_id}` stands at {}, this batch begins at {}",
                    stored.map_or("no offset".to_string(), |offset| offset.to_string()),
                    range.from
                )));
            }
        }
        if landed == 0 {
            return Ok(None);
        }
        if landed == batch.ranges.len() && self.holds_files(batch).map_err(unavailable)? {
            return Ok(Some(self.version()));
        }
        Err(CommitError::Fenced(
            "other files are in the table for these offsets".to_string(),
        ))
    }

    async fn append(
        &mut self,
        batch: &Batch,
        offsets: &BTreeMap<AppId, i64>,
    ) -> Result<u64, DeltaTableError> {
        let state = self.table.snapshot()?.clone();
        let transactions = offsets
            .iter()
            .map(|(app_id, offset)| Transaction::new(app_id, *offset))
            .collect();
        let properties = CommitProperties::default()
            .with_metadata([("tapetrail".to_string(), metadata(batch))])
            .with_application_transactions(transactions)
            // The next version or none: the offsets are known of S alone.
            .with_max_retries(0)
            // Who appends removes nothing: the log's clean-up belongs to `maintain`, which knows how much is to be kept.
            .with_cleanup_expired_logs(Some(false));
        let actions: Vec<Action> = batch.adds.iter().cloned().map(Action::Add).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![PARTITION_COLUMN.to_string()]),
            predicate: None,
        };
        let landed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&state), self.table.log_store(), operation)
            .into_prepared_commit_future()
            .await?
            .await?;
        let version = landed.version;
        // Landed. What follows (checkpoint, log clean-up) can fail without harm.
        match landed.await {
            Ok(finished) => self.table.state = Some(finished.snapshot()),
            Err(error) => {
                tracing::warn!(stream = %self.stream, version, %error, "after the commit: checkpoint or log clean-up failed");
                update(&mut self.table).await?;
            }
        }
        Ok(version as u64)
    }

    /// Finds out what became of a commit that ended in an error; returns its version when it landed after all.
    async fn resolve(&mut self, batch: &Batch) -> Result<Option<u64>, CommitError> {
        self.refresh().await?;
        self.check_offsets(batch).await
    }

    fn holds_files(&self, batch: &Batch) -> Result<bool, DeltaTableError> {
        let state = self.table.snapshot()?;
        let live: HashSet<String> = state
            .log_data()
            .iter()
            .map(|file| file.path().to_string())
            .collect();
        Ok(batch.adds.iter().all(|add| live.contains(&add.path)))
    }
}

/// Loads the newest version. A table that was last looked at before the log was cut is read from its checkpoint anew.
pub(super) async fn update(table: &mut DeltaTable) -> Result<(), DeltaTableError> {
    let Err(error) = table.update_state().await else {
        return Ok(());
    };
    let mut anew = DeltaTable::new(table.log_store());
    match anew.load().await {
        Ok(()) => *table = anew,
        Err(_) => return Err(error),
    }
    Ok(())
}

/// What the commit says of itself to people: each range `[from, to)` by its offset's name.
fn metadata(batch: &Batch) -> Value {
    let ranges: serde_json::Map<String, Value> = batch
        .ranges
        .iter()
        .map(|(app_id, range)| (app_id.to_string(), json!([range.from, range.to])))
        .collect();
    json!({ "ranges": ranges })
}

pub(super) fn is_conflict(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::Transaction {
            source: TransactionError::CommitConflict(_)
                | TransactionError::VersionAlreadyExists(_)
                | TransactionError::MaxCommitAttempts(_)
        } | DeltaTableError::VersionAlreadyExists(_)
    )
}

fn unavailable(error: DeltaTableError) -> CommitError {
    CommitError::Unavailable(error.into())
}

/// How long to wait before try number `attempt` (from 1) of something that the store refused.
pub fn backoff(attempt: u32) -> Duration {
    const LEAST: Duration = Duration::from_millis(100);
    const GREATEST: Duration = Duration::from_secs(15);
    (LEAST * 2u32.saturating_pow(attempt.saturating_sub(1).min(10))).min(GREATEST)
}
