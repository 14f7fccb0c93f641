//! What the values of one column have in common.

use std::collections::HashSet;

use super::times::Times;
use super::{ColumnReport, Distinct, Role, TYPE_SHARE_MIN};
use crate::decode::number;
use crate::decode::value::{Value, shortened};
use crate::model::{ColumnType, MeasureType, Zone};

/// Different values are counted up to here.
const DISTINCT_MAX: usize = 10_000;
/// A category has no more different values than this,
const DIMENSION_DISTINCT_MAX: u64 = 1_000;
/// and each comes this often on average.
const DIMENSION_REPEATS_MIN: u64 = 2;
const EXAMPLES_MAX: usize = 3;

/// Values seen so far.
pub(super) struct Observed {
    name: String,
    /// Values that are there and are no objects or arrays.
    values: u64,
    integers: u64,
    floats: u64,
    /// Values such as `007`, which are no numbers although they look so.
    codes: u64,
    nested: u64,
    distinct: HashSet<String>,
    examples: Vec<String>,
    times: Times,
}

impl Observed {
    /// No value yet.
    pub(super) fn new(name: String, zone: Zone) -> Observed {
        Observed {
            name,
            values: 0,
            integers: 0,
            floats: 0,
            codes: 0,
            nested: 0,
            distinct: HashSet::new(),
            examples: Vec::new(),
            times: Times::new(zone),
        }
    }

    /// Adds one.
    pub(super) fn add(&mut self, value: &Value<'_>) {
        if let Value::Nested(_) = value {
            self.nested += 1;
            return;
        }
        let text = value.shown().trim();
        if text.is_empty() {
            return;
        }
        self.values += 1;
        if number::float(text).is_some() {
            self.floats += 1;
            self.integers += u64::from(number::integer(text).is_some());
            self.codes += u64::from(is_code(text));
        }
        self.times.add(text);
        if self.distinct.len() < DISTINCT_MAX && !self.distinct.contains(text) {
            self.distinct.insert(text.to_owned());
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(shortened(text));
            }
        }
    }

    /// What they have in common; `records` is how many records there were.
    #[expect(clippy::cast_precision_loss, reason = "counts of a sample are far below 2^53")]
    pub(super) fn report(self, records: u64) -> ColumnReport {
        let most = |count: u64| self.values > 0 && count as f64 >= TYPE_SHARE_MIN * self.values as f64;
        let kind = match self.codes {
            0 if most(self.integers) => ColumnType::Integer,
            0 if most(self.floats) => ColumnType::Float,
            _ => ColumnType::Text,
        };
        let distinct = self.distinct.len() as u64;
        let times = self.times.report(self.values);
        let is_category = distinct <= DIMENSION_DISTINCT_MAX && distinct * DIMENSION_REPEATS_MIN <= self.values;
        let role = match kind {
            _ if self.nested > self.values => Role::Nested,
            _ if times.is_some() || self.values == 0 => Role::Other,
            ColumnType::Integer if !is_identifier(&self.name) => Role::Measure(MeasureType::Integer),
            ColumnType::Float => Role::Measure(MeasureType::Float),
            ColumnType::Text | ColumnType::Integer if is_category => Role::Dimension,
            ColumnType::Text | ColumnType::Integer => Role::Other,
        };
        let present = self.values + self.nested;
        ColumnReport {
            name: self.name,
            kind,
            role,
            missing_share: if records == 0 { 0.0 } else { records.saturating_sub(present) as f64 / records as f64 },
            distinct: if self.distinct.len() < DISTINCT_MAX {
                Distinct::Exactly(distinct)
            } else {
                Distinct::AtLeast(distinct)
            },
            examples: self.examples,
            times,
        }
    }
}

/// Whether a number has a zero in front that would be lost.
fn is_code(text: &str) -> bool {
    matches!(text.as_bytes(), [b'0', b'0'..=b'9', ..])
}

/// Whether a name says that its numbers only tell things apart: `id`, `store_id`, `zip_code`, `orderId`.
fn is_identifier(name: &str) -> bool {
    let name = name.trim();
    let lower = name.to_lowercase();
    let last = lower.rsplit(['_', '-', '.', ' ']).next().unwrap_or_default();
    matches!(last, "id" | "code" | "zip" | "key" | "uuid") || name.ends_with("Id") || name.ends_with("ID")
}
