use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use bytes::Bytes;

use super::*;
use crate::model::{MeasureType, Position, Rows, SourcePartition, Timestamp};

fn settings(filters: &[(&str, &[&str])]) -> Settings {
    let text = |text: &&str| (*text).to_owned();
    Settings {
        columns: Columns {
            dimensions: vec!["marketplace".to_owned()],
            timestamp: "time".to_owned(),
            keep: Vec::new(),
            measures: vec![("views".to_owned(), MeasureType::Integer), ("revenue".to_owned(), MeasureType::Float)],
        },
        filters: filters
            .iter()
            .map(|(column, values)| Filter { column: text(column), values: values.iter().map(text).collect() })
            .collect(),
    }
}

/// Three rows as decode would give them.
fn decoded(settings: &Settings) -> Decoded {
    let array = |name: &str| -> ArrayRef {
        match name {
            "marketplace" => Arc::new(StringArray::from(vec!["us", "de", ""])),
            "platform" => Arc::new(StringArray::from(vec!["web", "app", "web"])),
            "time" => Arc::new(StringArray::from(vec!["1", "2", "3"])),
            "views" => Arc::new(Int64Array::from(vec![Some(1), Some(2), None])),
            "revenue" => Arc::new(Float64Array::from(vec![Some(0.5), Some(5.0), None])),
            other => panic!("{other}"),
        }
    };
    let columns = settings.decode_columns();
    let arrays = columns.iter().map(|(name, _)| array(name)).collect();
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind)| Field::new(name, kind.data_type(), *kind != ColumnType::Text)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    Decoded { rows: Rows::new(batch, vec![Timestamp::MIN; 3], vec![0, 10, 20]).unwrap(), rejects: Vec::new() }
}

fn keep(filters: &[(&str, &[&str])]) -> Vec<bool> {
    let settings = settings(filters);
    let chunk = Chunk::of_bytes(SourcePartition::new("p"), 0, Bytes::new(), Position::Offset(30));
    let batch = Selector::new(&settings).unwrap().select(chunk, decoded(&settings)).unwrap();
    assert_eq!(batch.rows.batch().schema(), settings.columns.schema());
    assert_eq!((batch.chunk.read_to, batch.rows.len()), (Position::Offset(30), 3));
    batch.keep
}

#[test]
fn columns_are_joined_by_and_and_values_by_or() {
    assert_eq!(keep(&[]), [true, true, true]);
    assert_eq!(keep(&[("marketplace", &["us", "de"])]), [true, true, false]);
    assert_eq!(keep(&[("marketplace", &["us", "de"]), ("platform", &["app"])]), [false, true, false]);
    assert_eq!(keep(&[("marketplace", &[""])]), [false, false, true]);
    assert_eq!(keep(&[("time", &["3"])]), [false, false, true]);
    assert_eq!(keep(&[("platform", &[])]), [false, false, false]);
}

#[test]
fn measures_compare_as_numbers() {
    assert_eq!(keep(&[("views", &["1", " 2"])]), [true, true, false]);
    assert_eq!(keep(&[("revenue", &["5", ".5"])]), [true, true, false]);
    assert_eq!(keep(&[("revenue", &[""])]), [false, false, true]);
    let error = Selector::new(&settings(&[("views", &["many"])])).unwrap_err();
    assert_eq!(error.to_string(), "filter on `views`: `many` is not an integer, as the values of this measure are");
}

#[test]
fn decode_is_asked_for_each_column_once() {
    let columns = settings(&[("platform", &["a"]), ("marketplace", &["a"]), ("platform", &["b"])]).decode_columns();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["marketplace", "time", "views", "revenue", "platform"]);
}

#[test]
fn a_batch_of_other_columns_is_an_error() {
    let chunk = Chunk::of_bytes(SourcePartition::new("p"), 0, Bytes::new(), Position::End);
    let mut selector = Selector::new(&settings(&[("platform", &["a"])])).unwrap();
    assert!(selector.select(chunk, decoded(&settings(&[]))).is_err());
}
