//! Hooks before the line, end to end: a program, an HTTP endpoint; every record is accounted for, whatever they answer,
//! and a job that is killed while it calls them ends with the same partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidewatch::model::Tally;

use crate::support::data::{self, Layout};
use crate::support::pipeline::Pipeline;
use crate::support::process::{Running, command as command_line, ended, tidewatch, wait_until};
use crate::support::proxy::http::{Body, Head};
use crate::support::rig::Rig;
use crate::support::servers::ministack::Ministack;
use crate::support::stream::REGION;
use crate::support::tree::{self, Tree};

const RECORDS: u64 = 600;
/// 2024-01-01T00:00:00Z
const START: u64 = 1_704_067_200;
const SHOPS: [&str; 3] = ["amber", "birch", "cedar"];

/// A data set, and a configuration over it.
struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new(records: u64) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let line = |n: u64| {
            let shop = SHOPS[usize::try_from(n % 3).unwrap()];
            format!("{{\"n\":{n},\"at\":{},\"shop\":\"{shop}\",\"views\":\"{}\"}}\n", START + 5 * n, n * n % 101)
        };
        fs::create_dir(directory.path().join("in")).unwrap();
        fs::write(directory.path().join("in/records.jsonl"), (2..records + 2).map(line).collect::<String>()).unwrap();
        Bench { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A configuration with these hooks, writing to a place of this name; gives its path.
    fn config(&self, name: &str, hooks: &str) -> String {
        let text = format!(
            "[job]\nstream_batch_time = \"100ms\"\nbatch_records_max = 100\n\
             [source.files]\npath = \"{}\"\nchunk_bytes = \"4kB\"\n{hooks}\n\
             [select]\ntimestamp = \"at\"\ntimestamp_format = \"epoch_seconds\"\ndimensions = [\"shop\"]\n\
             keep = [\"n\", \"region\"]\nmeasures = [\"views\"]\ntypes = {{ views = \"integer\" }}\n\
             [partition]\nurl = \"{}\"\n[detect]\ntrees = 5\nsample = 16\n",
            self.path("in"),
            self.path(name)
        );
        let path = self.path(&format!("{name}.toml"));
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs a job with these hooks to its end.
    fn run(&self, name: &str, hooks: &str) -> Tree {
        tidewatch(&["run", &self.config(name, hooks)]).good();
        self.tree(name)
    }

    fn tree(&self, name: &str) -> Tree {
        tree::assert_whole(&self.directory.path().join(name));
        tree::read(&self.directory.path().join(name))
    }
}

fn script() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hooks/hook.py").display().to_string()
}

/// The hook of `hooks/hook.py` with this argument.
fn command(mode: &str, more: &str) -> String {
    format!(
        "[[hook]]\nstage = \"before\"\ncommand = [\"python3\", \"{}\", \"{mode}\"]\nbatch_records = 7\n{more}\n",
        script()
    )
}

/// What `clean` makes of the records, by the definition of its arithmetic.
fn cleaned(records: u64) -> Tally {
    let tenth = records / 10;
    Tally { written: records - 2 * tenth + tenth, late: 0, filtered: tenth, rejected: tenth }
}

/// The reasons of all rejects, each once, and how many rejects there are.
fn reasons(tree: &Tree) -> (Vec<String>, u64) {
    let lines = tree.iter().filter(|(name, _)| name.starts_with("rejects/"));
    let lines = lines.flat_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().lines());
    let mut reasons: Vec<String> =
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["reason"].as_str().unwrap().to_owned()).collect();
    let count = reasons.len() as u64;
    reasons.sort();
    reasons.dedup();
    (reasons, count)
}

/// Checks that the rows are those that `clean` makes.
fn assert_cleaned(tree: &Tree, records: u64) {
    assert_eq!(tree::account(tree), cleaned(records));
    assert_eq!(reasons(tree), (vec!["hook_processing_failed".to_owned()], records / 10));
    let rows: Vec<String> = tree::rows(tree).into_values().flatten().collect();
    assert_eq!(rows.len() as u64, cleaned(records).written);
    for row in &rows {
        // shop, at, n, region, views
        let columns: Vec<&str> = row.split('|').collect();
        let n: u64 = columns[2].parse().unwrap();
        let region = columns[3];
        assert!(n % 10 > 1, "{row}");
        assert_eq!(columns[4].parse::<u64>().unwrap(), 2 * (n * n % 101), "{row}");
        assert!(region == format!("r-{}", columns[0]) || (region == "twice" && n % 10 == 2), "{row}");
    }
    let twice = rows.iter().filter(|row| row.contains("|twice|")).count() as u64;
    assert_eq!(twice, records / 10);
}

#[test]
fn a_program_cleans_drops_enriches_and_expands() {
    let bench = Bench::new(RECORDS);
    let finished = bench.path("finished");
    let hook = command("clean", "in_flight = 3").replace("\"clean\"", &format!("\"clean\", \"{finished}\""));
    assert_cleaned(&bench.run("out", &hook), RECORDS);
    // every process that was started had the time to finish
    assert!(fs::read_to_string(finished).unwrap().starts_with("finished\n"));
}

#[test]
fn hooks_run_in_their_order_and_processes_that_die_are_replaced() {
    let bench = Bench::new(RECORDS);
    let hooks = format!("{}name = \"first\"\n{}", command("mortal", "in_flight = 1"), command("second", ""));
    let tree = bench.run("out", &hooks);
    assert_eq!(tree::account(&tree), cleaned(RECORDS));
    let rows: Vec<String> = tree::rows(&tree).into_values().flatten().collect();
    assert!(rows.iter().all(|row| row.contains("|R-") || row.contains("|TWICE|")), "{rows:?}");
}

#[test]
fn every_wrong_answer_is_a_named_reject() {
    const FEW: u64 = 60;
    let bench = Bench::new(FEW);
    for (mode, reason) in [
        ("missing", "hook_missing_id"),
        ("doubled", "hook_doubled_id"),
        ("unknown", "hook_unknown_id"),
        ("word", "hook_result"),
        ("base64", "hook_base64"),
        ("form", "hook_form"),
        ("garbage", "hook_not_json"),
        ("long", "hook_too_long"),
        ("dies", "hook_gone"),
        ("hang", "hook_timeout"),
    ] {
        let more = "timeout = \"1s\"\nretries = 1\nbatch_records = 60\nanswer_bytes_max = \"100kB\"";
        let hook = command(mode, more).replace("batch_records = 7\n", "");
        let tree = bench.run(mode, &hook);
        let (reasons, rejects) = reasons(&tree);
        if mode == "missing" {
            // the last one is not answered, which would have been refused
            assert_eq!(
                (&reasons[..], rejects),
                (&[reason.to_owned(), "hook_processing_failed".to_owned()][..], FEW / 10)
            );
            assert_eq!(tree::account(&tree), cleaned(FEW));
        } else {
            assert_eq!((&reasons[..], rejects), (&[reason.to_owned()][..], FEW), "{mode}");
        }
    }
}

/// An HTTP server that answers each request as it is told, by the request's number.
struct Stub {
    url: String,
    requests: Arc<AtomicU64>,
}

impl Stub {
    fn start(answer: impl Fn(u64, &Head, &Value) -> (u16, String) + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let (counted, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (counted, answer) = (Arc::clone(&counted), Arc::clone(&answer));
                thread::spawn(move || serve(&stream.unwrap(), &counted, &*answer));
            }
        });
        Stub { url, requests }
    }

    fn hook(&self, more: &str) -> String {
        format!("[[hook]]\nstage = \"before\"\nurl = \"{}\"\nbatch_records = 20\n{more}\n", self.url)
    }
}

fn serve(stream: &TcpStream, counted: &AtomicU64, answer: &dyn Fn(u64, &Head, &Value) -> (u16, String)) {
    let mut reader = BufReader::new(stream);
    while let Ok(Some(head)) = Head::read(&mut reader) {
        let Body::Length(length) = head.body() else { return };
        let mut body = vec![0; usize::try_from(length).unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let (status, body) = answer(number, &head, &serde_json::from_slice(&body).unwrap());
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if (&*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// What `hooks/hook.py clean` answers.
fn clean(asked: &Value) -> String {
    let one = |record: &Value| {
        let data = STANDARD.decode(record["data"].as_str().unwrap()).unwrap();
        let mut fields: Value = serde_json::from_slice(&data).unwrap();
        let kind = fields["n"].as_u64().unwrap() % 10;
        fields["region"] = json!(format!("r-{}", fields["shop"].as_str().unwrap()));
        fields["views"] = json!(2 * fields["views"].as_str().unwrap().parse::<u64>().unwrap());
        let mut lines = format!("{fields}\n");
        if kind == 2 {
            fields["region"] = json!("twice");
            lines.push_str(&fields.to_string());
        }
        let result = ["Dropped", "ProcessingFailed"].get(usize::try_from(kind).unwrap()).unwrap_or(&"Ok");
        json!({"recordId": record["recordId"], "result": result, "data": STANDARD.encode(lines)})
    };
    json!({"records": asked["records"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()}).to_string()
}

#[test]
fn an_endpoint_that_answers_500_now_and_then_loses_nothing() {
    let bench = Bench::new(RECORDS);
    let stub = Stub::start(|number, head, asked| {
        assert_eq!(head.header("authorization"), Some("Bearer x"));
        if number % 3 == 0 { (500, "broken".into()) } else { (200, clean(asked)) }
    });
    let tree = bench.run("out", &stub.hook("in_flight = 2\nheaders = { Authorization = \"Bearer x\" }"));
    assert_cleaned(&tree, RECORDS);
    assert!(stub.requests.load(Ordering::SeqCst) > RECORDS / 20, "some were asked again");
}

#[test]
fn an_endpoint_that_is_broken_or_gone_stops_nothing() {
    const FEW: u64 = 60;
    let bench = Bench::new(FEW);
    let broken = Stub::start(|_, _, _| (503, String::new()));
    let tree = bench.run("broken", &broken.hook("retries = 1"));
    assert_eq!(reasons(&tree), (vec!["hook_status".to_owned()], FEW));
    // nobody listens on a port that was just given back
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hook = format!("[[hook]]\nstage = \"before\"\nurl = \"http://{free}\"\nretries = 0\n");
    assert_eq!(reasons(&bench.run("gone", &hook)), (vec!["hook_gone".to_owned()], FEW));
}

#[test]
fn a_lambda_function_is_invoked_with_a_signed_request() {
    const FEW: u64 = 60;
    const NAME: &str = "arn:aws:lambda:eu-west-1:123456789012:function:clean";
    let bench = Bench::new(FEW);
    let stub = Stub::start(|number, head, asked| {
        let name = NAME.replace(':', "%3A");
        assert_eq!(head.path(), format!("/2015-03-31/functions/{name}/invocations"));
        let signature = head.header("authorization").unwrap();
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=id/") && signature.contains("/eu-west-1/lambda/"));
        assert_eq!(head.header("x-amz-security-token"), Some("token"));
        if number == 0 {
            (429, "{\"Reason\": \"ConcurrentInvocationLimitExceeded\"}".into())
        } else {
            (200, clean(asked))
        }
    });
    let endpoint = stub.url.strip_suffix("/hook").unwrap();
    let hook = format!("[[hook]]\nstage = \"before\"\nfunction = \"{NAME}\"\nendpoint_url = \"{endpoint}\"\n");
    let mut job = command_line(&["run", &bench.config("out", &hook)]);
    let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", "token")];
    ended(job.envs(keys).output().unwrap()).good();
    assert_cleaned(&bench.tree("out"), FEW);
}

#[test]
fn a_function_that_is_really_run_cleans_as_a_program_does() {
    let server = Ministack::shared();
    let script = fs::read_to_string(script()).unwrap();
    let (script, _) = script.rsplit_once("main()").unwrap();
    // the first batch fails with an error of the function, and is asked again
    let bench = Bench::new(RECORDS);
    let failed = bench.path("failed");
    let handler = format!(
        "def handler(event, context):\n    if not os.path.exists({failed:?}):\n        open({failed:?}, 'w').close()\n        \
         raise RuntimeError('not yet')\n    return answers('clean', event)\n"
    );
    server.function("clean", &format!("{script}\n{handler}"));
    let hook = format!(
        "[[hook]]\nstage = \"before\"\nfunction = \"clean\"\nregion = \"{REGION}\"\nbatch_records = 50\nendpoint_url = \"{}\"\n",
        server.endpoint()
    );
    let mut job = command_line(&["run", &bench.config("out", &hook)]);
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    ended(job.envs(keys).output().unwrap()).good();
    assert_cleaned(&bench.tree("out"), RECORDS);
    assert!(Path::new(&failed).exists());
}

#[test]
fn the_shipped_hook_cleans_the_shipped_records() {
    let directory = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bytes = Vec::new();
    let records = fs::File::open(root.join("sample-data/ecommerce/records/2024-03-04.jsonl.gz")).unwrap();
    flate2::read::MultiGzDecoder::new(records).read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let first: Vec<&str> = text.lines().take(3000).collect();
    let test = r#"{"platform":"test_bot","marketplace":"us","event_time":"2024-03-04 00:00:01","views":1,"revenue":1}"#;
    let wrong =
        r#"{"platform":"pc_web","marketplace":"us","event_time":"2024-03-04 00:00:01","views":"x","revenue":1}"#;
    // behind the first record, so that there is an interval to carry them
    let lines = [&first[..1], &[test, wrong], &first[1..]].concat().join("\n");
    fs::write(directory.path().join("records.jsonl"), lines).unwrap();
    let config = fs::read_to_string(root.join("config/hooks.toml")).unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let config = config.replace("sample-data/ecommerce/records", &place("records.jsonl"));
    fs::write(directory.path().join("hooks.toml"), config.replace("out/hooks", &place("out"))).unwrap();
    ended(command_line(&["run", &place("hooks.toml")]).current_dir(root).output().unwrap()).good();
    let tree = tree::read(&directory.path().join("out"));
    let account = tree::account(&tree);
    assert_eq!((account.read(), account.filtered), (3002, 1));
    assert!(tree::rows(&tree).values().flatten().any(|row| row.starts_with("pc_web|Germany|")));
    assert!(reasons(&tree).0.contains(&"hook_processing_failed".to_owned()));
}

/// What a hook behind the line was asked, by the ids of what it was told.
fn told(asked: &Value) -> Vec<(String, u64)> {
    let records = asked["records"].as_array().unwrap().iter();
    records
        .map(|record| {
            let data = STANDARD.decode(record["data"].as_str().unwrap()).unwrap();
            assert!(serde_json::from_slice::<Value>(&data).unwrap().is_object());
            let hint = record["lambdaDeliveryRecordMetadata"]["retryHint"].as_u64().unwrap();
            (record["recordId"].as_str().unwrap().to_owned(), hint)
        })
        .collect()
}

#[test]
fn a_hook_behind_the_line_gets_all_that_was_found() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::over(&data::settings(21, 400), Layout::PLAIN, directory.path());
    let all: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let seen = Arc::clone(&all);
    // the first of each call is refused once, one of all for ever; the endpoint is down now and then
    let stub = Stub::start(move |number, _, asked| {
        if number % 4 == 1 {
            return (500, String::new());
        }
        let answer = |(at, (id, hint)): (usize, (String, u64))| {
            let is_never = id.ends_with('0');
            let is_refused = is_never || (at == 0 && hint == 0);
            *seen.lock().unwrap().entry(id.clone()).or_default() += u64::from(!is_refused);
            json!({"recordId": id, "result": if is_refused { "DeliveryFailed" } else { "Ok" }})
        };
        let records: Vec<Value> = told(asked).into_iter().enumerate().map(answer).collect();
        (200, json!({ "records": records }).to_string())
    });
    let (root, saved) = (env!("CARGO_MANIFEST_DIR"), directory.path().join("saved/found.jsonl"));
    let hook = format!(
        "[[hook]]\nstage = \"after\"\nname = \"train\"\nurl = \"{}\"\nretries = 2\nback_off = \"10ms\"\nbatch_records = 5\n\
         [[hook]]\nstage = \"after\"\ncommand = [\"python3\", \"{root}/sample-data/hooks/save.py\", \"{}\"]\n",
        stub.url,
        saved.display()
    );
    let pipeline = Pipeline { source: format!("{}\n{hook}", pipeline.source), ..pipeline };
    tidewatch(&["run", &pipeline.write()]).good();
    let tree = tree::read(&pipeline.url);
    let found: Vec<Value> =
        tree::anomalies(&tree).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let found: BTreeSet<String> = found.iter().map(|group| group["id"].as_str().unwrap().to_owned()).collect();
    let all = all.lock().unwrap();
    assert!(found.len() > 20 && found.iter().all(|id| all.contains_key(id)), "{} of {}", all.len(), found.len());
    let (never, taken): (Vec<_>, Vec<_>) = all.iter().partition(|(id, _)| id.ends_with('0'));
    assert!(taken.iter().all(|(_, times)| **times == 1), "{taken:?}");
    assert!(!never.is_empty() && never.iter().all(|(_, times)| **times == 0), "{never:?}");
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let saved: Vec<Value> = fs::read_to_string(saved).unwrap().lines().map(line).collect();
    let saved: BTreeSet<&str> = saved.iter().map(|line| line["recordId"].as_str().unwrap()).collect();
    assert_eq!(saved, all.keys().map(String::as_str).collect());
    // what is never taken is in the error prefix
    let mut undelivered = BTreeSet::new();
    for path in files(&pipeline.url.join("undelivered")) {
        for line in fs::read_to_string(path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            // what was said last: a 500 for one alone, whose neighbour is taken, counts as a refusal
            assert!(["hook_delivery_failed", "hook_status"].iter().any(|code| line["errorCode"] == *code), "{line}");
            undelivered.insert(line["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(undelivered, never.into_iter().map(|(id, _)| id.clone()).collect());
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn records_of_a_stream_are_told_of_with_their_origin_and_keep_their_places_over_kills() {
    const MORE: u64 = 1500;
    let mut rig = Rig::shared("hooked", 2, 2000);
    rig.configure("[select]", &format!("{}[select]", command("stream", "retries = 5")));
    let mut job = rig.start();
    for packed in [1, 10, 1, 10] {
        let before = rig.sent();
        rig.put(MORE, packed);
        // some of what is new, so that it is killed in the middle of its work
        rig.bucket.until_committed(&mut job, before + MORE / 4);
        job.kill();
        job = rig.start();
    }
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
}

#[test]
fn a_program_that_is_not_there_stops_the_job_at_its_start() {
    let bench = Bench::new(10);
    let config = bench.config("out", "[[hook]]\nstage = \"before\"\ncommand = [\"no-such-program-at-all\"]\n");
    let refused = tidewatch(&["run", &config]).refused();
    assert!(refused.contains("hook `hook-1`: `no-such-program-at-all` cannot be started"), "{refused}");
}

#[test]
fn a_job_killed_while_it_calls_hooks_ends_as_if_it_had_not_been() {
    const MANY: u64 = 6000;
    let bench = Bench::new(MANY);
    let hook = command("clean", "batch_records = 20").replace("batch_records = 7\n", "");
    let expected = bench.run("whole", &hook);
    assert_cleaned(&expected, MANY);
    let config = bench.config("killed", &hook);
    let mut kills = 0;
    loop {
        let before = tree::manifests(&tree::read(&bench.directory.path().join("killed"))).len();
        let mut job = Running::start(&["run", &config]);
        // it has committed some more, or has ended
        wait_until("something more is committed", || {
            let now = tree::manifests(&tree::read(&bench.directory.path().join("killed"))).len();
            now > before + 10 || job.status().is_some()
        });
        if job.status().is_some_and(|status| status.success()) {
            break;
        }
        job.kill();
        kills += 1;
    }
    assert!(kills >= 3, "{kills}");
    tree::assert_same(&bench.tree("killed"), &expected, &format!("killed {kills} times"));
}
