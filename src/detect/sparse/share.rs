//! The share that a series has of its parent, by the time of day.
//!
//! The day is cut into eight parts, between whose centres the share goes straight. Each part keeps sums with exponentially
//! fading memory, of the series' values `v` and of the parent's `V`; its share is `(v + k) / (V + k / s)`, where
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
    /// How much was taken in.
    weight: [f32; PARTS],
}

codec!(Share { own, parent, weight });

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

    /// The series' mean at a time of the day, whatever its parent has; none if nothing is known yet.
    pub(super) fn mean(&self, context: &Context, place: &Place) -> Option<f64> {
        let [(one, near), (other, far)] = parts(context, place);
        let sum = |parts: &[f32; PARTS]| near * f64::from(parts[one]) + far * f64::from(parts[other]);
        Some(sum(&self.own) / sum(&self.weight)).filter(|mean| mean.is_finite())
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
            take(&mut self.weight[part], 1.0);
        }
    }

    /// The level has changed: what comes now counts for more.
    pub(super) fn forget(&mut self) {
        self.own.iter_mut().chain(&mut self.parent).chain(&mut self.weight).for_each(|sum| *sum *= LEFT);
    }
}

/// The two parts between whose centres an interval lies, with their weights.
fn parts(context: &Context, place: &Place) -> [(usize, f64); 2] {
    let at = (place.of_day as f64 + 0.5) / f64::from(context.per_day.max(1)) * PARTS as f64 + PARTS as f64 - 0.5;
    let (whole, rest) = (at as usize, at.fract());
    [(whole % PARTS, 1.0 - rest), ((whole + 1) % PARTS, rest)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::margin::Margin;
    use crate::model::{Interval, Length};

    #[test]
    fn the_share_follows_the_time_of_day_and_begins_with_the_share_of_all_parts() {
        let length = Length::from_seconds(900).unwrap();
        let context = Context { per_day: 96, alarm: 4.0, empty_is_zero: true, margin: Margin::NONE, is_counter: false };
        let place = |step: i64| Place::of(Interval::containing(0, length).offset(step));
        // half of the parent's by day, nothing by night
        let by_day = |step: i64| if (24..72).contains(&step.rem_euclid(96)) { 50.0 } else { 0.0 };
        let mut share = Share::default();
        assert_eq!(share.at(&context, &place(0), 1.0), None);
        for step in 0..96 * 20 {
            share.learn(&context, &place(step), by_day(step), 100.0);
        }
        let (noon, night) = (share.at(&context, &place(48), 1.0).unwrap(), share.at(&context, &place(0), 1.0).unwrap());
        assert!((noon - 0.5).abs() < 0.02 && night < 0.02, "{noon} {night}");
        assert!((share.mean(&context, &place(48)).unwrap() - 50.0).abs() < 1.0);
        // rows as large as all that came: nothing is known of the parts
        let vague = share.at(&context, &place(0), 1e9).unwrap();
        assert!((vague - 0.25).abs() < 0.01, "{vague}");
    }
}
