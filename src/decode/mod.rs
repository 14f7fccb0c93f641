//! Bytes become typed rows, and records that cannot become one become rejects. Every record gives exactly one row or one
//! reject; blank lines (nothing but spaces and tabs) are no records. Nothing here panics on any bytes.
//!
//! A chunk is read in one pass. The asked-for values of a record are found first, as slices of the chunk; then the
//! timestamp is read and each value goes straight into its column's buffer; a record that fails there takes the
//! values it has already put back with it. So nothing is allocated per record.
//!
//! What a value means: text columns take strings, and numbers and booleans as they are written; numeric columns take
//! numbers and texts that are one. A missing, null or empty value is an empty text or a missing number; without a
//! timestamp a record is a reject.

mod column;
mod csv;
pub mod discover;
mod json;
mod number;
mod timestamp;
mod value;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use bytes::Bytes;

use self::column::Column;
use self::timestamp::TimeReader;
use self::value::{Value, shortened};
use crate::model::{
    Chunk, ColumnType, CsvDialect, Decoded, Framing, Places, Reason, Reject, Rows, RowsError, SourcePartition,
    Timestamp, Zone, nearest,
};

pub use self::timestamp::{FormatError, TimestampFormat};

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// One CSV record a line, or over several lines inside quotes.
    Csv {
        /// Delimiter and quote character.
        dialect: CsvDialect,
        /// Where the columns' names come from.
        header: Header,
    },
}

impl Format {
    /// How a source must cut between such records.
    pub fn framing(&self) -> Framing {
        match self {
            Format::JsonLines => Framing::Lines,
            Format::Csv { dialect, .. } => Framing::Csv(*dialect),
        }
    }

    /// Whether the first record of each source partition is a header.
    pub fn has_header(&self) -> bool {
        matches!(self, Format::Csv { header: Header::FirstRecord, .. })
    }
}

/// Where the names of CSV columns come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// The first record of each source partition, which comes with each chunk.
    FirstRecord,
    /// The configuration; the files have none.
    Names(Vec<String>),
}

/// What to decode and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How records are written.
    pub format: Format,
    /// The columns of the rows, in order.
    pub columns: Vec<(String, ColumnType)>,
    /// The column that holds the event time; it need not be one of `columns`.
    pub timestamp: String,
    /// How the event time is written.
    pub timestamp_format: TimestampFormat,
    /// The zone of an event time that does not name one.
    pub zone: Zone,
    /// A longer record is rejected.
    pub record_bytes_max: usize,
}

/// Why nothing of a source partition can be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// An asked-for column is not in the header.
    #[error("column `{column}` is not in the header of `{place}`, which has {}{}", listed(.names), hint(.column, .names))]
    UnknownColumn {
        /// The column.
        column: String,
        /// The source partition, or the configuration.
        place: String,
        /// What the header has.
        names: Vec<String>,
    },
    /// An asked-for column is in the header more than once.
    #[error(
        "column `{column}` is in the header of `{place}` more than once; hint: give the columns names of your own with `decode.header`"
    )]
    DoubleColumn {
        /// The column.
        column: String,
        /// The source partition, or the configuration.
        place: String,
    },
    /// The header is no CSV record, or the chunk has none.
    #[error("`{partition}` has no readable header: {reason}")]
    Header {
        /// The source partition.
        partition: SourcePartition,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Columns do not fit together: a mistake in this program.
    #[error("decoded columns do not fit together: {0}")]
    Columns(#[from] ArrowError),
    /// Rows do not fit together: a mistake in this program.
    #[error("decoded rows do not fit together: {0}")]
    Rows(#[from] RowsError),
}

/// A hint at the name that was meant, or nothing.
fn hint(column: &str, names: &[String]) -> String {
    let near = nearest(column, names.iter().map(String::as_str));
    near.map_or_else(String::new, |near| format!("; hint: did you mean `{near}`?"))
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Decodes chunks; holds what carries over from one to the next, which is nothing that changes a result.
#[derive(Debug)]
pub struct Decoder {
    reader: Reader,
    builder: Builder,
    record_bytes_max: usize,
}

/// Finds the values of a record.
#[derive(Debug)]
enum Reader {
    Json(json::Reader),
    Csv(csv::Reader),
}

impl Decoder {
    /// Prepares for these columns.
    ///
    /// # Errors
    /// When the configured names of a CSV without a header lack a column.
    pub fn new(settings: Settings) -> Result<Decoder, DecodeError> {
        let Settings { format, columns, timestamp, timestamp_format, zone, record_bytes_max } = settings;
        let mut slots: Vec<String> = Vec::new();
        let mut slot_of = |name: &str| match slots.iter().position(|slot| slot == name) {
            Some(slot) => slot,
            None => {
                slots.push(name.to_owned());
                slots.len() - 1
            }
        };
        let columns_of: Vec<(usize, ColumnType)> = columns.iter().map(|(name, kind)| (slot_of(name), *kind)).collect();
        let timestamp_slot = slot_of(&timestamp);
        let field = |(name, kind): &(String, ColumnType)| Field::new(name, kind.data_type(), *kind != ColumnType::Text);
        let builder = Builder {
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
            names: slots.clone(),
            columns: columns_of.into_iter().map(|(slot, kind)| (slot, Column::new(kind))).collect(),
            timestamp_slot,
            time_reader: TimeReader::new(timestamp_format, zone),
            times: Vec::new(),
            offsets: Vec::new(),
        };
        let reader = match format {
            Format::JsonLines => Reader::Json(json::Reader::new(slots)),
            Format::Csv { dialect, header } => Reader::Csv(csv::Reader::new(dialect, header, slots)?),
        };
        Ok(Decoder { reader, builder, record_bytes_max })
    }

    /// Decodes one chunk.
    ///
    /// # Errors
    /// When the chunk's header does not have the asked-for columns.
    pub fn decode(&mut self, chunk: &Chunk) -> Result<Decoded, DecodeError> {
        let mut rejects = Vec::new();
        let (framing, record_bytes_max) = match &mut self.reader {
            Reader::Json(_) => (Framing::Lines, self.record_bytes_max),
            Reader::Csv(reader) => {
                reader.set_header(chunk)?;
                (reader.framing(), self.record_bytes_max)
            }
        };
        // checked once for all records; only a chunk that fails is checked record by record
        let text = std::str::from_utf8(&chunk.bytes).ok();
        let mut values: Vec<Value<'_>> = vec![Value::Missing; self.builder.names.len()];
        let mut records = Records::of(chunk, framing, record_bytes_max);
        loop {
            let known = match (&mut self.reader, text) {
                (Reader::Json(reader), Some(text)) => records.take_known(|at| reader.read_known(text, at, &mut values)),
                (Reader::Csv(reader), Some(text)) => {
                    records.take_known(|at| reader.read_known(text, at, record_bytes_max, &mut values))
                }
                (_, None) => None,
            };
            let is_known = known.is_some();
            let Some(range) = known.or_else(|| records.next()) else { break };
            let bytes = &chunk.bytes[range.clone()];
            let offset = chunk.offset + range.start as u64;
            let done = if bytes.len() > record_bytes_max {
                Err(Reason::TooLong(record_bytes_max))
            } else if is_known {
                self.builder.push(&values, offset)
            } else if let Some(record) = text.map_or_else(|| std::str::from_utf8(bytes).ok(), |text| text.get(range)) {
                match &mut self.reader {
                    Reader::Json(reader) => reader.read(record, &mut values),
                    Reader::Csv(reader) => reader.read(record, &mut values),
                }
                .and_then(|()| self.builder.push(&values, offset))
            } else {
                Err(Reason::Malformed("not UTF-8".to_owned()))
            };
            if let Err(reason) = done {
                let kept = bytes.len().min(record_bytes_max.saturating_add(1));
                let bytes = Bytes::copy_from_slice(&bytes[..kept]);
                let (partition, place) = (chunk.partition.clone(), chunk.places.at(offset));
                rejects.push(Reject { partition, offset, place, bytes, reason });
            }
        }
        Ok(Decoded { rows: self.builder.finish()?.placed(chunk.places.clone()), rejects })
    }
}

/// The records of a chunk without their line ends, blank lines left out.
struct Records<'a> {
    bytes: &'a [u8],
    framing: Framing,
    record_bytes_max: usize,
    next: usize,
}

impl<'a> Records<'a> {
    fn of(chunk: &'a Chunk, framing: Framing, record_bytes_max: usize) -> Records<'a> {
        let bytes: &[u8] = &chunk.bytes;
        // a stream's records have each lost theirs
        let bom = chunk.places == Places::Bytes && chunk.offset == 0 && bytes.starts_with(BYTE_ORDER_MARK);
        Records { bytes, framing, record_bytes_max, next: if bom { BYTE_ORDER_MARK.len() } else { 0 } }
    }

    /// The next record where `find` knows what is there and where it ends, and nothing follows it on its line.
    fn take_known(&mut self, find: impl FnOnce(usize) -> Option<usize>) -> Option<Range<usize>> {
        let (start, end) = (self.next, find(self.next)?);
        self.next = match self.bytes.get(end..)? {
            [] => end,
            [b'\n', ..] => end + 1,
            [b'\r', b'\n', ..] => end + 2,
            _ => return None,
        };
        Some(start..end)
    }
}

impl Iterator for Records<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        while self.next < self.bytes.len() {
            let start = self.next;
            let length = self.framing.first_end(&self.bytes[start..], self.record_bytes_max);
            self.next = length.map_or(self.bytes.len(), |length| start + length);
            let end = start + without_line_end(&self.bytes[start..self.next]).len();
            if !self.bytes[start..end].iter().all(|byte| matches!(byte, b' ' | b'\t')) {
                return Some(start..end);
            }
        }
        None
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn without_line_end(record: &[u8]) -> &[u8] {
    match record {
        [before @ .., b'\r', b'\n'] | [before @ .., b'\n'] => before,
        whole => whole,
    }
}

/// Collects the rows of one chunk.
#[derive(Debug)]
struct Builder {
    schema: SchemaRef,
    /// The asked-for columns, each once.
    names: Vec<String>,
    /// For each column of the rows the index of its value.
    columns: Vec<(usize, Column)>,
    timestamp_slot: usize,
    time_reader: TimeReader,
    times: Vec<Timestamp>,
    offsets: Vec<u64>,
}

impl Builder {
    /// Adds one row, or nothing and says why.
    fn push(&mut self, values: &[Value<'_>], offset: u64) -> Result<(), Reason> {
        let time = self.time(&values[self.timestamp_slot])?;
        for at in 0..self.columns.len() {
            let (slot, column) = &mut self.columns[at];
            let value = &values[*slot];
            if let Err(wanted) = column.push(value) {
                let column = self.names[*slot].clone();
                let rows = self.times.len();
                self.columns[..at].iter_mut().for_each(|(_, column)| column.truncate(rows));
                return Err(Reason::WrongType { column, value: shortened(value.shown()), wanted });
            }
        }
        self.times.push(time);
        self.offsets.push(offset);
        Ok(())
    }

    fn time(&mut self, value: &Value<'_>) -> Result<Timestamp, Reason> {
        let column = || self.names[self.timestamp_slot].clone();
        let text = match value {
            Value::Missing => return Err(Reason::Missing(column())),
            Value::Text(text) => text.as_ref(),
            Value::Literal(text) => text,
            Value::Nested(_) => {
                return Err(Reason::WrongType {
                    column: column(),
                    value: shortened(value.shown()),
                    wanted: "a timestamp",
                });
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(Reason::Missing(column()));
        }
        match self.time_reader.read(text) {
            Some(time) => Ok(time),
            None => Err(Reason::Timestamp { column: column(), value: shortened(text) }),
        }
    }

    /// Gives the rows and begins anew.
    fn finish(&mut self) -> Result<Rows, DecodeError> {
        let rows = self.times.len();
        let arrays = self.columns.iter_mut().map(|(_, column)| column.finish()).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        let times = std::mem::replace(&mut self.times, Vec::with_capacity(rows));
        let offsets = std::mem::replace(&mut self.offsets, Vec::with_capacity(rows));
        Ok(Rows::new(batch, times, offsets)?)
    }
}

#[cfg(test)]
mod tests;
