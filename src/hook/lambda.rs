//! A hook that is an AWS Lambda function: each request is the payload of one invocation, which is waited for.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;

use super::http::{client, gone, read};
use super::{HookError, Now, Settings};
use crate::aws::{self, Service};
use crate::model::HookFault;

/// So much of what went wrong is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// A function.
pub(super) struct Function {
    service: Service,
    path: String,
    answer_bytes_max: usize,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Function {
    pub(super) async fn open(settings: &Settings, function: &str, aws: &aws::Settings) -> Result<Function, HookError> {
        let refused = |reason: String| HookError::Client { hook: Arc::clone(&settings.name), reason };
        let aws = aws.in_region_of(function);
        let certificates = aws.certificates().map_err(|error| refused(error.to_string()))?;
        let client = client(settings, |client| client, certificates.as_deref())?;
        let service = Service::open(&aws, "lambda", client).await.map_err(|error| refused(error.to_string()))?;
        let path = format!("/2015-03-31/functions/{}/invocations", encoded(function));
        Ok(Function { service, path, answer_bytes_max: settings.answer_bytes_max })
    }

    pub(super) async fn invoke(&self, request: &Bytes, now: &Now) -> Result<Vec<u8>, HookFault> {
        let headers =
            [("content-type", "application/json".to_owned()), ("x-amz-invocation-type", "RequestResponse".to_owned())];
        let request = self.service.post(&self.path, &headers, request.to_vec(), now.now().micros()).await;
        let request = request.map_err(|error| HookFault::Gone(error.to_string()))?;
        let response = request.send().await.map_err(gone)?;
        let (status, failed) = (response.status(), response.headers().contains_key("x-amz-function-error"));
        let body = read(response, self.answer_bytes_max).await?;
        let said = || String::from_utf8_lossy(&body).chars().take(SHOWN_CHARS_MAX).collect::<String>();
        match failed {
            _ if !status.is_success() => Err(HookFault::Status(format!("status {status}: {}", said()))),
            true => Err(HookFault::Status(format!("an error of the function: {}", said()))),
            false => Ok(body),
        }
    }
}

/// As a part of a path.
fn encoded(function: &str) -> String {
    let mut encoded = String::new();
    for byte in function.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // writing to a text does not fail
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_or_has_an_arn() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:clean:live";
        let region = |name: &str| aws::Settings::default().in_region_of(name).region;
        assert_eq!(region(arn).as_deref(), Some("eu-west-1"));
        assert_eq!((region("clean"), region("a:b:c:d")), (None, None));
        assert_eq!(encoded("a:b/c"), "a%3Ab%2Fc");
    }
}
