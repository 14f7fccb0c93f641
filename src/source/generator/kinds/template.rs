//! Records by a template, in the manner of the Kinesis Data Generator: text with functions in double braces, whose arguments
//! are JSON.
//!
//! ```text
//! {"ticker": "{{random.arrayElement(["AAPL","MSFT"])}}", "price": {{random.number({"min":10,"max":60})}},
//!  "at": "{{date.utc}}"}
//! ```
//!
//! | function | gives |
//! |---|---|
//! | `random.number`, `random.number(99)`, `random.number({"min":10,"max":20})` | a whole number, 0 to 99999 without arguments |
//! | `random.float({"min":1,"max":2})` | a number with two decimals |
//! | `random.arrayElement(["a","b"])` | one of them |
//! | `random.weightedArrayElement({"weights":[0.9,0.1],"data":["a","b"]})` | one of them, by weight |
//! | `random.boolean`, `random.uuid`, `random.alphaNumeric(8)`, `internet.ip` | what they say |
//! | `date.now`, `date.utc`, `date.now("YYYY-MM-DD HH:mm:ss.SSS")` | the event time, UTC |
//! | `date.timestamp` | the event time in milliseconds since 1970 |
//!
//! A record is one line: line ends of the template are written as spaces. The date is the record's own event time and not
//! the clock's, so that the same seed gives the same bytes.

use std::fmt::Write as _;

use chrono::NaiveDateTime;
use serde_json::Value as Json;

use super::stock_trades::within;
use crate::model::nearest;
use crate::source::generator::random::Random;

const FUNCTIONS: [&str; 11] = [
    "random.number",
    "random.float",
    "random.arrayElement",
    "random.weightedArrayElement",
    "random.boolean",
    "random.uuid",
    "random.alphaNumeric",
    "internet.ip",
    "date.now",
    "date.utc",
    "date.timestamp",
];
/// Largest number where nothing is said.
const NUMBER_MAX: i64 = 99_999;
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const LETTERS_MAX: u64 = 1000;
/// How a date is written where nothing is said.
const ISO: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";
/// The words of a date format, and what they are here. Longer ones come before those that they begin with.
const DATE_WORDS: [(&str, &str); 10] = [
    ("YYYY", "%Y"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("HH", "%H"),
    ("mm", "%M"),
    ("SSS", "%3f"),
    ("ss", "%S"),
    ("ZZ", "+0000"),
    ("Z", "+00:00"),
];

/// A template that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing to write.
    #[error("is empty; hint: for example `{{\"at\":\"{{{{date.utc}}}}\",\"value\":{{{{random.number}}}}}}`")]
    Empty,
    /// Braces that are not closed.
    #[error("has `{{{{` without `}}}}` at `{0}`")]
    Open(String),
    /// A function that there is not.
    #[error("has the function `{name}`, which is not known; hint: {hint}")]
    Unknown {
        /// Its name.
        name: String,
        /// What may be meant.
        hint: String,
    },
    /// Arguments that a function cannot take.
    #[error("has `{call}`, whose arguments are wrong; hint: {hint}")]
    Arguments {
        /// The call.
        call: String,
        /// What they may be.
        hint: &'static str,
    },
}

/// A template, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Number(i64, i64),
    Float(f64, f64),
    OneOf(Vec<String>),
    /// Values with the sum of weights up to each, of a total of 1.
    Weighted(Vec<(f64, String)>),
    Boolean,
    Uuid,
    Letters(u64),
    Ip,
    Date(String),
    Millis,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// With the first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let text = text.trim().replace("\r\n", " ").replace(['\n', '\r'], " ");
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let (mut pieces, mut rest) = (Vec::new(), text.as_str());
        while let Some(open) = rest.find("{{").map(|open| innermost(rest, open)) {
            let (before, after) = rest.split_at(open);
            let (call, behind) =
                closed(&after[2..]).ok_or_else(|| TemplateError::Open(after.chars().take(40).collect()))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::parse(call.trim())?);
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Template(pieces))
    }

    /// Appends one record.
    pub(super) fn render(&self, time: NaiveDateTime, random: &mut Random, out: &mut Vec<u8>) {
        let mut text = String::new();
        // writing to a string cannot fail
        let _written = self.0.iter().try_for_each(|piece| piece.render(time, random, &mut text));
        out.extend_from_slice(text.as_bytes());
    }
}

/// Of `{{{` the first brace is text: a JSON object may begin with a function.
fn innermost(text: &str, open: usize) -> usize {
    let braces = text[open..].bytes().take_while(|byte| *byte == b'{').count();
    open + braces - 2
}

/// The call up to its braces, which may stand in quotes within it, and what follows them.
fn closed(text: &str) -> Option<(&str, &str)> {
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '{' => depth += 1,
            '}' if depth == 0 => return text[at..].strip_prefix("}}").map(|behind| (&text[..at], behind)),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

impl Piece {
    fn parse(call: &str) -> Result<Piece, TemplateError> {
        let (name, arguments) = match call.split_once('(') {
            None => (call, None),
            Some((name, rest)) => (name.trim_end(), Some(rest.trim_end().strip_suffix(')').unwrap_or(rest))),
        };
        if !FUNCTIONS.contains(&name) {
            let near = nearest(name, FUNCTIONS.into_iter());
            let hint = near.map_or_else(
                || format!("known are {}", FUNCTIONS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(TemplateError::Unknown { name: name.to_owned(), hint });
        }
        let wrong = |hint| TemplateError::Arguments { call: call.to_owned(), hint };
        let given = arguments.map(str::trim).filter(|arguments| !arguments.is_empty());
        let json = given.map(|arguments| serde_json::from_str::<Json>(arguments).map_err(|_| wrong("they are JSON")));
        let json = json.transpose()?;
        let piece = match name {
            "random.number" => {
                number(json.as_ref()).ok_or_else(|| wrong("a largest whole number, or {\"min\":10,\"max\":20}"))?
            }
            "random.float" => float(json.as_ref()).ok_or_else(|| wrong("{\"min\":1,\"max\":2}"))?,
            "random.arrayElement" => one_of(json.as_ref()).ok_or_else(|| wrong("some values: [\"a\",\"b\"]"))?,
            "random.weightedArrayElement" => weighted(json.as_ref())
                .ok_or_else(|| wrong("as many weights as values: {\"weights\":[0.9,0.1],\"data\":[\"a\",\"b\"]}"))?,
            "random.alphaNumeric" => {
                letters(json.as_ref()).ok_or_else(|| wrong("a number of letters from 1 to 1000"))?
            }
            "date.now" | "date.utc" => {
                date(json.as_ref()).ok_or_else(|| wrong("a format such as \"YYYY-MM-DD HH:mm:ss\""))?
            }
            _ if json.is_some() => return Err(wrong("it takes none")),
            "random.boolean" => Piece::Boolean,
            "random.uuid" => Piece::Uuid,
            "internet.ip" => Piece::Ip,
            _ => Piece::Millis,
        };
        Ok(piece)
    }

    fn render(&self, time: NaiveDateTime, random: &mut Random, out: &mut String) -> std::fmt::Result {
        match self {
            Piece::Text(text) => out.write_str(text),
            Piece::Number(low, high) => write!(out, "{}", within(*low, *high, random)),
            Piece::Float(low, high) => write!(out, "{:.2}", random.between(*low, *high)),
            Piece::OneOf(values) => {
                let at = usize::try_from(random.below(values.len() as u64)).unwrap_or(0);
                out.write_str(values.get(at).map_or("", String::as_str))
            }
            Piece::Weighted(values) => {
                let unit = random.unit();
                let value = values.iter().find(|(up_to, _)| unit < *up_to).or(values.last());
                out.write_str(value.map_or("", |(_, value)| value.as_str()))
            }
            Piece::Boolean => out.write_str(if random.below(2) == 0 { "false" } else { "true" }),
            Piece::Uuid => {
                // version 4, variant 1
                let (a, b) = (random.bits() & !0xf000 | 0x4000, random.bits() >> 2 | 1 << 63);
                let (first, second, third) = (a >> 32, a >> 16 & 0xffff, a & 0xffff);
                write!(out, "{first:08x}-{second:04x}-{third:04x}-{:04x}-{:012x}", b >> 48, b & 0xffff_ffff_ffff)
            }
            Piece::Letters(count) => (0..*count).try_for_each(|_| {
                let at = usize::try_from(random.below(LETTERS.len() as u64)).unwrap_or(0);
                out.write_char(char::from(LETTERS[at]))
            }),
            Piece::Ip => {
                let bits = random.bits();
                write!(out, "{}.{}.{}.{}", bits & 255, bits >> 8 & 255, bits >> 16 & 255, bits >> 24 & 255)
            }
            Piece::Date(format) => write!(out, "{}", time.format(format)),
            Piece::Millis => write!(out, "{}", time.and_utc().timestamp_millis()),
        }
    }
}

fn number(arguments: Option<&Json>) -> Option<Piece> {
    let Some(arguments) = arguments else { return Some(Piece::Number(0, NUMBER_MAX)) };
    if let Some(high) = arguments.as_i64() {
        return (0..i64::MAX).contains(&high).then_some(Piece::Number(0, high));
    }
    let bound = |name: &str, usual| arguments.as_object()?.get(name).map_or(Some(usual), Json::as_i64);
    let (low, high) = (bound("min", 0)?, bound("max", NUMBER_MAX)?);
    let is_countable = high.checked_sub(low).is_some_and(|span| (0..i64::MAX).contains(&span));
    is_countable.then_some(Piece::Number(low, high))
}

fn float(arguments: Option<&Json>) -> Option<Piece> {
    let bound = |name: &str| arguments?.as_object()?.get(name)?.as_f64();
    let (low, high) = (bound("min")?, bound("max")?);
    (low <= high && (high - low).is_finite()).then_some(Piece::Float(low, high))
}

fn one_of(arguments: Option<&Json>) -> Option<Piece> {
    let values: Vec<String> = arguments?.as_array()?.iter().map(text).collect();
    (!values.is_empty()).then_some(Piece::OneOf(values))
}

fn weighted(arguments: Option<&Json>) -> Option<Piece> {
    let values = arguments?.get("data")?.as_array()?;
    let weights: Vec<f64> = arguments?.get("weights")?.as_array()?.iter().filter_map(Json::as_f64).collect();
    let total: f64 = weights.iter().sum();
    let is_good = weights.len() == values.len() && weights.iter().all(|weight| *weight >= 0.0) && total > 0.0;
    let mut sum = 0.0;
    let pairs = weights.iter().zip(values).map(|(weight, value)| {
        sum += weight / total;
        (sum, text(value))
    });
    let pairs = pairs.collect();
    is_good.then_some(Piece::Weighted(pairs))
}

fn letters(arguments: Option<&Json>) -> Option<Piece> {
    let count = arguments.map_or(Some(1), Json::as_u64)?;
    (1..=LETTERS_MAX).contains(&count).then_some(Piece::Letters(count))
}

fn date(arguments: Option<&Json>) -> Option<Piece> {
    let Some(arguments) = arguments else { return Some(Piece::Date(ISO.to_owned())) };
    let (mut format, mut rest) = (String::new(), arguments.as_str().filter(|format| !format.is_empty())?);
    while let Some(next) = rest.chars().next() {
        if let Some((word, ours)) = DATE_WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            format.push_str(ours);
            rest = &rest[word.len()..];
        } else {
            if next == '%' {
                format.push('%');
            }
            format.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    Some(Piece::Date(format))
}

/// A value of a list as it is written: text without its quotes.
fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
