//! The servers that the other tests talk to, and the proxy before them: each does what those tests rely on.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, RetryConfig};
use tidewatch::job::{Clock as _, SystemClock};
use tokio::runtime::{Builder, Runtime};

use crate::support::proxy::{Fault, Match, Proxy, Rule, When};
use crate::support::servers::kinesis::Kinesis;
use crate::support::servers::s3::{self, BUCKET, Keys, S3};
use crate::support::stream::{Put, REGION, Stream};

fn records(numbers: std::ops::Range<u32>) -> Vec<Put> {
    numbers.map(|number| (format!("key-{number}"), format!("record {number}").into_bytes())).collect()
}

/// What all shards hold, sorted.
fn read_all(stream: &Stream) -> Vec<String> {
    let shards = stream.shards();
    let records = shards.iter().flat_map(|shard| stream.read(&shard.shard_id));
    let mut texts: Vec<String> = records.map(|record| String::from_utf8(record.data.into_inner()).unwrap()).collect();
    texts.sort();
    texts
}

fn texts(numbers: std::ops::Range<u32>) -> Vec<String> {
    let mut texts: Vec<String> = numbers.map(|number| format!("record {number}")).collect();
    texts.sort();
    texts
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}

#[test]
fn a_stream_is_filled_and_resharded() {
    let stream = Stream::create(&Kinesis::shared().endpoint(), "resharded", 2);
    stream.put(records(0..700));
    let open = stream.open_shards();
    assert_eq!(open, ["shardId-000000000000", "shardId-000000000001"]);
    stream.split(&open[0]);
    stream.put(records(700..900));
    let open = stream.open_shards();
    assert_eq!(open, ["shardId-000000000002", "shardId-000000000003", "shardId-000000000001"]);
    stream.merge(&open[1], &open[2]);
    stream.put(records(900..1000));
    assert_eq!(stream.open_shards(), ["shardId-000000000002", "shardId-000000000004"]);
    stream.resize(4);
    assert_eq!(stream.open_shards().len(), 4);
    assert_eq!(read_all(&stream), texts(0..1000));
}

#[test]
fn kinesis_keeps_its_data_over_a_stop_and_ends_on_drop() {
    let mut server = Kinesis::persistent();
    let port = server.port();
    let stream = Stream::create(&server.endpoint(), "kept", 2);
    stream.put(records(0..1200));
    server.stop();
    assert!(!is_taken(port));
    server.start_again();
    assert_eq!(read_all(&stream), texts(0..1200));
    stream.put(records(1200..1300));
    assert_eq!(read_all(&stream), texts(0..1300));
    drop(server);
    assert!(!is_taken(port));
}

fn client(endpoint: String, keys: Keys) -> AmazonS3 {
    builder(endpoint, keys).build().unwrap()
}

fn builder(endpoint: String, keys: Keys) -> AmazonS3Builder {
    // another test may have been first
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = AmazonS3Builder::new().with_endpoint(endpoint).with_allow_http(true).with_bucket_name(BUCKET);
    let builder = builder.with_access_key_id(keys.id).with_secret_access_key(keys.secret).with_region(REGION);
    builder.with_conditional_put(S3ConditionalPut::ETagMatch)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn create(store: &AmazonS3, path: &str) -> Result<(), Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(&Path::from(path), PutPayload::from_static(b"data"), options).await.map(drop)
}

#[test]
fn s3_keeps_its_data_over_a_stop_and_ends_on_drop() {
    let mut server = S3::start();
    let port = server.port();
    let store = client(server.endpoint(), s3::WRITER);
    runtime().block_on(create(&store, "kept")).unwrap();
    server.stop();
    assert!(!is_taken(port));
    server.start_again();
    let store = client(server.endpoint(), s3::WRITER);
    let read = runtime().block_on(async { store.get(&Path::from("kept")).await.unwrap().bytes().await.unwrap() });
    assert_eq!(read, "data");
    drop(server);
    assert!(!is_taken(port));
}

#[test]
fn s3_knows_conditions_and_permissions() {
    let endpoint = S3::shared().endpoint();
    let writer = client(endpoint.clone(), s3::WRITER);
    runtime().block_on(async {
        create(&writer, "conditions/a").await.unwrap();
        let again = create(&writer, "conditions/a").await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        let reader = client(endpoint.clone(), s3::READER);
        assert!(reader.get(&Path::from("conditions/a")).await.is_ok());
        let refused = create(&reader, "conditions/b").await;
        assert!(matches!(refused, Err(Error::PermissionDenied { .. })), "{refused:?}");
        let stranger = client(endpoint, Keys { secret: "another", ..s3::WRITER });
        let refused = stranger.get(&Path::from("conditions/a")).await;
        assert!(matches!(refused, Err(Error::PermissionDenied { .. })), "{refused:?}");
    });
}

#[test]
fn a_small_s3_fills_up_until_it_is_given_room() {
    const MEGABYTE: usize = 1 << 20;
    let put = async |server: &S3, number: u32| {
        let builder = builder(server.endpoint(), s3::WRITER);
        let patience = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let store = builder.with_retry(patience).build().unwrap();
        store.put(&Path::from(format!("{number}")), PutPayload::from(vec![b'x'; MEGABYTE])).await.map(drop)
    };
    let mut server = S3::small();
    runtime().block_on(async {
        put(&server, 0).await.unwrap();
        let mut number = 1;
        while put(&server, number).await.is_ok() {
            number += 1;
            assert!(number < 20, "it is never full");
        }
        server.give_room();
        put(&server, number).await.unwrap();
    });
}

#[test]
fn s3rver_ignores_conditions() {
    let server = S3::without_conditions();
    let store = client(server.endpoint(), s3::S3RVER);
    runtime().block_on(async {
        create(&store, "a").await.unwrap();
        create(&store, "a").await.unwrap();
    });
}

/// A small server of ours that answers every request alike and counts them.
struct Origin {
    port: u16,
    asked: Arc<AtomicU64>,
}

impl Origin {
    fn start(answer: &'static str) -> Origin {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let is_whole = |request: &[u8]| match request {
                    [b'P', b'U', ..] => request.ends_with(b"!\r\n0\r\n\r\n"),
                    [b'P', b'O', ..] => request.ends_with(b"{}"),
                    _ => request.ends_with(b"\r\n\r\n"),
                };
                let mut request = Vec::new();
                let mut bytes = BufReader::new(&stream).bytes().map_while(Result::ok);
                while !is_whole(&request) {
                    let Some(byte) = bytes.next() else { break };
                    request.push(byte);
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        Origin { port, asked }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

const BY_LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
const IN_CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n";
const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const GET_RECORDS: &str = "POST / HTTP/1.1\r\nX-Amz-Target: Kinesis_20131202.GetRecords\r\nContent-Length: 2\r\n\r\n{}";

/// Sends requests on one connection and gives all that came back until the end.
fn talk(proxy: &Proxy, requests: &[&str]) -> String {
    let Ok(mut stream) = TcpStream::connect(proxy.endpoint().strip_prefix("http://").unwrap()) else {
        return "refused".into();
    };
    for request in requests {
        // a fault may have closed it
        let _ = stream.write_all(request.as_bytes());
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn every(n: u64, matches: Match, fault: Fault) -> [Rule; 1] {
    [Rule::new(matches, When::Every(n), fault)]
}

#[test]
fn the_proxy_hands_on_what_it_is_not_told_to_break() {
    for answer in [BY_LENGTH, IN_CHUNKS] {
        let origin = Origin::start(answer);
        let proxy = Proxy::before(origin.port);
        let put = "PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab!\r\n0\r\n\r\n";
        let said = talk(&proxy, &[GET, put, GET_RECORDS, GET]);
        assert_eq!(said, answer.repeat(4));
        assert_eq!((proxy.count("GET"), proxy.count("PUT"), proxy.count("GetRecords")), (2, 1, 1));
        assert_eq!((origin.asked(), proxy.struck()), (4, 0));
    }
}

#[test]
fn the_proxy_answers_every_nth_request_itself() {
    let origin = Origin::start(BY_LENGTH);
    let proxy = Proxy::before(origin.port);
    proxy.set(every(2, Match::Path("GET", "/a"), Fault::s3(503, "SlowDown")));
    let said = talk(&proxy, &[GET, GET_RECORDS, GET, GET]);
    let (first, rest) = said.split_at(2 * BY_LENGTH.len());
    assert_eq!(first, BY_LENGTH.repeat(2));
    assert!(rest.starts_with("HTTP/1.1 503 Fault\r\n") && rest.contains("<Code>SlowDown</Code>"), "{rest}");
    assert!(rest.ends_with(BY_LENGTH), "{rest}");
    assert_eq!((origin.asked(), proxy.struck()), (3, 1));

    proxy.set(every(1, Match::Operation("GetRecords"), Fault::kinesis("ExpiredIteratorException")));
    let said = talk(&proxy, &[GET, GET_RECORDS]);
    assert!(said.starts_with(&format!("{BY_LENGTH}HTTP/1.1 400 ")), "{said}");
    assert!(said.contains(r#"{"__type":"ExpiredIteratorException","#), "{said}");
}

#[test]
fn the_proxy_cuts_and_loses_answers() {
    for (answer, kept) in [(BY_LENGTH, "\r\n01234"), (IN_CHUNKS, "6\r\n012")] {
        let origin = Origin::start(answer);
        let proxy = Proxy::before(origin.port);
        proxy.set(every(2, Match::Any, Fault::CutAnswer));
        let said = talk(&proxy, &[GET, GET, GET]);
        assert!(said.starts_with(answer) && said.ends_with(kept), "{said}");
        assert_eq!(origin.asked(), 2);

        proxy.set(every(1, Match::Any, Fault::LoseAnswer));
        assert_eq!(talk(&proxy, &[GET]), "");
        assert_eq!(origin.asked(), 3);
        proxy.set(every(1, Match::Any, Fault::Drop));
        assert_eq!(talk(&proxy, &[GET]), "");
        assert_eq!(origin.asked(), 3);
    }
}

#[test]
fn the_proxy_holds_and_limits_and_refuses() {
    let origin = Origin::start(BY_LENGTH);
    let proxy = Proxy::before(origin.port);
    let clock = SystemClock::start();
    let hold = Duration::from_millis(200);
    proxy.set([Rule::new(Match::Any, When::Number(1), Fault::Hold(hold))]);
    assert_eq!(talk(&proxy, &[GET]), BY_LENGTH);
    assert!(clock.elapsed() >= hold);

    let throughput = Fault::kinesis("ProvisionedThroughputExceededException");
    proxy.set([Rule::new(Match::Operation("GetRecords"), When::Above(5), throughput)]);
    let said = talk(&proxy, &[GET_RECORDS; 8]);
    assert_eq!((said.matches("200 OK").count(), said.matches("400 Fault").count()), (5, 3));
    thread::sleep(Duration::from_millis(1050));
    assert_eq!(talk(&proxy, &[GET_RECORDS]), BY_LENGTH);

    proxy.refuse(true);
    // until nobody listens any more
    thread::sleep(Duration::from_millis(50));
    assert_eq!(talk(&proxy, &[GET]), "refused");
    proxy.refuse(false);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(talk(&proxy, &[GET]), BY_LENGTH);
}

#[test]
fn kinesis_answers_through_the_proxy() {
    let proxy = Proxy::before(Kinesis::shared().port());
    let stream = Stream::create(&proxy.endpoint(), "proxied", 1);
    proxy.set(every(2, Match::Operation("PutRecords"), Fault::kinesis("ProvisionedThroughputExceededException")));
    stream.put(records(0..2000));
    assert_eq!((proxy.count("PutRecords"), proxy.struck()), (7, 3));
    assert_eq!(read_all(&stream), texts(0..2000));
}
