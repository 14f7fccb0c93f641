//! A level that stays: how far the forecast has gone to it, and when it is the new normal. What swings back after it.

use super::super::rules::Steps;
use super::{Life, Turn};
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
        let shift = match lead.direction {
            Direction::High => libm::log(1.0 + lead.largest),
            Direction::Low => libm::log((1.0 - lead.largest).max(GONE)),
        };
        if self.last - self.since >= LEARNED_MIN && shift != 0.0 { self.drift / shift } else { 0.0 }
    }

    /// Whether it is over because the forecast went to the values, and not the values to the forecast.
    pub(super) fn is_learned(&self) -> bool {
        self.learned() >= LEARNED
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

    /// Brings the value of an interval up to date, so many before the last one.
    pub(in crate::incident) fn retrack(&mut self, before: i64, by: f64) {
        let at = usize::try_from(before).ok().filter(|_| before < self.tracked);
        let at = at.and_then(|before| self.track.len().checked_sub(1 + before));
        if let Some((value, _)) = at.and_then(|at| self.track.get_mut(at)) {
            *value += by;
        }
    }
}
