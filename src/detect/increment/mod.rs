//! The state of a detector in pieces: what has to be written at a checkpoint, and what has to be read after a restart.
//!
//! The whole state of a large fleet is too much to write at each checkpoint. An increment is small: the members in a
//! range of keys as they are, and the steps since the increment before it, as far as they are needed to bring members
//! up to date that are in earlier increments (`journal`). The ranges go round the keys (`round`), one part in
//! [`PARTS`] for each step, a smaller one where few series are done again soon enough; a fleet that fits into one increment
//! is written whole each time, and needs no steps. From the increments of the last round a detector is restored that
//! equals the one that wrote them (`restore`, D2).
//!
//! ```text
//! checkpoint          1        2        3        4        5      after 5: needed are 3, 4 and 5
//! members          [a..f)   [f..n)   [n..-)   [a..f)   [f..n)
//! steps before it    -        s         s        s        s
//! ```
//!
//! Restored are n and after from 3, brought up to date by the steps of 4 and 5; a to e from 4, by those of 5; and f to m
//! from 5. The content of an increment, in the envelope of `snapshot`:
//!
//! ```text
//! checksum of the increment before it u32, 0 for the first | last interval | mark of the calendars u32 | totals
//! what `verdicts` knows of intervals | first key | members, 1 before each: key, size, state, verdicts | 0
//! first key that is not among them, none at the end
//! parts owed u32 | steps: how many, each as in `journal`
//! ```
//!
//! A snapshot is an increment of all members. Nothing here knows of files or of numbers of checkpoints: who keeps
//! increments is told how many of the newest are needed, and gives them back in that order.

mod journal;
mod restore;
mod round;

use std::ops::Bound;

use super::detector::Detector;
use super::fleet::Member;
use super::snapshot::{self, Codec, SnapshotError, Writer};
use super::spread::{Sequential, Spread, on_each};
use super::verdicts::Recent;
use crate::model::SeriesKey;

pub(super) use journal::Journal;
pub use restore::Restoring;
pub(super) use round::Round;

/// Increments that go round all keys, and steps after which that is done: who restores a detector does as much work as
/// half of these steps took.
pub(super) const PARTS: u32 = 32;
/// Or more of both, as long as so few judgements are done again: about two seconds of one core, half of it as a rule. What
/// goes through a history closes many intervals between two checkpoints, and need not write all forests at each.
const REPLAYED_MAX: usize = 1 << 17;
/// An increment has members of so many bytes at least: smaller objects are hardly written faster.
pub(super) const BYTES_LEAST: usize = 1 << 20;
/// Members that are written at the same time, and how many where it is the bytes that count.
const BATCH: usize = 1024;
const BATCH_SMALL: usize = 8;

/// A piece of a detector's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    /// The piece: versioned, with a checksum.
    pub bytes: Vec<u8>,
    /// A detector is restored from so many increments, in order, this one the last of them.
    pub chain: usize,
    /// Whether they have all series. A detector that begins to write increments needs some until they do.
    pub is_whole: bool,
    /// Whether that is enough for now; if not, another is to be written at once.
    pub is_last: bool,
}

/// How much goes into an increment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// One part of the members in so many,
    pub(super) parts: usize,
    /// and so many bytes of them.
    pub(super) bytes: usize,
}

impl Pace {
    const ALL: Pace = Pace { parts: 1, bytes: 0 };
}

impl Detector {
    /// The state as it is to be written at a checkpoint. From the first one on the detector keeps the steps that the
    /// next one tells of; it stops where they become more work than to write everything anew, which the next does.
    pub fn increment(&mut self) -> Increment {
        self.increment_on(&Sequential)
    }

    /// [`Detector::increment`] with the series spread over what the caller has; the same bytes.
    pub fn increment_on(&mut self, spread: &impl Spread) -> Increment {
        self.increment_at(Pace { parts: self.parts() as usize, bytes: BYTES_LEAST }, spread)
    }

    /// Increments that go round all keys, and steps after which that is done.
    pub(super) fn parts(&self) -> u32 {
        u32::try_from(REPLAYED_MAX / self.series_count().max(1)).unwrap_or(u32::MAX).max(PARTS)
    }

    pub(super) fn increment_at(&mut self, pace: Pace, spread: &impl Spread) -> Increment {
        let mut journal = self.journal.take().unwrap_or_else(Journal::begin);
        let from = journal.round.cursor().cloned();
        let bytes = snapshot::seal(self.settings(), |to| {
            self.write_head(journal.previous, from.as_ref(), to);
            let (end, paid) = self.write_members(from.as_ref(), pace, spread, |bytes| to.append(bytes));
            journal.pay(paid, from.is_none() && end.is_none());
            write_end(end.as_ref(), journal.owed, to);
            journal.write_steps(to);
            journal.round.advance(end);
        });
        let increment = journal.close(bytes);
        self.journal = Some(journal);
        increment
    }

    /// The whole state as bytes: versioned, with a checksum, exact to the bit (D2).
    pub fn snapshot(&self) -> Vec<u8> {
        self.snapshot_on(&Sequential)
    }

    /// [`Detector::snapshot`] with the series spread over what the caller has; the same bytes.
    pub fn snapshot_on(&self, spread: &impl Spread) -> Vec<u8> {
        snapshot::seal(self.settings(), |to| self.snapshot_in_pieces(spread, |bytes| to.append(bytes)))
    }

    /// Gives the state in pieces, as they follow the header in [`Detector::snapshot`]; so a large one need not lie in
    /// memory as a whole.
    pub fn snapshot_in_pieces(&self, spread: &impl Spread, mut put: impl FnMut(&[u8])) {
        let (mut head, mut end) = (Writer::default(), Writer::default());
        self.write_head(0, None, &mut head);
        put(&head.into_bytes());
        self.write_members(None, Pace::ALL, spread, &mut put);
        write_end(None, 0, &mut end);
        0u64.write(&mut end);
        put(&end.into_bytes());
    }

    /// A detector that goes on where the one that gave `bytes` stood.
    ///
    /// # Errors
    /// When the bytes are damaged, of another version, or learned under other settings.
    pub fn restore(settings: super::Settings, bytes: &[u8]) -> Result<Detector, SnapshotError> {
        let mut restoring = Restoring::new(settings);
        restoring.take(bytes, &Sequential)?;
        let mut detector = restoring.finish()?;
        detector.journal = None;
        Ok(detector)
    }

    fn write_head(&self, previous: u32, from: Option<&SeriesKey>, to: &mut Writer) {
        previous.write(to);
        self.last().map(|last| last.number()).write(to);
        self.settings().calendars().mark(self.last()).write(to);
        self.totals.write(to);
        self.verdicts.common().write(to);
        from.cloned().write(to);
    }

    /// Writes the members from a key on until there are enough; gives the first key that is not among them, and how many
    /// parts of all they are.
    fn write_members(
        &self,
        from: Option<&SeriesKey>,
        pace: Pace,
        spread: &impl Spread,
        mut put: impl FnMut(&[u8]),
    ) -> (Option<SeriesKey>, u32) {
        let all = &self.fleet.members;
        let wanted = all.len().div_ceil(pace.parts);
        let range = (from.map_or(Bound::Unbounded, Bound::Included), Bound::Unbounded);
        // both have the same keys
        let said = self.verdicts.recent.range::<SeriesKey, _>(range);
        let mut members = all.range::<SeriesKey, _>(range).zip(said).peekable();
        let (mut count, mut bytes) = (0, 0);
        while members.peek().is_some() && (count < wanted || bytes < pace.bytes) {
            let next = if count < wanted { BATCH.min(wanted - count) } else { BATCH_SMALL };
            let batch = members.by_ref().take(next);
            let mut batch: Vec<((&SeriesKey, &Member), &Recent, Vec<u8>)> =
                batch.map(|(member, (_, recent))| (member, recent, Vec::new())).collect();
            on_each(spread, &mut batch, &|(member, recent, bytes)| *bytes = member_bytes(*member, recent));
            count += batch.len();
            bytes += batch.iter().map(|(_, _, bytes)| bytes.len()).sum::<usize>();
            batch.iter().for_each(|(_, _, bytes)| put(bytes));
        }
        let parts = u32::try_from(count * pace.parts / all.len().max(1)).unwrap_or(u32::MAX);
        (members.next().map(|((key, _), _)| key.clone()), parts.max(1))
    }
}

fn member_bytes((key, member): (&SeriesKey, &Member), recent: &Recent) -> Vec<u8> {
    let (mut to, mut state) = (Writer::default(), Writer::default());
    true.write(&mut to);
    key.write(&mut to);
    member.write(&mut state);
    recent.write(&mut state);
    to.text(&state.into_bytes());
    to.into_bytes()
}

fn write_end(end: Option<&SeriesKey>, owed: u32, to: &mut Writer) {
    false.write(to);
    end.cloned().write(to);
    owed.write(to);
}
