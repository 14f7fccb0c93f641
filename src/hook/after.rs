//! A hook behind the line: it gets what was found, and says of each whether it has it. What is asked and answered is that
//! of a destination function of Kinesis Analytics:
//!
//! ```text
//! asked     {"invocationId", "applicationArn", "records": [{"recordId", "data",
//!             "lambdaDeliveryRecordMetadata": {"retryHint"}}]}
//! answered  {"records": [{"recordId", "result": "Ok" | "DeliveryFailed"}]}
//! ```
//!
//! One attempt is made here; when the next one is, and what becomes of what fails for good, is for whoever asks.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::call::Caller;
use super::wire::{APPLICATION, Answer, parsed, shown};
use super::{HookError, Now, Settings};
use crate::model::HookFault;

const RESULTS: &str = "`Ok` or `DeliveryFailed`";

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its id, the same whenever it is told.
    pub id: String,
    /// How often it was told before.
    pub retry_hint: u32,
    /// What is said.
    pub data: Vec<u8>,
}

/// A hook behind the line.
#[derive(Debug)]
pub struct After(Caller);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    invocation_id: &'a str,
    application_arn: &'a str,
    records: Vec<Asked<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    record_id: &'a str,
    lambda_delivery_record_metadata: Metadata,
    data: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    retry_hint: u32,
}

impl After {
    /// Begins the hook.
    ///
    /// # Errors
    /// When it cannot begin.
    pub async fn open(settings: &Settings) -> Result<After, HookError> {
        Ok(After(Caller::open(settings).await?))
    }

    /// Tells of some things once; gives for each whether the hook has it.
    ///
    /// # Errors
    /// When there is no answer, or one that says nothing of what was asked.
    pub async fn tell(&self, told: &[Told], now: &Now) -> Result<Vec<Result<(), HookFault>>, HookFault> {
        let asked = |told: &Told| (told.id.clone(), told.retry_hint, STANDARD.encode(&told.data));
        let encoded: Vec<(String, u32, String)> = told.iter().map(asked).collect();
        let records = encoded.iter().map(|(id, retry_hint, data)| Asked {
            record_id: id,
            lambda_delivery_record_metadata: Metadata { retry_hint: *retry_hint },
            data: data.clone(),
        });
        let request = Request {
            invocation_id: told.first().map_or("", |told| &told.id),
            application_arn: APPLICATION,
            records: records.collect(),
        };
        // texts and numbers always become JSON
        let request = serde_json::to_vec(&request).unwrap_or_default().into();
        self.0.once(&request, now, &|answer: &[u8]| outcomes(answer, told)).await
    }
}

/// What the hook says of each.
fn outcomes(answer: &[u8], told: &[Told]) -> Result<Vec<Result<(), HookFault>>, HookFault> {
    let answer: Answer<'_> = parsed(answer)?;
    let asked: HashMap<&str, usize> = told.iter().enumerate().map(|(at, told)| (told.id.as_str(), at)).collect();
    let mut outcomes: Vec<Option<Result<(), HookFault>>> = vec![None; told.len()];
    for record in answer.records {
        let at = asked.get(&*record.record_id).copied();
        let Some(place) = at.and_then(|at| outcomes.get_mut(at)) else {
            return Err(HookFault::UnknownId(record.record_id.chars().take(100).collect()));
        };
        let outcome = match record.result.as_deref() {
            _ if place.is_some() => Err(HookFault::DoubledId),
            Some("Ok") => Ok(()),
            Some("DeliveryFailed") => Err(HookFault::DeliveryFailed),
            other => Err(HookFault::Result(shown(other), RESULTS)),
        };
        *place = Some(outcome);
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(HookFault::MissingId))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_answered_by_itself() {
        let told = |id: &str| Told { id: id.into(), retry_hint: 0, data: Vec::new() };
        let told = [told("a"), told("b"), told("c")];
        let read = |records: &str| outcomes(format!("{{\"records\": [{records}]}}").as_bytes(), &told);
        let of = |id: &str, result: &str| format!("{{\"recordId\": \"{id}\", \"result\": \"{result}\"}}");
        let answer = [of("b", "DeliveryFailed"), of("a", "Ok")].join(",");
        let expected = [Ok(()), Err(HookFault::DeliveryFailed), Err(HookFault::MissingId)];
        assert_eq!(read(&answer).unwrap(), expected);
        let answer = [of("a", "Ok"), of("a", "Ok"), of("b", "Dropped")].join(",");
        let answer = read(&answer).unwrap();
        assert_eq!(answer[0], Err(HookFault::DoubledId));
        assert!(matches!(answer[1], Err(HookFault::Result(..))));
        assert!(matches!(read(&of("x", "Ok")), Err(HookFault::UnknownId(_))));
        assert!(matches!(outcomes(b"", &told), Err(HookFault::NotJson(_))));
    }
}
