//! Partitions become rows again: which intervals are there, and what their objects hold. Partitions that another job
//! wrote, without manifests, are read too: all visible objects of a folder count.
//!
//! CSV objects are handed on as chunks, so that the same decoder reads them that read the stream: live and backtest see
//! the same bits. Parquet objects are handed on as rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType};
use bytes::Bytes;
use chrono::NaiveDate;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::manifest::{Manifest, ManifestError, ObjectEntry};
use crate::model::{
    Area, Chunk, Columns, Format, Interval, Length, Object, ObjectPath, Position, Rows, RowsError, SourcePartition,
    Timestamp,
};
use crate::store::{Store, StoreError};

/// Reads partitions.
#[derive(Clone, Debug)]
pub struct Reader {
    store: Store,
    columns: Columns,
    length: Length,
    tree: Tree,
    reads_incomplete: bool,
}

/// Who wrote the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// We did: an interval is there when its manifest is.
    Ours,
    /// Another job: all visible objects of a folder count.
    Foreign,
}

/// One interval that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which interval.
    pub interval: Interval,
    /// Visible objects of its folder, by name.
    objects: Vec<String>,
    /// Whether it has a manifest of revision 0: it is complete, and what came in time is known.
    pub committed: bool,
}

impl Listed {
    /// An interval that is known to be committed.
    pub fn committed(interval: Interval) -> Listed {
        Listed { interval, objects: Vec::new(), committed: true }
    }
}

/// The objects of an interval, by name.
#[derive(Debug)]
pub struct Objects(Vec<(String, Bytes)>);

/// What the objects of an interval hold.
#[derive(Debug)]
pub enum Content {
    /// CSV, still to be decoded.
    Chunks(Vec<Chunk>),
    /// Rows.
    Rows(Vec<Rows>),
}

/// Partitions that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// An object that a manifest names is not there, or is not what it was.
    #[error(
        "`{name}` is missing or damaged: its manifest names {rows} rows; hint: restore it, or remove the partition"
    )]
    Damaged {
        /// The object.
        name: String,
        /// Rows it should hold.
        rows: u64,
    },
    /// A folder that starts no interval of the configured length.
    #[error(
        "`{folder}` starts no interval of {}; hint: set `interval.length` to what the partitions have",
        shown(*.length)
    )]
    Unaligned {
        /// The folder.
        folder: String,
        /// The configured length.
        length: Length,
    },
    /// A manifest that cannot be read.
    #[error("`{name}`: {source}")]
    Manifest {
        /// Its name.
        name: String,
        /// Why.
        source: ManifestError,
    },
    /// A Parquet object that cannot be read.
    #[error("`{name}` cannot be read as parquet: {source}")]
    Parquet {
        /// The object.
        name: String,
        /// Why.
        source: ParquetError,
    },
    /// A Parquet object without a column, or with one of another type.
    #[error("`{name}`: column `{column}` is missing or is not {wanted}")]
    Column {
        /// The object.
        name: String,
        /// The column.
        column: String,
        /// The type that it should have.
        wanted: DataType,
    },
    /// Rows that do not fit together.
    #[error("`{name}`: {source}")]
    Rows {
        /// The object.
        name: String,
        /// Why.
        source: RowsError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Reader {
    /// A reader of partitions with these columns and intervals of this length.
    pub fn new(store: Store, columns: Columns, length: Length, tree: Tree) -> Reader {
        Reader { store, columns, length, tree, reads_incomplete: false }
    }

    /// Sets whether intervals that the source's end cut short are read as well.
    #[must_use]
    pub fn with_incomplete(mut self, reads_incomplete: bool) -> Reader {
        self.reads_incomplete = reads_incomplete;
        self
    }

    /// The intervals that are there, in order, of local dates `from` to `to` inclusive.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<Listed>, ReadError> {
        let mut listed = Vec::new();
        for folder in self.folders(from, to).await? {
            listed.extend(self.list_date(&folder).await?);
        }
        Ok(listed)
    }

    /// Whether there is any interval of these dates; no more is listed than it takes to know.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn any(&self, from: NaiveDate, to: NaiveDate) -> Result<bool, ReadError> {
        for folder in self.folders(from, to).await? {
            if !self.list_date(&folder).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The folders of some dates: of others, nothing is listed but the name.
    async fn folders(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<String>, ReadError> {
        let mut folders = self.store.list_folders(Area::Data.folder()).await?;
        folders.retain(|folder| {
            let date = Area::Data.parse_date_folder(folder);
            date.is_some_and(|date| date >= from && date <= to)
        });
        Ok(folders)
    }

    async fn list_date(&self, folder: &str) -> Result<Vec<Listed>, ReadError> {
        let mut intervals = BTreeMap::new();
        for entry in self.store.list(folder).await? {
            self.note(&entry.name, &mut intervals)?;
        }
        let is_there = |listed: &Listed| listed.committed || self.tree == Tree::Foreign;
        Ok(intervals.into_values().filter(is_there).collect())
    }

    /// Reads what came in time for an interval: the objects of revision 0, or all where no manifest is there. None for an
    /// interval that the source's end cut short, if those are not wanted: it is not judged.
    ///
    /// # Errors
    /// When an object is missing or damaged.
    pub async fn read(&self, listed: &Listed) -> Result<Option<Objects>, ReadError> {
        let mut objects = Vec::new();
        if !listed.committed {
            for name in &listed.objects {
                // an object that went away since the listing was never committed
                objects.extend(self.store.get(name).await?.map(|bytes| (name.clone(), bytes)));
            }
            return Ok(Some(Objects(objects)));
        }
        let name = manifest_name(listed.interval);
        let manifest = manifest(&name, &self.store.get(&name).await?.unwrap_or_default())?;
        if !manifest.complete && !self.reads_incomplete {
            return Ok(None);
        }
        for entry in &manifest.objects {
            let name = object_name(listed.interval, entry);
            let bytes = self.store.get(&name).await?;
            objects.push(described(name, bytes, entry)?);
        }
        Ok(Some(Objects(objects)))
    }

    /// [`Reader::read`] in this thread, which waits for the disk. None where that cannot be done, or does not go well.
    pub fn read_now(&self, listed: &Listed) -> Option<Option<Objects>> {
        let get = |name: &str| self.store.get_now(name);
        if !listed.committed {
            let objects = listed.objects.iter().map(|name| Some((name.clone(), get(name)?)));
            return Some(Some(Objects(objects.collect::<Option<_>>()?)));
        }
        let name = manifest_name(listed.interval);
        let manifest = manifest(&name, &get(&name)?).ok()?;
        if !manifest.complete && !self.reads_incomplete {
            return Some(None);
        }
        let objects = manifest.objects.iter().map(|entry| {
            let name = object_name(listed.interval, entry);
            let bytes = get(&name);
            described(name, bytes, entry).ok()
        });
        Some(Some(Objects(objects.collect::<Option<_>>()?)))
    }

    /// Whether [`Reader::read_now`] can be asked.
    pub fn is_local(&self) -> bool {
        self.store.directory().is_some()
    }

    /// What objects hold. That of Parquet takes a while.
    ///
    /// # Errors
    /// When an object cannot be read.
    pub fn content(&self, objects: Objects) -> Result<Content, ReadError> {
        let (mut chunks, mut rows) = (Vec::new(), Vec::new());
        for (name, bytes) in objects.0 {
            if name.ends_with(Format::Parquet.extension()) {
                rows.extend(self.parquet(&name, bytes)?);
            } else {
                chunks.push(chunk(&name, bytes));
            }
        }
        Ok(if chunks.is_empty() { Content::Rows(rows) } else { Content::Chunks(chunks) })
    }

    fn note(&self, name: &str, intervals: &mut BTreeMap<Interval, Listed>) -> Result<(), ReadError> {
        let Some((folder, file)) = name.rsplit_once('/') else { return Ok(()) };
        let Some((_, interval)) = ObjectPath::parse_folder(folder, self.length) else {
            let mut finest = [60, 1].into_iter().filter_map(|seconds| Length::from_seconds(seconds).ok());
            if finest.any(|finest| ObjectPath::parse_folder(folder, finest).is_some()) {
                return Err(ReadError::Unaligned { folder: folder.to_owned(), length: self.length });
            }
            return Ok(());
        };
        let empty = || Listed { interval, objects: Vec::new(), committed: false };
        let listed = intervals.entry(interval).or_insert_with(empty);
        match ObjectPath::parse(name, self.length).map(|path| path.object) {
            Some(Object::Manifest { revision: 0 }) => listed.committed = true,
            _ if file.starts_with(['_', '.']) => {}
            _ => listed.objects.push(name.to_owned()),
        }
        Ok(())
    }

    fn parquet(&self, name: &str, bytes: Bytes) -> Result<Vec<Rows>, ReadError> {
        let failed = |source: ParquetError| ReadError::Parquet { name: name.to_owned(), source };
        let schema = self.columns.schema();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| {
            let wanted = schema.fields().iter().map(|field| field.name().as_str());
            let wanted = ProjectionMask::columns(builder.parquet_schema(), wanted);
            builder.with_projection(wanted).build()
        });
        let mut all = Vec::new();
        for batch in reader.map_err(failed)? {
            let batch = batch.map_err(|error| failed(error.into()))?;
            all.push(self.rows(name, &batch)?);
        }
        Ok(all)
    }

    /// Brings a batch into the order and types of our columns; the timestamp's text is not kept in Parquet and stays
    /// empty.
    fn rows(&self, name: &str, batch: &RecordBatch) -> Result<Rows, ReadError> {
        let missing =
            |column: &str, wanted| ReadError::Column { name: name.to_owned(), column: column.to_owned(), wanted };
        let schema = self.columns.schema();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut times = vec![Timestamp::MIN; batch.num_rows()];
        for (index, field) in schema.fields().iter().enumerate() {
            let array = batch.column_by_name(field.name());
            if index == self.columns.timestamp_index() {
                let micros = array.and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
                if let Some(micros) = micros {
                    times = micros.values().iter().map(|micros| instant(*micros)).collect();
                }
                arrays.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n("", batch.num_rows()))));
                continue;
            }
            match array {
                Some(array) if array.data_type() == field.data_type() => arrays.push(Arc::clone(array)),
                _ => return Err(missing(field.name(), field.data_type().clone())),
            }
        }
        let batch = RecordBatch::try_new(schema, arrays)
            .map_err(|error: ArrowError| ReadError::Parquet { name: name.to_owned(), source: error.into() })?;
        let offsets = (0..batch.num_rows() as u64).collect();
        Rows::new(batch, times, offsets).map_err(|source| ReadError::Rows { name: name.to_owned(), source })
    }
}

fn shown(length: Length) -> String {
    let seconds = length.seconds();
    if length.is_whole_minutes() { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") }
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap_or(Timestamp::MIN)
}

fn manifest_name(interval: Interval) -> String {
    ObjectPath { area: Area::Data, interval, object: Object::Manifest { revision: 0 } }.to_string()
}

fn manifest(name: &str, bytes: &[u8]) -> Result<Manifest, ReadError> {
    Manifest::from_json(bytes).map_err(|source| ReadError::Manifest { name: name.to_owned(), source })
}

fn object_name(interval: Interval, entry: &ObjectEntry) -> String {
    format!("{}/{}", ObjectPath::folder(Area::Data, interval), entry.name)
}

/// An object that a manifest names, if it is what it was.
fn described(name: String, bytes: Option<Bytes>, entry: &ObjectEntry) -> Result<(String, Bytes), ReadError> {
    match bytes {
        Some(bytes) if entry.describes(&bytes) => Ok((name, bytes)),
        _ => Err(ReadError::Damaged { name, rows: entry.rows }),
    }
}

/// A CSV object as a chunk: the first line is its header.
fn chunk(name: &str, bytes: Bytes) -> Chunk {
    let header_end = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |end| end + 1);
    let header = bytes.slice(..header_end);
    let (partition, rows) = (SourcePartition::new(name), bytes.slice(header_end..));
    Chunk::of_bytes(partition, header_end as u64, rows, Position::End).with_header(Some(header))
}
