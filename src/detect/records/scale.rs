//! Columns of different size in one forest. A cut falls on a column in proportion to its spread: of a price around 50 and
//! a quantity around 10,000 the forest sees the quantity alone. There are two answers:
//!
//! - [`Scaling::None`]: values as they are. So did the SQL function of Kinesis Data Analytics; who wanted columns to count
//!   alike scaled them in the query.
//! - [`Scaling::Normalize`]: `z = (x - mean) / deviation`, cut at ±100, with mean and deviation of the forest's own past,
//!   of which a record is 1/e after 256 others. So does OpenSearch, which adds 1 to
//!   the deviation; here nothing is added, so that a column of small numbers counts as much. The first
//!   [`HELD`] records wait for a first mean and deviation, then all of them are learned.
//!
//! A value counts in mean and deviation as if it lay no further than 100 deviations off: one wild value does not make all
//! others look alike.

use crate::detect::snapshot::codec;

/// Records that wait for the first mean and deviation.
pub(super) const HELD: usize = 10;
/// A value is no further away than this many deviations.
const FAR: f64 = 100.0;
/// Squares of larger values are not finite.
const VALUE_MAX: f64 = 1e150;

/// What is done about columns of different size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// Nothing.
    #[default]
    None,
    /// Each column is brought to mean 0 and deviation 1.
    Normalize,
}

impl Scaling {
    /// The names in configurations.
    pub const NAMES: [(&'static str, Scaling); 2] = [("none", Scaling::None), ("normalize", Scaling::Normalize)];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Scaling::None => "none",
            Scaling::Normalize => "normalize",
        }
    }
}

/// Running mean and deviation of the columns of one forest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    seen: u64,
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// The first records.
    held: Vec<Vec<f64>>,
}

codec!(Scale { seen, mean, variance, held });

impl Scale {
    pub(super) fn new(columns: usize) -> Scale {
        Scale { seen: 0, mean: vec![0.0; columns], variance: vec![0.0; columns], held: Vec::new() }
    }

    /// Whether it is of so many columns.
    pub(super) fn fits(&self, columns: usize) -> bool {
        let are_finite = |numbers: &[f64]| numbers.iter().all(|number| number.is_finite());
        self.mean.len() == columns
            && self.variance.len() == columns
            && are_finite(&self.mean)
            && are_finite(&self.variance)
            && self.held.iter().all(|held| held.len() == columns && are_finite(held))
    }

    /// The record by what was seen before it; none while the first ones wait.
    pub(super) fn scaled(&self, record: &[f64]) -> Option<Vec<f64>> {
        (self.seen >= HELD as u64).then(|| self.z(record))
    }

    /// Takes a record in. Gives those that waited, once.
    pub(super) fn learn(&mut self, record: &[f64], reach: usize) -> Vec<Vec<f64>> {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = 1.0 / (self.seen + 1).min(reach.max(HELD) as u64) as f64;
        for ((mean, variance), value) in self.mean.iter_mut().zip(&mut self.variance).zip(record) {
            let mut away = value.clamp(-VALUE_MAX, VALUE_MAX) - *mean;
            if self.seen >= HELD as u64 && *variance > 0.0 {
                let far = FAR * variance.sqrt();
                away = away.clamp(-far, far);
            }
            *mean += rate * away;
            *variance = (1.0 - rate) * (*variance + rate * away * away);
        }
        self.seen += 1;
        if self.seen > HELD as u64 {
            return Vec::new();
        }
        self.held.push(record.to_vec());
        if self.seen < HELD as u64 {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held);
        held.iter().map(|record| self.z(record)).collect()
    }

    fn z(&self, record: &[f64]) -> Vec<f64> {
        let z = |((value, mean), variance): ((&f64, &f64), &f64)| {
            let away = value.clamp(-VALUE_MAX, VALUE_MAX) - mean;
            let deviation = variance.sqrt();
            match away {
                _ if deviation > 0.0 => (away / deviation).clamp(-FAR, FAR),
                0.0 => 0.0,
                // of what never changed before nothing else is known
                _ => FAR.copysign(away),
            }
        };
        record.iter().zip(&self.mean).zip(&self.variance).map(z).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(records: impl IntoIterator<Item = f64>) -> Scale {
        let mut scale = Scale::new(1);
        records.into_iter().for_each(|record| drop(scale.learn(&[record], 64)));
        scale
    }

    #[test]
    fn columns_of_any_size_come_to_the_same() {
        let wave = |size: f64| (0..500).map(move |n| size * (10.0 + libm::sin(f64::from(n))));
        let z = |size: f64| after(wave(size)).scaled(&[size * 11.5]).unwrap()[0];
        assert!((z(1.0) - z(1e-9)).abs() < 1e-6 && (z(1.0) - z(1e9)).abs() < 1e-6);
        assert!(z(1.0) > 1.5 && z(1.0) < 3.0, "{}", z(1.0));
    }

    #[test]
    fn the_first_records_wait_and_come_once() {
        let mut scale = Scale::new(2);
        for number in 1..HELD {
            assert!(scale.scaled(&[1.0, 2.0]).is_none());
            assert!(scale.learn(&[f64::from(u32::try_from(number).unwrap()), 2.0], 64).is_empty());
        }
        let held = scale.learn(&[10.0, 2.0], 64);
        assert_eq!(held.len(), HELD);
        assert!(held.iter().all(|record| record[1] == 0.0) && held[0][0] < -1.0);
        assert!(scale.learn(&[5.0, 2.0], 64).is_empty() && scale.scaled(&[5.0, 2.0]).is_some());
    }

    #[test]
    fn one_wild_value_does_not_make_the_others_alike() {
        let mut scale = after((0..500).map(|n| 10.0 + libm::sin(f64::from(n))));
        let before = scale.scaled(&[14.0]).unwrap()[0];
        scale.learn(&[1e300], 64);
        let after = scale.scaled(&[14.0]).unwrap()[0];
        assert!(before > 4.0 && after.abs() > 0.1 && scale.fits(1), "{before} {after}");
        assert_eq!(scale.scaled(&[f64::MAX]).unwrap(), [100.0]);
        let constant = super::tests::after(std::iter::repeat_n(7.0, 50));
        assert_eq!([7.0, 7.1, 6.9].map(|x| constant.scaled(&[x]).unwrap()[0]), [0.0, 100.0, -100.0]);
    }
}
