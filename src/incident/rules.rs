//! What an operator decides about incidents: when one opens and closes, who is told how often, what is kept silent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::slice::Slice;
use crate::model::{Calendar, Direction, Length, Zone};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The rules of `[incident]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// An incident whose severity never comes so far is in the table and is not told.
    pub severity_threshold: f64,
    /// Severities that are news when an incident that was told comes so far.
    pub severity_steps: Vec<f64>,
    /// An incident, or an anomaly of it, of this severity opens at once.
    pub open_at_once: f64,
    /// Else it opens when it was sighted in so many,
    pub open_intervals: u32,
    /// of so many intervals, 8 at most.
    pub open_window: u32,
    /// Quiet intervals that end it.
    pub close_intervals: u32,
    /// How long after its end it comes back under the same id.
    pub reopen_within: Duration,
    /// Returns within a day that make it flapping.
    pub flapping_after: u32,
    /// The longest that one must be quiet that comes back again and again.
    pub hold_max: Duration,
    /// A shift that is the same for so long is the new level.
    pub level_shift_after: Duration,
    /// An incident that nobody acknowledges is told no more after so long.
    pub expire_after: Duration,
    /// When it is reminded of, counted from its opening; after the last, once a day.
    pub remind_after: Vec<Duration>,
    /// Least time between two updates of one incident.
    pub update_spacing: Duration,
    /// Notices within an hour, all incidents together; the rest is one digest.
    pub notices_per_hour: u32,
    /// Whether the end of an incident is told.
    pub tell_resolved: bool,
    /// Whether everyone is told that a level was learned; else those alone who hold an alert open until they are told.
    pub tell_level_shift: bool,
    /// Only this side; both, where none is given.
    pub direction: Option<Direction>,
    /// Slices of which less is expected do not count.
    pub min_volume: f64,
    /// Whether totals, and those of dimension values, are judged as well: for what no series shows by itself.
    pub rollups: bool,
    /// What is not told.
    pub silences: Vec<Silence>,
    /// When only what is severe is told at once.
    pub quiet_hours: Option<QuietHours>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            severity_threshold: 70.0,
            severity_steps: Vec::new(),
            open_at_once: 85.0,
            open_intervals: 2,
            open_window: 3,
            close_intervals: 3,
            reopen_within: HOUR,
            flapping_after: 3,
            hold_max: 4 * HOUR,
            level_shift_after: 24 * HOUR,
            expire_after: 48 * HOUR,
            remind_after: vec![4 * HOUR, 12 * HOUR],
            update_spacing: 15 * MINUTE,
            notices_per_hour: 20,
            tell_resolved: true,
            tell_level_shift: false,
            direction: None,
            min_volume: 0.0,
            rollups: false,
            silences: Vec::new(),
            quiet_hours: None,
        }
    }
}

/// Times in which what is less severe waits for a digest.
#[derive(Clone, Debug, PartialEq)]
pub struct QuietHours {
    /// When.
    pub calendar: Calendar,
    /// What is at least so severe is told all the same.
    pub severity_threshold: f64,
}

/// What is not told, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// What of.
    pub matcher: Matcher,
    /// When, and its name.
    pub calendar: Calendar,
}

/// Which incidents: those of which every part has these measures, values and this side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matcher {
    /// One of these measures; any, where none is named.
    #[serde(default)]
    pub measures: Vec<String>,
    /// Dimensions with the values of which a slice has one.
    #[serde(default)]
    pub dimensions: Vec<(String, Vec<String>)>,
    /// This side; any, where none is given.
    #[serde(default)]
    pub direction: Option<Direction>,
}

impl Matcher {
    /// Whether a part of an incident is meant.
    pub(super) fn has(&self, names: &[String], measure: &str, direction: Direction, slice: &Slice) -> bool {
        let has_value = |(name, values): &(String, Vec<String>)| {
            let at = names.iter().position(|other| other == name);
            let value = at.and_then(|at| slice.value(at));
            value.is_some_and(|value| values.iter().any(|wanted| wanted == value))
        };
        (self.measures.is_empty() || self.measures.iter().any(|name| name == measure))
            && self.direction.is_none_or(|wanted| wanted == direction)
            && self.dimensions.iter().all(has_value)
    }

    /// Whether it means everything.
    pub fn is_open(&self) -> bool {
        self.measures.is_empty() && self.dimensions.is_empty() && self.direction.is_none()
    }
}

/// What incidents are about and how they are treated.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub(super) dimensions: Vec<String>,
    pub(super) zone: Zone,
    pub(super) length: Length,
    pub(super) rules: Rules,
    pub(super) steps: Steps,
}

impl Settings {
    /// Of series with these dimensions, in intervals of this length and zone.
    pub fn new(dimensions: Vec<String>, length: Length, zone: Zone, rules: Rules) -> Settings {
        let steps = Steps::of(&rules, length);
        Settings { dimensions, zone, length, rules, steps }
    }
}

/// The times of the rules in intervals, at least one each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps {
    pub(super) per_day: u32,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) reopen_within: i64,
    pub(super) hold_max: u32,
    pub(super) level_shift_after: i64,
    pub(super) expire_after: i64,
    pub(super) remind_after: Vec<i64>,
    pub(super) update_spacing: i64,
}

impl Steps {
    fn of(rules: &Rules, length: Length) -> Steps {
        let steps = |time: Duration| {
            let intervals = time.as_secs().div_ceil(u64::from(length.seconds())).max(1);
            i64::try_from(intervals).unwrap_or(i64::MAX)
        };
        Steps {
            per_day: length.per_day(),
            day: steps(24 * HOUR),
            hour: steps(HOUR),
            reopen_within: steps(rules.reopen_within),
            hold_max: u32::try_from(steps(rules.hold_max)).unwrap_or(u32::MAX),
            level_shift_after: steps(rules.level_shift_after),
            expire_after: steps(rules.expire_after),
            remind_after: rules.remind_after.iter().map(|time| steps(*time)).collect(),
            update_spacing: steps(rules.update_spacing),
        }
    }
}
