//! How the deviation of a group spreads over the values of each dimension.
//!
//! The weight of a finding is `|value - expected|` (a value that is missing counts as 0): what broke by much weighs more
//! than what is merely large. The share of a dimension value is the weight of its findings over the weight of all, so
//! the shares of one dimension add up to 1 (X1). Where nothing deviates in size (a flat line at the expected height),
//! the severities are the weights, and where these are 0 too, every finding counts the same.

use std::collections::BTreeMap;

use crate::model::{Contribution, Point, Share};

/// One entry per dimension, values by share, largest first, then by name. `points` is not empty.
pub(super) fn contributions(points: &[&Point], dimension_names: &[String]) -> Vec<Contribution> {
    let weights = weights(points);
    let total: f64 = weights.iter().sum();
    let of_dimension = |(index, name): (usize, &String)| {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for (point, weight) in points.iter().zip(&weights) {
            *sums.entry(point.key.values().nth(index).unwrap_or_default()).or_insert(0.0) += weight;
        }
        let mut values: Vec<Share> =
            sums.iter().map(|(value, sum)| Share { value: (*value).to_owned(), share: sum / total }).collect();
        values.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.value.cmp(&b.value)));
        Contribution { dimension: name.clone(), values }
    };
    dimension_names.iter().enumerate().map(of_dimension).collect()
}

/// Relative weights, the largest 1, so that no sum overflows.
fn weights(points: &[&Point]) -> Vec<f64> {
    let deviation = |point: &&Point| (point.value.unwrap_or(0.0) - point.expected).abs();
    let severity = |point: &&Point| point.severity;
    for weights in [points.iter().map(deviation).collect::<Vec<f64>>(), points.iter().map(severity).collect()] {
        let largest = weights.iter().copied().fold(0.0, f64::max);
        if largest > 0.0 && largest.is_finite() {
            return weights.into_iter().map(|weight| weight / largest).collect();
        }
    }
    vec![1.0; points.len()]
}
