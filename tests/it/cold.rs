//! When will it speak: what `check` says before a job has run, with history and without, and what `status` says of a job
//! that has begun.

use std::fs;
use std::path::Path;

use crate::support::data::{self, Layout};
use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;

fn over(steps: u64, directory: &Path) -> Pipeline {
    Pipeline::over(&data::settings(61, steps), Layout::PLAIN, directory)
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` in\n{text}");
    }
}

#[test]
fn without_history_each_series_warms_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut pipeline = over(40, directory.path());
    let said = tidewatch(&["check", &pipeline.write()]).good();
    let shapes = "the shape of its day is known after 1 day, that of its week after 2 weeks";
    assert_has(&said, &["speaks     28 intervals (2 h 20 min) after a series' first row", shapes]);
    assert_has(&said, &["history    none: each series learns from its first row on"]);
    pipeline.interval = "length = \"10m\"".into();
    assert_has(&tidewatch(&["check", &pipeline.write()]).good(), &["28 intervals (4 h 40 min)"]);
    let status = tidewatch(&["status", &pipeline.write()]).good();
    assert_has(&status, &["state      none in", "tidewatch check"]);
    assert!(!pipeline.url.join("state").exists(), "a look makes nothing");
}

#[test]
fn partitions_shorten_it() {
    let directory = tempfile::tempdir().unwrap();
    // a day and a half, then not even the warm-up
    for (steps, parts) in [
        (
            432,
            &[
                "432 intervals of 2 days, 2024-03-04 to 2024-03-05",
                "with it a series that is in it speaks at once;",
                "the shape of its day is known, the shape of its week is known after 12 days more",
                "`run` by `tidewatch backtest CONFIG --promote`",
            ][..],
        ),
        (
            20,
            &[
                "20 intervals of 1 day, 2024-03-04 to 2024-03-04",
                "with it a series that is in it speaks 8 intervals (40 min) later;",
                "the shape of its day is known, the shape of its week is known after 13 days more",
            ],
        ),
    ] {
        let directory = directory.path().join(steps.to_string());
        fs::create_dir(&directory).unwrap();
        let pipeline = over(steps, &directory);
        let path = pipeline.write();
        tidewatch(&["etl", &path]).good();
        assert_has(&tidewatch(&["check", &path]).good(), parts);
        // a state without a detector
        let status = tidewatch(&["status", &path]).good();
        assert_has(&status, &["of `etl`", "rows       "]);
        assert!(!status.contains("series"), "{status}");
    }
}

#[test]
fn status_tells_when_the_last_series_speaks() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = over(20, directory.path());
    let path = pipeline.write();
    let printed = tidewatch(&["run", &path]).good();
    // the last of the 20 intervals is cut short by the end of the source and not judged: 19 of 28 from midnight on, two
    // hours and 20 minutes
    let told = "8, 8 of them still learning, the last speaks at 2024-03-04 02:20:00";
    assert_has(&printed, &[&format!("series     {told}")]);
    let status = tidewatch(&["status", &path]).good();
    assert_has(&status, &["of `run`", "judged     up to the interval of 2024-03-04 01:30:00"]);
    assert_has(&status, &[&format!("series     {told}"), &format!("  full     {told}")]);
    let said = tidewatch(&["check", &path]).good();
    let goes_on = "detector   `run` goes on with the one that has judged up to 2024-03-04 01:30:00";
    assert_has(&said, &[goes_on, "tidewatch status"]);
    assert!(!said.contains("history  "), "{said}");

    // the same for the detector alone, and for one that has learned enough
    let longer = over(60, &directory.path().join("longer"));
    let path = longer.write();
    tidewatch(&["etl", &path]).good();
    tidewatch(&["detect", "--once", &path]).good();
    let status = tidewatch(&["status", &path]).good();
    assert_has(&status, &["of `etl`", "of `detect`", "series     8\n"]);
    assert!(!status.contains("learning"), "{status}");
}

#[test]
fn a_detector_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut pipeline = over(20, directory.path());
    tidewatch(&["run", &pipeline.write()]).good();
    pipeline.detect = pipeline.detect.replace("7.0", "1.0");
    let path = pipeline.write();
    for command in ["status", "check"] {
        assert_has(&tidewatch(&[command, &path]).good(), &["warning: the detector in", "sensitivity `7`", "--rebuild"]);
    }
}
