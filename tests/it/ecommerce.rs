//! The main pipeline as it is shipped for Kinesis, a bucket and a topic, between real servers: it finds what was planted, as
//! the job over files does, and tells of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::bucket::Bucket;
use crate::support::process::{Running, command, ended, tidewatch};
use crate::support::rig::environment;
use crate::support::servers::kinesis::Kinesis;
use crate::support::servers::ministack::Ministack;
use crate::support::servers::s3::{BUCKET, S3, WRITER};
use crate::support::stream::REGION;
use crate::support::tree;

const NAME: &str = "ecommerce-kinesis-s3";
/// The last interval: the clock closes it, and the end of files leaves it cut short and unjudged.
const LAST: &str = "2024-03-07 23:55:00";
/// Share of the planted incidents that has to be found, of those after two days.
const RECALL: f64 = 0.9;

/// A text with these replacements, each of which must be needed.
fn replaced(text: &str, all: &[(&str, &str)]) -> String {
    all.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replace(from, to)
    })
}

#[test]
fn the_shipped_pipeline_finds_and_tells_what_was_planted() {
    let (kinesis, s3, sns) = (Kinesis::shared().endpoint(), S3::shared().endpoint(), Ministack::shared());
    let (topic, queue) = sns.topic(NAME);
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();

    let made = "generate ecommerce --days 4 --series 12 --records 1 --seed 11 --late-per-million 0 --anomaly-probability 0.001";
    let made: Vec<&str> = made.split(' ').collect();
    tidewatch(&[&made[..], &["--out", &place("files")]].concat()).good();
    let to = ["--to", "kinesis", "--stream", NAME, "--create-stream", "2", "--region", REGION, "--rate", "20000"];
    let mut put = command(&[&made[..], &to, &["--endpoint-url", &kinesis]].concat());
    ended(put.envs(environment(WRITER)).output().unwrap()).good();

    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/{NAME}.toml"));
    let shipped = fs::read_to_string(shipped).unwrap();
    let bucket = Bucket::open(&s3, NAME);
    let to_servers = [
        ("stream_batch_time = \"60s\"", "stream_batch_time = \"500ms\""),
        ("eu-central-1", REGION),
        ("stream = \"ecommerce\"", &format!("stream = \"{NAME}\"\nendpoint_url = \"{kinesis}\"")),
        ("[store.s3]", &format!("[store.s3]\nendpoint_url = \"{s3}\"")),
        ("url = \"s3://my-bucket/ecommerce\"", &format!("url = \"s3://{BUCKET}/{NAME}\"")),
        ("length = \"5m\"", "length = \"5m\"\nidle_timeout = \"3s\""),
        ("[alert.sns]", &format!("[alert.sns]\nprofile = \"topics\"\nendpoint_url = \"{}\"", sns.endpoint())),
        (&format!("arn:aws:sns:{REGION}:123456789012:anomalies"), &topic),
    ];
    fs::write(place("stream.toml"), replaced(&shipped, &to_servers)).unwrap();
    let (before, rest) = shipped.split_once("[source.kinesis]").unwrap();
    let (_, rest) = rest.split_once("[decode]").unwrap();
    let (rest, _) = rest.split_once("[[alert]]").unwrap();
    let of_files = format!("{before}[source.files]\npath = \"{}\"\n[decode]{rest}", place("files/records"));
    let of_files = replaced(&of_files, &[("s3://my-bucket/ecommerce\"", &format!("{}\"", place("out")))]);
    fs::write(place("files.toml"), of_files).unwrap();

    tidewatch(&["run", &place("files.toml")]).good();
    let expected = tree::read(&directory.path().join("out"));
    let mut job = command(&["run", &place("stream.toml")]);
    // the two servers take different keys
    let keys = |profile: &str, id: &str, secret: &str| {
        format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
    };
    fs::write(place("keys"), keys("default", WRITER.id, WRITER.secret) + &keys("topics", "test", "test")).unwrap();
    job.env("AWS_SHARED_CREDENTIALS_FILE", place("keys"));
    let mut job = Running::of(job);
    let records = tree::rows(&expected).values().map(Vec::len).sum::<usize>() as u64;
    bucket.until_committed(&mut job, records);
    assert!(job.terminate().success(), "{}", job.errors());

    let there = bucket.everything();
    tree::assert_same_rows(&tree::rows(&there), &tree::rows(&expected), "from a stream against from files");
    // shards mix the rows of an interval, so that sums may end in other bits
    assert_same(&ids(&tree::anomalies(&there)), &ids(&tree::anomalies(&expected)));
    assert_same(&ids(&tree::incidents(&there)), &ids(&tree::incidents(&expected)));

    let labels = place("files/labels.csv");
    let said = tidewatch(&["backtest", &place("files.toml"), "--labels", &labels, "--from", "2024-03-06"]).good();
    let recall = said.lines().find_map(|line| line.trim().strip_prefix("recall")).expect(&said);
    let recall: f64 = recall.split_whitespace().next().unwrap().parse().unwrap();
    assert!(recall >= RECALL, "{said}");

    let known = ids(&tree::incidents(&there));
    let told: Vec<Value> = queue.take().iter().map(|message| parsed(&message["Message"])).collect();
    let threads: BTreeSet<String> =
        told.iter().map(|notice| notice["notice_thread"].as_str().unwrap().to_owned()).collect();
    assert!(!threads.is_empty() && threads.is_subset(&known), "{threads:?} of {known:?}\n{}", job.errors());
    let ids: BTreeSet<&str> = told.iter().map(|notice| notice["notice_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), told.len(), "no message twice without a failure");
}

fn assert_same(actual: &BTreeSet<String>, expected: &BTreeSet<String>) {
    let differ: Vec<&String> = actual.symmetric_difference(expected).collect();
    assert!(!actual.is_empty() && differ.is_empty(), "{differ:?}");
}

/// The ids of the lines of a table, up to the last interval.
fn ids(table: &str) -> BTreeSet<String> {
    let lines = table.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter(|line| line["interval_start"] != LAST);
    lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

fn parsed(message: &Value) -> Value {
    serde_json::from_str(message.as_str().unwrap()).unwrap()
}
