//! The checkpoint: one object that says how far a job is. It holds where to read on from, the account so far and the
//! detector's snapshot, and is written only after everything that it passes is committed (E2).
//!
//! Checkpoints are numbered and created, never replaced: of two jobs on the same state the slower one finds its number
//! taken and stops. The one before the last is kept, so that a damaged object costs some reading and nothing else.
//!
//! What is decided between two checkpoints and does not follow from the records, the raising of a silent watermark, is
//! written down in a small object of its own, which belongs to the checkpoint before it.
//!
//! ```text
//! state/checkpoint-NNNNNNNNNN
//! "TWCHK002" | length of the JSON, u32 little-endian | JSON | snapshot | CRC-32 of all before, u32 little-endian
//! state/raises-NNNNNNNNNN-KKKKKK     the K-th after checkpoint N: a JSON array of raises
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::interval::{Raise, ResumePoint, State};
use crate::model::Tally;
use crate::store::{Created, Store, StoreError};

const MAGIC: &[u8; 8] = b"TWCHK002";
const PREFIX: &str = "checkpoint-";
const RAISES_PREFIX: &str = "raises-";
const KEPT: u64 = 2;

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
    /// What was read.
    pub source: String,
    /// The detector, where there is one.
    #[serde(skip)]
    pub snapshot: Option<Bytes>,
}

/// The checkpoints of one job.
#[derive(Debug)]
pub struct Checkpoints {
    store: Store,
    last: u64,
    /// Objects with raises since then.
    notes: u64,
    /// What is there: no listing is needed to remove what is old.
    there: Listed,
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
        "no checkpoint in `{folder}` can be read: {reason}; hint: remove the folder to begin again: what is committed \
         stays and is not written twice"
    )]
    Unreadable {
        /// Where they are.
        folder: String,
        /// What is wrong with the newest.
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
    /// Finds the newest checkpoint that can be read, if there is any.
    ///
    /// # Errors
    /// When there are checkpoints and none can be read, or the store fails.
    pub async fn open(store: Store) -> Result<(Checkpoints, Option<Checkpoint>), CheckpointError> {
        let listed = Listed::of(&store).await?;
        let last = listed.checkpoints.last().copied().unwrap_or(0);
        let mut reason = None;
        for number in listed.checkpoints.iter().rev() {
            let bytes = store.get(&name(*number)).await?.unwrap_or_default();
            match decode(&bytes) {
                Ok(mut checkpoint) => {
                    let mut notes = 0;
                    for (after, note) in listed.notes.iter().filter(|(after, _)| after >= number) {
                        let bytes = store.get(&note_name(*after, *note)).await?.unwrap_or_default();
                        let raises: Vec<Raise> = serde_json::from_slice(&bytes).map_err(|error| {
                            let (folder, reason) = (format!("{store:?}"), error.to_string());
                            CheckpointError::Unreadable { folder, reason }
                        })?;
                        checkpoint.resume.raises.extend(raises);
                        notes = if *after == last { note + 1 } else { 0 };
                    }
                    return Ok((Checkpoints { store, last, notes, there: listed }, Some(checkpoint)));
                }
                Err(found) => reason = reason.or(Some(found)),
            }
        }
        match reason {
            Some(reason) => Err(CheckpointError::Unreadable { folder: format!("{store:?}"), reason }),
            None => Ok((Checkpoints { store, last, notes: 0, there: listed }, None)),
        }
    }

    /// Writes the next checkpoint and removes those that are no longer needed.
    ///
    /// # Errors
    /// When another process has written it, or the store fails.
    pub async fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let number = self.last + 1;
        if self.store.create(&name(number), encode(checkpoint)?).await? == Created::Exists {
            return Err(CheckpointError::Overtaken { number });
        }
        (self.last, self.notes) = (number, 0);
        self.there.checkpoints.push(number);
        while let Some(old) = self.there.checkpoints.first().copied().filter(|old| old + KEPT <= number) {
            self.store.delete(&name(old)).await?;
            self.there.checkpoints.remove(0);
        }
        while let Some((after, note)) = self.there.notes.first().copied().filter(|(after, _)| after + KEPT <= number) {
            self.store.delete(&note_name(after, note)).await?;
            self.there.notes.remove(0);
        }
        Ok(())
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

fn name(number: u64) -> String {
    format!("{PREFIX}{number:010}")
}

fn encode(checkpoint: &Checkpoint) -> Result<Bytes, serde_json::Error> {
    let json = serde_json::to_vec(checkpoint)?;
    let snapshot = checkpoint.snapshot.clone().unwrap_or_default();
    let mut bytes = Vec::with_capacity(16 + json.len() + snapshot.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes.extend_from_slice(&snapshot);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    Ok(Bytes::from(bytes))
}

fn decode(bytes: &Bytes) -> Result<Checkpoint, String> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or("it is cut short")?;
    let rest = body.strip_prefix(MAGIC).ok_or("it is no checkpoint, or one of another version")?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err("its checksum is wrong".into());
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("it is cut short")?;
    let length = u32::from_le_bytes(*length) as usize;
    let (json, snapshot) = rest.split_at_checked(length).ok_or("it is cut short")?;
    let mut checkpoint: Checkpoint = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    checkpoint.snapshot = (!snapshot.is_empty()).then(|| Bytes::copy_from_slice(snapshot));
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(intervals: u64) -> Checkpoint {
        Checkpoint { intervals, snapshot: Some(Bytes::from(vec![7; 100])), ..Checkpoint::default() }
    }

    #[tokio::test]
    async fn the_newest_is_found_and_old_ones_go() {
        let store = Store::in_memory();
        let (mut checkpoints, none) = Checkpoints::open(store.clone()).await.unwrap();
        assert_eq!(none, None);
        for intervals in 1..=5 {
            checkpoints.save(&checkpoint(intervals)).await.unwrap();
        }
        assert_eq!(Listed::of(&store).await.unwrap().checkpoints, [4, 5]);
        assert_eq!(Checkpoints::open(store).await.unwrap().1, Some(checkpoint(5)));
    }

    #[tokio::test]
    async fn raises_belong_to_the_checkpoint_before_them() {
        let raise = |to: i64| -> Raise {
            serde_json::from_value(serde_json::json!({"lane": "a", "at": {"a": "start"}, "to_micros": to})).unwrap()
        };
        let store = Store::in_memory();
        let (mut checkpoints, _) = Checkpoints::open(store.clone()).await.unwrap();
        checkpoints.save(&checkpoint(1)).await.unwrap();
        checkpoints.note(&[raise(1)]).await.unwrap();
        checkpoints.note(&[raise(2), raise(3)]).await.unwrap();
        let (mut again, found) = Checkpoints::open(store.clone()).await.unwrap();
        assert_eq!(found.unwrap().resume.raises, [raise(1), raise(2), raise(3)]);
        assert!(matches!(checkpoints.note(&[raise(4)]).await, Ok(())));
        assert!(matches!(again.note(&[raise(4)]).await, Err(CheckpointError::Overtaken { .. })));
        checkpoints.save(&checkpoint(2)).await.unwrap();
        checkpoints.note(&[raise(5)]).await.unwrap();
        assert_eq!(Checkpoints::open(store.clone()).await.unwrap().1.unwrap().resume.raises, [raise(5)]);
        // the newest is damaged: what was noted after the one before it still holds
        store.put(&name(2), Bytes::new()).await.unwrap();
        let found = Checkpoints::open(store.clone()).await.unwrap().1.unwrap();
        assert_eq!(found.resume.raises, [1, 2, 3, 4, 5].map(raise));
        checkpoints.save(&checkpoint(3)).await.unwrap();
        assert_eq!(Listed::of(&store).await.unwrap().notes, [(2, 0)]);
    }

    #[tokio::test]
    async fn a_second_writer_is_noticed() {
        let store = Store::in_memory();
        let (mut one, _) = Checkpoints::open(store.clone()).await.unwrap();
        let (mut two, _) = Checkpoints::open(store).await.unwrap();
        two.save(&checkpoint(1)).await.unwrap();
        assert!(matches!(one.save(&checkpoint(1)).await, Err(CheckpointError::Overtaken { number: 1 })));
    }

    #[tokio::test]
    async fn a_damaged_one_falls_back_to_the_one_before_and_two_are_an_error() {
        let store = Store::in_memory();
        let (mut checkpoints, _) = Checkpoints::open(store.clone()).await.unwrap();
        checkpoints.save(&checkpoint(1)).await.unwrap();
        checkpoints.save(&checkpoint(2)).await.unwrap();
        let mut bytes = store.get(&name(2)).await.unwrap().unwrap().to_vec();
        for index in [0, 9, 20, bytes.len() - 1] {
            bytes[index] ^= 1;
            store.put(&name(2), Bytes::from(bytes.clone())).await.unwrap();
            assert_eq!(Checkpoints::open(store.clone()).await.unwrap().1, Some(checkpoint(1)), "byte {index}");
            bytes[index] ^= 1;
        }
        store.put(&name(1), Bytes::new()).await.unwrap();
        store.put(&name(2), Bytes::from_static(b"TWCHK002")).await.unwrap();
        assert!(matches!(Checkpoints::open(store).await, Err(CheckpointError::Unreadable { .. })));
    }
}
