//! The commit of one closing; the order is told in the module's opening.

use arrow_schema::ArrowError;
use bytes::Bytes;

use super::encode::{EncodeError, Part, encode};
use super::manifest::{Head, Manifest, ManifestError};
use super::rejects;
use crate::model::{Area, Closing, Columns, Format, Held, Interval, Object, ObjectPath, SourcePartition, SourceRange};
use crate::store::{Created, Store, StoreError};

/// Commits closings to a store.
#[derive(Clone, Debug)]
pub struct Writer {
    store: Store,
    columns: Columns,
    format: Format,
    object_bytes_max: usize,
}

/// The rows of a closing, as they will be written.
#[derive(Debug)]
pub struct Encoded(Vec<Part>);

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
    /// The interval had been committed before with the same rows; beside them, what is there may have other columns.
    pub repeated: bool,
}

/// A commit that failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another process committed the same revision.
    #[error("another process wrote `{name}`; hint: run one job per `partition.url`")]
    Overtaken {
        /// The manifest.
        name: String,
    },
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

    /// Encodes the rows of a closing that came in time.
    ///
    /// # Errors
    /// When they cannot be encoded.
    pub fn encode(&self, closing: &Closing) -> Result<Encoded, CommitError> {
        self.encoded(&closing.rows)
    }

    fn encoded(&self, rows: &Held) -> Result<Encoded, CommitError> {
        Ok(Encoded(encode(rows.rows(), &self.columns, self.format, self.object_bytes_max)?))
    }

    /// Writes all that left the line with a closing: [`Writer::encode`] and [`Writer::commit_encoded`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn commit(&self, closing: &Closing) -> Result<Committed, CommitError> {
        self.commit_encoded(closing, self.encode(closing)?).await
    }

    /// Writes all that left the line with a closing. May be repeated: what is committed stays as it is, and rows at or
    /// before the place that a committed revision reaches in their source partition are not written again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn commit_encoded(&self, closing: &Closing, encoded: Encoded) -> Result<Committed, CommitError> {
        let mut committed = Committed::default();
        if !closing.rejects.is_empty() {
            let bytes = rejects::encode(&closing.rejects).map_err(CommitError::Rejects)?;
            self.rejects(closing, Bytes::from(bytes)).await?;
        }
        for (interval, rows) in &closing.late {
            self.late(*interval, closing.sequence, rows, &mut committed).await?;
        }
        if closing.rows.is_empty() {
            return Ok(committed);
        }
        let Closing { interval, sequence, complete, rows, tally, .. } = closing;
        match self.load(&manifest_path(*interval, 0)).await? {
            None => {
                let (interval, sequence, complete, tally) = (*interval, *sequence, *complete, Some(*tally));
                let head = Head { interval, revision: 0, sequence, complete, tally };
                self.revision(head, rows, encoded, &mut committed).await?;
            }
            // a job that was killed after its commit may have left parts that it does not name
            Some(there) if there.sources == rows.sources() => {
                committed.repeated = true;
                self.tidy(&there).await?;
            }
            Some(_) => {
                committed.adopted = true;
                self.late(*interval, *sequence, rows, &mut committed).await?;
            }
        }
        Ok(committed)
    }

    /// Writes the reject object. A job that began anew counts its closings from 1 again: what another one wrote under
    /// the same number stays, and this one has a number behind.
    async fn rejects(&self, closing: &Closing, bytes: Bytes) -> Result<(), CommitError> {
        for copy in 0.. {
            let object = Object::Rejects { sequence: closing.sequence, copy };
            let name = ObjectPath { area: Area::Rejects, interval: closing.interval, object }.to_string();
            if self.store.create(&name, bytes.clone()).await? == Created::New
                || self.store.get(&name).await?.as_ref() == Some(&bytes)
            {
                break;
            }
        }
        Ok(())
    }

    /// Adds a revision with those of the rows that no revision has.
    async fn late(
        &self,
        interval: Interval,
        sequence: u64,
        rows: &Held,
        committed: &mut Committed,
    ) -> Result<(), CommitError> {
        let (manifests, parts) = self.there(interval).await?;
        self.tidy_all(&manifests, &parts).await?;
        let revision = manifests.iter().map(|there| there.revision + 1).max().unwrap_or(1);
        let sources: Vec<&SourceRange> = manifests.iter().flat_map(|there| &there.sources).collect();
        let is_new = |partition: &SourcePartition, position| {
            !sources.iter().any(|range| range.partition == *partition && position <= range.last)
        };
        let new = rows.retained(is_new)?;
        if new.is_empty() {
            return Ok(());
        }
        committed.late_revisions += 1;
        let head = Head { interval, revision, sequence, complete: true, tally: None };
        self.revision(head, &new, self.encoded(&new)?, committed).await
    }

    async fn revision(
        &self,
        head: Head,
        rows: &Held,
        encoded: Encoded,
        committed: &mut Committed,
    ) -> Result<(), CommitError> {
        let Head { interval, revision, .. } = head;
        let mut objects = Vec::new();
        let mut is_alone = true;
        for (number, part) in (0..).zip(encoded.0) {
            let (path, found) = self.part((interval, revision, number), &part.bytes).await?;
            let entry = part.described(path.file_name());
            is_alone &= found == Created::New;
            committed.objects += 1;
            committed.bytes += entry.bytes;
            objects.push(entry);
        }
        let manifest = Manifest::new(head, rows, objects);
        match self.manifest(&manifest).await? {
            // parts are there that we did not write: not all of them may be named
            Created::New if !is_alone => self.tidy(&manifest).await,
            Created::New => Ok(()),
            // it was not there when this commit began: the other one stands, and our parts are not named
            Created::Exists => {
                let name = manifest_path(interval, revision);
                if let Some(there) = self.load(&name).await? {
                    self.tidy(&there).await?;
                }
                Err(CommitError::Overtaken { name })
            }
        }
    }

    /// Writes a part under the first free name. One that is there already, and is the same, was left by a job that was
    /// stopped before its commit; one that is not the same may be named by the commit of another job, and stays.
    async fn part(
        &self,
        (interval, revision, number): (Interval, u32, u32),
        bytes: &Bytes,
    ) -> Result<(ObjectPath, Created), CommitError> {
        let mut found = Created::New;
        let mut copy = 0;
        loop {
            let object = Object::Part { revision, number, copy, format: self.format };
            let path = ObjectPath { area: Area::Data, interval, object };
            let name = path.to_string();
            if self.store.create(&name, bytes.clone()).await? == Created::New {
                return Ok((path, found));
            }
            found = Created::Exists;
            if self.store.get(&name).await?.as_ref() == Some(bytes) {
                return Ok((path, found));
            }
            copy += 1;
        }
    }

    async fn manifest(&self, manifest: &Manifest) -> Result<Created, CommitError> {
        let name = manifest_path(manifest.interval, manifest.revision);
        let bytes = manifest.to_json().map_err(|source| CommitError::Manifest { name: name.clone(), source })?;
        Ok(self.store.create(&name, Bytes::from(bytes)).await?)
    }

    /// Deletes the parts of a committed revision that its manifest does not name: whoever reads all objects of a folder
    /// would see rows twice. Nobody else can need them, for the manifest is never replaced.
    async fn tidy(&self, manifest: &Manifest) -> Result<(), CommitError> {
        let (_, parts) = self.there(manifest.interval).await?;
        self.tidy_all(std::slice::from_ref(manifest), &parts).await
    }

    async fn tidy_all(&self, manifests: &[Manifest], parts: &[(u32, ObjectPath)]) -> Result<(), CommitError> {
        for manifest in manifests {
            let is_named = |path: &ObjectPath| manifest.objects.iter().any(|object| object.name == path.file_name());
            for (_, path) in parts.iter().filter(|(revision, path)| *revision == manifest.revision && !is_named(path)) {
                self.store.delete(&path.to_string()).await?;
            }
        }
        Ok(())
    }

    /// The manifests of an interval, in the order of revisions, and its parts with their revisions.
    async fn there(&self, interval: Interval) -> Result<(Vec<Manifest>, Vec<(u32, ObjectPath)>), CommitError> {
        let (mut manifests, mut parts) = (Vec::new(), Vec::new());
        for entry in self.store.list(&ObjectPath::folder(Area::Data, interval)).await? {
            let Some(path) = ObjectPath::parse(&entry.name, interval.length()) else { continue };
            match path.object {
                Object::Manifest { .. } => manifests.extend(self.load(&entry.name).await?),
                Object::Part { revision, .. } => parts.push((revision, path)),
                _ => {}
            }
        }
        Ok((manifests, parts))
    }

    async fn load(&self, name: &str) -> Result<Option<Manifest>, CommitError> {
        if self.store.lacks_now(name) {
            return Ok(None);
        }
        let bytes = self.store.get(name).await?;
        let parse = |bytes: Bytes| Manifest::from_json(&bytes);
        bytes.map(parse).transpose().map_err(|source| CommitError::Manifest { name: name.to_owned(), source })
    }
}

fn manifest_path(interval: Interval, revision: u32) -> String {
    ObjectPath { area: Area::Data, interval, object: Object::Manifest { revision } }.to_string()
}
