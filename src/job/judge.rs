//! The detector as all drivers use it: rows of an interval in, verdicts and anomaly groups out; late rows in, what becomes
//! of the verdicts out.

use crate::alert::Revision;
use crate::config::Config;
use crate::detect::{Aggregator, Detector, Increment, Measure, Settings, SettingsError, Status};
use crate::explain;
use crate::model::{AnomalyGroup, ClosedInterval, Columns, Interval, Point, Rows};

use super::error::JobError;
use super::revise;
use super::threads::Threads;

/// Judges intervals, one after the other.
#[derive(Debug)]
pub(super) struct Judge {
    columns: Columns,
    detector: Detector,
    threads: Threads,
    budget: Budget,
}

/// What the memory budget has come to: told once, when it gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Budget {
    /// Every series has a quick forest.
    Roomy,
    /// Some have a small one or none.
    Short,
    /// Even the smallest forms take more.
    Exceeded,
}

/// What was said about one interval, and about those without a row before it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) points: Vec<Point>,
    pub(super) groups: Vec<AnomalyGroup>,
    /// What became of earlier verdicts: late rows had waited for one of the intervals without a row.
    pub(super) revisions: Vec<Revision>,
    /// What whoever runs the job should know of the detector.
    pub(super) news: Option<String>,
}

impl Verdict {
    pub(super) fn findings(&self) -> u64 {
        self.groups.iter().map(|group| group.findings.len() as u64).sum()
    }
}

impl Judge {
    /// A judge that has seen nothing.
    pub(super) fn new(config: &Config, columns: &Columns) -> Result<Judge, JobError> {
        Ok(Judge::going_on(config, columns, Detector::new(settings(config, columns)?)))
    }

    /// A judge that goes on with a detector.
    pub(super) fn going_on(config: &Config, columns: &Columns, detector: Detector) -> Judge {
        Judge { columns: columns.clone(), detector, threads: Threads::new(config.job.threads), budget: Budget::Roomy }
    }

    /// Judges one interval.
    pub(super) fn judge(&mut self, closed: &ClosedInterval) -> Verdict {
        let points = self.learn(closed);
        let groups = explain::groups(&points, &self.columns.dimensions, |name| self.adds_up(name));
        Verdict { points, groups, revisions: self.revisions(closed.interval), news: self.news() }
    }

    /// Whether the values of a measure's series add up to that of all.
    fn adds_up(&self, name: &str) -> bool {
        let measure = self.detector.settings().measures().iter().find(|measure| &**measure.name() == name);
        measure.is_some_and(|measure| measure.aggregation().empty_is_zero() || measure.is_counter())
    }

    /// Takes rows in that came late for an interval and left the line with another one: what becomes of the verdicts.
    pub(super) fn revise<'a>(
        &mut self,
        late: Interval,
        with: Interval,
        rows: impl Iterator<Item = &'a Rows>,
    ) -> Vec<Revision> {
        self.detector.revise(&self.closed(late, rows));
        self.revisions(with)
    }

    fn revisions(&mut self, with: Interval) -> Vec<Revision> {
        revise::lines(self.detector.take_revised(), with, &self.columns.dimensions)
    }

    fn closed<'a>(&self, interval: Interval, rows: impl Iterator<Item = &'a Rows>) -> ClosedInterval {
        let mut aggregator = Aggregator::new(&self.columns);
        rows.for_each(|rows| aggregator.add(rows));
        aggregator.close(interval)
    }

    fn news(&mut self) -> Option<String> {
        if self.budget == Budget::Exceeded {
            return None;
        }
        let status = self.detector.status();
        let budget = self.detector.settings().memory_bytes();
        let now = if status.set_aside_bytes > budget {
            Budget::Exceeded
        } else if status.full < status.series {
            Budget::Short
        } else {
            Budget::Roomy
        };
        if now <= self.budget {
            return None;
        }
        self.budget = now;
        let Status { series, full, compact, tail, set_aside_bytes, .. } = status;
        let megabytes = |bytes: u64| bytes / 1_000_000;
        Some(if now == Budget::Short {
            format!(
                "the memory budget is short for {series} series: {full} are kept in full form, {compact} in the compact \
                 one, which takes longer, and {tail} are judged by their share of all series; hint: raise \
                 `detect.memory`, now {} MB",
                megabytes(budget)
            )
        } else {
            format!(
                "{series} series need {} MB even in their smallest forms, more than the memory budget; hint: raise \
                 `detect.memory`, now {} MB, or choose fewer dimensions",
                megabytes(set_aside_bytes),
                megabytes(budget)
            )
        })
    }

    /// Takes one interval in, as [`Judge::judge`] does; what it says of the series is nothing that anyone is told.
    pub(super) fn learn(&mut self, closed: &ClosedInterval) -> Vec<Point> {
        self.detector.observe_on(closed, &self.threads)
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
    let measures = config.detect.measures.iter().map(|measure| {
        let checked = Measure::new(measure.name.clone(), column(&measure.column), measure.aggregation);
        let checked = checked.with_margin(measure.margin);
        if measure.is_counter { checked.with_counter() } else { Ok(checked) }
    });
    let measures = measures.collect::<Result<Vec<Measure>, SettingsError>>()?;
    let settings = Settings::new(columns.dimensions.clone(), measures, config.interval.length, config.detect.seed)?;
    let settings = settings.with_sensitivity(config.detect.sensitivity)?.with_forest(config.detect.forest)?;
    let settings = settings.with_calendars(config.detect.calendars.clone(), config.interval.zone)?;
    Ok(settings.with_memory(config.detect.memory_bytes))
}
