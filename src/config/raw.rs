//! What a configuration file says: sections and keys with their lines, read one by one. Reading a key that is wrong
//! notes a problem and gives nothing; a key that nobody reads is noted as unknown, with the nearest one that is known.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::units;
use crate::model::nearest;

/// A parsed file.
pub(super) struct Document<'a>(Spanned<DeTable<'a>>);

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Document<'a>, Problems> {
        DeTable::parse(text).map(Document).map_err(|error| {
            let line = error.span().map(|span| line_at(text, span.start));
            let message = format!("is not TOML: {}", error.message());
            Problems::new(vec![Problem { key: "file".into(), line, message }])
        })
    }
}

/// What reading a file needs and gathers.
pub(super) struct Context<'a> {
    text: &'a str,
    environment: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(text: &'a str, environment: &'a dyn Fn(&str) -> Option<String>) -> Context<'a> {
        Context { text, environment, problems: RefCell::new(Vec::new()) }
    }

    pub(super) fn into_problems(self) -> Problems {
        Problems::new(self.problems.into_inner())
    }

    fn note(&self, key: String, span_start: Option<usize>, message: String) {
        let line = span_start.map(|start| line_at(self.text, start));
        self.problems.borrow_mut().push(Problem { key, line, message });
    }
}

/// One section, perhaps missing from the file.
pub(super) struct Section<'a> {
    path: String,
    table: Option<&'a DeTable<'a>>,
    start: Option<usize>,
    known: RefCell<Vec<&'static str>>,
    context: &'a Context<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn root(document: &'a Document<'a>, context: &'a Context<'a>) -> Section<'a> {
        let table = Some(document.0.get_ref());
        Section { path: String::new(), table, start: None, known: RefCell::default(), context }
    }

    /// A section below this one; a missing one reads as empty.
    pub(super) fn section(&self, name: &'static str) -> Section<'a> {
        let value = self.get(name);
        let table = value.and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.problem(name, "must be a section");
                None
            }
        });
        self.below(self.key(name), table, value.map(|value| value.span().start))
    }

    /// The sections of an array of sections.
    pub(super) fn sections(&self, name: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.problem(name, &format!("must be an array of sections: write `[[{}]]`", self.key(name)));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    let path = format!("{}[{index}]", self.key(name));
                    sections.push(self.below(path, Some(table), Some(item.span().start)));
                }
                _ => self.problem(name, &format!("must be an array of sections: write `[[{}]]`", self.key(name))),
            }
        }
        sections
    }

    fn below(&self, path: String, table: Option<&'a DeTable<'a>>, start: Option<usize>) -> Section<'a> {
        Section { path, table, start, known: RefCell::default(), context: self.context }
    }

    /// Whether the file has this section.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the file has this key.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Whether the file has this key with an array, or a section, of nothing.
    pub(super) fn is_empty(&self, key: &'static str) -> bool {
        self.get(key).is_some_and(|value| match value.get_ref() {
            DeValue::Array(array) => array.is_empty(),
            DeValue::Table(table) => table.is_empty(),
            _ => false,
        })
    }

    /// A text.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        self.text_of(key, self.get(key)?)
    }

    /// A text that must be there.
    pub(super) fn required_text(&self, key: &'static str, example: &str) -> Option<String> {
        if !self.has(key) {
            self.missing(key, example);
        }
        let text = self.text(key)?;
        if text.is_empty() {
            self.problem(key, &format!("is empty; hint: for example `{key} = {example}`"));
        }
        Some(text)
    }

    /// One text, or an array of texts.
    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        self.get(key).map(|value| self.texts_of(key, value)).unwrap_or_default()
    }

    /// One time, or an array of them, each a text or one of TOML's own.
    pub(super) fn moments(&self, key: &'static str) -> Vec<String> {
        let moment = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::Datetime(datetime) => Some(datetime.to_string()),
            _ => self.text_of(key, value),
        };
        match self.get(key).map(|value| (value, value.get_ref())) {
            Some((_, DeValue::Array(array))) => array.iter().filter_map(moment).collect(),
            Some((value, _)) => moment(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// All keys of a section whose names are the user's own, with their texts.
    pub(super) fn entries(&self) -> Vec<(String, Vec<String>)> {
        let Some(table) = self.table else { return Vec::new() };
        table.iter().map(|(key, value)| (key.get_ref().to_string(), self.texts_of(key.get_ref(), value))).collect()
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(key, value, "`true` or `false`");
            default
        })
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let given = value.get_ref().as_integer();
        let given = given.and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
        given.filter(|given| range.contains(given)).unwrap_or_else(|| {
            self.wrong(key, value, &format!("a whole number from {} to {}", range.start(), range.end()));
            default
        })
    }

    /// A number.
    pub(super) fn number(&self, key: &'static str, default: f64, range: RangeInclusive<f64>) -> f64 {
        let Some(value) = self.get(key) else { return default };
        let given = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            _ => None,
        };
        given.filter(|given| range.contains(given)).unwrap_or_else(|| {
            self.wrong(key, value, &format!("a number from {} to {}", range.start(), range.end()));
            default
        })
    }

    /// A duration with its unit.
    pub(super) fn duration(&self, key: &'static str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let Some(value) = self.get(key) else { return default };
        let given = value.get_ref().as_str().and_then(units::duration);
        given.filter(|given| range.contains(given)).unwrap_or_else(|| {
            let (low, high) = (units::show_duration(*range.start()), units::show_duration(*range.end()));
            let example = units::show_duration(default);
            self.wrong(key, value, &format!("a duration from \"{low}\" to \"{high}\", such as \"{example}\""));
            default
        })
    }

    /// A size with its unit.
    pub(super) fn size(&self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let given = value.get_ref().as_str().and_then(units::size);
        given.filter(|given| range.contains(given)).unwrap_or_else(|| {
            let wanted = format!("a size from {} B to {} B, such as \"64MB\"", range.start(), range.end());
            self.wrong(key, value, &wanted);
            default
        })
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, default: T, choices: &[(&'static str, T)]) -> T {
        let Some(value) = self.get(key) else { return default };
        let given = value.get_ref().as_str();
        let chosen = given.and_then(|given| choices.iter().find(|(name, _)| *name == given));
        chosen.map_or_else(
            || {
                let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
                let near = given.and_then(|given| nearest(given, choices.iter().map(|(name, _)| *name)));
                let hint = near.map_or_else(String::new, |near| format!("; hint: did you mean `{near}`?"));
                self.wrong(key, value, &format!("{}{hint}", names.join(" or ")));
                default
            },
            |(_, choice)| *choice,
        )
    }

    /// Notes that a key must be there.
    pub(super) fn missing(&self, key: &'static str, example: &str) {
        self.known.borrow_mut().push(key);
        let message = format!("is missing; hint: for example `{key} = {example}`");
        self.context.note(self.key(key), self.start, message);
    }

    /// Notes a problem of a key.
    pub(super) fn problem(&self, key: &'static str, message: &str) {
        let start = self.get(key).map(|value| value.span().start).or(self.start);
        self.context.note(self.key(key), start, message.to_owned());
    }

    /// Notes a problem of the section as a whole.
    pub(super) fn section_problem(&self, message: &str) {
        self.context.note(self.path.clone(), self.start, message.to_owned());
    }

    /// Notes every key that nobody has read.
    pub(super) fn finish(&self) {
        let Some(table) = self.table else { return };
        let known = self.known.borrow();
        for (key, _) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let near = nearest(key.get_ref(), known.iter().copied());
            let mut names = known.clone();
            names.sort_unstable();
            names.dedup();
            let hint = near
                .map_or_else(|| format!("known are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
            self.context.note(self.key(key.get_ref()), Some(key.span().start), format!("is unknown; hint: {hint}"));
        }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        self.table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == key)).map(|(_, value)| value)
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let message = format!("is `{}`, allowed is {wanted}", show(value.get_ref()));
        self.context.note(self.key(key), Some(value.span().start), message);
    }

    fn texts_of(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Vec<String> {
        match value.get_ref() {
            DeValue::Array(array) => array.iter().filter_map(|item| self.text_of(key, item)).collect(),
            _ => self.text_of(key, value).into_iter().collect(),
        }
    }

    fn text_of(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<String> {
        let Some(text) = value.get_ref().as_str() else {
            // it may be a secret: it is not shown
            self.context.note(self.key(key), Some(value.span().start), "must be a text in quotes".to_owned());
            return None;
        };
        match substitute(text, self.context.environment) {
            Ok(text) => Some(text),
            Err(message) => {
                self.context.note(self.key(key), Some(value.span().start), message);
                None
            }
        }
    }
}

/// Puts environment variables in: `${NAME}`. Their values are never part of a message.
fn substitute(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut given = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or("has `${` without `}`")?;
        let value =
            environment(name).ok_or_else(|| format!("names the environment variable `{name}`, which is not set"))?;
        given.push_str(before);
        given.push_str(&value);
        rest = behind;
    }
    given.push_str(rest);
    Ok(given)
}

fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(integer) => integer.as_str().to_owned(),
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) => "an array".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
