//! What late rows did to findings: a table of its own beside the anomaly table, whose lines stay as they were told.
//!
//! ```text
//! revisions/intvl_date=YYYY-MM-DD/intvl_hhmm=HHMM/revisions-YYYYMMDD-HHMM.jsonl     (hhmmss as in the other trees)
//! ```
//!
//! The folder is that of the revised interval, as in the other trees; the name tells with which interval the late rows
//! left the line. Both follow from the records alone, and an object is written whole, so writing it again after a crash
//! changes nothing: no revision is lost, none is there twice.
//!
//! A line is one series of one measure. Its `id` is that of the finding: the one that was told, or, where it is `raised`,
//! the one that would have been. `id` and `revised_with` together tell a line from all others (A1); of several about one
//! finding the one with the latest `revised_with` holds.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use chrono::{NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use super::table::{TableError, parse};
use crate::model::{Area, Dimensions, Direction, Interval, ObjectPath};
use crate::store::Store;

/// The folder of the table.
pub const REVISIONS: &str = "revisions";

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was anomalous and is, with the late rows too.
    Confirmed,
    /// It was anomalous, and is not with the late rows.
    Withdrawn,
    /// It was normal, and is anomalous with the late rows.
    Raised,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Confirmed => "confirmed",
            Status::Withdrawn => "withdrawn",
            Status::Raised => "raised",
        })
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Id of the finding.
    pub id: String,
    /// Which measure.
    pub measure: String,
    /// Local start of the revised interval.
    #[serde(with = "civil")]
    pub interval_start: NaiveDateTime,
    /// Its local end, exclusive.
    #[serde(with = "civil")]
    pub interval_end: NaiveDateTime,
    /// Where.
    pub dimensions: Dimensions,
    /// What became of it.
    pub status: Status,
    /// Local start of the interval with which the late rows left the line.
    #[serde(with = "civil")]
    pub revised_with: NaiveDateTime,
    /// Local start of the first interval of the anomaly.
    #[serde(with = "civil")]
    pub since: NaiveDateTime,
    /// The value before; none where the series had sent nothing.
    pub value_before: Option<f64>,
    /// The value with the late rows.
    pub value: f64,
    /// What was expected when the interval was judged.
    pub expected: f64,
    /// Lower end of the band that was given then; below it where margins make a value normal that lies beyond.
    pub lower: f64,
    /// Upper end of that band, in the same way.
    pub upper: f64,
    /// Side of the anomaly.
    pub direction: Direction,
    /// Severity that was told, 0 to 100; none where nothing was.
    pub severity_before: Option<f64>,
    /// Severity of the revised value by itself, 0 to 100.
    pub severity: f64,
}

/// The table of revisions of one tree of partitions.
#[derive(Clone, Debug)]
pub struct RevisionTable {
    store: Store,
}

impl RevisionTable {
    /// The table in a store.
    pub fn new(store: Store) -> RevisionTable {
        RevisionTable { store }
    }

    /// Writes the revisions that were made when an interval closed. All of them are given at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&self, with: Interval, revisions: &[Revision]) -> Result<(), TableError> {
        let mut objects: BTreeMap<Interval, Vec<u8>> = BTreeMap::new();
        for revision in revisions {
            let revised = Interval::starting(revision.interval_start, with.length()).unwrap_or(with);
            let bytes = objects.entry(revised).or_default();
            serde_json::to_writer(&mut *bytes, revision)?;
            bytes.push(b'\n');
        }
        for (interval, bytes) in objects {
            self.store.put(&name(interval, with), Bytes::from(bytes)).await?;
        }
        Ok(())
    }

    /// Reads the revisions of intervals of local dates `from` to `to` inclusive, in the order of the intervals and of
    /// their revisions.
    ///
    /// # Errors
    /// When the store fails or a line is no revision.
    pub async fn read(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<Revision>, TableError> {
        let mut revisions = Vec::new();
        for folder in self.store.list_folders(REVISIONS).await? {
            if date_of(&folder).is_none_or(|date| date < from || date > to) {
                continue;
            }
            for entry in self.store.list(&folder).await?.iter().filter(|entry| entry.name.ends_with(".jsonl")) {
                let bytes = self.store.get(&entry.name).await?.unwrap_or_default();
                revisions.extend(parse::<Revision>(&entry.name, &bytes)?);
            }
        }
        Ok(revisions)
    }
}

/// The object for an interval that is revised with another.
fn name(revised: Interval, with: Interval) -> String {
    let folder = ObjectPath::folder(Area::Anomalies, revised);
    let below = folder.strip_prefix(Area::Anomalies.folder()).unwrap_or(&folder);
    format!("{REVISIONS}{below}/revisions-{}.jsonl", with.stamp())
}

/// The local date of a date folder.
fn date_of(folder: &str) -> Option<NaiveDate> {
    let below = folder.strip_prefix(REVISIONS)?;
    Area::Anomalies.parse_date_folder(&format!("{}{below}", Area::Anomalies.folder()))
}

/// A local civil time as text, as the anomaly table has it.
mod civil {
    use chrono::NaiveDateTime;
    use serde::{Deserialize, Deserializer, Serializer};

    const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

    pub(super) fn serialize<S: Serializer>(time: &NaiveDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.format(FORMAT))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDateTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        NaiveDateTime::parse_from_str(&text, FORMAT).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Length, SeriesKey};

    fn revision(interval: Interval, with: Interval, status: Status) -> Revision {
        Revision {
            id: format!("views-{}", interval.start().format("%Y%m%d-%H%M")),
            measure: "views".to_owned(),
            interval_start: interval.start(),
            interval_end: interval.end(),
            dimensions: Dimensions::new(&["shop".to_owned()], &SeriesKey::new(["a"])),
            status,
            revised_with: with.start(),
            since: interval.start(),
            value_before: None,
            value: 9.5,
            expected: 10.0,
            lower: 8.0,
            upper: 12.0,
            direction: Direction::Low,
            severity_before: Some(75.0),
            severity: 12.5,
        }
    }

    #[tokio::test]
    async fn a_table_reads_back_by_date_and_takes_a_repeat_for_the_same() {
        let table = RevisionTable::new(Store::in_memory());
        // ten minutes before midnight
        let first = Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(300).unwrap()).offset(-2);
        let (with, later) = (first.offset(3), first.offset(7));
        let early = [revision(first, with, Status::Withdrawn), revision(first.offset(2), with, Status::Confirmed)];
        let late = [revision(first, later, Status::Raised)];
        for _ in 0..2 {
            table.write(with, &early).await.unwrap();
            table.write(later, &late).await.unwrap();
        }
        table.write(later.offset(1), &[]).await.unwrap();
        let [withdrawn, confirmed] = early;
        let [raised] = late;
        let all = [withdrawn, raised, confirmed];
        assert_eq!(table.read(NaiveDate::MIN, NaiveDate::MAX).await.unwrap(), all);
        let day = first.date();
        assert_eq!(table.read(day, day).await.unwrap(), all[..2]);
        assert_eq!(table.read(first.offset(2).date(), NaiveDate::MAX).await.unwrap(), all[2..]);
        let folder = "revisions/intvl_date=2024-03-03/intvl_hhmm=2350";
        assert_eq!(name(first, with), format!("{folder}/revisions-20240304-0005.jsonl"));
        assert_eq!(date_of("revisions/intvl_date=2024-03-03"), Some(day));
        assert_eq!(date_of("anomalies/intvl_date=2024-03-03"), None);
    }

    #[test]
    fn a_line_has_names_that_stay() {
        let first = Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(300).unwrap());
        let line = serde_json::to_string(&revision(first, first.offset(3), Status::Withdrawn)).unwrap();
        let expected = r#"{"id":"views-20240304-0000","measure":"views","interval_start":"2024-03-04 00:00:00","interval_end":"2024-03-04 00:05:00","dimensions":{"shop":"a"},"status":"withdrawn","revised_with":"2024-03-04 00:15:00","since":"2024-03-04 00:00:00","value_before":null,"value":9.5,"expected":10.0,"lower":8.0,"upper":12.0,"direction":"low","severity_before":75.0,"severity":12.5}"#;
        assert_eq!(line, expected);
    }
}
