//! A synthetic fleet: what some thousand recorded calls leave behind in the four streams, with planted faults
//! and the truth about them.
//!
//! Pure and seeded: the same [`Settings`] give the same bytes on every machine. Messages come in the order of
//! their arrival, as the formats of the domain have them, not as a decoder would like them. Unless the settings
//! say otherwise, slices are thinned to a few a session; everything else happens as often as it does in life.
//!
//! A story is told whole and its messages wait for their turn: what is held in memory is what is under way at one
//! time, however large the fleet.

mod world;
mod twist;
mod story;
mod bodies;
mod api_calls;
mod webhooks;
mod storage_events;
mod session_records;
mod session;
mod fault;
mod near_miss;
mod noise;
mod truth;
mod score;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::{MICROS_PER_DAY, MICROS_PER_SECOND, Micros, Stream};
use story::{HOUR, MINUTE, Story};
use world::Mode;

pub use score::{Found, Mistake, MistakeKind, NotJudgedSessions, Score, Scoring};
pub use session_records::mapping;
pub use truth::{ExpectedFinding, Made, NearMiss, NotJudged, Stated, Truth};
pub use webhooks::{SIGNING_KEY_ID, SIGNING_SECRET};

/// Every planted credential contains this, so that a search of what was written finds one that came through.
pub const SECRET_MARK: &str = "FAKE-SECRET-";

/// The detections that [`Truth`] is complete for: what they find beyond it is wrong.
pub const JUDGED: [&str; 23] = [
    "conflicting_starts",
    "failed_then_switched",
    "vendor_mismatch",
    "missing_upload",
    "unannounced_upload",
    "backup_detour",
    "backup_never_returned",
    "storage_credentials",
    "slow_or_cross_region_upload",
    "orphan_files",
    "incomplete_files",
    "session_failures",
    "webhook_hygiene",
    "redundant_starts",
    "ghost_start",
    "start_storm",
    "storage_switched_by_update",
    "acquire_start_disagreement",
    "unstopped_session",
    "record_before_response",
    "environment_switching",
    "incomplete_payload",
    "destination_mismatch",
];

/// Fewer stories than this have no room for every fault and for the quiet time after it.
pub const SESSIONS_MIN: u32 = 300;

/// So many stories at the beginning are ordinary, two of each app: nothing may be called missing before those who
/// would tell of it have been heard.
const LEAD: usize = 2 * world::APPS.len();

/// Larger fleets tell every plot about once in so many stories.
const SESSIONS_PER_ROUND: u32 = 2_500;

/// Shorter fleets have no time for faults before the quiet end.
pub const DAYS_MIN: u32 = 3;

/// Faults end so long before the last session starts. Until then every partition and bucket is heard of for over
/// 24 hours more: nothing may be called missing before their watermarks have passed the deadline.
const QUIET: Micros = 38 * HOUR + 24 * MINUTE;

/// What is still due when the fleet ends is told between these times before its end: past the first deadline of
/// an upload and long before the last.
const TAIL: (Micros, Micros) = (12 * HOUR, 8 * HOUR);

/// What fleet to make.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Calls that somebody wanted recorded; a fault can make two sessions of one.
    pub sessions: u32,
    pub seed: u64,
    /// When the first call starts.
    pub start: Micros,
    /// Sessions start over so many days; faults lie in the first part of them.
    pub days: u32,
    /// How much of what streams do to messages happens to these, in percent of a bad day.
    pub noise: u8,
    /// A track has at most so many slices; the service makes one every 15 seconds.
    pub slices_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sessions: 5_000,
            seed: 7,
            // 2026-09-01T00:00:00Z: fixed, so that a demo gives the same lake today and tomorrow.
            start: 1_788_220_800 * MICROS_PER_SECOND,
            days: 4,
            noise: 25,
            slices_max: 3,
        }
    }
}

/// A message for Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    pub stream: Stream,
    pub key: Option<Vec<u8>>,
    /// None is a tombstone.
    pub value: Option<Vec<u8>>,
    /// When it reaches Kafka: the record's timestamp.
    pub at: Micros,
}

/// The fleet as an iterator over its messages in order of arrival; the truth is known at its end.
pub struct Fleet {
    settings: Settings,
    /// The faults and the near-misses.
    plots: Vec<Plot>,
    /// What is not over when the fleet ends.
    tail: Vec<Plot>,
    /// The next story to tell.
    next: u32,
    /// Messages told, not yet given, least arrival first; ties keep the order of telling.
    waiting: BinaryHeap<Reverse<Waiting>>,
    told: u64,
    truth: Truth,
}

struct Waiting {
    order: (Micros, u64),
    message: Produced,
}

impl Fleet {
    /// Refuses nothing: fewer sessions than [`SESSIONS_MIN`], or days than [`DAYS_MIN`], are raised to it.
    pub fn new(settings: Settings) -> Self {
        let settings = Settings {
            sessions: settings.sessions.max(SESSIONS_MIN),
            days: settings.days.max(DAYS_MIN),
            noise: settings.noise.min(100),
            ..settings
        };
        Fleet {
            truth: Truth::new(&settings),
            settings,
            plots: fault::plots().chain(near_miss::plots()).collect(),
            tail: fault::tail_plots().collect(),
            next: 0,
            waiting: BinaryHeap::new(),
            told: 0,
        }
    }

    /// Returns what was planted in the messages given so far; all of it once the iterator has ended.
    pub fn into_truth(self) -> Truth {
        self.truth
    }

    /// Returns how many stories have begun, of how many.
    pub fn progress(&self) -> (u32, u32) {
        (self.next, self.settings.sessions)
    }

    fn story_starts_at(&self, index: u32) -> Micros {
        let spacing = self.settings.spread() / i64::from(self.settings.sessions);
        self.settings.start + spacing * i64::from(index)
    }

    fn tell_next(&mut self) {
        let index = self.next;
        self.next += 1;
        let turn = turn(&self.settings, index, self.plots.len(), self.tail.len());
        let mut story = Story::new(&self.settings, index, self.story_starts_at(index));
        match turn {
            Turn::Ordinary => session::ordinary(&mut story),
            Turn::Plot { number, round } => {
                // Over four rounds every plot is told in every mode, whatever the seed.
                story.mode_turn = number + round + self.settings.seed as usize % Mode::ALL.len();
                self.plots[number].1(&mut story);
            }
            Turn::Tail { number, round } => {
                story.mode_turn = round;
                self.tail[number].1(&mut story);
            }
        }
        noise::add(&mut story);
        self.truth.add(&story);
        for message in story.messages {
            let order = (message.at, self.told);
            self.told += 1;
            self.waiting.push(Reverse(Waiting { order, message }));
        }
    }
}

impl Settings {
    /// Returns how long sessions start for.
    fn spread(&self) -> Micros {
        Micros::from(self.days) * MICROS_PER_DAY
    }

    /// Says whether a story lies neither at the very beginning nor near the end.
    fn is_settled(&self, index: u32, starts_at: Micros) -> bool {
        index as usize >= LEAD && starts_at < self.start + self.spread() - TAIL.0
    }

    /// Returns the index of the first story that starts so long before the end.
    fn index_before_end(&self, before: Micros) -> usize {
        let stories = i128::from(self.sessions);
        let told = stories * i128::from(self.spread() - before) / i128::from(self.spread());
        usize::try_from(told).expect("less than there are stories")
    }
}

impl Iterator for Fleet {
    type Item = Produced;

    fn next(&mut self) -> Option<Produced> {
        // A story's messages all come after its start, so what is older than the next start is complete.
        while self.next < self.settings.sessions {
            let complete_to = self.story_starts_at(self.next);
            match self.waiting.peek() {
                Some(Reverse(first)) if first.order.0 < complete_to => break,
                _ => self.tell_next(),
            }
        }
        self.waiting.pop().map(|Reverse(first)| first.message)
    }
}

/// A fault or a near-miss: its name in the truth, and what tells it.
type Plot = (&'static str, fn(&mut Story));

enum Turn {
    Ordinary,
    Plot { number: usize, round: usize },
    Tail { number: usize, round: usize },
}

/// Says what happens in a story: in the faulty part, plots come round at a fixed pace.
fn turn(settings: &Settings, index: u32, plots: usize, tail: usize) -> Turn {
    let index = index as usize;
    let tail_from = settings.index_before_end(TAIL.0);
    if let Some(number) = index.checked_sub(tail_from) {
        let room = settings.index_before_end(TAIL.1) - tail_from;
        let pace = (room / (tail * Mode::ALL.len())).max(1);
        return match number / pace {
            told if number % pace == 0 && told < tail * Mode::ALL.len() => Turn::Tail {
                number: told % tail,
                round: told / tail,
            },
            _ => Turn::Ordinary,
        };
    }
    let rounds = (settings.sessions / SESSIONS_PER_ROUND).max(1) as usize;
    let faulty = settings.index_before_end(QUIET) - LEAD;
    let pace = (faulty / (plots * rounds)).max(1);
    let Some(index) = index.checked_sub(LEAD) else {
        return Turn::Ordinary;
    };
    if index % pace != pace - 1 || index / pace >= plots * rounds {
        return Turn::Ordinary;
    }
    Turn::Plot {
        number: index / pace % plots,
        round: index / pace / plots,
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

#[cfg(test)]
mod tests;
