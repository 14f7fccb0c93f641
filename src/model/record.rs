//! A scored record: a row of a closed interval as it was, how unusual it is, and which of its columns make it so.
//!
//! As JSON it is one line of the table of records: the columns in the order of the partition, then what was said of them,
//! under the names that users of Kinesis Data Analytics know: `ANOMALY_SCORE`, and `ANOMALY_EXPLANATION` with an object
//! `{DIRECTION, STRENGTH, ATTRIBUTION_SCORE}` per scored column. `ANOMALY_ID` tells the record from all others and is the
//! same in every run (A1).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Dimensions, Direction, Interval, Timestamp};

/// Names that a line has beside the columns: no column may be called so.
pub const RECORD_NAMES: [&str; 3] = [ID, SCORE, EXPLANATION];

const ID: &str = "ANOMALY_ID";
const SCORE: &str = "ANOMALY_SCORE";
const EXPLANATION: &str = "ANOMALY_EXPLANATION";

/// The value of a column of a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Field {
    /// Text.
    Text(String),
    /// A 64-bit integer.
    Integer(i64),
    /// A finite 64-bit float.
    Float(f64),
    /// Nothing.
    Missing,
}

/// What one column adds to a score.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnShare {
    /// The column.
    pub column: String,
    /// On which side of what the forest knows its value lies.
    pub direction: Direction,
    /// How clearly it lies on that side rather than on the other, in the unit of the score.
    pub strength: f64,
    /// Its part of the score; the parts of a record add up to its score (X1).
    pub score: f64,
}

/// One record, scored.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredRecord {
    /// Its interval.
    pub interval: Interval,
    /// Its place among the rows of the interval as they are committed, from 0.
    pub number: u64,
    /// Its event time.
    pub time: Timestamp,
    /// Its dimensions.
    pub dimensions: Dimensions,
    /// Name of the column with its event time.
    pub timestamp: String,
    /// Its other columns, in the order of the partition.
    pub fields: Vec<(String, Field)>,
    /// How unusual it is, finite and never negative (R1); 0 while its forest learns.
    pub score: f64,
    /// One entry per scored column; empty where no attribution is asked for, or the score is 0.
    pub explanation: Vec<ColumnShare>,
}

impl ScoredRecord {
    /// The same in every run, and of no other record: `record-20240304-042500-17`.
    pub fn id(&self) -> String {
        format!("record-{}-{}", self.interval.start().format("%Y%m%d-%H%M%S"), self.number)
    }

    /// The column that adds most to the score.
    pub fn main_share(&self) -> Option<&ColumnShare> {
        self.explanation.iter().max_by(|a, b| a.score.total_cmp(&b.score).then(b.column.cmp(&a.column)))
    }

    /// The value of a column besides its dimensions and its event time.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Field::Text(text) => f.write_str(text),
            Field::Integer(number) => write!(f, "{number}"),
            Field::Float(number) => write!(f, "{number}"),
            Field::Missing => Ok(()),
        }
    }
}

impl Serialize for ScoredRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.dimensions.iter() {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry(&self.timestamp, &self.time.to_string())?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry(ID, &self.id())?;
        map.serialize_entry(SCORE, &self.score)?;
        if !self.explanation.is_empty() {
            map.serialize_entry(EXPLANATION, &Explanation(&self.explanation))?;
        }
        map.end()
    }
}

/// The shares of columns as an object.
struct Explanation<'a>(&'a [ColumnShare]);

impl Serialize for Explanation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        struct Share {
            direction: &'static str,
            strength: f64,
            attribution_score: f64,
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for ColumnShare { column, direction, strength, score } in self.0 {
            let direction = match direction {
                Direction::High => "HIGH",
                Direction::Low => "LOW",
            };
            map.serialize_entry(column, &Share { direction, strength: *strength, attribution_score: *score })?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Length, SeriesKey};

    #[test]
    fn a_line_has_the_columns_and_the_names_that_stay() {
        let share = |column: &str, direction, score| ColumnShare {
            column: column.to_owned(),
            direction,
            strength: score / 2.0,
            score,
        };
        let record = ScoredRecord {
            interval: Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(60).unwrap()),
            number: 17,
            time: Timestamp::from_micros(86_400_000_000 * 19_786 + 1_250_000).unwrap(),
            dimensions: Dimensions::new(&["tickerSymbol".to_owned()], &SeriesKey::new(["AAPL"])),
            timestamp: "at".to_owned(),
            fields: vec![
                ("id".to_owned(), Field::Text("7".to_owned())),
                ("price".to_owned(), Field::Float(412.5)),
                ("quantity".to_owned(), Field::Integer(900)),
                ("fee".to_owned(), Field::Missing),
            ],
            score: 2.5,
            explanation: vec![share("price", Direction::High, 1.5), share("quantity", Direction::Low, 1.0)],
        };
        let expected = r#"{"tickerSymbol":"AAPL","at":"2024-03-04T00:00:01.250Z","id":"7","price":412.5,"quantity":900,"fee":null,"ANOMALY_ID":"record-20240304-000000-17","ANOMALY_SCORE":2.5,"ANOMALY_EXPLANATION":{"price":{"DIRECTION":"HIGH","STRENGTH":0.75,"ATTRIBUTION_SCORE":1.5},"quantity":{"DIRECTION":"LOW","STRENGTH":0.5,"ATTRIBUTION_SCORE":1.0}}}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), expected);
        assert_eq!(record.main_share().map(|share| share.column.as_str()), Some("price"));
        let plain = ScoredRecord { explanation: Vec::new(), ..record };
        assert!(!serde_json::to_string(&plain).unwrap().contains("EXPLANATION"));
    }
}
