//! Several writers of one table: of one partition the later loses, of different partitions both land, and a
//! rewrite of files beside them changes no row (faults F6 to F9).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use chrono::NaiveDate;
use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Remove};
use deltalake::protocol::DeltaOperation;
use object_store::ObjectStoreExt;
use tapetrail::lake::commit::CommitError;
use tapetrail::lake::encode::encode;
use tapetrail::table::{PARTITION_COLUMN, schema};

use crate::lake::{
    BEGIN, Refused, STREAM, app_id, consume, contents, expect_exactly, ledger, live_files,
    memory_lake, messages, read, written,
};

fn fenced(outcome: Result<u64, CommitError>) -> String {
    match outcome {
        Err(CommitError::Fenced(why)) => why,
        other => panic!("must be fenced: {other:?}"),
    }
}

#[tokio::test]
async fn a_writer_whose_state_is_old_loses_the_partition_that_another_advanced() {
    let lake = memory_lake();
    let (mut owner, mut zombie) = (ledger(&lake).await.unwrap(), ledger(&lake).await.unwrap());
    let of_owner = written(&owner, 0, 0, &messages(6)).await.unwrap();
    let of_zombie = written(&zombie, 0, 0, &messages(4)).await.unwrap();
    owner.commit(&of_owner).await.expect("is first");
    let why = fenced(zombie.commit(&of_zombie).await);
    assert_eq!(
        why,
        "`c1/recording.webhooks/0@0` stands at 6, this batch begins at 0"
    );
    assert_eq!(
        zombie.stored(&app_id(0)).await.unwrap(),
        Some(6),
        "it can read on from there"
    );
    // The very same range, from another writer: not taken for our own, the files are not.
    let same = written(&zombie, 0, 0, &messages(6)).await.unwrap();
    fenced(zombie.commit(&same).await);
    assert_eq!(owner.version(), 1);
    expect_exactly(&lake, &[6]).await;
}

#[tokio::test]
async fn a_repeated_a_lower_and_a_later_range_are_refused() {
    let lake = memory_lake();
    let mut ledger = ledger(&lake).await.unwrap();
    for (from, count) in [(0, 6), (6, 4)] {
        let batch = written(&ledger, 0, from, &messages(count)).await.unwrap();
        ledger.commit(&batch).await.expect("follows");
    }
    let before = contents(&lake).await;
    // Repeats the last, repeats the first, leaves a hole, overlaps.
    for (from, count) in [(6, 4), (0, 6), (11, 2), (8, 4)] {
        let batch = written(&ledger, 0, from, &messages(count)).await.unwrap();
        fenced(ledger.commit(&batch).await);
    }
    assert_eq!(contents(&lake).await, before);
    assert_eq!(ledger.stored(&app_id(0)).await.unwrap(), Some(10));
    expect_exactly(&lake, &[10]).await;
}

/// Whoever loses the race for a version tries the next one at once, and falls no further behind by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_commit_all_the_time_let_each_other_in() {
    const WRITERS: i32 = 4;
    const ROUNDS: i64 = 8;
    let lake = Arc::new(memory_lake());
    let mut writers = Vec::new();
    for partition in 0..WRITERS {
        let lake = lake.clone();
        writers.push(tokio::spawn(async move {
            let mut ledger = ledger(&lake).await.unwrap();
            for round in 0..ROUNDS {
                let batch = written(&ledger, partition, round, &messages(1))
                    .await
                    .unwrap();
                ledger.commit(&batch).await.expect("has its turn");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("every batch lands");
    }
    expect_exactly(&lake, &[ROUNDS as usize; WRITERS as usize]).await;
}

/// F8, from states that are as old as can be.
#[tokio::test]
async fn writers_of_different_partitions_both_land() {
    let lake = memory_lake();
    let mut ledgers = Vec::new();
    for _ in 0..4 {
        ledgers.push(ledger(&lake).await.unwrap());
    }
    for round in 0..3 {
        for (partition, ledger) in (0..).zip(&mut ledgers) {
            let batch = written(ledger, partition, round * 5, &messages(5))
                .await
                .unwrap();
            ledger
                .commit(&batch)
                .await
                .expect("nobody else writes this partition");
        }
    }
    for partition in 0..4 {
        let ledger = &mut ledgers[0];
        ledger.refresh().await.unwrap();
        assert_eq!(ledger.stored(&app_id(partition)).await.unwrap(), Some(15));
    }
    assert_eq!(ledgers[0].version(), 12);
    expect_exactly(&lake, &[15; 4]).await;
}

#[tokio::test]
async fn two_makers_of_one_table_end_with_the_same_table() {
    let lake = memory_lake();
    let (one, two) = tokio::join!(lake.open_or_create(STREAM), lake.open_or_create(STREAM));
    assert_eq!(one.expect("opens").version(), Some(0));
    assert_eq!(two.expect("opens").version(), Some(0));
}

#[tokio::test]
async fn one_partition_that_was_lost_takes_the_whole_batch_with_it() {
    let lake = memory_lake();
    let (mut owner, mut both) = (ledger(&lake).await.unwrap(), ledger(&lake).await.unwrap());
    let mut batch = written(&both, 0, 0, &messages(5)).await.unwrap();
    let second = written(&both, 1, 0, &messages(5)).await.unwrap();
    batch.adds.extend(second.adds);
    batch.extend_ranges(second.ranges);
    let of_owner = written(&owner, 1, 0, &messages(3)).await.unwrap();
    owner.commit(&of_owner).await.expect("is first");
    fenced(both.commit(&batch).await);
    assert_eq!(
        both.stored(&app_id(0)).await.unwrap(),
        None,
        "all or nothing"
    );
    assert_eq!(both.stored(&app_id(1)).await.unwrap(), Some(3));
    expect_exactly(&lake, &[0, 3]).await;
}

/// F9: consumption and a rewrite take turns, each from a state that is older than the other's commit.
#[tokio::test]
async fn a_rewrite_beside_the_consumer_loses_and_repeats_nothing() {
    let undisturbed = memory_lake();
    consume(&undisturbed, &messages(24), 4, Refused::Die)
        .await
        .unwrap();

    let lake = memory_lake();
    let mut ledger = ledger(&lake).await.unwrap();
    for from in (0..24).step_by(4) {
        let before_append = lake.open(STREAM).await.unwrap().unwrap();
        let batch = written(&ledger, 0, from, &messages(24)[from as usize..][..4])
            .await
            .unwrap();
        ledger
            .commit(&batch)
            .await
            .expect("a rewrite does not fence a consumer");
        // Commits beside an append that it has not seen; the next append has not seen it, either.
        rewrite(before_append).await;
    }
    rewrite(lake.open(STREAM).await.unwrap().unwrap()).await;
    assert_eq!(contents(&lake).await, contents(&undisturbed).await);
    let table = lake.open(STREAM).await.unwrap().unwrap();
    assert!(
        live_files(&table).len() <= 3,
        "files of one date were joined"
    );
    assert_eq!(ledger.stored(&app_id(0)).await.unwrap(), Some(24));
    expect_exactly(&lake, &[24]).await;
}

/// Joins the files of each date into one, as compaction does: the same rows in other files.
async fn rewrite(mut table: DeltaTable) {
    let paths = live_files(&table);
    let mut by_date: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in paths {
        let (date, _) = path
            .split_once('/')
            .expect("files are in a date's directory");
        by_date.entry(date.to_string()).or_default().push(path);
    }
    let mut actions = Vec::new();
    for paths in by_date.into_values().filter(|paths| paths.len() > 1) {
        let mut batches = Vec::new();
        for path in &paths {
            batches.extend(read(&table, path).await);
            actions.push(Action::Remove(Remove {
                path: path.clone(),
                data_change: false,
                deletion_timestamp: Some(BEGIN / 1000),
                ..Remove::default()
            }));
        }
        let joined = concat_batches(&batches[0].schema(), &batches).expect("have one schema");
        for file in encode(STREAM, &with_date(&paths[0], joined), BEGIN / 1000).expect("encodes") {
            let path = object_store::path::Path::from(file.add.path.as_str());
            table
                .object_store()
                .put(&path, file.bytes.into())
                .await
                .expect("is put");
            actions.push(Action::Add(deltalake::kernel::Add {
                data_change: false,
                ..file.add
            }));
        }
    }
    if actions.is_empty() {
        return;
    }
    let state = table.snapshot().expect("is loaded").clone();
    let operation = DeltaOperation::Optimize {
        predicate: None,
        target_size: 1 << 27,
    };
    CommitBuilder::from(CommitProperties::default())
        .with_actions(actions)
        .build(Some(&state), table.log_store(), operation)
        .await
        .expect("an append does not conflict with a rewrite");
    table.update_state().await.expect("loads");
}

/// Returns the rows of a file as the table has them: with the date, which is in the path alone.
fn with_date(path: &str, rows: RecordBatch) -> RecordBatch {
    let (_, date) = path.split_once('=').expect("the directory names the date");
    let date = NaiveDate::parse_from_str(&date[..10], "%Y-%m-%d").expect("a date");
    let days = date.signed_duration_since(NaiveDate::default()).num_days() as i32;
    let schema = schema(STREAM);
    let columns = (schema.fields().iter())
        .map(|field| match field.name().as_str() {
            PARTITION_COLUMN => {
                Arc::new(Date32Array::from_value(days, rows.num_rows())) as ArrayRef
            }
            name => cast(&rows[name], field.data_type()).expect("the same type in memory"),
        })
        .collect();
    RecordBatch::try_new(schema, columns).expect("has all columns")
}
