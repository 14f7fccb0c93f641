//! What goes into a step of a series beside the value, and what comes out of it.

use super::margin::Margin;

/// What a step needs to know of the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// Intervals per day.
    pub(super) per_day: u32,
    /// Score at which an interval alarms.
    pub(super) alarm: f64,
    /// Whether an empty interval has the value 0.
    pub(super) empty_is_zero: bool,
    /// Which changes count.
    pub(super) margin: Margin,
    /// Whether the increase of the values is judged.
    pub(super) is_counter: bool,
}

/// What a step says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) expected: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// Whether the band says what would be odd here; else it was made for this one value, and says nothing of another.
    pub(super) has_scale: bool,
    pub(super) score: f64,
    pub(super) severity: f64,
    pub(super) state: State,
}

/// The state of a series in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Learning { remaining: u32 },
    Normal,
    Anomalous { high: bool, since: i64 },
}
