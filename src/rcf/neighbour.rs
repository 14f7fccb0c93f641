//! The learnt points nearest to a query: the leaves that it falls to, one per tree, merged.

use super::lanes::Query;
use super::points::Points;
use super::tree::{Trees, is_leaf};

/// A learnt point close to the one asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// Its lanes, oldest block first (on the forest's grid of 65,536 steps).
    pub point: Vec<f64>,
    /// Euclidean distance over all lanes.
    pub distance: f64,
    /// Trees in which the query falls to this point.
    pub trees: usize,
}

/// Name and number of trees of each leaf that `q` falls to, by name (older points first).
pub(super) fn leaves(trees: &Trees, q: &Query) -> Vec<(u16, usize)> {
    let mut names: Vec<u16> =
        (0..trees.len()).filter(|tree| trees.mass(*tree) > 0).map(|tree| fall(trees, tree, q)).collect();
    names.sort_unstable();
    let mut merged: Vec<(u16, usize)> = Vec::new();
    for name in names {
        match merged.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => merged.push((name, 1)),
        }
    }
    merged
}

fn fall(trees: &Trees, tree: usize, q: &Query) -> u16 {
    let nodes = trees.nodes(tree);
    let mut at = trees.head(tree).root;
    while !is_leaf(at) {
        let node = nodes[usize::from(at)];
        at = node.sides[usize::from(q.lane(node.lane) > node.cut)];
    }
    at
}

/// The `n` nearest of `leaves` as real values.
pub(super) fn nearest(
    points: &Points,
    leaves: Vec<(u16, usize)>,
    n: usize,
    asked: &[f64],
    value: impl Fn(usize, u16) -> f64,
) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = Vec::with_capacity(leaves.len());
    for (name, trees) in leaves {
        let point: Vec<f64> = points.get(name).iter().enumerate().map(|(lane, v)| value(lane, *v)).collect();
        let distance = distance(&point, asked);
        found.push(Neighbour { point, distance, trees });
    }
    // stable: equal distances stay in the order of time
    found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    found.truncate(n);
    found
}

/// Euclidean distance, scaled by the largest difference so that squares do not overflow.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let largest = a.iter().zip(b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - b) / largest).map(|x| x * x).sum();
    (largest * sum.sqrt()).min(f64::MAX)
}
