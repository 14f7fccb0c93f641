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

fn additive(rows: &Rows<'_>) -> Evidence {
    let fitted = || fit(&samples(rows, |amount, _| Sample::new(amount.value, amount.expected)), floor(rows));
    let noise = if rows.has_variances { None } else { Some(fitted()) };
    let one = |(amount, variance): (&Amount, &f64)| {
        let Sample { size: m, large, deviation, .. } = Sample::new(amount.value, amount.expected);
        if m <= 0.0 {
            return [0.0, 0.0];
        }
        let variance = noise.as_ref().map_or(*variance, |noise| noise.variance(m, large)).max(TAU2_MIN * m * m);
        [m * m / variance, m * deviation / variance]
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
    let prior = knob("PRIOR", 20.0);
    let rates: Vec<f64> = rows.amounts.iter().zip(&rows.over).map(|(a, b)| {
        (a.expected + prior * overall) / (b.expected + prior)
    }).collect();
    let rate = if kind == Kind::Ratio { overall.min(1.0 - overall).max(1e-6) } else { overall.abs().max(1e-300) };
    let known = knob("KNOWN", 0.0);
    let gamma = knob("GAMMA", 0.0);
    let vp = knob("VP", 20.0);
    let is_high = kind == Kind::Ratio && overall > 0.5;
    let own = |at: usize| { let (a, b) = (&rows.amounts[at], &rows.over[at]); let q = (a.expected + vp * overall) / (b.expected + vp); (if is_high { 1.0 - q } else { q }).max(rate * knob("OWN", 1.0)).max(1e-9) };
    let noise = fit(&samples(rows, |a, at| { let b = rows.over[at].value; Sample { size: b * own(at), large: b * own(at), deviation: a.value - rates[at] * b, is_silent: false } }), knob("PHI", 1.0));
    let t2 = knob("TAU2", -1.0);
    let noise = if t2 >= 0.0 { Noise { phi: noise.phi, tau2: t2 } } else { noise };
    let sums = rows.amounts.iter().zip(&rows.over).zip(&rates).enumerate().map(|(at, ((a, b), q))| {
        if b.value <= 0.0 { return [0.0, 0.0]; }
        let own = own(at);
        let m = b.value * own;
        let variance = noise.variance(m, m) + known * m * b.value / (b.expected + prior);
        let m = b.value * (gamma * own.ln() + (1.0 - gamma) * rate.ln()).exp();
        let side = if is_high { -1.0 } else { 1.0 };
        [m * m / variance, m * side * (a.value - q * b.value) / variance]
    }).collect();
    Evidence { sums, scale: 1.0, rates }
}

pub fn knob(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|t| t.parse().ok()).unwrap_or(default)
}

/// The smallest `φ`.
fn floor(rows: &Rows<'_>) -> f64 {
    let is_whole = rows.kind() == Kind::Additive && rows.amounts.iter().all(|amount| amount.value >= 0.0 && amount.value.fract() == 0.0);
    if is_whole { 1.0 } else { 0.0 }
}

/// Some of the live leaves, evenly spread over them: cells at the same place of a repeating pattern must not be what is
/// looked at.
fn samples(rows: &Rows<'_>, of: impl Fn(&Amount, usize) -> Sample) -> Vec<Sample> {
    let every = rows.amounts.len().div_ceil(FIT_MAX) as u64;
    let is_drawn = |at: usize| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33).is_multiple_of(every);
    let drawn = rows.amounts.iter().enumerate().filter(|(at, _)| is_drawn(*at));
    drawn.map(|(at, amount)| of(amount, at)).filter(|leaf| leaf.size > 0.0).collect()
}

/// A leaf, as the fit sees it.
#[derive(Clone, Copy)]
struct Sample {
    /// `(|v|+|f|)/2`
    size: f64,
    /// The larger of `|v|` and `|f|`.
    large: f64,
    deviation: f64,
    is_silent: bool,
}

impl Sample {
    fn new(value: f64, expected: f64) -> Sample {
        let (v, f) = (value.abs(), expected.abs());
        let size = f64::midpoint(v, f);
        Sample { size, large: if knob("MAXM", 1.0) > 0.0 { v.max(f) } else { size }, deviation: value - expected, is_silent: value == 0.0 }
    }
}

/// `φ·m + τ²·m²`.
struct Noise {
    phi: f64,
    tau2: f64,
}

impl Noise {
    fn variance(&self, m: f64, large: f64) -> f64 {
        self.phi * m + self.tau2 * large * large
    }
}

/// Fits the variance to leaves: `τ²` so that the largest ones deviate as often as they should, `φ` likewise for the rest.
fn fit(samples: &[Sample], phi_min: f64) -> Noise {
    let mut noise = Noise { phi: phi_min, tau2: TAU2_MIN };
    if samples.is_empty() {
        return noise;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(|a, b| a.size.total_cmp(&b.size));
    let top = ((sorted.len() as f64 * knob("TOP", 0.1)) as usize).max(100).min(sorted.len());
    let (low, high) = (&sorted[..sorted.len().div_ceil(2)], &sorted[sorted.len() - top..]);
    let mut room: Vec<f64> = Vec::new();
    for _ in 0..2 {
        noise.tau2 = relative(high, noise.phi, if phi_min > 0.0 { 1.0 / 12.0 } else { 0.0 }, &mut room);
        noise.phi = counted(low, noise.tau2, &mut room).max(phi_min);
    }
    if std::env::var("SHOW").is_ok() { eprintln!("tau {:.4} phi {:.4}", noise.tau2.sqrt(), noise.phi); }
    noise
}

/// `τ²` at which the median leaf deviates as the median of a normal distribution does.
fn relative(leaves: &[Sample], phi: f64, even: f64, room: &mut Vec<f64>) -> f64 {
    let dither = even.sqrt() * 12f64.sqrt() * knob("DITHER", 1.0);
    let even = even * knob("DITHER", 1.0);
    let mut excess = |tau2: f64| {
        room.clear();
        room.extend(leaves.iter().enumerate().map(|(at, leaf)| {
            let u = ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            let deviation = leaf.deviation + dither * u;
            deviation * deviation / (phi * leaf.size + even + tau2 * leaf.large * leaf.large)
        }));
        median(room) * MAD * MAD > 1.0
    };
    let (mut low, mut high) = (TAU2_MIN, 4.0);
    if !excess(low) {
        return low;
    }
    for _ in 0..16 {
        let middle = (low * high).sqrt();
        if excess(middle) { low = middle } else { high = middle }
    }
    high
}

/// `φ` of the small leaves, bin by bin: the median bin. Where most leaves have sent nothing their median says nothing, and
/// the mean is taken.
fn counted(leaves: &[Sample], tau2: f64, room: &mut Vec<f64>) -> f64 {
    let bins = BINS.min(leaves.len().div_ceil(8)).max(1);
    let mut phis: Vec<f64> = Vec::with_capacity(bins);
    for bin in 0..bins {
        let leaves = &leaves[bin * leaves.len() / bins..(bin + 1) * leaves.len() / bins];
        let size = leaves.iter().map(|leaf| leaf.size).sum::<f64>() / leaves.len() as f64;
        let silent = leaves.iter().filter(|leaf| leaf.is_silent).count();
        room.clear();
        room.extend(leaves.iter().map(|leaf| (leaf.deviation / leaf.large) * (leaf.deviation / leaf.large)));
        let variance = if 2 * silent > leaves.len() {
            leaves.iter().map(|leaf| leaf.deviation * leaf.deviation).sum::<f64>() / (leaves.len() as f64 * size * size)
        } else {
            MAD * MAD * median(room)
        };
        phis.push((variance - tau2).max(0.0) * size);
    }
    median(&mut phis)
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
