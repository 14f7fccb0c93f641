//! The buffer of one column while a chunk is decoded: plain vectors, cheap to shorten again, that become an Arrow array
//! without a copy.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::number;
use super::value::Value;
use crate::model::ColumnType;

/// One column.
#[derive(Debug)]
pub(super) enum Column {
    /// `ends[i]` is where the text of row `i - 1` ends; the first is 0.
    Text {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
    Integer {
        values: Vec<i64>,
        valid: NullBufferBuilder,
    },
    Float {
        values: Vec<f64>,
        valid: NullBufferBuilder,
    },
}

impl Column {
    /// An empty column.
    pub(super) fn new(kind: ColumnType) -> Column {
        Column::with_capacity(kind, 0, 0)
    }

    fn with_capacity(kind: ColumnType, rows: usize, bytes: usize) -> Column {
        match kind {
            ColumnType::Text => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Column::Text { ends, bytes: Vec::with_capacity(bytes) }
            }
            ColumnType::Integer => {
                Column::Integer { values: Vec::with_capacity(rows), valid: NullBufferBuilder::new(rows) }
            }
            ColumnType::Float => {
                Column::Float { values: Vec::with_capacity(rows), valid: NullBufferBuilder::new(rows) }
            }
        }
    }

    /// Adds one value; fails with what was wanted and adds nothing where it is not of the column's type.
    pub(super) fn push(&mut self, value: &Value<'_>) -> Result<(), &'static str> {
        match self {
            Column::Text { ends, bytes } => {
                let text = match value {
                    Value::Missing => "",
                    Value::Text(text) => text,
                    Value::Literal(text) => text,
                    Value::Nested(_) => return Err("text"),
                };
                let end = i32::try_from(bytes.len() + text.len()).map_err(|_| "text of fewer than 2 GiB in a chunk")?;
                bytes.extend_from_slice(text.as_bytes());
                ends.push(end);
            }
            Column::Integer { values, valid } => {
                let number = numeric(value, number::integer).ok_or("an integer")?;
                values.push(number.unwrap_or_default());
                valid.append(number.is_some());
            }
            Column::Float { values, valid } => {
                let number = numeric(value, number::float).ok_or("a number")?;
                values.push(number.unwrap_or_default());
                valid.append(number.is_some());
            }
        }
        Ok(())
    }

    /// Drops all rows but the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        match self {
            Column::Text { ends, bytes } => {
                ends.truncate(rows + 1);
                let end = ends.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
                bytes.truncate(end);
            }
            Column::Integer { values, valid } => {
                values.truncate(rows);
                valid.truncate(rows);
            }
            Column::Float { values, valid } => {
                values.truncate(rows);
                valid.truncate(rows);
            }
        }
    }

    /// Gives the column and begins anew, with room for as much again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let next = match self {
            Column::Text { ends, bytes } => Column::with_capacity(ColumnType::Text, ends.len(), bytes.len()),
            Column::Integer { values, .. } => Column::with_capacity(ColumnType::Integer, values.len(), 0),
            Column::Float { values, .. } => Column::with_capacity(ColumnType::Float, values.len(), 0),
        };
        Ok(match std::mem::replace(self, next) {
            Column::Text { ends, bytes } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), None)?)
            }
            Column::Integer { values, valid } => {
                Arc::new(Int64Array::try_new(ScalarBuffer::from(values), valid.build())?)
            }
            Column::Float { values, valid } => {
                Arc::new(Float64Array::try_new(ScalarBuffer::from(values), valid.build())?)
            }
        })
    }
}

/// A number, none inside where the value is missing, or nothing where it is no number.
fn numeric<T>(value: &Value<'_>, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    let text = match value {
        Value::Missing => return Some(None),
        Value::Text(text) => text.trim(),
        Value::Literal(text) => text,
        Value::Nested(_) => return None,
    };
    if text.is_empty() { Some(None) } else { parse(text).map(Some) }
}
