//! Object names. One type formats and parses them all:
//!
//! ```text
//! <area>/intvl_date=YYYY-MM-DD/intvl_hhmm=HHMM/<object>        length of whole minutes
//! <area>/intvl_date=YYYY-MM-DD/intvl_hhmmss=HHMMSS/<object>    any other length
//!
//! area     data | rejects | anomalies
//! date     local date of the interval's start, four-digit year
//! hhmm     local hour and minute of the interval's start; with its second where the length is not whole minutes. The key
//!          says which, so that a reader never takes one for the other
//! object   part-rRRRR-NNNNN[-cC].csv | .parquet  rows; revision R, part N, both from 0; C from 1, where another writer
//!                                             left other bytes under the name before
//!          _manifest-rRRRR.json               what revision R consists of; its presence is the commit
//!          rejects-SSSSSSSS-CC.jsonl          records that left with closing number S; C counts jobs that began anew
//!          anomalies.jsonl                    one anomaly group a line
//! ```
//!
//! Names that begin with `_` or `.` are invisible to Athena, Spark and their kin.

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::{Interval, Length};

/// A tree of interval folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Rows.
    Data,
    /// Records that could not be used.
    Rejects,
    /// Anomaly groups.
    Anomalies,
}

impl Area {
    /// All of them.
    pub const ALL: [Area; 3] = [Area::Data, Area::Rejects, Area::Anomalies];

    /// The name of its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Area::Data => "data",
            Area::Rejects => "rejects",
            Area::Anomalies => "anomalies",
        }
    }

    /// The folder of one local date.
    pub fn date_folder(self, date: NaiveDate) -> String {
        format!("{}/intvl_date={date}", self.folder())
    }

    /// The local date of a date folder.
    pub fn parse_date_folder(self, folder: &str) -> Option<NaiveDate> {
        let text = folder.strip_prefix(self.folder())?.strip_prefix("/intvl_date=")?;
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
    }
}

/// The name of one object of one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectPath {
    /// Which tree.
    pub area: Area,
    /// Which interval.
    pub interval: Interval,
    /// Which object.
    pub object: Object,
}

/// An object in an interval's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// Rows.
    Part {
        /// Revision, 0 for the rows that came in time.
        revision: u32,
        /// Part of the revision.
        number: u32,
        /// 0, or more where an object with other bytes had the name; the manifest says which one counts.
        copy: u32,
        /// `csv` or `parquet`.
        format: Format,
    },
    /// What a revision consists of.
    Manifest {
        /// Revision.
        revision: u32,
    },
    /// Records that could not be used.
    Rejects {
        /// Number of the closing with which they left.
        sequence: u64,
        /// 0, or more where a job that began anew reached the same number.
        copy: u32,
    },
    /// Anomaly groups.
    Anomalies,
}

/// The format of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The ending of its objects.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

impl ObjectPath {
    /// The folder it is in.
    pub fn folder(area: Area, interval: Interval) -> String {
        format!("{}/{}={}", area.date_folder(interval.date()), clock_key(interval.length()).0, interval.clock())
    }

    /// The last part of its name.
    pub fn file_name(&self) -> String {
        self.object.to_string()
    }

    /// Reads a name; none where it does not follow the specification or the interval is not aligned to `length`.
    pub fn parse(name: &str, length: Length) -> Option<ObjectPath> {
        let (folder, object) = name.rsplit_once('/')?;
        let (area, interval) = ObjectPath::parse_folder(folder, length)?;
        let path = ObjectPath { area, interval, object: Object::parse(object)? };
        // one spelling for each name: what does not format back to itself is not ours
        (path.to_string() == name).then_some(path)
    }

    /// Reads the name of an interval's folder.
    pub fn parse_folder(folder: &str, length: Length) -> Option<(Area, Interval)> {
        let (date_folder, leaf) = folder.rsplit_once('/')?;
        let (key, format) = clock_key(length);
        let clock = leaf.strip_prefix(key)?.strip_prefix('=')?;
        let area = Area::ALL.into_iter().find(|area| area.parse_date_folder(date_folder).is_some())?;
        let date = area.parse_date_folder(date_folder)?;
        // two characters of the format give two digits
        let time = NaiveTime::parse_from_str(clock, format).ok().filter(|_| clock.len() == format.len())?;
        Some((area, Interval::starting(NaiveDateTime::new(date, time), length)?))
    }
}

/// The partition key of the time of day, and how it is written.
fn clock_key(length: Length) -> (&'static str, &'static str) {
    if length.is_whole_minutes() { ("intvl_hhmm", "%H%M") } else { ("intvl_hhmmss", "%H%M%S") }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", ObjectPath::folder(self.area, self.interval), self.object)
    }
}

impl Object {
    fn parse(name: &str) -> Option<Object> {
        if name == "anomalies.jsonl" {
            return Some(Object::Anomalies);
        }
        let (stem, extension) = name.rsplit_once('.')?;
        if let Some(revision) = stem.strip_prefix("_manifest-r") {
            return (extension == "json").then_some(Object::Manifest { revision: revision.parse().ok()? });
        }
        if let Some(sequence) = stem.strip_prefix("rejects-") {
            let (sequence, copy) = sequence.split_once('-')?;
            let object = Object::Rejects { sequence: sequence.parse().ok()?, copy: copy.parse().ok()? };
            return (extension == "jsonl").then_some(object);
        }
        let (revision, number) = stem.strip_prefix("part-r")?.split_once('-')?;
        let (number, copy) = number.split_once("-c").unwrap_or((number, "0"));
        let format = [Format::Csv, Format::Parquet].into_iter().find(|format| format.extension() == extension)?;
        let (revision, number, copy) = (revision.parse().ok()?, number.parse().ok()?, copy.parse().ok()?);
        Some(Object::Part { revision, number, copy, format })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Part { revision, number, copy: 0, format } => {
                write!(f, "part-r{revision:04}-{number:05}.{}", format.extension())
            }
            Object::Part { revision, number, copy, format } => {
                write!(f, "part-r{revision:04}-{number:05}-c{copy}.{}", format.extension())
            }
            Object::Manifest { revision } => write!(f, "_manifest-r{revision:04}.json"),
            Object::Rejects { sequence, copy } => write!(f, "rejects-{sequence:08}-{copy:02}.jsonl"),
            Object::Anomalies => f.write_str("anomalies.jsonl"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object() -> impl Strategy<Value = Object> {
        prop_oneof![
            (0..99_999u32, 0..999_999u32, 0..99u32, any::<bool>()).prop_map(|(revision, number, copy, csv)| {
                let format = if csv { Format::Csv } else { Format::Parquet };
                Object::Part { revision, number, copy: copy.saturating_sub(49), format }
            }),
            (0..99_999u32).prop_map(|revision| Object::Manifest { revision }),
            (any::<u64>(), 0..999u32).prop_map(|(sequence, copy)| Object::Rejects { sequence, copy }),
            Just(Object::Anomalies),
        ]
    }

    proptest! {
        #[test]
        fn names_read_back(
            micros in -62_000_000_000_000_000i64..250_000_000_000_000_000, seconds in prop::sample::select(vec![1u64, 10, 54, 60, 90, 300, 600, 3600, 86_400]),
            area in prop::sample::select(vec![Area::Data, Area::Rejects, Area::Anomalies]), object in object(),
        ) {
            let length = Length::from_seconds(seconds).unwrap();
            let path = ObjectPath { area, interval: Interval::containing(micros, length), object };
            prop_assert_eq!(ObjectPath::parse(&path.to_string(), length), Some(path));
        }

        #[test]
        fn other_names_are_not_ours(name in "[a-z0-9_=/.-]{0,60}") {
            if let Some(path) = ObjectPath::parse(&name, Length::from_seconds(300).unwrap()) {
                prop_assert_eq!(path.to_string(), name);
            }
        }
    }

    #[test]
    fn the_tree_looks_as_its_readers_know_it() {
        let length = Length::from_seconds(300).unwrap();
        let name = "data/intvl_date=2021-06-02/intvl_hhmm=2235/part-r0000-00000.csv";
        let path = ObjectPath::parse(name, length).unwrap();
        assert_eq!(path.interval.to_string(), "2021-06-02 22:35:00");
        assert_eq!(ObjectPath::parse("data/intvl_date=2021-06-02/intvl_hhmm=2236/part-r0000-00000.csv", length), None);
        for other in ["part-r0-0.csv", "part-r0000-00000-c0.csv", "part-r0000-00000-c01.csv", "part-r0000-00000-c.csv"]
        {
            let name = format!("data/intvl_date=2021-06-02/intvl_hhmm=2235/{other}");
            assert_eq!(ObjectPath::parse(&name, length), None, "{name}");
        }
        let name = "data/intvl_date=2021-06-02/intvl_hhmm=2235/part-r0001-00002-c3.parquet";
        let object = Object::Part { revision: 1, number: 2, copy: 3, format: Format::Parquet };
        assert_eq!(ObjectPath::parse(name, length).unwrap().object, object);
    }

    #[test]
    fn short_intervals_carry_the_second_and_are_not_taken_for_others() {
        let (ten, minute) = (Length::from_seconds(10).unwrap(), Length::from_seconds(60).unwrap());
        let name = "data/intvl_date=2021-06-02/intvl_hhmmss=223540/part-r0000-00000.csv";
        assert_eq!(ObjectPath::parse(name, ten).unwrap().interval.to_string(), "2021-06-02 22:35:40");
        assert_eq!(ObjectPath::parse(name, minute), None);
        for other in ["intvl_hhmm=2235", "intvl_hhmmss=2235", "intvl_hhmmss=223541", "intvl_hhmm=223540"] {
            let name = name.replace("intvl_hhmmss=223540", other);
            assert_eq!(ObjectPath::parse(&name, ten), None, "{name}");
        }
    }
}
