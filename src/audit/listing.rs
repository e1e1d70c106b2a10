//! Lists of what a bucket holds, which the store made by itself (Amazon's S3 Inventory, and those of OSS and COS, which have
//! its form), or anybody else: CSV or Parquet. Read instead of asking the store.

mod columns;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::absolute;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use arrow::array::RecordBatchReader;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, parse_url_opts};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use url::Url;

use super::stores::{Object, environment};
use crate::config;
use crate::decode::object_key;
use crate::decode::time::from_epoch;
use crate::event::Micros;
use crate::source::file::decompress;
use columns::{Columns, Names};

/// What a listing says of the sessions that it was read for.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The state of the bucket that it tells of.
    pub at: Micros,
    by_sid: BTreeMap<String, Vec<Object>>,
}

impl Listing {
    pub(super) fn files(&self, sid: &str) -> Vec<Object> {
        self.by_sid.get(sid).cloned().unwrap_or_default()
    }
}

/// A listing that was not read yet.
pub struct Catalog {
    /// The state of the bucket that it tells of.
    pub at: Micros,
    bucket: String,
    store: Arc<dyn ObjectStore>,
    parts: Vec<Path>,
    names: Names,
    /// The columns, where the files do not name them.
    header: Option<Vec<String>>,
    /// Keys are written as in a form: `+` is a space, `%XX` a byte.
    is_encoded: bool,
}

/// A file of a listing is read in one piece; longer ones are refused.
const PART_BYTES_MAX: u64 = 2 << 30;

/// What an inventory says of itself in its `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    source_bucket: String,
    file_format: String,
    file_schema: String,
    /// When the bucket began to be read: seconds or milliseconds, by the vendor.
    creation_timestamp: String,
    files: Vec<ManifestFile>,
}

#[derive(Debug, Deserialize)]
struct ManifestFile {
    key: String,
}

impl Catalog {
    /// Opens a listing: the `manifest.json` of an inventory, or a file of CSV or Parquet, here or at a URL. `at` is when it
    /// was made, where it does not say so itself.
    pub async fn open(
        location: &str,
        name: &str,
        settings: &config::AuditStore,
        bucket: &str,
        at: Option<Micros>,
    ) -> Result<Catalog> {
        let (store, path) = place(location, name, settings)?;
        let mut catalog = Catalog {
            at: at.unwrap_or(0),
            bucket: bucket.to_string(),
            store,
            parts: vec![path.clone()],
            names: Names(settings.columns.clone()),
            header: None,
            is_encoded: false,
        };
        let first = catalog.get(&path).await?;
        if first.trim_ascii_start().starts_with(b"{") {
            let manifest = serde_json::from_slice(&first).context("is no manifest.json")?;
            catalog.follow(manifest, &path).await?;
        } else if at.is_none() {
            catalog.at = catalog.last_write(first)?;
        }
        Ok(catalog)
    }

    async fn follow(&mut self, manifest: Manifest, path: &Path) -> Result<()> {
        ensure!(
            manifest.source_bucket == self.bucket,
            "is an inventory of the bucket `{}`, the store's is `{}`",
            manifest.source_bucket,
            self.bucket
        );
        match manifest.file_format.as_str() {
            "CSV" => {
                let columns = manifest.file_schema.split(',');
                self.header = Some(columns.map(|name| name.trim().to_string()).collect());
                self.is_encoded = true;
            }
            "Parquet" => {}
            other => bail!("is an inventory in {other}; have it made as CSV or Parquet"),
        }
        if self.at == 0 {
            let at = manifest.creation_timestamp.parse().map(from_epoch);
            self.at = at.map_err(|_| anyhow!("creationTimestamp is no number"))?;
        }
        self.parts.clear();
        for file in &manifest.files {
            self.parts.push(self.find(&file.key, path).await?);
        }
        Ok(())
    }

    /// Finds a file that a manifest names by its key in the bucket of inventories, which may have been copied: as a whole,
    /// or as the directories beside the manifest, or only its files.
    async fn find(&self, key: &str, manifest: &Path) -> Result<Path> {
        let name = key.rsplit('/').next().unwrap_or(key);
        let mut directory = manifest.to_string();
        let mut places = vec![key.to_string()];
        let mut is_nearest = true;
        while let Some((parent, _)) = directory.rsplit_once('/') {
            directory = parent.to_string();
            if is_nearest {
                places.push(format!("{directory}/{name}"));
            }
            places.push(format!("{directory}/data/{name}"));
            places.push(format!("{directory}/{key}"));
            is_nearest = false;
        }
        for place in places {
            let path = Path::parse(&place)?;
            if self.store.head(&path).await.is_ok() {
                return Ok(path);
            }
        }
        bail!("names `{key}`, which is neither in its bucket nor beside it");
    }

    async fn get(&self, path: &Path) -> Result<Bytes> {
        let reading = || format!("cannot read `{path}`");
        let object = self.store.get(path).await.with_context(reading)?;
        ensure!(
            object.meta.size <= PART_BYTES_MAX,
            "`{path}` is longer than 2 GiB; split it"
        );
        object.bytes().await.with_context(reading)
    }

    /// Returns when the last object was written: no listing of it is older.
    fn last_write(&self, first: Bytes) -> Result<Micros> {
        let mut last = None;
        self.visit(first, &mut |object| last = last.max(object.written_at))?;
        last.context(
            "does not say when it was made, nor when objects were written; say it with --listed-at",
        )
    }

    /// Returns the listing as if nothing were in it: until it is read only its time counts.
    pub fn unread(&self) -> Listing {
        Listing {
            at: self.at,
            by_sid: BTreeMap::new(),
        }
    }

    /// Reads what the listing says of some sessions.
    pub async fn read(&self, sids: &BTreeSet<String>) -> Result<Listing> {
        let mut by_sid: BTreeMap<String, Vec<Object>> = BTreeMap::new();
        for part in &self.parts {
            let bytes = self.get(part).await?;
            let visited = self.visit(bytes, &mut |object| {
                let sid = session(&object.key).filter(|sid| sids.contains(sid));
                if let Some(sid) = sid {
                    by_sid.entry(sid).or_default().push(object);
                }
            });
            visited.with_context(|| format!("cannot read `{part}`"))?;
        }
        Ok(Listing {
            at: self.at,
            by_sid,
        })
    }

    /// Shows every object that the bytes of a file list.
    fn visit(&self, bytes: Bytes, visit: &mut dyn FnMut(Object)) -> Result<()> {
        if bytes.starts_with(b"PAR1") {
            let batches = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
            return self.visit_batches(batches, visit);
        }
        ensure!(
            !bytes.starts_with(b"ORC"),
            "is ORC; have it made as CSV or Parquet"
        );
        let open = || decompress(Cursor::new(bytes.clone()));
        let names = match &self.header {
            Some(names) => names.clone(),
            None => header(open()?)?,
        };
        let texts = names
            .iter()
            .map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Arc::new(Schema::new(texts.collect::<Vec<_>>()));
        let batches = ReaderBuilder::new(schema)
            .with_header(self.header.is_none())
            .build(open()?)?;
        self.visit_batches(batches, visit)
    }

    fn visit_batches(
        &self,
        batches: impl RecordBatchReader,
        visit: &mut dyn FnMut(Object),
    ) -> Result<()> {
        let columns = Columns::find(&batches.schema(), &self.names)?;
        for batch in batches {
            columns.visit(&batch?, self, visit)?;
        }
        Ok(())
    }
}

/// Returns the store that a listing is in, and its path there. What reaches the store that it lists reaches it, too.
fn place(
    location: &str,
    name: &str,
    settings: &config::AuditStore,
) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let url = match Url::parse(location) {
        Ok(url) if url.scheme().len() > 1 => url,
        _ => Url::from_file_path(absolute(location)?)
            .map_err(|()| anyhow!("`{location}` is no usable path"))?,
    };
    let mut options: Vec<(String, String)> = std::env::vars()
        .filter(|(name, _)| {
            ["AWS_", "GOOGLE_", "AZURE_"]
                .iter()
                .any(|it| name.starts_with(it))
        })
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    if let Some(endpoint) = &settings.endpoint {
        options.push(("aws_endpoint".to_string(), endpoint.clone()));
        let is_plain = endpoint.starts_with("http://");
        options.push(("aws_allow_http".to_string(), is_plain.to_string()));
    }
    options.extend(
        settings
            .region
            .iter()
            .map(|it| ("aws_region".to_string(), it.clone())),
    );
    options.extend(environment(name));
    let (store, path) = parse_url_opts(&url, options)?;
    Ok((Arc::from(store), path))
}

/// Reads the names of the columns from the first line of CSV.
fn header(reader: impl Read) -> Result<Vec<String>> {
    let format = Format::default().with_header(true);
    let (schema, _) = format.infer_schema(reader, Some(0))?;
    Ok(schema.fields().iter().map(|it| it.name().clone()).collect())
}

/// Returns the session that an object belongs to by its name.
fn session(key: &str) -> Option<String> {
    let parsed = object_key::parse(key);
    if let Some(sid) = parsed.sid {
        return Some(sid.into_owned());
    }
    // A name that does not look like the service's may begin with a session's id all the same.
    let name = parsed.file_name?;
    let name = match name.split_once('_') {
        Some((first, rest)) if first.strip_prefix("bak").is_some_and(is_number) => rest,
        _ => name,
    };
    let (sid, _) = name.split_once('_')?;
    Some(sid.to_ascii_lowercase())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
