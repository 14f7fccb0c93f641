//! Scores against the exact expectation over all cut trees of small sets.

use super::super::attribution::attribution;
use super::super::lanes::Query;
use super::super::points::Points;
use super::super::random::Random;
use super::super::score::{Scores, scores};
use super::super::tree::{Trees, Work};

type Point = Vec<u16>;

fn query(point: &[u16]) -> Query {
    let mut q = Query::new(point.len());
    point.iter().enumerate().for_each(|(lane, v)| q.set(lane, *v));
    q
}

/// Expectation of (expected depth, log mass, displacement) over all random cut trees of `set`, every cut weighed by hand.
fn exact(set: &[Point], p: &[u16], depth: usize, total: usize) -> [f64; 3] {
    let mass = set.len() as f64;
    let lanes = 0..p.len();
    let unseen = [1.0 / (1.0 + depth as f64), (1.0 + mass).log2(), mass];
    let low: Point = lanes.clone().map(|l| set.iter().map(|x| x[l]).min().unwrap()).collect();
    let high: Point = lanes.clone().map(|l| set.iter().map(|x| x[l]).max().unwrap()).collect();
    let sides: f64 = lanes.clone().map(|l| f64::from(high[l] - low[l])).sum();
    if sides == 0.0 {
        let damp = 1.0 - mass / (2.0 * total as f64);
        let seen = [1.0 / (depth as f64 + (1.0 + mass).log2()), (1.0 + 1.0 / (1.0 + mass)).log2(), 1.0 / (1.0 + mass)];
        return if set[0] == p { seen.map(|s| s * damp) } else { unseen };
    }
    let gap: f64 = lanes.clone().map(|l| f64::from(low[l].saturating_sub(p[l]) + p[l].saturating_sub(high[l]))).sum();
    let parted = gap / (gap + sides);
    let mut below = [0.0; 3];
    for l in lanes {
        for cut in low[l]..high[l] {
            let side: Vec<Point> = set.iter().filter(|x| (x[l] <= cut) == (p[l] <= cut)).cloned().collect();
            let part = exact(&side, p, depth + 1, total);
            (0..3).for_each(|i| below[i] += part[i] / sides);
        }
    }
    [0, 1, 2].map(|i| parted * unseen[i] + (1.0 - parted) * below[i])
}

fn normalised(raw: [f64; 3], total: usize) -> [f64; 3] {
    let log = (1.0 + total as f64).log2();
    [raw[0] * log, raw[1] / log, raw[2] / (1.0 + total as f64)]
}

/// One forest of single trees over `set` for each of many seeds; the scores of each.
fn many(set: &[Point], p: &[u16]) -> Vec<Scores> {
    let lanes = p.len();
    let mut random = Random::new(17);
    let mut all = Vec::new();
    for _ in 0..6000 {
        let mut points = Points::new(lanes, 1);
        let mut trees = Trees::new(1, lanes, 2);
        for point in set {
            let (name, _) = points.append(point);
            if trees.insert(0, &query(point), name, 1, &points, &mut random, &mut Work::new()) {
                points.hold(name);
            }
        }
        all.push(scores(&trees, &points, &query(p)));
    }
    all
}

fn check(set: &[Point], p: &[u16]) {
    let expected = normalised(exact(set, p, 0, set.len()), set.len());
    let all = many(set, p);
    let parts: [fn(&Scores) -> f64; 3] = [|s| s.expected_depth, |s| s.log_mass, |s| s.displacement];
    for (part, expected) in parts.into_iter().zip(expected) {
        let n = all.len() as f64;
        let mean = all.iter().map(part).sum::<f64>() / n;
        let variance = all.iter().map(|s| (part(s) - mean).powi(2)).sum::<f64>() / n;
        let tolerance = 4.5 * (variance / n).sqrt() + 1e-6;
        assert!((mean - expected).abs() < tolerance, "{set:?} {p:?}: {mean} is not {expected} +- {tolerance}");
    }
}

#[test]
fn scores_equal_the_expectation_over_all_trees() {
    let three = vec![vec![0, 0], vec![4, 1], vec![9, 7]];
    let four = vec![vec![3, 3], vec![3, 5], vec![10, 4], vec![6, 0]];
    let five = vec![vec![1, 2, 3], vec![2, 2, 2], vec![7, 1, 3], vec![7, 6, 3], vec![4, 4, 9]];
    check(&three, &[5, 5]);
    check(&three, &[20, 1]);
    check(&three, &[4, 1]);
    check(&four, &[0, 0]);
    check(&four, &[6, 4]);
    check(&four, &[3, 3]);
    check(&five, &[3, 3, 3]);
    check(&five, &[12, 0, 3]);
}

#[test]
fn duplicates_count_in_masses() {
    let set = vec![vec![2, 2], vec![2, 2], vec![2, 2], vec![8, 3], vec![8, 3]];
    check(&set, &[2, 2]);
    check(&set, &[8, 3]);
    check(&set, &[5, 9]);
}

#[test]
fn attribution_adds_up_to_the_score() {
    let mut random = Random::new(3);
    let (mut points, mut trees) = (Points::new(4, 1), Trees::new(20, 4, 2));
    for _ in 0..64 {
        let p: Point = (0..4).map(|_| 1000 + random.below(50) as u16).collect();
        let (name, _) = points.append(&p);
        for tree in 0..20 {
            if trees.insert(tree, &query(&p), name, 1, &points, &mut random, &mut Work::new()) {
                points.hold(name);
            }
        }
    }
    for p in [[1020, 1020, 1020, 1020], [1020, 5000, 1020, 1020], [0, 1020, 1020, 1100]] {
        let q = query(&p);
        let parts = attribution(&trees, &points, &q, &[0.0; 4]);
        let score = scores(&trees, &points, &q).expected_depth;
        assert!((parts.sum() - score).abs() < 1e-5, "{} is not {score}", parts.sum());
    }
    let parts = attribution(&trees, &points, &query(&[1020, 5000, 1020, 1020]), &[0.0; 4]);
    assert!(parts.high[1] > 0.9 * parts.sum(), "the lane and its direction: {parts:?}");
    let parts = attribution(&trees, &points, &query(&[0, 1020, 1020, 1020]), &[0.0; 4]);
    assert!(parts.low[0] > 0.9 * parts.sum(), "the lane and its direction: {parts:?}");
}
