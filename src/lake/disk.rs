//! Local disk whose `put` returns once it would survive a power cut: neither `deltalake` nor `object_store` syncs
//! anything (engineering notes, section 3).

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, UploadPart,
};

use super::failpoint::failpoint;

/// Local disk whose writes are on the medium before they are acknowledged.
#[derive(Debug)]
pub struct SyncedDisk {
    disk: LocalFileSystem,
    staged: AtomicU64,
    unsure: Arc<Unsure>,
}

/// Files whose write ended in an error: the name may be there, though not on the medium. Who looks for it, to
/// learn what became of the write, must not be shown a name that a power cut takes away again.
#[derive(Debug, Default)]
struct Unsure(Mutex<BTreeSet<PathBuf>>);

impl Unsure {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how the write of a file ended.
    fn note<T>(&self, path: PathBuf, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.is_err() {
            self.lock().insert(path);
        }
        outcome
    }

    /// Syncs the directories of these files. Blocks, but only after an error.
    fn settle(&self) -> object_store::Result<()> {
        let mut unsure = self.lock();
        while let Some(path) = unsure.first() {
            match sync_directories(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(store_error(
                        &Path::from(path.to_string_lossy().as_ref()),
                        error,
                    ));
                }
                _ => drop(unsure.pop_first()),
            }
        }
        Ok(())
    }
}

impl SyncedDisk {
    pub fn new(disk: LocalFileSystem) -> Self {
        SyncedDisk {
            disk,
            staged: AtomicU64::new(0),
            unsure: Arc::default(),
        }
    }

    /// Returns a name beside `path` that listings leave out (`LocalFileSystem` hides `#<digits>`).
    fn staging_path(&self, path: &FilePath) -> PathBuf {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}{number:06}", std::process::id()));
        PathBuf::from(name)
    }
}

impl fmt::Display for SyncedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SyncedDisk({})", self.disk)
    }
}

#[async_trait]
impl ObjectStore for SyncedDisk {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let path = self.disk.path_to_filesystem(location)?;
        let staging = self.staging_path(&path);
        let location = location.clone();
        let unsure = Arc::clone(&self.unsure);
        tokio::task::spawn_blocking(move || {
            let outcome = put_synced(&path, &staging, &payload, &options.mode);
            if outcome.is_err() {
                let _ = fs::remove_file(&staging);
            }
            (unsure.note(path, outcome)).map_err(|source| store_error(&location, source))
        })
        .await
        .map_err(|source| object_store::Error::JoinError { source })?
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(SyncedUpload {
            upload: self.disk.put_multipart_opts(location, options).await?,
            path: self.disk.path_to_filesystem(location)?,
            location: location.clone(),
            unsure: Arc::clone(&self.unsure),
        }))
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.unsure.settle()?;
        self.disk.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.unsure.settle()?;
        self.disk.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.disk.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.unsure.settle() {
            Ok(()) => self.disk.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.unsure.settle() {
            Ok(()) => self.disk.list_with_offset(prefix, offset),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.unsure.settle()?;
        self.disk.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.disk.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &Path,
        to: &Path,
        options: RenameOptions,
    ) -> object_store::Result<()> {
        self.disk.rename_opts(from, to, options).await
    }
}

/// A multipart upload whose file is synced before it counts as complete.
#[derive(Debug)]
struct SyncedUpload {
    upload: Box<dyn MultipartUpload>,
    path: PathBuf,
    location: Path,
    unsure: Arc<Unsure>,
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let result = self.upload.complete().await?;
        let (path, unsure) = (self.path.clone(), Arc::clone(&self.unsure));
        tokio::task::spawn_blocking(move || {
            let outcome = (File::open(&path).and_then(|file| file.sync_all()))
                .and_then(|()| sync_directories(&path));
            unsure.note(path, outcome)
        })
        .await
        .map_err(|source| object_store::Error::JoinError { source })?
        .map_err(|source| store_error(&self.location, source))?;
        Ok(result)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.upload.abort().await
    }
}

/// Writes and syncs a staging file, gives it its name in one step, and syncs the directories.
fn put_synced(
    path: &FilePath,
    staging: &FilePath,
    payload: &PutPayload,
    mode: &PutMode,
) -> io::Result<PutResult> {
    let mut file = create_staging(staging)?;
    for part in payload.iter() {
        file.write_all(part)?;
    }
    file.sync_all()?;
    drop(file);
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        failpoint("inside_commit");
    }
    match mode {
        PutMode::Overwrite => fs::rename(staging, path)?,
        PutMode::Create => {
            // A link fails when the name is taken: put-if-absent.
            fs::hard_link(staging, path)?;
            fs::remove_file(staging)?;
        }
        PutMode::Update(_) => return Err(io::ErrorKind::Unsupported.into()),
    }
    sync_directories(path)?;
    Ok(PutResult {
        e_tag: None,
        version: None,
    })
}

fn create_staging(staging: &FilePath) -> io::Result<File> {
    let create = || {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(staging)
    };
    match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(directory) = staging.parent() {
                create_directory(directory)?;
            }
            create()
        }
        outcome => outcome,
    }
}

/// Makes a directory and those above it that are missing, and syncs each where its name is kept.
fn create_directory(directory: &FilePath) -> io::Result<()> {
    let missing: Vec<&FilePath> = (directory.ancestors())
        .take_while(|ancestor| !ancestor.exists())
        .collect();
    fs::create_dir_all(directory)?;
    for parent in missing.iter().filter_map(|made| made.parent()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Syncs the directory of a file and the one above it, which may have just got that directory.
fn sync_directories(path: &FilePath) -> io::Result<()> {
    for directory in path.ancestors().skip(1).take(2) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Syncs a directory of the lake and all above it.
pub(super) fn sync_from(directory: &FilePath, root: &FilePath) -> io::Result<()> {
    for directory in directory.ancestors() {
        match File::open(directory) {
            Ok(opened) => opened.sync_all()?,
            // Above the lake: nobody with our rights made what we may not even list.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && !directory.starts_with(root) =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn store_error(location: &Path, source: io::Error) -> object_store::Error {
    let path = location.to_string();
    match source.kind() {
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists {
            path,
            source: source.into(),
        },
        io::ErrorKind::NotFound => object_store::Error::NotFound {
            path,
            source: source.into(),
        },
        io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied {
            path,
            source: source.into(),
        },
        _ => object_store::Error::Generic {
            store: "SyncedDisk",
            source: source.into(),
        },
    }
}

/// Finds what processes left behind in a directory and below that died while they wrote: staging files older than
/// `before`.
pub(super) fn leftovers(directory: PathBuf, before: SystemTime) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut directories) = (Vec::new(), vec![directory]);
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else {
                // Given its name since.
                continue;
            };
            if metadata.is_dir() {
                directories.push(entry.path());
            } else if is_staging(&entry.file_name().to_string_lossy())
                && metadata.modified()? < before
            {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Says whether a name is that of a staging file, which listings of the store leave out.
fn is_staging(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn put_if_absent_refuses_a_name_that_is_taken() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = LocalFileSystem::new_with_prefix(directory.path()).expect("opens");
        let store = SyncedDisk::new(disk);
        let name = Path::from("a/b/1.json");
        let create = PutOptions::from(PutMode::Create);
        store
            .put_opts(&name, "first".into(), create.clone())
            .await
            .expect("free");
        let second = store.put_opts(&name, "second".into(), create).await;
        assert!(matches!(
            second,
            Err(object_store::Error::AlreadyExists { .. })
        ));
        let bytes = store.get(&name).await.expect("there").bytes().await;
        assert_eq!(bytes.expect("readable").as_ref(), b"first");
        let left = fs::read_dir(directory.path().join("a/b")).expect("there");
        assert_eq!(left.count(), 1, "no staging file stays behind");
    }
}
