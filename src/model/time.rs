//! Instants and time zones. An instant is an integer number of microseconds since 1970-01-01T00:00:00Z; a zone turns it
//! into local civil time, also counted in microseconds, because an interval is a stretch of local civil time.

use std::fmt;

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z: below it, `YYYY-MM-DD` has no four digits.
const MICROS_MIN: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-12-30T00:00:00Z: a day below the end of four-digit years, so that no zone pushes an instant past it.
const MICROS_MAX: i64 = 253_402_128_000 * MICROS_PER_SECOND;

/// An instant, in microseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// An instant that no partition path can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instant of {0} microseconds since 1970 lies outside the years 1 to 9999")]
pub struct TimestampError(i64);

impl Timestamp {
    /// The earliest instant: a watermark that has seen nothing.
    pub const MIN: Timestamp = Timestamp(MICROS_MIN);
    /// The latest instant.
    pub const MAX: Timestamp = Timestamp(MICROS_MAX);

    /// Checks the range.
    ///
    /// # Errors
    /// When the instant lies outside the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Result<Timestamp, TimestampError> {
        if (MICROS_MIN..=MICROS_MAX).contains(&micros) { Ok(Timestamp(micros)) } else { Err(TimestampError(micros)) }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// This instant moved by `micros`, held inside the range.
    #[must_use]
    pub fn saturating_add_micros(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros).clamp(MICROS_MIN, MICROS_MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", utc(self.0).format("%Y-%m-%dT%H:%M:%S%.fZ"))
    }
}

/// A time zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// A zone name that the database does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone")]
pub struct ZoneError(String);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(Tz::UTC);

    /// Looks an IANA name up, such as `UTC` or `Europe/Berlin`.
    ///
    /// # Errors
    /// When the database does not know the name.
    pub fn from_name(name: &str) -> Result<Zone, ZoneError> {
        name.parse::<Tz>().map(Zone).map_err(|_| ZoneError(name.to_owned()))
    }

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Every IANA name, for a hint at the nearest one.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// Local civil time of an instant, in microseconds since 1970-01-01T00:00:00 local.
    pub fn to_local_micros(self, at: Timestamp) -> i64 {
        if self.0 == Tz::UTC {
            return at.0;
        }
        let offset = self.0.offset_from_utc_datetime(&utc(at.0)).fix().local_minus_utc();
        at.0 + i64::from(offset) * MICROS_PER_SECOND
    }

    /// The instant at which clocks in this zone show `local`. A time that comes twice (clocks set back) is read as the
    /// first, a time that never comes (clocks set forward) as the instant of the change plus what it is past the gap's
    /// start: the readings of most date libraries.
    ///
    /// # Errors
    /// When the instant lies outside the years 1 to 9999.
    pub fn to_instant(self, local: NaiveDateTime) -> Result<Timestamp, TimestampError> {
        let micros = match self.0.offset_from_local_datetime(&local) {
            LocalResult::Single(offset) => minus(local, offset.fix().local_minus_utc()),
            LocalResult::Ambiguous(first, _) => minus(local, first.fix().local_minus_utc()),
            LocalResult::None => minus(local, self.offset_around(local, -1)),
        };
        Timestamp::from_micros(micros)
    }

    /// The last instant at which clocks in this zone show `local_micros`, exclusive: one microsecond after the last
    /// instant that shows the microsecond before it. At that instant a stretch of local time that ends there is over
    /// for good, however clocks were set in between.
    pub fn end_instant(self, local_micros: i64) -> Timestamp {
        if self.0 == Tz::UTC {
            return Timestamp::MIN.max(Timestamp(local_micros.min(MICROS_MAX)));
        }
        let last = utc(local_micros.saturating_sub(1).clamp(MICROS_MIN, MICROS_MAX));
        let offset = match self.0.offset_from_local_datetime(&last) {
            LocalResult::Single(offset) => offset.fix().local_minus_utc(),
            LocalResult::Ambiguous(_, second) => second.fix().local_minus_utc(),
            LocalResult::None => self.offset_around(last, 1),
        };
        Timestamp(minus(last, offset)).saturating_add_micros(1)
    }

    /// The offset in force a day before (`-1`) or after (`1`) a local time that does not exist.
    fn offset_around(self, local: NaiveDateTime, days: i64) -> i32 {
        self.0.offset_from_utc_datetime(&(local + TimeDelta::days(days))).fix().local_minus_utc()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn minus(local: NaiveDateTime, offset_seconds: i32) -> i64 {
    local.and_utc().timestamp_micros() - i64::from(offset_seconds) * MICROS_PER_SECOND
}

/// Civil time of a count of microseconds; the range check of [`Timestamp`] keeps the count valid.
pub(super) fn utc(micros: i64) -> NaiveDateTime {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH).naive_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
    }

    #[test]
    fn a_zone_reads_local_time_both_ways() {
        let berlin = Zone::from_name("Europe/Berlin").unwrap();
        let summer = berlin.to_instant(local("2021-07-01 12:00:00")).unwrap();
        assert_eq!(summer.to_string(), "2021-07-01T10:00:00Z");
        assert_eq!(utc(berlin.to_local_micros(summer)), local("2021-07-01 12:00:00"));
    }

    #[test]
    fn a_time_that_comes_twice_is_the_first_and_a_time_that_never_comes_moves_on() {
        let berlin = Zone::from_name("Europe/Berlin").unwrap();
        assert_eq!(berlin.to_instant(local("2021-10-31 02:30:00")).unwrap().to_string(), "2021-10-31T00:30:00Z");
        assert_eq!(berlin.to_instant(local("2021-03-28 02:30:00")).unwrap().to_string(), "2021-03-28T01:30:00Z");
    }

    #[test]
    fn a_stretch_of_local_time_ends_after_its_second_passing() {
        let berlin = Zone::from_name("Europe/Berlin").unwrap();
        let end = |text: &str| berlin.end_instant(local(text).and_utc().timestamp_micros()).to_string();
        assert_eq!(end("2021-10-31 02:00:00"), "2021-10-31T00:00:00Z", "01:59:59 comes once");
        assert_eq!(end("2021-10-31 02:05:00"), "2021-10-31T01:05:00Z", "02:04:59 comes twice");
        assert_eq!(end("2021-03-28 03:00:00"), "2021-03-28T01:00:00Z", "02:59:59 never comes");
        assert_eq!(end("2021-07-01 00:00:00"), "2021-06-30T22:00:00Z");
    }

    #[test]
    fn instants_outside_four_digit_years_are_refused() {
        assert!(Timestamp::from_micros(i64::MAX).is_err());
        assert!(Timestamp::from_micros(MICROS_MIN - 1).is_err());
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00Z");
    }
}
