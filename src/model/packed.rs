//! Rows packed row by row: what every row has in so many bytes, and behind all of these the texts, row after row. So a
//! row goes to one place, not to one per column, which is what scattering costs; and rows are put away as they are.
//! They become columns again when they are looked at.
//!
//! ```text
//! fixed   event time 8 | low half of the offset 4 | each number 8 | length of each text 1 | a bit for each number that
//!         is there
//! texts   each text of the row; one of 255 bytes or more has 255 for its length, and 4 bytes with it before the text
//! ```

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use super::{Places, Rows, Timestamp, copy};

const TIME_AT: usize = 0;
const OFFSET_AT: usize = 8;
const NUMBERS_AT: usize = 12;
/// The length of a text that stands before the text itself.
const LONG: u8 = u8::MAX;
const LONG_BYTES: usize = 4;
/// What is at most so long is copied in one piece of this size.
const SHORT: usize = 32;
pub(super) const SHORT_ROW: usize = 64;

/// Packed rows of one source partition, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    layout: Arc<Layout>,
    places: Places,
    rows: usize,
    /// Offset of the first row, and of the last.
    first: u64,
    last: u64,
    fixed: Vec<u8>,
    texts: Vec<u8>,
}

/// Rows of a batch on their way to packed ones: packed but for their texts.
#[derive(Debug)]
pub struct Packing<'a> {
    layout: Arc<Layout>,
    rows: &'a Rows,
    fixed: Vec<u8>,
    /// Ends and bytes of the texts of each column.
    texts: Vec<(&'a [i32], &'a [u8])>,
    /// Bytes that the texts of each row take.
    text_bytes: Vec<u32>,
}

/// Room for packed rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of what every row has.
    pub fixed: usize,
    /// Bytes of their texts.
    pub texts: usize,
}

impl Room {
    /// The same, or so much of each.
    #[must_use]
    pub fn at_most(self, bytes: usize) -> Room {
        Room { fixed: self.fixed.min(bytes), texts: self.texts.min(bytes) }
    }

    /// The same and an eighth more.
    #[must_use]
    pub fn and_some(self) -> Room {
        let and_some = |bytes: usize| if bytes == 0 { 0 } else { bytes + bytes / 8 + SHORT_ROW };
        Room { fixed: and_some(self.fixed), texts: and_some(self.texts) }
    }
}

/// Where in a row's bytes a column is.
#[derive(Debug, PartialEq)]
struct Layout {
    schema: SchemaRef,
    cells: Vec<Cell>,
    /// Where the bits of the numbers begin.
    valid_at: usize,
    /// Bytes of a row.
    width: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// The number, and which bit tells that it is there.
    Number { at: usize, bit: usize, is_integer: bool },
    /// The length.
    Text { at: usize },
}

impl Layout {
    fn of(schema: &SchemaRef) -> Result<Layout, ArrowError> {
        let fields = || schema.fields().iter().map(|field| field.data_type());
        let numbers = fields().filter(|kind| **kind != DataType::Utf8).count();
        let (mut number, mut text_at) = (0, NUMBERS_AT + 8 * numbers);
        let mut cells = Vec::with_capacity(schema.fields().len());
        for kind in fields() {
            cells.push(match kind {
                DataType::Utf8 => {
                    text_at += 1;
                    Cell::Text { at: text_at - 1 }
                }
                DataType::Int64 | DataType::Float64 => {
                    number += 1;
                    let is_integer = *kind == DataType::Int64;
                    Cell::Number { at: NUMBERS_AT + 8 * (number - 1), bit: number - 1, is_integer }
                }
                other => return Err(ArrowError::NotYetImplemented(format!("rows with {other}"))),
            });
        }
        let width = text_at + numbers.div_ceil(8);
        Ok(Layout { schema: Arc::clone(schema), cells, valid_at: text_at, width })
    }

    fn valid(&self, bit: usize) -> (usize, u8) {
        (self.valid_at + bit / 8, 1 << (bit % 8))
    }
}

impl<'a> Packing<'a> {
    /// Begins to pack rows.
    ///
    /// # Errors
    /// When a column is of a type that rows do not have.
    pub fn of(rows: &'a Rows) -> Result<Packing<'a>, ArrowError> {
        let batch = rows.batch();
        let layout = Layout::of(&batch.schema())?;
        let width = layout.width;
        let mut fixed = vec![0; rows.len() * width + SHORT_ROW];
        put(&mut fixed, (width, TIME_AT), rows.times().iter().map(|time| time.micros().to_le_bytes()));
        put(&mut fixed, (width, OFFSET_AT), rows.offsets().iter().map(|offset| low_half(*offset).to_le_bytes()));
        let (mut texts, mut text_bytes) = (Vec::new(), vec![0; rows.len()]);
        for (cell, array) in layout.cells.iter().zip(batch.columns()) {
            match *cell {
                Cell::Number { at, bit, is_integer } => {
                    if is_integer {
                        let values = array.as_primitive::<Int64Type>().values().iter();
                        put(&mut fixed, (width, at), values.map(|value| value.to_le_bytes()));
                    } else {
                        let values = array.as_primitive::<Float64Type>().values().iter();
                        put(&mut fixed, (width, at), values.map(|value| value.to_le_bytes()));
                    }
                    let (at, mask) = layout.valid(bit);
                    let rows = fixed.chunks_exact_mut(width);
                    match array.nulls() {
                        None => rows.for_each(|row| row[at] |= mask),
                        Some(nulls) => {
                            rows.zip(nulls).for_each(|(row, is_there)| row[at] |= if is_there { mask } else { 0 });
                        }
                    }
                }
                Cell::Text { at } => {
                    let array: &StringArray = array.as_string::<i32>();
                    let ends = array.value_offsets();
                    let lengths = || ends.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
                    put(&mut fixed, (width, at), lengths().map(|length| [u8::try_from(length).unwrap_or(LONG)]));
                    for (bytes, length) in text_bytes.iter_mut().zip(lengths()) {
                        *bytes += length + if length < u32::from(LONG) { 0 } else { LONG_BYTES as u32 };
                    }
                    texts.push((ends, array.value_data()));
                }
            }
        }
        Ok(Packing { layout: Arc::new(layout), rows, fixed, texts, text_bytes })
    }

    /// Appends runs of rows, none of them empty, to packed ones that [take](Packed::takes) them; gives by how many
    /// bytes.
    pub fn copy(&self, runs: &[Range<usize>], to: &mut Packed) -> usize {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return 0 };
        if to.rows == 0 {
            to.first = self.rows.offsets()[first.start];
        }
        to.last = self.rows.offsets()[last.end - 1];
        let count: usize = runs.iter().map(ExactSizeIterator::len).sum();
        let text_bytes: usize = runs.iter().flat_map(|run| &self.text_bytes[run.clone()]).map(|n| *n as usize).sum();
        let (fixed_bytes, step) =
            (count * self.layout.width, if self.layout.width <= SHORT { SHORT } else { SHORT_ROW });
        let (fixed_at, texts_at) = (to.fixed.len(), to.texts.len());
        to.fixed.resize(fixed_at + fixed_bytes + step, 0);
        to.texts.resize(texts_at + text_bytes + SHORT, 0);
        let (fixed, texts) = (&mut to.fixed[fixed_at..], &mut to.texts[texts_at..]);
        if step == SHORT {
            self.copy_rows::<SHORT>(runs, fixed, texts)
        } else {
            self.copy_rows::<SHORT_ROW>(runs, fixed, texts)
        }
        to.fixed.truncate(fixed_at + fixed_bytes);
        to.texts.truncate(texts_at + text_bytes);
        to.rows += count;
        fixed_bytes + text_bytes
    }

    fn copy_rows<const STEP: usize>(&self, runs: &[Range<usize>], fixed: &mut [u8], texts: &mut [u8]) {
        let width = self.layout.width;
        let (mut at, mut end) = (0, 0);
        for row in runs.iter().flat_map(Clone::clone) {
            copy::<STEP>(&self.fixed[row * width..], &mut fixed[at..], width);
            at += width;
            for (ends, bytes) in &self.texts {
                let (from, length) = (ends[row] as usize, ends[row].abs_diff(ends[row + 1]));
                if length >= u32::from(LONG) {
                    texts[end..end + LONG_BYTES].copy_from_slice(&length.to_le_bytes());
                    end += LONG_BYTES;
                }
                let length = length as usize;
                copy::<SHORT>(&bytes[from..], &mut texts[end..], length);
                end += length;
            }
        }
    }
}

/// Puts a value into each row's bytes.
fn put<const SIZE: usize>(fixed: &mut [u8], (width, at): (usize, usize), values: impl Iterator<Item = [u8; SIZE]>) {
    for (row, value) in fixed.chunks_exact_mut(width).zip(values) {
        row[at..at + SIZE].copy_from_slice(&value);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the other half follows from the first offset")]
fn low_half(offset: u64) -> u32 {
    offset as u32
}

impl Packed {
    /// No rows yet, of the columns and the source partition of these, with room for some.
    pub fn new(packing: &Packing<'_>, room: Room) -> Packed {
        let (fixed, texts) = (Vec::with_capacity(room.fixed), Vec::with_capacity(room.texts));
        let (layout, places) = (Arc::clone(&packing.layout), packing.rows.places().clone());
        Packed { layout, places, rows: 0, first: 0, last: 0, fixed, texts }
    }

    /// All of these rows.
    ///
    /// # Errors
    /// When a column is of a type that rows do not have.
    pub fn of(rows: &Rows) -> Result<Packed, ArrowError> {
        let packing = Packing::of(rows)?;
        let texts = packing.text_bytes.iter().map(|bytes| *bytes as usize).sum::<usize>() + SHORT;
        let mut packed = Packed::new(&packing, Room { fixed: packing.fixed.len(), texts });
        if !rows.is_empty() {
            packing.copy(std::slice::from_ref(&(0..rows.len())), &mut packed);
        }
        Ok(packed)
    }

    /// Whether these rows can stand behind those that are here.
    pub fn takes(&self, packing: &Packing<'_>) -> bool {
        let offsets = packing.rows.offsets();
        let follows = || offsets.first().is_none_or(|first| *first >= self.last);
        let is_near = || offsets.last().is_none_or(|last| last - self.first <= u64::from(u32::MAX));
        let is_alike = self.layout.cells == packing.layout.cells && self.places == *packing.rows.places();
        is_alike && (self.rows == 0 || follows() && is_near())
    }

    /// Whether their places are offsets of bytes, and not those of one batch.
    pub fn has_offsets(&self) -> bool {
        self.places == Places::Bytes
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The room that they take.
    pub fn room(&self) -> Room {
        Room { fixed: self.fixed.len(), texts: self.texts.len() }
    }

    /// Their bytes.
    pub fn bytes(&self) -> [&[u8]; 2] {
        [&self.fixed, &self.texts]
    }

    /// The same rows without their bytes, or with these, which are theirs.
    #[must_use]
    pub fn with_bytes(self, [fixed, texts]: [Vec<u8>; 2]) -> Packed {
        Packed { fixed, texts, ..self }
    }

    /// Makes columns of them.
    ///
    /// # Errors
    /// When their bytes are not those that they had.
    pub fn unpacked(&self) -> Result<Rows, ArrowError> {
        if self.fixed.len() != self.rows * self.layout.width {
            return Err(cut_short());
        }
        let instant = |bytes| Timestamp::from_micros(i64::from_le_bytes(bytes)).unwrap_or(Timestamp::MIN);
        let times = self.column(TIME_AT).map(instant).collect();
        let offset = |bytes| self.first + u64::from(u32::from_le_bytes(bytes).wrapping_sub(low_half(self.first)));
        let offsets = self.column(OFFSET_AT).map(offset).collect();
        let mut texts = self.unpacked_texts()?.into_iter();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.layout.cells.len());
        for cell in &self.layout.cells {
            arrays.push(match *cell {
                Cell::Text { .. } => Arc::new(texts.next().ok_or_else(cut_short)?),
                Cell::Number { at, bit, is_integer: true } => {
                    let values: Vec<i64> = self.column(at).map(i64::from_le_bytes).collect();
                    Arc::new(Int64Array::try_new(ScalarBuffer::from(values), self.nulls(bit))?)
                }
                Cell::Number { at, bit, is_integer: false } => {
                    let values: Vec<f64> = self.column(at).map(f64::from_le_bytes).collect();
                    Arc::new(Float64Array::try_new(ScalarBuffer::from(values), self.nulls(bit))?)
                }
            });
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.layout.schema), arrays)?;
        let rows = Rows::new(batch, times, offsets);
        Ok(rows.map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?.placed(self.places.clone()))
    }

    /// What every row has at a place.
    fn column<const SIZE: usize>(&self, at: usize) -> impl ExactSizeIterator<Item = [u8; SIZE]> {
        let value = move |row: &[u8]| row[at..].first_chunk().copied().unwrap_or([0; SIZE]);
        self.fixed.chunks_exact(self.layout.width).map(value)
    }

    fn nulls(&self, bit: usize) -> Option<NullBuffer> {
        let (at, mask) = self.layout.valid(bit);
        if self.column(at).all(|[byte]| byte & mask != 0) {
            return None;
        }
        let is_there = |row: usize| self.fixed[row * self.layout.width + at] & mask != 0;
        Some(NullBuffer::new(BooleanBuffer::collect_bool(self.rows, is_there)))
    }

    fn unpacked_texts(&self) -> Result<Vec<StringArray>, ArrowError> {
        struct Column {
            at: usize,
            ends: Vec<i32>,
            bytes: Vec<u8>,
            end: usize,
        }
        let column = |cell: &Cell| {
            let Cell::Text { at } = *cell else { return None };
            let bytes: usize = self.column(at).map(|[length]| usize::from(length)).sum();
            let mut ends = Vec::with_capacity(self.rows + 1);
            ends.push(0);
            Some(Column { at, ends, bytes: vec![0; bytes + SHORT], end: 0 })
        };
        let mut columns: Vec<Column> = self.layout.cells.iter().filter_map(column).collect();
        let mut from = &self.texts[..];
        for row in self.fixed.chunks_exact(self.layout.width) {
            for Column { at, ends, bytes, end } in &mut columns {
                let mut length = usize::from(row[*at]);
                if length == usize::from(LONG) {
                    let (before, rest) = from.split_first_chunk::<LONG_BYTES>().ok_or_else(cut_short)?;
                    (length, from) = (u32::from_le_bytes(*before) as usize, rest);
                }
                if length > from.len() {
                    return Err(cut_short());
                }
                if *end + length + SHORT > bytes.len() {
                    bytes.resize(*end + 2 * length + SHORT, 0);
                }
                copy::<SHORT>(from, &mut bytes[*end..], length);
                (from, *end) = (&from[length..], *end + length);
                ends.push(i32::try_from(*end).map_err(|_| ArrowError::OffsetOverflowError(*end))?);
            }
        }
        let array = |Column { ends, mut bytes, end, .. }: Column| {
            bytes.truncate(end);
            StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(bytes), None)
        };
        columns.into_iter().map(array).collect()
    }
}

fn cut_short() -> ArrowError {
    ArrowError::InvalidArgumentError("packed rows are cut short".to_owned())
}

#[cfg(test)]
mod tests;
