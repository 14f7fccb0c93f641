//! Typed rows. A row is a line of an Arrow record batch together with its event time and its place in the source; rows
//! always stand in the order of their source partition.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use serde::{Deserialize, Serialize};

use super::{Chunk, Places, Position, Reject, Timestamp};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text; a missing value is the empty text.
    Text,
    /// 64-bit integer, may be missing.
    Integer,
    /// 64-bit float, finite, may be missing.
    Float,
}

impl ColumnType {
    /// The Arrow type that carries it.
    pub fn data_type(self) -> DataType {
        match self {
            ColumnType::Text => DataType::Utf8,
            ColumnType::Integer => DataType::Int64,
            ColumnType::Float => DataType::Float64,
        }
    }
}

/// The type of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureType {
    /// 64-bit integer.
    Integer,
    /// 64-bit float.
    Float,
}

impl From<MeasureType> for ColumnType {
    fn from(measure: MeasureType) -> ColumnType {
        match measure {
            MeasureType::Integer => ColumnType::Integer,
            MeasureType::Float => ColumnType::Float,
        }
    }
}

/// The columns that leave the line, in the order in which partitions carry them: dimensions, the timestamp as it came,
/// columns kept as text, measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Category columns whose combinations are series.
    pub dimensions: Vec<String>,
    /// The column that holds the event time.
    pub timestamp: String,
    /// Further columns that are carried along as text.
    pub keep: Vec<String>,
    /// Numeric columns.
    pub measures: Vec<(String, MeasureType)>,
}

impl Columns {
    /// Names and types in partition order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        self.dimensions
            .iter()
            .map(|name| (name.as_str(), ColumnType::Text))
            .chain(std::iter::once((self.timestamp.as_str(), ColumnType::Text)))
            .chain(self.keep.iter().map(|name| (name.as_str(), ColumnType::Text)))
            .chain(self.measures.iter().map(|(name, kind)| (name.as_str(), ColumnType::from(*kind))))
    }

    /// The Arrow schema of a batch of rows: text is never null, numbers may be.
    pub fn schema(&self) -> SchemaRef {
        let field = |(name, kind): (&str, ColumnType)| Field::new(name, kind.data_type(), kind != ColumnType::Text);
        Arc::new(Schema::new(self.fields().map(field).collect::<Vec<_>>()))
    }

    /// Index of the timestamp column; the dimensions stand before it, at their own index.
    pub fn timestamp_index(&self) -> usize {
        self.dimensions.len()
    }

    /// Index of a measure column.
    pub fn measure_index(&self, measure: usize) -> usize {
        self.dimensions.len() + 1 + self.keep.len() + measure
    }
}

/// Rows with their event times and places: `times[i]` and `offsets[i]` belong to line `i` of the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    batch: RecordBatch,
    times: Vec<Timestamp>,
    offsets: Vec<u64>,
    places: Places,
}

/// Event times or offsets that do not match the batch line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rows} rows with {times} event times and {offsets} offsets")]
pub struct RowsError {
    rows: usize,
    times: usize,
    offsets: usize,
}

impl Rows {
    /// Puts a batch together with the event time and the offset of each of its lines.
    ///
    /// # Errors
    /// When the three do not have the same length.
    pub fn new(batch: RecordBatch, times: Vec<Timestamp>, offsets: Vec<u64>) -> Result<Rows, RowsError> {
        if batch.num_rows() == times.len() && times.len() == offsets.len() {
            Ok(Rows { batch, times, offsets, places: Places::Bytes })
        } else {
            Err(RowsError { rows: batch.num_rows(), times: times.len(), offsets: offsets.len() })
        }
    }

    /// The same rows, with what their offsets stand for.
    #[must_use]
    pub fn placed(self, places: Places) -> Rows {
        Rows { places, ..self }
    }

    /// The same rows with some of their columns.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn projected(self, columns: &[usize]) -> Result<Rows, ArrowError> {
        Ok(Rows { batch: self.batch.project(columns)?, ..self })
    }

    /// The columns.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Event times, one per row.
    pub fn times(&self) -> &[Timestamp] {
        &self.times
    }

    /// Offsets in the chunk, one per row, ascending.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// What the offsets stand for.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Places in the source partition, one per row, ascending.
    pub fn positions(&self) -> impl DoubleEndedIterator<Item = Position> + '_ {
        self.offsets.iter().map(|offset| self.places.at(*offset))
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The rows of these numbers, in a batch that shares its memory with this one.
    #[must_use]
    pub fn sliced(&self, rows: Range<usize>) -> Rows {
        Rows {
            batch: self.batch.slice(rows.start, rows.len()),
            times: self.times[rows.clone()].to_vec(),
            offsets: self.offsets[rows].to_vec(),
            places: self.places.clone(),
        }
    }

    /// About how many bytes they take in memory.
    pub fn bytes(&self) -> usize {
        let numbers = 8 * self.len();
        let column = |array: &ArrayRef| match array.as_string_opt::<i32>() {
            Some(texts) => {
                let ends = texts.value_offsets();
                let of_texts = ends.first().zip(ends.last()).map_or(0, |(first, last)| first.abs_diff(*last) as usize);
                of_texts + 4 * self.len()
            }
            None => numbers,
        };
        2 * numbers + self.batch.columns().iter().map(column).sum::<usize>()
    }

    /// Copies the rows of these numbers out, in this order.
    ///
    /// # Errors
    /// When a number lies past the end.
    pub fn picked(&self, numbers: &[u32]) -> Result<Rows, ArrowError> {
        let batch = take_record_batch(&self.batch, &UInt32Array::from(numbers.to_vec()))?;
        let line = |number: &u32| Some((*self.times.get(*number as usize)?, *self.offsets.get(*number as usize)?));
        let (times, offsets) = numbers.iter().filter_map(line).unzip();
        let rows =
            Rows::new(batch, times, offsets).map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?;
        Ok(rows.placed(self.places.clone()))
    }
}

/// What decode gives for one chunk: the rows in the columns that were asked for, and the records that are none.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Typed rows.
    pub rows: Rows,
    /// Records that could not be decoded or typed, in order.
    pub rejects: Vec<Reject>,
}

/// What select gives for one chunk: rows in partition order of columns, with a mark for those that a filter drops.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// All decoded rows, also those that a filter drops: their event times move the watermark.
    pub rows: Rows,
    /// `true` for rows that stay.
    pub keep: Vec<bool>,
    /// Records that could not be used, in order.
    pub rejects: Vec<Reject>,
    /// Offsets of records that a hook dropped before they were decoded, in order.
    pub dropped: Vec<u64>,
    /// The chunk that the rows were decoded from.
    pub chunk: Chunk,
}

/// Row accounting (E3): `read = written + late + filtered + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows in the first revision of their partition.
    pub written: u64,
    /// Rows that came after their interval had closed and are in a later revision.
    pub late: u64,
    /// Rows that a filter dropped, and records that a hook did.
    pub filtered: u64,
    /// Records that could not be used.
    pub rejected: u64,
}

impl Tally {
    /// All records that this tally accounts for.
    pub fn read(&self) -> u64 {
        self.written + self.late + self.filtered + self.rejected
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Tally) {
        self.written += other.written;
        self.late += other.late;
        self.filtered += other.filtered;
        self.rejected += other.rejected;
    }
}
