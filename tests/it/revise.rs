//! Late rows and what was said: a finding is confirmed, withdrawn or raised by the rows that come after its interval has
//! closed, live, after a crash anywhere, and in a backtest over the source (D1).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta};
use tempfile::TempDir;
use tidewatch::alert::{Revision, Status};
use tidewatch::job::live::Line;

use crate::support::line::{Blow, Fault, Point, run};
use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree::{self, Tree};

/// Views of a record that the filter drops.
const FILTERED: i64 = -1;

/// Minutes of event time of a stream of two platforms, a record a minute each: `views` of a minute, and how many minutes
/// the record is late.
fn records(minutes: i64, of: impl Fn(&str, i64) -> Vec<(i64, i64)>) -> String {
    let start = DateTime::from_timestamp(1_709_510_400, 0).unwrap();
    let mut records = BTreeMap::new();
    for minute in 0..minutes {
        for (at, platform) in ["web", "app"].iter().enumerate() {
            for (number, (views, late)) in of(platform, minute).into_iter().enumerate() {
                let time = (start + TimeDelta::minutes(minute)).format("%Y-%m-%d %H:%M:%S");
                let marketplace = if views == FILTERED { "xx" } else { "us" };
                let line = format!(
                    "{{\"event_time\":\"{time}\",\"platform\":\"{platform}\",\"marketplace\":\"{marketplace}\",\
                     \"views\":{views},\"revenue\":1.5}}\n"
                );
                records.insert((minute + late, late > 0, at, number, minute), line);
            }
        }
    }
    records.into_values().collect()
}

/// Around 20, never the same again and again.
fn usual(minute: i64) -> i64 {
    20 + (minute * 7919 % 5)
}

/// Twenty hours. From 15:00 to 15:05 most of `web` comes half an hour late, some of it forty minutes; from 16:00 to
/// 16:05 all of it comes late but too little; from 17:00 to 17:05 `app` has ten times as much, late; from 18:00 to 18:30 nothing comes in time
/// from anyone; from 19:05 to 19:25 the filter drops all that does, and some comes twelve minutes late.
fn stream() -> String {
    records(20 * 60, |platform, minute| {
        let is_web = platform == "web";
        match minute {
            900..905 if is_web => vec![(2, 0), (usual(minute) - 2, if minute < 903 { 30 } else { 40 })],
            960..965 if is_web => vec![(3, 25)],
            1020..1025 if !is_web => vec![(usual(minute), 0), (200, 20)],
            1080..1110 => vec![(usual(minute), 45)],
            1145..1165 if minute < 1150 => vec![(FILTERED, 0), (usual(minute), 12)],
            1145..1165 => vec![(FILTERED, 0)],
            _ => vec![(usual(minute), 0)],
        }
    })
}

const DETECT: &str = "trees = 5\nsample = 16\n[[detect.measure]]\ncolumn = \"views\"\naggregation = \"sum\"";

fn pipeline(directory: &Path) -> Pipeline {
    let input = directory.join("in");
    fs::create_dir_all(&input).unwrap();
    fs::write(input.join("records.jsonl"), stream()).unwrap();
    let mut pipeline = Pipeline { detect: DETECT.into(), ..Pipeline::reading(&input, directory) };
    pipeline.select.push_str("filters = { marketplace = [\"us\"] }\n");
    pipeline
}

fn lines(tree: &Tree) -> Vec<Revision> {
    tree::revisions(tree).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Platform, interval, with which it was revised, and what became of it.
fn short(revisions: &[Revision]) -> Vec<String> {
    let mut short: Vec<String> = revisions
        .iter()
        .map(|revision| {
            let platform = revision.dimensions.iter().next().unwrap().1;
            let (at, with) = (revision.interval_start.format("%H:%M"), revision.revised_with.format("%H:%M"));
            format!("{platform} {at} {} with {with}", revision.status)
        })
        .collect();
    short.sort();
    short
}

struct Live {
    directory: TempDir,
    pipeline: Pipeline,
    tree: Tree,
    printed: String,
}

impl Live {
    fn new() -> Live {
        let directory = tempfile::tempdir().unwrap();
        let pipeline = pipeline(directory.path());
        let printed = tidewatch(&["run", &pipeline.write()]).good();
        let tree = tree::read(&pipeline.url);
        Live { directory, pipeline, tree, printed }
    }
}

#[test]
fn late_rows_confirm_withdraw_and_raise() {
    let live = Live::new();
    let revisions = lines(&live.tree);
    let said = short(&revisions);
    let has = |line: &str| assert!(said.iter().any(|said| said == line), "{line} in {said:#?}");
    // in two steps: not enough first
    has("web 15:00 confirmed with 15:30");
    has("web 15:00 withdrawn with 15:40");
    has("web 16:00 confirmed with 16:25");
    has("app 17:00 raised with 17:20");
    for platform in ["web", "app"] {
        has(&format!("{platform} 18:00 withdrawn with 18:45"));
        has(&format!("{platform} 18:25 withdrawn with 19:10"));
        // they left with 19:15 and 19:20, which have no rows, so nobody had judged 19:05 by then: they waited
        has(&format!("{platform} 19:05 withdrawn with 19:25"));
    }
    for Revision { status, value, lower, upper, severity_before, .. } in &revisions {
        let is_inside = (lower..=upper).contains(&value);
        assert_eq!(is_inside, *status == Status::Withdrawn);
        assert_eq!(severity_before.is_none(), *status == Status::Raised);
    }
    // the anomaly table is as it was told, and has what a revision is about, but for what was raised
    let table = tree::anomalies(&live.tree);
    for revision in &revisions {
        assert_eq!(table.contains(&format!("\"id\":\"{}\"", revision.id)), revision.status != Status::Raised);
    }
}

#[test]
fn a_backtest_over_the_source_says_them_and_one_over_partitions_says_none() {
    let live = Live::new();
    let path = live.pipeline.write();
    let file = live.directory.path().join("revisions.jsonl");
    let options =
        |input| ["backtest", &path, "--input", input, "--revisions", file.to_str().unwrap()].map(str::to_owned);
    let said = |input| {
        let options = options(input);
        let printed = tidewatch(&options.each_ref().map(String::as_str)).good();
        let text = fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        (lines, printed)
    };
    let expected = tree::revisions(&live.tree);
    let (lines, printed) = said("source");
    assert_eq!(lines, expected);
    assert!(printed.contains(&format!(", {} revised by late rows", expected.len())), "{printed}");
    let (none, printed) = said("partitions");
    assert!(none.is_empty() && !printed.contains("revised"), "{printed}");
}

#[test]
fn what_people_read_tells_what_became_of_a_finding() {
    let live = Live::new();
    let path = live.pipeline.write();
    let revisions = lines(&live.tree);
    let count = revisions.len();
    let listed = tidewatch(&["anomalies", &path, "--revisions"]).good();
    assert_eq!(listed.lines().count(), count + 1, "{listed}");
    assert!(listed.contains("withdrawn: ") && listed.contains("before late rows"), "{listed}");
    let csv = tidewatch(&["anomalies", &path, "--revisions", "--format", "csv"]).good();
    assert_eq!(csv.lines().count(), count + 1);
    let header = "id,interval_start,measure,platform,marketplace,status,revised_with,since,value_before,value,expected,\
                  lower,upper,direction,severity_before,severity";
    assert_eq!(csv.lines().next().unwrap(), header);
    let json = tidewatch(&["anomalies", &path, "--revisions", "--format", "json"]).good();
    let mut json: Vec<&str> = json.lines().collect();
    json.sort_unstable();
    assert_eq!(json, tree::revisions(&live.tree));
    // what is confirmed is no news
    let news = revisions.iter().filter(|revision| revision.status != Status::Confirmed).count();
    let told = live.printed.lines().filter(|line| line.contains("before late rows")).count();
    assert!(told == news && news < count, "{}", live.printed);
    assert!(live.printed.contains(&format!(", {count} revised by late rows")), "{}", live.printed);
    // the latest holds
    let is_at_three = |revision: &&Revision| revision.interval_start.format("%H:%M").to_string() == "15:00";
    let id = &revisions.iter().find(is_at_three).unwrap().id;
    let table = tidewatch(&["anomalies", &path]).good();
    let line = table.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line.contains("withdrawn: "), "{line}");
    let card = tidewatch(&["explain", &path, id]).good();
    assert!(card.contains("revised   confirmed") && card.contains("revised   withdrawn"), "{card}");
    // what programs read is as it was
    let json = tidewatch(&["anomalies", &path, "--format", "json"]).good();
    assert_eq!(json, tree::anomalies(&live.tree));
}

/// A run whose detector has these rules.
fn ruled(directory: &Path, name: &str, detect: &str) -> (Pipeline, Vec<Revision>) {
    let pipeline = Pipeline { detect: detect.into(), ..pipeline(directory).to(&directory.join(name)) };
    tidewatch(&["run", &pipeline.write()]).good();
    let revisions = lines(&tree::read(&pipeline.url));
    (pipeline, revisions)
}

#[test]
fn what_is_not_to_be_told_is_not_told_late_either() {
    let directory = tempfile::tempdir().unwrap();
    let ruled = |name: &str, detect: &str| ruled(directory.path(), name, detect);
    let raised = "app 17:00 raised with 17:20".to_owned();
    let (_, plain) = ruled("plain", DETECT);
    assert!(short(&plain).contains(&raised) && plain.iter().any(|line| line.status == Status::Withdrawn));

    let (high, told) = ruled("high", &format!("{DETECT}\ndirection = \"high\""));
    assert!(short(&told).contains(&raised) && told.iter().all(|line| line.value > line.expected), "{told:#?}");
    // a thousand more than the hundred that are expected
    let (small, told) = ruled("small", &format!("{DETECT}\nmin_change = 2000"));
    assert!(told.is_empty(), "{told:#?}");
    let works = "[[detect.calendar]]\nname = \"works\"\nfrom = \"2024-03-04 15:00\"\nto = \"2024-03-04 17:05\"\n";
    let (ignored, told) = ruled("works", &format!("{DETECT}\n{works}"));
    let said = short(&told);
    assert!(said.iter().all(|line| line.as_str()[4..] > *"17:05"), "{said:#?}");
    assert!(said.contains(&"web 18:00 withdrawn with 18:45".to_owned()), "{said:#?}");
    let (counter, told) = ruled("counter", &DETECT.replace("\"sum\"", "\"max\"\ncounter = true"));
    assert!(told.is_empty(), "{told:#?}");

    // and a backtest over the source says the same
    for pipeline in [high, small, ignored, counter] {
        let file = directory.path().join("again.jsonl");
        let (path, file) = (pipeline.write(), file.to_str().unwrap());
        tidewatch(&["backtest", &path, "--input", "source", "--revisions", file]).good();
        let mut again: Vec<String> = fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect();
        again.sort();
        assert_eq!(again, tree::revisions(&tree::read(&pipeline.url)), "{path}");
    }
}

#[test]
fn a_crash_at_any_write_of_the_revisions_loses_none_and_doubles_none() {
    let directory = tempfile::tempdir().unwrap();
    let reference = pipeline(directory.path());
    let ran = run(&reference.config(), Line::Run, None);
    let writes = ran.writes.iter().filter(|write| **write == Point::Revisions).count() as u64;
    let summary = ran.summary().clone();
    let expected = tree::read(&reference.url);
    assert!(writes > 9 && summary.revisions == tree::revisions(&expected).len() as u64, "{writes} {summary:?}");
    for number in 1..=writes.min(6) {
        for blow in [Blow::Before, Blow::After] {
            let mut name = String::new();
            write!(name, "{number}-{blow:?}").unwrap();
            let struck = reference.to(&directory.path().join(name));
            let fault = Fault { point: Some(Point::Revisions), number: number * writes / 6, blow };
            assert!(run(&struck.config(), Line::Run, Some(fault)).struck, "{fault}");
            let again = run(&struck.config(), Line::Run, None);
            tree::assert_same(&tree::read(&struck.url), &expected, &fault.to_string());
            assert_eq!(again.summary().revisions, summary.revisions, "{fault}");
        }
    }
}

#[test]
fn a_detector_that_has_learned_anew_does_not_take_a_part_for_the_whole() {
    let live = Live::new();
    let expected = lines(&live.tree);
    // stopped between the two batches of late rows for 15:00, whose first made a revision of the partition
    let input = live.directory.path().join("in/records.jsonl");
    let all = fs::read_to_string(&input).unwrap();
    let cut = all.find("\"event_time\":\"2024-03-04 15:36:00\"").unwrap();
    let cut = all[..cut].rfind('\n').unwrap() + 1;
    fs::write(&input, &all[..cut]).unwrap();
    let mut anew = live.pipeline.to(&live.directory.path().join("anew"));
    anew.job = "stream_batch_time = \"100ms\"".into();
    let path = anew.write();
    tidewatch(&["run", &path]).good();
    fs::write(&input, &all).unwrap();
    tidewatch(&["run", &path, "--rebuild"]).good();
    let said = short(&lines(&tree::read(&anew.url)));
    // of 15:00 the detector knows the rows that came in time alone
    assert!(said.contains(&"web 15:00 confirmed with 15:30".to_owned()), "{said:#?}");
    assert!(!said.contains(&"web 15:00 withdrawn with 15:40".to_owned()), "{said:#?}");
    // what was not revised before is
    let later = |said: Vec<String>| said.into_iter().filter(|line| line.as_str()[4..] > *"16:0").collect::<Vec<_>>();
    assert_eq!(later(said), later(short(&expected)));
}
