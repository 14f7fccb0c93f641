//! What receivers share that speak HTTP: a client without redirects, urls that show no secrets, and what a status means.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};

use super::{Outcome, ReceiverError, Trouble};
use crate::alert::secret::Secret;
use crate::model::Timestamp;

/// So much of an answer is kept for whoever reads why a notice was refused.
const SAID_CHARACTERS_MAX: usize = 300;
/// Answers are read up to this: one of `_bulk` has about a megabyte.
const BODY_BYTES_MAX: usize = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than a server keeps a connection that nobody uses.
const IDLE: Duration = Duration::from_secs(15);

/// Where a receiver listens: `https://host/path`. Its path and query may hold keys, and so it shows its host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(reqwest::Url);

/// A text that is no such url. It is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a url; hint: allowed is `https://host/path` or `http://host:port/path`")]
pub struct UrlError;

impl Url {
    /// Reads a url.
    ///
    /// # Errors
    /// When it is none of HTTP.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let url = reqwest::Url::parse(text).map_err(|_| UrlError)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(UrlError);
        }
        Ok(Url(url))
    }

    /// Whether it has a query, or a user: what is no part of the place that is asked.
    pub fn has_more_than_a_place(&self) -> bool {
        let url = &self.0;
        url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some()
    }

    pub(super) fn reveal(&self) -> reqwest::Url {
        self.0.clone()
    }

    /// With a path behind its own.
    pub(super) fn joined(&self, path: &str) -> reqwest::Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        if self.0.path().len() > 1 || self.0.query().is_some() { f.write_str("/…") } else { Ok(()) }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A header that a user gives; its value may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: Secret,
}

/// A header that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Its name.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// Its value, which is not shown.
    #[error("the value of `{0}` cannot be sent; hint: it has a line break or another control character")]
    Value(String),
}

impl Header {
    /// Checks a header.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn new(name: &str, value: &str) -> Result<Header, HeaderError> {
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Name(name.to_owned()))?;
        HeaderValue::from_bytes(value.as_bytes()).map_err(|_| HeaderError::Value(name.to_owned()))?;
        Ok(Header { name: name.to_owned(), value: Secret::new(value) })
    }

    pub(super) fn add(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(&self.name, self.value.reveal().as_bytes())
    }
}

/// A text as one segment of a path.
pub(super) fn escaped(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// An id as a header can carry it: what is not visible ASCII is percent-encoded.
pub(super) fn id(id: &str) -> String {
    let encoded =
        |byte: u8| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    id.bytes().map(encoded).collect()
}

/// A file of certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be used: {reason}; hint: `ca_bundle` is a file of certificates in PEM form")]
pub struct CertificatesError {
    path: PathBuf,
    reason: String,
}

/// The certificates in a file.
///
/// # Errors
/// When it cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<Certificate>, CertificatesError> {
    let unusable = |reason: String| CertificatesError { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() { Err(unusable("it holds none".to_owned())) } else { Ok(certificates) }
}

/// A client that trusts these certificates besides the system's.
pub(super) fn client(timeout: Duration, ca_bundle: Option<&PathBuf>) -> Result<Client, ReceiverError> {
    // the process's default; whoever was first has chosen the same
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .pool_idle_timeout(IDLE)
        .redirect(Policy::none())
        .user_agent(concat!("tidewatch/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_bundle {
        for certificate in certificates(path)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| ReceiverError::Client(error.to_string()))
}

/// What a server said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: String,
    headers: HeaderMap,
}

/// Sends a request and reads its answer.
///
/// # Errors
/// With the outcome, where there is no whole answer.
pub(super) async fn ask(request: RequestBuilder, now: Timestamp) -> Result<Answer, Outcome> {
    let mut response = request.send().await.map_err(|error| unanswered(&error))?;
    let status = response.status();
    let retry_after = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| retry_after_of(text, now));
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Some(more) = response.chunk().await.map_err(|error| unanswered(&error))? {
        body.extend_from_slice(&more[..more.len().min(BODY_BYTES_MAX - body.len())]);
        if body.len() == BODY_BYTES_MAX {
            break;
        }
    }
    Ok(Answer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned(), headers })
}

/// No url in it: it may hold a key.
fn unanswered(error: &reqwest::Error) -> Outcome {
    let code = if error.is_timeout() {
        "Timeout"
    } else if error.is_connect() {
        "Connect"
    } else {
        "Connection"
    };
    // the innermost cause says most, and names no url
    let mut said = "the connection was lost".to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        said = cause.to_string();
        source = cause.source();
    }
    Outcome::down(code, if error.is_timeout() { "no answer in time".to_owned() } else { said })
}

/// Seconds, or a date.
fn retry_after_of(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
    let micros = date.timestamp_micros().saturating_sub(now.micros());
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

impl Answer {
    /// What it means for the notice that was sent: 2xx is taken; 408, 425, 429 and 5xx may pass; all else is final but for
    /// 401, 403 and 407: credentials expire, and whoever gives new ones wants what came in between.
    pub(super) fn outcome(&self) -> Outcome {
        if self.status.is_success() {
            return Outcome::Delivered;
        }
        let trouble = Trouble { code: self.status.as_u16().to_string(), message: self.said() };
        match self.status.as_u16() {
            401 | 407 | 408 | 425 | 429 | 502..=504 => {
                Outcome::Failed { trouble, retry_after: self.retry_after, is_down: true }
            }
            // 403 may be about this notice alone
            403 | 500.. => Outcome::Failed { trouble, retry_after: self.retry_after, is_down: false },
            _ => Outcome::Refused(trouble),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn said(&self) -> String {
        let reason = self.status.canonical_reason().unwrap_or("no reason given");
        let body: String = self.body.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let body: String = body.trim().chars().take(SAID_CHARACTERS_MAX).collect();
        if body.is_empty() { reason.to_owned() } else { format!("{reason}: {body}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_its_host_alone() {
        let shown = |text| Url::parse(text).unwrap().to_string();
        assert_eq!(shown("https://hooks.example.com/services/T0/B0/secret?key=1"), "https://hooks.example.com/…");
        assert_eq!(shown("http://127.0.0.1:9999/"), "http://127.0.0.1:9999");
        assert_eq!(shown("https://user:password@host.example"), "https://host.example");
        let url = |text: &str| Url::parse(text).unwrap().joined("_bulk").to_string();
        assert_eq!(url("http://h:1"), "http://h:1/_bulk");
        assert_eq!(url("http://h/es/?k=1"), "http://h/es/_bulk?k=1");
        for bad in ["", "host", "ftp://host/", "https://", "file:///etc/passwd"] {
            assert_eq!(Url::parse(bad), Err(UrlError), "{bad}");
        }
    }

    #[test]
    fn a_status_says_whether_to_try_again() {
        let outcome = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            Answer { status, retry_after: None, body: "why\nnot".into(), headers: HeaderMap::new() }.outcome()
        };
        assert_eq!(outcome(204), Outcome::Delivered);
        for status in [302, 400, 404, 410, 413] {
            assert!(matches!(outcome(status), Outcome::Refused(_)), "{status}");
        }
        for (status, down) in
            [(401, true), (403, false), (408, true), (429, true), (500, false), (501, false), (502, true), (503, true)]
        {
            let Outcome::Failed { trouble, is_down, .. } = outcome(status) else { panic!("{status}") };
            assert_eq!((is_down, trouble.code), (down, status.to_string()));
            assert!(trouble.message.ends_with(": why not"), "{}", trouble.message);
        }
    }

    #[test]
    fn a_server_says_when_to_come_again() {
        let now = Timestamp::from_micros(1_700_000_000_000_000).unwrap();
        assert_eq!(retry_after_of("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after_of("Tue, 14 Nov 2023 22:13:30 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after_of("Tue, 14 Nov 2023 22:13:10 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after_of("soon", now), None);
    }

    #[test]
    fn headers_are_checked_and_ids_fit_into_them() {
        assert!(Header::new("X-Key", "value").is_ok());
        assert_eq!(Header::new("X Key", "v"), Err(HeaderError::Name("X Key".into())));
        assert_eq!(Header::new("X-Key", "a\nb"), Err(HeaderError::Value("X-Key".into())));
        assert_eq!(id("views-2024 é\n"), "views-2024%20%C3%A9%0A");
    }
}
