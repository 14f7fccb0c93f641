//! One job per state, and one writer per tree of partitions. On a local disk a lock on a file refuses a second process at once and is gone with the process
//! that held it, however that ended; elsewhere the numbered checkpoints refuse the slower one.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use crate::store::Store;

/// Invisible to those who read partitions.
const NAME: &str = "_lock";

/// A process that is starting another one shares its locks with it for a moment, also when it lets go of them.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Held as long as a job runs.
#[derive(Debug)]
pub struct Lock {
    _file: Option<File>,
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
    /// The lock file cannot be made.
    #[error("`{path}` cannot be locked: {source}")]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock of a state or of a tree of partitions.
    ///
    /// # Errors
    /// When another process holds it or the lock file cannot be made.
    pub fn take(store: &Store) -> Result<Lock, LockError> {
        let Some(directory) = store.directory() else { return Ok(Lock { _file: None }) };
        let path = directory.join(NAME);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| LockError::File { path: path.clone(), source })?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(LockError::Held { directory: directory.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(LockError::File { path, source }),
            }
        }
        Ok(Lock { _file: Some(file) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Settings;

    #[tokio::test]
    async fn a_second_job_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().display().to_string(), &Settings::default()).await.unwrap();
        let first = Lock::take(&store).unwrap();
        assert!(matches!(Lock::take(&store), Err(LockError::Held { .. })));
        drop(first);
        Lock::take(&store).unwrap();
    }
}
