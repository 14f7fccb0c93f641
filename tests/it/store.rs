//! One suite over every store: memory, a directory, a real S3 server. What only a server can do wrong (a bucket that is
//! not there, keys that are not known, permissions that are missing, conditions that are ignored) follows.

use bytes::Bytes;
use futures::future::join_all;
use tidewatch::job::{Lock, LockError};
use tidewatch::store::{Created, Patience, Replaced, Settings, Store, StoreError};

use crate::support::bucket::settings;
use crate::support::servers::s3::{BUCKET, Keys, READER, S3, S3RVER, WRITER};

/// Names as users of other programs choose them: kept as they are.
const NAMES: [&str; 9] =
    ["a=1", "a+b", "a%20b", "100%", "with space", "ü/ñ/日本", "a&b;c,d", "~tilde", "(x)[y]{z}!'$@"];

/// A bucket's folder that no other test uses.
async fn bucket(server: &S3, folder: &str, keys: Keys) -> Store {
    open(&server.endpoint(), &format!("s3://{BUCKET}/{folder}"), keys).await
}

async fn open(endpoint: &str, url: &str, keys: Keys) -> Store {
    Store::open(url, &settings(endpoint, keys)).await.unwrap().patient(Patience::short())
}

async fn directory() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("made").display().to_string(), &Settings::default()).await;
    (directory, store.unwrap())
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn names(store: &Store, folder: &str) -> Vec<String> {
    store.list(folder).await.unwrap().into_iter().map(|entry| entry.name).collect()
}

/// What every store must do.
async fn conforms(store: &Store) {
    verbs(store).await;
    one_of_many_creates(store).await;
    names_are_kept(store).await;
    sizes(store).await;
}

#[tokio::test]
async fn what_is_read_at_once_is_what_is_there() {
    let (_directory, store) = directory().await;
    let plain = "data/intvl_date=2026-01-05/part-r0000-00000.csv";
    for name in NAMES.into_iter().chain([plain]) {
        store.put(name, bytes("here")).await.unwrap();
        assert!(store.get_now(name).is_none_or(|found| found == bytes("here")), "{name}");
    }
    assert_eq!(store.get_now(plain), Some(bytes("here")));
    let outside = store.directory().unwrap().parent().unwrap().join("outside");
    std::fs::write(&outside, "not ours").unwrap();
    for name in ["nowhere", "data", "../outside", "data/../../outside", outside.to_str().unwrap()] {
        assert_eq!(store.get_now(name), None, "{name}");
    }
    let memory = Store::in_memory();
    memory.put(plain, bytes("here")).await.unwrap();
    assert_eq!(memory.get_now(plain), None, "only a directory can be");
}

async fn verbs(store: &Store) {
    assert_eq!(store.get("a/b=1/c.csv").await.unwrap(), None);
    assert_eq!(store.create("a/b=1/c.csv", bytes("one")).await.unwrap(), Created::New);
    assert_eq!(store.create("a/b=1/c.csv", bytes("two")).await.unwrap(), Created::Exists);
    assert_eq!(store.create("a/b=1/c.csv", bytes("one")).await.unwrap(), Created::Exists);
    assert_eq!(store.get("a/b=1/c.csv").await.unwrap(), Some(bytes("one")));
    store.put("a/b=1/c.csv", bytes("three")).await.unwrap();
    assert_eq!(store.get("a/b=1/c.csv").await.unwrap(), Some(bytes("three")));
    store.put("a/b=2/d.csv", bytes("")).await.unwrap();
    assert_eq!(store.get("a/b=2/d.csv").await.unwrap(), Some(bytes("")));
    store.put("a/top.json", bytes("{}")).await.unwrap();
    store.put("ab/near.json", bytes("{}")).await.unwrap();
    let listed = store.list("a").await.unwrap();
    let listed: Vec<_> = listed.iter().map(|entry| (entry.name.as_str(), entry.size)).collect();
    assert_eq!(listed, [("a/b=1/c.csv", 5), ("a/b=2/d.csv", 0), ("a/top.json", 2)], "ab is another folder");
    assert_eq!(store.list("nowhere").await.unwrap(), []);
    assert_eq!(store.list_folders("a").await.unwrap(), ["a/b=1", "a/b=2"]);
    assert_eq!(store.list_folders("nowhere").await.unwrap(), [""; 0]);
    store.put("_one", bytes("1")).await.unwrap();
    let beginning = store.list_beginning("_").await.unwrap();
    assert_eq!(beginning.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["_one"]);
    for name in ["a/top.json", "a/top.json", "ab/near.json", "_one", "a/b=1/c.csv", "a/b=2/d.csv"] {
        store.delete(name).await.unwrap();
        assert_eq!(store.get(name).await.unwrap(), None);
    }
    assert_eq!(store.list("").await.unwrap(), []);
}

async fn one_of_many_creates(store: &Store) {
    let race = join_all((0..16).map(|writer| store.create("race", Bytes::from(format!("{writer}"))))).await;
    let won: Vec<usize> =
        (0..).zip(&race).filter(|(_, won)| *won.as_ref().unwrap() == Created::New).map(|(writer, _)| writer).collect();
    let [winner] = won[..] else { panic!("{won:?} won") };
    assert_eq!(store.get("race").await.unwrap(), Some(Bytes::from(format!("{winner}"))));
    store.delete("race").await.unwrap();
}

async fn names_are_kept(store: &Store) {
    for name in NAMES {
        let name = format!("names/{name}");
        assert_eq!(store.create(&name, Bytes::from(name.clone())).await.unwrap(), Created::New, "{name}");
    }
    let mut expected: Vec<String> = NAMES.iter().map(|name| format!("names/{name}")).collect();
    expected.sort_unstable();
    assert_eq!(names(store, "names").await, expected);
    for name in &expected {
        assert_eq!(store.get(name).await.unwrap(), Some(Bytes::from(name.clone())), "{name}");
        store.delete(name).await.unwrap();
    }
    assert_eq!(names(store, "names").await, [""; 0]);
}

async fn sizes(store: &Store) {
    let large: Bytes =
        (0..40_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>().into();
    assert_eq!(store.create("large", large.clone()).await.unwrap(), Created::New);
    assert!(store.get("large").await.unwrap().unwrap() == large);
    assert_eq!(store.create("large", large.slice(1..)).await.unwrap(), Created::Exists);
    assert!(store.get("large").await.unwrap().unwrap() == large);
    store.put("large", large.slice(1..)).await.unwrap();
    assert!(store.get("large").await.unwrap().unwrap() == large.slice(1..));
    store.delete("large").await.unwrap();
}

/// What every store must do but a directory, which has a lock of its own.
async fn replaces(store: &Store) {
    store.put("lease", bytes("one")).await.unwrap();
    let (_, first) = store.get_versioned("lease").await.unwrap().unwrap();
    let Replaced::Done(second) = store.replace("lease", bytes("two"), &first).await.unwrap() else {
        panic!("nobody came between")
    };
    assert_eq!(store.replace("lease", bytes("stale"), &first).await.unwrap(), Replaced::Changed);
    assert_eq!(store.get("lease").await.unwrap(), Some(bytes("two")));
    let race = join_all((0..8).map(|writer| store.replace("lease", Bytes::from(format!("{writer}")), &second))).await;
    assert_eq!(race.iter().filter(|race| matches!(race, Ok(Replaced::Done(_)))).count(), 1, "{race:?}");
    store.delete("lease").await.unwrap();
    assert_eq!(store.replace("lease", bytes("gone"), &second).await.unwrap(), Replaced::Changed);
    assert_eq!(store.get("lease").await.unwrap(), None);
}

#[tokio::test]
async fn a_store_in_memory_conforms() {
    let store = Store::in_memory();
    conforms(&store).await;
    replaces(&store).await;
}

#[tokio::test]
async fn a_directory_conforms() {
    let (_directory, store) = directory().await;
    conforms(&store).await;
}

#[tokio::test]
async fn a_bucket_conforms() {
    let server = S3::shared();
    let store = bucket(server, "conforms", WRITER).await;
    conforms(&store).await;
    replaces(&store).await;
    let deep = bucket(server, "deep er/ü=1+%41", WRITER).await;
    verbs(&deep).await;
    names_are_kept(&deep).await;
}

/// The condition of an upload in parts is the server's, too. Not tested is a race: SeaweedFS 4.48 looks whether the
/// object is there and completes the upload in two steps, so that several of many writers may win; a single put, which
/// every manifest, checkpoint and lease is, has one winner.
#[tokio::test]
async fn an_upload_in_parts_is_made_once() {
    let store = bucket(S3::shared(), "parts", WRITER).await;
    // one part is not looked for before it is sent
    let in_parts = store.clone().in_parts();
    assert_eq!(in_parts.create("x", bytes("one")).await.unwrap(), Created::New);
    assert_eq!(in_parts.create("x", bytes("two")).await.unwrap(), Created::Exists);
    assert_eq!(store.create("x", bytes("three")).await.unwrap(), Created::Exists);
    assert_eq!(store.get("x").await.unwrap(), Some(bytes("one")));
    in_parts.put("x", bytes("four")).await.unwrap();
    assert_eq!(store.get("x").await.unwrap(), Some(bytes("four")));
    assert_eq!(names(&store, "").await, ["x"]);
}

#[tokio::test]
async fn a_listing_has_all_pages_in_order_and_nothing_of_the_neighbours() {
    let server = S3::shared();
    let (store, other) = (bucket(server, "paging", WRITER).await, bucket(server, "paging2", WRITER).await);
    other.put("data/other", bytes("x")).await.unwrap();
    let expected: Vec<String> = (0..1100).map(|number| format!("data/{number:04}")).collect();
    for some in expected.chunks(50) {
        join_all(some.iter().map(|name| async { store.put(name, bytes("x")).await.unwrap() })).await;
    }
    assert_eq!(names(&store, "data").await, expected);
    assert_eq!(names(&store, "").await, expected);
    assert_eq!(names(&store, "dat").await, [""; 0]);
    assert_eq!(names(&other, "").await, ["data/other"]);
}

#[tokio::test]
async fn what_a_server_refuses_is_told_with_what_would_help() {
    let server = S3::shared();
    let writes = async |store: &Store| store.create("x", bytes("x")).await.unwrap_err().to_string();
    let missing = open(&server.endpoint(), "s3://nowhere/x", WRITER).await;
    for error in [writes(&missing).await, missing.get("x").await.unwrap_err().to_string()] {
        assert!(error.contains("NoSuchBucket") && error.contains("make the bucket `nowhere`"), "{error}");
    }
    assert!(missing.list("").await.is_err());
    for (keys, code) in [
        (Keys { id: "nobody", ..WRITER }, "InvalidAccessKeyId"),
        (Keys { secret: "guessed", ..WRITER }, "SignatureDoesNotMatch"),
    ] {
        let error = writes(&bucket(server, "keys", keys).await).await;
        assert!(error.contains(code) && error.contains("check the credentials"), "{error}");
        assert!(!error.contains(keys.secret), "{error}");
    }
    let reader = bucket(server, "readonly", READER).await;
    assert_eq!(reader.get("x").await.unwrap(), None);
    assert_eq!(reader.list("").await.unwrap(), []);
    let error = writes(&reader).await;
    let resource = format!("s3:PutObject on `arn:aws:s3:::{BUCKET}/readonly/x`");
    assert!(error.contains("AccessDenied") && error.contains(&resource), "{error}");
    let error = reader.delete("x").await.unwrap_err().to_string();
    assert!(error.contains("s3:DeleteObject"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for_as_long_as_patience_lasts() {
    let mut server = S3::start();
    let store = bucket(&server, "outage", WRITER).await;
    store.put("x", bytes("one")).await.unwrap();
    server.stop();
    let limited = store.clone().patient(Patience::short().limited(std::time::Duration::from_secs(1)));
    let error = limited.put("x", bytes("two")).await.unwrap_err();
    assert!(matches!(error, StoreError::GaveUp { .. }), "{error}");
    let patient = store.clone().patient(Patience::endless());
    let waiting = tokio::spawn(async move { patient.create("y", bytes("three")).await });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    })
    .await
    .map(|server| async move {
        assert_eq!(waiting.await.unwrap().unwrap(), Created::New);
        assert_eq!(store.get("x").await.unwrap(), Some(bytes("one")));
        assert_eq!(store.get("y").await.unwrap(), Some(bytes("three")));
        drop(server);
    })
    .unwrap()
    .await;
}

#[tokio::test]
async fn a_bucket_has_one_lease() {
    let store = bucket(S3::shared(), "leases", WRITER).await;
    let first = Lock::take(&store).await.unwrap();
    let error = Lock::take(&store).await.unwrap_err();
    assert!(matches!(error, LockError::Leased { .. }), "{error}");
    first.confirm().await.unwrap();
    first.release().await;
    Lock::take(&store).await.unwrap().release().await;
}

#[tokio::test]
async fn a_server_without_conditional_writes_lets_every_writer_win() {
    let server = S3::without_conditions();
    let store = bucket(&server, "x", S3RVER).await;
    // what `check` finds out, and refuses
    let race = join_all((0..4).map(|writer| store.create("race", Bytes::from(format!("{writer}"))))).await;
    assert!(race.iter().all(|won| *won.as_ref().unwrap() == Created::New), "{race:?}");
}
