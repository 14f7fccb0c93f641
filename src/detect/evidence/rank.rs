//! The rank of a size among all sizes that this series has shown, whatever their distribution: a Pareto tail beyond the
//! 99.7th percentile, `P(x > u r) = q r^(-1/b)` with `q = 0.003`. Both are followed step by step, `u` by factors, so that no
//! unit is needed: `ln u` by stochastic approximation, `b` as a mean of the excesses `ln x - ln u` (Hill's estimator), each
//! cut at `4 b`. The k-th value in a row beyond `u` counts `1/k`, because a burst is one event. `b` hardly leaves its prior:
//! an estimate from a few excesses ranks worse than the same power for every series.

use crate::detect::snapshot::codec;

/// Share of the sizes beyond `u`, and `-log10` of it.
const SHARE: f64 = 0.003;
const AT_MARK: f64 = 2.522_879;
/// Sizes before one is ranked, of which the largest is the first `u`.
const FIRST: u32 = 28;
/// `b` before it is learned, and how many excesses that is worth.
const PRIOR: (f64, u32) = (0.25, 200);
/// Bounds of `b`.
const BOUNDS: (f64, f64) = (0.05, 10.0);
const MEMORY_VALUES: u32 = 20_000;
const MEMORY_EXCESSES: u32 = 400;
const CLIP: f64 = 4.0;
const RUN_MAX: u32 = 1000;
const SURPRISE_MAX: f64 = 300.0;

/// What is known of the sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Rank {
    mark: f64,
    excess: f64,
    values: u32,
    excesses: u32,
    run: u32,
}

codec!(Rank { mark, excess, values, excesses, run });

impl Rank {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new() -> Rank {
        Rank { mark: f64::MIN_POSITIVE, excess: PRIOR.0, values: 0, excesses: PRIOR.1, run: 0 }
    }

    /// `-log10` of the share of the past that was as large; sizes below `least`, which is above 0, are all the same.
    pub(in crate::detect) fn surprise(&self, size: f64, least: f64) -> f64 {
        let size = size.max(least);
        if self.values < FIRST {
            return 0.0;
        }
        if size <= self.mark {
            return AT_MARK * size / self.mark;
        }
        (AT_MARK + libm::log10(size / self.mark) / self.excess).min(SURPRISE_MAX)
    }

    /// Takes a size in.
    pub(in crate::detect) fn learn(&mut self, size: f64, least: f64) {
        let size = size.max(least);
        self.values = (self.values + 1).min(MEMORY_VALUES);
        if self.values <= FIRST {
            self.mark = self.mark.max(size);
            return;
        }
        let step = self.excess / (SHARE * f64::from(self.values));
        if size <= self.mark {
            self.run = 0;
            self.mark = (self.mark * (1.0 - step * SHARE)).max(least);
            return;
        }
        let beyond = libm::log(size / self.mark);
        self.run = (self.run + 1).min(RUN_MAX);
        let weight = 1.0 / f64::from(self.run);
        if self.run == 1 {
            self.excesses = (self.excesses + 1).min(MEMORY_EXCESSES);
        }
        self.excess += weight * (beyond.min(CLIP * self.excess) - self.excess) / f64::from(self.excesses);
        self.excess = self.excess.clamp(BOUNDS.0, BOUNDS.1);
        self.mark *= libm::exp(weight * (step * (1.0 - SHARE)).min(beyond));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pareto_tail_is_learned_in_any_unit() {
        for unit in [1e-6, 1.0, 1e9] {
            let count = 20_000u32;
            let mut rank = Rank::new();
            for step in 0..3 * count {
                let at = (u64::from(step) * 7919) % u64::from(count);
                rank.learn(unit * libm::pow((at as f64 + 0.5) / f64::from(count), -0.3), 1e-150);
            }
            for probability in [1e-3, 1e-4, 1e-5] {
                let surprise = rank.surprise(unit * libm::pow(probability, -0.3), 1e-150);
                assert!((surprise + libm::log10(probability)).abs() < 0.6, "{unit} {probability}: {surprise}");
            }
        }
    }
}
