//! Instants as producers write them: RFC 3339 text, or a number since the epoch in a unit told by magnitude.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::event::{MICROS_PER_DAY, MICROS_PER_SECOND, Micros};

/// The first second of the year 10000. Up to here a number is seconds, up to a thousandfold milliseconds, and so on:
/// so every unit is read right from January 1978 to the end of 9999 (nanoseconds: to 2262).
const SECONDS_END: i64 = 253_402_300_800;

/// A time in a message: absent, there but unreadable, or an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Instant {
    #[default]
    Absent,
    /// A value that is no time. An event that needs this time is rejected for it.
    Unreadable,
    At(Micros),
}

impl Instant {
    pub fn micros(self) -> Option<Micros> {
        match self {
            Instant::At(micros) => Some(micros),
            Instant::Absent | Instant::Unreadable => None,
        }
    }
}

/// Reads RFC 3339 (any offset, a space for the `T`, up to nine digits of a second), or an epoch number as text.
pub fn parse(text: &str) -> Option<Micros> {
    let text = text.trim();
    parse_zulu(text.as_bytes())
        .or_else(|| parse_offset(text))
        .or_else(|| parse_number(text))
}

/// Reads what [`parse`] reads, and a date and time without an offset, which databases write and mean UTC.
pub fn parse_assuming_utc(text: &str) -> Option<Micros> {
    parse(text).or_else(|| {
        let text = text.trim();
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| {
                NaiveDate::parse_from_str(text, "%Y-%m-%d")
                    .ok()?
                    .and_hms_opt(0, 0, 0)
            })
            .map(|naive| naive.and_utc().timestamp_micros())
    })
}

/// Reads a number since the epoch: seconds, milliseconds, microseconds or nanoseconds by magnitude.
pub fn from_epoch(number: i64) -> Micros {
    // A `u64` magnitude, because the smallest `i64` has no positive counterpart.
    let magnitude = number.unsigned_abs();
    let end = SECONDS_END.unsigned_abs();
    if magnitude < end {
        number * MICROS_PER_SECOND
    } else if magnitude < end * 1_000 {
        number * 1_000
    } else if magnitude < end * 1_000_000 {
        number
    } else {
        number.div_euclid(1_000)
    }
}

/// Reads a number since the epoch that has a fraction, for example seconds with milliseconds behind the point.
pub fn from_epoch_fraction(number: f64) -> Option<Micros> {
    let end = SECONDS_END as f64;
    let magnitude = number.abs();
    let micros = if magnitude < end {
        number * 1e6
    } else if magnitude < end * 1e3 {
        number * 1e3
    } else if magnitude < end * 1e6 {
        number
    } else {
        number / 1e3
    };
    // Also false for NaN.
    (micros.abs() < end * 1e6).then(|| micros.round() as Micros)
}

/// Reads `YYYY-MM-DDTHH:MM:SSZ` with or without a fraction: what nearly every message has.
fn parse_zulu(text: &[u8]) -> Option<Micros> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let separators = [head[4], head[7], head[10], head[13], head[16]];
    if !matches!(separators, [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
        return None;
    }
    let two = |at: usize| digits(&head[at..at + 2]);
    let year = digits(&head[..4])?;
    let (month, day) = (two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    // A leap second is left to chrono.
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let (last, fraction) = tail.split_last()?;
    if !matches!(last, b'Z' | b'z') {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(
        days_from_epoch(year, month, day) * MICROS_PER_DAY
            + seconds * MICROS_PER_SECOND
            + fraction_micros(fraction)?,
    )
}

fn parse_offset(text: &str) -> Option<Micros> {
    // chrono panics on no input, but a long one is not a time either.
    const LENGTH_MAX: usize = 48;
    if text.len() > LENGTH_MAX || text.len() < 19 {
        return None;
    }
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %#z"))
        .ok()
        .map(|instant| instant.timestamp_micros())
}

fn parse_number(text: &str) -> Option<Micros> {
    if let Ok(number) = text.parse() {
        return Some(from_epoch(number));
    }
    let is_decimal = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    match text.bytes().all(is_decimal) {
        true => from_epoch_fraction(text.parse().ok()?),
        false => None,
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + i64::from(digit))
    })
}

/// Reads `` or `.` and one to nine digits; what is finer than a microsecond is cut off.
fn fraction_micros(text: &[u8]) -> Option<Micros> {
    let Some((point, fraction)) = text.split_first() else {
        return Some(0);
    };
    if *point != b'.' || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    digits(fraction)?;
    let kept = &fraction[..fraction.len().min(6)];
    Some(digits(kept)? * 10_i64.pow(6 - kept.len() as u32))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days in the proleptic Gregorian calendar, with years that begin in March so that the leap day is last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InstantVisitor;

        impl<'de> Visitor<'de> for InstantVisitor {
            type Value = Instant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }
            fn visit_str<E>(self, text: &str) -> Result<Instant, E> {
                Ok(match parse(text) {
                    Some(micros) => Instant::At(micros),
                    None if text.trim().is_empty() => Instant::Absent,
                    None => Instant::Unreadable,
                })
            }
            fn visit_u64<E>(self, number: u64) -> Result<Instant, E> {
                let number = i64::try_from(number);
                Ok(number.map_or(Instant::Unreadable, |number| {
                    Instant::At(from_epoch(number))
                }))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Instant, E> {
                Ok(Instant::At(from_epoch(number)))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Instant, E> {
                Ok(from_epoch_fraction(number).map_or(Instant::Unreadable, Instant::At))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Instant, E> {
                Ok(Instant::Unreadable)
            }
            fn visit_unit<E>(self) -> Result<Instant, E> {
                Ok(Instant::Absent)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Instant, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Instant::Unreadable)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Instant, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Instant::Unreadable)
            }
        }
        from.deserialize_any(InstantVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: Micros = 1_763_805_600_123_000;

    fn check(json: &str, expected: Instant) {
        let read: Instant = serde_json::from_str(json).expect("drift is accepted");
        assert_eq!(read, expected, "{json}");
    }

    #[test]
    fn rfc_3339_is_read_in_all_its_dresses() {
        for text in [
            "2025-11-22T10:00:00.123Z",
            "2025-11-22t10:00:00.123z",
            "2025-11-22 10:00:00.123Z",
            "2025-11-22T10:00:00.123000Z",
            "2025-11-22T10:00:00.123000999Z",
            "2025-11-22T18:00:00.123+08:00",
            "2025-11-22T18:00:00.123+0800",
            "2025-11-22T18:00:00.123+08",
            "2025-11-22 18:00:00.123 +08:00",
            "2025-11-22T04:30:00.123-05:30",
            "2025-11-22T10:00:00.123-00:00",
        ] {
            check(&format!("\"{text}\""), Instant::At(NOON));
        }
        check("\"1970-01-01T00:00:00Z\"", Instant::At(0));
        check(
            "\"9999-12-31T23:59:59.999999Z\"",
            Instant::At(SECONDS_END * 1_000_000 - 1),
        );
        check(
            "\"2016-12-31T23:59:60Z\"",
            Instant::At(1_483_228_800_000_000),
        );
        check(
            "\"2024-02-29T00:00:00Z\"",
            Instant::At(1_709_164_800_000_000),
        );
    }

    #[test]
    fn epoch_numbers_tell_their_unit_by_magnitude() {
        for json in [
            "1763805600123",
            "\"1763805600123\"",
            "1763805600.123",
            "\"1763805600.123\"",
        ] {
            check(json, Instant::At(NOON));
        }
        check("1763805600123000", Instant::At(NOON));
        check("1763805600123000000", Instant::At(NOON));
        check("1763805600", Instant::At(1_763_805_600_000_000));
        check("0", Instant::At(0));
        check("253402300799", Instant::At(253_402_300_799_000_000));
        check("253402300799000", Instant::At(253_402_300_799_000_000));
    }

    #[test]
    fn what_is_no_time_says_so() {
        for json in [
            "\"soon\"",
            "\"2025-02-29T00:00:00Z\"",
            "\"2025-13-01T00:00:00Z\"",
            "\"2025-11-22T24:00:00Z\"",
            "\"2025-11-22T10:00:00\"",
            "\"2025-11-22T10:00:00.Z\"",
            "\"NaN\"",
            "\"1e9\"",
            "true",
            "[1]",
            "{\"a\":1}",
            "1e300",
            "18446744073709551615",
        ] {
            check(json, Instant::Unreadable);
        }
        check("null", Instant::Absent);
        check("\"\"", Instant::Absent);
    }

    #[test]
    fn a_database_time_without_an_offset_is_utc() {
        assert_eq!(parse_assuming_utc("2025-11-22 10:00:00.123"), Some(NOON));
        assert_eq!(parse_assuming_utc("2025-11-22T10:00:00.123Z"), Some(NOON));
        assert_eq!(parse_assuming_utc("1970-01-02"), Some(MICROS_PER_DAY));
        assert_eq!(parse_assuming_utc("yesterday"), None);
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_chrono(seconds in 0..SECONDS_END, micros in 0..1_000_000_i64) {
            let at = DateTime::from_timestamp(seconds, micros as u32 * 1_000).expect("in range");
            let text = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            prop_assert_eq!(parse_zulu(text.as_bytes()), Some(seconds * 1_000_000 + micros));
        }

        #[test]
        fn nothing_panics(text in "[0-9TZ:. +-]{0,40}", number: i64, float: f64) {
            parse(&text);
            parse_assuming_utc(&text);
            from_epoch(number);
            from_epoch_fraction(float);
        }
    }
}
