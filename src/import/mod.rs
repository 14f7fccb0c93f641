//! Descriptions of other detectors become a configuration: a Lookout for Metrics detector with its dataset and alerts, a
//! Kinesis Analytics SQL text, an OpenSearch detector. What kind a text is follows from its content. Every line that is
//! written says what it came from; what cannot be translated is named and never guessed.
//!
//! Texts come in and a text goes out: no file is read or written here, and none of the services is asked.

mod draft;
mod json;
mod lookout;
mod opensearch;
mod sql;

use serde_json::Value;

use self::draft::Draft;
use self::json::Object;

/// A text that describes a detector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is called: its file.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What became of some descriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The configuration, as TOML with comments.
    pub toml: String,
    /// What was not translated; the configuration has it in its comments as well.
    pub untranslated: Vec<String>,
}

/// Why nothing can be made of the descriptions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// No description at all.
    #[error("there is no description to read")]
    Nothing,
    /// A text of no known kind.
    #[error(
        "`{name}` is no description that is known; hint: the JSON of Lookout's DescribeAnomalyDetector, DescribeMetricSet and \
         DescribeAlert, an OpenSearch detector's JSON, or the SQL of a Kinesis Analytics application"
    )]
    Unknown {
        /// The text.
        name: String,
    },
    /// JSON that ends or breaks off.
    #[error("`{name}` is broken JSON: {reason}")]
    Json {
        /// The text.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Descriptions of different systems.
    #[error("`{name}` describes {here} and `{other}` {there}; hint: import one detector at a time")]
    Mixed {
        /// The text.
        name: String,
        /// What it describes.
        here: &'static str,
        /// An earlier text.
        other: String,
        /// What that describes.
        there: &'static str,
    },
    /// More than one of what there can be one of.
    #[error("`{name}` is a second {what}; hint: import one detector at a time")]
    Second {
        /// The text.
        name: String,
        /// What.
        what: &'static str,
    },
    /// A Lookout detector without its dataset.
    #[error(
        "no dataset is described; hint: add the JSON of `aws lookoutmetrics describe-metric-set`, which has the columns"
    )]
    NoDataset,
    /// SQL without anything that can be translated.
    #[error("no statement of `{name}` could be translated: {reason}")]
    Sql {
        /// The text.
        name: String,
        /// What is wrong with the first of them.
        reason: String,
    },
}

/// One system's description, as far as its kind is known.
enum Part {
    Lookout(lookout::Part),
    OpenSearch(Object),
    Sql(String),
}

impl Part {
    fn kind(&self) -> &'static str {
        match self {
            Part::Lookout(_) => "a Lookout detector",
            Part::OpenSearch(_) => "an OpenSearch detector",
            Part::Sql(_) => "a Kinesis Analytics application",
        }
    }
}

/// Translates the descriptions of one detector.
///
/// # Errors
/// When a text is of no known kind or broken, the descriptions are not of one detector, or nothing can be made of them.
pub fn import(descriptions: &[Description]) -> Result<Imported, ImportError> {
    let mut parts: Vec<(String, Part)> = Vec::new();
    for description in descriptions {
        for part in recognised(description)? {
            if let Some((other, first)) = parts.first().filter(|(_, first)| first.kind() != part.kind()) {
                return Err(ImportError::Mixed {
                    name: description.name.clone(),
                    here: part.kind(),
                    other: other.clone(),
                    there: first.kind(),
                });
            }
            parts.push((description.name.clone(), part));
        }
    }
    let mut draft = Draft::default();
    let names: Vec<String> = descriptions.iter().map(|description| description.name.clone()).collect();
    let kind = parts.first().map(|(_, part)| part.kind()).ok_or(ImportError::Nothing)?;
    draft.about(&format!("Written by `tidewatch import` from {kind}: {}.", names.join(", ")));
    let (mut lookout, mut opensearch, mut sql) = (Vec::new(), Vec::new(), Vec::new());
    for (name, part) in parts {
        match part {
            Part::Lookout(part) => lookout.push((name, part)),
            Part::OpenSearch(object) => opensearch.push((name, object)),
            Part::Sql(text) => sql.push((name, text)),
        }
    }
    if !lookout.is_empty() {
        lookout::translate(&mut draft, lookout)?;
    }
    if let Some((name, _)) = opensearch.get(1) {
        return Err(ImportError::Second { name: name.clone(), what: "OpenSearch detector" });
    }
    if let Some((_, object)) = opensearch.pop() {
        opensearch::translate(&mut draft, &object);
    }
    if let Some((name, _)) = sql.first().cloned() {
        let text = sql.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n;\n");
        sql::translate(&mut draft, &text).map_err(|reason| ImportError::Sql { name, reason })?;
    }
    Ok(Imported { toml: draft.toml(), untranslated: draft.untranslated().to_vec() })
}

/// What a text describes: JSON values, one after the other, or SQL.
fn recognised(description: &Description) -> Result<Vec<Part>, ImportError> {
    let Description { name, text } = description;
    let unknown = || ImportError::Unknown { name: name.clone() };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with(['{', '[']) {
        return if sql::is_sql(text) { Ok(vec![Part::Sql(text.to_owned())]) } else { Err(unknown()) };
    }
    let mut parts = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|error| ImportError::Json { name: name.clone(), reason: error.to_string() })?;
        let values = if let Value::Array(values) = value { values } else { vec![value] };
        for value in values {
            let Value::Object(object) = value else { return Err(unknown()) };
            parts.extend(part(object).ok_or_else(unknown)?);
        }
    }
    if parts.is_empty() { Err(unknown()) } else { Ok(parts) }
}

fn part(object: Object) -> Option<Vec<Part>> {
    if let Some(object) = opensearch::recognised(&object) {
        return Some(vec![Part::OpenSearch(object)]);
    }
    lookout::recognised(object).map(|parts| parts.into_iter().map(Part::Lookout).collect())
}

#[cfg(test)]
mod tests;
