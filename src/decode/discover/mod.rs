//! What a sample of records looks like: how they are written, which columns they have, and which of these are the event
//! time, dimensions and measures. A guess for `discover` to write down and for `check` to compare with; a job decodes
//! only what its configuration says.

mod column;
mod layout;
mod times;

use std::borrow::Cow;
use std::collections::BTreeMap;

use self::column::Observed;
use super::value::Value;
use super::{BYTE_ORDER_MARK, Format, TimestampFormat, json, without_line_end};
use crate::model::{Chunk, ColumnType, MeasureType, Timestamp, Zone};

/// A longer record is none.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// A column has a type when this share of its values is of it; the others will be rejects.
const TYPE_SHARE_MIN: f64 = 0.95;

/// What a sample looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovery {
    /// How records are written.
    pub format: Format,
    /// How many were looked at.
    pub records: u64,
    /// How many of them do not follow the format.
    pub malformed: u64,
    /// In the order in which they first come.
    pub columns: Vec<ColumnReport>,
}

impl Discovery {
    /// The column that most looks like the event time, with how it is written.
    pub fn timestamp(&self) -> Option<(&ColumnReport, &TimeReport)> {
        let column = self.columns.iter().find(|column| column.role == Role::Timestamp)?;
        Some((column, column.times.as_ref()?))
    }
}

/// What the sample says about one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// The type that nearly all its values have.
    pub kind: ColumnType,
    /// What it looks made for.
    pub role: Role,
    /// Share of the records in which it is missing, null or empty.
    pub missing_share: f64,
    /// How many different values it has.
    pub distinct: Distinct,
    /// The first few different values.
    pub examples: Vec<String>,
    /// How nearly all its values read as times.
    pub times: Option<TimeReport>,
}

/// What a column looks made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The event time.
    Timestamp,
    /// A category.
    Dimension,
    /// A number to aggregate.
    Measure(MeasureType),
    /// Objects or arrays, which no column can hold.
    Nested,
    /// None of them: identifiers, free text, further times.
    Other,
}

/// A count that stops at a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distinct {
    /// So many.
    Exactly(u64),
    /// So many or more.
    AtLeast(u64),
}

/// How a column's values read as times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeReport {
    /// The format that reads the most of them.
    pub format: TimestampFormat,
    /// Formats that read as many, but as other times, such as day and month the other way round.
    pub others: Vec<TimestampFormat>,
    /// The earliest in the sample.
    pub first: Timestamp,
    /// The latest in the sample.
    pub last: Timestamp,
}

/// A sample that shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    /// There is no record.
    #[error("there is no record to look at")]
    Empty,
    /// The records are neither JSON objects nor CSV.
    #[error(
        "the records are neither JSON objects, one a line, nor CSV with a comma, semicolon, tab or bar; the first is \
         `{first}`; hint: say how they are written with `decode.format`"
    )]
    Unknown {
        /// The first record, shortened.
        first: String,
    },
}

/// Looks at a sample: chunks of any number of source partitions, cut at line ends and without a header of their own.
/// `zone` is where times without an offset are local.
///
/// # Errors
/// When there is no record, or the records are neither JSON nor CSV.
pub fn discover(chunks: &[Chunk], zone: Zone) -> Result<Discovery, DiscoverError> {
    let runs = runs(chunks);
    let format = layout::guess(&runs)?;
    let mut sample = Sample { zone, records: 0, malformed: 0, columns: Vec::new(), known: BTreeMap::new() };
    match &format {
        Format::JsonLines => layout::for_each_record(&runs, format.framing(), |_, record| {
            sample.add(json::members(record).ok());
        }),
        Format::Csv { dialect, header } => layout::for_each_csv_record(&runs, *dialect, header, |members| {
            sample.add(members);
        }),
    }
    let (records, malformed) = (sample.records, sample.malformed);
    Ok(Discovery { format, records, malformed, columns: sample.reports() })
}

/// Bytes that lie end to end in one source partition.
struct Run {
    /// Whether it is the beginning of its partition.
    is_first: bool,
    bytes: Vec<u8>,
}

fn runs(chunks: &[Chunk]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for chunk in chunks {
        let end = chunk.offset + chunk.bytes.len() as u64;
        match open.get(chunk.partition.name()) {
            Some(&(offset, at)) if offset == chunk.offset => {
                runs[at].bytes.extend_from_slice(&chunk.bytes);
                open.insert(chunk.partition.name(), (end, at));
            }
            _ => {
                let is_first = chunk.offset == 0;
                let bytes = if is_first { chunk.bytes.strip_prefix(BYTE_ORDER_MARK) } else { None };
                open.insert(chunk.partition.name(), (end, runs.len()));
                runs.push(Run { is_first, bytes: bytes.unwrap_or(&chunk.bytes).to_vec() });
            }
        }
    }
    runs
}

/// Columns as they come up.
struct Sample {
    zone: Zone,
    records: u64,
    malformed: u64,
    columns: Vec<Observed>,
    known: BTreeMap<String, usize>,
}

impl Sample {
    /// Adds one record, which has no members where it is malformed.
    fn add(&mut self, members: Option<Vec<(Cow<'_, str>, Value<'_>)>>) {
        let Some(members) = members else {
            self.malformed += 1;
            return;
        };
        self.records += 1;
        for (name, value) in members {
            let at = match self.known.get(name.as_ref()) {
                Some(at) => *at,
                None => {
                    self.known.insert(name.clone().into_owned(), self.columns.len());
                    self.columns.push(Observed::new(name.into_owned(), self.zone));
                    self.columns.len() - 1
                }
            };
            self.columns[at].add(&value);
        }
    }

    /// The columns; of those that read as times one is the event time.
    fn reports(self) -> Vec<ColumnReport> {
        let records = self.records;
        let mut reports: Vec<ColumnReport> = self.columns.into_iter().map(|column| column.report(records)).collect();
        let rank = |(at, report): (usize, &ColumnReport)| {
            let times = report.times.as_ref()?;
            Some((times::names_time(&report.name), times.first < times.last, std::cmp::Reverse(at)))
        };
        let best = reports.iter().enumerate().filter_map(rank).max();
        if let Some((_, _, std::cmp::Reverse(at))) = best {
            reports[at].role = Role::Timestamp;
        }
        reports
    }
}

#[cfg(test)]
mod tests;
