//! The time that a report is about, in whole days or weeks where nobody says otherwise.

use anyhow::{Result, bail};

use crate::event::{MICROS_PER_DAY, Micros};

/// Windows longer than this are shown by week unless asked otherwise.
const DAYS_SHOWN_MAX: i64 = 35;

/// 1970-01-05, the first Monday.
const FIRST_MONDAY: Micros = 4 * MICROS_PER_DAY;

/// What a trend has one value for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Day,
    /// From Monday, in UTC.
    Week,
}

impl Period {
    pub const fn as_str(self) -> &'static str {
        match self {
            Period::Day => "day",
            Period::Week => "week",
        }
    }

    const fn length(self) -> Micros {
        match self {
            Period::Day => MICROS_PER_DAY,
            Period::Week => 7 * MICROS_PER_DAY,
        }
    }

    /// Returns the start of the period that an instant lies in.
    fn start_of(self, at: Micros) -> Micros {
        let origin = match self {
            Period::Day => 0,
            Period::Week => FIRST_MONDAY,
        };
        at - (at - origin).rem_euclid(self.length())
    }
}

/// What the command line says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    pub since: Option<Micros>,
    pub until: Option<Micros>,
    pub period: Option<Period>,
}

/// From when to when the lake has events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first_at: Micros,
    pub last_at: Micros,
}

/// From `since` up to, not including, `until`; before it lies the window that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub since: Micros,
    pub until: Micros,
    /// Equal to `since` where there is nothing to compare with.
    pub previous_since: Micros,
    pub period: Period,
}

impl Asked {
    /// Fills in what is not said: whole periods around all events, by day up to five weeks, else by week. A
    /// window that begins where the lake does has nothing before it.
    pub fn resolve(self, span: Span) -> Result<Window> {
        let since = self.since.unwrap_or(span.first_at);
        let until = self.until.unwrap_or(span.last_at);
        let is_long = until - since > DAYS_SHOWN_MAX * MICROS_PER_DAY;
        let period = self.period.unwrap_or(match is_long {
            true => Period::Week,
            false => Period::Day,
        });
        let until = match self.until {
            Some(until) => until,
            None => period.start_of(span.last_at) + period.length(),
        };
        let since = match self.since {
            Some(since) => since,
            None => period.start_of(span.first_at.min(until - 1)),
        };
        if since >= until {
            bail!("the window is empty: the lake has no events from --since on");
        }
        Ok(Window {
            since,
            until,
            previous_since: self.since.map_or(since, |since| since - (until - since)),
            period,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-09-02, a Wednesday.
    const WEDNESDAY: Micros = 20_698 * MICROS_PER_DAY;

    fn days(days: i64) -> Span {
        Span {
            first_at: WEDNESDAY + 5,
            last_at: WEDNESDAY + (days - 1) * MICROS_PER_DAY + 7,
        }
    }

    #[test]
    fn without_flags_the_window_is_whole_periods_around_all_events() {
        let window = Asked::default().resolve(days(3)).expect("is a window");
        assert_eq!(window.since, WEDNESDAY);
        assert_eq!(window.until, WEDNESDAY + 3 * MICROS_PER_DAY);
        assert_eq!(window.previous_since, window.since);
        assert_eq!(window.period, Period::Day);
    }

    #[test]
    fn weeks_begin_on_monday_and_long_windows_have_them() {
        let window = Asked::default().resolve(days(60)).expect("is a window");
        assert_eq!(window.period, Period::Week);
        assert_eq!(window.since, WEDNESDAY - 2 * MICROS_PER_DAY);
        assert_eq!((window.until - window.since) % Period::Week.length(), 0);
    }

    #[test]
    fn a_window_that_is_asked_for_is_kept_and_compared_with_the_one_before() {
        let asked = Asked {
            since: Some(WEDNESDAY + 90),
            until: Some(WEDNESDAY + 100),
            period: Some(Period::Week),
        };
        let window = asked.resolve(days(9)).expect("is a window");
        assert_eq!(
            (window.since, window.until),
            (WEDNESDAY + 90, WEDNESDAY + 100)
        );
        assert_eq!(window.previous_since, WEDNESDAY + 80);
    }

    #[test]
    fn a_window_after_all_events_is_refused() {
        let asked = Asked {
            since: Some(WEDNESDAY + 90 * MICROS_PER_DAY),
            ..Asked::default()
        };
        asked.resolve(days(9)).expect_err("is empty");
    }
}
