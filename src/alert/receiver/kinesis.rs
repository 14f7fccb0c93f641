//! A Kinesis data stream: a record for each notice, as many in a request as the service takes. The partition key is the
//! thread, so what is told of one thing stays in order; records that a request refuses are put again by themselves.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::amazon::Amazon;
use super::{Limits, Outcome, Receiver, ReceiverError, Trouble, Writes};
use crate::aws;
use crate::model::{Notice, Timestamp};

/// Of one request.
const RECORDS_MAX: usize = 500;
/// Of 10 MiB, with room for the encoding and for formats that say more than the notice itself.
const BYTES_MAX: usize = 3 << 20;
/// Of a record.
const RECORD_BYTES_MAX: usize = 1 << 20;
const KEY_CHARACTERS_MAX: usize = 256;

/// Which stream.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name or ARN.
    pub stream: String,
    /// How the service is reached.
    pub aws: aws::Settings,
}

pub(super) struct Kinesis {
    service: Amazon,
    settings: Settings,
    writes: Writes,
}

impl Kinesis {
    pub(super) async fn open(settings: &Settings, writes: Writes, timeout: Duration) -> Result<Kinesis, ReceiverError> {
        let aws = settings.aws.in_region_of(&settings.stream);
        let service = Amazon::open(&aws, "kinesis", timeout).await?;
        Ok(Kinesis { service, settings: settings.clone(), writes })
    }

    async fn put(&self, notices: &[&Notice], now: Timestamp) -> Vec<Outcome> {
        let payloads: Vec<Vec<u8>> = notices.iter().map(|notice| self.writes.payload(notice)).collect();
        let is_too_large = |payload: &&Vec<u8>| payload.len() > RECORD_BYTES_MAX;
        let refused = || Outcome::refused("RecordTooLarge", "the message is larger than the 1 MiB of a record");
        let records: Vec<Value> = notices
            .iter()
            .zip(&payloads)
            .filter(|(_, payload)| !is_too_large(payload))
            .map(|(notice, payload)| json!({ "Data": STANDARD.encode(payload), "PartitionKey": key(notice) }))
            .collect();
        let mut results = if records.is_empty() { Vec::new() } else { self.request(&records, now).await }.into_iter();
        let missing = || Outcome::down("Kinesis", "the answer has no result for a record");
        let result =
            |payload: &Vec<u8>| if is_too_large(&payload) { refused() } else { results.next().unwrap_or_else(missing) };
        payloads.iter().map(result).collect()
    }

    async fn request(&self, records: &[Value], now: Timestamp) -> Vec<Outcome> {
        let stream = if self.settings.stream.starts_with("arn:") { "StreamARN" } else { "StreamName" };
        let body = json!({ stream: self.settings.stream, "Records": records }).to_string().into_bytes();
        let headers = [
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", "Kinesis_20131202.PutRecords".to_owned()),
        ];
        match self.service.ask("/", &headers, body, now).await {
            Ok(answer) => results(&answer.body, records.len()),
            Err(outcome) => vec![outcome; records.len()],
        }
    }
}

impl Receiver for Kinesis {
    fn limits(&self) -> Limits {
        Limits { notices: RECORDS_MAX, bytes: BYTES_MAX, one_by_one: false, buffer: None }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.kept(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(self.put(notices, now))
    }
}

fn key(notice: &Notice) -> String {
    let key: String = notice.thread.chars().take(KEY_CHARACTERS_MAX).collect();
    if key.is_empty() { "-".to_owned() } else { key }
}

/// What became of each record of a request that was served.
fn results(body: &str, count: usize) -> Vec<Outcome> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let result = |index: usize| match &answer["Records"][index] {
        Value::Null => Outcome::down("Kinesis", "the answer has no result for a record"),
        record => match record["ErrorCode"].as_str() {
            None => Outcome::Delivered,
            Some(code) => {
                let message = record["ErrorMessage"].as_str().unwrap_or("no reason given").to_owned();
                let trouble = Trouble { code: code.to_owned(), message };
                Outcome::Failed { trouble, retry_after: None, is_down: true }
            }
        },
    };
    (0..count).map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_has_its_result() {
        let body = r#"{"FailedRecordCount":1,"Records":[{"SequenceNumber":"1","ShardId":"s"},
            {"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"slow"}]}"#;
        let [one, two, three] = &results(body, 3)[..] else { panic!("three") };
        assert_eq!(*one, Outcome::Delivered);
        assert!(matches!(two, Outcome::Failed { trouble, .. } if trouble.message == "slow"), "{two:?}");
        assert!(matches!(three, Outcome::Failed { .. }), "{three:?}");
    }
}
