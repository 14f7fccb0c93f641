//! Those who are told. A receiver takes some notices and says of each what became of it; what is tried again, and when, is
//! the outbox's business.
//!
//! A receiver is one file: its settings, and how it sends. `http` is what those share that speak it.

mod alertmanager;
mod amazon;
mod elasticsearch;
mod file;
mod hook;
mod http;
mod kinesis;
mod lambda;
mod s3;
mod smtp;
mod sns;
mod stdout;
mod webhook;
mod writing;

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::format::{About, Format};
use super::route::Pace;
use super::secret::Secret;
use crate::aws::AwsError;
use crate::model::{Notice, Timestamp};
use crate::store::{self, StoreError};

pub use alertmanager::Settings as Alertmanager;
pub use elasticsearch::{Login, Rotation, SearchService, Settings as Elasticsearch};
pub use file::Settings as File;
pub use http::{CertificatesError, Header, HeaderError, Url, UrlError, certificates};
pub use kinesis::Settings as Kinesis;
pub use lambda::Settings as Lambda;
pub use s3::Settings as S3;
pub use smtp::{Address, AddressError, Encryption, Settings as Smtp};
pub use sns::Settings as Sns;
pub use webhook::Settings as Webhook;

/// One that takes notices.
pub trait Receiver: Send + Sync {
    /// How much it takes at once.
    fn limits(&self) -> Limits;
    /// What it gets of a notice, but for keys that belong to it alone.
    fn payload(&self, notice: &Notice) -> Vec<u8>;
    /// Sends notices; gives what became of each, in their order.
    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>>;
}

/// How much a receiver takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many notices,
    pub notices: usize,
    /// and so many bytes of them.
    pub bytes: usize,
    /// Whether each is a request of its own.
    pub one_by_one: bool,
    /// Whether it waits for that much, and how long.
    pub buffer: Option<Duration>,
}

impl Limits {
    /// Of one that gets each notice by itself.
    pub(super) const ONE_BY_ONE: Limits = Limits { notices: 16, bytes: 16_000_000, one_by_one: true, buffer: None };
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver does not take it, and would not if it were asked again.
    Refused(Trouble),
    /// It failed for a reason that may pass.
    Failed {
        /// Why.
        trouble: Trouble,
        /// When to come again, where the receiver says so.
        retry_after: Option<Duration>,
        /// Whether others would fail as well.
        is_down: bool,
    },
    /// It was not sent, because the receiver was down for another one.
    Untried,
}

impl Outcome {
    /// A receiver that cannot be reached or does not serve.
    pub fn down(code: &str, message: impl Into<String>) -> Outcome {
        let trouble = Trouble { code: code.to_owned(), message: message.into() };
        Outcome::Failed { trouble, retry_after: None, is_down: true }
    }

    /// A notice that is not taken.
    pub fn refused(code: &str, message: impl Into<String>) -> Outcome {
        Outcome::Refused(Trouble { code: code.to_owned(), message: message.into() })
    }

    /// Why it was not taken, if it was not.
    pub fn trouble(self) -> Option<Trouble> {
        match self {
            Outcome::Delivered | Outcome::Untried => None,
            Outcome::Refused(trouble) | Outcome::Failed { trouble, .. } => Some(trouble),
        }
    }

    /// Whether it was sent.
    pub fn is_tried(&self) -> bool {
        *self != Outcome::Untried
    }
}

/// Why a notice was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A word or a status.
    pub code: String,
    /// What the receiver said.
    pub message: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Who is told.
#[derive(Clone, Debug)]
pub enum Settings {
    /// Standard output.
    Stdout,
    /// A file.
    File(File),
    /// Objects in a bucket.
    S3(Box<S3>),
    /// A data stream.
    Kinesis(Box<Kinesis>),
    /// A topic.
    Sns(Box<Sns>),
    /// A function.
    Lambda(Box<Lambda>),
    /// A program that listens at a url.
    Webhook(Box<Webhook>),
    /// A function of the user's own.
    Hook(Box<crate::hook::Settings>),
    /// Mail.
    Smtp(Box<Smtp>),
    /// An index.
    Elasticsearch(Box<Elasticsearch>),
    /// Prometheus Alertmanager.
    Alertmanager(Box<Alertmanager>),
}

impl Settings {
    /// What it is called in a configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Settings::Stdout => "stdout",
            Settings::File(_) => "file",
            Settings::S3(_) => "s3",
            Settings::Kinesis(_) => "kinesis",
            Settings::Sns(_) => "sns",
            Settings::Lambda(_) => "lambda",
            Settings::Webhook(_) => "webhook",
            Settings::Hook(_) => "hook",
            Settings::Smtp(_) => "smtp",
            Settings::Elasticsearch(_) => "elasticsearch",
            Settings::Alertmanager(_) => "alertmanager",
        }
    }

    /// The format that it gets where none is given.
    pub fn usual_format(&self) -> Format {
        match self {
            Settings::Smtp(_) => Format::Text,
            _ => Format::Tidewatch,
        }
    }

    /// How patiently it is served where nothing else is said: an object takes longer than a message.
    pub fn usual_pace(&self) -> Pace {
        match self {
            Settings::S3(_) => Pace { timeout: Duration::from_secs(300), ..Pace::default() },
            _ => Pace::default(),
        }
    }

    /// Whether its messages have a shape of its own, and no other.
    pub fn has_own_format(&self) -> bool {
        matches!(self, Settings::Elasticsearch(_) | Settings::Alertmanager(_))
    }

    /// Where it is; nothing secret.
    pub fn place(&self) -> String {
        match self {
            Settings::Stdout => "standard output".to_owned(),
            Settings::File(file) => file.path.display().to_string(),
            Settings::S3(s3) => s3.url.clone(),
            Settings::Kinesis(kinesis) => format!("stream {}", kinesis.stream),
            Settings::Sns(sns) => sns.topic_arn.clone(),
            Settings::Lambda(lambda) => format!("function {}", lambda.function),
            Settings::Webhook(webhook) => webhook.url.to_string(),
            Settings::Hook(hook) => hook.target.place(),
            Settings::Smtp(smtp) => format!("mail through {}", smtp.host),
            Settings::Elasticsearch(server) => format!("index {} of {}", server.index, server.url),
            Settings::Alertmanager(server) => server.url.to_string(),
        }
    }

    /// Makes the receiver; nothing is sent yet. `buckets` is how buckets are reached, where it does not say so itself.
    ///
    /// # Errors
    /// When what it needs cannot be had.
    pub async fn open(
        &self,
        format: &Format,
        about: &About,
        timeout: Duration,
        buckets: &store::Settings,
    ) -> Result<Box<dyn Receiver>, ReceiverError> {
        let writes = Writes { format: format.clone(), about: about.clone() };
        Ok(match self {
            Settings::Stdout => Box::new(stdout::Stdout::open(writes)?),
            Settings::File(settings) => Box::new(file::File::new(settings.clone(), writes)),
            Settings::Hook(settings) => Box::new(hook::Hook::new((**settings).clone(), writes)),
            Settings::S3(settings) => Box::new(s3::S3::open(settings, writes, timeout, buckets).await?),
            Settings::Kinesis(settings) => Box::new(kinesis::Kinesis::open(settings, writes, timeout).await?),
            Settings::Sns(settings) => Box::new(sns::Sns::open(settings, writes, timeout).await?),
            Settings::Lambda(settings) => Box::new(lambda::Lambda::open(settings, writes, timeout).await?),
            Settings::Webhook(settings) => Box::new(webhook::Webhook::open(settings, writes, timeout)?),
            Settings::Smtp(settings) => Box::new(smtp::Smtp::open(settings, writes, timeout)?),
            Settings::Elasticsearch(settings) => {
                Box::new(elasticsearch::Elasticsearch::open(settings, writes, timeout).await?)
            }
            Settings::Alertmanager(settings) => Box::new(alertmanager::Alertmanager::open(settings, writes, timeout)?),
        })
    }
}

/// A receiver that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// Region, credentials or certificates.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The store that it writes to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Standard output is closed.
    #[error("standard output cannot be written: {0}")]
    Stdout(#[source] std::io::Error),
    /// Certificates that cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// A client of the protocol cannot be set up.
    #[error("cannot be set up: {0}")]
    Client(String),
}

/// How a receiver's messages are written.
#[derive(Clone, Debug)]
pub(super) struct Writes {
    format: Format,
    about: About,
}

impl Writes {
    /// What these notices are as lines.
    fn lines(&self, notices: &[&Notice]) -> Vec<u8> {
        let mut lines = Vec::new();
        for notice in notices {
            lines.extend(self.payload(notice));
            lines.push(b'\n');
        }
        lines
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.format.payload(notice, &self.about)
    }

    /// The same without keys, to be kept where it could not be delivered. A template may hold keys anywhere: what it would
    /// have told is kept in our own format.
    fn kept(&self, notice: &Notice) -> Vec<u8> {
        match &self.format {
            Format::Pagerduty(_) => Format::Pagerduty(Secret::new("***")).payload(notice, &self.about),
            Format::Template(_) => Format::Tidewatch.payload(notice, &self.about),
            format => format.payload(notice, &self.about),
        }
    }
}

/// Sends notices together, in parts that are cut in half as long as `send` says that they should be. What became of the
/// first of them: the rest was not tried where the parts take too long, for what is delivered is not to be forgotten.
pub(super) async fn in_halves<'a, F>(
    notices: &'a [&'a Notice],
    timeout: Duration,
    send: impl Fn(&'a [&'a Notice]) -> F,
) -> Vec<Outcome>
where
    F: Future<Output = (Vec<Outcome>, bool)>,
{
    let mut outcomes = Vec::with_capacity(notices.len());
    let mut parts = vec![notices];
    let begun = Instant::now();
    while let Some(part) = parts.pop() {
        if !outcomes.is_empty() && begun.elapsed() >= timeout {
            break;
        }
        let (of_part, is_too_much) = send(part).await;
        if is_too_much && part.len() > 1 {
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([second, first]);
        } else {
            outcomes.extend(of_part);
        }
    }
    outcomes
}

/// Sends notices one after the other. The rest is left alone once the receiver is down, and a notice waits for the
/// earlier ones of its thread.
pub(super) async fn one_by_one<'a, F>(notices: &'a [&'a Notice], send: impl Fn(&'a Notice) -> F) -> Vec<Outcome>
where
    F: Future<Output = Outcome>,
{
    let mut outcomes = Vec::with_capacity(notices.len());
    let mut held: Vec<&str> = Vec::new();
    let mut is_down = false;
    for notice in notices {
        let outcome = if is_down || held.contains(&&*notice.thread) { Outcome::Untried } else { send(notice).await };
        if let Outcome::Failed { is_down: down, .. } = &outcome {
            is_down |= down;
            held.push(&notice.thread);
        }
        outcomes.push(outcome);
    }
    outcomes
}

#[cfg(test)]
mod tests;
