//! The table of records: one JSON line per scored record, by second and within a second the largest score first.
//!
//! ```text
//! records/intvl_date=YYYY-MM-DD/intvl_hhmm=HHMM/records.jsonl
//! ```
//!
//! An interval's object is written whole, with a name that follows from the interval, so writing it again after a crash
//! changes nothing; an interval without a record that is to be written has none.

use bytes::Bytes;
use chrono::NaiveDate;
use serde_json::value::RawValue;

use super::table::{TableError, parse};
use crate::model::{
    Area, ColumnShare, Dimensions, Direction, Field, Interval, Notice, NoticeKind, ObjectPath, ScoredRecord,
};
use crate::store::Store;

/// The folder of the table.
pub const RECORDS: &str = "records";

/// A subject is no longer than this.
const TITLE_CHARACTERS_MAX: usize = 99;

/// The table of records of one tree of partitions.
#[derive(Clone, Debug)]
pub struct RecordTable {
    store: Store,
}

impl RecordTable {
    /// The table in a store.
    pub fn new(store: Store) -> RecordTable {
        RecordTable { store }
    }

    /// Writes the records of an interval, all of them at once, in the order given.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&self, interval: Interval, records: &[ScoredRecord]) -> Result<(), TableError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for record in records {
            serde_json::to_writer(&mut bytes, record)?;
            bytes.push(b'\n');
        }
        Ok(self.store.put(&name(interval), Bytes::from(bytes)).await?)
    }

    /// Reads the lines, as they were written, of local dates `from` to `to` inclusive, in the order of the intervals.
    ///
    /// # Errors
    /// When the store fails or a line is no JSON.
    pub async fn read(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<Box<RawValue>>, TableError> {
        let mut lines = Vec::new();
        for folder in self.store.list_folders(RECORDS).await? {
            let date = folder.strip_prefix(RECORDS).map(|below| format!("{}{below}", Area::Anomalies.folder()));
            let date = date.and_then(|folder| Area::Anomalies.parse_date_folder(&folder));
            if date.is_none_or(|date| date < from || date > to) {
                continue;
            }
            for entry in self.store.list(&folder).await?.iter().filter(|entry| entry.name.ends_with(".jsonl")) {
                let bytes = self.store.get(&entry.name).await?.unwrap_or_default();
                lines.extend(parse::<Box<RawValue>>(&entry.name, &bytes)?);
            }
        }
        Ok(lines)
    }
}

/// What receivers are told of a scored record. The same record gives the same notice in every run (A1).
pub fn record_notice(record: &ScoredRecord) -> Notice {
    let dimensions = record.dimensions.to_string();
    let main = record.main_share();
    let because = |share: &ColumnShare| {
        let side = if share.direction == Direction::High { "high" } else { "low" };
        let value = record.field(&share.column).map(ToString::to_string).unwrap_or_default();
        format!("{} {side} ({value})", share.column)
    };
    let what = main.map_or_else(|| "record".to_owned(), because);
    let comma = if dimensions.is_empty() { "" } else { ", " };
    let head = format!("{what}, score {:.2}{comma}{dimensions}", record.score);
    let columns = record.fields.iter().map(|(name, value)| format!("{name}: {value}"));
    let shares = record.explanation.iter().map(|share| format!("{}: {:.3} of the score", because(share), share.score));
    let lines: Vec<String> = [head.clone(), format!("event time {}", record.time)].into_iter().chain(columns).collect();
    Notice {
        id: record.id(),
        thread: record.id(),
        kind: NoticeKind::Record,
        time: record.interval.start(),
        measures: record.explanation.iter().map(|share| share.column.clone()).collect(),
        slices: vec![named(record)],
        direction: main.map(|share| share.direction),
        severity: severity(record.score),
        score: record.score,
        title: head.chars().take(TITLE_CHARACTERS_MAX).collect(),
        text: lines.iter().take(2).cloned().collect::<Vec<_>>().join("\n"),
        long_text: lines.into_iter().chain(shares).collect::<Vec<_>>().join("\n"),
        // a record is an object of text and finite numbers
        body: serde_json::to_value(record).unwrap_or_default(),
    }
}

/// What a filter of dimension values looks at: the dimensions, and the columns that are carried along.
fn named(record: &ScoredRecord) -> Dimensions {
    let kept = record.fields.iter().filter_map(|(name, value)| match value {
        Field::Text(text) => Some((name.clone(), text.clone())),
        Field::Integer(_) | Field::Float(_) | Field::Missing => None,
    });
    let pairs = record.dimensions.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Dimensions::of(pairs.chain(kept))
}

/// A score, which has no upper end, on the scale from 0 to 100: 50 at 1, which is typical, 75 at 3.
fn severity(score: f64) -> f64 {
    100.0 * score / (1.0 + score)
}

/// The object of an interval.
fn name(interval: Interval) -> String {
    let folder = ObjectPath::folder(Area::Anomalies, interval);
    let below = folder.strip_prefix(Area::Anomalies.folder()).unwrap_or(&folder);
    format!("{RECORDS}{below}/records.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Length, SeriesKey, Timestamp};

    #[tokio::test]
    async fn a_table_reads_back_by_date_and_takes_a_repeat_for_the_same() {
        let table = RecordTable::new(Store::in_memory());
        let first = Interval::containing(86_400_000_000 * 19_786 - 60_000_000, Length::from_seconds(60).unwrap());
        let record = |interval: Interval, number| ScoredRecord {
            interval,
            number,
            time: Timestamp::MIN,
            dimensions: Dimensions::new(&[], &SeriesKey::new([])),
            timestamp: "at".to_owned(),
            fields: Vec::new(),
            score: 2.0,
            explanation: Vec::new(),
        };
        for _ in 0..2 {
            table.write(first, &[record(first, 3), record(first, 1)]).await.unwrap();
            table.write(first.offset(1), &[record(first.offset(1), 0)]).await.unwrap();
        }
        table.write(first.offset(2), &[]).await.unwrap();
        let ids = async |from, to| {
            let lines = table.read(from, to).await.unwrap();
            let line = |line: &RawValue| serde_json::from_str::<serde_json::Value>(line.get()).unwrap();
            lines.iter().map(|raw| line(raw)["ANOMALY_ID"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let expected = ["record-20240303-235900-3", "record-20240303-235900-1", "record-20240304-000000-0"];
        assert_eq!(ids(NaiveDate::MIN, NaiveDate::MAX).await, expected);
        assert_eq!(ids(first.date(), first.date()).await, expected[..2]);
        assert_eq!(name(first), "records/intvl_date=2024-03-03/intvl_hhmm=2359/records.jsonl");
    }

    #[test]
    fn a_notice_says_which_column_and_which_side() {
        let record = ScoredRecord {
            interval: Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(60).unwrap()),
            number: 4,
            time: Timestamp::from_micros(86_400_000_000 * 19_786 + 1_500_000).unwrap(),
            dimensions: Dimensions::new(&["ticker".to_owned()], &SeriesKey::new(["AAPL"])),
            timestamp: "at".to_owned(),
            fields: vec![("id".to_owned(), Field::Text("7".to_owned())), ("price".to_owned(), Field::Float(412.5))],
            score: 3.0,
            explanation: vec![ColumnShare {
                column: "price".to_owned(),
                direction: Direction::High,
                strength: 2.5,
                score: 3.0,
            }],
        };
        let notice = record_notice(&record);
        assert_eq!((notice.id.as_str(), notice.kind), ("record-20240304-000000-4", NoticeKind::Record));
        assert_eq!(notice.title, "price high (412.5), score 3.00, ticker=AAPL");
        assert_eq!(notice.text, format!("{}\nevent time 2024-03-04T00:00:01.500Z", notice.title));
        assert_eq!(
            notice.long_text,
            format!("{}\nid: 7\nprice: 412.5\nprice high (412.5): 3.000 of the score", notice.text)
        );
        assert_eq!((notice.severity, notice.score, notice.direction), (75.0, 3.0, Some(Direction::High)));
        assert_eq!(notice.slices[0].to_string(), "ticker=AAPL, id=7");
        assert_eq!(notice.body, serde_json::to_value(&record).unwrap());
        let plain = record_notice(&ScoredRecord {
            explanation: Vec::new(),
            dimensions: Dimensions::new(&["ticker".to_owned()], &SeriesKey::new(["A".repeat(200).as_str()])),
            ..record
        });
        assert!(plain.title.starts_with("record, score 3.00, ticker=AAA") && plain.title.len() == 99);
    }
}
