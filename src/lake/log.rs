//! The names under which a table's log keeps offsets, and what `deltalake` does not tell of the log: all offsets at once,
//! and what happened between versions.

use std::collections::BTreeMap;
use std::fmt;

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

use crate::event::Stream;

/// Names an offset in the log: `<cluster>/<topic>/<partition>@<epoch>`, or `import/<stream>/<source_id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct AppId(String);

impl AppId {
    pub fn partition(cluster: &str, topic: &str, partition: i32, epoch: i64) -> Self {
        AppId(format!("{cluster}/{topic}/{partition}@{epoch}"))
    }

    /// Holds the number of a topic's current epoch, which begins when a topic was made anew.
    pub fn epoch(cluster: &str, topic: &str) -> Self {
        AppId(format!("{cluster}/{topic}@epoch"))
    }

    pub fn import(stream: Stream, source_id: &str) -> Self {
        AppId(format!("import/{stream}/{source_id}"))
    }

    /// Counts the replays of a stream, so that of two at once only one lands.
    pub fn replay(stream: Stream) -> Self {
        AppId(format!("replay/{stream}"))
    }

    /// Holds the offset that this name began with.
    pub fn start(&self) -> Self {
        AppId(format!("{self}{START}"))
    }

    /// Holds how many rows were ever committed under this name, so that one that goes missing is missed.
    pub fn rows(&self) -> Self {
        AppId(format!("{self}{ROWS}"))
    }

    /// Holds how many rows fewer there are since `maintain` dropped what was too old. A name of its own, so that
    /// it is never set by a commit of a consumer.
    pub fn dropped(&self) -> Self {
        AppId(format!("{self}{DROPPED}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ends of the names that accompany an offset.
const START: &str = "#start";
const ROWS: &str = "#rows";
const DROPPED: &str = "#dropped";

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
    /// Returns what rows of this topic, partition and source id count; without a partition, rows of an imported file.
    pub fn new(topic: &str, partition: Option<i32>, source_id: &str) -> Self {
        let source_id = source_id.to_string();
        match partition {
            Some(partition) => Source::Partition {
                topic: topic.to_string(),
                partition,
                source_id,
            },
            None => Source::Import { source_id },
        }
    }

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
        for action in read_commit(&bytes).with_context(|| cannot_read(&path))? {
            if action.remove.is_some() {
                return Ok(None);
            }
            added.extend(action.add.map(|add| add.path));
        }
    }
    Ok(Some(added))
}

/// Returns the lines of a commit.
pub(super) fn read_commit(bytes: &[u8]) -> serde_json::Result<Vec<Action>> {
    serde_json::Deserializer::from_slice(bytes)
        .into_iter()
        .collect()
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read `{path}`")
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
        read_checkpoint(bytes, &mut found).with_context(|| cannot_read(&path))?;
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
        for action in read_commit(&bytes).with_context(|| cannot_read(&path))? {
            if let Some(txn) = action.txn {
                found.insert(txn.app_id.0, txn.version);
            }
        }
    }
    Ok(found)
}

/// One line of a commit, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Action {
    pub txn: Option<Txn>,
    add: Option<Added>,
    remove: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Added {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Txn {
    pub app_id: AppId,
    pub version: i64,
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
