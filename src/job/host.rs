//! What a job is given besides its configuration, and what it tells while it runs: the clock, a wish to stop, someone
//! who listens. Nothing here prints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use tokio::sync::watch;

use super::clock::Clock;
use crate::alert::Revision;
use crate::detect::records;
use crate::model::{AnomalyGroup, Notice, ScoredRecord, SourcePartition, Tally, Timestamp};
use crate::store::Watch;

/// The surroundings of a job.
pub struct Host<'a> {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Becomes true when the job shall finish its batch and leave.
    pub shutdown: Shutdown,
    /// Is told what happens.
    pub listener: &'a mut dyn Listener,
    /// Sees every write, in tests.
    pub watch: Option<Arc<dyn Watch>>,
}

/// Is told what happens.
pub trait Listener {
    /// Something happened.
    fn on(&mut self, event: Event<'_>);
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The job is about to read.
    Started {
        /// Bytes of a finite input on disk.
        total_bytes: Option<u64>,
        /// Whether it goes on from a checkpoint.
        resumed: bool,
    },
    /// Input was taken.
    Read {
        /// Bytes of the input on disk so far.
        bytes: u64,
        /// Records so far.
        records: u64,
        /// Largest event time so far.
        watermark: Option<Timestamp>,
    },
    /// A micro-batch of a stream is over.
    Batch {
        /// Records so far.
        records: u64,
        /// What every partition of the stream has reached in event time.
        watermark: Option<Timestamp>,
        /// The partition that holds intervals open, where any are.
        slowest: Option<&'a SourcePartition>,
        /// Milliseconds that each partition is behind the tip of the stream; none for one that has not answered yet.
        lags_ms: &'a BTreeMap<SourcePartition, Option<u64>>,
    },
    /// Intervals were judged, for a detector without a source.
    Judged {
        /// So many so far.
        intervals: u64,
        /// Of so many.
        total: u64,
    },
    /// A detector learns anew from partitions.
    Learned {
        /// So many intervals so far.
        intervals: u64,
        /// Of so many.
        total: u64,
    },
    /// Groups that an alert rule lets pass.
    Alert(&'a [AnomalyGroup]),
    /// What is to be told of incidents.
    Incidents(&'a [Notice]),
    /// Revisions of findings that an alert rule lets pass.
    Revised(&'a [Revision]),
    /// Scored records of one interval that pass the threshold.
    Records(&'a [ScoredRecord]),
    /// Something that is worth a line.
    Info(&'a str),
    /// Something that whoever runs the job should know.
    Warning(&'a str),
}

/// What a job did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Records read by this process.
    pub read: u64,
    /// The account of all records of the job so far, also before a restart.
    pub tally: Tally,
    /// Records held for intervals that are still open.
    pub held: u64,
    /// Intervals closed so far.
    pub intervals: u64,
    /// Series that the detector knows.
    pub series: u64,
    /// Of them, those that are still learning.
    pub learning: u64,
    /// Local time at which the last of them has its first verdict.
    pub speaks: Option<NaiveDateTime>,
    /// Where records are scored: how many so far, and by how many forests.
    pub records: Option<records::Status>,
    /// Findings so far: of series, or records that passed the threshold.
    pub findings: u64,
    /// Incidents that opened in this process.
    pub incidents: u64,
    /// Revisions of findings so far.
    pub revisions: u64,
    /// Anomaly groups of this process.
    pub groups: u64,
    /// How long this process worked.
    pub elapsed: Duration,
    /// Whether it was asked to stop before its source ended.
    pub stopped: bool,
    /// Whether the job had a checkpoint to go on from.
    pub resumed: bool,
}

/// Tells a job to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A wish to stop, seen by the job.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A wish that can be made, and its two ends.
    pub fn new() -> (Stopper, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Shutdown(receiver))
    }

    /// Whether the wish has been made.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the wish; for ever, if whoever could make it is gone.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Stopper {
    /// Makes the wish.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}
