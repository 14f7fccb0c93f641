//! Closings on their way to the store: what can be worked out beside the line is worked out on other threads, several
//! closings at a time. Rows that were put away are brought back, made columns, encoded as parts, and gathered to what the
//! detector sees. Closings come out in the order in which they went in, so that what follows does not depend on the threads.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::error::JobError;
use super::seen::{Gatherer, Seen};
use super::spill::Spill;
use crate::model::Closing;
use crate::partition::{Encoded, Writer};

/// Prepares closings.
pub(super) struct Preparer {
    writer: Writer,
    /// Of what the detector must be given; none where there is none.
    gatherer: Option<Gatherer>,
    spill: Arc<Spill>,
    waiting: VecDeque<JoinHandle<Result<Prepared, JobError>>>,
    waiting_max: usize,
}

/// A closing, with all that follows from it alone.
pub(super) struct Prepared {
    pub(super) closing: Closing,
    pub(super) encoded: Encoded,
    /// What the detector sees of it.
    pub(super) seen: Option<Seen>,
}

impl Preparer {
    pub(super) fn new(writer: Writer, gatherer: Option<Gatherer>, spill: Arc<Spill>, threads: usize) -> Preparer {
        // while one is committed, each thread has one
        Preparer { writer, gatherer, spill, waiting: VecDeque::new(), waiting_max: threads + 1 }
    }

    /// Whether one must come out before the next may go in.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.waiting_max
    }

    pub(super) fn begin(&mut self, mut closing: Closing) {
        let (writer, gatherer, spill) = (self.writer.clone(), self.gatherer.clone(), Arc::clone(&self.spill));
        self.waiting.push_back(tokio::task::spawn_blocking(move || {
            closing.recall(|away| spill.bring(away))?;
            // whoever waits for a verdict waits for the longer of the two
            let (encoded, seen) = std::thread::scope(|scope| {
                let gatherer = gatherer.filter(|gatherer| gatherer.sees(&closing));
                let gather = |gatherer: Gatherer| gatherer.gather(closing.interval, closing.rows.rows());
                let seen = gatherer.map(|gatherer| scope.spawn(move || gather(gatherer)));
                let encoded = writer.encode(&closing);
                (encoded, seen.map(|seen| seen.join().map_err(|_| JobError::Thread)).transpose())
            });
            let (encoded, seen) = (encoded?, seen?);
            Ok(Prepared { closing, encoded, seen })
        }));
    }

    /// The next one, once it is ready; none where nothing is under way. May be dropped while it waits; nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Prepared, JobError>> {
        let ready = self.waiting.front_mut()?.await;
        self.waiting.pop_front();
        Some(ready.unwrap_or(Err(JobError::Thread)))
    }
}
