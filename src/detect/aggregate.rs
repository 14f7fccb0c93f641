//! From the rows of one interval to its cells: per series the row count and, per measure column, count, sum, minimum and
//! maximum; then what else measures take of the rows (`intake`). Rows are taken one by one in the order given, so that sums
//! have the same bits live and in a backtest (D1).

use std::ops::Range;

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
    /// Key and row count of each cell, and what is gathered of it: a `Stats` for each kind, and a sketch for each of
    /// `sketched`.
    cells: Vec<(SeriesKey, u64)>,
    stats: Vec<Stats>,
    sketches: Vec<Sketch>,
    /// From the dimension values to the place in `cells`.
    places: Places,
    /// The dimension values of each cell as words, where all are short.
    words: Vec<u64>,
    /// Those of a block of rows, and their hashes.
    asked: Vec<u64>,
    hashes: Vec<u64>,
    /// What is gathered beside the measure columns.
    slots: Vec<Slot>,
    sketched: Vec<Slot>,
    /// The place in `cells` of each row of a batch.
    rows_at: Vec<u32>,
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
            stats: Vec::new(),
            sketches: Vec::new(),
            places: Places::new(),
            words: Vec::new(),
            asked: Vec::new(),
            hashes: Vec::new(),
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
        self.rows_at.clear();
        self.rows_at.reserve(rows.len());
        for first in (0..rows.len()).step_by(BLOCK) {
            self.find(&keys, first..rows.len().min(first + BLOCK));
        }
        let (kinds, sketch_kinds) = (self.kinds(), self.sketched.len());
        let rows_at = &self.rows_at;
        let place = |row: usize| rows_at[row] as usize;
        for (at, (column, kind)) in self.measures.iter().enumerate() {
            let values = Values::of(batch.column(*column), *kind);
            values.each(|row, value| self.stats[place(row) * kinds + at].add(value));
        }
        for (slot, at) in self.slots.iter().zip(self.measures.len()..) {
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
        self.places.clear();
        self.words.clear();
        let (kinds, sketch_kinds) = (self.kinds(), self.sketched.len());
        let mut sketches = self.sketches.drain(..);
        let cells = self.cells.drain(..).enumerate().map(|(place, (key, rows))| {
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
        self.measures.len() + self.slots.len()
    }

    /// Notes the place of each row's cell, which is made if there is none, and counts the row there.
    fn find(&mut self, keys: &[&StringArray], rows: Range<usize>) {
        // of the usual numbers of dimensions each has code of its own, without loops over them
        match self.dimensions {
            1 => self.find_wide::<1>(keys, rows),
            2 => self.find_wide::<2>(keys, rows),
            3 => self.find_wide::<3>(keys, rows),
            _ => self.find_wide::<0>(keys, rows),
        }
    }

    /// The same for `W` dimensions, or any number if `W` is 0.
    fn find_wide<const W: usize>(&mut self, keys: &[&StringArray], rows: Range<usize>) {
        let (width, first) = (if W == 0 { self.dimensions } else { W }, rows.start);
        self.asked.clear();
        self.asked.resize(rows.len() * width, 0);
        self.hashes.clear();
        self.hashes.resize(rows.len(), self.places.key());
        for (at, key) in keys.iter().enumerate() {
            let asked = self.asked.chunks_exact_mut(width);
            for ((asked, hash), word) in asked.zip(&mut self.hashes).zip(words(key, rows.clone())) {
                asked[at] = word;
                *hash = Places::hash_word(*hash, word);
            }
        }
        for row in rows {
            let range = (row - first) * width..(row - first) * width + width;
            let (asked, hash) = (&self.asked[range.clone()], self.hashes[row - first]);
            let place = if asked.contains(&LONG) {
                self.asked[range.clone()].fill(LONG);
                let hash = self.places.hash(keys.iter().map(|key| key.value(row).as_bytes()));
                let is_it = |place: usize| self.cells[place].0.values().eq(keys.iter().map(|key| key.value(row)));
                self.places.find(hash, is_it).ok_or(hash)
            } else {
                // a few words, for which a call takes longer than they do
                let is_it = |place: usize| self.words[place * width..][..width].iter().eq(asked);
                self.places.find_short(hash, is_it).ok_or(hash)
            };
            let place = match place {
                Ok(place) => place,
                Err(hash) => self.add_cell(keys, row, (hash, range)),
            };
            self.cells[place].1 += 1;
            self.rows_at.push(place as u32);
        }
    }

    #[cold]
    fn add_cell(&mut self, keys: &[&StringArray], row: usize, (hash, asked): (u64, Range<usize>)) -> usize {
        let place = self.cells.len();
        self.places.push(hash);
        self.words.extend_from_slice(&self.asked[asked]);
        self.cells.push((SeriesKey::new(keys.iter().map(|key| key.value(row))), 0));
        self.stats.resize(self.stats.len() + self.kinds(), Stats::EMPTY);
        self.sketches.extend(self.sketched.iter().filter_map(Slot::sketch));
        place
    }
}

/// Rows whose cells are looked for together: column by column as far as they do not depend on each other.
const BLOCK: usize = 512;

/// Stands for a value that is too long for a word: no short one has this length.
const LONG: u64 = u64::MAX;

/// Values of at most seven bytes with their length in the highest byte, or [`LONG`].
fn words(key: &StringArray, rows: Range<usize>) -> impl Iterator<Item = u64> {
    let (ends, bytes) = (&key.value_offsets()[rows.start..=rows.end], key.value_data());
    ends.windows(2).map(|pair| {
        let (start, end) = (pair[0].as_usize(), pair[1].as_usize());
        let length = end - start;
        if length > 7 {
            return LONG;
        }
        let text = match bytes[start..].first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk) & !(u64::MAX << (8 * length)),
            None => bytes[start..end].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        text | (length as u64) << 56
    })
}

/// One measure column.
pub(super) enum Values<'a> {
    Integer(&'a arrow_array::Int64Array),
    Float(&'a arrow_array::Float64Array),
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Values::Integer(values) => values.len(),
            Values::Float(values) => values.len(),
        }
    }

    pub(super) fn of(column: &ArrayRef, kind: MeasureType) -> Values<'_> {
        match kind {
            MeasureType::Integer => Values::Integer(column.as_primitive::<Int64Type>()),
            MeasureType::Float => Values::Float(column.as_primitive::<Float64Type>()),
        }
    }

    /// Gives each value that is there with its row.
    #[expect(clippy::cast_precision_loss, reason = "integers beyond 2^53 are measured, not counted")]
    fn each(&self, mut give: impl FnMut(usize, f64)) {
        match self {
            Values::Integer(values) if values.null_count() == 0 => {
                values.values().iter().enumerate().for_each(|(row, value)| give(row, *value as f64));
            }
            Values::Float(values) if values.null_count() == 0 => {
                let finite = values.values().iter().enumerate().filter(|(_, value)| value.is_finite());
                finite.for_each(|(row, value)| give(row, *value));
            }
            Values::Integer(_) | Values::Float(_) => {
                (0..self.len()).filter_map(|row| Some((row, self.get(row)?))).for_each(|(row, value)| give(row, value));
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
