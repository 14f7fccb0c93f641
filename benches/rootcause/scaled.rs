//! The families S and L, after the description of RiskLoc's generator: every combination of values is a leaf, its value is
//! drawn from a Weibull distribution, some are 0, the forecast has one relative error everywhere, and the leaves of an
//! anomaly fall by one factor, all anomalies in the direction in which the totals differ anyway.

use tidewatch::explain::lattice::{Amount, Kind};

use crate::case::{Case, Slice, is_inside, product};
use crate::random::Random;

pub(crate) struct Shape {
    pub(crate) name: &'static str,
    sizes: &'static [u32],
    zeros: (f64, f64),
    noise: (f64, f64),
    severity: (f64, f64),
    deviation: (f64, f64),
    anomalies: (usize, usize),
    elements: (usize, usize),
    only_leaves: bool,
}

pub(crate) const S: Shape = Shape {
    name: "S",
    sizes: &[10, 12, 10, 8, 5],
    zeros: (0.0, 0.25),
    noise: (0.0, 0.25),
    severity: (0.2, 1.0),
    deviation: (0.0, 0.1),
    anomalies: (1, 3),
    elements: (1, 3),
    only_leaves: false,
};

pub(crate) const L: Shape = Shape {
    name: "L",
    sizes: &[10, 24, 10, 15],
    zeros: (0.0, 0.25),
    noise: (0.0, 0.1),
    severity: (0.5, 1.0),
    deviation: (0.0, 0.0),
    anomalies: (1, 5),
    elements: (1, 1),
    only_leaves: true,
};

struct Anomaly {
    severity: f64,
    deviation: f64,
    slices: Vec<Slice>,
}

impl Shape {
    pub(crate) fn case(&self, random: &mut Random, is_null: bool) -> Case {
        let codes = product(self.sizes);
        let zeros = random.within(self.zeros);
        let noise = random.within(self.noise);
        let shape = random.within((0.5, 1.0));
        let d = self.sizes.len();
        let mut amounts: Vec<Amount> = (0..codes.len() / d).map(|_| leaf(random, shape, zeros, noise)).collect();
        let count = if is_null { 0 } else { whole(random, self.anomalies) };
        let mut anomalies: Vec<Anomaly> = Vec::new();
        while anomalies.len() < count {
            let severity = random.within(self.severity) + noise;
            let deviation = random.within(self.deviation);
            let elements = whole(random, self.elements);
            let slices = loop {
                if let Some(slices) = self.place(random, &anomalies, elements, &codes, &amounts) {
                    break slices;
                }
            };
            anomalies.push(Anomaly { severity, deviation, slices });
        }
        let sum = |of: fn(&Amount) -> f64| amounts.iter().map(of).sum::<f64>();
        let is_high = sum(|amount| amount.value) > sum(|amount| amount.expected);
        for anomaly in &anomalies {
            for (amount, codes) in amounts.iter_mut().zip(codes.chunks_exact(d)) {
                if anomaly.slices.iter().any(|slice| is_inside(slice, codes)) {
                    let left = (1.0 - anomaly.severity - anomaly.deviation * random.gauss()).max(0.0);
                    *amount = if is_high {
                        Amount { value: amount.value, expected: amount.value * left }
                    } else {
                        Amount { value: amount.expected * left, expected: amount.expected }
                    };
                }
            }
        }
        let truth = anomalies.into_iter().flat_map(|anomaly| anomaly.slices).collect();
        let name = self.name.to_owned();
        Case { name, kind: Kind::Additive, dimensions: d, codes, amounts, over: Vec::new(), truth, is_external: false }
    }

    /// Slices of one cuboid, away from the anomalies that are there.
    fn place(
        &self,
        random: &mut Random,
        there: &[Anomaly],
        elements: usize,
        codes: &[u32],
        amounts: &[Amount],
    ) -> Option<Vec<Slice>> {
        let d = self.sizes.len();
        let layer = if self.only_leaves { d } else { 1 + random.below(d) };
        let mut dims: Vec<usize> = (0..d).collect();
        while dims.len() > layer {
            dims.remove(random.below(dims.len()));
        }
        let names = |slice: &Slice| slice.iter().map(|(dim, _)| *dim).collect::<Vec<_>>();
        if layer < d && there.iter().any(|anomaly| names(&anomaly.slices[0]) == dims) {
            return None;
        }
        let mut slices: Vec<Slice> = vec![Vec::new(); elements];
        for dim in dims {
            let used =
                |code: u32| there.iter().flat_map(|anomaly| &anomaly.slices).any(|slice| slice.contains(&(dim, code)));
            let free: Vec<u32> = (0..self.sizes[dim]).filter(|code| !used(*code)).collect();
            if free.is_empty() {
                return None;
            }
            slices.iter_mut().for_each(|slice| slice.push((dim, free[random.below(free.len())])));
        }
        let is_new = |at: usize| !slices[..at].contains(&slices[at]);
        let is_seen = |slice: &Slice| {
            let place = slice.iter().fold(0, |place, (dim, code)| place * self.sizes[*dim] as usize + *code as usize);
            layer < d || amounts[place].value > 0.0
        };
        let _ = codes;
        ((0..elements).all(is_new) && slices.iter().all(is_seen)).then_some(slices)
    }
}

fn leaf(random: &mut Random, shape: f64, zeros: f64, noise: f64) -> Amount {
    let value = 100.0 * libm::pow(-libm::log(random.unit()), 1.0 / shape);
    let value = if random.is(zeros) { 0.0 } else { value };
    let other = value * (1.0 + noise * random.gauss());
    if random.is(0.5) { Amount { value, expected: other.max(0.0) } } else { Amount { value: other, expected: value } }
}

fn whole(random: &mut Random, (low, high): (usize, usize)) -> usize {
    low + random.below(high - low + 1)
}
