//! Reference data through the whole line: a column that a table gives is a dimension, rows without a match are rejects, and
//! a table that changes while a job runs holds for what is not committed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use tidewatch::job::live::Line;

use crate::support::line::run;
use crate::support::pipeline::Pipeline;
use crate::support::process::{Running, tidewatch, wait_until};
use crate::support::tree;

const SELECT: &str = "timestamp = \"at\"\ntimestamp_format = \"epoch_seconds\"\ndimensions = [\"region\", \"shop\"]\n\
                      measures = [\"views\"]\ntypes = { views = \"integer\" }\n[select.filters]\nregion = [\"eu\", \"na\", \"\"]";

fn pipeline(directory: &Path, rules: &str) -> Pipeline {
    let input = directory.join("in");
    fs::create_dir_all(&input).unwrap();
    let table = directory.join("shops.csv").display().to_string();
    let reference =
        format!("\n[[reference]]\nurl = \"{table}\"\nkey = {{ shop = \"id\" }}\ncolumns = [\"region\"]\n{rules}\n");
    Pipeline { select: format!("{SELECT}{reference}"), ..Pipeline::reading(&input, directory) }
}

fn append(directory: &Path, records: &[(&str, u32)]) {
    let mut file = OpenOptions::new().create(true).append(true).open(directory.join("in/1.jsonl")).unwrap();
    for (shop, at) in records {
        writeln!(file, "{{\"shop\":\"{shop}\",\"at\":{at},\"views\":1}}").unwrap();
    }
}

fn rows(url: &Path) -> Vec<String> {
    let rows = tree::rows(&tree::read(url));
    rows.values().flatten().cloned().collect()
}

#[test]
fn rows_have_the_columns_of_the_table_and_filters_see_them() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shops.csv"), "name,id,region\nOne,1,eu\nTwo,2,asia\n").unwrap();
    let pipeline = pipeline(directory.path(), "");
    append(directory.path(), &[("1", 10), ("2", 20), ("3", 30)]);
    let ran = run(&pipeline.config(), Line::Etl, None);
    let tally = ran.summary().tally;
    assert_eq!((tally.written, tally.filtered, tally.rejected), (2, 1, 0));
    assert_eq!(rows(&pipeline.url), ["eu|1|10|1", "|3|30|1"]);
}

#[test]
fn rows_without_a_match_are_rejects_where_they_are_to_be() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shops.csv"), "id,region\n1,eu\n").unwrap();
    let pipeline = pipeline(directory.path(), "missing = \"reject\"");
    append(directory.path(), &[("1", 10), ("3", 30)]);
    let ran = run(&pipeline.config(), Line::Etl, None);
    let tally = ran.summary().tally;
    assert_eq!((tally.written, tally.rejected), (1, 1));
    let tree = tree::read(&pipeline.url);
    let rejects: String =
        tree.iter().filter(|(name, _)| name.starts_with("rejects/")).map(|(_, b)| String::from_utf8_lossy(b)).collect();
    assert!(rejects.contains("no reference data for `shop` = `3`"), "{rejects}");
}

#[test]
fn a_table_that_cannot_be_read_stops_a_job_with_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = pipeline(directory.path(), "");
    append(directory.path(), &[("1", 10)]);
    let config = pipeline.write();
    let error = || tidewatch(&["etl", &config]).refused();
    let gone = error();
    assert!(gone.contains("shops.csv` is not there") && gone.contains("hint: check `reference.url`"), "{gone}");
    fs::write(directory.path().join("shops.csv"), "id,area\n1,eu\n").unwrap();
    let other = error();
    assert!(other.contains("has no column `region`"), "{other}");
    fs::write(directory.path().join("shops.csv"), "id,region\n1,eu\n1,na\n").unwrap();
    let twice = error();
    assert!(twice.contains("has the key `1` twice"), "{twice}");
}

#[test]
fn a_changed_table_holds_for_what_is_not_committed() {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("shops.csv");
    fs::write(&table, "id,region\n1,eu\n").unwrap();
    let mut pipeline = pipeline(directory.path(), "refresh = \"1s\"");
    pipeline.source.push_str("\nfollow = true");
    pipeline.interval = "offset = \"0s\"\nidle_timeout = \"10d\"".into();
    // the first interval closes; of the second a row is held
    append(directory.path(), &[("1", 10), ("1", 310)]);
    let config = pipeline.write();
    let mut running = Running::start(&["etl", &config]);
    let manifest =
        |hhmm: &str| pipeline.url.join(format!("data/intvl_date=1970-01-01/intvl_hhmm={hhmm}/_manifest-r0000.json"));
    wait_until("the first interval", || manifest("0000").exists());
    fs::write(&table, "id,region\n1,na\n").unwrap();
    running.until_it_says("a reference table has changed");
    append(directory.path(), &[("1", 610)]);
    wait_until("the second interval", || manifest("0005").exists());
    running.terminate();
    assert_eq!(rows(&pipeline.url), ["eu|1|10|1", "na|1|310|1"]);
    tree::assert_whole(&pipeline.url);
}
