//! Standard output: a notice a line, whole lines at a time, among what the program itself prints there.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Limits, Outcome, Receiver, ReceiverError, Writes};
use crate::model::{Notice, Timestamp};

/// Standard output.
pub(super) struct Stdout {
    /// Its own descriptor: whoever runs the job holds the lock of the other.
    file: Arc<File>,
    writes: Writes,
    /// A write that is under way, perhaps one that nobody waited for any longer.
    writing: Option<JoinHandle<io::Result<()>>>,
}

impl Stdout {
    pub(super) fn open(writes: Writes) -> Result<Stdout, ReceiverError> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned().map_err(ReceiverError::Stdout)?;
        Ok(Stdout { file: Arc::new(File::from(descriptor)), writes, writing: None })
    }
}

impl Receiver for Stdout {
    fn limits(&self) -> Limits {
        Limits { notices: 1000, bytes: 1_000_000, one_by_one: false, buffer: None }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.kept(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], _now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        let mut lines = Vec::new();
        for notice in notices {
            lines.extend(self.writes.payload(notice));
            lines.push(b'\n');
        }
        let file = Arc::clone(&self.file);
        let writing = &mut self.writing;
        Box::pin(async move {
            // a pipe that nobody reads hangs; what it was given before comes again, as nobody knows of it
            if let Some(earlier) = writing.as_mut() {
                let _ = earlier.await;
            }
            let written = writing.insert(spawn_blocking(move || (&*file).write_all(&lines))).await;
            *writing = None;
            let outcome = match written.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(()) => Outcome::Delivered,
                // whoever read has seen enough
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Delivered,
                Err(error) => Outcome::down("Stdout", error.to_string()),
            };
            vec![outcome; notices.len()]
        })
    }
}
