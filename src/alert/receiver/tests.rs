//! Receivers against servers and files of this process.

mod servers;

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::alert::Secret;
use crate::alert::tests::notice;
use crate::model::Zone;

pub(super) const SECOND: Duration = Duration::from_secs(5);

pub(super) fn about() -> About {
    About { route: "on-call".into(), description: None, zone: Zone::UTC }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000).unwrap()
}

/// One request: its first line and headers in lower case, and its body.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Answers one request after the other with these answers, the last one again and again; gives what it was asked.
pub(super) async fn stub(
    answers: Vec<(u16, &'static str, String)>,
) -> (String, tokio::sync::mpsc::UnboundedReceiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = answers.into_iter().peekable();
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(request) = read(&mut stream).await else { continue };
            let answer = answers.peek().cloned().unwrap();
            if answers.len() > 1 {
                answers.next();
            }
            let (status, headers, body) = answer;
            let _ = sender.send(request);
            let text = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    (url, receiver)
}

async fn read(stream: &mut tokio::net::TcpStream) -> Option<Request> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).to_string();
            let (first, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
            let lower = |line: &str| {
                let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                format!("{}: {value}", name.to_lowercase())
            };
            let lines: Vec<String> = headers.lines().map(lower).collect();
            let request = Request { head: format!("{first}\n{}", lines.join("\n")), body: String::new() };
            let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = bytes[at + 4..].to_vec();
            while body.len() < length {
                let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
                body.extend(&buffer[..count]);
            }
            return Some(Request { body: String::from_utf8(body).unwrap(), ..request });
        }
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend(&buffer[..count]);
    }
}

async fn open(settings: &Settings, format: &Format) -> Box<dyn Receiver> {
    settings.open(format, &about(), SECOND, &store::Settings::default()).await.unwrap()
}

async fn webhook(url: &str) -> Box<dyn Receiver> {
    let settings = Webhook {
        url: Url::parse(&format!("{url}/hook?key=hush")).unwrap(),
        headers: vec![Header::new("X-Team", "shop").unwrap()],
        secret: Some(Secret::new("key")),
        ca_bundle: None,
    };
    assert!(!format!("{settings:?}").contains("hush"));
    open(&Settings::Webhook(Box::new(settings)), &Format::Tidewatch).await
}

#[tokio::test]
async fn a_webhook_gets_a_signed_message_with_its_id() {
    let (url, mut asked) = stub(vec![(200, "", String::new())]).await;
    let (one, two) = (notice("one é", "a"), notice("two", "b"));
    let outcomes = webhook(&url).await.deliver(&[&one, &two], now()).await;
    assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
    let request = asked.recv().await.unwrap();
    assert!(request.head.starts_with("POST /hook?key=hush HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("idempotency-key"), Some("one%20%C3%A9"));
    assert_eq!(request.header("x-tidewatch-id"), Some("one%20%C3%A9"));
    assert_eq!((request.header("x-team"), request.header("content-type")), (Some("shop"), Some("application/json")));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"key");
    let tag = request.header("x-tidewatch-signature").unwrap().strip_prefix("t=1700000000,v1=").unwrap();
    let tag: Vec<u8> = (0..tag.len()).step_by(2).map(|at| u8::from_str_radix(&tag[at..at + 2], 16).unwrap()).collect();
    ring::hmac::verify(&key, format!("1700000000.{}", request.body).as_bytes(), &tag).unwrap();
    assert!(request.body.contains("\"notice_id\":\"one é\""), "{}", request.body);
    assert_eq!(asked.recv().await.unwrap().header("x-tidewatch-id"), Some("two"));
}

#[tokio::test]
async fn a_webhook_says_what_became_of_each() {
    let body = |text: &str| text.to_owned();
    let answers = vec![
        (500, "", body("oh")),
        (400, "", body("bad")),
        (204, "", body("")),
        (429, "Retry-After: 7\r\n", body("slow down")),
    ];
    let (url, mut asked) = stub(answers).await;
    let notices =
        [notice("a", "a"), notice("b", "b"), notice("a2", "a"), notice("c", "c"), notice("d", "d"), notice("e", "e")];
    let outcomes = webhook(&url).await.deliver(&notices.iter().collect::<Vec<_>>(), now()).await;
    assert!(matches!(&outcomes[0], Outcome::Failed { trouble, is_down: false, .. } if trouble.code == "500"));
    assert!(matches!(&outcomes[1], Outcome::Refused(trouble) if trouble.message == "Bad Request: bad"));
    assert_eq!((&outcomes[2], &outcomes[3]), (&Outcome::Untried, &Outcome::Delivered), "after `a` of its thread");
    let seven = Some(Duration::from_secs(7));
    assert!(matches!(&outcomes[4], Outcome::Failed { retry_after, is_down: true, .. } if *retry_after == seven));
    assert_eq!(outcomes[5], Outcome::Untried, "it is down");
    let mut count = 0;
    while asked.try_recv().is_ok() {
        count += 1;
    }
    assert_eq!(count, 4);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_reached_is_down_and_its_url_is_not_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let notice = notice("a", "a");
    let outcomes = webhook(&url).await.deliver(&[&notice], now()).await;
    let [Outcome::Failed { trouble, is_down: true, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(trouble.code == "Connect" && !trouble.message.contains("hush"), "{trouble}");
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/?key=hush", listener.local_addr().unwrap())).unwrap();
    let settings = Webhook { url, headers: Vec::new(), secret: None, ca_bundle: None };
    let settings = Settings::Webhook(Box::new(settings));
    let short = Duration::from_millis(50);
    let opened = settings.open(&Format::Text, &about(), short, &store::Settings::default()).await;
    let mut webhook = opened.unwrap();
    let notice = notice("a", "a");
    let outcomes = webhook.deliver(&[&notice], now()).await;
    assert!(matches!(&outcomes[0], Outcome::Failed { trouble, .. } if trouble.code == "Timeout"), "{outcomes:?}");
}

#[tokio::test]
async fn a_key_is_sent_and_not_kept() {
    let (url, mut asked) = stub(vec![(202, "", String::new())]).await;
    let url = Url::parse(&url).unwrap();
    let settings = Webhook { url, headers: Vec::new(), secret: None, ca_bundle: None };
    let format = Format::Pagerduty(Secret::new("hush"));
    let mut webhook = open(&Settings::Webhook(Box::new(settings)), &format).await;
    let notice = notice("a", "a");
    assert_eq!(webhook.deliver(&[&notice], now()).await, [Outcome::Delivered]);
    assert!(asked.recv().await.unwrap().body.contains("\"routing_key\":\"hush\""));
    assert!(String::from_utf8(webhook.payload(&notice)).unwrap().contains("\"routing_key\":\"***\""));
}

#[tokio::test]
async fn a_file_grows_by_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/alerts.csv");
    let settings = Settings::File(File { path: path.clone() });
    let (one, two) = (notice("one", "a"), notice("two", "b"));
    assert_eq!(open(&settings, &Format::Csv).await.deliver(&[&one], now()).await, [Outcome::Delivered]);
    // a crash cut the last line short
    let mut text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    text.truncate(text.len() - 10);
    fs::write(&path, &text).unwrap();
    assert_eq!(open(&settings, &Format::Csv).await.deliver(&[&one, &two], now()).await.len(), 2);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("id,thread") && lines[2].starts_with("one,a,opened,") && lines[3].starts_with("two,"));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::File(File { path: directory.path().to_owned() });
    let notice = notice("one", "a");
    let outcomes = open(&settings, &Format::Text).await.deliver(&[&notice], now()).await;
    assert!(matches!(&outcomes[0], Outcome::Failed { trouble, .. } if trouble.code == "File"), "{outcomes:?}");
}

async fn hook(url: &str, batch_records: usize) -> Box<dyn Receiver> {
    let settings = crate::hook::Settings {
        name: "told".into(),
        target: crate::hook::Target::Url { url: url.to_owned(), headers: Vec::new() },
        timeout: SECOND,
        retries: 1,
        batch_records,
        in_flight: 1,
        answer_bytes_max: 10_000,
    };
    open(&Settings::Hook(Box::new(settings)), &Format::Tidewatch).await
}

#[tokio::test]
async fn a_notice_that_a_hook_chokes_on_is_found_and_holds_up_no_other() {
    let has = |id: &str| (200, "", serde_json::json!({ "records": [{ "recordId": id, "result": "Ok" }] }).to_string());
    let chokes = || (500, "", String::new());
    let answers =
        vec![chokes(), has("a"), chokes(), chokes(), chokes(), has("c"), chokes(), has("d"), has("q"), has("e")];
    let (url, _asked) = stub(answers).await;
    let mut hook = hook(&url, 10).await;
    let [a, p, q, c, d, e] = ["a", "p", "q", "c", "d", "e"].map(|id| notice(id, id));
    let is_down = |outcome: &Outcome| matches!(outcome, Outcome::Failed { is_down: true, .. });
    let outcomes = hook.deliver(&[&a, &p, &q, &c], now()).await;
    assert!(outcomes.len() == 4 && outcomes.iter().all(is_down), "{outcomes:?}");
    assert_eq!(hook.deliver(&[&a, &p, &q, &c], now()).await, [Outcome::Delivered], "the first alone");
    let outcomes = hook.deliver(&[&p, &q, &c], now()).await;
    assert!(outcomes.len() == 3 && outcomes.iter().all(is_down), "nor for the next one: {outcomes:?}");
    let outcomes = hook.deliver(&[&p, &q, &c], now()).await;
    assert!(matches!(&outcomes[0], Outcome::Failed { is_down: false, .. }), "{outcomes:?}");
    assert_eq!(outcomes[1..], [Outcome::Untried, Outcome::Delivered]);
    let outcomes = hook.deliver(&[&p, &q, &d], now()).await;
    assert!(matches!(&outcomes[0], Outcome::Refused(trouble) if trouble.code == "hook_status"), "{outcomes:?}");
    assert_eq!(outcomes[1..], [Outcome::Untried, Outcome::Delivered]);
    assert_eq!(hook.deliver(&[&q], now()).await, [Outcome::Delivered]);
    assert_eq!(hook.deliver(&[&e], now()).await, [Outcome::Delivered]);
}

#[tokio::test]
async fn a_hook_that_answers_nothing_is_down_for_all() {
    let (url, _asked) = stub(vec![(500, "", String::new())]).await;
    let mut hook = hook(&url, 1).await;
    assert_eq!(hook.limits().notices, 2, "the second shows whose fault it is");
    let (one, two) = (notice("one", "a"), notice("two", "b"));
    assert_eq!(hook.deliver(&[&one, &two], now()).await.len(), 1, "asked about one by one");
    for _ in 0..3 {
        let outcomes = hook.deliver(&[&one, &two], now()).await;
        let is_down = |outcome: &Outcome| matches!(outcome, Outcome::Failed { is_down: true, .. });
        assert!(outcomes.len() == 2 && outcomes.iter().all(is_down), "{outcomes:?}");
    }
}
