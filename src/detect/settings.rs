//! What the detector is told: measures, interval length, sensitivity, size of the forests, calendars. Values are checked
//! here once; nothing below meets an unchecked number.

use std::sync::Arc;

use super::derived::{self, DerivedError, Formula};
use super::expression::Expression;
use super::margin::Margin;
use crate::model::{Calendar, CalendarError, Calendars, Length, Zone};

/// Sensitivity where the user says nothing: about one false alert per series in twenty weeks.
pub const SENSITIVITY: f64 = 0.05;
/// Memory where the user says nothing, in bytes: some 13,000 series in full form, 20,000 in the compact one.
pub const MEMORY_BYTES: u64 = 4_000_000_000;
/// Beyond one false alert per series and day nobody listens any more.
pub const SENSITIVITY_MAX: f64 = 7.0;
/// Fewer false alerts than one per series in two centuries cannot be told apart from none.
pub const SENSITIVITY_MIN: f64 = 1e-4;

/// How the values of one interval become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their sum; an interval without rows counts as 0.
    Sum,
    /// Their mean; an interval without rows has none.
    Avg,
    /// How many there are; an interval without rows counts as 0.
    Count,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many different ones there are, within 2 % or so; an interval without rows counts as 0.
    Distinct,
    /// The value that so many of them do not exceed, within 1 %.
    Percentile(Percentile),
    /// None of them: an expression over other measures. An interval in which one of those has no value has none.
    Expression,
}

/// A share of all values, in percent: above 0 and below 100, to three places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentile {
    thousandths: u32,
}

impl Percentile {
    /// The middle.
    pub const MEDIAN: Percentile = Percentile { thousandths: 50_000 };

    /// So many percent, rounded to three places; none where that is not above 0 and below 100.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100,000")]
    pub fn of(percent: f64) -> Option<Percentile> {
        let thousandths = (percent.clamp(0.0, 100.0) * 1000.0).round() as u32;
        (1..100_000).contains(&thousandths).then_some(Percentile { thousandths })
    }

    /// In percent.
    pub fn percent(self) -> f64 {
        f64::from(self.thousandths) / 1000.0
    }

    /// From 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.thousandths) / 100_000.0
    }
}

impl Aggregation {
    /// Whether what it comes to for two series adds up to what it comes to for both.
    pub fn adds_up(self) -> bool {
        matches!(self, Aggregation::Sum | Aggregation::Count)
    }

    /// Whether it comes from a sketch of all values, which is not remembered beyond its interval.
    pub fn is_sketched(self) -> bool {
        matches!(self, Aggregation::Distinct | Aggregation::Percentile(_))
    }

    /// Whether what it came to and what came later are enough to know what both come to.
    pub(super) fn is_joinable(self) -> bool {
        !matches!(self, Aggregation::Distinct | Aggregation::Percentile(_) | Aggregation::Expression)
    }

    /// Whether an interval without rows has the value 0 (the quantity is one of events) rather than none.
    pub fn empty_is_zero(self) -> bool {
        matches!(self, Aggregation::Sum | Aggregation::Count | Aggregation::Distinct)
    }

    /// What it is, in words.
    pub fn description(self) -> String {
        match self {
            Aggregation::Percentile(percentile) => format!("percentile {}", percentile.percent()),
            other => other.name().to_owned(),
        }
    }

    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Aggregation::Sum => "sum",
            Aggregation::Avg => "avg",
            Aggregation::Count => "count",
            Aggregation::Min => "min",
            Aggregation::Max => "max",
            Aggregation::Distinct => "distinct",
            Aggregation::Percentile(_) => "percentile",
            Aggregation::Expression => "expression",
        }
    }
}

/// One measure: what it takes of the rows, how that is aggregated, or from which other measures it follows; and which of
/// its changes count.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    name: Arc<str>,
    column: usize,
    /// What it takes, in words, where that is more than a measure column.
    what: Option<String>,
    aggregation: Aggregation,
    expression: Option<Expression>,
    /// Of the expression, by their places among the measures.
    operands: Vec<usize>,
    is_operand: bool,
    margin: Margin,
    is_counter: bool,
}

impl Measure {
    /// A measure named `name` in findings, of the measure column `column` of [`crate::model::Columns`], of which every
    /// change counts.
    pub fn new(name: Arc<str>, column: usize, aggregation: Aggregation) -> Measure {
        let (what, expression, operands) = (None, None, Vec::new());
        let (is_operand, margin, is_counter) = (false, Margin::NONE, false);
        Measure { name, column, what, aggregation, expression, operands, is_operand, margin, is_counter }
    }

    /// A measure of what a slot of an [`Intake`](super::Intake) gathers, with what that is in words.
    pub fn gathered(name: Arc<str>, slot: usize, what: String, aggregation: Aggregation) -> Measure {
        Measure { what: Some(what), ..Measure::new(name, slot, aggregation) }
    }

    /// A measure that follows from others in the same interval.
    pub fn derived(name: Arc<str>, expression: Expression) -> Measure {
        Measure { expression: Some(expression), ..Measure::new(name, 0, Aggregation::Expression) }
    }

    /// Sets which of its changes count.
    #[must_use]
    pub fn with_margin(mut self, margin: Margin) -> Measure {
        self.margin = margin;
        self
    }

    /// Says that the column only grows: its increase from interval to interval is judged.
    ///
    /// # Errors
    /// When it is not the largest value of an interval that is taken.
    pub fn with_counter(mut self) -> Result<Measure, SettingsError> {
        if self.aggregation != Aggregation::Max {
            return Err(SettingsError::Counter(self.name.to_string()));
        }
        self.is_counter = true;
        Ok(self)
    }

    /// Its name in findings.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Index into the stats of a cell: a measure column of [`crate::model::Columns`], or a slot behind them. Nothing for a
    /// measure that follows from others.
    pub fn column(&self) -> usize {
        self.column
    }

    /// How values become one number.
    pub fn aggregation(&self) -> Aggregation {
        self.aggregation
    }

    /// From what it follows, if from other measures.
    pub fn expression(&self) -> Option<&Expression> {
        self.expression.as_ref()
    }

    /// Of its expression, by their places among the measures.
    pub(super) fn operands(&self) -> &[usize] {
        &self.operands
    }

    /// Whether another measure follows from it.
    pub(super) fn is_operand(&self) -> bool {
        self.is_operand
    }

    /// Which of its changes count.
    pub fn margin(&self) -> Margin {
        self.margin
    }

    /// Whether the column only grows.
    pub fn is_counter(&self) -> bool {
        self.is_counter
    }

    /// How it becomes what the state has learned of it.
    fn description(&self) -> String {
        let increase = if self.is_counter { "increase of " } else { "" };
        let margin = self.margin.description().map_or_else(String::new, |margin| format!(", {margin}"));
        if let Some(expression) = &self.expression {
            return format!("{expression}{margin}");
        }
        let what = self.what.clone().unwrap_or_else(|| format!("column {}", self.column));
        format!("{increase}{} of {what}{margin}", self.aggregation.description())
    }
}

/// Size of the forest of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForestShape {
    /// Number of trees.
    pub trees: usize,
    /// Points kept per tree.
    pub sample: usize,
    /// Consecutive values that make one point.
    pub shingle: usize,
    /// Points after which a point's chance to be kept has fallen to 1/e.
    pub time_decay: u32,
}

/// Ten times the usual sample.
const TIME_DECAY: u32 = 2560;

impl Default for ForestShape {
    fn default() -> ForestShape {
        ForestShape { trees: 30, sample: 256, shingle: 4, time_decay: TIME_DECAY }
    }
}

/// Settings of a detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    dimensions: Vec<String>,
    measures: Vec<Measure>,
    length: Length,
    seed: u64,
    sensitivity: f64,
    forest: ForestShape,
    memory_bytes: u64,
    calendars: Calendars,
}

/// What cannot be a detector's setting.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Nothing to watch.
    #[error("no measure is given; hint: name at least one numeric column")]
    NoMeasure,
    /// Two measures cannot be told apart.
    #[error("measure `{0}` is given twice; hint: give each measure a name of its own")]
    SameMeasure(String),
    /// A measure that follows from others, and cannot.
    #[error("measure `{0}` {1}")]
    Derived(String, DerivedError),
    /// Sensitivity out of range.
    #[error("sensitivity {0} is not between {SENSITIVITY_MIN} and {SENSITIVITY_MAX} false alerts per series and week")]
    Sensitivity(f64),
    /// Forest out of range.
    #[error("forest with {name} {value}; hint: use {low} to {high}")]
    Forest {
        /// Which number.
        name: &'static str,
        /// What was given.
        value: usize,
        /// Least allowed.
        low: usize,
        /// Most allowed.
        high: usize,
    },
    /// A counter of something else than its largest value.
    #[error(
        "measure `{0}` is a counter, whose largest value in an interval is what counts; hint: aggregate it by `max`"
    )]
    Counter(String),
    /// A calendar of something that there is not.
    #[error("a calendar {0}")]
    Calendar(#[from] CalendarError),
}

impl Settings {
    /// Settings with the shipped sensitivity and forest.
    ///
    /// # Errors
    /// When there is no measure or two have one name.
    pub fn new(
        dimensions: Vec<String>,
        mut measures: Vec<Measure>,
        length: Length,
        seed: u64,
    ) -> Result<Settings, SettingsError> {
        if measures.is_empty() {
            return Err(SettingsError::NoMeasure);
        }
        for (index, measure) in measures.iter().enumerate() {
            if measures[..index].iter().any(|earlier| earlier.name == measure.name) {
                return Err(SettingsError::SameMeasure(measure.name.to_string()));
            }
        }
        let formulas = measures.iter().map(|measure| Formula {
            name: &measure.name,
            expression: measure.expression(),
            is_counter: measure.is_counter,
        });
        let operands = derived::operands_of(&formulas.collect::<Vec<_>>());
        let operands = operands.map_err(|mut problems| {
            let (at, problem) = problems.swap_remove(0);
            SettingsError::Derived(measures[at].name.to_string(), problem)
        })?;
        for (at, operands) in operands.into_iter().enumerate() {
            operands.iter().for_each(|operand| measures[*operand].is_operand = true);
            measures[at].operands = operands;
        }
        let forest = ForestShape::default();
        let (memory_bytes, calendars) = (MEMORY_BYTES, Calendars::default());
        Ok(Settings { dimensions, measures, length, seed, sensitivity: SENSITIVITY, forest, memory_bytes, calendars })
    }

    /// Sets the sensitivity: the number of false alerts that one series may raise in a week, in expectation. It is the
    /// probability budget of the calibrated evidence: an interval alarms when a value as rare as its own comes less
    /// often than `sensitivity` times a week on this series, judged by the series' own past.
    ///
    /// # Errors
    /// Outside 0.0001 to 7, or when it is not a number.
    pub fn with_sensitivity(mut self, per_series_week: f64) -> Result<Settings, SettingsError> {
        if !(SENSITIVITY_MIN..=SENSITIVITY_MAX).contains(&per_series_week) {
            return Err(SettingsError::Sensitivity(per_series_week));
        }
        self.sensitivity = per_series_week;
        Ok(self)
    }

    /// Sets the size of the forests.
    ///
    /// # Errors
    /// Outside 1 to 253 trees, 10 to 256 points, shingle 1 to 64, or with a time decay below 3.
    pub fn with_forest(mut self, forest: ForestShape) -> Result<Settings, SettingsError> {
        let ranges =
            [("trees", forest.trees, 1, 253), ("sample", forest.sample, 10, 256), ("shingle", forest.shingle, 1, 64)];
        for (name, value, low, high) in ranges {
            if value < low || value > high {
                return Err(SettingsError::Forest { name, value, low, high });
            }
        }
        if forest.time_decay < 3 {
            let (name, value) = ("time decay", usize::try_from(forest.time_decay).unwrap_or(usize::MAX));
            return Err(SettingsError::Forest { name, value, low: 3, high: u32::MAX as usize });
        }
        self.forest = forest;
        Ok(self)
    }

    /// Sets the bytes that the series may take together. It decides about their forms ([`crate::detect::Form`]), which
    /// may change at any time, so it is no part of what a state was learned under.
    pub fn with_memory(mut self, bytes: u64) -> Settings {
        self.memory_bytes = bytes;
        self
    }

    /// Sets the calendars, of intervals in this zone. They are no part of what a state was learned under as far as they
    /// are of times to come; what they said of the intervals before is written with it.
    ///
    /// # Errors
    /// When a calendar names a dimension that there is not.
    pub fn with_calendars(mut self, calendars: Vec<Calendar>, zone: Zone) -> Result<Settings, SettingsError> {
        self.calendars = Calendars::new(calendars, &self.dimensions, zone)?;
        Ok(self)
    }

    /// Names of the dimensions, in the order of the values of a key.
    pub fn dimensions(&self) -> &[String] {
        &self.dimensions
    }

    /// The measures, in order.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Length of an interval.
    pub fn length(&self) -> Length {
        self.length
    }

    /// Seed of every forest.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Expected false alerts per series and week.
    pub fn sensitivity(&self) -> f64 {
        self.sensitivity
    }

    /// Size of the forests.
    pub fn forest(&self) -> ForestShape {
        self.forest
    }

    /// Bytes that the series may take together.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// When series are ignored.
    pub fn calendars(&self) -> &Calendars {
        &self.calendars
    }

    /// Probability of an alarm per interval of a quiet series that the sensitivity allows.
    pub(super) fn alarm_probability(&self) -> f64 {
        (self.sensitivity / (7.0 * f64::from(self.length.per_day()))).min(0.02)
    }

    /// Names and values of everything that shapes the state, for the snapshot header.
    pub(super) fn description(&self) -> Vec<(String, String)> {
        let mut pairs = vec![
            ("dimensions".to_owned(), self.dimensions.join(",")),
            ("interval length".to_owned(), format!("{} s", self.length.seconds())),
            ("seed".to_owned(), self.seed.to_string()),
            ("sensitivity".to_owned(), self.sensitivity.to_string()),
            ("trees".to_owned(), self.forest.trees.to_string()),
            ("sample".to_owned(), self.forest.sample.to_string()),
            ("shingle".to_owned(), self.forest.shingle.to_string()),
        ];
        // states from before it could be set have none
        if self.forest.time_decay != TIME_DECAY {
            pairs.push(("time decay".to_owned(), self.forest.time_decay.to_string()));
        }
        for measure in &self.measures {
            pairs.push((format!("measure `{}`", measure.name), measure.description()));
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(name: &str) -> Measure {
        Measure::new(Arc::from(name), 0, Aggregation::Sum)
    }

    fn settings(measures: Vec<Measure>) -> Result<Settings, SettingsError> {
        Settings::new(vec!["platform".to_owned()], measures, Length::from_seconds(300).unwrap(), 1)
    }

    #[test]
    fn measures_are_named_once() {
        assert_eq!(settings(vec![]), Err(SettingsError::NoMeasure));
        assert_eq!(settings(vec![measure("views"), measure("views")]), Err(SettingsError::SameMeasure("views".into())));
        assert!(settings(vec![measure("views"), measure("revenue")]).is_ok());
    }

    #[test]
    fn sensitivity_and_forest_have_ranges() {
        let good = settings(vec![measure("views")]).unwrap();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 7.5] {
            assert!(good.clone().with_sensitivity(bad).is_err());
        }
        assert!((good.clone().with_sensitivity(0.1).unwrap().alarm_probability() - 0.1 / 2016.0).abs() < 1e-15);
        assert!(good.clone().with_forest(ForestShape { trees: 0, ..ForestShape::default() }).is_err());
        assert!(good.with_forest(ForestShape { trees: 50, sample: 128, shingle: 8, ..ForestShape::default() }).is_ok());
    }
}
