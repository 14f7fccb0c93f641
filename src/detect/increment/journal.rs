//! What a detector has done since its last increment, as bytes: enough to do it again for some of its members.
//!
//! A step of a member depends on the others in three ways alone: on what all series have together, on the form that
//! the budget leaves it, and on how many verdicts are remembered (`reach`). All are written down, so that nothing has to be
//! known of members that are not there.
//!
//! ```text
//! 0                                                                             time was skipped
//! 1 | interval i64 | reach | parents, one per measure | changes | arrivals      a step
//! 2 | interval i64 | arrivals                                                   late rows of an interval
//! ```

use super::Increment;
use super::round::Round;
use crate::detect::arrival::Arrival;
use crate::detect::fleet::Change;
use crate::detect::snapshot::{self, Codec, Reader, SnapshotError, Writer};
use crate::detect::sparse::Parent;
use crate::model::{Interval, SeriesKey};

/// The increments so far, and what was done since the last.
#[derive(Clone, Debug)]
pub(in crate::detect) struct Journal {
    /// Checksum of the last increment.
    pub(in crate::detect) previous: u32,
    pub(in crate::detect) round: Round,
    /// Parts of the round that are still to be written for the steps that were made.
    pub(in crate::detect) owed: u32,
    steps: Writer,
    count: u64,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    /// Time was skipped.
    Jump,
    /// An interval was judged.
    Step {
        /// Its number.
        interval: i64,
        reach: usize,
        parents: Vec<Parent>,
        changes: Vec<(SeriesKey, Change)>,
        arrivals: Vec<Arrival>,
    },
    /// Late rows of an interval came.
    Revision {
        /// Its number.
        interval: i64,
        arrivals: Vec<Arrival>,
    },
}

impl Journal {
    /// Before the first increment.
    pub(in crate::detect) fn begin() -> Journal {
        Journal::after(0, Round::beginning(None), 0)
    }

    /// After an increment.
    pub(in crate::detect) fn after(previous: u32, round: Round, owed: u32) -> Journal {
        Journal { previous, round, owed, steps: Writer::default(), count: 0 }
    }

    /// Writes down that time was skipped.
    pub(in crate::detect) fn jumped(&mut self) {
        0u8.write(&mut self.steps);
        self.count += 1;
    }

    /// Writes a step down.
    pub(in crate::detect) fn stepped(
        &mut self,
        interval: Interval,
        reach: usize,
        parents: &[Parent],
        changes: &[(SeriesKey, Change)],
        arrivals: &[Arrival],
    ) {
        let to = &mut self.steps;
        1u8.write(to);
        interval.number().write(to);
        to.small(reach as u64);
        to.list(parents);
        to.list(changes);
        to.list(arrivals);
        self.count += 1;
        self.owed += 1;
    }

    /// Writes down a step of another kind of detector.
    pub(in crate::detect) fn wrote(&mut self, step: impl FnOnce(&mut Writer)) {
        step(&mut self.steps);
        self.count += 1;
        self.owed += 1;
    }

    /// Bytes of the steps so far.
    pub(in crate::detect) fn bytes(&self) -> usize {
        self.steps.len()
    }

    /// Writes late rows of an interval down.
    pub(in crate::detect) fn revised(&mut self, interval: i64, arrivals: &[Arrival]) {
        let to = &mut self.steps;
        2u8.write(to);
        interval.write(to);
        to.list(arrivals);
        self.count += 1;
    }

    /// Whether there have been so many steps that to write everything anew is less work: more than a round has parts.
    pub(in crate::detect) fn is_too_long(&self, parts: u32) -> bool {
        self.owed > parts
    }

    /// So many parts were written, or everything.
    pub(in crate::detect) fn pay(&mut self, parts: u32, all: bool) {
        self.owed = if all { 0 } else { self.owed.saturating_sub(parts) };
        if all {
            // there is nobody else who could need the steps
            (self.steps, self.count) = (Writer::default(), 0);
        }
    }

    /// Ends an increment of these bytes; the next goes on from it.
    pub(in crate::detect) fn close(&mut self, bytes: Vec<u8>) -> Increment {
        self.previous = snapshot::checksum(&bytes);
        let (chain, is_whole) = (self.round.ranges(), self.round.is_whole());
        Increment { bytes, chain, is_whole, is_last: is_whole && self.owed == 0 }
    }

    /// Hands the steps over to an increment.
    pub(in crate::detect) fn write_steps(&mut self, to: &mut Writer) {
        std::mem::take(&mut self.count).write(to);
        to.append(&std::mem::take(&mut self.steps).into_bytes());
    }
}

impl Record {
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Record, SnapshotError> {
        match u8::read(from)? {
            0 => Ok(Record::Jump),
            1 => Ok(Record::Step {
                interval: i64::read(from)?,
                reach: usize::try_from(from.small()?).map_err(|_| SnapshotError::Inconsistent("a step"))?,
                parents: Vec::read(from)?,
                changes: Vec::read(from)?,
                arrivals: Vec::read(from)?,
            }),
            2 => Ok(Record::Revision { interval: i64::read(from)?, arrivals: Vec::read(from)? }),
            _ => Err(SnapshotError::Inconsistent("a step")),
        }
    }
}
