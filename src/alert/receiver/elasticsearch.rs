//! An index of Elasticsearch or OpenSearch, through `_bulk`. A notice's id is its document's, so a repeat replaces the
//! document; which index it is in follows from the notice's own time, so a repeat finds the same one. Each document has its
//! own result; a request that is too large is cut in half. Requests to a domain of Amazon OpenSearch Service, or to a
//! collection of its serverless kind, are signed.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::Client;
use serde_json::{Value, json};

use super::amazon::Amazon;
use super::http::{Answer, Url, ask, client};
use super::{Limits, Outcome, Receiver, ReceiverError, Trouble, Writes, in_halves};
use crate::alert::format::{instant, ours};
use crate::alert::outbox::hash;
use crate::alert::secret::Secret;
use crate::aws;
use crate::model::{Notice, Timestamp};

const NOTICES_MAX: usize = 2000;
const BYTES_MAX: usize = 5_000_000;
/// A longer id is refused.
const ID_BYTES_MAX: usize = 512;
/// The status of a request that is.
const TOO_LARGE: &str = "413";

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
#[derive(Clone, Debug)]
pub enum Login {
    /// Anyone.
    None,
    /// A user with a password.
    Basic(String, Secret),
    /// An API key, as the server gave it.
    ApiKey(Secret),
    /// Whoever the credentials of Amazon belong to.
    Signed(SearchService, Box<aws::Settings>),
}

/// Which service of Amazon a request is signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchService {
    /// A domain of OpenSearch Service.
    Domain,
    /// A collection of OpenSearch Serverless.
    Serverless,
}

impl SearchService {
    fn name(self) -> &'static str {
        match self {
            SearchService::Domain => "es",
            SearchService::Serverless => "aoss",
        }
    }
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
    way: Way,
    settings: Settings,
    writes: Writes,
    timeout: Duration,
}

/// How it is asked.
enum Way {
    Plain(Client),
    Signed(Box<Amazon>),
}

impl Elasticsearch {
    pub(super) async fn open(
        settings: &Settings,
        writes: Writes,
        timeout: Duration,
    ) -> Result<Elasticsearch, ReceiverError> {
        let way = match &settings.login {
            Login::Signed(service, aws) => {
                let reached = aws::Settings {
                    region: aws.region.clone().or_else(|| region_of(&settings.url)),
                    endpoint_url: Some(settings.url.reveal().to_string()),
                    ca_bundle: settings.ca_bundle.clone(),
                    ..(**aws).clone()
                };
                Way::Signed(Box::new(Amazon::open(&reached, service.name(), timeout).await?))
            }
            Login::None | Login::Basic(..) | Login::ApiKey(_) => {
                Way::Plain(client(timeout, settings.ca_bundle.as_ref())?)
            }
        };
        Ok(Elasticsearch { way, settings: settings.clone(), writes, timeout })
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
        let body: String = notices.iter().map(|notice| self.lines(notice)).collect();
        match self.ask(body, now).await {
            Ok(answer) => (results(&answer.body, notices.len()), false),
            Err(outcome) => {
                let is_too_much = matches!(&outcome, Outcome::Refused(trouble) if trouble.code == TOO_LARGE);
                (vec![outcome; notices.len()], is_too_much)
            }
        }
    }

    /// Asks; an answer is one with success.
    async fn ask(&self, body: String, now: Timestamp) -> Result<Answer, Outcome> {
        let kind = ("content-type", "application/x-ndjson".to_owned());
        let client = match &self.way {
            Way::Signed(service) => return service.ask("/_bulk", &[kind], body.into_bytes(), now).await,
            Way::Plain(client) => client,
        };
        let request = client.post(self.settings.url.joined("_bulk")).header(kind.0, kind.1);
        let request = match &self.settings.login {
            Login::None | Login::Signed(..) => request,
            Login::Basic(user, password) => request.basic_auth(user, Some(password.reveal())),
            Login::ApiKey(key) => request.header("authorization", format!("ApiKey {}", key.reveal())),
        };
        let answer = ask(request.body(body), now).await?;
        match answer.outcome() {
            Outcome::Delivered => Ok(answer),
            other => Err(other),
        }
    }
}

/// The region that the name of a domain or a collection has in it: `https://NAME.eu-central-1.es.amazonaws.com`.
fn region_of(url: &Url) -> Option<String> {
    let url = url.reveal();
    let (name, _) = url.host_str()?.split_once(".amazonaws.com")?;
    let mut parts = name.rsplit('.');
    let is_search = matches!(parts.next()?, "es" | "aoss");
    parts.next().filter(|_| is_search).map(str::to_owned)
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
            // an index that is blocked because its disk is full, or rights that are given later
            401 | 403 => Outcome::Failed { trouble, retry_after: None, is_down: false },
            500.. => Outcome::Failed { trouble, retry_after: None, is_down: false },
            _ => Outcome::Refused(trouble),
        }
    };
    (0..count).map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_the_name_of_a_domain() {
        let region = |url: &str| region_of(&Url::parse(url).unwrap());
        assert_eq!(region("https://search-x-abc.eu-central-1.es.amazonaws.com").as_deref(), Some("eu-central-1"));
        assert_eq!(region("https://abc.us-east-1.aoss.amazonaws.com/").as_deref(), Some("us-east-1"));
        assert_eq!(region("https://x.cn-north-1.es.amazonaws.com.cn").as_deref(), Some("cn-north-1"));
        assert_eq!((region("https://search.example.com"), region("https://s3.eu-west-1.amazonaws.com")), (None, None));
    }
}
