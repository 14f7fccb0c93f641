//! The detector as all drivers use it: rows of an interval in, verdicts and anomaly groups out.

use crate::config::Config;
use crate::detect::{Aggregator, Detector, Increment, Measure, Settings};
use crate::explain;
use crate::model::{AnomalyGroup, Columns, Interval, Point, Rows};

use super::error::JobError;
use super::threads::Threads;

/// Judges intervals, one after the other.
#[derive(Debug)]
pub(super) struct Judge {
    columns: Columns,
    detector: Detector,
    threads: Threads,
}

/// What was said about one interval, and about those without a row before it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) points: Vec<Point>,
    pub(super) groups: Vec<AnomalyGroup>,
}

impl Verdict {
    pub(super) fn findings(&self) -> u64 {
        self.groups.iter().map(|group| group.findings.len() as u64).sum()
    }
}

impl Judge {
    /// A judge that has seen nothing.
    pub(super) fn new(config: &Config, columns: &Columns) -> Result<Judge, JobError> {
        Ok(Judge::going_on(columns, Detector::new(settings(config, columns)?)))
    }

    /// A judge that goes on with a detector.
    pub(super) fn going_on(columns: &Columns, detector: Detector) -> Judge {
        Judge { columns: columns.clone(), detector, threads: Threads::all() }
    }

    /// Judges one interval.
    pub(super) fn judge<'a>(&mut self, interval: Interval, rows: impl Iterator<Item = &'a Rows>) -> Verdict {
        let points = self.learn(interval, rows);
        let groups = explain::groups(&points, &self.columns.dimensions);
        Verdict { points, groups }
    }

    /// Takes one interval in, as [`Judge::judge`] does; what it says of the series is nothing that anyone is told.
    pub(super) fn learn<'a>(&mut self, interval: Interval, rows: impl Iterator<Item = &'a Rows>) -> Vec<Point> {
        let mut aggregator = Aggregator::new(&self.columns);
        rows.for_each(|rows| aggregator.add(rows));
        self.detector.observe_on(&aggregator.close(interval), &self.threads)
    }

    /// What is to be written of the detector's state.
    pub(super) fn increment(&mut self) -> Increment {
        self.detector.increment_on(&self.threads)
    }

    pub(super) fn detector(&self) -> &Detector {
        &self.detector
    }
}

/// The detector's settings that a configuration gives for these columns.
pub(super) fn settings(config: &Config, columns: &Columns) -> Result<Settings, JobError> {
    let column = |name: &str| columns.measures.iter().position(|(measure, _)| measure == name).unwrap_or(0);
    let measures = config.detect.measures.iter().map(|measure| Measure {
        name: measure.name.clone(),
        column: column(&measure.column),
        aggregation: measure.aggregation,
    });
    let settings =
        Settings::new(columns.dimensions.clone(), measures.collect(), config.interval.length, config.detect.seed)?;
    let settings = settings.with_sensitivity(config.detect.sensitivity)?.with_forest(config.detect.forest)?;
    Ok(settings.with_memory(config.detect.memory_bytes))
}
