//! A real object store: MinIO, which `minio.sh` runs, its buckets, and a client of them that is not ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::broker::Broker;
use crate::service::Service;

/// A running server. It ends when dropped, or with this process.
pub struct Store {
    service: Service,
}

impl Store {
    pub fn start() -> Store {
        Store::start_with(&[])
    }

    /// Starts a server that can tell a topic of the objects that come and go.
    pub fn start_with_notifications(broker: &Broker, topic: &str) -> Store {
        Store::start_with(&[
            ("TAPETRAIL_MINIO_BROKERS", broker.address()),
            ("TAPETRAIL_MINIO_TOPIC", topic),
        ])
    }

    fn start_with(environment: &[(&str, &str)]) -> Store {
        let service = Service::new("minio");
        service.start(environment);
        Store { service }
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) -> Bucket {
        self.service.call("bucket", &[name], &[], "");
        Bucket::new(name, self.environment())
    }

    /// Makes a bucket of whose objects the topic is told.
    pub fn bucket_with_notifications(&self, name: &str) -> Bucket {
        let bucket = self.bucket(name);
        self.service.call("notify", &[name], &[], "");
        bucket
    }

    /// Makes a bucket that anybody may list, and of which nobody else may read anything.
    pub fn shelf(&self, name: &str) -> Bucket {
        let bucket = self.bucket(name);
        self.service.call("shelve", &[name], &[], "");
        bucket
    }

    /// Ends the server as if its machine had failed.
    pub fn kill(&self) {
        self.service.stop("KILL");
    }

    /// Starts the server again: same port, same data.
    pub fn start_again(&self) {
        self.service.start(&[]);
    }

    /// What a client has to know, as `object_store` and the tools of AWS read it.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let facts = self.service.facts();
        [
            ("AWS_ENDPOINT", facts["ENDPOINT"].as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", facts["USER"].as_str()),
            ("AWS_SECRET_ACCESS_KEY", facts["PASSWORD"].as_str()),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into()
    }
}

/// A bucket, seen by a client of S3.
pub struct Bucket {
    name: String,
    environment: BTreeMap<String, String>,
    pub client: AmazonS3,
    pub runtime: Runtime,
    copy: TempDir,
}

impl Bucket {
    fn new(name: &str, environment: BTreeMap<String, String>) -> Bucket {
        let mut builder = AmazonS3Builder::new().with_bucket_name(name);
        for (key, value) in &environment {
            let key = key.to_ascii_lowercase().parse().expect("a setting");
            builder = builder.with_config(key, value);
        }
        Bucket {
            name: name.to_string(),
            environment,
            client: builder.build().expect("a client"),
            runtime: Runtime::new().expect("a runtime"),
            copy: tempfile::tempdir().expect("a directory"),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a process has to know to reach it.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    pub fn put(&self, key: &str, content: &'static str) {
        let key = Key::parse(key).expect("a key");
        let put = self.client.put(&key, content.into());
        self.runtime.block_on(put).expect("the object is put");
    }

    pub fn delete(&self, key: &str) {
        let key = Key::parse(key).expect("a key");
        let deleted = self.client.delete(&key);
        self.runtime
            .block_on(deleted)
            .expect("the object is deleted");
    }

    /// Lists everything, by key.
    pub fn objects(&self) -> Vec<ObjectMeta> {
        let all = self.client.list(None).try_collect();
        self.runtime.block_on(all).expect("a listing")
    }

    /// Returns a directory that holds all commits and data files, which never change once they are there.
    ///
    /// A listing is in the order of keys, so that commits come before the files that they name.
    pub fn copy(&self) -> PathBuf {
        let is_table = |key: &str| {
            key.ends_with(".parquet") || (key.contains("_delta_log/") && key.ends_with(".json"))
        };
        let mut objects = self.objects();
        objects.retain(|object| is_table(object.location.as_ref()));
        let copies = futures::stream::iter(objects)
            .map(|object| self.copy_one(object.location))
            .buffer_unordered(8)
            .collect::<()>();
        self.runtime.block_on(copies);
        self.copy.path().to_path_buf()
    }

    async fn copy_one(&self, key: Key) {
        let path = self.copy.path().join(key.as_ref());
        if path.exists() {
            return;
        }
        let object = self.client.get(&key).await.expect("is there");
        let bytes = object.bytes().await.expect("can be read");
        write_whole(&path, &bytes);
    }
}

/// Gives a file its name when all of it is there: another thread may copy the same one.
fn write_whole(path: &Path, bytes: &[u8]) {
    let directory = path.parent().expect("a file is in a directory");
    std::fs::create_dir_all(directory).expect("a directory");
    let mut file = tempfile::NamedTempFile::new_in(directory).expect("a file");
    std::io::Write::write_all(&mut file, bytes).expect("written");
    file.persist(path).expect("named");
}
