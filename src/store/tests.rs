//! What becomes of the verbs when a server fails: an object store that fails on demand, before or after it has served.
//! What every store must do is tested over all of them in `tests/it/store.rs`.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::{CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload};
use object_store::{PutMultipartOptions, PutPayload};

use super::*;

type Result<T> = object_store::Result<T>;

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// It is not served: this status and code.
    Answer(u16, &'static str),
    /// No connection.
    Refuse,
    /// It is served and its answer is lost.
    Lose,
    /// It is served after another writer has written.
    Precede(&'static str),
}

/// Fails as it is told, then serves.
#[derive(Debug)]
struct Failing {
    inner: InMemory,
    acts: Mutex<VecDeque<Act>>,
}

impl Failing {
    fn next(&self) -> Option<Act> {
        self.acts.lock().unwrap().pop_front()
    }

    fn answer(status: u16, code: &str) -> object_store::Error {
        let body = format!("<Error><Code>{code}</Code><Message>on purpose</Message></Error>");
        let source = format!("Server returned non-2xx status code: {status} Something: {body}");
        object_store::Error::Generic { store: "S3", source: source.into() }
    }

    fn broken(kind: HttpErrorKind) -> object_store::Error {
        let source = HttpError::new(kind, io::Error::other("on purpose"));
        object_store::Error::Generic { store: "S3", source: Box::new(source) }
    }

    fn before(&self) -> Result<Option<Act>> {
        match self.next() {
            Some(Act::Answer(status, code)) => Err(Failing::answer(status, code)),
            Some(Act::Refuse) => Err(Failing::broken(HttpErrorKind::Connect)),
            act => Ok(act),
        }
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("s3://failing")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.before()? {
            Some(Act::Lose) => {
                self.inner.put_opts(path, payload, options).await?;
                Err(Failing::broken(HttpErrorKind::Interrupted))
            }
            Some(Act::Precede(other)) => {
                self.inner.put(path, other.into()).await?;
                Err(Failing::broken(HttpErrorKind::Interrupted))
            }
            _ => self.inner.put_opts(path, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.before()? {
            Some(_) => Err(Failing::broken(HttpErrorKind::Interrupted)),
            None => self.inner.get_opts(path, options).await,
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.before() {
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
            Ok(_) => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A store whose first requests fail so.
fn failing(acts: &[Act]) -> Store {
    let objects = Failing { inner: InMemory::new(), acts: Mutex::new(acts.iter().copied().collect()) };
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(5));
    Store::over(Arc::new(objects)).patient(Patience::endless().paced(first, longest))
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

const OUTAGE: [Act; 6] = [
    Act::Refuse,
    Act::Answer(503, "SlowDown"),
    Act::Answer(500, "InternalError"),
    Act::Answer(403, "RequestTimeTooSkewed"),
    Act::Answer(429, "TooManyRequests"),
    Act::Answer(400, "ExpiredToken"),
];

#[tokio::test]
async fn an_outage_is_ridden_out() {
    let store = failing(&OUTAGE);
    store.put("a/x", bytes("one")).await.unwrap();
    let store = failing(&OUTAGE);
    assert_eq!(store.create("a/x", bytes("one")).await.unwrap(), Created::New);
    let store = failing(&OUTAGE);
    assert_eq!(store.get("a/x").await.unwrap(), None);
    let store = failing(&OUTAGE);
    assert_eq!(store.list("a").await.unwrap(), []);
}

#[tokio::test]
async fn a_command_gives_up_and_says_what_it_waited_for() {
    let limit = Duration::from_millis(20);
    let store = failing(&[Act::Answer(503, "SlowDown"); 1000]);
    let store = Store { patience: store.patience.limited(limit), ..store };
    let error = store.put("a/x", bytes("one")).await.unwrap_err();
    assert!(matches!(error, StoreError::GaveUp { .. }), "{error}");
    for word in ["cannot write `s3://failing/a/x`", "503 SlowDown: on purpose", "hint:"] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
}

#[tokio::test]
async fn what_stays_is_told_at_once() {
    for (status, code) in
        [(403, "AccessDenied"), (404, "NoSuchBucket"), (501, "NotImplemented"), (403, "SignatureDoesNotMatch")]
    {
        let store = failing(&[Act::Answer(status, code)]);
        let error = store.create("a/x", bytes("one")).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(code) && error.to_string().contains("hint:"), "{error}");
        // a missing bucket is no missing object
        let error = failing(&[Act::Answer(status, code)]).get("a/x").await.unwrap_err();
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_done() {
    let store = failing(&[Act::Lose]);
    assert_eq!(store.create("a/x", bytes("one")).await.unwrap(), Created::New);
    assert_eq!(store.get("a/x").await.unwrap(), Some(bytes("one")));
    // an object in the way from the beginning is another one's, even with the same bytes
    assert_eq!(store.create("a/x", bytes("one")).await.unwrap(), Created::Exists);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_does_not_take_what_another_wrote() {
    let store = failing(&[Act::Precede("two")]);
    assert_eq!(store.create("a/x", bytes("one")).await.unwrap(), Created::Exists);
    assert_eq!(store.get("a/x").await.unwrap(), Some(bytes("two")));
    // a server that says that it did nothing has not written our bytes
    let store = failing(&[]);
    store.put("a/x", bytes("one")).await.unwrap();
    let again = Store { objects: Arc::clone(&store.objects), ..failing(&[]) };
    assert_eq!(again.create("a/x", bytes("one")).await.unwrap(), Created::Exists);
}

#[tokio::test]
async fn a_replace_whose_answer_was_lost_is_done_and_one_that_came_late_is_not() {
    let store = failing(&[]);
    store.put("lease", bytes("one")).await.unwrap();
    let (_, version) = store.get_versioned("lease").await.unwrap().unwrap();
    let failing = |acts: &[Act]| {
        let inner = InMemory::new();
        (Failing { inner, acts: Mutex::new(acts.iter().copied().collect()) }, Patience::endless())
    };
    let Replaced::Done(second) = store.replace("lease", bytes("two"), &version).await.unwrap() else {
        panic!("the version was the one that was there")
    };
    assert_eq!(store.replace("lease", bytes("three"), &version).await.unwrap(), Replaced::Changed);
    assert_eq!(store.get("lease").await.unwrap(), Some(bytes("two")));
    assert!(matches!(store.replace("lease", bytes("three"), &second).await.unwrap(), Replaced::Done(_)));
    for (act, expected) in [(Act::Lose, "two"), (Act::Precede("other"), "other")] {
        let (objects, patience) = failing(&[]);
        let objects = Arc::new(objects);
        let store = Store::over(Arc::clone(&objects) as _).patient(patience);
        store.put("lease", bytes("one")).await.unwrap();
        let (_, version) = store.get_versioned("lease").await.unwrap().unwrap();
        objects.acts.lock().unwrap().push_back(act);
        let replaced = store.replace("lease", bytes("two"), &version).await.unwrap();
        assert_eq!(matches!(replaced, Replaced::Done(_)), expected == "two", "{act:?}");
        assert_eq!(store.get("lease").await.unwrap(), Some(bytes(expected)), "{act:?}");
    }
}

#[tokio::test]
async fn a_directory_says_that_it_cannot_replace() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().display().to_string(), &Settings::default()).await.unwrap();
    store.put("lease", bytes("one")).await.unwrap();
    let (_, version) = store.get_versioned("lease").await.unwrap().unwrap();
    assert!(store.replace("lease", bytes("two"), &version).await.is_err());
    assert_eq!(store.get("lease").await.unwrap(), Some(bytes("one")));
}
