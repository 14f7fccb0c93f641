//! Rows of one interval, kept by source partition in the order of the source, and the scattering of a batch over
//! intervals: row numbers are collected first, and rows are copied once per interval and batch.

use std::collections::BTreeMap;

use arrow_array::UInt32Array;
use arrow_schema::ArrowError;
use arrow_select::take::take_record_batch;
use serde::{Deserialize, Serialize};

use crate::model::{Interval, Rows, SourcePartition, Timestamp};

/// Rows of one interval.
#[derive(Debug, Default)]
pub struct Held {
    parts: BTreeMap<SourcePartition, Vec<Rows>>,
}

/// Which stretch of a source partition an interval's rows come from: place of the first and of the last row, inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRange {
    /// The source partition.
    pub partition: SourcePartition,
    /// Place of the first row.
    pub first: u64,
    /// Place of the last row.
    pub last: u64,
    /// Rows.
    pub rows: u64,
}

impl Held {
    pub(super) fn add(&mut self, partition: SourcePartition, rows: Rows) {
        self.parts.entry(partition).or_default().push(rows);
    }

    /// The rows, ordered by source partition and place: the order in which they are written and judged.
    pub fn rows(&self) -> impl Iterator<Item = &Rows> {
        self.parts.values().flatten()
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows().map(Rows::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// First and last event time.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        let times = || self.rows().flat_map(|rows| rows.times().iter().copied());
        Some((times().min()?, times().max()?))
    }

    /// Where the rows come from.
    pub fn sources(&self) -> Vec<SourceRange> {
        let range = |(partition, parts): (&SourcePartition, &Vec<Rows>)| {
            let positions = || parts.iter().flat_map(|rows| rows.positions().iter().copied());
            Some(SourceRange {
                partition: partition.clone(),
                first: positions().min()?,
                last: positions().max()?,
                rows: positions().count() as u64,
            })
        };
        self.parts.iter().filter_map(range).collect()
    }
}

/// The rows of one batch on their way to their intervals.
pub(super) struct Scatter<'a> {
    partition: &'a SourcePartition,
    rows: &'a Rows,
    /// Row numbers by the interval they ride on and the interval they belong to.
    waiting: BTreeMap<(Interval, Interval), Vec<u32>>,
}

impl<'a> Scatter<'a> {
    pub(super) fn new(partition: &'a SourcePartition, rows: &'a Rows) -> Scatter<'a> {
        Scatter { partition, rows, waiting: BTreeMap::new() }
    }

    pub(super) fn partition(&self) -> &'a SourcePartition {
        self.partition
    }

    pub(super) fn add(&mut self, carrier: Interval, interval: Interval, row: usize) {
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        self.waiting.entry((carrier, interval)).or_default().push(row);
    }

    /// Copies the waiting rows out and hands them on.
    pub(super) fn flush(&mut self, mut hold: impl FnMut(Interval, Interval, Rows)) -> Result<(), ArrowError> {
        for ((carrier, interval), numbers) in std::mem::take(&mut self.waiting) {
            hold(carrier, interval, self.pick(numbers)?);
        }
        Ok(())
    }

    fn pick(&self, numbers: Vec<u32>) -> Result<Rows, ArrowError> {
        let (times, positions) = numbers
            .iter()
            .filter_map(|row| {
                let row = *row as usize;
                Some((*self.rows.times().get(row)?, *self.rows.positions().get(row)?))
            })
            .unzip();
        let batch = take_record_batch(self.rows.batch(), &UInt32Array::from(numbers))?;
        Rows::new(batch, times, positions).map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))
    }
}
