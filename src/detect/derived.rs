//! Measures that follow from others in the same interval and series: which measures an expression needs, and what it comes
//! to. A sum or a count without rows is 0 in it; a mean, minimum or maximum without rows has no value, and then the
//! expression has none either: the interval counts as one without a value of this measure.

use super::expression::Expression;
use super::settings::Measure;
use super::sparse::Given;
use crate::model::nearest;

/// A measure, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Formula<'a> {
    /// Its name.
    pub name: &'a str,
    /// From what it follows, if from other measures.
    pub expression: Option<&'a Expression>,
    /// Whether its increase is judged.
    pub is_counter: bool,
}

/// Why a measure cannot follow from others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerivedError {
    /// There is no such measure.
    #[error("names `{name}`, which is no measure; hint: {}", .near.as_ref().map_or_else(|| format!("make it one: `[[detect.measure]]` with `name = \"{}\"`", .name), |near| format!("did you mean `{near}`?")))]
    Unknown {
        /// The name.
        name: String,
        /// One that is like it.
        near: Option<String>,
    },
    /// The increase of a counter is known only where it is judged.
    #[error("names `{0}`, which is a counter; hint: leave it out, for its increase is not known to an expression")]
    Counter(String),
    /// It would follow from itself.
    #[error("follows from itself, by way of `{0}`; hint: break the circle")]
    Circle(String),
}

/// For each measure the places of those that it follows from.
///
/// # Errors
/// With every problem, and the place of its measure.
pub fn operands_of(measures: &[Formula<'_>]) -> Result<Vec<Vec<usize>>, Vec<(usize, DerivedError)>> {
    let mut problems = Vec::new();
    let mut all: Vec<Vec<usize>> = Vec::with_capacity(measures.len());
    for (at, measure) in measures.iter().enumerate() {
        let mut operands = Vec::new();
        for name in measure.expression.map(Expression::names).unwrap_or_default() {
            match measures.iter().position(|other| other.name == name) {
                Some(other) if measures[other].is_counter => {
                    problems.push((at, DerivedError::Counter(name.to_owned())));
                }
                Some(other) => operands.push(other),
                None => {
                    let others = measures.iter().enumerate().filter(|(other, _)| *other != at);
                    let near = nearest(name, others.map(|(_, other)| other.name)).map(str::to_owned);
                    problems.push((at, DerivedError::Unknown { name: name.to_owned(), near }));
                }
            }
        }
        all.push(operands);
    }
    for at in 0..measures.len() {
        let circle = all[at].iter().find(|operand| reaches(&all, **operand, at));
        problems.extend(circle.map(|by| (at, DerivedError::Circle(measures[*by].name.to_owned()))));
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// Whether one measure follows from another, or is it.
fn reaches(operands: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; operands.len()];
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            next.extend(&operands[at]);
        }
    }
    false
}

/// Works out what follows from the others.
pub(super) fn complete(given: &mut [Given], measures: &[Measure]) {
    for at in 0..measures.len() {
        if measures[at].expression().is_some() {
            let worked = self::given(measures, at, &|operand| given.get(operand).copied());
            given[at] = worked.unwrap_or(Given::NOTHING);
        }
    }
}

/// What measure `at` comes to where those that follow from the rows have been given this; none where one of them is not
/// known. Its rows are those of the operand with the most.
pub(super) fn given(measures: &[Measure], at: usize, known: &dyn Fn(usize) -> Option<Given>) -> Option<Given> {
    let measure = measures.get(at)?;
    let Some(expression) = measure.expression() else {
        let Given { value, rows } = known(at)?;
        return Some(Given { value: value.or(measure.aggregation().empty_is_zero().then_some(0.0)), rows });
    };
    let operands = measure.operands().iter().map(|operand| given(measures, *operand, known));
    let operands = operands.collect::<Option<Vec<Given>>>()?;
    let of = |name: &str| {
        let at = measure.operands().iter().position(|operand| **measures[*operand].name() == *name)?;
        operands[at].value
    };
    let value = expression.value(&of);
    let rows = operands.iter().map(|operand| operand.rows).max().unwrap_or(0);
    Some(Given { value, rows: if value.is_some() { rows } else { 0 } })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::{Aggregation, Detector, Settings};
    use crate::model::{Cell, ClosedInterval, Interval, Length, SeriesKey, Stats};

    fn derived(name: &str, text: &str) -> Measure {
        Measure::derived(Arc::from(name), Expression::parse(text).unwrap())
    }

    fn plain(name: &str, column: usize, aggregation: Aggregation) -> Measure {
        Measure::new(Arc::from(name), column, aggregation)
    }

    fn settings(measures: Vec<Measure>) -> Result<Settings, String> {
        let length = Length::from_seconds(10).unwrap();
        Settings::new(vec!["shop".into()], measures, length, 1).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_follow_is_named() {
        let sum = |name| plain(name, 0, Aggregation::Sum);
        let of = |measures| settings(measures).unwrap_err();
        let error = of(vec![sum("clicks"), derived("ctr", "100 * click / 2")]);
        assert_eq!(error, "measure `ctr` names `click`, which is no measure; hint: did you mean `clicks`?");
        let error = of(vec![derived("a", "b + 1"), derived("b", "c"), derived("c", "a * 2")]);
        assert_eq!(error, "measure `a` follows from itself, by way of `b`; hint: break the circle");
        assert!(of(vec![derived("a", "a + 1")]).contains("by way of `a`"));
        let counter = plain("total", 0, Aggregation::Max).with_counter().unwrap();
        assert!(of(vec![counter, derived("a", "total / 2")]).contains("is a counter"));
        // what only leads into a circle is no part of it
        let formulas = [derived("a", "b"), derived("b", "b")];
        let of = |measure: &Measure| measure.expression().unwrap().clone();
        let expressions = formulas.each_ref().map(of);
        let formulas = [("a", &expressions[0]), ("b", &expressions[1])];
        let formulas =
            formulas.map(|(name, expression)| Formula { name, expression: Some(expression), is_counter: false });
        assert_eq!(operands_of(&formulas), Err(vec![(1, DerivedError::Circle("b".into()))]));
    }

    fn cell(key: &str, clicks: f64, impressions: f64) -> Cell {
        let stats = |count: f64| {
            let mut stats = Stats::EMPTY;
            (0..count as usize).for_each(|_| stats.add(1.0));
            stats
        };
        Cell {
            key: SeriesKey::new([key]),
            rows: 1,
            stats: vec![stats(clicks), stats(impressions)],
            sketches: Vec::new(),
        }
    }

    fn detector() -> Detector {
        let measures = vec![
            derived("share", "ctr / 100"),
            derived("ctr", "100 * clicks / impressions"),
            plain("clicks", 0, Aggregation::Count),
            plain("impressions", 1, Aggregation::Count),
        ];
        Detector::new(settings(measures).unwrap())
    }

    #[test]
    fn a_ratio_is_worked_out_and_has_no_value_over_nothing() {
        let mut detector = detector();
        let interval = Interval::containing(0, Length::from_seconds(10).unwrap());
        let cells = vec![cell("a", 3.0, 60.0), cell("b", 0.0, 50.0), cell("c", 4.0, 0.0)];
        let points = detector.observe(&ClosedInterval { interval, cells });
        let of = |measure: &str| {
            let points = points.iter().filter(|point| &*point.measure == measure);
            points.map(|point| point.value).collect::<Vec<_>>()
        };
        assert_eq!(of("ctr"), [Some(5.0), Some(0.0), None]);
        assert_eq!(of("share"), [Some(0.05), Some(0.0), None]);
    }

    #[test]
    fn late_rows_of_a_part_revise_the_ratio() {
        let mut detector = detector();
        let first = Interval::containing(0, Length::from_seconds(10).unwrap());
        for step in 0..400 {
            // some noise, so that there is a scale
            let clicks = 20.0 + (step * 7 % 5) as f64;
            let clicks = if step == 390 { 2.0 } else { clicks };
            let cells = vec![cell("a", clicks, 400.0)];
            detector.observe(&ClosedInterval { interval: first.offset(step), cells });
        }
        let late = ClosedInterval { interval: first.offset(390), cells: vec![cell("a", 20.0, 0.0)] };
        detector.revise(&late);
        let revised = detector.take_revised();
        let ctr: Vec<_> = revised.iter().filter(|revised| &*revised.measure == "ctr").collect();
        let [ctr] = ctr[..] else { panic!("{revised:?}") };
        assert_eq!((ctr.outcome, ctr.value_before, ctr.value), (crate::detect::Outcome::Withdrawn, Some(0.5), 5.5));
        let settings = detector.settings().clone();
        let whole = detector.increment();
        let mut restoring = crate::detect::Restoring::new(settings);
        restoring.take(&whole.bytes, &crate::detect::Sequential).unwrap();
        let mut restored = restoring.finish().unwrap();
        for detector in [&mut detector, &mut restored] {
            detector.revise(&ClosedInterval { interval: first.offset(395), cells: vec![cell("a", 900.0, 0.0)] });
        }
        assert_eq!(detector.take_revised(), restored.take_revised());
    }
}
