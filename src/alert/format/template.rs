//! A message as a user writes it: text with `{{names}}` of what a notice has, checked when it is read.
//!
//! `{{name}}` puts a value in as it is, `{{name|json}}` as JSON, with its quotes. Names are those in [`NAMES`] and
//! `body.member.member`, which gives nothing where the body has no such member.

use serde_json::Value;

use super::table::direction;
use super::{About, instant, ours};
use crate::model::{Notice, nearest};

/// What can be put in besides members of the body.
pub(super) const NAMES: [&str; 16] = [
    "id",
    "thread",
    "kind",
    "time",
    "instant",
    "measures",
    "slices",
    "direction",
    "severity",
    "score",
    "title",
    "text",
    "long_text",
    "body",
    "route",
    "description",
];

/// A text with names in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
    is_json: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Value { name: String, is_json: bool },
}

/// A template that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An opening without its end.
    #[error("has `{{{{` without `}}}}`")]
    Open,
    /// A name that nothing has.
    #[error("has `{{{{{name}}}}}`; hint: {hint}")]
    Name {
        /// As given.
        name: String,
        /// What would be right.
        hint: String,
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When a name is unknown or an opening has no end.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, behind) = after.split_once("}}").ok_or(TemplateError::Open)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(value(inside.trim())?);
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        let is_json = text.trim_start().starts_with(['{', '[']) && !text.trim_start().starts_with("{{");
        Ok(Template { parts, is_json })
    }

    /// What it looks like: JSON where it begins as that does.
    pub(super) fn content_type(&self) -> &'static str {
        if self.is_json { "application/json" } else { "text/plain; charset=utf-8" }
    }

    /// The text for a notice.
    pub(super) fn fill(&self, notice: &Notice, about: &About) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Value { name, is_json } => {
                    let value = of(name, notice, about);
                    match value {
                        Value::Null if !is_json => {}
                        Value::String(given) if !is_json => text.push_str(&given),
                        given => text.push_str(&given.to_string()),
                    }
                }
            }
        }
        text
    }
}

fn value(inside: &str) -> Result<Part, TemplateError> {
    let (name, is_json) = match inside.split_once('|') {
        Some((name, filter)) if filter.trim() == "json" => (name.trim(), true),
        Some(_) => {
            let hint = "after `|` there is `json`, or nothing".to_owned();
            return Err(TemplateError::Name { name: inside.to_owned(), hint });
        }
        None => (inside, false),
    };
    if NAMES.contains(&name) || name.strip_prefix("body.").is_some_and(|path| !path.is_empty()) {
        return Ok(Part::Value { name: name.to_owned(), is_json });
    }
    let near = nearest(name, NAMES.iter().copied());
    let hint = near.map_or_else(
        || format!("known are {} and members of the body, such as `body.value`", NAMES.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Err(TemplateError::Name { name: name.to_owned(), hint })
}

fn of(name: &str, notice: &Notice, about: &About) -> Value {
    let joined = |texts: Vec<String>| Value::from(texts.join("; "));
    match name {
        "id" => notice.id.clone().into(),
        "thread" => notice.thread.clone().into(),
        "kind" => notice.kind.name().into(),
        "time" => notice.time.to_string().into(),
        "instant" => instant(notice, about.zone).to_string().into(),
        "measures" => joined(notice.measures.clone()),
        "slices" => joined(notice.slices.iter().map(ToString::to_string).collect()),
        "direction" => notice.direction.map(direction).into(),
        "severity" => notice.severity.into(),
        "score" => notice.score.into(),
        "title" => notice.title.clone().into(),
        "text" => notice.text.clone().into(),
        "long_text" => notice.long_text.clone().into(),
        "body" => ours(notice),
        "route" => about.route.clone().into(),
        "description" => about.description.clone().into(),
        path => {
            let members = path.strip_prefix("body.").unwrap_or(path).split('.');
            let mut value = &notice.body;
            for member in members {
                value = match member.parse::<usize>() {
                    Ok(index) if value.is_array() => &value[index],
                    _ => &value[member],
                };
            }
            value.clone()
        }
    }
}
