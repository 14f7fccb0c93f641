//! The anomaly table: one JSON line per anomaly group, under the same folders as the data. An interval's object is
//! written whole, with a name that follows from the interval, so writing it again after a crash changes nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::NaiveDate;
use serde::de::DeserializeOwned;

use crate::model::{AnomalyGroup, Area, Interval, Object, ObjectPath};
use crate::store::{Store, StoreError};

/// The anomaly table of one tree of partitions.
#[derive(Clone, Debug)]
pub struct AnomalyTable {
    store: Store,
}

/// A table that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A line that is not what the table holds.
    #[error("`{name}` line {line} cannot be read: {source}; hint: a newer version of the program may have written it")]
    Line {
        /// The object.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A line that cannot be written as JSON; a fault of ours.
    #[error("a line of the table cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AnomalyTable {
    /// The table in a store.
    pub fn new(store: Store) -> AnomalyTable {
        AnomalyTable { store }
    }

    /// Writes the groups of one or several intervals. All groups of an interval are given at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&self, groups: &[AnomalyGroup]) -> Result<(), TableError> {
        let mut objects: BTreeMap<Interval, Vec<u8>> = BTreeMap::new();
        for group in groups {
            let bytes = objects.entry(group.interval).or_default();
            serde_json::to_writer(&mut *bytes, group)?;
            bytes.push(b'\n');
        }
        for (interval, bytes) in objects {
            let path = ObjectPath { area: Area::Anomalies, interval, object: Object::Anomalies };
            self.store.put(&path.to_string(), Bytes::from(bytes)).await?;
        }
        Ok(())
    }

    /// Reads the groups of local dates `from` to `to` inclusive, in the order of time.
    ///
    /// # Errors
    /// When the store fails or a line is no anomaly group.
    pub async fn read(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<AnomalyGroup>, TableError> {
        let mut groups = Vec::new();
        for folder in self.store.list_folders(Area::Anomalies.folder()).await? {
            if Area::Anomalies.parse_date_folder(&folder).is_none_or(|date| date < from || date > to) {
                continue;
            }
            for entry in self.store.list(&folder).await?.iter().filter(|entry| entry.name.ends_with(".jsonl")) {
                let bytes = self.store.get(&entry.name).await?.unwrap_or_default();
                groups.extend(parse(&entry.name, &bytes)?);
            }
        }
        Ok(groups)
    }
}

/// The lines of an object.
pub(super) fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<Vec<T>, TableError> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|source| TableError::Line {
                name: name.to_owned(),
                line: index + 1,
                source,
            })
        })
        .collect()
}
