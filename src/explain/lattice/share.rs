//! From causes to shares that add up (X1), the unexplained rest, effects of rate and mix, and the contribution matrix.

use super::leaves::{Amount, Kind};
use super::noise::Evidence;
use super::rows::Rows;
use super::search::{Found, MOVED_MIN, Search};

/// Of the deviations of the causes and the rest, regardless of sign, that is left where they offset each other.
const OFFSETTING: f64 = 0.05;
/// How sure it must be that everything moved, in standard deviations,
const MOVED_Z: f64 = 6.0;
/// and how much the causes explain at most, for the cause to lie outside the dimensions.
const EXPLAINED_MAX: f64 = 0.65;

/// What shares are shares of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Of the deviation of the total.
    Net,
    /// Of the sum of the deviations regardless of sign: of the causes and the rest, which offset each other, or of leaves
    /// that do not add up.
    Gross,
}

/// What explains a deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The largest gain first. No leaf is in two of them.
    pub causes: Vec<Cause>,
    /// What shares are shares of.
    pub basis: Basis,
    /// 1 less the shares of the causes.
    pub unexplained: f64,
    /// Whether the total moved, and no slice says why: the cause lies outside the dimensions.
    pub external: bool,
    /// All leaves together; the rate or the mean, where they do not add up.
    pub total: Amount,
    /// How the rate or the mean of all leaves changed.
    pub rate: Option<RateChange>,
    /// Per dimension, the share of each value in the deviation of the causes' leaves, regardless of sign; adds up to 1,
    /// largest first. Empty where there is no cause.
    pub matrix: Vec<Vec<(u32, f64)>>,
}

/// One slice that explains a part of the deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Dimension and code, in the order of the dimensions.
    pub slice: Vec<(usize, u32)>,
    /// Of the deviation; 1 is all of it, and below 0 it works against the rest.
    pub share: f64,
    /// Its leaves together; the rate or the mean, where they do not add up.
    pub amount: Amount,
    /// Relative to what was expected; of a ratio, in points of the rate.
    pub shift: f64,
    /// Of log-likelihood.
    pub gain: f64,
    /// How many leaves it explains.
    pub leaves: usize,
    /// Of a ratio or an average.
    pub effects: Option<Effects>,
}

/// The exact split of a change of rate: what the leaves' own rates did, and what moved between leaves of different rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effects {
    /// From the leaves' own rates.
    pub rate: f64,
    /// From their weights.
    pub mix: f64,
}

/// The change of the rate of all leaves, split in two exact ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateChange {
    /// Rate and mix; add up to the change.
    pub effects: Effects,
    /// From the change of the numerator.
    pub numerator: f64,
    /// From the change of the denominator; with that of the numerator, adds up to the change.
    pub denominator: f64,
}

/// What each cell adds to the deviation, and the total.
struct Parts {
    own: Vec<f64>,
    effects: Vec<Effects>,
    total: Amount,
    rate: Option<RateChange>,
}

pub(super) fn explanation(rows: &Rows<'_>, evidence: &Evidence, found: &Search) -> Explanation {
    let parts = if rows.over.is_empty() { additive(rows) } else { ratio(rows) };
    let (basis, shares) = shares(rows, &parts, &found.causes);
    let unexplained = 1.0 - shares.iter().sum::<f64>();
    let causes = found.causes.iter().zip(shares);
    Explanation {
        matrix: matrix(rows, &parts, &found.causes),
        causes: causes.map(|(cause, share)| one(rows, &parts, cause, share, evidence.side)).collect(),
        basis,
        unexplained,
        external: rows.live().nth(1).is_some() && (found.is_uniform || is_external(found, 1.0 - unexplained)),
        total: parts.total,
        rate: parts.rate,
    }
}

/// The share of each cause, and of what.
fn shares(rows: &Rows<'_>, parts: &Parts, causes: &[Found]) -> (Basis, Vec<f64>) {
    let sums = |of: fn(f64) -> f64| {
        let cells = |cause: &Found| cause.cells.iter().map(|cell| of(parts.own[*cell as usize])).sum::<f64>();
        let sums: Vec<f64> = causes.iter().map(cells).collect();
        (sums, parts.own.iter().map(|own| of(*own)).sum::<f64>())
    };
    if rows.kind() == Kind::Level {
        let (sums, total) = sums(f64::abs);
        return (Basis::Gross, over(sums, total));
    }
    let (sums, net) = sums(|own| own);
    let rest = net - sums.iter().sum::<f64>();
    let gross = rest.abs() + sums.iter().map(|sum| sum.abs()).sum::<f64>();
    if net.abs() > OFFSETTING * gross {
        return (Basis::Net, over(sums, net));
    }
    (Basis::Gross, over(sums.iter().map(|sum| sum.abs()).collect(), gross))
}

fn over(sums: Vec<f64>, total: f64) -> Vec<f64> {
    sums.into_iter().map(|sum| quotient(sum, total)).collect()
}

fn one(rows: &Rows<'_>, parts: &Parts, cause: &Found, share: f64, side: f64) -> Cause {
    let cells = || cause.cells.iter().map(|cell| *cell as usize);
    let sum = |amounts: &[Amount]| {
        let amounts = cells().filter_map(|cell| amounts.get(cell));
        amounts.fold(Amount::ZERO, |sum, amount| Amount {
            value: sum.value + amount.value,
            expected: sum.expected + amount.expected,
        })
    };
    let effects = (!rows.over.is_empty()).then(|| {
        cells().fold(Effects { rate: 0.0, mix: 0.0 }, |sum, cell| Effects {
            rate: sum.rate + parts.effects[cell].rate,
            mix: sum.mix + parts.effects[cell].mix,
        })
    });
    Cause {
        slice: cause.dims.iter().copied().zip(cause.values.iter().copied()).collect(),
        share,
        amount: whole(rows, sum(&rows.amounts), sum(&rows.over), cause.cells.len()),
        shift: side * cause.shift,
        gain: cause.gain,
        leaves: cause.cells.len(),
        effects,
    }
}

/// Whether what moved is not what the causes say.
fn is_external(found: &Search, explained: f64) -> bool {
    let [weight, score] = found.rest;
    let [all, _] = found.all;
    weight > 0.5 * all
        && score.abs() >= MOVED_Z * weight.sqrt()
        && score.abs() >= MOVED_MIN * weight
        && explained < EXPLAINED_MAX
}

fn additive(rows: &Rows<'_>) -> Parts {
    let total = rows.amounts.iter().fold(Amount::ZERO, |sum, amount| Amount {
        value: sum.value + amount.value,
        expected: sum.expected + amount.expected,
    });
    let total = whole(rows, total, Amount::ZERO, rows.live().count());
    let own = rows.amounts.iter().map(|amount| amount.deviation()).collect();
    Parts { own, effects: Vec::new(), total, rate: None }
}

/// What leaves come to together.
fn whole(rows: &Rows<'_>, amounts: Amount, over: Amount, leaves: usize) -> Amount {
    match rows.kind() {
        Kind::Additive => amounts,
        Kind::Ratio | Kind::Average => rate(amounts, over),
        Kind::Level => rate(amounts, Amount { value: leaves as f64, expected: leaves as f64 }),
    }
}

fn quotient(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

fn rate(part: Amount, whole: Amount) -> Amount {
    Amount { value: quotient(part.value, whole.value), expected: quotient(part.expected, whole.expected) }
}

/// `R - R^ = Σ (b/B)(r - r^) + Σ (b/B - b^/B^)(r^ - R^)`: where a leaf was not expected at all, its rate is as that of all.
fn ratio(rows: &Rows<'_>) -> Parts {
    let sum = |amounts: &[Amount]| {
        amounts.iter().fold(Amount::ZERO, |sum, amount| Amount {
            value: sum.value + amount.value,
            expected: sum.expected + amount.expected,
        })
    };
    let (a, b) = (sum(&rows.amounts), sum(&rows.over));
    let total = rate(a, b);
    let split = |(part, whole): (&Amount, &Amount)| {
        let expected = if whole.expected == 0.0 { total.expected } else { part.expected / whole.expected };
        let (now, then) = (quotient(whole.value, b.value), quotient(whole.expected, b.expected));
        let came = quotient(part.value, b.value);
        Effects { rate: came - now * expected, mix: (now - then) * (expected - total.expected) }
    };
    let effects: Vec<Effects> = rows.amounts.iter().zip(&rows.over).map(split).collect();
    let own = effects.iter().map(|effects| effects.rate + effects.mix).collect();
    let all = effects.iter().fold(Effects { rate: 0.0, mix: 0.0 }, |sum, one| Effects {
        rate: sum.rate + one.rate,
        mix: sum.mix + one.mix,
    });
    let numerator = f64::midpoint(quotient(a.deviation(), b.expected), quotient(a.deviation(), b.value));
    let denominator = (total.value - total.expected) - numerator;
    Parts { own, effects, total, rate: Some(RateChange { effects: all, numerator, denominator }) }
}

fn matrix(rows: &Rows<'_>, parts: &Parts, causes: &[Found]) -> Vec<Vec<(u32, f64)>> {
    let cells = || causes.iter().flat_map(|cause| &cause.cells).map(|cell| *cell as usize);
    let total: f64 = cells().map(|cell| parts.own[cell].abs()).sum();
    if total <= 0.0 {
        return Vec::new();
    }
    let of = |dim: usize| {
        let mut sums = vec![0.0; rows.sizes[dim]];
        for cell in cells() {
            sums[rows.codes(rows.leaf[cell])[dim] as usize] += parts.own[cell].abs();
        }
        let mut shares: Vec<(u32, f64)> =
            (0..).zip(sums).filter(|(_, sum)| *sum > 0.0).map(|(code, sum)| (code, sum / total)).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        shares
    };
    (0..rows.dimensions()).map(of).collect()
}
