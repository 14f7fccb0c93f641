//! The values of made-up records and how they are written: numbers exactly, text with the quotes and escapes that it needs.

use std::io::Write;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// A number of hundredths.
    Hundredths(i64),
}

impl Value {
    fn push_number(&self, out: &mut Vec<u8>) -> bool {
        // writing to memory cannot fail
        match self {
            Value::Text(_) => return false,
            Value::Integer(number) => drop(write!(out, "{number}")),
            Value::Hundredths(number) => {
                let sign = if *number < 0 { "-" } else { "" };
                let size = number.unsigned_abs();
                drop(write!(out, "{sign}{}.{:02}", size / 100, size % 100));
            }
        }
        true
    }
}

/// Appends `{"time":"...","name":value,...}`.
pub(super) fn push_json((name, time): (&str, &str), names: &[&str], values: &[Value], out: &mut Vec<u8>) {
    drop(write!(out, "{{\"{name}\":\"{time}\""));
    for (name, value) in names.iter().zip(values) {
        drop(write!(out, ",\"{name}\":"));
        if !value.push_number(out)
            && let Value::Text(text) = value
        {
            out.extend_from_slice(serde_json::Value::from(text.as_str()).to_string().as_bytes());
        }
    }
    out.push(b'}');
}

/// Appends `time,value,...`.
pub(super) fn push_csv(time: &str, values: &[Value], out: &mut Vec<u8>) {
    out.extend_from_slice(time.as_bytes());
    for value in values {
        out.push(b',');
        if !value.push_number(out)
            && let Value::Text(text) = value
        {
            let needs_quotes = text.contains([',', '"', '\n', '\r']);
            let text = if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.clone() };
            out.extend_from_slice(text.as_bytes());
        }
    }
}
