//! What an interval brings the series of one key: the values that its measures take from the cell, and its weight. This
//! is all that a step needs to know of the rows, so it is what a step is written down with.

use super::settings::{Aggregation, Measure};
use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};
use super::sparse::{Given, Parent};
use crate::model::{Cell, SeriesKey, Stats};

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
        let given = |measure: &Measure| Given {
            value: value_of(cell, measure.column(), measure.aggregation()),
            rows: cell.stats.get(measure.column()).map_or(0, Stats::count),
        };
        Arrival {
            key: cell.key.clone(),
            rows: cell.rows,
            magnitude: cell.stats.iter().map(Stats::sum).map(f64::abs).sum(),
            given: measures.iter().map(given).collect(),
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
    }
    .filter(|value| value.is_finite())
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
