//! Rows of open intervals that do not fit into memory, on the local disk: as they are, column by column, in scratch files
//! that nobody else sees. They are brought back when their interval closes; a job that starts again reads them from
//! the source again, so nothing here has to survive. A file's space is free once all of it has been brought back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use crate::model::{Away, Piece, Places, Rows, Timestamp};

/// A file takes about so many bytes; then the next one is begun.
const FILE_BYTES: u64 = 256 << 20;

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

/// Where rows are put.
#[derive(Debug)]
pub(super) struct Spill {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The file that is filled, and how far it is.
    current: Option<(Arc<Scratch>, u64)>,
    entries: BTreeMap<u64, Entry>,
    tickets: u64,
}

/// Where some rows are, and what the disk does not know of them.
#[derive(Clone, Debug)]
struct Entry {
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
        Spill { directory: directory.to_owned(), state: Mutex::default() }
    }

    /// Puts rows away.
    pub(super) fn put(&self, rows: &Rows) -> Result<Piece, SpillError> {
        let bytes = encoded(rows);
        let failed = |source| SpillError::Disk { directory: self.directory.clone(), source };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (scratch, offset) = match state.current.take().filter(|(_, filled)| *filled < FILE_BYTES) {
            Some(current) => current,
            None => (Arc::new(Scratch::create(&self.directory).map_err(failed)?), 0),
        };
        scratch.write(offset, &bytes).map_err(failed)?;
        state.current = Some((Arc::clone(&scratch), offset + bytes.len() as u64));
        state.tickets += 1;
        let ticket = state.tickets;
        let (length, schema, places) = (bytes.len(), rows.batch().schema(), rows.places().clone());
        state.entries.insert(ticket, Entry { scratch, offset, length, rows: rows.len(), schema, places });
        Ok(Piece::Away(Away { ticket, rows: rows.len() }))
    }

    /// Brings rows back, once.
    pub(super) fn bring(&self, away: &Away) -> Result<Rows, SpillError> {
        let entry = self.state.lock().unwrap_or_else(PoisonError::into_inner).entries.remove(&away.ticket);
        let unknown = || ArrowError::InvalidArgumentError(format!("there are no rows of number {}", away.ticket));
        let entry = entry.ok_or_else(unknown)?;
        let failed = |source| SpillError::Disk { directory: self.directory.clone(), source };
        let bytes = entry.scratch.read(entry.offset, entry.length).map_err(failed)?;
        Ok(decoded(bytes, &entry)?)
    }
}

impl Scratch {
    fn create(directory: &Path) -> io::Result<Scratch> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("spill-{}#{number}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        // nothing is left behind by a process that is killed
        let _ = fs::remove_file(&path);
        Ok(Scratch { file: Mutex::new(file), path })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(length);
        (&mut *file).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Event times, offsets, then each column: of a text column the lengths and the texts, of a number the values and, if one
/// is missing, which.
fn encoded(rows: &Rows) -> Vec<u8> {
    let batch = rows.batch();
    let mut to = Vec::with_capacity(rows.len() * 8 * (3 + batch.num_columns()));
    rows.times().iter().for_each(|time| to.extend_from_slice(&time.micros().to_le_bytes()));
    rows.offsets().iter().for_each(|offset| to.extend_from_slice(&offset.to_le_bytes()));
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
                ends.windows(2).for_each(|pair| to.extend_from_slice(&(pair[1] - pair[0]).to_le_bytes()));
                let (first, last) = (ends.first().copied().unwrap_or(0), ends.last().copied().unwrap_or(0));
                to.extend_from_slice(&array.value_data()[index(first)..index(last)]);
            }
        }
    }
    to
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

fn decoded(bytes: Vec<u8>, entry: &Entry) -> Result<Rows, ArrowError> {
    let mut from = Cursor { bytes: Buffer::from_vec(bytes), at: 0 };
    let rows = entry.rows;
    let instant = |micros| Timestamp::from_micros(micros).unwrap_or(Timestamp::MIN);
    let times = from.numbers(rows, i64::from_le_bytes)?.into_iter().map(instant).collect();
    let offsets = from.numbers(rows, u64::from_le_bytes)?;
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
                let lengths = from.numbers(rows, i32::from_le_bytes)?;
                let ends: OffsetBuffer<i32> = OffsetBuffer::from_lengths(lengths.into_iter().map(index));
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
        let all = [rows(0), rows(1), sliced];
        let away: Vec<Away> = all
            .iter()
            .map(|rows| match spill.put(rows).unwrap() {
                Piece::Away(away) => away,
                Piece::Here(_) => panic!("still here"),
            })
            .collect();
        for at in [2, 0, 1] {
            assert_eq!(spill.bring(&away[at]).unwrap(), all[at]);
        }
        assert!(spill.bring(&away[0]).is_err(), "only once");
        drop(spill);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
