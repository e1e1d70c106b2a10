//! The window of time that a run is asked for: from `since` up to, not including, `until`.

use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::event::{MICROS_PER_DAY, Micros};

/// What is read goes back this much further than `since`, so that no window invents faults at its edge: a
/// ticket lives at most 30 days, and a record may be a day late (design, section 5).
const READ_BACK: Micros = 31 * MICROS_PER_DAY;

/// Selects findings by the last instant of their evidence. Half-open, so that windows tile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    pub since: Option<Micros>,
    pub until: Option<Micros>,
}

impl Window {
    /// Reads both ends as a person writes them, see [`instant`].
    pub fn parse(since: Option<&str>, until: Option<&str>, now: Micros) -> Result<Window> {
        let window = Window {
            since: since.map(|text| instant(text, now)).transpose()?,
            until: until.map(|text| instant(text, now)).transpose()?,
        };
        if let (Some(since), Some(until)) = (window.since, window.until)
            && since >= until
        {
            bail!("the window is empty: --since must be before --until");
        }
        Ok(window)
    }

    /// Returns from when on events are read; none means from the beginning.
    pub fn read_from(&self) -> Option<Micros> {
        self.since.map(|since| since.saturating_sub(READ_BACK))
    }

    /// Says whether evidence that ends at `last_at` is in the window. Without a time it is in every window.
    pub fn contains(&self, last_at: Option<Micros>) -> bool {
        let Some(at) = last_at else { return true };
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// Reads an instant: RFC 3339, the same without a zone (UTC), a date (its midnight in UTC), or how long before `now`
/// (`7d`, `90m`).
pub fn instant(text: &str, now: Micros) -> Result<Micros> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.timestamp_micros());
    }
    if let Ok(at) = text.replace(' ', "T").parse::<NaiveDateTime>() {
        return Ok(at.and_utc().timestamp_micros());
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    }
    match humantime::parse_duration(text).map(|ago| Micros::try_from(ago.as_micros())) {
        Ok(Ok(ago)) => Ok(now.saturating_sub(ago)),
        _ => bail!("`{text}` is no time; write 7d (ago), 2026-11-22 or 2026-11-22T10:00:00Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 20_000 * MICROS_PER_DAY;

    #[test]
    fn instants_are_read_as_people_write_them() {
        let read = |text| instant(text, NOW).expect("is a time");
        assert_eq!(read("7d"), NOW - 7 * MICROS_PER_DAY);
        assert_eq!(read("1970-01-02"), MICROS_PER_DAY);
        assert_eq!(read("1970-01-01T01:00:00+01:00"), 0);
        assert_eq!(read("1970-01-01T01:00:00"), 3_600_000_000);
        assert_eq!(read("1970-01-01 00:00:01.5"), 1_500_000);
        assert!(instant("yesterday", NOW).is_err());
    }

    #[test]
    fn a_window_is_half_open_and_reads_further_back() {
        let window = Window::parse(Some("40d"), Some("1d"), NOW).expect("is a window");
        let day = |day| Some(day * MICROS_PER_DAY);
        assert!(window.contains(day(19_960)) && window.contains(day(19_998)));
        assert!(!window.contains(day(19_959)) && !window.contains(day(19_999)));
        assert!(window.contains(None));
        assert_eq!(window.read_from(), day(19_929));
        assert_eq!(Window::default().read_from(), None);
        assert!(Window::parse(Some("1d"), Some("2d"), NOW).is_err());
    }
}
