//! A revised interval at the detector: its late rows in, what becomes of the verdicts out. The comparison is in
//! `verdicts`; here it is found out where it belongs, and told in the words that other stages know.

use std::sync::Arc;

use super::arrival::Arrival;
use super::detector::Detector;
use super::verdicts::{Anomaly, Outcome, Revision};
use crate::model::{ClosedInterval, Direction, Interval, SeriesKey};

/// What became of the verdict about one series in one interval, when late rows came for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Revised {
    /// What became of it.
    pub outcome: Outcome,
    /// Which interval.
    pub interval: Interval,
    /// Which series.
    pub key: SeriesKey,
    /// Which measure, by its name in the configuration.
    pub measure: Arc<str>,
    /// The value before; none where the series had sent nothing.
    pub value_before: Option<f64>,
    /// The value with the late rows.
    pub value: f64,
    /// What was expected when the interval was judged.
    pub expected: f64,
    /// Lower end of the band that was given then; below it where margins make a value normal that lies beyond.
    pub lower: f64,
    /// Upper end of that band, in the same way.
    pub upper: f64,
    /// Side of the anomaly: of the revised value, or, where it is withdrawn, of the one that was told.
    pub direction: Direction,
    /// First interval of the anomaly.
    pub since: Interval,
    /// Severity that was told, 0 to 100; none where nothing was.
    pub severity_before: Option<f64>,
    /// Severity of the revised value by itself, 0 to 100.
    pub severity: f64,
}

impl Detector {
    /// Takes late rows in of an interval that has been passed: its cells hold these rows alone. Verdicts that change, or
    /// are confirmed, are given by [`Detector::take_revised`]; the model is not taught. An interval that nobody has judged
    /// yet is revised when it is.
    pub fn revise(&mut self, late: &ClosedInterval) {
        let Some(last) = self.last else { return };
        let cells = late.cells.iter();
        let arrivals: Vec<Arrival> = cells.map(|cell| Arrival::of(cell, self.settings().measures())).collect();
        let ahead = late.interval.number() - last.number();
        if ahead <= 0 {
            self.hold_against(last, late.interval, &arrivals);
        } else if ahead <= self.walked_most() {
            self.verdicts.wait(late.interval.number(), arrivals, self.fleet.settings().measures());
        }
    }

    /// What became of verdicts since this was last asked, in the order of the revisions, each by measure and key.
    pub fn take_revised(&mut self) -> Vec<Revised> {
        std::mem::take(&mut self.revised)
    }

    /// Rows that the verdicts about an interval rest on, with the late ones so far: none where a revision of it would
    /// change no verdict, because it is too long ago or was never judged.
    pub fn known_rows(&self, interval: Interval) -> Option<u64> {
        self.verdicts.rows(self.last?.number(), interval.number())
    }

    /// Bytes that remember what was said lately.
    pub fn verdict_bytes(&self) -> usize {
        self.verdicts.bytes()
    }

    /// An interval has been judged: late rows may have waited for it.
    pub(super) fn judge_waited(&mut self, interval: Interval) {
        let arrivals = self.verdicts.waited(interval.number());
        if !arrivals.is_empty() {
            self.hold_against(interval, interval, &arrivals);
        }
    }

    fn hold_against(&mut self, last: Interval, interval: Interval, arrivals: &[Arrival]) {
        let (last, number) = (last.number(), interval.number());
        if !self.verdicts.add(last, number, arrivals) {
            return;
        }
        if let Some(journal) = &mut self.journal {
            journal.revised(number, arrivals);
        }
        let measures = self.fleet.settings().measures();
        for (measure, key, revision) in self.verdicts.revise((last, number), arrivals, measures) {
            let measure = Arc::clone(measures[measure].name());
            self.revised.push(revised(interval, key, measure, &revision));
        }
    }
}

fn revised(interval: Interval, key: SeriesKey, measure: Arc<str>, revision: &Revision) -> Revised {
    let Revision { outcome, before, value, expected, lower, upper, told, high, severity } = *revision;
    let high = told.filter(|_| outcome == Outcome::Withdrawn).map_or(high, |told: Anomaly| told.high);
    Revised {
        outcome,
        interval,
        key,
        measure,
        value_before: before,
        value,
        expected,
        lower,
        upper,
        direction: if high { Direction::High } else { Direction::Low },
        since: told.map_or(interval, |told| interval.offset(told.since - interval.number())),
        severity_before: told.map(|told| told.severity),
        severity,
    }
}
