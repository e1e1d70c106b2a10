//! The stores that are looked into, as the configuration names them. Read-only by construction: nothing here can put,
//! copy or delete, whatever the credentials allow.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use url::Url;

use super::pace::Pace;
use crate::config;
use crate::lake::plain;

/// A store that can be looked into.
pub struct AuditStore {
    /// As in the configuration.
    pub name: String,
    pub vendor: i32,
    pub bucket: String,
    /// What all keys begin with, from the store's root; empty or without a slash at its ends.
    root: String,
    reader: Arc<dyn Reader>,
    pace: Arc<Pace>,
}

/// Why a store could not be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The store answered that we may not; else it gave no answer.
    pub is_denied: bool,
    pub answer: String,
}

/// What is asked of a store. There is no third question.
#[async_trait]
trait Reader: Send + Sync {
    /// Lists the objects whose key begins with `start`, at most `most` of them.
    async fn list(&self, start: &str, most: usize) -> Result<Vec<ObjectMeta>, Error>;

    async fn get(&self, key: &Path) -> Result<Bytes, Error>;
}

impl AuditStore {
    /// Opens a store. Asks for nothing.
    pub fn open(name: &str, settings: &config::AuditStore, pace: Arc<Pace>) -> Result<AuditStore> {
        let opened = open(name, settings, pace);
        opened.with_context(|| format!("audit.stores.{name}"))
    }

    /// Lists objects by the beginning of their key, as sessions' keys are written: from the root on.
    pub async fn list(&self, start: &str, most: usize) -> Result<Vec<ObjectMeta>, Refusal> {
        self.pace.wait().await;
        let listed = self.reader.list(&self.rooted(start), most).await;
        listed.map_err(refusal)
    }

    /// Reads a small object.
    pub async fn get(&self, key: &Path) -> Result<Bytes, Refusal> {
        self.pace.wait().await;
        self.reader.get(key).await.map_err(refusal)
    }

    fn rooted(&self, start: &str) -> String {
        match self.root.is_empty() {
            true => start.to_string(),
            false => format!("{}/{start}", self.root),
        }
    }
}

fn refusal(error: Error) -> Refusal {
    let text = error.to_string();
    let is_denied = matches!(
        error,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
    );
    Refusal {
        // A refused listing is an error of no kind.
        is_denied: is_denied
            || ["401 Unauthorized", "403 Forbidden"]
                .iter()
                .any(|it| text.contains(it)),
        answer: plain::said(&error),
    }
}

fn open(name: &str, settings: &config::AuditStore, pace: Arc<Pace>) -> Result<AuditStore> {
    let url = Url::parse(&settings.url).map_err(|_| {
        anyhow!(
            "url: `{}` is no URL; write s3://BUCKET, gs://, az:// or file:///DIRECTORY",
            settings.url
        )
    })?;
    let environment = environment(name);
    let retry = RetryConfig {
        max_retries: 3,
        ..RetryConfig::default()
    };
    macro_rules! cloud {
        ($builder:expr) => {{
            let mut builder = $builder.with_url(url.as_str()).with_retry(retry);
            for (key, value) in &environment {
                let key = key.parse().map_err(|_| {
                    anyhow!(
                        "{}{}: no setting of this store has that name",
                        prefix(name),
                        key.to_uppercase()
                    )
                })?;
                builder = builder.with_config(key, value);
            }
            builder
        }};
    }
    let (reader, slug): (Arc<dyn Reader>, &str) = match url.scheme() {
        "s3" | "s3a" => {
            let mut builder = cloud!(AmazonS3Builder::from_env());
            if let Some(endpoint) = &settings.endpoint {
                builder = builder
                    .with_endpoint(endpoint)
                    .with_allow_http(endpoint.starts_with("http://"))
                    .with_virtual_hosted_style_request(settings.virtual_hosted);
            }
            if let Some(region) = &settings.region {
                builder = builder.with_region(region);
            }
            (Arc::new(Cloud(builder.build()?)), "s3")
        }
        "gs" => (
            Arc::new(Cloud(
                cloud!(GoogleCloudStorageBuilder::from_env()).build()?,
            )),
            "gcs",
        ),
        "az" | "abfs" | "abfss" => (
            Arc::new(Cloud(cloud!(MicrosoftAzureBuilder::from_env()).build()?)),
            "azblob",
        ),
        "file" => {
            let path = url.to_file_path();
            let path = path.map_err(|()| anyhow!("url: names no directory on this machine"))?;
            let disk = LocalFileSystem::new_with_prefix(&path)
                .with_context(|| format!("url: `{}` cannot be read", path.display()))?;
            (Arc::new(Directory(disk)), "s3compat")
        }
        other => bail!(
            "url: nothing can be looked for at `{other}://`; write s3://BUCKET, gs://, az:// or file:///DIRECTORY"
        ),
    };
    let vendor = settings.vendor.as_deref().unwrap_or(slug);
    let vendor = crate::vendor::from_text(vendor).with_context(|| {
        format!("vendor: no vendor is called `{vendor}`; write its name as in `vendor_name`, for example \"oss\"")
    })?;
    let is_disk = url.scheme() == "file";
    let bucket = match (&settings.bucket, is_disk) {
        (Some(bucket), _) => bucket.clone(),
        (None, false) => url.host_str().unwrap_or_default().to_string(),
        (None, true) => bail!("bucket: is missing; a directory has no name of its own"),
    };
    let root = match is_disk {
        true => String::new(),
        false => url.path().trim_matches('/').to_string(),
    };
    Ok(AuditStore {
        name: name.to_string(),
        vendor,
        bucket,
        root,
        reader,
        pace,
    })
}

/// Returns the settings of one store that the environment has beside those of all: `TAPETRAIL_STORE_<NAME>_<SETTING>`.
fn environment(name: &str) -> Vec<(String, String)> {
    let prefix = prefix(name);
    let settings = std::env::vars().filter_map(|(variable, value)| {
        let setting = variable.strip_prefix(&prefix)?;
        Some((setting.to_ascii_lowercase(), value))
    });
    let mut settings: Vec<_> = settings.collect();
    settings.sort();
    settings
}

fn prefix(name: &str) -> String {
    let name = name.to_ascii_uppercase().replace('-', "_");
    format!("TAPETRAIL_STORE_{name}_")
}

/// A store in a cloud, which lists by the beginning of keys.
struct Cloud<S>(S);

#[async_trait]
impl<S: PaginatedListStore + ObjectStore> Reader for Cloud<S> {
    async fn list(&self, start: &str, most: usize) -> Result<Vec<ObjectMeta>, Error> {
        let mut found = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions {
                max_keys: Some(most.min(1000)),
                page_token,
                ..PaginatedListOptions::default()
            };
            let page = self.0.list_paginated(Some(start), options).await?;
            found.extend(page.result.objects);
            page_token = page.page_token;
            if page_token.is_none() || found.len() >= most {
                return Ok(found);
            }
        }
    }

    async fn get(&self, key: &Path) -> Result<Bytes, Error> {
        ObjectStoreExt::get(&self.0, key).await?.bytes().await
    }
}

/// A directory, of which only the one that a key is in is read.
struct Directory(LocalFileSystem);

#[async_trait]
impl Reader for Directory {
    async fn list(&self, start: &str, most: usize) -> Result<Vec<ObjectMeta>, Error> {
        let directory = start
            .rsplit_once('/')
            .map(|(directory, _)| Path::from(directory));
        let listed = self.0.list_with_delimiter(directory.as_ref()).await?;
        let mut found = listed.objects;
        found.retain(|object| object.location.as_ref().starts_with(start));
        found.sort_by(|a, b| a.location.cmp(&b.location));
        found.truncate(most);
        Ok(found)
    }

    async fn get(&self, key: &Path) -> Result<Bytes, Error> {
        ObjectStoreExt::get(&self.0, key).await?.bytes().await
    }
}
