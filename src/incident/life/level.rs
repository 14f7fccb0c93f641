//! A level that stays: how far the forecast has gone to it, and when it is the new normal. What swings back after it.

use super::super::rules::Steps;
use super::super::scene::{Scene, Sighting, toward};
use super::super::slice::Lies;
use super::{Life, Part, Turn};
use crate::model::{Direction, IncidentKind, IncidentState};

/// Standard deviation of the shift, as a share of its mean, below which it is the same all the time.
const STEADY: f64 = 0.25;
/// Intervals of activity before a level that was learned is a level shift and no short incident.
const LEARNED_MIN: i64 = 12;
/// Of its largest shift, that what is expected must have gone by itself.
const LEARNED: f64 = 0.5;
/// The same, from which on nobody waits for the rest.
const SETTLED: f64 = 0.8;
/// Of what was expected, below which a shift is taken to be all of it.
const GONE: f64 = 0.05;
/// Of a shift that was learned, by which a value must move further, or back, to be more than that.
const FURTHER: f64 = 0.75;
/// And the standard deviations of its own that it must have moved: the noise of a small slice may come as far.
const MOVED_Z: f64 = 4.0;
/// Growth of the impact by which it is more in any case.
const BEYOND: f64 = 2.0;
/// Of a sighting of a wider slice, that lies in one that was learned where it is no more than that.
const WITHIN: f64 = 0.5;
/// Weight of an interval in the level that a value is at.
const WEIGHT: f64 = 1.0 / 6.0;

impl Part {
    /// Its largest shift, as a logarithm.
    fn step(&self) -> f64 {
        shift(self.direction, self.largest)
    }

    /// Where its value stands: beside what is expected of all else, as a logarithm, so that the time of the day makes no
    /// difference. None where there is nothing else.
    fn stands(&self, scene: &Scene<'_>) -> Option<f64> {
        let sums = scene.sums(&self.measure, &self.slice)?;
        let rest = scene.size(&self.measure) - sums.size;
        let stands = libm::log(sums.value.max(GONE * sums.size) / rest);
        Some(stands).filter(|stands| stands.is_finite() && rest > GONE * sums.size)
    }

    /// Follows where its value stands.
    pub(super) fn settle(&mut self, scene: &Scene<'_>) {
        let Some(stands) = self.stands(scene) else { return };
        let level = self.level.get_or_insert(stands);
        *level += WEIGHT * (stands - *level);
    }

    /// Whether its value has left the level that was learned by most of what it had come there, to one side.
    pub(in crate::incident) fn has_moved(&self, direction: Direction, scene: &Scene<'_>) -> bool {
        let (Some(level), Some(stands)) = (self.level, self.stands(scene)) else { return false };
        let Some(sums) = scene.sums(&self.measure, &self.slice) else { return false };
        let before = libm::exp(level - stands) * sums.value.max(GONE * sums.size);
        toward(direction, stands - level) > FURTHER * self.step().abs() && sums.z_from(before, direction) >= MOVED_Z
    }
}

/// A relative shift to one side, as a logarithm.
fn shift(direction: Direction, relative: f64) -> f64 {
    match direction {
        Direction::High => libm::log(1.0 + relative),
        Direction::Low => libm::log((1.0 - relative).max(GONE)),
    }
}

impl Life {
    /// Intervals that a forecast needs to come back after its end, at the most as many as it had to follow.
    pub(in crate::incident) fn swing(&self) -> i64 {
        self.ended.map_or(0, |ended| ended - self.since)
    }

    /// What an open incident becomes because it lasts.
    pub(super) fn lasts(&mut self, steps: &Steps, now: i64) -> Option<Turn> {
        let open_for = now - self.opened.unwrap_or(now);
        let is_steady = {
            let (count, mean, squares) = self.spread;
            let sd = (squares / f64::from(count.max(1))).sqrt();
            count > 1 && sd < STEADY * mean.abs()
        };
        let is_values = self.kind == IncidentKind::Values;
        let is_new_level = (open_for >= steps.level_shift_after && is_steady) || self.learned() >= SETTLED;
        if self.state == IncidentState::Open && is_values && is_new_level {
            (self.state, self.ended) = (IncidentState::LevelShift, Some(now + 1));
            return Some(Turn::LevelShift);
        }
        if self.state == IncidentState::Open && open_for >= steps.expire_after && self.acknowledged.is_none() {
            self.state = IncidentState::Expired;
            return Some(Turn::Expired);
        }
        None
    }

    /// The share of its largest shift that what is expected has gone by itself; none of it, where it is short.
    pub(in crate::incident) fn learned(&self) -> f64 {
        let Some(lead) = self.parts.first() else { return 0.0 };
        let shift = lead.step();
        if self.last - self.since >= LEARNED_MIN && shift != 0.0 { self.drift / shift } else { 0.0 }
    }

    /// Whether it is over because the forecast went to the values, and not the values to the forecast.
    pub(super) fn is_learned(&self) -> bool {
        self.learned() >= LEARNED
    }

    /// Whether a sighting of a part of what was learned says more than that the forecast does not expect it everywhere
    /// yet.
    pub(in crate::incident) fn goes_beyond(&self, at: usize, sighting: &Sighting, scene: &Scene<'_>) -> bool {
        let part = &self.parts[at];
        let is_further = match sighting.slice.lies(&part.slice) {
            // what one of its series stood at is not known, and a small one goes far by chance: it is one that sends nothing
            Lies::Within => sighting.sums.silent > 0 && sighting.sums.silent == sighting.sums.known,
            Lies::Around => scene.explained(sighting, &part.slice) < WITHIN,
            Lies::Same | Lies::Beside => part.has_moved(sighting.direction, scene),
        };
        is_further || sighting.impact >= BEYOND * self.impact_max
    }

    /// Follows what is expected of the first slice, beside all else: what both do is the time of the day.
    pub(super) fn drifts(&mut self, lead: f64, rest: f64) {
        let rest = if rest > 0.0 { rest } else { 1.0 };
        if let Some((lead_before, rest_before)) = self.expected {
            let step = libm::log(lead / lead_before) - libm::log(rest / rest_before);
            self.drift += if step.is_finite() { step } else { 0.0 };
        }
        self.expected = Some((lead, rest));
    }

    /// Brings the value of an interval up to date.
    pub(in crate::incident) fn retrack(&mut self, at: i64, by: f64) {
        let before = self.tracked_to - at;
        let at = usize::try_from(before).ok().filter(|_| before < self.tracked);
        let at = at.and_then(|before| self.track.len().checked_sub(1 + before));
        if let Some((value, _)) = at.and_then(|at| self.track.get_mut(at)) {
            *value += by;
        }
    }
}
