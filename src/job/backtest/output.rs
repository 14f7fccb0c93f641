//! The files that a backtest writes: lines of CSV; anomaly groups and revisions as JSON lines.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::job::error::JobError;
use crate::model::{AnomalyGroup, Point, PointState};

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
