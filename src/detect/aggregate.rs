//! From the rows of one interval to its cells: per series the row count and, per measure column, count, sum, minimum and
//! maximum; then what else measures take of the rows (`intake`). Rows are taken one by one in the order given, so that sums have the same bits live and in a backtest (D1).

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::ArrowNativeType as _;

use super::intake::{Intake, Slot};
use super::places::Places;
use crate::model::{Cell, ClosedInterval, Columns, Interval, MeasureType, Rows, SeriesKey, Sketch, Stats};

/// Gathers the rows of one interval after another.
#[derive(Clone, Debug)]
pub struct Aggregator {
    dimensions: usize,
    /// Column index and type of each measure.
    measures: Vec<(usize, MeasureType)>,
    cells: Vec<Cell>,
    /// From the dimension values to the place in `cells`.
    places: Places,
    /// The dimension values of each cell as words, where all are short, and those of the row that is looked at.
    words: Vec<u64>,
    asked: Vec<u64>,
    /// What is gathered beside the measure columns, and the place in `cells` of each row of a batch, if anything is.
    slots: Vec<Slot>,
    sketched: Vec<Slot>,
    rows_at: Vec<usize>,
}

impl Aggregator {
    /// For rows in these columns, of which nothing but the measure columns is gathered.
    pub fn new(columns: &Columns) -> Aggregator {
        Aggregator::gathering(&Intake::plain(columns))
    }

    /// For rows of which this is gathered.
    pub fn gathering(intake: &Intake) -> Aggregator {
        let columns = intake.columns();
        let measures = columns.measures.iter().enumerate();
        Aggregator {
            dimensions: columns.dimensions.len(),
            measures: measures.map(|(index, (_, kind))| (columns.measure_index(index), *kind)).collect(),
            cells: Vec::new(),
            places: Places::new(),
            words: Vec::new(),
            asked: vec![LONG; columns.dimensions.len()],
            slots: intake.slots().to_vec(),
            sketched: intake.sketched().to_vec(),
            rows_at: Vec::new(),
        }
    }

    /// Takes rows of the interval that is open here, in their order. O(rows x columns).
    ///
    /// # Panics
    /// When the batch does not have the columns that were promised: the caller's mistake, not the data's.
    pub fn add(&mut self, rows: &Rows) {
        let batch = rows.batch();
        let keys: Vec<&StringArray> = (0..self.dimensions).map(|at| batch.column(at).as_string::<i32>()).collect();
        let values: Vec<Values<'_>> =
            self.measures.iter().map(|(at, kind)| Values::of(batch.column(*at), *kind)).collect();
        let has_more = !self.slots.is_empty() || !self.sketched.is_empty();
        for row in 0..rows.len() {
            let place = self.place(&keys, row);
            if has_more {
                self.rows_at.push(place);
            }
            let cell = &mut self.cells[place];
            cell.rows += 1;
            for (stats, values) in cell.stats.iter_mut().zip(&values) {
                if let Some(value) = values.get(row) {
                    stats.add(value);
                }
            }
        }
        for (slot, at) in self.slots.iter().zip(self.measures.len()..) {
            slot.gather(batch, |row, value| {
                let cell = self.rows_at.get(row).and_then(|place| self.cells.get_mut(*place));
                if let Some(stats) = cell.and_then(|cell| cell.stats.get_mut(at)) {
                    stats.add(value);
                }
            });
        }
        let (cells, rows_at) = (&mut self.cells, &self.rows_at);
        let mut sketch = |row: usize, at: usize, add: &dyn Fn(&mut Sketch)| {
            let cell = rows_at.get(row).and_then(|place| cells.get_mut(*place));
            cell.and_then(|cell| cell.sketches.get_mut(at)).into_iter().for_each(add);
        };
        for (at, slot) in self.sketched.iter().enumerate() {
            match slot.sketch() {
                Some(Sketch::Distinct(_)) => slot.gather_bytes(batch, |row, value| {
                    sketch(row, at, &|sketch| {
                        if let Sketch::Distinct(distinct) = sketch {
                            distinct.add(value);
                        }
                    });
                }),
                Some(Sketch::Quantiles(_)) => slot.gather(batch, |row, value| {
                    sketch(row, at, &|sketch| {
                        if let Sketch::Quantiles(quantiles) = sketch {
                            quantiles.add(value);
                        }
                    });
                }),
                None => {}
            }
        }
        self.rows_at.clear();
    }

    /// Closes the interval: its cells in the order of their keys. The next rows belong to the next interval.
    pub fn close(&mut self, interval: Interval) -> ClosedInterval {
        self.places.clear();
        self.words.clear();
        let mut cells = std::mem::take(&mut self.cells);
        cells.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        ClosedInterval { interval, cells }
    }

    /// The place of a row's cell, which is made if there is none.
    #[inline]
    fn place(&mut self, keys: &[&StringArray], row: usize) -> usize {
        let mut are_short = true;
        for (asked, key) in self.asked.iter_mut().zip(keys) {
            *asked = word(key, row);
            are_short &= *asked != LONG;
        }
        if !are_short {
            return self.place_of_long(keys, row);
        }
        let (words, asked) = (&self.words, &self.asked);
        let hash = self.places.hash_words(asked);
        let is_it = |place: usize| {
            let words = words[place * asked.len()..].iter().zip(asked);
            words.fold(true, |is_it, (one, other)| is_it & (one == other))
        };
        match self.places.find(hash, is_it) {
            Some(place) => place,
            None => self.add_cell(keys, row, hash),
        }
    }

    fn place_of_long(&mut self, keys: &[&StringArray], row: usize) -> usize {
        self.asked.fill(LONG);
        let hash = self.places.hash(keys.iter().map(|key| key.value(row).as_bytes()));
        let is_it = |place: usize| self.cells[place].key.values().eq(keys.iter().map(|key| key.value(row)));
        match self.places.find(hash, is_it) {
            Some(place) => place,
            None => self.add_cell(keys, row, hash),
        }
    }

    #[cold]
    fn add_cell(&mut self, keys: &[&StringArray], row: usize, hash: u64) -> usize {
        let place = self.cells.len();
        self.places.push(hash);
        self.words.extend(&self.asked);
        let key = SeriesKey::new(keys.iter().map(|key| key.value(row)));
        let stats = vec![Stats::EMPTY; self.measures.len() + self.slots.len()];
        let sketches = self.sketched.iter().filter_map(Slot::sketch).collect();
        self.cells.push(Cell { key, rows: 0, stats, sketches });
        place
    }
}

/// Stands for a value that is too long for a word: no short one has this length.
const LONG: u64 = u64::MAX;

/// A value of at most seven bytes, and its length in the highest byte.
#[inline]
fn word(key: &StringArray, row: usize) -> u64 {
    let (ends, bytes) = (key.value_offsets(), key.value_data());
    let (start, end) = (ends[row].as_usize(), ends[row + 1].as_usize());
    let length = end - start;
    if length > 7 {
        return LONG;
    }
    let text = match bytes[start..].first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk) & !(u64::MAX << (8 * length)),
        None => bytes[start..end].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    text | (length as u64) << 56
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
    fn short_and_long_values_have_cells_of_their_own() {
        let long = ["1234567", "12345678", "123456789", "", "\0", "\0\0", "é", "1234567\0"];
        let pairs: Vec<(&str, &str)> =
            long.iter().flat_map(|one| long.iter().map(move |other| (*one, *other))).collect();
        let data: Vec<_> = pairs.iter().chain(pairs.iter().rev()).map(|(a, b)| (*a, *b, Some(1), None)).collect();
        let mut aggregator = Aggregator::new(&columns());
        for _ in 0..2 {
            aggregator.add(&rows(&data));
            let closed = aggregator.close(Interval::containing(0, Length::from_seconds(300).unwrap()));
            let mut expected: Vec<Vec<&str>> = pairs.iter().map(|(a, b)| vec![*a, *b]).collect();
            expected.sort();
            let keys: Vec<Vec<&str>> = closed.cells.iter().map(|cell| cell.key.values().collect()).collect();
            assert_eq!(keys, expected);
            assert!(closed.cells.iter().all(|cell| cell.rows == 2));
        }
    }

    #[test]
    fn values_that_join_alike_stay_apart() {
        let mut aggregator = Aggregator::new(&columns());
        aggregator.add(&rows(&[("a", "bc", Some(1), None), ("ab", "c", Some(1), None)]));
        assert_eq!(aggregator.close(Interval::containing(0, Length::from_seconds(300).unwrap())).cells.len(), 2);
    }
}
