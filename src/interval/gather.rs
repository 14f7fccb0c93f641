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

/// Room is made for this part more than the last piece had: pieces that are put away together differ little, and what does
/// not fit is copied once more.
const MORE_ROWS: usize = 8;
/// Room is made for so many rows at most because another source partition had them.
const HAD_ROWS_MAX: usize = 1024;

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
    /// As many rows as the last piece had, or one of another source partition: room for so many, and some, is made at once.
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
            None => {
                // files of one stream are much alike
                let usual_rows = self.parts.values().next_back().map_or(0, Part::had_rows);
                self.parts.entry(partition.clone()).or_insert(Part { usual_rows, ..Part::default() })
            }
        };
        let block = match &mut part.block {
            Some(block) => block,
            none => none.insert(Block::new(rows.batch(), part.usual_rows + part.usual_rows / MORE_ROWS)?),
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
    /// As many rows as its last piece has, up to what is made room for on the word of another part.
    fn had_rows(&self) -> usize {
        let sealed = self.pieces.last().map(|piece| match piece {
            Piece::Here(rows) => rows.len(),
            Piece::Away(away) => away.rows,
        });
        self.block.as_ref().map_or(0, |block| block.times.len()).max(sealed.unwrap_or(0)).min(HAD_ROWS_MAX)
    }

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
                    let usual = rows.saturating_mul(usual_bytes).saturating_add(SHORT_TEXT).min(ROOM_BYTES_MAX);
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
        let picked = Picked::of(runs);
        let mut bytes = picked.copy(rows.times(), &mut self.times) + picked.copy(rows.offsets(), &mut self.offsets);
        for (column, array) in self.columns.iter_mut().zip(rows.batch().columns()) {
            bytes += column.add(array, &picked)?;
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
    fn add(&mut self, array: &ArrayRef, picked: &Picked<'_>) -> Result<usize, ArrowError> {
        match self {
            Column::Text { ends, bytes } => picked.copy_texts(array.as_string::<i32>(), ends, bytes),
            Column::Integer { values, valid } => {
                Ok(picked.copy_numbers(array.as_primitive::<Int64Type>(), values, valid))
            }
            Column::Float { values, valid } => {
                Ok(picked.copy_numbers(array.as_primitive::<Float64Type>(), values, valid))
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

/// Runs that are shorter on average are taken row by row: in a shuffled stream every run is one row.
const LONG_RUN: usize = 4;
/// A text of at most so many bytes is copied in one piece of this size, the rest of which is overwritten by the next: the
/// call that copies so many bytes takes longer than they do.
const SHORT_TEXT: usize = 32;

/// Rows of a batch.
enum Picked<'a> {
    Runs(&'a [Range<usize>]),
    Rows(Vec<usize>),
}

impl<'a> Picked<'a> {
    fn of(runs: &'a [Range<usize>]) -> Picked<'a> {
        let rows: usize = runs.iter().map(ExactSizeIterator::len).sum();
        if rows < LONG_RUN * runs.len() {
            let mut numbers = Vec::with_capacity(rows);
            runs.iter().for_each(|run| numbers.extend(run.clone()));
            Picked::Rows(numbers)
        } else {
            Picked::Runs(runs)
        }
    }

    /// Copies values; gives their bytes.
    fn copy<T: Copy>(&self, from: &[T], to: &mut Vec<T>) -> usize {
        let before = to.len();
        match self {
            Picked::Runs(runs) => runs.iter().for_each(|run| to.extend_from_slice(&from[run.clone()])),
            Picked::Rows(rows) => to.extend(rows.iter().map(|row| from[*row])),
        }
        (to.len() - before) * size_of::<T>()
    }

    fn copy_numbers<T: arrow_array::ArrowPrimitiveType>(
        &self,
        array: &PrimitiveArray<T>,
        values: &mut Vec<T::Native>,
        valid: &mut NullBufferBuilder,
    ) -> usize {
        let before = values.len();
        let bytes = self.copy(array.values(), values);
        match (array.nulls(), self) {
            (None, _) => valid.append_n_non_nulls(values.len() - before),
            (Some(nulls), Picked::Rows(rows)) => rows.iter().for_each(|row| valid.append(nulls.is_valid(*row))),
            (Some(nulls), Picked::Runs(runs)) => {
                runs.iter().flat_map(Clone::clone).for_each(|row| valid.append(nulls.is_valid(row)));
            }
        }
        bytes
    }

    fn copy_texts(&self, array: &StringArray, ends: &mut Vec<i32>, bytes: &mut Vec<u8>) -> Result<usize, ArrowError> {
        let (from, data) = (array.value_offsets(), array.value_data());
        let (before, rows) = (bytes.len(), ends.len());
        // all that is here and all that may come fit
        i32::try_from(before + data.len()).map_err(|_| ArrowError::OffsetOverflowError(before))?;
        match self {
            Picked::Runs(runs) => {
                for run in *runs {
                    let shift = ends.last().copied().unwrap_or(0) - from[run.start];
                    bytes.extend_from_slice(&data[from[run.start].as_usize()..from[run.end].as_usize()]);
                    ends.extend(from[run.start + 1..=run.end].iter().map(|end| end + shift));
                }
            }
            Picked::Rows(rows) => copy_each_text((from, data), rows, ends, bytes),
        }
        Ok(bytes.len() - before + (ends.len() - rows) * size_of::<i32>())
    }
}

/// Copies texts one by one.
fn copy_each_text((from, data): (&[i32], &[u8]), rows: &[usize], ends: &mut Vec<i32>, bytes: &mut Vec<u8>) {
    let mut end = ends.last().copied().unwrap_or(0);
    ends.extend(rows.iter().map(|row| {
        end += from[row + 1] - from[*row];
        end
    }));
    let mut at = bytes.len();
    bytes.resize(end.as_usize() + SHORT_TEXT, 0);
    for row in rows {
        let (start, end) = (from[*row].as_usize(), from[row + 1].as_usize());
        let length = end - start;
        match (data[start..].first_chunk::<SHORT_TEXT>(), bytes[at..].first_chunk_mut::<SHORT_TEXT>()) {
            (Some(piece), Some(to)) if length <= SHORT_TEXT => *to = *piece,
            _ => bytes[at..at + length].copy_from_slice(&data[start..end]),
        }
        at += length;
    }
    bytes.truncate(at);
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Field, Schema};
    use proptest::prelude::*;

    use super::*;

    /// Rows with these texts; numbers follow from them, one in three is missing.
    fn rows(texts: &[String], first: usize) -> Rows {
        let schema = Schema::new(vec![
            Field::new("text", DataType::Utf8, false),
            Field::new("integer", DataType::Int64, true),
            Field::new("float", DataType::Float64, false),
        ]);
        let number = |at: usize| (!at.is_multiple_of(3)).then_some(at as i64);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new((0..texts.len()).map(number).collect::<Int64Array>()),
            Arc::new(Float64Array::from_iter_values(texts.iter().map(|text| text.len() as f64 / 3.0))),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let at = first as u64..(first + texts.len()) as u64;
        let times = at.clone().map(|at| Timestamp::from_micros(at as i64 * 1000).unwrap()).collect();
        Rows::new(batch, times, at.collect()).unwrap()
    }

    proptest! {
        /// Whatever is picked, row by row or in runs, comes out as it went in.
        #[test]
        fn what_is_picked_comes_out(
            batches in proptest::collection::vec((
                proptest::collection::vec("[a-z é]{0,8}|[a-z]{30,34}", 1..60),
                proptest::collection::vec((0..3usize, 1..9usize), 1..20),
            ), 1..5),
        ) {
            let (mut gather, partition) = (Gather::default(), SourcePartition::new("p"));
            let (mut expected, mut held, mut first) = (Vec::new(), 0, 0);
            for (texts, steps) in &batches {
                let rows = rows(texts, first);
                first += texts.len();
                let (mut runs, mut at) = (Vec::new(), 0);
                for (gap, length) in steps {
                    let run = (at + gap).min(texts.len())..(at + gap + length).min(texts.len());
                    at = run.end + 1;
                    runs.extend((!run.is_empty()).then_some(run));
                }
                let numbers: Vec<u32> = runs.iter().flat_map(Clone::clone).map(|row| row as u32).collect();
                expected.push(rows.picked(&numbers).unwrap());
                held += gather.add(&partition, &rows, &runs).unwrap();
            }
            let found: Vec<Rows> = gather.finish().unwrap().rows().cloned().collect();
            prop_assert_eq!(found.len(), 1);
            let whole = arrow_select::concat::concat_batches(
                &found[0].batch().schema(), expected.iter().map(Rows::batch)).unwrap();
            prop_assert_eq!(found[0].batch(), &whole);
            prop_assert_eq!(found[0].times(), expected.iter().flat_map(Rows::times).copied().collect::<Vec<_>>());
            prop_assert_eq!(found[0].offsets(), expected.iter().flat_map(Rows::offsets).copied().collect::<Vec<_>>());
            let texts: usize = expected.iter().map(|rows| rows.batch().column(0).as_string::<i32>().iter().flatten().map(str::len).sum::<usize>()).sum();
            prop_assert_eq!(held, texts + whole.num_rows() * (4 * 8 + 4));
        }
    }
}
