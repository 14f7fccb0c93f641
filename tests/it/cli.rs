//! The program as whoever types it meets it: help, versions, completions, exit codes, what is refused and how, pipes.
//! stdout is data, stderr is talk; 0 is fine, 1 is something that the user can mend.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use tidewatch::source::generator::{Format, Records};

use crate::support::data::{self, Layout};
use crate::support::pipeline::Pipeline;
use crate::support::process::{Ended, Running, command, ended, tidewatch, wait_until};
use crate::support::tree;

const STEPS: u64 = 40;

/// What the help of each command must speak of.
const HELP: [(&str, &[&str]); 16] = [
    ("run", &["Run the whole line", "<CONFIG>", "--rebuild"]),
    ("etl", &["up to the partitions", "<CONFIG>"]),
    ("detect", &["partitions that another job writes", "<CONFIG>", "--once", "--rebuild"]),
    (
        "backtest",
        &[
            "Judge history",
            "<CONFIG>",
            "--from",
            "--to",
            "--input",
            "--labels",
            "--scores",
            "--anomalies",
            "--revisions",
            "--incidents",
            "recall",
            "--sweep",
            "--plot",
            "--against",
            "--against-out",
            "--promote",
        ],
    ),
    ("status", &["which series still learn", "<CONFIG>"]),
    ("check", &["every problem", "<CONFIG>"]),
    ("discover", &["write a configuration", "<PATH>"]),
    ("import", &["description of another detector", "<FILE>", "DescribeMetricSet", "OpenSearch", "SQL"]),
    (
        "generate",
        &["known incidents", "ecommerce", "--seed", "--days", "--out", "--anomaly-probability", "--format", "--gzip"],
    ),
    (
        "anomalies",
        &["anomaly table", "<CONFIG>", "--from", "--to", "--measure", "--revisions", "--severity", "--format"],
    ),
    ("incidents", &["what broke", "<CONFIG>", "--from", "--to", "--open", "--severity", "--format"]),
    ("ack", &["attends", "<CONFIG>", "<INCIDENT>"]),
    ("silence", &["for a time", "<CONFIG>", "--for", "--where", "--measure", "--direction", "--end"]),
    ("feedback", &["similar ones", "<CONFIG>", "<INCIDENT>", "useful", "expected", "wrong-cause", "--dry-run"]),
    ("explain", &["one anomaly", "<CONFIG>", "<ID>", "--json", "--html", "--format"]),
    ("completions", &["completion script", "<SHELL>", "bash", "zsh", "fish"]),
];

#[test]
fn help_names_every_command_and_every_command_has_help() {
    let help = tidewatch(&["--help"]).good();
    for (command, words) in HELP {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} in\n{help}");
        let help = tidewatch(&[command, "--help"]).good();
        for word in words {
            assert!(help.contains(word), "`{word}` in the help of {command}:\n{help}");
        }
        assert_eq!(tidewatch(&["help", command]).good(), help);
    }
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    assert_eq!(commands.count(), HELP.len() + 1, "commands and `help` itself:\n{help}");
}

#[test]
fn what_cannot_be_typed_is_told_on_stderr() {
    for args in [&[][..], &["ruin"], &["run"], &["run", "a.toml", "--fast"], &["backtest", "a.toml", "--from", "soon"]]
    {
        let Ended { code, stdout, stderr } = tidewatch(args);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(stderr.contains("--help") || stderr.contains("Usage"), "{args:?}: {stderr}");
    }
    assert!(tidewatch(&["ruin"]).stderr.contains("'run'"), "the nearest command");
}

#[test]
fn there_is_a_version() {
    assert_eq!(tidewatch(&["--version"]).good(), format!("tidewatch {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn there_are_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = tidewatch(&["completions", shell]).good();
        assert!(script.contains("tidewatch") && script.contains("backtest"), "{shell}");
    }
}

/// A small data set and a configuration that works on it.
fn pipeline(directory: &Path) -> Pipeline {
    Pipeline::over(&data::settings(31, STEPS), Layout::PLAIN, directory)
}

/// Runs a configuration that is wrong, and checks that nothing was written.
fn refused(pipeline: &Pipeline) -> String {
    let stderr = tidewatch(&["run", &pipeline.write()]).refused();
    assert!(tree::read(&pipeline.url).keys().all(|name| name == "data/_tidewatch.json"), "something was written");
    stderr
}

#[test]
fn an_unknown_key_gets_the_nearest_one() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline { interval: "lenght = \"5m\"".into(), ..pipeline(directory.path()) };
    let stderr = refused(&pipeline);
    assert!(stderr.contains("`interval.lenght` is unknown"), "{stderr}");
    assert!(stderr.contains("hint: did you mean `length`?"), "{stderr}");
    assert!(!pipeline.url.exists());
}

#[test]
fn a_configuration_that_is_not_there_is_said_to_be_missing() {
    for command in ["run", "etl", "detect", "backtest", "status", "check", "anomalies"] {
        let stderr = tidewatch(&[command, "no/such.toml"]).refused();
        assert!(stderr.contains("`no/such.toml` cannot be read") && stderr.contains("hint:"), "{command}: {stderr}");
    }
}

#[test]
fn a_missing_input_is_said_to_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    for (path, word) in [("none.jsonl", "does not exist"), ("*.jsonl", "no file matches")] {
        let pipeline = Pipeline::reading(&directory.path().join(path), directory.path());
        let stderr = refused(&pipeline);
        assert!(stderr.contains(word) && stderr.contains(path) && stderr.contains("hint:"), "{stderr}");
    }
}

#[test]
fn an_unknown_column_of_a_csv_file_gets_the_nearest_one() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout { format: Format::Csv, ..Layout::PLAIN };
    let mut pipeline = Pipeline::over(&data::settings(31, STEPS), layout, directory.path());
    pipeline.select = pipeline.select.replace("\"marketplace\"", "\"market_place\"");
    let stderr = refused(&pipeline);
    assert!(stderr.contains("column `market_place` is not in the header of `records-00.txt`"), "{stderr}");
    assert!(stderr.contains("hint:") && stderr.contains("`marketplace`"), "{stderr}");
}

#[test]
fn unreadable_timestamps_are_rejects_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let settings = data::settings(31, STEPS);
    let mut pipeline = Pipeline::over(&settings, Layout::PLAIN, directory.path());
    pipeline.select = pipeline.select.replace("%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M");
    let path = pipeline.write();
    let Ended { code, stdout, stderr } = tidewatch(&["run", &path]);
    assert!(matches!(code, Some(0 | 1)), "{stdout}{stderr}");
    let records = Records::new(settings).count() as u64;
    let tree = tree::read(&pipeline.url);
    assert_eq!((tree::rejects(&tree), tree::rows(&tree).len()), (records, 0), "{stdout}{stderr}");
    assert!(stdout.contains("rows       read") && stdout.contains("written 0"), "{stdout}{stderr}");
    let reject = tree.iter().find(|(name, _)| name.starts_with("rejects/")).unwrap().1;
    let reject = std::str::from_utf8(reject).unwrap().lines().next().unwrap();
    for word in ["\"partition\":\"records-00.txt\"", "\"reason\":\"timestamp\"", "\"record\":", "2024-03-04"] {
        assert!(reject.contains(word), "{word} in {reject}");
    }
    // nothing is read twice
    tidewatch(&["run", &path]);
    tree::assert_same(&tree::read(&pipeline.url), &tree, "once more");
}

#[test]
fn partitions_of_another_configuration_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let first = pipeline(directory.path());
    tidewatch(&["run", &first.write()]).good();
    let tree = tree::read(&first.url);
    for (change, word) in [
        ("length = \"10m\"", "interval.length is `300s` there, `600s` here"),
        ("timezone = \"Europe/Berlin\"", "interval.timezone is `UTC` there, `Europe/Berlin` here"),
    ] {
        let other = Pipeline { interval: change.into(), ..first.clone() };
        for state in ["", "state = \"STATE\""] {
            let job = state.replace("STATE", &directory.path().join("state").display().to_string());
            let other = Pipeline { job, ..other.clone() };
            let stderr = tidewatch(&["run", &other.write()]).refused();
            assert!(stderr.contains(word) && stderr.contains("hint:"), "{stderr}");
        }
    }
    let parquet = Pipeline { partition: "format = \"parquet\"".into(), ..first.clone() };
    assert!(tidewatch(&["run", &parquet.write()]).refused().contains("partition.format is `csv` there"));
    let mut fewer = first.clone();
    fewer.select = fewer.select.replace("\"platform\", ", "");
    assert!(tidewatch(&["run", &fewer.write()]).refused().contains("dimensions is `platform, marketplace` there"));
    tree::assert_same(&tree::read(&first.url), &tree, "after five refusals");
    tidewatch(&["run", &first.write()]).good();
}

#[test]
fn a_second_process_on_the_same_state_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(directory.path());
    pipeline.source.push_str("\nfollow = true");
    pipeline.interval.push_str("\nidle_timeout = \"200ms\"");
    let path = pipeline.write();
    let mut first = Running::start(&["run", &path]);
    let expected = data::truth(&data::settings(31, STEPS)).rows;
    wait_until("the first job has read everything", || tree::rows(&tree::read(&pipeline.url)) == expected);
    let mut tree = tree::read(&pipeline.url);
    wait_until("the first job has nothing left to do", || {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let before = std::mem::replace(&mut tree, tree::read(&pipeline.url));
        before == tree
    });
    for command in ["run", "etl"] {
        let stderr = tidewatch(&[command, &path]).refused();
        assert!(stderr.contains("another process works in") && stderr.contains("hint:"), "{stderr}");
    }
    assert!(first.status().is_none(), "the first job runs on");
    tree::assert_same(&tree::read(&pipeline.url), &tree, "after the refusals");
    assert_eq!(first.terminate().code(), Some(0));
}

#[test]
fn a_state_of_etl_is_not_gone_on_with_by_run() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = pipeline(directory.path());
    let path = pipeline.write();
    for (first, second) in [("etl", "run"), ("run", "etl")] {
        let _ = fs::remove_dir_all(&pipeline.url);
        tidewatch(&[first, &path]).good();
        let tree = tree::read(&pipeline.url);
        let stderr = tidewatch(&[second, &path]).refused();
        assert!(stderr.contains(&format!("made by `{first}`, this is `{second}`")), "{stderr}");
        assert!(stderr.contains("hint:"), "{stderr}");
        tree::assert_same(&tree::read(&pipeline.url), &tree, second);
    }
}

#[test]
fn a_state_is_not_gone_on_with_from_another_source() {
    let directory = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(directory.path());
    tidewatch(&["etl", &pipeline.write()]).good();
    let tree = tree::read(&pipeline.url);
    pipeline.source = "[source.generator]\ndays = 1".into();
    let stderr = tidewatch(&["etl", &pipeline.write()]).refused();
    assert!(stderr.contains("tells of files, this job reads the generator") && stderr.contains("hint:"), "{stderr}");
    tree::assert_same(&tree::read(&pipeline.url), &tree, "after the refusal");
}

#[test]
fn what_was_read_is_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = pipeline(directory.path());
    let path = pipeline.write();
    let first = tidewatch(&["run", &path]).good();
    let tree = tree::read(&pipeline.url);
    let second = tidewatch(&["run", &path]).good();
    let account = |summary: &str| summary.lines().find(|line| line.starts_with("rows ")).unwrap().to_owned();
    assert_eq!(account(&first), account(&second));
    assert!(second.contains("all input was read"), "{second}");
    tree::assert_same(&tree::read(&pipeline.url), &tree, "once more");
}

#[test]
fn a_reader_that_goes_away_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::over(&data::settings(31, 100), Layout::PLAIN, directory.path());
    let heard = pipeline.to(&directory.path().join("heard"));
    let path = pipeline.write();
    tidewatch(&["run", &heard.write()]).good();
    let unheard = |args: &[&str]| {
        let mut child = command(args).spawn().unwrap();
        drop(child.stdout.take());
        let Ended { code, stderr, .. } = ended(child.wait_with_output().unwrap());
        assert_eq!(code, Some(0), "{args:?}: {stderr}");
        assert!(!stderr.contains("panic"), "{args:?}: {stderr}");
    };
    unheard(&["run", &path]);
    tree::assert_same(&tree::read(&pipeline.url), &tree::read(&heard.url), "nobody listened");
    for args in [
        &["--help"][..],
        &["--version"],
        &["completions", "bash"],
        &["anomalies", &path],
        &["anomalies", &path, "--format", "csv"],
        &["anomalies", &path, "--format", "json"],
        &["backtest", &path],
    ] {
        unheard(args);
    }
}

#[test]
fn standard_input_gives_the_rows_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    for (format, name) in [(Format::JsonLines, "json"), (Format::Csv, "csv")] {
        let settings = data::settings(31, STEPS);
        let layout = Layout { format, files: 1, ..Layout::PLAIN };
        let place = directory.path().join(name);
        fs::create_dir(&place).unwrap();
        let from_file = Pipeline::over(&settings, layout, &place);
        tidewatch(&["run", &from_file.write()]).good();
        let mut piped = from_file.to(&place.join("piped"));
        piped.source = "[source.stdin]".into();
        let mut child = command(&["run", &piped.write()]).stdin(Stdio::piped()).spawn().unwrap();
        let records: Vec<_> = Records::new(settings.clone()).collect();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&data::bytes(&settings, format, &records)).unwrap();
        drop(stdin);
        ended(child.wait_with_output().unwrap()).good();
        let without_sources = |pipeline: &Pipeline| {
            let mut tree = tree::read(&pipeline.url);
            tree.retain(|name, _| name.contains("/part-") || name.starts_with("anomalies/"));
            tree
        };
        tree::assert_same(&without_sources(&piped), &without_sources(&from_file), name);
        tree::assert_same_rows(&tree::rows(&tree::read(&piped.url)), &data::truth(&settings).rows, name);
        tree::assert_whole(&piped.url);
    }
}

#[test]
fn generated_files_piped_in_give_the_rows_of_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("in");
    let out = data.display().to_string();
    let printed = tidewatch(&["generate", "ecommerce", "--out", &out, "--days", "1", "--series", "4"]).good();
    assert!(printed.contains("records") && printed.contains("incidents in"), "{printed}");
    let mut files: Vec<_> = fs::read_dir(data.join("records")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let all: Vec<u8> = files.iter().flat_map(|path| fs::read(path).unwrap()).collect();
    let from_files = Pipeline::reading(&data.join("records"), directory.path());
    tidewatch(&["run", &from_files.write()]).good();
    let mut piped = from_files.to(&directory.path().join("piped"));
    piped.source = "[source.stdin]".into();
    let mut child = command(&["run", &piped.write()]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&all).unwrap();
    ended(child.wait_with_output().unwrap()).good();
    let (files, piped) = (tree::read(&from_files.url), tree::read(&piped.url));
    tree::assert_same_rows(&tree::rows(&piped), &tree::rows(&files), "piped");
    assert_eq!(tree::account(&piped), tree::account(&files));
    assert_eq!(tree::anomalies(&piped), tree::anomalies(&files));
}

#[test]
fn an_anomaly_can_be_listed_and_explained() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::over(&data::settings(21, 300), Layout::PLAIN, directory.path());
    let path = pipeline.write();
    tidewatch(&["run", &path]).good();
    let table = tree::anomalies(&tree::read(&pipeline.url));
    assert_eq!(tidewatch(&["anomalies", &path, "--format", "json"]).good(), table, "JSON is the table itself");
    let findings: usize = table.matches("\"since\"").count();
    let csv = tidewatch(&["anomalies", &path, "--format", "csv"]).good();
    assert_eq!(csv.lines().count(), findings + 1, "{csv}");
    assert!(csv.starts_with("id,group,interval_start,since,measure,platform,marketplace,value,expected"), "{csv}");
    let listed = tidewatch(&["anomalies", &path]).good();
    let is_cause =
        |line: &&str| line.trim_start().starts_with("cause: ") || line.trim_start().starts_with("unexplained: ");
    assert_eq!(listed.lines().filter(|line| !is_cause(line)).count(), findings + 1);
    assert!(listed.lines().any(|line| line.trim_start().starts_with("cause: marketplace=")), "{listed}");
    assert_eq!(tidewatch(&["anomalies", &path, "--to", "2024-03-03", "--format", "json"]).good(), "");
    let id = csv.lines().nth(1).unwrap().split(',').next().unwrap();
    let card = tidewatch(&["explain", &path, id]).good();
    for word in [id, "severity", "expected", "band", "platform:"] {
        assert!(card.contains(word), "{word} in\n{card}");
    }
    let stderr = tidewatch(&["explain", &path, "nothing-like-it"]).refused();
    assert!(stderr.contains("no anomaly `nothing-like-it`") && stderr.contains("hint:"), "{stderr}");
}

#[test]
fn a_description_of_another_detector_becomes_a_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let sql = "CREATE OR REPLACE STREAM \"D\" (shop VARCHAR(4), total DOUBLE);
        CREATE OR REPLACE PUMP \"P\" AS INSERT INTO \"D\" SELECT STREAM shop, SUM(amount) AS total
        FROM \"SOURCE_SQL_STREAM_001\" GROUP BY shop, FLOOR(\"SOURCE_SQL_STREAM_001\".ROWTIME TO MINUTE);";
    fs::write(path("app.sql"), sql).unwrap();
    let toml = tidewatch(&["import", &path("app.sql")]).good();
    assert!(
        toml.starts_with("# Written by `tidewatch import` from a Kinesis Analytics application: app.sql."),
        "{toml}"
    );
    tidewatch::config::parse(&toml, &|_| None).unwrap_or_else(|problems| panic!("{problems}\n{toml}"));
    fs::write(path("x.bin"), [0xff, 0xfe, 0]).unwrap();
    fs::write(path("x.json"), "{\"a\": ").unwrap();
    for (name, said) in [("x.bin", "it is not UTF-8"), ("x.json", "is broken JSON"), ("none", "cannot be read")] {
        let refused = tidewatch(&["import", &path(name)]).refused();
        assert!(refused.contains(said), "{refused}");
    }
}
