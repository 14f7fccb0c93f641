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
            none => none.insert(Block::new(rows.batch())?),
        };
        let before = block.bytes();
        block.add(rows, runs)?;
        let more = block.bytes() - before;
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
        mut put: impl FnMut(&Rows) -> Result<Piece, E>,
    ) -> Result<(), E> {
        for part in self.parts.values_mut() {
            part.seal(&Places::Bytes)?;
            for piece in &mut part.pieces {
                if let Piece::Here(rows) = piece {
                    *piece = put(rows)?;
                }
            }
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
            self.pieces.push(Piece::Here(block.finish()?.placed(places.clone())));
        }
        Ok(())
    }
}

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
    fn new(batch: &RecordBatch) -> Result<Block, ArrowError> {
        let column = |array: &ArrayRef| {
            Ok(match array.data_type() {
                DataType::Utf8 => Column::Text { ends: vec![0], bytes: Vec::new() },
                DataType::Int64 => Column::Integer { values: Vec::new(), valid: NullBufferBuilder::new(0) },
                DataType::Float64 => Column::Float { values: Vec::new(), valid: NullBufferBuilder::new(0) },
                other => return Err(ArrowError::NotYetImplemented(format!("rows with {other}"))),
            })
        };
        Ok(Block {
            schema: batch.schema(),
            columns: batch.columns().iter().map(column).collect::<Result<_, ArrowError>>()?,
            times: Vec::new(),
            offsets: Vec::new(),
        })
    }

    fn add(&mut self, rows: &Rows, runs: &[Range<usize>]) -> Result<(), ArrowError> {
        for (column, array) in self.columns.iter_mut().zip(rows.batch().columns()) {
            column.add(array, runs)?;
        }
        for run in runs {
            self.times.extend_from_slice(&rows.times()[run.clone()]);
            self.offsets.extend_from_slice(&rows.offsets()[run.clone()]);
        }
        Ok(())
    }

    /// Bytes of the rows.
    fn bytes(&self) -> usize {
        let places = self.times.len() * (size_of::<Timestamp>() + size_of::<u64>());
        places + self.columns.iter().map(Column::bytes).sum::<usize>()
    }

    fn finish(self) -> Result<Rows, ArrowError> {
        let arrays = self.columns.into_iter().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(self.schema, arrays)?;
        Rows::new(batch, self.times, self.offsets).map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))
    }
}

impl Column {
    fn add(&mut self, array: &ArrayRef, runs: &[Range<usize>]) -> Result<(), ArrowError> {
        match self {
            Column::Text { ends, bytes } => {
                let texts: &StringArray = array.as_string::<i32>();
                let (from, data) = (texts.value_offsets(), texts.value_data());
                for run in runs {
                    let (start, end) = (from[run.start], from[run.end]);
                    let here = i32::try_from(bytes.len()).ok().filter(|here| here.checked_add(end - start).is_some());
                    let shift = here.ok_or(ArrowError::OffsetOverflowError(bytes.len()))? - start;
                    bytes.extend_from_slice(&data[start.as_usize()..end.as_usize()]);
                    ends.extend(from[run.start + 1..=run.end].iter().map(|end| end + shift));
                }
            }
            Column::Integer { values, valid } => gather(array.as_primitive::<Int64Type>(), runs, values, valid),
            Column::Float { values, valid } => gather(array.as_primitive::<Float64Type>(), runs, values, valid),
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        match self {
            Column::Text { ends, bytes } => size_of_val(&ends[..]) + bytes.len(),
            Column::Integer { values, .. } => size_of_val(&values[..]),
            Column::Float { values, .. } => size_of_val(&values[..]),
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

fn gather<T: arrow_array::ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    runs: &[Range<usize>],
    values: &mut Vec<T::Native>,
    valid: &mut NullBufferBuilder,
) {
    for run in runs {
        values.extend_from_slice(&array.values()[run.clone()]);
        match array.nulls() {
            None => valid.append_n_non_nulls(run.len()),
            Some(nulls) => run.clone().for_each(|row| valid.append(nulls.is_valid(row))),
        }
    }
}
