//! Removes versions older than the history, and files that no version within it needs.
//!
//! The log is cut at a checkpoint, so that every version from there on can be read in full. Checkpoints keep the
//! offsets (`txn` actions), whatever their age: none of ours has a time of its last change, and a table whose
//! property would make them expire is refused.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use deltalake::DeltaTable;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use super::{Maintenance, Summary};
use crate::event::{MICROS_PER_DAY, Micros, Stream};
use crate::lake::failpoint::failpoint;
use crate::lake::history::{Found, History, checkpoint_path, commit_path, data_files, live_paths};
use crate::lake::replace::checkpoint;

/// A file that no version names is left alone for this long before the history begins: a consumer may be about to
/// commit it. Twice [`crate::lake::commit::STALE_AFTER`], after which consumers look for their files first.
const ORPHAN_AGE: Micros = MICROS_PER_DAY;

impl Maintenance<'_> {
    pub(super) async fn clean(
        &self,
        stream: Stream,
        table: &DeltaTable,
        summary: &mut Summary,
    ) -> Result<()> {
        let mut history = History::read(table).await?;
        if !self.is_dry_run {
            (self.progress)(&format!("{stream}: writing a checkpoint"));
            if checkpoint(table, &history).await? {
                history = History::read(table).await?;
            }
        }
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let history_us = Micros::try_from(self.settings.history.as_micros()).unwrap_or(Micros::MAX);
        let horizon = self.clock.now().saturating_sub(history_us);
        let begin = begin(table, &history, horizon).await?;
        if let Some(begin) = begin {
            self.cut_log(stream, table, &history, begin, summary)
                .await?;
        }
        let begin = begin.or(history.first()).unwrap_or(0);
        self.vacuum(stream, table, &history, begin, horizon, summary)
            .await
    }

    /// Removes the log before version `begin`, which a checkpoint holds.
    async fn cut_log(
        &self,
        stream: Stream,
        table: &DeltaTable,
        history: &History,
        begin: u64,
        summary: &mut Summary,
    ) -> Result<()> {
        let commits: Vec<u64> = history.commits.range(..begin).map(|(at, _)| *at).collect();
        summary.versions_removed = commits.len();
        let bytes: u64 = history.commits.range(..begin).map(|(_, bytes)| bytes).sum();
        let old_checkpoints = history.checkpoints.range(..begin);
        let checkpoints: Vec<u64> = old_checkpoints.map(|(at, _)| *at).collect();
        if self.is_dry_run || (commits.is_empty() && checkpoints.is_empty()) {
            return Ok(());
        }
        (self.progress)(&format!("{stream}: removing {} versions", commits.len()));
        tracing::debug!(%stream, versions = commits.len(), bytes, begin, "removing versions");
        // Checkpoints first, the oldest before all: what is left at any moment is a log that begins later.
        let checkpoints = checkpoints.into_iter().map(checkpoint_path);
        let paths = checkpoints.chain(commits.into_iter().map(commit_path));
        delete(table, paths.map(Path::from).collect()).await
    }

    /// Removes files that neither the first version of the history holds nor the newest, and that are older than
    /// both: what was added since is younger than the history.
    async fn vacuum(
        &self,
        stream: Stream,
        table: &DeltaTable,
        history: &History,
        begin: u64,
        horizon: Micros,
        summary: &mut Summary,
    ) -> Result<()> {
        let began_at = history.committed_at(table, begin).await?;
        let old_before = began_at.min(horizon).saturating_sub(ORPHAN_AGE);
        let files = data_files(table).await?;
        let old = files
            .iter()
            .filter(|file| file.last_modified.timestamp_micros() < old_before);
        let old: Vec<_> = old.collect();
        if old.is_empty() {
            return Ok(());
        }
        let mut needed: HashSet<String> = live_paths(table)?;
        let mut first = table.clone();
        first
            .load_version(begin)
            .await
            .with_context(|| format!("cannot read version {begin}"))?;
        needed.extend(live_paths(&first)?);
        let orphans: Vec<_> = old
            .into_iter()
            .filter(|file| !needed.contains(file.location.as_ref()))
            .collect();
        summary.files_removed = orphans.len();
        summary.bytes_removed = orphans.iter().map(|file| file.size).sum();
        if self.is_dry_run || orphans.is_empty() {
            return Ok(());
        }
        (self.progress)(&format!("{stream}: removing {} files", orphans.len()));
        let paths = orphans.into_iter().map(|file| file.location.clone());
        delete(table, paths.collect()).await
    }
}

/// Returns the checkpoint that the history can begin with: the newest at or before what was newest at the horizon.
async fn begin(table: &DeltaTable, history: &History, horizon: Micros) -> Result<Option<u64>> {
    match history.at(table, horizon).await? {
        Found::Version(version) => {
            let mut old = history.checkpoints.range(..=version);
            Ok(old.next_back().map(|(version, _)| *version))
        }
        Found::BeforeTheTable | Found::Gone { .. } => Ok(None),
    }
}

async fn delete(table: &DeltaTable, paths: Vec<Path>) -> Result<()> {
    let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
    failpoint("before_removal");
    table
        .object_store()
        .delete_stream(paths)
        .map(|deleted| match deleted {
            // Another maintenance was faster.
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map(drop),
        })
        .try_collect::<Vec<()>>()
        .await
        .context("cannot remove files")?;
    Ok(())
}
