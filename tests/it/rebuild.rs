//! A detector whose state is damaged, gone or learned under other settings: the job refuses to go on without being told
//! to, says how, and lets the detector learn anew from the partitions. Where nothing else has changed the end is as if
//! nothing had happened (D1). And a state that is written in many pieces comes back from them (D2).

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidewatch::job::live::Line;
use tidewatch::source::generator::Settings;

use crate::support::data::{self, Layout};
use crate::support::line::{Blow, Fault, Point, rebuild, run};
use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree::{self, Tree};

const STEPS: u64 = 160;

/// A job that ended in the middle, and what it would have given.
struct Interrupted {
    directory: TempDir,
    pipeline: Pipeline,
    expected: Tree,
}

impl Interrupted {
    fn new(settings: &Settings, blow: Blow, job: &str) -> Interrupted {
        let directory = tempfile::tempdir().unwrap();
        let mut alone = Pipeline::over(settings, Layout::PLAIN, directory.path());
        job.clone_into(&mut alone.job);
        let writes = run(&alone.config(), Line::Run, None).writes.len();
        let expected = tree::read(&alone.url);
        assert!(tree::anomalies(&expected).lines().count() > 5);
        let pipeline = alone.to(&directory.path().join("interrupted"));
        let fault = Fault { point: None, number: writes as u64 / 2, blow };
        assert!(run(&pipeline.config(), Line::Run, Some(fault)).struck);
        Interrupted { directory, pipeline, expected }
    }

    fn small(blow: Blow) -> Interrupted {
        Interrupted::new(&data::settings(81, STEPS), blow, crate::support::pipeline::MANY_CHECKPOINTS)
    }

    /// The job does not go on by itself; what it says names all of these words and the way out.
    fn assert_refused(&self, command: &[&str], words: &[&str]) {
        let before = tree::read(&self.pipeline.url);
        let path = self.pipeline.write();
        let stderr = tidewatch(&[command, &[path.as_str()]].concat()).refused();
        for word in ["the detector in", "cannot be used", "hint:", "--rebuild"].iter().chain(words) {
            assert!(stderr.contains(word), "`{word}` in {stderr}");
        }
        tree::assert_same(&tree::read(&self.pipeline.url), &before, "nothing was touched");
    }

    fn rebuild(&self) {
        tidewatch(&["run", &self.pipeline.write(), "--rebuild"]).good();
    }

    fn assert_as_expected(&self, context: &str) {
        tree::assert_same(&tree::read(&self.pipeline.url), &self.expected, context);
        tree::assert_whole(&self.pipeline.url);
    }
}

fn checkpoints(state: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("checkpoint-"));
    paths.sort();
    paths
}

/// Changes a byte near the end, which belongs to the detector.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - 5;
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

/// A word of the newest checkpoint, which stands between two others.
fn word_of(state: &Path, before: &str, after: char) -> String {
    let bytes = fs::read(checkpoints(state).pop().unwrap()).unwrap();
    between(&String::from_utf8_lossy(&bytes), before, after)
}

fn between(text: &str, before: &str, after: char) -> String {
    let (_, behind) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    behind.split(after).next().unwrap().to_owned()
}

/// Start of the last judged interval that a state tells of.
fn judged(state: &Path) -> String {
    word_of(state, "\"judged\":\"", '/')
}

/// The checkpoints that the newest one needs, itself the last.
fn chain(state: &Path) -> Vec<PathBuf> {
    let numbers = word_of(state, "\"chain\":[", ']');
    numbers.split(',').map(|number| state.join(format!("checkpoint-{:010}", number.parse::<u64>().unwrap()))).collect()
}

#[test]
fn a_damaged_detector_learns_anew_and_the_end_is_as_if_nothing_had_happened() {
    for blow in [Blow::After, Blow::Stop] {
        let interrupted = Interrupted::small(blow);
        let state = interrupted.pipeline.url.join("state");
        checkpoints(&state).iter().for_each(|path| damage(path));
        interrupted.assert_refused(&["run"], &["is damaged", "`checkpoint-"]);
        interrupted.rebuild();
        interrupted.assert_as_expected("learned anew after damage");
    }
}

#[test]
fn a_detector_that_is_fine_may_learn_anew_at_any_time() {
    let interrupted = Interrupted::small(Blow::After);
    interrupted.rebuild();
    interrupted.assert_as_expected("learned anew for no reason");
    let summary = tidewatch(&["run", &interrupted.pipeline.write(), "--rebuild"]).good();
    assert!(summary.contains("done       before"), "{summary}");
    interrupted.assert_as_expected("once more at the end");
    // what it learned is saved even where nothing was left to read
    let state = interrupted.pipeline.url.join("state");
    checkpoints(&state).iter().for_each(|path| damage(path));
    interrupted.rebuild();
    tidewatch(&["run", &interrupted.pipeline.write()]).good();
    interrupted.assert_as_expected("and again");
}

#[test]
fn a_rebuild_without_a_state_is_a_first_start() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::over(&data::settings(81, 20), Layout::PLAIN, directory.path());
    tidewatch(&["run", &pipeline.write(), "--rebuild"]).good();
    tree::assert_whole(&pipeline.url);
    let etl = tidewatch(&["etl", &pipeline.write(), "--rebuild"]);
    assert!(etl.code == Some(1) && etl.stderr.contains("--rebuild"), "partitions have no detector: {}", etl.stderr);
}

#[test]
fn another_sensitivity_holds_from_where_the_job_stood() {
    let mut interrupted = Interrupted::small(Blow::Stop);
    let boundary = judged(&interrupted.pipeline.url.join("state"));
    let before = tree::read(&interrupted.pipeline.url);
    interrupted.pipeline.detect = interrupted.pipeline.detect.replace("sensitivity = 7.0", "sensitivity = 1.5");
    interrupted.assert_refused(&["run"], &["sensitivity `7`, the settings say `1.5`", "hint: set it back, or"]);
    let checked = tidewatch(&["check", &interrupted.pipeline.write()]).good();
    assert!(checked.contains("warning: the detector in") && checked.contains("--rebuild"), "{checked}");
    interrupted.rebuild();
    let checked = tidewatch(&["check", &interrupted.pipeline.write()]).good();
    assert!(!checked.contains("warning: the detector in"), "{checked}");
    let after = tree::read(&interrupted.pipeline.url);

    // what a detector of this sensitivity says of all partitions
    let file = interrupted.directory.path().join("groups.jsonl").display().to_string();
    tidewatch(&["backtest", &interrupted.pipeline.write(), "--anomalies", &file]).good();
    let start = |line: &str| between(line, "\"interval_start\":\"", '"');
    let all = fs::read_to_string(&file).unwrap();
    let (told, table) = (tree::anomalies(&before), tree::anomalies(&after));
    let later = |text: &str| text.lines().filter(|line| start(line) > boundary).map(str::to_owned).collect::<Vec<_>>();
    assert!(!told.is_empty() && later(&told).is_empty(), "it stopped at its checkpoint");
    assert!(table.starts_with(&told), "what was told stays as it was");
    let new: Vec<&str> = table[told.len()..].lines().collect();
    assert_eq!(new, later(&all), "what comes is judged by the new sensitivity");
    assert!(!new.is_empty() && later(&tree::anomalies(&interrupted.expected)) != new, "it makes a difference");
    tree::assert_whole(&interrupted.pipeline.url);
}

#[test]
fn a_detector_alone_learns_anew() {
    let directory = tempfile::tempdir().unwrap();
    let whole = Pipeline::over(&data::settings(82, STEPS), Layout::PLAIN, directory.path());
    tidewatch(&["run", &whole.write()]).good();
    let expected = tree::anomalies(&tree::read(&whole.url));
    assert!(expected.lines().count() > 5);

    let split = whole.to(&directory.path().join("split"));
    let path = split.write();
    let number = run(&whole.to(&directory.path().join("counted")).config(), Line::Etl, None).writes.len() as u64 / 2;
    assert!(run(&split.config(), Line::Etl, Some(Fault { point: None, number, blow: Blow::Stop })).struck);
    tidewatch(&["detect", &path, "--once"]).good();
    let state = split.url.join("state/detect");
    checkpoints(&state).iter().for_each(|path| damage(path));
    let stderr = tidewatch(&["detect", &path, "--once"]).refused();
    assert!(stderr.contains("is damaged") && stderr.contains("`tidewatch detect CONFIG --rebuild`"), "{stderr}");
    tidewatch(&["etl", &path]).good();
    let summary = tidewatch(&["detect", &path, "--once", "--rebuild"]).good();
    assert!(!summary.contains("intervals  0 judged now"), "{summary}");
    assert_eq!(tree::anomalies(&tree::read(&split.url)), expected);
}

#[test]
fn without_its_partitions_a_detector_begins_anew_and_tells_nothing_twice() {
    let interrupted = Interrupted::small(Blow::Stop);
    let boundary = judged(&interrupted.pipeline.url.join("state"));
    let data = interrupted.pipeline.url.join("data");
    for entry in fs::read_dir(&data).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        fs::remove_dir_all(entry.path()).unwrap();
    }
    let told = tree::anomalies(&tree::read(&interrupted.pipeline.url));
    let ended = tidewatch(&["run", &interrupted.pipeline.write(), "--rebuild"]);
    assert!(ended.stderr.contains(&format!("there are no partitions up to {boundary}")), "{}", ended.stderr);
    ended.good();
    assert!(tree::anomalies(&tree::read(&interrupted.pipeline.url)).starts_with(&told));
}

#[test]
fn a_state_in_many_pieces_survives_stops_damage_and_a_rebuild() {
    let job = "stream_batch_time = \"100ms\"\nbatch_records_max = 300";
    let interrupted = Interrupted::new(&data::many(83, 60), Blow::After, job);
    let (pipeline, state) = (&interrupted.pipeline, interrupted.pipeline.url.join("state"));
    let pieces = checkpoints(&state);
    let sizes: Vec<u64> = pieces.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    assert!(pieces.len() > 3, "{sizes:?}");
    assert!(sizes.iter().all(|bytes| *bytes < 2_000_000), "{sizes:?}");

    // restarts, each after some checkpoints more
    for (number, blow) in [(2, Blow::After), (3, Blow::Before), (4, Blow::Stop)] {
        let fault = Fault { point: Some(Point::Checkpoint), number, blow };
        assert!(run(&pipeline.config(), Line::Run, Some(fault)).struck);
    }
    // the newest is damaged: the one before is whole
    damage(checkpoints(&state).last().unwrap());
    let fault = Fault { point: Some(Point::Checkpoint), number: 2, blow: Blow::After };
    assert!(run(&pipeline.config(), Line::Run, Some(fault)).struck);
    // one that both of the last two need
    let needed = &chain(&state)[1];
    damage(needed);
    let name = needed.file_name().unwrap().to_str().unwrap().to_owned();
    interrupted.assert_refused(&["run"], &[&name, "is damaged"]);
    fs::remove_file(needed).unwrap();
    interrupted.assert_refused(&["run"], &[&name, "is gone"]);
    // the rebuild is cut off before all of the new state is there: the next start makes it good by itself
    let fault = Fault { point: Some(Point::Checkpoint), number: 2, blow: Blow::After };
    assert!(rebuild(&pipeline.config(), Some(fault)).struck);
    let ended = tidewatch(&["run", &pipeline.write()]);
    assert!(ended.stderr.contains("the detector has learned anew from"), "{}", ended.stderr);
    ended.good();
    interrupted.assert_as_expected("a state in many pieces");
    assert!(checkpoints(&state).len() < 40);
}
