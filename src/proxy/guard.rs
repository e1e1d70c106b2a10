//! `--enforce`: one channel, one storage, for as long as a recording of it lives.
//!
//! The first start of a channel that goes through locks its storage. A start or an update that names another one is
//! refused while the recording lives, and so is one that names storage which the app may not use. A lock opens when
//! the service refuses the start, when the recording is stopped, and when the service says that it is over. State is in
//! memory: after a restart the first start of a channel passes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::config::AllowedStorage;
use crate::decode::api_calls::path::{Operation, Path};
use crate::event::{MICROS_PER_SECOND, Micros};

/// A session can be queried and stopped for so long at most by default (`resourceExpiredHour`, API facts, section 2).
const SESSION_MAX: Micros = 72 * 3_600 * MICROS_PER_SECOND;

/// A start whose outcome nobody knows is taken to be alive for so long: the life of its ticket.
const UNKNOWN_MAX: Micros = 300 * MICROS_PER_SECOND;

/// Locks are dropped, oldest first, beyond so many channels.
const CHANNELS_MAX: usize = 100_000;

/// Where a start or an update wants the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    vendor: Option<i64>,
    region: Option<i64>,
    bucket: String,
    endpoint: Option<String>,
}

impl Storage {
    /// Reads `storageConfig` of a request's body; none where there is none.
    pub fn of(body: &Value) -> Option<Storage> {
        let config = body.pointer("/clientRequest/storageConfig")?.as_object()?;
        let number = |name: &str| {
            let value = config.get(name)?;
            value.as_i64().or_else(|| value.as_str()?.parse().ok())
        };
        let text = |value: Option<&Value>| Some(value?.as_str()?.to_string());
        let params = config.get("extensionParams");
        Some(Storage {
            vendor: number("vendor"),
            region: number("region"),
            bucket: text(config.get("bucket")).unwrap_or_default(),
            endpoint: text(params.and_then(|params| params.get("endpoint"))),
        })
    }

    fn is_in(&self, allowed: &[AllowedStorage]) -> bool {
        allowed.iter().any(|place| {
            let region = place.region.map(i64::from);
            self.vendor == Some(i64::from(place.vendor))
                && self.bucket == place.bucket
                && (region.is_none() || self.region == region)
        })
    }

    pub fn say(&self) -> String {
        let number = |number: Option<i64>| number.map_or("none".to_string(), |n| n.to_string());
        format!(
            "vendor {}, region {}, bucket `{}`",
            number(self.vendor),
            number(self.region),
            self.bucket
        )
    }
}

/// A channel of an app.
pub(super) type Channel = (String, String);

/// A recording that lives as far as is known here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Session {
    pub resource_id: String,
    pub sid: String,
    pub mode: String,
}

#[derive(Debug)]
struct Lock {
    storage: Storage,
    since: Micros,
    /// Starts that have no answer yet.
    pending: usize,
    /// A start whose outcome is unknown was made then.
    unknown_since: Option<Micros>,
    sessions: BTreeSet<Session>,
}

impl Lock {
    fn is_over(&self, now: Micros) -> bool {
        let is_unknown = self.unknown_since.is_some_and(|at| now - at < UNKNOWN_MAX);
        let lives = !self.sessions.is_empty() && now - self.since < SESSION_MAX;
        self.pending == 0 && !is_unknown && !lives
    }
}

/// What is to be done with a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has nothing to do with storage.
    Pass,
    /// A start: tell of its outcome.
    Follow(Channel),
    /// The app may not use this storage.
    Forbidden(String),
    /// A recording holds the channel with other storage. Whether these sessions live still, the service knows.
    Conflict {
        channel: Channel,
        why: String,
        sessions: Vec<Session>,
    },
}

/// How a start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Started(Session),
    Rejected,
    Unknown,
}

pub(super) struct Guard {
    allowed: BTreeMap<String, Vec<AllowedStorage>>,
    locks: Mutex<BTreeMap<Channel, Lock>>,
}

impl Guard {
    pub fn new(allowed: BTreeMap<String, Vec<AllowedStorage>>) -> Guard {
        Guard {
            allowed,
            locks: Mutex::default(),
        }
    }

    /// Judges a call by its path and body, and locks the channel of a start that may pass.
    pub fn judge(&self, path: &Path<'_>, body: &Value, now: Micros) -> Verdict {
        let is_start = path.operation == Operation::Start;
        if !is_start && path.operation != Operation::Update {
            return Verdict::Pass;
        }
        let (Some(app), Some(storage)) = (path.app_id, Storage::of(body)) else {
            return Verdict::Pass;
        };
        let Some(cname) = body.get("cname").and_then(Value::as_str) else {
            return Verdict::Pass;
        };
        if let Some(allowed) = self.allowed.get(app).filter(|of| !storage.is_in(of)) {
            let places = allowed
                .iter()
                .map(|place| format!("vendor {}, bucket `{}`", place.vendor, place.bucket));
            let places = places.collect::<Vec<_>>().join("; ");
            return Verdict::Forbidden(format!(
                "this app may not record to {}; it may to: {places} (proxy.storage)",
                storage.say()
            ));
        }
        let channel = (app.to_string(), cname.to_string());
        let mut locks = self.locks();
        if locks.get(&channel).is_some_and(|lock| lock.is_over(now)) {
            locks.remove(&channel);
        }
        if let Some(lock) = locks.get(&channel)
            && lock.storage != storage
        {
            return Verdict::Conflict {
                why: lock.say(&channel, &storage, now),
                sessions: lock.sessions.iter().cloned().collect(),
                channel,
            };
        }
        if !is_start {
            return Verdict::Pass;
        }
        let lock = locks.entry(channel.clone()).or_insert_with(|| Lock {
            storage,
            since: now,
            pending: 0,
            unknown_since: None,
            sessions: BTreeSet::new(),
        });
        lock.pending += 1;
        drop_oldest(&mut locks, &channel);
        Verdict::Follow(channel)
    }

    /// Hears how a start ended that was let through.
    pub fn ended(&self, channel: &Channel, outcome: Outcome, now: Micros) {
        let mut locks = self.locks();
        let Some(lock) = locks.get_mut(channel) else {
            return;
        };
        lock.pending = lock.pending.saturating_sub(1);
        match outcome {
            Outcome::Started(session) => {
                lock.sessions.insert(session);
                lock.since = now;
            }
            Outcome::Rejected => {}
            Outcome::Unknown => lock.unknown_since = Some(now),
        }
        if lock.is_over(now) {
            locks.remove(channel);
        }
    }

    /// Hears that a session is over.
    pub fn is_over(&self, sid: &str, now: Micros) {
        self.locks().retain(|_, lock| {
            let count = lock.sessions.len();
            lock.sessions
                .retain(|session| !session.sid.eq_ignore_ascii_case(sid));
            count == lock.sessions.len() || !lock.is_over(now)
        });
    }

    /// Opens a channel whose state nobody can tell.
    pub fn open(&self, channel: &Channel) {
        self.locks().remove(channel);
    }

    fn locks(&self) -> MutexGuard<'_, BTreeMap<Channel, Lock>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lock {
    fn say(&self, channel: &Channel, wanted: &Storage, now: Micros) -> String {
        let seconds = (now - self.since) / MICROS_PER_SECOND;
        let (_, cname) = channel;
        let who = match self.sessions.first() {
            Some(session) => format!("its recording {} of {seconds} s ago", session.sid),
            None => format!("a start of {seconds} s ago, of which the outcome is not known yet,"),
        };
        format!(
            "channel `{cname}` is locked: {who} stores to {}, this call asks for {}; stop it first, or use the same storage",
            self.storage.say(),
            wanted.say()
        )
    }
}

fn drop_oldest(locks: &mut BTreeMap<Channel, Lock>, kept: &Channel) {
    if locks.len() > CHANNELS_MAX {
        let others = locks.iter().filter(|(channel, _)| *channel != kept);
        let oldest = others.min_by_key(|(_, lock)| lock.since);
        if let Some(channel) = oldest.map(|(channel, _)| channel.clone()) {
            locks.remove(&channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decode::api_calls::path::parse;

    const START: &str = "/v1/apps/app/cloud_recording/resourceid/R/mode/mix/start";

    fn body(bucket: &str) -> Value {
        json!({"cname": "room", "uid": "1", "clientRequest": {"storageConfig": {"vendor": 2, "region": 1, "bucket": bucket}}})
    }

    fn guard() -> Guard {
        Guard::new(BTreeMap::new())
    }

    fn start(guard: &Guard, bucket: &str, now: Micros) -> Verdict {
        guard.judge(&parse(START), &body(bucket), now)
    }

    fn session(sid: &str) -> Session {
        Session {
            resource_id: "R".to_string(),
            sid: sid.to_string(),
            mode: "mix".to_string(),
        }
    }

    fn channel() -> Channel {
        ("app".to_string(), "room".to_string())
    }

    #[test]
    fn the_first_start_locks_the_channel_until_its_recording_is_over() {
        let guard = guard();
        assert_eq!(start(&guard, "a", 0), Verdict::Follow(channel()));
        // Before the first has its answer: that is the race.
        assert!(matches!(start(&guard, "b", 1), Verdict::Conflict { .. }));
        guard.ended(&channel(), Outcome::Started(session("S")), 2);
        let Verdict::Conflict { why, sessions, .. } = start(&guard, "b", 5 * MICROS_PER_SECOND)
        else {
            panic!("the channel is locked");
        };
        assert_eq!(sessions, [session("S")]);
        assert!(
            why.contains("bucket `a`") && why.contains("bucket `b`") && why.contains("4 s ago"),
            "{why}"
        );
        // The same storage is a retry, or redundancy.
        assert_eq!(start(&guard, "a", 6), Verdict::Follow(channel()));
        guard.ended(&channel(), Outcome::Rejected, 7);
        guard.is_over("s", 8);
        assert_eq!(start(&guard, "b", 9), Verdict::Follow(channel()));
    }

    #[test]
    fn a_rejected_start_leaves_no_lock_and_an_unknown_one_for_as_long_as_its_ticket_lives() {
        let guard = guard();
        start(&guard, "a", 0);
        guard.ended(&channel(), Outcome::Rejected, 1);
        assert_eq!(start(&guard, "b", 2), Verdict::Follow(channel()));
        guard.ended(&channel(), Outcome::Unknown, 3);
        assert!(matches!(start(&guard, "a", 4), Verdict::Conflict { .. }));
        assert_eq!(
            start(&guard, "a", 3 + UNKNOWN_MAX),
            Verdict::Follow(channel())
        );
    }

    #[test]
    fn an_update_to_other_storage_is_a_conflict_and_without_state_it_passes() {
        let guard = guard();
        let update = "/v1/apps/app/cloud_recording/resourceid/R/sid/S/mode/mix/update";
        let judge = |bucket: &str| guard.judge(&parse(update), &body(bucket), 3);
        assert_eq!(judge("b"), Verdict::Pass);
        start(&guard, "a", 0);
        guard.ended(&channel(), Outcome::Started(session("S")), 1);
        assert!(matches!(judge("b"), Verdict::Conflict { .. }));
        assert_eq!(judge("a"), Verdict::Pass);
    }

    #[test]
    fn an_app_with_a_list_may_use_what_is_in_it_and_others_anything() {
        let place = |bucket: &str, region| AllowedStorage {
            vendor: 2,
            bucket: bucket.to_string(),
            region,
        };
        let allowed = vec![place("a", None), place("b", Some(3))];
        let guard = Guard::new([("app".to_string(), allowed)].into());
        assert_eq!(start(&guard, "a", 0), Verdict::Follow(channel()));
        guard.ended(&channel(), Outcome::Rejected, 1);
        for bucket in ["b", "c"] {
            let Verdict::Forbidden(why) = start(&guard, bucket, 2) else {
                panic!("`{bucket}` in region 1 is not in the list");
            };
            assert!(
                why.contains("proxy.storage") && why.contains("bucket `a`"),
                "{why}"
            );
        }
        let other = START.replace("/app/", "/other/");
        let verdict = guard.judge(&parse(&other), &body("c"), 3);
        assert!(matches!(verdict, Verdict::Follow(_)));
    }
}
