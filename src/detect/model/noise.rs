//! How noise grows with the expected value. Errors of an expected value `mu` are taken to have the size
//! `a * h(mu)`, `h(mu) = (max(|mu|, r/20) / r)^p`, with `r` the mean magnitude of the series and `p` one of
//! 0 (the same everywhere), 1/2 (counts: variance grows with the mean) and 1 (noise in proportion).
//! The power is the one whose Laplace likelihood of the recent errors is largest: smallest `mean(ln h) + ln mean(|e|/h)`.
//! Series that go below zero keep `p = 0`.

use crate::detect::snapshot::codec;

const POWERS: [f64; 3] = [0.0, 0.5, 1.0];
/// Until the errors say otherwise.
const POWER_FIRST: u8 = 1;
/// Errors before the power is chosen from them.
const CHOOSE_AFTER: u32 = 100;
/// Memory, in intervals.
const MEMORY: u32 = 1500;
/// Gain in mean log-likelihood that makes a change of power worth it.
const MARGIN: f64 = 0.01;
/// Below this share of the mean magnitude, noise shrinks no further.
const FLOOR_SHARE: f64 = 0.05;
/// Least noise, as a share of the mean magnitude: a flat line still needs a unit.
const LEAST_SHARE: f64 = 1e-4;
/// The same as a share of the mean step from value to value over a month: a stretch without any change, however long,
/// is no reason to find the next change infinitely large.
const STEP_SHARE: f64 = 0.02;
const STEP_MEMORY: u32 = 10_000;
/// An error larger than this many times the mean error counts as that much.
const CLIP: f64 = 4.0;

/// Noise as a function of the expected value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Noise {
    /// Mean magnitude of the values.
    magnitude: f64,
    values: u32,
    negative: bool,
    last: f64,
    /// Mean step from value to value.
    step: f64,
    steps: u32,
    /// Per power: mean of |e|/h and of ln h.
    spread: [f64; 3],
    log_shape: [f64; 3],
    errors: u32,
    power: u8,
}

codec!(Noise { magnitude, values, negative, last, step, steps, spread, log_shape, errors, power });

impl Noise {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new() -> Noise {
        Noise {
            magnitude: 0.0,
            values: 0,
            negative: false,
            last: 0.0,
            step: 0.0,
            steps: 0,
            spread: [0.0; 3],
            log_shape: [0.0; 3],
            errors: 0,
            power: POWER_FIRST,
        }
    }

    /// `h(mu)`, 1 at the mean magnitude.
    pub(in crate::detect) fn shape(&self, expected: f64) -> f64 {
        self.shape_of(self.power, expected)
    }

    /// The least noise that is believed, in the unit of the values; above 0.
    pub(in crate::detect) fn least(&self) -> f64 {
        (LEAST_SHARE * self.magnitude).max(STEP_SHARE * self.step).max(1e-150)
    }

    /// Whether a value was ever below zero.
    pub(in crate::detect) fn is_negative(&self) -> bool {
        self.negative
    }

    /// Takes a value in.
    pub(in crate::detect) fn value(&mut self, value: f64) {
        self.negative |= value < 0.0;
        if self.values > 0 {
            self.steps = (self.steps + 1).min(STEP_MEMORY);
            self.step += ((value - self.last).abs() - self.step) / f64::from(self.steps);
        }
        self.last = value;
        self.values = (self.values + 1).min(MEMORY);
        self.magnitude += (value.abs() - self.magnitude) / f64::from(self.values);
    }

    /// Takes an error in. Where the power changes, gives the factor that turns scales of the old unit into the new.
    pub(in crate::detect) fn error(&mut self, expected: f64, error: f64) -> Option<f64> {
        self.errors = (self.errors + 1).min(MEMORY);
        let gain = 1.0 / f64::from(self.errors);
        let early = f64::from(self.errors) < 8.0;
        for power in 0..3u8 {
            let at = usize::from(power);
            let shape = self.shape_of(power, expected);
            let size = error.abs() / shape;
            let size = if early { size } else { size.min(CLIP * self.spread[at].max(self.least())) };
            self.spread[at] += gain * (size - self.spread[at]);
            self.log_shape[at] += gain * (libm::log(shape) - self.log_shape[at]);
        }
        self.choose()
    }

    fn choose(&mut self) -> Option<f64> {
        let least = self.least();
        let cost = |at: usize| self.log_shape[at] + libm::log(self.spread[at].max(least));
        let mut best = self.power;
        if self.negative {
            best = 0;
        } else if self.errors >= CHOOSE_AFTER {
            for power in 0..3u8 {
                if cost(usize::from(power)) < cost(usize::from(best)) - MARGIN {
                    best = power;
                }
            }
        }
        if best == self.power {
            return None;
        }
        let factor = self.spread[usize::from(best)].max(least) / self.spread[usize::from(self.power)].max(least);
        self.power = best;
        Some(factor)
    }

    fn shape_of(&self, power: u8, expected: f64) -> f64 {
        if power == 0 || self.magnitude <= 0.0 {
            return 1.0;
        }
        let ratio = (expected.abs() / self.magnitude).max(FLOOR_SHARE);
        match POWERS[usize::from(power)] {
            1.0 => ratio,
            _ => ratio.sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repeatable value in -1..1.
    fn wobble(step: u32) -> f64 {
        f64::from(step.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 23) - 1.0
    }

    #[test]
    fn the_power_follows_the_data() {
        for (index, power) in POWERS.iter().enumerate() {
            let mut noise = Noise::new();
            for step in 0..3000 {
                let expected = 100.0 + 90.0 * libm::sin(f64::from(step) * 0.02);
                let size = libm::pow(expected / 100.0, *power) * 5.0;
                noise.value(expected);
                noise.error(expected, size * wobble(step));
            }
            assert_eq!(usize::from(noise.power), index);
        }
    }

    #[test]
    fn a_flat_line_at_zero_has_a_unit() {
        let mut noise = Noise::new();
        noise.value(0.0);
        noise.error(0.0, 0.0);
        assert!(noise.least() > 0.0 && noise.shape(0.0) == 1.0);
    }
}
