//! How sure the forecast of each leaf is, and what its deviation tells: a weight `w` and a score `w·x` per cell.
//!
//! The variance of a leaf of mean size `m = (|v|+|f|)/2` is `φ·m + τ²·m²`: noise of counts, which fades with size, and noise
//! of the forecast, which does not. Where the caller knows the variances they are taken; else both are fitted to the leaves
//! themselves, robustly, since at most a few of them are anomalous. Nothing that is counted is quieter than Poisson.
//!
//! Of a ratio the deviation is that of the numerator from what the denominator that came would give, and the shift is one of
//! the rate, in percentage points: a broken server fails a part of all requests, however well they went before.

use super::leaves::{Amount, Kind};
use super::rows::Rows;

/// Bins of equal count in which a variance is measured.
const BINS: usize = 40;
/// Leaves that are looked at to fit: more tell nothing new.
const FIT_MAX: usize = 16_384;
/// A median of absolute deviations times this is a standard deviation.
const MAD: f64 = 1.4826;
/// No forecast is surer than 1 %.
const TAU2_MIN: f64 = 1e-4;
/// Trials of the overall rate that each leaf's rate is taken to have behind it.
const PRIOR: f64 = 20.0;

/// What the leaves tell.
pub(super) struct Evidence {
    /// Per cell: weight and score.
    pub(super) sums: Vec<[f64; 2]>,
    /// A shift of 1 is so much: 1 where shifts are relative, else the expected rate.
    pub(super) scale: f64,
    /// Expected rate of each cell, where there are denominators.
    pub(super) rates: Vec<f64>,
}

pub(super) fn evidence(rows: &Rows<'_>, kind: Kind) -> Evidence {
    match kind {
        Kind::Additive | Kind::Level => additive(rows),
        Kind::Ratio | Kind::Average => ratio(rows, kind),
    }
}

fn size(amount: &Amount) -> f64 {
    f64::midpoint(amount.value.abs(), amount.expected.abs())
}

fn additive(rows: &Rows<'_>) -> Evidence {
    let noise = if rows.has_variances { None } else { Some(fit(&samples(rows, |amount, _| (size(amount), amount.deviation())), floor(rows))) };
    let one = |(amount, variance): (&Amount, &f64)| {
        let m = size(amount);
        if m <= 0.0 {
            return [0.0, 0.0];
        }
        let variance = noise.as_ref().map_or(*variance, |noise| noise.variance(m)).max(TAU2_MIN * m * m);
        [m * m / variance, m * amount.deviation() / variance]
    };
    let sums = rows.amounts.iter().zip(&rows.variances).map(one).collect();
    Evidence { sums, scale: 1.0, rates: Vec::new() }
}

fn ratio(rows: &Rows<'_>, kind: Kind) -> Evidence {
    let (mut part, mut whole) = (0.0, 0.0);
    for (amount, over) in rows.amounts.iter().zip(&rows.over) {
        part += amount.expected;
        whole += over.expected;
    }
    let overall = if whole > 0.0 { part / whole } else { 0.0 };
    let rates: Vec<f64> = rows.amounts.iter().zip(&rows.over).map(|(a, b)| {
        (a.expected + PRIOR * overall) / (b.expected + PRIOR)
    }).collect();
    let rate = if kind == Kind::Ratio { overall.min(1.0 - overall).max(1e-6) } else { overall.abs().max(1e-300) };
    let sums = rows.amounts.iter().zip(&rows.over).zip(&rates).map(|((a, b), q)| {
        if b.value <= 0.0 { return [0.0, 0.0]; }
        [b.value / rate, (a.value - q * b.value) / rate]
    }).collect();
    Evidence { sums, scale: rate, rates }
}

/// The smallest `φ`.
fn floor(rows: &Rows<'_>) -> f64 {
    let is_whole = rows.kind() == Kind::Additive && rows.amounts.iter().all(|amount| amount.value >= 0.0 && amount.value.fract() == 0.0);
    if is_whole { 1.0 } else { 0.0 }
}

/// Size and deviation of some of the live leaves, evenly spread over them.
fn samples(rows: &Rows<'_>, of: impl Fn(&Amount, usize) -> (f64, f64)) -> Vec<(f64, f64)> {
    let all = rows.amounts.iter().enumerate();
    let all = all.map(|(at, amount)| of(amount, at)).filter(|(size, _)| *size > 0.0);
    let every = rows.amounts.len().div_ceil(FIT_MAX);
    if every == 1 {
        return all.collect();
    }
    // cells of the same place in a repeating pattern must not be what is looked at
    let is_drawn = |at: usize| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % (every as u64) == 0;
    rows.amounts.iter().enumerate().filter(|(at, _)| is_drawn(*at)).map(|(at, amount)| of(amount, at)).filter(|(size, _)| *size > 0.0).collect()
}

/// `φ·m + τ²·m²`.
struct Noise {
    phi: f64,
    tau2: f64,
}

impl Noise {
    fn variance(&self, m: f64) -> f64 {
        self.phi * m + self.tau2 * m * m
    }
}

/// Fits the variance to sizes and deviations: `τ²` is the smallest of the bins in the upper half, `φ` the median of what is
/// more than that in the lower half.
fn fit(samples: &[(f64, f64)], phi_min: f64) -> Noise {
    if samples.is_empty() {
        return Noise { phi: phi_min, tau2: TAU2_MIN };
    }
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let bins = BINS.min(sorted.len().div_ceil(8)).max(1);
    let mut variances: Vec<(f64, f64)> = Vec::with_capacity(bins);
    for bin in 0..bins {
        let (from, to) = (bin * sorted.len() / bins, (bin + 1) * sorted.len() / bins);
        let mut relative: Vec<f64> = sorted[from..to].iter().map(|(m, deviation)| (deviation / m).abs()).collect();
        let deviation = MAD * median(&mut relative);
        variances.push((sorted[usize::midpoint(from, to).min(to - 1)].0, deviation * deviation));
    }
    let half = bins / 2;
    let tau2 = variances[half..].iter().map(|(_, variance)| *variance).fold(f64::INFINITY, f64::min).max(TAU2_MIN);
    let mut phis: Vec<f64> = variances[..half.max(1)].iter().map(|(m, variance)| (variance - tau2).max(0.0) * m).collect();
    Noise { phi: median(&mut phis).max(phi_min), tau2 }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
