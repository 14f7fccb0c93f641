//! A pattern in one internal form, whichever letters it was written in: chrono's items, and beside them the parts that
//! chrono reads differently than users of other tools mean them.

use std::fmt::Write as _;

use chrono::format::{Item, Parsed, parse_and_remainder};
use chrono::{DateTime, NaiveDateTime};

use super::cursor::Cursor;
use super::fixed::Program;
use super::{FormatError, MICROS_PER_SECOND, Moment};
use crate::model::Zone;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// Fields and literals as chrono knows them.
    Items(Vec<Item<'static>>),
    /// Digits of the fraction of a second, as many as there are.
    Fraction,
    /// `Z`, `+01`, `+0100` or `+01:00`.
    Offset,
    /// A zone by name: `UTC`, `Europe/Berlin`.
    ZoneName,
}

/// A pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    fast: Option<Program>,
}

/// 2001-02-03T04:05:06Z: each field has another value, and none is its default.
const SAMPLE_SECONDS: i64 = 981_173_106;

impl Pattern {
    /// Checks that a text of this pattern is a full date and time, by writing one and reading it back.
    pub(super) fn new(format: &str, parts: Vec<Part>) -> Result<Pattern, FormatError> {
        let fast = Program::new(&parts);
        let pattern = Pattern { parts, fast };
        let incomplete = || FormatError::Incomplete { format: format.to_owned() };
        let sample = pattern.sample().ok_or_else(incomplete)?;
        pattern.read_generally(&sample).map(|_| ()).ok_or_else(incomplete)?;
        Ok(pattern)
    }

    /// What a text of this pattern says.
    pub(super) fn read(&self, text: &str) -> Option<Moment> {
        self.fast_read(text).or_else(|| self.read_generally(text))
    }

    /// The way by position, where there is one.
    pub(super) fn fast_read(&self, text: &str) -> Option<Moment> {
        self.fast.as_ref()?.read(text)
    }

    /// The general way, field by field with chrono.
    pub(super) fn read_generally(&self, text: &str) -> Option<Moment> {
        let mut parsed = Parsed::new();
        let mut zone = None;
        let mut rest = text;
        for part in &self.parts {
            rest = match part {
                Part::Items(items) => parse_and_remainder(&mut parsed, rest, items.iter()).ok()?,
                Part::Fraction => {
                    let (micros, rest) = taken(rest, |cursor| cursor.fraction())?;
                    parsed.set_nanosecond(i64::from(micros) * 1000).ok()?;
                    rest
                }
                Part::Offset => {
                    let (seconds, rest) = taken(rest.trim_start(), |cursor| cursor.offset())?;
                    parsed.set_offset(seconds).ok()?;
                    rest
                }
                Part::ZoneName => {
                    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-');
                    let (name, rest) = rest.split_at(rest.find(|c| !named(c)).unwrap_or(rest.len()));
                    zone = Some(zone_named(name)?);
                    rest
                }
            };
        }
        if !rest.is_empty() {
            return None;
        }
        moment(parsed, zone)
    }

    /// A time written in this pattern.
    fn sample(&self) -> Option<String> {
        let time = DateTime::from_timestamp(SAMPLE_SECONDS, 0)?;
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Items(items) => write!(text, "{}", time.format_with_items(items.iter())).ok()?,
                Part::Fraction => text.push('7'),
                Part::Offset => text.push('Z'),
                Part::ZoneName => text.push_str("UTC"),
            }
        }
        Some(text)
    }
}

/// Reads with a cursor from the beginning of `text`, and gives what follows.
fn taken<'a, T>(text: &'a str, read: impl Fn(&mut Cursor<'a>) -> Option<T>) -> Option<(T, &'a str)> {
    let mut cursor = Cursor::new(text);
    let value = read(&mut cursor)?;
    Some((value, text.get(text.len() - cursor.left()..)?))
}

/// Puts the fields together; a time of day, or its minute, that the pattern does not have is 0.
fn moment(mut parsed: Parsed, zone: Option<Zone>) -> Option<Moment> {
    if parsed.timestamp().is_some() {
        return parsed.to_naive_datetime_with_offset(0).ok().map(micros).map(Moment::Instant);
    }
    if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() {
        parsed.set_hour(0).ok()?;
    }
    if parsed.minute().is_none() {
        parsed.set_minute(0).ok()?;
    }
    let local = parsed.to_naive_datetime_with_offset(0).ok()?;
    match (parsed.offset(), zone) {
        (Some(offset), _) => Some(Moment::Instant(micros(local) - i64::from(offset) * MICROS_PER_SECOND)),
        (None, Some(zone)) => zone.to_instant(local).ok().map(|instant| Moment::Instant(instant.micros())),
        (None, None) => Some(Moment::Local(micros(local))),
    }
}

fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

fn zone_named(name: &str) -> Option<Zone> {
    if name == "Z" { Some(Zone::UTC) } else { Zone::from_name(name).ok() }
}
