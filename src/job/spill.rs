//! Rows of open intervals that do not fit into memory, on the local disk: as they are packed, in scratch files that
//! nobody else sees. They are brought back when their interval closes; a job that starts again reads them from
//! the source again, so nothing here has to survive. A file's space is free once all of it has been brought back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use arrow_schema::ArrowError;

use crate::model::{Away, Packed, Piece};

/// A file takes about so many bytes; then the next one is begun.
const FILE_BYTES: u64 = 256 << 20;
/// Rows of so many bytes may wait to be written: as many as are put away at once, so that the line fills its intervals
/// anew while they are.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Rows that cannot be put away or brought back.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The disk.
    #[error("rows cannot be put into `{directory}`: {source}; hint: free some space there")]
    Disk {
        /// Where the files are.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Rows that are not what they were; a fault of ours.
    #[error("packed rows cannot be made columns again: {0}")]
    Rows(#[from] ArrowError),
}

/// Where rows are put. They are written by a thread of its own, before which some may wait: a slow disk holds the line up.
#[derive(Debug)]
pub(super) struct Spill {
    shared: Arc<Shared>,
    /// To the thread, once there is one.
    queue: Mutex<Option<Sender<(u64, Packed)>>>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    state: Mutex<State>,
    /// Told after each write.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    tickets: u64,
    /// Bytes of what waits.
    waiting_bytes: usize,
    /// What was put away and not brought back.
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
enum Entry {
    /// Waits to be written.
    Waiting,
    Written(Written),
    Failed(io::Error),
}

/// Where some rows are, and what the disk does not know of them.
#[derive(Debug)]
struct Written {
    scratch: Arc<Scratch>,
    offset: u64,
    lengths: [usize; 2],
    /// Without their bytes.
    rows: Packed,
}

/// A file that goes with the last rows in it.
#[derive(Debug)]
struct Scratch {
    file: Mutex<File>,
    path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // most systems have forgotten the name already
        let _ = fs::remove_file(&self.path);
    }
}

impl Spill {
    /// Nothing is made before it is needed.
    pub(super) fn new(directory: &Path) -> Spill {
        let (directory, state, written) = (directory.to_owned(), Mutex::default(), Condvar::new());
        Spill { shared: Arc::new(Shared { directory, state, written }), queue: Mutex::default() }
    }

    /// Puts rows away.
    pub(super) fn put(&self, rows: Packed) -> Result<Piece, SpillError> {
        let (count, bytes) = (rows.len(), bytes_of(&rows));
        let ticket = {
            let mut state = locked(&self.shared.state);
            while state.waiting_bytes > WAITING_BYTES_MAX {
                state = self.shared.written.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.waiting_bytes += bytes;
            state.tickets += 1;
            let ticket = state.tickets;
            state.entries.insert(ticket, Entry::Waiting);
            ticket
        };
        let failed = |_| self.shared.disk(io::Error::other("the thread that writes has ended"));
        let mut queue = locked(&self.queue);
        let sender = match &*queue {
            Some(sender) => sender,
            None => queue.insert(self.start()?),
        };
        sender.send((ticket, rows)).map_err(failed)?;
        Ok(Piece::Away(Away { ticket, rows: count }))
    }

    /// Brings rows back, once.
    pub(super) fn bring(&self, away: &Away) -> Result<Packed, SpillError> {
        let mut state = locked(&self.shared.state);
        let entry = loop {
            match state.entries.remove(&away.ticket) {
                Some(Entry::Waiting) => {
                    state.entries.insert(away.ticket, Entry::Waiting);
                    state = self.shared.written.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Entry::Written(written)) => break written,
                Some(Entry::Failed(error)) => return Err(self.shared.disk(error)),
                None => {
                    let unknown = format!("there are no rows of number {}", away.ticket);
                    return Err(ArrowError::InvalidArgumentError(unknown).into());
                }
            }
        };
        drop(state);
        let Written { scratch, offset, lengths, rows } = entry;
        let bytes = scratch.read(offset, lengths).map_err(|error| self.shared.disk(error))?;
        Ok(rows.with_bytes(bytes))
    }

    fn start(&self) -> Result<Sender<(u64, Packed)>, SpillError> {
        let (sender, receiver) = channel();
        let shared = Arc::clone(&self.shared);
        let work = move || shared.write(&receiver);
        let spawned = thread::Builder::new().name("spill".into()).spawn(work);
        spawned.map(|_| sender).map_err(|error| self.shared.disk(error))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn disk(&self, source: io::Error) -> SpillError {
        SpillError::Disk { directory: self.directory.clone(), source }
    }

    /// Writes what comes until nothing more can.
    fn write(&self, queue: &Receiver<(u64, Packed)>) {
        // the file that is filled, and how far it is
        let mut current: Option<(Arc<Scratch>, u64)> = None;
        while let Ok((ticket, rows)) = queue.recv() {
            let bytes = bytes_of(&rows);
            let entry = self.written(rows, &mut current).map_or_else(Entry::Failed, Entry::Written);
            let mut state = locked(&self.state);
            state.waiting_bytes -= bytes;
            state.entries.insert(ticket, entry);
            drop(state);
            self.written.notify_all();
        }
    }

    fn written(&self, rows: Packed, current: &mut Option<(Arc<Scratch>, u64)>) -> io::Result<Written> {
        let (scratch, offset) = match current.take().filter(|(_, filled)| *filled < FILE_BYTES) {
            Some(current) => current,
            None => (Arc::new(Scratch::create(&self.directory)?), 0),
        };
        scratch.write(offset, rows.bytes())?;
        *current = Some((Arc::clone(&scratch), offset + bytes_of(&rows) as u64));
        let lengths = rows.bytes().map(<[u8]>::len);
        Ok(Written { scratch, offset, lengths, rows: rows.with_bytes([Vec::new(), Vec::new()]) })
    }
}

impl Scratch {
    fn create(directory: &Path) -> io::Result<Scratch> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("spill-{}#{number}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        // nothing is left behind by a process that is killed
        let _ = fs::remove_file(&path);
        Ok(Scratch { file: Mutex::new(file), path })
    }

    fn write(&self, offset: u64, bytes: [&[u8]; 2]) -> io::Result<()> {
        let mut file = locked(&self.file);
        file.seek(SeekFrom::Start(offset))?;
        bytes.into_iter().try_for_each(|bytes| file.write_all(bytes))
    }

    fn read(&self, offset: u64, [first, second]: [usize; 2]) -> io::Result<[Vec<u8>; 2]> {
        let mut file = locked(&self.file);
        file.seek(SeekFrom::Start(offset))?;
        let mut next = |length: usize| {
            let mut bytes = Vec::with_capacity(length);
            (&mut *file).take(length as u64).read_to_end(&mut bytes)?;
            if bytes.len() == length { Ok(bytes) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
        };
        Ok([next(first)?, next(second)?])
    }
}

fn bytes_of(rows: &Packed) -> usize {
    rows.bytes().iter().map(|bytes| bytes.len()).sum()
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, RecordBatch, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::model::{Rows, Timestamp};

    fn rows(first: i64) -> Packed {
        let schema =
            Schema::new(vec![Field::new("text", DataType::Utf8, false), Field::new("n", DataType::Int64, true)]);
        let columns: Vec<arrow_array::ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["é", ""])), Arc::new(Int64Array::from(vec![Some(first), None]))];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let times = (0..2).map(|second| Timestamp::from_micros(second * 1_000_000).unwrap()).collect();
        Packed::of(&Rows::new(batch, times, vec![10, 12]).unwrap()).unwrap()
    }

    #[test]
    fn rows_come_back_as_they_were_and_no_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let spill = Spill::new(directory.path());
        let all: Vec<Packed> = (0..4).map(rows).collect();
        let away: Vec<Away> = all
            .iter()
            .map(|rows| match spill.put(rows.clone()).unwrap() {
                Piece::Away(away) => away,
                other => panic!("still here: {other:?}"),
            })
            .collect();
        for at in [2, 0, 3, 1] {
            assert_eq!(spill.bring(&away[at]).unwrap(), all[at]);
        }
        assert!(spill.bring(&away[0]).is_err(), "only once");
        drop(spill);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
