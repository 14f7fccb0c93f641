//! Where objects lie: a local directory, or a bucket behind the same words. A [`Store`] is a root and a few verbs: put,
//! create (refused where the object exists), replace (refused where it changed), get, list, delete. Names are
//! `/`-separated, relative to the root and taken as they are. Objects appear whole or not at all; what a killed process
//! left half-way on a disk is swept up by [`Store::sweep`].
//!
//! A request that fails for a reason that passes is made again, for as long as the store's [`Patience`] lasts. So an
//! answer may be lost although the request was served: a create that finds the very bytes that it was to write counts
//! as done, and so does a replace.
//!
//! `place` reads urls, `local` is the directory, `s3`, `credentials` and `large` are the bucket, `fault` understands
//! failures, `patience` tries again. A [`Watch`] sees every write before and after it: tests count with it and stop a
//! job at named points.

mod credentials;
mod error;
mod fault;
mod large;
mod local;
mod patience;
mod place;
mod s3;
mod settings;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutResult, UpdateVersion};

use credentials::Credentials;
use fault::{Fault, Kind, Verb};
use large::{Large, Over};
use patience::Trial;

pub use error::StoreError;
pub use local::Sweep;
pub use patience::Patience;
pub use place::Place;
pub use settings::{Addressing, Encryption, PART_BYTES, PART_BYTES_MAX, PART_BYTES_MIN, Settings};

/// A place for objects.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// What all names begin with in a bucket.
    prefix: Path,
    /// The root, for messages.
    url: Arc<str>,
    /// The directory on disk, where it is one.
    directory: Option<PathBuf>,
    /// Uploads large objects in parts, where that is done.
    large: Option<Large>,
    /// The credentials that may have to be renewed.
    credentials: Option<Arc<Credentials>>,
    patience: Patience,
    watch: Option<Arc<dyn Watch>>,
}

/// What [`Store::create`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object was not there and is now.
    New,
    /// An object of that name is there already; nothing was written.
    Exists,
}

/// Which of the objects that had a name one after the other an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(UpdateVersion);

/// What [`Store::replace`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The object was the one that was to be replaced; this is the new one.
    Done(Version),
    /// The object is another one by now, or gone; nothing was written.
    Changed,
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name relative to the root.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// Sees every write. An error stops the write, or what follows it.
pub trait Watch: Send + Sync {
    /// Before an object is written.
    ///
    /// # Errors
    /// To refuse the write.
    fn before_write(&self, name: &str) -> Result<(), StoreError>;
    /// After an object was written.
    ///
    /// # Errors
    /// To report the write as failed although it was done.
    fn after_write(&self, name: &str) -> Result<(), StoreError>;
}

impl Store {
    /// Opens a directory (made where it is missing) given as a path or a `file://` url, or a bucket given as
    /// `s3://bucket/prefix`, of which nothing is asked yet. It has the patience of a command.
    ///
    /// # Errors
    /// When the url is of another kind, the directory cannot be used, or the settings of the bucket cannot.
    pub async fn open(url: &str, settings: &Settings) -> Result<Store, StoreError> {
        match Place::parse(url)? {
            Place::Directory(directory) => {
                let (objects, directory) = local::open(&directory)?;
                let url = Arc::from(directory.display().to_string());
                Ok(Store { url, directory: Some(directory), ..Store::over(objects) })
            }
            Place::Bucket { bucket, prefix } => {
                let s3::Bucket { objects, creating, credentials } = s3::open(url, &bucket, settings).await?;
                let (objects, creating) = (Arc::new(objects), Arc::new(creating));
                let part_bytes = usize::try_from(settings.part_bytes).unwrap_or(usize::MAX);
                Ok(Store {
                    prefix: Path::parse(&prefix).map_err(|_| StoreError::Url { url: url.to_owned() })?,
                    url: Arc::from(url.trim_end_matches('/')),
                    large: Some(Large { objects: Arc::clone(&objects), creating, above: part_bytes, part_bytes }),
                    credentials: Some(credentials),
                    ..Store::over(objects)
                })
            }
        }
    }

    /// A store in memory, for tests.
    pub fn in_memory() -> Store {
        Store::over(Arc::new(InMemory::new()))
    }

    /// A store over another one, such as one that fails on demand, for tests.
    pub fn over(objects: Arc<dyn ObjectStore>) -> Store {
        let url = Arc::from(objects.to_string());
        let patience = Patience::short();
        let (prefix, directory, large, credentials, watch) = (Path::default(), None, None, None, None);
        Store { objects, prefix, url, directory, large, credentials, patience, watch }
    }

    /// The same store with another patience.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Store {
        Store { patience, ..self }
    }

    /// The same store with every write seen by `watch`.
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>) -> Store {
        Store { watch: Some(watch), ..self }
    }

    /// The same store where every object is uploaded in parts, if it does so at all: to find out what it makes of that.
    #[must_use]
    pub fn in_parts(self) -> Store {
        let large = self.large.map(|large| Large { above: 0, ..large });
        Store { large, ..self }
    }

    /// The same store with no write seen by anyone.
    #[must_use]
    pub fn unwatched(self) -> Store {
        Store { watch: None, ..self }
    }

    /// The directory on disk, where it is one.
    pub fn directory(&self) -> Option<&FilePath> {
        self.directory.as_deref()
    }

    /// The root, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes an object, in place of an older one of that name.
    ///
    /// # Errors
    /// When the store refuses, or patience is at its end.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.write(Verb::Write, name, bytes, PutMode::Overwrite).await.map(|_| ())
    }

    /// Writes an object if there is none of that name, atomically: of two writers one wins.
    ///
    /// # Errors
    /// When the store refuses for another reason, or patience is at its end.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let written = self.write(Verb::Create, name, bytes, PutMode::Create).await?;
        Ok(if written.is_some() { Created::New } else { Created::Exists })
    }

    /// Writes an object in place of the one of this version, atomically: of two writers one wins. A directory cannot
    /// do this.
    ///
    /// # Errors
    /// When the store refuses for another reason or cannot do this, or patience is at its end.
    pub async fn replace(&self, name: &str, bytes: Bytes, version: &Version) -> Result<Replaced, StoreError> {
        let written = self.write(Verb::Replace, name, bytes, PutMode::Update(version.0.clone())).await?;
        Ok(written.map_or(Replaced::Changed, Replaced::Done))
    }

    /// Reads an object, if it is there.
    ///
    /// # Errors
    /// When the store refuses for another reason than that it is not there, or patience is at its end.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_versioned(name).await?.map(|(bytes, _)| bytes))
    }

    /// Reads an object at once, in this thread, which waits for the disk. None where the store is no directory, or the
    /// object cannot be read like that: [`Store::get`] knows why.
    pub fn get_now(&self, name: &str) -> Option<Bytes> {
        std::fs::read(self.path_of(name)?).ok().map(Bytes::from)
    }

    /// Whether it is known at once, in this thread, that an object is not there: never where the store is no directory.
    pub fn lacks_now(&self, name: &str) -> bool {
        let missing = |path: &FilePath| std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == ErrorKind::NotFound);
        self.path_of(name).is_some_and(|path| missing(&path))
    }

    /// The file of an object; none where the store is no directory, or the name is no plain one.
    fn path_of(&self, name: &str) -> Option<PathBuf> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/=-_.".contains(&byte);
        let is_within = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        let directory = self.directory().filter(|_| is_within && name.bytes().all(is_plain))?;
        Some(directory.join(name))
    }

    /// Reads an object and which it is, if it is there.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_versioned(&self, name: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let read = |objects: Arc<dyn ObjectStore>, path: Path| async move {
            let found = objects.get(&path).await?;
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?, Version(version)))
        };
        self.tried(Verb::Read, name, read).await
    }

    /// Lists the objects under a folder, at any depth, ordered by name.
    ///
    /// # Errors
    /// When the store refuses, or patience is at its end.
    pub async fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let list = |objects: Arc<dyn ObjectStore>, path: Path| async move {
            objects.list(Some(&path)).try_collect::<Vec<_>>().await
        };
        let listed = self.tried(Verb::List, folder, list).await?.unwrap_or_default();
        Ok(self.entries(&listed, ""))
    }

    /// Lists the objects in the root itself whose names begin so, ordered by name.
    ///
    /// # Errors
    /// When the store refuses, or patience is at its end.
    pub async fn list_beginning(&self, beginning: &str) -> Result<Vec<Entry>, StoreError> {
        let list =
            |objects: Arc<dyn ObjectStore>, path: Path| async move { objects.list_with_delimiter(Some(&path)).await };
        let listed = self.tried(Verb::List, "", list).await?.map(|listed| listed.objects).unwrap_or_default();
        Ok(self.entries(&listed, beginning))
    }

    /// Lists the folders directly under a folder, ordered by name. The cost is that of the folders, not of what is in
    /// them.
    ///
    /// # Errors
    /// When the store refuses, or patience is at its end.
    pub async fn list_folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let list =
            |objects: Arc<dyn ObjectStore>, path: Path| async move { objects.list_with_delimiter(Some(&path)).await };
        let listed = self.tried(Verb::List, folder, list).await?;
        let listed = listed.map(|listed| listed.common_prefixes).unwrap_or_default();
        let mut folders: Vec<String> = listed.iter().filter_map(|path| self.name(path)).collect();
        folders.sort_unstable();
        Ok(folders)
    }

    /// Deletes an object; one that is not there is fine.
    ///
    /// # Errors
    /// When the store refuses, or patience is at its end.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let delete = |objects: Arc<dyn ObjectStore>, path: Path| async move { objects.delete(&path).await };
        self.tried(Verb::Delete, name, delete).await.map(|_| ())
    }

    /// Removes what a killed process left half-written on a local disk: staged files, named as the object with `#` and
    /// a number behind. Only the one writer of what is swept may call it. In a bucket nothing is ever half-written.
    ///
    /// # Errors
    /// When a directory cannot be read or a file not removed.
    pub fn sweep(&self, what: Sweep<'_>) -> Result<u64, StoreError> {
        self.directory.as_deref().map_or(Ok(0), |root| local::sweep(root, what))
    }

    /// Tries a request until it is served; none where the object is not there.
    async fn tried<T, F>(
        &self,
        verb: Verb,
        name: &str,
        request: impl Fn(Arc<dyn ObjectStore>, Path) -> F,
    ) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let url = self.url_of(name);
        let path = self.path(verb, name)?;
        let mut trial = Trial::new(self.patience, verb, &url);
        loop {
            match request(Arc::clone(&self.objects), path.clone()).await {
                Ok(answer) => {
                    trial.done();
                    return Ok(Some(answer));
                }
                Err(error) => {
                    let fault = Fault::of(&error);
                    if fault.kind == Kind::Missing {
                        trial.done();
                        return Ok(None);
                    }
                    self.renew(&fault).await;
                    trial.failed(fault, error).await?;
                }
            }
        }
    }

    /// Writes an object; none where another one is in the way, or the one to replace is no longer there.
    async fn write(&self, verb: Verb, name: &str, bytes: Bytes, mode: PutMode) -> Result<Option<Version>, StoreError> {
        if let Some(watch) = &self.watch {
            watch.before_write(name)?;
        }
        let url = self.url_of(name);
        let path = self.path(verb, name)?;
        let mut trial = Trial::new(self.patience, verb, &url);
        let written = loop {
            match self.attempt(&path, &bytes, &mode).await {
                Ok(PutResult { e_tag, version, .. }) => {
                    trial.done();
                    break Some(Version(UpdateVersion { e_tag, version }));
                }
                Err(error) => {
                    let fault = Fault::of(&error);
                    if matches!(fault.kind, Kind::Exists | Kind::Changed) && mode != PutMode::Overwrite {
                        trial.done();
                        // an answer was lost: the object in the way may be our own
                        let ours = if trial.is_ambiguous { self.get_versioned(name).await? } else { None };
                        break ours.filter(|(there, _)| *there == bytes).map(|(_, version)| version);
                    }
                    self.renew(&fault).await;
                    trial.failed(fault, error).await?;
                }
            }
        };
        if let Some(watch) = &self.watch {
            watch.after_write(name)?;
        }
        Ok(written)
    }

    async fn attempt(&self, path: &Path, bytes: &Bytes, mode: &PutMode) -> object_store::Result<PutResult> {
        let over = match mode {
            PutMode::Overwrite => Some(Over::Replace),
            PutMode::Create => Some(Over::Keep),
            // nothing that is replaced by its version is large
            PutMode::Update(_) => None,
        };
        match (&self.large, over) {
            (Some(large), Some(over)) if bytes.len() > large.above => {
                large.upload(path, bytes, over, self.patience).await
            }
            _ => {
                let options = PutOptions { mode: mode.clone(), ..PutOptions::default() };
                self.objects.put_opts(path, bytes.clone().into(), options).await
            }
        }
    }

    /// Lets go of credentials of which the server says that they have expired.
    async fn renew(&self, fault: &Fault) {
        if let Some(credentials) = self.credentials.as_ref().filter(|_| fault.kind == Kind::Expired) {
            credentials.forget().await;
        }
    }

    fn entries(&self, listed: &[ObjectMeta], beginning: &str) -> Vec<Entry> {
        let entry = |meta: &ObjectMeta| Some(Entry { name: self.name(&meta.location)?, size: meta.size });
        let mut entries: Vec<Entry> =
            listed.iter().filter_map(entry).filter(|entry| entry.name.starts_with(beginning)).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Names are taken as they are: nothing in them is encoded or decoded.
    fn path(&self, verb: Verb, name: &str) -> Result<Path, StoreError> {
        let parts = self.prefix.as_ref().split('/').chain(name.split('/')).filter(|part| !part.is_empty());
        let failed = |error: object_store::path::Error| StoreError::Operation {
            verb: verb.name(),
            name: name.to_owned(),
            source: error.into(),
        };
        Path::parse(parts.collect::<Vec<_>>().join("/")).map_err(failed)
    }

    /// The name of a path below our root.
    fn name(&self, path: &Path) -> Option<String> {
        let rest = path.as_ref().strip_prefix(self.prefix.as_ref())?;
        Some(rest.trim_start_matches('/').to_owned())
    }

    /// What an object is called in messages.
    fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

#[cfg(test)]
mod tests;
