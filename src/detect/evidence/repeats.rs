//! Flat lines: the same value again and again on a series that used to move. With `r` the learned probability that a
//! value equals the one before it, `k` repeats in a row have the probability `r^k`. The probability is learned per part
//! of the day (six of four hours), because counts repeat more often at night; the larger of the part's and the whole
//! day's counts. Values on a grid (whole numbers) repeat by chance when the noise is not much wider than a grid step: the
//! chance is at least `0.4 step / unit`, with the smallest change ever seen and the mean error of one value. Silence and zero are no repeats: a quantity at rest is judged by its size.

use super::super::snapshot::codec;

const PARTS: usize = 6;
/// Values before a repeat says anything.
const SEEN_LEAST: u32 = 60;
const MEMORY: u32 = 1500;
/// Repeats before a run says anything.
const RUN_LEAST: u32 = 5;
const GRID: f64 = 0.4;
const SURPRISE_MAX: f64 = 300.0;

/// Repeats of one series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Repeats {
    last: f64,
    run: u32,
    rate: [f64; PARTS],
    seen: [u32; PARTS],
    whole: f64,
    values: u32,
    /// Smallest change ever seen, 0 before one was.
    step: f64,
}

codec!(Repeats { last, run, rate, seen, whole, values, step });

impl Repeats {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new() -> Repeats {
        Repeats { last: 0.0, run: 0, rate: [0.0; PARTS], seen: [0; PARTS], whole: 0.0, values: 0, step: 0.0 }
    }

    /// Takes a value in and gives `-log10` of the probability of the run that it makes, 0 for none. `share` is where in
    /// the day it is, 0 to 1.
    pub(in crate::detect) fn observe(&mut self, value: f64, share: f64, unit: Option<f64>) -> f64 {
        let part = ((share * PARTS as f64) as usize).min(PARTS - 1);
        let again = value == self.last && value != 0.0;
        let grid = unit.map_or(1.0, |unit| (GRID * self.step / unit).min(1.0));
        let rate = self.chance(part).max(grid);
        let change = (value - self.last).abs();
        if self.values > 0 && change > 0.0 && (self.step == 0.0 || change < self.step) {
            self.step = change;
        }
        self.run = if again { self.run.saturating_add(1) } else { 0 };
        self.last = value;
        let now = if again { 1.0 } else { 0.0 };
        self.values = (self.values + 1).min(MEMORY);
        self.whole += (now - self.whole) / f64::from(self.values);
        self.seen[part] = (self.seen[part] + 1).min(MEMORY / PARTS as u32);
        self.rate[part] += (now - self.rate[part]) / f64::from(self.seen[part]);
        if self.values < SEEN_LEAST || self.run < RUN_LEAST {
            return 0.0;
        }
        (-libm::log10(rate) * f64::from(self.run)).clamp(0.0, SURPRISE_MAX)
    }

    /// Laplace's rule keeps the chance away from 0; a value that repeats half of the time says nothing by repeating.
    fn chance(&self, part: usize) -> f64 {
        let corrected = |rate: f64, seen: u32| (rate * f64::from(seen) + 1.0) / (f64::from(seen) + 2.0);
        let whole = corrected(self.whole, self.values);
        let here = corrected(self.rate[part], self.seen[part]);
        let rate = whole.max(if self.seen[part] < 24 { whole } else { here });
        if rate > 0.3 { 1.0 } else { rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_goes_flat_is_seen_and_one_that_always_was_is_not() {
        let mut moving = Repeats::new();
        let mut flat = Repeats::new();
        for step in 0..500 {
            let share = f64::from(step % 288) / 288.0;
            assert!(moving.observe(100.0 + f64::from(step * 37 % 101), share, Some(25.0)) < 4.0);
            assert_eq!(flat.observe(7.0, share, Some(0.01)), 0.0);
        }
        let surprises: Vec<f64> = (0..8).map(|_| moving.observe(123.0, 0.5, Some(25.0))).collect();
        assert!(surprises[7] > 6.0, "{surprises:?}");
    }
}
