//! The error prefix: what could not be delivered, as objects beside the partitions. The members of a line are those that
//! Firehose writes, and the id:
//!
//! ```text
//! undelivered/<route>/YYYY/MM/DD/HH/<hash>.jsonl      UTC, when it came
//! {"id":…,"attemptsMade":…,"arrivalTimestamp":…,"errorCode":…,"errorMessage":…,"rawData":…}
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use super::objects::hash;
use crate::alert::receiver::Trouble;
use crate::model::Timestamp;
use crate::store::{Store, StoreError};

/// The folder of what could not be delivered.
const UNDELIVERED: &str = "undelivered";

/// Where the undelivered notices of one route go.
#[derive(Clone, Debug)]
pub struct Undelivered {
    store: Store,
    folder: String,
}

/// A notice that could not be delivered.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) id: String,
    pub(super) attempts: u32,
    pub(super) arrival: Timestamp,
    pub(super) trouble: Trouble,
    /// What the receiver was to get.
    pub(super) payload: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: &'a str,
    attempts_made: u32,
    /// Milliseconds.
    arrival_timestamp: i64,
    error_code: &'a str,
    error_message: &'a str,
    raw_data: String,
}

impl Undelivered {
    /// Of a route, beside the partitions in `store`.
    pub fn new(store: Store, route: &str) -> Undelivered {
        Undelivered { store, folder: format!("{UNDELIVERED}/{route}") }
    }

    /// Where it is, for messages.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.store.url().trim_end_matches('/'), self.folder)
    }

    /// Writes down what could not be delivered; the same notices again make the same objects.
    pub(super) async fn write(&self, failed: &[Failed]) -> Result<(), StoreError> {
        let mut by_hour: BTreeMap<String, Vec<&Failed>> = BTreeMap::new();
        for one in failed {
            let arrival = chrono::DateTime::from_timestamp_micros(one.arrival.micros()).unwrap_or_default();
            by_hour.entry(arrival.format("%Y/%m/%d/%H").to_string()).or_default().push(one);
        }
        for (hour, failed) in by_hour {
            let mut bytes = Vec::new();
            for one in &failed {
                let line = Line {
                    id: &one.id,
                    attempts_made: one.attempts,
                    arrival_timestamp: one.arrival.micros().div_euclid(1000),
                    error_code: &one.trouble.code,
                    error_message: &one.trouble.message,
                    raw_data: STANDARD.encode(&one.payload),
                };
                // texts and whole numbers are always JSON
                bytes.extend(serde_json::to_vec(&line).unwrap_or_default());
                bytes.push(b'\n');
            }
            let name = format!("{}/{hour}/{}.jsonl", self.folder, hash(failed.iter().map(|one| &*one.id)));
            self.store.put(&name, Bytes::from(bytes)).await?;
        }
        Ok(())
    }
}
