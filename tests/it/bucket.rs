//! The real program with its partitions and its state in a bucket of a real S3 server: the same objects as in a
//! directory, one job at a time, and a look at the bucket before.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::time::Instant;

use crate::support::bucket::Bucket;
use crate::support::data::{self, Layout};
use crate::support::pipeline::Pipeline;
use crate::support::process::{self, Ended, ended, wait_until};
use crate::support::servers::s3::{Keys, READER, S3, S3RVER, WRITER};
use crate::support::stream::REGION;
use crate::support::tree::{self, Tree};

const STEPS: u64 = 300;

/// A pipeline over made-up data, and the same with everything in a bucket.
struct Both {
    directory: tempfile::TempDir,
    local: Pipeline,
    /// Path of the configuration that writes into the bucket.
    path: String,
    bucket: Bucket,
}

impl Both {
    fn new(server: &S3, folder: &str, source: &str) -> Both {
        let directory = tempfile::tempdir().unwrap();
        let mut local = Pipeline::over(&data::settings(21, STEPS), Layout::PLAIN, directory.path());
        local.source.push_str(source);
        local.job = "stream_batch_time = \"1s\"".into();
        let bucket = Bucket::open(&server.endpoint(), folder);
        let store = format!("[store.s3]\nregion = \"{REGION}\"\nendpoint_url = \"{}\"\n", server.endpoint());
        let text = format!("{}{store}", local.to(Path::new(&bucket.url())).toml());
        let path = directory.path().join("bucket.toml").display().to_string();
        fs::write(&path, text).unwrap();
        Both { directory, local, path, bucket }
    }

    /// The program over the bucket.
    fn run(&self, command: &str, keys: Keys, more: &[&str]) -> Ended {
        ended(command_as(keys, command, &self.path, more).output().unwrap())
    }
}

fn command_as(keys: Keys, command: &str, path: &str, more: &[&str]) -> Command {
    let mut args = vec![command, path];
    args.extend(more);
    let mut command = process::command(&args);
    command.env("AWS_ACCESS_KEY_ID", keys.id).env("AWS_SECRET_ACCESS_KEY", keys.secret);
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[test]
fn a_bucket_gets_the_objects_that_a_directory_gets_and_every_command_reads_them() {
    let both = Both::new(S3::shared(), "commands/a b", "");
    let path = both.local.write();
    process::tidewatch(&["run", &path]).good();
    let expected = tree::read(&both.local.url);
    both.run("check", WRITER, &[]).good();
    both.run("run", WRITER, &[]).good();
    tree::assert_same(&both.bucket.tree(), &expected, "in the bucket");
    let again = both.run("run", WRITER, &[]).good();
    assert!(again.contains("all input was read"), "{again}");
    let table = both.run("anomalies", READER, &["--format", "json"]).good();
    assert!(!table.is_empty() && table == tree::anomalies(&expected));
    let group: serde_json::Value = serde_json::from_str(table.lines().next().unwrap()).unwrap();
    let card = both.run("explain", READER, &[group["id"].as_str().unwrap()]).good();
    assert!(card.contains("severity"), "{card}");
    let here = process::tidewatch(&["backtest", &path, "--input", "partitions"]).good();
    let there = both.run("backtest", READER, &["--input", "partitions"]).good();
    let figures =
        |printed: &str| printed.lines().filter(|line| !line.starts_with("time")).collect::<Vec<_>>().join("\n");
    assert_eq!(figures(&there), figures(&here));
}

#[test]
fn a_detector_follows_partitions_in_a_bucket() {
    let both = Both::new(S3::shared(), "detect", "");
    process::tidewatch(&["run", &both.local.write()]).good();
    both.run("etl", WRITER, &[]).good();
    both.run("detect", WRITER, &["--once"]).good();
    assert_eq!(tree::anomalies(&both.bucket.tree()), tree::anomalies(&tree::read(&both.local.url)));
}

#[test]
fn a_second_job_is_refused_and_one_that_was_killed_starts_again_at_once() {
    let both = Both::new(S3::shared(), "killed", "\nfollow = true");
    let start = || command_as(WRITER, "run", &both.path, &[]).stdout(Stdio::null()).spawn().unwrap();
    let finite = Pipeline { source: both.local.source.replace("follow = true", ""), ..both.local.clone() };
    process::tidewatch(&["run", &finite.write()]).good();
    let expected = tree::read(&both.local.url);
    let complete = |tree: &Tree| tree.keys().filter(|name| name.contains("_manifest")).count();
    let mut first = start();
    wait_until("the first job has committed something", || complete(&both.bucket.tree()) > 0);
    let stderr = both.run("run", WRITER, &[]).refused();
    let pid = format!("process {}", first.id());
    assert!(stderr.contains("another process works in `s3://") && stderr.contains(&pid), "{stderr}");
    first.kill().unwrap();
    first.wait().unwrap();
    let since = Instant::now();
    let before = complete(&both.bucket.tree());
    let mut second = start();
    wait_until("the second job goes on", || {
        complete(&both.bucket.tree()) > before || complete(&both.bucket.tree()) + 1 >= complete(&expected)
    });
    assert!(since.elapsed().as_secs() < 10, "nobody waits for a lease whose owner is known to be gone");
    // the last interval of a source that is followed stays open
    wait_until("the second job has read everything", || complete(&both.bucket.tree()) + 1 >= complete(&expected));
    second.kill().unwrap();
    second.wait().unwrap();
    let there = both.bucket.tree();
    let whole = |tree: &Tree| {
        let mut rows = tree::rows(tree);
        rows.pop_last();
        rows
    };
    let (mut rows, expected) = (tree::rows(&there), whole(&expected));
    rows.retain(|folder, _| expected.contains_key(folder));
    tree::assert_same_rows(&rows, &expected, "after a kill");
    drop(both.directory);
}

#[test]
fn a_check_names_what_is_missing() {
    let both = Both::new(S3::shared(), "check", "");
    let Ended { code, stdout, stderr } = both.run("check", READER, &[]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    for word in ["FAILED   write", "s3:PutObject on `arn:aws:s3:::tidewatch/check/", "s3:DeleteObject", "ok       list"]
    {
        assert!(stdout.contains(word), "{word} in {stdout}");
    }
    assert!(!stdout.contains(READER.secret) && !stderr.contains(READER.secret));
    assert!(both.bucket.tree().is_empty());
    let nobody = both.run("check", Keys { secret: "guessed", ..WRITER }, &[]);
    assert!(nobody.stdout.contains("SignatureDoesNotMatch"), "{}", nobody.stdout);
}

#[test]
fn a_server_without_conditional_writes_is_found_out() {
    let server = S3::without_conditions();
    let both = Both::new(&server, "check", "");
    let Ended { code, stdout, stderr } = both.run("check", S3RVER, &[]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    for word in ["FAILED   write only once", "no conditional writes", "two jobs would overwrite each other"] {
        assert!(stdout.contains(word), "{word} in {stdout}");
    }
}

#[test]
fn a_server_that_is_not_there_is_not_waited_for_at_every_step() {
    let mut server = S3::start();
    let both = Both::new(&server, "check", "");
    server.stop();
    let since = Instant::now();
    let Ended { code, stdout, stderr } = both.run("check", WRITER, &[]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("tried for") && !stdout.contains("list"), "{stdout}");
    assert!(stderr.contains("trying again"), "{stderr}");
    assert!(since.elapsed().as_secs() < 40, "{:?}", since.elapsed());
}
