//! Roll-ups: the total of a measure and that of each dimension value as series of their own, for shifts that no series
//! shows by itself.
//!
//! What is expected of a roll-up is the sum of what is expected of its series, and how far it may be from that follows
//! from their bands, as if they were independent. They are not: forecasts of one measure err together. So each roll-up
//! remembers how its deviation, in those standard deviations, has been over the last day, and what is unusual is held
//! against that. Where several stand out, the one that does most is sighted, and another one only as far as that does
//! not explain it. Values must add up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scene::{Scene, Sighting};
use super::slice::Slice;
use crate::model::{Direction, Interval};

/// Standard deviations from what a roll-up usually is, from which on it is sighted,
const SIGHTED: f64 = 6.0;
/// and the share of what was expected that it must be off at the least.
const RELATIVE: f64 = 0.02;
/// Of its deviation, that lies in another one where it is no sighting of its own.
const EXPLAINED: f64 = 0.5;
/// Roll-ups that are followed, of all measures together: totals first, then the values of one dimension after the other.
const ROLLUPS_MAX: usize = 2000;
/// Days without any of its series after which one is forgotten.
const KEPT_DAYS: i64 = 2;
/// Standard deviations by which one interval may teach.
const CLIPPED: f64 = 4.0;

/// What is remembered of each roll-up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rollups(Vec<(String, Slice, Usual)>);

/// How far a roll-up usually is from what is expected of it: intervals, mean and variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Usual {
    /// The last interval in which it was there.
    #[serde(default)]
    last: Option<i64>,
    intervals: u32,
    mean: f64,
    variance: f64,
}

impl Usual {
    /// Standard deviations from what is usual; none while too little is known. What independent series would do is the
    /// least that is usual.
    fn off(&self, z: f64, per_day: u32) -> Option<f64> {
        (self.intervals >= per_day.div_ceil(2)).then(|| (z - self.mean) / self.variance.sqrt().max(1.0))
    }

    fn learn(&mut self, z: f64, per_day: u32) {
        self.intervals = (self.intervals + 1).min(per_day.max(2));
        let sd = self.variance.sqrt().max(1.0);
        let by = (z - self.mean).clamp(-CLIPPED * sd, CLIPPED * sd);
        let weight = 1.0 / f64::from(self.intervals);
        self.mean += weight * by;
        self.variance = (1.0 - weight) * (self.variance + weight * by * by);
    }
}

impl Rollups {
    /// Takes an interval in: the roll-ups that stand out.
    pub(super) fn step(
        &mut self,
        scene: &Scene<'_>,
        dimensions: usize,
        per_day: u32,
        interval: Interval,
    ) -> Vec<Sighting> {
        let now = interval.number();
        let kept = KEPT_DAYS * i64::from(per_day);
        self.0.retain(|(.., usual)| usual.last.is_none_or(|last| now - last <= kept));
        let mut found: Vec<(f64, Sighting)> = Vec::new();
        let mut known: BTreeMap<(&str, &Slice), usize> = BTreeMap::new();
        for (at, (measure, slice, _)) in self.0.iter().enumerate() {
            known.insert((measure, slice), at);
        }
        let (mut learned, mut new) = (Vec::new(), Vec::new());
        for (measure, slice, sums) in scene.rollups(dimensions) {
            let z = sums.z(Direction::High);
            let Some(at) = known.get(&(measure, &slice)) else {
                if self.0.len() + new.len() < ROLLUPS_MAX {
                    let mut usual = Usual { last: Some(now), ..Usual::default() };
                    usual.learn(z, per_day);
                    new.push((measure.to_owned(), slice, usual));
                }
                continue;
            };
            let off = self.0[*at].2.off(z, per_day).unwrap_or(0.0);
            learned.push((*at, z));
            let direction = if off > 0.0 { Direction::High } else { Direction::Low };
            if off.abs() >= SIGHTED && sums.relative(direction) >= RELATIVE {
                found.push((off.abs(), scene.of_rollup((measure, slice, direction), sums, off.abs(), interval)));
            }
        }
        for (at, z) in learned {
            let usual = &mut self.0[at].2;
            usual.last = Some(now);
            usual.learn(z, per_day);
        }
        self.0.extend(new);
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.slice.cmp(&b.1.slice)));
        let mut sightings: Vec<Sighting> = Vec::new();
        for (_, sighting) in found {
            let says_it = |other: &Sighting| {
                (&other.measure, other.direction) == (&sighting.measure, sighting.direction)
                    && scene.explained(&sighting, &other.slice) >= EXPLAINED
            };
            if !sightings.iter().any(says_it) {
                sightings.push(sighting);
            }
        }
        sightings
    }
}
