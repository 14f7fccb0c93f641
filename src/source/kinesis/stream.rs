//! The service's calls that reading a stream needs, with answers in our words. One try each: who calls decides about
//! further ones.

use std::fmt;
use std::time::Duration;

use aws_sdk_kinesis::config::Builder;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{self, ShardFilter, ShardFilterType, ShardIteratorType, StreamDescriptionSummary};
use aws_sdk_kinesis::{Client, types::StartingPosition};
use bytes::Bytes;

use super::aggregate::HashKeys;
use super::backoff::Backoff;
use super::chunks::Record;
use super::faults::{Fault, KinesisError, fault_of};
use super::settings::StreamName;
use super::shards::Shard;
use crate::model::{Position, SequenceNumber, SourcePartition};

/// Tries of a call before a job that begins gives up.
const BEGIN_TRIES: u32 = 6;
/// One that goes on, and so had reached the stream before, does not; it tells of it once a minute or so.
const REMINDER_TRIES: u32 = 8;
/// How long the service takes at most to tell of a stream or consumer that is being made.
const MADE_WAIT: Duration = Duration::from_secs(1);
const MADE_TRIES: u32 = 60;

/// Where an iterator begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Oldest,
    Latest,
    /// With what arrived at or after this, in milliseconds since 1970.
    Arrival(i64),
    After(SequenceNumber),
}

impl Place {
    /// The place of a position of a shard that has not ended. The sequence numbers of records that were partly taken are
    /// never noted, so none is begun in the middle.
    pub(super) fn of(position: Position) -> Place {
        match position {
            Position::Arrival(millis) => Place::Arrival(millis),
            Position::Record { sequence, .. } => Place::After(sequence),
            Position::Start | Position::Offset(_) | Position::End => Place::Oldest,
        }
    }

    fn kind(self) -> ShardIteratorType {
        match self {
            Place::Oldest => ShardIteratorType::TrimHorizon,
            Place::Latest => ShardIteratorType::Latest,
            Place::Arrival(_) => ShardIteratorType::AtTimestamp,
            Place::After(_) => ShardIteratorType::AfterSequenceNumber,
        }
    }

    fn sequence(self) -> Option<String> {
        if let Place::After(sequence) = self { Some(sequence.to_string()) } else { None }
    }

    fn timestamp(self) -> Option<DateTime> {
        if let Place::Arrival(millis) = self { Some(DateTime::from_millis(millis)) } else { None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Oldest => f.write_str("its beginning"),
            Place::Latest => f.write_str("its tip"),
            Place::Arrival(millis) => write!(f, "arrival {millis}"),
            Place::After(sequence) => write!(f, "after {sequence}"),
        }
    }
}

/// What one read of a shard gave.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) records: Vec<Record>,
    /// When the last of them arrived, in milliseconds since 1970.
    pub(super) arrival_ms: Option<i64>,
    /// How far the shard's tip is ahead, in milliseconds.
    pub(super) behind_ms: u64,
    pub(super) next: Following,
}

/// What comes after an answer.
#[derive(Debug)]
pub(super) enum Following {
    /// More, from here: an iterator, or the sequence number to subscribe after.
    More(String),
    /// Nothing: the shard has ended. Its children, where the server tells of them.
    Ended(Vec<Shard>),
}

/// A stream and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    client: Client,
    name: StreamName,
    /// Whether it was reached before: then what fails will pass.
    is_known: bool,
}

impl Stream {
    pub(super) async fn connect(aws: &crate::aws::Settings, name: StreamName) -> Result<Stream, KinesisError> {
        let found = aws.load().await?;
        // tries are ours: two counts of them would multiply
        let client = Client::from_conf(Builder::from(&found).retry_config(RetryConfig::disabled()).build());
        Ok(Stream { client, name, is_known: false })
    }

    /// The same stream, known to a job that goes on.
    pub(super) fn known(self, is_known: bool) -> Stream {
        Stream { is_known, ..self }
    }

    pub(super) fn name(&self) -> &StreamName {
        &self.name
    }

    pub(super) async fn describe(&self) -> Result<StreamDescriptionSummary, Fault> {
        const ACTION: &str = "DescribeStreamSummary";
        let call = self.client.describe_stream_summary();
        let sent = call.set_stream_name(self.name.name()).set_stream_arn(self.name.arn()).send().await;
        let answer = sent.map_err(|error| fault_of(&error, ACTION, &self.name))?;
        answer.stream_description_summary.ok_or_else(|| Fault::Passing("an answer without a description".to_owned()))
    }

    /// All shards; or those that had not ended at an instant, in milliseconds since 1970.
    pub(super) async fn shards(&self, since_ms: Option<i64>) -> Result<Vec<Shard>, Fault> {
        const ACTION: &str = "ListShards";
        let filter = since_ms.map(|millis| {
            let builder = ShardFilter::builder().r#type(ShardFilterType::FromTimestamp);
            builder.timestamp(DateTime::from_millis(millis)).build()
        });
        let filter = filter.transpose().map_err(|error| Fault::Invalid(error.to_string()))?;
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let call = self.client.list_shards();
            let call = match token {
                // a token stands for the stream and the filter
                Some(token) => call.next_token(token).set_stream_arn(self.name.arn()),
                None => {
                    let call = call.set_stream_name(self.name.name()).set_stream_arn(self.name.arn());
                    call.set_shard_filter(filter.clone())
                }
            };
            let answer = call.send().await.map_err(|error| fault_of(&error, ACTION, &self.name))?;
            shards.extend(answer.shards.unwrap_or_default().into_iter().map(|shard| self.listed(shard)));
            token = answer.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    /// A shard as a source partition. It has the stream in its name: every stream has a `shardId-000000000000`, and what
    /// is committed tells by its partitions which records it has.
    fn partition(&self, shard_id: &str) -> SourcePartition {
        SourcePartition::new(&format!("{}/{shard_id}", self.name.without_account()))
    }

    /// The children that an answer names.
    pub(super) fn children(&self, children: Option<Vec<types::ChildShard>>) -> Vec<Shard> {
        let shard = |child: types::ChildShard| Shard {
            id: self.partition(&child.shard_id),
            parents: child.parent_shards.iter().map(|parent| self.partition(parent)).collect(),
            is_open: true,
            hash_keys: hash_keys(child.hash_key_range),
        };
        children.unwrap_or_default().into_iter().map(shard).collect()
    }

    fn listed(&self, shard: types::Shard) -> Shard {
        let parents = shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id);
        let parents = parents.map(|parent| self.partition(parent)).collect();
        let ending = shard.sequence_number_range.and_then(|range| range.ending_sequence_number);
        let id = self.partition(&shard.shard_id);
        Shard { id, parents, is_open: ending.is_none(), hash_keys: hash_keys(shard.hash_key_range) }
    }

    pub(super) async fn iterator(&self, shard: &SourcePartition, place: Place) -> Result<String, Fault> {
        const ACTION: &str = "GetShardIterator";
        let call = self.client.get_shard_iterator();
        let call = call.set_stream_name(self.name.name()).set_stream_arn(self.name.arn()).shard_id(shard_id(shard));
        let call = call.shard_iterator_type(place.kind());
        let sent = call.set_starting_sequence_number(place.sequence()).set_timestamp(place.timestamp()).send().await;
        let answer = sent.map_err(|error| fault_of(&error, ACTION, &self.name))?;
        answer.shard_iterator.ok_or_else(|| Fault::Passing("an answer without an iterator".to_owned()))
    }

    pub(super) async fn records(
        &self,
        shard: &SourcePartition,
        iterator: &str,
        records_max: u32,
    ) -> Result<Answer, Fault> {
        const ACTION: &str = "GetRecords";
        let call = self.client.get_records().shard_iterator(iterator).set_stream_arn(self.name.arn());
        let sent = call.limit(i32::try_from(records_max).unwrap_or(i32::MAX)).send().await;
        let answer = sent.map_err(|error| fault_of(&error, ACTION, &self.name))?;
        let next = match answer.next_shard_iterator {
            Some(iterator) => Following::More(iterator),
            None => Following::Ended(self.children(answer.child_shards)),
        };
        read(shard, answer.records, answer.millis_behind_latest, next)
    }

    /// Subscribes to a shard for five minutes.
    pub(super) async fn subscribe(
        &self,
        shard: &SourcePartition,
        consumer: &str,
        place: Place,
    ) -> Result<SubscribeToShardOutput, Fault> {
        const ACTION: &str = "SubscribeToShard";
        let position = StartingPosition::builder().r#type(place.kind());
        let position = position.set_sequence_number(place.sequence()).set_timestamp(place.timestamp()).build();
        let position = position.map_err(|error| Fault::Invalid(error.to_string()))?;
        let call = self.client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard_id(shard));
        let sent = call.starting_position(position).send().await;
        sent.map_err(|error| fault_of(&error, ACTION, &self.name))
    }

    /// The ARN of a consumer that is ready, registered if there is none of this name.
    pub(super) async fn consumer(&self, name: &str) -> Result<String, KinesisError> {
        const DESCRIBE: &str = "DescribeStreamConsumer";
        const REGISTER: &str = "RegisterStreamConsumer";
        let stream = self.begin(DESCRIBE_STREAM, async || self.describe().await).await?.stream_arn;
        let mut status = String::new();
        for _ in 0..MADE_TRIES {
            let found = self.client.describe_stream_consumer().stream_arn(&stream).consumer_name(name).send().await;
            match found.map_err(|error| fault_of(&error, DESCRIBE, &self.name)) {
                Ok(answer) => {
                    let Some(consumer) = answer.consumer_description else { continue };
                    if consumer.consumer_status == types::ConsumerStatus::Active {
                        return Ok(consumer.consumer_arn);
                    }
                    consumer.consumer_status.as_str().clone_into(&mut status);
                }
                Err(Fault::Fatal(KinesisError::NotFound { .. })) => {
                    let made = self.client.register_stream_consumer().stream_arn(&stream).consumer_name(name);
                    match made.send().await.map_err(|error| fault_of(&error, REGISTER, &self.name)) {
                        Err(Fault::Fatal(error)) => return Err(error),
                        Err(Fault::Invalid(message)) => {
                            return Err(Fault::Invalid(message).into_error(REGISTER, &self.name));
                        }
                        Ok(_) | Err(_) => {}
                    }
                }
                Err(Fault::Passing(_) | Fault::Throttled(_)) => {}
                Err(fault) => return Err(fault.into_error(DESCRIBE, &self.name)),
            }
            tokio::time::sleep(MADE_WAIT).await;
        }
        Err(KinesisError::Consumer { consumer: name.to_owned(), stream: self.name.clone(), status })
    }

    /// A call of a job that begins: what may pass is tried again a few times, so that a wrong endpoint is told of.
    pub(super) async fn begin<T>(
        &self,
        action: &'static str,
        call: impl AsyncFn() -> Result<T, Fault>,
    ) -> Result<T, KinesisError> {
        let mut backoff = Backoff::new(self.name.as_str());
        loop {
            match call().await {
                Err(Fault::Passing(reason) | Fault::Throttled(reason))
                    if self.is_known || backoff.tries() + 1 < BEGIN_TRIES =>
                {
                    if backoff.tries().is_multiple_of(REMINDER_TRIES) {
                        tracing::warn!("`{action}` of stream `{}` fails, trying again: {reason}", self.name);
                    }
                    tokio::time::sleep(backoff.failed()).await;
                }
                answer => return answer.map_err(|fault| fault.into_error(action, &self.name)),
            }
        }
    }
}

/// The action of [`Stream::describe`].
pub(super) const DESCRIBE_STREAM: &str = "DescribeStreamSummary";
/// The action of [`Stream::shards`].
pub(super) const LIST_SHARDS: &str = "ListShards";

/// An answer of either way to read.
pub(super) fn read(
    shard: &SourcePartition,
    records: Vec<types::Record>,
    behind_ms: Option<i64>,
    next: Following,
) -> Result<Answer, Fault> {
    let arrival_ms = records.iter().rev().find_map(|record| record.approximate_arrival_timestamp);
    let arrival_ms = arrival_ms.and_then(|arrival| arrival.to_millis().ok());
    let records = records.into_iter().map(|record| {
        let sequence = record.sequence_number.parse().map_err(|_| {
            let sequence = record.sequence_number.clone();
            Fault::Fatal(KinesisError::Sequence { shard: shard.name().to_owned(), sequence })
        })?;
        let arrival_ms = record.approximate_arrival_timestamp.and_then(|arrival| arrival.to_millis().ok());
        let (data, partition_key) = (Bytes::from(record.data.into_inner()), record.partition_key);
        Ok(Record { sequence, data, partition_key, arrival_ms })
    });
    let records = records.collect::<Result<_, Fault>>()?;
    let behind_ms = behind_ms.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0);
    Ok(Answer { records, arrival_ms, behind_ms, next })
}

/// The service's name of a shard.
fn shard_id(shard: &SourcePartition) -> &str {
    shard.name().rsplit('/').next().unwrap_or_default()
}

/// All hash keys, where the server does not tell.
fn hash_keys(range: Option<types::HashKeyRange>) -> HashKeys {
    let parsed = range.and_then(|range| {
        let (starting, ending) = (range.starting_hash_key.parse().ok()?, range.ending_hash_key.parse().ok()?);
        Some(starting..=ending)
    });
    parsed.unwrap_or(0..=u128::MAX)
}
