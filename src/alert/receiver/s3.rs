//! Objects in a bucket, or in a directory, under the hour in which they were written: `YYYY/MM/DD/HH/` in UTC. Notices are
//! gathered until there are enough, or the oldest has waited long enough; meanwhile they are safe in the outbox. A notice
//! is a line.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{Limits, Outcome, Receiver, ReceiverError, Writes};
use crate::alert::outbox::hash;
use crate::aws;
use crate::model::{Notice, Timestamp};
use crate::store::{self, Patience, Store};

/// Small notices are not gathered without end.
const NOTICES_MAX: usize = 1_000_000;

/// Where objects are written.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `s3://bucket/prefix`, or a directory.
    pub url: String,
    /// An object is written when so many bytes wait,
    pub buffer_bytes: usize,
    /// or when one has waited so long.
    pub buffer_time: Duration,
    /// How the bucket is reached, where it is not as `[store.s3]` says.
    pub aws: Option<aws::Settings>,
}

pub(super) struct S3 {
    store: Store,
    settings: Settings,
    writes: Writes,
}

impl S3 {
    pub(super) async fn open(
        settings: &Settings,
        writes: Writes,
        timeout: Duration,
        buckets: &store::Settings,
    ) -> Result<S3, ReceiverError> {
        let aws = settings.aws.clone().unwrap_or_else(|| buckets.aws.clone());
        let store = Store::open(&settings.url, &store::Settings { aws, ..buckets.clone() }).await?;
        // the outbox is more patient
        Ok(S3 { store: store.patient(Patience::short().limited(timeout / 2)), settings: settings.clone(), writes })
    }

    async fn put(&self, notices: &[&Notice], now: Timestamp) -> Vec<Outcome> {
        let mut lines = Vec::new();
        if let Some(header) = self.writes.format.header() {
            lines.extend(header);
            lines.push(b'\n');
        }
        for notice in notices {
            lines.extend(self.writes.payload(notice));
            lines.push(b'\n');
        }
        let name = name(&self.writes, notices, now);
        let outcome = match self.store.put(&name, Bytes::from(lines)).await {
            Ok(()) => Outcome::Delivered,
            Err(error) => Outcome::down("Store", error.to_string()),
        };
        vec![outcome; notices.len()]
    }
}

impl Receiver for S3 {
    fn limits(&self) -> Limits {
        let Settings { buffer_bytes: bytes, buffer_time, .. } = self.settings;
        Limits { notices: NOTICES_MAX, bytes, one_by_one: false, buffer: Some(buffer_time) }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.kept(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(self.put(notices, now))
    }
}

/// The same notices within an hour are the same object.
fn name(writes: &Writes, notices: &[&Notice], now: Timestamp) -> String {
    let hour = chrono::DateTime::from_timestamp_micros(now.micros()).unwrap_or_default().format("%Y/%m/%d/%H");
    let ending = match writes.format.content_type() {
        "application/json" => "jsonl",
        "text/csv; charset=utf-8" => "csv",
        _ => "txt",
    };
    format!("{hour}/{}-{}.{ending}", writes.about.route, hash(notices.iter().map(|notice| &*notice.id)))
}
