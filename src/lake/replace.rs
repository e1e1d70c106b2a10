//! Commits that exchange files of a table for others: what `maintain` does, beside running consumers.
//!
//! `deltalake` lets two such commits pass that remove the same files, as long as both call themselves a compaction
//! (`dataChange=false`): every row would be there twice. So a commit is made against one state S in which all files
//! that it removes are live, and lands only as the very next version after S. When a consumer was faster, S is read
//! again and nothing else is done again. A consumer's commit never fails because of one of these: it is tried again
//! against the state that holds it ([`super::commit`]).

use std::time::Duration;

use anyhow::{Context, Result};
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, Remove, Transaction};
use deltalake::protocol::{DeltaOperation, checkpoints};
use deltalake::{DeltaTable, DeltaTableError};
use serde_json::Value;

use super::commit::{is_conflict, update};
use super::failpoint::failpoint;
use super::history::{History, live_paths};
use super::log::AppId;

/// Files of a table that others take the place of.
#[derive(Debug)]
pub struct Replacement {
    pub removes: Vec<Remove>,
    /// Files that are in the store already.
    pub adds: Vec<Add>,
    /// Numbers of ours that are set with it.
    pub numbers: Vec<(AppId, i64)>,
    pub operation: DeltaOperation,
    /// What the commit says of itself to people.
    pub note: Value,
}

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It is in the table.
    Landed(u64),
    /// Some of the files are not in the table any more: somebody else was faster, nothing was changed.
    Moved,
    /// Others committed so fast that there was no turn for us; nothing was changed.
    Busy,
}

/// How often the state is read again before we leave the table to its consumers. A commit of theirs that lies between
/// our look and ours costs one try.
const TRIES: u32 = 50;

/// How long to wait between tries: consumers that commit all the time leave a gap in some of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Puts `replacement` into the table; `table` then holds the newest version.
pub async fn replace(table: &mut DeltaTable, replacement: &Replacement) -> Result<Replaced> {
    let mut failed = None;
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE * attempt.min(10)).await;
        }
        update(table).await?;
        let live = live_paths(table)?;
        let adds = &replacement.adds;
        if !adds.is_empty() && adds.iter().all(|add| live.contains(&add.path)) {
            // The commit before ended in an error, and landed.
            return Ok(Replaced::Landed(version(table)?));
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let mut removes = replacement.removes.iter();
        if !removes.all(|remove| live.contains(&remove.path)) {
            return Ok(Replaced::Moved);
        }
        failpoint("before_replacement");
        match commit(table, replacement).await {
            Ok(version) => {
                failpoint("after_replacement");
                return Ok(Replaced::Landed(version));
            }
            Err(error) if is_conflict(&error) => {}
            // Unclear: what the table holds now tells.
            Err(error) => failed = Some(error.into()),
        }
    }
    Ok(Replaced::Busy)
}

async fn commit(table: &mut DeltaTable, replacement: &Replacement) -> Result<u64, DeltaTableError> {
    let state = table.snapshot()?.clone();
    let numbers = replacement.numbers.iter();
    let properties = CommitProperties::default()
        .with_metadata([("tapetrail".to_string(), replacement.note.clone())])
        .with_application_transactions(
            numbers
                .map(|(app_id, number)| Transaction::new(app_id, *number))
                .collect(),
        )
        // The next version or none: what is checked above holds for no other.
        .with_max_retries(0)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    let removes = replacement.removes.iter().cloned().map(Action::Remove);
    let adds = replacement.adds.iter().cloned().map(Action::Add);
    let landed = CommitBuilder::from(properties)
        .with_actions(removes.chain(adds).collect())
        .build(
            Some(&state),
            table.log_store(),
            replacement.operation.clone(),
        )
        .into_prepared_commit_future()
        .await?
        .await?;
    let version = landed.version;
    match landed.await {
        Ok(finished) => table.state = Some(finished.snapshot()),
        Err(_) => update(table).await?,
    }
    Ok(version)
}

/// Writes a checkpoint of the loaded version, unless there is one; it keeps all offsets, whatever their age.
pub async fn checkpoint(table: &DeltaTable, history: &History) -> Result<bool> {
    let version = version(table)?;
    if history.checkpoints.contains_key(&version) || version == 0 {
        return Ok(false);
    }
    let written = checkpoints::create_checkpoint(table, None).await;
    written.with_context(|| format!("cannot write the checkpoint of version {version}"))?;
    Ok(true)
}

fn version(table: &DeltaTable) -> Result<u64> {
    table.version().context("the table is loaded")
}
