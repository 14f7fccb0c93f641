//! Reference data: tables that are joined to the rows on a key, and give them more columns, all of them text. A row
//! without a match keeps empty texts, or is a reject, as the table is told. Which version of a table there is, and when it is
//! read again, is not decided here.
//!
//! A column that a table gives is not asked for in the records; the columns of its key are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use bytes::Bytes;

use super::SelectError;
use crate::model::{Chunk, ColumnType, Decoded, Framing, Reason, Reject, Rows};

/// What becomes of a row without a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Its columns of the table are empty texts.
    Keep,
    /// It is a reject.
    Reject,
}

/// What a table is joined by, and what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Columns of the records and, for each, the column of the table that must have the same text.
    pub key: Vec<(String, String)>,
    /// Columns of the table that rows get.
    pub columns: Vec<String>,
    /// What becomes of a row without a match.
    pub missing: Missing,
}

/// One version of a table: by the texts of the key, those of the columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Only looked up, never walked.
    rows: HashMap<Box<[u8]>, Box<[Box<str>]>>,
}

/// A table that cannot be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A column is not there.
    #[error("has no column `{0}`")]
    Column(String),
    /// A key is there more than once, with different columns.
    #[error("has the key `{0}` twice, with different values; hint: a row can have one match only")]
    Twice(String),
}

impl Reference {
    /// The columns of the table that are needed: of the key, then those that rows get.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|(_, column)| column).chain(&self.columns).map(String::as_str)
    }
}

impl Table {
    /// Takes a row in: the texts of its key and of its columns.
    ///
    /// # Errors
    /// When the key is there with other columns.
    pub fn add(&mut self, key: &[&str], columns: &[&str]) -> Result<(), TableError> {
        let columns: Box<[Box<str>]> = columns.iter().map(|text| Box::from(*text)).collect();
        let mut place = Vec::new();
        key.iter().for_each(|text| push(&mut place, text));
        match self.rows.insert(place.into(), columns.clone()) {
            Some(before) if before != columns => Err(TableError::Twice(key.join(", "))),
            _ => Ok(()),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Each text with its size before it, so that texts that join alike stay apart.
fn push(place: &mut Vec<u8>, text: &str) {
    place.extend_from_slice(&(text.len() as u64).to_le_bytes());
    place.extend_from_slice(text.as_bytes());
}

/// Joins rows to tables.
#[derive(Clone, Debug)]
pub struct Joiner {
    /// Columns of the rows as they come out.
    wanted: Vec<(String, ColumnType)>,
    tables: Vec<(Reference, Arc<Table>)>,
    framing: Framing,
    record_bytes_max: usize,
}

impl Joiner {
    /// Gives rows these columns. Records are cut as `framing` says, at most so long.
    pub fn new(
        wanted: Vec<(String, ColumnType)>,
        tables: Vec<(Reference, Arc<Table>)>,
        framing: Framing,
        record_bytes_max: usize,
    ) -> Joiner {
        Joiner { wanted, tables, framing, record_bytes_max }
    }

    /// What decode must give: the wanted columns that no table gives, in order, then those of keys that are not among them.
    pub fn decode_columns(&self) -> Vec<(String, ColumnType)> {
        let is_given = |name: &String| self.tables.iter().any(|(table, _)| table.columns.contains(name));
        let mut columns: Vec<(String, ColumnType)> =
            self.wanted.iter().filter(|(name, _)| !is_given(name)).cloned().collect();
        for (column, _) in self.tables.iter().flat_map(|(table, _)| &table.key) {
            if !columns.iter().any(|(name, _)| name == column) {
                columns.push((column.clone(), ColumnType::Text));
            }
        }
        columns
    }

    /// Gives the rows of a chunk the columns of the tables.
    ///
    /// # Errors
    /// When the rows do not have the columns of [`Joiner::decode_columns`].
    pub fn join(&self, chunk: &Chunk, decoded: Decoded) -> Result<Decoded, SelectError> {
        if self.tables.is_empty() {
            return Ok(decoded);
        }
        let Decoded { rows, mut rejects } = decoded;
        let batch = rows.batch();
        let mut given: Vec<(&str, ArrayRef)> = Vec::new();
        // for each row that stays without a match: the key
        let mut unmatched: Vec<Option<Reason>> = vec![None; batch.num_rows()];
        for (reference, table) in &self.tables {
            let keys: Vec<Texts<'_>> =
                reference.key.iter().map(|(column, _)| Texts::of(batch, column)).collect::<Result<_, _>>()?;
            let mut place = Vec::new();
            let mut found: Vec<Option<&[Box<str>]>> = Vec::with_capacity(batch.num_rows());
            for (row, unmatched) in unmatched.iter_mut().enumerate() {
                place.clear();
                keys.iter().for_each(|key| push(&mut place, &key.at(row)));
                let columns = table.rows.get(place.as_slice()).map(|columns| &columns[..]);
                if columns.is_none() && reference.missing == Missing::Reject && unmatched.is_none() {
                    let columns: Vec<&str> = reference.key.iter().map(|(column, _)| column.as_str()).collect();
                    let values: Vec<String> = keys.iter().map(|key| key.at(row).into_owned()).collect();
                    *unmatched = Some(Reason::Unmatched { column: columns.join(", "), value: values.join(", ") });
                }
                found.push(columns);
            }
            for (at, column) in reference.columns.iter().enumerate() {
                let texts = found.iter().map(|columns| columns.map_or("", |columns| &columns[at]));
                given.push((column, Arc::new(StringArray::from_iter_values(texts))));
            }
        }
        let column = |name: &str| {
            let given = given.iter().find(|(other, _)| *other == name).map(|(_, array)| Arc::clone(array));
            given.or_else(|| batch.column_by_name(name).cloned()).ok_or_else(|| SelectError::Missing(name.to_owned()))
        };
        let arrays = self.wanted.iter().map(|(name, _)| column(name)).collect::<Result<Vec<_>, _>>()?;
        let field = |(name, kind): &(String, ColumnType)| Field::new(name, kind.data_type(), *kind != ColumnType::Text);
        let schema = Arc::new(Schema::new(self.wanted.iter().map(field).collect::<Vec<_>>()));
        let joined = RecordBatch::try_new(schema, arrays)?;
        let joined = Rows::new(joined, rows.times().to_vec(), rows.offsets().to_vec())?.placed(rows.places().clone());
        if unmatched.iter().all(Option::is_none) {
            return Ok(Decoded { rows: joined, rejects });
        }
        let (mut kept, before) = (Vec::new(), rejects.len());
        for ((number, reason), offset) in (0..).zip(unmatched).zip(joined.offsets()) {
            match reason {
                None => kept.push(number),
                Some(reason) => rejects.push(self.reject(chunk, *offset, reason)),
            }
        }
        if before > 0 {
            rejects.sort_by_key(|reject| reject.offset);
        }
        Ok(Decoded { rows: joined.picked(&kept)?, rejects })
    }

    fn reject(&self, chunk: &Chunk, offset: u64, reason: Reason) -> Reject {
        let start = usize::try_from(offset.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        let rest = chunk.bytes.get(start..).unwrap_or_default();
        let end = self.framing.first_end(rest, self.record_bytes_max).unwrap_or(rest.len());
        let record = rest.get(..end).unwrap_or(rest);
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let bytes = Bytes::copy_from_slice(record.strip_suffix(b"\r").unwrap_or(record));
        Reject { partition: chunk.partition.clone(), offset, place: chunk.places.at(offset), bytes, reason }
    }
}

/// A column as texts.
enum Texts<'a> {
    Text(&'a StringArray),
    Integer(&'a arrow_array::Int64Array),
    Float(&'a arrow_array::Float64Array),
}

impl Texts<'_> {
    fn of<'a>(batch: &'a RecordBatch, name: &str) -> Result<Texts<'a>, SelectError> {
        let missing = || SelectError::Missing(name.to_owned());
        let column = batch.column_by_name(name).ok_or_else(missing)?;
        let text = column.as_string_opt::<i32>().map(Texts::Text);
        let integer = || column.as_primitive_opt::<Int64Type>().map(Texts::Integer);
        let float = || column.as_primitive_opt::<Float64Type>().map(Texts::Float);
        text.or_else(integer).or_else(float).ok_or_else(missing)
    }

    fn at(&self, row: usize) -> std::borrow::Cow<'_, str> {
        match self {
            Texts::Text(texts) => texts.value(row).into(),
            Texts::Integer(numbers) if numbers.is_valid(row) => numbers.value(row).to_string().into(),
            Texts::Float(numbers) if numbers.is_valid(row) => numbers.value(row).to_string().into(),
            Texts::Integer(_) | Texts::Float(_) => "".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;
    use crate::model::{Position, SourcePartition, Timestamp};

    const LINES: &[u8] = b"r0\nr1\r\nr2\nr3";

    fn chunk() -> Chunk {
        Chunk::of_bytes(SourcePartition::new("p"), 100, Bytes::from_static(LINES), Position::Offset(111))
    }

    fn wanted() -> Vec<(String, ColumnType)> {
        let text = |name: &str| (name.to_owned(), ColumnType::Text);
        vec![text("region"), text("at"), ("id".to_owned(), ColumnType::Integer), text("tier")]
    }

    fn joiner(missing: Missing) -> Joiner {
        let mut table = Table::default();
        table.add(&["7", "de"], &["eu", "gold"]).unwrap();
        table.add(&["8", "us"], &["na", ""]).unwrap();
        table.add(&["8", "us"], &["na", ""]).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let key = vec![pair("id", "shop_id"), pair("country", "cc")];
        let reference = Reference { key, columns: vec!["region".into(), "tier".into()], missing };
        Joiner::new(wanted(), vec![(reference, Arc::new(table))], Framing::Lines, 100)
    }

    fn decoded(joiner: &Joiner) -> Decoded {
        let names: Vec<String> = joiner.decode_columns().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["at", "id", "country"], "a column of the table is not asked for, one of its key is");
        let fields = [
            Field::new("at", ColumnType::Text.data_type(), false),
            Field::new("id", ColumnType::Integer.data_type(), true),
            Field::new("country", ColumnType::Text.data_type(), false),
        ];
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["0", "1", "2", "3"])),
            Arc::new(Int64Array::from(vec![Some(7), Some(8), None, Some(7)])),
            Arc::new(StringArray::from(vec!["de", "us", "us", "fr"])),
        ];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), arrays).unwrap();
        let rows = Rows::new(batch, vec![Timestamp::MIN; 4], vec![100, 103, 107, 110]).unwrap();
        Decoded { rows, rejects: Vec::new() }
    }

    fn texts(rows: &Rows, column: &str) -> Vec<String> {
        let column = rows.batch().column_by_name(column).unwrap().as_string::<i32>().clone();
        column.iter().map(|text| text.unwrap().to_owned()).collect()
    }

    #[test]
    fn rows_get_the_columns_of_their_match() {
        let joiner = joiner(Missing::Keep);
        let joined = joiner.join(&chunk(), decoded(&joiner)).unwrap();
        let names: Vec<String> = joined.rows.batch().schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["region", "at", "id", "tier"]);
        assert_eq!(texts(&joined.rows, "region"), ["eu", "na", "", ""]);
        assert_eq!(texts(&joined.rows, "tier"), ["gold", "", "", ""]);
        assert!(joined.rejects.is_empty());
    }

    #[test]
    fn rows_without_a_match_are_rejects_where_they_are_to_be() {
        let joiner = joiner(Missing::Reject);
        let joined = joiner.join(&chunk(), decoded(&joiner)).unwrap();
        assert_eq!((texts(&joined.rows, "at"), joined.rows.offsets()), (vec!["0".into(), "1".into()], &[100, 103][..]));
        let said: Vec<(u64, &[u8], String)> =
            joined.rejects.iter().map(|reject| (reject.offset, &reject.bytes[..], reject.reason.to_string())).collect();
        assert_eq!(said[0], (107, &b"r2"[..], "no reference data for `id, country` = `, us`".into()));
        assert_eq!(said[1], (110, &b"r3"[..], "no reference data for `id, country` = `7, fr`".into()));
    }

    #[test]
    fn a_key_has_one_match() {
        let mut table = Table::default();
        table.add(&["a", "bc"], &["x"]).unwrap();
        table.add(&["ab", "c"], &["y"]).unwrap();
        assert_eq!(table.add(&["a", "bc"], &["z"]), Err(TableError::Twice("a, bc".into())));
        assert_eq!(table.len(), 2);
    }
}
