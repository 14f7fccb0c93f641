//! Several detectors side by side over one reading of the history: each interval is read and aggregated once, and every
//! detector makes a step of its own with it.
//!
//! One detector does not stand for another sensitivity. The level of the alarm decides when an anomaly begins and ends,
//! and an anomaly is not learned from as other values are: after the first interval on which two sensitivities disagree
//! their detectors know different things. So each is run as it would run alone, and finds what it would find alone (D1).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Span, walk::Learner};
use crate::config::Config;
use crate::detect::{Detector, Settings, Sliding};
use crate::job::error::JobError;
use crate::job::host::{Host, Summary};
use crate::job::judge;
use crate::job::score::{Labels, Score, Scorer};
use crate::job::seen::Seen;
use crate::job::status;
use crate::job::threads::Threads;
use crate::model::{ClosedInterval, Columns, Interval, Point, PointState, SeriesKey};

/// What has one beginning on one series of one measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Anomaly {
    /// The last interval that was flagged.
    pub(super) last: Interval,
    /// How many were.
    pub(super) intervals: u64,
    /// The largest among them.
    pub(super) severity: f64,
}

/// The anomalies of one detector, by measure, series and first interval.
pub(super) type Anomalies = BTreeMap<(Arc<str>, SeriesKey, Interval), Anomaly>;

/// One of the detectors, and what it has said of the reported time.
#[derive(Debug)]
struct Lane {
    detector: Detector,
    scorer: Scorer,
    anomalies: Anomalies,
    findings: u64,
}

impl Lane {
    fn new(settings: Settings) -> Lane {
        let (scorer, anomalies) = (Scorer::default(), Anomalies::new());
        Lane { detector: Detector::new(settings), scorer, anomalies, findings: 0 }
    }

    fn step(&mut self, closed: &ClosedInterval, span: &Span, threads: Threads) {
        let mut points = self.detector.observe_on(closed, &threads);
        if closed.interval.date() < span.from {
            return;
        }
        points.retain(|point| point.interval.date() >= span.from);
        self.scorer.add(&points);
        points.iter().for_each(|point| self.note(point));
    }

    fn note(&mut self, point: &Point) {
        let PointState::Anomalous { since, .. } = point.state else { return };
        self.findings += 1;
        let new = Anomaly { last: point.interval, intervals: 0, severity: 0.0 };
        let place = (Arc::clone(&point.measure), point.key.clone(), since);
        let anomaly = self.anomalies.entry(place).or_insert(new);
        anomaly.last = point.interval;
        anomaly.intervals += 1;
        anomaly.severity = anomaly.severity.max(point.severity);
    }
}

/// What one of the detectors said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) settings: Settings,
    pub(super) findings: u64,
    pub(super) anomalies: Anomalies,
    /// Against the labels; without any, every episode counts as false.
    pub(super) score: Score,
}

/// Several detectors under way.
pub(super) struct Several<'a> {
    span: &'a Span,
    labels: Option<Labels>,
    lanes: Vec<Lane>,
    sliding: Option<Sliding>,
    threads: Threads,
    intervals: u64,
    learned: u64,
}

impl<'a> Several<'a> {
    pub(super) fn new(
        config: &Config,
        span: &'a Span,
        columns: &Columns,
        settings: Vec<Settings>,
    ) -> Result<Several<'a>, JobError> {
        Ok(Several {
            span,
            labels: span.read_labels(config, columns)?,
            sliding: Sliding::of(&judge::intake(config, columns)?),
            lanes: settings.into_iter().map(Lane::new).collect(),
            threads: Threads::new(config.job.threads),
            intervals: 0,
            learned: 0,
        })
    }

    /// What was read, with what there is of the first detector, the intervals before the first date, and what each said.
    pub(super) fn finish(self, read: Summary, host: &Host<'_>) -> (Summary, u64, Vec<Said>) {
        let status = self.lanes.first().map(|lane| lane.detector.status());
        let summary = Summary {
            series: status.as_ref().map_or(0, |status| status.series as u64),
            learning: status.as_ref().map_or(0, |status| status.learning as u64),
            speaks: self.lanes.first().and_then(|lane| status::speaks(&lane.detector)),
            intervals: self.intervals,
            elapsed: host.clock.elapsed(),
            ..read
        };
        let labels = self.labels.unwrap_or_else(Labels::none);
        let said = self.lanes.into_iter().map(|lane| {
            let settings = lane.detector.settings().clone();
            let score = lane.scorer.score(&labels, settings.length());
            Said { settings, findings: lane.findings, anomalies: lane.anomalies, score }
        });
        (summary, self.learned, said.collect())
    }
}

impl Learner for Several<'_> {
    fn take(&mut self, seen: &Seen) -> Result<(), JobError> {
        // records are refused before anything is read
        let Seen::Cells(closed) = seen else { return Ok(()) };
        let (span, inner) = (self.span, self.threads.shared_by(self.lanes.len()));
        let slid = self.sliding.as_mut().map(|sliding| sliding.slide(closed));
        let slid = slid.as_deref().unwrap_or(std::slice::from_ref(closed));
        let step = |lane: &mut Lane| slid.iter().for_each(|closed| lane.step(closed, span, inner));
        self.threads.each(&mut self.lanes, &step);
        *if closed.interval.date() < span.from { &mut self.learned } else { &mut self.intervals } += 1;
        Ok(())
    }
}
