//! The far end of one side, by which alarms are decided where values add up. A `Side` knows the size that is exceeded in 5 % of
//! the intervals and what comes just beyond it; errors of sums of many events fall the faster the further out they are, so
//! a tail that was read off there promises too much further out, and the band is too wide by a third. So a second mark is
//! followed, the size `v` that one in ten excesses exceeds (0.5 % of the intervals): between the marks the surprise is a power of
//! the size that meets both, beyond `v` it is a Weibull tail of its own, `P(x > z) = 0.005^((z/v)^k)`, with `k` from the
//! mean of `ln(z/v)`. What may be an incident counts as little as it does for its side.
//!
//! Means, minima and the like have no such reason to fall fast: they are decided by their side alone.

use super::side::{AT_U, CUT, CUT_MEAN, SURPRISE_MAX};
use crate::detect::snapshot::codec;

/// Share of the excesses beyond `v`; `-log10` of the share of the intervals beyond it.
const SHARE: f64 = 0.1;
const AT_FAR: f64 = 2.301_03;
/// `e^t E1(t)` at `t = ln 200`: mean of `ln(z/v)` for `k = 1`.
const MEAN_LOG: f64 = 0.162_04;
/// Prior: `v` and the power there of a Gaussian, and how many excesses it is worth.
const PRIOR_MARK: f64 = 2.6;
const PRIOR_POWER: f64 = 1.4;
const PRIOR_EXCESSES: f64 = 40.0;
const POWERS: (f64, f64) = (0.6, 1.8);
/// Bounds of `v`, in `u`.
const MARKS: (f64, f64) = (1.3, 4.0);
const MEMORY_EXCESSES: f64 = 100.0;
/// `1 / density` of `ln z` at `v` among the excesses of a Gaussian.
const STEP: f64 = 1.4;
const CALM: f64 = 30.0;
/// Surprise from which on an excess may be an incident.
const DOUBTFUL: f64 = 4.0;

/// The far end of one side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Far {
    /// `v`, and the mean of `ln(z/v)` beyond it.
    mark: f64,
    excess: f64,
    excesses: f64,
}

codec!(Far { mark, excess, excesses });

impl Far {
    /// Of a series that nothing is known of.
    pub(super) fn new() -> Far {
        Far { mark: PRIOR_MARK, excess: MEAN_LOG / PRIOR_POWER, excesses: PRIOR_EXCESSES }
    }

    /// `-log10` of the share of intervals that are further out than `z`, where `near` is `u`.
    pub(super) fn surprise(&self, z: f64, near: f64) -> f64 {
        // not a number is nothing
        let (z, mark) = (z.max(0.0), self.mark(near));
        if z <= near {
            AT_U * z / near
        } else if z <= mark {
            AT_U * libm::exp(between(near, mark) * libm::log(z / near))
        } else {
            (AT_FAR * libm::exp(self.power() * libm::log(z / mark))).min(SURPRISE_MAX)
        }
    }

    /// The size whose surprise is `surprise`, where that is beyond `near`.
    pub(super) fn size(&self, surprise: f64, near: f64) -> f64 {
        let mark = self.mark(near);
        if surprise <= AT_FAR {
            near * libm::exp(libm::log((surprise / AT_U).max(1.0)) / between(near, mark))
        } else {
            mark * libm::exp(libm::log(surprise / AT_FAR) / self.power())
        }
    }

    /// Takes in an excess over `near`, which counts `doubt` if it may be an incident.
    pub(super) fn learn(&mut self, z: f64, near: f64, (excesses, doubt): (f64, f64)) {
        let weight = if self.surprise(z, near) > DOUBTFUL { doubt } else { 1.0 };
        let is_beyond = z > self.mark;
        if is_beyond {
            self.excesses = (self.excesses + 1.0).min(MEMORY_EXCESSES);
            let excess = libm::log(z / self.mark).min(CUT * self.excess) / CUT_MEAN;
            self.excess += weight * (excess - self.excess) / self.excesses;
        }
        let was = if is_beyond { 1.0 } else { 0.0 };
        self.mark *= libm::exp(weight * STEP / (excesses + CALM) * (was - SHARE));
        self.mark = self.mark(near);
    }

    fn mark(&self, near: f64) -> f64 {
        self.mark.clamp(MARKS.0 * near, MARKS.1 * near)
    }

    fn power(&self) -> f64 {
        (MEAN_LOG / self.excess.max(1e-9)).clamp(POWERS.0, POWERS.1)
    }
}

/// The power by which the surprise grows from one mark to the other.
fn between(near: f64, far: f64) -> f64 {
    libm::log(AT_FAR / AT_U) / libm::log(far / near)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size that a Gaussian exceeds with a probability of one side, and the `-log10` of that.
    const GAUSSIAN: [(f64, f64); 5] =
        [(1.644_854, 1.301_03), (2.326_348, 2.0), (2.575_829, 2.301_03), (3.719_016, 4.0), (4.753_424, 6.0)];

    #[test]
    fn the_prior_is_nearly_a_gaussian() {
        let far = Far::new();
        for (z, surprise) in GAUSSIAN {
            let off = far.surprise(z, GAUSSIAN[0].0) / surprise;
            assert!((0.88..1.03).contains(&off), "{z}: {off}");
        }
    }

    #[test]
    fn size_and_surprise_are_inverse_and_monotone() {
        let (far, mut last) = (Far::new(), -1.0);
        for step in 1..100 {
            let z = f64::from(step) * 0.2;
            let surprise = far.surprise(z, 1.5);
            assert!(surprise > last);
            if z > 1.5 {
                assert!((far.size(surprise, 1.5) / z - 1.0).abs() < 1e-9, "{z}");
            }
            last = surprise;
        }
        assert!(far.surprise(1e300, 1.5) <= SURPRISE_MAX);
        assert_eq!(far.surprise(f64::NAN, 1.5), 0.0);
    }

    #[test]
    fn a_tail_that_is_heavier_is_learned() {
        // exact quantiles of the excesses of an exponential tail over its 5 % mark, in an order without trend
        let (near, count) = (3.0, 2000u32);
        let mut far = Far::new();
        for step in 0..4 * count {
            let rank = (u64::from(step) * 7919) % u64::from(count);
            let z = near - libm::log((rank as f64 + 0.5) / f64::from(count));
            far.learn(z, near, (150.0, 0.2));
        }
        for surprise in [2.5, 3.5, 4.5] {
            let z = surprise * std::f64::consts::LN_10;
            let off = far.surprise(z, near) / surprise;
            assert!((0.8..1.25).contains(&off), "{surprise}: {off}");
        }
    }
}
