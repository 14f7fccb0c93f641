//! Where objects lie: a local directory today, a bucket behind the same words later. A [`Store`] is a root and four
//! verbs: put, create (refused where the object exists), get, list. Names are `/`-separated and relative to the root.
//! Objects appear whole or not at all; what a killed process left half-way is swept up by [`Store::sweep`].
//!
//! A [`Watch`] sees every write before and after it: tests count with it and stop a job at named points.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

/// A place for objects.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// The directory on disk, where it is one.
    directory: Option<PathBuf>,
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

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name relative to the root.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// Where [`Store::sweep`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep<'a> {
    /// In a folder and all below it; one that is not there is fine.
    Below(&'a str),
    /// In the root itself and no folder of it.
    Root,
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

/// A place that cannot be used, or an operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The url names no place that this build knows.
    #[error("`{url}` is not a place for objects; hint: give a directory, or a `file://` url")]
    Url {
        /// As given.
        url: String,
    },
    /// The directory cannot be made or opened.
    #[error("directory `{directory}` cannot be used: {source}")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store refused an operation.
    #[error("cannot {verb} `{name}`: {source}")]
    Operation {
        /// What was tried.
        verb: &'static str,
        /// Which object.
        name: String,
        /// Why it failed.
        source: object_store::Error,
    },
    /// A [`Watch`] stopped the job.
    #[error("stopped at `{0}`")]
    Stopped(String),
}

impl Store {
    /// Opens a directory (made where it is missing) given as a path or a `file://` url.
    ///
    /// # Errors
    /// When the url is of another kind or the directory cannot be used.
    pub fn open(url: &str) -> Result<Store, StoreError> {
        let directory = Store::directory_of(url)?;
        let failed = |source| StoreError::Directory { directory: directory.clone(), source };
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        let objects = LocalFileSystem::new_with_prefix(&directory).map_err(|source| operation("open", url, source))?;
        Ok(Store { objects: Arc::new(objects), directory: Some(directory), watch: None })
    }

    /// The directory that a path or `file://` url names, not yet made.
    ///
    /// # Errors
    /// When the url is of another kind.
    pub fn directory_of(url: &str) -> Result<PathBuf, StoreError> {
        match url.split_once("://") {
            Some(("file", path)) => Ok(PathBuf::from(path)),
            Some(_) => Err(StoreError::Url { url: url.to_owned() }),
            None if url.is_empty() => Err(StoreError::Url { url: url.to_owned() }),
            None => Ok(PathBuf::from(url)),
        }
    }

    /// A store in memory, for tests.
    pub fn in_memory() -> Store {
        Store { objects: Arc::new(InMemory::new()), directory: None, watch: None }
    }

    /// The same store with every write seen by `watch`.
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>) -> Store {
        Store { watch: Some(watch), ..self }
    }

    /// The directory on disk, where it is one.
    pub fn directory(&self) -> Option<&FilePath> {
        self.directory.as_deref()
    }

    /// Writes an object, in place of an older one of that name.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.write(name, bytes, PutMode::Overwrite).await.map(|_| ())
    }

    /// Writes an object if there is none of that name, atomically: of two writers one wins.
    ///
    /// # Errors
    /// When the store refuses for another reason.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.write(name, bytes, PutMode::Create).await
    }

    /// Reads an object, if it is there.
    ///
    /// # Errors
    /// When the store refuses for another reason than that it is not there.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let read = async { self.objects.get(&path(name)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(operation("read", name, source)),
        }
    }

    /// Lists the objects under a folder, at any depth, ordered by name.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let listed = self.objects.list(Some(&path(folder))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|source| operation("list", folder, source))?;
        let entry = |meta: object_store::ObjectMeta| Entry { name: meta.location.to_string(), size: meta.size };
        let mut entries: Vec<Entry> = listed.into_iter().map(entry).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Lists the folders directly under a folder, ordered by name.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn list_folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let listed = self.objects.list_with_delimiter(Some(&path(folder))).await;
        let listed = listed.map_err(|source| operation("list", folder, source))?;
        let mut folders: Vec<String> = listed.common_prefixes.iter().map(ToString::to_string).collect();
        folders.sort_unstable();
        Ok(folders)
    }

    /// Deletes an object; one that is not there is fine.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.objects.delete(&path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(operation("delete", name, source)),
        }
    }

    /// Removes what a killed process left half-written on a local disk: staged files, named as the object with `#` and
    /// a number behind. Only the one writer of what is swept may call it.
    ///
    /// # Errors
    /// When a directory cannot be read or a file not removed.
    pub fn sweep(&self, what: Sweep<'_>) -> Result<u64, StoreError> {
        let Some(root) = &self.directory else { return Ok(0) };
        let (directory, deep) = match what {
            Sweep::Below(folder) => (root.join(folder), true),
            Sweep::Root => (root.clone(), false),
        };
        sweep_directory(&directory, deep).map_err(|source| StoreError::Directory { directory, source })
    }

    async fn write(&self, name: &str, bytes: Bytes, mode: PutMode) -> Result<Created, StoreError> {
        if let Some(watch) = &self.watch {
            watch.before_write(name)?;
        }
        let options = PutOptions { mode, ..PutOptions::default() };
        let created = match self.objects.put_opts(&path(name), bytes.into(), options).await {
            Ok(_) => Created::New,
            Err(object_store::Error::AlreadyExists { .. }) => Created::Exists,
            Err(source) => return Err(operation("write", name, source)),
        };
        if let Some(watch) = &self.watch {
            watch.after_write(name)?;
        }
        Ok(created)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.objects)
    }
}

/// Names keep `=` and the like as they are: the parts are split by hand, not percent-decoded.
fn path(name: &str) -> Path {
    Path::from_iter(name.split('/').filter(|part| !part.is_empty()))
}

fn operation(verb: &'static str, name: &str, source: object_store::Error) -> StoreError {
    StoreError::Operation { verb, name: name.to_owned(), source }
}

fn sweep_directory(directory: &FilePath, deep: bool) -> std::io::Result<u64> {
    let mut removed = 0;
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += if deep { sweep_directory(&entry.path(), deep)? } else { 0 };
        } else if is_staged(&entry.file_name().to_string_lossy()) {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_staged(name: &str) -> bool {
    let ours = |stem: &str| {
        let ending = [".csv", ".parquet", ".json", ".jsonl"].iter().any(|ending| stem.ends_with(ending));
        ending || stem.starts_with("checkpoint-")
    };
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    name.rsplit_once('#').is_some_and(|(stem, digits)| ours(stem) && number(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every store must do.
    async fn conforms(store: &Store) {
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(store.get("a/b=1/c.csv").await.unwrap(), None);
        assert_eq!(store.create("a/b=1/c.csv", bytes("one")).await.unwrap(), Created::New);
        assert_eq!(store.create("a/b=1/c.csv", bytes("two")).await.unwrap(), Created::Exists);
        assert_eq!(store.get("a/b=1/c.csv").await.unwrap(), Some(bytes("one")));
        store.put("a/b=1/c.csv", bytes("three")).await.unwrap();
        assert_eq!(store.get("a/b=1/c.csv").await.unwrap(), Some(bytes("three")));
        store.put("a/b=2/d.csv", bytes("")).await.unwrap();
        store.put("a/top.json", bytes("{}")).await.unwrap();
        let entry = |name: &str, size| Entry { name: name.into(), size };
        let all = [entry("a/b=1/c.csv", 5), entry("a/b=2/d.csv", 0), entry("a/top.json", 2)];
        assert_eq!(store.list("a").await.unwrap(), all);
        assert_eq!(store.list("nowhere").await.unwrap(), []);
        assert_eq!(store.list_folders("a").await.unwrap(), ["a/b=1", "a/b=2"]);
        store.delete("a/top.json").await.unwrap();
        store.delete("a/top.json").await.unwrap();
        assert_eq!(store.get("a/top.json").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_store_in_memory_conforms() {
        conforms(&Store::in_memory()).await;
    }

    #[tokio::test]
    async fn a_directory_conforms() {
        let directory = tempfile::tempdir().unwrap();
        let url = directory.path().join("made").display().to_string();
        conforms(&Store::open(&url).unwrap()).await;
        conforms(&Store::open(&format!("file://{url}-2")).unwrap()).await;
    }

    #[tokio::test]
    async fn of_many_writers_one_creates() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().display().to_string()).unwrap();
        let race = (0..16).map(|i| {
            let store = store.clone();
            tokio::spawn(async move { store.create("race", Bytes::from(format!("{i}"))).await.unwrap() })
        });
        let mut won = 0;
        for writer in race.collect::<Vec<_>>() {
            won += usize::from(writer.await.unwrap() == Created::New);
        }
        assert_eq!(won, 1);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_up() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().display().to_string()).unwrap();
        std::fs::create_dir(directory.path().join("deep")).unwrap();
        std::fs::write(directory.path().join("deep/part.csv#1"), "half").unwrap();
        std::fs::write(directory.path().join("deep/part.csv"), "whole").unwrap();
        std::fs::write(directory.path().join("c#"), "not ours").unwrap();
        std::fs::write(directory.path().join("deep/notes#1"), "not ours").unwrap();
        std::fs::write(directory.path().join("checkpoint-0000000003#12"), "half").unwrap();
        assert_eq!(store.sweep(Sweep::Root).unwrap(), 1);
        assert!(
            !directory.path().join("checkpoint-0000000003#12").exists()
                && directory.path().join("deep/part.csv#1").exists()
        );
        assert_eq!(store.sweep(Sweep::Below("deep")).unwrap(), 1);
        assert_eq!(store.sweep(Sweep::Below("nowhere")).unwrap(), 0);
        assert!(!directory.path().join("deep/part.csv#1").exists());
        for kept in ["deep/part.csv", "deep/notes#1", "c#"] {
            assert!(directory.path().join(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_a_hint() {
        let error = Store::open("ftp://host/x").unwrap_err().to_string();
        assert!(error.contains("`ftp://host/x`") && error.contains("hint:"), "{error}");
    }
}
