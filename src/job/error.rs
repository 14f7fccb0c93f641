//! Why a job cannot go on, sorted by who can do something about it.

use super::backtest::AgainstError;
use super::backtest::promote::PromoteError;
use super::checkpoint::CheckpointError;
use super::deliveries::DeliveryError;
use super::detector::DetectorError;
use super::lock::LockError;
use super::records::RecordLabelsError;
use super::references::ReferenceError;
use super::schema::SchemaError;
use super::score::LabelsError;
use super::spill::SpillError;
use crate::alert::TableError;
use crate::alert::outbox::OutboxError;
use crate::decode::DecodeError;
use crate::detect::{IntakeError, SettingsError, records};
use crate::hook::HookError;
use crate::incident::StateError;
use crate::interval::ScatterError;
use crate::partition::{CommitError, DescriptorError, ReadError};
use crate::select::{FilterError, SelectError};
use crate::source::SourceError;
use crate::store::StoreError;

/// Why a job cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The hooks before the line.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The records.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Columns and their types.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Filters.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Selecting rows.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Scattering rows.
    #[error(transparent)]
    Scatter(#[from] ScatterError),
    /// Putting rows away until their interval closes.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// Writing partitions.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Reading partitions.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The description of the partitions.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// The detector's settings.
    #[error(transparent)]
    Detect(#[from] SettingsError),
    /// A reference table.
    #[error(transparent)]
    Reference(Box<ReferenceError>),
    /// A measure takes something of the rows that is not there.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The detector's state.
    #[error(
        "the detector in `{state}` cannot be used: {reason}; hint: {}let it learn anew from the partitions with `tidewatch {command} CONFIG --rebuild`: positions and counts are kept, nothing is told twice",
        reason.remedy()
    )]
    Detector {
        /// Where it lies.
        state: String,
        /// The command that met it.
        command: &'static str,
        /// What is wrong with it.
        reason: Box<DetectorError>,
    },
    /// The state of incidents.
    #[error(
        "the state in `{state}` cannot be used: {reason}; hint: use the version that wrote it, or go on with `--rebuild`, which forgets the incidents that are open"
    )]
    Incidents {
        /// Where it lies.
        state: String,
        /// What is wrong with it.
        reason: StateError,
    },
    /// No job judges.
    #[error("no job has judged anything in `{state}` yet; hint: start `tidewatch run` or `tidewatch detect` first")]
    NoJob {
        /// Where its state would lie.
        state: String,
    },
    /// Asked to stop before the detector had learned anew.
    #[error(
        "asked to stop before the detector had learned anew from the partitions; hint: start again in the same way, nothing was changed"
    )]
    StoppedLearning,
    /// The anomaly table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Telling receivers.
    #[error(transparent)]
    Delivery(#[from] Box<DeliveryError>),
    /// Checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The lock of the state.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Promoting a detector.
    #[error(transparent)]
    Promote(#[from] PromoteError),
    /// Comparing two configurations.
    #[error(transparent)]
    Against(#[from] AgainstError),
    /// Labels.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Labels of records.
    #[error(transparent)]
    RecordLabels(#[from] RecordLabelsError),
    /// The settings of the detector of records.
    #[error(transparent)]
    Records(#[from] records::SettingsError),
    /// Something that records do not have.
    #[error("{what} is for `detect.input = \"intervals\"`, and this configuration scores records; hint: {hint}")]
    OfIntervals {
        /// What was asked for.
        what: &'static str,
        /// What there is instead.
        hint: &'static str,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that this command writes.
    #[error("`{path}` cannot be written: {source}")]
    Output {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The state belongs to the other of `run` and `etl`.
    #[error(
        "the state in `{state}` was made by `{there}`, this is `{here}`; hint: go on with `tidewatch {there}`, or give this job a `partition.url` of its own"
    )]
    OtherCommand {
        /// Where it lies.
        state: String,
        /// The command that made it.
        there: &'static str,
        /// This command.
        here: &'static str,
    },
    /// The state belongs to another source.
    #[error(
        "the state in `{state}` tells of {there}, this job reads {here}; hint: set `source` back, or give this job a `partition.url` of its own"
    )]
    OtherSource {
        /// Where it lies.
        state: String,
        /// What was read.
        there: String,
        /// What would be read.
        here: String,
    },
    /// The partitions that the state tells of are gone.
    #[error(
        "the state in `{state}` tells of partitions in `{url}`, which are gone; hint: restore them, or remove the state to write them again"
    )]
    PartitionsGone {
        /// Where the state lies.
        state: String,
        /// Where the partitions were.
        url: String,
    },
    /// Not one record of a partition can be read.
    #[error("no record of `{place}` can be read: {reason}; hint: check `select` against the partition's columns")]
    Unreadable {
        /// The object.
        place: String,
        /// What is wrong with its first record.
        reason: String,
    },
    /// There is nothing to judge.
    #[error(
        "there is nothing to read in `{0}`; hint: run `tidewatch run` or `tidewatch etl` first, or give `--input source`"
    )]
    NoHistory(String),
    /// What had been begun when the job was asked to stop was not finished in time.
    #[error(
        "asked to stop, and a commit that had been begun could not be finished in time; hint: see above what could not be reached; start again to go on, nothing is lost"
    )]
    StopTimeout,
    /// A backtest over a source that never ends.
    #[error(
        "the source goes on for ever, and a backtest needs an end; hint: write partitions with `tidewatch etl` and give `--input partitions`"
    )]
    Endless,
    /// Records are missing from the account (E3): a fault of ours.
    #[error("the account does not add up: {read} records read, {accounted} accounted for; please report this")]
    Accounting {
        /// Records read.
        read: u64,
        /// Records accounted for.
        accounted: u64,
    },
    /// A thread of the job died: a fault of ours.
    #[error("a thread of the job died; please report this")]
    Thread,
}

impl From<ReferenceError> for JobError {
    fn from(error: ReferenceError) -> JobError {
        JobError::Reference(Box::new(error))
    }
}

impl JobError {
    /// Whether the fault is ours and not one that whoever runs the job can mend.
    pub fn is_ours(&self) -> bool {
        if let JobError::Delivery(error) = self {
            return matches!(**error, DeliveryError::Outbox(OutboxError::Encode(_)));
        }
        matches!(
            self,
            JobError::Select(_)
                | JobError::Scatter(_)
                | JobError::Accounting { .. }
                | JobError::Thread
                | JobError::Commit(CommitError::Encode(_) | CommitError::Rejects(_))
                | JobError::Decode(DecodeError::Columns(_) | DecodeError::Rows(_))
                | JobError::Table(TableError::Encode(_))
                | JobError::Checkpoint(CheckpointError::Encode(_))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_encoded_is_our_fault() {
        let broken = || serde_json::from_str::<u8>("x").unwrap_err();
        assert!(JobError::from(TableError::Encode(broken())).is_ours());
        assert!(JobError::from(CheckpointError::Encode(broken())).is_ours());
        let line = TableError::Line { name: String::new(), line: 1, source: broken() };
        assert!(!JobError::from(line).is_ours());
    }
}
