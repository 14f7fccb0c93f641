//! What went wrong with a call, by what has to be done about it. Whatever may pass is ridden out by the readers for as
//! long as it takes; the rest ends the job with a word on what to change.

use std::error::Error;
use std::fmt;

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use super::settings::StreamName;
use crate::aws::AwsError;
use crate::model::SourcePartition;

/// Why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KinesisError {
    /// The settings for Amazon's services cannot be used.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// There is no such stream, or no such shard in it any more.
    #[error(
        "stream `{stream}` was not found (`kinesis:{action}`: {message}); hint: check `stream`, `region` and the account of \
         the credentials; a stream that was deleted is gone with its records"
    )]
    NotFound {
        /// The stream.
        stream: StreamName,
        /// What was asked.
        action: &'static str,
        /// What the service said.
        message: String,
    },
    /// A permission is missing.
    #[error(
        "`kinesis:{action}` on stream `{stream}` is denied: {message}; hint: allow `kinesis:{action}` in the policy of the \
         user or role that reads"
    )]
    Denied {
        /// The missing permission.
        action: &'static str,
        /// The stream.
        stream: StreamName,
        /// What the service said.
        message: String,
    },
    /// The service does not accept the credentials.
    #[error(
        "the credentials for stream `{stream}` are refused (`{code}`: {message}); hint: check the access key, the profile \
         or the role, and that the session has not expired"
    )]
    Credentials {
        /// The stream.
        stream: StreamName,
        /// The service's name for it.
        code: String,
        /// What the service said.
        message: String,
    },
    /// The records are encrypted and may not be decrypted.
    #[error(
        "the key of stream `{stream}` cannot be used (`{code}`: {message}); hint: allow `kms:Decrypt` on the stream's key, \
         and see that the key is enabled"
    )]
    Key {
        /// The stream.
        stream: StreamName,
        /// The service's name for it.
        code: String,
        /// What the service said.
        message: String,
    },
    /// The service does not take a position that was noted.
    #[error(
        "shard `{shard}` cannot be read from `{position}`: {message}; hint: does the state belong to another stream of this \
         name? then give the job a new state"
    )]
    Position {
        /// The shard.
        shard: SourcePartition,
        /// From where.
        position: String,
        /// What the service said.
        message: String,
    },
    /// The service refused a call for another reason.
    #[error("`kinesis:{action}` on stream `{stream}` failed (`{code}`): {message}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// The stream.
        stream: StreamName,
        /// The service's name for it.
        code: String,
        /// What the service said.
        message: String,
    },
    /// The service did not answer when the job began.
    #[error(
        "stream `{stream}` cannot be reached (`kinesis:{action}`): {reason}; hint: check `region`, `endpoint_url`, the \
         network and that there are credentials"
    )]
    Unreachable {
        /// What was asked.
        action: &'static str,
        /// The stream.
        stream: StreamName,
        /// What failed, innermost last.
        reason: String,
    },
    /// The stream is not there yet or not any more.
    #[error("stream `{stream}` is `{status}`; hint: it can be read while it is `ACTIVE` or `UPDATING`")]
    Status {
        /// The stream.
        stream: StreamName,
        /// Its status.
        status: String,
    },
    /// A consumer for enhanced fan-out cannot be used.
    #[error("consumer `{consumer}` of stream `{stream}` is `{status}`; hint: it can be used while it is `ACTIVE`")]
    Consumer {
        /// The consumer.
        consumer: String,
        /// The stream.
        stream: StreamName,
        /// Its status.
        status: String,
    },
    /// An answer that the service never gives.
    #[error("shard `{shard}` gave a record with sequence number `{sequence}`, which is no number of up to 76 digits")]
    Sequence {
        /// The shard.
        shard: String,
        /// What it gave.
        sequence: String,
    },
    /// A reader failed; a fault of ours.
    #[error("the reader of a shard failed: {0}")]
    Reader(String),
}

/// A call that failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// It may pass: what it was, in a few words.
    Passing(String),
    /// Too many calls, or too many bytes, for now.
    Throttled(String),
    /// The iterator is too old.
    Expired,
    /// The service does not take what it was given.
    Invalid(String),
    /// It will not pass.
    Fatal(KinesisError),
}

impl Fault {
    /// As an error, where it is not ridden out.
    pub(super) fn into_error(self, action: &'static str, stream: &StreamName) -> KinesisError {
        let stream = stream.clone();
        match self {
            Fault::Fatal(error) => error,
            Fault::Passing(reason) | Fault::Throttled(reason) => KinesisError::Unreachable { action, stream, reason },
            Fault::Expired => {
                let (code, message) = ("ExpiredIteratorException".to_owned(), "the iterator is too old".to_owned());
                KinesisError::Refused { action, stream, code, message }
            }
            Fault::Invalid(message) => {
                KinesisError::Refused { action, stream, code: "InvalidArgumentException".to_owned(), message }
            }
        }
    }
}

/// What a failed call of an action on a stream means.
pub(super) fn fault_of<E>(error: &SdkError<E, HttpResponse>, action: &'static str, stream: &StreamName) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    fault(error, status, action, stream)
}

/// What a failed subscription means.
pub(super) fn event_fault_of<E, R>(error: &SdkError<E, R>, action: &'static str, stream: &StreamName) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
{
    fault(error, 0, action, stream)
}

fn fault<E, R>(error: &SdkError<E, R>, status: u16, action: &'static str, stream: &StreamName) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
{
    let Some(service) = error.as_service_error() else {
        return Fault::Passing(reason(error));
    };
    let code = service.code().unwrap_or_default();
    let message = service.message().unwrap_or("no message").to_owned();
    let known = known_fault(code, message.clone(), action, stream);
    known.unwrap_or_else(|| unknown_fault(code, status, message, action, stream))
}

/// The whole chain of causes, without the raw answer.
fn reason<E: Error + 'static, R: fmt::Debug + 'static>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        other => {
            let mut text = String::new();
            let mut cause: Option<&dyn Error> = Some(other);
            while let Some(error) = cause {
                let part = error.to_string();
                if !text.contains(&part) {
                    text.push_str(if text.is_empty() { "" } else { ": " });
                    text.push_str(&part);
                }
                cause = error.source();
            }
            text
        }
    }
}

/// A fault whose meaning follows from the service's own name for it.
fn known_fault(code: &str, message: String, action: &'static str, stream: &StreamName) -> Option<Fault> {
    let stream = stream.clone();
    let code = code.strip_suffix("Exception").unwrap_or(code);
    Some(match code {
        "ExpiredIterator" => Fault::Expired,
        "ProvisionedThroughputExceeded" | "LimitExceeded" | "KMSThrottling" | "Throttling" | "Throttled"
        // a subscription that follows the last one too closely
        | "ResourceInUse" | "TooManyRequests" | "RequestLimitExceeded" | "RequestThrottled" | "SlowDown" => {
            Fault::Throttled(format!("`{code}`: {message}"))
        }
        // clocks that differ: the SDK learns the difference from the answer
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" | "RequestTimeout" | "InternalFailure"
        | "InternalServerError" | "InternalError" | "ServiceUnavailable" | "ExpiredToken" => {
            Fault::Passing(format!("`{code}`: {message}"))
        }
        "InvalidSignature" if message.contains("Signature expired") || message.contains("not yet current") => {
            Fault::Passing(format!("`{code}`: {message}"))
        }
        "InvalidArgument" | "Validation" => Fault::Invalid(message),
        "ResourceNotFound" => Fault::Fatal(KinesisError::NotFound { stream, action, message }),
        "AccessDenied" | "NotAuthorized" | "Unauthorized" => {
            Fault::Fatal(KinesisError::Denied { action, stream, message })
        }
        "UnrecognizedClient" | "InvalidClientTokenId" | "InvalidSignature" | "MissingAuthenticationToken"
        | "IncompleteSignature" | "InvalidAccessKeyId" | "OptInRequired" | "SubscriptionRequired" => {
            Fault::Fatal(KinesisError::Credentials { stream, code: code.to_owned(), message })
        }
        _ if code.starts_with("KMS") => Fault::Fatal(KinesisError::Key { stream, code: code.to_owned(), message }),
        _ => return None,
    })
}

/// A fault whose name says nothing: server errors may pass, and so may whatever has no name, because it came from
/// something in between.
fn unknown_fault(code: &str, status: u16, message: String, action: &'static str, stream: &StreamName) -> Fault {
    if status == 429 {
        return Fault::Throttled(format!("status {status} `{code}`: {message}"));
    }
    if code.is_empty() || !(400..500).contains(&status) {
        return Fault::Passing(format!("status {status} `{code}`: {message}"));
    }
    let (stream, code) = (stream.clone(), code.to_owned());
    Fault::Fatal(KinesisError::Refused { action, stream, code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: &str, status: u16, message: &str) -> Fault {
        let stream = StreamName::parse("orders").unwrap();
        known_fault(code, message.to_owned(), "GetRecords", &stream)
            .unwrap_or_else(|| unknown_fault(code, status, message.to_owned(), "GetRecords", &stream))
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        let word = |code, status, message: &str| match fault(code, status, message) {
            Fault::Passing(_) => "passing",
            Fault::Throttled(_) => "throttled",
            Fault::Expired => "expired",
            Fault::Invalid(_) => "invalid",
            Fault::Fatal(KinesisError::Denied { .. }) => "denied",
            Fault::Fatal(KinesisError::NotFound { .. }) => "not found",
            Fault::Fatal(KinesisError::Key { .. }) => "key",
            Fault::Fatal(KinesisError::Credentials { .. }) => "credentials",
            Fault::Fatal(_) => "fatal",
        };
        for (code, status, message, expected) in [
            ("ExpiredIteratorException", 400, "", "expired"),
            ("ProvisionedThroughputExceededException", 400, "", "throttled"),
            ("LimitExceededException", 400, "", "throttled"),
            ("KMSThrottlingException", 400, "", "throttled"),
            ("ThrottlingException", 400, "", "throttled"),
            ("", 429, "", "throttled"),
            ("InternalFailure", 500, "", "passing"),
            ("SomethingNew", 503, "", "passing"),
            ("", 404, "", "passing"),
            ("InvalidSignatureException", 403, "Signature expired: now earlier than then", "passing"),
            ("InvalidSignatureException", 403, "The signature does not match", "credentials"),
            ("UnrecognizedClientException", 400, "", "credentials"),
            ("AccessDeniedException", 400, "", "denied"),
            ("ResourceNotFoundException", 400, "", "not found"),
            ("KMSAccessDeniedException", 400, "", "key"),
            ("KMSDisabledException", 400, "", "key"),
            ("InvalidArgumentException", 400, "", "invalid"),
            ("ValidationException", 400, "", "invalid"),
            ("SomethingNew", 400, "", "fatal"),
        ] {
            assert_eq!(word(code, status, message), expected, "{code} {status} {message}");
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        let Fault::Fatal(error) = fault("AccessDeniedException", 400, "no") else { panic!("fatal") };
        let text = error.to_string();
        assert!(text.contains("`kinesis:GetRecords` on stream `orders` is denied: no; hint: allow"), "{text}");
    }
}
