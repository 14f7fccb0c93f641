//! What a method says against what happened.

use crate::case::{Case, Slice};

/// Sums over the cases of a family.
#[derive(Default)]
pub(crate) struct Score {
    pub(crate) cases: usize,
    hits: usize,
    said: usize,
    there: usize,
    exact: usize,
    slice_hit: f64,
    slice_all: f64,
    share_errors: Vec<f64>,
    share_errors_found: Vec<f64>,
    external: usize,
    seconds: Vec<f64>,
}

/// What a method says of a case.
pub(crate) struct Answer {
    pub(crate) slices: Vec<Slice>,
    /// Share of each slice, where the method gives one.
    pub(crate) shares: Vec<f64>,
    pub(crate) external: bool,
    pub(crate) seconds: f64,
}

impl Score {
    pub(crate) fn add(&mut self, case: &Case, answer: &Answer) {
        let hits = answer.slices.iter().filter(|slice| case.truth.contains(slice)).count();
        self.cases += 1;
        self.hits += hits;
        self.said += answer.slices.len();
        self.there += case.truth.len();
        self.exact += usize::from(hits == answer.slices.len() && hits == case.truth.len());
        self.external += usize::from(answer.external);
        self.seconds.push(answer.seconds);
        let (said, there) = (case.inside(&answer.slices), case.inside(&case.truth));
        let volume = |at: usize| case.over.get(at).unwrap_or(&case.amounts[at]).expected.abs();
        let (mut both, mut any) = (0.0, 0.0);
        for at in 0..said.len() {
            both += if said[at] && there[at] { volume(at) } else { 0.0 };
            any += if said[at] || there[at] { volume(at) } else { 0.0 };
        }
        if any > 0.0 {
            // the F1 of two sets follows from their Jaccard index
            let jaccard = both / any;
            self.slice_hit += 2.0 * jaccard / (1.0 + jaccard);
            self.slice_all += 1.0;
        }
        if !answer.shares.is_empty() && !case.truth.is_empty() {
            self.share(case, answer);
        }
    }

    /// How far all that the causes are said to explain is from what the true ones do, and each found one from its own.
    fn share(&mut self, case: &Case, answer: &Answer) {
        let parts = case.parts();
        let total: f64 = parts.iter().sum();
        if total.abs() <= 0.05 * parts.iter().map(|part| part.abs()).sum::<f64>() {
            return;
        }
        for slice in &case.truth {
            let inside = case.inside(std::slice::from_ref(slice));
            let truth = parts.iter().zip(&inside).filter(|(_, inside)| **inside).map(|(part, _)| part).sum::<f64>();
            let said = answer.slices.iter().position(|said| said == slice).map(|at| answer.shares[at]);
            let error = (said.unwrap_or(0.0) - truth / total).abs();
            self.share_errors.push(error);
            self.share_errors_found.extend(said.map(|_| error));
        }
    }

    pub(crate) fn f1(&self) -> f64 {
        2.0 * self.hits as f64 / (self.said + self.there).max(1) as f64
    }

    pub(crate) fn precision(&self) -> f64 {
        self.hits as f64 / self.said.max(1) as f64
    }

    pub(crate) fn recall(&self) -> f64 {
        self.hits as f64 / self.there.max(1) as f64
    }

    pub(crate) fn exact(&self) -> f64 {
        self.exact as f64 / self.cases.max(1) as f64
    }

    pub(crate) fn slice_f1(&self) -> f64 {
        self.slice_hit / self.slice_all.max(1.0)
    }

    /// Mean error of the shares of the causes that were found, and of all.
    pub(crate) fn share_errors(&self) -> Option<(f64, f64)> {
        let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len().max(1) as f64;
        (!self.share_errors.is_empty()).then(|| (mean(&self.share_errors_found), mean(&self.share_errors)))
    }

    pub(crate) fn said(&self) -> usize {
        self.said
    }

    pub(crate) fn external(&self) -> f64 {
        self.external as f64 / self.cases.max(1) as f64
    }

    /// Mean and 95th percentile.
    pub(crate) fn milliseconds(&self) -> (f64, f64) {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len().max(1) as f64;
        let high = sorted.get(sorted.len() * 95 / 100).copied().unwrap_or(0.0);
        (1e3 * mean, 1e3 * high)
    }
}
