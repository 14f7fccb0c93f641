//! Intervals: aligned, half-open stretches of local civil time whose length divides the day (I2).
//! `start = floor((t - 1970-01-01T00:00:00) / length) * length`, floor toward minus infinity.

use std::fmt;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::{self, Timestamp, Zone};

const SECONDS_PER_DAY: u32 = 86_400;
const MICROS_PER_SECOND: i64 = 1_000_000;
const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The length of an interval: whole seconds that divide a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Length {
    seconds: u32,
}

/// A length that no interval can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} s does not divide a day into equal parts")]
pub struct LengthError(u64);

impl Length {
    /// Checks that `seconds` divides a day.
    ///
    /// # Errors
    /// When it is not.
    pub fn from_seconds(seconds: u64) -> Result<Length, LengthError> {
        match u32::try_from(seconds) {
            Ok(short) if short > 0 && SECONDS_PER_DAY.is_multiple_of(short) => Ok(Length { seconds: short }),
            _ => Err(LengthError(seconds)),
        }
    }

    /// Seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// Whether starts are told apart by hour and minute alone.
    pub fn is_whole_minutes(self) -> bool {
        self.seconds.is_multiple_of(60)
    }

    /// Microseconds.
    pub fn micros(self) -> i64 {
        i64::from(self.seconds) * MICROS_PER_SECOND
    }

    /// How many intervals make a day.
    pub fn per_day(self) -> u32 {
        SECONDS_PER_DAY / self.seconds
    }
}

/// One interval of local civil time. Intervals of one length order by their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    start_micros: i64,
    length: Length,
}

impl Interval {
    /// The interval that holds a local civil time, in microseconds since 1970-01-01T00:00:00 local.
    pub fn containing(local_micros: i64, length: Length) -> Interval {
        Interval { start_micros: local_micros.div_euclid(length.micros()) * length.micros(), length }
    }

    /// The interval that starts at `start`, if that is aligned (I2).
    pub fn starting(start: NaiveDateTime, length: Length) -> Option<Interval> {
        let micros = start.and_utc().timestamp_micros();
        let interval = Interval::containing(micros, length);
        (interval.start_micros == micros).then_some(interval)
    }

    /// Its length.
    pub fn length(self) -> Length {
        self.length
    }

    /// Local civil time of its start.
    pub fn start(self) -> NaiveDateTime {
        time::utc(self.start_micros)
    }

    /// Local civil time of its end, exclusive.
    pub fn end(self) -> NaiveDateTime {
        time::utc(self.start_micros + self.length.micros())
    }

    /// Local date of its start.
    pub fn date(self) -> NaiveDate {
        self.start().date()
    }

    /// Local time of day of its start, as names have it: `HHMM`, or `HHMMSS` where the length is not whole minutes.
    pub fn clock(self) -> String {
        self.start().format(if self.length.is_whole_minutes() { "%H%M" } else { "%H%M%S" }).to_string()
    }

    /// Local date and time of day of its start, as names have it: `YYYYMMDD-HHMM`, or `YYYYMMDD-HHMMSS`.
    pub fn stamp(self) -> String {
        format!("{}-{}", self.start().format("%Y%m%d"), self.clock())
    }

    /// Which interval of its day it is, from 0.
    pub fn slot(self) -> u32 {
        self.start().num_seconds_from_midnight() / self.length.seconds
    }

    /// Day of the week of its start, Monday = 0.
    pub fn weekday(self) -> u32 {
        self.date().weekday().num_days_from_monday()
    }

    /// Its number in the endless row of intervals of this length, counted from 1970-01-01T00:00:00 local: the
    /// difference of two numbers is the distance in intervals.
    pub fn number(self) -> i64 {
        self.start_micros.div_euclid(self.length.micros())
    }

    /// The interval `steps` further on, or back where `steps` is negative.
    #[must_use]
    pub fn offset(self, steps: i64) -> Interval {
        Interval { start_micros: self.start_micros + steps * self.length.micros(), length: self.length }
    }

    /// The instant at which it is over for good in `zone`.
    pub fn end_instant(self, zone: Zone) -> Timestamp {
        zone.end_instant(self.start_micros + self.length.micros())
    }
}

/// `2021-05-24 19:15:00`, local.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start().format(FORMAT))
    }
}

/// Written as start and seconds: `"2021-05-24 19:15:00/300"`.
impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self}/{}", self.length.seconds))
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Interval, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an aligned interval")))
    }
}

fn parse(text: &str) -> Option<Interval> {
    let (start, seconds) = text.split_once('/')?;
    let length = Length::from_seconds(seconds.parse().ok()?).ok()?;
    Interval::starting(NaiveDateTime::parse_from_str(start, FORMAT).ok()?, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, FORMAT).unwrap().and_utc().timestamp_micros()
    }

    fn minutes(count: u64) -> Length {
        Length::from_seconds(count * 60).unwrap()
    }

    #[test]
    fn the_oracle_holds_for_five_and_ten_minutes_and_before_1970() {
        for (time, five, ten) in [
            ("2021-05-24 19:18:28", "2021-05-24 19:15:00", "2021-05-24 19:10:00"),
            ("2021-05-24 19:21:15", "2021-05-24 19:20:00", "2021-05-24 19:20:00"),
            ("1969-12-31 23:58:59", "1969-12-31 23:55:00", "1969-12-31 23:50:00"),
            ("1970-01-01 00:00:00", "1970-01-01 00:00:00", "1970-01-01 00:00:00"),
            ("1938-04-24 22:13:20", "1938-04-24 22:10:00", "1938-04-24 22:10:00"),
        ] {
            assert_eq!(Interval::containing(at(time), minutes(5)).to_string(), five);
            assert_eq!(Interval::containing(at(time), minutes(10)).to_string(), ten);
        }
    }

    #[test]
    fn lengths_divide_the_day() {
        for good in [1, 10, 54, 60, 90, 300, 600, 3600, 86_400] {
            assert_eq!(u64::from(Length::from_seconds(good).unwrap().seconds()), good);
        }
        for bad in [0, 7, 11, 420, 86_401, 172_800, u64::MAX] {
            assert_eq!(Length::from_seconds(bad), Err(LengthError(bad)));
        }
    }

    #[test]
    fn the_serialised_form_reads_back_and_refuses_what_is_not_aligned() {
        let interval = Interval::containing(at("2021-05-24 19:18:28"), minutes(5));
        let text = serde_json::to_string(&interval).unwrap();
        assert_eq!(text, "\"2021-05-24 19:15:00/300\"");
        assert_eq!(serde_json::from_str::<Interval>(&text).unwrap(), interval);
        assert!(serde_json::from_str::<Interval>("\"2021-05-24 19:16:00/300\"").is_err());
    }

    #[test]
    fn names_have_seconds_where_they_are_needed() {
        let of = |seconds| Interval::containing(at("2021-05-24 19:18:28"), Length::from_seconds(seconds).unwrap());
        assert_eq!((of(300).clock(), of(300).stamp()), ("1915".to_owned(), "20210524-1915".to_owned()));
        assert_eq!((of(10).clock(), of(10).stamp()), ("191820".to_owned(), "20210524-191820".to_owned()));
        assert_eq!(of(90).clock(), "191800");
    }

    #[test]
    fn slots_count_from_midnight() {
        let interval = Interval::containing(at("2021-05-24 19:18:28"), minutes(5));
        assert_eq!(interval.slot(), 19 * 12 + 3);
        assert_eq!(interval.weekday(), 0);
        assert_eq!(interval.offset(1).to_string(), "2021-05-24 19:20:00");
        assert_eq!(interval.offset(-1).number() + 1, interval.number());
    }
}
