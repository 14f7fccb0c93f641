//! The continuous detector: closed intervals in, one verdict per series and measure out.
//!
//! ```text
//!  rows of an interval ── Aggregator ──> ClosedInterval ── Detector::observe ──> points
//!                                                             │ one `Series` per dimension combination and measure
//!                                                             ├ model     what was expected, from the past alone
//!                                                             ├ evidence  how far the value is from it, and how rare that is here
//!                                                             └ episode   one incident is one episode; what it may teach
//! ```
//!
//! Read in this order: [`Settings`], [`Aggregator`] with `cells` and `places` (which rows belong together) and [`Intake`] (what measures take of them), [`Sliding`] (over
//! several intervals), `derived` and [`Expression`] (what follows from other measures), `arrival` (what a step is given),
//! [`Detector`], then `series` (the step that joins everything), and the parts it joins: `model` (place, profile, level,
//! noise, baselines), `evidence` (windows and their sides, forest, ranks, extremes, silence, repeats), `episode`, `guise`,
//! `habit`, `refractory`, `severity`. Then what many series need: `fleet` (forms within a memory budget), `sparse` (the
//! smallest form), `spread` (many series at the same time). The rules that a user sets: `margin` (which changes count),
//! [`Calendars`] (when nothing counts), `counter` (what only grows). Last what late rows do to a verdict: `verdicts` (what
//! was said, and what becomes of it), [`Revised`]. Beside all that stands [`records`], which
//! scores each row of an interval by itself.
//! A step is a pure function of the state and the closed interval: no clock, no randomness beside the seed, no look-ahead,
//! the same bits on every machine (D1). Nothing here reads or writes a file; the state leaves as bytes (`snapshot`), whole
//! or in increments (`increment`, D2).

mod aggregate;
mod arrival;
mod cells;
mod counter;
mod derived;
mod detector;
mod episode;
mod evidence;
mod expression;
mod fleet;
mod guise;
mod habit;
mod increment;
mod intake;
mod judgement;
mod margin;
mod model;
mod places;
pub mod records;
mod refractory;
mod revision;
mod series;
mod settings;
mod severity;
mod sliding;
mod snapshot;
mod sparse;
mod spread;
mod verdicts;

pub use crate::model::{Calendar, CalendarError, Calendars, Stretch, Weekly};
pub use aggregate::Aggregator;
pub use derived::{DerivedError, Formula, operands_of};
pub use detector::{Detector, Status};
pub use expression::{Expression, ExpressionError, Ratio};
pub use fleet::{Form, Sizes};
pub use increment::{Increment, Restoring};
pub use intake::{Gather, Intake, IntakeError, Take};
pub use margin::{MIN_CHANGE_MAX, MIN_CHANGE_RATIO_MAX, Margin, MarginError, Sides};
pub use revision::Revised;
pub use settings::{
    Aggregation, ForestShape, MEMORY_BYTES, Measure, Percentile, SENSITIVITY, SENSITIVITY_MAX, SENSITIVITY_MIN,
    Settings, SettingsError,
};
pub use sliding::Sliding;
pub use snapshot::SnapshotError;
pub use spread::{Sequential, Spread};
pub use verdicts::Outcome;

#[cfg(test)]
mod tests;
