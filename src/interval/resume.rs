//! What a checkpoint holds of this stage: where a job that starts again begins to read, and what the stage knew there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lane::Watermarks;
use crate::model::{Position, Progress, SourcePartition};

/// What the stage knows besides the rows it holds; part of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(super) lanes: Arc<Watermarks>,
    /// Intervals that close at or before this instant are closed.
    pub(super) closed_to_micros: Option<i64>,
    /// When the source was begun: event times are measured against it until there is a watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) begun_micros: Option<i64>,
    /// Sequence number of the last closing.
    pub sequence: u64,
    /// Records taken in.
    pub read: u64,
}

/// Where a job that starts again begins to read, and what the stage knew there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Where each source partition is read from.
    pub progress: Progress,
    /// How far each was read when this was noted.
    pub read_to: Progress,
    /// What the stage knew.
    pub state: State,
    /// Watermarks raised after this point, with the progress at which each was raised.
    pub raises: Vec<Raise>,
    /// In which order the source partitions were read from here on, each up to where: with one watermark for all, what
    /// is late depends on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<(SourcePartition, Position)>,
}

/// The watermark of a silent lane, raised because time has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    pub(super) lane: SourcePartition,
    /// The progress at which it was raised.
    pub at: Progress,
    /// The watermark it was raised to, in microseconds since 1970.
    pub to_micros: i64,
}
