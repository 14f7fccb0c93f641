//! Evidence from sums: how far are the last `w` values together from what was expected before them? A jump shows at
//! `w = 1`, a small lasting change only in a wide window.
//!
//! For every baseline `b` and width `w` the mean size `a[b][w]` of the window error is learned, in units of the noise
//! shape `h`; `z = |error| / (h a)`. Each pair has a tail of its own, which turns `z` into a probability. Per width
//! the best baseline is the one on which an alarm would take the smallest error (with a handicap of `3/n` for a young
//! one). All that are nearly as good are asked, and the least surprised speaks: what one of them explains is explained.

use super::Tail;
use crate::detect::model::{BASELINES, Bank, FAMILIES, Kind, Shapes};
use crate::detect::snapshot::codec;
use crate::model::Length;

/// Widths of the windows, in intervals.
pub(in crate::detect) const WIDTHS: [usize; WINDOWS] = [1, 2, 3, 5, 8, 12, 20];
/// Number of widths.
pub(in crate::detect) const WINDOWS: usize = 7;
/// Widths up to this index are judged from the first; wider ones wait until a day has shown what a slope is.
const NARROW: usize = 2;
/// Errors before a local and a seasonal baseline may speak.
const SEEN_LOCAL: u32 = 8;
const SEEN_SEASONAL: u32 = 24;
const HANDICAP: f64 = 3.0;
/// Memory of the mean sizes: a day, within these bounds, in intervals.
const MEMORY: (u32, u32) = (168, 1440);
/// Memory of the recent mean sizes, in intervals, and how many of them a mean size may be.
const RECENT: u32 = 48;
const RECENT_SHARE: f64 = 2.5;
/// An error counts as at most this many mean errors.
const CLIP: f64 = 4.0;
/// A ratio beyond this says no more.
const RATIO_MAX: f64 = 1e9;
/// Prior tail, in mean errors: begins a little beyond a Gaussian's (2.7) and is twice as heavy (0.5).
const TAIL: (f64, f64) = (3.0, 0.9);
/// Baselines are compared by the error at this surprise.
const CHOICE: f64 = 4.5;
/// A baseline is fair if it would alarm at no more than this many times the error of the best one.
const FAIR: f64 = 1.5;

/// What the windows have learned.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Windows {
    size: [[f64; WINDOWS]; BASELINES],
    /// The same with a short memory.
    recent: [[f64; WINDOWS]; BASELINES],
    seen: [[u32; WINDOWS]; BASELINES],
    tails: [[Tail; WINDOWS]; BASELINES],
    memory: u32,
}

codec!(Windows { size, recent, seen, tails, memory });

/// Window errors of one interval, in the unit of the values; none where a baseline cannot judge.
pub(in crate::detect) type Errors = [[Option<f64>; WINDOWS]; BASELINES];

/// What one width says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Verdict {
    /// Index of the width.
    pub(in crate::detect) window: usize,
    /// The baseline that speaks.
    pub(in crate::detect) baseline: usize,
    /// Sum of the errors, in the unit of the values.
    pub(in crate::detect) error: f64,
    /// `-log10` of its probability on this series.
    pub(in crate::detect) surprise: f64,
}

impl Windows {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new(length: Length) -> Windows {
        Windows {
            memory: length.per_day().clamp(MEMORY.0, MEMORY.1),
            size: [[0.0; WINDOWS]; BASELINES],
            recent: [[0.0; WINDOWS]; BASELINES],
            seen: [[0; WINDOWS]; BASELINES],
            tails: [[Tail::new(TAIL.0, TAIL.1); WINDOWS]; BASELINES],
        }
    }

    /// The best baseline for a width, if any may speak.
    pub(in crate::detect) fn best(&self, window: usize, bank: &Bank, shapes: &Shapes, wide: bool) -> Option<usize> {
        let costs = self.costs(window, bank, shapes, wide);
        (0..BASELINES).filter(|at| costs[*at].is_finite()).min_by(|a, b| costs[*a].total_cmp(&costs[*b]))
    }

    /// The error at which each baseline would alarm, infinite for one that may not speak.
    fn costs(&self, window: usize, bank: &Bank, shapes: &Shapes, wide: bool) -> [f64; BASELINES] {
        std::array::from_fn(|baseline| {
            let local = Bank::kind(baseline) == Kind::Local;
            let seen = self.seen[baseline][window];
            let may = seen >= if local { SEEN_LOCAL } else { SEEN_SEASONAL }
                && (!local || window <= NARROW || wide)
                && bank.ready(baseline, WIDTHS[window], shapes);
            if !may {
                return f64::INFINITY;
            }
            let begins = self.tails[baseline][window].value(CHOICE);
            self.size[baseline][window] * begins * (1.0 + HANDICAP / f64::from(seen))
        })
    }

    /// Mean error of a baseline over a width, in the unit of the values, where `shape` is the noise shape now and
    /// `least` the least noise that is believed for a single value.
    pub(in crate::detect) fn unit(&self, baseline: usize, window: usize, shape: f64, least: f64) -> f64 {
        let width = WIDTHS[window] as f64;
        (self.size[baseline][window] * shape).max(least * width.sqrt())
    }

    /// Errors of every baseline and width that can be judged.
    pub(in crate::detect) fn errors(bank: &Bank, shapes: &Shapes, value: f64) -> Errors {
        std::array::from_fn(|baseline| {
            std::array::from_fn(|window| {
                let width = WIDTHS[window];
                bank.ready(baseline, width, shapes).then(|| bank.window_error(baseline, width, value, shapes))
            })
        })
    }

    /// The most surprising of what each family says about each width.
    pub(in crate::detect) fn judge(
        &self,
        errors: &Errors,
        bank: &Bank,
        shapes: &Shapes,
        noise: (f64, f64),
        wide: bool,
    ) -> Option<Verdict> {
        let mut lead: Option<Verdict> = None;
        for window in 0..WINDOWS {
            let costs = self.costs(window, bank, shapes, wide);
            for family in 0..FAMILIES {
                let verdict = self.judge_family(family, window, &costs, errors, noise);
                if let Some(verdict) = verdict.filter(|new| lead.is_none_or(|old| new.surprise > old.surprise)) {
                    lead = Some(verdict);
                }
            }
        }
        lead
    }

    fn judge_family(
        &self,
        family: usize,
        window: usize,
        costs: &[f64; BASELINES],
        errors: &Errors,
        noise: (f64, f64),
    ) -> Option<Verdict> {
        let members = || (0..BASELINES).filter(|at| Bank::family(*at) == family && costs[*at].is_finite());
        let least = members().map(|at| costs[at]).fold(f64::INFINITY, f64::min);
        let fair = members().filter(|at| costs[*at] <= FAIR * least);
        let verdict = |baseline: usize| {
            let error = errors[baseline][window]?;
            let ratio = (error.abs() / self.unit(baseline, window, noise.0, noise.1)).min(RATIO_MAX);
            Some(Verdict { window, baseline, error, surprise: self.tails[baseline][window].surprise(ratio) })
        };
        fair.filter_map(verdict).reduce(|a, b| if b.surprise < a.surprise { b } else { a })
    }

    /// The ratio at which a width is as surprising as `surprise`.
    pub(in crate::detect) fn ratio_at(&self, baseline: usize, window: usize, surprise: f64) -> f64 {
        self.tails[baseline][window].value(surprise)
    }

    /// Surprise of a single value that is `ratio` mean errors away.
    pub(in crate::detect) fn surprise_of_one(&self, baseline: usize, ratio: f64) -> f64 {
        self.tails[baseline][0].surprise(ratio)
    }

    /// Takes the errors of a normal interval in: first the rank of each, then its size. `noise` is the noise shape and
    /// the least noise.
    pub(in crate::detect) fn learn(&mut self, errors: &Errors, noise: (f64, f64)) {
        self.learn_ranks(errors, noise);
        for (baseline, errors) in errors.iter().enumerate() {
            for (window, error) in errors.iter().enumerate() {
                let Some(error) = error else { continue };
                let least = noise.1 / noise.0;
                let (size, seen) = (&mut self.size[baseline][window], &mut self.seen[baseline][window]);
                *seen = (*seen + 1).min(self.memory);
                let now = error.abs() / noise.0;
                let now = if *seen <= SEEN_LOCAL { now } else { now.min(CLIP * size.max(least)) };
                *size += (now - *size) / f64::from(*seen);
                // what one bad hour has inflated, two quiet ones let down again
                let recent = &mut self.recent[baseline][window];
                *recent += (now - *recent) / f64::from((*seen).min(RECENT));
                *size = size.min(RECENT_SHARE * recent.max(least));
            }
        }
    }

    /// Takes only the ranks in: the first interval of an incident is one exceedance more.
    pub(in crate::detect) fn learn_ranks(&mut self, errors: &Errors, noise: (f64, f64)) {
        for (baseline, errors) in errors.iter().enumerate() {
            for (window, error) in errors.iter().enumerate() {
                let Some(error) = error else { continue };
                if self.seen[baseline][window] > SEEN_LOCAL {
                    let ratio = error.abs() / self.unit(baseline, window, noise.0, noise.1);
                    self.tails[baseline][window].learn(ratio.min(RATIO_MAX));
                }
            }
        }
    }

    /// The noise shape has changed its power: sizes in its new unit.
    pub(in crate::detect) fn rescale(&mut self, factor: f64) {
        self.size.iter_mut().chain(&mut self.recent).flatten().for_each(|size| *size *= factor);
    }

    /// After a change of regime: what was learned of the noise counts as at most `seen` intervals.
    pub(in crate::detect) fn relearn(&mut self, seen: u32) {
        self.seen.iter_mut().flatten().for_each(|count| *count = (*count).min(seen));
    }
}
