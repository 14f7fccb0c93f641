//! How records are written: JSON or CSV, and for CSV the delimiter and whether there is a header.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{DiscoverError, RECORD_BYTES_MAX, Run, times, without_line_end};
use crate::decode::value::{Value, shortened};
use crate::decode::{Format, Header, json, number};
use crate::model::{CsvDialect, CsvEnd, Framing};

/// In order of preference.
const DELIMITERS: [u8; 4] = *b",\t;|";
/// How many records decide.
const DECIDING_RECORDS: usize = 1000;
/// Share of the records that must follow a format.
const FORMAT_SHARE_MIN: f64 = 0.8;

/// Guesses the format.
pub(super) fn guess(runs: &[Run]) -> Result<Format, DiscoverError> {
    let mut lines = Counter::default();
    let mut first = None;
    for_each_record(runs, Framing::Lines, |_, record| {
        if lines.all < DECIDING_RECORDS {
            first.get_or_insert_with(|| shortened(record));
            lines.count(json::members(record).is_ok());
        }
    });
    let first = first.ok_or(DiscoverError::Empty)?;
    if lines.share() >= FORMAT_SHARE_MIN {
        return Ok(Format::JsonLines);
    }
    let guesses = DELIMITERS.iter().filter_map(|delimiter| CsvDialect::new(*delimiter, Some(b'"')).ok());
    let dialects = guesses.filter_map(|dialect| {
        let (fields, share) = width(runs, dialect)?;
        (fields > 1 && share >= FORMAT_SHARE_MIN).then_some((fields, dialect))
    });
    // of two that fit equally many fields, the first
    match dialects.reduce(|best, other| if other.0 > best.0 { other } else { best }) {
        Some((fields, dialect)) => Ok(Format::Csv { dialect, header: header(runs, dialect, fields) }),
        None => Err(DiscoverError::Unknown { first }),
    }
}

#[derive(Default)]
struct Counter {
    all: usize,
    good: usize,
}

impl Counter {
    fn count(&mut self, good: bool) {
        self.all += 1;
        self.good += usize::from(good);
    }

    #[expect(clippy::cast_precision_loss, reason = "at most a thousand records are counted")]
    fn share(&self) -> f64 {
        if self.all == 0 { 0.0 } else { self.good as f64 / self.all as f64 }
    }
}

/// The most frequent number of fields, and the share of the records that have it.
fn width(runs: &[Run], dialect: CsvDialect) -> Option<(usize, f64)> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut all = 0;
    for_each_record(runs, Framing::Csv(dialect), |_, record| {
        if all < DECIDING_RECORDS {
            all += 1;
            if let Some(fields) = fields(record, dialect) {
                *counts.entry(fields.len()).or_default() += 1;
            }
        }
    });
    let (fields, good) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some((fields, Counter { all, good }.share()))
}

/// The first record is a header when its fields are different names, none of them a number or a time, unless a column
/// holds its own name as a value.
fn header(runs: &[Run], dialect: CsvDialect, width: usize) -> Header {
    let mut first: Option<Vec<String>> = None;
    let mut repeated = 0;
    let mut seen = 0;
    for_each_record(runs, Framing::Csv(dialect), |place, record| {
        let Some(fields) = fields(record, dialect).filter(|_| seen < DECIDING_RECORDS) else { return };
        seen += 1;
        match &first {
            None if place == Place::First => first = Some(fields.into_iter().map(Cow::into_owned).collect()),
            // each file of several may have one
            Some(names) if place == Place::Within => {
                repeated += usize::from(names.iter().zip(&fields).any(|(name, field)| name == field));
            }
            _ => {}
        }
    });
    let is_name = |name: &String| !name.trim().is_empty() && number::float(name).is_none() && !times::is_time(name);
    match first {
        Some(names)
            if names.len() == width
                && repeated == 0
                && names.iter().all(is_name)
                && names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)) =>
        {
            Header::FirstRecord
        }
        _ => Header::Names((1..=width).map(|at| format!("column_{at}")).collect()),
    }
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the beginning of its source partition.
    First,
    /// Further on.
    Within,
}

/// Calls `on_record` with each record that is UTF-8 and not blank.
pub(super) fn for_each_record<'a>(runs: &'a [Run], framing: Framing, mut on_record: impl FnMut(Place, &'a str)) {
    for run in runs {
        let mut at = 0;
        while at < run.bytes.len() {
            let rest = &run.bytes[at..];
            let length = framing.first_end(rest, RECORD_BYTES_MAX).unwrap_or(rest.len());
            let place = if at == 0 && run.is_first { Place::First } else { Place::Within };
            match std::str::from_utf8(without_line_end(&rest[..length])) {
                Ok(record) if !record.trim().is_empty() => on_record(place, record),
                _ => {}
            }
            at += length;
        }
    }
}

type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// Calls `on_record` with the named fields of each CSV record that is no header; none where they do not follow it.
pub(super) fn for_each_csv_record<'a>(
    runs: &'a [Run],
    dialect: CsvDialect,
    header: &'a Header,
    mut on_record: impl FnMut(Option<Members<'a>>),
) {
    let mut names: Vec<Cow<'a, str>> = match header {
        Header::FirstRecord => Vec::new(),
        Header::Names(names) => names.iter().map(|name| Cow::Borrowed(name.as_str())).collect(),
    };
    for_each_record(runs, Framing::Csv(dialect), |place, record| {
        let fields = fields(record, dialect);
        if place == Place::First && *header == Header::FirstRecord {
            names = fields.unwrap_or_default();
            return;
        }
        let fields = fields.filter(|fields| fields.len() == names.len());
        on_record(fields.map(|fields| names.iter().cloned().zip(fields.into_iter().map(Value::Text)).collect()));
    });
}

/// The fields of one record; none where a quote is not closed.
fn fields(record: &str, dialect: CsvDialect) -> Option<Vec<Cow<'_, str>>> {
    let mut fields = Vec::new();
    let end = dialect.fields(record.as_bytes(), |field| fields.push(field.text(record, dialect)));
    (end != CsvEnd::OpenQuote).then_some(fields)
}
