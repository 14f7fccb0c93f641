//! Closings on their way to the store: what can be done beside the line is done on other threads, several closings at a
//! time. Rows that were put away are brought back, encoded, written as parts that no manifest names yet, and gathered to
//! what the detector sees. Closings come out in the order in which they went in, so that what follows does not depend on
//! the threads.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::error::JobError;
use super::seen::{Gatherer, Seen};
use super::spill::Spill;
use crate::model::Closing;
use crate::partition::{Staged, Writer};

/// So many closings may be under way for each thread, while the one before them is committed, as long as they have no more
/// rows together than this.
const PER_THREAD: usize = 2;
const ROWS_MAX: u64 = 1 << 18;

/// Prepares closings.
pub(super) struct Preparer {
    writer: Writer,
    /// Of what the detector must be given; none where there is none.
    gatherer: Option<Gatherer>,
    spill: Arc<Spill>,
    /// With how many rows each has.
    waiting: VecDeque<(u64, JoinHandle<Result<Prepared, JobError>>)>,
    threads: usize,
}

/// A closing, with all that follows from it alone.
pub(super) struct Prepared {
    pub(super) closing: Closing,
    pub(super) staged: Staged,
    /// What the detector sees of it.
    pub(super) seen: Option<Seen>,
}

impl Preparer {
    pub(super) fn new(writer: Writer, gatherer: Option<Gatherer>, spill: Arc<Spill>, threads: usize) -> Preparer {
        Preparer { writer, gatherer, spill, waiting: VecDeque::new(), threads }
    }

    /// Whether one must come out before the next may go in.
    pub(super) fn is_full(&self) -> bool {
        let rows = || self.waiting.iter().map(|(rows, _)| rows).sum::<u64>();
        let count = self.waiting.len();
        count >= PER_THREAD * self.threads || count >= self.threads && rows() > ROWS_MAX
    }

    pub(super) fn begin(&mut self, mut closing: Closing) {
        let (writer, gatherer, spill) = (self.writer.clone(), self.gatherer.clone(), Arc::clone(&self.spill));
        let rows = closing.tally.written;
        let encoder = writer.clone();
        let work = tokio::task::spawn_blocking(move || {
            closing.rows.recall(|away| spill.bring(away))?;
            // whoever waits for a verdict waits for the longer of the two
            let (encoded, seen) = std::thread::scope(|scope| {
                let gatherer = gatherer.filter(|gatherer| gatherer.sees(&closing));
                let gather = |gatherer: Gatherer| gatherer.gather(closing.interval, closing.rows.rows());
                let seen = gatherer.map(|gatherer| scope.spawn(move || gather(gatherer)));
                let encoded = encoder.encode(&closing);
                (encoded, seen.map(|seen| seen.join().map_err(|_| JobError::Thread)).transpose())
            });
            Ok((closing, encoded?, seen?))
        });
        let work = tokio::spawn(async move {
            let (closing, encoded, seen) = work.await.unwrap_or(Err(JobError::Thread))?;
            let staged = writer.stage(&closing, encoded).await?;
            Ok(Prepared { closing, staged, seen })
        });
        self.waiting.push_back((rows, work));
    }

    /// The next one, once it is ready; none where nothing is under way. May be dropped while it waits; nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Prepared, JobError>> {
        let (_, work) = self.waiting.front_mut()?;
        let ready = work.await;
        self.waiting.pop_front();
        Some(ready.unwrap_or(Err(JobError::Thread)))
    }
}

impl Drop for Preparer {
    /// Whoever gives up writes no more parts.
    fn drop(&mut self) {
        self.waiting.iter().for_each(|(_, work)| work.abort());
    }
}
