//! The points of a measure in an interval as leaves of the lattice, and what it says of them with names.
//!
//! Every series that speaks is a leaf, the normal ones too. How far its value may be from what was expected is what its band
//! says: the ends are where an interval by itself would alarm. A series that is still learning has nothing to be held
//! against, and is none. A ratio is looked at by its two sides: how many there were to succeed, and how many did. Sums and counts add up, and one without rows came to 0; of the other aggregations a slice has the
//! mean of its series, and one without rows is none.

use std::collections::{BTreeMap, HashMap};

use super::lattice::{self, Amount, Basis, Explanation, Kind, Leaves};
use crate::model::{Cause, Dimensions, Point, PointState, RootCause, SeriesKey, SharesOf};

/// Why the points deviate. They are of one measure and one interval.
pub(super) fn root_cause<'a>(
    points: impl Iterator<Item = &'a Point>,
    dimension_names: &[String],
    adds_up: bool,
) -> RootCause {
    let mut codes = Codes::new(dimension_names.len());
    let mut leaves = Leaves::new(if adds_up { Kind::Additive } else { Kind::Level }, dimension_names.len());
    for point in points {
        let Some((amount, deviation)) = leaf(point, adds_up) else { continue };
        leaves.push(codes.row(&point.key), amount, deviation);
    }
    named(&lattice::explain(&leaves), dimension_names, &codes.values)
}

/// Why a ratio deviates, from the points of its numerator and of its denominator, each ordered by key.
pub(super) fn root_cause_of_ratio<'a>(
    (above, below): (impl Iterator<Item = &'a Point>, impl Iterator<Item = &'a Point>),
    dimension_names: &[String],
    scale: f64,
    is_counted: bool,
) -> RootCause {
    let is_known = |point: &&Point| !matches!(point.state, PointState::Learning { .. });
    let amount = |point: &Point| Amount { value: point.value.unwrap_or(0.0), expected: point.expected };
    let above: BTreeMap<&SeriesKey, Amount> = above.filter(is_known).map(|point| (&point.key, amount(point))).collect();
    let pairs: Vec<(&Point, Amount, Amount)> =
        below.filter(is_known).filter_map(|point| Some((point, *above.get(&point.key)?, amount(point)))).collect();
    let is_part = |above: f64, below: f64| (0.0..=below).contains(&above);
    let is_part = |(_, above, below): &(&Point, Amount, Amount)| {
        is_part(above.value, below.value) && is_part(above.expected, below.expected)
    };
    let kind = if is_counted && pairs.iter().all(is_part) { Kind::Ratio } else { Kind::Average };
    let (mut codes, mut leaves) = (Codes::new(dimension_names.len()), Leaves::new(kind, dimension_names.len()));
    for (point, above, below) in pairs {
        leaves.push_over(codes.row(&point.key), above, below, 0.0);
    }
    let mut said = named(&lattice::explain(&leaves), dimension_names, &codes.values);
    for cause in &mut said.causes {
        (cause.value, cause.expected) = (scale * cause.value, scale * cause.expected);
    }
    said
}

/// Codes of the values of each dimension, in the order in which they come.
struct Codes<'a> {
    values: Vec<Vec<&'a str>>,
    codes: Vec<HashMap<&'a str, u32>>,
    row: Vec<u32>,
}

impl<'a> Codes<'a> {
    fn new(dimensions: usize) -> Codes<'a> {
        Codes { values: vec![Vec::new(); dimensions], codes: vec![HashMap::new(); dimensions], row: Vec::new() }
    }

    fn row(&mut self, key: &'a SeriesKey) -> &[u32] {
        self.row.clear();
        for ((value, codes), values) in key.values().zip(&mut self.codes).zip(&mut self.values) {
            let next = codes.len() as u32;
            self.row.push(*codes.entry(value).or_insert_with(|| {
                values.push(value);
                next
            }));
        }
        &self.row
    }
}

fn leaf(point: &Point, adds_up: bool) -> Option<(Amount, f64)> {
    if matches!(point.state, PointState::Learning { .. }) {
        return None;
    }
    let value = point.value.or(adds_up.then_some(0.0))?;
    Some((Amount { value, expected: point.expected }, point.deviation(value)))
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
