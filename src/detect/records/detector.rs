//! The detector of records: the rows of a closed interval in, each with its score out.

use std::collections::{BTreeMap, HashMap};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, RecordBatch};

use super::increment::Step;
use super::keys::{Keys, Place};
use super::model::{Model, Said};
use super::settings::Settings;
use crate::detect::increment::Journal;
use crate::detect::spread::{Spread, on_each};
use crate::model::{ColumnShare, ColumnType, Columns, Dimensions, Field, Interval, Rows, ScoredRecord, SeriesKey};

/// Scores records.
#[derive(Clone, Debug)]
pub struct RecordDetector {
    pub(super) settings: Settings,
    pub(super) columns: Columns,
    pub(super) last: Option<Interval>,
    /// Records scored, those of a learning forest among them, and records that lack a value.
    pub(super) scored: u64,
    pub(super) unscored: u64,
    pub(super) keys: Keys,
    /// What was done since the last increment; none where none is written.
    pub(super) journal: Option<Journal>,
}

/// Which scored records are wanted; all are learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// All of them.
    All,
    /// Those with at least this score.
    AtLeast(f64),
}

/// How far the detector is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Records scored so far, those that were scored 0 by a learning forest among them.
    pub scored: u64,
    /// Records that were not scored, because one of the columns has no value.
    pub unscored: u64,
    /// Forests.
    pub forests: usize,
    /// Those of them that still learn.
    pub learning: usize,
    /// Keys without a forest of their own, as far as they are remembered.
    pub sharing: usize,
}

/// The records of one forest, and what it says of them.
struct Work {
    place: Place,
    model: Model,
    rows: Vec<usize>,
    said: Vec<Said>,
}

impl Work {
    /// What a key with a forest of its own has learned.
    fn learned(&self, values: &[Option<Vec<f64>>]) -> Option<(SeriesKey, Vec<f64>)> {
        let Place::Own(key) = &self.place else { return None };
        let points = self.rows.iter().filter_map(|row| values[*row].as_deref());
        Some((key.clone(), points.flatten().copied().collect()))
    }
}

impl RecordDetector {
    /// A detector that has seen nothing, of rows in these columns.
    pub fn new(settings: Settings, columns: Columns) -> RecordDetector {
        RecordDetector { settings, columns, last: None, scored: 0, unscored: 0, keys: Keys::new(), journal: None }
    }

    /// Scores and learns the rows of a closed interval, in the order given, and gives those that are wanted, in that order.
    /// Time: some tens of microseconds for each.
    ///
    /// # Panics
    /// When a batch does not have the columns that were promised: the caller's mistake, not the data's.
    pub fn observe(
        &mut self,
        interval: Interval,
        rows: &[Rows],
        wanted: Wanted,
        spread: &impl Spread,
    ) -> Vec<ScoredRecord> {
        let least = match wanted {
            Wanted::All => 0.0,
            Wanted::AtLeast(score) => score,
        };
        let values: Vec<Option<Vec<f64>>> = rows.iter().flat_map(|rows| self.values(rows.batch())).collect();
        let seconds = self.pass(interval);
        let mut work = self.work(rows, &values);
        let told = self.settings.attribution().then_some(least);
        on_each(spread, &mut work, &|work| {
            let Work { model, rows, said, .. } = work;
            said.extend(rows.iter().filter_map(|row| Some(model.observe(values[*row].as_ref()?, told))));
        });
        let mut step = Step { seconds, ..Step::default() };
        if self.journal.is_some() {
            step.learned = work.iter().filter_map(|work| work.learned(&values)).collect();
        }
        let mut all: Vec<Option<Said>> = vec![None; values.len()];
        for Work { place, model, rows, said } in work {
            rows.into_iter().zip(said).for_each(|(row, said)| all[row] = Some(said));
            self.keys.put(place, model);
        }
        step.turns = self.keys.turn(&self.settings);
        self.note(&step);
        self.last = Some(interval);
        let scored = all.iter().flatten().count();
        self.scored += scored as u64;
        self.unscored += (all.len() - scored) as u64;
        let places = rows.iter().flat_map(|rows| (0..rows.len()).map(move |row| (rows, row)));
        let records = (0..).zip(places).zip(all);
        let scored = records.filter_map(|((number, place), said)| Some((number, place, said?)));
        let wanted = scored.filter(|(_, _, said)| wanted == Wanted::All || said.score >= least);
        wanted.map(|(number, (rows, row), said)| self.record((interval, number), rows, row, said)).collect()
    }

    /// The values of the scored columns, line by line; none where one is missing.
    fn values(&self, batch: &RecordBatch) -> Vec<Option<Vec<f64>>> {
        let columns: Vec<Vec<Option<f64>>> = self
            .settings
            .columns()
            .iter()
            .map(|(_, measure)| {
                let column = batch.column(self.columns.measure_index(*measure));
                numbers(column.as_ref())
            })
            .collect();
        (0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
    }

    /// Hands the rows out to the forests.
    fn work(&mut self, rows: &[Rows], values: &[Option<Vec<f64>>]) -> Vec<Work> {
        let mut rows_of: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        let mut weights: BTreeMap<SeriesKey, usize> = BTreeMap::new();
        // only looked up, never walked
        let mut places: HashMap<SeriesKey, Place> = HashMap::new();
        let mut number = 0;
        let dimensions = if self.settings.per_key() { self.columns.dimensions.len() } else { 0 };
        for rows in rows {
            let keys: Vec<_> = (0..dimensions).map(|at| rows.batch().column(at).as_string::<i32>()).collect();
            for row in 0..rows.len() {
                if values[number].is_some() {
                    let key = SeriesKey::new(keys.iter().map(|column| column.value(row)));
                    *weights.entry(key.clone()).or_default() += 1;
                    let place = places.entry(key).or_insert_with_key(|key| self.keys.place(key, &self.settings));
                    match rows_of.get_mut(place) {
                        Some(there) => there.push(number),
                        None => drop(rows_of.insert(place.clone(), vec![number])),
                    }
                }
                number += 1;
            }
        }
        for (key, rows) in weights {
            self.keys.weigh(&key, rows, &self.settings);
        }
        let work = rows_of.into_iter().filter_map(|(place, rows)| {
            let model = self.keys.take(&place)?;
            Some(Work { place, model, rows, said: Vec::new() })
        });
        work.collect()
    }

    fn record(&self, (interval, number): (Interval, u64), rows: &Rows, row: usize, said: Said) -> ScoredRecord {
        let batch = rows.batch();
        let text = |at: usize| batch.column(at).as_string::<i32>().value(row);
        let key = SeriesKey::new((0..self.columns.dimensions.len()).map(text));
        let rest = self.columns.fields().enumerate().skip(self.columns.timestamp_index() + 1);
        let fields = rest.map(|(at, (name, kind))| (name.to_owned(), field(batch, at, kind, row))).collect();
        let shares = self.settings.columns().iter().zip(said.shares).map(|((column, _), share)| ColumnShare {
            column: column.clone(),
            direction: share.direction,
            strength: share.strength,
            score: share.score,
        });
        ScoredRecord {
            interval,
            number,
            time: rows.times()[row],
            dimensions: Dimensions::new(&self.columns.dimensions, &key),
            timestamp: self.columns.timestamp.clone(),
            fields,
            score: said.score,
            explanation: shares.collect(),
        }
    }

    /// Lets time pass up to an interval that is about to be observed: keys that fall silent grow light.
    /// Gives the seconds.
    fn pass(&mut self, interval: Interval) -> f64 {
        let since = self.last.map_or(0, |last| interval.number().saturating_sub(last.number()).max(0));
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let seconds = since as f64 * f64::from(interval.length().seconds());
        self.keys.age(seconds);
        seconds
    }

    /// The last interval that was observed.
    pub fn last(&self) -> Option<Interval> {
        self.last
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        Status {
            scored: self.scored,
            unscored: self.unscored,
            forests: self.keys.models().count(),
            learning: self.keys.models().filter(|model| !model.is_ready()).count(),
            sharing: self.keys.sharing(),
        }
    }

    /// Bytes that the forests and their keys take.
    pub fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes()
    }
}

/// A numeric column; a value that is missing or not finite is none.
fn numbers(column: &dyn arrow_array::Array) -> Vec<Option<f64>> {
    #[expect(clippy::cast_precision_loss, reason = "a measured value")]
    let numbers: Vec<Option<f64>> = match column.as_primitive_opt::<Int64Type>() {
        Some(integers) => integers.iter().map(|value| value.map(|value| value as f64)).collect(),
        None => column.as_primitive::<Float64Type>().iter().collect(),
    };
    numbers.into_iter().map(|value| value.filter(|value| value.is_finite())).collect()
}

fn field(batch: &RecordBatch, at: usize, kind: ColumnType, row: usize) -> Field {
    let column = batch.column(at);
    if column.is_null(row) {
        return Field::Missing;
    }
    match kind {
        ColumnType::Text => Field::Text(column.as_string::<i32>().value(row).to_owned()),
        ColumnType::Integer => Field::Integer(column.as_primitive::<Int64Type>().value(row)),
        ColumnType::Float => Field::Float(column.as_primitive::<Float64Type>().value(row)),
    }
}
