//! Reference tables: read where a job opens its source, and looked at for a change while it runs.
//!
//! A version of a table holds from the moment when a job opens its source with it. A job that finds another version at the
//! end of a micro-batch writes its checkpoint, and opens its source again, from where the earliest open interval began, as
//! after a restart. So the rule is one: **an interval, and a revision, has the version that was there when the job last
//! opened its source before the commit.** What is committed is never joined again, whatever was read of it twice; what is
//! judged are the columns that are in the partition, so a backtest over partitions, and a detector that learns from them,
//! need no table (D1). A crash is one more opening: where the table is as before, so are the bytes (E1).

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::error::JobError;
use crate::config::{Config, Reference};
use crate::model::{ColumnType, Format};
use crate::select::{Joiner, Table, TableError};
use crate::store::{Patience, Store, StoreError};

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// It is not there.
    #[error("reference table `{0}` is not there; hint: check `reference.url`")]
    Gone(String),
    /// It cannot be reached.
    #[error("reference table `{url}`: {source}")]
    Store {
        /// Its url.
        url: String,
        /// Why.
        source: Box<StoreError>,
    },
    /// It cannot be read.
    #[error("reference table `{url}` cannot be read: {reason}")]
    Unreadable {
        /// Its url.
        url: String,
        /// Why.
        reason: String,
    },
    /// It cannot be joined.
    #[error("reference table `{url}` {source}")]
    Table {
        /// Its url.
        url: String,
        /// Why.
        source: TableError,
    },
}

/// The tables of a job.
#[derive(Clone, Debug)]
pub(super) struct References {
    all: Vec<Loaded>,
}

#[derive(Clone, Debug)]
struct Loaded {
    settings: Reference,
    store: Store,
    table: Arc<Table>,
    checksum: u32,
    /// By the job's clock.
    looked: Duration,
    /// What was wrong with it when it was looked at last.
    told: Option<String>,
}

/// What a look at the tables came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing is new.
    Same,
    /// A table has changed, and can be joined.
    Changed,
    /// A table has come to be of no use: the one that is known stays.
    Unusable(String),
}

impl References {
    /// Reads all tables.
    pub(super) async fn load(config: &Config, now: Duration) -> Result<References, JobError> {
        let mut all = Vec::new();
        for settings in &config.references {
            let (folder, _) = settings.place().ok_or_else(|| ReferenceError::Gone(settings.url.clone()))?;
            let failed = |source| ReferenceError::Store { url: settings.url.clone(), source: Box::new(source) };
            let store = Store::open(folder, &config.store).await.map_err(failed)?;
            let (settings, table) = (settings.clone(), Arc::default());
            let mut loaded = Loaded { settings, store, table, checksum: 0, looked: now, told: None };
            let bytes = loaded.bytes().await?;
            loaded.take(&bytes)?;
            all.push(loaded);
        }
        Ok(References { all })
    }

    /// Looks at those whose time has come.
    pub(super) async fn look(&mut self, now: Duration) -> Look {
        for loaded in &mut self.all {
            let Some(refresh) = loaded.settings.refresh else { continue };
            if now.saturating_sub(loaded.looked) < refresh {
                continue;
            }
            loaded.looked = now;
            let looked = match loaded.bytes().await {
                Ok(bytes) if crc32fast::hash(&bytes) == loaded.checksum => {
                    loaded.told = None;
                    continue;
                }
                // a version that cannot be used leaves the one before as it is
                Ok(bytes) => loaded.take(&bytes),
                Err(error) => Err(error),
            };
            match looked.map_err(|error| error.to_string()) {
                Ok(()) => return Look::Changed,
                Err(error) if loaded.told.as_ref() == Some(&error) => {}
                Err(error) => {
                    loaded.told = Some(error.clone());
                    return Look::Unusable(format!("{error}; the version that was read before stays in use"));
                }
            }
        }
        Look::Same
    }

    /// Joins rows that are to come out with these columns.
    pub(super) fn joiner(&self, config: &Config, wanted: Vec<(String, ColumnType)>) -> Joiner {
        let tables = self.all.iter().map(|loaded| (loaded.settings.join.clone(), Arc::clone(&loaded.table)));
        Joiner::new(wanted, tables.collect(), config.decode.format.framing(), config.decode.record_bytes_max)
    }
}

impl Loaded {
    async fn bytes(&self) -> Result<Bytes, ReferenceError> {
        let url = || self.settings.url.clone();
        let name = self.settings.place().map_or("", |(_, name)| name);
        let store = self.store.clone().patient(Patience::short());
        let read =
            store.get(name).await.map_err(|source| ReferenceError::Store { url: url(), source: Box::new(source) })?;
        read.ok_or_else(|| ReferenceError::Gone(url()))
    }

    fn take(&mut self, bytes: &Bytes) -> Result<(), ReferenceError> {
        let (url, join) = (|| self.settings.url.clone(), &self.settings.join);
        let keys = join.key.len();
        let mut table = Table::default();
        let mut add = |texts: &[&str]| table.add(&texts[..keys], &texts[keys..]);
        let needed: Vec<&str> = join.needed().collect();
        let read = match self.settings.format {
            Format::Csv => csv(bytes, &needed, &mut add),
            Format::Parquet => parquet(bytes, &needed, &mut add),
        };
        read.map_err(|error| match error {
            Unread::Table(source) => ReferenceError::Table { url: url(), source },
            Unread::Reason(reason) => ReferenceError::Unreadable { url: url(), reason },
        })?;
        (self.table, self.checksum) = (Arc::new(table), crc32fast::hash(bytes));
        Ok(())
    }
}

/// Why bytes are no table.
enum Unread {
    Table(TableError),
    Reason(String),
}

impl From<TableError> for Unread {
    fn from(error: TableError) -> Unread {
        Unread::Table(error)
    }
}

impl From<csv::Error> for Unread {
    fn from(error: csv::Error) -> Unread {
        Unread::Reason(error.to_string())
    }
}

/// Takes a row in: texts of the needed columns.
type Add<'a> = dyn FnMut(&[&str]) -> Result<(), TableError> + 'a;

fn csv(bytes: &[u8], needed: &[&str], add: &mut Add<'_>) -> Result<(), Unread> {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers()?.clone();
    let place = |name: &&str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == *name);
    let places = needed.iter().map(|name| place(name).ok_or_else(|| TableError::Column((*name).to_owned())));
    let places = places.collect::<Result<Vec<usize>, _>>()?;
    for record in reader.records() {
        let record = record?;
        let texts: Vec<&str> = places.iter().map(|place| record.get(*place).unwrap_or_default()).collect();
        add(&texts)?;
    }
    Ok(())
}

fn parquet(bytes: &Bytes, needed: &[&str], add: &mut Add<'_>) -> Result<(), Unread> {
    let failed = |reason: &dyn std::fmt::Display| Unread::Reason(reason.to_string());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).and_then(|builder| builder.build());
    for batch in reader.map_err(|error| failed(&error))? {
        let batch = batch.map_err(|error| failed(&error))?;
        let columns = needed.iter().map(|name| texts(&batch, name)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let texts: Vec<&str> = columns.iter().map(|column| column[row].as_str()).collect();
            add(&texts)?;
        }
    }
    Ok(())
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<String>, Unread> {
    let column = batch.column_by_name(name).ok_or_else(|| TableError::Column(name.to_owned()))?;
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    if let Some(texts) = column.as_string_opt::<i32>() {
        return Ok(texts.iter().map(owned).collect());
    }
    if let Some(texts) = column.as_string_opt::<i64>() {
        return Ok(texts.iter().map(owned).collect());
    }
    if let Some(texts) = column.as_string_view_opt() {
        return Ok(texts.iter().map(owned).collect());
    }
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Ok(numbers.iter().map(number).collect());
    }
    if let Some(numbers) = column.as_primitive_opt::<Int32Type>() {
        return Ok(numbers.iter().map(|value| number(value.map(i64::from))).collect());
    }
    Err(Unread::Reason(format!("column `{name}` is {}, and neither text nor an integer", column.data_type())))
}
