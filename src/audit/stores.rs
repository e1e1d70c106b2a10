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

use super::listing::Listing;
use super::pace::Pace;
use crate::config;
use crate::event::Micros;
use crate::lake::plain;
use crate::vendor;

/// A store that can be looked into.
pub struct AuditStore {
    /// As in the configuration.
    pub name: String,
    pub vendor: i32,
    pub bucket: String,
    contents: Contents,
}

/// What answers for a store.
enum Contents {
    Live(Live),
    Listed(Listing),
}

/// The store itself.
struct Live {
    reader: Box<dyn Reader>,
    /// What all keys begin with, from the store's root; empty or without a slash at its ends.
    root: String,
    pace: Arc<Pace>,
}

/// An object as a store or a listing of it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub size: Option<i64>,
    pub etag: Option<String>,
    pub written_at: Option<Micros>,
}

/// Why a store could not be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The store answered that we may not; else it gave no answer.
    pub is_denied: bool,
    pub answer: String,
}

/// What a store lets us do.
#[derive(Debug)]
pub struct Probed {
    pub may_list: bool,
    /// What it does not, in sentences.
    pub denied: Vec<String>,
}

/// What is asked of a store. There is no third question.
#[async_trait]
trait Reader: Send + Sync {
    /// Lists objects whose key begins with `start`, a page of at most `most` of them, and what to ask for the next.
    async fn page(
        &self,
        start: &str,
        most: usize,
        token: Option<String>,
    ) -> Result<(Vec<ObjectMeta>, Option<String>), Error>;

    async fn get(&self, key: &Path) -> Result<Bytes, Error>;
}

/// Objects of a page: what all stores give.
const PAGE: usize = 1000;

/// Objects of one session that are taken at most: a day of slices of 32 users.
const OBJECTS_MAX: usize = 200_000;

/// No object has this name: a store that lets us read says so, another one that it does not.
const NOBODY: &str = "tapetrail-asks-whether-it-may-read";

impl AuditStore {
    /// Opens a store. Asks for nothing.
    pub fn open(name: &str, settings: &config::AuditStore, pace: Arc<Pace>) -> Result<AuditStore> {
        let opened = open(name, settings, pace);
        opened.with_context(|| format!("audit.stores.{name}"))
    }

    /// Has a listing answer for the store from now on.
    pub fn answer_from(&mut self, listing: Listing) {
        self.contents = Contents::Listed(listing);
    }

    /// When the listing was made that answers for the store; none where the store answers itself.
    pub fn listed_at(&self) -> Option<Micros> {
        match &self.contents {
            Contents::Listed(listing) => Some(listing.at),
            Contents::Live(_) => None,
        }
    }

    /// Asks the store for what an audit needs.
    pub async fn probe(&self) -> Probed {
        let mut probed = Probed {
            may_list: true,
            denied: Vec::new(),
        };
        let Contents::Live(live) = &self.contents else {
            return probed;
        };
        if let Err(refusal) = live.list("", 1).await {
            probed.may_list = false;
            probed.denied.push(format!(
                "may not list `{}`, so nothing is known of what is there: {}",
                self.bucket, refusal.answer
            ));
        }
        match live.get(&Path::from(NOBODY)).await {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => probed.denied.push(format!(
                "may not read objects of `{}`, so what an index (.m3u8) promises is not looked for: {}",
                self.bucket,
                plain::said(&error)
            )),
        }
        probed
    }

    /// Returns the files of a session, by the beginnings that their keys can have; a listing knows them all.
    pub(super) async fn files(&self, sid: &str, starts: &[String]) -> Result<Vec<Object>, Refusal> {
        let live = match &self.contents {
            Contents::Live(live) => live,
            Contents::Listed(listing) => return Ok(listing.files(sid)),
        };
        let mut files = Vec::new();
        for start in starts {
            let objects = live.list(start, OBJECTS_MAX).await?;
            files.extend(objects.into_iter().map(Object::from));
        }
        Ok(files)
    }

    /// Reads a small object; none where only a listing of the store is at hand.
    pub(super) async fn get(&self, key: &str) -> Option<Result<Bytes, Refusal>> {
        let Contents::Live(live) = &self.contents else {
            return None;
        };
        Some(match Path::parse(key) {
            Ok(path) => live.get(&path).await.map_err(refusal),
            Err(error) => Err(Refusal {
                is_denied: false,
                answer: error.to_string(),
            }),
        })
    }
}

impl Live {
    async fn list(&self, start: &str, most: usize) -> Result<Vec<ObjectMeta>, Refusal> {
        let start = match self.root.is_empty() {
            true => start.to_string(),
            false => format!("{}/{start}", self.root),
        };
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            self.pace.wait().await;
            let page = self.reader.page(&start, most.min(PAGE), token).await;
            let (objects, next) = page.map_err(refusal)?;
            found.extend(objects);
            token = next;
            if token.is_none() || found.len() >= most {
                return Ok(found);
            }
        }
    }

    async fn get(&self, key: &Path) -> Result<Bytes, Error> {
        self.pace.wait().await;
        self.reader.get(key).await
    }
}

impl From<ObjectMeta> for Object {
    fn from(object: ObjectMeta) -> Object {
        Object {
            key: object.location.to_string(),
            size: i64::try_from(object.size).ok(),
            etag: object.e_tag,
            written_at: Some(object.last_modified.timestamp_micros()),
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
    let (reader, slug): (Box<dyn Reader>, &str) = match url.scheme() {
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
            (Box::new(Cloud(builder.build()?)), "s3")
        }
        "gs" => (
            Box::new(Cloud(
                cloud!(GoogleCloudStorageBuilder::from_env()).build()?,
            )),
            "gcs",
        ),
        "az" | "abfs" | "abfss" => (
            Box::new(Cloud(cloud!(MicrosoftAzureBuilder::from_env()).build()?)),
            "azblob",
        ),
        "file" => {
            let path = url.to_file_path();
            let path = path.map_err(|()| anyhow!("url: names no directory on this machine"))?;
            let disk = LocalFileSystem::new_with_prefix(&path)
                .with_context(|| format!("url: `{}` cannot be read", path.display()))?;
            (Box::new(Directory(disk)), "s3compat")
        }
        other => bail!(
            "url: nothing can be looked for at `{other}://`; write s3://BUCKET, gs://, az:// or file:///DIRECTORY"
        ),
    };
    let vendor = settings.vendor.or_else(|| vendor::from_text(slug));
    let vendor = vendor.expect("is a vendor's slug");
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
        contents: Contents::Live(Live { reader, root, pace }),
    })
}

/// Returns the settings of one store that the environment has beside those of all: `TAPETRAIL_STORE_<NAME>_<SETTING>`.
pub(super) fn environment(name: &str) -> Vec<(String, String)> {
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
    async fn page(
        &self,
        start: &str,
        most: usize,
        token: Option<String>,
    ) -> Result<(Vec<ObjectMeta>, Option<String>), Error> {
        let options = PaginatedListOptions {
            max_keys: Some(most),
            page_token: token,
            ..PaginatedListOptions::default()
        };
        let page = self.0.list_paginated(Some(start), options).await?;
        Ok((page.result.objects, page.page_token))
    }

    async fn get(&self, key: &Path) -> Result<Bytes, Error> {
        ObjectStoreExt::get(&self.0, key).await?.bytes().await
    }
}

/// A directory, of which only the one that a key is in is read.
struct Directory(LocalFileSystem);

#[async_trait]
impl Reader for Directory {
    async fn page(
        &self,
        start: &str,
        _most: usize,
        _token: Option<String>,
    ) -> Result<(Vec<ObjectMeta>, Option<String>), Error> {
        let directory = start
            .rsplit_once('/')
            .map(|(directory, _)| Path::from(directory));
        let mut found = match self.0.list_with_delimiter(directory.as_ref()).await {
            Ok(listed) => listed.objects,
            // Of a path that nothing was ever written to there is no directory.
            Err(Error::NotFound { .. }) if directory.is_some() => Vec::new(),
            Err(error) => return Err(error),
        };
        found.retain(|object| object.location.as_ref().starts_with(start));
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok((found, None))
    }

    async fn get(&self, key: &Path) -> Result<Bytes, Error> {
        ObjectStoreExt::get(&self.0, key).await?.bytes().await
    }
}
