//! One value of a record before it is typed: a slice of the chunk wherever that is possible.

use std::borrow::Cow;

/// How much of a value a reject's reason shows.
const SHOWN_CHARS_MAX: usize = 64;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Not there, or null.
    Missing,
    /// A text, without quotes and escapes.
    Text(Cow<'a, str>),
    /// A JSON number or boolean, as it is written.
    Literal(&'a str),
    /// A JSON object or array, as it is written.
    Nested(&'a str),
}

impl Value<'_> {
    /// The value for a message.
    pub(super) fn shown(&self) -> &str {
        match self {
            Value::Missing => "",
            Value::Text(text) => text,
            Value::Literal(text) | Value::Nested(text) => text,
        }
    }
}

/// The beginning of a text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
