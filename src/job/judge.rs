//! The detector as all drivers use it: what it sees of an interval in, verdicts and anomaly groups, or scored records, out;
//! late rows in, what becomes of the verdicts out.

use crate::alert::Revision;
use crate::config::Config;
use crate::detect::{
    Aggregator, Detector, Increment, Measure, Restoring, Settings, SettingsError, SnapshotError, Status,
    records::RecordDetector,
};
use crate::explain;
use crate::model::{AnomalyGroup, ClosedInterval, Columns, Interval, Point, Rows};

use super::error::JobError;
use super::records::{self, Scorer};
use super::revise;
use super::seen::Seen;
use super::threads::Threads;

/// Judges intervals, one after the other.
#[derive(Debug)]
pub(super) struct Judge {
    columns: Columns,
    engine: Engine,
    threads: Threads,
    budget: Budget,
}

/// What judges.
#[derive(Debug)]
enum Engine {
    Series(Box<Detector>),
    Records(Box<Scorer>),
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
    /// What is said of its records, where those are scored.
    pub(super) records: records::Said,
    /// What whoever runs the job should know of the detector.
    pub(super) news: Option<String>,
}

impl Verdict {
    pub(super) fn findings(&self) -> u64 {
        let points: u64 = self.groups.iter().map(|group| group.findings.len() as u64).sum();
        points + self.records.told.len() as u64
    }
}

impl Judge {
    /// A judge that has seen nothing.
    pub(super) fn new(config: &Config, columns: &Columns) -> Result<Judge, JobError> {
        match Scorer::new(config, columns)? {
            Some(scorer) => Ok(Judge::of(config, columns, Engine::Records(Box::new(scorer)))),
            None => Ok(Judge::going_on(config, columns, Detector::new(settings(config, columns)?))),
        }
    }

    /// A judge that goes on with a detector.
    pub(super) fn going_on(config: &Config, columns: &Columns, detector: Detector) -> Judge {
        Judge::of(config, columns, Engine::Series(Box::new(detector)))
    }

    /// A judge that goes on with the state of a detector of records; none where the configuration has none.
    pub(super) fn of_records(
        config: &Config,
        columns: &Columns,
        state: &[u8],
    ) -> Result<Option<Result<Judge, SnapshotError>>, JobError> {
        let scorer = Scorer::restored(config, columns, state)?;
        Ok(scorer.map(|scorer| Ok(Judge::of(config, columns, Engine::Records(Box::new(scorer?))))))
    }

    fn of(config: &Config, columns: &Columns, engine: Engine) -> Judge {
        Judge { columns: columns.clone(), engine, threads: Threads::new(config.job.threads), budget: Budget::Roomy }
    }

    /// Judges one interval.
    pub(super) fn judge(&mut self, seen: &Seen) -> Verdict {
        match (&mut self.engine, seen) {
            (Engine::Series(_), Seen::Cells(closed)) => self.judge_series(closed),
            (Engine::Records(scorer), Seen::Rows(interval, rows)) => {
                let records = scorer.judge(*interval, rows, &self.threads);
                Verdict { records, news: scorer.news(), ..Verdict::default() }
            }
            // both follow from the configuration
            (Engine::Series(_), Seen::Rows(..)) | (Engine::Records(_), Seen::Cells(_)) => Verdict::default(),
        }
    }

    fn judge_series(&mut self, closed: &ClosedInterval) -> Verdict {
        let points = self.learn_series(closed);
        let groups = explain::groups(&points, &self.columns.dimensions, |name| self.adds_up(name));
        let (revisions, records) = (self.revisions(closed.interval), records::Said::default());
        Verdict { points, groups, revisions, records, news: self.news() }
    }

    /// Whether the values of a measure's series add up to that of all.
    fn adds_up(&self, name: &str) -> bool {
        let Some(detector) = self.detector() else { return false };
        let measure = detector.settings().measures().iter().find(|measure| &**measure.name() == name);
        measure.is_some_and(|measure| measure.aggregation().empty_is_zero() || measure.is_counter())
    }

    /// Has all records given, and not only those that the configuration wants written.
    pub(super) fn give_all_records(&mut self) {
        if let Engine::Records(scorer) = &mut self.engine {
            scorer.give_all();
        }
    }

    /// Takes rows in that came late for an interval and left the line with another one: what becomes of the verdicts. Of
    /// records, those are scored that came in time.
    pub(super) fn revise<'a>(
        &mut self,
        late: Interval,
        with: Interval,
        rows: impl Iterator<Item = &'a Rows>,
    ) -> Vec<Revision> {
        if self.detector().is_none() {
            return Vec::new();
        }
        let closed = self.closed(late, rows);
        if let Engine::Series(detector) = &mut self.engine {
            detector.revise(&closed);
        }
        self.revisions(with)
    }

    fn revisions(&mut self, with: Interval) -> Vec<Revision> {
        let Engine::Series(detector) = &mut self.engine else { return Vec::new() };
        revise::lines(detector.take_revised(), with, &self.columns.dimensions)
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
        let detector = self.detector()?;
        let status = detector.status();
        let budget = detector.settings().memory_bytes();
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

    /// Takes one interval in, as [`Judge::judge`] does; what it says is nothing that anyone is told.
    pub(super) fn learn(&mut self, seen: &Seen) {
        match (&mut self.engine, seen) {
            (Engine::Records(scorer), Seen::Rows(interval, rows)) => scorer.learn(*interval, rows, &self.threads),
            (_, Seen::Cells(closed)) => drop(self.learn_series(closed)),
            (Engine::Series(_), Seen::Rows(..)) => {}
        }
    }

    fn learn_series(&mut self, closed: &ClosedInterval) -> Vec<Point> {
        let Engine::Series(detector) = &mut self.engine else { return Vec::new() };
        detector.observe_on(closed, &self.threads)
    }

    /// Goes on after an interval of which nothing is there any more.
    pub(super) fn pass(&mut self, interval: Interval) {
        match &mut self.engine {
            Engine::Series(_) => drop(self.learn_series(&ClosedInterval { interval, cells: Vec::new() })),
            Engine::Records(scorer) => scorer.learn(interval, &[], &self.threads),
        }
    }

    /// What is to be written of the detector's state.
    pub(super) fn increment(&mut self) -> Increment {
        match &mut self.engine {
            Engine::Series(detector) => detector.increment_on(&self.threads),
            Engine::Records(scorer) => {
                Increment { bytes: scorer.detector().snapshot(), chain: 1, is_whole: true, is_last: true }
            }
        }
    }

    /// The last interval that was judged.
    pub(super) fn last(&self) -> Option<Interval> {
        match &self.engine {
            Engine::Series(detector) => detector.last(),
            Engine::Records(scorer) => scorer.detector().last(),
        }
    }

    /// The detector of series; none where records are scored.
    pub(super) fn detector(&self) -> Option<&Detector> {
        if let Engine::Series(detector) = &self.engine { Some(detector) } else { None }
    }

    /// The detector of records, where those are scored.
    pub(super) fn records(&self) -> Option<&RecordDetector> {
        if let Engine::Records(scorer) = &self.engine { Some(scorer.detector()) } else { None }
    }
}

/// Whether a state, or the newest increment of one, is whole and was learned under the settings of a configuration.
pub(super) fn check(config: &Config, columns: &Columns, state: &[u8]) -> Result<Result<(), SnapshotError>, JobError> {
    match &config.detect.records {
        Some(records) => Ok(RecordDetector::check(&records::settings(config, records, columns)?, state)),
        None => Ok(Restoring::check(&settings(config, columns)?, state)),
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
