//! The objects of an outbox: a line that tells when they came, and a notice a line.

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::OUTBOX;
use crate::model::{Interval, Notice, Timestamp};
use crate::store::{Created, Store, StoreError};

/// An object has no more bytes, unless one notice has: who reads one holds it in memory.
const OBJECT_BYTES_MAX: usize = 8_000_000;
/// Characters of the time in a name.
const TIME_CHARACTERS: usize = 15;
/// So many bytes of the hash of the ids tell objects of one interval apart.
const HASH_BYTES: usize = 8;

/// An object that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be written as JSON; a fault of ours.
    #[error("a notice cannot be encoded: {0}")]
    Encode(#[source] serde_json::Error),
    /// It is not what was written.
    #[error("`{name}` cannot be read: {source}; hint: a newer version of the program may have written it")]
    Decode {
        /// Which object.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// The objects of one route.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    store: Store,
    folder: String,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) notices: u64,
}

/// What an object holds.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) arrival: Timestamp,
    /// Each with its size.
    pub(super) notices: Vec<(Notice, usize)>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    arrival_micros: i64,
}

impl Entry {
    /// Whether it is of the interval that another one is of.
    pub(super) fn is_with(&self, other: &Entry) -> bool {
        let time = |entry: &Entry| {
            let file = entry.name.rsplit('/').next().unwrap_or_default();
            file.get(..TIME_CHARACTERS).map(str::to_owned)
        };
        time(self) == time(other)
    }
}

impl Objects {
    pub(super) fn new(state: Store, route: &str) -> Objects {
        Objects { store: state, folder: format!("{OUTBOX}/{route}") }
    }

    /// What is there, the oldest interval first.
    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let listed = self.store.list(&self.folder).await?;
        Ok(listed.into_iter().filter_map(|entry| parse(entry.name, entry.size)).collect())
    }

    /// Writes notices of one interval, as several objects where they are many; gives those that were not there already.
    pub(super) async fn create(
        &self,
        interval: Interval,
        notices: &[&Notice],
        now: Timestamp,
    ) -> Result<Vec<Entry>, OutboxError> {
        let (time, hash) = (interval.start().format("%Y%m%d-%H%M%S"), hash(notices.iter().map(|notice| &*notice.id)));
        let mut created = Vec::new();
        let (mut rest, mut part) = (notices, 0);
        while !rest.is_empty() {
            let mut bytes = serde_json::to_vec(&Head { arrival_micros: now.micros() }).map_err(OutboxError::Encode)?;
            bytes.push(b'\n');
            let mut count = 0;
            for notice in rest {
                let before = bytes.len();
                serde_json::to_writer(&mut bytes, notice).map_err(OutboxError::Encode)?;
                bytes.push(b'\n');
                if count > 0 && bytes.len() > OBJECT_BYTES_MAX {
                    bytes.truncate(before);
                    break;
                }
                count += 1;
            }
            let is_all = count == notices.len();
            rest = &rest[count..];
            part += 1;
            let part = if is_all { String::new() } else { format!("-{part:04}") };
            let name = format!("{}/{time}-{hash}{part}-{count:06}.jsonl", self.folder);
            let entry = Entry { name, bytes: bytes.len() as u64, notices: count as u64 };
            if self.store.create(&entry.name, Bytes::from(bytes)).await? == Created::New {
                created.push(entry);
            }
        }
        Ok(created)
    }

    /// Reads an object; none where it is gone.
    pub(super) async fn read(&self, entry: &Entry) -> Result<Option<Content>, OutboxError> {
        let Some(bytes) = self.store.get(&entry.name).await? else { return Ok(None) };
        let decode = |source| OutboxError::Decode { name: entry.name.clone(), source };
        let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let head: Head = serde_json::from_slice(lines.next().unwrap_or_default()).map_err(decode)?;
        let arrival = Timestamp::from_micros(head.arrival_micros).unwrap_or(Timestamp::MIN);
        let notice = |line: &[u8]| Ok((serde_json::from_slice(line).map_err(decode)?, line.len()));
        Ok(Some(Content { arrival, notices: lines.map(notice).collect::<Result<_, OutboxError>>()? }))
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.store.delete(name).await
    }
}

/// Routes that have something in the outbox and are not among those that there are now.
///
/// # Errors
/// When the store fails.
pub async fn waiting_elsewhere(state: &Store, routes: &[&str]) -> Result<Vec<String>, StoreError> {
    let folders = state.list_folders(OUTBOX).await?;
    let mut names: Vec<String> =
        folders.iter().filter_map(|folder| folder.rsplit('/').next()).map(Into::into).collect();
    names.retain(|name| !routes.contains(&name.as_str()));
    let mut waiting = Vec::new();
    for name in names {
        // a directory stays when its last file goes
        if !state.list(&format!("{OUTBOX}/{name}")).await?.is_empty() {
            waiting.push(name);
        }
    }
    Ok(waiting)
}

/// A short hash of some texts, one after the other.
pub(in crate::alert) fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let joined = texts.collect::<Vec<_>>().join("\n");
    let hash = digest(&SHA256, joined.as_bytes());
    hash.as_ref().iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

fn parse(name: String, bytes: u64) -> Option<Entry> {
    let count = name.strip_suffix(".jsonl")?.rsplit('-').next()?.parse().ok()?;
    Some(Entry { name, bytes, notices: count })
}
