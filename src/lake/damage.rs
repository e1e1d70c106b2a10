//! Finds the file of a table's log that was damaged, so that an operator is told its name and not only that
//! something somewhere ends too early.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, Result};
use serde::de::IgnoredAny;

/// Files whose content is looked at, from the newest.
const FILES_READ: usize = 250;

/// Returns the oldest empty commit or checkpoint of version `first` or later. No writer leaves one; a power cut
/// does on a disk that was not synced. Readers take an empty commit for one of nothing and look past an empty
/// checkpoint, so nothing else tells.
pub async fn empty_file(store: &dyn ObjectStore, log: &Path, first: u64) -> Result<Option<Path>> {
    let files = log_files(store, log, first).await?;
    let mut empty = files.into_iter().filter(|file| file.size == 0);
    Ok(empty.next().map(|file| file.location))
}

/// Returns the newest commit or checkpoint that is not whole, looking into the files.
pub async fn broken_file(store: &dyn ObjectStore, log: &Path) -> Result<Option<Path>> {
    let files = log_files(store, log, 0).await?;
    for file in files.into_iter().rev().take(FILES_READ) {
        let bytes = store.get(&file.location).await?.bytes().await?;
        let is_whole = match file.location.extension() {
            Some("parquet") => bytes.ends_with(b"PAR1"),
            _ => is_json_lines(&bytes),
        };
        if !is_whole {
            return Ok(Some(file.location));
        }
    }
    Ok(None)
}

/// Says what to do about a broken file of the log.
pub fn cure(file: &Path) -> String {
    let cure = match file.extension() {
        Some("parquet") => "it and `_last_checkpoint` away: the commits before it are read instead",
        _ => {
            "it and all later files of its directory away: what came after the version before is consumed again"
        }
    };
    format!("the file `{file}` of the log is broken; put it back from a copy, or move {cure}")
}

/// Returns commits and checkpoints of version `first` or later, by name.
async fn log_files(store: &dyn ObjectStore, log: &Path, first: u64) -> Result<Vec<ObjectMeta>> {
    let before = log.clone().join(format!("{first:020}"));
    let files = store.list_with_offset(Some(log), &before);
    let mut files: Vec<ObjectMeta> = files.try_collect().await?;
    files.retain(|file| {
        let name = file.location.filename().unwrap_or_default();
        name.ends_with(".json") || name.ends_with(".checkpoint.parquet")
    });
    files.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(files)
}

fn is_json_lines(bytes: &[u8]) -> bool {
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    !bytes.is_empty() && lines.all(|line| serde_json::from_slice::<IgnoredAny>(line).is_ok())
}
