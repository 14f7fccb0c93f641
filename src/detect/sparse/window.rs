//! What came in the last intervals against what was expected in them, with exponentially fading weights.
//!
//! With the weighted sums `v` of the values, `m` of what was expected and `w` of the variances (with squared weights),
//! Chernoff's bound of a Poisson variable whose jumps are `p = w / m` puts the probability of `v` or something further away
//! at `exp(-(v ln(v / m) - v + m) / p)`.
//! Values that do not add up are taken as normal: `exp(-(v - m)^2 / 2w)`.

use crate::detect::evidence::Tail;
use crate::detect::snapshot::codec;

/// Where the tail of the surprise begins before it is learned, the scale and the shape of its fall: what they would be if
/// the bound were exact.
const TAIL: (f64, f64, f64) = (1.6, 0.45, 0.13);
/// The surprise that no value exceeds.
const SURPRISE_MAX: f64 = 300.0;
/// Newton's steps to the edge of a band.
const STEPS: usize = 6;

/// Sums over a window, and the tail of their surprise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    value: f64,
    expected: f64,
    variance: f64,
    tail: Tail,
}

codec!(Window { value, expected, variance, tail });

impl Window {
    /// An empty window.
    pub(super) fn new() -> Window {
        Window { value: 0.0, expected: 0.0, variance: 0.0, tail: Tail::new(TAIL.0, TAIL.1).with_shape(TAIL.2) }
    }

    /// Takes an interval in, as one of so many.
    pub(super) fn add(&mut self, value: f64, expected: f64, variance: f64, length: f64) {
        let fade = 1.0 - 1.0 / length;
        self.value = fade * self.value + value;
        self.expected = fade * self.expected + expected;
        self.variance = fade * fade * self.variance + variance;
    }

    /// Changes the value of the last interval.
    pub(super) fn correct(&mut self, by: f64) {
        self.value += by;
    }

    /// Begins anew; the tail stays.
    pub(super) fn clear(&mut self) {
        (self.value, self.expected, self.variance) = (0.0, 0.0, 0.0);
    }

    /// `-log10` of the bound; `least` is the least that is taken to be expected of values that add up.
    pub(super) fn surprise(&self, adds_up: bool, least: f64) -> f64 {
        let nats = if adds_up {
            let mean = self.expected.max(least);
            chernoff(self.value, mean) * mean / self.variance.max(1e-300)
        } else {
            let error = self.value - self.expected;
            error * error / (2.0 * self.variance.max(1e-300))
        };
        (nats * std::f64::consts::LOG10_E).min(SURPRISE_MAX)
    }

    /// `-log10` of the share of the past in which the surprise was as large.
    pub(super) fn rank(&self, surprise: f64) -> f64 {
        self.tail.surprise(surprise)
    }

    /// Takes a surprise that was normal in.
    pub(super) fn learn(&mut self, surprise: f64) {
        self.tail.learn(surprise);
    }

    pub(super) fn is_high(&self) -> bool {
        self.value >= self.expected
    }

    /// Whether it is above, or below, what is expected by more than a standard deviation.
    pub(super) fn is_off(&self, high: bool) -> bool {
        let error = self.value - self.expected;
        (if high { error } else { -error }) > self.variance.sqrt()
    }

    /// The distances below and above what is expected of one interval at which it ranks as `rank`.
    pub(super) fn reach(&self, rank: f64, adds_up: bool, expected: f64, variance: f64) -> (f64, f64) {
        let nats = self.tail.value(rank) / std::f64::consts::LOG10_E;
        let normal = (2.0 * nats * variance).sqrt();
        if !adds_up || expected <= 0.0 {
            return (normal, normal);
        }
        let jump = variance / expected;
        // from Bernstein's bound, which lies further out
        let mut above = expected + nats * jump / 3.0 + ((nats * jump / 3.0).powi(2) + normal * normal).sqrt();
        for _ in 0..STEPS {
            let slope = libm::log(above / expected).max(1e-9);
            above -= (chernoff(above, expected) - nats * jump) / slope;
        }
        (normal.min(expected), above - expected)
    }
}

/// `v ln(v / m) - v + m` for `v` and `m` above 0; beyond 0 it goes on straight.
fn chernoff(value: f64, mean: f64) -> f64 {
    if value <= 0.0 { mean - value } else { value * libm::log(value / mean) - value + mean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_adds_up_and_what_was_expected_does_not() {
        let (mut short, mut long) = (Window::new(), Window::new());
        for _ in 0..200 {
            short.add(0.5, 0.5, 0.5, 1.0);
            long.add(0.5, 0.5, 0.5, 16.0);
        }
        assert!(short.surprise(true, 0.1) < 1e-9 && long.surprise(true, 0.1) < 1e-9);
        for _ in 0..8 {
            short.add(2.0, 0.5, 0.5, 1.0);
            long.add(2.0, 0.5, 0.5, 16.0);
        }
        assert!(short.surprise(true, 0.1) < 1.0, "{}", short.surprise(true, 0.1));
        assert!(long.surprise(true, 0.1) > 3.0, "{}", long.surprise(true, 0.1));
        assert!(long.is_high() && long.is_off(true) && !long.is_off(false));
    }

    #[test]
    fn the_bound_holds_for_counts() {
        // P(X >= v) and P(X <= v) of a Poisson variable, summed
        for mean in [0.5f64, 3.0, 20.0] {
            let mut probability = vec![(-mean).exp()];
            (1..200).for_each(|k| probability.push(probability[k - 1] * mean / k as f64));
            for value in 0..60usize {
                let exact: f64 = if value as f64 >= mean {
                    probability[value..].iter().sum()
                } else {
                    probability[..=value].iter().sum()
                };
                let mut window = Window::new();
                window.add(value as f64, mean, mean, 1.0);
                let bound = libm::pow(10.0, -window.surprise(true, 1e-9));
                assert!(bound >= exact * (1.0 - 1e-9), "{mean} {value}: {bound} {exact}");
            }
        }
    }

    #[test]
    fn the_edges_of_the_band_rank_as_asked() {
        for (expected, variance) in [(0.3, 0.3), (4.0, 4.0), (50.0, 200.0)] {
            let window = Window::new();
            let (below, above) = window.reach(4.0, true, expected, variance);
            let mut edge = window;
            edge.add(expected + above, expected, variance, 1.0);
            assert!((edge.rank(edge.surprise(true, 1e-9)) - 4.0).abs() < 0.01, "{expected}");
            assert!(below > 0.0 && below <= expected);
        }
    }
}
