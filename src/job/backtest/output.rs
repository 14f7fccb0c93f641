//! The files that a backtest writes: lines of CSV; anomaly groups and revisions as JSON lines.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Records;
use crate::job::error::JobError;
use crate::model::{AnomalyGroup, ColumnShare, Columns, Direction, Point, PointState, ScoredRecord};

/// A file that the backtest writes.
pub(super) struct Output {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Output, JobError> {
        let file = File::create(path).map_err(|source| JobError::Output { path: path.to_owned(), source })?;
        Ok(Output { path: path.to_owned(), writer: BufWriter::new(file) })
    }

    pub(super) fn header(&mut self, dimensions: &[String]) -> Result<(), JobError> {
        let measured = ["measure", "value", "expected", "lower", "upper", "score", "severity", "anomaly"];
        let names = dimensions.iter().map(String::as_str);
        self.record(std::iter::once("interval_start").chain(names).chain(measured))
    }

    /// One line per scored point; a series that learns has no score.
    pub(super) fn point(&mut self, point: &Point) -> Result<(), JobError> {
        if matches!(point.state, PointState::Learning { .. }) {
            return Ok(());
        }
        let anomaly = if matches!(point.state, PointState::Anomalous { .. }) { "1" } else { "0" };
        let start = point.interval.to_string();
        let numbers = [point.expected, point.lower, point.upper, point.score, point.severity].map(|n| n.to_string());
        let value = point.value.map(|value| value.to_string()).unwrap_or_default();
        let front = [start.as_str()].into_iter().chain(point.key.values());
        let back = [&*point.measure, value.as_str()].into_iter().chain(numbers.iter().map(String::as_str));
        self.record(front.chain(back).chain([anomaly]))
    }

    /// The header of a file of scored records.
    pub(super) fn record_header(&mut self, columns: &Columns, records: &Records) -> Result<(), JobError> {
        let names: Vec<String> = columns.fields().map(|(name, _)| name.to_owned()).collect();
        let scored = if records.attribution { records.columns.as_slice() } else { &[] };
        let shares: Vec<String> = scored.iter().map(|name| format!("ATTRIBUTION_SCORE_{name}")).collect();
        let names = names.iter().map(String::as_str).chain(["ANOMALY_SCORE"]);
        self.record(names.chain(shares.iter().map(String::as_str)).chain(["anomaly"]))
    }

    /// One line per scored record: its columns, its score, the shares of the columns with a minus sign where the value is
    /// low, and whether it is told.
    pub(super) fn scored(&mut self, record: &ScoredRecord, shares: usize, is_told: bool) -> Result<(), JobError> {
        let score = record.score.to_string();
        let time = record.time.to_string();
        let fields: Vec<String> = record.fields.iter().map(|(_, value)| value.to_string()).collect();
        let share = |share: &ColumnShare| match share.direction {
            Direction::High => share.score.to_string(),
            Direction::Low => (-share.score).to_string(),
        };
        let mut shares: Vec<String> = vec![String::new(); shares];
        // a forest that learns has none
        shares.iter_mut().zip(&record.explanation).for_each(|(to, of)| *to = share(of));
        let front = record.dimensions.iter().map(|(_, value)| value).chain([time.as_str()]);
        let middle = fields.iter().map(String::as_str).chain([score.as_str()]);
        let back = shares.iter().map(String::as_str).chain([if is_told { "1" } else { "0" }]);
        self.record(front.chain(middle).chain(back))
    }

    pub(super) fn group(&mut self, group: &AnomalyGroup) -> Result<(), JobError> {
        self.line(group)
    }

    /// A line of JSON.
    pub(super) fn line(&mut self, line: &impl Serialize) -> Result<(), JobError> {
        let written = serde_json::to_writer(&mut self.writer, line).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.writer.write_all(b"\n"));
        written.map_err(|source| JobError::Output { path: self.path.clone(), source })
    }

    pub(super) fn record<'r>(&mut self, fields: impl Iterator<Item = &'r str>) -> Result<(), JobError> {
        let mut line = csv::Writer::from_writer(Vec::new());
        let written = line.write_record(fields).map_err(std::io::Error::from);
        let bytes = written.and_then(|()| line.into_inner().map_err(|error| std::io::Error::other(error.to_string())));
        let written = bytes.and_then(|bytes| self.writer.write_all(&bytes));
        written.map_err(|source| JobError::Output { path: self.path.clone(), source })
    }

    pub(super) fn finish(mut self) -> Result<(), JobError> {
        self.writer.flush().map_err(|source| JobError::Output { path: self.path, source })
    }
}
