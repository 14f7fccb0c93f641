//! A hook that is an HTTP endpoint: each request is posted as JSON, and the body of a good answer is the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Response, Url};

use super::{Header, HookError, Settings};
use crate::model::HookFault;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    answer_bytes_max: usize,
}

impl Endpoint {
    pub(super) fn new(settings: &Settings, url: &str, headers: &[Header]) -> Result<Endpoint, HookError> {
        let refused = |reason: String| HookError::Client { hook: Arc::clone(&settings.name), reason };
        let mut all = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for Header { name, value } in headers {
            let bad = || refused(format!("`headers.{name}` is no header of a request"));
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            all.insert(HeaderName::try_from(name).map_err(|_| bad())?, value);
        }
        let client = client(settings, |client| client.default_headers(all), None)?;
        let url = Url::parse(url).map_err(|error| refused(format!("`url`: {error}")))?;
        Ok(Endpoint { client, url, answer_bytes_max: settings.answer_bytes_max })
    }

    pub(super) async fn post(&self, request: Bytes) -> Result<Vec<u8>, HookFault> {
        let response = self.client.post(self.url.clone()).body(request).send().await.map_err(gone)?;
        if !response.status().is_success() {
            return Err(HookFault::Status(format!("status {}", response.status())));
        }
        read(response, self.answer_bytes_max).await
    }
}

/// A client of one hook, perhaps with certificates that it trusts besides the system's.
pub(super) fn client(
    settings: &Settings,
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
    certificates: Option<&[u8]>,
) -> Result<Client, HookError> {
    // the process's default; whoever was first has chosen the same
    let _ = rustls::crypto::ring::default_provider().install_default();
    let refused = |error: reqwest::Error| HookError::Client { hook: Arc::clone(&settings.name), reason: chain(&error) };
    // an answer comes from where it was asked for
    let mut builder = more(Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(Policy::none()));
    if let Some(pem) = certificates {
        for certificate in Certificate::from_pem_bundle(pem).map_err(refused)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(refused)
}

/// The body of an answer.
pub(super) async fn read(mut response: Response, answer_bytes_max: usize) -> Result<Vec<u8>, HookFault> {
    let mut answer = Vec::new();
    while let Some(more) = response.chunk().await.map_err(gone)? {
        if answer.len() + more.len() > answer_bytes_max {
            return Err(HookFault::TooLong(answer_bytes_max));
        }
        answer.extend_from_slice(&more);
    }
    Ok(answer)
}

/// No answer; the url may hold a key and is not told.
pub(super) fn gone(error: reqwest::Error) -> HookFault {
    HookFault::Gone(chain(&error.without_url()))
}

/// An error with what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        shown = format!("{shown}: {inner}");
        source = inner.source();
    }
    shown
}
