//! The scattering of a batch over intervals: row numbers are collected first, and rows are copied once per interval and
//! batch.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;

use crate::model::{Interval, Rows};

/// The rows of one batch on their way to their intervals.
pub(super) struct Scatter<'a> {
    rows: &'a Rows,
    /// Row numbers by the interval they ride on and the interval they belong to.
    waiting: BTreeMap<(Interval, Interval), Vec<u32>>,
}

impl<'a> Scatter<'a> {
    pub(super) fn new(rows: &'a Rows) -> Scatter<'a> {
        Scatter { rows, waiting: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, carrier: Interval, interval: Interval, row: usize) {
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        self.waiting.entry((carrier, interval)).or_default().push(row);
    }

    /// Copies the waiting rows out and hands them on.
    pub(super) fn flush(&mut self, mut hold: impl FnMut(Interval, Interval, Rows)) -> Result<(), ArrowError> {
        for ((carrier, interval), numbers) in std::mem::take(&mut self.waiting) {
            hold(carrier, interval, self.rows.picked(&numbers)?);
        }
        Ok(())
    }
}
