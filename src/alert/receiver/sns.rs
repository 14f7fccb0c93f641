//! An SNS topic: each notice is published in several lengths, of which a subscriber gets the one that it can show. The
//! message's attributes are what subscriptions filter by: `notice_id`, `kind`, `severity`, `direction`, `measures`,
//! `dimensions`.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::amazon::Amazon;
use super::http::escaped;
use super::{Limits, Outcome, Receiver, ReceiverError, Writes, one_by_one};
use crate::alert::outbox::hash;
use crate::aws;
use crate::model::{Direction, Notice, Timestamp};

/// A message with its attributes is no larger; some is left for their names.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 - 8 * 1024;
const SUBJECT_CHARACTERS_MAX: usize = 99;
/// A subscription filters by so many values at most.
const VALUES_MAX: usize = 50;

/// Which topic.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its ARN.
    pub topic_arn: String,
    /// Whether every subscriber gets the same text, and not a length of its own.
    pub is_plain: bool,
    /// How the service is reached.
    pub aws: aws::Settings,
}

pub(super) struct Sns {
    service: Amazon,
    settings: Settings,
    writes: Writes,
}

impl Sns {
    pub(super) async fn open(settings: &Settings, writes: Writes, timeout: Duration) -> Result<Sns, ReceiverError> {
        let aws = settings.aws.in_region_of(&settings.topic_arn);
        let service = Amazon::open(&aws, "sns", timeout).await?;
        Ok(Sns { service, settings: settings.clone(), writes })
    }

    async fn send(&self, notice: &Notice, now: Timestamp) -> Outcome {
        let body = form(&self.publish(notice));
        let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        match self.service.ask("/", &headers, body.into_bytes(), now).await {
            Ok(_) => Outcome::Delivered,
            Err(outcome) => outcome,
        }
    }

    fn publish(&self, notice: &Notice) -> Vec<(String, String)> {
        let payload = String::from_utf8_lossy(&self.writes.payload(notice)).into_owned();
        let mut pairs = vec![
            ("Action".to_owned(), "Publish".to_owned()),
            ("Version".to_owned(), "2010-03-31".to_owned()),
            ("TopicArn".to_owned(), self.settings.topic_arn.clone()),
            ("Subject".to_owned(), subject(&notice.title)),
        ];
        if self.settings.is_plain {
            pairs.push(("Message".to_owned(), fitting(payload, notice)));
        } else {
            pairs.push(("MessageStructure".to_owned(), "json".to_owned()));
            pairs.push(("Message".to_owned(), structured(payload, notice)));
        }
        if self.settings.topic_arn.ends_with(".fifo") {
            pairs.push(("MessageGroupId".to_owned(), hash([&*notice.thread].into_iter())));
            pairs.push(("MessageDeduplicationId".to_owned(), hash([&*notice.id].into_iter())));
        }
        for (number, (name, kind, value)) in (1..).zip(attributes(notice)) {
            let entry = format!("MessageAttributes.entry.{number}");
            pairs.push((format!("{entry}.Name"), name.to_owned()));
            pairs.push((format!("{entry}.Value.DataType"), kind.to_owned()));
            pairs.push((format!("{entry}.Value.StringValue"), value));
        }
        pairs
    }
}

impl Receiver for Sns {
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

/// ASCII without control characters, which begins with a visible one.
fn subject(title: &str) -> String {
    let ascii: String = title.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect();
    ascii.trim().chars().take(SUBJECT_CHARACTERS_MAX).collect()
}

/// A length for each kind of subscriber.
fn structured(payload: String, notice: &Notice) -> String {
    let message = |default: &str, email: &str| json!({ "default": default, "email": email, "sms": notice.title });
    let whole = message(&payload, &notice.long_text).to_string();
    if whole.len() <= MESSAGE_BYTES_MAX {
        return whole;
    }
    message(&short(notice), &cut(&notice.text)).to_string()
}

fn fitting(payload: String, notice: &Notice) -> String {
    if payload.len() <= MESSAGE_BYTES_MAX { payload } else { short(notice) }
}

/// What is said where all there is to say does not fit.
fn short(notice: &Notice) -> String {
    let kind = notice.kind.name();
    let told = json!({
        "notice_id": notice.id, "notice_thread": notice.thread, "notice_kind": kind, "severity": notice.severity,
        "title": notice.title, "text": cut(&notice.text), "is_cut": true,
    });
    told.to_string()
}

/// A text of which three fit into one message, whatever its characters take when they are escaped.
fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_BYTES_MAX / 40).collect()
}

fn attributes(notice: &Notice) -> Vec<(&'static str, &'static str, String)> {
    let mut dimensions: Vec<String> = notice
        .slices
        .iter()
        .flat_map(|slice| slice.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        .collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    dimensions.truncate(VALUES_MAX);
    let direction = notice.direction.map(|direction| match direction {
        Direction::High => "high",
        Direction::Low => "low",
    });
    let array = |values: Vec<String>| Value::from(values).to_string();
    let mut attributes = vec![
        ("notice_id", "String", notice.id.clone()),
        ("kind", "String", notice.kind.name().to_owned()),
        ("severity", "Number", notice.severity.to_string()),
    ];
    attributes.extend(direction.map(|direction| ("direction", "String", direction.to_owned())));
    if !notice.measures.is_empty() {
        attributes.push(("measures", "String.Array", array(notice.measures.clone())));
    }
    if !dimensions.is_empty() {
        attributes.push(("dimensions", "String.Array", array(dimensions)));
    }
    attributes
}

/// Names and values as a form has them.
fn form(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notice;
    use crate::alert::tests::{group, notice as plain};

    #[test]
    fn a_subject_is_what_the_service_takes() {
        assert_eq!(subject("views low: é\n"), "views low: ??");
        assert_eq!(subject(&format!(" {}", "a".repeat(200))).len(), SUBJECT_CHARACTERS_MAX);
    }

    #[test]
    fn every_subscriber_has_its_length() {
        let told = notice::of_group(&group());
        let message: Value = serde_json::from_str(&structured("{\"a\":1}".into(), &told)).unwrap();
        assert_eq!((&message["default"], &message["sms"]), (&json!("{\"a\":1}"), &json!(told.title)));
        assert_eq!(message["email"], told.long_text);
        let long = structured("x".repeat(300_000), &Notice { text: "\u{1}".repeat(300_000), ..told.clone() });
        assert!(long.len() <= MESSAGE_BYTES_MAX, "{}", long.len());
        let message: Value = serde_json::from_str(&long).unwrap();
        let default: Value = serde_json::from_str(message["default"].as_str().unwrap()).unwrap();
        assert_eq!((&default["notice_id"], &default["is_cut"]), (&json!(told.id), &json!(true)));
    }

    #[test]
    fn attributes_are_those_to_filter_by() {
        let told = attributes(&notice::of_group(&group()));
        let expected = [
            ("notice_id", "String", "views-20240304-0425"),
            ("kind", "String", "opened"),
            ("severity", "Number", "81.5"),
            ("direction", "String", "low"),
            ("measures", "String.Array", "[\"views\"]"),
            ("dimensions", "String.Array", "[\"kind=web\",\"shop=a\",\"shop=b\"]"),
        ];
        assert_eq!(told.iter().map(|(name, kind, value)| (*name, *kind, value.as_str())).collect::<Vec<_>>(), expected);
        assert_eq!(attributes(&plain("a", "t")).len(), 5, "no empty list");
    }

    #[test]
    fn a_form_is_escaped() {
        assert_eq!(form(&[("a.1".into(), "x y&é".into()), ("b".into(), "=".into())]), "a.1=x%20y%26%C3%A9&b=%3D");
    }
}
