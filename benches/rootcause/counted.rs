//! The families P (counts) and D (ratios of counts), and what is made of them: nothing happened, a cause outside the
//! dimensions, a shift of the mix alone.
//!
//! Leaves are 6 x 15 x 25 x 8 combinations, some of which do not occur; their means follow Zipf's law along each dimension
//! times a lognormal factor. What came is Poisson, the forecast is wrong by some percent per leaf and by 1 % all together.
//! A ratio's numerator is binomial, with a rate that differs by the values of the dimensions.

use tidewatch::explain::lattice::{Amount, Kind};

use crate::case::{Case, Slice, is_inside, product};
use crate::random::Random;

const SIZES: [u32; 4] = [6, 15, 25, 8];
/// Of the leaves, as a relative error.
const SHARED: f64 = 0.01;
/// Least significance of a cause, in standard deviations.
const Z_MIN: f64 = 8.0;
/// Most of the volume that a cause takes.
const VOLUME_MAX: f64 = 0.4;
/// Least shift of the total that a cause outside the dimensions makes: below it there is nothing to ask a cause of.
const OUTSIDE_MIN: f64 = 3.0 * SHARED;

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plot {
    Causes,
    Nothing,
    /// One value of a dimension that nobody told the scan about.
    Outside,
    /// Numbers of the denominator alone, of a ratio.
    Mix,
}

struct World {
    codes: Vec<u32>,
    means: Vec<f64>,
    rates: Vec<f64>,
    error: f64,
}

struct Planted {
    slice: Slice,
    factor: f64,
}

pub(crate) fn case(random: &mut Random, kind: Kind, plot: Plot) -> Case {
    loop {
        let world = World::new(random);
        let count = match plot {
            Plot::Nothing => 0,
            Plot::Outside => 1,
            Plot::Causes | Plot::Mix => 1 + random.below(3),
        };
        if let Some(planted) = world.plant(random, kind, plot, count) {
            return world.case(random, kind, plot, &planted);
        }
    }
}

impl World {
    fn new(random: &mut Random) -> World {
        let density = random.within((0.5, 1.0));
        let total = libm::pow(10.0, random.within((4.3, 6.5)));
        let marginals: Vec<Vec<f64>> = SIZES.iter().map(|size| zipf(random, *size as usize)).collect();
        let effects: Vec<Vec<f64>> =
            SIZES.iter().map(|size| (0..*size).map(|_| 0.3 * random.gauss()).collect()).collect();
        let level = -3.0 + 0.6 * random.gauss();
        let (mut codes, mut means, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        for row in product(&SIZES).chunks_exact(SIZES.len()) {
            if !random.is(density) {
                continue;
            }
            let of =
                |table: &[Vec<f64>]| row.iter().zip(table).map(|(code, of)| of[*code as usize]).collect::<Vec<f64>>();
            means.push(of(&marginals).iter().product::<f64>() * libm::exp(0.5 * random.gauss()));
            rates.push(1.0 / (1.0 + libm::exp(-(level + of(&effects).iter().sum::<f64>()))));
            codes.extend_from_slice(row);
        }
        let all: f64 = means.iter().sum();
        means.iter_mut().for_each(|mean| *mean *= total / all);
        World { codes, means, rates, error: random.within((0.02, 0.15)) }
    }

    fn rows(&self) -> impl Iterator<Item = (usize, &[u32])> {
        self.codes.chunks_exact(SIZES.len()).enumerate()
    }

    /// Causes that can be told from noise, and from each other.
    fn plant(&self, random: &mut Random, kind: Kind, plot: Plot, count: usize) -> Option<Vec<Planted>> {
        let mut planted: Vec<Planted> = Vec::new();
        for _ in 0..count {
            let one = (0..300).find_map(|_| {
                let one = draw(random, plot);
                self.is_fair(&one, &planted, kind, plot).then_some(one)
            })?;
            planted.push(one);
        }
        Some(planted)
    }

    fn is_fair(&self, one: &Planted, planted: &[Planted], kind: Kind, plot: Plot) -> bool {
        let (mut volume, mut shift, mut variance, mut shared) = (0.0, 0.0, 0.0, 0.0);
        for (at, codes) in self.rows().filter(|(_, codes)| is_inside(&one.slice, codes)) {
            let (mean, rate) = (self.means[at], self.rates[at]);
            let is_rate = kind == Kind::Ratio && plot != Plot::Mix;
            let (size, noise) = if is_rate { (mean * rate, mean * rate * (1.0 - rate)) } else { (mean, mean) };
            volume += mean;
            shift += (one.factor - 1.0) * size;
            variance += noise + (self.error * size) * (self.error * size);
            if planted.iter().any(|other| is_inside(&other.slice, codes)) {
                shared += mean;
            }
        }
        let all: f64 = self.means.iter().sum();
        if plot == Plot::Outside && !self.moves_the_total(kind, shift) {
            return false;
        }
        let is_apart = planted.is_empty() || shared <= 0.1 * volume;
        volume > 0.0 && volume < VOLUME_MAX * all && shift.abs() >= Z_MIN * variance.sqrt() && is_apart
    }

    /// Whether a shift is seen in the sum of all leaves.
    fn moves_the_total(&self, kind: Kind, shift: f64) -> bool {
        let (mut total, mut variance) = (0.0, 0.0);
        for (mean, rate) in self.means.iter().zip(&self.rates) {
            let size = if kind == Kind::Ratio { mean * rate } else { *mean };
            total += size;
            variance += size + (self.error * size) * (self.error * size);
        }
        shift.abs() >= Z_MIN * variance.sqrt() && shift.abs() >= OUTSIDE_MIN * total
    }

    fn case(&self, random: &mut Random, kind: Kind, plot: Plot, planted: &[Planted]) -> Case {
        let together = 1.0 + SHARED * random.gauss();
        let (mut amounts, mut over) = (Vec::new(), Vec::new());
        for (at, codes) in self.rows() {
            let inside = planted.iter().filter(|one| is_inside(&one.slice, codes));
            let factor: f64 = inside.map(|one| one.factor).product();
            let forecast = |random: &mut Random| together * (1.0 + self.error * random.gauss()).max(0.0);
            let (mean, rate) = (self.means[at], self.rates[at]);
            let is_volume = kind == Kind::Additive || plot == Plot::Mix;
            let whole = Amount {
                value: random.poisson(if is_volume { mean * factor } else { mean }),
                expected: mean * forecast(random),
            };
            if kind == Kind::Additive {
                amounts.push(whole);
                continue;
            }
            let now = if plot == Plot::Mix { rate } else { (rate * factor).min(0.95) };
            let error = (1.0 + self.error * random.gauss()).max(0.0);
            amounts.push(Amount {
                value: binomial(random, whole.value, now),
                expected: whole.expected * (rate * error).min(1.0),
            });
            over.push(whole);
        }
        let truth: Vec<Slice> = match plot {
            Plot::Causes => planted.iter().map(|one| one.slice.clone()).collect(),
            _ => Vec::new(),
        };
        let name = if kind == Kind::Ratio { "D" } else { "P" }.to_owned();
        let codes = self.codes.clone();
        let case = Case { name, kind, dimensions: SIZES.len(), codes, amounts, over, truth, is_external: false };
        if plot == Plot::Outside { without(case, planted[0].slice[0].0) } else { case }
    }
}

/// Sums a dimension up: what is left of a case whose cause lies in it.
fn without(case: Case, dim: usize) -> Case {
    let mut sums: std::collections::BTreeMap<Vec<u32>, (Amount, Amount)> = std::collections::BTreeMap::new();
    let add = |to: &mut Amount, amount: Amount| {
        to.value += amount.value;
        to.expected += amount.expected;
    };
    for (at, codes) in case.rows() {
        let mut codes = codes.to_vec();
        codes.remove(dim);
        let sum = sums.entry(codes).or_insert((Amount::ZERO, Amount::ZERO));
        add(&mut sum.0, case.amounts[at]);
        if let Some(over) = case.over.get(at) {
            add(&mut sum.1, *over);
        }
    }
    Case {
        name: case.name,
        kind: case.kind,
        dimensions: case.dimensions - 1,
        codes: sums.keys().flatten().copied().collect(),
        amounts: sums.values().map(|sum| sum.0).collect(),
        over: if case.over.is_empty() { Vec::new() } else { sums.values().map(|sum| sum.1).collect() },
        truth: Vec::new(),
        is_external: true,
    }
}

fn draw(random: &mut Random, plot: Plot) -> Planted {
    let at = random.unit();
    let layer = if plot == Plot::Outside || at < 0.35 {
        1
    } else if at < 0.75 {
        2
    } else {
        3
    };
    let mut dims: Vec<usize> = (0..SIZES.len()).collect();
    while dims.len() > layer {
        dims.remove(random.below(dims.len()));
    }
    let slice = dims.into_iter().map(|dim| (dim, random.below(SIZES[dim] as usize) as u32)).collect();
    let range = if random.is(0.5) { (0.05, 0.75) } else { (1.3, 3.0) };
    let factor = random.within(range);
    Planted { slice, factor }
}

/// `1/rank`, in any order.
fn zipf(random: &mut Random, size: usize) -> Vec<f64> {
    let mut weights: Vec<f64> = (1..=size).map(|rank| 1.0 / rank as f64).collect();
    for at in (1..size).rev() {
        weights.swap(at, random.below(at + 1));
    }
    weights
}

fn binomial(random: &mut Random, trials: f64, rate: f64) -> f64 {
    let (mean, variance) = (trials * rate, trials * rate * (1.0 - rate));
    if variance > 60.0 {
        return libm::round(mean + variance.sqrt() * random.gauss()).clamp(0.0, trials);
    }
    if trials > 400.0 {
        return random.poisson(mean).min(trials);
    }
    (0..trials as u64).filter(|_| random.is(rate)).count() as f64
}
