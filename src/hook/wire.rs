//! What is asked and answered, as a pre-processing function of Kinesis Analytics is asked and answers.
//!
//! ```text
//! asked     {"invocationId", "applicationArn", "streamArn", "records": [{"recordId", "data",
//!             "kinesisStreamRecordMetadata": {"shardId", "partitionKey", "sequenceNumber", "approximateArrivalTimestamp"}}]}
//! answered  {"records": [{"recordId", "result": "Ok" | "Dropped" | "ProcessingFailed", "data"}]}
//! ```
//!
//! `data` is base 64. A record's id is made of its source partition and its place, so it is the same when the record
//! comes again. The partition key and the arrival of a record, in milliseconds since 1970, are those of the record of a
//! Kinesis stream that it came in; other sources do not know them, and then they are null.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Surroundings;
use super::records::{Item, State};
use crate::model::{Chunk, HookFault, Position};

const RESULTS: &str = "`Ok`, `Dropped` or `ProcessingFailed`";
/// What a program finds as the application that calls it.
pub(super) const APPLICATION: &str = "tidewatch";

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Data(Bytes),
    Dropped,
    Fault(HookFault),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    invocation_id: &'a str,
    application_arn: &'a str,
    stream_arn: &'a str,
    records: Vec<Asked<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    record_id: &'a str,
    data: String,
    kinesis_stream_record_metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    shard_id: &'a str,
    partition_key: Option<&'a str>,
    sequence_number: String,
    approximate_arrival_timestamp: Option<i64>,
}

/// The request about some records, on one line without its end.
pub(super) fn request(surroundings: &Surroundings, chunk: &Chunk, batch: &[&Item]) -> Bytes {
    let request = Request {
        invocation_id: batch.first().map_or("", |item| &item.id),
        application_arn: APPLICATION,
        stream_arn: &surroundings.source,
        records: batch.iter().filter_map(|item| asked(chunk, item)).collect(),
    };
    // texts and numbers always become JSON
    serde_json::to_vec(&request).unwrap_or_default().into()
}

fn asked<'a>(chunk: &'a Chunk, item: &'a Item) -> Option<Asked<'a>> {
    let State::Live(data) = &item.state else { return None };
    let metadata = Metadata {
        shard_id: chunk.partition.name(),
        partition_key: item.origin.as_ref().and_then(|origin| origin.partition_key.as_deref()),
        sequence_number: sequence_number(item.place()),
        approximate_arrival_timestamp: item.origin.as_ref().and_then(|origin| origin.arrival_ms),
    };
    Some(Asked { record_id: &item.id, data: STANDARD.encode(data), kinesis_stream_record_metadata: metadata })
}

fn sequence_number(place: Position) -> String {
    match place {
        Position::Record { sequence, .. } => sequence.to_string(),
        other => other.to_string(),
    }
}

/// An answer of either kind of hook.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) records: Vec<Answered<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answered<'a> {
    #[serde(borrow)]
    pub(super) record_id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) result: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
}

/// An answer as JSON.
pub(super) fn parsed(answer: &[u8]) -> Result<Answer<'_>, HookFault> {
    serde_json::from_slice(answer).map_err(|error| {
        let shown = error.to_string();
        if error.is_data() { HookFault::Form(shown) } else { HookFault::NotJson(shown) }
    })
}

/// A result as it is told.
pub(super) fn shown(result: Option<&str>) -> String {
    result.map_or("missing".to_owned(), |word| format!("`{}`", word.chars().take(50).collect::<String>()))
}

/// What became of each record that was asked about, in their order.
///
/// # Errors
/// When the answer as a whole is none: what is in it then belongs to nothing that was asked.
pub(super) fn outcomes(answer: &[u8], batch: &[&Item]) -> Result<Vec<Outcome>, HookFault> {
    let answer = parsed(answer)?;
    let asked: HashMap<&str, usize> = batch.iter().enumerate().map(|(at, item)| (item.id.as_str(), at)).collect();
    let mut outcomes: Vec<Option<Outcome>> = vec![None; batch.len()];
    for record in answer.records {
        let at = asked.get(&*record.record_id).copied();
        let Some(place) = at.and_then(|at| outcomes.get_mut(at)) else {
            return Err(HookFault::UnknownId(record.record_id.chars().take(100).collect()));
        };
        *place = Some(if place.is_none() { outcome(&record) } else { Outcome::Fault(HookFault::DoubledId) });
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Fault(HookFault::MissingId))).collect())
}

fn outcome(record: &Answered<'_>) -> Outcome {
    match record.result.as_deref() {
        Some("Ok") => match record.data.as_deref().map(|data| STANDARD.decode(data)) {
            Some(Ok(data)) => Outcome::Data(data.into()),
            Some(Err(_)) | None => Outcome::Fault(HookFault::Base64),
        },
        Some("Dropped") => Outcome::Dropped,
        Some("ProcessingFailed") => Outcome::Fault(HookFault::ProcessingFailed),
        other => Outcome::Fault(HookFault::Result(shown(other), RESULTS)),
    }
}
