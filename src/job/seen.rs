//! What the detector is given of a closed interval: the aggregates of its series, or, where records are scored, its rows as
//! they are committed. One place gathers it for the line, for history and for backtests (D1).

use super::error::JobError;
use super::judge;
use crate::config::Config;
use crate::detect::{Aggregator, Intake};
use crate::model::{ClosedInterval, Closing, Columns, Interval, Rows};

/// What the detector is given of one interval.
#[derive(Debug)]
pub(super) enum Seen {
    /// Aggregates by series.
    Cells(ClosedInterval),
    /// Rows, in the order of the partition.
    Rows(Interval, Vec<Rows>),
}

impl Seen {
    /// Which interval.
    pub(super) fn interval(&self) -> Interval {
        match self {
            Seen::Cells(closed) => closed.interval,
            Seen::Rows(interval, _) => *interval,
        }
    }

    /// Whether it has no row.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Seen::Cells(closed) => closed.cells.is_empty(),
            Seen::Rows(_, rows) => rows.iter().all(Rows::is_empty),
        }
    }
}

/// Gathers it.
#[derive(Clone, Debug)]
pub(super) struct Gatherer {
    intake: Intake,
    is_of_records: bool,
}

impl Gatherer {
    /// As a configuration's detector wants it, from rows in these columns.
    ///
    /// # Errors
    /// When a measure takes something of the rows that is not there.
    pub(super) fn new(config: &Config, columns: &Columns) -> Result<Gatherer, JobError> {
        Ok(Gatherer { intake: judge::intake(config, columns)?, is_of_records: config.detect.records.is_some() })
    }

    /// From the rows of an interval.
    pub(super) fn gather<'a>(&self, interval: Interval, rows: impl Iterator<Item = &'a Rows>) -> Seen {
        if self.is_of_records {
            return Seen::Rows(interval, rows.cloned().collect());
        }
        let mut aggregator = Aggregator::gathering(&self.intake);
        rows.for_each(|rows| aggregator.add(rows));
        Seen::Cells(aggregator.close(interval))
    }

    /// Whether an interval counts that its source's end cut short: its sums are not what they would be, its records are.
    pub(super) fn sees_incomplete(&self) -> bool {
        self.is_of_records
    }

    /// Whether it gives the rows themselves.
    pub(super) fn gives_rows(&self) -> bool {
        self.is_of_records
    }

    /// Whether the detector is given anything of a closing.
    pub(super) fn sees(&self, closing: &Closing) -> bool {
        (closing.complete || self.sees_incomplete()) && !closing.rows.is_empty()
    }
}
