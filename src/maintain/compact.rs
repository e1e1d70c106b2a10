//! Small files of a day -> few large ones, sorted as a whole.
//!
//! A file that a consumer wrote is sorted in itself and overlaps all others of its day; files of one rewrite are a
//! *run*, in which none overlaps another. A look-up of a session opens about one file a run, so the number of runs
//! is what is kept low. Runs are merged with those of their size, as in a log-structured merge tree: a large run
//! waits until as much has gathered beside it, so each row is rewritten a logarithmic number of times.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context as _, Result, ensure};
use deltalake::DeltaTable;
use deltalake::kernel::Add;
use deltalake::protocol::DeltaOperation;
use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::json;

use super::retain::{is_old, is_record_of_dropped};
use super::rows::{as_written, sorted};
use super::{Maintenance, Summary};
use crate::event::Stream;
use crate::lake::encode::{DataFile, SortedFiles, order_columns, run_of};
use crate::lake::failpoint::failpoint;
use crate::lake::replace::{Replaced, Replacement, replace};
use crate::table::PARTITION_COLUMN;

/// One commit rewrites at most this many files' worth of bytes, so that little is lost when it is killed.
const FILES_A_COMMIT: u64 = 16;

/// Files of one day that do not overlap each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Run {
    paths: Vec<String>,
    bytes: u64,
    rows: u64,
}

impl Maintenance<'_> {
    /// Merges the runs of every day until there is nothing more to gain, the newest day first.
    pub(super) async fn compact(
        &self,
        stream: Stream,
        table: &mut DeltaTable,
        summary: &mut Summary,
    ) -> Result<()> {
        let first_kept = self.first_kept_day();
        let dates = runs(table)?.into_keys().rev();
        // A dry run did not drop what is too old.
        let dates: Vec<String> = dates.filter(|date| !is_old(date, first_kept)).collect();
        for date in dates {
            while !self.stop.is_cancelled() {
                let mut runs = runs(table)?.remove(&date).unwrap_or_default();
                let Some(chosen) = self.choose(&runs) else {
                    break;
                };
                if self.is_dry_run {
                    self.pretend(&mut runs, summary);
                    break;
                }
                let chosen: Vec<Run> = chosen.into_iter().map(|at| runs[at].clone()).collect();
                let files: usize = chosen.iter().map(|run| run.paths.len()).sum();
                (self.progress)(&format!("{stream} {date}: sorting {files} files"));
                match self.rewrite(stream, table, &date, &chosen).await? {
                    Some(Replaced::Landed(version)) => {
                        tracing::debug!(%stream, date, files, version, "sorted");
                    }
                    Some(Replaced::Busy) => {
                        tracing::warn!(%stream, date, files, "consumers commit too fast for a rewrite to land; left for the next run");
                        break;
                    }
                    Some(Replaced::Moved) | None => break,
                }
            }
        }
        Ok(())
    }

    fn choose(&self, runs: &[Run]) -> Option<Vec<usize>> {
        let sizes: Vec<u64> = runs.iter().map(|run| run.bytes).collect();
        let portion = self.settings.file_bytes.as_u64() * FILES_A_COMMIT;
        choose(&sizes, self.settings.min_files, portion)
    }

    /// Plays through what would become of a day's runs. Sorted rows are smaller, by how much nobody knows before.
    fn pretend(&self, runs: &mut Vec<Run>, summary: &mut Summary) {
        while let Some(chosen) = self.choose(runs) {
            let mut merged = Run::default();
            let mut before = 0;
            for at in &chosen {
                merged.bytes += runs[*at].bytes;
                before += runs[*at].paths.len();
            }
            let files = merged.bytes.div_ceil(self.settings.file_bytes.as_u64());
            merged.paths = vec![String::new(); files.max(1) as usize];
            summary.files_after = (summary.files_after + merged.paths.len()).saturating_sub(before);
            let mut at = 0;
            runs.retain(|_| {
                at += 1;
                !chosen.contains(&(at - 1))
            });
            runs.push(merged);
        }
    }

    /// Rewrites runs as one; none when it was told to stop.
    async fn rewrite(
        &self,
        stream: Stream,
        table: &mut DeltaTable,
        date: &str,
        runs: &[Run],
    ) -> Result<Option<Replaced>> {
        let paths: HashSet<&str> = (runs.iter())
            .flat_map(|run| run.paths.iter().map(String::as_str))
            .collect();
        let files = table.snapshot()?.log_data();
        let removes = files
            .iter()
            .filter(|file| paths.contains(file.path().as_ref()))
            .map(|file| file.remove_action(false))
            .collect();
        let mut written = Vec::new();
        let outcome = self.write(stream, table, date, runs, &mut written).await;
        let outcome = match outcome {
            Ok(true) => {
                let replacement = Replacement {
                    removes,
                    adds: written.clone(),
                    numbers: Vec::new(),
                    operation: DeltaOperation::Optimize {
                        predicate: Some(format!("{PARTITION_COLUMN} = '{date}'")),
                        target_size: self.settings.file_bytes.as_u64() as i64,
                    },
                    note: json!({"maintain": "sorted", "files": paths.len()}),
                };
                replace(table, &replacement).await.map(Some)
            }
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Some(Replaced::Landed(_))) => {}
            // Unclear: they may be part of the table. Who looks later can tell.
            Err(_) => {}
            Ok(_) => remove(table, &written).await,
        }
        outcome
    }

    /// Writes the rows of runs in their order; says whether it came to the end.
    async fn write(
        &self,
        stream: Stream,
        table: &DeltaTable,
        date: &str,
        runs: &[Run],
        written: &mut Vec<Add>,
    ) -> Result<bool> {
        let paths = runs.iter().flat_map(|run| run.paths.clone()).collect();
        let expected: u64 = runs.iter().map(|run| run.rows).sum();
        let file_bytes = self.settings.file_bytes.as_u64() as usize;
        let mut files =
            SortedFiles::new(stream, date, expected as usize, file_bytes, self.now_ms());
        let memory = self.settings.memory_bytes.as_u64() as usize;
        let keys = order_columns(stream);
        let mut rows = sorted(table, paths, None, None, keys, memory).await?;
        let mut found = 0;
        while let Some(batch) = rows.next().await {
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            let batch = batch?;
            found += batch.num_rows() as u64;
            if let Some(file) = files.push(&as_written(stream, &batch)?)? {
                written.push(put(table, file).await?);
            }
        }
        if let Some(file) = files.finish()? {
            written.push(put(table, file).await?);
        }
        // Their rows were in the table before.
        written.iter_mut().for_each(|add| add.data_change = false);
        ensure!(
            found == expected,
            "the files of {date} hold {found} rows, their statistics say {expected}; nothing was changed"
        );
        Ok(true)
    }
}

/// Chooses which runs to merge, by their sizes: those of about the same size, the smallest first, no more than a
/// commit's portion. None while they are fewer than `runs_min`.
fn choose(sizes: &[u64], runs_min: usize, portion: u64) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| (sizes[*at], *at));
    let mut rest: u64 = sizes.iter().sum();
    while let Some(&largest) = order.last() {
        let others = rest - sizes[largest];
        if sizes[largest] <= others {
            break;
        }
        // Larger than all others together: it waits until as much has gathered beside it.
        order.pop();
        rest = others;
    }
    if order.len() < runs_min.max(2) {
        return None;
    }
    let mut bytes = 0;
    order.retain(|at| {
        bytes += sizes[*at];
        bytes <= portion
    });
    (order.len() >= 2).then_some(order)
}

/// Returns the runs of every day.
fn runs(table: &DeltaTable) -> Result<BTreeMap<String, Vec<Run>>> {
    let mut days: BTreeMap<String, BTreeMap<String, Run>> = BTreeMap::new();
    for file in table.snapshot()?.log_data().iter() {
        let path = file.path().to_string();
        // Without a date or a number of rows it is not ours to rewrite.
        let date = file.partition_values_map().remove(PARTITION_COLUMN);
        let (Some(Some(date)), Some(rows)) = (date, file.num_records()) else {
            continue;
        };
        if is_record_of_dropped(&path) {
            continue;
        }
        let name = run_of(&path).unwrap_or(&path).to_string();
        let run = days.entry(date).or_default().entry(name).or_default();
        run.bytes += file.size().unsigned_abs();
        run.rows += rows as u64;
        run.paths.push(path);
    }
    Ok(days
        .into_iter()
        .map(|(date, runs)| (date, runs.into_values().collect()))
        .collect())
}

/// Writes a file that no commit names yet.
pub(super) async fn put(table: &DeltaTable, file: DataFile) -> Result<Add> {
    let path = Path::parse(&file.add.path)?;
    let written = table.object_store().put(&path, file.bytes.into()).await;
    written.with_context(|| format!("cannot write `{path}`"))?;
    failpoint("after_sorted_file");
    Ok(file.add)
}

/// Removes files that were written for nothing; what stays is removed as an orphan one day.
pub(super) async fn remove(table: &DeltaTable, written: &[Add]) {
    let store = table.object_store();
    for add in written {
        if let Ok(path) = Path::parse(&add.path) {
            let _ = store.delete(&path).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_of_one_size_are_merged_and_a_large_one_waits() {
        assert_eq!(choose(&[1, 1, 1], 4, 100), None, "too few");
        assert_eq!(choose(&[1, 1, 1, 1], 4, 100), Some(vec![0, 1, 2, 3]));
        assert_eq!(choose(&[50, 1, 1, 1, 1], 4, 100), Some(vec![1, 2, 3, 4]));
        assert_eq!(choose(&[50, 1, 1, 1], 4, 100), None);
        assert_eq!(choose(&[4, 1, 1, 1, 1], 4, 100), Some(vec![1, 2, 3, 4, 0]));
        assert_eq!(choose(&[4, 9, 9, 9], 2, 20), Some(vec![0, 1]), "a portion");
        assert_eq!(choose(&[9, 9, 9], 2, 10), None, "each is a portion");
        assert_eq!(choose(&[], 2, 10), None);
        assert_eq!(choose(&[0, 0], 2, 10), Some(vec![0, 1]));
    }

    proptest! {
        /// However files come, few runs stay, and each row is rewritten a few times only.
        #[test]
        fn merging_ends_and_leaves_few_runs(sizes in prop::collection::vec(1..500_u64, 1..200)) {
            let (mut runs, mut rewritten): (Vec<u64>, u64) = (Vec::new(), 0);
            for size in &sizes {
                runs.push(*size);
                while let Some(chosen) = choose(&runs, 4, u64::MAX) {
                    let merged = chosen.iter().map(|at| runs[*at]).sum();
                    rewritten += merged;
                    let mut at = 0;
                    runs.retain(|_| {
                        at += 1;
                        !chosen.contains(&(at - 1))
                    });
                    runs.push(merged);
                }
            }
            let total: u64 = sizes.iter().sum();
            prop_assert_eq!(runs.iter().sum::<u64>(), total);
            let levels = u64::from(total.ilog2()) + 1;
            prop_assert!(runs.len() as u64 <= levels + 4, "{} runs of {}", runs.len(), sizes.len());
            prop_assert!(rewritten <= total * levels, "{rewritten} of {total}");
        }
    }
}
