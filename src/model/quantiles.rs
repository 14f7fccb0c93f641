//! Percentiles of values: the bins of a DDSketch (Masson, Rim and Lee 2019), whose edges grow by 2 %. A percentile is the
//! middle of the bin that has its rank, so it is within 1 % of a value that has that rank.
//!
//! Ours and not a library's: bins are counts, so order means nothing; the bin of a value follows from `libm`'s logarithm,
//! which has the same bits on every machine (D1); and a series with a few values takes a few bins and not a vector of
//! them.

use std::collections::BTreeMap;

/// Relative error of a percentile.
const ERROR: f64 = 0.01;
/// What an edge is to the next one.
const GROWTH: f64 = (1.0 + ERROR) / (1.0 - ERROR);
/// Bins of one sign: a range of values of 1 to 10^17. Sizes below that of the largest count as the smallest in it.
const BINS: i32 = 2048;

/// The values of a column, as far as their distribution goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantiles {
    above: BTreeMap<i32, u64>,
    zeros: u64,
    /// By size.
    below: BTreeMap<i32, u64>,
}

impl Quantiles {
    /// Takes a finite value in.
    pub fn add(&mut self, value: f64) {
        match value {
            0.0 => self.zeros += 1,
            _ if value > 0.0 => count(&mut self.above, bin(value), 1),
            _ => count(&mut self.below, bin(-value), 1),
        }
    }

    /// Takes in what others hold.
    pub fn merge(&mut self, other: &Quantiles) {
        self.zeros += other.zeros;
        other.above.iter().for_each(|(bin, values)| count(&mut self.above, *bin, *values));
        other.below.iter().for_each(|(bin, values)| count(&mut self.below, *bin, *values));
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.zeros + self.above.values().sum::<u64>() + self.below.values().sum::<u64>()
    }

    /// The value that this share of all values, 0 to 1, does not exceed; none for no values.
    #[expect(clippy::cast_precision_loss, reason = "counts of one interval stay far below 2^53")]
    pub fn at(&self, share: f64) -> Option<f64> {
        // 0.55 x 100 is a little more than 55
        let rank = (share * self.count() as f64 * (1.0 - 1e-12)).ceil().max(1.0);
        let mut seen = 0.0;
        let below = self.below.iter().rev().map(|(bin, values)| (-middle(*bin), *values));
        let above = self.above.iter().map(|(bin, values)| (middle(*bin), *values));
        let zeros = std::iter::once((0.0, self.zeros)).filter(|(_, values)| *values > 0);
        let mut last = None;
        for (value, values) in below.chain(zeros).chain(above) {
            seen += values as f64;
            last = Some(value);
            if seen >= rank {
                break;
            }
        }
        last
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number is below 36,000 bins")]
fn bin(size: f64) -> i32 {
    (libm::log(size) / libm::log(GROWTH)).ceil() as i32
}

fn middle(bin: i32) -> f64 {
    (2.0 * libm::exp(f64::from(bin) * libm::log(GROWTH)) / (GROWTH + 1.0)).min(f64::MAX)
}

fn count(bins: &mut BTreeMap<i32, u64>, bin: i32, values: u64) {
    *bins.entry(bin).or_insert(0) += values;
    let least = bins.last_key_value().map_or(bin, |(largest, _)| largest - BINS + 1);
    while let Some(first) = bins.first_entry().filter(|first| *first.key() < least) {
        let values = first.remove();
        *bins.entry(least).or_insert(0) += values;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of<'a>(values: impl IntoIterator<Item = &'a f64>) -> Quantiles {
        let mut quantiles = Quantiles::default();
        values.into_iter().for_each(|value| quantiles.add(*value));
        quantiles
    }

    #[test]
    fn percentiles_are_within_a_hundredth() {
        let values: Vec<f64> = (0..10_000).map(|step| f64::from((step * 7919) % 10_000) - 2000.0).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let quantiles = of(&values);
        for percent in [1, 10, 20, 21, 50, 90, 95, 99, 100] {
            let exact = sorted[percent * 100 - 1];
            let said = quantiles.at(percent as f64 / 100.0).unwrap();
            assert!((said - exact).abs() <= 0.0101 * exact.abs(), "p{percent}: {said} for {exact}");
        }
        assert_eq!(Quantiles::default().at(0.5), None);
        // 0.55 times 100 is above 55 by a bit
        let exact: Vec<f64> = (1..=100).map(|step| libm::pow(1.5, f64::from(step))).collect();
        assert!((of(&exact).at(0.55).unwrap() / exact[54] - 1.0).abs() < 0.02);
        assert!(of(&[f64::MAX, f64::MIN_POSITIVE, -f64::MAX]).at(1.0).unwrap().is_finite());
        assert_eq!(of(&[0.0, 0.0, 5.0]).at(0.5), Some(0.0));
    }

    proptest! {
        #[test]
        fn order_and_parts_mean_nothing(
            mut values in prop::collection::vec(prop_oneof![-1e3..1e3f64, Just(1e200), Just(1e-200), Just(0.0)], 1..60),
            cut in 0usize..60,
        ) {
            let whole = of(&values);
            let mut parts = of(&values[..cut.min(values.len())]);
            parts.merge(&of(&values[cut.min(values.len())..]));
            prop_assert_eq!(&parts, &whole);
            values.reverse();
            prop_assert_eq!(of(&values), whole);
        }
    }
}
