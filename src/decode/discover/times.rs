//! Which timestamp format reads a column's values.

use super::{TYPE_SHARE_MIN, TimeReport, TimestampFormat};
use crate::decode::timestamp::TimeReader;
use crate::model::{Timestamp, Zone};

/// Formats that are tried, the more usual first.
const FORMATS: [&str; 19] = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "iso8601",
    "%Y/%m/%d %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%d.%m.%Y %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
    "%Y%m%d%H%M%S",
    "%Y%m%d%H%M",
    "%Y%m%d",
    "epoch_seconds",
    "epoch_milliseconds",
];

/// 2000-01-01 and 2100-01-01: digits alone are a time only between them.
const PLAUSIBLE_MICROS: std::ops::Range<i64> = 946_684_800_000_000..4_102_444_800_000_000;
/// A format that has read nothing of so many values is given up.
const PATIENCE_VALUES: u64 = 50;

/// How often each format has read a value.
pub(super) struct Times {
    candidates: Vec<Candidate>,
}

struct Candidate {
    format: TimestampFormat,
    reader: TimeReader,
    tried: u64,
    read: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Times {
    /// No value yet.
    pub(super) fn new(zone: Zone) -> Times {
        let format = |text: &&str| TimestampFormat::parse(text).ok();
        let candidate = |format: TimestampFormat| Candidate {
            reader: TimeReader::new(format.clone(), zone),
            format,
            tried: 0,
            read: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        };
        Times { candidates: FORMATS.iter().filter_map(format).map(candidate).collect() }
    }

    /// Tries each format on one value.
    pub(super) fn add(&mut self, text: &str) {
        for candidate in &mut self.candidates {
            candidate.tried += 1;
            if let Some(time) = read(&mut candidate.reader, &candidate.format, text) {
                candidate.read += 1;
                candidate.first = candidate.first.min(time);
                candidate.last = candidate.last.max(time);
            }
        }
        self.candidates.retain(|candidate| candidate.read > 0 || candidate.tried < PATIENCE_VALUES);
    }

    /// The best, if it reads nearly all `values`.
    #[expect(clippy::cast_precision_loss, reason = "counts of a sample are far below 2^53")]
    pub(super) fn report(self, values: u64) -> Option<TimeReport> {
        let best = self.candidates.iter().map(|candidate| candidate.read).max()?;
        if best == 0 || (best as f64) < TYPE_SHARE_MIN * values as f64 {
            return None;
        }
        let mut equal = self.candidates.into_iter().filter(|candidate| candidate.read == best);
        let Candidate { format, first, last, .. } = equal.next()?;
        let others = equal.filter(|other| (other.first, other.last) != (first, last)).map(|other| other.format);
        Some(TimeReport { format, others: others.collect(), first, last })
    }
}

fn read(reader: &mut TimeReader, format: &TimestampFormat, text: &str) -> Option<Timestamp> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let time = reader.read(text)?;
    let width = match format.to_string().as_str() {
        "%Y%m%d%H%M%S" => Some(14),
        "%Y%m%d%H%M" => Some(12),
        "%Y%m%d" => Some(8),
        _ => None,
    };
    let is_plausible = !is_number || PLAUSIBLE_MICROS.contains(&time.micros());
    (is_plausible && width.is_none_or(|width| width == text.len())).then_some(time)
}

/// Whether some format reads a text.
pub(super) fn is_time(text: &str) -> bool {
    let mut times = Times::new(Zone::UTC);
    times.add(text.trim());
    times.candidates.iter().any(|candidate| candidate.read > 0)
}

/// Whether a name says that it is a time.
pub(super) fn names_time(name: &str) -> bool {
    let lower = name.to_lowercase();
    ["time", "date", "ts", "at"].iter().any(|word| lower.split(['_', '-', '.', ' ']).any(|part| part == *word))
        || lower.contains("time")
        || lower.contains("date")
}
