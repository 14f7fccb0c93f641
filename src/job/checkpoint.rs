//! The checkpoint: one object that says how far a job is. It holds where to read on from, the account so far and an
//! increment of the detector's state, and is written only after everything that it passes is committed (E2).
//!
//! Checkpoints are numbered and created, never replaced: of two jobs on the same state the slower one finds its number
//! taken and stops. The one before the last is kept, so that a damaged object costs some reading and nothing else.
//!
//! The detector is restored from the increments of the checkpoints that the last one names as its chain (`detect` tells
//! how many); what neither of the two that are kept needs is removed. A detector that writes everything anew needs some
//! checkpoints in a row until they have all its series: until then the chain is not whole, and the ones before are kept.
//! The positions have a checksum of their own, so a damaged detector does not take them along.
//!
//! What is decided between two checkpoints and does not follow from the records, the raising of a silent watermark, is
//! written down in a small object of its own, which belongs to the checkpoint before it.
//!
//! ```text
//! state/checkpoint-NNNNNNNNNN
//! "TWCHK003" | length of the JSON u32 | CRC-32 of the JSON u32 | CRC-32 of the increment u32 | JSON | increment
//! state/raises-NNNNNNNNNN-KKKKKK     the K-th after checkpoint N: a JSON array of raises
//! ```
//!
//! Integers are little-endian.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::detect::Increment;
use crate::interval::{Raise, ResumePoint, State};
use crate::model::{Interval, Tally};
use crate::store::{Created, Store, StoreError};

const MAGIC: &[u8; 8] = b"TWCHK003";
const HEADER_BYTES: usize = 20;
const PREFIX: &str = "checkpoint-";
const RAISES_PREFIX: &str = "raises-";
const KEPT: usize = 2;

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where to read on from.
    pub resume: ResumePoint,
    /// What was closed and counted when it was made.
    pub done: State,
    /// The account of all that is committed.
    pub tally: Tally,
    /// Intervals closed.
    pub intervals: u64,
    /// Findings.
    pub findings: u64,
    /// Revisions of findings.
    #[serde(default)]
    pub revisions: u64,
    /// The state of incidents, where there is one.
    #[serde(default)]
    pub incidents: Option<serde_json::Value>,
    /// Whether event time was near the clock: what does not come then is missed, also by a job that is started again.
    #[serde(default)]
    pub is_live: bool,
    /// What was read.
    pub source: String,
    /// What is known of the detector without its increments, where there is one.
    pub detector: Option<Learned>,
}

/// How far a detector is, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The last interval that was judged.
    pub judged: Option<Interval>,
    /// The checkpoints that have its increments, in order, the last of them this one.
    pub chain: Vec<u64>,
    /// Whether they have all series.
    pub whole: bool,
}

/// What to do with the detector that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Go on with it.
    GoOn,
    /// Let it learn anew from the partitions; all else goes on.
    Rebuild,
}

/// The checkpoint to go on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// What is there of the detector, if there is one.
    pub stored: Stored,
}

/// What is there of a detector.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// All of its chain; the last increment is this one.
    Whole(Bytes),
    /// It is to learn anew: because that is wanted, or because it was never written as a whole.
    ToRebuild,
    /// Some of it is damaged or gone: which, and how.
    Damaged(String),
}

/// The checkpoints of one job.
#[derive(Debug)]
pub struct Checkpoints {
    store: Store,
    last: u64,
    /// Checkpoints with the increments so far that the next one may go on from.
    chain: Vec<u64>,
    /// The last that a job could go on from.
    kept: Vec<Kept>,
    /// Objects with raises since the last.
    notes: u64,
    /// What is there: no listing is needed to remove what is old.
    there: Listed,
}

/// A checkpoint that a job could go on from, and those that it needs beside itself.
#[derive(Clone, Debug)]
struct Kept {
    number: u64,
    chain: Vec<u64>,
}

impl Kept {
    fn new(number: u64, checkpoint: &Checkpoint) -> Kept {
        Kept { number, chain: checkpoint.detector.as_ref().map(|learned| learned.chain.clone()).unwrap_or_default() }
    }

    fn needs(&self, number: u64) -> bool {
        self.number == number || self.chain.contains(&number)
    }
}

/// A checkpoint that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Another process wrote the next checkpoint.
    #[error(
        "another process wrote checkpoint {number} of this state; hint: run one job per state, each with a \
         `partition.url` of its own"
    )]
    Overtaken {
        /// The number.
        number: u64,
    },
    /// None of the checkpoints that are there can be read.
    #[error(
        "no checkpoint in `{folder}` can be read: the newest {reason}; hint: remove the folder to begin again: what is committed \
         stays and is not written twice"
    )]
    Unreadable {
        /// Where they are.
        folder: String,
        /// What is wrong with the newest.
        reason: String,
    },
    /// An increment is not what it was.
    #[error("`{name}` {reason}")]
    Increment {
        /// The checkpoint with it.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint cannot be written as JSON; a fault of ours.
    #[error("checkpoint cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Checkpoints {
    /// Finds the newest checkpoint that a job can go on from, if there is any. Where the detector of none of them can be
    /// used, or is not wanted, it is the newest whose positions can be read.
    ///
    /// # Errors
    /// When there are checkpoints and none can be read, or the store fails.
    pub async fn open(store: Store, start: Start) -> Result<(Checkpoints, Option<Found>), CheckpointError> {
        let there = Listed::of(&store).await?;
        let last = there.checkpoints.last().copied().unwrap_or(0);
        let mut checkpoints = Checkpoints { store, last, chain: Vec::new(), kept: Vec::new(), notes: 0, there };
        let Some((number, mut found)) = checkpoints.find(start).await? else { return Ok((checkpoints, None)) };
        checkpoints.kept.push(Kept::new(number, &found.checkpoint));
        if let (Stored::Whole(_), Some(learned)) = (&found.stored, &found.checkpoint.detector) {
            checkpoints.chain.clone_from(&learned.chain);
        }
        for (after, note) in checkpoints.there.notes.iter().filter(|(after, _)| *after >= number) {
            let bytes = checkpoints.store.get(&note_name(*after, *note)).await?.unwrap_or_default();
            let raises: Vec<Raise> =
                serde_json::from_slice(&bytes).map_err(|error| checkpoints.unreadable(error.to_string()))?;
            found.checkpoint.resume.raises.extend(raises);
            checkpoints.notes = if *after == last { note + 1 } else { 0 };
        }
        Ok((checkpoints, Some(found)))
    }

    async fn find(&self, start: Start) -> Result<Option<(u64, Found)>, CheckpointError> {
        let (mut newest, mut unreadable) = (None, None);
        for number in self.there.checkpoints.iter().rev() {
            let bytes = self.store.get(&name(*number)).await?.unwrap_or_default();
            let (checkpoint, increment) = match decode(&bytes) {
                Ok(decoded) => decoded,
                Err(reason) => {
                    unreadable = unreadable.or(Some(reason));
                    continue;
                }
            };
            let stored = match start {
                Start::GoOn => self.stored(*number, &checkpoint, increment),
                Start::Rebuild => Stored::ToRebuild,
            };
            let found = (*number, Found { checkpoint, stored });
            if start == Start::Rebuild || matches!(found.1.stored, Stored::Whole(_)) {
                return Ok(Some(found));
            }
            newest = newest.or(Some(found));
        }
        match (newest, unreadable) {
            (Some(newest), _) => Ok(Some(newest)),
            (None, Some(reason)) => Err(self.unreadable(reason)),
            (None, None) => Ok(None),
        }
    }

    /// What is there of the detector of a checkpoint, as far as it can be told without reading others.
    fn stored(&self, number: u64, checkpoint: &Checkpoint, increment: Result<Bytes, String>) -> Stored {
        let increment = match increment {
            Ok(increment) => increment,
            Err(reason) => return Stored::Damaged(format!("`{}` {reason}", name(number))),
        };
        let Some(learned) = &checkpoint.detector else { return Stored::Whole(increment) };
        let missing = learned.chain.iter().find(|needed| !self.there.checkpoints.contains(needed));
        match missing {
            Some(missing) => Stored::Damaged(format!("`{}` is gone", name(*missing))),
            None if learned.whole => Stored::Whole(increment),
            None => Stored::ToRebuild,
        }
    }

    /// Whether there is any checkpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn any(store: &Store) -> Result<bool, CheckpointError> {
        Ok(!Listed::of(store).await?.checkpoints.is_empty())
    }

    /// The increment in a checkpoint.
    ///
    /// # Errors
    /// When it is gone or damaged, or the store fails.
    pub async fn increment(&self, number: u64) -> Result<Bytes, CheckpointError> {
        let bytes = self.store.get(&name(number)).await?;
        let increment = bytes.ok_or_else(|| "is gone".to_owned()).and_then(|bytes| decode(&bytes)?.1);
        increment.map_err(|reason| CheckpointError::Increment { name: name(number), reason })
    }

    /// Writes the next checkpoint, with an increment of the detector as it was after an interval, and removes those that
    /// are no longer needed.
    ///
    /// # Errors
    /// When another process has written it, or the store fails.
    pub async fn save(
        &mut self,
        checkpoint: &mut Checkpoint,
        detector: Option<(Option<Interval>, Increment)>,
    ) -> Result<(), CheckpointError> {
        let number = self.last + 1;
        let mut chain = Vec::new();
        let (learned, increment) = match detector {
            None => (None, Vec::new()),
            Some((judged, increment)) => {
                let before = increment.chain.saturating_sub(1);
                chain.extend(&self.chain[self.chain.len().saturating_sub(before)..]);
                chain.push(number);
                (Some(Learned { judged, chain: chain.clone(), whole: increment.is_whole }), increment.bytes)
            }
        };
        let is_whole = learned.as_ref().is_none_or(|learned| learned.whole);
        checkpoint.detector = learned;
        if self.store.create(&name(number), encode(checkpoint, increment)?).await? == Created::Exists {
            return Err(CheckpointError::Overtaken { number });
        }
        (self.last, self.notes, self.chain) = (number, 0, chain);
        self.there.checkpoints.push(number);
        if is_whole {
            self.kept.push(Kept::new(number, checkpoint));
            self.clean().await?;
        }
        Ok(())
    }

    /// Removes what neither of the last two needs.
    async fn clean(&mut self) -> Result<(), CheckpointError> {
        self.kept.drain(..self.kept.len().saturating_sub(KEPT));
        let is_old = |number: &u64| !self.kept.iter().any(|kept| kept.needs(*number));
        while let Some(at) = self.there.checkpoints.iter().position(is_old) {
            self.store.delete(&name(self.there.checkpoints[at])).await?;
            self.there.checkpoints.remove(at);
        }
        // whatever is there may be gone back to
        let oldest = self.there.checkpoints.first().copied().filter(|_| self.kept.len() == KEPT).unwrap_or(0);
        while let Some((after, note)) = self.there.notes.first().copied().filter(|(after, _)| *after < oldest) {
            self.store.delete(&note_name(after, note)).await?;
            self.there.notes.remove(0);
        }
        Ok(())
    }

    /// Where the checkpoints are.
    pub fn place(&self) -> &str {
        self.store.url()
    }

    fn unreadable(&self, reason: String) -> CheckpointError {
        CheckpointError::Unreadable { folder: format!("{:?}", self.store), reason }
    }

    /// Writes down raises that are about to be made.
    ///
    /// # Errors
    /// When another process has written in this place, or the store fails.
    pub async fn note(&mut self, raises: &[Raise]) -> Result<(), CheckpointError> {
        let bytes = Bytes::from(serde_json::to_vec(raises)?);
        if self.store.create(&note_name(self.last, self.notes), bytes).await? == Created::Exists {
            return Err(CheckpointError::Overtaken { number: self.last + 1 });
        }
        self.there.notes.push((self.last, self.notes));
        self.notes += 1;
        Ok(())
    }
}

/// What there is, in order.
#[derive(Debug, Default)]
struct Listed {
    checkpoints: Vec<u64>,
    notes: Vec<(u64, u64)>,
}

impl Listed {
    async fn of(store: &Store) -> Result<Listed, StoreError> {
        let mut listed = Listed::default();
        for entry in store.list_beginning("").await? {
            let checkpoint = entry.name.strip_prefix(PREFIX);
            let note = entry.name.strip_prefix(RAISES_PREFIX).and_then(|numbers| numbers.split_once('-'));
            listed.checkpoints.extend(checkpoint.and_then(|number| number.parse::<u64>().ok()));
            listed.notes.extend(note.and_then(|(after, note)| Some((after.parse().ok()?, note.parse().ok()?))));
        }
        Ok(listed)
    }
}

fn note_name(after: u64, note: u64) -> String {
    format!("{RAISES_PREFIX}{after:010}-{note:06}")
}

pub(super) fn name(number: u64) -> String {
    format!("{PREFIX}{number:010}")
}

fn encode(checkpoint: &Checkpoint, increment: Vec<u8>) -> Result<Bytes, serde_json::Error> {
    let json = serde_json::to_vec(checkpoint)?;
    let words = [u32::try_from(json.len()).unwrap_or(u32::MAX), crc32fast::hash(&json), crc32fast::hash(&increment)];
    let mut bytes = Vec::with_capacity(HEADER_BYTES + json.len() + increment.len());
    bytes.extend_from_slice(MAGIC);
    words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes.extend_from_slice(&json);
    bytes.extend_from_slice(&increment);
    Ok(Bytes::from(bytes))
}

/// The checkpoint, and the increment if it is what it was.
fn decode(bytes: &Bytes) -> Result<(Checkpoint, Result<Bytes, String>), String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("is no checkpoint, or one of another version")?;
    let (words, rest) = rest.split_first_chunk::<12>().ok_or("is cut short")?;
    let word = |at: usize| u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
    let (json, increment) = rest.split_at_checked(word(0) as usize).ok_or("is cut short")?;
    if crc32fast::hash(json) != word(4) {
        return Err("is damaged: its checksum does not match".into());
    }
    let checkpoint: Checkpoint = serde_json::from_slice(json).map_err(|error| format!("makes no sense: {error}"))?;
    let is_right = crc32fast::hash(increment) == word(8);
    let increment = is_right.then(|| bytes.slice_ref(increment));
    Ok((checkpoint, increment.ok_or_else(|| "is damaged: the checksum of its increment does not match".into())))
}

#[cfg(test)]
mod tests;
