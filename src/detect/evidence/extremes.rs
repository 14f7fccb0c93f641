//! Evidence from extremes: is the value, its mean over the last few, its step from the last value or its error further
//! out than any before it in thirty days or more?
//!
//! It needs no model of the series and no shape of its tails, and it means the same on every series: the n-th of values in
//! any order is the largest so far once in n times. So it counts beside what other evidence says, never by itself: each of
//! the four that is new makes an odd interval three times rarer, half a unit of the score. Within an incident it tells that
//! it has become worse. The extremes of the present thirty days and of those before are kept: what was extreme once does
//! not hide everything for ever.

use crate::detect::judgement::Context;
use crate::detect::snapshot::codec;

/// What is followed: value and mean upwards and downwards, step, error.
const SIZES: usize = 6;
/// What each kind that is new adds to a score.
const NEW: f64 = 0.5;
/// Share of a value in the mean.
const GAIN: f64 = 0.25;
/// Values before one can be extreme.
const FIRST: u32 = 28;
const DAYS: i64 = 30;

/// The extremes of one series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Extremes {
    last: f64,
    mean: f64,
    values: u32,
    /// Number of the first interval of the present thirty days.
    since: i64,
    now: [f64; SIZES],
    before: [f64; SIZES],
}

codec!(Extremes { last, mean, values, since, now, before });

impl Extremes {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new() -> Extremes {
        let none = [f64::MIN; SIZES];
        Extremes { last: 0.0, mean: 0.0, values: 0, since: 0, now: none, before: none }
    }

    /// What a value of which `expected` was expected adds to the score of its interval; takes it in.
    pub(in crate::detect) fn observe(&mut self, context: &Context, number: i64, value: f64, expected: f64) -> f64 {
        if number - self.since >= DAYS * i64::from(context.per_day) {
            (self.before, self.now, self.since) = (self.now, [f64::MIN; SIZES], number);
        }
        let (last, mean) = if self.values == 0 { (value, value) } else { (self.last, self.mean) };
        self.mean = mean + GAIN.max(1.0 / f64::from(self.values.saturating_add(1))) * (value - mean);
        self.last = value;
        // nobody knows yet what to expect
        let error = if self.values < FIRST { 0.0 } else { (value - expected).abs() };
        let sizes = [value, -value, self.mean, -self.mean, (value - last).abs(), error];
        let mut is_new = [false; SIZES];
        for (at, size) in sizes.into_iter().enumerate() {
            is_new[at] = size > self.now[at].max(self.before[at]);
            self.now[at] = self.now[at].max(size);
        }
        self.values = self.values.saturating_add(1);
        if self.values <= FIRST + 1 {
            return 0.0;
        }
        let [high, low, mean_high, mean_low, step, error] = is_new;
        let kinds = [high || low, mean_high || mean_low, step, error];
        NEW * kinds.into_iter().map(|is_new| f64::from(u8::from(is_new))).sum::<f64>()
    }

    /// The next step is one from this value.
    pub(in crate::detect) fn stand_at(&mut self, value: f64) {
        self.last = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::margin::Margin;

    const DAY: i64 = 288;
    const CONTEXT: Context =
        Context { per_day: DAY as u32, alarm: 4.6, empty_is_zero: false, margin: Margin::NONE, is_counter: false };

    /// Extremes of numbers between 0 and 100 over some days, and the number of the next interval.
    fn learned(days: i64) -> (Extremes, i64) {
        let (mut extremes, next) = (Extremes::new(), days * DAY);
        for number in 0..next {
            extremes.observe(&CONTEXT, number, (number * 7919 % 101) as f64, 50.0);
        }
        (extremes, next)
    }

    #[test]
    fn each_kind_that_is_new_counts() {
        let (mut extremes, next) = learned(3);
        extremes.stand_at(70.0);
        let of = |value, expected| extremes.clone().observe(&CONTEXT, next, value, expected);
        assert_eq!(of(60.0, 50.0), 0.0);
        assert_eq!(of(60.0, 200.0), 0.5, "an error");
        assert_eq!(of(101.0, 101.0), 0.5, "a value");
        assert_eq!(of(-1000.0, 50.0), 2.0, "value, mean, step and error");
    }

    #[test]
    fn a_value_is_extreme_again_after_two_months_and_a_first_one_is_not() {
        let (mut extremes, next) = learned(3);
        assert!(extremes.observe(&CONTEXT, next, 300.0, 50.0) > 0.0);
        let again = |days: i64| {
            let mut extremes = extremes.clone();
            (1..days * DAY).for_each(|at| _ = extremes.observe(&CONTEXT, next + at, (at % 101) as f64, 50.0));
            extremes.observe(&CONTEXT, next + days * DAY, 250.0, 50.0)
        };
        assert_eq!([again(3), again(30)], [0.0, 0.0]);
        assert!(again(62) > 0.0);
        let mut young = Extremes::new();
        assert!((0..29).all(|at| young.observe(&CONTEXT, at, at as f64, 0.0) == 0.0), "everything is new");
    }
}
