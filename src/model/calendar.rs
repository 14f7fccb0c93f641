//! Known calendars: stretches of time, such as holidays and maintenance, in which series are neither judged nor taught.
//!
//! A [`Calendar`] says when and, by values of dimensions, whose series; [`Calendars`] are those of a detector. An interval
//! that a stretch touches, however little, belongs to it. Stretches are instants, so that an interval is compared as the
//! time that it really took: where clocks are set back, the hour that comes twice is one hour of intervals of two hours.
//!
//! Who changes a calendar of times to come changes nothing that was learned; who changes one of times past does.
//! [`Calendars::mark`] is what tells the two apart.

use super::{Interval, SeriesKey, Timestamp, Zone};

const MINUTE_MICROS: i64 = 60_000_000;
const DAY_MINUTES: u32 = 24 * 60;
const WEEK_MINUTES: u32 = 7 * DAY_MINUTES;
/// 1970-01-01 was a Thursday; weeks are counted from a Monday.
const EPOCH_MINUTES: i64 = 3 * DAY_MINUTES as i64;

/// What cannot be a calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// A stretch without an instant in it.
    #[error("ends at {to}, which is not after its begin at {from}")]
    Empty {
        /// Begin.
        from: Timestamp,
        /// End.
        to: Timestamp,
    },
    /// A weekly stretch that ends where it begins.
    #[error("ends where it begins; hint: write it as two, such as `mon 00:00-thu 00:00` and `thu 00:00-mon 00:00`")]
    WholeWeek,
    /// A minute that no week has.
    #[error("minute {0} is not one of the {WEEK_MINUTES} of a week")]
    Minute(u32),
    /// Nothing is ignored.
    #[error("has no time; hint: give it `dates`, or `from` and `to`, or `weekly`")]
    Never,
    /// A dimension that there is not.
    #[error("names dimension `{0}`, which there is not")]
    Dimension(String),
}

/// A stretch of time, from an instant on and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    from: Timestamp,
    to: Timestamp,
}

impl Stretch {
    /// All the time that there is.
    pub const ALWAYS: Stretch = Stretch { from: Timestamp::MIN, to: Timestamp::MAX };

    /// From an instant on and before another.
    ///
    /// # Errors
    /// When there is nothing between them.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Stretch, CalendarError> {
        if from < to { Ok(Stretch { from, to }) } else { Err(CalendarError::Empty { from, to }) }
    }

    /// The time that an interval of this zone took.
    fn of(interval: Interval, zone: Zone) -> Stretch {
        let to = interval.end_instant(zone);
        let from = zone.to_instant(interval.start()).unwrap_or(Timestamp::MIN);
        Stretch { from: from.min(to), to }
    }

    fn meets(self, other: Stretch) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// What of it lies before an instant.
    fn until(self, end: Timestamp) -> Option<Stretch> {
        Stretch::new(self.from, self.to.min(end)).ok()
    }
}

/// A stretch of every week, in minutes from Monday 00:00; it may run over the end of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weekly {
    begin: u32,
    end: u32,
}

impl Weekly {
    /// From one minute of the week on and before another.
    ///
    /// # Errors
    /// When a week does not have these minutes, or they are the same.
    pub fn new(begin: u32, end: u32) -> Result<Weekly, CalendarError> {
        if let Some(minute) = [begin, end].into_iter().find(|minute| *minute >= WEEK_MINUTES) {
            return Err(CalendarError::Minute(minute));
        }
        if begin == end { Err(CalendarError::WholeWeek) } else { Ok(Weekly { begin, end }) }
    }

    /// Whether it has some of the time between two counts of local microseconds since 1970, the second excluded.
    fn meets(self, from: i64, to: i64) -> bool {
        let week = i64::from(WEEK_MINUTES) * MINUTE_MICROS;
        // counted from its own begin it runs from 0 to its length
        let length = (self.end + WEEK_MINUTES - self.begin) % WEEK_MINUTES;
        let length = i64::from(length) * MINUTE_MICROS;
        let begin = (i64::from(self.begin) - EPOCH_MINUTES) * MINUTE_MICROS;
        let at = (from - begin).rem_euclid(week);
        at < length || at + (to - from) > week
    }
}

/// When series are ignored, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    name: String,
    stretches: Vec<Stretch>,
    weekly: Vec<Weekly>,
    /// The zone of the weekly stretches, and the time in which they hold.
    zone: Zone,
    within: Stretch,
    /// Dimensions with the values that their series have; all series where empty.
    only: Vec<(String, Vec<String>)>,
}

impl Calendar {
    /// Of all series, in these stretches.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(name: &str, stretches: Vec<Stretch>) -> Result<Calendar, CalendarError> {
        if stretches.is_empty() {
            return Err(CalendarError::Never);
        }
        let (zone, within) = (Zone::UTC, Stretch::ALWAYS);
        Ok(Calendar { name: name.to_owned(), stretches, weekly: Vec::new(), zone, within, only: Vec::new() })
    }

    /// Of all series, week by week in a zone, as long as `within` lasts.
    ///
    /// # Errors
    /// When there is no weekly stretch.
    pub fn weekly(name: &str, weekly: Vec<Weekly>, zone: Zone, within: Stretch) -> Result<Calendar, CalendarError> {
        if weekly.is_empty() {
            return Err(CalendarError::Never);
        }
        Ok(Calendar { name: name.to_owned(), stretches: Vec::new(), weekly, zone, within, only: Vec::new() })
    }

    /// Only of series that have one of these values in each of these dimensions.
    #[must_use]
    pub fn only(mut self, dimensions: Vec<(String, Vec<String>)>) -> Calendar {
        self.only = dimensions;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When and whose, in words.
    pub fn description(&self) -> String {
        let count = self.stretches.len() + self.weekly.len();
        let stretches = if count == 1 { "stretch" } else { "stretches" };
        let every = if self.weekly.is_empty() { "" } else { " of every week" };
        let first = self.stretches.iter().min().map(|first| format!(", the first from {}", first.from));
        let whose: Vec<String> =
            self.only.iter().map(|(dimension, values)| format!("{dimension} {}", values.join(" or "))).collect();
        let whose = if whose.is_empty() { "all series".to_owned() } else { whose.join(" and ") };
        format!("{count} {stretches}{every}{}: {whose}", first.unwrap_or_default())
    }

    /// Whether it holds in some of the time that an interval of this zone takes.
    pub fn is_at(&self, interval: Interval, zone: Zone) -> bool {
        self.meets(Stretch::of(interval, zone))
    }

    fn meets(&self, time: Stretch) -> bool {
        let local = |at: Timestamp| self.zone.to_local_micros(at);
        self.stretches.iter().any(|stretch| stretch.meets(time))
            || (self.within.meets(time)
                && self.weekly.iter().any(|weekly| {
                    let last = time.to.saturating_add_micros(-1);
                    weekly.meets(local(time.from), local(last).max(local(time.from)) + 1)
                }))
    }
}

/// The calendars of a detector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendars {
    zone: Option<Zone>,
    all: Vec<Ruled>,
}

/// A calendar, and the dimensions by their places in a key.
#[derive(Clone, Debug, PartialEq)]
struct Ruled {
    calendar: Calendar,
    only: Vec<usize>,
}

impl Calendars {
    /// Of series with these dimensions, whose intervals are of this zone.
    ///
    /// # Errors
    /// When a calendar names another dimension.
    pub fn new(calendars: Vec<Calendar>, dimensions: &[String], zone: Zone) -> Result<Calendars, CalendarError> {
        let mut all = Vec::with_capacity(calendars.len());
        for calendar in calendars {
            let place = |name: &String| dimensions.iter().position(|dimension| dimension == name);
            let place = |name: &String| place(name).ok_or_else(|| CalendarError::Dimension(name.clone()));
            let only = calendar.only.iter().map(|(name, _)| place(name)).collect::<Result<_, _>>()?;
            all.push(Ruled { calendar, only });
        }
        Ok(Calendars { zone: Some(zone), all })
    }

    /// The calendars.
    pub fn iter(&self) -> impl Iterator<Item = &Calendar> {
        self.all.iter().map(|ruled| &ruled.calendar)
    }

    /// Those that an interval belongs to.
    pub fn at(&self, interval: Interval) -> Active<'_> {
        if self.all.is_empty() {
            return Active(Vec::new());
        }
        let time = self.time(interval);
        Active(self.all.iter().filter(|ruled| ruled.calendar.meets(time)).collect())
    }

    /// Tells whether two sets of calendars ignore the same up to the end of an interval; 0 where they ignore nothing.
    pub fn mark(&self, last: Option<Interval>) -> u32 {
        let Some(end) = last.filter(|_| !self.all.is_empty()).map(|last| self.time(last).to) else { return 0 };
        let mut lines: Vec<String> = Vec::new();
        for Calendar { stretches, weekly, zone, within, only, .. } in self.iter() {
            let before = stretches.iter().filter_map(|stretch| stretch.until(end));
            lines.extend(before.map(|Stretch { from, to }| format!("{from}/{to} {only:?}")));
            let Some(Stretch { from, to }) = within.until(end) else { continue };
            lines.extend(
                weekly.iter().map(|Weekly { begin, end }| format!("{begin}-{end} {zone} {from}/{to} {only:?}")),
            );
        }
        if lines.is_empty() {
            return 0;
        }
        lines.sort_unstable();
        lines.dedup();
        crc32fast::hash(lines.join("\n").as_bytes()).max(1)
    }

    fn time(&self, interval: Interval) -> Stretch {
        Stretch::of(interval, self.zone.unwrap_or(Zone::UTC))
    }
}

/// The calendars that an interval belongs to.
pub struct Active<'a>(Vec<&'a Ruled>);

impl Active<'_> {
    /// Whether the series of a key are ignored.
    pub fn ignores(&self, key: &SeriesKey) -> bool {
        self.0.iter().any(|ruled| {
            ruled.only.iter().zip(&ruled.calendar.only).all(|(place, (_, values))| {
                key.values().nth(*place).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            })
        })
    }

    /// Whether all series are.
    pub fn ignores_all(&self) -> bool {
        self.0.iter().any(|ruled| ruled.only.is_empty())
    }
}

#[cfg(test)]
mod tests;
