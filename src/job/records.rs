//! The detector of records as all drivers use it: the settings that a configuration gives, the rows of an interval in,
//! and out of it what is written to the table of records and what is told.

mod labels;

use super::error::JobError;
use super::threads::Threads;
use crate::config::{Config, Records, RecordsOutput};
use crate::detect::Increment;
use crate::detect::records::{Choice, RecordDetector, Settings, SettingsError, Wanted};
use crate::model::{Columns, Interval, Rows, ScoredRecord};

pub(super) use labels::{RecordLabels, RecordScorer};
pub use labels::{RecordLabelsError, RecordScore};

/// Scores the records of intervals, one interval after the other.
#[derive(Debug)]
pub(super) struct Scorer {
    detector: RecordDetector,
    choice: Choice,
    output: RecordsOutput,
    /// Keys share a forest, or records lack a value, and that has been told.
    has_told: [bool; 2],
}

/// What was said of the records of an interval, each list by second and then by score.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// For the table.
    pub(super) written: Vec<ScoredRecord>,
    /// For whoever listens.
    pub(super) told: Vec<ScoredRecord>,
}

impl Scorer {
    /// A scorer that has seen nothing; none where the configuration judges series.
    pub(super) fn new(config: &Config, columns: &Columns) -> Result<Option<Scorer>, JobError> {
        let Some(records) = &config.detect.records else { return Ok(None) };
        let detector = RecordDetector::new(settings(config, records, columns)?, columns.clone());
        Ok(Some(Scorer::of(records, detector)))
    }

    /// A scorer that goes on with a detector.
    pub(super) fn of(records: &Records, detector: RecordDetector) -> Scorer {
        Scorer { detector, choice: records.choice, output: records.output, has_told: [false; 2] }
    }

    /// Has all records given.
    pub(super) fn give_all(&mut self) {
        self.output = RecordsOutput::All;
    }

    pub(super) fn judge(&mut self, interval: Interval, rows: &[Rows], threads: &Threads) -> Said {
        match self.output {
            RecordsOutput::Anomalies => {
                let wanted = Wanted::AtLeast(self.choice.score_threshold);
                let told = self.choice.of(&self.detector.observe(interval, rows, wanted, threads));
                Said { written: told.clone(), told }
            }
            RecordsOutput::All => {
                let all = self.detector.observe(interval, rows, Wanted::All, threads);
                Said { written: Choice::ordered(&all), told: self.choice.of(&all) }
            }
        }
    }

    /// Learns an interval that was told of before.
    pub(super) fn learn(&mut self, interval: Interval, rows: &[Rows], threads: &Threads) {
        let _said = self.detector.observe(interval, rows, Wanted::AtLeast(f64::INFINITY), threads);
    }

    /// What whoever runs the job should know, once.
    pub(super) fn news(&mut self) -> Option<String> {
        let status = self.detector.status();
        let megabytes = self.detector.settings().memory_bytes() / 1_000_000;
        let [shares, lacks] = &mut self.has_told;
        if status.sharing > 0 && !std::mem::replace(shares, true) {
            return Some(format!(
                "the memory budget holds forests of {} keys: the others share one, and the heaviest of them take the \
                 places of light ones; hint: raise `detect.memory`, now {megabytes} MB, or choose fewer dimensions",
                status.forests.saturating_sub(1)
            ));
        }
        if status.unscored > 0 && !std::mem::replace(lacks, true) {
            let names: Vec<String> =
                self.detector.settings().columns().iter().map(|(name, _)| format!("`{name}`")).collect();
            return Some(format!(
                "records without a value of {} are not scored, {} so far; hint: `status` and the last lines of the job \
                 count them",
                names.join(" or "),
                status.unscored
            ));
        }
        None
    }

    pub(super) fn detector(&self) -> &RecordDetector {
        &self.detector
    }

    /// What a checkpoint is to have of the detector.
    pub(super) fn increment(&mut self) -> Increment {
        self.detector.increment()
    }
}

/// The settings of the detector of records that a configuration gives for these columns.
pub(super) fn settings(config: &Config, records: &Records, columns: &Columns) -> Result<Settings, SettingsError> {
    let place = |name: &String| columns.measures.iter().position(|(measure, _)| measure == name).unwrap_or(0);
    let scored = records.columns.iter().map(|name| (name.clone(), place(name))).collect();
    let settings = Settings::new(scored, records.shape, config.detect.seed)?;
    let settings = settings.with_scaling(records.scaling).with_forest_per_key(records.per_key);
    Ok(settings.with_attribution(records.attribution).with_memory(config.detect.memory_bytes))
}
