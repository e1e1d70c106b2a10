//! One story: everything that happens around one wish to record, told as messages.
//!
//! Each story draws from a random generator of its own, so that a change in one leaves the others as they were.

use chrono::DateTime;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;

use super::truth::{ExpectedFinding, NearMiss, NotJudged};
use super::twist::Twist;
use super::world::{APPS, App, Mode, OSS_AND_S3_APPS, Storage, VendorSpelling};
use super::{Produced, SECRET_MARK, Settings};
use crate::event::{Micros, Stream};

pub(super) const MILLI: Micros = 1_000;
pub(super) const SECOND: Micros = 1_000 * MILLI;
pub(super) const MINUTE: Micros = 60 * SECOND;
pub(super) const HOUR: Micros = 60 * MINUTE;

/// Longest name of a credential, mark included, stays under what real ones have.
const SECRET_HEX: usize = 24;

/// The instance that a recording is identified by, and the app it is of.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) app: &'static App,
    pub(super) cname: String,
    /// The recorder's.
    pub(super) uid: u32,
}

pub(super) struct Story {
    rng: Pcg64Mcg,
    /// Noise draws from a generator of its own, so that more of it leaves the story as it was.
    noise_rng: Pcg64Mcg,
    noise: u8,
    pub(super) slices_max: u32,
    pub(super) index: u32,
    /// Whether so much is heard before and after it that what is missing of it can be told.
    pub(super) is_settled: bool,
    /// No message of the story is older.
    pub(super) starts_at: Micros,
    pub(super) messages: Vec<Produced>,
    pub(super) expected: Vec<ExpectedFinding>,
    pub(super) near_misses: Vec<NearMiss>,
    pub(super) not_judged: Vec<NotJudged>,
    pub(super) dead_letters: Vec<Stream>,
    pub(super) skipped: Vec<Stream>,
    /// Whose turn it is among the modes, for plots that can happen in each.
    pub(super) mode_turn: usize,
    /// What is unusual about the sessions told from here on.
    pub(super) twist: Twist,
    record_ids: u32,
}

impl Story {
    pub(super) fn new(settings: &Settings, index: u32, starts_at: Micros) -> Self {
        // Odd multiplier: a bijection, so that no two stories of a fleet share a generator.
        let own_seed = settings.seed ^ u64::from(index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Story {
            rng: Pcg64Mcg::seed_from_u64(own_seed),
            noise_rng: Pcg64Mcg::seed_from_u64(!own_seed),
            noise: settings.noise,
            slices_max: settings.slices_max,
            index,
            is_settled: settings.is_settled(index, starts_at),
            starts_at,
            messages: Vec::new(),
            expected: Vec::new(),
            near_misses: Vec::new(),
            not_judged: Vec::new(),
            dead_letters: Vec::new(),
            skipped: Vec::new(),
            mode_turn: 0,
            twist: Twist::default(),
            record_ids: 0,
        }
    }

    /// Apps take turns, so that every bucket and partition hears something until the end.
    pub(super) fn app(&self) -> &'static App {
        &APPS[self.index as usize % APPS.len()]
    }

    /// An app whose mode has its turn, with where it goes and where else it could.
    pub(super) fn app_in_turn(&mut self) -> (&'static App, &'static Storage, &'static Storage) {
        let mode = Mode::ALL[self.mode_turn % Mode::ALL.len()];
        let apps: Vec<&App> = APPS.iter().filter(|app| app.mode == mode).collect();
        let app = apps[self.between(0, apps.len() as i64 - 1) as usize];
        (app, app.home, app.other)
    }

    /// The same where the customer's row has columns for vendor and bucket.
    pub(super) fn app_with_columns(
        &mut self,
    ) -> (&'static App, &'static Storage, &'static Storage) {
        let found = self.app_in_turn();
        match found.0.spelling {
            VendorSpelling::UrlOnly => (&APPS[0], APPS[0].home, APPS[0].other),
            _ => found,
        }
    }

    /// An app whose rows tell by URLs alone where recordings are.
    pub(super) fn app_with_urls(&mut self) -> (&'static App, &'static Storage, &'static Storage) {
        let found = self.app_in_turn();
        let urls = |app: &&App| app.spelling == VendorSpelling::UrlOnly;
        match APPS.iter().find(urls) {
            Some(app) => (app, app.home, app.other),
            None => found,
        }
    }

    /// The same with its two storages either way round.
    pub(super) fn app_with_two_storages(&mut self) -> (&'static App, [&'static Storage; 2]) {
        let (app, home, other) = self.app_with_columns();
        match self.chance(50) {
            true => (app, [home, other]),
            false => (app, [other, home]),
        }
    }

    /// A channel of its own in an app whose mode has its turn.
    pub(super) fn channel_in_turn(&mut self) -> Channel {
        let (app, _, _) = self.app_in_turn();
        self.channel(app)
    }

    /// The same where it cannot be a web page recording: a mixed one has its turn then.
    pub(super) fn rtc_channel_in_turn(&mut self) -> Channel {
        match self.channel_in_turn() {
            channel if channel.app.mode == Mode::Web => self.mixed_channel(),
            channel => channel,
        }
    }

    pub(super) fn mixed_channel(&mut self) -> Channel {
        self.channel(&APPS[0])
    }

    pub(super) fn web_page_channel(&mut self) -> Channel {
        self.channel(&APPS[4])
    }

    /// An app that could go to OSS as well as to S3, with those two.
    pub(super) fn oss_and_s3_app(&mut self) -> (&'static App, &'static Storage, &'static Storage) {
        let app = &APPS[self.between(0, OSS_AND_S3_APPS as i64 - 1) as usize];
        match app.home.slug {
            "oss" => (app, app.home, app.other),
            _ => (app, app.other, app.home),
        }
    }

    /// A channel of its own for this story; the index makes it unique in the fleet.
    pub(super) fn channel(&mut self, app: &'static App) -> Channel {
        Channel {
            app,
            cname: format!("{}{}", app.channel_stem, 10_000 + self.index),
            uid: self.recorder_uid(),
        }
    }

    pub(super) fn recorder_uid(&mut self) -> u32 {
        900_000 + self.between(1, 99_999) as u32
    }

    /// A number of `least..=most`.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        self.rng.random_range(least..=most)
    }

    /// A whole number of milliseconds in `least..=most`, both in microseconds.
    pub(super) fn span(&mut self, least: Micros, most: Micros) -> Micros {
        self.between(least / MILLI, most / MILLI) * MILLI
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100_u32) < percent
    }

    pub(super) fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| char::from(b"0123456789abcdef"[self.rng.random_range(0..16_u32) as usize]))
            .collect()
    }

    /// A session id.
    pub(super) fn sid(&mut self) -> String {
        self.hex(32)
    }

    /// A ticket: long, opaque, safe in URLs.
    pub(super) fn resource_id(&mut self) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..160)
            .map(|_| char::from(LETTERS[self.rng.random_range(0..LETTERS.len() as u32) as usize]))
            .collect()
    }

    /// A credential that looks like one and says that it is none.
    pub(super) fn secret(&mut self, of: &str) -> String {
        format!("{SECRET_MARK}{of}-{}", self.hex(SECRET_HEX))
    }

    /// Says whether the fleet is to have no noise at all.
    pub(super) fn is_quiet(&self) -> bool {
        self.noise == 0
    }

    /// Says whether noise falls here: this often among a thousand on a bad day, less often on a better one.
    pub(super) fn noise_falls(&mut self, per_mille: u32) -> bool {
        let of = 100_000;
        self.noise_rng.random_range(0..of) < per_mille * u32::from(self.noise)
    }

    /// A whole number of milliseconds in `least..=most` that only noise depends on.
    pub(super) fn noise_span(&mut self, least: Micros, most: Micros) -> Micros {
        self.noise_rng.random_range(least / MILLI..=most / MILLI) * MILLI
    }

    /// How far a clock is from the right time on a day like this: less than `most`, always the same for one name.
    pub(super) fn skew(&self, name: &str, most: Micros) -> Micros {
        // FNV-1a: any spread will do, and this one is the same everywhere.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let share = (hash >> 16) as i64 % 201 - 100;
        most * share / 100 * Micros::from(self.noise) / 100 / MILLI * MILLI
    }

    pub(super) fn record_id(&mut self) -> u32 {
        self.record_ids += 1;
        self.index * 10 + self.record_ids
    }

    pub(super) fn emit(&mut self, stream: Stream, key: Option<String>, value: &Value, at: Micros) {
        self.emit_bytes(stream, key, Some(value.to_string().into_bytes()), at);
    }

    pub(super) fn emit_bytes(
        &mut self,
        stream: Stream,
        key: Option<String>,
        value: Option<Vec<u8>>,
        at: Micros,
    ) {
        debug_assert!(
            at >= self.starts_at,
            "a story's messages come after its start"
        );
        self.messages.push(Produced {
            stream,
            key: key.map(String::into_bytes),
            value,
            at,
        });
    }

    /// How long a message takes to Kafka: mostly a moment, now and then over a minute. Noise makes it longer.
    pub(super) fn transit(&mut self) -> Micros {
        if self.chance(2) {
            self.span(5 * SECOND, 90 * SECOND)
        } else {
            self.span(20 * MILLI, 900 * MILLI)
        }
    }
}

/// `2026-09-01T10:00:00.123Z`
pub(super) fn rfc3339(at: Micros) -> String {
    utc(at).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The 17 digits in the names of slices (API facts, section 8).
pub(super) fn digits17(at: Micros) -> String {
    utc(at).format("%Y%m%d%H%M%S%3f").to_string()
}

/// `20260901`
pub(super) fn day(at: Micros) -> String {
    utc(at).format("%Y%m%d").to_string()
}

pub(super) const fn millis(at: Micros) -> i64 {
    at / MILLI
}

fn utc(at: Micros) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_micros(at).expect("a fleet lies within the years chrono knows")
}
