//! What a job left behind: every object by name, the rows in them, the account of the manifests, the anomaly table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use chrono::DateTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidewatch::model::Tally;
use tidewatch::partition::Manifest;

/// Name relative to `partition.url`, with `/`, to bytes; without what is below `state/`.
pub(crate) type Tree = BTreeMap<String, Vec<u8>>;

/// Folder of an interval to its rows, sorted; values joined with `|`.
pub(crate) type RowsByFolder = BTreeMap<String, Vec<String>>;

/// Reads `data/`, `rejects/`, `anomalies/`, `revisions/` and `incidents/`.
pub(crate) fn read(url: &Path) -> Tree {
    let mut tree = Tree::new();
    for area in ["data", "rejects", "anomalies", "revisions", "incidents"] {
        walk(&url.join(area), area, &mut |name, path| {
            // a job that runs may have moved what was listed
            tree.extend(fs::read(path).ok().map(|bytes| (name.to_owned(), bytes)));
        });
    }
    tree
}

/// Reads one more area, such as `records`.
pub(crate) fn below(url: &Path, area: &str) -> Tree {
    let mut tree = Tree::new();
    walk(&url.join(area), area, &mut |name, path| drop(tree.insert(name.to_owned(), fs::read(path).unwrap())));
    tree
}

/// All files below a directory; one that is not there has none.
fn walk(directory: &Path, name: &str, visit: &mut impl FnMut(&str, &Path)) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{name}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path(), &name, visit),
            false => visit(&name, &entry.path()),
        }
    }
}

/// Fails with the names that differ.
pub(crate) fn assert_same(actual: &Tree, expected: &Tree, context: &str) {
    let names: BTreeSet<&String> = actual.keys().chain(expected.keys()).collect();
    let differ = |name: &String| match (actual.get(name), expected.get(name)) {
        (None, _) => Some(format!("{name} is missing")),
        (_, None) => Some(format!("{name} is left over")),
        (here, there) => (here != there).then(|| format!("{name} differs")),
    };
    let differing: Vec<String> = names.into_iter().filter_map(differ).take(10).collect();
    assert!(differing.is_empty(), "{context}:\n{}", differing.join("\n"));
}

/// Checks that `data/` holds what its manifests name and nothing else, and that nothing half-written is left anywhere
/// below `url`.
pub(crate) fn assert_whole(url: &Path) {
    assert_objects(&read(url));
    walk(url, "", &mut |name, _| assert!(!name.contains('#'), "{name} is half-written"));
}

/// Checks that `data/` holds what its manifests name and nothing else.
pub(crate) fn assert_objects(tree: &Tree) {
    let mut named: BTreeSet<String> = ["data/_tidewatch.json".to_owned()].into();
    for (name, manifest) in manifests(tree) {
        for object in &manifest.objects {
            let object_name = sibling(&name, &object.name);
            let bytes = tree.get(&object_name).unwrap_or_else(|| panic!("{object_name} of {name} is missing"));
            assert!(object.describes(bytes), "{object_name} is not what {name} says");
            named.insert(object_name);
        }
        named.insert(name);
    }
    let there: BTreeSet<String> = tree.keys().filter(|name| name.starts_with("data/")).cloned().collect();
    assert_eq!(there, named, "objects of data/ against manifests");
}

/// All manifests by name.
pub(crate) fn manifests(tree: &Tree) -> BTreeMap<String, Manifest> {
    // a killed process may have left one that is half-written, under another ending
    let is_manifest = |name: &str| name.contains("/_manifest-") && name.ends_with(".json");
    let manifests = tree.iter().filter(|(name, _)| is_manifest(name));
    manifests.map(|(name, bytes)| (name.clone(), Manifest::from_json(bytes).unwrap())).collect()
}

/// The account that the manifests give together.
pub(crate) fn account(tree: &Tree) -> Tally {
    let mut total = Tally::default();
    manifests(tree).values().filter_map(Manifest::tally).for_each(|tally| total.add(&tally));
    total
}

/// The anomaly table: all groups in the order of their intervals.
pub(crate) fn anomalies(tree: &Tree) -> String {
    let table = tree.iter().filter(|(name, _)| name.starts_with("anomalies/"));
    table.map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect()
}

/// The incident table: all lines in the order of their intervals.
pub(crate) fn incidents(tree: &Tree) -> String {
    let table = tree.iter().filter(|(name, _)| name.starts_with("incidents/"));
    table.map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect()
}

/// The same without what late rows changed.
pub(crate) fn incidents_in_time(tree: &Tree) -> String {
    let is_in_time = |name: &str| name.starts_with("incidents/") && name.ends_with("/incidents.jsonl");
    let table = tree.iter().filter(|(name, _)| is_in_time(name));
    table.map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect()
}

/// The table of revisions: all lines, sorted.
pub(crate) fn revisions(tree: &Tree) -> Vec<String> {
    let table = tree.iter().filter(|(name, _)| name.starts_with("revisions/"));
    let mut lines: Vec<String> =
        table.flat_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned)).collect();
    lines.sort();
    lines
}

/// How many records the reject objects hold.
pub(crate) fn rejects(tree: &Tree) -> u64 {
    let rejects = tree.iter().filter(|(name, _)| name.starts_with("rejects/"));
    rejects.map(|(_, bytes)| bytes.iter().filter(|byte| **byte == b'\n').count() as u64).sum()
}

/// Fails with the first interval whose rows differ.
pub(crate) fn assert_same_rows(actual: &RowsByFolder, expected: &RowsByFolder, context: &str) {
    let folders: BTreeSet<&String> = actual.keys().chain(expected.keys()).collect();
    for folder in folders {
        assert_eq!(actual.get(folder), expected.get(folder), "{context}: rows of {folder}");
    }
}

/// The rows of all revisions of each interval.
pub(crate) fn rows(tree: &Tree) -> RowsByFolder {
    let mut rows = RowsByFolder::new();
    for (name, bytes) in tree.iter().filter(|(name, _)| name.starts_with("data/")) {
        let (folder, file) = name.rsplit_once('/').unwrap();
        let parsed = match file.rsplit_once('.') {
            Some((part, "csv")) if part.starts_with("part-") => csv_rows(bytes),
            Some((part, "parquet")) if part.starts_with("part-") => parquet_rows(bytes),
            _ => continue,
        };
        rows.entry(folder.to_owned()).or_default().extend(parsed);
    }
    rows.values_mut().for_each(|rows| rows.sort());
    rows
}

fn csv_rows(bytes: &[u8]) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(bytes);
    reader.records().map(|record| record.unwrap().iter().collect::<Vec<_>>().join("|")).collect()
}

/// The columns of [`super::pipeline`]: two dimensions, the event time, views, revenue.
fn parquet_rows(bytes: &[u8]) -> Vec<String> {
    let bytes = Bytes::copy_from_slice(bytes);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let times = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        let views = batch.column(3).as_primitive::<Int64Type>();
        let revenue = batch.column(4).as_primitive::<Float64Type>();
        rows.extend((0..batch.num_rows()).map(|row| {
            let time = DateTime::from_timestamp_micros(times.value(row)).unwrap().format("%Y-%m-%d %H:%M:%S");
            let (platform, marketplace) = (text(0).value(row), text(1).value(row));
            format!("{platform}|{marketplace}|{time}|{}|{:?}", views.value(row), revenue.value(row))
        }));
    }
    rows
}

fn sibling(name: &str, file: &str) -> String {
    format!("{}/{file}", name.rsplit_once('/').unwrap().0)
}
