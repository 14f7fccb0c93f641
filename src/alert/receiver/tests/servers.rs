//! Receivers with a protocol of their own, against stubs that follow its documentation.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::{Request, now, open, stub};
use crate::alert::Secret;
use crate::alert::format::Format;
use crate::alert::notice;
use crate::alert::receiver::{
    Address, Alertmanager, Elasticsearch, Encryption, Kinesis, Lambda, Login, Outcome, Rotation, S3, SearchService,
    Settings, Smtp, Sns, Trouble, Url,
};
use crate::alert::tests::{group, notice as plain};
use crate::aws;
use crate::model::{Notice, NoticeKind};
use crate::store::Store;

fn elasticsearch(url: &str) -> Elasticsearch {
    Elasticsearch {
        url: Url::parse(url).unwrap(),
        index: "anomalies".into(),
        rotation: Rotation::Day,
        is_create: false,
        login: Login::None,
        ca_bundle: None,
    }
}

fn reached(url: &str) -> aws::Settings {
    let credentials = Credentials::new("AKIDEXAMPLE", "hush", None, None, "test");
    aws::Settings {
        region: Some("eu-central-1".into()),
        endpoint_url: Some(url.to_owned()),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        ..aws::Settings::default()
    }
}

fn ok(body: &Value) -> (u16, &'static str, String) {
    (200, "", body.to_string())
}

fn lines(request: &Request) -> Vec<Value> {
    request.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn documents_have_the_id_and_each_its_own_result() {
    let item = |status: u16, error: Option<&str>| json!({ "index": { "status": status, "error": error.map(|kind| json!({ "type": kind, "reason": "why" })) } });
    let answer = json!({ "errors": true, "items": [
        item(201, None), item(400, Some("mapper_parsing_exception")), item(429, Some("es_rejected_execution_exception")),
    ] });
    let (url, mut asked) = stub(vec![ok(&answer)]).await;
    let login = Login::Basic("shop".into(), Secret::new("hush"));
    let settings = Elasticsearch { login, ..elasticsearch(&format!("{url}/es")) };
    assert!(!format!("{settings:?}").contains("hush"));
    let settings = Settings::Elasticsearch(Box::new(settings));
    let (one, two, three) = (notice::of_group(&group()), plain("two", "t"), plain("three", "t"));
    let outcomes = open(&settings, &Format::Tidewatch).await.deliver(&[&one, &two, &three], now()).await;
    assert_eq!(outcomes[0], Outcome::Delivered);
    assert!(matches!(&outcomes[1], Outcome::Refused(trouble) if trouble.message == "mapper_parsing_exception: why"));
    assert!(matches!(&outcomes[2], Outcome::Failed { is_down: true, .. }), "{:?}", outcomes[2]);
    let request = asked.recv().await.unwrap();
    assert!(request.head.starts_with("POST /es/_bulk HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("authorization"), Some("Basic c2hvcDpodXNo"));
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    assert!(request.body.ends_with('\n'));
    let lines = lines(&request);
    assert_eq!(lines[0], json!({ "index": { "_index": "anomalies-2024-03-04", "_id": "views-20240304-0425" } }));
    assert_eq!(lines[1]["@timestamp"], "2024-03-04T04:25:00Z");
    assert_eq!((&lines[1]["findings"][0]["expected"], lines.len()), (&json!(140.0), 6));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_cut_and_a_busy_server_waited_for() {
    let good = |count: usize| json!({ "errors": false, "items": vec![json!({ "create": { "status": 409 } }); count] });
    let answers = vec![
        (413, "", String::new()),
        (413, "", String::new()),
        ok(&good(1)),
        ok(&good(1)),
        (429, "Retry-After: 3\r\n", "busy".to_owned()),
    ];
    let (url, mut asked) = stub(answers).await;
    let settings = Elasticsearch { is_create: true, ..elasticsearch(&url) };
    let settings = Settings::Elasticsearch(Box::new(settings));
    let notices = ["a", "b", "c", "d"].map(|id| plain(id, id));
    let outcomes = open(&settings, &Format::Tidewatch).await.deliver(&notices.each_ref(), now()).await;
    assert_eq!(outcomes[..2], [Outcome::Delivered, Outcome::Delivered], "a document that is there is a repeat");
    let three = Some(std::time::Duration::from_secs(3));
    for outcome in &outcomes[2..] {
        assert!(matches!(outcome, Outcome::Failed { retry_after, .. } if *retry_after == three), "{outcome:?}");
    }
    let mut sizes = Vec::new();
    while let Ok(request) = asked.try_recv() {
        sizes.push(lines(&request).len() / 2);
    }
    assert_eq!(sizes, [4, 2, 1, 1, 2]);
    let (url, _asked) = stub(vec![(413, "", String::new())]).await;
    let settings = Settings::Elasticsearch(Box::new(elasticsearch(&url)));
    let outcomes = open(&settings, &Format::Tidewatch).await.deliver(&[&notices[0]], now()).await;
    assert!(matches!(&outcomes[0], Outcome::Refused(_)), "one that is too large by itself");
}

#[tokio::test]
async fn a_domain_of_amazon_gets_signed_requests() {
    let item = |id: &str| json!({ "index": { "_id": id, "status": 201 } });
    let answers = [
        (403, "", "{\"message\":\"The security token included in the request is expired\"}".to_owned()),
        (413, "", String::new()),
        ok(&json!({ "errors": false, "items": [item("a")] })),
        ok(&json!({ "errors": false, "items": [item("b")] })),
    ];
    for (service, name) in [(SearchService::Domain, "es"), (SearchService::Serverless, "aoss")] {
        let (url, mut asked) = stub(answers.to_vec()).await;
        let login = Login::Signed(service, Box::new(reached("http://127.0.0.1:1")));
        let settings = Settings::Elasticsearch(Box::new(Elasticsearch { login, ..elasticsearch(&format!("{url}/")) }));
        let notices = ["a", "b"].map(|id| plain(id, id));
        let mut receiver = open(&settings, &Format::Tidewatch).await;
        let outcomes = receiver.deliver(&notices.each_ref(), now()).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Failed { .. })), "{outcomes:?}");
        let outcomes = receiver.deliver(&notices.each_ref(), now()).await;
        assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered], "in halves");
        let request = asked.recv().await.unwrap();
        assert!(request.head.starts_with("POST /_bulk HTTP/1.1"), "{}", request.head);
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.contains(&format!("/20231114/eu-central-1/{name}/aws4_request")), "{authorization}");
        assert_eq!(request.header("x-amz-content-sha256").is_some(), service == SearchService::Serverless);
    }
}

#[tokio::test]
async fn an_alert_keeps_its_labels_until_it_ends() {
    let (url, mut asked) = stub(vec![ok(&json!({}))]).await;
    let settings = Alertmanager {
        url: Url::parse(&url).unwrap(),
        labels: vec![("team".into(), "shop".into())],
        resolve_after: std::time::Duration::from_secs(3600),
        headers: Vec::new(),
        ca_bundle: None,
    };
    let settings = Settings::Alertmanager(Box::new(settings));
    let opened = plain("one", "thread");
    let resolved = Notice { kind: NoticeKind::Resolved, severity: 3.0, ..plain("two", "thread") };
    let outcomes = open(&settings, &Format::Tidewatch).await.deliver(&[&opened, &resolved], now()).await;
    assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
    let request = asked.recv().await.unwrap();
    assert!(request.head.starts_with("POST /api/v2/alerts HTTP/1.1"), "{}", request.head);
    let alerts: Value = serde_json::from_str(&request.body).unwrap();
    let expected = json!({
        "labels": {
            "alertname": "TidewatchAnomaly", "team": "shop", "route": "on-call", "thread": "thread", "measure": "views",
        },
        "annotations": {
            "summary": "title of one", "description": "long text of one", "severity": "82", "kind": "opened",
            "notice_id": "one",
        },
        "startsAt": "2024-03-04T04:25:00Z",
        // now, and an hour
        "endsAt": "2023-11-14T23:13:20Z",
    });
    assert_eq!(alerts[0], expected);
    assert_eq!(alerts[1]["labels"], alerts[0]["labels"]);
    assert_eq!(
        (&alerts[1]["endsAt"], &alerts[1]["annotations"]["kind"]),
        (&json!("2024-03-04T04:25:00Z"), &json!("resolved"))
    );
}

#[tokio::test]
async fn one_alert_that_is_refused_refuses_no_other() {
    let bad = || (400, "", "bad label".to_owned());
    let (url, _asked) = stub(vec![bad(), ok(&json!({})), bad()]).await;
    let url = Url::parse(&url).unwrap();
    let resolve_after = std::time::Duration::from_secs(60);
    let settings = Alertmanager { url, labels: Vec::new(), resolve_after, headers: Vec::new(), ca_bundle: None };
    let settings = Settings::Alertmanager(Box::new(settings));
    let (one, two) = (plain("one", "t"), plain("two", "u"));
    let outcomes = open(&settings, &Format::Tidewatch).await.deliver(&[&one, &two], now()).await;
    assert!(matches!(&outcomes[..], [Outcome::Delivered, Outcome::Refused(_)]), "{outcomes:?}");
}

#[tokio::test]
async fn a_bucket_gets_objects_by_the_hour() {
    let directory = tempfile::tempdir().unwrap();
    let url = directory.path().display().to_string();
    let buffer_time = std::time::Duration::from_secs(60);
    let settings = S3 { url: url.clone(), buffer_bytes: 1_000_000, buffer_time, aws: None };
    let settings = Settings::S3(Box::new(settings));
    let mut receiver = open(&settings, &Format::Tidewatch).await;
    assert_eq!(receiver.limits().buffer, Some(buffer_time));
    let (one, two) = (plain("one", "t"), plain("two", "u"));
    for _ in 0..2 {
        assert_eq!(receiver.deliver(&[&one, &two], now()).await, [Outcome::Delivered, Outcome::Delivered]);
    }
    let store = Store::open(&url, &crate::store::Settings::default()).await.unwrap();
    let listed = store.list("").await.unwrap();
    assert_eq!(listed.len(), 1, "a repeat is the same object: {listed:?}");
    let name = &listed[0].name;
    assert!(name.starts_with("2023/11/14/22/on-call-") && name.ends_with(".jsonl"), "{name}");
    let text = String::from_utf8(store.get(name).await.unwrap().unwrap().to_vec()).unwrap();
    let ids: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["notice_id"].clone()).collect();
    assert_eq!(ids, ["one", "two"]);
}

#[tokio::test]
async fn a_topic_gets_a_form_and_says_why_it_refuses() {
    let error =
        |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>");
    let answers = vec![
        (200, "", "<PublishResponse/>".to_owned()),
        (400, "", error("Throttling")),
        (403, "", error("AuthorizationError")),
    ];
    let (url, mut asked) = stub(answers).await;
    let topic_arn = "arn:aws:sns:eu-central-1:123456789012:alerts.fifo".to_owned();
    let settings = Settings::Sns(Box::new(Sns { topic_arn, is_plain: false, aws: reached(&url) }));
    assert!(!format!("{settings:?}").contains("hush"));
    let mut receiver = open(&settings, &Format::Tidewatch).await;
    let one = notice::of_group(&group());
    assert_eq!(receiver.deliver(&[&one], now()).await, [Outcome::Delivered]);
    let outcomes = receiver.deliver(&[&one], now()).await;
    assert!(matches!(&outcomes[0], Outcome::Failed { is_down: true, .. }), "{outcomes:?}");
    let outcomes = receiver.deliver(&[&one], now()).await;
    let is_hinted = |trouble: &Trouble| trouble.message.contains("hint:");
    assert!(matches!(&outcomes[0], Outcome::Failed { trouble, .. } if is_hinted(trouble)), "{outcomes:?}");
    let request = asked.recv().await.unwrap();
    let authorization = request.header("authorization").unwrap();
    assert!(authorization.contains("/20231114/eu-central-1/sns/aws4_request"), "{authorization}");
    let form: std::collections::BTreeMap<String, String> =
        reqwest::Url::parse(&format!("http://h/?{}", request.body)).unwrap().query_pairs().into_owned().collect();
    assert_eq!((&*form["Action"], &*form["Subject"]), ("Publish", "views low: 2 series, severity 82"));
    assert_eq!(form["MessageDeduplicationId"].len(), 16);
    let message: Value = serde_json::from_str(&form["Message"]).unwrap();
    let default: Value = serde_json::from_str(message["default"].as_str().unwrap()).unwrap();
    assert_eq!(default["notice_id"], "views-20240304-0425");
    assert_eq!(form["MessageAttributes.entry.1.Value.StringValue"], "views-20240304-0425");
}

#[tokio::test]
async fn a_function_that_fails_is_asked_again() {
    let failed = (200, "X-Amz-Function-Error: Unhandled\r\n", "{\"errorMessage\":\"oh\"}".to_owned());
    let (url, mut asked) =
        stub(vec![failed, ok(&json!(null)), (404, "", "ResourceNotFoundException".to_owned())]).await;
    let function = "arn:aws:lambda:eu-central-1:123456789012:function:on-alert:live".to_owned();
    let settings = Settings::Lambda(Box::new(Lambda { function, is_event: false, aws: reached(&url) }));
    let mut receiver = open(&settings, &Format::Tidewatch).await;
    let (one, two, three) = (plain("one", "t"), plain("two", "u"), plain("three", "v"));
    let outcomes = receiver.deliver(&[&one, &two, &three], now()).await;
    assert!(
        matches!(&outcomes[0], Outcome::Failed { trouble, is_down: false, .. } if trouble.code == "FunctionUnhandled")
    );
    assert_eq!(outcomes[1], Outcome::Delivered);
    assert!(matches!(&outcomes[2], Outcome::Refused(trouble) if trouble.code == "404"), "{outcomes:?}");
    let request = asked.recv().await.unwrap();
    let path = "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Aon-alert%3Alive/invocations ";
    assert!(request.head.starts_with(path), "{}", request.head);
    assert_eq!(request.header("x-amz-invocation-type"), Some("RequestResponse"));
    assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap()["notice_id"], "one");
}

#[tokio::test]
async fn a_stream_gets_a_record_a_notice() {
    use base64::Engine as _;
    let answer = json!({ "FailedRecordCount": 1, "Records": [
        { "SequenceNumber": "1", "ShardId": "s" }, { "ErrorCode": "InternalFailure", "ErrorMessage": "oh" },
    ] });
    let (url, mut asked) = stub(vec![ok(&answer)]).await;
    let settings = Settings::Kinesis(Box::new(Kinesis { stream: "alerts".into(), aws: reached(&url) }));
    let large = Notice { body: json!("x".repeat(2 << 20)), ..plain("large", "t") };
    let (one, two) = (plain("one", "t"), plain("two", "u"));
    let outcomes = open(&settings, &Format::Tidewatch).await.deliver(&[&one, &large, &two], now()).await;
    assert_eq!(outcomes[0], Outcome::Delivered);
    assert!(matches!(&outcomes[1], Outcome::Refused(trouble) if trouble.code == "RecordTooLarge"), "{:?}", outcomes[1]);
    assert!(matches!(&outcomes[2], Outcome::Failed { .. }), "{:?}", outcomes[2]);
    let request = asked.recv().await.unwrap();
    assert_eq!(request.header("x-amz-target"), Some("Kinesis_20131202.PutRecords"));
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&body["StreamName"], body["Records"].as_array().unwrap().len()), (&json!("alerts"), 2));
    assert_eq!(body["Records"][1]["PartitionKey"], "u");
    let data = base64::engine::general_purpose::STANDARD.decode(body["Records"][1]["Data"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&data).unwrap()["notice_id"], "two");
}

/// A mail server that takes messages but those to `nobody`, and says what it took.
async fn mail_server() -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let _ = write.write_all(b"220 stub\r\n").await;
            let mut message: Option<String> = None;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match &mut message {
                    Some(text) if line == "." => {
                        let _ = sender.send(std::mem::take(text));
                        message = None;
                        "250 taken"
                    }
                    Some(text) => {
                        text.push_str(&line);
                        text.push('\n');
                        continue;
                    }
                    None if line.starts_with("RCPT TO:<nobody@") => "550 no such user",
                    None if line.starts_with("RCPT TO:<busy@") => "451 try later",
                    None if line.starts_with("DATA") => {
                        message = Some(String::new());
                        "354 go on"
                    }
                    None if line.starts_with("QUIT") => "221 bye",
                    None => "250 ok",
                };
                let _ = write.write_all(format!("{answer}\r\n").as_bytes()).await;
            }
        }
    });
    (port, receiver)
}

#[tokio::test]
async fn a_mail_has_subject_text_and_a_stable_id() {
    let (port, mut taken) = mail_server().await;
    let mail = async |to: &str| {
        let settings = Smtp {
            host: "127.0.0.1".into(),
            port: Some(port),
            encryption: Encryption::None,
            login: None,
            from: Address::parse("Shop <shop@example.com>").unwrap(),
            to: vec![Address::parse(to).unwrap()],
        };
        let one = notice::of_group(&group());
        open(&Settings::Smtp(Box::new(settings)), &Format::Text).await.deliver(&[&one], now()).await
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        assert_eq!(mail("on-call@example.com").await, [Outcome::Delivered]);
        let message = taken.recv().await.unwrap();
        for part in
            ["Subject: views low: 2 series, severity 82", "From: Shop <shop@example.com>", "id views-20240304-0425"]
        {
            assert!(message.contains(part), "{part} in {message}");
        }
        ids.extend(message.lines().find(|line| line.starts_with("Message-ID: <")).map(str::to_owned));
        assert!(message.contains("References: <"), "{message}");
    }
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    let outcomes = mail("nobody@example.com").await;
    assert!(
        matches!(&outcomes[0], Outcome::Refused(trouble) if trouble.message.contains("no such user")),
        "{outcomes:?}"
    );
    let outcomes = mail("busy@example.com").await;
    assert!(matches!(&outcomes[0], Outcome::Failed { is_down: false, .. }), "{outcomes:?}");
}

#[tokio::test]
async fn a_mailbox_that_is_closed_or_busy_keeps_no_other_from_the_mail() {
    let (port, mut taken) = mail_server().await;
    let to = |names: &[&str]| Smtp {
        host: "127.0.0.1".into(),
        port: Some(port),
        encryption: Encryption::None,
        login: None,
        from: Address::parse("Shop <shop@example.com>").unwrap(),
        to: names.iter().map(|name| Address::parse(&format!("{name}@example.com")).unwrap()).collect(),
    };
    let one = plain("one", "thread");
    let closed = Settings::Smtp(Box::new(to(&["nobody", "on-call", "shop"])));
    let outcomes = open(&closed, &Format::Text).await.deliver(&[&one], now()).await;
    assert_eq!(outcomes, [Outcome::Delivered]);
    for _ in 0..2 {
        assert!(taken.recv().await.unwrap().contains("To: nobody@example.com"), "all see who was to get it");
    }
    let busy = Settings::Smtp(Box::new(to(&["busy", "on-call"])));
    let mut busy = open(&busy, &Format::Text).await;
    for _ in 0..2 {
        let outcomes = busy.deliver(&[&one], now()).await;
        assert!(matches!(&outcomes[0], Outcome::Failed { is_down: false, .. }), "{outcomes:?}");
    }
    assert!(taken.try_recv().is_ok() && taken.try_recv().is_err(), "who has it does not get it again");
}
