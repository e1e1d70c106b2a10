//! Maintenance beside consumers: the rows stay the same, whatever fails and whoever commits at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use tapetrail::clock::Clock;
use tapetrail::config;
use tapetrail::detection::library::Library;
use tapetrail::event::{MICROS_PER_DAY, Micros};
use tapetrail::lake::commit::CommitError;
use tapetrail::lake::history::History;
use tapetrail::lake::log::stored_offsets;
use tapetrail::lake::table::Lake;
use tapetrail::maintain::{Maintenance, Summary};
use tapetrail::verify::verify;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::faulty_store::{Call, Fault, FaultyStore, Operation, Verdict};
use crate::lake::{
    BEGIN, Refused, STREAM, app_id, consume, contents, lake_in, ledger, lines_of, live_files,
    messages, read, verified, written,
};
use crate::reach::assert_reach;

/// Messages of four days, twelve a day.
const MESSAGES: usize = 42;

/// A commit for every other message: each leaves a file or two.
const COMMIT: usize = 2;

fn settings() -> config::Maintain {
    config::Maintain::default()
}

/// Settings that do everything there is to do, at [`long_after`].
fn thorough() -> config::Maintain {
    config::Maintain {
        retention: Some(std::time::Duration::from_secs(40 * 86_400)),
        ..settings()
    }
}

/// An instant when the first day of the messages is older than [`thorough`] keeps.
fn after_retention() -> Clock {
    Clock::fixed(BEGIN + 41 * MICROS_PER_DAY)
}

/// An instant when all versions of today are older than the history.
fn long_after() -> Micros {
    Clock::system().now() + 60 * MICROS_PER_DAY
}

async fn maintain(lake: &Lake, settings: &config::Maintain, clock: &Clock) -> Result<Summary> {
    let maintenance = Maintenance {
        settings,
        is_dry_run: false,
        clock,
        stop: &CancellationToken::new(),
        progress: &|_| {},
    };
    let summaries = maintenance.run(lake).await?;
    Ok(summaries.into_iter().next().unwrap_or_default())
}

/// Returns a store with a lake of many small files.
async fn small_files() -> Arc<InMemory> {
    let disk = Arc::new(InMemory::new());
    let lake = lake_in(disk.clone());
    let outcome = consume(&lake, &messages(MESSAGES), COMMIT, Refused::Die).await;
    outcome.expect("a store that works");
    disk
}

async fn problems(lake: &Lake) -> Vec<&'static str> {
    let library = Library::embedded().expect("the queries are right");
    let report = verify(lake, &library, true).await.expect("can be verified");
    report.problems.iter().map(|problem| problem.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_small_files_become_one_sorted_file_with_the_same_rows() {
    let disk = small_files().await;
    let lake = lake_in(disk.clone());
    let before = contents(&lake).await;
    let reach_before = assert_reach(&lake).await;
    let summary = maintain(&lake, &settings(), &Clock::system()).await;
    let summary = summary.expect("maintains");
    assert!(summary.files_before > 20, "{summary:?}");
    assert_eq!(contents(&lake).await, before);
    assert_eq!(assert_reach(&lake).await, reach_before);
    verified(&lake).await;

    let table = lake.open(STREAM).await.expect("opens").expect("is there");
    let paths = live_files(&table);
    assert_eq!(paths.len(), summary.files_after);
    let sorted: Vec<_> = paths
        .iter()
        .filter(|path| path.contains("/sorted-"))
        .collect();
    let days: BTreeSet<_> = sorted.iter().map(|path| path.split_once('/')).collect();
    assert_eq!(days.len(), sorted.len(), "one for each day: {paths:?}");
    assert!(sorted.len() >= 3, "{paths:?}");
    for path in sorted {
        let keys: Vec<_> = (read(&table, path).await.iter())
            .flat_map(|rows| lines_of(&rows.project(&key_columns(rows)).expect("columns")))
            .collect();
        assert!(keys.is_sorted(), "{path}: {keys:#?}");
    }
    let again = maintain(&lake, &settings(), &Clock::system())
        .await
        .expect("maintains");
    assert_eq!(again.files_before, again.files_after, "nothing more to do");
}

/// Session first: all of the messages have one, or none at all, as dead letters.
fn key_columns(rows: &arrow::array::RecordBatch) -> Vec<usize> {
    let index = |name| rows.schema().index_of(name).expect("a column");
    vec![index("sid"), index("occurred_at")]
}

/// Other engines skip compactions when they follow changes, and prune files by their statistics.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_is_a_legal_compaction() {
    let disk = small_files().await;
    let lake = lake_in(disk.clone());
    maintain(&lake, &settings(), &Clock::system())
        .await
        .expect("maintains");
    let mut rewrites = 0;
    for actions in commits(&disk).await {
        let operation = actions
            .iter()
            .find_map(|it| it["commitInfo"]["operation"].as_str());
        if operation != Some("OPTIMIZE") {
            continue;
        }
        rewrites += 1;
        let rows_of = |add: &Value| -> Option<u64> {
            let stats: Value = serde_json::from_str(add["stats"].as_str()?).ok()?;
            stats["numRecords"].as_u64()
        };
        let adds: Vec<&Value> = actions.iter().filter_map(|it| it.get("add")).collect();
        let removes: Vec<&Value> = actions.iter().filter_map(|it| it.get("remove")).collect();
        assert!(removes.len() > adds.len() && !adds.is_empty());
        for action in adds.iter().chain(&removes) {
            assert_eq!(action["dataChange"], false, "{action}");
            assert!(
                action["partitionValues"]["event_date"].is_string(),
                "{action}"
            );
            assert!(action["size"].as_u64() > Some(0), "{action}");
        }
        assert!(adds.iter().all(|add| rows_of(add) > Some(0)), "{adds:?}");
        assert!(
            actions.iter().all(|it| it.get("txn").is_none()),
            "{actions:?}"
        );
    }
    assert!(rewrites >= 3, "a commit a day");
}

async fn commits(disk: &InMemory) -> Vec<Vec<Value>> {
    let log = Path::from("lake/webhooks/_delta_log");
    let listed = disk.list_with_delimiter(Some(&log)).await.expect("lists");
    let mut commits = Vec::new();
    for file in listed.objects {
        if file.location.extension() == Some("json") {
            let bytes = disk
                .get(&file.location)
                .await
                .expect("is there")
                .bytes()
                .await;
            let bytes = bytes.expect("can be read");
            let lines = bytes.split(|byte| *byte == b'\n');
            let lines = lines.map(|line| serde_json::from_slice(line).expect("is JSON"));
            commits.push(lines.collect());
        }
    }
    commits
}

/// What a run finds in a lake of two days, of which the first is too old: something of everything to do.
async fn two_days() -> Arc<InMemory> {
    let disk = Arc::new(InMemory::new());
    let outcome = consume(&lake_in(disk.clone()), &messages(16), COMMIT, Refused::Die).await;
    outcome.expect("a store that works");
    disk
}

/// Says whether a call changes what the store holds. Who dies between two of these leaves what the first left.
fn is_change(call: &Call) -> bool {
    matches!(call.operation, Operation::Put | Operation::Delete)
}

/// Dies at a change: before it, or when it was made and nobody heard the answer.
fn dying(disk: Arc<InMemory>, at: usize, is_performed: bool) -> Arc<FaultyStore> {
    let changes = AtomicUsize::new(0);
    FaultyStore::new(disk, move |call| {
        let step = usize::from(is_change(call));
        let number = changes.fetch_add(step, Ordering::SeqCst) + step;
        match number.cmp(&at) {
            std::cmp::Ordering::Less => Verdict::Pass,
            std::cmp::Ordering::Equal if is_performed && step == 1 => {
                Verdict::LoseAnswer(Fault::Died)
            }
            _ => Verdict::Refuse(Fault::Died),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_every_change_of_the_store_harms_nothing() {
    let whole = two_days().await;
    let before = contents(&lake_in(whole.clone())).await;
    let lake = lake_in(Arc::new(whole.fork()));
    maintain(&lake, &thorough(), &after_retention())
        .await
        .expect("maintains");
    let expected = contents(&lake).await;
    assert_ne!(expected, before, "a day is dropped");
    verified(&lake).await;
    for is_performed in [false, true] {
        for at in 1.. {
            let what = format!("change {at}, performed: {is_performed}");
            let disk = Arc::new(whole.fork());
            let store = dying(disk.clone(), at, is_performed);
            let first = maintain(&lake_in(store), &thorough(), &after_retention()).await;
            let lake = lake_in(disk);
            let found = contents(&lake).await;
            assert!(found == before || found == expected, "{what}");
            let second = maintain(&lake, &thorough(), &after_retention()).await;
            second.expect("maintains");
            assert_eq!(contents(&lake).await, expected, "{what}");
            if first.is_ok() {
                assert!(at > 5, "only {at} changes");
                verified(&lake).await;
                break;
            }
        }
    }
}

/// The same where versions and files are removed.
#[tokio::test(flavor = "multi_thread")]
async fn death_while_cleaning_leaves_a_log_that_can_be_read() {
    let whole = two_days().await;
    let now = Clock::system();
    maintain(&lake_in(whole.clone()), &settings(), &now)
        .await
        .expect("maintains");
    let expected = contents(&lake_in(whole.clone())).await;
    let clock = Clock::fixed(long_after());
    for is_performed in [false, true] {
        for at in 1.. {
            let what = format!("change {at}, performed: {is_performed}");
            let disk = Arc::new(whole.fork());
            let store = dying(disk.clone(), at, is_performed);
            let first = maintain(&lake_in(store), &settings(), &clock).await;
            let lake = lake_in(disk);
            assert_eq!(contents(&lake).await, expected, "{what}");
            let more = [messages(16), messages(2)].concat();
            consume(&lake, &more, COMMIT, Refused::Die)
                .await
                .expect("goes on");
            if first.is_ok() {
                assert!(at > 8, "only {at} changes");
                verified(&lake).await;
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_failure_of_the_store_costs_a_run_at_most() {
    let whole = two_days().await;
    let lake = lake_in(Arc::new(whole.fork()));
    maintain(&lake, &thorough(), &after_retention())
        .await
        .expect("maintains");
    let expected = contents(&lake).await;
    for at in (1..).step_by(7) {
        let disk = Arc::new(whole.fork());
        let store = FaultyStore::new(disk.clone(), move |call| match call.number == at {
            true => Verdict::LoseAnswer(Fault::ServiceUnavailable),
            false => Verdict::Pass,
        });
        let _ = maintain(&lake_in(store.clone()), &thorough(), &after_retention()).await;
        let lake = lake_in(disk);
        maintain(&lake, &thorough(), &after_retention())
            .await
            .expect("maintains");
        assert_eq!(contents(&lake).await, expected, "call {at}");
        if store.calls().len() < at {
            assert!(at > 50, "only {at} calls");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumers_commit_lands_whatever_was_maintained_since_it_looked() {
    let disk = small_files().await;
    let lake = lake_in(disk);
    let mut consumer = ledger(&lake).await.expect("opens");
    let more = messages(4);
    let batch = written(&consumer, 0, MESSAGES as i64, &more)
        .await
        .expect("is written");
    let before = contents(&lake).await.len();
    let summary = maintain(&lake, &thorough(), &after_retention())
        .await
        .expect("maintains");
    assert!(summary.rows_dropped > 0 && summary.files_after < summary.files_before);
    let kept = contents(&lake).await.len();
    consumer
        .commit(&batch)
        .await
        .expect("is not fenced, and needs no second call");
    assert!(contents(&lake).await.len() > kept);
    assert!(kept < before);
    verified(&lake).await;
}

/// The consumer wins the version that a rewrite was about to take.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_lands_on_a_table_that_moved_under_it() {
    let disk = small_files().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::new(Semaphore::new(0));
    let (holding, holds) = (gate.clone(), held.clone());
    let store = FaultyStore::new(disk.clone(), move |call| {
        if call.is_commit() {
            holds.add_permits(1);
            return Verdict::Hold(holding.clone());
        }
        Verdict::Pass
    });
    let maintenance =
        tokio::spawn(async move { maintain(&lake_in(store), &settings(), &Clock::system()).await });
    let lake = lake_in(disk);
    let mut consumer = ledger(&lake).await.expect("opens");
    let mut offset = MESSAGES as i64;
    while !maintenance.is_finished() {
        // Every commit of the rewrite waits until the consumer has taken its version.
        let waits = tokio::time::timeout(std::time::Duration::from_millis(200), held.acquire());
        let Ok(permit) = waits.await else { continue };
        permit.expect("stays").forget();
        if offset < MESSAGES as i64 + 12 {
            consumer.refresh().await.expect("refreshes");
            let batch = written(&consumer, 0, offset, &messages(2))
                .await
                .expect("is written");
            consumer.commit(&batch).await.expect("commits");
            offset += 2;
        }
        gate.add_permits(1);
    }
    let summary = maintenance.await.expect("no panic").expect("maintains");
    assert!(summary.files_after < summary.files_before, "{summary:?}");
    assert_eq!(
        consumer.stored(&app_id(0)).await.expect("known"),
        Some(offset)
    );
    verified(&lake).await;
}

/// `deltalake` would let both land, and every row would be there twice.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_rewrites_of_the_same_files_one_lands() {
    let disk = small_files().await;
    let expected = contents(&lake_in(disk.clone())).await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::new(Semaphore::new(0));
    let (holding, holds) = (gate.clone(), held.clone());
    let store = FaultyStore::new(disk.clone(), move |call| {
        if call.is_commit() {
            holds.add_permits(1);
            return Verdict::Hold(holding.clone());
        }
        Verdict::Pass
    });
    let slow =
        tokio::spawn(async move { maintain(&lake_in(store), &settings(), &Clock::system()).await });
    held.acquire().await.expect("stays").forget();
    let lake = lake_in(disk.clone());
    maintain(&lake, &settings(), &Clock::system())
        .await
        .expect("maintains");
    gate.add_permits(100);
    slow.await
        .expect("no panic")
        .expect("finds that there is nothing to do");
    assert_eq!(contents(&lake).await, expected);
    verified(&lake).await;
    let table = lake.open(STREAM).await.expect("opens").expect("is there");
    let live = live_files(&table);
    let files = tapetrail::lake::history::data_files(&table)
        .await
        .expect("lists");
    let left = files
        .iter()
        .filter(|file| file.location.as_ref().contains("/sorted-"));
    assert_eq!(
        left.count(),
        live.iter().filter(|path| path.contains("/sorted-")).count(),
        "the loser removes what it wrote for nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_day_leaves_gaps_that_verify_passes_over_and_nothing_else() {
    let lake = lake_in(small_files().await);
    let before = contents(&lake).await;
    let summary = maintain(&lake, &thorough(), &after_retention())
        .await
        .expect("maintains");
    assert_eq!(summary.days_dropped, 1, "{summary:?}");
    let after = contents(&lake).await;
    let (gaps, rows): (Vec<_>, Vec<_>) = after
        .into_iter()
        .partition(|row| row.contains("reason=retention"));
    assert!(rows.iter().all(|row| before.contains(row)));
    assert_eq!(before.len() - rows.len(), summary.rows_dropped as usize);
    assert!(
        !gaps.is_empty() && gaps.len() < summary.rows_dropped as usize,
        "{gaps:?}"
    );
    verified(&lake).await;

    // A month later the other days follow, and the gaps become one.
    let later = Clock::fixed(BEGIN + 80 * MICROS_PER_DAY);
    maintain(&lake, &thorough(), &later)
        .await
        .expect("maintains");
    let left = contents(&lake).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains("offset=0 ") && left[0].contains(&format!("offset_to={MESSAGES}")));
    verified(&lake).await;
    // Nothing comes a second time.
    consume(&lake, &messages(MESSAGES), COMMIT, Refused::Die)
        .await
        .expect("has it all");
    assert_eq!(contents(&lake).await, left);
}

/// A list of two events of different days: one goes, the other stays, first or last.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_message_of_two_days_only_the_old_event_goes() {
    let event = |id: &str, at: Micros| {
        let at = at / 1000;
        format!(
            r#"{{"noticeId":"{id}","productId":3,"eventType":40,"notifyMs":{at},"payload":{{"cname":"room","uid":"7","sid":"5f0a0000000000000000000000000001","sequence":1,"sendts":{at},"serviceType":0,"details":{{"msgName":"recorder_started"}}}}}}"#
        )
    };
    let (old, young) = (BEGIN - 3 * MICROS_PER_DAY, BEGIN);
    let mut all = Vec::new();
    for (first, second) in [
        (old, young),
        (young, old),
        (old, old),
        (young, young),
        (old, old),
    ] {
        let number = all.len();
        let list = [
            event(&format!("a{number}"), first),
            event(&format!("b{number}"), second),
        ];
        all.push(format!("[{}]", list.join(",")).into_bytes());
    }
    let lake = crate::lake::memory_lake();
    consume(&lake, &all, 5, Refused::Die)
        .await
        .expect("consumes");
    let clock = Clock::fixed(BEGIN + 39 * MICROS_PER_DAY);
    let summary = maintain(&lake, &thorough(), &clock)
        .await
        .expect("maintains");
    assert_eq!((summary.days_dropped, summary.rows_dropped), (1, 6));
    let rows = contents(&lake).await;
    let gaps = rows.iter().filter(|row| row.contains("disposition=gap"));
    assert_eq!((rows.len(), gaps.count()), (8, 4), "{rows:#?}");
    verified(&lake).await;
    let clock = Clock::fixed(BEGIN + 50 * MICROS_PER_DAY);
    maintain(&lake, &thorough(), &clock)
        .await
        .expect("maintains");
    assert_eq!(contents(&lake).await.len(), 1);
    verified(&lake).await;
}

/// Retention is no cover for losing rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_goes_missing_after_maintenance_is_found() {
    for clock in [after_retention(), Clock::fixed(BEGIN)] {
        let lake = lake_in(small_files().await);
        maintain(&lake, &thorough(), &clock)
            .await
            .expect("maintains");
        crate::breakage::lose_a_row(&lake, 30).await;
        assert_eq!(problems(&lake).await, ["hole", "rows", "hole"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_cut_and_offsets_stay() {
    let disk = small_files().await;
    let lake = lake_in(disk);
    let mut sleeper = ledger(&lake).await.expect("opens");
    let batch = written(&sleeper, 0, MESSAGES as i64, &messages(2))
        .await
        .expect("is written");
    let table = lake.open(STREAM).await.expect("opens").expect("is there");
    let offsets = stored_offsets(&table, STREAM).await.expect("can be read");
    assert_eq!(History::read(&table).await.expect("reads").first(), Some(0));

    let clock = Clock::fixed(long_after());
    let summary = maintain(&lake, &settings(), &clock)
        .await
        .expect("maintains");
    assert!(summary.versions_removed > 20, "{summary:?}");
    let table = lake.open(STREAM).await.expect("opens").expect("is there");
    let history = History::read(&table).await.expect("reads");
    assert_eq!(history.first(), table.version(), "only the newest is left");
    assert_eq!(
        stored_offsets(&table, STREAM).await.expect("can be read"),
        offsets
    );
    verified(&lake).await;

    // It looked before the rewrite, and the versions in between are gone. The first try may hear so; then it does
    // what a consumer does with a store that does not answer.
    if let Err(error) = sleeper.commit(&batch).await {
        assert!(matches!(error, CommitError::Unavailable(_)), "{error:#}");
        sleeper.refresh().await.expect("reads the log anew");
        sleeper.commit(&batch).await.expect("goes on");
    }
    verified(&lake).await;
    let stored = sleeper.stored(&app_id(0)).await.expect("known");
    assert_eq!(stored, Some(MESSAGES as i64 + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_told_to_stop_stops_and_harms_nothing() {
    let lake = lake_in(small_files().await);
    let before = contents(&lake).await;
    let stop = CancellationToken::new();
    let steps = AtomicUsize::new(0);
    let maintenance = Maintenance {
        settings: &settings(),
        is_dry_run: false,
        clock: &Clock::system(),
        stop: &stop,
        progress: &|_| {
            if steps.fetch_add(1, Ordering::SeqCst) == 1 {
                stop.cancel();
            }
        },
    };
    let summaries = maintenance.run(&lake).await.expect("stops");
    assert!(
        summaries[0].files_after > 10,
        "one day is sorted, the next is not: {summaries:?}"
    );
    assert_eq!(contents(&lake).await, before);
    verified(&lake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_how_many_files_there_will_be_and_changes_nothing() {
    let disk = small_files().await;
    let lake = lake_in(disk.clone());
    let settings = thorough();
    let clock = after_retention();
    let dry = Maintenance {
        settings: &settings,
        is_dry_run: true,
        clock: &clock,
        stop: &CancellationToken::new(),
        progress: &|_| {},
    };
    let before = commits(&disk).await.len();
    let told = dry.run(&lake).await.expect("looks").remove(0);
    assert_eq!(commits(&disk).await.len(), before);
    let done = maintain(&lake, &settings, &clock).await.expect("maintains");
    assert_eq!(
        (told.rows_dropped, told.days_dropped),
        (done.rows_dropped, done.days_dropped)
    );
    // One more is the record of what was dropped.
    assert_eq!(told.files_after + 1, done.files_after);
}
