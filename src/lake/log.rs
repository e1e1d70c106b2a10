//! Reads a table's log for what `deltalake` does not tell: all offsets at once, and what happened between versions.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake::DeltaTable;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::commit::{AppId, DROPPED, ROWS, START};
use crate::event::Stream;

/// The offsets that stand under one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// The first offset.
    pub start: Option<i64>,
    /// The offset after the last.
    pub next: i64,
    /// Rows committed under the name.
    pub rows: Option<i64>,
    /// Rows fewer that there are of them since retention dropped some and left gaps in their place.
    pub dropped: i64,
}

/// What a name in the log counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Partition {
        topic: String,
        partition: i32,
        /// `<cluster>@<epoch>`
        source_id: String,
    },
    Import {
        /// Hash of the file's content.
        source_id: String,
    },
}

impl Source {
    /// Returns the name that the log has for it; none for a source that no commit of ours can have made.
    pub fn app_id(&self, stream: Stream) -> Option<AppId> {
        match self {
            Source::Partition {
                topic,
                partition,
                source_id,
            } => {
                let (cluster, epoch) = source_id.rsplit_once('@')?;
                let epoch = epoch.parse().ok()?;
                Some(AppId::partition(cluster, topic, *partition, epoch))
            }
            Source::Import { source_id } => Some(AppId::import(stream, source_id)),
        }
    }

    /// Returns cluster, topic and partition, and which epoch of them this is; none for an imported file.
    pub fn epoch(&self) -> Option<((&str, &str, i32), i64)> {
        let Source::Partition {
            topic,
            partition,
            source_id,
        } = self
        else {
            return None;
        };
        let (cluster, epoch) = source_id.rsplit_once('@')?;
        Some(((cluster, topic, *partition), epoch.parse().ok()?))
    }
}

/// Returns the offsets of every partition and imported file that the table's loaded version holds.
pub async fn stored_offsets(
    table: &DeltaTable,
    stream: Stream,
) -> Result<BTreeMap<Source, Stored>> {
    let mut sources: BTreeMap<Source, Stored> = BTreeMap::new();
    for (name, value) in transactions(table).await? {
        let (base, part) = [START, ROWS, DROPPED]
            .into_iter()
            .find_map(|part| Some((name.strip_suffix(part)?, part)))
            .unwrap_or((name.as_str(), ""));
        let Some(source) = parse_name(base, stream) else {
            continue;
        };
        let stored = sources.entry(source).or_default();
        match part {
            START => stored.start = Some(value),
            ROWS => stored.rows = Some(value),
            DROPPED => stored.dropped = value,
            _ => stored.next = value,
        }
    }
    Ok(sources)
}

/// Returns the files that were added after `version`, or none when more than that happened: files removed,
/// or the log of it is gone.
pub async fn added_since(table: &DeltaTable, version: u64) -> Result<Option<Vec<String>>> {
    let newest = table.version().context("the table is loaded")?;
    let mut added = Vec::new();
    for at in version + 1..=newest {
        let path = Path::from("_delta_log").join(format!("{at:020}.json"));
        let bytes = match table.object_store().get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        for action in read_commit(&path, &bytes)? {
            if action.remove.is_some() {
                return Ok(None);
            }
            added.extend(action.add.map(|add| add.path));
        }
    }
    Ok(Some(added))
}

fn read_commit(path: &Path, bytes: &[u8]) -> Result<Vec<Action>> {
    let lines = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).with_context(|| format!("cannot read `{path}`")))
        .collect()
}

/// Reads `<cluster>/<topic>/<partition>@<epoch>` or `import/<stream>/<source_id>`.
fn parse_name(name: &str, stream: Stream) -> Option<Source> {
    if let Some(source_id) = name.strip_prefix(&format!("import/{stream}/")) {
        let source_id = source_id.to_string();
        return Some(Source::Import { source_id });
    }
    // Neither a topic nor a number holds a slash; a cluster's id might.
    let (path, epoch) = name.rsplit_once('@')?;
    let (path, partition) = path.rsplit_once('/')?;
    let (cluster, topic) = path.rsplit_once('/')?;
    Some(Source::Partition {
        topic: topic.to_string(),
        partition: partition.parse().ok()?,
        source_id: format!("{cluster}@{}", epoch.parse::<i64>().ok()?),
    })
}

/// Returns the last value of every application transaction up to the loaded version.
async fn transactions(table: &DeltaTable) -> Result<BTreeMap<String, i64>> {
    let version = table.version().context("the table is loaded")?;
    let store = table.object_store();
    let log = Path::from("_delta_log");
    let names: Vec<String> = store
        .list(Some(&log))
        .map_ok(|object| object.location.filename().unwrap_or_default().to_string())
        .try_collect()
        .await
        .context("cannot list the table's log")?;
    let checkpoint = names
        .iter()
        .filter_map(|name| name.strip_suffix(".checkpoint.parquet")?.parse().ok())
        .filter(|&at: &u64| at <= version)
        .max();
    let mut found = BTreeMap::new();
    if let Some(at) = checkpoint {
        let path = log.clone().join(format!("{at:020}.checkpoint.parquet"));
        let bytes = store.get(&path).await?.bytes().await?;
        read_checkpoint(bytes, &mut found).with_context(|| format!("cannot read `{path}`"))?;
    }
    let mut commits: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
        .filter(|&at: &u64| at <= version && checkpoint.is_none_or(|from| at > from))
        .collect();
    commits.sort_unstable();
    for at in commits {
        let path = log.clone().join(format!("{at:020}.json"));
        let bytes = store.get(&path).await?.bytes().await?;
        for action in read_commit(&path, &bytes)? {
            if let Some(txn) = action.txn {
                found.insert(txn.app_id, txn.version);
            }
        }
    }
    Ok(found)
}

/// One line of a commit, as far as it matters here.
#[derive(Deserialize)]
struct Action {
    txn: Option<Txn>,
    add: Option<Added>,
    remove: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Added {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

fn read_checkpoint(bytes: Bytes, found: &mut BTreeMap<String, i64>) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn"]);
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let Some(column) = batch.column_by_name("txn") else {
            continue;
        };
        let txn = column.as_struct();
        let (Some(ids), Some(versions)) =
            (txn.column_by_name("appId"), txn.column_by_name("version"))
        else {
            continue;
        };
        let ids = arrow::compute::cast(ids, &arrow::datatypes::DataType::Utf8)?;
        let (ids, versions) = (ids.as_string::<i32>(), versions.as_primitive::<Int64Type>());
        for row in (0..txn.len()).filter(|&row| txn.is_valid(row) && ids.is_valid(row)) {
            found.insert(ids.value(row).to_string(), versions.value(row));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_source() {
        let partition = Source::Partition {
            topic: "recording.webhooks".to_string(),
            partition: 3,
            source_id: "MkU3OEVBNTcwNTJENDM2Qg@1".to_string(),
        };
        let name = "MkU3OEVBNTcwNTJENDM2Qg/recording.webhooks/3@1";
        assert_eq!(parse_name(name, Stream::Webhooks), Some(partition));
        let import = parse_name("import/webhooks/abc", Stream::Webhooks);
        assert!(matches!(import, Some(Source::Import { source_id }) if source_id == "abc"));
        assert_eq!(parse_name("cluster/topic@epoch", Stream::Webhooks), None);
        assert_eq!(parse_name("replay/webhooks/x", Stream::Webhooks), None);
    }
}
