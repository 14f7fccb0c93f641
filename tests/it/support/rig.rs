//! A stream, a bucket and the real job between them: records with known content go in, and what is in the bucket is
//! compared with them row by row.

use std::collections::BTreeMap;
use std::fs;

use chrono::DateTime;
use tempfile::TempDir;

use super::aggregated;
use super::bucket::Bucket;
use super::process::{Ended, Running, command, ended};
use super::servers::kinesis::Kinesis;
use super::servers::s3::{Keys, S3, WRITER};
use super::stream::{Put, REGION, Stream};
use super::tree::{self, RowsByFolder};

/// 2024-01-01T00:00:00Z, a Monday.
const START_MILLIS: u64 = 1_704_067_200_000;
const SHOPS: [&str; 7] = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove"];

/// A stream, a bucket and a configuration that leads from one to the other.
pub(crate) struct Rig {
    /// Holds the configuration.
    _directory: TempDir,
    pub(crate) bucket: Bucket,
    pub(crate) stream: Stream,
    config: String,
    /// Milliseconds of event time from one record to the next.
    step_millis: u64,
    sent: u64,
}

/// How to reach the two servers, and what else the job is told.
pub(crate) struct Ends<'a> {
    /// Where the stream is made and filled.
    pub(crate) kinesis: &'a str,
    /// Where the job reads it: the same, or a proxy before it.
    pub(crate) kinesis_of_job: &'a str,
    /// Where the bucket is looked at.
    pub(crate) s3: &'a str,
    /// Where the job writes it.
    pub(crate) s3_of_job: &'a str,
}

impl Rig {
    /// Makes a stream of this name with so many shards; a bucket prefix of the same name takes the partitions.
    pub(crate) fn new(ends: &Ends<'_>, name: &str, shards: i32, step_millis: u64) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(ends.s3, name);
        let stream = Stream::create(ends.kinesis, name, shards);
        let config = directory.path().join("job.toml").display().to_string();
        fs::write(&config, toml(ends, name, &bucket.url())).unwrap();
        Rig { _directory: directory, bucket, stream, config, step_millis, sent: 0 }
    }

    /// The same between the servers that tests share, with nothing in between.
    pub(crate) fn shared(name: &str, shards: i32, step_millis: u64) -> Rig {
        let (stream, bucket) = (Kinesis::shared().endpoint(), S3::shared().endpoint());
        let ends = Ends { kinesis: &stream, kinesis_of_job: &stream, s3: &bucket, s3_of_job: &bucket };
        Rig::new(&ends, name, shards, step_millis)
    }

    /// Puts more records into the stream, one by one or several packed into one.
    pub(crate) fn put(&mut self, records: u64, packed: usize) {
        let records: Vec<Put> = (self.sent..self.sent + records).map(|id| self.record(id)).collect();
        self.sent += records.len() as u64;
        match packed {
            0 | 1 => self.stream.put(records),
            _ => self.stream.put(records.chunks(packed).map(aggregated::pack).collect()),
        }
    }

    /// How many records were put.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    fn event_millis(&self, id: u64) -> u64 {
        START_MILLIS + id * self.step_millis
    }

    fn record(&self, id: u64) -> Put {
        let (shop, at) = (shop(id), self.event_millis(id));
        let data = format!("{{\"id\":\"{id}\",\"at\":{at},\"shop\":\"{shop}\",\"views\":{}}}", views(id));
        // keys spread evenly over the shards; neighbours in time are on different ones
        (format!("key-{id}"), data.into_bytes())
    }

    /// Starts the job.
    pub(crate) fn start(&self) -> Running {
        self.start_with(&[])
    }

    /// Starts the job with options.
    pub(crate) fn start_with(&self, options: &[&str]) -> Running {
        let mut command = command(&[&["run", self.config.as_str()], options].concat());
        command.envs(environment(WRITER));
        Running::of(command)
    }

    /// Changes a line of the configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&self.config, text.replace(from, to)).unwrap();
    }

    /// Runs `check` with these keys.
    pub(crate) fn check(&self, keys: Keys) -> Ended {
        ended(command(&["check", &self.config]).envs(environment(keys)).output().unwrap())
    }

    /// Waits until all that was put is committed; the job must be running.
    pub(crate) fn until_committed(&self, job: &mut Running) {
        self.bucket.until_committed(job, self.sent);
    }

    /// Every record is in the bucket, once, in its interval; nothing else is; what is there is whole. Says how many
    /// revisions there are besides the first ones.
    pub(crate) fn assert_exact(&self) -> usize {
        let tree = self.bucket.tree();
        tree::assert_objects(&tree);
        assert_eq!(tree::rejects(&tree), 0);
        let (rows, expected) = (tree::rows(&tree), self.expected());
        tree::assert_same_rows(&rows, &expected, "rows in the bucket against records put");
        assert_eq!(aggregates(&rows), aggregates(&expected));
        let manifests = tree::manifests(&tree);
        manifests.values().filter(|manifest| manifest.revision > 0).count()
    }

    fn expected(&self) -> RowsByFolder {
        let mut rows = RowsByFolder::new();
        for id in 0..self.sent {
            let at = self.event_millis(id);
            let start = at - at % 300_000;
            let folder = DateTime::from_timestamp_millis(i64::try_from(start).unwrap()).unwrap();
            let folder = folder.format("data/intvl_date=%Y-%m-%d/intvl_hhmm=%H%M").to_string();
            rows.entry(folder).or_default().push(format!("{}|{at}|{id}|{}", shop(id), views(id)));
        }
        rows.values_mut().for_each(|rows| rows.sort());
        rows
    }
}

fn shop(id: u64) -> &'static str {
    SHOPS[usize::try_from(id * 31 % 7).unwrap()]
}

fn views(id: u64) -> u64 {
    id * id % 1009
}

/// Rows and sum of views by interval and series.
fn aggregates(rows: &RowsByFolder) -> BTreeMap<(String, String), (u64, u64)> {
    let mut aggregates = BTreeMap::new();
    for (folder, rows) in rows {
        for row in rows {
            let columns: Vec<&str> = row.split('|').collect();
            let entry = aggregates.entry((folder.clone(), columns[0].to_owned())).or_insert((0, 0));
            *entry = (entry.0 + 1, entry.1 + columns[3].parse::<u64>().unwrap());
        }
    }
    aggregates
}

/// What a process finds its credentials in.
pub(crate) fn environment(keys: Keys) -> [(&'static str, &'static str); 2] {
    [("AWS_ACCESS_KEY_ID", keys.id), ("AWS_SECRET_ACCESS_KEY", keys.secret)]
}

fn toml(ends: &Ends<'_>, stream: &str, url: &str) -> String {
    format!(
        r#"
[job]
stream_batch_time = "500ms"
[source.kinesis]
stream = "{stream}"
region = "{REGION}"
endpoint_url = "{}"
poll_interval = "200ms"
[select]
timestamp = "at"
timestamp_format = "epoch_milliseconds"
dimensions = ["shop"]
keep = ["id"]
measures = ["views"]
types = {{ views = "integer" }}
[interval]
length = "5m"
idle_timeout = "4s"
[partition]
url = "{url}"
[store.s3]
region = "{REGION}"
endpoint_url = "{}"
[detect]
trees = 5
sample = 16
"#,
        ends.kinesis_of_job, ends.s3_of_job
    )
}
