//! Verdicts: a point is what the detector says about one series in one interval, a finding is a point that is
//! anomalous, a group joins the findings of one measure in one interval.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Interval, SeriesKey};

/// Which side of the band a value is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above what was expected.
    High,
    /// Below what was expected.
    Low,
}

/// Whether a series speaks yet, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointState {
    /// The series has too little history to judge; `remaining` intervals until it does.
    Learning {
        /// Intervals until the first score.
        remaining: u32,
    },
    /// Judged, nothing to report.
    Normal,
    /// Judged anomalous.
    Anomalous {
        /// Which side.
        direction: Direction,
        /// First interval of this anomaly.
        since: Interval,
    },
}

/// The verdict about one series in one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which interval.
    pub interval: Interval,
    /// Which series.
    pub key: SeriesKey,
    /// Which measure, by its name in the configuration.
    pub measure: Arc<str>,
    /// The aggregated value; none where the series sent nothing.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: f64,
    /// Lower end of the band.
    pub lower: f64,
    /// Upper end of the band.
    pub upper: f64,
    /// How unusual, finite and never negative (R1).
    pub score: f64,
    /// 0 to 100.
    pub severity: f64,
    /// Whether it speaks, and what it says.
    pub state: PointState,
}

/// Names and values of dimensions, in the configured order; a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dimensions(Vec<(String, String)>);

impl Dimensions {
    /// Pairs each name with the value at its place in `key`.
    pub fn new(names: &[String], key: &SeriesKey) -> Dimensions {
        Dimensions(names.iter().cloned().zip(key.values().map(str::to_owned)).collect())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// `platform=pc_web, marketplace=us`.
impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

impl Serialize for Dimensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Dimensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dimensions, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, String)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of dimension values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Dimensions)
    }
}

/// One anomalous point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable: the same point has the same id in every run.
    pub id: String,
    /// Where.
    pub dimensions: Dimensions,
    /// First interval of this anomaly.
    pub since: Interval,
    /// The aggregated value; none where the series sent nothing.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: f64,
    /// Lower end of the band.
    pub lower: f64,
    /// Upper end of the band.
    pub upper: f64,
    /// Which side.
    pub direction: Direction,
    /// How unusual.
    pub score: f64,
    /// 0 to 100.
    pub severity: f64,
}

/// The share of one dimension value in a group's deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The dimension value.
    pub value: String,
    /// 0 to 1; the shares of one dimension add up to 1 (X1).
    pub share: f64,
}

/// How a group's deviation spreads over the values of one dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The dimension.
    pub dimension: String,
    /// Its values, largest share first.
    pub values: Vec<Share>,
}

/// The findings of one measure in one interval: one line of the anomaly table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyGroup {
    /// Stable: `<measure>-<date>-<hhmm>`.
    pub id: String,
    /// Which measure.
    pub measure: String,
    /// Which interval.
    pub interval: Interval,
    /// The largest severity among the findings.
    pub severity: f64,
    /// Largest severity first.
    pub findings: Vec<Finding>,
    /// One entry per dimension.
    pub contributions: Vec<Contribution>,
}
