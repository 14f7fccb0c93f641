//! What the generator is told, once every value is checked. All problems are found in one pass.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use crate::model::{Interval, Length, SeriesKey, Timestamp};

use super::parameters::{Extent, MARKETPLACES, PLATFORMS, Parameters, SeriesSet};

/// Memory is a few hundred bytes per series: more would not fit a laptop.
const SERIES_MAX: usize = 10_000_000;
const NAME_BYTES_MAX: usize = 64;
const STEPS_MAX: u64 = 1 << 40;
const MILLION: u32 = 1_000_000;
/// More than the longest way from the end of a step to an arrival.
const MARGIN_MICROS: i64 = 86_400_000_000;
const NAMES_ALLOWED: &str = "distinct names of 1 to 64 letters, digits, `_`, `-` or `.`";

/// One parameter out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is `{value}`; hint: {allowed}")]
pub struct SettingsError {
    key: &'static str,
    value: String,
    allowed: &'static str,
}

impl SettingsError {
    /// The parameter, named as in [`Parameters`].
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Its value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it may be.
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }
}

/// Checked parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    seed: u64,
    first: Interval,
    steps: u64,
    platforms: Vec<String>,
    marketplaces: Vec<String>,
    series_count: u32,
    anomaly_probability: f64,
    anomaly_minutes: RangeInclusive<u32>,
    anomaly_shift: RangeInclusive<f64>,
    records_mean: u32,
    jitter_seconds_max: u32,
    late_per_million: u32,
    malformed_per_million: u32,
}

impl Settings {
    /// Checks every parameter against its range.
    ///
    /// # Errors
    /// All parameters that are out of their range, in the order of [`Parameters`].
    pub fn new(parameters: Parameters) -> Result<Settings, Vec<SettingsError>> {
        let Parameters { anomaly_probability, anomaly_minutes, anomaly_shift, .. } = &parameters;
        let mut problems = Problems::default();
        let timeline = timeline(&parameters, &mut problems);
        let names = names(&parameters.series, &mut problems);
        problems.check(
            "anomaly_probability",
            anomaly_probability,
            (0.0..=1.0).contains(anomaly_probability),
            "a number from 0 to 1",
        );
        problems.check(
            "anomaly_minutes",
            format_args!("{anomaly_minutes:?}"),
            ordered_within(anomaly_minutes, &(1..=10_080)),
            "a range of minutes within 1 to 10080, the smaller first",
        );
        problems.check(
            "anomaly_shift",
            format_args!("{anomaly_shift:?}"),
            ordered_within(anomaly_shift, &(1.0..=1e6)),
            "a range of views within 1 to 1000000, the smaller first",
        );
        for (key, value, range, allowed) in [
            ("records_mean", parameters.records_mean, 1..=1000, "a number from 1 to 1000"),
            ("jitter_seconds_max", parameters.jitter_seconds_max, 0..=3600, "a number from 0 to 3600"),
            ("late_per_million", parameters.late_per_million, 0..=MILLION, "a number from 0 to 1000000"),
            ("malformed_per_million", parameters.malformed_per_million, 0..=MILLION, "a number from 0 to 1000000"),
        ] {
            problems.check(key, value, range.contains(&value), allowed);
        }
        match (timeline, names) {
            (Some((first, steps)), Some((platforms, marketplaces, series_count))) if problems.0.is_empty() => {
                Ok(Settings {
                    seed: parameters.seed,
                    first,
                    steps,
                    platforms,
                    marketplaces,
                    series_count,
                    anomaly_probability: parameters.anomaly_probability,
                    anomaly_minutes: parameters.anomaly_minutes,
                    anomaly_shift: parameters.anomaly_shift,
                    records_mean: parameters.records_mean,
                    jitter_seconds_max: parameters.jitter_seconds_max,
                    late_per_million: parameters.late_per_million,
                    malformed_per_million: parameters.malformed_per_million,
                })
            }
            _ => Err(problems.0),
        }
    }

    /// Everything random follows from it.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Distance of two steps.
    pub fn cadence(&self) -> Length {
        self.first.length()
    }

    /// The interval of a step, counted from 0, in UTC.
    pub fn interval(&self, step: u64) -> Interval {
        self.first.offset(step.try_into().unwrap_or(i64::MAX))
    }

    /// The interval after the last.
    pub fn end(&self) -> Interval {
        self.interval(self.steps)
    }

    /// How many series.
    pub fn series_count(&self) -> u32 {
        self.series_count
    }

    /// Platform and marketplace of a series. Numbers run from 0 up to the count, all platforms of the first
    /// marketplace first; a number past the count wraps around.
    pub fn names(&self, series: u32) -> (&str, &str) {
        let index = usize::try_from(series).unwrap_or(usize::MAX);
        let platform = index % self.platforms.len();
        let marketplace = index / self.platforms.len() % self.marketplaces.len();
        (&self.platforms[platform], &self.marketplaces[marketplace])
    }

    /// Platform and marketplace of a series, as a key.
    pub fn key(&self, series: u32) -> SeriesKey {
        let (platform, marketplace) = self.names(series);
        SeriesKey::new([platform, marketplace])
    }

    pub(super) fn anomaly_probability(&self) -> f64 {
        self.anomaly_probability
    }

    pub(super) fn anomaly_minutes(&self) -> &RangeInclusive<u32> {
        &self.anomaly_minutes
    }

    pub(super) fn anomaly_shift(&self) -> &RangeInclusive<f64> {
        &self.anomaly_shift
    }

    pub(super) fn records_mean(&self) -> u32 {
        self.records_mean
    }

    pub(super) fn jitter_seconds_max(&self) -> u32 {
        self.jitter_seconds_max
    }

    pub(super) fn late_per_million(&self) -> u32 {
        self.late_per_million
    }

    pub(super) fn malformed_per_million(&self) -> u32 {
        self.malformed_per_million
    }
}

/// What is wrong so far.
#[derive(Default)]
struct Problems(Vec<SettingsError>);

impl Problems {
    fn check(&mut self, key: &'static str, value: impl fmt::Display, good: bool, allowed: &'static str) {
        if !good {
            self.0.push(SettingsError { key, value: value.to_string(), allowed });
        }
    }
}

fn ordered_within<T: PartialOrd>(range: &RangeInclusive<T>, limits: &RangeInclusive<T>) -> bool {
    limits.contains(range.start()) && limits.contains(range.end()) && range.start() <= range.end()
}

/// First interval and number of steps.
fn timeline(parameters: &Parameters, problems: &mut Problems) -> Option<(Interval, u64)> {
    let cadence = Length::from_seconds(parameters.cadence_seconds).ok().filter(|length| length.is_whole_minutes());
    let first = cadence.and_then(|cadence| Interval::starting(parameters.start, cadence));
    let steps = match (parameters.extent, cadence) {
        (Extent::Steps(steps), _) => steps,
        (Extent::Days(days), Some(cadence)) => u64::from(days) * u64::from(cadence.per_day()),
        (Extent::Days(days), None) => u64::from(days),
    };
    problems.check(
        "start",
        parameters.start,
        cadence.is_none() || first.is_some(),
        "a time that is a multiple of the cadence after midnight",
    );
    problems.check(
        "extent",
        format_args!("{:?}", parameters.extent),
        (1..=STEPS_MAX).contains(&steps) && first.is_none_or(|first| fits(first, steps)),
        "a day or a step at least, within the years 1 to 9998",
    );
    problems.check(
        "cadence_seconds",
        parameters.cadence_seconds,
        cadence.is_some(),
        "a number of seconds that makes whole minutes and divides a day",
    );
    Some((first?, steps))
}

/// Whether all steps, and the latest arrival after them, are instants that a partition path can carry.
fn fits(first: Interval, steps: u64) -> bool {
    let end = i64::try_from(steps)
        .ok()
        .and_then(|steps| steps.checked_mul(first.length().micros()))
        .and_then(|micros| micros.checked_add(first.start().and_utc().timestamp_micros()));
    Timestamp::from_micros(first.start().and_utc().timestamp_micros()).is_ok()
        && end.is_some_and(|end| end < Timestamp::MAX.micros() - MARGIN_MICROS)
}

/// Platforms, marketplaces and number of series.
fn names(series: &SeriesSet, problems: &mut Problems) -> Option<(Vec<String>, Vec<String>, u32)> {
    let (platforms, marketplaces, count) = match series {
        SeriesSet::Product { platforms, marketplaces } => {
            for (key, names) in [("platforms", platforms), ("marketplaces", marketplaces)] {
                problems.check(key, names.join(","), good_names(names), NAMES_ALLOWED);
            }
            (platforms.clone(), marketplaces.clone(), platforms.len().saturating_mul(marketplaces.len()))
        }
        SeriesSet::Count(count) => {
            let platforms = PLATFORMS.map(str::to_owned).to_vec();
            let marketplaces = (0..(*count).min(SERIES_MAX).div_ceil(PLATFORMS.len())).map(marketplace).collect();
            (platforms, marketplaces, *count)
        }
    };
    problems.check("series", count, (1..=SERIES_MAX).contains(&count), "a number of series from 1 to 10000000");
    Some((platforms, marketplaces, u32::try_from(count).ok()?))
}

fn marketplace(index: usize) -> String {
    MARKETPLACES.get(index).map_or_else(|| format!("m{index:04}"), |name| (*name).to_owned())
}

fn good_names(names: &[String]) -> bool {
    let distinct: BTreeSet<&String> = names.iter().collect();
    !names.is_empty() && distinct.len() == names.len() && names.iter().all(|name| good_name(name))
}

fn good_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(good)
}
