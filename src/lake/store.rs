//! Where a lake is: a directory of local disk, whose writes are made durable ([`super::disk`]), or an object store
//! ([`super::remote`]).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, PutMode, PutOptions};
use url::Url;

use super::disk::{self, SyncedDisk};
use super::remote;
use crate::config::Durability;

/// Where a lake is: the store, rooted at `/`, and the URL of the lake in it.
#[derive(Clone)]
pub struct Location {
    pub store: Arc<dyn ObjectStore>,
    /// Ends with a slash.
    pub url: Url,
    /// What an acknowledged write survives on local disk.
    pub durability: Durability,
}

/// Its name is written once in the life of a lake, and never again: whoever writes it learns whether the store keeps
/// what is there.
const PUT_IF_ABSENT: &str = "_put_if_absent";

/// Writers of that name at once. A store that looks first and writes then lets more than one win.
const PROBES: usize = 4;

impl Location {
    /// Opens the store of a lake given as a path or a URL. Creates nothing, asks for nothing.
    pub fn open(lake: &str, durability: Durability) -> Result<Location> {
        let path = match Url::parse(lake) {
            Ok(url) if url.scheme() == "file" => url
                .to_file_path()
                .map_err(|()| anyhow::anyhow!("lake: `{lake}` names no path on this machine"))?,
            // A single letter is a drive, not a scheme.
            Ok(url) if url.scheme().len() > 1 => {
                let (store, url) = remote::open(url)?;
                return Ok(Location {
                    store,
                    url,
                    durability,
                });
            }
            _ => PathBuf::from(lake),
        };
        let path = std::path::absolute(&path)
            .with_context(|| format!("lake: `{lake}` is no usable path"))?;
        let url = Url::from_directory_path(&path)
            .map_err(|()| anyhow::anyhow!("lake: `{}` is no usable path", path.display()))?;
        let disk = LocalFileSystem::new();
        let store: Arc<dyn ObjectStore> = match durability {
            Durability::Fsync => Arc::new(SyncedDisk::new(disk)),
            Durability::Os => Arc::new(disk),
        };
        Ok(Location {
            store,
            url,
            durability,
        })
    }

    /// Requires that of several writers of one name one wins and the others are told: commits stand on it. Some stores
    /// that speak S3 pass over the condition and answer that all is well; two consumers would overwrite each other.
    pub async fn require_put_if_absent(&self) -> Result<()> {
        if !remote::is_remote(&self.url) {
            // A link to a name that is taken fails.
            return Ok(());
        }
        let path = self.path(PUT_IF_ABSENT)?;
        let put = || {
            let create = PutOptions::from(PutMode::Create);
            self.store.put_opts(&path, "there\n".into(), create)
        };
        let mut won = 0;
        for outcome in join_all((0..PROBES).map(|_| put())).await {
            match outcome {
                Ok(_) => won += 1,
                Err(Error::AlreadyExists { .. }) => {}
                Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => won = PROBES,
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot write to the lake `{}`", self.url));
                }
            }
        }
        ensure!(
            won <= 1,
            "the lake `{}` is in a store that writes over what is there although it is told not to (PUT with `If-None-Match: *`): two writers would destroy each other's commits; use a store that keeps the condition, such as Amazon S3, MinIO, Google Cloud Storage or Azure, or a directory",
            self.url
        );
        Ok(())
    }

    /// Finds, on local disk, what processes left behind in `directory` of the lake and below that died while they wrote:
    /// staging files older than `before`. An object is there whole or not at all.
    pub fn leftovers(&self, directory: &str, before: SystemTime) -> Result<Vec<PathBuf>> {
        match self.disk_path(directory)? {
            Some(path) => Ok(disk::leftovers(path, before)?),
            None => Ok(Vec::new()),
        }
    }

    /// Puts the names that lead to `directory` of the lake, and those in it, on the medium.
    ///
    /// A process that was killed may have left some that it never synced. Who finds them and says that
    /// something is in the lake would say more than survives a power cut.
    pub async fn sync(&self, directory: &str) -> Result<()> {
        if self.durability == Durability::Os {
            return Ok(());
        }
        let (Some(path), Some(root)) = (self.disk_path(directory)?, self.disk_path("")?) else {
            // An object store acknowledges what it has stored.
            return Ok(());
        };
        tokio::task::spawn_blocking(move || disk::sync_from(&path, &root))
            .await?
            .with_context(|| format!("cannot sync the directory `{directory}` of the lake"))
    }

    /// Returns the lake as people write it, in quotes.
    pub(super) fn named(&self) -> String {
        let path = self.disk_path("").ok().flatten();
        path.map_or(format!("`{}`", self.url), |path| {
            format!("`{}`", path.display())
        })
    }

    /// Says what to look at when the store does not let us read.
    pub(super) fn out_of_reach(&self) -> String {
        let lake = self.named();
        match remote::is_remote(&self.url) {
            true => format!(
                "the lake {lake} is out of reach; endpoint and credentials come from the environment ({})",
                remote::variables(self.url.scheme())
            ),
            false => format!(
                "the lake {lake} cannot be read; it must be a directory that this process may enter"
            ),
        }
    }

    /// Returns what the store calls a name of the lake.
    pub(super) fn path(&self, name: &str) -> Result<Path> {
        Ok(Path::from_url_path(self.url.join(name)?.path())?)
    }

    /// Returns where a directory of the lake is on local disk; none where the lake is elsewhere.
    fn disk_path(&self, directory: &str) -> Result<Option<PathBuf>> {
        if self.url.scheme() != "file" {
            return Ok(None);
        }
        Ok(self.url.join(directory)?.to_file_path().ok())
    }
}
