//! Puts records into a stream: made-up ones, so that the whole line can be tried. Batches stay within the service's
//! limits; records that a batch refused (a shard over its limit, a fault of the service) are put again, with back-off,
//! so every record is in the stream at least once and nothing is known of their order.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::StreamName;
use super::faults::{Fault, fault_of};
use crate::aws;

/// The service takes so many records at once,
const BATCH_RECORDS_MAX: usize = 500;
/// and so many bytes (of 10 MiB, with room for the keys and the encoding).
const BATCH_BYTES_MAX: usize = 4 << 20;
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// Without any progress for so many attempts the stream is taken to be out of order.
const ATTEMPTS_MAX: u32 = 30;
const STATUS_POLL: Duration = Duration::from_millis(200);
const STATUS_POLLS_MAX: u32 = 300;

/// Puts records into one stream.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    stream: StreamName,
    /// Ticks once for each record, where the rate is limited.
    pace: Option<Interval>,
    waiting: Vec<PutRecordsRequestEntry>,
    waiting_bytes: usize,
}

/// A record that cannot be put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Region, credentials or certificates.
    #[error(transparent)]
    Aws(#[from] aws::AwsError),
    /// The service refuses.
    #[error(
        "cannot {verb} stream `{stream}`: {reason}; hint: check the name, the region, and that `kinesis:{action}` is allowed"
    )]
    Refused {
        /// What was tried.
        verb: &'static str,
        /// Which stream.
        stream: String,
        /// What the service said.
        reason: String,
        /// The permission that it takes.
        action: &'static str,
    },
}

impl Producer {
    /// Reaches a stream; at most `rate` records a second are put into it.
    ///
    /// # Errors
    /// When no region or credentials are known.
    pub async fn open(aws: &aws::Settings, stream: StreamName, rate: Option<u32>) -> Result<Producer, PutError> {
        let client = Client::new(&aws.load().await?);
        let pace = rate.map(|rate| {
            let mut pace = interval(Duration::from_secs(1) / rate.max(1));
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            pace
        });
        Ok(Producer { client, stream, pace, waiting: Vec::new(), waiting_bytes: 0 })
    }

    /// Creates the stream with so many shards unless it is there, and waits until it can be used.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn create(&self, shards: u32) -> Result<(), PutError> {
        if self.status().await?.is_none() {
            let create = self.client.create_stream().set_stream_name(self.stream.name());
            let created = create.shard_count(i32::try_from(shards).unwrap_or(i32::MAX)).send().await;
            created.map_err(|error| self.refused("create", "CreateStream", &DisplayErrorContext(error)))?;
        }
        let mut status = None;
        for _ in 0..STATUS_POLLS_MAX {
            status = self.status().await?;
            if status == Some(StreamStatus::Active) {
                return Ok(());
            }
            sleep(STATUS_POLL).await;
        }
        let status = status.map_or_else(|| "gone".to_owned(), |status| status.as_str().to_lowercase());
        Err(self.refused("create", "CreateStream", &format!("it is {status} after a minute")))
    }

    /// Takes one record; it is in the stream after [`Producer::flush`].
    ///
    /// # Errors
    /// When the service refuses a batch that was full.
    pub async fn put(&mut self, key: &str, data: Vec<u8>) -> Result<(), PutError> {
        let bytes = data.len() + key.len();
        if self.waiting.len() == BATCH_RECORDS_MAX || self.waiting_bytes + bytes > BATCH_BYTES_MAX {
            self.flush().await?;
        }
        let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build();
        self.waiting.extend(entry.ok());
        self.waiting_bytes += bytes;
        Ok(())
    }

    /// Puts all that waits.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn flush(&mut self) -> Result<(), PutError> {
        if let Some(pace) = &mut self.pace {
            for _ in 0..self.waiting.len() {
                pace.tick().await;
            }
        }
        let mut back_off = BACK_OFF_MIN;
        let mut attempts = 0;
        self.waiting_bytes = 0;
        while !self.waiting.is_empty() {
            let waiting = self.waiting.len();
            let (name, arn) = (self.stream.name(), self.stream.arn());
            let put = self.client.put_records().set_stream_name(name).set_stream_arn(arn);
            let sent = put.set_records(Some(self.waiting.clone())).send().await;
            let refused = match sent {
                Ok(answer) => {
                    let results = answer.records();
                    let mut result = results.iter();
                    self.waiting.retain(|_| result.next().is_none_or(|result| result.error_code().is_some()));
                    let first = results.iter().find_map(|result| result.error_message());
                    first.unwrap_or("records were refused").to_owned()
                }
                Err(error) => match fault_of(&error, "PutRecords", &self.stream) {
                    Fault::Fatal(_) | Fault::Invalid(_) => {
                        return Err(self.refused("put records into", "PutRecords", &DisplayErrorContext(error)));
                    }
                    Fault::Passing(_) | Fault::Throttled(_) | Fault::Expired => DisplayErrorContext(error).to_string(),
                },
            };
            attempts = if self.waiting.len() < waiting { 0 } else { attempts + 1 };
            if attempts == ATTEMPTS_MAX {
                return Err(self.refused("put records into", "PutRecords", &refused));
            }
            if !self.waiting.is_empty() {
                sleep(back_off).await;
                back_off = if attempts == 0 { BACK_OFF_MIN } else { (back_off * 2).min(BACK_OFF_MAX) };
            }
        }
        Ok(())
    }

    /// Its status, if it is there.
    async fn status(&self) -> Result<Option<StreamStatus>, PutError> {
        let (name, arn) = (self.stream.name(), self.stream.arn());
        let describe = self.client.describe_stream_summary().set_stream_name(name).set_stream_arn(arn);
        match describe.send().await {
            Ok(answer) => Ok(answer.stream_description_summary().map(|summary| summary.stream_status().clone())),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                Ok(None)
            }
            Err(error) => Err(self.refused("describe", "DescribeStreamSummary", &DisplayErrorContext(error))),
        }
    }

    fn refused(&self, verb: &'static str, action: &'static str, reason: &dyn std::fmt::Display) -> PutError {
        PutError::Refused { verb, stream: self.stream.to_string(), reason: reason.to_string(), action }
    }
}
