//! What missing coordinates are expected to be, given the known ones.
//!
//! In every tree the known lanes are followed along the cuts, and where a missing lane is cut both sides are visited.
//! The leaves reached are the tree's adaptive neighbourhood of the known part; each carries its mass as a share of all
//! mass reached in that tree. The pooled leaves of all trees, those nearest in the known lanes up to a third of the
//! weight, are a weighted sample of the conditional distribution (the quantile estimate of Meinshausen, "Quantile
//! Regression Forests", JMLR 2006, on cut trees), of which the median and the 10th and 90th percentile are answered.

use super::lanes::Query;
use super::points::Points;
use super::tree::{Trees, is_leaf};

/// So many leaves are enough; further trees would only narrow the quantiles' own error.
const LEAVES_ENOUGH: usize = 1024;

/// Where a value is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// 10th percentile.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// 90th percentile.
    pub high: f64,
}

/// A leaf that agrees with the known lanes.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    name: u16,
    weight: f64,
    /// L1 distance over the known lanes, in steps.
    distance: u32,
}

/// The weighted conditional sample, as quantiles of each of the `missing` lanes on the grid (10, 50, 90 %).
/// Empty if nothing is learnt.
pub(super) fn quantiles(trees: &Trees, points: &Points, q: &Query, missing: &[usize]) -> Vec<[u16; 3]> {
    let known: Vec<usize> = (0..q.lanes().len()).filter(|lane| !missing.contains(lane)).collect();
    let mut found: Vec<Candidate> = Vec::new();
    for tree in (0..trees.len()).filter(|tree| trees.mass(*tree) > 0) {
        let from = found.len();
        if from >= LEAVES_ENOUGH {
            break;
        }
        collect(trees, tree, q, missing, &mut found);
        let sum: f64 = found[from..].iter().map(|c| c.weight).sum();
        for candidate in &mut found[from..] {
            candidate.weight /= sum;
            let point = points.get(candidate.name);
            candidate.distance = known.iter().map(|lane| u32::from(point[*lane].abs_diff(q.lanes()[*lane]))).sum();
        }
    }
    if found.is_empty() {
        return Vec::new();
    }
    if !known.is_empty() {
        keep_nearest_third(&mut found);
    }
    missing.iter().map(|lane| weighted(&found, |c| points.get(c.name)[*lane])).collect()
}

/// Every leaf of a tree that the known lanes allow, weighted with its mass.
fn collect(trees: &Trees, tree: usize, q: &Query, missing: &[usize], found: &mut Vec<Candidate>) {
    let head = trees.head(tree);
    let nodes = trees.nodes(tree);
    let mut open = vec![(head.root, u32::from(head.mass))];
    while let Some((name, mass)) = open.pop() {
        if is_leaf(name) {
            found.push(Candidate { name, weight: f64::from(mass), distance: 0 });
            continue;
        }
        let node = nodes[usize::from(name)];
        let left = u32::from(node.left_mass);
        let unknown = missing.contains(&usize::from(node.lane));
        let right = q.lane(node.lane) > node.cut;
        if unknown || right {
            open.push((node.sides[1], mass - left));
        }
        if unknown || !right {
            open.push((node.sides[0], left));
        }
    }
}

/// Drops the candidates farther away than a third of the weight.
fn keep_nearest_third(found: &mut Vec<Candidate>) {
    found.sort_by_key(|c| (c.distance, c.name));
    let third = found.iter().map(|c| c.weight).sum::<f64>() / 3.0;
    let mut sum = 0.0;
    let mut limit = 0;
    for candidate in found.iter() {
        sum += candidate.weight;
        limit = candidate.distance;
        if sum >= third {
            break;
        }
    }
    found.retain(|c| c.distance <= limit);
}

/// Weighted 10, 50 and 90 % quantiles.
fn weighted(found: &[Candidate], value: impl Fn(&Candidate) -> u16) -> [u16; 3] {
    let mut values: Vec<(u16, f64)> = found.iter().map(|c| (value(c), c.weight)).collect();
    values.sort_by_key(|(value, _)| *value);
    let total: f64 = values.iter().map(|(_, weight)| weight).sum();
    [0.1, 0.5, 0.9].map(|share| {
        let mut sum = 0.0;
        for (value, weight) in &values {
            sum += weight;
            if sum >= share * total {
                return *value;
            }
        }
        values.last().map_or(0, |(value, _)| *value)
    })
}
