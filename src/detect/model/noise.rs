//! How large errors are where so much is expected. Counts have a variance that grows with the mean, rates one that grows
//! with its square, most quantities something between; so the mean magnitude of the errors is learned by the expected
//! magnitude, in bins of a factor of two around the mean magnitude of the series, and read between their centres. What
//! a bin has not seen yet is filled in from all errors together, taken to grow with the square root of the expected value where
//! the values add up and with its fourth root where they do not. A series that goes below zero has one bin.
//!
//! The *dispersion* is the variance over the mean: about the size of one event. Where empty intervals are common, events come one
//! by one and the mean value of an interval that has any is one event. Where less than three events are expected,
//! the noise is at least that of as many events (Poisson).

use std::f64::consts::SQRT_2;

use crate::detect::snapshot::codec;

const BINS: usize = 8;
/// The bin of the mean magnitude.
const MIDDLE: f64 = 5.0;
/// Mean magnitude of a Gaussian error, times this, is its standard deviation.
const DEVIATION: f64 = 1.25;
/// How noise grows with the expected value until the bins say otherwise.
const POWER_ADDING: f64 = 0.5;
const POWER_OTHER: f64 = 0.25;
/// The same at each bin, over that of the middle one: 2 to the power times the distance from it.
const GROWTH_ADDING: [f64; BINS] = [SQRT_2 / 8.0, 0.25, SQRT_2 / 4.0, 0.5, SQRT_2 / 2.0, 1.0, SQRT_2, 2.0];
const GROWTH_OTHER: [f64; BINS] = [ROOT_8 / 4.0, 0.5, ROOT_2 / 2.0, SQRT_2 / 2.0, ROOT_8 / 2.0, 1.0, ROOT_2, SQRT_2];
/// Fourth roots of 2 and 8.
const ROOT_2: f64 = 1.189_207_115_002_721;
const ROOT_8: f64 = 1.681_792_830_507_429;
/// Errors that the prior of a bin is worth.
const PRIOR: f64 = 8.0;
/// Memory of a bin and of all errors, in errors; of the mean magnitude and of the mean step, in values.
const BIN_MEMORY: u32 = 600;
const MEMORY: u32 = 1500;
const VALUE_MEMORY: u32 = 3000;
const STEP_MEMORY: u32 = 10_000;
/// Memory of the share of intervals with a value other than 0, and of the size of such values.
const SHARE_MEMORY: u32 = 2000;
const SIZE_MEMORY: u32 = 500;
/// An error larger than this many times the mean error counts as that much.
const CLIP: f64 = 4.0;
/// Least noise, as a share of the mean magnitude: a flat line still needs a unit.
const LEAST_SHARE: f64 = 1e-4;
/// Least mean of what was expected that counts, as a share of the mean magnitude of the values, and 1 over the most that an
/// event is larger.
const MEAN_SHARE: f64 = 1e-3;
/// The same as a share of the mean step from value to value over a month: a stretch without any change, however long,
/// is no reason to find the next change infinitely large.
const STEP_SHARE: f64 = 0.02;
/// Share of intervals with a value from which on none is missed, and below which all are single events.
const SINGLE: (f64, f64) = (0.97, 0.67);
/// Share of an event that is the least to be expected.
const LEAST_EVENT: f64 = 0.05;
/// Expected events up to which noise is at least this share of theirs.
const FEW: f64 = 3.0;
const FEW_SHARE: f64 = 0.7;

/// Noise as a function of the expected value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Noise {
    adds_up: bool,
    /// Mean magnitude of the values.
    magnitude: f64,
    values: u32,
    negative: bool,
    last: f64,
    step: f64,
    /// Share of values other than 0, and their mean magnitude.
    share: f64,
    size: f64,
    sizes: u32,
    /// Mean magnitude of the errors, by bin; of all, in the unit of the middle bin.
    bins: [f64; BINS],
    counts: [u32; BINS],
    all: f64,
    errors: u32,
    /// Mean squared error, and mean of what was expected.
    square: f64,
    expected: f64,
}

codec!(Noise {
    adds_up,
    magnitude,
    values,
    negative,
    last,
    step,
    share,
    size,
    sizes,
    bins,
    counts,
    all,
    errors,
    square,
    expected
});

impl Noise {
    /// Of a series that nothing is known of, whose values add up or not.
    pub(in crate::detect) fn new(adds_up: bool) -> Noise {
        Noise {
            adds_up,
            magnitude: 0.0,
            values: 0,
            negative: false,
            last: 0.0,
            step: 0.0,
            share: 1.0,
            size: 0.0,
            sizes: 0,
            bins: [0.0; BINS],
            counts: [0; BINS],
            all: 0.0,
            errors: 0,
            square: 0.0,
            expected: 0.0,
        }
    }

    /// Standard deviation where so much is expected; above 0.
    pub(in crate::detect) fn deviation(&self, expected: f64) -> f64 {
        if self.negative {
            return (DEVIATION * self.all).max(self.least());
        }
        let place = self.place(expected);
        let (bin, lean) = (place as usize, place.fract());
        let error = (1.0 - lean) * self.bin(bin) + lean * self.bin(bin + 1);
        let deviation = (DEVIATION * error).max(self.least());
        let event = self.dispersion();
        if self.adds_up && expected < FEW * event {
            deviation.max(FEW_SHARE * (event * expected.max(LEAST_EVENT * event)).sqrt())
        } else {
            deviation
        }
    }

    /// Variance over mean: about the size of one event.
    pub(in crate::detect) fn dispersion(&self) -> f64 {
        // errors of what was hardly expected tell nothing of events
        let mean = self.expected.max(MEAN_SHARE * self.magnitude);
        let ratio = if mean > 0.0 { self.square / mean } else { 0.0 };
        self.single().max(ratio.min(self.magnitude / MEAN_SHARE))
    }

    /// Size of one event of a series whose events come one by one, else 0.
    pub(in crate::detect) fn single(&self) -> f64 {
        let (all, none) = SINGLE;
        if self.adds_up { self.size * ((all - self.share) / (all - none)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The least that is expected of an interval.
    pub(in crate::detect) fn least_expected(&self) -> f64 {
        if self.negative {
            f64::NEG_INFINITY
        } else if self.adds_up {
            LEAST_EVENT * self.dispersion()
        } else {
            0.0
        }
    }

    /// The least noise that is believed, in the unit of the values; above 0.
    pub(in crate::detect) fn least(&self) -> f64 {
        (LEAST_SHARE * self.magnitude).max(STEP_SHARE * self.step).max(1e-150)
    }

    /// Mean magnitude of the values.
    pub(in crate::detect) fn magnitude(&self) -> f64 {
        self.magnitude
    }

    /// Whether a value was ever below zero.
    pub(in crate::detect) fn is_negative(&self) -> bool {
        self.negative
    }

    /// Takes a value in.
    pub(in crate::detect) fn value(&mut self, value: f64) {
        self.negative |= value < 0.0;
        if self.values > 0 {
            let steps = f64::from(self.values.min(STEP_MEMORY));
            self.step += ((value - self.last).abs() - self.step) / steps;
        }
        self.last = value;
        self.values = self.values.saturating_add(1);
        let gain = |memory: u32| 1.0 / f64::from(self.values.min(memory));
        self.magnitude += gain(VALUE_MEMORY) * (value.abs() - self.magnitude);
        let there = if value == 0.0 { 0.0 } else { 1.0 };
        self.share += gain(SHARE_MEMORY) * (there - self.share);
        if value != 0.0 {
            self.sizes = (self.sizes + 1).min(SIZE_MEMORY);
            let size = if self.sizes > 5 { value.abs().min(5.0 * self.size) } else { value.abs() };
            self.size += (size - self.size) / f64::from(self.sizes);
        }
    }

    /// Takes an error in.
    pub(in crate::detect) fn error(&mut self, expected: f64, error: f64) {
        let error = error.abs();
        self.errors = (self.errors + 1).min(MEMORY);
        let gain = 1.0 / f64::from(self.errors);
        if self.errors > 5 {
            self.square += gain * (error * error - self.square);
            self.expected += gain * (expected.abs() - self.expected);
        }
        let place = self.place(expected);
        let bin = (place + 0.5) as usize;
        let in_middle = error / self.growth(place);
        let in_middle =
            if self.errors < 10 { in_middle } else { in_middle.min(CLIP * self.all.max(f64::MIN_POSITIVE)) };
        self.all += gain * (in_middle - self.all);
        self.counts[bin] = (self.counts[bin] + 1).min(BIN_MEMORY);
        let usual = if self.counts[bin] < 20 { self.prior(bin) } else { self.bins[bin] };
        let error = error.min(CLIP * usual.max(f64::MIN_POSITIVE));
        self.bins[bin] += (error - self.bins[bin]) / f64::from(self.counts[bin]);
    }

    /// Where an expected value lies among the bins.
    fn place(&self, expected: f64) -> f64 {
        if self.magnitude <= 0.0 {
            return MIDDLE;
        }
        let octaves = libm::log2(expected.abs().max(1e-12 * self.magnitude) / self.magnitude);
        (octaves + MIDDLE).clamp(0.0, BINS as f64 - 1.001)
    }

    fn growth(&self, place: f64) -> f64 {
        let power = if self.adds_up { POWER_ADDING } else { POWER_OTHER };
        libm::exp2(power * (place - MIDDLE))
    }

    fn prior(&self, bin: usize) -> f64 {
        self.all * if self.adds_up { GROWTH_ADDING[bin] } else { GROWTH_OTHER[bin] }
    }

    fn bin(&self, bin: usize) -> f64 {
        let count = f64::from(self.counts[bin]);
        (count * self.bins[bin] + PRIOR * self.prior(bin)) / (count + PRIOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors of alternating sign and the size that `size` gives for the expected value.
    fn learned(adds_up: bool, size: impl Fn(f64) -> f64) -> Noise {
        let mut noise = Noise::new(adds_up);
        for step in 0..6000u32 {
            let expected = 100.0 * libm::exp2(f64::from(step % 50) / 10.0 - 2.5);
            let sign = if step % 2 == 0 { 1.0 } else { -1.0 };
            noise.value(expected + sign * size(expected));
            noise.error(expected, sign * size(expected));
        }
        noise
    }

    #[test]
    fn noise_is_learned_however_it_grows() {
        for size in [|_: f64| 8.0, |x: f64| x.sqrt(), |x: f64| 0.1 * x, |x: f64| (x + 0.0025 * x * x).sqrt()] {
            for adds_up in [true, false] {
                let noise = learned(adds_up, size);
                for expected in [40.0, 100.0, 300.0] {
                    let ratio = noise.deviation(expected) / (DEVIATION * size(expected));
                    assert!((0.8..1.25).contains(&ratio), "{expected}: {ratio}");
                }
            }
        }
    }

    #[test]
    fn noise_grows_between_the_bins_as_it_does_at_them() {
        for (adds_up, table) in [(true, GROWTH_ADDING), (false, GROWTH_OTHER)] {
            for (bin, growth) in table.iter().enumerate() {
                assert!((growth / Noise::new(adds_up).growth(bin as f64) - 1.0).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn single_events_have_the_noise_of_events() {
        let mut noise = Noise::new(true);
        for step in 0..3000u32 {
            let value = if step % 10 == 0 { 7.0 } else { 0.0 };
            noise.value(value);
            noise.error(0.7, value - 0.7);
        }
        assert!((noise.single() - 7.0).abs() < 0.01 && noise.dispersion() >= 7.0);
        assert!(noise.deviation(0.0) > 0.1 * 7.0, "none expected, yet one is no wonder");
        assert!(noise.least_expected() > 0.0);
    }

    #[test]
    fn events_are_not_infinite_where_hardly_anything_was_expected() {
        let mut noise = Noise::new(true);
        for value in [0.0, 1e-308, 0.0, 589.0, 0.0, 1e-308, 600.0, 0.0, 0.0, 580.0] {
            noise.value(value);
            noise.error(1e-308, value);
        }
        assert!(noise.dispersion().is_finite() && noise.least_expected() < 1e6, "{}", noise.dispersion());
    }

    #[test]
    fn a_constant_keeps_a_unit() {
        let mut noise = Noise::new(false);
        for _ in 0..500 {
            noise.value(5.0);
            noise.error(5.0, 0.0);
        }
        assert!(noise.deviation(5.0) > 0.0 && noise.least() == LEAST_SHARE * 5.0);
    }
}
