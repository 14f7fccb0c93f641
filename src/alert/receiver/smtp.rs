//! Mail. Each notice is a message: its title is the subject, the text its body. The message's id follows from the notice's,
//! so a repeat is known as one, and all messages of a thread name the same reference, so that they are shown together. It
//! goes to each recipient by itself, so that one mailbox that is closed keeps no other from it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{Limits, Outcome, Receiver, ReceiverError, Trouble, Writes, one_by_one};
use crate::alert::outbox::hash;
use crate::alert::secret::Secret;
use crate::model::{Notice, Timestamp};

/// Of so many notices it is known who has them already; each is sent again to those alone that do not.
const KNOWN_MAX: usize = 1000;

/// Which server, and who writes to whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's name.
    pub host: String,
    /// Its port; the usual one of the encryption, if not given.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// Who writes.
    pub from: Address,
    /// To whom.
    pub to: Vec<Address>,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// It begins in the clear and is refused where the server cannot encrypt; port 587.
    StartTls,
    /// From the first byte; port 465.
    Tls,
    /// Not at all; port 25.
    None,
}

/// An address, such as `Shop <shop@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Mailbox);

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has `{0}`, which is no address; hint: for example `Shop <shop@example.com>`")]
pub struct AddressError(String);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        text.parse().map(Address).map_err(|_| AddressError(text.to_owned()))
    }
}

pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    settings: Settings,
    writes: Writes,
    /// Of each notice that is not done with: which recipients have it, or why they do not take it.
    known: Mutex<BTreeMap<String, Known>>,
}

/// By the recipient's place.
type Known = BTreeMap<usize, Result<(), Trouble>>;

impl Smtp {
    pub(super) fn open(settings: &Settings, writes: Writes, timeout: Duration) -> Result<Smtp, ReceiverError> {
        // the process's default; whoever was first has chosen the same
        let _ = rustls::crypto::ring::default_provider().install_default();
        type Transport = AsyncSmtpTransport<Tokio1Executor>;
        let builder = match settings.encryption {
            Encryption::StartTls => Transport::starttls_relay(&settings.host),
            Encryption::Tls => Transport::relay(&settings.host),
            Encryption::None => Ok(Transport::builder_dangerous(&settings.host)),
        };
        let mut builder = builder.map_err(|error| ReceiverError::Client(error.to_string()))?.timeout(Some(timeout));
        if let Some(port) = settings.port {
            builder = builder.port(port);
        }
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        let known = Mutex::default();
        Ok(Smtp { transport: builder.build(), settings: settings.clone(), writes, known })
    }

    fn message(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        let domain = self.settings.from.0.email.domain();
        let named = |text: &str| format!("<{}@{domain}>", hash([text].into_iter()));
        let mut message = Message::builder()
            .from(self.settings.from.0.clone())
            .subject(&notice.title)
            .message_id(Some(named(&notice.id)))
            .references(named(&notice.thread))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.settings.to {
            message = message.to(to.0.clone());
        }
        message.body(String::from_utf8_lossy(&self.writes.payload(notice)).into_owned())
    }

    async fn send(&self, notice: &Notice) -> Outcome {
        let message = match self.message(notice) {
            Ok(message) => message,
            Err(error) => return Outcome::refused("Message", error.to_string()),
        };
        let bytes = message.formatted();
        let mut known = self.known().get(&notice.id).cloned().unwrap_or_default();
        let mut failed = None;
        for (place, to) in self.settings.to.iter().enumerate() {
            if known.contains_key(&place) {
                continue;
            }
            let answer = match self.send_to(to, &bytes).await {
                Outcome::Refused(trouble) => Err(trouble),
                Outcome::Failed { is_down: true, trouble, retry_after } => {
                    failed = Some(Outcome::Failed { is_down: true, trouble, retry_after });
                    break;
                }
                Outcome::Failed { trouble, retry_after, .. } => {
                    failed = failed.or(Some(Outcome::Failed { is_down: false, trouble, retry_after }));
                    continue;
                }
                Outcome::Delivered | Outcome::Untried => Ok(()),
            };
            known.insert(place, answer);
            // at once: who asks may not wait for the others
            self.known().insert(notice.id.clone(), known.clone());
        }
        failed.unwrap_or_else(|| self.settled(notice, &known))
    }

    async fn send_to(&self, to: &Address, message: &[u8]) -> Outcome {
        let envelope = match Envelope::new(Some(self.settings.from.0.email.clone()), vec![to.0.email.clone()]) {
            Ok(envelope) => envelope,
            Err(error) => return Outcome::refused("Message", error.to_string()),
        };
        match self.transport.send_raw(&envelope, message).await {
            Ok(_) => Outcome::Delivered,
            Err(error) => outcome(&error),
        }
    }

    /// All have answered: it is delivered if anyone has it.
    fn settled(&self, notice: &Notice, known: &Known) -> Outcome {
        let refused = || known.iter().filter_map(|(place, answer)| Some((*place, answer.as_ref().err()?)));
        if let Some((_, trouble)) = refused().next().filter(|_| refused().count() == known.len()) {
            return Outcome::Refused(trouble.clone());
        }
        for (place, trouble) in refused() {
            let to = self.settings.to.get(place).map(|to| to.0.email.to_string()).unwrap_or_default();
            tracing::warn!("`{to}` does not take the mail about {}, others have it: {trouble}", notice.id);
        }
        Outcome::Delivered
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver for Smtp {
    fn limits(&self) -> Limits {
        Limits::ONE_BY_ONE
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.kept(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], _now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        let receiver = &*self;
        let settle = move |outcomes: Vec<Outcome>| {
            let mut known = receiver.known();
            for (notice, outcome) in notices.iter().zip(&outcomes) {
                if matches!(outcome, Outcome::Delivered | Outcome::Refused(_)) {
                    known.remove(&notice.id);
                }
            }
            // of those that the outbox has given up nothing more is heard
            while known.len() > KNOWN_MAX {
                known.pop_first();
            }
            outcomes
        };
        Box::pin(one_by_one(notices, move |notice| receiver.send(notice)).map(settle))
    }
}

/// Refusals of a login: of whoever writes, and not of what is written. Passwords expire, and are given anew.
const LOGIN_CODES: [&str; 4] = ["530", "534", "535", "538"];

/// 5yz is final; 4yz, those of a login and everything without an answer may pass.
fn outcome(error: &Error) -> Outcome {
    let code = error.status().map_or_else(|| "Smtp".to_owned(), |code| code.to_string());
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        message = format!("{message}: {source}");
    }
    if error.is_permanent() && !LOGIN_CODES.contains(&code.as_str()) {
        return Outcome::refused(&code, message);
    }
    let is_down = !error.is_transient();
    Outcome::Failed { trouble: Trouble { code, message }, retry_after: None, is_down }
}
