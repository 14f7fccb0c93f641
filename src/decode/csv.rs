//! CSV records: finds the asked-for fields by the header's names. Fields are taken apart by [`CsvDialect`], which also
//! decides where a record ends.

use bytes::Bytes;

use super::value::Value;
use super::{BYTE_ORDER_MARK, DecodeError, Header, without_line_end};
use crate::model::{Chunk, CsvDialect, CsvEnd, CsvField, Framing, LINE_END_BYTES_MAX, Reason};

/// Finds fields.
#[derive(Debug)]
pub(super) struct Reader {
    dialect: CsvDialect,
    /// The asked-for names, in the order of the values.
    names: Vec<String>,
    /// For each field the index of its value, none where it is not asked for.
    slots: Vec<Option<usize>>,
    source: HeaderSource,
}

#[derive(Debug)]
enum HeaderSource {
    Configured,
    /// The header that `slots` was made for.
    Chunk(Option<Bytes>),
}

impl Reader {
    /// Looks for these names.
    pub(super) fn new(dialect: CsvDialect, header: Header, names: Vec<String>) -> Result<Reader, DecodeError> {
        let (slots, source) = match header {
            Header::FirstRecord => (Vec::new(), HeaderSource::Chunk(None)),
            Header::Names(header) => (slots(&names, &header, "decode.header")?, HeaderSource::Configured),
        };
        Ok(Reader { dialect, names, slots, source })
    }

    /// How records end.
    pub(super) fn framing(&self) -> Framing {
        Framing::Csv(self.dialect)
    }

    /// Takes the names from the chunk's header, if that is where they come from.
    pub(super) fn set_header(&mut self, chunk: &Chunk) -> Result<(), DecodeError> {
        let HeaderSource::Chunk(known) = &mut self.source else { return Ok(()) };
        let refused = |reason| DecodeError::Header { partition: chunk.partition.clone(), reason };
        let Some(header) = &chunk.header else {
            // nothing to decode needs no names
            return if chunk.bytes.is_empty() { Ok(()) } else { Err(refused("it is missing")) };
        };
        if known.as_ref() == Some(header) {
            return Ok(());
        }
        let record = without_line_end(header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(header));
        let record = std::str::from_utf8(record).map_err(|_| refused("it is not UTF-8"))?;
        let mut header_names = Vec::new();
        let end = self.dialect.fields(record.as_bytes(), |field| {
            header_names.push(field.text(record, self.dialect).into_owned());
        });
        if end == CsvEnd::OpenQuote {
            return Err(refused("a quote is not closed"));
        }
        self.slots = slots(&self.names, &header_names, chunk.partition.name())?;
        *known = Some(header.clone());
        Ok(())
    }

    /// Reads the record that begins at `at` where it has as many fields as the header and ends with a newline within the
    /// limit; gives where it ends, without its line end. So the most records are gone through once.
    pub(super) fn read_known<'a>(
        &self,
        text: &'a str,
        at: usize,
        record_bytes_max: usize,
        values: &mut [Value<'a>],
    ) -> Option<usize> {
        let (dialect, slots) = (self.dialect, &self.slots);
        // a blank line is no record, and looks like a field
        if slots.len() < 2 {
            return None;
        }
        let record = text.get(at..)?;
        let window = record.len().min(record_bytes_max.saturating_add(LINE_END_BYTES_MAX));
        let mut count = 0;
        let end = dialect.fields(&record.as_bytes()[..window], |field: CsvField| {
            if let Some(Some(slot)) = slots.get(count) {
                values[*slot] = Value::Text(field.text(record, dialect));
            }
            count += 1;
        });
        let CsvEnd::Newline { length } = end else { return None };
        let end = without_line_end(&record.as_bytes()[..length]).len();
        let is_blank = record.as_bytes()[..end].iter().all(|byte| matches!(byte, b' ' | b'\t'));
        (count == slots.len() && !is_blank).then_some(at + end)
    }

    /// Puts the fields of one record into `values`.
    pub(super) fn read<'a>(&mut self, record: &'a str, values: &mut [Value<'a>]) -> Result<(), Reason> {
        let (dialect, slots) = (self.dialect, &self.slots);
        let mut count = 0;
        let end = dialect.fields(record.as_bytes(), |field: CsvField| {
            if let Some(Some(slot)) = slots.get(count) {
                values[*slot] = Value::Text(field.text(record, dialect));
            }
            count += 1;
        });
        if end == CsvEnd::OpenQuote {
            return Err(Reason::Malformed("a quote is not closed".to_owned()));
        }
        if count != slots.len() {
            return Err(Reason::Malformed(format!("{count} fields where the header has {}", slots.len())));
        }
        Ok(())
    }
}

/// For each field of the header the index of its name among those asked for.
fn slots(names: &[String], header: &[String], place: &str) -> Result<Vec<Option<usize>>, DecodeError> {
    for name in names {
        let (column, place) = (name.clone(), place.to_owned());
        match header.iter().filter(|field| *field == name).count() {
            0 => return Err(DecodeError::UnknownColumn { column, place, names: header.to_vec() }),
            1 => {}
            _ => return Err(DecodeError::DoubleColumn { column, place }),
        }
    }
    Ok(header.iter().map(|field| names.iter().position(|name| name == field)).collect())
}
