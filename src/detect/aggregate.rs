//! From the rows of one interval to its cells: per series the row count and, per column that is measured, count, sum, minimum
//! and maximum; then what else measures take of the rows (`intake`). Rows are taken one by one in the order given, so that sums
//! have the same bits live and in a backtest (D1).

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringArray};

use super::cells::Cells;
use super::intake::{Intake, Slot};
use crate::model::{Cell, ClosedInterval, Columns, Interval, MeasureType, Rows, Sketch, Stats};

/// Gathers the rows of one interval after another.
#[derive(Clone, Debug)]
pub struct Aggregator {
    dimensions: usize,
    /// How many measure columns there are, and of each that is asked for its number, index and type.
    columns: usize,
    asked: Vec<(usize, usize, MeasureType)>,
    cells: Cells,
    /// What is gathered of each cell: a `Stats` for each kind, and a sketch for each of `sketched`.
    stats: Vec<Stats>,
    sketches: Vec<Sketch>,
    /// What is gathered beside the measure columns.
    slots: Vec<Slot>,
    sketched: Vec<Slot>,
}

impl Aggregator {
    /// For rows in these columns, of which nothing but the measure columns is gathered.
    pub fn new(columns: &Columns) -> Aggregator {
        Aggregator::gathering(&Intake::plain(columns))
    }

    /// For rows of which this is gathered.
    pub fn gathering(intake: &Intake) -> Aggregator {
        let (columns, asked) = (intake.columns(), intake.asked().iter());
        Aggregator {
            dimensions: columns.dimensions.len(),
            columns: columns.measures.len(),
            asked: asked.map(|at| (*at, columns.measure_index(*at), columns.measures[*at].1)).collect(),
            cells: Cells::new(columns.dimensions.len()),
            stats: Vec::new(),
            sketches: Vec::new(),
            slots: intake.slots().to_vec(),
            sketched: intake.sketched().to_vec(),
        }
    }

    /// Takes rows of the interval that is open here, in their order. O(rows x columns).
    ///
    /// # Panics
    /// When the batch does not have the columns that were promised: the caller's mistake, not the data's.
    pub fn add(&mut self, rows: &Rows) {
        let batch = rows.batch();
        let keys: Vec<&StringArray> = (0..self.dimensions).map(|at| batch.column(at).as_string::<i32>()).collect();
        let (kinds, sketch_kinds, known) = (self.kinds(), self.sketched.len(), self.cells.len());
        self.cells.count(&keys, rows.len());
        let fresh = self.cells.len() - known;
        self.stats.resize(self.cells.len() * kinds, Stats::EMPTY);
        self.sketches.extend((0..fresh).flat_map(|_| self.sketched.iter().filter_map(Slot::sketch)));
        let rows_at = self.cells.places();
        let place = |row: usize| rows_at[row] as usize;
        for (at, column, kind) in &self.asked {
            let stats = &mut self.stats;
            Values::of(batch.column(*column), *kind).each(rows_at, |place, value| stats[place * kinds + at].add(value));
        }
        for (slot, at) in self.slots.iter().zip(self.columns..) {
            slot.gather(batch, |row, value| self.stats[place(row) * kinds + at].add(value));
        }
        for (at, slot) in self.sketched.iter().enumerate() {
            let sketches = &mut self.sketches;
            match slot.sketch() {
                Some(Sketch::Distinct(_)) => slot.gather_bytes(batch, |row, value| {
                    if let Sketch::Distinct(distinct) = &mut sketches[place(row) * sketch_kinds + at] {
                        distinct.add(value);
                    }
                }),
                Some(Sketch::Quantiles(_)) => slot.gather(batch, |row, value| {
                    if let Sketch::Quantiles(quantiles) = &mut sketches[place(row) * sketch_kinds + at] {
                        quantiles.add(value);
                    }
                }),
                None => {}
            }
        }
    }

    /// Closes the interval: its cells in the order of their keys. The next rows belong to the next interval.
    pub fn close(&mut self, interval: Interval) -> ClosedInterval {
        let (kinds, sketch_kinds) = (self.kinds(), self.sketched.len());
        let mut sketches = self.sketches.drain(..);
        let cells = self.cells.drain().enumerate().map(|(place, (key, rows))| {
            let stats = self.stats[place * kinds..][..kinds].to_vec();
            Cell { key, rows, stats, sketches: sketches.by_ref().take(sketch_kinds).collect() }
        });
        let mut cells: Vec<Cell> = cells.collect();
        self.stats.clear();
        cells.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        ClosedInterval { interval, cells }
    }

    /// Stats of each cell.
    fn kinds(&self) -> usize {
        self.columns + self.slots.len()
    }
}

/// One measure column.
pub(super) enum Values<'a> {
    Integer(&'a arrow_array::Int64Array),
    Float(&'a arrow_array::Float64Array),
}

impl Values<'_> {
    pub(super) fn of(column: &ArrayRef, kind: MeasureType) -> Values<'_> {
        match kind {
            MeasureType::Integer => Values::Integer(column.as_primitive::<Int64Type>()),
            MeasureType::Float => Values::Float(column.as_primitive::<Float64Type>()),
        }
    }

    /// Gives each value that is there with the place of its row.
    #[expect(clippy::cast_precision_loss, reason = "integers beyond 2^53 are measured, not counted")]
    fn each(&self, places: &[u32], mut give: impl FnMut(usize, f64)) {
        let places = places.iter().map(|place| *place as usize);
        match self {
            Values::Integer(values) if values.null_count() == 0 => {
                places.zip(values.values()).for_each(|(place, value)| give(place, *value as f64));
            }
            Values::Float(values) if values.null_count() == 0 => {
                let finite = places.zip(values.values()).filter(|(_, value)| value.is_finite());
                finite.for_each(|(place, value)| give(place, *value));
            }
            Values::Integer(_) | Values::Float(_) => {
                let there = places.enumerate().filter_map(|(row, place)| Some((place, self.get(row)?)));
                there.for_each(|(place, value)| give(place, value));
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "integers beyond 2^53 are measured, not counted")]
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        match self {
            Values::Integer(values) => values.is_valid(row).then(|| values.value(row) as f64),
            Values::Float(values) => values.is_valid(row).then(|| values.value(row)).filter(|value| value.is_finite()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, RecordBatch};

    use super::*;
    use crate::model::{Length, Timestamp};

    fn columns() -> Columns {
        Columns {
            dimensions: vec!["platform".into(), "marketplace".into()],
            timestamp: "event_time".into(),
            keep: vec![],
            measures: vec![("views".into(), MeasureType::Integer), ("revenue".into(), MeasureType::Float)],
        }
    }

    fn rows(data: &[(&str, &str, Option<i64>, Option<f64>)]) -> Rows {
        let batch = RecordBatch::try_new(
            columns().schema(),
            vec![
                Arc::new(StringArray::from_iter_values(data.iter().map(|row| row.0))) as ArrayRef,
                Arc::new(StringArray::from_iter_values(data.iter().map(|row| row.1))),
                Arc::new(StringArray::from_iter_values(data.iter().map(|_| "2021-05-24 19:18:28"))),
                Arc::new(data.iter().map(|row| row.2).collect::<Int64Array>()),
                Arc::new(data.iter().map(|row| row.3).collect::<Float64Array>()),
            ],
        )
        .unwrap();
        Rows::new(batch, vec![Timestamp::MIN; data.len()], vec![0; data.len()]).unwrap()
    }

    #[test]
    fn rows_add_up_per_series_whatever_the_batches() {
        let first = [("web", "us", Some(3), Some(0.5)), ("app", "us", Some(1), None)];
        let second = [("web", "us", Some(4), Some(0.25)), ("web", "de", None, Some(9.0))];
        let interval = Interval::containing(0, Length::from_seconds(300).unwrap());

        let mut parts = Aggregator::new(&columns());
        parts.add(&rows(&first));
        parts.add(&rows(&second));
        let closed = parts.close(interval);
        let mut whole = Aggregator::new(&columns());
        whole.add(&rows(&[first, second].concat()));
        assert_eq!(closed, whole.close(interval));

        let keys: Vec<String> = closed.cells.iter().map(|cell| cell.key.to_string()).collect();
        assert_eq!(keys, ["app/us", "web/de", "web/us"]);
        let web = &closed.cells[2];
        assert_eq!((web.rows, web.stats[0].sum(), web.stats[1].sum()), (2, 7.0, 0.75));
        assert_eq!(closed.cells[1].stats[0].count(), 0, "a missing value does not count");
        assert!(parts.close(interval).cells.is_empty(), "the next interval starts empty");
    }

    #[test]
    fn values_that_join_alike_stay_apart() {
        let mut aggregator = Aggregator::new(&columns());
        aggregator.add(&rows(&[("a", "bc", Some(1), None), ("ab", "c", Some(1), None)]));
        assert_eq!(aggregator.close(Interval::containing(0, Length::from_seconds(300).unwrap())).cells.len(), 2);
    }
}
