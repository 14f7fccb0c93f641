//! What a failed request means: the answer of a server, read for whether it is worth asking again and for what whoever
//! runs the job can do. Of a server's answer only its status, code and message are told.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};

use super::credentials::NoCredentials;

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Write,
    Create,
    Replace,
    Read,
    List,
    Delete,
}

impl Verb {
    pub(super) fn name(self) -> &'static str {
        match self {
            Verb::Write => "write",
            Verb::Create => "create",
            Verb::Replace => "replace",
            Verb::Read => "read",
            Verb::List => "list",
            Verb::Delete => "delete",
        }
    }

    /// The permission that it takes.
    fn action(self) -> &'static str {
        match self {
            Verb::Write | Verb::Create | Verb::Replace => "s3:PutObject",
            Verb::Read => "s3:GetObject",
            Verb::List => "s3:ListBucket",
            Verb::Delete => "s3:DeleteObject",
        }
    }
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no such object.
    Missing,
    /// There is an object of that name.
    Exists,
    /// The object is no longer the one that was to be replaced.
    Changed,
    /// It may work if it is tried again.
    Transient {
        /// Whether the request may have been served although its answer was not.
        ambiguous: bool,
    },
    /// The credentials have expired: new ones are worth a try.
    Expired,
    /// An upload in parts is no longer known: it has to begin anew.
    UploadGone,
    /// It would fail again.
    Refused,
    /// Something that is not about a server.
    Other,
}

/// A failure, understood.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// What was said, on one line.
    pub(super) said: String,
    code: Option<String>,
}

/// Codes of failures that pass, whatever their status is.
const PASSING: [&str; 12] = [
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "RequestExpired",
    "OperationAborted",
    "ConditionalRequestConflict",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "RequestLimitExceeded",
];
/// Of them, those that say that nothing was done.
const NOT_DONE: [&str; 4] = ["SlowDown", "RequestTimeTooSkewed", "RequestExpired", "ConditionalRequestConflict"];
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];

impl Fault {
    /// Understands an error.
    pub(super) fn of(error: &object_store::Error) -> Fault {
        let text = error.to_string();
        let status = status(&text);
        let code = element(&text, "Code");
        let kind = kind(error, &text, status, code.as_deref());
        Fault { kind, said: said(error, &text, status, code.as_deref()), code }
    }

    /// What would help.
    pub(super) fn hint(&self, verb: Verb, url: &str) -> String {
        let bucket = url.strip_prefix("s3://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let resource = match verb {
            Verb::List => format!("arn:aws:s3:::{bucket}"),
            _ => url.replacen("s3://", "arn:aws:s3:::", 1),
        };
        let code = self.code.as_deref().unwrap_or_default();
        let lower = self.said.to_lowercase();
        match code {
            "NoSuchBucket" => format!("make the bucket `{bucket}`, or check the url and the endpoint"),
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "AuthFailure" => {
                "check the credentials in the environment or the profile: access key, secret key, session token".into()
            }
            "NotImplemented" | "MethodNotAllowed" if verb != Verb::Read && verb != Verb::List => {
                "this server has no conditional writes, which keep two jobs apart; use one that has".into()
            }
            "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
                "set `store.s3.region` to the bucket's region".into()
            }
            _ if lower.contains("certificate") => "set `store.s3.ca_bundle` to the authority that signed it".into(),
            _ if lower.contains("redirect") => "set `store.s3.region` to the bucket's region".into(),
            _ if lower.contains("kms") => match verb {
                Verb::Read => "this takes kms:Decrypt on the key that encrypts the bucket".into(),
                _ => "this takes kms:GenerateDataKey and kms:Decrypt on the key that encrypts the bucket".into(),
            },
            "AccessDenied" | "AllAccessDisabled" | "Forbidden" => {
                let also = match verb {
                    Verb::Read => {
                        " (and s3:ListBucket on the bucket: without it an object that is not there is forbidden as well)"
                    }
                    _ => "",
                };
                format!("this takes {} on `{resource}`{also}", verb.action())
            }
            _ if self.said.starts_with("403") => format!("this takes {} on `{resource}`", verb.action()),
            _ if self.said.starts_with("no credentials") => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `store.s3.profile`".into()
            }
            _ => "check `[store.s3]`, the url and that the endpoint can be reached from here".into(),
        }
    }
}

fn kind(error: &object_store::Error, text: &str, status: Option<u16>, code: Option<&str>) -> Kind {
    if let Some(none) = find::<NoCredentials>(error) {
        return if none.is_transient { Kind::Transient { ambiguous: false } } else { Kind::Refused };
    }
    let code = code.unwrap_or_default();
    if PASSING.contains(&code) {
        return Kind::Transient { ambiguous: !NOT_DONE.contains(&code) };
    }
    if EXPIRED.contains(&code) {
        return Kind::Expired;
    }
    match (status, code) {
        (_, "NoSuchUpload") => return Kind::UploadGone,
        (_, "NoSuchBucket") => return Kind::Refused,
        (Some(501 | 505), _) => return Kind::Refused,
        // also 507, with which some servers say that they are full: an operator makes room, and the job goes on
        (Some(408 | 500..=599), _) => return Kind::Transient { ambiguous: true },
        (Some(429), _) => return Kind::Transient { ambiguous: false },
        // a page of something between us and the store, which knows nothing of its objects
        (Some(404), "") if text.contains('<') => return Kind::Transient { ambiguous: true },
        (Some(400 | 401 | 403 | 405), _) => return Kind::Refused,
        _ => {}
    }
    if text.contains("Got invalid list response") || text.contains("Got invalid multipart response") {
        return Kind::Transient { ambiguous: true };
    }
    match error {
        object_store::Error::NotFound { .. } => return Kind::Missing,
        object_store::Error::AlreadyExists { .. } => return Kind::Exists,
        object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => return Kind::Changed,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            return Kind::Refused;
        }
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => return Kind::Other,
        _ => {}
    }
    match find::<HttpError>(error) {
        // no use in asking a server again that cannot prove who it is
        Some(http) if chain(http).contains("certificate") => Kind::Refused,
        Some(http) => Kind::Transient { ambiguous: http.kind() != HttpErrorKind::Connect },
        None if status.is_some() || text.contains("Received redirect") => Kind::Refused,
        None => Kind::Other,
    }
}

/// Status, code and message where a server answered; the innermost cause where none did.
fn said(error: &object_store::Error, text: &str, status: Option<u16>, code: Option<&str>) -> String {
    let message = element(text, "Message");
    let said = match (status, code) {
        (Some(status), Some(code)) => format!("{status} {code}: {}", message.unwrap_or_default()),
        (None, Some(code)) => format!("{code}: {}", message.unwrap_or_default()),
        (Some(status), None) => format!("{status} without a reason"),
        (None, None) => match (find::<NoCredentials>(error), find::<HttpError>(error)) {
            (Some(none), _) => none.to_string(),
            (_, Some(http)) => chain(http),
            _ => text.to_owned(),
        },
    };
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    said.trim_end_matches([':', '.', ' ']).to_owned()
}

/// The status that the client's error names.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// The text of an element of the server's answer.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inner.to_owned())
}

fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What an error says and what each of its causes adds.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        next = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn answered(status: &str, code: &str) -> object_store::Error {
        let body = format!("<Error><Code>{code}</Code><Message>told\nso.</Message></Error>");
        let source =
            format!("Error performing PUT http://h/b/k in 1ms - Server returned non-2xx status code: {status}: {body}");
        object_store::Error::Generic { store: "S3", source: source.into() }
    }

    fn broken(kind: HttpErrorKind, said: &str) -> object_store::Error {
        let source = HttpError::new(kind, io::Error::other(said.to_owned()));
        object_store::Error::Generic { store: "S3", source: Box::new(source) }
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let transient = |ambiguous| Kind::Transient { ambiguous };
        for (error, kind) in [
            (answered("503 Service Unavailable", "SlowDown"), transient(false)),
            (answered("503 Service Unavailable", "ServiceUnavailable"), transient(true)),
            (answered("500 Internal Server Error", "InternalError"), transient(true)),
            (answered("400 Bad Request", "RequestTimeout"), transient(true)),
            (answered("403 Forbidden", "RequestTimeTooSkewed"), transient(false)),
            (answered("409 Conflict", "ConditionalRequestConflict"), transient(false)),
            (answered("429 Too Many Requests", "Whatever"), transient(false)),
            (answered("400 Bad Request", "ExpiredToken"), Kind::Expired),
            (answered("404 Not Found", "NoSuchUpload"), Kind::UploadGone),
            (answered("404 Not Found", "NoSuchBucket"), Kind::Refused),
            (answered("403 Forbidden", "AccessDenied"), Kind::Refused),
            (answered("403 Forbidden", "SignatureDoesNotMatch"), Kind::Refused),
            (answered("501 Not Implemented", "NotImplemented"), Kind::Refused),
            (broken(HttpErrorKind::Connect, "connection refused"), transient(false)),
            (broken(HttpErrorKind::Interrupted, "connection reset"), transient(true)),
            (broken(HttpErrorKind::Timeout, "timed out"), transient(true)),
            (broken(HttpErrorKind::Connect, "invalid peer certificate: UnknownIssuer"), Kind::Refused),
            (object_store::Error::Generic { store: "disk", source: "full".into() }, Kind::Other),
        ] {
            assert_eq!(Fault::of(&error).kind, kind, "{error}");
        }
    }

    #[test]
    fn an_answer_is_told_on_one_line_with_what_would_help() {
        let url = "s3://shop/out/data/x.csv";
        for (error, verb, said, hint) in [
            (
                answered("403 Forbidden", "AccessDenied"),
                Verb::Create,
                "403 AccessDenied: told so",
                "s3:PutObject on `arn:aws:s3:::shop/out/data/x.csv`",
            ),
            (
                answered("403 Forbidden", "AccessDenied"),
                Verb::List,
                "403 AccessDenied",
                "s3:ListBucket on `arn:aws:s3:::shop`",
            ),
            (answered("403 Forbidden", "AccessDenied"), Verb::Read, "403 AccessDenied", "s3:GetObject on"),
            (answered("403 Forbidden", "AccessDenied"), Verb::Delete, "403 AccessDenied", "s3:DeleteObject on"),
            (answered("404 Not Found", "NoSuchBucket"), Verb::Write, "404 NoSuchBucket", "make the bucket `shop`"),
            (answered("501 Not Implemented", "NotImplemented"), Verb::Create, "501", "conditional writes"),
            (
                broken(HttpErrorKind::Connect, "invalid peer certificate: UnknownIssuer"),
                Verb::Read,
                "invalid peer",
                "ca_bundle",
            ),
        ] {
            let fault = Fault::of(&error);
            assert!(fault.said.contains(said), "{said} in {}", fault.said);
            assert!(fault.hint(verb, url).contains(hint), "{hint} in {}", fault.hint(verb, url));
        }
    }
}
