//! Incidents over a stream with planted ones, judged by the real detector: a small version of `scripts/bench/rootcause
//! stream`. And operators' commands to a job, whenever it is killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use tidewatch::detect::ForestShape;
use tidewatch::job::live::Line;
use tidewatch::job::{Clock as _, SystemClock};

use crate::support::data::{self, Layout};
use crate::support::line::{self, Blow, Fault, Point};
use crate::support::pipeline::Pipeline;
use crate::support::process::{Running, tidewatch};
use crate::support::tree;
use stream::Size;

#[path = "../../benches/quality/random.rs"]
mod random;
#[path = "../../benches/rootcause/stream.rs"]
mod stream;

#[test]
fn planted_incidents_are_found_and_told_once() {
    let forest = ForestShape { trees: 10, sample: 64, shingle: 4, ..ForestShape::default() };
    let size = Size { values: [4, 4, 3], days: 7, learning: 3, slices: 6, forest };
    let all = stream::run(&size, 11);
    let lines: Vec<String> = all.iter().map(stream::Figures::line).collect();
    // everything is told in the first of them
    let figures = &all[0];
    let told = [vec![stream::header()], lines, figures.told.clone()].concat().join("\n");
    assert_eq!(figures.found, figures.planted, "{told}");
    assert!(figures.notices_per_incident <= 2.0 && figures.notices * 5 < figures.groups, "{told}");
    assert!(figures.v_measure >= 0.95, "{told}");
    assert!(figures.delays.iter().filter(|delay| **delay <= 2).count() * 10 >= figures.delays.len() * 9, "{told}");
    assert_eq!((figures.outage, figures.disjoint, figures.level), ((1, 0), 2, (1, 1)), "{told}");
}

/// The ids of the notices in a file, in the order in which they came.
fn told(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let id =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["notice_id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

#[test]
fn no_notice_is_lost_and_none_is_another_one_after_kills() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::over(&data::settings(21, 300), Layout::PLAIN, directory.path());
    let file = |name: &str| directory.path().join(name).join("told.jsonl");
    let telling = |name: &str| {
        let mut telling = pipeline.to(&directory.path().join(name).join("out"));
        fs::create_dir_all(telling.url.parent().unwrap()).unwrap();
        let path = file(name).display().to_string();
        telling.detect.push_str(&format!("\n[[alert]]\nseverity_threshold = 0\n[alert.file]\npath = \"{path}\"\n"));
        telling
    };
    let whole = telling("whole");
    let clock = SystemClock::start();
    tidewatch(&["run", &whole.write()]).good();
    let micros = u64::try_from(clock.elapsed().as_micros()).unwrap();
    let reference = told(&file("whole"));
    let distinct: BTreeSet<&String> = reference.iter().collect();
    assert!(distinct.len() > 5 && distinct.len() == reference.len(), "{reference:?}");
    let killed = telling("killed");
    let path = killed.write();
    let mut random = Pcg64Mcg::new(5);
    for _ in 0..6 {
        let mut job = Running::start(&["run", &path]);
        thread::sleep(Duration::from_micros(random.next_u64() % (micros / 2)));
        job.kill();
    }
    tidewatch(&["run", &path]).good();
    let again = told(&file("killed"));
    assert_eq!(again.iter().collect::<BTreeSet<_>>(), distinct, "a notice that comes twice has the same id");
    let tables = [&whole, &killed].map(|pipeline| tree::incidents(&tree::read(&pipeline.url)));
    assert_eq!(tables[0], tables[1]);
}

/// The tables and the commands of a job that is stopped at a write, and started again.
#[test]
fn a_command_is_obeyed_once_whenever_the_job_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::over(&data::settings(31, 300), Layout::PLAIN, directory.path());
    let reference = pipeline.to(&directory.path().join("reference"));
    line::run(&reference.config(), Line::Run, None).summary();
    let whole = tree::incidents(&tree::read(&reference.url));
    assert!(whole.lines().count() > 3, "{whole}");
    for blow in [Blow::Before, Blow::After] {
        let stopped = pipeline.to(&directory.path().join(format!("stopped-{blow:?}")));
        let path = stopped.write();
        let at = |number| Fault { point: Some(Point::Checkpoint), number, blow };
        assert!(line::run(&stopped.config(), Line::Run, Some(at(40))).struck);
        let given = tidewatch(&["silence", &path, "--for", "2d", "--name", "all"]).good();
        assert!(given.contains("given to the job"), "{given}");
        // the checkpoint that takes it, and one after
        for number in [1, 2] {
            assert!(line::run(&stopped.config(), Line::Run, Some(at(number))).struck);
        }
        line::run(&stopped.config(), Line::Run, None).summary();
        let table = tree::incidents(&tree::read(&stopped.url));
        assert!(table.contains("\"silenced\":\"all\""), "{table}");
        let orders = stopped.url.join("state/orders");
        assert!(fs::read_dir(&orders).is_ok_and(|mut left| left.next().is_none()), "it is removed");
        let ids = |table: &str| {
            let mut ids: Vec<String> = table.lines().map(|line| line.split('"').nth(3).unwrap().to_owned()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        assert_eq!(ids(&table), ids(&whole), "a silence changes what is told, and no incident");
    }
}

#[test]
fn incidents_are_listed_explained_and_thought_about() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::over(&data::settings(21, 300), Layout::PLAIN, directory.path());
    let path = pipeline.write();
    let none = tidewatch(&["ack", &path, "incident-1"]).refused();
    assert!(none.contains("does not exist") || none.contains("no incident"), "{none}");
    tidewatch(&["run", &path]).good();
    let json = tidewatch(&["incidents", &path, "--format", "json"]).good();
    let id = json.lines().next().unwrap().split('"').nth(3).unwrap().to_owned();
    let listed = tidewatch(&["incidents", &path]).good();
    assert!(listed.contains(&id) && listed.lines().count() == json.lines().count() + 1, "{listed}");
    let csv = tidewatch(&["incidents", &path, "--format", "csv"]).good();
    assert_eq!(csv.lines().count(), json.lines().count() + 1, "{csv}");
    let card = tidewatch(&["explain", &path, &id]).good();
    for part in ["how sure", "causes", "what became of it", "rows of its first interval", "tidewatch backtest"] {
        assert!(card.contains(part), "`{part}` is not in\n{card}");
    }
    let whole: serde_json::Value = serde_json::from_str(&tidewatch(&["explain", &path, &id, "--json"]).good()).unwrap();
    assert_eq!(whole["incident"]["id"], id.as_str());
    assert!(tidewatch(&["explain", &path, &id, "--html"]).good().starts_with("<!doctype html>"));
    let dry = tidewatch(&["feedback", &path, &id, "expected", "--dry-run"]).good();
    assert!(dry.starts_with("-15 points for "), "{dry}");
    assert!(!pipeline.url.join("state/orders").exists(), "nothing is given yet");
    let given = tidewatch(&["feedback", &path, &id, "expected"]).good();
    assert!(given.contains("given to the job"), "{given}");
    let wrong = tidewatch(&["silence", &path, "--for", "4h", "--where", "shop=a"]).refused();
    assert!(wrong.contains("`--where shop=a`") && wrong.contains("`platform`"), "{wrong}");
    let unknown = tidewatch(&["explain", &path, "incident-20240304-0000-00000000"]).refused();
    assert!(unknown.contains("tidewatch incidents CONFIG"), "{unknown}");
}
