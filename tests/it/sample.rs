//! The shipped configuration on the shipped data, and on data of other seeds: what is found matches what was planted.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::process::{command, ended, tidewatch};
use crate::support::tree;

const RECALL_MIN: f64 = 0.8;
const PRECISION_MIN: f64 = 0.8;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped configuration with its places changed.
fn shipped(directory: &Path, source: Option<&Path>) -> PathBuf {
    let mut text = fs::read_to_string(root().join("config/ecommerce.toml")).unwrap();
    let mut change = |from: &str, to: &Path| {
        assert_eq!(text.matches(from).count(), 1, "`{from}` in config/ecommerce.toml");
        text = text.replace(from, &to.display().to_string());
    };
    change("out/ecommerce", &directory.join("out"));
    if let Some(source) = source {
        change("sample-data/ecommerce/records", source);
    }
    let path = directory.join("changed.toml");
    fs::write(&path, text).unwrap();
    path
}

/// The number behind a word at the beginning of a line.
fn figure(printed: &str, word: &str) -> f64 {
    let line = printed.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}:\n{printed}"));
    line.split_whitespace().nth(1).unwrap().trim_end_matches(',').parse().unwrap()
}

fn assert_good(printed: &str, context: &str) {
    let (recall, precision) = (figure(printed, "recall"), figure(printed, "precision"));
    assert!(recall >= RECALL_MIN && precision >= PRECISION_MIN, "{context}:\n{printed}");
    // not by having nothing to find
    let (found, episodes) = (figure(printed, "incidents"), figure(printed, "episodes"));
    assert!(found >= 5.0 && episodes >= 5.0, "{context}:\n{printed}");
}

#[test]
fn the_sample_job_finds_what_was_planted() {
    let directory = tempfile::tempdir().unwrap();
    let config = shipped(directory.path(), None).display().to_string();
    let from_root = |args: &[&str]| ended(command(args).current_dir(root()).output().unwrap()).good();
    let summary = from_root(&["run", &config]);
    assert!(summary.contains("findings") && !summary.contains("stopped"), "{summary}");
    tree::assert_whole(&directory.path().join("out"));
    let judged = from_root(&["backtest", &config, "--labels", "sample-data/ecommerce/labels.csv"]);
    assert_good(&judged, "the sample data");
}

/// Makes a data set of its own and measures what the shipped configuration finds in it.
fn other_seed_is_good(seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (out, seed) = (data.display().to_string(), seed.to_string());
    let made = ["generate", "ecommerce", "--out", &out, "--seed", &seed, "--anomaly-probability", "0.0005"];
    tidewatch(&[&made[..], &["--days", "7"]].concat()).good();
    let config = shipped(directory.path(), Some(&data.join("records"))).display().to_string();
    let labels = data.join("labels.csv").display().to_string();
    let judged = tidewatch(&["backtest", &config, "--input", "source", "--labels", &labels]).good();
    assert_good(&judged, &format!("seed {seed}"));
}

#[test]
fn seed_101_is_good() {
    other_seed_is_good(101);
}

#[test]
fn seed_102_is_good() {
    other_seed_is_good(102);
}

#[test]
fn seed_103_is_good() {
    other_seed_is_good(103);
}

#[test]
fn seed_104_is_good() {
    other_seed_is_good(104);
}

#[test]
fn seed_105_is_good() {
    other_seed_is_good(105);
}
