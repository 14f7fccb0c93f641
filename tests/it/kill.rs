//! The real process, killed at moments that nobody chose and started again, ends with the same bytes as one that was
//! left alone (E1, E2, D2). What is committed when it dies is already final.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use tempfile::TempDir;
use tidewatch::job::{Clock, SystemClock};

use crate::support::data::{self, Layout};
use crate::support::pipeline::Pipeline;
use crate::support::process::{Running, tidewatch, wait_until};
use crate::support::tree::{self, Tree};

/// A second of work or more, uninterrupted.
const STEPS: u64 = 700;
/// Kills of one job before it is left to come to its end.
const KILLS: u32 = 14;

/// A number below `end`.
fn below(random: &mut Pcg64Mcg, end: u64) -> u64 {
    random.next_u64() % end.max(1)
}

/// What a job gives that is left alone, and how long it takes.
struct Reference {
    directory: TempDir,
    pipeline: Pipeline,
    tree: Tree,
    micros: u64,
}

impl Reference {
    fn new(pipeline: impl FnOnce(&Path) -> Pipeline) -> Reference {
        let directory = tempfile::tempdir().unwrap();
        let mut pipeline = pipeline(directory.path());
        pipeline.job = "stream_batch_time = \"100ms\"\nbatch_records_max = 500".into();
        let clock = SystemClock::start();
        let summary = tidewatch(&["run", &pipeline.write()]).good();
        let micros = u64::try_from(clock.elapsed().as_micros()).unwrap();
        assert!(summary.contains("findings"), "{summary}");
        tree::assert_whole(&pipeline.url);
        let tree = tree::read(&pipeline.url);
        assert!(!tree::anomalies(&tree).is_empty() && tree::rejects(&tree) > 0);
        assert!(!tree::revisions(&tree).is_empty(), "late rows revise what was said");
        Reference { directory, pipeline, tree, micros }
    }

    fn fresh(&self, name: &str) -> Pipeline {
        self.pipeline.to(&self.directory.path().join(name))
    }

    /// Objects that are committed so far must be final: those of the reference, byte for byte.
    fn assert_prefix(&self, url: &Path) {
        let tree = tree::read(url);
        for (name, manifest) in tree::manifests(&tree) {
            assert_eq!(tree[&name], self.tree[&name], "{name}");
            for object in &manifest.objects {
                let object = format!("{}/{}", name.rsplit_once('/').unwrap().0, object.name);
                assert_eq!(tree[&object], self.tree[&object], "{object}");
            }
        }
    }

    /// Kills a job again and again, then leaves it alone; gives how often it was killed.
    fn killed(&self, seed: u64) -> u32 {
        let mut random = Pcg64Mcg::new(u128::from(seed));
        let pipeline = self.fresh(&format!("killed-{seed}"));
        let path = pipeline.write();
        let mut kills = 0;
        while kills < KILLS {
            let mut job = Running::start(&["run", &path]);
            thread::sleep(Duration::from_micros(below(&mut random, self.micros / 5)));
            if let Some(status) = job.status() {
                assert!(status.success(), "{}", job.errors());
                break;
            }
            job.kill();
            kills += 1;
            self.assert_prefix(&pipeline.url);
        }
        tidewatch(&["run", &path]).good();
        tree::assert_same(&tree::read(&pipeline.url), &self.tree, &format!("killed {kills} times, seed {seed}"));
        tree::assert_whole(&pipeline.url);
        kills
    }

    fn survives_kills(&self, at_least: u32) {
        let (mut kills, mut seed) = (0, 0);
        while kills < at_least {
            seed += 1;
            assert!(seed <= 4 * u64::from(at_least), "the job ends before it can be killed");
            kills += self.killed(seed);
        }
    }
}

#[test]
fn a_job_killed_at_any_moment_ends_as_if_it_had_not_been() {
    let layout = Layout { files: 3, ..Layout::PLAIN };
    Reference::new(|directory| Pipeline::over(&data::settings(11, STEPS), layout, directory)).survives_kills(25);
}

#[test]
fn a_job_from_gzip_to_parquet_killed_at_any_moment_ends_as_if_it_had_not_been() {
    let layout = Layout { gzip: true, ..Layout::PLAIN };
    let reference = Reference::new(|directory| Pipeline {
        partition: "format = \"parquet\"".into(),
        ..Pipeline::over(&data::settings(12, STEPS), layout, directory)
    });
    reference.survives_kills(12);
}

#[test]
fn a_generated_stream_killed_at_any_moment_ends_as_if_it_had_not_been() {
    let reference = Reference::new(|directory| Pipeline {
        source: "[source.generator]\nseed = 5\ndays = 2\nseries = 6\nanomaly_probability = 0.01".into(),
        ..Pipeline::reading(directory, directory)
    });
    reference.survives_kills(12);
}

#[test]
fn a_job_asked_to_stop_leaves_well_and_goes_on() {
    let reference = Reference::new(|directory| Pipeline::over(&data::settings(13, STEPS), Layout::PLAIN, directory));
    let mut stopped = 0;
    for seed in 0..4_u64 {
        let mut random = Pcg64Mcg::new(u128::from(seed));
        let pipeline = reference.fresh(&format!("stopped-{seed}"));
        let path = pipeline.write();
        for _ in 0..3 {
            let mut job = Running::start(&["run", &path]);
            job.until_it_listens();
            thread::sleep(Duration::from_micros(below(&mut random, reference.micros / 5)));
            let status = if job.status().is_none() { job.terminate() } else { job.end() };
            assert_eq!(status.code(), Some(0), "{}", job.errors());
            tree::assert_whole(&pipeline.url);
            reference.assert_prefix(&pipeline.url);
            stopped += 1;
        }
        let summary = tidewatch(&["run", &path]).good();
        assert!(!summary.contains("stopped    at"), "{summary}");
        tree::assert_same(&tree::read(&pipeline.url), &reference.tree, &format!("asked to stop, seed {seed}"));
    }
    assert_eq!(stopped, 12);
}

/// A directory that grows while a job follows it.
struct Growing {
    file: PathBuf,
    /// Rows that are written in full, by their number.
    rows: BTreeSet<String>,
    next: u32,
    /// The rest of a line of which the first half is written.
    rest: String,
}

impl Growing {
    fn append(&mut self, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Appends whole records ten seconds of event time apart, each fifth one an hour late, and half of another one.
    fn grow(&mut self, count: u32) {
        let mut text = std::mem::take(&mut self.rest);
        for _ in 0..count {
            let seconds = i64::from(self.next * 10) - if self.next.is_multiple_of(5) { 3600 } else { 0 };
            text.push_str(&self.record(1_709_510_400 + seconds));
        }
        let half = self.record(1_709_510_400 + i64::from(self.next * 10));
        let (begun, rest) = half.split_at(half.len() / 2);
        text.push_str(begun);
        self.rest = rest.to_owned();
        self.append(&text);
    }

    fn finish_line(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        self.append(&rest);
    }

    fn record(&mut self, seconds: i64) -> String {
        let (id, shop) = (format!("n{:05}", self.next), if self.next.is_multiple_of(3) { "a" } else { "b" });
        let mut line = String::new();
        writeln!(line, "{{\"id\":\"{id}\",\"shop\":\"{shop}\",\"at\":{seconds},\"views\":1}}").unwrap();
        self.rows.insert(id);
        self.next += 1;
        line
    }
}

fn following(input: &Path, directory: &Path) -> Pipeline {
    Pipeline {
        source: format!("[source.files]\npath = \"{}\"\nfollow = true\nchunk_bytes = \"4kB\"", input.display()),
        select: "timestamp = \"at\"\ntimestamp_format = \"epoch_seconds\"\ndimensions = [\"shop\"]\nkeep = [\"id\"]\n\
                 measures = [\"views\"]\ntypes = { views = \"integer\" }"
            .into(),
        interval: "ahead_max = \"36500d\"\nidle_timeout = \"200ms\"".into(),
        ..Pipeline::reading(input, directory)
    }
}

/// The numbers of all rows in partitions; none may be there twice.
fn ids(url: &Path) -> BTreeSet<String> {
    let rows = tree::rows(&tree::read(url));
    let mut ids = BTreeSet::new();
    for row in rows.values().flatten() {
        let id = row.split('|').find(|value| value.starts_with('n')).unwrap();
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
    }
    ids
}

#[test]
fn a_growing_directory_followed_by_a_job_that_is_killed_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    fs::create_dir(&input).unwrap();
    let mut random = Pcg64Mcg::new(1);
    let mut growing = Growing { file: input.join("1.jsonl"), rows: BTreeSet::new(), next: 0, rest: String::new() };
    let pipeline = following(&input, directory.path());
    let path = pipeline.write();
    let mut job = Running::start(&["run", &path]);
    for step in 0..16_u32 {
        growing.grow(60);
        if step == 8 {
            growing.finish_line();
            growing.file = input.join("2.jsonl");
        }
        thread::sleep(Duration::from_millis(below(&mut random, 500)));
        if step % 2 == 0 {
            job.kill();
            job = Running::start(&["run", &path]);
        }
    }
    growing.finish_line();
    // event times are long past: once the source is silent, the clock closes everything
    wait_until("all rows are in partitions", || ids(&pipeline.url).len() >= growing.rows.len());
    assert_eq!(ids(&pipeline.url), growing.rows);

    // these intervals end tomorrow: they are open when the job is asked to stop, and closed by what comes later
    let tomorrow = SystemClock::start().now().micros() / 1_000_000 + 86_400;
    let open: String = (0..5).map(|step| growing.record(tomorrow + step)).collect();
    growing.append(&open);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(job.terminate().code(), Some(0));
    assert_eq!(ids(&pipeline.url).len() + 5, growing.rows.len(), "what is open is not in partitions");
    tree::assert_whole(&pipeline.url);

    let mut job = Running::start(&["run", &path]);
    let closing = growing.record(tomorrow + 3600);
    growing.append(&closing);
    wait_until("the open interval is closed", || ids(&pipeline.url).len() + 1 >= growing.rows.len());
    assert_eq!(job.terminate().code(), Some(0));
    growing.rows.remove(&format!("n{:05}", growing.next - 1));
    assert_eq!(ids(&pipeline.url), growing.rows);
    tree::assert_whole(&pipeline.url);
}
