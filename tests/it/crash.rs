//! A store that fails at any of its calls, for every one of them: nothing is lost and nothing is there twice
//! (faults F3, F4 and the store's half of F1, F2 and F23).

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use tapetrail::lake::table::Lake;

use crate::faulty_store::{Call, Fault, FaultyStore, Operation, Verdict};
use crate::lake::{
    Refused, app_id, consume, contents, expect_exactly, expect_positions, lake_in, ledger,
    memory_lake, messages, written,
};

const MESSAGES: usize = 14;
const COMMIT: usize = 7;

async fn undisturbed() -> Vec<String> {
    let lake = memory_lake();
    consume(&lake, &messages(MESSAGES), COMMIT, Refused::Die)
        .await
        .expect("nothing is in the way");
    expect_exactly(&lake, &[MESSAGES]).await;
    contents(&lake).await
}

/// How a process ends at one of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Before,
    /// The call was performed; nobody heard the answer. Also what a power cut leaves that comes after the
    /// sync of the file and before the acknowledgement.
    After,
    During,
}

#[tokio::test]
async fn death_at_every_call_of_the_store_loses_and_repeats_nothing() {
    let expected = undisturbed().await;
    assert!(expected.len() > MESSAGES, "lists leave a row per event");
    for death in [Death::Before, Death::After, Death::During] {
        let mut deaths = 0;
        loop {
            let call_of_death = deaths + 1;
            let disk = Arc::new(InMemory::new());
            let store = FaultyStore::new(disk.clone(), move |call| {
                if call.number < call_of_death {
                    return Verdict::Pass;
                }
                match death {
                    Death::After if call.number == call_of_death => {
                        Verdict::LoseAnswer(Fault::Died)
                    }
                    Death::During if call.number == call_of_death => Verdict::Tear(Fault::Died),
                    _ => Verdict::Refuse(Fault::Died),
                }
            });
            let first = consume(
                &lake_in(store.clone()),
                &messages(MESSAGES),
                COMMIT,
                Refused::Die,
            )
            .await;
            assert_versions_are_whole(&disk).await;
            let lake = lake_in(disk);
            consume(&lake, &messages(MESSAGES), COMMIT, Refused::Die)
                .await
                .unwrap_or_else(|error| panic!("{death:?} call {call_of_death}: {error:#}"));
            let found = contents(&lake).await;
            assert_eq!(found, expected, "{death:?} call {call_of_death}");
            expect_exactly_after(&lake, &store.calls(), call_of_death).await;
            if first.is_ok() {
                break;
            }
            deaths += 1;
        }
        assert!(deaths > 10, "only {deaths} calls: the store is not used");
    }
}

/// Asks `verify` after what can have changed the lake; reading alone leaves what the positions tell.
async fn expect_exactly_after(lake: &Lake, calls: &[Call], disturbed: usize) {
    match calls.get(disturbed - 1) {
        Some(call) if call.operation != Operation::Put => {
            expect_positions(lake, &[MESSAGES]).await;
        }
        _ => expect_exactly(lake, &[MESSAGES]).await,
    }
}

/// F3: what has a version's name is the whole version.
async fn assert_versions_are_whole(disk: &InMemory) {
    let log = object_store::path::Path::from("lake/webhooks/_delta_log");
    for object in disk
        .list_with_delimiter(Some(&log))
        .await
        .expect("lists")
        .objects
    {
        if object.location.extension() != Some("json") {
            continue;
        }
        let bytes = disk
            .get(&object.location)
            .await
            .expect("is there")
            .bytes()
            .await;
        for line in bytes.expect("can be read").split(|byte| *byte == b'\n') {
            serde_json::from_slice::<serde_json::Value>(line).expect("a line of the log is JSON");
        }
    }
}

#[tokio::test]
async fn a_single_failure_at_any_call_is_got_over_without_loss_or_repeat() {
    let expected = undisturbed().await;
    for is_performed in [false, true] {
        for at in 1.. {
            let fault = Fault::ServiceUnavailable;
            let disk = Arc::new(InMemory::new());
            let store = FaultyStore::new(disk.clone(), move |call| match call.number == at {
                false => Verdict::Pass,
                true if is_performed => Verdict::LoseAnswer(fault),
                true => Verdict::Refuse(fault),
            });
            let lake = lake_in(store.clone());
            consume(&lake, &messages(MESSAGES), COMMIT, Refused::Retry)
                .await
                .unwrap_or_else(|error| panic!("{fault:?} at call {at}: {error:#}"));
            let calls = store.calls();
            let lake = lake_in(disk);
            let found = contents(&lake).await;
            assert_eq!(found, expected, "call {at}, performed: {is_performed}");
            expect_exactly_after(&lake, &calls, at).await;
            if calls.len() < at {
                assert!(at > 10, "only {at} calls: the store is not used");
                break;
            }
        }
    }
}

/// F4. The second kind of answer is what a client hears whose first try landed and who tried again by itself.
#[tokio::test]
async fn a_commit_that_landed_behind_an_error_is_recognized_as_our_own() {
    for fault in [
        Fault::ServiceUnavailable,
        Fault::ConnectionReset,
        Fault::NameTaken,
    ] {
        let store = FaultyStore::new(Arc::new(InMemory::new()), move |call| {
            match call.is_commit() && !call.path.ends_with("00000.json") {
                true => Verdict::LoseAnswer(fault),
                false => Verdict::Pass,
            }
        });
        let lake = lake_in(store.clone());
        let mut ledger = ledger(&lake).await.expect("opens");
        let batch = written(&ledger, 0, 0, &messages(10))
            .await
            .expect("written");
        let version = ledger.commit(&batch).await.expect("is our own commit");
        assert_eq!(version, 1, "{fault:?}");
        assert_eq!(
            ledger.commit(&batch).await.expect("still is"),
            1,
            "{fault:?}"
        );
        assert_eq!(ledger.stored(&app_id(0)).await.expect("known"), Some(10));
        let commits = store.calls().into_iter().filter(|call| call.is_commit());
        assert_eq!(commits.count(), 2, "the table and one append");
        expect_exactly(&lake, &[10]).await;
    }
}

/// What is acknowledged is on the medium (`SyncedDisk`), so a power cut can only hurt what is not: that is safe
/// as long as no commit is begun before the answer to all of its files, and no offset is told before the commit's.
#[tokio::test]
async fn a_commit_is_written_after_all_of_its_files() {
    let store = FaultyStore::new(Arc::new(InMemory::new()), |_| Verdict::Pass);
    let lake = lake_in(store.clone());
    consume(&lake, &messages(MESSAGES), MESSAGES, Refused::Die)
        .await
        .expect("consumes");
    let puts: Vec<_> = store
        .calls()
        .into_iter()
        .filter(|call| call.operation == Operation::Put)
        .collect();
    let data: Vec<_> = puts.iter().filter(|call| call.is_data()).collect();
    assert!(data.len() > 1, "the messages are of several days");
    let commit = puts
        .iter()
        .find(|call| call.path.ends_with("00001.json"))
        .expect("a commit");
    assert!(data.iter().all(|call| call.number < commit.number));
    let table = lake
        .open(crate::lake::STREAM)
        .await
        .expect("opens")
        .expect("is there");
    for path in crate::lake::live_files(&table) {
        assert!(
            data.iter().any(|call| call.path.ends_with(&path)),
            "`{path}` was never put"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_split_into_commits_gives_the_same_table(sizes in prop::collection::vec(1usize..9, 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let expected = undisturbed().await;
            let lake = memory_lake();
            let mut end = 0;
            for size in sizes {
                end = (end + size).min(MESSAGES);
                consume(&lake, &messages(MESSAGES)[..end], size, Refused::Die).await.expect("consumes");
            }
            consume(&lake, &messages(MESSAGES), 5, Refused::Die).await.expect("consumes");
            assert_eq!(contents(&lake).await, expected);
            expect_exactly(&lake, &[MESSAGES]).await;
        });
    }
}
