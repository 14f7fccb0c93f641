//! A file that grows: a notice a line (a text or a template may take several). What was written is on the disk before the
//! outbox lets go of it. A line that a crash cut short is ended before the next one, and its notice comes again whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

use super::writing::Writing;
use super::{Limits, Outcome, Receiver, Writes};
use crate::model::{Notice, Timestamp};

/// Which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its path; its directories are made.
    pub path: PathBuf,
}

/// A file that grows.
pub(super) struct File {
    settings: Settings,
    writes: Writes,
    writing: Writing,
}

impl File {
    pub(super) fn new(settings: Settings, writes: Writes) -> File {
        File { settings, writes, writing: Writing::default() }
    }
}

impl Receiver for File {
    fn limits(&self) -> Limits {
        Limits { notices: 10_000, bytes: 8_000_000, one_by_one: false, buffer: None }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.kept(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], _now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        let lines = self.writes.lines(notices);
        let (path, header) = (self.settings.path.clone(), self.writes.format.header());
        let writing = &mut self.writing;
        Box::pin(async move {
            let outcome = match writing.run(move || append(&path, header, &lines)).await {
                Ok(()) => Outcome::Delivered,
                Err(error) => Outcome::down("File", error.to_string()),
            };
            vec![outcome; notices.len()]
        })
    }
}

fn append(path: &Path, header: Option<Vec<u8>>, lines: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let mut bytes = Vec::with_capacity(lines.len());
    let before = file.metadata()?.len();
    if before == 0 {
        if let Some(header) = header {
            bytes.extend(header);
            bytes.push(b'\n');
        }
    } else {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            bytes.push(b'\n');
        }
    }
    bytes.extend(lines);
    let written = file.write_all(&bytes).and_then(|()| file.sync_data());
    if written.is_err() {
        // it comes again whole; why it failed says more than why it cannot be undone
        let _ = file.set_len(before);
    }
    written
}
