//! Files of a lake that were damaged: opening or reading names the broken file, the version before it can be
//! read, and tables that cannot keep offsets are refused (faults F24, F30).

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::{DeltaTable, DeltaTableBuilder};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tapetrail::detection::library::Library;
use tapetrail::engine::{Engine, EngineOptions};
use tapetrail::lake::table::Lake;
use tapetrail::verify::verify;

use crate::lake::{Refused, STREAM, consume, lake_in, live_files, messages, read};

const LOG: &str = "lake/webhooks/_delta_log";

/// A lake whose table has versions 0 to 3.
async fn lake() -> (Lake, Arc<InMemory>) {
    let disk = Arc::new(InMemory::new());
    let lake = lake_in(disk.clone());
    consume(&lake, &messages(12), 4, Refused::Die)
        .await
        .expect("consumes");
    (lake, disk)
}

/// `verify` does not call a lake whole that it cannot read: it names the file.
async fn expect_named_by_verify(lake: &Lake, broken: &str) {
    let library = Library::embedded().expect("the queries are right");
    for is_full in [false, true] {
        let error = verify(lake, &library, is_full).await;
        let said = format!("{:#}", error.expect_err("cannot be verified"));
        assert!(said.contains(broken), "the file is not named: {said}");
    }
}

async fn truncate(disk: &InMemory, path: &Path, keep: impl Fn(usize) -> usize) {
    let bytes = disk
        .get(path)
        .await
        .expect("is there")
        .bytes()
        .await
        .expect("is read");
    let kept = bytes.slice(..keep(bytes.len()));
    disk.put(path, kept.into()).await.expect("is put");
}

async fn at_version(disk: Arc<InMemory>, version: u64) -> DeltaTable {
    let url: url::Url = "memory:///lake/webhooks/".parse().expect("a URL");
    DeltaTableBuilder::from_url(url.clone())
        .expect("a table's URL")
        .with_storage_backend(disk as Arc<dyn ObjectStore>, url)
        .with_version(version)
        .load()
        .await
        .expect("the version before is whole")
}

#[tokio::test]
async fn a_broken_commit_is_named_and_the_version_before_can_be_read() {
    for keep in [|_| 0, |length| length / 2] {
        let (lake, disk) = lake().await;
        let broken = format!("{:020}.json", 3);
        truncate(&disk, &Path::from(format!("{LOG}/{broken}")), keep).await;
        let error = lake.open(STREAM).await.expect_err("must not open");
        let said = format!("{error:#}");
        assert!(said.contains(&broken), "the file is not named: {said}");
        expect_named_by_verify(&lake, &broken).await;
        let table = at_version(disk, 2).await;
        let mut rows = 0;
        for path in live_files(&table) {
            rows += read(&table, &path)
                .await
                .iter()
                .map(|batch| batch.num_rows())
                .sum::<usize>();
        }
        assert!(rows >= 8, "{rows} rows of the first 8 messages");
    }
}

#[tokio::test]
async fn a_broken_checkpoint_is_named() {
    for keep in [|_| 0, |length| length / 2] {
        let (lake, disk) = lake().await;
        let table = lake.open(STREAM).await.expect("opens").expect("is there");
        deltalake::checkpoints::create_checkpoint(&table, None)
            .await
            .expect("is written");
        let broken = format!("{:020}.checkpoint.parquet", 3);
        truncate(&disk, &Path::from(format!("{LOG}/{broken}")), keep).await;
        let error = lake.open(STREAM).await.expect_err("must not open");
        let said = format!("{error:#}");
        assert!(said.contains(&broken), "the file is not named: {said}");
        expect_named_by_verify(&lake, &broken).await;
        let table = at_version(disk, 2).await;
        assert!(!live_files(&table).is_empty());
    }
}

#[tokio::test]
async fn a_broken_data_file_is_named_when_it_is_read() {
    for keep in [|_| 0, |length| length / 2] {
        let (lake, disk) = lake().await;
        let table = lake.open(STREAM).await.expect("opens").expect("is there");
        let newest = live_files(&table)[0].clone();
        truncate(&disk, &Path::from(format!("lake/webhooks/{newest}")), keep).await;
        let views = Library::embedded().expect("the queries are right").views();
        let options = EngineOptions {
            views,
            ..EngineOptions::default()
        };
        let engine = Engine::open(&lake, options)
            .await
            .expect("the log is whole");
        let error = engine
            .run("SELECT event_id, payload FROM webhooks", &[])
            .await;
        let said = format!("{:#}", error.expect_err("must not give half of the rows"));
        assert!(said.contains(&newest), "the file is not named: {said}");
        expect_named_by_verify(&lake, &newest).await;
    }
}

#[tokio::test]
async fn a_table_that_forgets_offsets_is_refused() {
    let disk = Arc::new(InMemory::new());
    let url: url::Url = "memory:///lake/webhooks/".parse().expect("a URL");
    let log_store = DeltaTableBuilder::from_url(url.clone())
        .expect("a table's URL")
        .with_storage_backend(disk.clone() as Arc<dyn ObjectStore>, url)
        .build()
        .expect("a table")
        .log_store();
    let schema = tapetrail::lake::table::stored_schema(STREAM);
    let schema: StructType = (&schema).try_into_kernel().expect("Delta has these types");
    let property = "delta.setTransactionRetentionDuration";
    DeltaTable::new(log_store)
        .create()
        .with_columns(schema.fields().cloned())
        .with_partition_columns(["event_date"])
        .with_configuration(HashMap::from([(
            property.to_string(),
            Some("interval 7 days".to_string()),
        )]))
        .await
        .expect("is made");
    let error = lake_in(disk)
        .open_or_create(STREAM)
        .await
        .expect_err("must be refused");
    let said = error.to_string();
    assert!(
        said.contains(property) && said.contains("remove the property"),
        "{said}"
    );
}
