//! What the generator can be told, as it comes: units, ranges and defaults. Checked by [`super::Settings::new`].

use std::ops::RangeInclusive;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// The platforms of the sample data.
pub(super) const PLATFORMS: [&str; 3] = ["pc_web", "mobile_web", "mobile_app"];
/// The marketplaces of the sample data.
pub(super) const MARKETPLACES: [&str; 7] = ["us", "uk", "de", "fr", "es", "it", "jp"];
/// A Monday.
const START: NaiveDateTime = match NaiveDate::from_ymd_opt(2024, 3, 4) {
    Some(monday) => monday.and_time(NaiveTime::MIN),
    None => panic!("2024-03-04 exists"),
};

/// How long the data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many days.
    Days(u32),
    /// So many steps.
    Steps(u64),
}

/// Which series there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeriesSet {
    /// Every platform on every marketplace.
    Product {
        /// Values of the first dimension.
        platforms: Vec<String>,
        /// Values of the second dimension.
        marketplaces: Vec<String>,
    },
    /// So many series: the platforms of the sample on its marketplaces and then on made-up ones (`m0007`, `m0008`, ...).
    Count(usize),
}

/// What the generator can be told, unchecked. The default is the sample generator's.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Everything random follows from it.
    pub seed: u64,
    /// UTC time of the first step, a multiple of the cadence after midnight.
    pub start: NaiveDateTime,
    /// How long the data is, 1 step or more, ending before the year 9999.
    pub extent: Extent,
    /// Distance of two steps in seconds: whole minutes that divide a day. It is also the length of the intervals whose
    /// records add up to one value.
    pub cadence_seconds: u64,
    /// Which series, 1 to 10,000,000; names of 1 to 64 letters, digits, `_`, `-` or `.`.
    pub series: SeriesSet,
    /// Probability, 0 to 1, that an incident starts at a step of a series while none runs.
    pub anomaly_probability: f64,
    /// Length of an incident in minutes, drawn uniformly; 1 to 10,080. It covers every step that it touches.
    pub anomaly_minutes: RangeInclusive<u32>,
    /// Size of an incident's shift in views per step, drawn uniformly, up or down at even odds; 1 to 1,000,000.
    pub anomaly_shift: RangeInclusive<f64>,
    /// Mean number of records per series and step, 1 to 1000; the number is uniform in `1..=2 * mean - 1`.
    pub records_mean: u32,
    /// Longest way from event time to arrival of a record in time, in seconds, 0 to 3600; uniform.
    pub jitter_seconds_max: u32,
    /// Late records per million others, 0 to 1,000,000.
    pub late_per_million: u32,
    /// Malformed records per million others, 0 to 1,000,000.
    pub malformed_per_million: u32,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            seed: 1,
            start: START,
            extent: Extent::Days(7),
            cadence_seconds: 300,
            series: SeriesSet::Count(PLATFORMS.len() * MARKETPLACES.len()),
            anomaly_probability: 0.005,
            anomaly_minutes: 1..=300,
            anomaly_shift: 100.0..=600.0,
            records_mean: 4,
            jitter_seconds_max: 20,
            late_per_million: 1000,
            malformed_per_million: 200,
        }
    }
}
