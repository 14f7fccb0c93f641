//! What else may be different when a job starts again: its chunks and batches, its checkpoints, its input. Either the
//! end is as if nothing had happened, or it is said what is wrong, and nothing that was committed is touched.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidewatch::job::live::Line;

use crate::support::data::{self, Layout};
use crate::support::line::{Blow, Fault, run};
use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree::{self, Tree};

const STEPS: u64 = 80;

/// A job that is interrupted in the middle, and what it would have given.
struct Interrupted {
    directory: TempDir,
    pipeline: Pipeline,
    expected: Tree,
}

impl Interrupted {
    fn new(layout: Layout) -> Interrupted {
        let directory = tempfile::tempdir().unwrap();
        let alone = Pipeline::over(&data::settings(51, STEPS), layout, directory.path());
        let writes = run(&alone.config(), Line::Run, None).writes.len();
        let expected = tree::read(&alone.url);
        let pipeline = alone.to(&directory.path().join("interrupted"));
        let number = u64::try_from(writes / 2).unwrap();
        let fault = Fault { point: None, number, blow: Blow::After };
        assert!(run(&pipeline.config(), Line::Run, Some(fault)).struck);
        Interrupted { directory, pipeline, expected }
    }

    fn assert_goes_on(&self, pipeline: &Pipeline, context: &str) {
        tidewatch(&["run", &pipeline.write()]).good();
        tree::assert_same(&tree::read(&pipeline.url), &self.expected, context);
        tree::assert_whole(&pipeline.url);
    }

    /// Starts again where that cannot work, and checks that what is committed is left alone.
    fn assert_refused(&self, words: &[&str]) {
        let before = tree::read(&self.pipeline.url);
        let stderr = tidewatch(&["run", &self.pipeline.write()]).refused();
        for word in words {
            assert!(stderr.contains(word), "{word} in {stderr}");
        }
        let after = tree::read(&self.pipeline.url);
        let manifests = tree::manifests(&before);
        assert!(!manifests.is_empty());
        for name in manifests.keys() {
            assert_eq!(before[name], after[name], "{name}");
        }
    }

    /// Checkpoints by name, the newest last.
    fn checkpoints(&self) -> Vec<PathBuf> {
        let state = self.pipeline.url.join("state");
        let mut paths: Vec<PathBuf> = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("checkpoint-"));
        paths.sort();
        paths
    }

    fn input(&self, name: &str) -> PathBuf {
        self.directory.path().join("in").join(name)
    }
}

#[test]
fn other_chunks_and_batches_change_nothing() {
    for layout in [Layout::PLAIN, Layout { gzip: true, ..Layout::PLAIN }] {
        let interrupted = Interrupted::new(layout);
        let mut other = interrupted.pipeline.clone();
        other.source = other.source.replace("4kB", "1MiB");
        other.job = "batch_records_max = 100".into();
        interrupted.assert_goes_on(&other, "larger chunks");
    }
}

#[test]
fn a_damaged_checkpoint_costs_some_reading_and_nothing_else() {
    let interrupted = Interrupted::new(Layout::PLAIN);
    let newest = interrupted.checkpoints().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    interrupted.assert_goes_on(&interrupted.pipeline, "a torn checkpoint");
}

#[test]
fn checkpoints_that_are_all_damaged_are_said_to_be() {
    let interrupted = Interrupted::new(Layout::PLAIN);
    for path in interrupted.checkpoints() {
        fs::write(path, "nothing").unwrap();
    }
    interrupted.assert_refused(&["no checkpoint in", "can be read", "hint: remove the folder to begin again"]);
    fs::remove_dir_all(interrupted.pipeline.url.join("state")).unwrap();
    interrupted.assert_goes_on(&interrupted.pipeline, "begun again as the hint says");
}

#[test]
fn a_finished_job_without_its_state_writes_nothing_twice() {
    let interrupted = Interrupted::new(Layout { files: 3, ..Layout::PLAIN });
    interrupted.assert_goes_on(&interrupted.pipeline, "to the end");
    fs::remove_dir_all(interrupted.pipeline.url.join("state")).unwrap();
    interrupted.assert_goes_on(&interrupted.pipeline, "once more from the beginning");
}

#[test]
fn a_file_that_is_gone_is_missed_and_may_come_back() {
    for gzip in [false, true] {
        let interrupted = Interrupted::new(Layout { gzip, files: 2, ..Layout::PLAIN });
        let name = if gzip { "records-01.txt.gz" } else { "records-01.txt" };
        let (there, away) = (interrupted.input(name), interrupted.directory.path().join("away"));
        fs::rename(&there, &away).unwrap();
        interrupted.assert_refused(&[name, "is gone", "hint: put the file back"]);
        fs::rename(&away, &there).unwrap();
        interrupted.assert_goes_on(&interrupted.pipeline, "the file is back");
    }
}

#[test]
fn a_file_that_shrank_is_refused() {
    let interrupted = Interrupted::new(Layout { files: 1, ..Layout::PLAIN });
    let path = interrupted.input("records-00.txt");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..1000]).unwrap();
    interrupted.assert_refused(&["records-00.txt", "1000 bytes", "hint:"]);
    fs::write(&path, &bytes).unwrap();
    interrupted.assert_goes_on(&interrupted.pipeline, "the file is whole");
}

#[test]
fn a_gzip_file_that_is_cut_short_is_refused_and_may_be_replaced() {
    let interrupted = Interrupted::new(Layout { gzip: true, files: 1, ..Layout::PLAIN });
    let path = interrupted.input("records-00.txt.gz");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    interrupted.assert_refused(&["records-00.txt.gz", "is damaged", "hint: replace the file"]);
    fs::write(&path, &bytes).unwrap();
    interrupted.assert_goes_on(&interrupted.pipeline, "the file is whole");
}

/// Moves all files but the first away.
fn keep_first(input: &Path, away: &Path) -> Vec<PathBuf> {
    fs::create_dir(away).unwrap();
    let mut paths: Vec<PathBuf> = fs::read_dir(input).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let rest = paths.split_off(1);
    rest.iter().for_each(|path| fs::rename(path, away.join(path.file_name().unwrap())).unwrap());
    rest
}

#[test]
fn a_finished_job_goes_on_when_files_come_or_grow() {
    let directory = tempfile::tempdir().unwrap();
    let settings = data::settings(52, STEPS);
    let pipeline = Pipeline::over(&settings, Layout { files: 4, ..Layout::PLAIN }, directory.path());
    let path = pipeline.write();
    let away = directory.path().join("away");
    let rest = keep_first(&directory.path().join("in"), &away);
    tidewatch(&["run", &path]).good();
    for (number, file) in rest.iter().enumerate() {
        let bytes = fs::read(away.join(file.file_name().unwrap())).unwrap();
        let end_of_a_line = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').unwrap() + 1;
        // the second file comes in two steps
        let steps = if number == 1 { vec![&bytes[..end_of_a_line], &bytes] } else { vec![&bytes[..]] };
        for bytes in steps {
            fs::write(file, bytes).unwrap();
            let before = tree::read(&pipeline.url);
            tidewatch(&["run", &path]).good();
            let after = tree::read(&pipeline.url);
            for (name, bytes) in before.iter().filter(|(name, _)| !name.starts_with("anomalies/")) {
                assert_eq!(after.get(name), Some(bytes), "{name} was committed");
            }
        }
    }
    let tree = tree::read(&pipeline.url);
    let truth = data::truth(&settings);
    tree::assert_same_rows(&tree::rows(&tree), &truth.rows, "file by file");
    assert_eq!((tree::rejects(&tree), tree::account(&tree).read()), (truth.malformed, truth.records));
    tree::assert_whole(&pipeline.url);
}
