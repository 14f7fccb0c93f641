//! Scores of a point: three expectations over where a random cut would part it from a tree, from one way up the tree.
//!
//! At an ancestor of mass `m` and depth `k` a random cut of the box together with the point parts the two with
//! probability `P = gap / (gap + sides)`. From the leaf upwards `S = P * unseen(k, m) + (1 - P) * S`; at the leaf
//! `P = 1`, or, if the leaf equals the point, `S = seen * (1 - m / 2M)` with the tree's mass `M`.
//!
//! | score | unseen | seen | per tree multiplied by |
//! |---|---|---|---|
//! | expected depth | `1 / (1 + k)` | `1 / (k + log2(1 + m))` | `log2(1 + M)` |
//! | log mass | `log2(1 + m)` | `log2(1 + 1 / (1 + m))` | `1 / log2(1 + M)` |
//! | displacement | `m` | `1 / (1 + m)` | `1 / (1 + M)` |
//!
//! The first is the score of the AWS library (about 1 for a typical point), the last the displacement of the paper.

use wide::f32x4;

use super::lanes::{self, Apart, Query};
use super::points::Points;
use super::tree::{Place, Trees, Visit};

/// How rare a point is. All finite and not negative; 0 until the forest is ready.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// Expected inverse depth, normalised: about 1 for a typical point, more for rarer ones.
    pub expected_depth: f64,
    /// Expected logarithm of the mass that the point is parted from, 0 to 1. Ranks narrow spikes better.
    pub log_mass: f64,
    /// Expected share of the sample that the point is parted from, 0 to 1.
    pub displacement: f64,
}

/// The mean score over all trees.
pub(super) fn scores(trees: &Trees, points: &Points, q: &Query) -> Scores {
    let mut climb = Climb::new(q);
    trees.visit(q, points, &mut climb);
    climb.mean()
}

/// The mean score over as many trees as it takes to tell that none of the scores can reach `least`: over all of them, if
/// it can.
pub(super) fn scores_from(least: &Scores, trees: &Trees, points: &Points, q: &Query) -> Scores {
    let mut climb = Climb::new(q);
    let first = FIRST_ASKED.min(trees.in_use());
    trees.visit_some(0..first, q, points, &mut climb);
    if !climb.is_below(least) {
        trees.visit_some(first..trees.in_use(), q, points, &mut climb);
    }
    climb.mean()
}

/// Trees whose answers may be enough.
const FIRST_ASKED: usize = 8;
/// By so many standard errors their mean must stay below what matters.
const STANDARD_ERRORS: f64 = 3.0;

struct Climb<'a> {
    q: &'a Query,
    /// Expected depth, log mass and displacement of the present tree, not normalised; a fourth for the vector's sake.
    now: f32x4,
    sum: [f64; 4],
    /// Of the normalised scores.
    squares: f32x4,
    trees: u32,
}

impl Climb<'_> {
    fn new(q: &Query) -> Climb<'_> {
        Climb { q, now: f32x4::ZERO, sum: [0.0; 4], squares: f32x4::ZERO, trees: 0 }
    }

    fn mean(&self) -> Scores {
        let [expected_depth, log_mass, displacement, _] = self.sum.map(|sum| sum / f64::from(self.trees.max(1)));
        Scores { expected_depth, log_mass, displacement }
    }

    /// Whether the trees that were asked agree that no score is as large as in `least`.
    fn is_below(&self, least: &Scores) -> bool {
        let count = f64::from(self.trees);
        let least = [least.expected_depth, least.log_mass, least.displacement];
        self.sum.iter().zip(self.squares.to_array()).zip(least).all(|((sum, squares), least)| {
            let (mean, room) = (sum / count, least - sum / count);
            let variance = (f64::from(squares) / count - mean * mean).max(0.0);
            room > 0.0 && variance * STANDARD_ERRORS * STANDARD_ERRORS < room * room * (count - 1.0)
        })
    }
}

impl Visit for Climb<'_> {
    #[inline(always)]
    fn leaf<const L: usize>(&mut self, point: &[u16], place: Place) -> bool {
        let equal = self.q.beyond == 0.0 && lanes::equal::<L>(point, self.q.lanes());
        self.now = if equal {
            let damp = damp(place);
            let log = log2_of_1_plus(place.mass + 1) - log2_of_1_plus(place.mass);
            f32x4::new([damp * seen(place), damp * log, damp / (1 + place.mass) as f32, 0.0])
        } else {
            unseen_all(place)
        };
        !equal
    }

    #[inline(always)]
    fn node<const L: usize>(&mut self, b: &[u16], place: Place) -> bool {
        // as signed numbers, which convert faster
        let Apart { gap, sides } = lanes::apart::<L>(b, self.q.read::<L>());
        let gap = gap as i32 as f32 + self.q.beyond;
        if gap == 0.0 {
            return false;
        }
        let p = gap / (gap + sides as i32 as f32);
        self.now += (unseen_all(place) - self.now) * p;
        true
    }

    #[inline(always)]
    fn end(&mut self, total: u32) {
        let normed = self.now * f32x4::new(NORMS[(total as usize).min(NORMS.len() - 1)]);
        self.squares += normed * normed;
        for (sum, normed) in self.sum.iter_mut().zip(normed.to_array()) {
            *sum += f64::from(normed);
        }
        self.trees += 1;
    }
}

/// What each score gives for a point parted at a place.
#[inline(always)]
fn unseen_all(place: Place) -> f32x4 {
    let by_mass = BY_MASS[(place.mass as usize).min(BY_MASS.len() - 1)];
    let by_depth = BY_DEPTH[place.depth.min(BY_DEPTH.len() - 1)];
    f32x4::new(by_mass) + f32x4::new(by_depth)
}

/// Points per unit of length (L1 over all lanes) around the query: `S = P * m / (1 + gap + sides) + (1 - P) * S` in
/// steps of the grid, mean over trees; the caller divides by the step.
pub(super) fn density(trees: &Trees, points: &Points, q: &Query) -> f64 {
    let mut dense = Dense { q, value: 0.0, sum: 0.0, trees: 0 };
    trees.visit(q, points, &mut dense);
    dense.sum / f64::from(dense.trees.max(1))
}

struct Dense<'a> {
    q: &'a Query,
    value: f64,
    sum: f64,
    trees: u32,
}

impl Dense<'_> {
    /// Probability of parting here, and the points per step if parted.
    fn of(&self, place: Place, apart: Apart) -> (f64, f64) {
        let (gap, sides) = (f64::from(apart.gap) + f64::from(self.q.beyond), f64::from(apart.sides));
        let parted = if gap > 0.0 { gap / (gap + sides) } else { 0.0 };
        (parted, f64::from(place.mass) / (1.0 + gap + sides))
    }
}

impl Visit for Dense<'_> {
    fn leaf<const L: usize>(&mut self, point: &[u16], place: Place) -> bool {
        let (parted, value) = self.of(place, Apart { gap: lanes::distance(point, self.q.lanes()), sides: 0 });
        self.value = value;
        parted > 0.0
    }

    fn node<const L: usize>(&mut self, b: &[u16], place: Place) -> bool {
        let (parted, value) = self.of(place, lanes::apart::<L>(b, self.q.read::<L>()));
        self.value = parted * value + (1.0 - parted) * self.value;
        parted > 0.0
    }

    fn end(&mut self, _: u32) {
        self.sum += self.value;
        self.trees += 1;
    }
}

/// `1 / (1 + depth)`.
#[inline]
pub(super) fn unseen(depth: usize) -> f32 {
    BY_DEPTH[depth.min(BY_DEPTH.len() - 1)][0]
}

/// `1 / (depth + log2(1 + mass))`.
#[inline]
pub(super) fn seen(place: Place) -> f32 {
    1.0 / (place.depth as f32 + log2_of_1_plus(place.mass))
}

/// `1 - mass / (2 * total)`: a point that is half of the sample is seen for sure.
#[inline]
pub(super) fn damp(place: Place) -> f32 {
    1.0 - place.mass as f32 / (2 * place.total) as f32
}

/// `log2(1 + mass)`, mass up to 257.
#[inline]
pub(super) fn log2_of_1_plus(mass: u32) -> f32 {
    LOG2[(mass as usize).min(LOG2.len() - 1)]
}

const LOG2: [f32; 258] = {
    let mut table = [0.0; 258];
    let mut mass = 0;
    while mass < table.len() {
        table[mass] = log2(1.0 + mass as f64) as f32;
        mass += 1;
    }
    table
};

/// The expected depth's `1 / (1 + depth)`, with room for what [`BY_MASS`] gives.
static BY_DEPTH: [[f32; 4]; 256] = {
    let mut table = [[0.0; 4]; 256];
    let mut depth = 0;
    while depth < table.len() {
        table[depth][0] = 1.0 / (1 + depth) as f32;
        depth += 1;
    }
    table
};

/// What a point parted from a mass scores: room for the expected depth, log mass, displacement.
static BY_MASS: [[f32; 4]; 257] = {
    let mut table = [[0.0; 4]; 257];
    let mut mass = 0;
    while mass < table.len() {
        table[mass] = [0.0, LOG2[mass], mass as f32, 0.0];
        mass += 1;
    }
    table
};

/// What the scores of a tree are multiplied by.
static NORMS: [[f32; 4]; 257] = {
    let mut table = [[0.0; 4]; 257];
    let mut total = 1;
    while total < table.len() {
        table[total] = [LOG2[total], 1.0 / LOG2[total], 1.0 / (1 + total) as f32, 0.0];
        total += 1;
    }
    table
};

/// Base-2 logarithm of `x >= 1`, by halving into [1, 2) and the series of atanh; computed by the compiler.
const fn log2(mut x: f64) -> f64 {
    let mut whole = 0.0;
    while x >= 2.0 {
        x /= 2.0;
        whole += 1.0;
    }
    let y = (x - 1.0) / (x + 1.0);
    let (mut power, mut sum, mut odd) = (y, 0.0, 1.0);
    while odd < 60.0 {
        sum += power / odd;
        power *= y * y;
        odd += 2.0;
    }
    whole + 2.0 * sum / std::f64::consts::LN_2
}
