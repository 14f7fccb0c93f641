//! The rows of an open interval, copied together column by column as they arrive, source partition by source partition:
//! few large pieces, however finely the intervals are mixed in the stream.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use crate::model::{Held, Piece, Places, Rows, SourcePartition, Timestamp};

/// A piece has about so many rows, but for those that come in one batch.
const PIECE_ROWS: usize = 16_384;

/// Rows by source partition, in the order of each.
#[derive(Debug, Default)]
pub(super) struct Gather {
    parts: BTreeMap<SourcePartition, Part>,
}

#[derive(Debug, Default)]
struct Part {
    pieces: Vec<Piece>,
    /// Rows that are not a piece yet.
    block: Option<Block>,
    /// As many rows as the last piece had: room for so many is made at once.
    usual_rows: usize,
}

impl Gather {
    /// Copies runs of rows of a batch, in their order; gives by how many bytes more is held.
    pub(super) fn add(
        &mut self,
        partition: &SourcePartition,
        rows: &Rows,
        runs: &[Range<usize>],
    ) -> Result<usize, ArrowError> {
        let part = match self.parts.get_mut(partition) {
            Some(part) => part,
            None => self.parts.entry(partition.clone()).or_default(),
        };
        let block = match &mut part.block {
            Some(block) => block,
            none => none.insert(Block::new(rows.batch(), part.usual_rows)?),
        };
        let more = block.add(rows, runs)?;
        // places that are not offsets are those of one batch
        if block.times.len() >= PIECE_ROWS || *rows.places() != Places::Bytes {
            part.seal(rows.places())?;
        }
        Ok(more)
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Gives each piece that is in memory away, and keeps what comes back for it.
    pub(super) fn put_away<E: From<ArrowError>>(
        &mut self,
        mut put: impl FnMut(Rows) -> Result<Piece, E>,
    ) -> Result<(), E> {
        for part in self.parts.values_mut() {
            part.seal(&Places::Bytes)?;
            let away = std::mem::take(&mut part.pieces).into_iter().map(|piece| match piece {
                Piece::Here(rows) => put(rows),
                Piece::Away(_) => Ok(piece),
            });
            part.pieces = away.collect::<Result<_, E>>()?;
        }
        Ok(())
    }

    /// All rows.
    pub(super) fn finish(self) -> Result<Held, ArrowError> {
        let mut held = Held::default();
        for (partition, mut part) in self.parts {
            part.seal(&Places::Bytes)?;
            part.pieces.into_iter().for_each(|piece| held.add_piece(partition.clone(), piece));
        }
        Ok(held)
    }
}

impl Part {
    fn seal(&mut self, places: &Places) -> Result<(), ArrowError> {
        if let Some(block) = self.block.take() {
            self.usual_rows = block.times.len();
            self.pieces.push(Piece::Here(block.finish()?.placed(places.clone())));
        }
        Ok(())
    }
}

/// Most room that is made at once for the texts of a column: one long text says nothing of the next ones.
const ROOM_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
struct Block {
    schema: SchemaRef,
    columns: Vec<Column>,
    times: Vec<Timestamp>,
    offsets: Vec<u64>,
}

/// A column that grows.
#[derive(Debug)]
enum Column {
    Text { ends: Vec<i32>, bytes: Vec<u8> },
    Integer { values: Vec<i64>, valid: NullBufferBuilder },
    Float { values: Vec<f64>, valid: NullBufferBuilder },
}

impl Block {
    fn new(batch: &RecordBatch, rows: usize) -> Result<Block, ArrowError> {
        let column = |array: &ArrayRef| {
            Ok(match array.data_type() {
                DataType::Utf8 => {
                    let texts: &StringArray = array.as_string::<i32>();
                    let usual_bytes = texts.value_data().len() / texts.len().max(1) + 1;
                    let mut ends = Vec::with_capacity(rows + 1);
                    ends.push(0);
                    let usual = rows.saturating_mul(usual_bytes).min(ROOM_BYTES_MAX);
                    Column::Text { ends, bytes: Vec::with_capacity(usual) }
                }
                DataType::Int64 => {
                    Column::Integer { values: Vec::with_capacity(rows), valid: NullBufferBuilder::new(rows) }
                }
                DataType::Float64 => {
                    Column::Float { values: Vec::with_capacity(rows), valid: NullBufferBuilder::new(rows) }
                }
                other => return Err(ArrowError::NotYetImplemented(format!("rows with {other}"))),
            })
        };
        Ok(Block {
            schema: batch.schema(),
            columns: batch.columns().iter().map(column).collect::<Result<_, ArrowError>>()?,
            times: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows),
        })
    }

    /// Copies runs of rows; gives how many bytes they have.
    fn add(&mut self, rows: &Rows, runs: &[Range<usize>]) -> Result<usize, ArrowError> {
        let mut bytes = copy(rows.times(), runs, &mut self.times) + copy(rows.offsets(), runs, &mut self.offsets);
        for (column, array) in self.columns.iter_mut().zip(rows.batch().columns()) {
            bytes += column.add(array, runs)?;
        }
        Ok(bytes)
    }

    fn finish(self) -> Result<Rows, ArrowError> {
        let arrays = self.columns.into_iter().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(self.schema, arrays)?;
        Rows::new(batch, self.times, self.offsets).map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))
    }
}

impl Column {
    fn add(&mut self, array: &ArrayRef, runs: &[Range<usize>]) -> Result<usize, ArrowError> {
        match self {
            Column::Text { ends, bytes } => copy_texts(array.as_string::<i32>(), runs, ends, bytes),
            Column::Integer { values, valid } => {
                Ok(copy_numbers(array.as_primitive::<Int64Type>(), runs, values, valid))
            }
            Column::Float { values, valid } => {
                Ok(copy_numbers(array.as_primitive::<Float64Type>(), runs, values, valid))
            }
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let nulls = |mut valid: NullBufferBuilder| -> Option<NullBuffer> { valid.finish() };
        Ok(match self {
            Column::Text { ends, bytes } => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(StringArray::try_new(ends, Buffer::from_vec(bytes), None)?)
            }
            Column::Integer { values, valid } => Arc::new(Int64Array::try_new(values.into(), nulls(valid))?),
            Column::Float { values, valid } => Arc::new(Float64Array::try_new(values.into(), nulls(valid))?),
        })
    }
}

/// A shorter run is copied value by value.
const LONG_RUN: usize = 8;

/// Copies runs of values; gives their bytes.
fn copy<T: Copy>(from: &[T], runs: &[Range<usize>], to: &mut Vec<T>) -> usize {
    let before = to.len();
    for run in runs {
        let values = &from[run.clone()];
        if values.len() < LONG_RUN {
            values.iter().for_each(|value| to.push(*value));
        } else {
            to.extend_from_slice(values);
        }
    }
    (to.len() - before) * size_of::<T>()
}

/// A text of at most so many bytes is copied in one piece of this size, the rest of which is dropped.
const SHORT_TEXT: usize = 32;

/// Appends a part of the bytes of a column. In a shuffled stream every run is one short text, and the call that copies so
/// many bytes takes longer than they do.
#[inline]
fn append(to: &mut Vec<u8>, data: &[u8], part: Range<usize>) {
    match data[part.start..].first_chunk::<SHORT_TEXT>() {
        Some(piece) if part.len() <= SHORT_TEXT => {
            let end = to.len() + part.len();
            to.extend_from_slice(piece);
            to.truncate(end);
        }
        _ => to.extend_from_slice(&data[part]),
    }
}

fn copy_numbers<T: arrow_array::ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    runs: &[Range<usize>],
    values: &mut Vec<T::Native>,
    valid: &mut NullBufferBuilder,
) -> usize {
    let before = values.len();
    let bytes = copy(array.values(), runs, values);
    match array.nulls() {
        None => valid.append_n_non_nulls(values.len() - before),
        Some(nulls) => runs.iter().flat_map(Clone::clone).for_each(|row| valid.append(nulls.is_valid(row))),
    }
    bytes
}

fn copy_texts(
    array: &StringArray,
    runs: &[Range<usize>],
    ends: &mut Vec<i32>,
    bytes: &mut Vec<u8>,
) -> Result<usize, ArrowError> {
    let (from, data) = (array.value_offsets(), array.value_data());
    let before = bytes.len();
    // all that is here and all that may come fit
    i32::try_from(before + data.len()).map_err(|_| ArrowError::OffsetOverflowError(before))?;
    let rows = ends.len();
    for run in runs {
        let shift = ends.last().copied().unwrap_or(0) - from[run.start];
        append(bytes, data, from[run.start].as_usize()..from[run.end].as_usize());
        from[run.start + 1..=run.end].iter().for_each(|end| ends.push(end + shift));
    }
    Ok(bytes.len() - before + (ends.len() - rows) * size_of::<i32>())
}
