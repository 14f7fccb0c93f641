//! Rows become the bytes of part objects. The same rows in the same order give the same bytes, whatever batches they
//! arrive in: CSV with a header, quoted only where needed, numbers in the shortest form that reads back exactly;
//! Parquet with the event time as a timestamp instead of its text.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_csv::WriterBuilder;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::model::{Columns, Format, Rows};

/// Rows that go to the CSV writer at once; small, so that a part ends close to its limit.
const CSV_ROWS: usize = 8192;

/// The bytes of one part object.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) rows: u64,
    pub(super) bytes: Bytes,
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
        Format::Csv => csv(rows, bytes_max),
        Format::Parquet => parquet(rows, columns, bytes_max),
    }
}

fn csv<'a>(rows: impl Iterator<Item = &'a Rows>, bytes_max: usize) -> Result<Vec<Part>, EncodeError> {
    let mut parts = Vec::new();
    let (mut buffer, mut count) = (Vec::new(), 0);
    for slice in rows.flat_map(|rows| slices(rows.batch())) {
        WriterBuilder::new().with_header(buffer.is_empty()).build(&mut buffer).write(&slice)?;
        count += slice.num_rows() as u64;
        if buffer.len() >= bytes_max {
            parts.push(Part { rows: count, bytes: Bytes::from(std::mem::take(&mut buffer)) });
            count = 0;
        }
    }
    if count > 0 {
        parts.push(Part { rows: count, bytes: Bytes::from(buffer) });
    }
    Ok(parts)
}

fn slices(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(CSV_ROWS).map(move |from| batch.slice(from, CSV_ROWS.min(rows - from)))
}

fn parquet<'a>(
    rows: impl Iterator<Item = &'a Rows>,
    columns: &Columns,
    bytes_max: usize,
) -> Result<Vec<Part>, EncodeError> {
    let schema = parquet_schema(columns);
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("tidewatch".to_owned()).build();
    let open = || ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties.clone()));
    let mut parts = Vec::new();
    let mut current: Option<(ArrowWriter<Vec<u8>>, u64)> = None;
    for rows in rows.filter(|rows| !rows.is_empty()) {
        let (mut writer, count) = match current.take() {
            Some(open) => open,
            None => (open()?, 0),
        };
        writer.write(&with_timestamp(rows, columns, &schema)?)?;
        let count = count + rows.len() as u64;
        if writer.bytes_written() + writer.in_progress_size() >= bytes_max {
            parts.push(Part { rows: count, bytes: Bytes::from(writer.into_inner()?) });
        } else {
            current = Some((writer, count));
        }
    }
    if let Some((writer, rows)) = current {
        parts.push(Part { rows, bytes: Bytes::from(writer.into_inner()?) });
    }
    Ok(parts)
}

/// The columns of a Parquet part: as in memory, with the timestamp as microseconds in UTC.
pub(super) fn parquet_schema(columns: &Columns) -> SchemaRef {
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
