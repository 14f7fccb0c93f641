//! What is known of each shard that is being read: how far it is behind its tip, whether it can be reached, and how
//! many of its chunks wait to be handed on. The readers write, the source and the job's metrics read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::SourcePartition;

/// One entry for each shard that is being read.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<BTreeMap<SourcePartition, Entry>>);

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// How far the tip was ahead when the shard last answered.
    behind_ms: Option<u64>,
    /// When the last record that was read arrived.
    arrival_ms: Option<i64>,
    /// Whether the last call is over and was answered, and the shard is not held back.
    is_heard: bool,
    /// Chunks that were read and not handed on.
    waiting: usize,
}

impl Entry {
    /// Whether there is more to read for all that is known.
    fn is_behind(&self) -> bool {
        self.behind_ms != Some(0)
    }
}

impl Board {
    /// A shard is being read, from records on that arrived at an instant, where that is known.
    pub(super) fn begin(&self, shard: &SourcePartition, arrival_ms: Option<i64>) {
        self.lock().insert(shard.clone(), Entry { arrival_ms, ..Entry::default() });
    }

    /// A shard has answered.
    pub(super) fn answered(&self, shard: &SourcePartition, behind_ms: u64, arrival_ms: Option<i64>) {
        self.change(shard, |entry| {
            entry.behind_ms = Some(behind_ms);
            // arrival times are not quite in the order of the records
            entry.arrival_ms = entry.arrival_ms.max(arrival_ms);
            entry.is_heard = true;
        });
    }

    /// A shard does not answer, or is held back.
    pub(super) fn lost(&self, shard: &SourcePartition) {
        self.change(shard, |entry| entry.is_heard = false);
    }

    /// A chunk of a shard waits to be handed on.
    pub(super) fn waits(&self, shard: &SourcePartition) {
        self.change(shard, |entry| entry.waiting += 1);
    }

    /// A chunk of a shard was handed on.
    pub(super) fn handed_on(&self, shard: &SourcePartition) {
        self.change(shard, |entry| entry.waiting = entry.waiting.saturating_sub(1));
    }

    /// A shard was handed on to its end.
    pub(super) fn end(&self, shard: &SourcePartition) {
        self.lock().remove(shard);
    }

    /// The shards that are read to their tips and handed on.
    pub(super) fn quiet(&self) -> Vec<SourcePartition> {
        let board = self.lock();
        let quiet = board.iter().filter(|(_, entry)| entry.is_heard && !entry.is_behind() && entry.waiting == 0);
        quiet.map(|(shard, _)| shard.clone()).collect()
    }

    /// Whether a shard is so far ahead of the slowest one that is behind its tip that it has to wait for it.
    pub(super) fn is_ahead(&self, shard: &SourcePartition, drift_max: Duration) -> bool {
        let board = self.lock();
        let Some(own) = board.get(shard).and_then(|entry| entry.arrival_ms) else { return false };
        let slowest = board.values().filter(|entry| entry.is_behind()).filter_map(|entry| entry.arrival_ms).min();
        let drift_max = i64::try_from(drift_max.as_millis()).unwrap_or(i64::MAX);
        slowest.is_some_and(|slowest| own.saturating_sub(slowest) > drift_max)
    }

    fn change(&self, shard: &SourcePartition, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.lock().get_mut(shard) {
            change(entry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SourcePartition, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far each shard is behind its tip, as it last answered. Cheap to clone, and goes on being true.
#[derive(Clone, Debug)]
pub struct Lags(pub(super) Arc<Board>);

impl Lags {
    /// Milliseconds from what was last read of each shard to its tip; none for a shard that has not answered yet. Shards
    /// that have ended are not there.
    pub fn millis(&self) -> BTreeMap<SourcePartition, Option<u64>> {
        self.0.lock().iter().map(|(shard, entry)| (shard.clone(), entry.behind_ms)).collect()
    }

    /// The largest of them.
    pub fn millis_max(&self) -> Option<u64> {
        self.0.lock().values().filter_map(|entry| entry.behind_ms).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_quiet_once_it_is_read_to_its_tip_and_handed_on() {
        let (board, shard) = (Board::default(), SourcePartition::new("shardId-000000000000"));
        board.begin(&shard, None);
        assert_eq!(board.quiet(), []);
        board.answered(&shard, 5, Some(1));
        assert_eq!(board.quiet(), []);
        board.answered(&shard, 0, Some(1));
        board.waits(&shard);
        assert_eq!(board.quiet(), []);
        board.handed_on(&shard);
        assert_eq!(board.quiet(), std::slice::from_ref(&shard));
        board.lost(&shard);
        assert_eq!(board.quiet(), []);
        board.answered(&shard, 0, None);
        assert_eq!(board.quiet(), std::slice::from_ref(&shard));
        board.end(&shard);
        assert_eq!(board.quiet(), []);
    }

    #[test]
    fn a_shard_waits_for_the_slowest_that_is_behind_and_that_never_waits() {
        let board = Board::default();
        let [fast, slow, live] = ["a", "b", "c"].map(SourcePartition::new);
        let drift_max = Duration::from_millis(100);
        let ahead = || [&fast, &slow, &live].map(|shard| board.is_ahead(shard, drift_max));
        for shard in [&fast, &slow, &live] {
            board.begin(shard, None);
        }
        assert_eq!(ahead(), [false; 3]);
        board.answered(&fast, 9, Some(1_101));
        board.answered(&slow, 9, Some(1_000));
        board.answered(&live, 0, Some(5_000));
        assert_eq!(ahead(), [true, false, true]);
        board.answered(&slow, 9, Some(1_001));
        assert_eq!(ahead(), [false, false, true]);
        board.answered(&fast, 0, None);
        board.answered(&slow, 0, None);
        assert_eq!(ahead(), [false; 3], "all are at their tips");
    }
}
