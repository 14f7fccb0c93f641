//! What the simple kinds are told: which kind, from when, how many and how fast.

use std::fmt;

use chrono::NaiveDateTime;

use super::template::Template;
use crate::model::Timestamp;

const SECONDS: std::ops::RangeInclusive<u64> = 1..=3_200_000_000;
const RATE: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;

/// Which kind.
#[derive(Clone, Debug, PartialEq)]
pub enum KindName {
    /// Trades with a price and a quantity.
    StockTrades,
    /// Clicks and impressions, with bursts of clicks.
    Clickstream,
    /// Values of sensors.
    IotSensor,
    /// By a template.
    Template(Template),
}

impl KindName {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            KindName::StockTrades => "stock-trades",
            KindName::Clickstream => "clickstream",
            KindName::IotSensor => "iot-sensor",
            KindName::Template(_) => "template",
        }
    }

    /// Probability of an anomaly where nothing is said.
    pub fn anomaly_probability(&self) -> f64 {
        match self {
            KindName::StockTrades => 0.05,
            KindName::Clickstream => 0.0005,
            KindName::IotSensor => 0.01,
            KindName::Template(_) => 0.0,
        }
    }
}

/// What a simple kind can be told, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleParameters {
    /// Which kind.
    pub kind: KindName,
    /// Everything random follows from it.
    pub seed: u64,
    /// UTC time of the first record.
    pub start: NaiveDateTime,
    /// How long the data is, in seconds.
    pub seconds: u64,
    /// Records a second.
    pub rate: f64,
    /// Probability that a record is anomalous; of clicks, that a burst starts in a second. The kind's own, if not given.
    pub anomaly_probability: Option<f64>,
}

/// Something out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` is `{value}`; hint: {allowed}")]
pub struct SimpleError {
    key: &'static str,
    value: String,
    allowed: &'static str,
}

/// Checked parameters of a simple kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    kind: KindName,
    seed: u64,
    start_millis: i64,
    records: u64,
    rate: f64,
    anomaly_probability: f64,
}

impl Settings {
    /// Checks every parameter.
    ///
    /// # Errors
    /// All that are out of range.
    pub fn new(parameters: SimpleParameters) -> Result<Settings, Vec<SimpleError>> {
        let SimpleParameters { kind, seed, start, seconds, rate, anomaly_probability } = parameters;
        let anomaly_probability = anomaly_probability.unwrap_or_else(|| kind.anomaly_probability());
        let start_millis = start.and_utc().timestamp_millis();
        let end = i64::try_from(seconds).ok().and_then(|seconds| start_millis.checked_add(seconds.checked_mul(1000)?));
        let is_in_time = Timestamp::from_micros(start_millis.saturating_mul(1000)).is_ok()
            && end.is_some_and(|end| Timestamp::from_micros(end.saturating_mul(1000)).is_ok());
        let mut problems = Vec::new();
        let mut check = |key, value: &dyn fmt::Display, good: bool, allowed| {
            if !good {
                problems.push(SimpleError { key, value: value.to_string(), allowed });
            }
        };
        check(
            "duration",
            &format_args!("{seconds} s"),
            SECONDS.contains(&seconds) && is_in_time,
            "a second at least, within the years 1 to 9998",
        );
        check("rate", &rate, RATE.contains(&rate), "a number of records a second from 0.001 to 1000000");
        check(
            "anomaly_probability",
            &anomaly_probability,
            (0.0..=1.0).contains(&anomaly_probability),
            "a number from 0 to 1",
        );
        if !problems.is_empty() {
            return Err(problems);
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 3.2e15"
        )]
        let records = ((seconds as f64 * rate) as u64).max(1);
        Ok(Settings { kind, seed, start_millis, records, rate, anomaly_probability })
    }

    pub(super) fn kind(&self) -> &KindName {
        &self.kind
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn start_millis(&self) -> i64 {
        self.start_millis
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn anomaly_probability(&self) -> f64 {
        self.anomaly_probability
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.records
    }
}
