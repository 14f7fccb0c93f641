//! The detector over history: partitions that are there, or the configured source from its beginning. Over the
//! partitions that `run` wrote it gives the findings that `run` gave (D1). Nothing of the job's state is read or
//! changed, unless the detector that has learned is to be promoted.
//!
//! The detector learns from all history up to the last date; what it says is reported, written and scored from the
//! first date on. So the dates choose what is looked at and do not change what is found.
//!
//! Late rows are in the source, in the order in which they came: over the source a backtest says the revisions that `run`
//! said, up to those that leave the line with the last date. Over partitions it judges what came in time, once, and
//! says no revisions.
//!
//! Here is one detector over history. [`sweep()`] and [`against()`] step several side by side over one reading of it;
//! [`promote`] is how one that has learned becomes the detector of a job.

mod against;
mod output;
pub mod promote;
mod several;
mod sweep;
mod walk;

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::checkpoint::Start;
use super::error::JobError;
use super::host::{Host, Summary};
use super::incidents;
use super::judge::{Judge, Verdict};
use super::records::{RecordLabels, RecordScore, RecordScorer};
use super::score::{Labels, Score, Scorer};
use super::seen::Seen;
use super::{status, unjudged};
use crate::alert::Revision;
use crate::config::Config;
use crate::detect::{Detector, records::RecordDetector};
use crate::incident::Incidents;
use crate::model::{AnomalyGroup, ClosedInterval, Columns, Interval, Rows};
use output::Output;
use promote::{Promoted, Promotion, Target};
use walk::{End, Learner};

pub use against::{Against, AgainstError, Change, Kind, Part, Side, against};
pub use sweep::{Step, Sweep, sweep};

/// Where the history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// In partitions.
    Partitions,
    /// In the configured source.
    Source,
}

/// Which history, and what it is measured by.
#[derive(Clone, Debug)]
pub struct Span {
    /// Where the history is; partitions where there are any, if it is not said.
    pub input: Option<From>,
    /// First local date to report; the detector learns from what lies before.
    pub from: NaiveDate,
    /// Last local date, at which the detector ends as well.
    pub to: NaiveDate,
    /// Labelled incidents to score against.
    pub labels: Option<PathBuf>,
}

impl Span {
    fn read_labels(&self, config: &Config, columns: &Columns) -> Result<Option<Labels>, JobError> {
        if config.detect.records.is_some() {
            return Ok(None);
        }
        let measures: Vec<String> = config.detect.measures.iter().map(|measure| measure.name.to_string()).collect();
        let length = config.interval.length;
        let labels = self.labels.as_deref().map(|path| Labels::read(path, &columns.dimensions, &measures, length));
        Ok(labels.transpose()?)
    }

    /// Labels of records, where those are scored.
    fn read_record_labels(&self, config: &Config, columns: &Columns) -> Result<Option<RecordLabels>, JobError> {
        let path = self.labels.as_deref().filter(|_| config.detect.records.is_some());
        Ok(path.map(|path| RecordLabels::read(path, columns, config.select.zone)).transpose()?)
    }
}

/// What to backtest.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which history.
    pub span: Span,
    /// Writes every scored point as CSV.
    pub scores: Option<PathBuf>,
    /// Writes the anomaly groups as JSON lines, as the anomaly table has them.
    pub anomalies: Option<PathBuf>,
    /// Writes the revisions of findings as JSON lines, as their table has them.
    pub revisions: Option<PathBuf>,
    /// Writes the revisions of incidents as JSON lines, as the incident table has them.
    pub incidents: Option<PathBuf>,
    /// Whose detector the trained one becomes.
    pub promote: Option<Target>,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows, intervals, series, findings.
    pub summary: Summary,
    /// Intervals before the first date, which the detector learned from.
    pub learned: u64,
    /// Intervals after the last date, which a detector that was promoted learned from as well.
    pub learned_after: u64,
    /// The figures, where there are labels.
    pub score: Option<Score>,
    /// The same of records, where those are scored.
    pub record_score: Option<RecordScore>,
    /// All anomaly groups.
    pub groups: Vec<AnomalyGroup>,
    /// Where the detector went.
    pub promoted: Option<Promoted>,
}

/// Runs the detector over history.
///
/// # Errors
/// When there is no history, it cannot be read, an output cannot be written, or the detector cannot be promoted.
pub async fn run(config: &Config, options: &Options, host: Host<'_>) -> Result<Report, JobError> {
    let from = walk::input(config, &options.span).await?;
    let promotion = match options.promote {
        None => None,
        Some(target) => Some(Promotion::begin(config, target, from, options.span.to).await?),
    };
    let report = judged(config, options, from, promotion.as_ref(), host).await;
    match (report, promotion) {
        (Ok((mut report, mut judge, followed)), Some(promotion)) => {
            report.promoted = Some(promotion.finish(&mut judge, &followed, report.summary.stopped).await?);
            Ok(report)
        }
        (Ok((report, ..)), None) => Ok(report),
        (Err(error), promotion) => {
            if let Some(promotion) = promotion {
                promotion.release().await;
            }
            Err(error)
        }
    }
}

async fn judged(
    config: &Config,
    options: &Options,
    from: From,
    promotion: Option<&Promotion>,
    mut host: Host<'_>,
) -> Result<(Report, Judge, Incidents), JobError> {
    let end = promotion.map_or(End::Date(options.span.to), Promotion::end);
    let make = |columns: &Columns| Run::new(config, options, columns);
    let (run, read) = walk::walk(config, (from, end), &mut host, make).await?;
    run.report(read, &host)
}

/// A backtest under way.
struct Run<'a> {
    options: &'a Options,
    config: &'a Config,
    judge: Judge,
    /// What was taken and is not judged yet.
    unjudged: Vec<ClosedInterval>,
    labels: Option<Labels>,
    scorer: Scorer,
    record_scorer: Option<RecordScorer>,
    scores: Option<Output>,
    anomalies: Option<Output>,
    revisions: Option<Output>,
    incidents: Option<Output>,
    followed: Incidents,
    groups: Vec<AnomalyGroup>,
    summary: Summary,
    learned: u64,
    learned_after: u64,
}

impl Learner for Run<'_> {
    fn take(&mut self, seen: &Seen) -> Result<(), JobError> {
        if let Seen::Cells(closed) = seen {
            self.unjudged.push(closed.clone());
            return if unjudged::are_enough(&self.unjudged) { self.judge_waiting() } else { Ok(()) };
        }
        if seen.interval().date() > self.options.span.to {
            // beyond what is looked at, and before where a job goes on
            let verdict = self.judge.judge(seen);
            incidents::follow(&mut self.followed, &self.judge, seen, &verdict);
            self.learned_after += 1;
            return Ok(());
        }
        let verdict = self.judge.judge(seen);
        self.report_on(seen, verdict)
    }

    fn revise(&mut self, late: Interval, with: Interval, rows: &[&Rows]) -> Result<(), JobError> {
        self.judge_waiting()?;
        let revisions = self.judge.revise(late, with, rows.iter().copied());
        self.note(with, &revisions)
    }
}

impl<'a> Run<'a> {
    /// Judges what waits for it.
    fn judge_waiting(&mut self) -> Result<(), JobError> {
        let all = std::mem::take(&mut self.unjudged);
        let to = self.options.span.to;
        let (looked_at, beyond) = all.split_at(all.partition_point(|closed| closed.interval.date() <= to));
        let verdicts = self.judge.judge_all(looked_at);
        let looked_at = looked_at.iter().cloned().map(Seen::Cells);
        looked_at.zip(verdicts).try_for_each(|(seen, verdict)| self.report_on(&seen, verdict))?;
        // before where a job goes on
        for (closed, verdict) in beyond.iter().zip(self.judge.judge_all(beyond)) {
            incidents::follow(&mut self.followed, &self.judge, &Seen::Cells(closed.clone()), &verdict);
        }
        self.learned_after += beyond.len() as u64;
        Ok(())
    }

    fn report_on(&mut self, seen: &Seen, verdict: Verdict) -> Result<(), JobError> {
        let (interval, from) = (seen.interval(), self.options.span.from);
        for (at, changes) in incidents::follow(&mut self.followed, &self.judge, seen, &verdict) {
            if at.date() >= from {
                self.summary.incidents +=
                    changes.incidents.iter().filter(|incident| incident.revision == 1).count() as u64;
                if let Some(output) = &mut self.incidents {
                    let lines = changes.incidents.iter().chain(&changes.returned);
                    lines.into_iter().try_for_each(|incident| output.line(incident))?;
                }
            }
        }
        let Verdict { mut points, mut groups, revisions, records, .. } = verdict;
        self.note(interval, &revisions)?;
        if interval.date() < from {
            self.learned += 1;
            return Ok(());
        }
        // of the intervals without a row before the first one reported, some may lie before the first date
        points.retain(|point| point.interval.date() >= from);
        groups.retain(|group| group.interval.date() >= from);
        self.summary.intervals += 1;
        self.summary.groups += groups.len() as u64;
        self.summary.findings += groups.iter().map(|group| group.findings.len() as u64).sum::<u64>();
        self.summary.findings += records.told.len() as u64;
        if let Some(scorer) = &mut self.record_scorer {
            scorer.add(&records.written, &records.told);
        }
        if let Some(scores) = self.scores.as_mut().filter(|_| !records.written.is_empty()) {
            let told: BTreeSet<u64> = records.told.iter().map(|record| record.number).collect();
            let with_shares = self.config.detect.records.as_ref().filter(|records| records.attribution);
            let shares = with_shares.map_or(0, |records| records.columns.len());
            let mut written = records.written.iter();
            written.try_for_each(|record| scores.scored(record, shares, told.contains(&record.number)))?;
        }
        if let Some(anomalies) = &mut self.anomalies {
            records.told.iter().try_for_each(|record| anomalies.line(record))?;
        }
        if self.labels.is_some() {
            self.scorer.add(&points);
        }
        if let Some(scores) = &mut self.scores {
            points.iter().try_for_each(|point| scores.point(point))?;
        }
        if let Some(anomalies) = &mut self.anomalies {
            groups.iter().try_for_each(|group| anomalies.group(group))?;
        }
        self.groups.extend(groups);
        Ok(())
    }

    /// Notes revisions that were made with an interval, of those intervals that are reported.
    fn note(&mut self, with: Interval, revisions: &[Revision]) -> Result<(), JobError> {
        let Span { from, to, .. } = self.options.span;
        let changes = incidents::revise(&mut self.followed, &self.judge, with, revisions);
        if let Some(output) = self.incidents.as_mut().filter(|_| (from..=to).contains(&with.date())) {
            changes.incidents.iter().try_for_each(|incident| output.line(incident))?;
        }
        let is_reported = |revision: &&Revision| (from..=to).contains(&revision.interval_start.date());
        for revision in revisions.iter().filter(is_reported) {
            self.summary.revisions += 1;
            if let Some(output) = &mut self.revisions {
                output.line(revision)?;
            }
        }
        Ok(())
    }

    fn new(config: &'a Config, options: &'a Options, columns: &Columns) -> Result<Run<'a>, JobError> {
        let labels = options.span.read_labels(config, columns)?;
        let mut scores = options.scores.as_deref().map(Output::create).transpose()?;
        let record_labels = options.span.read_record_labels(config, columns)?;
        let mut judge = Judge::new(config, columns)?;
        if scores.is_some() || record_labels.is_some() {
            judge.give_all_records();
        }
        match (&mut scores, &config.detect.records) {
            (Some(scores), None) => scores.header(&columns.dimensions)?,
            (Some(scores), Some(records)) => scores.record_header(columns, records)?,
            (None, _) => {}
        }
        Ok(Run {
            options,
            config,
            judge,
            unjudged: Vec::new(),
            record_scorer: record_labels.map(RecordScorer::new),
            labels,
            scorer: Scorer::default(),
            scores,
            anomalies: options.anomalies.as_deref().map(Output::create).transpose()?,
            revisions: options.revisions.as_deref().map(Output::create).transpose()?,
            incidents: options.incidents.as_deref().map(Output::create).transpose()?,
            followed: incidents::resume(config, columns, None, Start::GoOn)?,
            groups: Vec::new(),
            summary: Summary::default(),
            learned: 0,
            learned_after: 0,
        })
    }

    fn report(mut self, read: Summary, host: &Host<'_>) -> Result<(Report, Judge, Incidents), JobError> {
        self.judge_waiting()?;
        let outputs = [self.scores.take(), self.anomalies.take(), self.revisions.take(), self.incidents.take()];
        for output in outputs.into_iter().flatten() {
            output.finish()?;
        }
        let detector = self.judge.detector();
        let status = detector.map(Detector::status);
        let summary = Summary {
            series: status.as_ref().map_or(0, |status| status.series as u64),
            learning: status.as_ref().map_or(0, |status| status.learning as u64),
            speaks: detector.and_then(status::speaks),
            records: self.judge.records().map(RecordDetector::status),
            elapsed: host.clock.elapsed(),
            intervals: self.summary.intervals,
            groups: self.summary.groups,
            findings: self.summary.findings,
            incidents: self.summary.incidents,
            revisions: self.summary.revisions,
            ..read
        };
        let length = self.config.interval.length;
        let score = self.labels.as_ref().map(|labels| self.scorer.score(labels, length));
        let (learned, learned_after, groups) = (self.learned, self.learned_after, self.groups);
        let record_score = self.record_scorer.map(RecordScorer::finish);
        let report = Report { summary, learned, learned_after, score, record_score, groups, promoted: None };
        Ok((report, self.judge, self.followed))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::job::{Event, Listener, Shutdown, SystemClock};

    struct Deaf;

    impl Listener for Deaf {
        fn on(&mut self, _: Event<'_>) {}
    }

    fn backtest(directory: &Path, from: Option<NaiveDate>) -> (Report, Vec<String>) {
        let text = format!(
            "[source.generator]\nseed = 5\ndays = 4\nseries = 2\nanomaly_probability = 0.01\n\
             [select]\ntimestamp = 'event_time'\ndimensions = ['platform', 'marketplace']\nmeasures = ['views']\n\
             [select.types]\nviews = 'integer'\n[partition]\nurl = '{}/out'\n",
            directory.display()
        );
        let config = crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let scores = directory.join("scores.csv");
        let options = Options {
            span: Span {
                input: Some(From::Source),
                from: from.unwrap_or(NaiveDate::MIN),
                to: NaiveDate::MAX,
                labels: None,
            },
            scores: Some(scores.clone()),
            anomalies: None,
            revisions: None,
            incidents: None,
            promote: None,
        };
        let (_stopper, shutdown) = Shutdown::new();
        let host = Host { clock: Arc::new(SystemClock::start()), shutdown, listener: &mut Deaf, watch: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(run(&config, &options, host)).unwrap();
        (report, std::fs::read_to_string(scores).unwrap().lines().map(str::to_owned).collect())
    }

    #[test]
    fn the_first_date_chooses_what_is_reported_and_not_what_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let (all, scores) = backtest(directory.path(), None);
        let from = all.groups[0].interval.date().succ_opt().unwrap();
        let (late, late_scores) = backtest(directory.path(), Some(from));
        let since = |group: &&AnomalyGroup| group.interval.date() >= from;
        assert_eq!(late.groups, all.groups.iter().filter(since).cloned().collect::<Vec<_>>());
        assert!(!late.groups.is_empty() && late.groups.len() < all.groups.len());
        assert!(late.learned > 0 && all.learned == 0);
        assert_eq!(late.learned + late.summary.intervals, all.summary.intervals);
        let from = from.to_string();
        let is_late = |line: &&String| line.as_str() >= from.as_str();
        assert_eq!(late_scores, scores.iter().filter(is_late).cloned().collect::<Vec<_>>(), "the header sorts last");
    }
}
