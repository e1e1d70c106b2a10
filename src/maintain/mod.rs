//! Keeps a lake fast and small beside running consumers: drops what is too old, sorts small files into large ones,
//! writes checkpoints, removes versions and files that nobody can ask for any more.
//!
//! Everything is a commit of its own that lands whole or not at all ([`crate::lake::replace`]), or removes what no
//! version within the history needs. So it can be killed at any moment, and run twice at once.

mod clean;
mod compact;
mod retain;
mod rows;

use anyhow::{Context as _, Result};
use deltalake::DeltaTable;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config;
use crate::event::{MICROS_PER_DAY, Stream};
use crate::lake::table::Lake;

/// One run over the tables of a lake.
pub struct Maintenance<'a> {
    pub settings: &'a config::Maintain,
    /// Say what would be done, and do nothing.
    pub is_dry_run: bool,
    pub clock: &'a Clock,
    /// Ends the run after what is in hand, without harm.
    pub stop: &'a CancellationToken,
    /// Is told what is being done.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

/// What a run did to one table, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub stream: Option<Stream>,
    pub files_before: usize,
    pub files_after: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Days that retention dropped, and their rows.
    pub days_dropped: usize,
    pub rows_dropped: u64,
    /// Versions that can no longer be read.
    pub versions_removed: usize,
    /// Files removed that no version within the history needs, and what they took.
    pub files_removed: usize,
    pub bytes_removed: u64,
}

impl Maintenance<'_> {
    /// Goes over all tables; returns a summary of each that there is.
    pub async fn run(&self, lake: &Lake) -> Result<Vec<Summary>> {
        if !self.is_dry_run {
            lake.require_writable().await?;
        }
        let mut summaries = Vec::new();
        for stream in Stream::TABLES {
            if self.stop.is_cancelled() {
                break;
            }
            let Some(mut table) = lake.open(stream).await? else {
                continue;
            };
            let summary = self.run_table(stream, &mut table, lake).await;
            summaries.push(summary.with_context(|| format!("cannot maintain the table {stream}"))?);
        }
        Ok(summaries)
    }

    async fn run_table(
        &self,
        stream: Stream,
        table: &mut DeltaTable,
        lake: &Lake,
    ) -> Result<Summary> {
        let mut summary = Summary {
            stream: Some(stream),
            ..Summary::default()
        };
        (summary.files_before, summary.bytes_before) = live(table)?;
        (summary.files_after, summary.bytes_after) = live(table)?;
        self.drop_old_days(stream, table, &mut summary).await?;
        self.compact(stream, table, &mut summary).await?;
        if !self.is_dry_run {
            (summary.files_after, summary.bytes_after) = live(table)?;
        }
        self.clean(stream, table, &mut summary).await?;
        if !self.is_dry_run {
            // Whoever wrote them is dead: no write takes a day.
            let before = self.clock.now() - MICROS_PER_DAY;
            let leftovers = lake.remove_leftovers(stream, before)?;
            tracing::debug!(%stream, leftovers, "removed what dead processes left half-written");
        }
        Ok(summary)
    }

    /// The time that goes into the log, milliseconds since the epoch.
    fn now_ms(&self) -> i64 {
        self.clock.now() / 1000
    }
}

/// Returns number and bytes of the files that the loaded version holds.
fn live(table: &DeltaTable) -> Result<(usize, u64)> {
    let files = table.snapshot()?.log_data();
    let bytes = files.iter().map(|file| file.size().unsigned_abs()).sum();
    Ok((files.num_files(), bytes))
}
