//! A series too light for a forest of its own: it is expected to have its share of what all series together have.
//!
//! With `F` the forecast of the parent (the sum over all series of the measure), `f = F s` is expected, where the share
//! `s` depends on the time of day and is learned with exponentially fading memory (`share`). An error of the forecast that
//! is usual for the parent is no news of the series: then its value takes the place of the forecast. While the forecast
//! is far off, either the parent or its forecast is wrong; anything between the share of it and the series' own mean at
//! this time of day is taken as expected, and nothing adds up.
//!
//! Values come one by one, as in a Poisson process, so the variance is taken as `p f`, with the dispersion `p` learned and
//! never below the size of one row. The surprise of the last interval, and of sums over longer windows, in which a few events too many or too
//! few add up, is that of Chernoff's bound (`window`), ranked against the series' own past; the largest counts.
//!
//! An anomaly that one interval alone shows is kept out of the longer windows, and ends with it. One that shows in a
//! longer window ends when the next shorter one is back at what is expected; then all begin anew.
//!
//! A measure that does not add up (a mean, a minimum, a maximum) has no share: its own mean is expected, with the
//! variance of its own errors, and an empty interval says nothing.

mod share;
mod window;

use super::judgement::{Context, Judgement, State};
use super::model::Place;
use super::series::{VALUE_MAX, WARM_UP};
use super::severity::severity;
use super::snapshot::codec;

use share::Share;
use window::Window;

/// Memory of the row size, the mean and the dispersion, in intervals.
const MEMORY: u32 = 1000;
/// Windows, in intervals.
const WINDOWS: [f64; 4] = [1.0, 4.0, 16.0, 64.0];
/// What the choice among the windows costs, in powers of ten.
const CHOICE: f64 = 0.3;
/// An error counts as at most this many times what is expected of a squared error.
const CLIP: f64 = 16.0;
/// Where less is expected than this part of a row, one row is no surprise by itself.
const LEAST: f64 = 0.1;
/// Share of the limit below which an anomaly of one interval ends.
const EXIT: f64 = 0.5;

/// Everything that is kept of a series in its smallest form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sparse {
    age: u32,
    absent: u32,
    values: u32,
    share: Share,
    /// Mean value, and mean size of a row.
    own: f64,
    row: f64,
    /// Mean of squared errors per unit of what was expected; of squared errors, where values do not add up.
    dispersion: f64,
    windows: [Window; WINDOWS.len()],
    episode: Option<Episode>,
}

codec!(Sparse { age, absent, values, share, own, row, dispersion, windows, episode });

/// An anomaly that goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Episode {
    /// Its first interval.
    since: i64,
    high: bool,
    /// The window that showed it.
    window: usize,
}

codec!(Episode { since, high, window });

/// What an interval brings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Given {
    /// None where there were no rows, or none of them had a value.
    pub(super) value: Option<f64>,
    /// Rows with a value.
    pub(super) rows: u64,
}

/// What all series of a measure have together in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parent {
    pub(super) value: f64,
    /// What was forecast of it if that was far off, else what it is; none while the parent still learns.
    pub(super) basis: Option<f64>,
    /// Whether the forecast was far off.
    pub(super) is_odd: bool,
}

impl Sparse {
    /// Of a series that nothing is known of.
    pub(super) fn new() -> Sparse {
        Sparse {
            age: 0,
            absent: 0,
            values: 0,
            share: Share::default(),
            own: 0.0,
            row: 0.0,
            dispersion: 0.0,
            windows: WINDOWS.map(|_| Window::new()),
            episode: None,
        }
    }

    /// Intervals until it speaks.
    pub(super) fn remaining(&self) -> u32 {
        WARM_UP.saturating_sub(self.age)
    }

    /// Whether it has been silent for so long that it may be forgotten: four times as long as it was there, at least
    /// a day and at most two weeks.
    pub(super) fn is_gone(&self, per_day: u32) -> bool {
        self.absent > self.patience(per_day)
    }

    /// Intervals for which it is certain that it will not be.
    pub(super) fn stays(&self, per_day: u32) -> u32 {
        self.patience(per_day).saturating_sub(self.absent)
    }

    /// Intervals of silence that it is allowed.
    fn patience(&self, per_day: u32) -> u32 {
        let there = self.age.saturating_sub(self.absent);
        there.saturating_mul(4).clamp(per_day, per_day.saturating_mul(14))
    }

    /// Judges an interval and learns from it: a value made of so many rows.
    pub(super) fn step(&mut self, context: &Context, place: &Place, given: Given, parent: Parent) -> Judgement {
        let Given { value, rows } = given;
        self.age = self.age.saturating_add(1);
        self.absent = if value.is_some() { 0 } else { self.absent.saturating_add(1) };
        let remaining = self.remaining();
        let learning = (remaining > 0).then_some(State::Learning { remaining });
        let value = value.or(context.empty_is_zero.then_some(0.0));
        let expected = self.expected(context, place, value, parent);
        let Some(value) = value else {
            return self.judgement(context, expected, expected, 0.0, learning.unwrap_or(State::Normal));
        };
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        let spread = self.spread(context, expected);
        if parent.is_odd {
            self.begin_anew();
        }
        let (raw, window, score) = self.look(context, value, expected, spread);
        // a small change begins nothing and is learned
        let news = if context.margin.is_small(value - expected, expected) { 0.0 } else { score };
        let state = learning.unwrap_or_else(|| self.decide(context, place.number, window, news));
        let is_odd = matches!(state, State::Anomalous { .. });
        let judgement = self.judgement(context, expected, value, if remaining > 0 { 0.0 } else { score }, state);
        if self.values > 0 && !is_odd {
            self.windows.iter_mut().zip(raw).for_each(|(window, raw)| window.learn(raw));
        }
        if is_odd && self.episode.is_some_and(|episode| episode.window == 0) {
            // what one interval says for itself, the others need not say again
            self.windows.iter_mut().skip(1).for_each(|window| window.correct(expected - value));
        }
        // an anomaly teaches what was expected for a day; then the new level is normal
        let accepted = self.episode.is_none_or(|episode| place.number - episode.since >= i64::from(context.per_day));
        if is_odd && accepted {
            (self.values, self.episode) = (self.values.min(WARM_UP), None);
            self.share.forget();
            self.begin_anew();
        }
        let taught = if is_odd && !accepted { expected } else { value };
        self.learn(context, place, taught, expected, rows, parent.value);
        judgement
    }

    /// Passes over an interval: learns nothing, and says what was expected.
    pub(super) fn pass(&self, context: &Context, place: &Place, parent: Parent) -> Judgement {
        let expected = self.expected(context, place, None, parent);
        let remaining = self.remaining();
        let state = if remaining > 0 { State::Learning { remaining } } else { State::Normal };
        self.judgement(context, expected, expected, 0.0, state)
    }

    fn expected(&self, context: &Context, place: &Place, value: Option<f64>, parent: Parent) -> f64 {
        let share = parent.basis.filter(|_| context.empty_is_zero).and_then(|basis| {
            let share = basis.max(0.0) * self.share.at(context, place, self.row)?;
            let mean = self.share.mean(context, place).filter(|_| parent.is_odd).unwrap_or(share);
            Some(value.unwrap_or(share).clamp(share.min(mean), share.max(mean)))
        });
        share.unwrap_or(self.own)
    }

    /// Variance of a value where `expected` is; above 0.
    fn spread(&self, context: &Context, expected: f64) -> f64 {
        if context.empty_is_zero {
            let least = self.row.max(1e-9);
            self.dispersion.max(least) * expected.abs().max(LEAST * least)
        } else {
            self.dispersion.max(1e-8 * self.own * self.own).max(1e-300)
        }
    }

    /// Takes an interval into the windows: the surprise of each, the window with the largest against its own past, and
    /// that.
    fn look(
        &mut self,
        context: &Context,
        value: f64,
        expected: f64,
        spread: f64,
    ) -> ([f64; WINDOWS.len()], usize, f64) {
        let (mut raw, mut at, mut most) = ([0.0; WINDOWS.len()], 0, f64::MIN);
        for (index, window) in self.windows.iter_mut().enumerate() {
            window.add(value, expected, spread, WINDOWS[index]);
            raw[index] = window.surprise(context.empty_is_zero, LEAST * self.row.max(1e-9));
            let score = window.rank(raw[index]);
            if score > most {
                (at, most) = (index, score);
            }
        }
        (raw, at, (most - CHOICE).max(0.0))
    }

    /// Whether the interval is part of an anomaly, new or old.
    fn decide(&mut self, context: &Context, number: i64, window: usize, score: f64) -> State {
        let high = self.windows[window].is_high();
        if let Some(episode) = self.episode {
            let goes_on = match episode.window {
                0 => window == 0 && high == episode.high && score >= EXIT * context.alarm,
                longer => self.windows[longer - 1].is_off(episode.high),
            };
            if goes_on {
                return State::Anomalous { high: episode.high, since: episode.since };
            }
            if episode.window > 0 {
                self.begin_anew();
                return State::Normal;
            }
            self.episode = None;
        }
        if score < context.alarm {
            return State::Normal;
        }
        self.episode = Some(Episode { since: number, high, window });
        State::Anomalous { high, since: number }
    }

    /// Forgets what has added up over the longer windows, and an anomaly that they showed.
    fn begin_anew(&mut self) {
        self.windows.iter_mut().for_each(Window::clear);
        self.episode = self.episode.filter(|episode| episode.window == 0);
    }

    fn learn(&mut self, context: &Context, place: &Place, value: f64, expected: f64, rows: u64, parent: f64) {
        self.values = self.values.saturating_add(1).min(MEMORY);
        let gain = 1.0 / f64::from(self.values);
        if self.values > 1 {
            let error = (value - expected) * (value - expected);
            let error =
                if context.empty_is_zero { error / expected.abs().max(LEAST * self.row.max(1e-9)) } else { error };
            let most = if self.values > WARM_UP { CLIP * self.dispersion.max(self.row) } else { f64::MAX };
            let most = if context.empty_is_zero { most } else { f64::MAX };
            self.dispersion += gain * (error.min(most) - self.dispersion);
        }
        self.own += gain * (value - self.own);
        if context.empty_is_zero {
            self.share.learn(context, place, value, parent);
        }
        if rows > 0 {
            self.row += gain.max(0.02) * (value.abs() / rows as f64 - self.row);
        }
    }

    fn judgement(&self, context: &Context, expected: f64, value: f64, score: f64, state: State) -> Judgement {
        let [last, ..] = &self.windows;
        let spread = self.spread(context, expected);
        let (below, above) = last.reach(context.alarm + CHOICE, context.empty_is_zero, expected, spread);
        let (error, threshold) = if value < expected { (expected - value, below) } else { (value - expected, above) };
        let severity = match state {
            State::Learning { .. } => 0.0,
            _ => severity(error / threshold.max(1e-300)),
        };
        let floor = if self.own >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let lower = (expected - below).max(floor).min(expected);
        Judgement { expected, lower, upper: expected + above, has_scale: true, score, severity, state }
    }
}
