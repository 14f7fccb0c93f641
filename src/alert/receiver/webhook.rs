//! A program of the user's that listens at a url: a POST for each notice, signed if there is a secret.
//!
//! ```text
//! Idempotency-Key, X-Tidewatch-Id: the notice's id
//! X-Tidewatch-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" with the secret, in hex>
//! ```
//!
//! Who checks the signature and that `t` is of the last minutes knows that the message is ours and no old one sent again.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use ring::hmac;

use super::http::{Header, Url, ask, client, id};
use super::{Limits, Outcome, Receiver, ReceiverError, Writes, one_by_one};
use crate::alert::secret::Secret;
use crate::model::{Notice, Timestamp};

/// Where it listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The url.
    pub url: Url,
    /// Further headers.
    pub headers: Vec<Header>,
    /// What messages are signed with.
    pub secret: Option<Secret>,
    /// Certificates that are trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
}

/// A program that listens.
pub(super) struct Webhook {
    client: Client,
    settings: Settings,
    writes: Writes,
}

impl Webhook {
    pub(super) fn open(settings: &Settings, writes: Writes, timeout: Duration) -> Result<Webhook, ReceiverError> {
        let client = client(timeout, settings.ca_bundle.as_ref())?;
        Ok(Webhook { client, settings: settings.clone(), writes })
    }

    async fn send(&self, notice: &Notice, now: Timestamp) -> Outcome {
        let body = self.writes.payload(notice);
        let id = id(&notice.id);
        let mut request = self
            .client
            .post(self.settings.url.reveal())
            .header(CONTENT_TYPE, self.writes.format.content_type())
            .header("Idempotency-Key", &id)
            .header("X-Tidewatch-Id", &id);
        if let Some(secret) = &self.settings.secret {
            let seconds = now.micros().div_euclid(1_000_000);
            request = request.header("X-Tidewatch-Signature", signature(secret, seconds, &body));
        }
        for header in &self.settings.headers {
            request = header.add(request);
        }
        match ask(request.body(body), now).await {
            Ok(answer) => answer.outcome(),
            Err(outcome) => outcome,
        }
    }
}

impl Receiver for Webhook {
    fn limits(&self) -> Limits {
        Limits::ONE_BY_ONE
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.kept(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        let receiver = &*self;
        Box::pin(one_by_one(notices, move |notice| receiver.send(notice, now)))
    }
}

fn signature(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let tag: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_time_and_body() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let tag = "a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
        assert_eq!(signature(&Secret::new("key"), 1_700_000_000, b"{\"a\":1}"), format!("t=1700000000,v1={tag}"));
    }
}
