//! Standard output: a notice a line, whole lines at a time, among what the program itself prints there.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::writing::Writing;
use super::{Limits, Outcome, Receiver, ReceiverError, Writes};
use crate::model::{Notice, Timestamp};

/// Standard output.
pub(super) struct Stdout {
    /// Its own descriptor: whoever runs the job holds the lock of the other.
    file: Arc<File>,
    writes: Writes,
    writing: Writing,
}

impl Stdout {
    pub(super) fn open(writes: Writes) -> Result<Stdout, ReceiverError> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned().map_err(ReceiverError::Stdout)?;
        Ok(Stdout { file: Arc::new(File::from(descriptor)), writes, writing: Writing::default() })
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
        let lines = self.writes.lines(notices);
        let file = Arc::clone(&self.file);
        let writing = &mut self.writing;
        Box::pin(async move {
            let outcome = match writing.run(move || (&*file).write_all(&lines)).await {
                Ok(()) => Outcome::Delivered,
                // whoever read has seen enough
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Delivered,
                Err(error) => Outcome::down("Stdout", error.to_string()),
            };
            vec![outcome; notices.len()]
        })
    }
}
