//! A live source that falls silent: the clock closes what is open. That decision is not in the records, so it is saved
//! before anything follows from it, and a job stopped at any point of it ends with the same bytes all the same.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidewatch::job::{Clock, SystemClock};
use tidewatch::model::Timestamp;
use tidewatch::source::generator::{Format, Record, Records};

use crate::support::data::{self, Layout};
use crate::support::line::{Blow, Fault, Point, Ran, run_until};
use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree::{self, Tree};

/// Intervals of one chunk at most: the clock has much to close.
const STEPS: u64 = 24;

/// Time enough for a job that starts again to read what it has to read again.
const REPLAY: Duration = Duration::from_millis(100);

/// Long after all event times.
struct Later(SystemClock);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(4_000_000_000_000_000).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn run(pipeline: &Pipeline, fault: Option<Fault>, enough: impl Fn(&Tree) -> bool + Send) -> Ran {
    let begun = SystemClock::start();
    let enough = move || begun.elapsed() > REPLAY && enough(&tree::read(&pipeline.url));
    run_until(&pipeline.config(), fault, Arc::new(Later(SystemClock::start())), enough)
}

/// Whether all records are in objects, and all parts are committed.
fn is_complete(tree: &Tree, records: u64) -> bool {
    let rows = tree::rows(tree).values().map(Vec::len).sum::<usize>() as u64;
    let parts = tree.keys().filter(|name| name.ends_with(".csv")).count();
    tree::rejects(tree) + rows == records && parts == tree::manifests(tree).len()
}

fn following(directory: &Path) -> (Pipeline, u64) {
    let settings = data::settings(41, STEPS);
    let layout = Layout { format: Format::Csv, ..Layout::PLAIN };
    let mut pipeline = Pipeline::over(&settings, layout, directory);
    // long offsets: many intervals are open when the source falls silent
    pipeline.interval = "offset = \"1h\"\nidle_timeout = \"100ms\"".into();
    pipeline.source.push_str("\nfollow = true");
    (pipeline, data::truth(&settings).records)
}

#[test]
fn what_the_clock_closed_survives_every_crash_point() {
    let directory = tempfile::tempdir().unwrap();
    let (pipeline, records) = following(directory.path());
    let ran = run(&pipeline, None, |tree| is_complete(tree, records));
    let expected = tree::read(&pipeline.url);
    tree::assert_whole(&pipeline.url);
    let summary = ran.summary().clone();
    assert_eq!((summary.tally.read(), summary.held), (records, 0));
    let checkpoints = ran.writes.iter().filter(|write| **write == Point::Checkpoint).count();
    assert!(checkpoints > 20, "{checkpoints} checkpoints: the clock closed next to nothing");

    for point in [Point::Rejects, Point::Part, Point::Manifest, Point::Raises, Point::Checkpoint] {
        let count = ran.writes.iter().filter(|write| **write == point).count() as u64;
        for number in [1, count / 2, count] {
            for blow in [Blow::Before, Blow::After] {
                let fault = Fault { point: Some(point), number, blow };
                let url = tempfile::tempdir_in(directory.path()).unwrap();
                let pipeline = pipeline.to(&url.path().join("out"));
                assert!(run(&pipeline, Some(fault), |_| false).struck, "{fault} was not met");
                let again = run(&pipeline, None, |tree| *tree == expected);
                assert!(again.summary().stopped);
                tree::assert_same(&tree::read(&pipeline.url), &expected, &fault.to_string());
                tree::assert_whole(&pipeline.url);
            }
        }
    }
}

/// A clock that somebody sets: right, days ahead, a year behind, and at last long after all event times.
struct Jumping(SystemClock);

/// How long it stays where it was set.
const JUMP: Duration = Duration::from_millis(500);

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let first = 1_709_553_600_000_000; // 2024-03-04 12:00, in the middle of the event times
        let day = 86_400_000_000;
        let micros = match self.elapsed().as_millis() / JUMP.as_millis() {
            0 => first,
            1 => first + 3 * day,
            2 => first - 365 * day,
            3 => first + 2 * day,
            4 => first - 30 * day,
            _ => 4_000_000_000_000_000,
        };
        Timestamp::from_micros(micros).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[test]
fn a_clock_that_jumps_costs_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let settings = data::settings(43, 288);
    let input = directory.path().join("in");
    fs::create_dir(&input).unwrap();
    let mut pipeline = Pipeline::reading(&input, directory.path());
    pipeline.interval = "idle_timeout = \"100ms\"".into();
    pipeline.source.push_str("\nfollow = true");
    let records: Vec<Record> = Records::new(settings.clone()).collect();
    let portions: Vec<Vec<u8>> = records
        .chunks(records.len().div_ceil(10))
        .map(|records| data::bytes(&settings, Format::JsonLines, records))
        .collect();
    let truth = data::truth(&settings);
    let begun = SystemClock::start();
    let put = Mutex::new(0);
    let enough = || {
        let mut put = put.lock().unwrap();
        // each portion in two halves of a jump: the source is silent for longer than `idle_timeout` between them
        while *put < portions.len() && begun.elapsed() > JUMP / 2 * u32::try_from(*put).unwrap() {
            let mut file = OpenOptions::new().create(true).append(true).open(input.join("a.jsonl")).unwrap();
            file.write_all(&portions[*put]).unwrap();
            *put += 1;
        }
        *put == portions.len() && is_complete(&tree::read(&pipeline.url), truth.records)
    };
    let ran = run_until(&pipeline.config(), None, Arc::new(Jumping(SystemClock::start())), enough);
    assert_eq!(ran.summary().tally.read(), truth.records);
    assert!(ran.summary().tally.late > 0, "a clock that ran ahead closed nothing early");
    let tree = tree::read(&pipeline.url);
    tree::assert_whole(&pipeline.url);
    tree::assert_same_rows(&tree::rows(&tree), &truth.rows, "every good record once");
    assert_eq!(tree::rejects(&tree), truth.malformed);
}

/// Ten minutes for each second, from the end of what is there at first.
struct Fast(SystemClock);

/// Steps of the records that are there at first, those that never come, and all.
const THERE: u64 = 40;
const BACK: u64 = 46;
const ALL: u64 = 60;

impl Clock for Fast {
    fn now(&self) -> Timestamp {
        let begin = data::BEGIN_MICROS + THERE as i64 * 300_000_000;
        Timestamp::from_micros(begin + i64::try_from(self.elapsed().as_micros()).unwrap()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed() * 600
    }
}

/// Lines of the table of incidents of data.
fn of_data(url: &Path) -> Vec<String> {
    let table = tree::incidents(&tree::read(url));
    table.lines().filter(|line| line.contains("\"kind\":\"data\"")).map(str::to_owned).collect()
}

#[test]
fn a_source_that_stops_is_an_incident_of_data_before_its_rows_are_back() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    fs::create_dir(&input).unwrap();
    let settings = data::plenty(47, ALL);
    let mut pipeline = Pipeline::reading(&input, directory.path());
    pipeline.job = "stream_batch_time = \"60s\"".into();
    pipeline.interval = "idle_timeout = \"1s\"".into();
    pipeline.source.push_str("\nfollow = true");
    let at = |record: &Record| data::step_of(record);
    let records: Vec<Record> = Records::new(settings.clone()).collect();
    let put = |records: &[Record]| {
        let mut file = OpenOptions::new().create(true).append(true).open(input.join("a.jsonl")).unwrap();
        file.write_all(&data::bytes(&settings, Format::JsonLines, records)).unwrap();
    };
    put(&records.iter().filter(|record| at(record) < THERE).cloned().collect::<Vec<_>>());
    let url = pipeline.url.clone();
    let seen = Arc::new(Mutex::new(false));
    let noted = Arc::clone(&seen);
    let enough = move || {
        let lines = of_data(&url);
        let mut noted = noted.lock().unwrap();
        if !*noted && lines.iter().any(|line| line.contains("\"state\":\"open\"")) {
            // only now is there a row after the gap
            put(&records.iter().filter(|record| at(record) >= BACK).cloned().collect::<Vec<_>>());
            *noted = true;
        }
        lines.iter().any(|line| line.contains("\"state\":\"resolved\""))
    };
    let ran = run_until(&pipeline.config(), None, Arc::new(Fast(SystemClock::start())), enough);
    assert!(*seen.lock().unwrap() && ran.summary().stopped);
    let live = of_data(&pipeline.url);
    let file = directory.path().join("incidents.jsonl");
    tidewatch(&["backtest", &pipeline.write(), "--input", "partitions", "--incidents", &file.display().to_string()])
        .good();
    let text = fs::read_to_string(file).unwrap();
    let again: Vec<&str> = text.lines().filter(|line| line.contains("\"kind\":\"data\"")).collect();
    assert_eq!(live, again, "the gap says what the clock said");
    assert!(live[0].contains("\"since\":\"2024-03-04 03:20:00\""), "{live:?}");
}

/// A clock that stands a while after the end of what is there at first.
struct Still(SystemClock);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(data::BEGIN_MICROS + (THERE as i64 * 300 + 120) * 1_000_000).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[test]
fn a_job_that_is_started_while_its_source_is_silent_tells_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    fs::create_dir(&input).unwrap();
    let settings = data::plenty(47, THERE);
    let mut pipeline = Pipeline::reading(&input, directory.path());
    pipeline.interval = "idle_timeout = \"100ms\"".into();
    pipeline.source.push_str("\nfollow = true");
    let records: Vec<Record> = Records::new(settings.clone()).collect();
    fs::write(input.join("a.jsonl"), data::bytes(&settings, Format::JsonLines, &records)).unwrap();
    let url = pipeline.url.clone();
    let records = data::truth(&settings).records;
    let closed = move || is_complete(&tree::read(&url), records);
    run_until(&pipeline.config(), None, Arc::new(Still(SystemClock::start())), closed);
    assert_eq!(of_data(&pipeline.url), [""; 0], "the clock has passed nothing yet");
    // nothing new is there when it is started again
    let url = pipeline.url.clone();
    let told = move || of_data(&url).iter().any(|line| line.contains("\"state\":\"open\""));
    let ran = run_until(&pipeline.config(), None, Arc::new(Fast(SystemClock::start())), told);
    assert!(ran.summary().resumed);
    let live = of_data(&pipeline.url);
    assert!(live[0].contains("\"since\":\"2024-03-04 03:20:00\""), "{live:?}");
}
