//! Event times as texts. A format says how they are written: a pattern in strftime letters (`%Y-%m-%d %H:%M:%S`) or in
//! Java letters (`yyyy-MM-dd HH:mm:ss`), ISO 8601, or a number since 1970. A time that names no offset and no zone is
//! local time in the configured zone.

mod cursor;
mod fixed;
mod java;
mod pattern;
mod strftime;

use std::fmt;

use chrono::DateTime;

use self::cursor::Cursor;
use self::pattern::Pattern;
use super::number::Decimal;
use crate::model::{Timestamp, Zone};

const MICROS_PER_SECOND: i64 = 1_000_000;
/// `epoch` reads larger numbers as milliseconds, as Lookout for Metrics did: 4970-09-30 in seconds, 1973-01-01 in
/// milliseconds.
const EPOCH_SECONDS_MAX: i128 = 94_694_400_000;

/// How event times are written.
#[derive(Clone, Debug)]
pub struct TimestampFormat {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Epoch(EpochUnit),
    Iso8601,
    Pattern(Pattern),
}

#[derive(Clone, Copy, Debug)]
enum EpochUnit {
    Seconds,
    Milliseconds,
    Either,
}

/// Why a text is no timestamp format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A strftime specifier that does not exist or does not work for reading.
    #[error("timestamp format `{format}`: `{specifier}` is not supported{}", KNOWN)]
    Specifier {
        /// The whole format.
        format: String,
        /// The specifier.
        specifier: String,
    },
    /// A Java letter that is not supported.
    #[error("timestamp format `{format}`: the pattern letter `{letter}` is not supported{}", KNOWN)]
    Letter {
        /// The whole format.
        format: String,
        /// The letter.
        letter: char,
    },
    /// A quote in a Java pattern that is not closed.
    #[error("timestamp format `{format}`: a quote is not closed")]
    Quote {
        /// The whole format.
        format: String,
    },
    /// The pattern does not say which day it is, or has a 12-hour clock without am and pm.
    #[error("timestamp format `{format}` does not give a full date and time{}", KNOWN)]
    Incomplete {
        /// The whole format.
        format: String,
    },
}

const KNOWN: &str = "; hint: use a strftime pattern such as `%Y-%m-%d %H:%M:%S`, a Java pattern such as \
                     `yyyy-MM-dd HH:mm:ss`, `iso8601`, `epoch`, `epoch_seconds` or `epoch_milliseconds`";

impl TimestampFormat {
    /// Reads a format as the user writes it: one of `epoch`, `epoch_seconds`, `epoch_milliseconds` and `iso8601`, a
    /// strftime pattern (it has a `%`), or a Java pattern.
    ///
    /// # Errors
    /// When it is none of them, or a pattern that does not give a date.
    pub fn parse(text: &str) -> Result<TimestampFormat, FormatError> {
        let kind = match text {
            "epoch" => Kind::Epoch(EpochUnit::Either),
            "epoch_seconds" => Kind::Epoch(EpochUnit::Seconds),
            "epoch_milliseconds" => Kind::Epoch(EpochUnit::Milliseconds),
            "iso8601" => Kind::Iso8601,
            pattern if pattern.contains('%') => Kind::Pattern(Pattern::new(text, strftime::parts(pattern)?)?),
            pattern => Kind::Pattern(Pattern::new(text, java::parts(pattern)?)?),
        };
        Ok(TimestampFormat { text: text.to_owned(), kind })
    }

    fn read(&self, text: &str) -> Option<Moment> {
        match &self.kind {
            Kind::Epoch(unit) => epoch(text, *unit),
            Kind::Iso8601 => iso8601(text),
            Kind::Pattern(pattern) => pattern.read(text),
        }
    }
}

/// The format as it was written.
impl fmt::Display for TimestampFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Two formats are the same where they are written the same.
impl PartialEq for TimestampFormat {
    fn eq(&self, other: &TimestampFormat) -> bool {
        self.text == other.text
    }
}

impl Eq for TimestampFormat {}

/// What a text says about time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// Since 1970-01-01T00:00:00 on the clocks of the configured zone.
    Local(i64),
}

/// A number since 1970.
fn epoch(text: &str, unit: EpochUnit) -> Option<Moment> {
    let number = Decimal::parse(text)?;
    let micros = match unit {
        EpochUnit::Milliseconds => number.scaled(3)?,
        EpochUnit::Seconds => number.scaled(6)?,
        EpochUnit::Either => match number.scaled(6)? {
            seconds if seconds.value > EPOCH_SECONDS_MAX * i128::from(MICROS_PER_SECOND) => number.scaled(3)?,
            seconds => seconds,
        },
    };
    i64::try_from(micros.value).ok().map(Moment::Instant)
}

/// `2021-05-24`, `2021-05-24T19:18`, `2021-05-24 19:18:28.5`, each but the first also with `Z`, `+01`, `+0100` or
/// `+01:00`.
fn iso8601(text: &str) -> Option<Moment> {
    let mut cursor = Cursor::new(text);
    let mut civil = cursor::Civil { year: cursor.digits(4)?, ..cursor::Civil::default() };
    cursor.expect(b'-')?;
    civil.month = cursor.digits(2)?;
    cursor.expect(b'-')?;
    civil.day = cursor.digits(2)?;
    if cursor.is_at_end() {
        return civil.micros().map(Moment::Local);
    }
    cursor.take(|byte| matches!(byte, b'T' | b't' | b' '))?;
    civil.hour = cursor.digits(2)?;
    cursor.expect(b':')?;
    civil.minute = cursor.digits(2)?;
    if cursor.expect(b':').is_some() {
        civil.second = cursor.digits(2)?;
        if cursor.take(|byte| matches!(byte, b'.' | b',')).is_some() {
            civil.micros = cursor.fraction()?;
        }
    }
    let local = civil.micros()?;
    if cursor.is_at_end() {
        return Some(Moment::Local(local));
    }
    let offset = cursor.offset()?;
    cursor.is_at_end().then(|| Moment::Instant(local - offset * MICROS_PER_SECOND))
}

/// Reads event times of one format and zone.
#[derive(Debug)]
pub(super) struct TimeReader {
    format: TimestampFormat,
    zone: Zone,
    /// Stretches met so far, each at the place that its number gives it.
    stretches: Box<[Option<Stretch>; STRETCHES]>,
}

/// A quarter of an hour of local time in which the zone's offset does not change.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start_micros: i64,
    offset_micros: i64,
}

/// A day has 96 of them: also times in any order are mostly met again.
const STRETCHES: usize = 128;
/// Clocks are not set twice within it.
const STRETCH_MICROS: i64 = 900 * MICROS_PER_SECOND;

impl TimeReader {
    /// Reads this format; `zone` is where a time without an offset is local.
    pub(super) fn new(format: TimestampFormat, zone: Zone) -> TimeReader {
        TimeReader { format, zone, stretches: Box::new([None; STRETCHES]) }
    }

    /// The instant that a text writes, if it follows the format and lies within the years 1 to 9999.
    pub(super) fn read(&mut self, text: &str) -> Option<Timestamp> {
        match self.format.read(text)? {
            Moment::Instant(micros) => Timestamp::from_micros(micros).ok(),
            Moment::Local(micros) if self.zone == Zone::UTC => Timestamp::from_micros(micros).ok(),
            Moment::Local(micros) => self.instant(micros),
        }
    }

    fn instant(&mut self, local: i64) -> Option<Timestamp> {
        let number = local.div_euclid(STRETCH_MICROS);
        let start_micros = number * STRETCH_MICROS;
        let place = usize::try_from(number.rem_euclid(STRETCHES as i64)).ok()?;
        let known = self.stretches[place].filter(|stretch| stretch.start_micros == start_micros);
        match known.or_else(|| self.stretch(start_micros)) {
            Some(stretch) => {
                self.stretches[place] = Some(stretch);
                Timestamp::from_micros(local - stretch.offset_micros).ok()
            }
            None => self.looked_up(local),
        }
    }

    /// The stretch that begins at `start_micros`, if the offset is the same at both ends.
    fn stretch(&self, start_micros: i64) -> Option<Stretch> {
        let offset = |local: i64| self.looked_up(local).map(|instant| local - instant.micros());
        let offset_micros = offset(start_micros)?;
        let at_end = offset(start_micros + STRETCH_MICROS - 1)?;
        (offset_micros == at_end).then_some(Stretch { start_micros, offset_micros })
    }

    fn looked_up(&self, local: i64) -> Option<Timestamp> {
        self.zone.to_instant(DateTime::from_timestamp_micros(local)?.naive_utc()).ok()
    }
}

#[cfg(test)]
mod tests;
