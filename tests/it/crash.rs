//! A job stopped at a named point of its commit and started again ends with the same bytes as one that was never
//! stopped (E1, E2, D2), and accounts for every record (E3). Each stop here is a write that fails in this process:
//! before it is done, or after it is done and before anyone knows. `kill` does the same to the real process, at points
//! that nobody chose.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tidewatch::job::Summary;
use tidewatch::job::live::Line;
use tidewatch::source::generator::Format;

use crate::support::data::{self, Layout, Truth};
use crate::support::line::{Blow, Fault, Point, Ran, run};
use crate::support::pipeline::Pipeline;
use crate::support::tree::{self, Tree};

/// Enough for the detector to speak and to find something.
const STEPS: u64 = 60;

/// A pipeline, what it gives when nobody stops it, and what it wrote on the way.
struct Reference {
    directory: TempDir,
    pipeline: Pipeline,
    line: Line,
    tree: Tree,
    summary: Summary,
    writes: Vec<Point>,
}

impl Reference {
    fn new(layout: Layout, line: Line, steps: u64, change: impl FnOnce(&mut Pipeline)) -> Reference {
        let directory = tempfile::tempdir().unwrap();
        let settings = data::settings(3, steps);
        let mut pipeline = Pipeline::over(&settings, layout, directory.path());
        change(&mut pipeline);
        let ran = run(&pipeline.config(), line, None);
        let tree = tree::read(&pipeline.url);
        tree::assert_whole(&pipeline.url);
        let summary = ran.summary().clone();
        assert_right(&tree, &summary, &data::truth(&settings));
        assert_eq!(tree::anomalies(&tree).is_empty(), line == Line::Etl, "only `run` finds anything");
        let writes = ran.writes;
        Reference { directory, pipeline, line, tree, summary, writes }
    }

    /// A place that nothing was written to yet.
    fn fresh(&self) -> Pipeline {
        self.pipeline.to(&tempfile::tempdir_in(self.directory.path()).unwrap().keep().join("out"))
    }

    fn run(&self, pipeline: &Pipeline, fault: Option<Fault>) -> Ran {
        run(&pipeline.config(), self.line, fault)
    }

    fn assert_same(&self, pipeline: &Pipeline, summary: &Summary, context: &str) {
        tree::assert_same(&tree::read(&pipeline.url), &self.tree, context);
        tree::assert_whole(&pipeline.url);
        let key =
            |summary: &Summary| (summary.tally, summary.intervals, summary.findings, summary.revisions, summary.held);
        assert_eq!(key(summary), key(&self.summary), "{context}");
        fs::remove_dir_all(pipeline.url.parent().unwrap()).unwrap();
    }

    /// Which writes of a kind to fail at: the first one, one in the middle, the last one.
    fn numbers(&self, point: Point) -> Vec<u64> {
        let count = self.writes.iter().filter(|write| **write == point).count() as u64;
        let mut numbers: Vec<u64> = [1, count.div_ceil(2), count].into();
        numbers.retain(|number| (1..=count).contains(number));
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Stops the job at every named point and starts it again.
    fn survives_every_point(&self) {
        let mut met = BTreeMap::new();
        for point in Point::ALL {
            for number in self.numbers(point) {
                for blow in [Blow::Before, Blow::After] {
                    self.survives(Fault { point: Some(point), number, blow });
                    *met.entry(point).or_insert(0) += 1;
                }
            }
        }
        // a finite source is never silent, and no late row of these few records changes what was said (`revise` has some)
        let is_written = |point: &Point| match point {
            Point::Raises | Point::Revisions => false,
            Point::Anomalies | Point::Incidents => self.line == Line::Run,
            _ => true,
        };
        for point in Point::ALL.iter().filter(|point| is_written(point)) {
            assert!(met.contains_key(point), "{point:?} never written");
        }
    }

    fn survives(&self, fault: Fault) {
        let pipeline = self.fresh();
        let ran = self.run(&pipeline, Some(fault));
        assert!(ran.struck && ran.result.is_err(), "{fault} was not met");
        let again = self.run(&pipeline, None);
        self.assert_same(&pipeline, again.summary(), &fault.to_string());
    }

    /// Interrupts one job ten times, at every `every`-th write of each of its lives.
    fn survives_ten(&self, every: u64, blows: &[Blow]) {
        let pipeline = self.fresh();
        for number in 0..10 {
            let blow = blows[number % blows.len()];
            let ran = self.run(&pipeline, Some(Fault { point: None, number: every, blow }));
            assert!(ran.struck, "the job ended before its interruption {number}");
            assert_eq!(ran.result.is_ok_and(|summary| summary.stopped), blow == Blow::Stop);
        }
        let last = self.run(&pipeline, None);
        assert!(last.summary().resumed);
        self.assert_same(&pipeline, last.summary(), &format!("ten interruptions, every {every}"));
    }
}

/// Compares with what the records themselves say.
fn assert_right(tree: &Tree, summary: &Summary, truth: &Truth) {
    tree::assert_same_rows(&tree::rows(tree), &truth.rows, "the records themselves");
    let tally = &summary.tally;
    assert_eq!((tally.read(), tally.rejected, summary.held), (truth.records, truth.malformed, 0));
    assert_eq!(tree::rejects(tree), truth.malformed);
    assert_eq!(tree::account(tree), *tally, "manifests against the summary");
}

fn end(pipeline: &mut Pipeline) {
    pipeline.interval = "close = \"end\"".into();
}

fn parquet(pipeline: &mut Pipeline) {
    pipeline.partition = "format = \"parquet\"".into();
}

#[test]
fn csv_from_plain_files_survives_every_crash_point() {
    let reference = Reference::new(Layout { files: 3, ..Layout::PLAIN }, Line::Run, STEPS, |_| {});
    assert!(reference.summary.tally.late > 0 && reference.numbers(Point::Checkpoint).len() == 3);
    reference.survives_every_point();
}

#[test]
fn parquet_from_gzip_files_survives_every_crash_point() {
    Reference::new(Layout { gzip: true, ..Layout::PLAIN }, Line::Run, STEPS, parquet).survives_every_point();
}

#[test]
fn history_in_no_order_survives_every_crash_point() {
    let layout = Layout { format: Format::Csv, gzip: true, files: 3, newest_first: true };
    let reference = Reference::new(layout, Line::Run, STEPS, end);
    assert_eq!(reference.summary.tally.late, 0, "no row is late before the end");
    reference.survives_every_point();
}

#[test]
fn history_as_parquet_from_plain_files_survives_every_crash_point() {
    let layout = Layout { newest_first: true, ..Layout::PLAIN };
    let change = |pipeline: &mut Pipeline| {
        end(pipeline);
        parquet(pipeline);
    };
    Reference::new(layout, Line::Run, STEPS, change).survives_every_point();
}

#[test]
fn partitions_alone_survive_a_crash_at_every_single_write() {
    let reference = Reference::new(Layout { format: Format::Csv, ..Layout::PLAIN }, Line::Etl, 16, |_| {});
    let writes = u64::try_from(reference.writes.len()).unwrap();
    assert!(writes > 40, "{writes}");
    for number in 1..=writes {
        let blow = if number % 2 == 0 { Blow::Before } else { Blow::After };
        reference.survives(Fault { point: None, number, blow });
    }
}

#[test]
fn ten_interruptions_are_as_none() {
    for layout in [Layout::PLAIN, Layout { gzip: true, files: 3, ..Layout::PLAIN }] {
        let reference = Reference::new(layout, Line::Run, STEPS, |_| {});
        let writes = u64::try_from(reference.writes.len()).unwrap();
        for every in [writes / 15, 7] {
            reference.survives_ten(every, &[Blow::Before, Blow::Stop, Blow::After]);
        }
        reference.survives_ten(writes / 25, &[Blow::Stop]);
        reference.survives_ten(writes / 12, &[Blow::After, Blow::Before]);
    }
}

#[test]
fn a_part_that_was_torn_before_its_commit_is_written_again() {
    let reference = Reference::new(Layout::PLAIN, Line::Run, STEPS, |_| {});
    for (blow, number) in [(Blow::After, 5), (Blow::After, 20)] {
        let pipeline = reference.fresh();
        let fault = Fault { point: Some(Point::Part), number, blow };
        assert!(reference.run(&pipeline, Some(fault)).struck);
        let torn = tear_the_uncommitted_part(&pipeline.url);
        reference.run(&pipeline, None);
        let tree = tree::read(&pipeline.url);
        // what has other bytes is not overwritten: the part has another name, and the torn one is gone
        assert!(!tree.contains_key(&torn) && tree.contains_key(&torn.replace(".csv", "-c1.csv")), "{torn}");
        tree::assert_whole(&pipeline.url);
        tree::assert_same_rows(&tree::rows(&tree), &tree::rows(&reference.tree), "a torn part");
        assert_eq!(tree::account(&tree), tree::account(&reference.tree));
        assert_eq!(tree::anomalies(&tree), tree::anomalies(&reference.tree));
    }
}

/// Halves the one part that no manifest names, and leaves a staged file beside it; gives its name.
fn tear_the_uncommitted_part(url: &Path) -> String {
    let tree = tree::read(url);
    let committed: Vec<String> = tree::manifests(&tree)
        .iter()
        .flat_map(|(name, manifest)| {
            let folder = name.rsplit_once('/').unwrap().0;
            manifest.objects.iter().map(move |object| format!("{folder}/{}", object.name))
        })
        .collect();
    let loose: Vec<&String> = tree.keys().filter(|name| name.contains("/part-") && !committed.contains(name)).collect();
    let [name] = loose[..] else { panic!("{loose:?} are not committed") };
    let bytes = &tree[name];
    fs::write(url.join(name), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(url.join(format!("{name}#1")), bytes).unwrap();
    name.clone()
}
