//! A detector that was trained by a backtest starts a job: from where the job goes on it finds what it would have found
//! had it been live all the time, byte for byte (D1, D2). What it cannot start is refused and stays as it was.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidewatch::job::live::Line;
use tidewatch::source::generator::Settings;

use crate::support::data::{self, Layout};
use crate::support::line::{Blow, Fault, Point, run};
use crate::support::pipeline::Pipeline;
use crate::support::process::{Running, tidewatch, wait_until};
use crate::support::tree;

const SEED: u64 = 91;
/// Some 33 hours: two dates, with findings on both.
const STEPS: u64 = 400;
const FIRST_DATE: &str = "2024-03-04";

/// A data set, the table of a job that was live all the way, and another job that is to be promoted to.
struct Case {
    directory: TempDir,
    pipeline: Pipeline,
    whole: Pipeline,
    live: String,
}

impl Case {
    fn new() -> Case {
        Case::over(&data::settings(SEED, STEPS))
    }

    fn over(settings: &Settings) -> Case {
        let directory = tempfile::tempdir().unwrap();
        let whole = Pipeline::over(settings, Layout::PLAIN, directory.path());
        tidewatch(&["run", &whole.write()]).good();
        let live = tree::anomalies(&tree::read(&whole.url));
        let pipeline = whole.to(&directory.path().join("promoted"));
        Case { directory, pipeline, whole, live }
    }

    /// Runs a line that ends about in the middle of its writes, or at one of a kind.
    fn interrupted(line: Line, point: Option<Point>, blow: Blow) -> Case {
        Case::new().interrupt(line, point, blow)
    }

    fn interrupt(self, line: Line, point: Option<Point>, blow: Blow) -> Case {
        let counted = run(&self.pipeline.to(&self.directory.path().join("counted")).config(), line, None).writes;
        let writes = counted.iter().filter(|write| point.is_none_or(|point| point == **write)).count();
        let fault = Fault { point, number: writes as u64 / 2, blow };
        assert!(run(&self.pipeline.config(), line, Some(fault)).struck);
        self
    }

    fn state(&self) -> PathBuf {
        self.pipeline.url.join("state")
    }

    fn table(&self) -> String {
        tree::anomalies(&tree::read(&self.pipeline.url))
    }

    /// Promotes and gives the interval after which the job goes on.
    fn promote(&self, args: &[&str]) -> String {
        let before = tree::read(&self.pipeline.url);
        let printed = tidewatch(&[&["backtest", &self.pipeline.write()], args].concat()).good();
        tree::assert_same(&tree::read(&self.pipeline.url), &before, "the history is not told");
        let (_, last) = printed.split_once("goes on after the interval of ").unwrap_or_else(|| panic!("{printed}"));
        last.trim().to_owned()
    }

    fn live_after(&self, last: &str) -> Vec<&str> {
        self.live.lines().filter(|line| start(line) > last).collect()
    }

    /// The table begins after `last`, and from there on it is that of the job that was live all the way.
    fn assert_table_after(&self, last: &str) {
        let later = self.live_after(last);
        assert!(later.len() > 5 && later.len() < self.live.lines().count(), "the boundary {last} divides the findings");
        assert_eq!(self.table().lines().collect::<Vec<_>>(), later);
        tree::assert_whole(&self.pipeline.url);
    }

    /// The job refuses the promotion with these words, and nothing changes.
    fn assert_refused(&self, args: &[&str], words: &[&str]) {
        let before = (tree::read(&self.pipeline.url), states(&self.state()));
        let stderr = tidewatch(&[&["backtest", &self.pipeline.write()], args].concat()).refused();
        for word in words.iter().chain(&["hint:"]) {
            assert!(stderr.contains(word), "`{word}` in {stderr}");
        }
        tree::assert_same(&tree::read(&self.pipeline.url), &before.0, "refused");
        assert_eq!(states(&self.state()), before.1);
    }
}

fn start(line: &str) -> &str {
    let (_, behind) = line.split_once("\"interval_start\":\"").unwrap();
    behind.split('"').next().unwrap()
}

/// Checkpoints below a state, by name, with their bytes.
fn states(state: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for place in [state.to_owned(), state.join("detect")] {
        let entries = fs::read_dir(place).into_iter().flatten().map(|entry| entry.unwrap().path());
        all.extend(entries.filter(|path| path.is_file()).filter(|path| !path.ends_with("_lock")));
    }
    all.sort();
    all.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// Start of the last interval that the newest checkpoint of a state calls judged.
fn judged(state: &Path) -> String {
    let is_checkpoint = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("checkpoint-");
    let mut own = states(state).into_iter().filter(|(path, _)| path.parent() == Some(state) && is_checkpoint(path));
    let (_, bytes) = own.next_back().unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (_, behind) = text.split_once("\"judged\":\"").unwrap();
    behind.split('/').next().unwrap().to_owned()
}

#[test]
fn run_goes_on_from_the_partitions_that_etl_left() {
    for (point, blow) in
        [(None, Blow::Stop), (Some(Point::Manifest), Blow::After), (Some(Point::Checkpoint), Blow::After)]
    {
        let case = Case::interrupted(Line::Etl, point, blow);
        // the dates of a report do not leave a gap between it and the job
        let last = case.promote(&["--promote", "--to", "2024-03-03"]);
        assert_eq!(case.table(), "");
        tidewatch(&["run", &case.pipeline.write()]).good();
        case.assert_table_after(&last);
        let other = tree::read(&case.whole.url);
        assert_eq!(tree::rows(&tree::read(&case.pipeline.url)), tree::rows(&other), "{point:?} {blow:?}");
        let stderr = tidewatch(&["etl", &case.pipeline.write()]).refused();
        assert!(stderr.contains("made by `run`"), "{stderr}");
    }
}

#[test]
fn run_begins_with_a_detector_where_there_is_no_state() {
    let case = Case::interrupted(Line::Etl, None, Blow::Stop);
    fs::remove_dir_all(case.state()).unwrap();
    let last = case.promote(&["--promote=run"]);
    let ended = tidewatch(&["run", &case.pipeline.write()]);
    assert!(!ended.stderr.contains("learned anew"), "{}", ended.stderr);
    ended.good();
    case.assert_table_after(&last);
}

#[test]
fn a_detector_of_many_series_is_promoted_in_pieces() {
    let case = Case::over(&data::many(SEED, 70)).interrupt(Line::Etl, Some(Point::Manifest), Blow::Stop);
    fs::remove_dir_all(case.state()).unwrap();
    let last = case.promote(&["--promote"]);
    let pieces: Vec<PathBuf> = states(&case.state()).into_iter().map(|(path, _)| path).collect();
    assert!(pieces.len() > 3, "{pieces:?}");
    // one that was cut off before all of it was written is made good by the job
    let cut = case.pipeline.to(&case.directory.path().join("cut"));
    copy(&case.pipeline.url, &cut.url);
    fs::remove_file(cut.url.join("state").join(pieces.last().unwrap().file_name().unwrap())).unwrap();
    for (pipeline, is_cut) in [(&case.pipeline, false), (&cut, true)] {
        let ended = tidewatch(&["run", &pipeline.write()]);
        assert_eq!(ended.stderr.contains("the detector has learned anew"), is_cut, "{}", ended.stderr);
        ended.good();
        let later = case.live_after(&last);
        assert!(!later.is_empty());
        assert_eq!(tree::anomalies(&tree::read(&pipeline.url)).lines().collect::<Vec<_>>(), later, "{is_cut}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { copy(&entry.path(), &to) } else { drop(fs::copy(entry.path(), to)) }
    }
}

#[test]
fn detect_begins_after_the_last_date_of_the_backtest() {
    let case = Case::new();
    tidewatch(&["etl", &case.pipeline.write()]).good();
    let last = case.promote(&["--promote=detect", "--to", FIRST_DATE]);
    assert_eq!(last, "2024-03-04 23:55:00");
    let printed = tidewatch(&["detect", "--once", &case.pipeline.write()]).good();
    assert!(!printed.contains("intervals  0 judged now"), "{printed}");
    case.assert_table_after(&last);
}

#[test]
fn the_detector_alone_is_replaced_where_a_job_has_one() {
    for (point, blow) in
        [(None, Blow::Stop), (Some(Point::Manifest), Blow::After), (Some(Point::Anomalies), Blow::Before)]
    {
        let case = Case::interrupted(Line::Run, point, blow);
        let boundary = judged(&case.state());
        let told = case.table();
        // what lies after the date, and was judged, is learned as well; what was committed and not judged is not
        let last = case.promote(&["--promote", "--to", "2024-03-03"]);
        assert_eq!(last, boundary, "{point:?} {blow:?}");
        let checked = tidewatch(&["check", &case.pipeline.write()]).good();
        assert!(!checked.contains("warning: the detector in"), "{checked}");
        tidewatch(&["run", &case.pipeline.write()]).good();
        assert!(case.table().starts_with(&told));
        tree::assert_same(
            &tree::read(&case.pipeline.url),
            &tree::read(&case.whole.url),
            &format!("{point:?} {blow:?}: as if nothing had happened"),
        );
    }
}

#[test]
fn a_detector_of_another_sensitivity_is_promoted_in_place_of_one() {
    let mut case = Case::interrupted(Line::Run, None, Blow::Stop);
    let told = case.table();
    case.pipeline.detect = case.pipeline.detect.replace("sensitivity = 7.0", "sensitivity = 1.5");
    assert!(tidewatch(&["run", &case.pipeline.write()]).refused().contains("sensitivity"));
    let file = case.directory.path().join("groups.jsonl").display().to_string();
    let last = case.promote(&["--promote", "--anomalies", &file]);
    tidewatch(&["run", &case.pipeline.write()]).good();
    tidewatch(&["backtest", &case.pipeline.write(), "--anomalies", &file]).good();
    let all = fs::read_to_string(&file).unwrap();
    let later: Vec<&str> = all.lines().filter(|line| start(line) > last.as_str()).collect();
    let table = case.table();
    assert!(!later.is_empty() && table.starts_with(&told));
    assert_eq!(table[told.len()..].lines().collect::<Vec<_>>(), later);
    assert!(!case.live.ends_with(&table[told.len()..]), "it makes a difference");
}

#[test]
fn a_detect_with_a_state_goes_on_where_it_stood() {
    let case = Case::interrupted(Line::Etl, None, Blow::Stop);
    let path = case.pipeline.write();
    tidewatch(&["detect", "--once", &path]).good();
    let boundary = judged(&case.state().join("detect"));
    case.assert_refused(&["--promote"], &["are judged by `detect`", "--promote=detect"]);
    tidewatch(&["etl", &path]).good();
    assert_eq!(case.promote(&["--promote=detect"]), boundary, "what came since is judged, not only learned");
    tidewatch(&["detect", "--once", &path]).good();
    assert_eq!(case.table(), case.live);
}

#[test]
fn an_interval_that_may_still_grow_is_left_to_the_job() {
    let case = Case::interrupted(Line::Etl, None, Blow::Stop);
    // as another program would have written them: without manifests, the newest in a day that is not over
    let bare = case.pipeline.to(&case.directory.path().join("bare"));
    let parts = tree::read(&case.pipeline.url).into_iter().filter(|(name, _)| name.contains("/part-r0000-"));
    let parts: Vec<(String, Vec<u8>)> = parts.collect();
    let newest = parts.last().unwrap().0.clone();
    for (name, bytes) in &parts {
        let name = if *name == newest { name.replace("intvl_date=2024", "intvl_date=2199") } else { name.clone() };
        fs::create_dir_all(bare.url.join(&name).parent().unwrap()).unwrap();
        fs::write(bare.url.join(&name), bytes).unwrap();
    }
    let case = Case { pipeline: bare, ..case };
    let last = case.promote(&["--promote=detect"]);
    let before: Vec<&str> = parts[parts.len() - 2].0.split(['=', '/']).collect();
    assert_eq!(last, format!("{} {}:{}:00", before[2], &before[4][..2], &before[4][2..]), "{before:?}");
    let printed = tidewatch(&["detect", "--once", &case.pipeline.write()]).good();
    assert!(printed.contains("intervals  0 judged now"), "{printed}");
    assert_eq!(case.table(), "");
}

#[test]
fn what_cannot_be_promoted_is_refused() {
    let mut case = Case::interrupted(Line::Run, None, Blow::Stop);
    case.assert_refused(&["--promote", "--input", "source"], &["learned from the source", "--input partitions"]);
    let source = std::mem::replace(&mut case.pipeline.source, "[source.generator]\ndays = 1".into());
    case.assert_refused(&["--promote"], &["tells of files, this job reads the generator"]);
    case.pipeline.source = source;

    // the last partition that was judged is gone
    let boundary = judged(&case.state());
    let folder = format!("intvl_date={}/intvl_hhmm={}", &boundary[..10], boundary[11..16].replace(':', ""));
    fs::rename(case.pipeline.url.join("data").join(&folder), case.directory.path().join("aside")).unwrap();
    case.assert_refused(&["--promote"], &[&format!("judged up to {boundary}"), "the partitions end with"]);
    fs::rename(case.directory.path().join("aside"), case.pipeline.url.join("data").join(&folder)).unwrap();

    // partitions of another program
    fs::remove_dir_all(case.state()).unwrap();
    let description = case.pipeline.url.join("data/_tidewatch.json");
    fs::remove_file(&description).unwrap();
    case.assert_refused(&["--promote"], &["were not written by `tidewatch`", "--promote=detect"]);

    // nothing is complete before the first date
    case.assert_refused(&["--promote=detect", "--to", "2024-03-03"], &["hint:"]);
    for args in [&["--promote=etl"][..], &["--promote", "--sweep"]] {
        let ended = tidewatch(&[&["backtest", &case.pipeline.write()], args].concat());
        assert_eq!(ended.code, Some(1), "{args:?}");
        assert!(ended.stderr.contains("--promote"), "{}", ended.stderr);
    }
}

#[test]
fn a_job_that_runs_keeps_its_detector() {
    let directory = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::over(&data::settings(SEED, 40), Layout::PLAIN, directory.path());
    pipeline.source.push_str("\nfollow = true");
    let path = pipeline.write();
    let mut job = Running::start(&["run", &path]);
    wait_until("there are partitions", || !tree::manifests(&tree::read(&pipeline.url)).is_empty());
    let stderr = tidewatch(&["backtest", &path, "--promote"]).refused();
    assert!(stderr.contains("another process works in") && stderr.contains("hint:"), "{stderr}");
    assert_eq!(job.terminate().code(), Some(0), "{}", job.errors());
}
