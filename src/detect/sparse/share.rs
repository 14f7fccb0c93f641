//! The share that a series has of its parent, by the time of day.
//!
//! The day is cut into eight parts, between whose centres the share goes straight. Each part keeps two sums with
//! exponentially fading memory, the series' values `v` and the parent's `V`; its share is `(v + k) / (V + k / s)`, where
//! `s` is the share over all parts and `k` is the worth of ten rows: so many stand in for what has not been seen yet.

use crate::detect::judgement::Context;
use crate::detect::model::Place;
use crate::detect::snapshot::codec;

/// Parts of a day.
const PARTS: usize = 8;
/// Memory of a part, in days.
const DAYS: f64 = 10.0;
/// Rows that the share over all parts is worth in each of them.
const PRIOR_ROWS: f64 = 10.0;
/// What is left of a part's memory when the level has changed.
const LEFT: f32 = 0.05;

/// The sums of a series and of its parent, by part of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    own: [f32; PARTS],
    parent: [f32; PARTS],
}

codec!(Share { own, parent });

impl Share {
    /// The share at a time of the day, of a series whose rows are of this size; none if nothing is known yet.
    pub(super) fn at(&self, context: &Context, place: &Place, row: f64) -> Option<f64> {
        let sum = |parts: &[f32; PARTS]| parts.iter().map(|part| f64::from(*part)).sum::<f64>();
        let parent = sum(&self.parent);
        let whole = Some(sum(&self.own) / parent).filter(|whole| parent > 0.0 && *whole > 0.0)?;
        let prior = PRIOR_ROWS * row.max(1e-9);
        let part = |part: usize| (f64::from(self.own[part]) + prior) / (f64::from(self.parent[part]) + prior / whole);
        let [(one, weight), (other, rest)] = parts(context, place);
        Some(weight * part(one) + rest * part(other))
    }

    /// Takes an interval in.
    #[expect(clippy::cast_possible_truncation, reason = "sums of a share are kept in half the size")]
    pub(super) fn learn(&mut self, context: &Context, place: &Place, value: f64, parent: f64) {
        let visits = f64::from(context.per_day) / PARTS as f64;
        let fade = 1.0 / (DAYS * visits).max(1.0);
        for (part, weight) in parts(context, place) {
            let take = |sum: &mut f32, value: f64| {
                let sum_now = f64::from(*sum);
                *sum = (sum_now + weight * (value - fade * sum_now)) as f32;
            };
            take(&mut self.own[part], value);
            take(&mut self.parent[part], parent);
        }
    }

    /// The level has changed: what comes now counts for more.
    pub(super) fn forget(&mut self) {
        self.own.iter_mut().chain(&mut self.parent).for_each(|sum| *sum *= LEFT);
    }
}

/// The two parts between whose centres an interval lies, with their weights.
fn parts(context: &Context, place: &Place) -> [(usize, f64); 2] {
    let at = (place.slot as f64 + 0.5) / f64::from(context.per_day.max(1)) * PARTS as f64 + PARTS as f64 - 0.5;
    let (whole, rest) = (at as usize, at.fract());
    [(whole % PARTS, 1.0 - rest), ((whole + 1) % PARTS, rest)]
}
