//! Verdicts: a point is what the detector says about one series in one interval, a finding is a point that is
//! anomalous, a group joins the findings of one measure in one interval.
//!
//! A group as JSON is one line of the anomaly table. Its times are local civil times as `2024-03-04 04:25:00`, which
//! query engines and data frames read as they are; its interval is `interval_start` and `interval_end`.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDateTime;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Interval, Length, SeriesKey};

/// How times are written in the anomaly table.
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

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
    /// How unusual, finite and never negative (R1): `-log10` of how often five minutes of this series are as odd, whatever the
    /// length of its intervals; less for what it says often, and little for what follows on something odd within a third of
    /// a day. Intervals are ranked by it; whether one is an anomaly is told by its state.
    pub score: f64,
    /// 0 to 100.
    pub severity: f64,
    /// Whether it speaks, and what it says.
    pub state: PointState,
}

impl Point {
    /// Standard deviations from what was expected to the nearer end of a band, at the least that a user may choose.
    pub const BAND: f64 = 4.0;
    /// Of its size, where the band has no width or no end.
    const UNKNOWN: f64 = 0.1;

    /// The standard deviation of a value of this series here, by its band.
    pub fn deviation(&self, value: f64) -> f64 {
        let Point { expected, lower, upper, .. } = *self;
        // a band that was cut at 0 has one end that says how far is far
        let room =
            if lower <= 0.0 && expected >= 0.0 { upper - expected } else { (expected - lower).min(upper - expected) };
        let is_known = room.is_finite() && room > 0.0;
        if is_known { room / Point::BAND } else { Point::UNKNOWN * value.abs().max(expected.abs()) }
    }
}

/// Names and values of dimensions, in the configured order, all of them or some; a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dimensions(Vec<(String, String)>);

impl Dimensions {
    /// Pairs each name with the value at its place in `key`.
    pub fn new(names: &[String], key: &SeriesKey) -> Dimensions {
        Dimensions(names.iter().cloned().zip(key.values().map(str::to_owned)).collect())
    }

    /// Of some dimensions.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Dimensions {
        Dimensions(pairs.into_iter().collect())
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
    /// Local start of the first interval of this anomaly.
    #[serde(with = "civil")]
    pub since: NaiveDateTime,
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

/// A slice of the series of a measure that explains a part of its deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The dimensions that it is cut by; the others are open.
    pub dimensions: Dimensions,
    /// Of the deviation of all series; 1 is all of it, and below 0 it works against the rest.
    pub share: f64,
    /// What its series came to together; their mean, where they do not add up.
    pub value: f64,
    /// What was expected of them.
    pub expected: f64,
}

/// What the shares of causes are shares of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharesOf {
    /// The deviation of the total.
    #[default]
    Net,
    /// The sum of the deviations regardless of sign: they offset each other, or do not add up.
    Gross,
}

/// Why the series of a measure deviate in an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootCause {
    /// The slices that explain most, the surest first. No series is in two of them.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// Share of the deviation that no cause explains; with theirs, it adds up to 1 (X1).
    #[serde(default = "all")]
    pub unexplained: f64,
    /// Whether everything moved, and no slice says why: the cause lies outside the dimensions.
    #[serde(default)]
    pub external: bool,
    /// What shares are shares of.
    #[serde(default)]
    pub shares_of: SharesOf,
}

fn all() -> f64 {
    1.0
}

impl Default for RootCause {
    fn default() -> RootCause {
        RootCause { causes: Vec::new(), unexplained: 1.0, external: false, shares_of: SharesOf::Net }
    }
}

/// The findings of one measure in one interval: one line of the anomaly table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyGroup {
    /// Stable: `<measure>-<date>-<hhmm>`, or `-<hhmmss>` where intervals are not whole minutes.
    pub id: String,
    /// Which measure.
    pub measure: String,
    /// Which interval.
    #[serde(flatten, with = "bounds")]
    pub interval: Interval,
    /// The largest severity among the findings.
    pub severity: f64,
    /// Largest severity first.
    pub findings: Vec<Finding>,
    /// One entry per dimension.
    pub contributions: Vec<Contribution>,
    /// Why, as far as the dimensions tell.
    #[serde(flatten)]
    pub root_cause: RootCause,
}

/// A local civil time as text.
pub(super) mod civil {
    use super::{Deserialize, Deserializer, NaiveDateTime, Serializer, TIME_FORMAT};

    pub(in crate::model) fn serialize<S: Serializer>(time: &NaiveDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.format(TIME_FORMAT))
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDateTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        NaiveDateTime::parse_from_str(&text, TIME_FORMAT).map_err(serde::de::Error::custom)
    }
}

/// An interval as two members: its start, and its end, exclusive.
pub(super) mod bounds {
    use super::{Deserialize, Deserializer, Interval, Length, NaiveDateTime, Serialize, Serializer, civil};

    #[derive(Serialize, Deserialize)]
    struct Bounds {
        #[serde(with = "civil")]
        interval_start: NaiveDateTime,
        #[serde(with = "civil")]
        interval_end: NaiveDateTime,
    }

    pub(in crate::model) fn serialize<S: Serializer>(interval: &Interval, serializer: S) -> Result<S::Ok, S::Error> {
        Bounds { interval_start: interval.start(), interval_end: interval.end() }.serialize(serializer)
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Interval, D::Error> {
        let Bounds { interval_start: start, interval_end: end } = Bounds::deserialize(deserializer)?;
        let seconds = u64::try_from((end - start).num_seconds()).ok();
        let length = seconds.and_then(|seconds| Length::from_seconds(seconds).ok());
        let interval = length.and_then(|length| Interval::starting(start, length));
        let wrong = || serde::de::Error::custom(format_args!("`{start}` to `{end}` is not an aligned interval"));
        interval.ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"id":"views-20240304-0425","measure":"views","interval_start":"2024-03-04 04:25:00","interval_end":"2024-03-04 04:30:00","severity":81.5,"findings":[{"id":"views-20240304-0425-0","dimensions":{"shop":"a"},"since":"2024-03-03 23:55:00","value":null,"expected":0.1,"lower":-1.0,"upper":1e+300,"direction":"low","score":3.3,"severity":81.5}],"contributions":[{"dimension":"shop","values":[{"value":"a","share":1.0}]}],"causes":[{"dimensions":{"shop":"a"},"share":0.75,"value":0.5,"expected":2.0}],"unexplained":0.25,"external":false,"shares_of":"net"}"#;

    #[test]
    fn a_line_of_the_anomaly_table_reads_back() {
        let group: AnomalyGroup = serde_json::from_str(LINE).unwrap();
        assert_eq!(group.interval.length().seconds(), 300);
        assert_eq!(group.interval.to_string(), "2024-03-04 04:25:00");
        assert_eq!(group.findings[0].since.to_string(), "2024-03-03 23:55:00");
        assert_eq!(serde_json::to_string(&group).unwrap(), LINE);
    }

    #[test]
    fn a_line_from_before_there_were_causes_reads_as_unexplained() {
        let (before, _) = LINE.split_once(",\"causes\"").unwrap();
        let group: AnomalyGroup = serde_json::from_str(&format!("{before}}}")).unwrap();
        assert_eq!((group.root_cause, group.findings.len()), (RootCause::default(), 1));
    }

    #[test]
    fn an_interval_that_is_not_aligned_is_refused() {
        for (from, to, word) in [
            ("04:30:00\"", "04:20:00\"", "not an aligned interval"),
            ("04:30:00\"", "04:31:00\"", "not an aligned interval"),
            ("04:25:00\"", "04:25:00/300\"", "trailing input"),
            ("\"interval_end\"", "\"end\"", "missing field `interval_end`"),
        ] {
            let error = serde_json::from_str::<AnomalyGroup>(&LINE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
