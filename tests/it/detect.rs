//! The detector alone, over partitions that another process is writing: it finds what the whole line finds, however
//! often either of the two is killed (D1, D2).

use std::thread;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

use crate::support::data::{self, Layout};
use crate::support::pipeline::Pipeline;
use crate::support::process::{Running, tidewatch, wait_until};
use crate::support::tree;

const STEPS: u64 = 500;

#[test]
fn a_detector_that_follows_another_job_finds_what_the_whole_line_finds() {
    let directory = tempfile::tempdir().unwrap();
    let whole = Pipeline::over(&data::settings(61, STEPS), Layout::PLAIN, directory.path());
    tidewatch(&["run", &whole.write()]).good();
    let expected = tree::anomalies(&tree::read(&whole.url));
    assert!(expected.lines().count() > 5);

    let split = whole.to(&directory.path().join("split"));
    let path = split.write();
    let mut random = Pcg64Mcg::new(7);
    let mut pause = |millis: u64| thread::sleep(Duration::from_millis(random.next_u64() % millis));
    let mut writer = Running::start(&["etl", &path]);
    wait_until("there are partitions", || !tree::manifests(&tree::read(&split.url)).is_empty());
    let mut detector = Running::start(&["detect", &path]);
    for _ in 0..8 {
        pause(150);
        writer.kill();
        writer = Running::start(&["etl", &path]);
        pause(300);
        detector.kill();
        detector = Running::start(&["detect", &path]);
    }
    assert_eq!(writer.end().code(), Some(0), "{}", writer.errors());
    let found = || tree::anomalies(&tree::read(&split.url));
    wait_until("the detector has judged all", || found().len() >= expected.len() || detector.status().is_some());
    assert!(detector.status().is_none(), "{}", detector.errors());
    assert_eq!(detector.terminate().code(), Some(0), "{}", detector.errors());
    assert_eq!(found(), expected);
    tree::assert_whole(&split.url);
}

#[test]
fn a_short_budget_is_told_once_and_every_series_is_judged() {
    let directory = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::over(&data::many(62, 40), Layout::PLAIN, directory.path());
    // forests of which the budget holds a few
    pipeline.detect = "memory = \"16MB\"\ntrees = 200\nsample = 256\nshingle = 8".into();
    let ended = tidewatch(&["run", &pipeline.write()]);
    assert_eq!(ended.stderr.matches("the memory budget is short for").count(), 1, "{}", ended.stderr);
    assert!(ended.good().contains("series"));
}
