//! The detector's way into checkpoints and back: written increment by increment, restored from the chain of the
//! checkpoint that a job goes on from, or taught anew from the partitions where it cannot be restored or is not to be.
//!
//! A detector that learns anew goes through all partitions up to the last interval that was judged. What it says of them
//! is thrown away: they are told. Where all of them are there it ends as the detector would have that was lost (D1).

use chrono::NaiveDate;

use super::checkpoint::{Checkpoint, CheckpointError, Checkpoints, Found, Start, Stored};
use super::error::JobError;
use super::follow;
use super::history::History;
use super::host::{Event, Host};
use super::judge::{self, Judge};
use super::records;
use super::threads::Threads;
use crate::config::Config;
use crate::detect::records::{RecordDetector, RestoringRecords, Settings as RecordSettings};
use crate::detect::{Detector, Restoring, Settings, SnapshotError};
use crate::model::{Columns, Interval};
use crate::store::{Place, Store};

/// Why a detector cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// Its state is not one that this program, told so, can use.
    #[error("`{name}`: {source}")]
    Snapshot {
        /// The checkpoint with the increment.
        name: String,
        /// What is wrong with it.
        source: SnapshotError,
    },
    /// Its increments do not have all of it.
    #[error(transparent)]
    Incomplete(SnapshotError),
    /// A checkpoint is damaged or gone.
    #[error("{0}")]
    Damaged(String),
}

impl DetectorError {
    /// What would help beside learning anew.
    pub fn remedy(&self) -> &'static str {
        match self {
            DetectorError::Snapshot { source: SnapshotError::Settings { .. }, .. } => "set it back, or ",
            DetectorError::Snapshot { source: SnapshotError::Version(_), .. } => "use that version, or ",
            _ => "",
        }
    }
}

/// Writes a checkpoint with the state of the detector as it is now; several, while the detector has more to write.
pub(super) async fn save(
    checkpoints: &mut Checkpoints,
    checkpoint: &mut Checkpoint,
    mut judge: Option<&mut Judge>,
) -> Result<(), CheckpointError> {
    loop {
        let increment = judge.as_mut().map(|judge| (judge.last(), judge.increment()));
        let is_last = increment.as_ref().is_none_or(|(_, increment)| increment.is_last);
        checkpoints.save(checkpoint, increment).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// What a detector comes back to.
pub(super) struct Resume<'a> {
    pub(super) config: &'a Config,
    pub(super) columns: &'a Columns,
    /// The command that is run, for hints.
    pub(super) command: &'static str,
    pub(super) checkpoints: &'a Checkpoints,
    pub(super) found: &'a Found,
}

impl Resume<'_> {
    /// The judge that goes on after the checkpoint, and whether it has learned anew: then it is to be saved at once.
    pub(super) async fn judge(&self, history: &mut History, host: &mut Host<'_>) -> Result<(Judge, bool), JobError> {
        match &self.found.stored {
            Stored::Whole(newest) => {
                let mut judge = self.restored(newest, host).await?;
                judge.remember(history).await?;
                Ok((judge, false))
            }
            Stored::ToRebuild => Ok((self.rebuilt(history, host).await?, true)),
            Stored::Damaged(reason) => Err(self.unusable(DetectorError::Damaged(reason.clone()))),
        }
    }

    async fn restored(&self, newest: &[u8], host: &mut Host<'_>) -> Result<Judge, JobError> {
        let chain = Chain { command: self.command, checkpoints: self.checkpoints, found: self.found, newest };
        let (judge, replayed) = match &self.config.detect.records {
            Some(records) => {
                let (detector, replayed) =
                    chain.records(records::settings(self.config, records, self.columns)?, self.columns).await?;
                (Judge::of_records(self.config, self.columns, (records, detector))?, replayed)
            }
            None => {
                let (detector, replayed) = chain.series(judge::settings(self.config, self.columns)?).await?;
                (Judge::going_on(self.config, self.columns, detector)?, replayed)
            }
        };
        if replayed > 0 {
            let chain = self.found.checkpoint.detector.as_ref().map_or(0, |learned| learned.chain.len());
            let told = format!("the detector is restored from {chain} checkpoints, {replayed} intervals replayed");
            host.listener.on(Event::Info(&told));
        }
        Ok(judge)
    }

    async fn rebuilt(&self, history: &mut History, host: &mut Host<'_>) -> Result<Judge, JobError> {
        let mut judge = Judge::new(self.config, self.columns)?;
        let judged = self.found.checkpoint.detector.as_ref().and_then(|learned| learned.judged);
        let Some(judged) = judged else { return Ok(judge) };
        let mut listed = history.list(NaiveDate::MIN, judged.date()).await?;
        listed.retain(|listed| listed.interval <= judged);
        let total = listed.len() as u64;
        let mut ahead = history.ahead(&listed);
        let mut intervals = 0;
        while let Some(read) = ahead.next().await {
            if host.shutdown.is_requested() {
                return Err(JobError::StoppedLearning);
            }
            if let Some(closed) = history.take(read?).closed {
                judge.learn(&closed);
            }
            intervals += 1;
            host.listener.on(Event::Learned { intervals, total });
        }
        host.listener.on(Event::Info(&format!("the detector has learned anew from {total} intervals")));
        tell_of_a_gap(judge.last(), judged, host);
        if judge.last() != Some(judged) {
            // nothing up to there is judged again
            judge.pass(judged);
        }
        Ok(judge)
    }

    fn unusable(&self, reason: DetectorError) -> JobError {
        unusable(self.checkpoints, self.command, reason)
    }
}

/// The increments of a checkpoint, the newest of which is given.
pub(super) struct Chain<'a> {
    pub(super) command: &'static str,
    pub(super) checkpoints: &'a Checkpoints,
    pub(super) found: &'a Found,
    pub(super) newest: &'a [u8],
}

impl Chain<'_> {
    /// The detector that wrote them, and how many of its steps were done again.
    pub(super) async fn series(&self, settings: Settings) -> Result<(Detector, u64), JobError> {
        let threads = Threads::all();
        let mut restoring = Restoring::new(settings);
        self.each(|increment| restoring.take(increment, &threads)).await?;
        let replayed = restoring.replayed();
        Ok((restoring.finish().map_err(|error| self.unusable(DetectorError::Incomplete(error)))?, replayed))
    }

    /// The detector of records that wrote them, and how many of its steps were done again.
    pub(super) async fn records(
        &self,
        settings: RecordSettings,
        columns: &Columns,
    ) -> Result<(RecordDetector, u64), JobError> {
        let mut restoring = RestoringRecords::new(settings, columns.clone());
        self.each(|increment| restoring.take(increment)).await?;
        let replayed = restoring.replayed();
        Ok((restoring.finish().map_err(|error| self.unusable(DetectorError::Incomplete(error)))?, replayed))
    }

    /// Takes the increments in their order.
    async fn each(&self, mut take: impl FnMut(&[u8]) -> Result<(), SnapshotError>) -> Result<(), JobError> {
        let chain = self.found.checkpoint.detector.as_ref().map(|learned| learned.chain.as_slice()).unwrap_or_default();
        for (at, number) in (1..).zip(chain) {
            let taken = if at == chain.len() {
                take(self.newest)
            } else {
                let increment = self.checkpoints.increment(*number).await.map_err(|error| match error {
                    damaged @ CheckpointError::Increment { .. } => {
                        self.unusable(DetectorError::Damaged(damaged.to_string()))
                    }
                    other => other.into(),
                })?;
                take(&increment)
            };
            let name = || super::checkpoint::name(*number);
            taken.map_err(|source| self.unusable(DetectorError::Snapshot { name: name(), source }))?;
        }
        Ok(())
    }

    fn unusable(&self, reason: DetectorError) -> JobError {
        unusable(self.checkpoints, self.command, reason)
    }
}

/// The states that jobs of a configuration have: of `run`, or `etl`, and of `detect`.
pub(super) async fn states(config: &Config) -> Result<Vec<(&'static str, Checkpoints, Found)>, JobError> {
    let mut states = Vec::new();
    for (command, place) in [("run", config.job.state.clone()), ("detect", follow::place(config))] {
        if Place::parse(&place)?.directory().is_some_and(|directory| !directory.is_dir()) {
            continue;
        }
        let store = Store::open(&place, &config.store).await?;
        let (checkpoints, found) = Checkpoints::open(store, Start::GoOn).await?;
        states.extend(found.map(|found| (command, checkpoints, found)));
    }
    Ok(states)
}

/// A detector that a job will go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoesOn {
    /// The command.
    pub command: &'static str,
    /// The last interval that it has judged.
    pub judged: Interval,
}

/// The detectors that `run` and `detect` go on with, and why they cannot under these settings, as far as the newest
/// checkpoints tell.
pub(super) async fn look(config: &Config, columns: &Columns) -> Result<(Vec<GoesOn>, Vec<JobError>), JobError> {
    let (mut there, mut reasons) = (Vec::new(), Vec::new());
    for (command, checkpoints, found) in states(config).await? {
        let judged = found.checkpoint.detector.as_ref().and_then(|learned| learned.judged);
        let reason = match &found.stored {
            _ if found.checkpoint.detector.is_none() => None,
            Stored::Whole(newest) => {
                let checked = judge::check(config, columns, newest)?;
                checked.err().map(|source| snapshot_error(&found, source))
            }
            Stored::ToRebuild => None,
            Stored::Damaged(reason) => Some(DetectorError::Damaged(reason.clone())),
        };
        match reason {
            Some(reason) => reasons.push(unusable(&checkpoints, command, reason)),
            None => there.extend(judged.map(|judged| GoesOn { command, judged })),
        }
    }
    Ok((there, reasons))
}

pub(super) fn unusable(checkpoints: &Checkpoints, command: &'static str, reason: DetectorError) -> JobError {
    JobError::Detector { state: checkpoints.place().to_owned(), command, reason: Box::new(reason) }
}

/// What is wrong with the newest increment of a checkpoint.
pub(super) fn snapshot_error(found: &Found, source: SnapshotError) -> DetectorError {
    let number = found.checkpoint.detector.as_ref().and_then(|learned| learned.chain.last().copied());
    DetectorError::Snapshot { name: number.map(super::checkpoint::name).unwrap_or_default(), source }
}

fn tell_of_a_gap(last: Option<Interval>, judged: Interval, host: &mut Host<'_>) {
    if last == Some(judged) {
        return;
    }
    let from =
        last.map_or_else(|| "there are no partitions".to_owned(), |last| format!("no partition is there after {last}"));
    let warning = format!("{from} up to {judged}, which was judged before: these intervals count as empty");
    host.listener.on(Event::Warning(&warning));
}
