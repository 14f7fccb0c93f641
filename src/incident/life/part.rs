//! One measure and slice of an incident: which slice it is as time goes on, and whether its shift holds.

use serde::{Deserialize, Serialize};

use super::super::scene::{Scene, Sighting, Sums};
use super::super::slice::Slice;
use crate::model::Direction;

/// Half the bound at which a slice stands out, in standard deviations,
const HOLD_Z: f64 = 2.0;
/// and the share of its largest shift below which it is over all the same.
const HOLD_SHIFT: f64 = 0.25;
/// Intervals in a row after which an open incident follows its cause to another slice.
const FOLLOW: u32 = 3;
/// Slices that a part had before, the newest.
const BEFORE_MAX: usize = 16;

/// One measure and slice of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::incident) struct Part {
    pub(in crate::incident) measure: String,
    pub(in crate::incident) direction: Direction,
    pub(in crate::incident) slice: Slice,
    pub(in crate::incident) share: f64,
    /// Value, expected value and half the band, as they are shown.
    pub(in crate::incident) shown: [f64; 3],
    /// The largest relative shift.
    pub(super) largest: f64,
    /// The interval in which they were.
    #[serde(default)]
    pub(in crate::incident) shown_at: Option<i64>,
    /// The first interval in which its anomalies were counted, and the slices that it had before, each with the first
    /// interval in which it was another.
    #[serde(default)]
    pub(super) counted_from: Option<i64>,
    #[serde(default)]
    pub(super) before: Vec<(Slice, i64)>,
    /// Another slice that was sighted instead of its own, and for how many intervals.
    pub(super) instead: Option<(Slice, u32)>,
    /// Where its value stands since it began, see `level`.
    #[serde(default)]
    pub(super) level: Option<f64>,
    /// What was sighted in this interval: its own slice, and how many others.
    #[serde(skip)]
    pub(super) now: Sighted,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sighted {
    pub(super) own: bool,
    pub(super) others: Vec<Slice>,
}

impl Part {
    pub(super) fn new(sighting: &Sighting) -> Part {
        Part {
            measure: sighting.measure.clone(),
            direction: sighting.direction,
            slice: sighting.slice.clone(),
            share: sighting.share,
            shown: sighting.sums.shown(),
            shown_at: None,
            counted_from: None,
            before: Vec::new(),
            largest: 0.0,
            instead: None,
            level: None,
            now: Sighted { own: true, others: Vec::new() },
        }
    }

    /// Follows its cause to another slice, once that is not by chance.
    pub(super) fn follow(&mut self, is_believed: bool, now: i64) -> bool {
        let Sighted { own, mut others } = std::mem::take(&mut self.now);
        let other = if others.len() == 1 { others.pop() } else { None };
        let Some(other) = other.filter(|_| !own) else {
            if own {
                self.instead = None;
            }
            return false;
        };
        let times = match &self.instead {
            Some((slice, times)) if *slice == other => times + 1,
            _ => 1,
        };
        if is_believed && times < FOLLOW {
            self.instead = Some((other, times));
            return false;
        }
        let before = std::mem::replace(&mut self.slice, other);
        self.before.drain(..(self.before.len() + 1).saturating_sub(BEFORE_MAX));
        self.before.push((before, now));
        (self.instead, self.largest, self.level) = (None, 0.0, None);
        true
    }

    /// The slice whose anomalies were counted in an interval.
    pub(in crate::incident) fn slice_at(&self, at: i64) -> Option<&Slice> {
        self.counted_from.filter(|from| *from <= at)?;
        let before = self.before.iter().find(|(_, until)| at < *until);
        Some(before.map_or(&self.slice, |(slice, _)| slice))
    }

    /// Whether its shift goes on in an interval.
    pub(in crate::incident) fn is_held_by(&self, scene: &Scene<'_>) -> bool {
        scene.sums(&self.measure, &self.slice).is_some_and(|sums| self.holds(&sums))
    }

    pub(super) fn holds(&self, sums: &Sums) -> bool {
        sums.z(self.direction) >= HOLD_Z && sums.relative(self.direction) >= HOLD_SHIFT * self.largest
    }
}
