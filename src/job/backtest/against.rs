//! Two configurations over the same history: which anomalies the second finds that the first does not, and the other
//! way round.
//!
//! What both say of one series of one measure is put together where it overlaps in time: a stretch of time in which
//! both flag something is kept, one of the first alone is lost, one of the second alone is gained.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::output::Output;
use super::several::{Anomalies, Said, Several};
use super::walk::{End, input, walk};
use super::{From, Span};
use crate::config::Config;
use crate::job::error::JobError;
use crate::job::host::{Host, Summary};
use crate::job::judge;
use crate::job::score::Score;
use crate::model::{Columns, Dimensions, Interval, SeriesKey};

/// Configurations whose findings cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error(
    "the findings of the two configurations cannot be compared: {}; hint: both look at the partitions of the first, so \
     let the second differ in `detect` alone, and not in its measures", differences.join("; ")
)]
pub struct AgainstError {
    differences: Vec<String>,
}

/// What the second of two configurations changes.
#[derive(Clone, Debug)]
pub struct Against {
    /// Intervals, and series of the first.
    pub summary: Summary,
    /// Intervals before the first date, which both learned from.
    pub learned: u64,
    /// The first and the second.
    pub sides: [Side; 2],
    /// By time, measure and series.
    pub changes: Vec<Change>,
}

/// What one of the two says.
#[derive(Clone, Debug)]
pub struct Side {
    /// Anomalies: what has one beginning on one series of one measure.
    pub anomalies: u64,
    /// Findings.
    pub findings: u64,
    /// The figures, where there are labels.
    pub score: Option<Score>,
}

/// A stretch of time on one series of one measure in which one of them, or both, found something.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The first interval that was flagged.
    pub first: Interval,
    /// The last one.
    pub last: Interval,
    /// The measure.
    pub measure: Arc<str>,
    /// Where.
    pub dimensions: Dimensions,
    /// What the first configuration says, and the second.
    pub parts: [Option<Part>; 2],
}

/// What one configuration says of such a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// How many intervals it flags.
    pub intervals: u64,
    /// The largest severity.
    pub severity: f64,
}

/// What happened to an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Both find it.
    Kept,
    /// The second alone finds it.
    Gained,
    /// The first alone finds it.
    Lost,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kept => "kept",
            Kind::Gained => "gained",
            Kind::Lost => "lost",
        }
    }
}

impl Change {
    /// What happened.
    pub fn kind(&self) -> Kind {
        match self.parts {
            [Some(_), None] => Kind::Lost,
            [None, _] => Kind::Gained,
            [Some(_), Some(_)] => Kind::Kept,
        }
    }
}

/// Runs the detectors of two configurations over the partitions of the first, or over its source, and writes what
/// changed as CSV where that is wanted.
///
/// # Errors
/// When the two cannot be compared, there is no history, it cannot be read, or the file cannot be written.
pub async fn against(
    config: &Config,
    other: &Config,
    span: &Span,
    csv: Option<&Path>,
    mut host: Host<'_>,
) -> Result<Against, JobError> {
    comparable(config, other)?;
    if config.detect.records.is_some() || other.detect.records.is_some() {
        let hint = "backtest each with `--scores` and `--labels`";
        return Err(JobError::OfIntervals { what: "`--against`", hint });
    }
    let from: From = input(config, span).await?;
    let output = csv.map(Output::create).transpose()?;
    let make = |columns: &Columns| {
        let settings = vec![judge::settings(config, columns)?, judge::settings(other, columns)?];
        Several::new(config, span, columns, settings)
    };
    let (several, read) = walk(config, (from, End::Date(span.to)), &mut host, make).await?;
    let (summary, learned, said) = several.finish(read, &host);
    let [first, second] = [0, 1].map(|at| said.get(at));
    let none = Anomalies::new();
    let anomalies = [first, second].map(|said| said.map_or(&none, |said| &said.anomalies));
    let changes = changes(anomalies, &config.select.dimensions);
    if let Some(output) = output {
        write(output, &config.select.dimensions, &changes)?;
    }
    let side = |said: Option<&Said>| Side {
        anomalies: said.map_or(0, |said| said.anomalies.len() as u64),
        findings: said.map_or(0, |said| said.findings),
        score: said.filter(|_| span.labels.is_some()).map(|said| said.score.clone()),
    };
    Ok(Against { summary, learned, sides: [side(first), side(second)], changes })
}

/// Names all that is in the way.
fn comparable(a: &Config, b: &Config) -> Result<(), AgainstError> {
    let measures = |config: &Config| {
        let each = config.detect.measures.iter();
        let each = each.map(|measure| format!("{} ({})", measure.name, measure.description()));
        let mut names: Vec<String> = each.collect();
        names.sort();
        names.join(", ")
    };
    let filters = |config: &Config| {
        let each = config.select.filters.iter().map(|(name, values)| format!("{name} = {}", values.join(" or ")));
        let mut filters: Vec<String> = each.collect();
        filters.sort();
        if filters.is_empty() { "none".to_owned() } else { filters.join(", ") }
    };
    let compared = [
        ("dimensions", [a, b].map(|config| config.select.dimensions.join(", "))),
        ("measures", [a, b].map(measures)),
        ("the interval's length", [a, b].map(|config| format!("{} s", config.interval.length.seconds()))),
        ("the interval's time zone", [a, b].map(|config| config.interval.zone.name().to_owned())),
        ("filters", [a, b].map(filters)),
    ];
    let different = compared.into_iter().filter(|(_, [a, b])| a != b);
    let differences: Vec<String> = different.map(|(what, [a, b])| format!("{what}: {a} against {b}")).collect();
    if differences.is_empty() { Ok(()) } else { Err(AgainstError { differences }) }
}

fn changes(anomalies: [&Anomalies; 2], names: &[String]) -> Vec<Change> {
    type Stretch = (Interval, Interval, usize, Part);
    let mut series: BTreeMap<(&Arc<str>, &SeriesKey), Vec<Stretch>> = BTreeMap::new();
    for (side, anomalies) in anomalies.into_iter().enumerate() {
        for ((measure, key, first), anomaly) in anomalies {
            let part = Part { intervals: anomaly.intervals, severity: anomaly.severity };
            series.entry((measure, key)).or_default().push((*first, anomaly.last, side, part));
        }
    }
    let mut changes: Vec<Change> = Vec::new();
    for ((measure, key), mut stretches) in series {
        let begun = changes.len();
        stretches.sort_by_key(|(first, last, side, _)| (*first, *last, *side));
        for (first, last, side, part) in stretches {
            match changes[begun..].last_mut().filter(|change| first <= change.last) {
                Some(change) => {
                    change.last = change.last.max(last);
                    change.parts[side] = Some(together(change.parts[side], part));
                }
                None => {
                    let (measure, dimensions) = (Arc::clone(measure), Dimensions::new(names, key));
                    let mut parts = [None, None];
                    parts[side] = Some(part);
                    changes.push(Change { first, last, measure, dimensions, parts });
                }
            }
        }
    }
    // of one interval they stay in the order of measure and series
    changes.sort_by_key(|change| change.first);
    changes
}

fn together(before: Option<Part>, part: Part) -> Part {
    let Some(before) = before else { return part };
    Part { intervals: before.intervals + part.intervals, severity: before.severity.max(part.severity) }
}

fn write(mut output: Output, dimensions: &[String], changes: &[Change]) -> Result<(), JobError> {
    let names = dimensions.iter().map(String::as_str);
    let columns = ["intervals_a", "intervals_b", "severity_a", "severity_b"];
    output.record(["change", "start", "end", "measure"].into_iter().chain(names).chain(columns))?;
    for change in changes {
        let (start, end) = (change.first.to_string(), change.last.end().to_string());
        let intervals = change.parts.map(|part| part.map_or(0, |part| part.intervals).to_string());
        let severities = change.parts.map(|part| part.map(|part| part.severity.to_string()).unwrap_or_default());
        let front = [change.kind().name(), &start, &end, &change.measure];
        let values = change.dimensions.iter().map(|(_, value)| value);
        let back = intervals.iter().chain(&severities).map(String::as_str);
        output.record(front.into_iter().chain(values).chain(back))?;
    }
    output.finish()
}

#[cfg(test)]
mod tests {
    use super::super::several::Anomaly;
    use super::*;
    use crate::model::Length;

    fn interval(number: i64) -> Interval {
        Interval::containing(number * 300_000_000, Length::from_seconds(300).unwrap())
    }

    /// Anomalies of series `shop`: first interval, last interval, severity.
    fn anomalies(all: &[(&str, i64, i64, f64)]) -> Anomalies {
        let each = all.iter().map(|(shop, first, last, severity)| {
            let anomaly = Anomaly { last: interval(*last), intervals: last.abs_diff(*first) + 1, severity: *severity };
            ((Arc::from("views"), SeriesKey::new([*shop]), interval(*first)), anomaly)
        });
        each.collect()
    }

    #[test]
    fn what_overlaps_on_one_series_is_kept() {
        let first = anomalies(&[("a", 1, 4, 60.0), ("a", 6, 9, 70.0), ("a", 20, 20, 50.0), ("b", 5, 5, 99.0)]);
        let second = anomalies(&[("a", 4, 6, 80.0), ("a", 21, 22, 55.0), ("c", 0, 0, 51.0)]);
        let names = ["shop".to_owned()];
        let told = |changes: &[Change]| -> Vec<String> {
            let each = changes.iter().map(|change| {
                let span = (change.first.number(), change.last.number());
                let intervals = change.parts.map(|part| part.map_or(0, |part| part.intervals));
                format!("{} {} {span:?} {intervals:?}", change.dimensions, change.kind().name())
            });
            each.collect()
        };
        let expected = [
            "shop=c gained (0, 0) [0, 1]",
            "shop=a kept (1, 9) [8, 3]",
            "shop=b lost (5, 5) [1, 0]",
            "shop=a lost (20, 20) [1, 0]",
            "shop=a gained (21, 22) [0, 2]",
        ];
        let there = changes([&first, &second], &names);
        assert_eq!(told(&there), expected);
        assert_eq!(there[1].parts[0], Some(Part { intervals: 8, severity: 70.0 }));
        let back = changes([&second, &first], &names);
        let swapped = |kind| if kind == Kind::Gained { Kind::Lost } else { Kind::Gained };
        for (change, back) in there.iter().zip(&back) {
            let expected = if change.kind() == Kind::Kept { Kind::Kept } else { swapped(change.kind()) };
            assert_eq!((back.kind(), back.first, back.last), (expected, change.first, change.last));
        }
        assert!(changes([&first, &first], &names).iter().all(|change| change.kind() == Kind::Kept));
    }

    #[test]
    fn all_that_is_in_the_way_is_named() {
        let config = |detect: &str, interval: &str, select: &str| {
            let text = format!(
                "[source.stdin]\n[decode]\nformat = 'json_lines'\n[select]\ntimestamp = 'at'\ndimensions = ['shop']\nmeasures = ['views', 'sales']\n\
                 {select}\n[interval]\n{interval}\n[partition]\nurl = 'out'\n[detect]\n{detect}\n"
            );
            crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"))
        };
        let plain = config("", "", "");
        assert!(comparable(&plain, &config("sensitivity = 1.0\ntrees = 5\nseed = 3", "offset = '5m'", "")).is_ok());
        let measures = "[[detect.measure]]\ncolumn = 'views'\naggregation = 'max'";
        let far = config(measures, "length = '10m'", "filters = { shop = ['a', 'b'] }");
        let error = comparable(&plain, &far).unwrap_err().to_string();
        for word in [
            "measures: ",
            "against views",
            "(max of `views`)",
            "300 s against 600 s",
            "filters: none against shop = a or b",
        ] {
            assert!(error.contains(word), "`{word}` in {error}");
        }
        assert!(!error.contains("dimensions:") && !error.contains("zone") && error.contains("hint:"), "{error}");
    }
}
