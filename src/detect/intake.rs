//! What measures take of the rows beside the plain measure columns: rows, or values of a column, under filters. Each is
//! gathered in a slot of its own behind the columns' in [`Cell::stats`](crate::model::Cell); measures that ask for the
//! same share it. Of columns whose different values are counted, or whose percentiles are asked for, a sketch is kept, in
//! the same way, in [`Cell::sketches`](crate::model::Cell). Slots are ordered by what they gather, so that a cell does not depend on the order of the measures.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, RecordBatch};

use super::aggregate::Values;
use crate::model::{Check, ColumnType, Columns, Distinct, Filter, FilterError, MeasureType, Quantiles, Sketch};

/// What becomes of the values that are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gather {
    /// Their count, sum, and extremes.
    #[default]
    Stats,
    /// How many different ones there are.
    Distinct,
    /// How they are distributed.
    Quantiles,
}

impl Gather {
    fn sketch(self) -> Option<Sketch> {
        match self {
            Gather::Stats => None,
            Gather::Distinct => Some(Sketch::Distinct(Distinct::default())),
            Gather::Quantiles => Some(Sketch::Quantiles(Quantiles::default())),
        }
    }
}

/// What a measure takes of the rows of an interval.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Take {
    column: Option<String>,
    filters: Vec<Filter>,
    /// How many intervals it reaches over, this one among them.
    width: u32,
    gather: Gather,
}

impl Take {
    /// The values of a measure column, or, where there is none, the rows: those that pass all of the filters.
    pub fn new(column: Option<String>, mut filters: Vec<Filter>) -> Take {
        for filter in &mut filters {
            filter.values.sort();
            filter.values.dedup();
        }
        filters.sort();
        Take { column, filters, width: 1, gather: Gather::Stats }
    }

    /// The same, of which this is gathered.
    #[must_use]
    pub fn gathering(self, gather: Gather) -> Take {
        Take { gather, ..self }
    }

    /// The same of so many intervals together, the last of which is this one.
    #[must_use]
    pub fn over(self, intervals: u32) -> Take {
        Take { width: intervals.max(1), ..self }
    }

    /// What it is, in words.
    pub fn description(&self) -> String {
        let what = self.column.as_ref().map_or_else(|| "rows".to_owned(), |column| format!("`{column}`"));
        let filters = self.filters.iter().map(|filter| format!("{} is {}", filter.column, filter.values.join(" or ")));
        let filters: Vec<String> = filters.collect();
        let what = if filters.is_empty() { what } else { format!("{what} where {}", filters.join(" and ")) };
        if self.width > 1 { format!("{what} over {} intervals", self.width) } else { what }
    }

    /// Whether it takes all values of a column, of one interval.
    pub fn is_plain(&self) -> bool {
        self.column.is_some() && self.filters.is_empty() && self.width == 1 && self.gather == Gather::Stats
    }

    /// The columns that it looks at beside numbers: of its filters, and where different values are counted.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let own = self.column.as_deref().filter(|_| self.gather == Gather::Distinct);
        self.filters.iter().map(|filter| filter.column.as_str()).chain(own)
    }
}

/// What cannot be taken of rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// There is no such column.
    #[error(
        "a measure takes `{0}`, which is no column of the rows; hint: add it to `select.measures` or `select.keep`"
    )]
    Column(String),
    /// A filter that no row can be compared with.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// All that is gathered of rows with certain columns.
#[derive(Clone, Debug)]
pub struct Intake {
    columns: Columns,
    /// Measure columns of which some measure takes all values.
    asked: Vec<usize>,
    slots: Vec<Slot>,
    sketched: Vec<Slot>,
}

/// What is gathered in one place.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    take: Take,
    checks: Vec<Check>,
    /// Index and type of the column; none where rows are counted.
    input: Option<(usize, ColumnType)>,
}

impl Intake {
    /// Nothing but the measure columns.
    pub fn plain(columns: &Columns) -> Intake {
        let asked = (0..columns.measures.len()).collect();
        Intake { columns: columns.clone(), asked, slots: Vec::new(), sketched: Vec::new() }
    }

    /// All of this. A measure column of which nothing is taken has its place, and stays empty.
    ///
    /// # Errors
    /// When a column is not there, or a filter cannot be compared with its values.
    pub fn new(columns: &Columns, takes: impl IntoIterator<Item = Take>) -> Result<Intake, IntakeError> {
        let mut intake = Intake::plain(columns);
        let (plain, mut takes): (Vec<Take>, Vec<Take>) =
            takes.into_iter().partition(|take| intake.place(take).is_some());
        let is_asked = |at: &usize| plain.iter().any(|take| take.column.as_ref() == Some(&columns.measures[*at].0));
        intake.asked.retain(is_asked);
        takes.sort();
        takes.dedup();
        for take in takes {
            let slots = if take.gather == Gather::Stats { &mut intake.slots } else { &mut intake.sketched };
            slots.push(Slot::new(take, columns)?);
        }
        Ok(intake)
    }

    /// Where a cell has it, by index into its stats, or into its sketches where one is asked for.
    pub fn place(&self, take: &Take) -> Option<usize> {
        let plain = take.column.as_ref().filter(|_| take.is_plain());
        let of_column = |name| self.columns.measures.iter().position(|(measure, _)| measure == name);
        plain.and_then(of_column).or_else(|| {
            if take.gather != Gather::Stats {
                return self.sketched.iter().position(|slot| slot.take == *take);
            }
            let slot = self.slots.iter().position(|slot| slot.take == *take)?;
            Some(self.columns.measures.len() + slot)
        })
    }

    /// The measure columns of which values are taken: their places in a cell's stats.
    pub(super) fn asked(&self) -> &[usize] {
        &self.asked
    }

    /// The columns of the rows.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How many intervals each entry of a cell's stats, and of its sketches, reaches over.
    pub(super) fn widths(&self) -> [Vec<u32>; 2] {
        let plain = std::iter::repeat_n(1, self.columns.measures.len());
        let widths = |slots: &[Slot]| slots.iter().map(|slot| slot.take.width).collect::<Vec<u32>>();
        [plain.chain(widths(&self.slots)).collect(), widths(&self.sketched)]
    }

    pub(super) fn sketched(&self) -> &[Slot] {
        &self.sketched
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

impl Slot {
    fn new(take: Take, columns: &Columns) -> Result<Slot, IntakeError> {
        let missing = |name: &str| IntakeError::Column(name.to_owned());
        let fields: Vec<(&str, ColumnType)> = columns.fields().collect();
        let input = take.column.as_ref().map(|name| {
            let is_it = |(at, (field, kind)): &(usize, &(&str, ColumnType))| {
                let is_number = *kind != ColumnType::Text && *at > columns.timestamp_index();
                field == name && (is_number || take.gather == Gather::Distinct)
            };
            let found = fields.iter().enumerate().find(is_it).map(|(at, (_, kind))| (at, *kind));
            found.ok_or_else(|| missing(name))
        });
        let check = |filter: &Filter| {
            let at = fields.iter().position(|(name, _)| *name == filter.column);
            let at = at.ok_or_else(|| missing(&filter.column))?;
            Ok::<_, IntakeError>(Check::new(filter, at, fields[at].1)?)
        };
        let checks = take.filters.iter().map(check).collect::<Result<_, _>>()?;
        Ok(Slot { checks, input: input.transpose()?, take })
    }

    /// A sketch of no values, where one is asked for.
    pub(super) fn sketch(&self) -> Option<Sketch> {
        self.take.gather.sketch()
    }

    /// Gives the value of each row that passes, with its number; 1 where rows are counted.
    ///
    /// # Panics
    /// When the batch does not have the columns that were promised: the caller's mistake, not the data's.
    pub(super) fn gather(&self, batch: &RecordBatch, mut give: impl FnMut(usize, f64)) {
        let values = self.numbers(batch);
        for row in self.passing(batch) {
            if let Some(value) = values.as_ref().map_or(Some(1.0), |values| values.get(row)) {
                give(row, value);
            }
        }
    }

    /// Gives the value of each row that passes and has one, with its number, as bytes that tell it from others. The empty
    /// text is no value.
    ///
    /// # Panics
    /// When the batch does not have the columns that were promised: the caller's mistake, not the data's.
    pub(super) fn gather_bytes(&self, batch: &RecordBatch, mut give: impl FnMut(usize, &[u8])) {
        let Some((at, kind)) = self.input else { return };
        if kind == ColumnType::Integer {
            let values = batch.column(at).as_primitive::<Int64Type>();
            let there = self.passing(batch).filter(|row| values.is_valid(*row));
            there.for_each(|row| give(row, &values.value(row).to_le_bytes()));
        } else if let Some(values) = self.numbers(batch) {
            let numbers = self.passing(batch).filter_map(|row| Some((row, values.get(row)?)));
            // the two zeros are one
            let numbers = numbers.map(|(row, value)| (row, if value == 0.0 { 0.0 } else { value }));
            numbers.for_each(|(row, value)| give(row, &value.to_bits().to_le_bytes()));
        } else if let Some(texts) = batch.column(at).as_string_opt::<i32>() {
            let texts = self.passing(batch).map(|row| (row, texts.value(row))).filter(|(_, text)| !text.is_empty());
            texts.for_each(|(row, text)| give(row, text.as_bytes()));
        }
    }

    fn numbers<'a>(&self, batch: &'a RecordBatch) -> Option<Values<'a>> {
        let (at, kind) = self.input?;
        let kind = match kind {
            ColumnType::Text => return None,
            ColumnType::Integer => MeasureType::Integer,
            ColumnType::Float => MeasureType::Float,
        };
        Some(Values::of(batch.column(at), kind))
    }

    /// The numbers of the rows that pass.
    fn passing(&self, batch: &RecordBatch) -> impl Iterator<Item = usize> + use<> {
        let mut passes = vec![true; batch.num_rows()];
        for check in &self.checks {
            if check.apply(batch, &mut passes).is_err() {
                passes.fill(false);
            }
        }
        passes.into_iter().enumerate().filter(|(_, passes)| *passes).map(|(row, _)| row)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;
    use crate::detect::Aggregator;
    use crate::model::{Interval, Length, Rows, Timestamp};

    fn columns() -> Columns {
        Columns {
            dimensions: vec!["shop".into()],
            timestamp: "at".into(),
            keep: vec!["action".into()],
            measures: vec![("views".into(), MeasureType::Integer)],
        }
    }

    fn rows(data: &[(&str, &str, Option<i64>)]) -> Rows {
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(data.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(data.iter().map(|_| "then"))),
            Arc::new(StringArray::from_iter_values(data.iter().map(|row| row.1))),
            Arc::new(data.iter().map(|row| row.2).collect::<Int64Array>()),
        ];
        let batch = RecordBatch::try_new(columns().schema(), arrays).unwrap();
        Rows::new(batch, vec![Timestamp::MIN; data.len()], vec![0; data.len()]).unwrap()
    }

    fn filter(column: &str, values: &[&str]) -> Filter {
        Filter { column: column.into(), values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    #[test]
    fn rows_and_values_are_gathered_under_filters() {
        let clicks = Take::new(None, vec![filter("action", &["Click"])]);
        let all = Take::new(None, Vec::new());
        let of_clicks = Take::new(Some("views".into()), vec![filter("action", &["Click"])]);
        let plain = Take::new(Some("views".into()), Vec::new());
        let by_number = Take::new(None, vec![filter("views", &["5", ""]), filter("shop", &["a"])]);
        let takes = [&clicks, &all, &of_clicks, &plain, &by_number, &clicks];
        let intake = Intake::new(&columns(), takes.into_iter().cloned()).unwrap();
        assert_eq!(intake.slots().len(), 4, "the column has its own place, and what is asked for twice has one");
        assert_eq!(intake.place(&plain), Some(0));
        let mut aggregator = Aggregator::gathering(&intake);
        let data = [("a", "Click", Some(5)), ("b", "Click", None), ("a", "Impression", None), ("a", "Click", Some(7))];
        aggregator.add(&rows(&data[..1]));
        aggregator.add(&rows(&data[1..]));
        let closed = aggregator.close(Interval::containing(0, Length::from_seconds(10).unwrap()));
        let of = |cell: usize, take| {
            let stats = &closed.cells[cell].stats[intake.place(take).unwrap()];
            (stats.count(), stats.sum())
        };
        assert_eq!((of(0, &clicks), of(0, &all)), ((2, 2.0), (3, 3.0)));
        assert_eq!((of(0, &of_clicks), of(0, &plain)), ((2, 12.0), (2, 12.0)));
        assert_eq!(of(0, &by_number), (2, 2.0), "the number 5, or none");
        assert_eq!((of(1, &clicks), of(1, &of_clicks), of(1, &by_number)), ((1, 1.0), (0, 0.0), (0, 0.0)));
        let apart = Intake::new(&columns(), [clicks.clone()]).unwrap();
        let mut aggregator = Aggregator::gathering(&apart);
        aggregator.add(&rows(&data));
        let closed = aggregator.close(Interval::containing(0, Length::from_seconds(10).unwrap()));
        let counts: Vec<u64> = closed.cells[0].stats.iter().map(|stats| stats.count()).collect();
        assert_eq!(counts, [0, 2], "a column that nobody takes has its place and nothing in it");
        let other = Intake::new(&columns(), takes.into_iter().rev().cloned()).unwrap();
        assert!(takes.iter().all(|take| other.place(take) == intake.place(take)));
    }

    #[test]
    fn different_values_and_percentiles_are_sketched() {
        let actions = Take::new(Some("action".into()), vec![]).gathering(Gather::Distinct);
        let views = Take::new(Some("views".into()), vec![]).gathering(Gather::Distinct);
        let spread = Take::new(Some("views".into()), vec![filter("shop", &["a"])]).gathering(Gather::Quantiles);
        let intake = Intake::new(&columns(), [&spread, &actions, &views].into_iter().cloned()).unwrap();
        assert_eq!((intake.slots().len(), intake.sketched().len()), (0, 3));
        let mut aggregator = Aggregator::gathering(&intake);
        let data = [("a", "Click", Some(5)), ("a", "Click", None), ("a", "", Some(5)), ("b", "Buy", Some(900))];
        aggregator.add(&rows(&data[..2]));
        aggregator.add(&rows(&data[2..]));
        let closed = aggregator.close(Interval::containing(0, Length::from_seconds(10).unwrap()));
        let of = |cell: usize, take: &Take| match &closed.cells[cell].sketches[intake.place(take).unwrap()] {
            Sketch::Distinct(distinct) => Some(distinct.count()),
            Sketch::Quantiles(quantiles) => quantiles.at(0.5).map(f64::round),
        };
        assert_eq!([of(0, &actions), of(0, &views), of(0, &spread)], [Some(1.0), Some(1.0), Some(5.0)]);
        assert_eq!([of(1, &actions), of(1, &views), of(1, &spread)], [Some(1.0), Some(1.0), None]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = |take| Intake::new(&columns(), [take]).unwrap_err().to_string();
        assert!(error(Take::new(Some("clicks".into()), vec![])).contains("takes `clicks`, which is no column"));
        assert!(error(Take::new(None, vec![filter("browser", &["x"])])).contains("takes `browser`"));
        assert!(error(Take::new(None, vec![filter("views", &["many"])])).contains("`many` is not an integer"));
    }
}
