//! An index of Elasticsearch or OpenSearch, through `_bulk`. A notice's id is its document's, so a repeat replaces the
//! document; which index it is in follows from the notice's own time, so a repeat finds the same one. Each document has its
//! own result; a request that is too large is cut in half.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::Client;
use serde_json::{Value, json};

use super::http::{Url, ask, client};
use super::{Limits, Outcome, Receiver, ReceiverError, Trouble, Writes, in_halves};
use crate::alert::format::{instant, ours};
use crate::alert::outbox::hash;
use crate::alert::secret::Secret;
use crate::model::{Notice, Timestamp};

const NOTICES_MAX: usize = 2000;
const BYTES_MAX: usize = 5_000_000;
/// A longer id is refused.
const ID_BYTES_MAX: usize = 512;

/// Which index.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the server; `/_bulk` is put behind it.
    pub url: Url,
    /// The index, or what its name begins with.
    pub index: String,
    /// When a new index begins.
    pub rotation: Rotation,
    /// Whether documents are created and never replaced, as data streams want it.
    pub is_create: bool,
    /// Who asks.
    pub login: Login,
    /// Certificates that are trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
}

/// When a new index begins; times are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Never.
    None,
    /// `-2024-03-04-09`
    Hour,
    /// `-2024-03-04`
    Day,
    /// `-2024-w10`
    Week,
    /// `-2024-03`
    Month,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Anyone.
    None,
    /// A user with a password.
    Basic(String, Secret),
    /// An API key, as the server gave it.
    ApiKey(Secret),
}

impl Rotation {
    fn index(self, index: &str, at: Timestamp) -> String {
        let at = chrono::DateTime::from_timestamp_micros(at.micros()).unwrap_or_default();
        let format = match self {
            Rotation::None => return index.to_owned(),
            Rotation::Hour => "%Y-%m-%d-%H",
            Rotation::Day => "%Y-%m-%d",
            Rotation::Week => "%G-w%V",
            Rotation::Month => "%Y-%m",
        };
        format!("{index}-{}", at.format(format))
    }
}

pub(super) struct Elasticsearch {
    client: Client,
    settings: Settings,
    writes: Writes,
    timeout: Duration,
}

impl Elasticsearch {
    pub(super) fn open(settings: &Settings, writes: Writes, timeout: Duration) -> Result<Elasticsearch, ReceiverError> {
        let client = client(timeout, settings.ca_bundle.as_ref())?;
        Ok(Elasticsearch { client, settings: settings.clone(), writes, timeout })
    }

    fn document(&self, notice: &Notice) -> Value {
        let mut document = ours(notice);
        document["@timestamp"] = instant(notice, self.writes.about.zone).to_string().into();
        document
    }

    /// Two lines of a request.
    fn lines(&self, notice: &Notice) -> String {
        let index = self.settings.rotation.index(&self.settings.index, instant(notice, self.writes.about.zone));
        let id = if notice.id.len() <= ID_BYTES_MAX { notice.id.clone() } else { hash([&*notice.id].into_iter()) };
        let verb = if self.settings.is_create { "create" } else { "index" };
        format!("{}\n{}\n", json!({ verb: { "_index": index, "_id": id } }), self.document(notice))
    }

    /// What became of them, and whether the server wants them cut.
    async fn send(&self, notices: &[&Notice], now: Timestamp) -> (Vec<Outcome>, bool) {
        let mut request = self.client.post(self.settings.url.joined("_bulk"));
        request = match &self.settings.login {
            Login::None => request,
            Login::Basic(user, password) => request.basic_auth(user, Some(password.reveal())),
            Login::ApiKey(key) => request.header("authorization", format!("ApiKey {}", key.reveal())),
        };
        let body: String = notices.iter().map(|notice| self.lines(notice)).collect();
        match ask(request.header("content-type", "application/x-ndjson").body(body), now).await {
            Ok(answer) => {
                let outcomes = match answer.outcome() {
                    Outcome::Delivered => results(&answer.body, notices.len()),
                    other => vec![other; notices.len()],
                };
                (outcomes, answer.status.as_u16() == 413)
            }
            Err(outcome) => (vec![outcome; notices.len()], false),
        }
    }
}

impl Receiver for Elasticsearch {
    fn limits(&self) -> Limits {
        Limits { notices: NOTICES_MAX, bytes: BYTES_MAX, one_by_one: false, buffer: None }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.document(notice).to_string().into_bytes()
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        let receiver = &*self;
        Box::pin(in_halves(notices, receiver.timeout, move |part| receiver.send(part, now)))
    }
}

/// What became of each document of a request that was served. One that was to be created and is there is a repeat.
fn results(body: &str, count: usize) -> Vec<Outcome> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let result = |index: usize| {
        let item = answer["items"][index].as_object().and_then(|item| item.iter().next());
        let Some((verb, item)) = item else {
            return Outcome::down("Bulk", "the answer has no result for a document");
        };
        let status = item["status"].as_u64().unwrap_or(0);
        let [kind, reason] = ["type", "reason"].map(|member| item["error"][member].as_str().unwrap_or_default());
        let trouble = Trouble { code: status.to_string(), message: format!("{kind}: {reason}") };
        match status {
            200..300 => Outcome::Delivered,
            409 if verb == "create" => Outcome::Delivered,
            429 | 503 => Outcome::Failed { trouble, retry_after: None, is_down: true },
            500.. => Outcome::Failed { trouble, retry_after: None, is_down: false },
            _ => Outcome::Refused(trouble),
        }
    };
    (0..count).map(result).collect()
}
