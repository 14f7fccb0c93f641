//! Measures of ten seconds that count under filters, slide over a minute, follow from one another and are sketched: through
//! the whole line, over a crash anywhere, and in a backtest, with the same findings and the same revisions (D1, D2, E1).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta};
use tempfile::TempDir;
use tidewatch::alert::{Revision, Status};
use tidewatch::explain::{self, Nature};
use tidewatch::job::live::Line;
use tidewatch::model::{AnomalyGroup, Direction, Interval, Length, Point as Scored, PointState, SeriesKey};

use crate::support::line::{Blow, Fault, Point, rebuild, run};
use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree::{self, Tree};

const SELECT: &str = "timestamp = \"at\"\ndimensions = [\"shop\"]\nmeasures = [\"ms\"]\ntypes = { ms = \"integer\" }";
const DETECT: &str = r#"trees = 5
sample = 16
[[detect.measure]]
name = "clicks"
aggregation = "count"
where = { action = ["click"] }
[[detect.measure]]
name = "views"
aggregation = "count"
where = { action = ["view"] }
[[detect.measure]]
name = "ctr"
expression = "100 * clicks / views"
[[detect.measure]]
name = "clicks_minute"
aggregation = "count"
where = { action = ["click"] }
window = "60s"
[[detect.measure]]
name = "users"
column = "user"
aggregation = "distinct"
window = "60s"
[[detect.measure]]
column = "ms"
aggregation = "percentile"
percentile = 95"#;

/// Seconds at which something happens: a minute of many clicks; ten seconds of which most comes late; ten seconds whose
/// clicks come late and are many.
const BURST: i64 = 2500;
const DELAYED: i64 = 2800;
const MORE: i64 = 3200;
const SECONDS: i64 = 3600;

/// A record a line, in the order in which they come.
fn stream() -> String {
    let start = DateTime::from_timestamp(1_709_510_400, 0).unwrap();
    let mut state = 12_345_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut records: Vec<(i64, String)> = Vec::new();
    for second in 0..SECONDS {
        // nothing at all for a while
        if (2000..2045).contains(&second) {
            continue;
        }
        for shop in ["a", "b"] {
            let is_a = shop == "a";
            let at = (start + TimeDelta::seconds(second)).format("%Y-%m-%d %H:%M:%S");
            let mut add = |action: &str, late: i64, user: u64, ms: u64| {
                let line = format!(
                    "{{\"at\":\"{at}\",\"shop\":\"{shop}\",\"action\":\"{action}\",\"user\":\"u{user}\",\"ms\":{ms}}}"
                );
                records.push((second + late, line));
            };
            for view in 0..3 + random(3) {
                let late = if is_a && (DELAYED..DELAYED + 10).contains(&second) && view > 0 { 45 } else { 0 };
                add("view", late, random(500), 20 + random(60));
            }
            let clicks = if is_a && (BURST..BURST + 60).contains(&second) { 6 } else { u64::from(random(10) < 7) };
            (0..clicks).for_each(|_| add("click", 0, random(500), 20 + random(60)));
            if is_a && (MORE..MORE + 10).contains(&second) {
                (0..5).for_each(|_| add("click", 45, random(500), 30));
            }
        }
    }
    records.sort_by_key(|(arrival, _)| *arrival);
    let mut text = String::new();
    records.iter().for_each(|(_, line)| writeln!(text, "{line}").unwrap());
    text
}

fn pipeline(directory: &Path) -> Pipeline {
    let input = directory.join("in");
    fs::create_dir_all(&input).unwrap();
    fs::write(input.join("records.jsonl"), stream()).unwrap();
    let interval = "length = \"10s\"\noffset = \"10s\"";
    let (select, interval, detect) = (SELECT.into(), interval.into(), DETECT.into());
    Pipeline { select, interval, detect, ..Pipeline::reading(&input, directory) }
}

struct Straight {
    directory: TempDir,
    pipeline: Pipeline,
    tree: Tree,
    checkpoints: u64,
}

impl Straight {
    fn new() -> Straight {
        let directory = tempfile::tempdir().unwrap();
        let pipeline = pipeline(directory.path());
        let ran = run(&pipeline.config(), Line::Run, None);
        ran.summary();
        let checkpoints = ran.writes.iter().filter(|write| **write == Point::Checkpoint).count() as u64;
        tree::assert_whole(&pipeline.url);
        Straight { tree: tree::read(&pipeline.url), directory, pipeline, checkpoints }
    }

    fn groups(&self) -> Vec<AnomalyGroup> {
        tree::anomalies(&self.tree).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn revisions(&self) -> Vec<Revision> {
        tree::revisions(&self.tree).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn what_is_measured_is_told_and_revised() {
    let straight = Straight::new();
    let start = DateTime::from_timestamp(1_709_510_400, 0).unwrap().naive_utc();
    let second = |second: i64| start + TimeDelta::seconds(second);
    let groups = straight.groups();
    for measure in ["clicks", "ctr", "clicks_minute"] {
        let told = groups.iter().filter(|group| group.measure == measure);
        let mut told = told.filter(|group| (second(BURST)..=second(BURST + 20)).contains(&group.interval.start()));
        assert!(told.next().is_some(), "{measure} in {groups:#?}");
    }
    let revisions = straight.revisions();
    let has = |measure: &str, at: i64, status: Status| {
        let mut all = revisions.iter().filter(|revision| revision.measure == measure && revision.status == status);
        all.any(|revision| revision.interval_start == second(at))
    };
    assert!(has("ctr", MORE, Status::Raised), "{revisions:#?}");
    assert!(has("ctr", DELAYED, Status::Withdrawn), "{revisions:#?}");
    // late clicks are in the windows of the next minute too
    let of_minute = revisions.iter().filter(|revision| revision.measure == "clicks_minute");
    let mut windows: Vec<_> = of_minute.map(|revision| revision.interval_start).collect();
    windows.dedup();
    assert_eq!(windows, (MORE..MORE + 60).step_by(10).map(second).collect::<Vec<_>>(), "{revisions:#?}");
    assert!(!revisions.iter().any(|revision| ["users", "ms_p95"].contains(&revision.measure.as_str())));
    // which is told
    let again = straight.pipeline.to(&straight.directory.path().join("again/out"));
    fs::create_dir_all(straight.directory.path().join("again")).unwrap();
    let said = tidewatch(&["run", &again.write()]).stderr;
    assert!(said.contains("late rows do not revise the verdicts of `users` and `ms_p95`"), "{said}");
}

/// A market with so many clicks where so many were expected, of so many views, as points of both and of their ratio.
fn market(number: usize, clicks: (f64, f64), views: f64) -> [Scored; 3] {
    let interval = Interval::containing(0, Length::from_seconds(10).unwrap());
    let point = |measure: &str, value: f64, expected: f64| Scored {
        interval,
        key: SeriesKey::new([format!("m{number:02}").as_str()]),
        measure: measure.into(),
        value: Some(value),
        expected,
        lower: 0.5 * expected,
        upper: 1.5 * expected,
        score: 5.0,
        severity: 60.0,
        state: match measure {
            "ctr" if value > 1.5 * expected => PointState::Anomalous { direction: Direction::High, since: interval },
            _ => PointState::Normal,
        },
    };
    let (value, expected) = clicks;
    [
        point("clicks", value, expected),
        point("views", views, views),
        point("ctr", 100.0 * value / views, 100.0 * expected / views),
    ]
}

#[test]
fn the_cause_of_a_ratio_is_looked_for_in_both_sides() {
    // a large market whose rate trebled, and a tiny one whose rate is wild
    let of = |number: usize| match number {
        4 => market(4, (150.0, 50.0), 1000.0),
        11 => market(11, (2.0, 0.1), 2.0),
        _ => market(number, (48.0 + (number % 5) as f64, 50.0), 1000.0),
    };
    let points: Vec<Scored> = (0..12).flat_map(of).collect();
    let nature = |measure: &str| match measure {
        "ctr" => Nature::Ratio { numerator: "clicks", denominator: "views", scale: 100.0, is_counted: true },
        _ => Nature::AddsUp,
    };
    let [group] = &explain::groups(&points, &["market".to_owned()], nature)[..] else { panic!("one group") };
    assert_eq!((&*group.measure, group.findings.len()), ("ctr", 2));
    let causes = &group.root_cause.causes;
    let [cause] = &causes[..] else { panic!("{causes:?}") };
    assert_eq!(cause.dimensions.iter().next(), Some(("market", "m04")));
    assert!((cause.value - 15.0).abs() < 0.01 && (cause.expected - 5.0).abs() < 0.01, "{cause:?}");
    let shares = causes.iter().map(|cause| cause.share).sum::<f64>() + group.root_cause.unexplained;
    assert!((shares - 1.0).abs() < 1e-9);
}

#[test]
fn windows_are_the_same_after_a_crash_and_learned_anew() {
    let straight = Straight::new();
    for number in [straight.checkpoints / 3, straight.checkpoints * 4 / 5] {
        let pipeline =
            straight.pipeline.to(&tempfile::tempdir_in(straight.directory.path()).unwrap().keep().join("out"));
        let fault = Fault { point: Some(Point::Checkpoint), number, blow: Blow::After };
        assert!(run(&pipeline.config(), Line::Run, Some(fault)).struck);
        run(&pipeline.config(), Line::Run, None).summary();
        tree::assert_same(&tree::read(&pipeline.url), &straight.tree, "after a crash");
    }
    // a job that stops on its way learns anew from the partitions, and goes on as it would have
    let pipeline = straight.pipeline.to(&tempfile::tempdir_in(straight.directory.path()).unwrap().keep().join("out"));
    let fault = Fault { point: Some(Point::Checkpoint), number: straight.checkpoints / 2, blow: Blow::After };
    assert!(run(&pipeline.config(), Line::Run, Some(fault)).struck);
    rebuild(&pipeline.config(), None).summary();
    let groups = |tree: &Tree| tree::anomalies(tree);
    assert_eq!(groups(&tree::read(&pipeline.url)), groups(&straight.tree));
}

#[test]
fn a_backtest_finds_and_revises_the_same() {
    let straight = Straight::new();
    let config = straight.pipeline.write();
    let file = |name: &str| straight.directory.path().join(name).display().to_string();
    let (partitions, source, revisions) = (file("partitions"), file("source"), file("revisions"));
    tidewatch(&["backtest", &config, "--input", "partitions", "--anomalies", &partitions]).good();
    let both = ["--anomalies", &source, "--revisions", &revisions];
    tidewatch(&[&["backtest", &config, "--input", "source"][..], &both].concat()).good();
    let expected = tree::anomalies(&straight.tree);
    assert!(!expected.is_empty());
    assert_eq!(fs::read_to_string(partitions).unwrap(), expected);
    assert_eq!(fs::read_to_string(source).unwrap(), expected);
    let mut said: Vec<String> = fs::read_to_string(revisions).unwrap().lines().map(str::to_owned).collect();
    said.sort();
    assert_eq!(said, tree::revisions(&straight.tree));
}
