//! Rows become the bytes of part objects. The same rows in the same order give the same bytes, whatever batches they
//! arrive in: CSV with a header, quoted only where needed, numbers in the shortest form that reads back exactly;
//! Parquet with the event time as a timestamp instead of its text.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::csv;
use super::manifest::ObjectEntry;
use crate::model::{Columns, Format, Rows};

/// A part may end after so many rows, or a multiple of them, and nowhere else.
const GROUP_ROWS: usize = 8192;

/// The bytes of one part object.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// Without its name.
    entry: ObjectEntry,
}

impl Part {
    fn new(rows: u64, bytes: Vec<u8>) -> Part {
        Part { entry: ObjectEntry::new(String::new(), rows, &bytes), bytes: Bytes::from(bytes) }
    }

    /// What a manifest says of it under a name.
    pub(super) fn described(self, name: String) -> ObjectEntry {
        ObjectEntry { name, ..self.entry }
    }
}

/// Rows that cannot be written in a format; a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// From Arrow.
    #[error("rows cannot be encoded: {0}")]
    Arrow(#[from] ArrowError),
    /// From Parquet.
    #[error("rows cannot be encoded as parquet: {0}")]
    Parquet(#[from] ParquetError),
}

/// Encodes rows into parts of about `bytes_max` each; no rows give no part.
pub(super) fn encode<'a>(
    rows: impl Iterator<Item = &'a Rows>,
    columns: &Columns,
    format: Format,
    bytes_max: usize,
) -> Result<Vec<Part>, EncodeError> {
    match format {
        Format::Csv => csv_parts(rows.map(|rows| rows.batch().clone()), bytes_max),
        Format::Parquet => {
            let schema = parquet_schema(columns);
            parquet(rows.map(|rows| with_timestamp(rows, columns, &schema)), &schema, bytes_max)
        }
    }
}

fn csv_parts(batches: impl Iterator<Item = RecordBatch>, bytes_max: usize) -> Result<Vec<Part>, EncodeError> {
    let mut parts = Vec::new();
    let (mut buffer, mut rows) = (Vec::new(), 0);
    for group in groups(batches) {
        for batch in group {
            if buffer.is_empty() {
                csv::header(&batch.schema(), &mut buffer);
            }
            csv::lines(&batch, &mut buffer)?;
            rows += batch.num_rows() as u64;
        }
        if buffer.len() >= bytes_max {
            parts.push(Part::new(rows, std::mem::take(&mut buffer)));
            rows = 0;
        }
    }
    if rows > 0 {
        parts.push(Part::new(rows, buffer));
    }
    Ok(parts)
}

fn parquet(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    schema: &SchemaRef,
    bytes_max: usize,
) -> Result<Vec<Part>, EncodeError> {
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("tidewatch".to_owned()).build();
    let batches = batches.collect::<Result<Vec<_>, _>>()?;
    let mut parts = Vec::new();
    let mut current: Option<(ArrowWriter<Vec<u8>>, u64)> = None;
    for group in groups(batches.into_iter()) {
        let (mut writer, rows) = match current.take() {
            Some(open) => open,
            None => (ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties.clone()))?, 0),
        };
        // pages break where a write ends, and elsewhere where a column may have gaps: a group is written at once, and its
        // columns have gaps if there is one in the group
        let batch = without_empty_masks(concat_batches(schema, &group)?)?;
        writer.write(&batch)?;
        let rows = rows + batch.num_rows() as u64;
        if writer.bytes_written() + writer.in_progress_size() >= bytes_max {
            parts.push(Part::new(rows, writer.into_inner()?));
        } else {
            current = Some((writer, rows));
        }
    }
    if let Some((writer, rows)) = current {
        parts.push(Part::new(rows, writer.into_inner()?));
    }
    Ok(parts)
}

/// The same rows; a column of which nothing is missing does not say what is missing, wherever it came from.
fn without_empty_masks(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let is_whole = |array: &ArrayRef| array.nulls().is_some_and(|nulls| nulls.null_count() == 0);
    let whole = |array: &ArrayRef| match array.data_type() {
        _ if !is_whole(array) => Arc::clone(array),
        DataType::Int64 => Arc::new(Int64Array::new(array.as_primitive::<Int64Type>().values().clone(), None)),
        DataType::Float64 => Arc::new(Float64Array::new(array.as_primitive::<Float64Type>().values().clone(), None)),
        _ => Arc::clone(array),
    };
    RecordBatch::try_new(batch.schema(), batch.columns().iter().map(whole).collect())
}

/// The same rows in groups of [`GROUP_ROWS`], the last one smaller, wherever their batches began and ended.
fn groups(batches: impl Iterator<Item = RecordBatch>) -> impl Iterator<Item = Vec<RecordBatch>> {
    let mut batches = batches.filter(|batch| batch.num_rows() > 0);
    let mut rest: Option<RecordBatch> = None;
    std::iter::from_fn(move || {
        let (mut group, mut rows) = (Vec::new(), 0);
        while rows < GROUP_ROWS {
            let Some(batch) = rest.take().or_else(|| batches.next()) else { break };
            let taken = batch.num_rows().min(GROUP_ROWS - rows);
            rest = (taken < batch.num_rows()).then(|| batch.slice(taken, batch.num_rows() - taken));
            group.push(batch.slice(0, taken));
            rows += taken;
        }
        (rows > 0).then_some(group)
    })
}

/// The columns of a Parquet part: as in memory, with the timestamp as microseconds in UTC.
fn parquet_schema(columns: &Columns) -> SchemaRef {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields: Vec<Arc<Field>> = columns.schema().fields().iter().cloned().collect();
    if let Some(field) = fields.get_mut(columns.timestamp_index()) {
        *field = Arc::new(Field::new(columns.timestamp.as_str(), timestamp, false));
    }
    Arc::new(Schema::new(fields))
}

fn with_timestamp(rows: &Rows, columns: &Columns, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let times = rows.times().iter().map(|time| time.micros());
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"));
    let mut arrays = rows.batch().columns().to_vec();
    if let Some(array) = arrays.get_mut(columns.timestamp_index()) {
        *array = times;
    }
    RecordBatch::try_new(Arc::clone(schema), arrays)
}
