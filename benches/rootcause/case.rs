//! One case: leaves of one interval, and what truly happened to them.

use tidewatch::explain::lattice::{Amount, Kind, Leaves};

/// Dimension and code, in the order of the dimensions.
pub(crate) type Slice = Vec<(usize, u32)>;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) dimensions: usize,
    /// A row of them per leaf.
    pub(crate) codes: Vec<u32>,
    pub(crate) amounts: Vec<Amount>,
    /// Denominators; empty where the kind has none.
    pub(crate) over: Vec<Amount>,
    pub(crate) truth: Vec<Slice>,
    pub(crate) is_external: bool,
}

impl Case {
    pub(crate) fn leaves(&self) -> Leaves {
        let mut leaves = Leaves::new(self.kind, self.dimensions);
        for (at, codes) in self.codes.chunks_exact(self.dimensions).enumerate() {
            leaves.push_over(codes, self.amounts[at], self.over.get(at).copied().unwrap_or(Amount::ZERO), 0.0);
        }
        leaves
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, &[u32])> {
        self.codes.chunks_exact(self.dimensions).enumerate()
    }

    /// Which leaves are in one of the slices.
    pub(crate) fn inside(&self, slices: &[Slice]) -> Vec<bool> {
        self.rows().map(|(_, codes)| slices.iter().any(|slice| is_inside(slice, codes))).collect()
    }

    /// What each leaf adds to the deviation.
    pub(crate) fn parts(&self) -> Vec<f64> {
        if self.over.is_empty() {
            return self.amounts.iter().map(|amount| amount.deviation()).collect();
        }
        let sum = |of: &dyn Fn(usize) -> f64| (0..self.amounts.len()).map(of).sum::<f64>();
        let (b, fb) = (sum(&|at| self.over[at].value), sum(&|at| self.over[at].expected));
        let overall = sum(&|at| self.amounts[at].expected) / fb;
        let part = |at: usize| {
            let (a, over) = (self.amounts[at], self.over[at]);
            let rate = if over.expected > 0.0 { a.expected / over.expected } else { overall };
            a.value / b - over.value / b * rate + (over.value / b - over.expected / fb) * (rate - overall)
        };
        (0..self.amounts.len()).map(part).collect()
    }
}

pub(crate) fn is_inside(slice: &Slice, codes: &[u32]) -> bool {
    slice.iter().all(|(dim, code)| codes[*dim] == *code)
}

/// All combinations of codes below `sizes`, the last runs fastest.
pub(crate) fn product(sizes: &[u32]) -> Vec<u32> {
    let count: usize = sizes.iter().map(|size| *size as usize).product();
    let mut codes = Vec::with_capacity(count * sizes.len());
    let mut row = vec![0; sizes.len()];
    for _ in 0..count {
        codes.extend_from_slice(&row);
        for at in (0..sizes.len()).rev() {
            row[at] += 1;
            if row[at] < sizes[at] {
                break;
            }
            row[at] = 0;
        }
    }
    codes
}
