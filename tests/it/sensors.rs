//! The shipped sensor configuration from end to end: every value is scored and delivered to an index, which fails in all
//! the ways that one does. What is planted is found by the scores that arrive there, nothing is lost, and a job that is
//! run again replaces what it wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDateTime, NaiveTime};
use serde_json::Value;

use crate::support::index::Index;
use crate::support::process::tidewatch;
use crate::support::shipped::shipped;
use crate::support::tree::{self, Tree};

const RECALL_MIN: f64 = 0.95;
const PRECISION_MIN: f64 = 0.9;
/// The configuration's `score_threshold`: what a reader of the index filters by.
const SCORE_THRESHOLD: f64 = 2.0;
const RECORDS: usize = 18_000;

/// The shipped configuration with its delivery uncommented, to this index.
fn config(directory: &Path, seed: u64, index: &Index, changes: &[(&str, &str)]) -> String {
    let mut delivery = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("config/iot-sensor.toml")).unwrap();
    let commented = text.lines().skip_while(|line| *line != "# [[deliver]]").collect::<Vec<_>>().join("\n");
    for line in commented.lines() {
        delivery.push_str(line.strip_prefix("# ").unwrap());
        delivery.push('\n');
    }
    let url = ("https://search.example.com:9200", index.url());
    let quick = (
        "score_threshold = 0             # every record goes there, with its score\n",
        "score_threshold = 0\nback_off = \"10ms\"\nback_off_max = \"50ms\"\n",
    );
    let seed = format!("seed = {seed}\n");
    let changes = [&[(&*commented, &*delivery), (url.0, &url.1), quick, ("seed = 1\n", &seed)], changes].concat();
    shipped("iot-sensor", directory, &changes).display().to_string()
}

/// What tells a record: when, which sensor, which value.
type Key = (NaiveDateTime, String, String);

fn labels(directory: &Path) -> BTreeSet<Key> {
    let mut reader = csv::Reader::from_path(directory.join("labels.csv")).unwrap();
    assert_eq!(reader.headers().unwrap(), &["event_time", "iotName", "iotValue"][..]);
    let key = |line: csv::StringRecord| {
        let time = NaiveDateTime::parse_from_str(&line[0], "%Y-%m-%d %H:%M:%S%.f").unwrap();
        (time, line[1].to_owned(), line[2].to_owned())
    };
    reader.records().map(|line| key(line.unwrap())).collect()
}

fn time(document: &Value) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(document["event_time"].as_str().unwrap(), "%Y-%m-%dT%H:%M:%S%.fZ").unwrap()
}

fn key(document: &Value) -> Key {
    let value = document["iotValue"].as_f64().unwrap();
    (time(document), document["iotName"].as_str().unwrap().to_owned(), value.to_string())
}

/// The lines of the table of records, by id.
fn table(tree: &Tree) -> BTreeMap<String, Value> {
    let lines = tree.values().flat_map(|bytes| std::str::from_utf8(bytes).unwrap().lines());
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["ANOMALY_ID"].as_str().unwrap().to_owned(), line)).collect()
}

/// What is in the error prefix, by id, with the code of why.
fn undelivered(tree: &Tree) -> BTreeMap<String, (String, Value)> {
    let lines = tree.values().flat_map(|bytes| std::str::from_utf8(bytes).unwrap().lines());
    let parsed = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |member: &str| line[member].as_str().unwrap().to_owned();
        let raw = STANDARD.decode(text("rawData")).unwrap();
        (text("id"), (text("errorCode"), serde_json::from_slice(&raw).unwrap()))
    };
    lines.map(parsed).collect()
}

/// A document is the line of the table with what a notice has besides.
fn assert_is_line(document: &Value, line: &Value, id: &str) {
    let mut document = document.as_object().unwrap().clone();
    let own = ["notice_id", "notice_kind", "notice_thread", "@timestamp"].map(|name| document.remove(name).unwrap());
    assert_eq!((own[0].as_str(), own[1].as_str()), (Some(id), Some("record")));
    assert_eq!(&Value::Object(document), line);
}

/// Checks what one run leaves in the index, and beside the partitions; gives the figures.
fn delivered_as_scored(seed: u64, rotation: &str, changes: &[(&str, &str)], made: [&str; 2]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (data, seed_text) = (directory.path().join("data"), seed.to_string());
    let [seconds, per_second] = made;
    let out = data.display().to_string();
    let made = ["generate", "iot-sensor", "--out", &out, "--seed", &seed_text, "--seconds", seconds];
    tidewatch(&[&made[..], &["--per-second", per_second]].concat()).good();
    let index = Index::listen(true);
    let config = config(directory.path(), seed, &index, changes);
    tidewatch(&["run", &config]).good();

    let out = directory.path().join("out");
    let (table, kept) = (table(&tree::below(&out, "records")), undelivered(&tree::below(&out, "undelivered/index")));
    assert_eq!(table.len(), RECORDS);
    let mut said = String::new();
    let (documents, types) = index.state(|state| {
        let (troubles, refused) = (&state.troubles, state.refused.len());
        said =
            format!("seed {seed}: {troubles:?}, {} documents came again, {refused} refused for good", state.repeated);
        let all = ["reset", "busy", "lost answer", "busy for some", "unavailable", "too large"];
        assert!(all.iter().all(|trouble| state.troubles.contains_key(trouble)), "{:?}", state.troubles);
        assert!(state.repeated > 0 && state.refused.len() > 10);
        assert_eq!(state.early, 0, "`Retry-After` is kept to");
        // what cannot be parsed is kept with its reason, and nothing else is
        assert_eq!(state.refused, kept.keys().cloned().collect());
        (state.documents.clone(), state.types.clone())
    });
    let mut labels_left = labels(&data);
    let (planted, mut told, mut found) = (labels_left.len(), 0_usize, 0_usize);
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for (name, documents) in &documents {
        for (id, document) in documents {
            assert!(ids.insert(id.clone()) && !kept.contains_key(id), "{id} is in two places");
            assert_is_line(document, &table[id], id);
            assert_eq!(*name, format!("sensors-{}", time(document).format(rotation)), "{id}");
            let minute = time(document).time().format("%H:%M:00").to_string();
            let minute = time(document).date().and_time(NaiveTime::parse_from_str(&minute, "%H:%M:%S").unwrap());
            assert_eq!(document["@timestamp"], format!("{}Z", minute.format("%Y-%m-%dT%H:%M:%S")), "{id}");
            let (is_told, is_planted) =
                (document["ANOMALY_SCORE"].as_f64().unwrap() >= SCORE_THRESHOLD, labels_left.remove(&key(document)));
            told += usize::from(is_told);
            found += usize::from(is_told && is_planted);
        }
        // by what the first document says, a dashboard can average scores and values and knows times
        for (field, kind) in
            [("ANOMALY_SCORE", "float"), ("iotValue", "float"), ("event_time", "date"), ("@timestamp", "date")]
        {
            assert_eq!(types[&(name.clone(), field.to_owned())], kind, "{field}");
        }
    }
    for (id, (code, document)) in &kept {
        assert_eq!(code, "400");
        assert_is_line(document, &table[id], id);
        labels_left.remove(&key(document));
        ids.insert(id.clone());
    }
    assert!(ids.iter().eq(table.keys()), "nothing is lost, nothing is made up");
    assert!(labels_left.is_empty(), "labels without a record: {labels_left:?}");
    // what was refused counts as missed
    let (recall, precision) = (found as f64 / planted as f64, found as f64 / told as f64);
    assert!(planted > 100 && recall >= RECALL_MIN && precision >= PRECISION_MIN, "{recall} {precision}");
    format!("{said}; {planted} planted, {told} told, recall {recall:.3}, precision {precision:.3}")
}

#[test]
fn what_is_planted_is_found_in_an_index_of_a_day_on_five_seeds() {
    for seed in 1..=5 {
        println!("{}", delivered_as_scored(seed, "%Y-%m-%d", &[], ["3600", "5"]));
    }
}

#[test]
fn an_index_of_each_hour_takes_documents_that_are_created_once() {
    let changes = [
        ("rotation = \"day\"", "rotation = \"hour\"\noperation = \"create\""),
        ("duration = \"1h\"", "duration = \"150m\""),
        ("rate = 5.0", "rate = 2.0"),
    ];
    println!("{}", delivered_as_scored(6, "%Y-%m-%d-%H", &changes, ["9000", "2"]));
}

#[test]
fn a_job_that_is_run_again_from_the_start_replaces_its_documents_by_the_same() {
    let index = Index::listen(false);
    let mut first = None;
    for run in 1..=2_u64 {
        let directory = tempfile::tempdir().unwrap();
        let short = ("duration = \"1h\"", "duration = \"10m\"");
        tidewatch(&["run", &config(directory.path(), 1, &index, &[short])]).good();
        let (documents, repeated) = index.state(|state| (state.documents.clone(), state.repeated));
        assert_eq!(documents["sensors-2024-03-04"].len(), 3000);
        assert_eq!(repeated, 3000 * (run - 1));
        assert!(first.is_none_or(|first| first == documents));
        first = Some(documents);
    }
}
