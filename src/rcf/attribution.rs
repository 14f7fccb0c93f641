//! Which lanes make a point rare, and in which direction: the expected-depth score split over lanes and sides.
//!
//! At each ancestor the probability of parting belongs to the lanes in proportion to their gaps:
//! `high_i = h_i / (gap + sides) * unseen(k) + (1 - P) * high_i`, the same for `low_i`, with `h_i` the distance above the
//! box and `l_i` below it. A point equal to a leaf has no direction: its score is spread evenly. The sum over both sides
//! is the score.

use super::lanes::{Query, TOP};
use super::points::Points;
use super::score::{damp, log2_of_1_plus, seen, unseen};
use super::tree::{Place, Trees, Visit};

/// Shares of the expected-depth score per lane of the point (oldest block first); `high` for values above what the
/// trees know, `low` for values below.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attribution {
    /// Share of the score from lying too high, per lane.
    pub high: Vec<f64>,
    /// Share of the score from lying too low, per lane.
    pub low: Vec<f64>,
}

impl Attribution {
    /// The whole: equal to the expected-depth score.
    pub fn sum(&self) -> f64 {
        self.high.iter().chain(&self.low).sum()
    }

    pub(super) fn zero(lanes: usize) -> Attribution {
        Attribution { high: vec![0.0; lanes], low: vec![0.0; lanes] }
    }
}

/// The mean attribution over all trees. `beyond` is the signed distance outside the grid per lane.
pub(super) fn attribution(trees: &Trees, points: &Points, q: &Query, beyond: &[f64]) -> Attribution {
    let lanes = q.lanes().len();
    let zero = Attribution::zero(lanes);
    let (high, low) = (vec![0.0; lanes], vec![0.0; lanes]);
    let mut split = Split { q, beyond, part: zero.clone(), high, low, sum: zero, trees: 0 };
    trees.visit(q, points, &mut split);
    let Split { mut sum, trees, .. } = split;
    let share = 1.0 / f64::from(trees.max(1));
    for value in sum.high.iter_mut().chain(&mut sum.low) {
        *value *= share;
    }
    sum
}

fn add(sum: &mut [f64], part: &[f64], scale: f64) {
    for (s, p) in sum.iter_mut().zip(part) {
        *s += p * scale;
    }
}

struct Split<'a> {
    q: &'a Query,
    beyond: &'a [f64],
    part: Attribution,
    /// Gaps of the present box.
    high: Vec<f64>,
    low: Vec<f64>,
    sum: Attribution,
    trees: u32,
}

impl Split<'_> {
    /// Takes the gaps to a box; answers their sum and the sum of the box's sides.
    fn measure(&mut self, bounds: impl Fn(usize) -> (u16, u16)) -> (f64, f64) {
        let (mut gap, mut sides) = (0.0, 0.0);
        for (lane, p) in self.q.lanes().iter().enumerate() {
            let (min, max) = bounds(lane);
            self.high[lane] = f64::from(p.saturating_sub(max)) + self.beyond[lane].max(0.0);
            self.low[lane] = f64::from(min.saturating_sub(*p)) + (-self.beyond[lane]).max(0.0);
            gap += self.high[lane] + self.low[lane];
            sides += f64::from(max - min);
        }
        (gap, sides)
    }

    /// `part = part * rest + gaps * weight`.
    fn mix(&mut self, rest: f64, weight: f64) {
        for (part, gap) in [(&mut self.part.high, &self.high), (&mut self.part.low, &self.low)] {
            for (p, g) in part.iter_mut().zip(gap) {
                *p = *p * rest + g * weight;
            }
        }
    }
}

impl Visit for Split<'_> {
    fn leaf<const L: usize>(&mut self, point: &[u16], place: Place) -> bool {
        let (gap, _) = self.measure(|lane| (point[lane], point[lane]));
        if gap > 0.0 {
            self.mix(0.0, f64::from(unseen(place.depth)) / gap);
        } else {
            let even = f64::from(damp(place) * seen(place)) / (2 * point.len()) as f64;
            self.part.high.fill(even);
            self.part.low.fill(even);
        }
        gap > 0.0
    }

    fn node<const L: usize>(&mut self, b: &[u16], place: Place) -> bool {
        let lanes = b.len() / 2;
        let (gap, sides) = self.measure(|lane| (b[lane], TOP - b[lanes + lane]));
        if gap > 0.0 {
            self.mix(sides / (gap + sides), f64::from(unseen(place.depth)) / (gap + sides));
        }
        gap > 0.0
    }

    fn end(&mut self, total: u32) {
        let scale = f64::from(log2_of_1_plus(total));
        add(&mut self.sum.high, &self.part.high, scale);
        add(&mut self.sum.low, &self.part.low, scale);
        self.trees += 1;
    }
}
