//! A series too light for a forest of its own: it is expected to have its share of what all series together have.
//!
//! With `m` the mean of its own values and `M` that of the parent's (the sum over all series of the measure), both over the
//! same memory, and `F` the parent's forecast: expected is `f = F m / M`. Values come one by one, as in a Poisson process,
//! so the variance is taken as `p f`, with the dispersion `p` learned and never below the size of one row. Bernstein's
//! inequality bounds the probability of a value `v` by `exp(-(v - f)^2 / (2 p (f + (v - f) / 3)))` above `f`, and without
//! the third below. A tail ranks the surprise against the series' own past, as for every other kind of evidence.
//!
//! A measure that does not add up (a mean, a minimum, a maximum) has no share: its own mean is expected, with the
//! variance of its own errors, and an empty interval says nothing.

use super::evidence::Tail;
use super::judgement::{Context, Judgement, State};
use super::model::Place;
use super::series::WARM_UP;
use super::severity::severity;
use super::snapshot::codec;

/// Memory of means and dispersion, in intervals.
const MEMORY: u32 = 1000;
/// Prior tail of the surprise: what it would be if the bound were exact.
const TAIL: (f64, f64, f64) = (1.6, 0.45, 0.13);
/// An error counts as at most this many times what is expected of a squared error.
const CLIP: f64 = 16.0;
/// The surprise that no value exceeds.
const SURPRISE_MAX: f64 = 300.0;
/// Share of the deviation that ends an anomaly.
const EXIT: f64 = 0.5;

/// Everything that is kept of a series in its smallest form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sparse {
    age: u32,
    absent: u32,
    values: u32,
    /// Mean value, mean of the parent, and mean size of a row.
    own: f64,
    parent: f64,
    row: f64,
    /// Mean of squared errors per unit of what was expected; of squared errors, where values do not add up.
    dispersion: f64,
    tail: Tail,
    /// First interval of an anomaly, and whether it is above.
    since: Option<i64>,
    high: bool,
}

codec!(Sparse { age, absent, values, own, parent, row, dispersion, tail, since, high });

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
    /// What was forecast of it; none while the parent still learns.
    pub(super) forecast: Option<f64>,
}

impl Sparse {
    /// Of a series that nothing is known of.
    pub(super) fn new() -> Sparse {
        Sparse {
            age: 0,
            absent: 0,
            values: 0,
            own: 0.0,
            parent: 0.0,
            row: 0.0,
            dispersion: 0.0,
            tail: Tail::new(TAIL.0, TAIL.1).with_shape(TAIL.2),
            since: None,
            high: false,
        }
    }

    /// Intervals until it speaks.
    pub(super) fn remaining(&self) -> u32 {
        WARM_UP.saturating_sub(self.age)
    }

    /// Whether it has been silent for so long that it may be forgotten: four times as long as it was there, at least
    /// a day and at most two weeks.
    pub(super) fn is_gone(&self, per_day: u32) -> bool {
        let there = self.age.saturating_sub(self.absent);
        self.absent > there.saturating_mul(4).clamp(per_day, per_day.saturating_mul(14))
    }

    /// Judges an interval and learns from it: a value made of so many rows.
    pub(super) fn step(&mut self, context: &Context, place: &Place, given: Given, parent: Parent) -> Judgement {
        let Given { value, rows } = given;
        self.age = self.age.saturating_add(1);
        self.absent = if value.is_some() { 0 } else { self.absent.saturating_add(1) };
        let remaining = self.remaining();
        let expected = self.expected(context, parent);
        let Some(value) = value.or(context.empty_is_zero.then_some(0.0)) else {
            let state = if remaining > 0 { State::Learning { remaining } } else { State::Normal };
            return self.judgement(context, expected, expected, 0.0, state);
        };
        let value = value.clamp(-super::series::VALUE_MAX, super::series::VALUE_MAX);
        let raw = self.surprise(context, value, expected);
        let score = self.tail.surprise(raw);
        let state = if remaining > 0 {
            State::Learning { remaining }
        } else {
            self.state(context, place.number, score, value >= expected)
        };
        let is_odd = matches!(state, State::Anomalous { .. });
        let judgement = self.judgement(context, expected, value, if remaining > 0 { 0.0 } else { score }, state);
        if self.values > 0 && !is_odd {
            self.tail.learn(raw);
        }
        // an anomaly teaches what was expected for a day; then the new level is normal
        let accepted = self.since.is_none_or(|since| place.number - since >= i64::from(context.per_day));
        if is_odd && accepted {
            (self.values, self.since) = (self.values.min(WARM_UP), None);
        }
        let taught = if is_odd && !accepted { expected } else { value };
        self.learn(context, taught, expected, rows, parent.value);
        judgement
    }

    fn expected(&self, context: &Context, parent: Parent) -> f64 {
        match parent.forecast.filter(|_| context.empty_is_zero && self.parent > 0.0) {
            Some(forecast) => forecast.max(0.0) * self.own / self.parent,
            None => self.own,
        }
    }

    /// Variance of a value where `expected` is; above 0.
    fn variance(&self, context: &Context, expected: f64) -> f64 {
        if context.empty_is_zero {
            let least = self.row.max(1e-9);
            // where next to nothing is expected, one row is no surprise by itself
            self.dispersion.max(least) * expected.abs().max(0.1 * least)
        } else {
            self.dispersion.max(1e-8 * self.own * self.own).max(1e-300)
        }
    }

    /// By how much one value may jump.
    fn jump(&self, context: &Context) -> f64 {
        if context.empty_is_zero { self.dispersion.max(self.row) } else { 0.0 }
    }

    /// `-log10` of the bound.
    fn surprise(&self, context: &Context, value: f64, expected: f64) -> f64 {
        let (error, variance) = (value - expected, self.variance(context, expected));
        let spread = variance + if error > 0.0 { self.jump(context) * error / 3.0 } else { 0.0 };
        (error * error / (2.0 * spread) * std::f64::consts::LOG10_E).min(SURPRISE_MAX)
    }

    /// The distances below and above what is expected at which the surprise is `surprise`.
    fn reach(&self, context: &Context, surprise: f64, expected: f64) -> (f64, f64) {
        let (nats, variance) = (surprise / std::f64::consts::LOG10_E, self.variance(context, expected));
        let third = nats * self.jump(context) / 3.0;
        ((2.0 * nats * variance).sqrt(), third + (third * third + 2.0 * nats * variance).sqrt())
    }

    fn state(&mut self, context: &Context, number: i64, score: f64, high: bool) -> State {
        let limit = if self.since.is_some() && high == self.high { EXIT * context.alarm } else { context.alarm };
        if score < limit {
            self.since = None;
            return State::Normal;
        }
        if self.since.is_none() || high != self.high {
            (self.since, self.high) = (Some(number), high);
        }
        State::Anomalous { high, since: self.since.unwrap_or(number) }
    }

    fn learn(&mut self, context: &Context, value: f64, expected: f64, rows: u64, parent: f64) {
        self.values = self.values.saturating_add(1).min(MEMORY);
        let gain = 1.0 / f64::from(self.values);
        if self.values > 1 {
            let error = (value - expected) * (value - expected);
            let error =
                if context.empty_is_zero { error / expected.abs().max(0.1 * self.row.max(1e-9)) } else { error };
            let most = if self.values > WARM_UP { CLIP * self.dispersion.max(self.row) } else { f64::MAX };
            let most = if context.empty_is_zero { most } else { f64::MAX };
            self.dispersion += gain * (error.min(most) - self.dispersion);
        }
        self.own += gain * (value - self.own);
        self.parent += gain * (parent - self.parent);
        if rows > 0 {
            self.row += gain.max(0.02) * (value.abs() / rows as f64 - self.row);
        }
    }

    fn judgement(&self, context: &Context, expected: f64, value: f64, score: f64, state: State) -> Judgement {
        let (below, above) = self.reach(context, self.tail.value(context.alarm), expected);
        let (error, threshold) = if value < expected { (expected - value, below) } else { (value - expected, above) };
        let severity = match state {
            State::Learning { .. } => 0.0,
            _ => severity(error / threshold.max(1e-300)),
        };
        let floor = if self.own >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let lower = (expected - below).max(floor).min(expected);
        Judgement { expected, lower, upper: expected + above, score, severity, state }
    }
}
