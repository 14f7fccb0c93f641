//! Rows of open intervals that do not fit into memory, on the local disk: as they are, column by column, in scratch files
//! that nobody else sees. They are brought back when their interval closes; a job that starts again reads them from
//! the source again, so nothing here has to survive. A file's space is free once all of it has been brought back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use crate::model::{Away, Piece, Places, Rows, Timestamp};

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
    #[error("rows that were put away cannot be read: {0}")]
    Rows(#[from] ArrowError),
}

/// Where rows are put. They are written by a thread of its own, before which some may wait: a slow disk holds the line up.
#[derive(Debug)]
pub(super) struct Spill {
    shared: Arc<Shared>,
    /// To the thread, once there is one.
    queue: Mutex<Option<Sender<(u64, Rows)>>>,
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
    length: usize,
    rows: usize,
    schema: SchemaRef,
    places: Places,
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
    pub(super) fn put(&self, rows: Rows) -> Result<Piece, SpillError> {
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
    pub(super) fn bring(&self, away: &Away) -> Result<Rows, SpillError> {
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
        let bytes = entry.scratch.read(entry.offset, entry.length).map_err(|error| self.shared.disk(error))?;
        Ok(decoded(bytes, &entry)?)
    }

    fn start(&self) -> Result<Sender<(u64, Rows)>, SpillError> {
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
    fn write(&self, queue: &Receiver<(u64, Rows)>) {
        // the file that is filled, and how far it is
        let mut current: Option<(Arc<Scratch>, u64)> = None;
        while let Ok((ticket, rows)) = queue.recv() {
            let entry = self.written(&rows, &mut current).map_or_else(Entry::Failed, Entry::Written);
            let bytes = bytes_of(&rows);
            drop(rows);
            let mut state = locked(&self.state);
            state.waiting_bytes -= bytes;
            state.entries.insert(ticket, entry);
            drop(state);
            self.written.notify_all();
        }
    }

    fn written(&self, rows: &Rows, current: &mut Option<(Arc<Scratch>, u64)>) -> io::Result<Written> {
        let bytes = encoded(rows);
        let (scratch, offset) = match current.take().filter(|(_, filled)| *filled < FILE_BYTES) {
            Some(current) => current,
            None => (Arc::new(Scratch::create(&self.directory)?), 0),
        };
        scratch.write(offset, &bytes)?;
        *current = Some((Arc::clone(&scratch), offset + bytes.len() as u64));
        let (length, schema, places) = (bytes.len(), rows.batch().schema(), rows.places().clone());
        Ok(Written { scratch, offset, length, rows: rows.len(), schema, places })
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

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = locked(&self.file);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = locked(&self.file);
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(length);
        (&mut *file).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// About how many bytes rows take in memory.
fn bytes_of(rows: &Rows) -> usize {
    let texts = |array: &ArrayRef| match array.as_string_opt::<i32>() {
        Some(texts) => {
            let ends = texts.value_offsets();
            4 * rows.len() + index(ends.last().copied().unwrap_or(0)) - index(ends.first().copied().unwrap_or(0))
        }
        None => 8 * rows.len(),
    };
    16 * rows.len() + rows.batch().columns().iter().map(texts).sum::<usize>()
}

/// Event times, offsets, then each column: of a text column the lengths and the texts, of a number the values and, if one
/// is missing, which.
fn encoded(rows: &Rows) -> Vec<u8> {
    let batch = rows.batch();
    let mut to = Vec::with_capacity(rows.len() * 8 * (3 + batch.num_columns()));
    rows.times().iter().for_each(|time| to.extend_from_slice(&time.micros().to_le_bytes()));
    let first = rows.offsets().first().copied().unwrap_or(0);
    to.extend_from_slice(&first.to_le_bytes());
    small(rows.offsets().iter().map(|offset| offset - first), &mut to);
    for array in batch.columns() {
        match array.data_type() {
            DataType::Int64 => {
                let array = array.as_primitive::<Int64Type>();
                array.values().iter().for_each(|value| to.extend_from_slice(&value.to_le_bytes()));
                missing(array.nulls(), &mut to);
            }
            DataType::Float64 => {
                let array = array.as_primitive::<Float64Type>();
                array.values().iter().for_each(|value| to.extend_from_slice(&value.to_le_bytes()));
                missing(array.nulls(), &mut to);
            }
            _ => {
                let array: &StringArray = array.as_string::<i32>();
                let ends = array.value_offsets();
                small(ends.windows(2).map(|pair| u64::from(pair[1].abs_diff(pair[0]))), &mut to);
                let (first, last) = (ends.first().copied().unwrap_or(0), ends.last().copied().unwrap_or(0));
                to.extend_from_slice(&array.value_data()[index(first)..index(last)]);
            }
        }
    }
    to
}

/// Numbers in as few bytes each as the largest needs: 1, 4 or 8, which is said before them.
#[expect(clippy::cast_possible_truncation, reason = "what is cut off is zero")]
fn small(numbers: impl Iterator<Item = u64> + Clone, to: &mut Vec<u8>) {
    match numbers.clone().max().unwrap_or(0) {
        0..=0xff => {
            to.push(1);
            to.extend(numbers.map(|number| number as u8));
        }
        0x100..=0xffff_ffff => {
            to.push(4);
            numbers.for_each(|number| to.extend_from_slice(&(number as u32).to_le_bytes()));
        }
        _ => {
            to.push(8);
            numbers.for_each(|number| to.extend_from_slice(&number.to_le_bytes()));
        }
    }
}

fn missing(nulls: Option<&NullBuffer>, to: &mut Vec<u8>) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => to.push(0),
        Some(nulls) => {
            to.push(1);
            to.extend(nulls.iter().map(u8::from));
        }
    }
}

fn index(end: i32) -> usize {
    usize::try_from(end).unwrap_or(0)
}

fn decoded(bytes: Vec<u8>, entry: &Written) -> Result<Rows, ArrowError> {
    let mut from = Cursor { bytes: Buffer::from_vec(bytes), at: 0 };
    let rows = entry.rows;
    let instant = |micros| Timestamp::from_micros(micros).unwrap_or(Timestamp::MIN);
    let times = from.numbers(rows, i64::from_le_bytes)?.into_iter().map(instant).collect();
    let first = from.numbers(1, u64::from_le_bytes)?[0];
    let offsets = from.small(rows)?.into_iter().map(|offset| first + offset).collect();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(entry.schema.fields().len());
    for field in entry.schema.fields() {
        arrays.push(match field.data_type() {
            DataType::Int64 => {
                let values = from.numbers(rows, i64::from_le_bytes)?;
                Arc::new(Int64Array::try_new(ScalarBuffer::from(values), from.nulls(rows)?)?)
            }
            DataType::Float64 => {
                let values = from.numbers(rows, f64::from_le_bytes)?;
                Arc::new(Float64Array::try_new(ScalarBuffer::from(values), from.nulls(rows)?)?)
            }
            _ => {
                let lengths = from.small(rows)?.into_iter().map(|length| usize::try_from(length).unwrap_or(0));
                let ends: OffsetBuffer<i32> = OffsetBuffer::from_lengths(lengths);
                let texts = from.take(index(ends.last()))?;
                Arc::new(StringArray::try_new(ends, texts, None)?)
            }
        });
    }
    let batch = RecordBatch::try_new(Arc::clone(&entry.schema), arrays)?;
    let rows = Rows::new(batch, times, offsets);
    Ok(rows.map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?.placed(entry.places.clone()))
}

struct Cursor {
    bytes: Buffer,
    at: usize,
}

impl Cursor {
    fn take(&mut self, length: usize) -> Result<Buffer, ArrowError> {
        if self.at + length > self.bytes.len() {
            return Err(ArrowError::InvalidArgumentError("rows that were put away are cut short".to_owned()));
        }
        self.at += length;
        Ok(self.bytes.slice_with_length(self.at - length, length))
    }

    fn numbers<T, const SIZE: usize>(
        &mut self,
        count: usize,
        of: impl Fn([u8; SIZE]) -> T,
    ) -> Result<Vec<T>, ArrowError> {
        let bytes = self.take(count * SIZE)?;
        let (chunks, _) = bytes.as_slice().as_chunks();
        Ok(chunks.iter().map(|chunk| of(*chunk)).collect())
    }

    /// What [`small`] wrote.
    fn small(&mut self, count: usize) -> Result<Vec<u64>, ArrowError> {
        match self.take(1)?.as_slice() {
            [1] => Ok(self.take(count)?.iter().map(|number| u64::from(*number)).collect()),
            [4] => Ok(self.numbers(count, u32::from_le_bytes)?.into_iter().map(u64::from).collect()),
            _ => self.numbers(count, u64::from_le_bytes),
        }
    }

    fn nulls(&mut self, rows: usize) -> Result<Option<NullBuffer>, ArrowError> {
        if self.take(1)?.as_slice() == [0] {
            return Ok(None);
        }
        let valid = self.take(rows)?;
        Ok(Some(valid.as_slice().iter().map(|valid| *valid == 1).collect()))
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Field, Schema};

    use super::*;

    fn rows(first: usize) -> Rows {
        let schema = Schema::new(vec![
            Field::new("text", DataType::Utf8, false),
            Field::new("integer", DataType::Int64, true),
            Field::new("float", DataType::Float64, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["é", "", "long enough", "x"])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(7), Some(0)])),
            Arc::new(Float64Array::from(vec![0.1, -0.0, 1e300, 5.0])),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let times = (0..4).map(|second| Timestamp::from_micros(second * 1_000_000).unwrap()).collect();
        let rows = Rows::new(batch, times, (10..14).collect()).unwrap();
        rows.picked(&[first as u32, 2, 3]).unwrap()
    }

    #[test]
    fn rows_come_back_as_they_were_and_no_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let spill = Spill::new(directory.path());
        let sliced = Rows::new(rows(0).batch().slice(1, 2), rows(0).times()[1..].to_vec(), vec![5, 6]).unwrap();
        let far = Rows::new(rows(0).batch().clone(), rows(0).times().to_vec(), vec![5, 700, u64::MAX]).unwrap();
        let all = [rows(0), rows(1), sliced, far];
        let away: Vec<Away> = all
            .iter()
            .map(|rows| match spill.put(rows.clone()).unwrap() {
                Piece::Away(away) => away,
                Piece::Here(_) => panic!("still here"),
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
