//! How good were the verdicts: labelled incidents against flagged intervals.
//!
//! An *incident* is a stretch of time on one series of one measure. It is found when one of its intervals is flagged.
//! An *episode* is a maximal run of consecutive flagged intervals of one series; it is false when it touches no
//! incident. Recall is found / incidents, precision is true episodes / episodes, F1 their harmonic mean, and the delay
//! of a found incident counts intervals from its first one to the first flagged one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;

use crate::model::{Interval, Length, Point, PointState, SeriesKey};

const TIME_FORMATS: [&str; 3] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];

/// One labelled incident; `end` is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    key: SeriesKey,
    measure: String,
    first: i64,
    end: i64,
}

/// A file of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Vec<Incident>);

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
}

/// The figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Labelled incidents within the judged time.
    pub incidents: usize,
    /// Those of them that were found.
    pub found: usize,
    /// Incidents during which their series was still learning all the time.
    pub while_learning: usize,
    /// Episodes.
    pub episodes: usize,
    /// Those of them that touch no incident.
    pub false_episodes: usize,
    /// Median delay of found incidents, in intervals.
    pub delay_median: Option<u64>,
    /// Judged intervals times series, in weeks.
    pub series_weeks: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of incidents stay far below 2^53")]
impl Score {
    /// Found / incidents; 1 where there is no incident.
    pub fn recall(&self) -> f64 {
        if self.incidents == 0 { 1.0 } else { self.found as f64 / self.incidents as f64 }
    }

    /// True episodes / episodes; 1 where there is no episode.
    pub fn precision(&self) -> f64 {
        if self.episodes == 0 { 1.0 } else { (self.episodes - self.false_episodes) as f64 / self.episodes as f64 }
    }

    /// Harmonic mean of both.
    pub fn f1(&self) -> f64 {
        let sum = self.recall() + self.precision();
        if sum > 0.0 { 2.0 * self.recall() * self.precision() / sum } else { 0.0 }
    }

    /// False episodes per series and week.
    pub fn false_per_series_week(&self) -> f64 {
        if self.series_weeks > 0.0 { self.false_episodes as f64 / self.series_weeks } else { 0.0 }
    }
}

impl Labels {
    /// Reads a CSV file with the header `start,end,<dimensions>,measure`, in any order and with further columns. Times
    /// are local to the intervals' zone. Without a column `measure` a label counts for each of `measures`.
    ///
    /// # Errors
    /// When the file cannot be read, a column is missing or a value is no time.
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
        let dimensions = dimensions.iter().map(|name| required(name)).collect::<Result<Vec<_>, _>>()?;
        let mut incidents = Vec::new();
        for (line, record) in (2..).zip(reader.records()) {
            let record = record.map_err(failed)?;
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
            let first = Interval::containing(number(start)?, length).number();
            let end = Interval::containing(number(end)? - 1, length).number() + 1;
            let key = SeriesKey::new(dimensions.iter().map(|column| field(*column)));
            let named = measure.map(|column| vec![field(column).to_owned()]);
            for measure in named.unwrap_or_else(|| measures.to_vec()) {
                incidents.push(Incident { key: key.clone(), measure, first, end });
            }
        }
        Ok(Labels(incidents))
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
            episodes: 0,
            false_episodes: 0,
            delay_median: None,
            series_weeks: 0.0,
        };
        let first = self.series.values().filter_map(|judged| judged.seen.first()).min().copied();
        let last = self.series.values().filter_map(|judged| judged.seen.last()).max().copied();
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(-1));
        let mut incidents: BTreeMap<(SeriesKey, String), Vec<&Incident>> = BTreeMap::new();
        for incident in labels.0.iter().filter(|incident| incident.first <= last && incident.end > first) {
            incidents.entry((incident.key.clone(), incident.measure.clone())).or_default().push(incident);
        }
        let nothing = Judged::default();
        let mut delays = Vec::new();
        for (series, incidents) in &incidents {
            let judged = self.series.get(series).unwrap_or(&nothing);
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
        score.delay_median = delays.get(delays.len() / 2).copied();
        score
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
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;
    use crate::model::Direction;

    fn length() -> Length {
        Length::from_seconds(300).unwrap()
    }

    fn point(key: &str, number: i64, flagged: bool) -> Point {
        let interval = Interval::containing(number * 300_000_000, length());
        let state = match flagged {
            true => PointState::Anomalous { direction: Direction::High, since: interval },
            false => PointState::Normal,
        };
        let (expected, lower, upper, score, severity) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let (key, measure) = (SeriesKey::new([key]), Arc::from("views"));
        Point { interval, key, measure, value: Some(0.0), expected, lower, upper, score, severity, state }
    }

    fn labels(text: &str) -> Labels {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{text}").unwrap();
        Labels::read(file.path(), &["shop".into()], &["views".into()], length()).unwrap()
    }

    #[test]
    fn incidents_are_found_and_episodes_are_true_or_false() {
        let labels = labels(
            "shop,start,end\n\
             a,1970-01-01 00:25:00,1970-01-01 00:50:00\n\
             a,1970-01-01 02:00:00,1970-01-01 02:01:00\n\
             b,1970-01-01 00:25:00,1970-01-01 00:30:00\n\
             a,1980-01-01 00:00:00,1980-01-01 00:05:00\n",
        );
        let mut scorer = Scorer::default();
        for number in 0..100 {
            // a: intervals 7 and 8 of the incident 5..10, on to 11, and one false alarm; b: nothing
            scorer.add(&[point("a", number, [7, 8, 9, 10, 11, 50].contains(&number)), point("b", number, false)]);
        }
        let score = scorer.score(&labels, length());
        assert_eq!((score.incidents, score.found, score.episodes, score.false_episodes), (3, 1, 2, 1));
        assert_eq!(score.delay_median, Some(2));
        assert!((score.recall() - 1.0 / 3.0).abs() < 1e-12 && (score.precision() - 0.5).abs() < 1e-12);
        assert!((score.f1() - 0.4).abs() < 1e-12);
    }

    #[test]
    fn what_is_wrong_with_labels_is_said() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "start,end,shop\nsoon,later,a").unwrap();
        let error =
            |dimension: &str| Labels::read(file.path(), &[dimension.into()], &[], length()).unwrap_err().to_string();
        assert!(error("shop").contains("line 2: `soon` is not a time"), "{}", error("shop"));
        assert!(error("place").contains("no column `place`"), "{}", error("place"));
    }
}
