//! The writer of a stream against a store that refuses for a while: nothing counts as success that is none,
//! the process says that it is not ready and why, and goes on when the store does (faults F21, F22).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use tapetrail::clock::Clock;
use tapetrail::event::Stream;
use tapetrail::ingest::writer::{Done, Encoded, Job, Writer};
use tapetrail::lake::commit::backoff;
use tapetrail::lake::encode::encode;
use tapetrail::lake::table::Lake;
use tapetrail::metrics::Metrics;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::faulty_store::{Call, Fault, FaultyStore, Verdict};
use crate::lake::{app_id, contents, expect_exactly, lake_in, ledger, messages, range, rows};

/// A writer at work on its own threads, and both ends of its queues.
struct Scene {
    runtime: Runtime,
    jobs: UnboundedSender<Job>,
    done: Receiver<Done>,
    metrics: Arc<Metrics>,
    abandon: CancellationToken,
    disk: Arc<InMemory>,
    store: Arc<FaultyStore>,
}

impl Scene {
    fn new(script: impl Fn(&Call) -> Verdict + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().expect("starts");
        let disk = Arc::new(InMemory::new());
        runtime
            .block_on(ledger(&lake_in(disk.clone())))
            .expect("makes the table");
        let store = FaultyStore::new(disk.clone(), script);
        let ledger = runtime
            .block_on(ledger(&lake_in(store.clone())))
            .expect("opens");
        let (jobs, receiver) = unbounded_channel();
        let (sender, done) = channel();
        let (metrics, abandon) = (Arc::new(Metrics::new()), CancellationToken::new());
        let writer = Writer {
            ledger,
            jobs: receiver,
            done: sender,
            clock: Clock::system(),
            metrics: Arc::clone(&metrics),
            abandon: abandon.clone(),
        };
        runtime.spawn(writer.run());
        Scene {
            runtime,
            jobs,
            done,
            metrics,
            abandon,
            disk,
            store,
        }
    }

    fn send_portion(&self, from: i64, count: usize) {
        let rows = rows(0, from, &messages(40)[from as usize..][..count]);
        let range = range(from, count, rows.num_rows());
        let ranges = BTreeMap::from([(app_id(0), range)]);
        let files = encode(Stream::Webhooks, &rows, 0).expect("can be encoded");
        let encoded = Encoded {
            files,
            rows: rows.num_rows(),
            ranges,
        };
        let portion = Job::Portion {
            generation: 0,
            bytes: 1,
            encoding: self.runtime.spawn(async { encoded }),
        };
        assert!(self.jobs.send(portion).is_ok(), "the writer lives");
    }

    fn send_commit(&self) {
        assert!(
            self.jobs.send(Job::Commit { generation: 0 }).is_ok(),
            "the writer lives"
        );
    }

    /// Waits for the next commit that the writer tells, and returns its version.
    fn committed(&self) -> u64 {
        loop {
            match self.done.recv().expect("the writer lives") {
                Done::Committed { version, .. } => return version,
                Done::Released { .. } | Done::Decoded { .. } => {}
                Done::Fenced { why, .. } => panic!("fenced: {why}"),
            }
        }
    }

    fn lake(&self) -> Lake {
        lake_in(self.disk.clone() as Arc<dyn ObjectStore>)
    }

    fn offsets_in_the_lake(&self) -> Option<i64> {
        self.runtime.block_on(async {
            let mut ledger = ledger(&self.lake()).await.expect("opens");
            ledger.stored(&app_id(0)).await.expect("is known")
        })
    }

    fn has_told_a_commit(&self) -> bool {
        loop {
            match self.done.try_recv() {
                Ok(Done::Released { .. }) => {}
                Ok(_) => return true,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return false,
            }
        }
    }
}

/// Refuses what `fits` while the switch is on.
fn refusing(
    fault: Fault,
    fits: impl Fn(&Call) -> bool + Send + Sync + 'static,
) -> (
    Arc<AtomicBool>,
    impl Fn(&Call) -> Verdict + Send + Sync + 'static,
) {
    let is_on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_on);
    let script = move |call: &Call| match switch.load(Ordering::SeqCst) && fits(call) {
        true if fault == Fault::NoSpace => Verdict::Tear(fault),
        true => Verdict::Refuse(fault),
        false => Verdict::Pass,
    };
    (is_on, script)
}

fn is_got_over(fault: Fault, fits: impl Fn(&Call) -> bool + Send + Sync + 'static, words: &str) {
    let (refuses, script) = refusing(fault, fits);
    let scene = Scene::new(script);
    scene.send_portion(0, 6);
    scene.send_commit();
    assert_eq!(scene.committed(), 1);
    assert!(scene.metrics.why_unready().is_empty());

    refuses.store(true, Ordering::SeqCst);
    scene.send_portion(6, 6);
    scene.send_commit();
    scene.store.wait_for_refusals(2);
    let why = scene.metrics.why_unready().join("; ");
    assert!(
        why.starts_with("lake webhooks: ") && why.contains(words),
        "{fault:?}: {why}"
    );
    assert!(!scene.has_told_a_commit(), "{fault:?} counts as success");
    assert_eq!(scene.offsets_in_the_lake(), Some(6), "{fault:?}");

    refuses.store(false, Ordering::SeqCst);
    assert_eq!(scene.committed(), 2, "{fault:?}: the same batch lands once");
    assert!(
        scene.metrics.why_unready().is_empty(),
        "{fault:?}: ready again"
    );
    assert_eq!(scene.offsets_in_the_lake(), Some(12));
    scene.runtime.block_on(async {
        let undisturbed = crate::lake::memory_lake();
        crate::lake::consume(&undisturbed, &messages(12), 6, crate::lake::Refused::Die)
            .await
            .expect("consumes");
        assert_eq!(contents(&scene.lake()).await, contents(&undisturbed).await);
        expect_exactly(&scene.lake(), &[12]).await;
    });
}

#[test]
fn a_full_disk_at_the_data_is_waited_out() {
    is_got_over(Fault::NoSpace, Call::is_data, "no storage space");
}

#[test]
fn a_full_disk_at_the_log_is_waited_out() {
    is_got_over(Fault::NoSpace, Call::is_commit, "no storage space");
}

#[test]
fn a_store_that_is_overloaded_is_waited_out() {
    is_got_over(
        Fault::ServiceUnavailable,
        |call| call.is_data() || call.is_commit(),
        "503",
    );
    is_got_over(Fault::TooManyRequests, |_| true, "429");
}

#[test]
fn a_connection_that_breaks_is_waited_out() {
    is_got_over(Fault::ConnectionReset, |_| true, "connection reset");
}

#[test]
fn a_token_that_expired_never_counts_as_success() {
    is_got_over(Fault::Forbidden, Call::is_data, "403");
    is_got_over(Fault::Forbidden, Call::is_commit, "403");
}

#[test]
fn a_slow_store_holds_the_commit_back_and_nothing_else() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let scene = Scene::new(move |call| match call.is_commit() {
        true => Verdict::Hold(Arc::clone(&held)),
        false => Verdict::Pass,
    });
    scene.send_portion(0, 6);
    scene.send_commit();
    scene.send_portion(6, 6);
    scene.send_commit();
    assert!(
        matches!(scene.done.recv(), Ok(Done::Released { .. })),
        "memory is free before the commit"
    );
    assert_eq!(scene.offsets_in_the_lake(), None);
    assert!(!scene.has_told_a_commit());
    gate.add_permits(2);
    assert_eq!(scene.committed(), 1);
    assert_eq!(scene.committed(), 2);
    assert_eq!(scene.offsets_in_the_lake(), Some(12));
    let lake = scene.lake();
    scene.runtime.block_on(expect_exactly(&lake, &[12]));
}

#[test]
fn the_waiting_for_a_store_can_be_given_up() {
    let (refuses, script) = refusing(Fault::Forbidden, |_| true);
    let scene = Scene::new(script);
    refuses.store(true, Ordering::SeqCst);
    scene.send_portion(0, 6);
    scene.send_commit();
    scene.store.wait_for_refusals(1);
    scene.abandon.cancel();
    assert!(
        scene
            .done
            .iter()
            .all(|done| matches!(done, Done::Released { .. })),
        "nothing landed"
    );
    refuses.store(false, Ordering::SeqCst);
    assert_eq!(
        scene.offsets_in_the_lake(),
        None,
        "the offsets are left for the next owner"
    );
}

#[test]
fn the_pause_between_tries_grows_and_is_bounded() {
    let pauses: Vec<_> = (1..40).map(backoff).collect();
    assert!(pauses.is_sorted());
    assert!(pauses[0] >= Duration::from_millis(50));
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(15)));
}
