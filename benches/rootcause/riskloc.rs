//! The second opinion: RiskLoc (Kalander, "RiskLoc: Localization of Multi-dimensional Root Causes by Weighted Risk", 2022),
//! written from its published description with its published parameters.
//!
//! A leaf's deviation is `2(f-v)/(f+v)`. The side whose outermost leaves lie nearer to 0 is taken for noise, and a cut as far
//! out on the other side parts normal from abnormal leaves. An element's risk is the weight of abnormal leaves in it, less
//! how badly its leaves follow one common factor; the first layer that has an element of enough risk gives the one of the
//! largest explanatory power. Its leaves go, and the search starts again until little is left to explain.
//!
//! As published: the leaves of every element that may be the best of its layer are looked up, its risk is worked out in full.
//! The pruning of elements by those of the first layer is left out.

use tidewatch::explain::lattice::Amount;

use crate::case::{Case, Slice, is_inside};

const RISK_MIN: f64 = 0.5;
/// Explanatory power of an element and of what is left, below which the search ends; of that of all abnormal leaves.
const POWER_MIN: f64 = 0.02;
/// The cut is at the outermost distinct deviation of this rank.
const RANK: usize = 6;

struct Leaf {
    row: usize,
    value: Amount,
    deviation: f64,
    is_abnormal: bool,
    weight: f64,
    power: f64,
}

/// Sums over the leaves of an element.
#[derive(Clone, Copy, Default)]
struct Sums {
    has_abnormal: bool,
    power: f64,
}

pub(crate) fn locate(case: &Case) -> Vec<Slice> {
    let mut leaves = leaves(case);
    let sizes: Vec<usize> = (0..case.dimensions)
        .map(|dim| case.rows().map(|(_, codes)| codes[dim] as usize + 1).max().unwrap_or(1))
        .collect();
    let left = |leaves: &[Leaf]| leaves.iter().filter(|leaf| leaf.is_abnormal).map(|leaf| leaf.power).sum::<f64>();
    // the power of the abnormal side counts as positive
    let sign = left(&leaves).signum();
    leaves.iter_mut().for_each(|leaf| leaf.power *= sign);
    let least = POWER_MIN * left(&leaves);
    let mut found = Vec::new();
    while left(&leaves) >= least {
        let slice = (1..=case.dimensions).find_map(|layer| best(case, &leaves, &sizes, layer, least));
        let Some(slice) = slice else { break };
        leaves.retain(|leaf| !is_inside(&slice, codes(case, leaf.row)));
        found.push(slice);
    }
    found
}

fn codes(case: &Case, row: usize) -> &[u32] {
    &case.codes[row * case.dimensions..(row + 1) * case.dimensions]
}

fn deviation(value: f64, expected: f64) -> f64 {
    let sum = expected + value;
    if sum == 0.0 { 0.0 } else { 2.0 * (expected - value) / sum }
}

fn rate(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

fn leaves(case: &Case) -> Vec<Leaf> {
    let value = |at: usize| match case.over.get(at) {
        Some(over) => {
            let part = case.amounts[at];
            Amount { value: rate(part.value, over.value), expected: rate(part.expected, over.expected) }
        }
        None => case.amounts[at],
    };
    let sum = |amounts: &[Amount]| {
        amounts.iter().fold(Amount::ZERO, |sum, amount| Amount {
            value: sum.value + amount.value,
            expected: sum.expected + amount.expected,
        })
    };
    let (a, b) = (sum(&case.amounts), sum(&case.over));
    let power = |at: usize| match case.over.get(at) {
        Some(over) => {
            let change = case.amounts[at].deviation() * b.expected - over.deviation() * a.expected;
            rate(change, b.expected * (b.expected + over.deviation()))
        }
        None => rate(case.amounts[at].deviation(), a.deviation()),
    };
    let mut leaves: Vec<Leaf> = (0..case.amounts.len())
        .map(|row| {
            let value = value(row);
            let deviation = deviation(value.value, value.expected);
            Leaf { row, value, deviation, is_abnormal: false, weight: 0.0, power: power(row) }
        })
        .collect();
    let mut sorted: Vec<f64> = leaves.iter().map(|leaf| leaf.deviation).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    let rank = (RANK - 1).min(sorted.len().saturating_sub(1));
    let (low, high) = (sorted[rank], sorted[sorted.len() - 1 - rank]);
    let cut = -if low.abs() < high.abs() { low } else { high };
    for leaf in &mut leaves {
        leaf.is_abnormal = if cut > 0.0 { leaf.deviation > cut } else { leaf.deviation < cut };
        let far = if leaf.is_abnormal { leaf.deviation.abs() } else { (cut - leaf.deviation).abs() };
        leaf.weight = if leaf.value == Amount::ZERO { 0.0 } else { far.min(1.0) };
    }
    leaves
}

/// The element of a layer with enough risk that explains most.
fn best(case: &Case, leaves: &[Leaf], sizes: &[usize], layer: usize, least: f64) -> Option<Slice> {
    let mut best: Option<(f64, Slice)> = None;
    for mask in 1u32..1 << case.dimensions {
        if mask.count_ones() as usize != layer {
            continue;
        }
        let dims: Vec<usize> = (0..case.dimensions).filter(|dim| mask >> dim & 1 == 1).collect();
        let cells: usize = dims.iter().map(|dim| sizes[*dim]).product();
        let place =
            |row: usize| dims.iter().fold(0, |place, dim| place * sizes[*dim] + codes(case, row)[*dim] as usize);
        let mut sums = vec![Sums::default(); cells];
        for leaf in leaves {
            let sums = &mut sums[place(leaf.row)];
            sums.has_abnormal |= leaf.is_abnormal;
            sums.power += leaf.power;
        }
        let least = best.as_ref().map_or(least, |best| best.0);
        let mut order: Vec<usize> =
            (0..cells).filter(|cell| sums[*cell].power > least && sums[*cell].has_abnormal).collect();
        order.sort_by(|a, b| sums[*b].power.total_cmp(&sums[*a].power));
        for cell in order {
            let inside: Vec<&Leaf> = leaves.iter().filter(|leaf| place(leaf.row) == cell).collect();
            if high_risk(&inside) - ripple(case, &inside) >= RISK_MIN {
                let codes = codes(case, inside[0].row);
                best = Some((sums[cell].power, dims.iter().map(|dim| (*dim, codes[*dim])).collect()));
                break;
            }
        }
    }
    best.map(|best| best.1)
}

/// The weight of abnormal leaves in that of all.
fn high_risk(inside: &[&Leaf]) -> f64 {
    let weight = |is_abnormal: bool| {
        inside.iter().filter(|leaf| leaf.is_abnormal == is_abnormal).map(|leaf| leaf.weight).sum::<f64>()
    };
    let abnormal = weight(true);
    abnormal / (abnormal + weight(false) + 1.0)
}

/// How badly the leaves follow one factor, against how far they are from their forecasts.
fn ripple(case: &Case, inside: &[&Leaf]) -> f64 {
    let sum = |of: &dyn Fn(usize) -> f64| inside.iter().map(|leaf| of(leaf.row)).sum::<f64>();
    let (mut value, mut expected) = (sum(&|row| case.amounts[row].value), sum(&|row| case.amounts[row].expected));
    if !case.over.is_empty() {
        value = rate(value, sum(&|row| case.over[row].value));
        expected = rate(expected, sum(&|row| case.over[row].expected));
    }
    let factor = rate(value, expected);
    let inside = || inside.iter().filter(|leaf| leaf.value.value != 0.0 && leaf.value.expected != 0.0);
    let off: f64 = inside().map(|leaf| deviation(leaf.value.value, leaf.value.expected * factor).abs()).sum();
    let far: f64 = inside().map(|leaf| leaf.deviation.abs()).sum();
    rate(off, far)
}
