//! What receivers share that are services of Amazon: a signed request, and what its answer means.

use std::time::Duration;

use super::http::{Answer, ask, client};
use super::{Outcome, ReceiverError, Trouble};
use crate::aws::{self, Service};
use crate::model::Timestamp;

/// Words of refusals that pass, whatever their status is: those of a busy service, and those of credentials and rights,
/// which expire and are given anew.
const PASSING: [&str; 15] = [
    "Throttl",
    "ExpiredToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "TooManyRequests",
    "LimitExceeded",
    "ThroughputExceeded",
    "ExpiredException",
    "AccessDenied",
    "AuthorizationError",
    "not authorized",
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "InvalidSignature",
];

/// A service, and how it is asked.
pub(super) struct Amazon(Service);

impl Amazon {
    pub(super) async fn open(
        settings: &aws::Settings,
        name: &'static str,
        timeout: Duration,
    ) -> Result<Amazon, ReceiverError> {
        let client = client(timeout, settings.ca_bundle.as_ref())?;
        Ok(Amazon(Service::open(settings, name, client).await?))
    }

    /// Asks; an answer is one with success.
    pub(super) async fn ask(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<Answer, Outcome> {
        let request = self.0.post(path, headers, body, now.micros()).await;
        let request = request.map_err(|error| Outcome::down("Credentials", error.to_string()))?;
        let answer = ask(request, now).await?;
        let passes = PASSING.iter().any(|word| answer.body.contains(word));
        match answer.outcome() {
            Outcome::Delivered => Ok(answer),
            Outcome::Refused(trouble) if !passes => Err(Outcome::Refused(trouble)),
            Outcome::Refused(trouble) => {
                Err(Outcome::Failed { trouble: hinted(trouble), retry_after: answer.retry_after, is_down: true })
            }
            Outcome::Failed { trouble, retry_after, is_down } => {
                // nor are the others taken before the credentials are right
                Err(Outcome::Failed { trouble: hinted(trouble), retry_after, is_down: is_down || passes })
            }
            Outcome::Untried => Err(Outcome::Untried),
        }
    }
}

/// What a refusal for want of rights calls for.
fn hinted(trouble: Trouble) -> Trouble {
    let wants = ["AccessDenied", "AuthorizationError", "not authorized"];
    if wants.iter().any(|word| trouble.message.contains(word)) {
        let message = format!("{}; hint: the credentials lack the right to do this", trouble.message);
        return Trouble { message, ..trouble };
    }
    trouble
}
