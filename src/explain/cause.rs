//! The points of a measure in an interval as leaves of the lattice, and what it says of them with names.
//!
//! Every series that speaks is a leaf, the normal ones too. How far its value may be from what was expected is what its band
//! says: the ends are where an interval by itself would alarm. A series that is still learning has nothing to be held
//! against, and is none. Sums and counts add up, and one without rows came to 0; of the other aggregations a slice has the
//! mean of its series, and one without rows is none.

use std::collections::HashMap;

use super::lattice::{self, Amount, Basis, Explanation, Kind, Leaves};
use crate::model::{Cause, Dimensions, Point, PointState, RootCause, SharesOf};

/// Standard deviations from what was expected to the nearer end of a band, at the least that a user may choose.
const BAND: f64 = 4.0;
/// Of its size, where the band has no width or no end.
const UNKNOWN: f64 = 0.1;

/// Why the points deviate. They are of one measure and one interval.
pub(super) fn root_cause<'a>(
    points: impl Iterator<Item = &'a Point>,
    dimension_names: &[String],
    adds_up: bool,
) -> RootCause {
    let mut values: Vec<Vec<&str>> = vec![Vec::new(); dimension_names.len()];
    let mut codes: Vec<HashMap<&str, u32>> = vec![HashMap::new(); dimension_names.len()];
    let mut leaves = Leaves::new(if adds_up { Kind::Additive } else { Kind::Level }, dimension_names.len());
    let mut row = Vec::new();
    for point in points {
        let Some((amount, deviation)) = leaf(point, adds_up) else { continue };
        row.clear();
        for ((value, codes), values) in point.key.values().zip(&mut codes).zip(&mut values) {
            let next = codes.len() as u32;
            row.push(*codes.entry(value).or_insert_with(|| {
                values.push(value);
                next
            }));
        }
        leaves.push(&row, amount, deviation);
    }
    named(&lattice::explain(&leaves), dimension_names, &values)
}

fn leaf(point: &Point, adds_up: bool) -> Option<(Amount, f64)> {
    if matches!(point.state, PointState::Learning { .. }) {
        return None;
    }
    let value = point.value.or(adds_up.then_some(0.0))?;
    let Point { expected, lower, upper, .. } = *point;
    // a band that was cut at 0 has one end that says how far is far
    let room =
        if lower <= 0.0 && expected >= 0.0 { upper - expected } else { (expected - lower).min(upper - expected) };
    let deviation =
        if room.is_finite() && room > 0.0 { room / BAND } else { UNKNOWN * value.abs().max(expected.abs()) };
    Some((Amount { value, expected }, deviation))
}

fn named(said: &Explanation, names: &[String], values: &[Vec<&str>]) -> RootCause {
    let cause = |cause: &lattice::Cause| Cause {
        dimensions: Dimensions::of(
            cause.slice.iter().map(|(dim, code)| (names[*dim].clone(), values[*dim][*code as usize].to_owned())),
        ),
        share: cause.share,
        value: cause.amount.value,
        expected: cause.amount.expected,
    };
    RootCause {
        causes: said.causes.iter().map(cause).collect(),
        unexplained: said.unexplained,
        external: said.external,
        shares_of: match said.basis {
            Basis::Net => SharesOf::Net,
            Basis::Gross => SharesOf::Gross,
        },
    }
}
