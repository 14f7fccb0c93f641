//! Nothing is lost and nothing waits for a receiver, whatever it does: it fails, is down, hangs, refuses, chokes on one.

mod many;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use serde_json::Value;

use super::*;
use crate::alert::receiver::{Limits, Outcome, one_by_one};
use crate::alert::tests::notice;
use crate::model::Length;

/// 2024-03-04T10:00:00Z
const NOW: i64 = 1_709_546_400_000_000;
const LONG: Duration = Duration::from_secs(60);
const PACE: Pace = Pace {
    timeout: Duration::from_secs(5),
    retry_for: Duration::from_secs(3600),
    back_off: Duration::from_millis(1),
    back_off_max: Duration::from_millis(4),
    outbox_bytes_max: 64_000_000,
};

/// What a receiver makes of a notice, told how many it was asked to take before.
type Answer = Box<dyn Fn(&str, usize) -> Outcome + Send + Sync>;

/// A receiver that answers as it is told to, and notes what it was asked to take.
struct Fake {
    limits: Limits,
    answer: Answer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn take(&self, id: &str) -> Outcome {
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(id.to_owned());
            asked.len() - 1
        };
        match (self.answer)(id, before) {
            // stands for one that never answers
            Outcome::Untried => std::future::pending().await,
            outcome => outcome,
        }
    }
}

impl Receiver for Fake {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        format!("payload of {}", notice.id).into_bytes()
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], _: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        let fake = &*self;
        if self.limits.one_by_one {
            return Box::pin(one_by_one(notices, move |notice| fake.take(&notice.id)));
        }
        Box::pin(futures::future::join_all(notices.iter().map(move |notice| fake.take(&notice.id))))
    }
}

/// A state, partitions, a clock, and what the receiver was asked.
#[derive(Clone)]
struct Surroundings {
    state: Store,
    partitions: Store,
    now: Arc<AtomicI64>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Surroundings {
    fn new() -> Surroundings {
        Surroundings {
            state: Store::in_memory(),
            partitions: Store::in_memory(),
            now: Arc::new(AtomicI64::new(NOW)),
            asked: Arc::default(),
        }
    }

    async fn open(
        &self,
        limits: Limits,
        pace: Pace,
        answer: impl Fn(&str, usize) -> Outcome + Send + Sync + 'static,
    ) -> Outbox {
        let receiver = Fake { limits, answer: Box::new(answer), asked: Arc::clone(&self.asked) };
        let undelivered = Undelivered::new(self.partitions.clone(), "hook");
        let clock = Arc::clone(&self.now);
        let now: Now = Arc::new(move || Timestamp::from_micros(clock.load(Ordering::SeqCst)).unwrap());
        Outbox::open(&self.state, "hook", Box::new(receiver), pace, undelivered, now).await.unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn names(&self) -> Vec<String> {
        self.state.list("").await.unwrap().into_iter().map(|entry| entry.name).collect()
    }

    /// The lines of all objects in the error prefix, and their names.
    async fn undelivered(&self) -> (Vec<String>, Vec<Value>) {
        let (mut names, mut lines) = (Vec::new(), Vec::new());
        for entry in self.partitions.list("undelivered").await.unwrap() {
            let bytes = self.partitions.get(&entry.name).await.unwrap().unwrap();
            lines.extend(
                bytes
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .map(|line| serde_json::from_slice::<Value>(line).unwrap()),
            );
            names.push(entry.name);
        }
        (names, lines)
    }
}

fn batches(notices: usize) -> Limits {
    Limits { notices, bytes: 1_000_000, one_by_one: false, buffer: None }
}

fn interval(number: i64) -> Interval {
    Interval::containing(NOW, Length::from_seconds(300).unwrap()).offset(number)
}

async fn put(outbox: &Outbox, number: i64, ids: &[&str]) {
    let notices: Vec<Notice> = ids.iter().map(|id| notice(id, id)).collect();
    outbox.put(interval(number), &notices.iter().collect::<Vec<_>>()).await.unwrap();
}

fn down() -> Outcome {
    Outcome::down("503", "busy")
}

fn fails() -> Outcome {
    let Outcome::Failed { trouble, .. } = down() else { unreachable!() };
    Outcome::Failed { trouble, retry_after: None, is_down: false }
}

#[tokio::test]
async fn what_is_put_is_delivered_in_order_and_gone() {
    let around = Surroundings::new();
    let outbox = around.open(batches(2), PACE, |_, _| Outcome::Delivered).await;
    put(&outbox, 0, &["a", "b", "c"]).await;
    put(&outbox, 1, &[]).await;
    put(&outbox, 1, &["d"]).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!(around.asked(), ["a", "b", "c", "d"]);
    assert!(around.names().await.is_empty());
}

#[tokio::test]
async fn the_same_interval_again_is_the_same_object() {
    let around = Surroundings::new();
    let outbox = around.open(batches(10), PACE, |_, _| Outcome::Untried).await;
    for _ in 0..2 {
        put(&outbox, 0, &["a", "b"]).await;
        put(&outbox, 0, &["c"]).await;
    }
    let names = around.names().await;
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("outbox/hook/20240304-100000-")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("-000002.jsonl")), "{names:?}");
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_not_delivered() {
    let around = Surroundings::new();
    let outbox = around.open(batches(10), PACE, |_, _| down()).await;
    put(&outbox, 0, &["a", "b"]).await;
    put(&outbox, 1, &["c"]).await;
    assert_eq!(outbox.drain(Duration::from_millis(20), LONG).await, 3, "left is told");
    drop(outbox);
    around.asked.lock().unwrap().clear();
    let outbox = around.open(batches(10), PACE, |_, _| Outcome::Delivered).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!(around.asked(), ["a", "b", "c"]);
    assert!(around.names().await.is_empty() && around.undelivered().await.0.is_empty());
}

#[tokio::test]
async fn every_third_request_that_fails_loses_nothing() {
    for limits in [batches(7), Limits::ONE_BY_ONE] {
        let around = Surroundings::new();
        // it may have taken the notice before it failed: a repeat, with the same id
        let outbox = around.open(limits, PACE, |_, before| if before % 3 == 2 { fails() } else { Outcome::Delivered });
        let outbox = outbox.await;
        let ids: Vec<String> = (0..60).map(|number| format!("n{number:02}")).collect();
        for (number, chunk) in (0..).zip(ids.chunks(6)) {
            put(&outbox, number, &chunk.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
        assert_eq!(outbox.drain(LONG, LONG).await, 0);
        let asked = around.asked();
        let distinct: std::collections::BTreeSet<&String> = asked.iter().collect();
        assert!(distinct.into_iter().eq(&ids));
        // 60 are delivered in the end, and of every three requests one had failed
        assert_eq!((asked.len(), asked.len() - ids.len()), (89, 29), "repeated deliveries");
        assert!(around.undelivered().await.0.is_empty() && around.names().await.is_empty());
    }
}

#[tokio::test]
async fn ten_minutes_of_silence_lose_nothing() {
    let around = Surroundings::new();
    let clock = Arc::clone(&around.now);
    // each attempt takes half a minute of the job's clock
    let outbox = around.open(Limits::ONE_BY_ONE, PACE, move |_, _| {
        let now = clock.fetch_add(30_000_000, Ordering::SeqCst);
        if now < NOW + 600_000_000 { down() } else { Outcome::Delivered }
    });
    let outbox = outbox.await;
    for number in 0..5 {
        put(&outbox, number, &[&format!("a{number}"), &format!("b{number}")]).await;
    }
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!(around.asked().len(), 30, "20 attempts of ten minutes, and each of the ten notices once");
    assert!(around.undelivered().await.0.is_empty() && around.names().await.is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody() {
    let around = Surroundings::new();
    let pace = Pace { timeout: Duration::from_millis(5), ..PACE };
    // the first three requests are never answered
    let hangs = |_: &str, before: usize| if before < 3 { Outcome::Untried } else { Outcome::Delivered };
    let outbox = around.open(batches(1), pace, hangs).await;
    for number in 0..20 {
        put(&outbox, number, &[&format!("n{number:02}")]).await;
    }
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    let asked = around.asked();
    assert_eq!((asked.len(), &asked[..4]), (23, &["n00", "n00", "n00", "n00"].map(String::from)[..]));
}

#[tokio::test]
async fn what_is_refused_is_written_down_and_the_rest_delivered() {
    let around = Surroundings::new();
    let outbox = around.open(batches(10), PACE, |id, _| match id {
        "b" => Outcome::refused("400", "no such channel"),
        _ => Outcome::Delivered,
    });
    let outbox = outbox.await;
    put(&outbox, 0, &["a", "b", "c"]).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    let (names, lines) = around.undelivered().await;
    assert!(names[0].starts_with("undelivered/hook/2024/03/04/10/"), "{names:?}");
    let expected = serde_json::json!({
        "id": "b", "attemptsMade": 1, "arrivalTimestamp": NOW / 1000, "errorCode": "400",
        "errorMessage": "no such channel", "rawData": STANDARD.encode("payload of b"),
    });
    assert_eq!((lines, around.names().await.len()), (vec![expected], 0));
}

#[tokio::test]
async fn what_fails_for_too_long_is_written_down() {
    let around = Surroundings::new();
    let clock = Arc::clone(&around.now);
    let outbox = around.open(Limits::ONE_BY_ONE, PACE, move |_, _| {
        clock.fetch_add(600_000_000, Ordering::SeqCst);
        down()
    });
    let outbox = outbox.await;
    put(&outbox, 0, &["a", "b", "c"]).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    let (_, lines) = around.undelivered().await;
    let ids: Vec<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "c"], "{lines:?}");
    let attempts: u64 = lines.iter().map(|line| line["attemptsMade"].as_u64().unwrap()).sum();
    assert_eq!((attempts, &lines[0]["errorCode"]), (6, &Value::from("503")), "an hour, at ten minutes each");
    assert!(around.names().await.is_empty());
}

#[tokio::test]
async fn the_oldest_go_where_more_waits_than_may() {
    let around = Surroundings::new();
    let size = serde_json::to_vec(&notice("n00", "n00")).unwrap().len() as u64;
    let pace = Pace { outbox_bytes_max: 6 * size, ..PACE };
    let up = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let answer = move |_: &str, _| if is_up.load(Ordering::SeqCst) { Outcome::Delivered } else { down() };
    let outbox = around.open(batches(1), pace, answer).await;
    for number in 0..20 {
        put(&outbox, number, &[&format!("n{number:02}")]).await;
    }
    while around.undelivered().await.1.len() < 13 {
        tokio::task::yield_now().await;
    }
    up.store(true, Ordering::SeqCst);
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    let (_, lines) = around.undelivered().await;
    assert!(lines.iter().all(|line| line["errorCode"] == "OutboxFull"), "{lines:?}");
    let mut gone: Vec<String> = lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    gone.sort();
    let delivered: Vec<String> = around.asked().into_iter().filter(|id| !gone.contains(id)).collect();
    assert!(delivered.contains(&"n19".to_owned()) && !gone.contains(&"n19".to_owned()));
    let distinct: BTreeSet<String> = gone.into_iter().chain(delivered).collect();
    assert_eq!(distinct.len(), 20, "each is delivered or written down");
}

#[tokio::test]
async fn one_that_chokes_the_receiver_holds_up_no_other() {
    let around = Surroundings::new();
    let outbox = around.open(Limits::ONE_BY_ONE, PACE, |id, _| match id {
        bad if bad.starts_with("bad") => fails(),
        _ => Outcome::Delivered,
    });
    let outbox = outbox.await;
    // more of them than a round takes
    let bad: Vec<String> = (0..20).map(|number| format!("bad{number:02}")).collect();
    put(&outbox, 0, &bad.iter().map(String::as_str).collect::<Vec<_>>()).await;
    put(&outbox, 1, &["good1", "good2"]).await;
    let mut left = outbox.left.subscribe();
    left.wait_for(|left| *left == 20).await.unwrap();
    assert!(around.asked().contains(&"good2".to_owned()));
}

#[tokio::test]
async fn notices_of_one_thread_keep_their_order() {
    let around = Surroundings::new();
    // the first of the thread fails once
    let answer = |id: &str, before: usize| if id == "open" && before == 0 { fails() } else { Outcome::Delivered };
    let outbox = around.open(Limits::ONE_BY_ONE, PACE, answer).await;
    let notices = [notice("open", "t"), notice("resolve", "t"), notice("other", "u")];
    outbox.put(interval(0), &notices.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!(around.asked(), ["open", "other", "open", "resolve"]);
}

#[tokio::test]
async fn a_buffer_waits_until_it_is_full_or_old_or_flushed() {
    let size = serde_json::to_vec(&notice("n00", "n00")).unwrap().len();
    let limits = Limits { bytes: 3 * size, buffer: Some(Duration::from_secs(60)), ..batches(100) };
    let around = Surroundings::new();
    let outbox = around.open(limits, PACE, |_, _| Outcome::Delivered).await;
    let mut left = outbox.left.subscribe();
    put(&outbox, 0, &["n00", "n01", "n02", "n03"]).await;
    left.wait_for(|left| *left == 1).await.unwrap();
    assert_eq!(around.asked(), ["n00", "n01", "n02"], "full");
    around.now.fetch_add(61_000_000, Ordering::SeqCst);
    put(&outbox, 1, &["n04"]).await;
    left.wait_for(|left| *left == 0).await.unwrap();
    assert_eq!(around.asked()[3..], ["n03", "n04"], "old");
    put(&outbox, 2, &["n05"]).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!(around.asked()[5..], ["n05"], "flushed");
}

#[tokio::test]
async fn what_a_buffer_gathers_is_not_too_much() {
    let size = serde_json::to_vec(&notice("n00", "n00")).unwrap().len();
    let limits = Limits { bytes: 3 * size, buffer: Some(Duration::from_secs(60)), ..batches(100) };
    let around = Surroundings::new();
    let pace = Pace { outbox_bytes_max: size as u64, ..PACE };
    let outbox = around.open(limits, pace, |_, _| Outcome::Delivered).await;
    put(&outbox, 0, &["n00"]).await;
    put(&outbox, 1, &["n01"]).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!(around.asked(), ["n00", "n01"]);
    assert!(around.undelivered().await.0.is_empty());
}

#[tokio::test]
async fn a_retry_after_is_waited_for() {
    let around = Surroundings::new();
    let again = Duration::from_millis(30);
    let begun = Instant::now();
    let answer = move |_: &str, before: usize| match down() {
        Outcome::Failed { trouble, is_down, .. } if before == 0 => {
            Outcome::Failed { trouble, is_down, retry_after: Some(again) }
        }
        _ => Outcome::Delivered,
    };
    let outbox = around.open(batches(1), PACE, answer).await;
    put(&outbox, 0, &["a"]).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert!(begun.elapsed() >= again);
}

#[tokio::test]
async fn what_waits_for_a_receiver_that_is_gone_is_found() {
    let around = Surroundings::new();
    let outbox = around.open(batches(1), PACE, |_, _| down()).await;
    put(&outbox, 0, &["a"]).await;
    drop(outbox);
    assert!(waiting_elsewhere(&around.state, &["hook"]).await.unwrap().is_empty());
    assert_eq!(waiting_elsewhere(&around.state, &["other"]).await.unwrap(), ["hook"]);
}

#[tokio::test]
async fn an_object_that_cannot_be_understood_stays_and_stops_nothing() {
    let around = Surroundings::new();
    let name = "outbox/hook/20240304-095500-0000000000000000-000002.jsonl";
    around.state.put(name, bytes::Bytes::from_static(b"nonsense\n")).await.unwrap();
    let outbox = around.open(batches(1), PACE, |_, _| Outcome::Delivered).await;
    put(&outbox, 0, &["a"]).await;
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!((around.asked(), around.names().await), (vec!["a".to_owned()], vec![name.to_owned()]));
}
