//! Where the jobs of a configuration stand, read from their states alone: nothing is locked, nothing is changed, and a job
//! may be running. How many series its detector knows, how many of them still learn, and when the last of them speaks.

use chrono::{NaiveDate, NaiveDateTime};

use super::checkpoint::{Checkpoint, CheckpointError, Stored};
use super::detector::{self, Chain, DetectorError};
use super::error::JobError;
use super::judge;
use super::schema;
use crate::config::Config;
use crate::detect::records::{self, RecordDetector};
use crate::detect::{Detector, Form};
use crate::model::{Columns, Interval};
use crate::partition::Descriptor;
use crate::store::Store;

/// A job that runs may remove what is being read: then its newer state is read.
const TRIES: u32 = 3;

/// Where a job stands.
#[derive(Debug)]
pub struct State {
    /// The command that it belongs to.
    pub command: &'static str,
    /// Where it lies.
    pub place: String,
    /// How far the job is.
    pub checkpoint: Checkpoint,
    /// Its detector, if it has one.
    pub detector: Option<Result<Learning, JobError>>,
}

/// How far a detector has learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learning {
    /// Series.
    pub series: u64,
    /// Those that still learn, and the local time at which the last of them has its first verdict.
    pub learning: u64,
    /// See `learning`.
    pub speaks: Option<NaiveDateTime>,
    /// The same by form.
    pub forms: [FormLearning; Form::ALL.len()],
    /// Where records are scored: by what. Then there are no series.
    pub records: Option<records::Status>,
}

/// How far the series of one form have learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormLearning {
    /// The form.
    pub form: Form,
    /// Series.
    pub series: u64,
    /// Those that still learn.
    pub learning: u64,
    /// Local time at which the last of them has its first verdict.
    pub speaks: Option<NaiveDateTime>,
}

impl Learning {
    /// Of a detector of records.
    fn of_records(detector: &RecordDetector) -> Learning {
        let forms = Form::ALL.map(|form| FormLearning { form, series: 0, learning: 0, speaks: None });
        Learning { series: 0, learning: 0, speaks: None, forms, records: Some(detector.status()) }
    }

    /// Of a detector.
    pub fn of(detector: &Detector) -> Learning {
        let status = detector.status();
        let counts = [status.tail, status.compact, status.full];
        let forms = Form::ALL.map(|form| {
            let (learning, remaining) = status.learning_in[form as usize];
            FormLearning {
                form,
                series: counts[form as usize] as u64,
                learning: learning as u64,
                speaks: speaks_after(detector.last(), remaining),
            }
        });
        Learning {
            series: status.series as u64,
            learning: status.learning as u64,
            speaks: speaks_after(detector.last(), status.remaining),
            forms,
            records: None,
        }
    }
}

/// Local time at which the last of the series that learn has its first verdict; none where none learns.
pub(super) fn speaks(detector: &Detector) -> Option<NaiveDateTime> {
    speaks_after(detector.last(), detector.status().remaining)
}

/// The end of the interval so many after the last: a verdict comes when its interval closes.
fn speaks_after(last: Option<Interval>, remaining: u32) -> Option<NaiveDateTime> {
    let last = last.filter(|_| remaining > 0)?;
    Some(last.offset(i64::from(remaining)).end())
}

/// Looks at the states of the jobs of a configuration; those that there are.
///
/// # Errors
/// When a state cannot be read at all.
pub async fn look(config: &Config) -> Result<Vec<State>, JobError> {
    let mut tried = 1;
    loop {
        let states = once(config).await;
        let is_gone = |state: &State| matches!(&state.detector, Some(Err(error)) if is_damaged(error));
        match states {
            Ok(states) if tried < TRIES && states.iter().any(is_gone) => {}
            Err(JobError::Checkpoint(CheckpointError::Unreadable { .. })) if tried < TRIES => {}
            states => return states,
        }
        tried += 1;
    }
}

fn is_damaged(error: &JobError) -> bool {
    matches!(error, JobError::Detector { reason, .. } if matches!(**reason, DetectorError::Damaged(_)))
}

async fn once(config: &Config) -> Result<Vec<State>, JobError> {
    let mut states = Vec::new();
    for (command, checkpoints, found) in detector::states(config).await? {
        let is_etl = found.checkpoint.detector.is_none();
        let detector = match &found.stored {
            _ if is_etl => None,
            Stored::Whole(newest) => {
                let (chain, columns) =
                    (Chain { command, checkpoints: &checkpoints, found: &found, newest }, columns(config).await?);
                Some(match &config.detect.records {
                    Some(records) => {
                        let restored =
                            chain.records(super::records::settings(config, records, &columns)?, &columns).await;
                        restored.map(|(detector, _)| Learning::of_records(&detector))
                    }
                    None => {
                        let restored = chain.series(judge::settings(config, &columns)?).await;
                        restored.map(|(detector, _)| Learning::of(&detector))
                    }
                })
            }
            Stored::ToRebuild => None,
            Stored::Damaged(reason) => {
                Some(Err(detector::unusable(&checkpoints, command, DetectorError::Damaged(reason.clone()))))
            }
        };
        let command = if is_etl { "etl" } else { command };
        let place = checkpoints.place().to_owned();
        states.push(State { command, place, checkpoint: found.checkpoint, detector });
    }
    Ok(states)
}

/// The columns that the detector learned from.
async fn columns(config: &Config) -> Result<Columns, JobError> {
    let store = Store::open(&config.partition.url, &config.store).await?;
    match Descriptor::load(&store).await? {
        Some(_) => schema::claim(config, &store, None).await,
        None => schema::of_partitions(config, &store, NaiveDate::MIN, NaiveDate::MAX).await,
    }
}
