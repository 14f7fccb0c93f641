//! When the level of a series is shifted, and by how much.
//!
//! At every step at which none runs, an incident starts with the given probability. Two incidents of a series never
//! touch: the step after the end of one is always normal, so that a label is one episode in the data too (the sample
//! generator lets the next one start at once). The length is drawn in whole minutes and covers every step that it
//! touches; an incident that runs past the last step is cut there (a longer run with the same seed shows the rest).
//!
//! Views are never negative, so a shift below zero is clipped. It stays visible: the level without it is at least
//! the smallest offset less the largest noise, 90 views, and a smaller value is all that is left of it.

use super::super::random::{Purpose, Random};
use super::settings::Settings;

const SECONDS_PER_MINUTE: u32 = 60;

/// One shift of the level of one series; steps count from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Incident {
    /// First step.
    pub(super) start: u64,
    /// Last step, exclusive.
    pub(super) end: u64,
    /// Views per step, with its sign.
    pub(super) shift: f64,
}

/// The incidents of one series, one call per step.
#[derive(Clone, Debug)]
pub(super) struct Incidents {
    random: Random,
    step: u64,
    last: Option<Incident>,
}

impl Incidents {
    pub(super) fn new(settings: &Settings, series: u32) -> Incidents {
        let random = Random::new(settings.seed(), settings.names(series), Purpose::Incidents);
        Incidents { random, step: 0, last: None }
    }

    /// The incident that covers the next step, if any.
    pub(super) fn advance(&mut self, settings: &Settings) -> Option<Incident> {
        let step = self.step;
        self.step += 1;
        match self.last {
            Some(running) if step < running.end => return Some(running),
            Some(ended) if step == ended.end => return None,
            _ => {}
        }
        if self.random.unit() >= settings.anomaly_probability() {
            return None;
        }
        self.last = Some(self.draw(settings, step));
        self.last
    }

    fn draw(&mut self, settings: &Settings, start: u64) -> Incident {
        let (shortest, longest) = (*settings.anomaly_minutes().start(), *settings.anomaly_minutes().end());
        let minutes = shortest + self.random.below_u32(longest - shortest + 1);
        let steps = u64::from((minutes * SECONDS_PER_MINUTE).div_ceil(settings.cadence().seconds()));
        let size = self.random.between(*settings.anomaly_shift().start(), *settings.anomaly_shift().end());
        let shift = if self.random.below(2) == 0 { -size } else { size };
        Incident { start, end: (start + steps).min(settings.steps()), shift }
    }
}
