//! Late rows that revise a partition and not all verdicts. Of sums, counts and extremes it is remembered what they came to,
//! so late rows are joined to it. Different values and percentiles come from sketches, some kilobytes for each series and
//! interval: those of a day would take more than all forests. So their verdicts stay, and it is counted how many late rows
//! they know nothing of.

use std::sync::Arc;

use crate::detect::Measure;
use crate::model::ClosedInterval;

/// It is told at the first such row, and again whenever there are so many times as many.
const AGAIN: u64 = 10;

/// Counts late rows that measures know nothing of.
#[derive(Debug)]
pub(super) struct Unrevised {
    measures: Vec<Arc<str>>,
    rows: u64,
    told: u64,
}

impl Unrevised {
    /// For those of these measures that are made of sketches.
    pub(super) fn of(measures: &[Measure]) -> Unrevised {
        let sketched = measures.iter().filter(|measure| measure.aggregation().is_sketched());
        Unrevised { measures: sketched.map(|measure| Arc::clone(measure.name())).collect(), rows: 0, told: 0 }
    }

    /// Takes the late rows of an interval that has been judged.
    pub(super) fn add(&mut self, late: &ClosedInterval) {
        if !self.measures.is_empty() {
            self.rows += late.cells.iter().map(|cell| cell.rows).sum::<u64>();
        }
    }

    /// What whoever runs the job should know.
    pub(super) fn news(&mut self) -> Option<String> {
        if self.rows == 0 || self.rows < self.told.saturating_mul(AGAIN) {
            return None;
        }
        self.told = self.rows;
        let names: Vec<String> = self.measures.iter().map(|name| format!("`{name}`")).collect();
        let (rows, names) = (self.rows, names.join(" and "));
        Some(format!(
            "late rows do not revise the verdicts of {names}, which count different values or are percentiles: {rows} so far; \
             hint: a larger `interval.offset` waits for them"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Aggregation;
    use crate::model::{Cell, Interval, Length, SeriesKey};

    #[test]
    fn it_is_told_once_and_again_when_there_are_many_more() {
        let late = |rows| ClosedInterval {
            interval: Interval::containing(0, Length::from_seconds(60).unwrap()),
            cells: vec![Cell { key: SeriesKey::new(["a"]), rows, stats: Vec::new(), sketches: Vec::new() }],
        };
        let measure = |name: &str, aggregation| Measure::new(name.into(), 0, aggregation);
        let mut none = Unrevised::of(&[measure("views", Aggregation::Sum)]);
        none.add(&late(100));
        assert_eq!(none.news(), None);
        let mut counted = Unrevised::of(&[measure("views", Aggregation::Sum), measure("users", Aggregation::Distinct)]);
        assert_eq!(counted.news(), None);
        counted.add(&late(3));
        assert!(counted.news().is_some_and(|told| told.contains("`users`") && told.contains("3 so far")));
        counted.add(&late(26));
        assert_eq!(counted.news(), None);
        counted.add(&late(1));
        assert!(counted.news().is_some_and(|told| told.contains("30 so far")));
    }
}
