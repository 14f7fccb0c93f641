//! Records as lines. JSON: `{"platform":"pc_web","marketplace":"us","event_time":"2024-03-04 00:03:12","views":37,
//! "revenue":11.1}`; CSV: `pc_web,us,2024-03-04 00:03:12,37,11.1`. Event times are UTC; revenue, 0.3 per view, is written
//! exactly; names need neither quotes nor escapes (see the settings).

use chrono::DateTime;

use super::records::{Fault, Kind, Record};
use super::settings::Settings;
use super::values::revenue_tenths;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const IMPOSSIBLE_TIME: &[u8] = b"2024-13-45 25:61:61";
/// Neither byte occurs in UTF-8.
const NOT_UTF8: &[u8] = b"\xFF\xFE";

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    JsonLines,
    /// Comma-separated values.
    Csv,
}

impl Format {
    /// The header that a file of this format starts with, without a line end.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Format::JsonLines => None,
            Format::Csv => Some("platform,marketplace,event_time,views,revenue"),
        }
    }
}

/// Writes records; holds the date of the last one, which most share.
#[derive(Clone, Debug)]
pub struct LineWriter {
    format: Format,
    day: i64,
    date: String,
}

impl LineWriter {
    /// For one format.
    pub fn new(format: Format) -> LineWriter {
        let mut writer = LineWriter { format, day: 0, date: String::new() };
        writer.set_day(0);
        writer
    }

    /// Appends one record and a line end.
    pub fn write(&mut self, settings: &Settings, record: &Record, out: &mut Vec<u8>) {
        let start = out.len();
        let end_of_time = match self.format {
            Format::JsonLines => self.json(settings, record, out),
            Format::Csv => self.csv(settings, record, out),
        };
        if record.kind() == Kind::Malformed(Fault::Cut) {
            // before its views, where neither format can be taken for whole
            out.truncate(start + 1 + record.views() as usize % (end_of_time - start));
        }
        out.push(b'\n');
    }

    /// Gives the length of `out` where the event time ends.
    fn json(&mut self, settings: &Settings, record: &Record, out: &mut Vec<u8>) -> usize {
        let (platform, marketplace) = settings.names(record.series());
        out.extend_from_slice(b"{\"platform\":\"");
        push_platform(platform, record.kind(), out);
        out.extend_from_slice(b"\",\"marketplace\":\"");
        out.extend_from_slice(marketplace.as_bytes());
        if record.kind() != Kind::Malformed(Fault::NoTime) {
            out.extend_from_slice(b"\",\"event_time\":\"");
            self.push_time(record, out);
        }
        let end_of_time = out.len();
        out.extend_from_slice(b"\",\"views\":");
        match record.kind() {
            Kind::Malformed(Fault::ViewsAreText) => out.extend_from_slice(b"\"many\""),
            _ => push_number(record.views().into(), out),
        }
        out.extend_from_slice(b",\"revenue\":");
        push_tenths(revenue_tenths(record.views()), out);
        out.push(b'}');
        end_of_time
    }

    /// Gives the length of `out` where the event time ends.
    fn csv(&mut self, settings: &Settings, record: &Record, out: &mut Vec<u8>) -> usize {
        let (platform, marketplace) = settings.names(record.series());
        push_platform(platform, record.kind(), out);
        out.push(b',');
        out.extend_from_slice(marketplace.as_bytes());
        out.push(b',');
        if record.kind() != Kind::Malformed(Fault::NoTime) {
            self.push_time(record, out);
        }
        let end_of_time = out.len();
        out.push(b',');
        match record.kind() {
            Kind::Malformed(Fault::ViewsAreText) => out.extend_from_slice(b"many"),
            _ => push_number(record.views().into(), out),
        }
        out.push(b',');
        push_tenths(revenue_tenths(record.views()), out);
        end_of_time
    }

    fn push_time(&mut self, record: &Record, out: &mut Vec<u8>) {
        if record.kind() == Kind::Malformed(Fault::ImpossibleTime) {
            out.extend_from_slice(IMPOSSIBLE_TIME);
            return;
        }
        let seconds = record.event_time().micros().div_euclid(MICROS_PER_SECOND);
        let day = seconds.div_euclid(SECONDS_PER_DAY);
        if day != self.day {
            self.set_day(day);
        }
        let second = seconds.rem_euclid(SECONDS_PER_DAY).unsigned_abs();
        out.extend_from_slice(self.date.as_bytes());
        for (separator, number) in [(b' ', second / 3600), (b':', second / 60 % 60), (b':', second % 60)] {
            out.extend_from_slice(&[separator, digit(number / 10), digit(number)]);
        }
    }

    fn set_day(&mut self, day: i64) {
        self.day = day;
        let date = DateTime::from_timestamp(day * SECONDS_PER_DAY, 0).unwrap_or(DateTime::UNIX_EPOCH);
        self.date = date.format("%Y-%m-%d").to_string();
    }
}

fn push_platform(platform: &str, kind: Kind, out: &mut Vec<u8>) {
    out.extend_from_slice(platform.as_bytes());
    if kind == Kind::Malformed(Fault::NotUtf8) {
        out.extend_from_slice(NOT_UTF8);
    }
}

/// The last decimal digit of a number.
fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or(0)
}

fn push_tenths(tenths: u64, out: &mut Vec<u8>) {
    push_number(tenths / 10, out);
    out.extend_from_slice(&[b'.', digit(tenths)]);
}

fn push_number(number: u64, out: &mut Vec<u8>) {
    if number >= 10 {
        push_number(number / 10, out);
    }
    out.push(digit(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_exactly() {
        let mut out = Vec::new();
        for (number, tenths) in [(0, 0), (7, 3), (10, 1200), (4_294_967_295, 12_884_901_885)] {
            push_number(number, &mut out);
            out.push(b' ');
            push_tenths(tenths, &mut out);
            out.push(b' ');
        }
        assert_eq!(String::from_utf8(out).unwrap(), "0 0.0 7 0.3 10 120.0 4294967295 1288490188.5 ");
    }
}
