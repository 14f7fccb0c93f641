//! The detector as all drivers use it: what it sees of an interval in, verdicts and anomaly groups, or scored records, out;
//! late rows in, what becomes of the verdicts out.

use crate::alert::Revision;
use crate::config::{Config, Origin, Records};
use crate::detect::{
    Aggregation, Aggregator, Detector, Expression, Increment, Intake, Measure, Ratio, Restoring, Settings,
    SettingsError, Sliding, SnapshotError, Status, records::RecordDetector,
};
use crate::explain::{self, Nature};
use crate::model::{AnomalyGroup, ClosedInterval, Columns, Interval, Point, Rows};

use super::error::JobError;
use super::history::History;
use super::records::{self, Scorer};
use super::revise;
use super::seen::Seen;
use super::threads::Threads;
use super::unrevised::Unrevised;

/// Judges intervals, one after the other.
#[derive(Debug)]
pub(super) struct Judge {
    intake: Intake,
    /// What windows over several intervals rest on.
    sliding: Option<Sliding>,
    engine: Engine,
    threads: Threads,
    budget: Budget,
    unrevised: Unrevised,
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
            Some(scorer) => Judge::of(config, columns, Engine::Records(Box::new(scorer))),
            None => Judge::going_on(config, columns, Detector::new(settings(config, columns)?)),
        }
    }

    /// A judge that goes on with a detector.
    pub(super) fn going_on(config: &Config, columns: &Columns, detector: Detector) -> Result<Judge, JobError> {
        Judge::of(config, columns, Engine::Series(Box::new(detector)))
    }

    /// A judge that goes on with a detector of records.
    pub(super) fn of_records(
        config: &Config,
        columns: &Columns,
        (records, detector): (&Records, RecordDetector),
    ) -> Result<Judge, JobError> {
        Judge::of(config, columns, Engine::Records(Box::new(Scorer::of(records, detector))))
    }

    fn of(config: &Config, columns: &Columns, engine: Engine) -> Result<Judge, JobError> {
        let (intake, threads) = (intake(config, columns)?, Threads::new(config.job.threads));
        let measures = match &engine {
            Engine::Series(detector) => detector.settings().measures(),
            Engine::Records(_) => &[],
        };
        let (unrevised, budget) = (Unrevised::of(measures), Budget::Roomy);
        Ok(Judge { sliding: Sliding::of(&intake), intake, engine, threads, budget, unrevised })
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
        let groups = explain::groups(&points, self.dimensions(), |name| self.nature(name));
        let (revisions, records) = (self.revisions(closed.interval), records::Said::default());
        Verdict { points, groups, revisions, records, news: self.news() }
    }

    /// Judges intervals one after the other, at once where that can be done.
    pub(super) fn judge_all(&mut self, mut closed: &[ClosedInterval]) -> Vec<Verdict> {
        if self.sliding.is_some() {
            // a window over several intervals brings steps of its own
            return closed.iter().map(|closed| self.judge_series(closed)).collect();
        }
        let mut verdicts = Vec::with_capacity(closed.len());
        while let Some(first) = closed.first() {
            let Engine::Series(detector) = &mut self.engine else { return verdicts };
            let run = detector.observe_run_on(closed, &self.threads);
            closed = closed.get(run.len().max(1)..).unwrap_or_default();
            let at = verdicts.len();
            verdicts.extend(run.into_iter().map(|points| self.verdict(points)));
            // both come with the first of a run
            if let Some(verdict) = verdicts.get_mut(at) {
                (verdict.revisions, verdict.news) = (self.revisions(first.interval), self.news());
            }
        }
        verdicts
    }

    fn verdict(&self, points: Vec<Point>) -> Verdict {
        let groups = explain::groups(&points, self.dimensions(), |name| self.nature(name));
        Verdict { points, groups, ..Verdict::default() }
    }

    fn dimensions(&self) -> &[String] {
        &self.intake.columns().dimensions
    }

    fn measure(&self, name: &str) -> Option<&Measure> {
        self.detector()?.settings().measures().iter().find(|measure| &**measure.name() == name)
    }

    /// Whether the values of a measure's series add up.
    pub(super) fn adds_up(&self, name: &str) -> bool {
        matches!(self.nature(name), Nature::AddsUp)
    }

    /// How the values of a measure's series become that of all of them.
    fn nature(&self, name: &str) -> Nature<'_> {
        let Some(measure) = self.measure(name) else { return Nature::Apart };
        if measure.aggregation().adds_up() || measure.is_counter() {
            return Nature::AddsUp;
        }
        let Some(ratio) = measure.expression().and_then(Expression::ratio) else { return Nature::Apart };
        let sides = [ratio.numerator, ratio.denominator].map(|name| self.measure(name).map(Measure::aggregation));
        let [Some(above), Some(below)] = sides else { return Nature::Apart };
        if !above.adds_up() || !below.adds_up() {
            return Nature::Apart;
        }
        let is_counted = above == Aggregation::Count && below == Aggregation::Count;
        let Ratio { numerator, denominator, scale } = ratio;
        Nature::Ratio { numerator, denominator, scale, is_counted }
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
        let late = self.closed(late, rows);
        if let Engine::Series(detector) = &mut self.engine {
            if detector.known_rows(late.interval).is_some() {
                self.unrevised.add(&late);
            }
            match &self.sliding {
                Some(sliding) => sliding.late(&late).iter().for_each(|late| detector.revise(late)),
                None => detector.revise(&late),
            }
        }
        self.revisions(with)
    }

    fn revisions(&mut self, with: Interval) -> Vec<Revision> {
        let Engine::Series(detector) = &mut self.engine else { return Vec::new() };
        let revised = detector.take_revised();
        revise::lines(revised, with, self.dimensions())
    }

    fn closed<'a>(&self, interval: Interval, rows: impl Iterator<Item = &'a Rows>) -> ClosedInterval {
        let mut aggregator = Aggregator::gathering(&self.intake);
        rows.for_each(|rows| aggregator.add(rows));
        aggregator.close(interval)
    }

    fn news(&mut self) -> Option<String> {
        self.news_of_memory().or_else(|| self.unrevised.news())
    }

    fn news_of_memory(&mut self) -> Option<String> {
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
        let Judge { engine, sliding, threads, .. } = self;
        let Engine::Series(detector) = engine else { return Vec::new() };
        match sliding {
            Some(sliding) => sliding.slide(closed).iter().flat_map(|slid| detector.observe_on(slid, threads)).collect(),
            None => detector.observe_on(closed, threads),
        }
    }

    /// Fills the windows over several intervals with what was judged last, for a detector that goes on.
    pub(super) async fn remember(&mut self, history: &mut History) -> Result<(), JobError> {
        let last = self.detector().and_then(Detector::last);
        let (Some(sliding), Some(last)) = (&mut self.sliding, last) else { return Ok(()) };
        let first = last.offset(1 - i64::from(sliding.reach()));
        let mut listed = history.list(first.date(), last.date()).await?;
        listed.retain(|listed| (first..=last).contains(&listed.interval));
        for listed in listed {
            if let Some(Seen::Cells(closed)) = history.closed(&listed).await?.filter(|seen| !seen.is_empty()) {
                sliding.remember(&closed);
            }
        }
        sliding.go_on_after(last);
        Ok(())
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
            Engine::Records(scorer) => scorer.increment(),
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

/// What a configuration gathers of rows with these columns.
pub(super) fn intake(config: &Config, columns: &Columns) -> Result<Intake, JobError> {
    let takes = config.detect.measures.iter().filter_map(|measure| match &measure.origin {
        Origin::Rows { take, .. } => Some(take.clone()),
        Origin::Measures(_) => None,
    });
    Ok(Intake::new(columns, takes)?)
}

/// The detector's settings that a configuration gives for these columns.
pub(super) fn settings(config: &Config, columns: &Columns) -> Result<Settings, JobError> {
    let intake = intake(config, columns)?;
    let measures = config.detect.measures.iter().map(|measure| {
        let name = measure.name.clone();
        let checked = match &measure.origin {
            Origin::Measures(expression) => Measure::derived(name, expression.clone()),
            Origin::Rows { take, aggregation } => match intake.place(take).unwrap_or(0) {
                column if column < columns.measures.len() => Measure::new(name, column, *aggregation),
                slot => Measure::gathered(name, slot, take.description(), *aggregation),
            },
        };
        let checked = checked.with_margin(measure.margin);
        if measure.is_counter { checked.with_counter() } else { Ok(checked) }
    });
    let measures = measures.collect::<Result<Vec<Measure>, SettingsError>>()?;
    let settings = Settings::new(columns.dimensions.clone(), measures, config.interval.length, config.detect.seed)?;
    let settings = settings.with_sensitivity(config.detect.sensitivity)?.with_forest(config.detect.forest)?;
    let settings = settings.with_calendars(config.detect.calendars.clone(), config.interval.zone)?;
    Ok(settings.with_memory(config.detect.memory_bytes))
}
