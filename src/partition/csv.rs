//! Rows as lines of CSV: fixed routines, one for each type of column, that write into one buffer and allocate nothing
//! else. A field is quoted only where it must be; whether any of a column must is found for all its rows at once.
//!
//! A float is written in the fewest digits that read back as the same number, and with a point where it
//! has no exponent. Most have few
//! decimals: an integer divided by a power of ten is the number itself, and then the integer's digits are the decimals
//! (below 10^15 there is one such integer at most, so none is shorter). The others go the general way.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Schema};
use memchr::{memchr, memchr3};

use crate::model::copy;

/// Rows that are written at a time, into room that is made for all of them.
const BLOCK_ROWS: usize = 256;
/// What is at most so long is copied in one piece of this size.
const SHORT: usize = 32;
/// No number here has more bytes.
const NUMBER_MAX: usize = 32;

/// Adds the names of the columns as a line.
pub(super) fn header(schema: &Schema, to: &mut Vec<u8>) {
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        let name = field.name().as_bytes();
        if must_be_quoted(name) { quoted(name).for_each(|byte| to.push(byte)) } else { to.extend_from_slice(name) }
    }
    to.push(b'\n');
}

/// Adds the rows as lines.
///
/// # Errors
/// When a column is of a type that rows do not have.
pub(super) fn lines(batch: &RecordBatch, to: &mut Vec<u8>) -> Result<(), ArrowError> {
    let columns = batch.columns().iter().map(Column::of).collect::<Result<Vec<_>, _>>()?;
    to.reserve(batch.num_rows() * columns.iter().map(Column::usual_bytes).sum::<usize>());
    for first in (0..batch.num_rows()).step_by(BLOCK_ROWS) {
        let rows = first..batch.num_rows().min(first + BLOCK_ROWS);
        let (begin, most) = (to.len(), columns.iter().map(|column| column.bytes_max(rows.clone())).sum::<usize>());
        to.resize(begin + most + SHORT, 0);
        let mut line = Line { bytes: &mut to[begin..], at: 0 };
        for row in rows {
            for column in &columns {
                column.field(row, &mut line);
                line.byte(b',');
            }
            line.end();
        }
        let written = line.at;
        to.truncate(begin + written);
    }
    Ok(())
}

/// Where lines are written, and how far.
struct Line<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Line<'_> {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.at] = byte;
        self.at += 1;
    }

    /// The last byte ends the line.
    #[inline]
    fn end(&mut self) {
        if let Some(last) = self.at.checked_sub(1) {
            self.bytes[last] = b'\n';
        }
    }

    /// The first `length` of these bytes.
    #[inline]
    fn begin_of(&mut self, bytes: &[u8], length: usize) {
        copy::<SHORT>(bytes, &mut self.bytes[self.at..], length);
        self.at += length;
    }
}

enum Column<'a> {
    Text { ends: &'a [i32], bytes: &'a [u8], is_plain: bool },
    Integer(&'a Int64Array),
    Float(&'a Float64Array),
}

impl<'a> Column<'a> {
    fn of(array: &'a ArrayRef) -> Result<Column<'a>, ArrowError> {
        Ok(match array.data_type() {
            DataType::Utf8 => {
                let texts: &StringArray = array.as_string::<i32>();
                let (ends, bytes) = (texts.value_offsets(), texts.value_data());
                let span = &bytes[span(ends, 0..texts.len())];
                Column::Text { ends, bytes, is_plain: !must_be_quoted(span) }
            }
            DataType::Int64 => Column::Integer(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Column::Float(array.as_primitive::<Float64Type>()),
            other => return Err(ArrowError::NotYetImplemented(format!("{other} as CSV"))),
        })
    }

    /// About how many bytes a field and its comma have.
    fn usual_bytes(&self) -> usize {
        match self {
            Column::Text { ends, .. } => {
                let rows = ends.len().saturating_sub(1);
                span(ends, 0..rows).len() / rows.max(1) + 2
            }
            Column::Integer(_) => 8,
            Column::Float(_) => 10,
        }
    }

    /// More bytes than these rows' fields and commas have: of a text that is quoted each may be two.
    fn bytes_max(&self, rows: Range<usize>) -> usize {
        match self {
            Column::Text { ends, is_plain: true, .. } => rows.len() + span(ends, rows).len(),
            Column::Text { ends, .. } => 3 * rows.len() + 2 * span(ends, rows).len(),
            Column::Integer(_) | Column::Float(_) => (NUMBER_MAX + 1) * rows.len(),
        }
    }

    #[inline]
    fn field(&self, row: usize, line: &mut Line<'_>) {
        match self {
            Column::Text { ends, bytes, is_plain } => {
                let span = span(ends, row..row + 1);
                let value = &bytes[span.clone()];
                if *is_plain || !must_be_quoted(value) {
                    line.begin_of(&bytes[span.start..], span.len());
                } else {
                    quoted(value).for_each(|byte| line.byte(byte));
                }
            }
            Column::Integer(values) if values.is_valid(row) => integer(values.value(row), line),
            Column::Float(values) if values.is_valid(row) => float(values.value(row), line),
            Column::Integer(_) | Column::Float(_) => {}
        }
    }
}

/// Where the texts of some rows are.
#[inline]
fn span(ends: &[i32], rows: Range<usize>) -> Range<usize> {
    let index = |row: usize| usize::try_from(ends[row]).unwrap_or(0);
    index(rows.start)..index(rows.end)
}

fn must_be_quoted(bytes: &[u8]) -> bool {
    memchr3(b',', b'"', b'\n', bytes).is_some() || memchr(b'\r', bytes).is_some()
}

fn quoted(value: &[u8]) -> impl Iterator<Item = u8> {
    let doubled = value.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    std::iter::once(b'"').chain(doubled).chain(std::iter::once(b'"'))
}

/// The digits of all numbers of two digits.
const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// As many digits as any number here has.
const DIGITS_MAX: usize = 20;

/// Digits that end at [`DIGITS_MAX`], with room behind to be copied in one piece.
type Digits = [u8; DIGITS_MAX + SHORT];

fn integer(value: i64, line: &mut Line<'_>) {
    if value < 0 {
        line.byte(b'-');
    }
    whole(value.unsigned_abs(), line);
}

fn whole(value: u64, line: &mut Line<'_>) {
    let mut digits: Digits = [b'0'; DIGITS_MAX + SHORT];
    let start = put(value, &mut digits);
    line.begin_of(&digits[start..], DIGITS_MAX - start);
}

/// Writes a number at the end of the digits; gives where it begins.
fn put(mut value: u64, digits: &mut Digits) -> usize {
    let mut at = DIGITS_MAX;
    while value >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(pair(value % 100));
        value /= 100;
    }
    if value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(pair(value));
    } else {
        at -= 1;
        digits[at] = pair(value)[1];
    }
    at
}

fn pair(value: u64) -> &'static [u8] {
    let at = usize::try_from(value * 2).unwrap_or(0);
    PAIRS.get(at..at + 2).unwrap_or(b"00")
}

/// How many decimals are tried, and what an integer is divided by to have them.
const DECIMALS: [(usize, u64, f64); 3] = [(2, 100, 1e2), (4, 10_000, 1e4), (6, 1_000_000, 1e6)];
/// Below it, nothing is written with an exponent.
const FIXED_END: f64 = 1e15;
/// All integers up to here are floats, and decimals of so many digits are told apart.
const EXACT_END: f64 = 1e15;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked bounds"
)]
fn float(value: f64, line: &mut Line<'_>) {
    let size = value.abs();
    if (1e-4..FIXED_END).contains(&size) {
        for (decimals, factor, scale) in DECIMALS {
            let scaled = (size * scale + 0.5) as u64;
            if (scaled as f64) < EXACT_END && scaled as f64 / scale == size {
                if value < 0.0 {
                    line.byte(b'-');
                }
                return fixed(scaled, decimals, factor, line);
            }
        }
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format(value).as_bytes();
    line.begin_of(shortest, shortest.len());
}

/// Writes `scaled / factor`, `factor` being `10^decimals`, without needless zeros.
fn fixed(scaled: u64, decimals: usize, factor: u64, line: &mut Line<'_>) {
    whole(scaled / factor, line);
    let mut digits: Digits = [b'0'; DIGITS_MAX + SHORT];
    put(scaled % factor, &mut digits);
    let behind = &digits[DIGITS_MAX - decimals..];
    let kept = behind[..decimals].iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    line.byte(b'.');
    line.begin_of(behind, kept);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::Field;
    use proptest::prelude::*;

    use super::*;

    fn batch(texts: Vec<String>, integers: Vec<Option<i64>>, floats: Vec<Option<f64>>) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("te,xt", DataType::Utf8, false),
            Field::new("integer", DataType::Int64, true),
            Field::new("float", DataType::Float64, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(texts)),
            Arc::new(Int64Array::from(integers)),
            Arc::new(Float64Array::from(floats)),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    fn ours(batch: &RecordBatch) -> String {
        let mut to = Vec::new();
        header(&batch.schema(), &mut to);
        lines(batch, &mut to).unwrap();
        String::from_utf8(to).unwrap()
    }

    fn arrows(batch: &RecordBatch) -> String {
        let mut to = Vec::new();
        arrow_csv::Writer::new(&mut to).write(batch).unwrap();
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_library_writes_them() {
        let floats = [
            0.0,
            -0.0,
            1.0,
            152.07,
            -0.5,
            0.1 + 0.2,
            1e8,
            123_456_789.125,
            999_999_999.99,
            1e9,
            1e15,
            1e16,
            1.5e300,
            5e-324,
            1e-4,
            1e-5,
            1.5e-5,
            0.000_123_456,
            1_234_567_890.5,
            f64::MAX,
            100.0,
            1e-6,
            0.000_099,
            2.5e-4,
        ];
        let count = floats.len();
        let integers: Vec<Option<i64>> = [0, 7, -1, 10, 99, 100, i64::MAX, i64::MIN].map(Some).to_vec();
        let integers = integers.into_iter().chain(std::iter::repeat(None)).take(count).collect();
        let batch = batch(vec![String::new(); count], integers, floats.map(Some).to_vec());
        assert_eq!(ours(&batch), arrows(&batch));
    }

    #[test]
    fn a_slice_is_written_as_it_is() {
        let whole = batch(
            ["a", "b,", "c"].map(String::from).to_vec(),
            vec![Some(1), None, Some(3)],
            vec![None, Some(0.5), None],
        );
        let part = whole.slice(1, 2);
        assert_eq!(ours(&part), "\"te,xt\",integer,float\n\"b,\",,0.5\nc,3,\n");
    }

    proptest! {
        /// The same bytes as arrow-csv, whatever is in the columns.
        #[test]
        fn lines_are_those_of_the_library(rows in proptest::collection::vec(
            ("[a-z,\"\n\r é]{0,12}", any::<Option<i64>>(), prop_oneof![
                any::<Option<f64>>().prop_map(|value| value.filter(|value| value.is_finite())),
                any::<i64>().prop_map(|value| Some(value as f64 / 100.0)),
                (-1_000_000_000_i64..1_000_000_000, 0..8).prop_map(|(value, power)| Some(value as f64 / 10f64.powi(power))),
            ]), 1..20)) {
            let (texts, (integers, floats)) = rows.into_iter().map(|(a, b, c)| (a, (b, c))).unzip();
            let batch = batch(texts, integers, floats);
            prop_assert_eq!(ours(&batch), arrows(&batch));
        }
    }
}
