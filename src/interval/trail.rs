//! What does not follow from the records alone and must happen again when they are read again: watermarks that were
//! raised, and, where all partitions share one watermark, the order in which they were read. The last of both are kept,
//! as many as an open interval may have seen, and those of an earlier run that are still to happen again.

use std::collections::VecDeque;

use super::resume::Raise;
use crate::model::{Position, Progress, SourcePartition};

/// A source partition, and the place up to which it was read before another one was.
type Run = (SourcePartition, Position);

#[derive(Debug, Default)]
pub(super) struct Trail {
    raises: Recent<Raise>,
    runs: Recent<Run>,
    /// Raises to be made again, as they were made before the job started again.
    raises_due: VecDeque<Raise>,
    /// Runs to be read again, as they were read before the job started again.
    runs_due: VecDeque<Run>,
}

/// A moment on the trail: how many of each were before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    raises: u64,
    runs: u64,
}

impl Trail {
    /// A trail on which these are still to happen again.
    pub(super) fn resume(raises: Vec<Raise>, order: Vec<Run>) -> Trail {
        Trail { raises_due: raises.into(), runs_due: order.into(), ..Trail::default() }
    }

    pub(super) fn now(&self) -> Moment {
        // the last run may go on
        Moment { raises: self.raises.count, runs: self.runs.count.saturating_sub(1) }
    }

    /// What was raised since a moment, and what will be.
    pub(super) fn raises_since(&self, moment: Moment) -> Vec<Raise> {
        self.raises.since(moment.raises).chain(&self.raises_due).cloned().collect()
    }

    /// What was read since a moment, in order, and what will be.
    pub(super) fn order_since(&self, moment: Moment) -> Vec<Run> {
        self.runs.since(moment.runs).chain(&self.runs_due).cloned().collect()
    }

    /// Notes a raise; what is before the `oldest` moment that anyone may ask for is forgotten.
    pub(super) fn raised(&mut self, raise: Raise, oldest: Option<Moment>) {
        self.raises.forget(oldest.map(|moment| moment.raises));
        self.raises.push(raise);
    }

    /// Notes that a source partition was read up to a place, after whatever was read before.
    pub(super) fn read(&mut self, partition: &SourcePartition, read_to: Position, oldest: Option<Moment>) {
        self.runs_due.pop_front_if(|(due, to)| due == partition && *to <= read_to);
        if let Some((_, to)) = self.runs.last.back_mut().filter(|(last, _)| last == partition) {
            *to = read_to;
            return;
        }
        self.runs.forget(oldest.map(|moment| moment.runs));
        self.runs.push((partition.clone(), read_to));
    }

    /// The next raise to be made again that was made at or before this progress.
    pub(super) fn due(&mut self, progress: &Progress) -> Option<Raise> {
        let at = self.raises_due.iter().position(|raise| reached(progress, &raise.at))?;
        self.raises_due.remove(at)
    }
}

/// Whether every partition of `mark` has been read at least as far as it says.
fn reached(progress: &Progress, mark: &Progress) -> bool {
    mark.iter().all(|(partition, position)| progress.get(partition).is_some_and(|now| now >= position))
}

/// How many there were in all, and the last of them.
#[derive(Debug)]
struct Recent<T> {
    count: u64,
    last: VecDeque<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Recent<T> {
        Recent { count: 0, last: VecDeque::new() }
    }
}

impl<T> Recent<T> {
    fn push(&mut self, item: T) {
        self.last.push_back(item);
        self.count += 1;
    }

    /// Those that came after the first `count`.
    fn since(&self, count: u64) -> impl Iterator<Item = &T> {
        let wanted = usize::try_from(self.count - count).unwrap_or(usize::MAX);
        self.last.iter().skip(self.last.len().saturating_sub(wanted))
    }

    /// Keeps those that came after the first `count`, or none.
    fn forget(&mut self, count: Option<u64>) {
        let wanted = usize::try_from(self.count - count.unwrap_or(self.count)).unwrap_or(usize::MAX);
        self.last.drain(..self.last.len().saturating_sub(wanted));
    }
}
