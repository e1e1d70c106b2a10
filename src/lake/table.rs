//! One stream's Delta table: made when missing, opened at its newest version, refreshed.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use deltalake::kernel::{StructType, engine::arrow_conversion::TryIntoKernel};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use object_store::ObjectStoreExt;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::damage;
use super::store::Location;
use crate::event::{Micros, Stream};
use crate::table::{PARTITION_COLUMN, schema};

/// A lake: a root with one Delta table per stream under it.
#[derive(Clone)]
pub struct Lake {
    location: Location,
    /// The store was found to be one that commits can stand on.
    is_writable: Arc<OnceCell<()>>,
    /// It was said that the store keeps us waiting.
    said_waiting: Arc<Once>,
}

/// How long a store may take for its first answer before somebody is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// A checkpoint is written every so many commits, so that opening a table reads few log files.
const CHECKPOINT_INTERVAL: u32 = 100;

/// Table property that makes engines forget `txn`s; a table that has it cannot keep offsets.
const TRANSACTION_EXPIRY: &str = "delta.setTransactionRetentionDuration";

impl Lake {
    pub fn new(location: Location) -> Self {
        Lake {
            location,
            is_writable: Arc::default(),
            said_waiting: Arc::new(Once::new()),
        }
    }

    /// Returns the URL of the lake's root.
    pub fn url(&self) -> &url::Url {
        &self.location.url
    }

    /// Awaits what the store was asked first. Says once that this takes long: the store may be starting, or elsewhere.
    async fn answer<T>(&self, asked: impl Future<Output = T>) -> T {
        let mut asked = pin!(asked);
        if let Ok(answer) = timeout(PATIENCE, &mut asked).await {
            return answer;
        }
        self.said_waiting.call_once(|| {
            let lake = self.location.named();
            tracing::warn!("waiting for the store of the lake {lake}, which does not answer");
        });
        asked.await
    }

    /// Opens a stream's table at its newest version, or none when there is no such table yet.
    pub async fn open(&self, stream: Stream) -> Result<Option<DeltaTable>> {
        let mut table = self.handle(stream)?;
        let is_there = self.answer(table.verify_deltatable_existence()).await;
        if !is_there.with_context(|| self.location.out_of_reach())? {
            return Ok(None);
        }
        let (store, log) = (
            &self.location.store,
            self.location.path(&format!("{stream}/_delta_log"))?,
        );
        if let Err(error) = table.load().await {
            let broken = damage::broken_file(store, &log).await.ok().flatten();
            let error = anyhow::Error::from(error);
            return Err(match broken {
                Some(file) => error.context(damage::cure(&file)),
                None => error,
            })
            .with_context(|| format!("cannot open the table {stream} at `{}`", table.table_url()));
        }
        let newest = table.version().unwrap_or(0);
        let first = newest.saturating_sub(2 * u64::from(CHECKPOINT_INTERVAL));
        if let Some(file) = damage::empty_file(store, &log, first).await? {
            bail!("cannot open the table {stream}: {}", damage::cure(&file));
        }
        check_table(stream, &table)?;
        Ok(Some(table))
    }

    /// Opens a stream's table, making it when it is missing. Two makers at once end with the same table.
    ///
    /// What the table holds by then survives a power cut, whoever wrote it.
    pub async fn open_or_create(&self, stream: Stream) -> Result<DeltaTable> {
        self.require_writable().await?;
        let table = self.find_or_create(stream).await?;
        self.location.sync(&format!("{stream}/_delta_log")).await?;
        Ok(table)
    }

    /// Requires, once, a store in which no commit can take the place of another.
    pub async fn require_writable(&self) -> Result<()> {
        let required = || self.answer(self.location.require_put_if_absent());
        self.is_writable.get_or_try_init(required).await?;
        Ok(())
    }

    async fn find_or_create(&self, stream: Stream) -> Result<DeltaTable> {
        if let Some(table) = self.open(stream).await? {
            return Ok(table);
        }
        let log_store = self.handle(stream)?.log_store();
        match create(stream, log_store).await {
            Ok(()) | Err(DeltaTableError::VersionAlreadyExists(_)) => {}
            // Somebody else made it first: what counts is that it opens now.
            Err(error) => {
                if let Some(table) = self.open(stream).await? {
                    return Ok(table);
                }
                return Err(error).with_context(|| {
                    let lake = self.location.named();
                    format!("cannot create the table {stream} in the lake {lake}, where this process must be able to write")
                });
            }
        }
        let table = self.open(stream).await?;
        table.with_context(|| format!("the table {stream} is not there after it was created"))
    }

    /// Removes what dead processes left of files that they were writing to a stream's table before an instant; returns
    /// how many files that were.
    pub fn remove_leftovers(&self, stream: Stream, before: Micros) -> Result<usize> {
        let before = Duration::from_micros(u64::try_from(before).unwrap_or(0));
        let found = (self.location).leftovers(stream.stem(), SystemTime::UNIX_EPOCH + before)?;
        for path in &found {
            std::fs::remove_file(path)
                .with_context(|| format!("cannot remove `{}`", path.display()))?;
        }
        Ok(found.len())
    }

    /// Reads a small file beside the tables; none when it is not there.
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        match self.location.store.get(&self.location.path(name)?).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read `{name}` of the lake")),
        }
    }

    /// Writes a small file beside the tables.
    pub async fn write(&self, name: &str, content: Vec<u8>) -> Result<()> {
        let path = self.location.path(name)?;
        let written = self.location.store.put(&path, content.into()).await;
        written.with_context(|| format!("cannot write `{name}` of the lake"))?;
        Ok(())
    }

    fn handle(&self, stream: Stream) -> Result<DeltaTable> {
        let url = self.location.url.join(&format!("{}/", stream.stem()))?;
        let store = Arc::clone(&self.location.store);
        Ok(DeltaTableBuilder::from_url(url.clone())?
            .with_storage_backend(store, url)
            .build()?)
    }
}

/// How texts come from files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Copied: what is sorted or collected takes no more memory than it needs.
    Copied,
    /// As views into the pages that they are from: quicker for whoever groups and joins. A view keeps a whole page alive, and
    /// who holds a thousand views, to sort or to collect them, counts it a thousand times.
    Views,
}

/// Returns what SQL reads for tables at the versions they are loaded at.
pub async fn providers(
    tables: &[(Stream, DeltaTable)],
    texts: Texts,
) -> Result<Vec<(Stream, Arc<dyn TableProvider>)>> {
    let mut providers = Vec::new();
    for (stream, table) in tables {
        providers.push((*stream, provider(table, texts).await?));
    }
    Ok(providers)
}

/// Returns what SQL reads for a table at the version it is loaded at.
pub async fn provider(table: &DeltaTable, texts: Texts) -> Result<Arc<dyn TableProvider>> {
    let builder = table.table_provider().with_session(scan_session(texts));
    Ok(Arc::new(builder.build().await?))
}

/// Returns what SQL reads for some files of a table.
pub async fn provider_of_files(
    table: &DeltaTable,
    paths: Vec<String>,
) -> Result<Arc<dyn TableProvider>> {
    let log = table.snapshot()?.log_data();
    let live: HashSet<String> = log.iter().map(|file| file.path().to_string()).collect();
    let root = table.table_url();
    let paths = paths.into_iter().filter(|path| live.contains(path));
    let urls = paths.map(|path| root.join(&path).map(String::from));
    let urls = urls.collect::<Result<Vec<_>, _>>()?;
    let builder = table
        .table_provider()
        .with_session(scan_session(Texts::Copied));
    Ok(Arc::new(builder.with_file_paths(urls).build().await?))
}

/// Returns the settings that a table is scanned with.
fn scan_session(texts: Texts) -> Arc<SessionState> {
    let mut config = SessionConfig::new();
    let parquet = &mut config.options_mut().execution.parquet;
    parquet.pushdown_filters = true;
    parquet.schema_force_view_types = texts == Texts::Views;
    Arc::new(SessionStateBuilder::new().with_config(config).build())
}

async fn create(stream: Stream, log_store: LogStoreRef) -> Result<(), DeltaTableError> {
    let schema: StructType = (&stored_schema(stream)).try_into_kernel()?;
    let properties = HashMap::from([(
        "delta.checkpointInterval".to_string(),
        Some(CHECKPOINT_INTERVAL.to_string()),
    )]);
    DeltaTable::new(log_store)
        .create()
        .with_table_name(stream.stem())
        .with_columns(schema.fields().cloned())
        .with_partition_columns([PARTITION_COLUMN])
        .with_configuration(properties)
        .with_save_mode(SaveMode::ErrorIfExists)
        .await?;
    Ok(())
}

/// Returns the schema that the log states: plain text where memory has string views.
pub fn stored_schema(stream: Stream) -> Schema {
    let fields: Vec<Field> = schema(stream)
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8View => field.as_ref().clone().with_data_type(DataType::Utf8),
            _ => field.as_ref().clone(),
        })
        .collect();
    Schema::new(fields)
}

/// Refuses tables that cannot keep the promises: offsets that expire, columns that are missing.
fn check_table(stream: Stream, table: &DeltaTable) -> Result<()> {
    let state = table.snapshot()?;
    if state
        .metadata()
        .configuration()
        .contains_key(TRANSACTION_EXPIRY)
    {
        bail!(
            "the table {stream} has the property `{TRANSACTION_EXPIRY}`, which makes it forget Kafka offsets; remove the property before anything is consumed"
        );
    }
    let stored = state.schema();
    let missing: Vec<String> = schema(stream)
        .fields()
        .iter()
        .filter(|field| stored.field(field.name()).is_none())
        .map(|field| field.name().clone())
        .collect();
    if !missing.is_empty() {
        bail!(
            "the table {stream} was made by another release: it lacks the columns {}; consume into a new lake",
            missing.join(", ")
        );
    }
    Ok(())
}
