//! The commit of one closing; the order is told in the module's opening.

use bytes::Bytes;

use super::encode::{EncodeError, encode};
use super::manifest::{Manifest, ManifestError, ObjectEntry};
use super::rejects;
use crate::model::{Area, Closing, Columns, Format, Held, Interval, Object, ObjectPath, Tally};
use crate::store::{Created, Store, StoreError};

/// Commits closings to a store.
#[derive(Clone, Debug)]
pub struct Writer {
    store: Store,
    columns: Columns,
    format: Format,
    object_bytes_max: usize,
}

/// What a commit wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Part objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Revisions of earlier intervals.
    pub late_revisions: u64,
}

/// A commit that failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The interval was committed before, with other rows.
    #[error(
        "`{name}` is committed with other rows ({there} there, {here} here); hint: another job writes to the same \
         place, or its checkpoint was removed: choose another `partition.url` or remove what is there"
    )]
    Conflict {
        /// The manifest.
        name: String,
        /// Rows in it.
        there: u64,
        /// Rows of this commit.
        here: u64,
    },
    /// A manifest that cannot be read.
    #[error("`{name}`: {source}")]
    Manifest {
        /// Its name.
        name: String,
        /// Why.
        source: ManifestError,
    },
    /// Rows cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Rejects cannot be encoded.
    #[error("rejects cannot be encoded: {0}")]
    Rejects(serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// A writer of partitions with these columns.
    pub fn new(store: Store, columns: Columns, format: Format, object_bytes_max: usize) -> Writer {
        Writer { store, columns, format, object_bytes_max }
    }

    /// Writes all that left the line with a closing. May be repeated: what is there already stays as it is.
    ///
    /// # Errors
    /// When the store fails, or the interval is committed with other rows.
    pub async fn commit(&self, closing: &Closing) -> Result<Committed, CommitError> {
        let mut committed = Committed::default();
        if !closing.rejects.is_empty() {
            let object = Object::Rejects { sequence: closing.sequence };
            let path = ObjectPath { area: Area::Rejects, interval: closing.interval, object };
            let bytes = rejects::encode(&closing.rejects).map_err(CommitError::Rejects)?;
            self.store.put(&path.to_string(), Bytes::from(bytes)).await?;
        }
        for (interval, rows) in &closing.late {
            let revision = self.late_revision(*interval, closing.sequence).await?;
            self.revision(*interval, revision, closing.sequence, rows, None, &mut committed).await?;
            committed.late_revisions += 1;
        }
        if !closing.rows.is_empty() {
            let Closing { interval, sequence, rows, tally, .. } = closing;
            self.revision(*interval, 0, *sequence, rows, Some(*tally), &mut committed).await?;
        }
        Ok(committed)
    }

    async fn revision(
        &self,
        interval: Interval,
        revision: u32,
        sequence: u64,
        rows: &Held,
        tally: Option<Tally>,
        committed: &mut Committed,
    ) -> Result<(), CommitError> {
        let mut objects = Vec::new();
        for (number, part) in (0..).zip(encode(rows.rows(), &self.columns, self.format, self.object_bytes_max)?) {
            let object = Object::Part { revision, number, format: self.format };
            let path = ObjectPath { area: Area::Data, interval, object };
            let entry = ObjectEntry::new(path.file_name(), part.rows, &part.bytes);
            committed.objects += 1;
            committed.bytes += entry.bytes;
            self.part(&path, part.bytes, &entry).await?;
            objects.push(entry);
        }
        let manifest = Manifest::new(interval, revision, sequence, rows, tally, objects);
        self.manifest(&manifest).await
    }

    /// Writes a part, but leaves one alone that a manifest may stand for already.
    async fn part(&self, path: &ObjectPath, bytes: Bytes, entry: &ObjectEntry) -> Result<(), CommitError> {
        let name = path.to_string();
        if self.store.create(&name, bytes.clone()).await? == Created::New {
            return Ok(());
        }
        let there = self.store.get(&name).await?;
        if there.is_some_and(|there| entry.describes(&there)) {
            return Ok(());
        }
        let Object::Part { revision, .. } = path.object else { return Ok(()) };
        let manifest = ObjectPath { object: Object::Manifest { revision }, ..*path };
        match self.load(&manifest.to_string()).await? {
            Some(there) => Err(conflict(&manifest, there.rows, entry.rows)),
            // left by a job that was stopped before its commit: nobody may have read it
            None => Ok(self.store.put(&name, bytes).await?),
        }
    }

    async fn manifest(&self, manifest: &Manifest) -> Result<(), CommitError> {
        let object = Object::Manifest { revision: manifest.revision };
        let path = ObjectPath { area: Area::Data, interval: manifest.interval, object };
        let name = path.to_string();
        let bytes = manifest.to_json().map_err(|source| CommitError::Manifest { name: name.clone(), source })?;
        if self.store.create(&name, Bytes::from(bytes)).await? == Created::New {
            return Ok(());
        }
        match self.load(&name).await? {
            Some(there) if there == *manifest => Ok(()),
            there => Err(conflict(&path, there.map_or(0, |there| there.rows), manifest.rows)),
        }
    }

    /// The revision that carries the late rows of this closing: the one that does already, or the next one.
    async fn late_revision(&self, interval: Interval, sequence: u64) -> Result<u32, CommitError> {
        let mut next = 1;
        for entry in self.store.list(&ObjectPath::folder(Area::Data, interval)).await? {
            let path = ObjectPath::parse(&entry.name, interval.length());
            let Some(Object::Manifest { revision }) = path.map(|path| path.object) else { continue };
            let there = self.load(&entry.name).await?;
            if revision > 0 && there.is_some_and(|there| there.sequence == sequence) {
                return Ok(revision);
            }
            next = next.max(revision + 1);
        }
        Ok(next)
    }

    async fn load(&self, name: &str) -> Result<Option<Manifest>, CommitError> {
        let bytes = self.store.get(name).await?;
        let parse = |bytes: Bytes| Manifest::from_json(&bytes);
        bytes.map(parse).transpose().map_err(|source| CommitError::Manifest { name: name.to_owned(), source })
    }
}

fn conflict(path: &ObjectPath, there: u64, here: u64) -> CommitError {
    CommitError::Conflict { name: path.to_string(), there, here }
}
