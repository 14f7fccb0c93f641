//! What is found reaches those who are told, at least once, whatever they and the job suffer (A1): the receiver fails, is
//! down, hangs; the job is stopped at each point of a commit, and killed. The line itself is never held up by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use serde_json::Value;
use tempfile::TempDir;
use tidewatch::job::live::Line;
use tidewatch::job::{Clock as _, SystemClock};

use crate::support::bucket::Bucket;
use crate::support::data::{self, Layout};
use crate::support::hook::{Hook, Manner};
use crate::support::line::{Blow, Fault, Point, run};
use crate::support::pipeline::Pipeline;
use crate::support::process::{Running, command, ended, tidewatch};
use crate::support::rig::environment;
use crate::support::servers::kinesis::Kinesis;
use crate::support::servers::mail::Mail;
use crate::support::servers::ministack::Ministack;
use crate::support::servers::s3::{S3, WRITER};
use crate::support::stream::{REGION, Stream};
use crate::support::tree::{self, Tree};

/// Enough for the detector to speak and to find something.
const STEPS: u64 = 60;
const KILLS: u32 = 6;

/// A job that nobody told of, and what it would have told.
struct Reference {
    directory: TempDir,
    pipeline: Pipeline,
    tree: Tree,
    expected: BTreeSet<String>,
    micros: u64,
}

impl Reference {
    fn new() -> Reference {
        let directory = tempfile::tempdir().unwrap();
        let pipeline = Pipeline::over(&data::settings(3, STEPS), Layout::PLAIN, directory.path());
        let clock = SystemClock::start();
        tidewatch(&["run", &pipeline.write()]).good();
        let micros = u64::try_from(clock.elapsed().as_micros()).unwrap();
        let tree = tree::read(&pipeline.url);
        let expected = expected(&tree);
        assert!(expected.len() > 5, "{expected:?}");
        Reference { directory, pipeline, tree, expected, micros }
    }

    /// A job of its own with this receiver besides.
    fn telling(&self, name: &str, receiver: &str) -> Pipeline {
        let mut pipeline = self.pipeline.to(&self.directory.path().join(name).join("out"));
        fs::create_dir_all(pipeline.url.parent().unwrap()).unwrap();
        pipeline.detect.push_str(&format!("\n[[alert]]\nseverity_threshold = 0\nabout = \"findings\"\n{receiver}"));
        pipeline
    }

    fn assert_same(&self, pipeline: &Pipeline, context: &str) {
        let mut tree = tree::read(&pipeline.url);
        tree.retain(|name, _| !name.starts_with("undelivered/"));
        tree::assert_same(&tree, &self.tree, context);
    }
}

/// The ids of what a tree's tables hold that is told.
fn expected(tree: &Tree) -> BTreeSet<String> {
    let groups = tree::anomalies(tree);
    let ids =
        groups.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned());
    let told = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |member: &str| line[member].as_str().unwrap().to_owned();
        let with = text("revised_with").replace(['-', ':'], "").replace(' ', "-");
        (text("status") != "confirmed").then(|| format!("{}-{}-{with}", text("id"), text("status")))
    };
    ids.chain(tree::revisions(tree).iter().filter_map(told)).collect()
}

fn webhook(hook: &Hook, more: &str) -> String {
    format!("back_off = \"10ms\"\nback_off_max = \"50ms\"\n{more}\n[alert.webhook]\nurl = \"{}\"\n", hook.url())
}

fn left_in(pipeline: &Pipeline) -> usize {
    fs::read_dir(pipeline.url.join("state/outbox/webhook")).map_or(0, Iterator::count)
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["notice_id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

#[test]
fn a_job_stopped_at_any_point_tells_everything_at_least_once() {
    let reference = Reference::new();
    let file = |name: &str| reference.directory.path().join(name).join("alerts.jsonl");
    let receiver = |name: &str| format!("[alert.file]\npath = \"{}\"\n", file(name).display());
    let whole = reference.telling("whole", &receiver("whole"));
    let ran = run(&whole.config(), Line::Run, None);
    let told = lines(&file("whole"));
    assert_eq!((told.iter().cloned().collect::<BTreeSet<_>>(), told.len()), (reference.expected.clone(), told.len()));
    let mut repeated = 0;
    for point in [Point::Anomalies, Point::Outbox, Point::Checkpoint] {
        let count = ran.writes.iter().filter(|write| **write == point).count() as u64;
        for (number, blow) in
            [(1, Blow::Before), (count / 2, Blow::After), (count / 2 + 1, Blow::Before), (count, Blow::After)]
        {
            let fault = Fault { point: Some(point), number, blow };
            let name = format!("{point:?}-{number}-{blow:?}");
            let pipeline = reference.telling(&name, &receiver(&name));
            assert!(run(&pipeline.config(), Line::Run, Some(fault)).struck, "{fault} was not met");
            run(&pipeline.config(), Line::Run, None).summary();
            let told = lines(&file(&name));
            let distinct: BTreeSet<String> = told.iter().cloned().collect();
            assert_eq!(distinct, reference.expected, "{fault}");
            repeated += told.len() - distinct.len();
            reference.assert_same(&pipeline, &name);
        }
    }
    println!("12 jobs stopped at a point of a commit: {repeated} deliveries repeated, none lost");
}

#[test]
fn a_job_killed_while_its_receiver_fails_every_third_time_loses_nothing() {
    let reference = Reference::new();
    let hook = Hook::listen(Manner::FailsEveryThird);
    let pipeline = reference.telling("killed", &webhook(&hook, ""));
    let path = pipeline.write();
    let mut random = Pcg64Mcg::new(7);
    for _ in 0..KILLS {
        let mut job = Running::start(&["run", &path]);
        thread::sleep(Duration::from_micros(random.next_u64() % (reference.micros / 2)));
        job.kill();
    }
    tidewatch(&["run", &path]).good();
    assert_eq!(hook.taken(), reference.expected);
    assert_eq!(left_in(&pipeline), 0);
    reference.assert_same(&pipeline, "killed");
    let repeated = hook.asked() - reference.expected.len();
    println!(
        "{KILLS} kills and every third answer a 500: {repeated} of {} deliveries repeated, none lost",
        hook.asked()
    );
}

#[test]
fn a_receiver_that_is_down_or_hangs_or_is_locked_stops_nothing_and_is_told_later() {
    let reference = Reference::new();
    for manner in [Manner::IsDown, Manner::Hangs, Manner::IsLocked] {
        let hook = Hook::listen(manner);
        let pipeline = reference.telling(&format!("{manner:?}"), &webhook(&hook, "timeout = \"100ms\""));
        let path = pipeline.write();
        let ended = tidewatch(&["run", &path]);
        assert!(ended.stderr.contains("are not delivered yet"), "{}", ended.stderr);
        ended.good();
        reference.assert_same(&pipeline, "the line is done");
        assert!(hook.taken().is_empty() && hook.asked() > 0 && left_in(&pipeline) > 0);
        let before = hook.asked();
        hook.becomes(Manner::Takes);
        // with time enough for each, on a machine that has much to do
        let path = reference.telling(&format!("{manner:?}"), &webhook(&hook, "")).write();
        let ended = tidewatch(&["run", &path]);
        assert!(ended.stderr.contains("were not delivered before"), "{}", ended.stderr);
        ended.good();
        assert_eq!((hook.taken(), left_in(&pipeline)), (reference.expected.clone(), 0));
        assert_eq!(hook.asked() - before, reference.expected.len(), "each once");
        println!("{manner:?}: {before} attempts in vain, none lost");
    }
}

#[test]
fn what_is_refused_is_beside_the_partitions_and_backtest_tells_nobody() {
    let reference = Reference::new();
    let hook = Hook::listen(Manner::Takes);
    let receiver = webhook(&hook, "format = \"slack\"").replace("/hook", "/hook?key=hush");
    let pipeline = reference.telling("backtest", &receiver);
    let path = pipeline.write();
    tidewatch(&["etl", &path]).good();
    let backtest = tidewatch(&["backtest", &path]);
    assert!(!backtest.stderr.contains("hush"));
    backtest.good();
    assert_eq!(hook.asked(), 0);
    let check = tidewatch(&["check", &path]).good();
    assert!(check.contains("`webhook`: http://127.0.0.1") && check.contains("as slack"), "{check}");
    assert!(!check.contains("hush") && hook.asked() == 0);
}

/// The ids in messages of our own format.
fn ids(messages: impl Iterator<Item = Vec<u8>>) -> BTreeSet<String> {
    let id = |bytes: Vec<u8>| {
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        message["notice_id"].as_str().unwrap().to_owned()
    };
    messages.map(id).collect()
}

/// Runs a job with keys of its own in its environment.
fn run_with_keys(path: &str) {
    ended(command(&["run", path]).envs(environment(WRITER)).output().unwrap()).good();
}

#[test]
fn a_stream_gets_every_message() {
    let reference = Reference::new();
    let endpoint = Kinesis::shared().endpoint();
    let stream = Stream::create(&endpoint, "told", 2);
    let receiver =
        format!("[alert.kinesis]\nstream = \"told\"\nregion = \"{REGION}\"\nendpoint_url = \"{endpoint}\"\n");
    let pipeline = reference.telling("stream", &receiver);
    run_with_keys(&pipeline.write());
    let records = stream.shards().into_iter().flat_map(|shard| stream.read(&shard.shard_id));
    assert_eq!(ids(records.map(|record| record.data.into_inner())), reference.expected);
    reference.assert_same(&pipeline, "stream");
}

#[test]
fn a_topic_gets_every_message_and_hands_it_on() {
    let reference = Reference::new();
    let server = Ministack::shared();
    let (topic, queue) = server.topic("told");
    let receiver = format!(
        "[alert.sns]\ntopic_arn = \"{topic}\"\nregion = \"{REGION}\"\nendpoint_url = \"{}\"\n",
        server.endpoint()
    );
    let pipeline = reference.telling("topic", &receiver);
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    ended(command(&["run", &pipeline.write()]).envs(keys).output().unwrap()).good();
    let messages = queue.take();
    assert!(messages.iter().all(|message| message["Subject"].as_str().is_some_and(|subject| !subject.is_empty())));
    let kinds = messages.iter().map(|message| &message["MessageAttributes"]["kind"]["Value"]);
    assert!(kinds.clone().any(|kind| kind == "opened"), "{:?}", kinds.collect::<Vec<_>>());
    let told = messages.iter().map(|message| message["Message"].as_str().unwrap().as_bytes().to_vec());
    assert_eq!(ids(told), reference.expected);
}

#[test]
fn a_function_gets_every_message_though_every_third_call_of_it_fails() {
    let reference = Reference::new();
    let server = Ministack::shared();
    let asked = reference.directory.path().join("asked.jsonl");
    let code = format!(
        "import json\n\n\ndef handler(event, context):\n    with open({:?}, 'a+') as file:\n        \
         file.write(json.dumps(event) + '\\n')\n        file.seek(0)\n        if len(file.readlines()) % 3 == 0:\n            \
         raise RuntimeError('every third')\n    return 'thanks'\n",
        asked.display().to_string()
    );
    server.function("on-alert", &code);
    let receiver = format!(
        "back_off = \"10ms\"\nback_off_max = \"50ms\"\n[alert.lambda]\nfunction = \"on-alert\"\nregion = \"{REGION}\"\n\
         endpoint_url = \"{}\"\n",
        server.endpoint()
    );
    let pipeline = reference.telling("function", &receiver);
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    ended(command(&["run", &pipeline.write()]).envs(keys).output().unwrap()).good();
    let asked = lines(&asked);
    assert_eq!(asked.iter().cloned().collect::<BTreeSet<_>>(), reference.expected);
    assert!(asked.len() > reference.expected.len(), "a call that fails is made again");
    println!("every third call fails: {} of {} calls", asked.len() - reference.expected.len(), asked.len());
    reference.assert_same(&pipeline, "function");
}

/// What an application of Kinesis Analytics had around it: a function that cleans, one that gets the results, a topic with
/// a subscriber.
#[test]
fn functions_before_and_behind_the_line_and_a_topic_are_told_what_a_job_without_them_finds() {
    const BEFORE: &str = r#"
import base64, json

def handler(event, context):
    def record(asked):
        data = base64.b64decode(asked["data"])
        try:
            fields = json.loads(data)
        except ValueError:
            return {**asked, "result": "Ok"}
        fields = {"cleaned": True, **dict(reversed(fields.items()))}
        return {"recordId": asked["recordId"], "result": "Ok", "data": base64.b64encode(json.dumps(fields).encode()).decode()}
    return {"records": [record(asked) for asked in event["records"]]}
"#;
    const BEHIND: &str = r#"
import base64, json

def handler(event, context):
    def record(asked):
        found = json.loads(base64.b64decode(asked["data"]))
        assert found["notice_id"] == asked["recordId"]
        retry = asked["lambdaDeliveryRecordMetadata"]["retryHint"]
        # each second one in vain at first
        result = "Ok" if retry > 0 or len(found["notice_id"]) % 2 == 0 else "DeliveryFailed"
        with open(PATH, "a") as file:
            file.write(json.dumps({"notice_id": asked["recordId"], "result": result}) + "\n")
        return {"recordId": asked["recordId"], "result": result}
    return {"records": [record(asked) for asked in event["records"]]}
"#;
    let reference = Reference::new();
    let server = Ministack::shared();
    let asked = reference.directory.path().join("behind.jsonl");
    server.function("before", BEFORE);
    server.function("behind", &BEHIND.replace("PATH", &format!("{:?}", asked.display().to_string())));
    let (topic, queue) = server.topic("application");
    let at = format!("region = \"{REGION}\"\nendpoint_url = \"{}\"\n", server.endpoint());
    let mut pipeline = reference.telling("application", &format!("[alert.sns]\ntopic_arn = \"{topic}\"\n{at}"));
    pipeline.detect.push_str(&format!(
        "\n[[hook]]\nstage = \"before\"\nfunction = \"before\"\n{at}\n[[hook]]\nstage = \"after\"\nfunction = \"behind\"\n\
         back_off = \"10ms\"\nback_off_max = \"50ms\"\n{at}"
    ));
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    ended(command(&["run", &pipeline.write()]).envs(keys).output().unwrap()).good();
    let told = queue.take().into_iter().map(|message| message["Message"].as_str().unwrap().as_bytes().to_vec());
    assert_eq!(ids(told), reference.expected);
    let asked = fs::read_to_string(asked).unwrap();
    let asked: Vec<Value> = asked.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let taken = asked.iter().filter(|asked| asked["result"] == "Ok");
    let taken: Vec<String> = taken.map(|asked| asked["notice_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(taken.iter().cloned().collect::<BTreeSet<_>>(), reference.expected);
    assert_eq!(taken.len(), reference.expected.len(), "what it has it is not given again");
    let repeated = asked.len() - taken.len();
    assert!(repeated > 0);
    println!("a function fails {repeated} of {} times, none lost", asked.len());
    let anomalies = |tree: &Tree| tree::anomalies(tree);
    assert_eq!(anomalies(&tree::read(&pipeline.url)), anomalies(&reference.tree), "the functions change no finding");
}

#[test]
fn mailboxes_get_every_message_once() {
    let reference = Reference::new();
    let server = Mail::start();
    let receiver = |password: &str, encryption: &str, retry_for: &str| {
        format!(
            "retry_for = \"{retry_for}\"\nback_off = \"10ms\"\nback_off_max = \"50ms\"\n[alert.smtp]\nhost = \"127.0.0.1\"\nport = {}\n\
             encryption = \"{encryption}\"\nusername = \"shop\"\npassword = \"{password}\"\nfrom = \"Shop <shop@example.com>\"\n\
             to = [\"nobody@example.com\", \"busy@example.com\", \"on-call@example.com\"]\n",
            server.port(),
        )
    };
    // a wrong password, and a server that cannot encrypt where that is wanted: nothing is sent
    for (name, password, encryption) in [("locked", "wrong", "none"), ("clear", "hush", "starttls")] {
        let pipeline = reference.telling(name, &receiver(password, encryption, "0s"));
        tidewatch(&["run", &pipeline.write()]).good();
        assert!(server.taken().is_empty());
        reference.assert_same(&pipeline, name);
    }
    let pipeline = reference.telling("mail", &receiver("hush", "none", "1d"));
    tidewatch(&["run", &pipeline.write()]).good();
    let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in server.taken() {
        let message = mail["message"].as_str().unwrap().replace("\r\n", "\n");
        assert!(message.contains("From: Shop <shop@example.com>\n") && message.contains("Subject: "), "{message}");
        let id = message.lines().find_map(|line| line.strip_prefix("id ")).unwrap().to_owned();
        taken.entry(mail["to"][0].as_str().unwrap().to_owned()).or_default().push(id);
    }
    // who is not there keeps nobody else from the mail, and who turns it away once gets it later
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["busy@example.com", "on-call@example.com"]);
    for (to, ids) in taken {
        assert_eq!(
            (ids.iter().cloned().collect::<BTreeSet<_>>(), ids.len()),
            (reference.expected.clone(), ids.len()),
            "{to}"
        );
        assert_eq!(ids.len(), reference.expected.len(), "{to} gets each once");
    }
    reference.assert_same(&pipeline, "mail");
}

#[test]
fn a_bucket_gets_every_message_by_the_hour() {
    let reference = Reference::new();
    let endpoint = S3::shared().endpoint();
    let bucket = Bucket::open(&endpoint, "told");
    let receiver =
        format!("[alert.s3]\nurl = \"{}\"\nregion = \"{REGION}\"\nendpoint_url = \"{endpoint}\"\n", bucket.url());
    let pipeline = reference.telling("bucket", &receiver);
    run_with_keys(&pipeline.write());
    let objects = bucket.everything();
    // the end of the job is sooner than any buffer's
    let name = objects.keys().next().unwrap();
    assert!(objects.len() <= 2 && name.len() == "2026/01/31/12/s3-0123456789abcdef.jsonl".len(), "{objects:?}");
    let lines = objects.values().flat_map(|bytes| bytes.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec);
    assert_eq!(ids(lines), reference.expected);
}

#[test]
fn a_test_message_reaches_every_receiver() {
    let reference = Reference::new();
    let hook = Hook::listen(Manner::Takes);
    let pipeline = reference.telling("check", &webhook(&hook, "name = \"on-call\""));
    let path = pipeline.write();
    let said = tidewatch(&["check", &path, "--send"]).good();
    assert!(said.contains("ok       send"), "{said}");
    assert_eq!(hook.taken().len(), 1, "{:?}", hook.taken());
    hook.becomes(Manner::IsDown);
    let ended = tidewatch(&["check", &path, "--send"]);
    assert!(ended.stdout.contains("FAILED   send"), "{}", ended.stdout);
    ended.refused();
}
