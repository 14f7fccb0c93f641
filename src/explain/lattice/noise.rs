//! How sure the forecast of each leaf is, and what its deviation tells: a weight `w` and a score `w·x` per cell.
//!
//! The variance of a leaf is `φ·m + τ²·M²`, with `m` the mean and `M` the larger of what came and what was expected: noise of
//! counts, which fades with size, and noise of the forecast, which does not. Where the caller knows the variances they are
//! taken; else both are fitted to the leaves themselves, robustly, since at most a part of them is anomalous. Nothing that
//! is counted is quieter than Poisson.
//!
//! Of a ratio the deviation is that of the numerator from what the denominator that came would give at the expected rate,
//! or, where most succeed, of the failures. A leaf whose own rate is below that of all is not surer for that: a few failures
//! more among many requests say the same wherever they come from.

use super::leaves::{Amount, Kind};
use super::rows::{self, Rows};

/// Bins of equal count in which the noise of counts is measured.
const BINS: usize = 40;
/// Leaves that are looked at to fit: more tell nothing new.
const FIT_MAX: usize = 8_192;
/// The largest of them, which tell of the forecast,
const TOP: f64 = 0.1;
/// at least so many.
const TOP_MIN: usize = 100;
/// A median of absolute deviations times this is a standard deviation.
const MAD: f64 = 1.4826;
/// No forecast is surer than 1 %.
const TAU2_MIN: f64 = 1e-4;
/// None is worse than by a factor of some.
const TAU2_MAX: f64 = 4.0;
/// Halvings of that range, on a scale of logarithms.
const HALVINGS: usize = 16;
/// Trials of the overall rate that a leaf's expected rate is taken to have behind it.
const PRIOR: f64 = 0.5;
/// The same for the variance of its rate, where being too sure costs more.
const PRIOR_NOISE: f64 = 5.0;
/// Variance of what is added to whole numbers to make them even.
const EVEN: f64 = 1.0 / 12.0;

/// What the leaves tell.
pub(super) struct Evidence {
    /// Per cell: weight and score.
    pub(super) sums: Vec<[f64; 2]>,
    /// The variance of a rare count grows by so much of its relative shift.
    pub(super) growth: f64,
    /// -1 where the shift is one of failures and the number is one of successes.
    pub(super) side: f64,
}

pub(super) fn evidence(rows: &Rows<'_>) -> Evidence {
    match rows.kind() {
        Kind::Additive | Kind::Level => additive(rows),
        Kind::Ratio | Kind::Average => quotient(rows),
    }
}

fn additive(rows: &Rows<'_>) -> Evidence {
    let is_count = |amount: &Amount| amount.value >= 0.0 && amount.value.fract() == 0.0;
    let is_counted = rows.kind() == Kind::Additive && rows.amounts.iter().all(is_count);
    let leaf = |at: usize| Leaf::new(rows.amounts[at].value, rows.amounts[at].expected);
    let noise = (!rows.has_variances).then(|| Noise::fit(samples(rows, leaf), is_counted));
    let of = |at: usize| {
        let leaf = leaf(at);
        if leaf.size <= 0.0 {
            return [0.0; 2];
        }
        let counted = if is_counted { leaf.size } else { 0.0 };
        let known = rows.variances[at].max(TAU2_MIN * leaf.large * leaf.large).max(counted);
        let variance = noise.as_ref().map_or(known, |noise| noise.variance(leaf.size, leaf.large));
        [leaf.size * leaf.size / variance, leaf.size * leaf.deviation / variance]
    };
    Evidence { sums: (0..rows.amounts.len()).map(of).collect(), growth: 0.0, side: 1.0 }
}

fn quotient(rows: &Rows<'_>) -> Evidence {
    let is_ratio = rows.kind() == Kind::Ratio;
    let expected = |amounts: &[Amount]| amounts.iter().map(|amount| amount.expected).sum::<f64>();
    let overall = expected(&rows.amounts) / expected(&rows.over).max(f64::MIN_POSITIVE);
    let is_high = is_ratio && overall > 0.5;
    let rate = |at: usize, prior: f64| (rows.amounts[at].expected + prior * overall) / (rows.over[at].expected + prior);
    let rare = |rate: f64| if is_high { 1.0 - rate } else { rate }.abs();
    let floor = rare(overall).max(f64::MIN_POSITIVE);
    let leaf = |at: usize| {
        let size = rows.over[at].value.max(0.0) * rare(rate(at, PRIOR_NOISE));
        let deviation = rows.amounts[at].value - rate(at, PRIOR) * rows.over[at].value;
        Leaf { size, large: size, deviation, is_silent: false }
    };
    let noise = Noise::fit(samples(rows, leaf), is_ratio);
    let side = if is_high { -1.0 } else { 1.0 };
    let of = |at: usize| {
        let size = leaf(at).size.max(rows.over[at].value * floor);
        if size <= 0.0 {
            return [0.0; 2];
        }
        let variance = noise.variance(size, size);
        [size * size / variance, side * size * leaf(at).deviation / variance]
    };
    let growth = if is_ratio { 0.5 } else { 0.0 };
    Evidence { sums: (0..rows.amounts.len()).map(of).collect(), growth, side }
}

/// A leaf, as the fit sees it.
#[derive(Clone, Copy)]
struct Leaf {
    size: f64,
    large: f64,
    deviation: f64,
    is_silent: bool,
}

impl Leaf {
    fn new(value: f64, expected: f64) -> Leaf {
        let (v, f) = (value.abs(), expected.abs());
        Leaf { size: f64::midpoint(v, f), large: v.max(f), deviation: value - expected, is_silent: value == 0.0 }
    }
}

/// Some of the leaves that have a size, the smallest first, with a number from -0.5 to 0.5 that follows from the codes:
/// evenly spread over them, whatever pattern they lie in.
fn samples(rows: &Rows<'_>, leaf: impl Fn(usize) -> Leaf) -> Vec<(Leaf, f64)> {
    let every = rows.leaf.len().div_ceil(FIT_MAX).max(1) as u64;
    let all: Vec<usize> = (0..rows.dimensions()).collect();
    let drawn = rows.live().filter_map(|(at, codes)| {
        let hash = rows::hash(codes, &all);
        let (draw, even) = (hash >> 32, (hash & 0xffff_ffff) as f64 / 4_294_967_296.0 - 0.5);
        (draw.is_multiple_of(every)).then(|| (leaf(at), even))
    });
    let mut drawn: Vec<(Leaf, f64)> = drawn.filter(|(leaf, _)| leaf.size > 0.0).collect();
    drawn.sort_unstable_by(|a, b| a.0.size.total_cmp(&b.0.size).then(a.1.total_cmp(&b.1)));
    drawn
}

/// `φ·m + τ²·M²`.
struct Noise {
    phi: f64,
    tau2: f64,
}

impl Noise {
    fn variance(&self, size: f64, large: f64) -> f64 {
        (self.phi * size + self.tau2 * large * large).max(f64::MIN_POSITIVE)
    }

    /// `τ²` so that the large leaves deviate as often as they should, `φ` likewise for the small ones, given each other.
    fn fit(leaves: Vec<(Leaf, f64)>, is_counted: bool) -> Noise {
        let least = if is_counted { 1.0 } else { 0.0 };
        let mut noise = Noise { phi: least, tau2: TAU2_MIN };
        if leaves.is_empty() {
            return noise;
        }
        let top = ((leaves.len() as f64 * TOP) as usize).max(TOP_MIN).min(leaves.len());
        let (small, large) = (&leaves[..leaves.len().div_ceil(2)], &leaves[leaves.len() - top..]);
        let mut room = Vec::new();
        for _ in 0..2 {
            noise.tau2 = relative(large, noise.phi, is_counted, &mut room);
            noise.phi = counted(small, noise.tau2, &mut room).max(least);
        }
        noise
    }
}

/// `τ²` at which the median leaf deviates as the median of a normal distribution does.
fn relative(leaves: &[(Leaf, f64)], phi: f64, is_counted: bool, room: &mut Vec<f64>) -> f64 {
    let (reach, even) = if is_counted { (1.0, EVEN) } else { (0.0, 0.0) };
    let mut is_too_small = |tau2: f64| {
        room.clear();
        room.extend(leaves.iter().map(|(leaf, place)| {
            let deviation = leaf.deviation + reach * place;
            deviation * deviation / (phi * leaf.size + even + tau2 * leaf.large * leaf.large)
        }));
        median(room) * MAD * MAD > 1.0
    };
    let (mut low, mut high) = (TAU2_MIN, TAU2_MAX);
    if !is_too_small(low) {
        return low;
    }
    for _ in 0..HALVINGS {
        let middle = (low * high).sqrt();
        if is_too_small(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// `φ` of the median bin. Where most leaves of a bin have sent nothing its median says nothing, and its mean is taken.
fn counted(leaves: &[(Leaf, f64)], tau2: f64, room: &mut Vec<f64>) -> f64 {
    let bins = BINS.min(leaves.len().div_ceil(8)).max(1);
    let of = |bin: usize| {
        let leaves = &leaves[bin * leaves.len() / bins..(bin + 1) * leaves.len() / bins];
        let count = leaves.len() as f64;
        let size = leaves.iter().map(|(leaf, _)| leaf.size).sum::<f64>() / count;
        let silent = leaves.iter().filter(|(leaf, _)| leaf.is_silent).count();
        let variance = if 2 * silent > leaves.len() {
            leaves.iter().map(|(leaf, _)| leaf.deviation * leaf.deviation).sum::<f64>() / (count * size * size)
        } else {
            room.clear();
            room.extend(leaves.iter().map(|(leaf, _)| (leaf.deviation / leaf.large) * (leaf.deviation / leaf.large)));
            MAD * MAD * median(room)
        };
        (variance - tau2).max(0.0) * size
    };
    median(&mut (0..bins).map(of).collect::<Vec<f64>>())
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
