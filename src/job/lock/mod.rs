//! One job per state, and one writer per tree of partitions. On a local disk a lock on a file refuses a second process
//! at once and is gone with the process that held it, however that ended. In a bucket it is a lease (`lease`): an
//! object that its owner renews. Whatever a lock cannot see, the numbered checkpoints and the manifests, which are
//! created and never replaced, refuse to the slower one.

mod lease;
mod process;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use crate::store::{Store, StoreError};
use lease::Lease;

pub(super) use process::unique;

pub use lease::Times;

/// Invisible to those who read partitions.
const NAME: &str = "_lock";

/// A process that is starting another one shares its locks with it for a moment, also when it lets go of them.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Held as long as a job runs.
#[derive(Debug)]
pub struct Lock(Kind);

#[derive(Debug)]
enum Kind {
    File(#[expect(dead_code, reason = "held, not read")] File),
    Lease(Lease),
}

/// A state that is in use or cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process works in `{directory}`; hint: stop it, or give this job a `partition.url` of its own")]
    Held {
        /// The directory of the state or of the partitions.
        directory: PathBuf,
    },
    /// Another process holds the lease and renews it.
    #[error("another process works in `{url}`: {holder}; hint: stop it, or give this job a `partition.url` of its own")]
    Leased {
        /// The state or the partitions.
        url: String,
        /// Which process, on which host.
        holder: String,
    },
    /// Another process took the lease over while this one did not renew it.
    #[error(
        "another process took over `{url}`: {holder}; hint: nothing is lost; this job did not renew its lease in time, \
         because it or its way to the store stood still"
    )]
    Lost {
        /// The state or the partitions.
        url: String,
        /// Which process, on which host.
        holder: String,
    },
    /// The lock file cannot be made.
    #[error("`{path}` cannot be locked: {source}")]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The lease cannot be written as JSON; a fault of ours.
    #[error("the lease cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Lock {
    /// Takes the lock of a state or of a tree of partitions. In a bucket this takes as long as a lease lasts where the
    /// last owner was killed on another host.
    ///
    /// # Errors
    /// When another process holds it or it cannot be made.
    pub async fn take(store: &Store) -> Result<Lock, LockError> {
        Lock::take_within(store, Times::default()).await
    }

    /// [`Lock::take`] with other times for a lease.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub async fn take_within(store: &Store, times: Times) -> Result<Lock, LockError> {
        match store.directory() {
            Some(directory) => Ok(Lock(Kind::File(take_file(directory.to_owned())?))),
            None => Ok(Lock(Kind::Lease(Lease::take(store.clone().unwatched(), times).await?))),
        }
    }

    /// Waits until the lock is lost to another process, which a file never is.
    pub async fn lost(&self) -> LockError {
        match &self.0 {
            Kind::File(_) => std::future::pending().await,
            Kind::Lease(lease) => lease.lost().await,
        }
    }

    /// Makes sure that the lock is still held, before something is written that only its owner may write. Waits where
    /// the lease could not be renewed for as long as it lasts.
    ///
    /// # Errors
    /// When it is lost.
    pub async fn confirm(&self) -> Result<(), LockError> {
        match &self.0 {
            Kind::File(_) => Ok(()),
            Kind::Lease(lease) => lease.confirm().await,
        }
    }

    /// Lets go of it, so that the next job need not wait.
    pub async fn release(&self) {
        if let Kind::Lease(lease) = &self.0 {
            lease.release().await;
        }
    }
}

/// The two locks of a job that writes partitions.
#[derive(Debug)]
pub(super) struct Locks {
    state: Lock,
    partitions: Lock,
}

impl Locks {
    pub(super) async fn take(state: &Store, partitions: &Store) -> Result<Locks, LockError> {
        match tokio::join!(Lock::take(state), Lock::take(partitions)) {
            (Ok(state), Ok(partitions)) => Ok(Locks { state, partitions }),
            (Err(error), taken) | (taken, Err(error)) => {
                if let Ok(lock) = taken {
                    lock.release().await;
                }
                Err(error)
            }
        }
    }

    /// Waits until one of them is lost.
    pub(super) async fn lost(&self) -> LockError {
        tokio::select! {
            lost = self.state.lost() => lost,
            lost = self.partitions.lost() => lost,
        }
    }

    /// Makes sure that both are still held.
    pub(super) async fn confirm(&self) -> Result<(), LockError> {
        self.state.confirm().await?;
        self.partitions.confirm().await
    }

    pub(super) async fn release(&self) {
        tokio::join!(self.state.release(), self.partitions.release());
    }
}

fn take_file(directory: PathBuf) -> Result<File, LockError> {
    let path = directory.join(NAME);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| LockError::File { path: path.clone(), source })?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { directory }),
            Err(TryLockError::Error(source)) => return Err(LockError::File { path, source }),
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
