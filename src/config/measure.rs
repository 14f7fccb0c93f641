//! `[[detect.measure]]`: what is measured. Values of a column or rows, under filters, or an expression over other measures.

use std::sync::Arc;
use std::time::Duration;

use super::raw::Section;
use super::units::show_duration;
use crate::detect::{self, Aggregation, DerivedError, Expression, Formula, Gather, Margin, Percentile, Sides, Take};
use crate::model::{Filter, Length, nearest};

/// A window reaches over so many intervals at most: each is merged anew for every interval.
const WINDOW_MAX: u32 = 360;
/// The same of sketches, which are merged whole.
const SKETCH_WINDOW_MAX: u32 = 60;

/// One measure.
#[derive(Clone, Debug)]
pub struct DetectMeasure {
    /// Its name in findings.
    pub name: Arc<str>,
    /// Where its values come from.
    pub origin: Origin,
    /// Which of its changes count.
    pub margin: Margin,
    /// Whether the column only grows, and its increase is judged.
    pub is_counter: bool,
}

/// Where the values of a measure come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// From the rows of an interval.
    Rows {
        /// What is taken of them.
        take: Take,
        /// How that becomes one number.
        aggregation: Aggregation,
    },
    /// From other measures of the interval.
    Measures(Expression),
}

impl DetectMeasure {
    /// What it is, in words.
    pub fn description(&self) -> String {
        let increase = if self.is_counter { "increase of the " } else { "" };
        match &self.origin {
            Origin::Rows { take, aggregation } => {
                format!("{increase}{} of {}", aggregation.description(), take.description())
            }
            Origin::Measures(expression) => expression.to_string(),
        }
    }

    /// Columns that are looked at row by row, beside those that are summed up.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let take = if let Origin::Rows { take, .. } = &self.origin { Some(take) } else { None };
        take.into_iter().flat_map(Take::columns)
    }
}

/// All measures; the sums of the measure columns, where none is given.
pub(super) fn measures(
    detect: &Section<'_>,
    columns: &[String],
    timestamp: Option<&str>,
    length: Option<Length>,
) -> Vec<DetectMeasure> {
    let sections = detect.sections("measure");
    let of = |section| measure(section, columns, timestamp, length);
    let read: Vec<Option<DetectMeasure>> = sections.iter().map(of).collect();
    if sections.is_empty() {
        return columns.iter().map(|column| sum_of(column)).collect();
    }
    let known: Vec<(&Section<'_>, &DetectMeasure)> =
        sections.iter().zip(&read).filter_map(|(section, measure)| Some((section, measure.as_ref()?))).collect();
    for (index, (_, measure)) in known.iter().enumerate() {
        if known[..index].iter().any(|(_, earlier)| earlier.name == measure.name) {
            detect
                .section_problem(&format!("has two measures named `{}`; hint: give one another `name`", measure.name));
        }
    }
    let formulas: Vec<Formula<'_>> = known
        .iter()
        .map(|(_, DetectMeasure { name, origin, is_counter, .. })| Formula {
            name,
            expression: if let Origin::Measures(expression) = origin { Some(expression) } else { None },
            is_counter: *is_counter,
        })
        .collect();
    // a measure that is wrong has been told of; those that follow from it need not be
    let is_whole = known.len() == read.len();
    for (at, problem) in detect::operands_of(&formulas).err().into_iter().flatten() {
        if is_whole || !matches!(problem, DerivedError::Unknown { .. }) {
            known[at].0.problem("expression", &problem.to_string());
        }
    }
    read.into_iter().flatten().collect()
}

fn sum_of(column: &str) -> DetectMeasure {
    let take = Take::new(Some(column.to_owned()), Vec::new());
    let origin = Origin::Rows { take, aggregation: Aggregation::Sum };
    DetectMeasure { name: Arc::from(column), origin, margin: Margin::NONE, is_counter: false }
}

fn measure(
    section: &Section<'_>,
    columns: &[String],
    timestamp: Option<&str>,
    length: Option<Length>,
) -> Option<DetectMeasure> {
    let name = section.text("name");
    let (origin, usual, is_counter) =
        if section.has("expression") { derived(section) } else { of_rows(section, columns, timestamp, length) };
    let change = section.number("min_change", 0.0, 0.0..=detect::MIN_CHANGE_MAX);
    let ratio = section.number("min_change_ratio", 0.0, 0.0..=detect::MIN_CHANGE_RATIO_MAX);
    let sides = section.choice("direction", Sides::Both, &Sides::NAMES);
    let margin = Margin::new(change, ratio, sides).map_err(|error| section.section_problem(&error.to_string()));
    section.finish();
    let (origin, name) = (origin?, Arc::from(name.or(usual)?));
    Some(DetectMeasure { name, origin, margin: margin.ok()?, is_counter })
}

/// Where it comes from, its usual name, and whether it is a counter.
type Read = (Option<Origin>, Option<String>, bool);

/// A measure that follows from others.
fn derived(section: &Section<'_>) -> Read {
    for key in
        ["column", "aggregation", "where", "percentile", "window", "counter"].into_iter().filter(|key| section.has(key))
    {
        section.problem(key, "stands beside `expression`; hint: name a measure of its own in the expression");
    }
    if !section.has("name") {
        section.missing("name", "\"ctr\"");
    }
    let on_zero = section.has("division_by_zero").then(|| section.number("division_by_zero", 0.0, -1e15..=1e15));
    let text = section.text("expression");
    let expression = text.and_then(|text| {
        let read = Expression::parse(&text);
        let hint = "hint: for example `100 * clicks / impressions`";
        read.map_err(|error| section.problem("expression", &format!("`{text}` {error}; {hint}"))).ok()
    });
    (expression.map(|expression| Origin::Measures(expression.with_division_by_zero(on_zero))), None, false)
}

fn of_rows(section: &Section<'_>, columns: &[String], timestamp: Option<&str>, length: Option<Length>) -> Read {
    let aggregations = [
        Aggregation::Sum,
        Aggregation::Avg,
        Aggregation::Count,
        Aggregation::Min,
        Aggregation::Max,
        Aggregation::Distinct,
        Aggregation::Percentile(Percentile::MEDIAN),
    ]
    .map(|a| (a.name(), a));
    let aggregation = section.choice("aggregation", Aggregation::Sum, &aggregations);
    let percent = section.number("percentile", 50.0, 0.001..=99.999);
    let aggregation = match aggregation {
        Aggregation::Percentile(median) => Aggregation::Percentile(Percentile::of(percent).unwrap_or(median)),
        other => other,
    };
    match (aggregation, section.has("percentile")) {
        (Aggregation::Percentile(_), true) => {}
        (Aggregation::Percentile(_), false) => section.missing("percentile", "95"),
        (_, true) => section.problem("percentile", "is for `aggregation = \"percentile\"`"),
        (_, false) => {}
    }
    // rows can be counted without a column
    let column = match section.has("column") {
        false if aggregation == Aggregation::Count => Some(None),
        _ => section.required_text("column", "\"views\"").map(Some),
    };
    let filters = filters(section, timestamp);
    let is_sketched = matches!(aggregation, Aggregation::Distinct | Aggregation::Percentile(_));
    let width = window(section, length, if is_sketched { SKETCH_WINDOW_MAX } else { WINDOW_MAX });
    let is_counter = section.flag("counter", false);
    if section.has("division_by_zero") {
        section.problem("division_by_zero", "is for an `expression` alone");
    }
    if is_counter && aggregation != Aggregation::Max {
        let name = aggregation.name();
        section.problem(
            "counter",
            &format!("is for the largest value of an interval, not for `{name}`; hint: set `aggregation = \"max\"`"),
        );
    }
    if is_counter && width > 1 {
        section.problem("window", "stands beside `counter`, whose increase is that of one interval");
    }
    let Some(column) = column else { return (None, None, is_counter) };
    let is_numeric = aggregation != Aggregation::Distinct;
    if column.is_some() && column.as_deref() == timestamp {
        section.problem("column", "is the one of the event time, whose values are not kept");
    } else if let Some(column) = column.as_ref().filter(|column| is_numeric && !columns.contains(column)) {
        let near = nearest(column, columns.iter().map(String::as_str));
        let hint = near.map_or_else(|| "add it to `select.measures`".into(), |near| format!("did you mean `{near}`?"));
        section.problem("column", &format!("is `{column}`, which is not among `select.measures`; hint: {hint}"));
    }
    let usual = match (&column, aggregation) {
        (Some(column), _) if is_counter => format!("{column}_increase"),
        (Some(column), Aggregation::Sum) => column.clone(),
        (Some(column), Aggregation::Percentile(percentile)) => format!("{column}_p{}", percentile.percent()),
        (Some(column), other) => format!("{column}_{}", other.name()),
        (None, other) => other.name().to_owned(),
    };
    let gather = match aggregation {
        Aggregation::Distinct => Gather::Distinct,
        Aggregation::Percentile(_) => Gather::Quantiles,
        _ => Gather::Stats,
    };
    let take = Take::new(column, filters).over(width).gathering(gather);
    (Some(Origin::Rows { take, aggregation }), Some(usual), is_counter)
}

/// How many intervals a measure reaches over, up to so many.
fn window(section: &Section<'_>, length: Option<Length>, most: u32) -> u32 {
    // a length that is wrong has been told
    let one = Duration::from_secs(length.map_or(1, Length::seconds).into());
    if !section.has("window") {
        return 1;
    }
    let most = if length.is_some() { most * one } else { Duration::MAX };
    let window = section.duration("window", one, one..=most);
    let widths = window.as_millis() / one.as_millis();
    if length.is_some() && !window.as_millis().is_multiple_of(one.as_millis()) {
        let hint = format!("hint: a multiple of `interval.length`, {}", show_duration(one));
        section.problem("window", &format!("is no whole number of intervals; {hint}"));
    }
    u32::try_from(widths).unwrap_or(1).max(1)
}

/// Which rows count, in the words of `[select.filters]`.
fn filters(section: &Section<'_>, timestamp: Option<&str>) -> Vec<Filter> {
    let entries = section.section("where").entries();
    for (name, values) in &entries {
        if values.is_empty() {
            section.problem("where", &format!("has `{name}` with no value, which no row has"));
        } else if timestamp == Some(name) {
            section.problem("where", &format!("names `{name}`, which holds the event time and cannot be filtered"));
        }
    }
    entries.into_iter().map(|(column, values)| Filter { column, values }).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, parse};

    const HEAD: &str = "[source.files]\npath = 'in'\n[select]\ntimestamp = 'at'\ndimensions = ['page']\n\
                        [partition]\nurl = 'out'\n";

    fn read(measures: &str) -> Result<Config, String> {
        parse(&format!("{HEAD}{measures}"), &|_| None).map_err(|problems| problems.to_string())
    }

    #[test]
    fn clicks_impressions_and_their_ratio() {
        let config = read(
            "[[detect.measure]]\nname = 'clicks'\naggregation = 'count'\nwhere = { action = ['Click'], page = 'a' }\n\
             [[detect.measure]]\naggregation = 'count'\n\
             [[detect.measure]]\nname = 'ctr'\nexpression = '100 * clicks / count'\ndivision_by_zero = 0\n",
        );
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let said: Vec<String> = config
            .detect
            .measures
            .iter()
            .map(|measure| format!("{}: {}", measure.name, measure.description()))
            .collect();
        let expected = [
            "clicks: count of rows where action is Click and page is a",
            "count: count of rows",
            "ctr: 100 * clicks / count, 0 over 0",
        ];
        assert_eq!(said, expected);
        assert_eq!(config.select.keep, ["action"], "what a filter looks at is kept in the partitions");
        assert!(config.select.measures.is_empty());
    }

    #[test]
    fn different_values_percentiles_and_windows() {
        let config = read(
            "[interval]\nlength = '10s'\n[[detect.measure]]\ncolumn = 'user'\naggregation = 'distinct'\nwindow = '60s'\n\
             [[detect.measure]]\ncolumn = 'ms'\naggregation = 'percentile'\npercentile = 99.9\n",
        );
        let problems = config.unwrap_err();
        assert!(problems.contains("`detect.measure[1].column` is `ms`, which is not among"), "{problems}");
        let config = read(
            "[interval]\nlength = '10s'\n[[detect.measure]]\ncolumn = 'user'\naggregation = 'distinct'\nwindow = '60s'\n",
        );
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let measure = &config.detect.measures[0];
        assert_eq!(
            (&*measure.name, measure.description()),
            ("user_distinct", "distinct of `user` over 6 intervals".into())
        );
        assert_eq!(config.select.keep, ["user"]);
        let problems = read(
            "[interval]\nlength = '10s'\n[[detect.measure]]\naggregation = 'count'\nwindow = '25s'\npercentile = 5\n\
             [[detect.measure]]\ncolumn = 'at'\naggregation = 'percentile'\n\
             [[detect.measure]]\nname = 'x'\naggregation = 'count'\nwindow = '2h'\n",
        );
        let problems = problems.unwrap_err();
        for expected in [
            "`detect.measure[0].window` is no whole number of intervals; hint: a multiple of `interval.length`, 10s",
            "`detect.measure[0].percentile` is for `aggregation = \"percentile\"`",
            "`detect.measure[1].percentile` is missing; hint: for example `percentile = 95`",
            "`detect.measure[1].column` is the one of the event time",
            "`detect.measure[2].window` is `2h`, allowed is a duration from \"10s\" to \"1h\"",
        ] {
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let problems = read(
            "[[detect.measure]]\nname = 'clicks'\naggregation = 'count'\nwhere = { action = [], at = ['x'] }\n\
             [[detect.measure]]\nname = 'a'\nexpression = '100 * (clicks'\n\
             [[detect.measure]]\nname = 'b'\nexpression = 'b / clicks'\ncolumn = 'x'\n\
             [[detect.measure]]\nexpression = 'clicks / 2'\n\
             [[detect.measure]]\naggregation = 'sum'\n\
             [[detect.measure]]\naggregation = 'count'\ndivision_by_zero = 1\n",
        )
        .unwrap_err();
        for expected in [
            "`detect.measure[0].where` has `action` with no value, which no row has",
            "`detect.measure[0].where` names `at`, which holds the event time and cannot be filtered",
            "`detect.measure[1].expression` `100 * (clicks` ends where `)` is expected; hint: for example",
            "`detect.measure[2].expression` follows from itself, by way of `b`",
            "`detect.measure[2].column` stands beside `expression`",
            "`detect.measure[3].name` is missing",
            "`detect.measure[4].column` is missing",
            "`detect.measure[5].division_by_zero` is for an `expression` alone",
        ] {
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
        let problems = read("[[detect.measure]]\nname = 'a'\nexpression = '2 * vews'\n").unwrap_err();
        assert!(problems.contains("names `vews`, which is no measure; hint: make it one"), "{problems}");
        let problems = read("").unwrap_err();
        assert!(problems.contains("`select.measures` is missing"), "{problems}");
    }
}
