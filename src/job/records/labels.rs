//! How good were the scores: labelled records against those that were told.
//!
//! A file of labels is CSV with a line for each anomalous record. Its columns are columns of the records, as many as it
//! takes to tell a record from the others, such as an id: a record is anomalous when all of them are equal. Recall is the
//! share of the labelled records that were told, precision the share of the told ones that are labelled. Labelled records
//! that came while their forest learned count as missed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime};

use crate::model::{Columns, ScoredRecord, Timestamp, Zone};

const TIME_FORMATS: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];

/// Labels of records that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordLabelsError {
    /// The file cannot be read as CSV.
    #[error("labels `{path}`: {source}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// A column that records do not have.
    #[error(
        "labels `{path}` have the column `{column}`, which records do not have; hint: a line for each anomalous record, \
         with columns that tell it from others: {known}"
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns of records.
        known: String,
    },
    /// An event time that is none.
    #[error("labels `{path}` line {line}: `{value}` is not a time such as `2024-03-04 10:05:00.250`")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordScore {
    /// Labelled records that were scored.
    pub labelled: u64,
    /// Those of them that were told.
    pub found: u64,
    /// Those of them that came while their forest learned.
    pub while_learning: u64,
    /// Records that were told.
    pub told: u64,
    /// Labels that name no record that was scored.
    pub unknown: u64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of records stay far below 2^53")]
impl RecordScore {
    /// Found / labelled; none where no record is labelled.
    pub fn recall(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.found as f64 / self.labelled as f64)
    }

    /// Found / told; none where none was told.
    pub fn precision(&self) -> Option<f64> {
        (self.told > 0).then(|| self.found as f64 / self.told as f64)
    }

    /// Harmonic mean of both; none where one is missing.
    pub fn f1(&self) -> Option<f64> {
        let (recall, precision) = (self.recall()?, self.precision()?);
        (recall + precision > 0.0).then(|| 2.0 * recall * precision / (recall + precision))
    }
}

/// A file of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::job) struct RecordLabels {
    columns: Vec<String>,
    /// The values of labelled records, with how often they stand there.
    records: BTreeMap<Vec<String>, u64>,
}

impl RecordLabels {
    /// Reads a file of labels of records with these columns; times without a zone are of `zone`.
    pub(in crate::job) fn read(path: &Path, columns: &Columns, zone: Zone) -> Result<RecordLabels, RecordLabelsError> {
        let failed = |source| RecordLabelsError::Csv { path: path.to_owned(), source };
        let mut reader = csv::Reader::from_path(path).map_err(failed)?;
        let header: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
        let known: Vec<&str> = columns.fields().map(|(name, _)| name).collect();
        if let Some(column) = header.iter().find(|name| !known.contains(&name.as_str())) {
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(RecordLabelsError::Column { path: path.to_owned(), column: column.clone(), known });
        }
        let mut records = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(failed)?;
            let value = |(name, value): (&String, &str)| {
                if *name != columns.timestamp {
                    return Ok(value.to_owned());
                }
                let line = record.position().map_or(0, csv::Position::line);
                let wrong = || RecordLabelsError::Time { path: path.to_owned(), line, value: value.to_owned() };
                time(value, zone).map(|time| time.to_string()).ok_or_else(wrong)
            };
            let values = header.iter().zip(&record).map(value).collect::<Result<Vec<String>, _>>()?;
            *records.entry(values).or_insert(0) += 1;
        }
        Ok(RecordLabels { columns: header, records })
    }

    /// What the labels know a record by.
    fn key(&self, record: &ScoredRecord) -> Vec<String> {
        let value = |name: &String| {
            if *name == record.timestamp {
                return record.time.to_string();
            }
            let dimension = record.dimensions.iter().find(|(dimension, _)| dimension == name);
            let field = || record.field(name).map(ToString::to_string);
            dimension.map(|(_, value)| value.to_owned()).or_else(field).unwrap_or_default()
        };
        self.columns.iter().map(value).collect()
    }
}

fn time(text: &str, zone: Zone) -> Option<Timestamp> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Timestamp::from_micros(instant.timestamp_micros()).ok();
    }
    let local = TIME_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    zone.to_instant(local?).ok()
}

/// Gathers scored records and counts.
#[derive(Debug)]
pub(in crate::job) struct RecordScorer {
    labels: RecordLabels,
    score: RecordScore,
}

impl RecordScorer {
    pub(in crate::job) fn new(labels: RecordLabels) -> RecordScorer {
        RecordScorer { labels, score: RecordScore::default() }
    }

    /// Takes all scored records of an interval in, and those of them that are told.
    pub(in crate::job) fn add(&mut self, all: &[ScoredRecord], told: &[ScoredRecord]) {
        let is_labelled =
            |labels: &RecordLabels, record: &ScoredRecord| labels.records.contains_key(&labels.key(record));
        for record in all.iter().filter(|record| is_labelled(&self.labels, record)) {
            self.score.labelled += 1;
            self.score.while_learning += u64::from(record.score <= 0.0);
        }
        self.score.told += told.len() as u64;
        self.score.found += told.iter().filter(|record| is_labelled(&self.labels, record)).count() as u64;
    }

    pub(in crate::job) fn finish(self) -> RecordScore {
        let all: u64 = self.labels.records.values().sum();
        RecordScore { unknown: all.saturating_sub(self.score.labelled), ..self.score }
    }
}
