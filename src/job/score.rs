//! How good were the verdicts: labelled incidents against flagged intervals.
//!
//! An *incident* is a stretch of time on one series of one measure. It is found when one of its intervals is flagged.
//! An *episode* is a maximal run of consecutive flagged intervals of one series; it is false when it touches no
//! incident. Recall is found / incidents, precision is true episodes / episodes, F1 their harmonic mean, and the delay
//! of a found incident counts intervals from its first one to the first flagged one. The median of an even number of
//! delays is the lower of the two in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;

use crate::model::{Interval, Length, Point, PointState, SeriesKey, nearest};

/// How many names a hint lists at most.
const NAMED_MAX: usize = 5;
const TIME_FORMATS: [&str; 3] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];

/// One labelled incident; `end` is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    key: SeriesKey,
    measure: String,
    first: i64,
    end: i64,
    line: u64,
}

/// A file of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    dimensions: Vec<String>,
    incidents: Vec<Incident>,
}

/// Labels that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The file cannot be read as CSV.
    #[error("labels `{path}`: {source}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// A column is missing.
    #[error("labels `{path}` have no column `{column}`; hint: the header is `start,end,<dimensions>,measure`")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A value that is no time.
    #[error("labels `{path}` line {line}: `{value}` is not a time such as `2024-03-04 10:05:00`")]
    Time {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The value.
        value: String,
    },
    /// An incident that ends before it begins.
    #[error(
        "labels `{path}` line {line}: the end `{end}` is not after the start `{start}`; hint: `end` is the first moment \
         after the incident"
    )]
    Order {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// When it starts.
        start: String,
        /// When it ends.
        end: String,
    },
}

/// The figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Labelled incidents within the judged time.
    pub incidents: usize,
    /// Those of them that were found.
    pub found: usize,
    /// Incidents during which their series, which was judged, was still learning all the time.
    pub while_learning: usize,
    /// Incidents of series that were not judged at all: they are missed.
    pub unknown: Option<Unknown>,
    /// Episodes.
    pub episodes: usize,
    /// Those of them that touch no incident.
    pub false_episodes: usize,
    /// Lower median delay of found incidents, in intervals.
    pub delay_median: Option<u64>,
    /// Judged intervals times series, in weeks.
    pub series_weeks: f64,
}

/// Labels that name no series that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// How many incidents.
    pub incidents: usize,
    /// Line of the first of them, from 1.
    pub line: u64,
    /// Its series, as `shop=a, measure=views`.
    pub series: String,
    /// What may be wrong with it.
    pub hint: String,
}

#[expect(clippy::cast_precision_loss, reason = "counts of incidents stay far below 2^53")]
impl Score {
    /// Found / incidents; none where there is no incident.
    pub fn recall(&self) -> Option<f64> {
        (self.incidents > 0).then(|| self.found as f64 / self.incidents as f64)
    }

    /// True episodes / episodes; none where there is no episode.
    pub fn precision(&self) -> Option<f64> {
        (self.episodes > 0).then(|| (self.episodes - self.false_episodes) as f64 / self.episodes as f64)
    }

    /// Harmonic mean of both; none where one is missing. Without incidents there is nothing to find, without episodes
    /// nothing was found.
    pub fn f1(&self) -> Option<f64> {
        let (recall, precision) = (self.recall()?, self.precision()?);
        let sum = recall + precision;
        Some(if sum > 0.0 { 2.0 * recall * precision / sum } else { 0.0 })
    }

    /// False episodes per series and week; none where nothing was scored.
    pub fn false_per_series_week(&self) -> Option<f64> {
        (self.series_weeks > 0.0).then(|| self.false_episodes as f64 / self.series_weeks)
    }
}

impl Labels {
    /// No incident at all: every episode is false.
    pub(super) fn none() -> Labels {
        Labels { dimensions: Vec::new(), incidents: Vec::new() }
    }

    /// Reads a CSV file with the header `start,end,<dimensions>,measure`, in any order and with further columns. Times
    /// are local to the intervals' zone. Without a column `measure` a label counts for each of `measures`.
    ///
    /// # Errors
    /// When the file cannot be read, a column is missing, a value is no time or an incident ends before it begins.
    pub fn read(
        path: &Path,
        dimensions: &[String],
        measures: &[String],
        length: Length,
    ) -> Result<Labels, LabelsError> {
        let failed = |source| LabelsError::Csv { path: path.to_owned(), source };
        let mut reader = csv::Reader::from_path(path).map_err(failed)?;
        let header = reader.headers().map_err(failed)?.clone();
        let column = |name: &str| header.iter().position(|column| column == name);
        let required = |name: &str| {
            column(name).ok_or_else(|| LabelsError::Column { path: path.to_owned(), column: name.to_owned() })
        };
        let (start, end, measure) = (required("start")?, required("end")?, column("measure"));
        let places = dimensions.iter().map(|name| required(name)).collect::<Result<Vec<_>, _>>()?;
        let mut incidents = Vec::new();
        for record in reader.records() {
            let record = record.map_err(failed)?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |column: usize| record.get(column).unwrap_or_default();
            let number = |column| {
                let value = field(column);
                let at = time(value).ok_or_else(|| LabelsError::Time {
                    path: path.to_owned(),
                    line,
                    value: value.to_owned(),
                })?;
                Ok(at.and_utc().timestamp_micros())
            };
            let (from, to) = (number(start)?, number(end)?);
            if to <= from {
                let (start, end) = (field(start).to_owned(), field(end).to_owned());
                return Err(LabelsError::Order { path: path.to_owned(), line, start, end });
            }
            let first = Interval::containing(from, length).number();
            let end = Interval::containing(to - 1, length).number() + 1;
            let key = SeriesKey::new(places.iter().map(|column| field(*column)));
            let named = measure.map(|column| vec![field(column).to_owned()]);
            for measure in named.unwrap_or_else(|| measures.to_vec()) {
                incidents.push(Incident { key: key.clone(), measure, first, end, line });
            }
        }
        Ok(Labels { dimensions: dimensions.to_vec(), incidents })
    }
}

fn time(text: &str) -> Option<NaiveDateTime> {
    TIME_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
}

/// Gathers verdicts, in the order of time, and scores them at the end.
#[derive(Debug, Default)]
pub struct Scorer {
    series: BTreeMap<(SeriesKey, String), Judged>,
}

#[derive(Debug, Default)]
struct Judged {
    flagged: BTreeSet<i64>,
    /// Intervals that were scored, learning ones excluded.
    scored: BTreeSet<i64>,
    seen: BTreeSet<i64>,
}

impl Scorer {
    /// Takes verdicts in.
    pub fn add(&mut self, points: &[Point]) {
        for point in points {
            let number = point.interval.number();
            let judged = self.series.entry((point.key.clone(), point.measure.to_string())).or_default();
            judged.seen.insert(number);
            match point.state {
                PointState::Learning { .. } => {}
                PointState::Normal => drop(judged.scored.insert(number)),
                PointState::Anomalous { .. } => {
                    judged.scored.insert(number);
                    judged.flagged.insert(number);
                }
            }
        }
    }

    /// Scores what was taken in against labels; incidents outside the judged time do not count.
    #[expect(clippy::cast_precision_loss, reason = "counts of intervals stay far below 2^53")]
    pub fn score(&self, labels: &Labels, length: Length) -> Score {
        let mut score = Score {
            incidents: 0,
            found: 0,
            while_learning: 0,
            unknown: None,
            episodes: 0,
            false_episodes: 0,
            delay_median: None,
            series_weeks: 0.0,
        };
        let first = self.series.values().filter_map(|judged| judged.seen.first()).min().copied();
        let last = self.series.values().filter_map(|judged| judged.seen.last()).max().copied();
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(-1));
        let mut incidents: BTreeMap<(SeriesKey, String), Vec<&Incident>> = BTreeMap::new();
        for incident in labels.incidents.iter().filter(|incident| incident.first <= last && incident.end > first) {
            incidents.entry((incident.key.clone(), incident.measure.clone())).or_default().push(incident);
        }
        let mut delays = Vec::new();
        let mut unknown: Vec<&Incident> = Vec::new();
        for (series, incidents) in &incidents {
            let Some(judged) = self.series.get(series) else {
                score.incidents += incidents.len();
                unknown.extend(incidents);
                continue;
            };
            for incident in incidents {
                score.incidents += 1;
                score.while_learning += usize::from(judged.scored.range(incident.first..incident.end).next().is_none());
                if let Some(found) = judged.flagged.range(incident.first..incident.end).next() {
                    score.found += 1;
                    delays.push(found.abs_diff(incident.first));
                }
            }
        }
        for (series, judged) in &self.series {
            let known = incidents.get(series).map(Vec::as_slice).unwrap_or_default();
            score.series_weeks += judged.scored.len() as f64 * f64::from(length.seconds()) / (7.0 * 86_400.0);
            for (begin, end) in episodes(&judged.flagged) {
                score.episodes += 1;
                score.false_episodes +=
                    usize::from(!known.iter().any(|incident| incident.first < end && begin < incident.end));
            }
        }
        delays.sort_unstable();
        score.delay_median = delays.get(delays.len().saturating_sub(1) / 2).copied();
        score.unknown = unknown.iter().min_by_key(|incident| incident.line).map(|first| Unknown {
            incidents: unknown.len(),
            line: first.line,
            series: first.series(&labels.dimensions),
            hint: self.why_unknown(first, &labels.dimensions),
        });
        score
    }

    /// What may be wrong with a label that names no series: its measure, a dimension value, or their combination.
    fn why_unknown(&self, incident: &Incident, dimensions: &[String]) -> String {
        let measures: BTreeSet<&str> = self.series.keys().map(|(_, measure)| measure.as_str()).collect();
        if !measures.contains(incident.measure.as_str()) {
            return unlike("measure", &incident.measure, &measures);
        }
        for (index, (name, value)) in dimensions.iter().zip(incident.key.values()).enumerate() {
            let values: BTreeSet<&str> = self.series.keys().filter_map(|(key, _)| key.values().nth(index)).collect();
            if !values.contains(value) {
                return unlike(&format!("value of `{name}`"), value, &values);
            }
        }
        "these values do not come together".to_owned()
    }
}

impl Incident {
    /// `shop=a, measure=views`.
    fn series(&self, dimensions: &[String]) -> String {
        let values = dimensions.iter().zip(self.key.values()).map(|(name, value)| format!("{name}={value}"));
        values.chain([format!("measure={}", self.measure)]).collect::<Vec<_>>().join(", ")
    }
}

/// Says that `given` is none of `names`, and which of them it may have meant.
fn unlike(what: &str, given: &str, names: &BTreeSet<&str>) -> String {
    match nearest(given, names.iter().copied()) {
        Some(name) => format!("`{given}` is no {what}, did you mean `{name}`?"),
        None => {
            let some = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let more = if names.len() > NAMED_MAX { ", ..." } else { "" };
            format!("`{given}` is no {what}; there are {some}{more}")
        }
    }
}

/// Maximal runs of consecutive numbers, as half-open ranges.
fn episodes(flagged: &BTreeSet<i64>) -> Vec<(i64, i64)> {
    let mut episodes: Vec<(i64, i64)> = Vec::new();
    for number in flagged {
        match episodes.last_mut() {
            Some((_, end)) if *end == *number => *end += 1,
            _ => episodes.push((*number, number + 1)),
        }
    }
    episodes
}

#[cfg(test)]
mod tests;
