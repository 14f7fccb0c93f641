//! How a detector that has learned in a backtest becomes the detector of a job: it is written into the job's state as
//! the next checkpoint, and all else in that state stays as it is. The job goes on with the interval after the last
//! one that the detector has learned, and finds what it would have found had it been live all the time (D1, D2). A state
//! without incidents gets those of the history, so that what is open goes on.
//! Nothing is written for the intervals of the history: the anomaly table begins where the job goes on.
//!
//! So the detector must have learned exactly what the job has passed:
//!
//! - A job that has judged: up to the last interval that it judged, whatever the last date of the report is. What was
//!   committed after it is judged by the job.
//! - `run` without a detector (no state, or one of `etl`): all partitions that are there. It will commit what follows;
//!   an interval that it meets again is committed already and is not judged again.
//! - `detect` without a state: the complete intervals up to the last date of the report. It judges all that follow.

use chrono::NaiveDate;

use super::From;
use super::walk::End;
use crate::config::Config;
use crate::incident::Incidents;
use crate::job::checkpoint::{Checkpoint, CheckpointError, Checkpoints, Found, Start};
use crate::job::error::JobError;
use crate::job::judge::Judge;
use crate::job::lock::{Lock, Locks};
use crate::job::{detector, follow};
use crate::model::Interval;
use crate::partition::Descriptor;
use crate::store::{Place, Store};

/// Whose detector it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// That of `run`.
    Run,
    /// That of `detect`.
    Detect,
}

impl Target {
    /// The command that goes on with it.
    pub fn command(self) -> &'static str {
        match self {
            Target::Run => "run",
            Target::Detect => "detect",
        }
    }
}

/// Where a detector went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// Whose it is.
    pub target: Target,
    /// Where the state lies.
    pub state: String,
    /// The last interval that it has learned.
    pub last: Interval,
    /// Whether the job had a detector before.
    pub replaced: bool,
}

/// Why a detector cannot become that of a job.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// The history is not in partitions.
    #[error(
        "a detector that learned from the source cannot be promoted: only partitions tell where the job goes on; hint: \
         write them with `tidewatch etl CONFIG`, and backtest with `--input partitions`"
    )]
    Source,
    /// Another program wrote the partitions.
    #[error(
        "the partitions in `{url}` were not written by `tidewatch`, and `run` does not go on with them; hint: \
         `--promote=detect` is for the detector over partitions that another program writes"
    )]
    Foreign {
        /// Where they are.
        url: String,
    },
    /// A detector of its own judges these partitions.
    #[error(
        "the partitions are judged by `detect`, whose state is in `{state}`; hint: `--promote=detect` promotes the \
         detector to it, or remove that state"
    )]
    Detected {
        /// Where its state is.
        state: String,
    },
    /// Some of what the job has judged is not there.
    #[error(
        "the job has judged up to {judged}, and the partitions end with {last}: the detector would not know what lies \
         between; hint: restore the partitions"
    )]
    Gap {
        /// The last interval that the job judged.
        judged: Interval,
        /// The last one that is there.
        last: Interval,
    },
    /// There is no complete interval.
    #[error("no interval of the history is complete: the detector has learned nothing; hint: give a later `--to`")]
    Nothing,
    /// Asked to stop before the end of the history.
    #[error("asked to stop before the end of the history: nothing was promoted; hint: start again in the same way")]
    Stopped,
}

/// The state of a job that waits for a detector; it is locked.
pub(super) struct Promotion {
    target: Target,
    held: Held,
    opened: Opened,
}

enum Held {
    Run(Locks),
    Detect(Lock),
}

impl Held {
    async fn confirm(&self) -> Result<(), JobError> {
        match self {
            Held::Run(locks) => Ok(locks.confirm().await?),
            Held::Detect(lock) => Ok(lock.confirm().await?),
        }
    }

    async fn release(&self) {
        match self {
            Held::Run(locks) => locks.release().await,
            Held::Detect(lock) => lock.release().await,
        }
    }
}

struct Opened {
    checkpoints: Checkpoints,
    checkpoint: Checkpoint,
    end: End,
    replaces: bool,
}

impl Promotion {
    /// Locks the state and looks where the job stands.
    pub(super) async fn begin(
        config: &Config,
        target: Target,
        from: From,
        to: NaiveDate,
    ) -> Result<Promotion, JobError> {
        if from == From::Source {
            return Err(PromoteError::Source.into());
        }
        let partitions = Store::open(&config.partition.url, &config.store).await?;
        if target == Target::Run && Descriptor::load(&partitions).await?.is_none() {
            return Err(PromoteError::Foreign { url: config.partition.url.clone() }.into());
        }
        let place = match target {
            Target::Run => config.job.state.clone(),
            Target::Detect => follow::place(config),
        };
        let state = Store::open(&place, &config.store).await?;
        let held = match target {
            Target::Run => Held::Run(Locks::take(&state, &partitions).await?),
            Target::Detect => Held::Detect(Lock::take(&state).await?),
        };
        let opened = match target {
            Target::Run => for_run(config, state).await,
            Target::Detect => for_detect(state, to).await,
        };
        match opened {
            Ok(opened) => Ok(Promotion { target, held, opened }),
            Err(error) => {
                held.release().await;
                Err(error)
            }
        }
    }

    /// Up to where the detector must learn.
    pub(super) fn end(&self) -> End {
        self.opened.end
    }

    /// Nothing is promoted.
    pub(super) async fn release(self) {
        self.held.release().await;
    }

    /// Writes the detector into the state.
    pub(super) async fn finish(
        mut self,
        judge: &mut Judge,
        incidents: &Incidents,
        stopped: bool,
    ) -> Result<Promoted, JobError> {
        let saved = self.save(judge, incidents, stopped).await;
        self.held.release().await;
        let (target, replaced) = (self.target, self.opened.replaces);
        Ok(Promoted { target, state: self.opened.checkpoints.place().to_owned(), last: saved?, replaced })
    }

    async fn save(&mut self, judge: &mut Judge, incidents: &Incidents, stopped: bool) -> Result<Interval, JobError> {
        if stopped {
            return Err(PromoteError::Stopped.into());
        }
        let last = judge.last().ok_or(PromoteError::Nothing)?;
        if let End::At(judged) = self.opened.end
            && last != judged
        {
            return Err(PromoteError::Gap { judged, last }.into());
        }
        self.held.confirm().await?;
        let Opened { checkpoints, checkpoint, .. } = &mut self.opened;
        if checkpoint.incidents.is_none() {
            checkpoint.incidents = Some(incidents.snapshot().map_err(CheckpointError::from)?);
        }
        detector::save(checkpoints, checkpoint, Some(judge)).await?;
        Ok(last)
    }
}

async fn for_run(config: &Config, state: Store) -> Result<Opened, JobError> {
    let (checkpoints, found) = Checkpoints::open(state, Start::Rebuild).await?;
    let source = config.source.identity();
    let checkpoint = match found {
        None => Checkpoint { source, ..Checkpoint::default() },
        Some(Found { checkpoint, .. }) if checkpoint.source != source => {
            let (state, there) = (config.job.state.clone(), checkpoint.source);
            return Err(JobError::OtherSource { state, there, here: source });
        }
        Some(found) => found.checkpoint,
    };
    if checkpoint.detector.is_none() {
        let place = follow::place(config);
        let is_there = Place::parse(&place)?.directory().is_none_or(|directory| directory.is_dir());
        if is_there && Checkpoints::any(&Store::open(&place, &config.store).await?).await? {
            return Err(PromoteError::Detected { state: place }.into());
        }
    }
    let end = judged(&checkpoint).map_or(End::Date(NaiveDate::MAX), End::At);
    Ok(Opened { checkpoints, replaces: checkpoint.detector.is_some(), checkpoint, end })
}

async fn for_detect(state: Store, to: NaiveDate) -> Result<Opened, JobError> {
    let (checkpoints, found) = Checkpoints::open(state, Start::Rebuild).await?;
    let replaces = found.is_some();
    let checkpoint = found.map(|found| found.checkpoint).unwrap_or_default();
    let end = judged(&checkpoint).map_or(End::Complete(to), End::At);
    Ok(Opened { checkpoints, checkpoint, end, replaces })
}

fn judged(checkpoint: &Checkpoint) -> Option<Interval> {
    checkpoint.detector.as_ref().and_then(|learned| learned.judged)
}
