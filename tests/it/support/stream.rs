//! A stream on a Kinesis server as its owner and its producers see it: made, filled, split, merged, and read back to
//! its end.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Record, ScalingType, Shard, ShardIteratorType, StreamStatus};
use tidewatch::aws::Settings;
use tokio::runtime::{Builder, Runtime};

use super::process::wait_until;

pub(crate) const REGION: &str = "eu-central-1";
/// As many as the service takes in one call.
const PUT_MAX: usize = 500;
/// Five megabytes in one call, less what keys and names take.
const PUT_BYTES_MAX: usize = 4_000_000;
const RETRIES_MAX: u32 = 50;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A stream. Its calls block; not for use inside of a runtime.
pub(crate) struct Stream {
    name: String,
    client: Client,
    runtime: Runtime,
}

/// A record to put: partition key and data.
pub(crate) type Put = (String, Vec<u8>);

impl Stream {
    /// Makes a stream and waits until it can be used.
    pub(crate) fn create(endpoint: &str, name: &str, shards: i32) -> Stream {
        let stream = Stream::at(endpoint, name);
        let create = stream.client.create_stream().stream_name(name).shard_count(shards);
        stream.run(create.send());
        stream.until_active();
        stream
    }

    /// A stream that is there.
    pub(crate) fn at(endpoint: &str, name: &str) -> Stream {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let settings =
            Settings { region: Some(REGION.into()), endpoint_url: Some(endpoint.into()), ..Settings::default() };
        let config = runtime.block_on(settings.load()).unwrap();
        let credentials = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "tests"));
        let client = Client::new(&config.into_builder().credentials_provider(credentials).build());
        Stream { name: name.into(), client, runtime }
    }

    /// Puts records in calls as large as the service takes; what was refused is put again, so that all are there at
    /// the end, each once. (The order of equal keys is kept only where nothing was refused.)
    pub(crate) fn put(&self, records: Vec<Put>) {
        let mut call = Vec::new();
        let mut bytes = 0;
        for (key, data) in records {
            let size = key.len() + data.len();
            if call.len() == PUT_MAX || bytes + size > PUT_BYTES_MAX {
                self.put_call(std::mem::take(&mut call));
                bytes = 0;
            }
            bytes += size;
            let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
            call.push(entry.build().unwrap());
        }
        if !call.is_empty() {
            self.put_call(call);
        }
    }

    fn put_call(&self, mut entries: Vec<PutRecordsRequestEntry>) {
        for _ in 0..RETRIES_MAX {
            let put = self.client.put_records().stream_name(&self.name).set_records(Some(entries.clone()));
            let results = self.run(put.send()).records;
            assert_eq!(results.len(), entries.len(), "an answer for each record");
            let mut results = results.iter();
            entries.retain(|_| results.next().unwrap().error_code.is_some());
            if entries.is_empty() {
                return;
            }
            thread::sleep(RETRY_PAUSE);
        }
        panic!("{} records are refused again and again", entries.len());
    }

    /// Splits an open shard in the middle and waits until it is done.
    pub(crate) fn split(&self, shard_id: &str) {
        let shards = self.shards();
        let shard = shards.iter().find(|shard| shard.shard_id == shard_id).unwrap();
        let range = shard.hash_key_range.as_ref().unwrap();
        let start: u128 = range.starting_hash_key.parse().unwrap();
        let end: u128 = range.ending_hash_key.parse().unwrap();
        let middle = start + (end - start) / 2 + 1;
        let split = self.client.split_shard().stream_name(&self.name).shard_to_split(shard_id);
        self.run(split.new_starting_hash_key(middle.to_string()).send());
        self.until_active();
    }

    /// Merges two open shards that are neighbours and waits until it is done.
    pub(crate) fn merge(&self, shard_id: &str, neighbour: &str) {
        let merge = self.client.merge_shards().stream_name(&self.name);
        self.run(merge.shard_to_merge(shard_id).adjacent_shard_to_merge(neighbour).send());
        self.until_active();
    }

    /// Splits and merges until there are this many open shards of the same size.
    pub(crate) fn resize(&self, shards: i32) {
        let update = self.client.update_shard_count().stream_name(&self.name).target_shard_count(shards);
        self.run(update.scaling_type(ScalingType::UniformScaling).send());
        self.until_active();
    }

    /// All shards, closed ones too.
    pub(crate) fn shards(&self) -> Vec<Shard> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let list = self.client.list_shards();
            let list = match token {
                None => list.stream_name(&self.name),
                Some(token) => list.next_token(token),
            };
            let page = self.run(list.send());
            shards.extend(page.shards.unwrap_or_default());
            token = page.next_token;
            if token.is_none() {
                return shards;
            }
        }
    }

    /// The ids of the open shards in the order of their keys: neighbours are beside each other.
    pub(crate) fn open_shards(&self) -> Vec<String> {
        let is_open = |shard: &Shard| shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_none();
        let start = |shard: &Shard| shard.hash_key_range.as_ref().unwrap().starting_hash_key.parse().unwrap();
        let open = self.shards().into_iter().filter(is_open);
        let by_key: BTreeMap<u128, String> = open.map(|shard| (start(&shard), shard.shard_id)).collect();
        by_key.into_values().collect()
    }

    /// All records of a shard, in its order, up to its end or to where nothing more is there yet.
    pub(crate) fn read(&self, shard_id: &str) -> Vec<Record> {
        let first = self.client.get_shard_iterator().stream_name(&self.name).shard_id(shard_id);
        let first = self.run(first.shard_iterator_type(ShardIteratorType::TrimHorizon).send());
        let mut iterator = first.shard_iterator;
        let mut records = Vec::new();
        while let Some(position) = iterator {
            let answer = self.run(self.client.get_records().shard_iterator(position).send());
            let at_end = answer.records.is_empty() && answer.millis_behind_latest.unwrap_or(0) == 0;
            records.extend(answer.records);
            iterator = answer.next_shard_iterator.filter(|_| !at_end);
        }
        records
    }

    fn until_active(&self) {
        wait_until("the stream is active", || {
            let description = self.run(self.client.describe_stream_summary().stream_name(&self.name).send());
            description.stream_description_summary.unwrap().stream_status == StreamStatus::Active
        });
    }

    fn run<T, E: std::error::Error>(&self, call: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(call).unwrap_or_else(|error| panic!("{}: {}", self.name, DisplayErrorContext(&error)))
    }
}
