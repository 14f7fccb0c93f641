//! Input that changes while a job is down: a file that was read to its end grows, another one appears that sorts before
//! those that were begun. What was read before is read again in the order of the first time, before anything new.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use tempfile::TempDir;
use tidewatch::job::live::Line;

use crate::support::line::{Blow, Fault, Point, run};
use crate::support::pipeline::Pipeline;
use crate::support::tree;

/// Two files; the record of the second closes the interval of the first, and the job dies after its checkpoint.
fn interrupted() -> (TempDir, Pipeline) {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    fs::create_dir(&input).unwrap();
    let select = "timestamp = \"at\"\ntimestamp_format = \"epoch_seconds\"\ndimensions = [\"id\"]\n\
                  measures = [\"views\"]\ntypes = { views = \"integer\" }";
    let pipeline = Pipeline { select: select.into(), ..Pipeline::reading(&input, directory.path()) };
    append(&pipeline, "1.jsonl", "a", 10);
    append(&pipeline, "2.jsonl", "b", 610);
    let fault = Fault { point: Some(Point::Checkpoint), number: 1, blow: Blow::After };
    assert!(run(&pipeline.config(), Line::Etl, Some(fault)).struck);
    (directory, pipeline)
}

fn append(pipeline: &Pipeline, file: &str, id: &str, at: u32) {
    let path = pipeline.url.parent().unwrap().join("in").join(file);
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{{\"id\":\"{id}\",\"at\":{at},\"views\":1}}").unwrap();
}

fn ids(url: &Path) -> Vec<String> {
    let rows = tree::rows(&tree::read(url));
    let mut ids: Vec<String> = rows.values().flatten().map(|row| row.split('|').next().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_file_that_grew_while_the_job_was_down() {
    let (_directory, pipeline) = interrupted();
    append(&pipeline, "1.jsonl", "c", 20);
    run(&pipeline.config(), Line::Etl, None).summary();
    assert_eq!(ids(&pipeline.url), ["a", "b", "c"]);
}

#[test]
fn a_file_that_appeared_before_the_others_while_the_job_was_down() {
    let (_directory, pipeline) = interrupted();
    // one chunk: what closes an interval, and a row of the next one that is read again
    append(&pipeline, "2.jsonl", "c", 620);
    append(&pipeline, "2.jsonl", "d", 1500);
    append(&pipeline, "2.jsonl", "e", 3000);
    let fault = Fault { point: Some(Point::Checkpoint), number: 1, blow: Blow::After };
    assert!(run(&pipeline.config(), Line::Etl, Some(fault)).struck);
    append(&pipeline, "0.jsonl", "f", 5000);
    append(&pipeline, "2.jsonl", "g", 9000);
    run(&pipeline.config(), Line::Etl, None).summary();
    assert_eq!(ids(&pipeline.url), ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn files_that_grow_in_turn() {
    let (_directory, pipeline) = interrupted();
    let after = |number| Fault { point: Some(Point::Checkpoint), number, blow: Blow::After };
    append(&pipeline, "2.jsonl", "c", 1500);
    assert!(run(&pipeline.config(), Line::Etl, Some(after(1))).struck);
    append(&pipeline, "1.jsonl", "d", 1400);
    append(&pipeline, "2.jsonl", "e", 2400);
    assert!(run(&pipeline.config(), Line::Etl, Some(after(1))).struck);
    append(&pipeline, "1.jsonl", "f", 2300);
    run(&pipeline.config(), Line::Etl, None).summary();
    assert_eq!(ids(&pipeline.url), ["a", "b", "c", "d", "e", "f"]);
}
