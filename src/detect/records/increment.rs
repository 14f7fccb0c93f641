//! The state of a detector of records in pieces, as `detect::increment` has it for series: a checkpoint writes the forests
//! of a range of keys as they are, and what all others have learned since the checkpoint before, so that they can be brought
//! up to date. A forest is large, what it learns of one interval is small; few forests are written whole each time.
//!
//! ```text
//! checksum of the increment before it u32, 0 for the first | last interval | records scored | not scored
//! the shared forest | keys that wait: key, weight | first key
//! keys with a forest, 1 before each: key, forest | 0 | first key that is not among them, none at the end
//! parts owed u32 | steps: how many, each: seconds passed f64 | key, values | who took whose place
//! ```
//!
//! A forest learns from the records of its key alone, and who has one is written down. So what is done again for some keys
//! is, to the bit, what was done (D2).

use std::collections::BTreeMap;
use std::ops::Bound;

use super::detector::RecordDetector;
use super::keys::{Keys, Turn};
use super::model::Model;
use super::settings::Settings;
use crate::detect::increment::{BYTES_LEAST, Increment, Journal, PARTS, Round};
use crate::detect::snapshot::{self, Codec, Reader, SnapshotError, Writer};
use crate::model::{Columns, Interval, Length, SeriesKey};

/// No interval is a hundred thousand years away.
const MICROS_MAX: i64 = 3_000_000_000_000_000_000;
/// Steps that take more than one part in so many of what the forests do are not worth keeping.
const STEPS_SHARE: usize = 4;

/// What was done with the records of an interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    /// That had passed since the interval before it.
    pub(super) seconds: f64,
    /// The values of all records of each key with a forest of its own, record by record.
    pub(super) learned: Vec<(SeriesKey, Vec<f64>)>,
    pub(super) turns: Vec<Turn>,
}

impl RecordDetector {
    /// Writes a step down, where increments are written.
    pub(super) fn note(&mut self, step: &Step) {
        let Some(mut journal) = self.journal.take() else { return };
        journal.wrote(|to| step.write(to));
        let is_too_much = || journal.bytes() > self.keys.memory_bytes() / STEPS_SHARE;
        if !journal.is_too_long(PARTS) && !is_too_much() {
            self.journal = Some(journal);
        }
    }

    /// The state as it is to be written at a checkpoint. From the first one on the detector keeps the steps that the
    /// next one tells of; it stops where they become more work than to write everything anew, which the next does.
    pub fn increment(&mut self) -> Increment {
        self.increment_at(PARTS as usize, BYTES_LEAST)
    }

    /// The same with one part of the forests in so many, and so many bytes of them.
    pub(super) fn increment_at(&mut self, parts: usize, bytes_least: usize) -> Increment {
        let mut journal = self.journal.take().unwrap_or_else(Journal::begin);
        let from = journal.round.cursor().cloned();
        let bytes = snapshot::seal_under(self.settings.description(), |to| {
            self.write_head(journal.previous, from.as_ref(), to);
            let end = self.write_forests(from.as_ref(), (parts, bytes_least), to);
            journal.pay(1, from.is_none() && end.is_none());
            end.clone().write(to);
            journal.owed.write(to);
            journal.write_steps(to);
            journal.round.advance(end);
        });
        let increment = journal.close(bytes);
        self.journal = Some(journal);
        increment
    }

    /// The whole state as bytes: versioned, with a checksum, exact to the bit (D2). An increment of all forests.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::seal_under(self.settings.description(), |to| {
            self.write_head(0, None, to);
            let end = self.write_forests(None, (1, 0), to);
            end.write(to);
            0u32.write(to);
            0u64.write(to);
        })
    }

    /// Whether bytes are a whole state, or an increment of one, that was learned under these settings, without restoring
    /// anything.
    ///
    /// # Errors
    /// When they are damaged, of another version, or learned under other settings.
    pub fn check(settings: &Settings, bytes: &[u8]) -> Result<(), SnapshotError> {
        snapshot::open_under(&settings.description(), bytes).map(drop)
    }

    /// A detector that goes on where the one that gave `bytes` stood.
    ///
    /// # Errors
    /// When the bytes are damaged, of another version, or learned under other settings.
    pub fn restore(settings: Settings, columns: Columns, bytes: &[u8]) -> Result<RecordDetector, SnapshotError> {
        let mut restoring = RestoringRecords::new(settings, columns);
        restoring.take(bytes)?;
        let detector = restoring.finish()?;
        Ok(RecordDetector { journal: None, ..detector })
    }

    fn write_head(&self, previous: u32, from: Option<&SeriesKey>, to: &mut Writer) {
        previous.write(to);
        self.last.map(|last| (last.number(), last.length().seconds())).write(to);
        self.scored.write(to);
        self.unscored.write(to);
        self.keys.shared.write(to);
        self.keys.waiting.len().write(to);
        for (key, weight) in &self.keys.waiting {
            key.write(to);
            weight.write(to);
        }
        from.cloned().write(to);
    }

    /// Writes forests from a key on until there are enough; gives the first key that is not among them.
    fn write_forests(
        &self,
        from: Option<&SeriesKey>,
        (parts, bytes_least): (usize, usize),
        to: &mut Writer,
    ) -> Option<SeriesKey> {
        let own = &self.keys.own;
        let wanted = own.len().div_ceil(parts);
        let range = (from.map_or(Bound::Unbounded, Bound::Included), Bound::Unbounded);
        let mut forests = own.range::<SeriesKey, _>(range).peekable();
        let (mut count, begun) = (0, to.len());
        while let Some((key, model)) = forests.next_if(|_| count < wanted || to.len() - begun < bytes_least) {
            true.write(to);
            key.write(to);
            model.write(to);
            count += 1;
        }
        false.write(to);
        forests.next().map(|(key, _)| key.clone())
    }
}

/// A detector of records that is being restored: increments are taken in order, one at a time.
#[derive(Debug)]
pub struct RestoringRecords {
    detector: RecordDetector,
    /// None before the first increment.
    journal: Option<Journal>,
    replayed: u64,
}

impl RestoringRecords {
    /// Before the first increment.
    pub fn new(settings: Settings, columns: Columns) -> RestoringRecords {
        RestoringRecords { detector: RecordDetector::new(settings, columns), journal: None, replayed: 0 }
    }

    /// Takes the next increment.
    ///
    /// # Errors
    /// When it is damaged, of another version, learned under other settings, or not the next one. Then nothing more can
    /// be made of what was taken.
    pub fn take(&mut self, increment: &[u8]) -> Result<(), SnapshotError> {
        let from = &mut snapshot::open_under(&self.detector.settings.description(), increment)?;
        let previous = u32::read(from)?;
        let last = Option::<(i64, u32)>::read(from)?.map(interval_of).transpose()?;
        let (scored, unscored) = (u64::read(from)?, u64::read(from)?);
        let shared = Option::read(from)?;
        let mut waiting = BTreeMap::new();
        for _ in 0..usize::read(from)? {
            waiting.insert(SeriesKey::read(from)?, f64::read(from)?);
        }
        let range = Forests::read(from)?;
        let owed = u32::read(from)?;
        let mut round = match self.journal.take() {
            None => Round::beginning(range.from.clone()),
            Some(before) if before.previous == previous && before.round.cursor() == range.from.as_ref() => {
                self.replay(from, &before.round, &range)?;
                before.round
            }
            Some(_) => return Err(SnapshotError::Inconsistent("the order of its increments")),
        };
        let Keys { own, .. } = &mut self.detector.keys;
        own.retain(|key, _| !range.has(key));
        round.advance(range.to);
        own.extend(range.forests);
        (self.detector.keys.shared, self.detector.keys.waiting) = (shared, waiting);
        (self.detector.last, self.detector.scored, self.detector.unscored) = (last, scored, unscored);
        self.journal = Some(Journal::after(snapshot::checksum(increment), round, owed));
        Ok(())
    }

    /// Steps that were done again so far.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// The detector as it was when it wrote the last increment; its next one goes on from there.
    ///
    /// # Errors
    /// When the increments do not have all forests.
    pub fn finish(self) -> Result<RecordDetector, SnapshotError> {
        let journal = self.journal.filter(|journal| journal.round.is_whole());
        let journal = journal.ok_or(SnapshotError::Incomplete)?;
        if !self.detector.keys.fit(&self.detector.settings) {
            return Err(SnapshotError::Inconsistent("a forest"));
        }
        Ok(RecordDetector { journal: Some(journal), ..self.detector })
    }

    /// Does the steps of an increment again with the forests that are there, but for those that it has itself.
    fn replay(&mut self, from: &mut Reader<'_>, before: &Round, range: &Forests) -> Result<(), SnapshotError> {
        let is_here = |key: &SeriesKey| before.has(key) && !range.has(key);
        let settings = self.detector.settings.clone();
        let columns = settings.columns().len();
        let keys = &mut self.detector.keys;
        keys.own.retain(|key, _| is_here(key));
        for _ in 0..u64::read(from)? {
            let step = Step::read(from)?;
            keys.age(step.seconds);
            for (key, values) in step.learned.iter().filter(|(key, _)| is_here(key)) {
                if values.len() % columns != 0 || !values.iter().all(|value| value.is_finite()) {
                    return Err(SnapshotError::Inconsistent("a step"));
                }
                if !keys.own.contains_key(key) {
                    keys.begin(key.clone(), 0.0, &settings);
                }
                keys.weigh(key, values.len() / columns, &settings);
                let model = keys.own.get_mut(key);
                model.into_iter().for_each(|model| values.chunks(columns).for_each(|record| model.learn(record)));
            }
            for Turn { come, go, weight } in step.turns {
                if is_here(&go) {
                    keys.own.remove(&go);
                }
                if is_here(&come) {
                    keys.begin(come, weight, &settings);
                }
            }
            self.replayed += 1;
        }
        Ok(())
    }
}

/// The forests of an increment, of a range of keys.
struct Forests {
    from: Option<SeriesKey>,
    to: Option<SeriesKey>,
    forests: BTreeMap<SeriesKey, Model>,
}

impl Forests {
    fn read(reader: &mut Reader<'_>) -> Result<Forests, SnapshotError> {
        let from = Option::<SeriesKey>::read(reader)?;
        let mut forests = BTreeMap::new();
        while bool::read(reader)? {
            let key = SeriesKey::read(reader)?;
            forests.insert(key, Model::read(reader)?);
        }
        let to = Option::<SeriesKey>::read(reader)?;
        let read = Forests { from, to, forests };
        let are_in_range = read.forests.keys().all(|key| read.has(key));
        if are_in_range { Ok(read) } else { Err(SnapshotError::Inconsistent("a key")) }
    }

    /// Whether a key is in the range.
    fn has(&self, key: &SeriesKey) -> bool {
        self.from.as_ref().is_none_or(|from| from <= key) && self.to.as_ref().is_none_or(|to| key < to)
    }
}

impl Codec for Step {
    fn write(&self, to: &mut Writer) {
        self.seconds.write(to);
        self.learned.len().write(to);
        for (key, values) in &self.learned {
            key.write(to);
            to.list(values);
        }
        to.list(&self.turns);
    }
    fn read(from: &mut Reader<'_>) -> Result<Step, SnapshotError> {
        let (seconds, mut learned) = (f64::read(from)?, Vec::new());
        for _ in 0..usize::read(from)? {
            learned.push((SeriesKey::read(from)?, Vec::read(from)?));
        }
        Ok(Step { seconds, learned, turns: Vec::read(from)? })
    }
}

fn interval_of((number, seconds): (i64, u32)) -> Result<Interval, SnapshotError> {
    let wrong = SnapshotError::Inconsistent("an interval");
    let Ok(length) = Length::from_seconds(seconds.into()) else { return Err(wrong) };
    let micros = number.checked_mul(length.micros()).filter(|micros| micros.abs() < MICROS_MAX);
    micros.map(|micros| Interval::containing(micros, length)).ok_or(wrong)
}
