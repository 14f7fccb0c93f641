//! An AWS Lambda function: invoked once for each notice, with the message as its event. Waited for, so that a function that
//! fails is invoked again; or not (`invocation = "event"`), and then the service itself tries again.

use std::time::Duration;

use futures::future::BoxFuture;

use super::amazon::Amazon;
use super::http::{escaped, id};
use super::{Limits, Outcome, Receiver, ReceiverError, Trouble, Writes, one_by_one};
use crate::aws;
use crate::model::{Notice, Timestamp};

/// Which function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name or ARN, with a version or an alias behind `:` if one is meant.
    pub function: String,
    /// Whether it is not waited for.
    pub is_event: bool,
    /// How the service is reached.
    pub aws: aws::Settings,
}

pub(super) struct Lambda {
    service: Amazon,
    settings: Settings,
    writes: Writes,
}

impl Lambda {
    pub(super) async fn open(settings: &Settings, writes: Writes, timeout: Duration) -> Result<Lambda, ReceiverError> {
        let aws = settings.aws.in_region_of(&settings.function);
        let service = Amazon::open(&aws, "lambda", timeout).await?;
        Ok(Lambda { service, settings: settings.clone(), writes })
    }

    async fn send(&self, notice: &Notice, now: Timestamp) -> Outcome {
        let path = format!("/2015-03-31/functions/{}/invocations", escaped(&self.settings.function));
        let invocation = if self.settings.is_event { "Event" } else { "RequestResponse" };
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("x-amz-invocation-type", invocation.to_owned()),
            ("x-tidewatch-id", id(&notice.id)),
        ];
        match self.service.ask(&path, &headers, self.writes.payload(notice), now).await {
            Ok(answer) => match answer.header("x-amz-function-error") {
                None => Outcome::Delivered,
                Some(error) => {
                    let trouble = Trouble { code: format!("Function{error}"), message: answer.said() };
                    Outcome::Failed { trouble, retry_after: None, is_down: false }
                }
            },
            Err(outcome) => outcome,
        }
    }
}

impl Receiver for Lambda {
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
