//! What a receiver gets: a notice as bytes, in one of the shapes that receivers know. Pure.
//!
//! Every shape carries the notice's id, so that a repeat is recognised (A1). The shapes of JSON are on one line.

mod lookout;
mod pagerduty;
mod slack;
mod table;
mod template;

use serde_json::{Map, Value};

use super::secret::Secret;
use crate::model::{Notice, Timestamp, Zone};

pub use lookout::Lookout;
pub use template::{Template, TemplateError};

/// The shape of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Ours: the notice's body, with its id, thread and kind.
    Tidewatch,
    /// The alert of Amazon Lookout for Metrics.
    Lookout(Lookout),
    /// Lines for people.
    Text,
    /// A message of Slack's incoming webhooks, which Mattermost and others take as well.
    Slack,
    /// An event of `PagerDuty` (Events API v2), with its integration key.
    Pagerduty(Secret),
    /// A line of a CSV table.
    Csv,
    /// What a user wrote.
    Template(Template),
}

/// What a message says of where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The route by which it is sent.
    pub route: String,
    /// What that is for, in the user's words.
    pub description: Option<String>,
    /// The zone of the times in notices.
    pub zone: Zone,
}

impl Format {
    /// A notice in this shape, without a line end.
    pub fn payload(&self, notice: &Notice, about: &About) -> Vec<u8> {
        match self {
            Format::Tidewatch => ours(notice).to_string().into_bytes(),
            Format::Lookout(names) => lookout::alert(names, notice, about).to_string().into_bytes(),
            Format::Text => format!("{}\n{}\nid {}", notice.title, notice.long_text, notice.id).into_bytes(),
            Format::Slack => slack::message(notice).to_string().into_bytes(),
            Format::Pagerduty(key) => pagerduty::event(key, notice, about).to_string().into_bytes(),
            Format::Csv => table::line(notice),
            Format::Template(template) => template.fill(notice, about).into_bytes(),
        }
    }

    /// What a table begins with, without a line end.
    pub fn header(&self) -> Option<Vec<u8>> {
        (*self == Format::Csv).then(table::header)
    }

    /// How it is called where content has a type.
    pub fn content_type(&self) -> &'static str {
        match self {
            Format::Tidewatch | Format::Lookout(_) | Format::Slack | Format::Pagerduty(_) => "application/json",
            Format::Text => "text/plain; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Template(template) => template.content_type(),
        }
    }

    /// How it is called in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Format::Tidewatch => "tidewatch",
            Format::Lookout(_) => "lookout",
            Format::Text => "text",
            Format::Slack => "slack",
            Format::Pagerduty(_) => "pagerduty",
            Format::Csv => "csv",
            Format::Template(_) => "template",
        }
    }
}

/// The body with what tells a notice from others; a body that is no object is the member `body`.
pub(super) fn ours(notice: &Notice) -> Value {
    let mut members = match &notice.body {
        Value::Object(members) => members.clone(),
        other => Map::from_iter([("body".to_owned(), other.clone())]),
    };
    members.insert("notice_id".into(), notice.id.clone().into());
    members.insert("notice_kind".into(), notice.kind.name().into());
    members.insert("notice_thread".into(), notice.thread.clone().into());
    Value::Object(members)
}

/// The instant at which the notice's interval begins; local times that a zone skips are taken as those of UTC.
pub(super) fn instant(notice: &Notice, zone: Zone) -> Timestamp {
    let utc = || Timestamp::from_micros(notice.time.and_utc().timestamp_micros()).unwrap_or(Timestamp::MAX);
    zone.to_instant(notice.time).unwrap_or_else(|_| utc())
}

#[cfg(test)]
mod tests;
