//! The peers: what a detector must beat to be worth its name. Each sees a series value by value, causally, and gives a
//! score per value; none has an operating point of its own, so they are compared at equal false alerts.
//!
//! - *seasonal z*: distance from the mean of the same time of day over the 14 days before, in standard deviations of
//!   these (at least 1 % of the mean, and one thousandth of the largest value so far), over the 99.9th percentile of all
//!   such distances so far; from 100 distances on, which begin on the fourth day.
//! - *|dx|/q99.9*: step from the last value over the 99.9th percentile of all steps so far; from 100 steps on.
//! - *forest*: krcf, shingle 8, 30 trees, on the raw values, its score over the 99.9th percentile of its scores so far; from
//!   300 values on.
//!
//! *Own error* is no peer but a look inside: the distance of a value from what our detector expected, over the 99.9th percentile of
//! all such distances so far. Where it does better than our score, what turns errors into a score loses something.

use std::collections::VecDeque;

use krcf::{RandomCutForest, RandomCutForestOptions};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    SeasonalZ,
    Step,
    Forest,
}

impl Peer {
    pub(crate) const ALL: [Peer; 3] = [Peer::SeasonalZ, Peer::Step, Peer::Forest];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::SeasonalZ => "seasonal z",
            Peer::Step => "|dx|/q99.9",
            Peer::Forest => "forest (krcf)",
        }
    }

    pub(crate) fn has_seed(self) -> bool {
        self == Peer::Forest
    }

    /// Scores of a series, one per value; where there is none, the score is 0.
    pub(crate) fn scores(self, values: &[Option<f64>], first_slot: usize, per_day: usize, seed: u64) -> Vec<f32> {
        match self {
            Peer::SeasonalZ => seasonal(values, first_slot, per_day),
            Peer::Step => step(values),
            Peer::Forest => forest(values, seed),
        }
    }
}

/// What own error is called in the tables.
pub(crate) const OWN_ERROR: &str = "own error/q99.9";
/// Values before a percentile of them is taken for one.
pub(crate) const QUIET: usize = 100;
const DAYS: usize = 14;

fn seasonal(values: &[Option<f64>], first_slot: usize, per_day: usize) -> Vec<f32> {
    let mut slots: Vec<VecDeque<f64>> = vec![VecDeque::with_capacity(DAYS); per_day];
    let (mut largest, mut top) = (0.0_f64, Top::default());
    let each = values.iter().enumerate().map(|(at, value)| {
        let Some(value) = value else { return 0.0 };
        let past = &mut slots[(first_slot + at) % per_day];
        largest = largest.max(value.abs());
        let count = past.len() as f64;
        let mean = past.iter().sum::<f64>() / count;
        let variance = past.iter().map(|other| (other - mean) * (other - mean)).sum::<f64>() / (count - 1.0);
        let past_is_enough = past.len() >= 3;
        let score = (value - mean).abs() / variance.sqrt().max(0.01 * mean.abs()).max(0.001 * largest).max(1e-300);
        if past.len() == DAYS {
            past.pop_front();
        }
        past.push_back(*value);
        if past_is_enough { top.rank(score, QUIET) as f32 } else { 0.0 }
    });
    each.collect()
}

fn step(values: &[Option<f64>]) -> Vec<f32> {
    let mut top = Top::default();
    let mut last = None;
    let each = values.iter().map(|value| {
        let Some(value) = value else { return 0.0 };
        let size = last.map_or(0.0, |last: f64| (value - last).abs());
        last = Some(*value);
        top.rank(size, QUIET) as f32
    });
    each.collect()
}

fn forest(values: &[Option<f64>], seed: u64) -> Vec<f32> {
    let mut forest = new_forest(seed);
    let mut top = Top::default();
    let each = values.iter().map(|value| {
        let Some(value) = value else { return 0.0 };
        let point = [*value as f32];
        let score = forest.score(&point).unwrap();
        forest.update(&point).unwrap();
        top.rank(score, 300) as f32
    });
    each.collect()
}

/// The forest of workload b of `benches/rcf.rs`.
pub(crate) fn new_forest(seed: u64) -> RandomCutForest {
    RandomCutForest::new(RandomCutForestOptions {
        dimensions: 1,
        shingle_size: 8,
        num_trees: Some(30),
        sample_size: Some(256),
        lambda: Some(1.0 / 2560.0),
        random_seed: Some(seed),
        internal_shingling: Some(true),
        parallel_execution_enabled: Some(false),
        bounding_box_cache_fraction: Some(1.0),
        ..RandomCutForestOptions::default()
    })
    .unwrap()
}

/// The largest values so far, for the 99.9th percentile of up to 64,000.
#[derive(Clone, Default)]
pub(crate) struct Top {
    count: usize,
    /// Descending.
    largest: Vec<f64>,
}

impl Top {
    /// A value over the percentile of those before it, then it is one of them; 0 for the first `quiet`.
    pub(crate) fn rank(&mut self, value: f64, quiet: usize) -> f64 {
        let percentile = self.largest.get(self.count / 1000).copied().unwrap_or(0.0);
        let rank = if self.count < quiet { 0.0 } else { value / percentile.max(1e-12) };
        self.count += 1;
        let at = self.largest.partition_point(|other| *other >= value);
        self.largest.insert(at, value);
        self.largest.truncate(65);
        rank.min(1e30)
    }
}
