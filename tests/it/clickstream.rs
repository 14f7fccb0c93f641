//! The shipped clickstream configuration: clicks and impressions per ten seconds, and their ratio. The records are made
//! here: every planted burst of clicks is told within two windows, and nothing is told in an hour of normal traffic.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use serde_json::Value;
use tidewatch::model::{AnomalyGroup, Incident};

use crate::support::process::{command, ended, tidewatch};

/// Seconds of a window.
const WINDOW: i64 = 10;
/// Seconds before anything is planted: half an hour to learn from, an hour of normal traffic.
const CALM: i64 = 5400;
/// Bursts begin so many seconds apart, and last so long.
const APART: i64 = 1207;
const BURST: i64 = 60;
const BURSTS: i64 = 3;
/// Impressions in a second, on average; clicks on each of them, normally and in a burst.
const IMPRESSIONS: f64 = 8.0;
const RATE: f64 = 0.1;
const RATE_OF_BURST: f64 = 0.5;

fn begin() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 3, 2).unwrap().and_hms_opt(9, 0, 0).unwrap()
}

/// Seconds at which bursts begin: not where a window does.
fn bursts() -> impl Iterator<Item = i64> {
    (0..BURSTS).map(|burst| CALM + 67 + burst * APART)
}

/// Records of a stream, a line each.
fn records(seed: u64) -> String {
    let mut random = Pcg64Mcg::new(u128::from(seed) << 32 | 0x5eed);
    let mut uniform = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let mut text = String::new();
    let end = CALM + BURSTS * APART;
    for second in 0..end {
        let at = begin() + TimeDelta::seconds(second);
        let is_burst = bursts().any(|burst| (burst..burst + BURST).contains(&second));
        let rate = if is_burst { RATE_OF_BURST } else { RATE };
        let mut line = |action: &str| {
            writeln!(text, r#"{{"browseraction":"{action}","event_time":"{at}"}}"#).unwrap();
        };
        // Poisson: as many as exponential times fit into a second
        let mut left = IMPRESSIONS;
        loop {
            left += libm::log(1.0 - uniform());
            if left < 0.0 {
                break;
            }
            line("Impression");
            if uniform() < rate {
                line("Click");
            }
        }
    }
    text
}

/// What receivers of the shipped alert are told: by window as the peer did, and as incidents.
const FILES: [&str; 2] = ["findings", "incidents"];

/// The shipped configuration with its places changed, and with receivers of its alert.
fn shipped(directory: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = fs::read_to_string(root.join("config/clickstream.toml")).unwrap();
    for (from, to) in [("sample-data/clickstream", "in.jsonl"), ("out/clickstream", "out")] {
        assert_eq!(text.matches(from).count(), 1, "`{from}` in config/clickstream.toml");
        text = text.replace(from, &directory.join(to).display().to_string());
    }
    assert_eq!(text.matches("[[alert]]").count(), 1);
    let alert = "[[alert]]\nmeasures = [\"ctr\"]\nseverity_threshold = 0";
    for about in FILES {
        let file = directory.join(about).display().to_string();
        write!(text, "\n{alert}\nabout = \"{about}\"\n[alert.file]\npath = \"{file}\"\n").unwrap();
    }
    let path = directory.join("changed.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// What a receiver was told, a message a line.
fn messages(directory: &Path, about: &str) -> Vec<Value> {
    let text = fs::read_to_string(directory.join(about)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Seconds after the beginning at which windows end that a receiver was told of.
fn told(directory: &Path) -> Vec<i64> {
    let groups = messages(directory, "findings")
        .into_iter()
        .map(|message| serde_json::from_value::<AnomalyGroup>(message).unwrap());
    groups.map(|group| (group.interval.end() - begin()).num_seconds()).collect()
}

/// The same of the beginnings of incidents: the windows with which they were told.
fn opened(directory: &Path) -> Vec<i64> {
    let opened = messages(directory, "incidents").into_iter().filter(|message| message["notice_kind"] == "opened");
    let opened = opened.map(|message| serde_json::from_value::<Incident>(message).unwrap());
    opened.map(|incident| (incident.interval.end() - begin()).num_seconds()).collect()
}

fn every_burst_is_told(seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in.jsonl"), records(seed)).unwrap();
    let config = shipped(directory.path());
    let summary = tidewatch(&["run", &config]).good();
    let (told, opened) = (told(directory.path()), opened(directory.path()));
    let before: Vec<&i64> = told.iter().filter(|end| **end <= CALM).collect();
    assert!(before.is_empty(), "seed {seed}: told in normal traffic at {before:?}\n{summary}");
    assert!(opened.iter().all(|end| *end > CALM), "seed {seed}: an incident in normal traffic, of {opened:?}");
    for burst in bursts() {
        let first = told.iter().find(|end| **end > burst);
        let windows = first.map(|end| (end - burst + WINDOW - 1) / WINDOW);
        // the window in which it begins, and the next
        assert!(windows.is_some_and(|windows| windows <= 2), "seed {seed}: a burst at {burst}, told at {told:?}");
    }
    // what comes back within the hour is one incident, whose second return waits for a digest. It is believed after two of
    // three windows, unless it is severe
    for burst in bursts().take(2) {
        let first = opened.iter().find(|end| **end > burst);
        assert!(first.is_some_and(|end| end - burst <= BURST), "seed {seed}: a burst at {burst}, opened at {opened:?}");
    }
    let stray: Vec<&i64> =
        told.iter().filter(|end| !bursts().any(|burst| (burst..=burst + BURST + 2 * WINDOW).contains(end))).collect();
    assert!(stray.is_empty(), "seed {seed}: told at {stray:?}, where there was no burst");
}

#[test]
fn bursts_of_clicks_are_told_within_two_windows_and_normal_traffic_is_not() {
    for seed in 1..=5 {
        every_burst_is_told(seed);
    }
}

#[test]
fn the_shipped_sample_runs_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    let config = shipped(directory.path()).replace("changed", "sample");
    let text = fs::read_to_string(root.join("config/clickstream.toml")).unwrap();
    fs::write(&config, text.replace("out/clickstream", &directory.path().join("out").display().to_string())).unwrap();
    let summary = ended(command(&["run", &config]).current_dir(root).output().unwrap()).good();
    assert!(summary.contains("findings"), "{summary}");
    let table = tidewatch(&["anomalies", &config, "--format", "json"]).good();
    assert!(table.contains("\"measure\":\"ctr\""), "{table}");
    let partition = directory.path().join("out/data/intvl_date=2026-03-02/intvl_hhmmss=090010/part-r0000-00000.csv");
    let text = fs::read_to_string(partition).unwrap();
    assert!(text.starts_with("event_time,browseraction\n2026-03-02 09:00:10,"), "{text}");
    // the partitions give the same findings
    let again = directory.path().join("again.jsonl");
    let again = again.display().to_string();
    tidewatch(&["backtest", &config, "--input", "partitions", "--anomalies", &again]).good();
    let table = tidewatch(&["anomalies", &config, "--format", "json"]).good();
    assert_eq!(fs::read_to_string(&again).unwrap(), table);
}
