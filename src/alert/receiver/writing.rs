//! Writes that may hang, beside the runtime's threads: one at a time, so that a disk or a pipe that hangs takes one thread.

use std::io;

use tokio::task::{JoinHandle, spawn_blocking};

/// The write that is under way, perhaps one that nobody waited for any longer.
#[derive(Default)]
pub(super) struct Writing(Option<JoinHandle<io::Result<()>>>);

impl Writing {
    /// Writes, once an earlier write has ended. What that one was given comes again, as nobody knows of it.
    pub(super) async fn run(&mut self, write: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
        if let Some(earlier) = self.0.as_mut() {
            let _ = earlier.await;
        }
        let written = self.0.insert(spawn_blocking(write)).await;
        self.0 = None;
        written.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
