//! The tail of a statistic on one series: how often does it exceed a value? Peaks over a threshold with an exponential
//! tail, or a heavier one: `P(z > x) = q exp(-y)` or `q (1 + s y)^(-1/s)` with `y = (x - u) / b` beyond `u`, the value exceeded with probability `q = 0.03`, and `b` the mean
//! excess over it. Both are followed step by step: `u` by stochastic approximation (Robbins-Monro; the density at `u`
//! of an exponential tail is `q / b`), `b` as a mean of the excesses, each cut at 4 b, so that one incident does not
//! blind the series; the k-th value in a row beyond `u` counts 1/k, because a burst is one event. Below `u` the probability is taken as `q^(x/u)`, which meets it at `u`.
//!
//! A prior stands in for the past of a young series; it counts as 500 intervals and 15 excesses.

use crate::detect::snapshot::codec;

/// Share of the values beyond `u`, and `-log10` of it.
const SHARE: f64 = 0.03;
const AT_THRESHOLD: f64 = 1.522_879;
/// The heaviest tail that is believed, in units of the statistic.
const EXCESS_MAX: f64 = 20.0;
const RUN_MAX: u32 = 1000;
const PRIOR_VALUES: u32 = 500;
const PRIOR_EXCESSES: u32 = 15;
/// Memory of `u`, in values, and of `b`, in excesses.
const MEMORY_VALUES: u32 = 4000;
const MEMORY_EXCESSES: u32 = 80;
/// An excess counts as at most this many mean excesses.
const CLIP: f64 = 4.0;
/// `1 - e^-CLIP`: what the cut takes from the mean of an exponential excess.
const CUT_MEAN: f64 = 0.981_684;
/// The surprise that no evidence exceeds: beyond it a probability means nothing.
const SURPRISE_MAX: f64 = 300.0;

/// The tail of one statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Tail {
    threshold: f64,
    excess: f64,
    values: u32,
    excesses: u32,
    /// Values beyond `threshold` in a row.
    run: u32,
    shape: f64,
}

codec!(Tail { threshold, excess, values, excesses, run, shape });

impl Tail {
    /// A tail expected to begin at `threshold` and to fall by e in `excess`.
    pub(in crate::detect) fn new(threshold: f64, excess: f64) -> Tail {
        Tail { threshold, excess, values: PRIOR_VALUES, excesses: PRIOR_EXCESSES, run: 0, shape: 0.0 }
    }

    /// The same with a tail that falls more slowly: shape parameter of a generalized Pareto tail, above 0.
    pub(in crate::detect) fn with_shape(self, shape: f64) -> Tail {
        Tail { shape, ..self }
    }

    /// Where the tail begins.
    pub(in crate::detect) fn threshold(&self) -> f64 {
        self.threshold
    }

    /// `-log10 P(z > value)`, finite and never negative.
    pub(in crate::detect) fn surprise(&self, value: f64) -> f64 {
        let surprise = if value <= self.threshold {
            AT_THRESHOLD * (value / self.threshold).max(0.0)
        } else {
            let excess = (value - self.threshold) / self.excess;
            let fall = if self.shape > 0.0 { libm::log1p(self.shape * excess) / self.shape } else { excess };
            AT_THRESHOLD + fall * std::f64::consts::LOG10_E
        };
        surprise.min(SURPRISE_MAX)
    }

    /// The value whose surprise is `surprise`.
    pub(in crate::detect) fn value(&self, surprise: f64) -> f64 {
        if surprise <= AT_THRESHOLD {
            self.threshold * surprise / AT_THRESHOLD
        } else {
            let fall = (surprise - AT_THRESHOLD) / std::f64::consts::LOG10_E;
            let excess = if self.shape > 0.0 { libm::expm1(self.shape * fall) / self.shape } else { fall };
            self.threshold + excess * self.excess
        }
    }

    /// Takes a value in.
    pub(in crate::detect) fn learn(&mut self, value: f64) {
        self.values = (self.values + 1).min(MEMORY_VALUES);
        let step = self.excess / (SHARE * f64::from(self.values));
        if value > self.threshold {
            self.run = (self.run + 1).min(RUN_MAX);
            let weight = 1.0 / f64::from(self.run);
            if self.run == 1 {
                self.excesses = (self.excesses + 1).min(MEMORY_EXCESSES);
            }
            let excess = (value - self.threshold).min(CLIP * self.excess) / CUT_MEAN;
            self.excess += weight * (excess - self.excess) / f64::from(self.excesses);
            self.threshold += weight * step * (1.0 - SHARE);
        } else {
            self.run = 0;
            self.threshold -= step * SHARE;
        }
        // a statistic that hardly ever moves must not shrink its own unit to nothing
        self.threshold = self.threshold.max(0.5);
        self.excess = self.excess.clamp(0.1, EXCESS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_tail_is_learned() {
        // exact quantiles of Exp(1), in an order without trend
        let count = 20_000u32;
        let mut tail = Tail::new(2.0, 2.0);
        for step in 0..3 * count {
            let rank = (u64::from(step) * 7919) % u64::from(count);
            tail.learn(-libm::log((rank as f64 + 0.5) / f64::from(count)));
        }
        for probability in [0.01, 1e-3, 1e-5] {
            let value = -libm::log(probability);
            let surprise = tail.surprise(value);
            assert!((surprise + libm::log10(probability)).abs() < 0.5, "{probability}: {surprise}");
        }
    }

    #[test]
    fn value_and_surprise_are_inverse_and_monotone() {
        for tail in [Tail::new(3.0, 0.9), Tail::new(2.0, 0.5).with_shape(0.13)] {
            let mut last = -1.0;
            for step in 0..100 {
                let value = f64::from(step) * 0.2;
                let surprise = tail.surprise(value);
                assert!(surprise > last);
                assert!((tail.value(surprise) - value).abs() < 1e-9);
                last = surprise;
            }
            assert!(tail.surprise(1e300) <= SURPRISE_MAX);
        }
    }
}
