//! How unusual an interval is, on a scale that means the same on every series: each kind of evidence is ranked against
//! its own past on this series and becomes a probability; the score is `-log10` of it.

mod extremes;
mod far;
mod forest;
mod jumps;
mod rank;
mod repeats;
mod side;
mod silence;
mod tail;
mod windows;

pub(super) use extremes::Extremes;
pub(super) use forest::{BOXES_COMPACT, BOXES_FULL, ForestEvidence, forest_settings};
pub(super) use jumps::Jumps;
use rank::Rank;
pub(super) use repeats::Repeats;
use side::Side;
pub(super) use silence::Silence;
pub(super) use tail::Tail;
pub(super) use windows::{Lead, Odds, Question, Windows};
