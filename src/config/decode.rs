//! How records are written: `[decode]`.

use super::raw::Section;
use super::units::{KB, MB, usize_of};
use crate::decode::{Format as RecordFormat, Header};
use crate::model::CsvDialect;

/// How records are written.
#[derive(Clone, Debug)]
pub struct Decode {
    /// JSON lines or CSV.
    pub format: RecordFormat,
    /// A longer record is rejected.
    pub record_bytes_max: usize,
}

pub(super) fn decode(section: &Section<'_>) -> Option<Decode> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        JsonLines,
        Csv,
    }
    let kind = section.choice("format", Kind::JsonLines, &[("json_lines", Kind::JsonLines), ("csv", Kind::Csv)]);
    let delimiter = character(section, "delimiter", ',');
    let quote = character(section, "quote", '"');
    let names = section.texts("header");
    let record_bytes_max = usize_of(section.size("record_bytes_max", 10 * MB, KB..=1000 * MB));
    section.finish();
    let format = match kind {
        Kind::JsonLines => {
            let csv_only = ["delimiter", "quote", "header"].into_iter().filter(|key| section.has(key));
            csv_only.for_each(|key| section.problem(key, "is for `format = \"csv\"` alone"));
            RecordFormat::JsonLines
        }
        Kind::Csv => match CsvDialect::new(delimiter?, Some(quote?)) {
            Ok(dialect) => {
                let header = if names.is_empty() { Header::FirstRecord } else { Header::Names(names) };
                RecordFormat::Csv { dialect, header }
            }
            Err(error) => {
                section.problem("delimiter", &error.to_string());
                return None;
            }
        },
    };
    Some(Decode { format, record_bytes_max })
}

fn character(section: &Section<'_>, key: &'static str, default: char) -> Option<u8> {
    let text = section.text(key).unwrap_or_else(|| default.to_string());
    let byte = <[u8; 1]>::try_from(text.as_bytes()).ok();
    if byte.is_none() {
        section.problem(key, &format!("is `{text}`, allowed is one ASCII character"));
    }
    byte.map(|[byte]| byte)
}
