//! The only room that asks what time it is, so that everything else can be run again with the same result.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};

use crate::event::Micros;

/// Writes an instant as messages carry it: `2026-11-22T10:00:00.123Z`.
pub fn rfc3339(at: Micros) -> String {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Wall clock for stamps, monotonic clock for waiting. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// When set, `now` answers this instead of the wall clock.
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    pub fn system() -> Self {
        Clock::default()
    }

    /// Returns a clock that stands still at `now` (microseconds since the epoch) until told otherwise.
    pub fn fixed(now: Micros) -> Self {
        Clock {
            fixed: Some(Arc::new(AtomicI64::new(now))),
        }
    }

    /// Moves a fixed clock; does nothing to the system's.
    pub fn set(&self, now: Micros) {
        if let Some(fixed) = &self.fixed {
            fixed.store(now, Ordering::SeqCst);
        }
    }

    /// Returns the wall clock in microseconds since the epoch; a clock before 1970 answers 0.
    #[allow(clippy::disallowed_methods)]
    pub fn now(&self) -> Micros {
        match &self.fixed {
            Some(fixed) => fixed.load(Ordering::SeqCst),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| elapsed.as_micros() as Micros),
        }
    }

    /// Returns the monotonic clock, which no step of the wall clock moves.
    #[allow(clippy::disallowed_methods)]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Returns how long ago `since` was on the monotonic clock.
    pub fn elapsed(&self, since: Instant) -> Duration {
        self.instant().duration_since(since)
    }
}
