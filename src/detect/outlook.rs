//! What is expected of one interval of a series.

use super::model::{Bank, Kind, Shapes};

/// Days of a slot before the profile alone is an argument.
const PROFILE_DAYS: u16 = 4;
/// A value this much nearer to the profile than to what was expected is the profile's.
const PROFILE_SHARE: f64 = 0.25;

/// What is expected of one interval, before its value is looked at.
pub(super) struct Outlook {
    pub(super) shapes: Shapes,
    pub(super) expected: f64,
    /// Noise shape there, and least noise.
    pub(super) shape: f64,
    pub(super) least: f64,
    /// Baseline that speaks for a single value, and its mean error, if one may.
    pub(super) best: Option<usize>,
    pub(super) unit: Option<f64>,
    /// Whether wide windows speak without a season, and how many families of baselines speak at all.
    pub(super) wide: bool,
    pub(super) families: usize,
    /// Days that the profile has seen of this slot.
    pub(super) days: u16,
}

impl Outlook {
    /// Whether a value that is far from `expected` is what day and week alone would say: then it is the level that was
    /// wrong, after a weekend that the level had followed, or a shift that is over.
    pub(super) fn is_profile(&self, value: f64, expected: f64) -> bool {
        let alone = self.shapes[Kind::Weekly as usize].map(|shape| shape.at(0.0));
        self.days >= PROFILE_DAYS
            && alone.is_some_and(|alone| (value - alone).abs() <= PROFILE_SHARE * (value - expected).abs())
    }

    /// What a held level makes of this place.
    pub(super) fn held(&self, baseline: usize, level: f64) -> f64 {
        self.shapes[Bank::kind(baseline) as usize].map_or(self.expected, |shape| shape.at(level))
    }
}
