//! The commit of one closing; the order is told in the module's opening.

use arrow_schema::ArrowError;
use bytes::Bytes;

use super::encode::{EncodeError, encode};
use super::manifest::{Manifest, ManifestError, ObjectEntry};
use super::rejects;
use crate::model::{
    Area, Closing, Columns, Format, Held, Interval, Object, ObjectPath, SourcePartition, SourceRange, Tally,
};
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
    /// The interval had been committed before with other rows, in another order of reading; that commit stands.
    pub adopted: bool,
}

/// A commit that failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Rows cannot be taken apart.
    #[error("rows cannot be taken apart: {0}")]
    Rows(#[from] ArrowError),
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

    /// Writes all that left the line with a closing. May be repeated: what is committed stays as it is, and rows at or
    /// before the place that a committed revision reaches in their source partition are not written again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn commit(&self, closing: &Closing) -> Result<Committed, CommitError> {
        let mut committed = Committed::default();
        if !closing.rejects.is_empty() {
            let object = Object::Rejects { sequence: closing.sequence };
            let path = ObjectPath { area: Area::Rejects, interval: closing.interval, object };
            let bytes = rejects::encode(&closing.rejects).map_err(CommitError::Rejects)?;
            self.store.put(&path.to_string(), Bytes::from(bytes)).await?;
        }
        for (interval, rows) in &closing.late {
            self.late(*interval, closing.sequence, rows, &mut committed).await?;
        }
        if closing.rows.is_empty() {
            return Ok(committed);
        }
        let Closing { interval, sequence, rows, tally, .. } = closing;
        match self.load(&manifest_path(*interval, 0)).await? {
            None => self.revision(*interval, 0, *sequence, rows, Some(*tally), &mut committed).await?,
            Some(there) if there.sources == rows.sources() => {}
            Some(_) => {
                committed.adopted = true;
                self.late(*interval, *sequence, rows, &mut committed).await?;
            }
        }
        Ok(committed)
    }

    /// Adds a revision with those of the rows that no revision has.
    async fn late(
        &self,
        interval: Interval,
        sequence: u64,
        rows: &Held,
        committed: &mut Committed,
    ) -> Result<(), CommitError> {
        let manifests = self.manifests(interval).await?;
        let again = manifests.iter().find(|there| there.revision > 0 && there.sequence == sequence);
        let next = manifests.iter().map(|there| there.revision + 1).max().unwrap_or(1);
        let others = manifests.iter().filter(|there| again.is_none_or(|again| again.revision != there.revision));
        let sources: Vec<&SourceRange> = others.flat_map(|there| &there.sources).collect();
        let is_new = |partition: &SourcePartition, position| {
            !sources.iter().any(|range| range.partition == *partition && position <= range.last)
        };
        let new = rows.retained(is_new)?;
        if new.is_empty() {
            return Ok(());
        }
        committed.late_revisions += 1;
        let revision = again.map_or(next, |again| again.revision);
        self.revision(interval, revision, sequence, &new, None, committed).await
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
            self.part(&path, part.bytes).await?;
            objects.push(entry);
        }
        let manifest = Manifest::new(interval, revision, sequence, rows, tally, objects);
        self.manifest(&manifest).await
    }

    /// Writes a part. One that is there without a manifest was left by a job that was stopped before its commit.
    async fn part(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), CommitError> {
        let name = path.to_string();
        if self.store.create(&name, bytes.clone()).await? == Created::Exists
            && self.store.get(&name).await?.as_ref() != Some(&bytes)
        {
            self.store.put(&name, bytes).await?;
        }
        Ok(())
    }

    async fn manifest(&self, manifest: &Manifest) -> Result<(), CommitError> {
        let name = manifest_path(manifest.interval, manifest.revision);
        let bytes = manifest.to_json().map_err(|source| CommitError::Manifest { name: name.clone(), source })?;
        self.store.create(&name, Bytes::from(bytes)).await?;
        Ok(())
    }

    /// The manifests of an interval, in the order of revisions.
    async fn manifests(&self, interval: Interval) -> Result<Vec<Manifest>, CommitError> {
        let mut manifests = Vec::new();
        for entry in self.store.list(&ObjectPath::folder(Area::Data, interval)).await? {
            let path = ObjectPath::parse(&entry.name, interval.length());
            if matches!(path.map(|path| path.object), Some(Object::Manifest { .. })) {
                manifests.extend(self.load(&entry.name).await?);
            }
        }
        Ok(manifests)
    }

    async fn load(&self, name: &str) -> Result<Option<Manifest>, CommitError> {
        let bytes = self.store.get(name).await?;
        let parse = |bytes: Bytes| Manifest::from_json(&bytes);
        bytes.map(parse).transpose().map_err(|source| CommitError::Manifest { name: name.to_owned(), source })
    }
}

fn manifest_path(interval: Interval, revision: u32) -> String {
    ObjectPath { area: Area::Data, interval, object: Object::Manifest { revision } }.to_string()
}
