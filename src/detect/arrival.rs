//! What an interval brings the series of one key: the values that its measures take from the cell, and its weight. This
//! is all that a step needs to know of the rows, so it is what a step is written down with.

use super::derived;
use super::settings::{Aggregation, Measure};
use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};
use super::sparse::{Given, Parent};
use crate::model::{Cell, SeriesKey, Sketch, Stats};

/// What an interval brings the series of one key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrival {
    pub(super) key: SeriesKey,
    pub(super) rows: u64,
    /// Of all sums of the cell together.
    pub(super) magnitude: f64,
    /// For each measure.
    pub(super) given: Vec<Given>,
}

impl Arrival {
    /// What these measures take from a cell.
    pub(super) fn of(cell: &Cell, measures: &[Measure]) -> Arrival {
        let given = |measure: &Measure| match measure.expression() {
            Some(_) => Given::NOTHING,
            None if !measure.aggregation().is_joinable() => sketched(cell, measure),
            None => Given {
                value: value_of(cell, measure.column(), measure.aggregation()),
                rows: cell.stats.get(measure.column()).map_or(0, Stats::count),
            },
        };
        let mut given: Vec<Given> = measures.iter().map(given).collect();
        derived::complete(&mut given, measures);
        if cell.rows == 0 {
            // there for a window over earlier intervals alone
            given.iter_mut().filter(|given| given.rows == 0).for_each(|given| *given = Given::NOTHING);
        }
        Arrival {
            key: cell.key.clone(),
            rows: cell.rows,
            magnitude: cell.stats.iter().map(Stats::sum).map(f64::abs).sum(),
            given,
        }
    }
}

impl Given {
    /// Of an interval without rows.
    pub(super) const NOTHING: Given = Given { value: None, rows: 0 };
}

#[expect(clippy::cast_precision_loss, reason = "counts of one interval stay far below 2^53")]
fn value_of(cell: &Cell, column: usize, aggregation: Aggregation) -> Option<f64> {
    let stats = cell.stats.get(column)?;
    match aggregation {
        Aggregation::Sum => (stats.count() > 0).then(|| stats.sum()),
        Aggregation::Avg => stats.mean(),
        Aggregation::Count => Some(stats.count() as f64),
        Aggregation::Min => stats.min(),
        Aggregation::Max => stats.max(),
        Aggregation::Distinct | Aggregation::Percentile(_) | Aggregation::Expression => None,
    }
    .filter(|value| value.is_finite())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, rounded")]
fn sketched(cell: &Cell, measure: &Measure) -> Given {
    match (cell.sketches.get(measure.column()), measure.aggregation()) {
        (Some(Sketch::Distinct(distinct)), Aggregation::Distinct) => {
            let count = distinct.count();
            Given { value: Some(count), rows: count as u64 }
        }
        (Some(Sketch::Quantiles(quantiles)), Aggregation::Percentile(percentile)) => {
            Given { value: quantiles.at(percentile.share()), rows: quantiles.count() }
        }
        _ => Given::NOTHING,
    }
}

codec!(Parent { value, basis, is_odd });

// there is one of these for every series and interval: small numbers take few bytes
impl Codec for Arrival {
    fn write(&self, to: &mut Writer) {
        let Arrival { key, rows, magnitude, given } = self;
        key.write(to);
        to.small(*rows);
        magnitude.write(to);
        to.small(given.len() as u64);
        for Given { value, rows } in given {
            value.write(to);
            to.small(*rows);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Arrival, SnapshotError> {
        let (key, rows, magnitude) = (SeriesKey::read(from)?, from.small()?, f64::read(from)?);
        let mut given = Vec::new();
        for _ in 0..from.small()? {
            given.push(Given { value: Option::read(from)?, rows: from.small()? });
        }
        Ok(Arrival { key, rows, magnitude, given })
    }
}
