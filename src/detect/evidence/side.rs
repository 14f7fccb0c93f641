//! One side of the distribution of a statistic on one series: how often is it as far out as this? With `u` the size exceeded in
//! 5 % of all intervals on this side, the rest is a Weibull tail, `P(x > z) = 0.05^((z/u)^k)`: `k = 2` falls like a Gaussian,
//! `k = 1` like an exponential, below 1 it is heavier. Both are followed step by step: `ln u` by stochastic approximation
//! (Robbins-Monro), `k` from the mean of `ln(z/u)` beyond `u`, which is `e^3 E1(3) / k` for such a tail. Below `u` the
//! surprise goes straight to 0. What is kept is `u`, not its logarithm: nineteen in twenty intervals lie below it and need
//! a product and a quotient, no more.
//!
//! An excess counts as at most three mean excesses, and one rarer than 1 in 2000 counts a fifth, so that what may be an incident does
//! not make the next one look usual; unless so many of them come, more than three in a thousand, that they are what this series does.
//! A prior stands in for the past of a young series; it counts as 40 excesses.

use super::far::Far;
use crate::detect::snapshot::codec;

/// Share of the intervals beyond `u`, and `-log10` of it.
const SHARE: f64 = 0.05;
pub(super) const AT_U: f64 = 1.301_03;
/// `e^3 E1(3)`: mean of `ln(1 + x/3)` over an exponential `x`.
const MEAN_LOG: f64 = 0.262_1;
/// Prior: `u` of a Gaussian, and a power a little below its own at these probabilities.
const PRIOR_U: f64 = 1.645;
const PRIOR_POWER: f64 = 1.2;
const PRIOR_EXCESSES: f64 = 40.0;
/// Least `u`, and greatest.
const U: (f64, f64) = (0.9, 400.0);
/// Powers that are believed.
const POWERS: (f64, f64) = (0.6, 1.6);
/// Memory of `u`, in intervals, and of `k`, in excesses.
const MEMORY: f64 = 4000.0;
const MEMORY_EXCESSES: f64 = 150.0;
/// `1 / density` of `ln z` at `u`, for a Gaussian, and intervals by which the first steps are kept short.
const STEP: f64 = 6.0;
const CALM: f64 = 300.0;
/// Most that an excess counts, in mean excesses, and `1 - e^-CUT`, what that takes from their mean.
pub(super) const CUT: f64 = 3.0;
pub(super) const CUT_MEAN: f64 = 0.950_213;
/// Surprise from which on an excess may be an incident, and what it counts.
const DOUBTFUL: f64 = 3.3;
const DOUBT: f64 = 0.2;
/// Share of doubtful intervals from which on they count more, and at which they count in full; gain, per interval.
const DOUBTFUL_SHARE: (f64, f64) = (0.003, 0.01);
const DOUBTFUL_GAIN: f64 = 1.0 / 2000.0;
/// The surprise that no evidence exceeds: beyond it a probability means nothing.
pub(super) const SURPRISE_MAX: f64 = 300.0;

/// One side of a statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Side {
    /// `u`, and the mean of `ln(z/u)` beyond it.
    mark: f64,
    excess: f64,
    seen: f64,
    excesses: f64,
    doubtful: f64,
    /// Where values add up.
    far: Option<Far>,
}

codec!(Side { mark, excess, seen, excesses, doubtful, far });

impl Side {
    /// Of a series that nothing is known of, whose values add up or not.
    pub(in crate::detect) fn new(adds_up: bool) -> Side {
        let (excess, far) = (MEAN_LOG / PRIOR_POWER, adds_up.then(Far::new));
        Side { mark: PRIOR_U, excess, seen: 0.0, excesses: PRIOR_EXCESSES, doubtful: 0.0, far }
    }

    /// `-log10` of the share of intervals that are further out on this side.
    pub(in crate::detect) fn surprise(&self, z: f64) -> f64 {
        // not a number is nothing
        let ratio = z.max(0.0) / self.mark;
        let rise = if ratio <= 1.0 { ratio } else { libm::exp(self.power() * libm::log(ratio)) };
        (AT_U * rise).min(SURPRISE_MAX)
    }

    /// The size whose surprise is `surprise`, where that is beyond `u`.
    pub(in crate::detect) fn size(&self, surprise: f64) -> f64 {
        self.mark * libm::exp(libm::log((surprise / AT_U).max(1.0)) / self.power())
    }

    /// The same as `surprise`, with a tail of its own far out where values add up.
    pub(in crate::detect) fn rarity(&self, z: f64) -> f64 {
        self.far.as_ref().map_or_else(|| self.surprise(z), |far| far.surprise(z, self.mark))
    }

    /// The size whose rarity is `rarity`, where that is beyond `u`.
    pub(in crate::detect) fn size_of_rarity(&self, rarity: f64) -> f64 {
        self.far.as_ref().map_or_else(|| self.size(rarity), |far| far.size(rarity, self.mark))
    }

    /// `u` over that of a Gaussian: the standard deviation, as far as this side is concerned.
    pub(in crate::detect) fn scale(&self) -> f64 {
        self.mark / PRIOR_U
    }

    /// Takes a size in, 0 for one on the other side.
    pub(in crate::detect) fn learn(&mut self, z: f64) {
        self.seen = (self.seen + 1.0).min(MEMORY);
        let is_beyond = z > self.mark;
        let is_doubtful = is_beyond && self.surprise(z) > DOUBTFUL;
        self.doubtful += (f64::from(u8::from(is_doubtful)) - self.doubtful) * DOUBTFUL_GAIN;
        if is_beyond {
            let counts = (self.excesses, self.doubt());
            if let Some(far) = &mut self.far {
                far.learn(z, self.mark, counts);
            }
            self.excesses = (self.excesses + 1.0).min(MEMORY_EXCESSES);
            let weight = if is_doubtful { self.doubt() } else { 1.0 };
            let excess = libm::log(z / self.mark).min(CUT * self.excess) / CUT_MEAN;
            self.excess += weight * (excess - self.excess) / self.excesses;
        }
        let was = if is_beyond { 1.0 } else { 0.0 };
        self.mark *= exp_of_little(STEP / (self.seen + CALM) * (was - SHARE));
        self.mark = self.mark.clamp(U.0, U.1);
    }

    /// What a doubtful excess counts.
    fn doubt(&self) -> f64 {
        let (some, many) = DOUBTFUL_SHARE;
        DOUBT + (1.0 - DOUBT) * ((self.doubtful - some) / (many - some)).clamp(0.0, 1.0)
    }

    fn power(&self) -> f64 {
        (MEAN_LOG / self.excess.max(1e-9)).clamp(POWERS.0, POWERS.1)
    }
}

/// `e^x` to 1e-8 for a step of the mark, which is at most `STEP / CALM`.
fn exp_of_little(x: f64) -> f64 {
    1.0 + x * (1.0 + x * (1.0 / 2.0 + x * (1.0 / 6.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_mark_is_an_exponential() {
        for x in [-SHARE * STEP / CALM, 0.0, STEP / CALM] {
            assert!((exp_of_little(x) / libm::exp(x) - 1.0).abs() < 1e-8, "{x}");
        }
    }

    /// A side that has seen quantiles of `P(x > z) = exp(-z^power)`, half of them on the other side, in an order without trend.
    fn learned(power: f64) -> Side {
        let (mut side, count) = (Side::new(true), 20_000u32);
        for step in 0..3 * count {
            let rank = (u64::from(step) * 7919) % u64::from(count);
            let share = (rank as f64 + 0.5) / f64::from(count);
            side.learn(if share < 0.5 { libm::pow(-libm::log(2.0 * share), 1.0 / power) } else { 0.0 });
        }
        side
    }

    #[test]
    fn tails_of_any_weight_are_learned() {
        for power in [0.8, 1.0, 1.5] {
            let side = learned(power);
            for probability in [0.01, 1e-3, 1e-5] {
                let z = libm::pow(-libm::log(2.0 * probability), 1.0 / power);
                let surprise = side.surprise(z);
                let off = surprise / -libm::log10(probability);
                assert!((0.75..1.25).contains(&off), "{power} {probability}: {surprise}");
            }
        }
    }

    #[test]
    fn size_and_surprise_are_inverse_and_monotone() {
        for side in [Side::new(true), learned(0.8), learned(1.5)] {
            let mut last = -1.0;
            for step in 1..100 {
                let z = f64::from(step) * 0.2;
                let surprise = side.surprise(z);
                assert!(surprise > last);
                if surprise > AT_U {
                    assert!((side.size(surprise) / z - 1.0).abs() < 1e-9);
                }
                last = surprise;
            }
            assert!(side.surprise(1e300) <= SURPRISE_MAX);
        }
    }

    #[test]
    fn an_hour_of_an_incident_does_not_blind() {
        let quiet = learned(1.5);
        let mut hit = quiet;
        (0..12).for_each(|_| hit.learn(40.0));
        assert!(hit.surprise(8.0) > 0.85 * quiet.surprise(8.0), "{} {}", hit.surprise(8.0), quiet.surprise(8.0));
    }
}
