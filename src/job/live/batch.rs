//! The beat of the line: a micro-batch, and what can come next within it. What is done about it is in `live`.

use std::time::Duration;

use crate::job::feed::Fed;
use crate::job::prepare::Prepared;

/// How much a micro-batch has taken.
pub(super) struct MicroBatch {
    pub(super) ends: Duration,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// What the line does next.
pub(super) enum Step {
    Fed(Duration, Fed),
    Prepared(Box<Prepared>),
    Cut,
    Stop,
}
