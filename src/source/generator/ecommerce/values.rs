//! The plain truth: views per series and step, before they are split into records.
//!
//! `views = max(int(peak * (cos(2 pi (minute - peak_minute) / 1440) + 1) + offset + noise + shift), 0)`, where `int`
//! cuts toward zero, `minute` is the minute of the UTC day, `peak ~ U(200, 400)`, `peak_minute ~ U(12:00, 21:00)`,
//! `offset ~ U(100, 200)` and `s ~ U(2, 10)` are drawn once per series, `noise ~ U(-s, s)` at every step.
//! Revenue is 0.3 per view.

use std::f64::consts::TAU;

use crate::model::{Cell, ClosedInterval, Interval, SeriesKey, Stats};

use super::super::random::{Purpose, Random};
use super::incidents::{Incident, Incidents};
use super::settings::Settings;

const MINUTES_PER_DAY: f64 = 1440.0;
const SECONDS_PER_MINUTE: f64 = 60.0;
/// Tenths of revenue per view.
const TENTHS_PER_VIEW: u64 = 3;
/// The same in whole currency.
pub(super) const REVENUE_PER_VIEW: f64 = 0.3;

/// Views of one series in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Which step, as the interval that it fills, UTC.
    pub interval: Interval,
    /// Which series, see [`Settings::names`].
    pub series: u32,
    /// How many views.
    pub views: u32,
    /// Whether an incident covers the step.
    pub anomalous: bool,
}

/// Revenue of so many views, in tenths: a whole number of cents without rounding.
pub(super) fn revenue_tenths(views: u32) -> u64 {
    u64::from(views) * TENTHS_PER_VIEW
}

/// The shape of one series and its noise.
#[derive(Clone, Debug)]
struct Level {
    random: Random,
    peak: f64,
    peak_minute: f64,
    offset: f64,
    noise_max: f64,
}

impl Level {
    fn new(settings: &Settings, series: u32) -> Level {
        let mut random = Random::new(settings.seed(), settings.names(series), Purpose::Level);
        let peak = random.between(200.0, 400.0);
        let peak_minute = random.between(12.0 * 60.0, 21.0 * 60.0);
        let offset = random.between(100.0, 200.0);
        let noise_max = random.between(2.0, 10.0);
        Level { random, peak, peak_minute, offset, noise_max }
    }

    fn advance(&mut self, minute_of_day: f64) -> f64 {
        let wave = libm::cos(TAU * (minute_of_day - self.peak_minute) / MINUTES_PER_DAY) + 1.0;
        let noise = self.random.between(-self.noise_max, self.noise_max);
        self.peak * wave + self.offset + noise
    }
}

/// One series: its level and its incidents, one call per step.
#[derive(Clone, Debug)]
pub(super) struct SeriesValues {
    level: Level,
    incidents: Incidents,
}

impl SeriesValues {
    pub(super) fn new(settings: &Settings, series: u32) -> SeriesValues {
        SeriesValues { level: Level::new(settings, series), incidents: Incidents::new(settings, series) }
    }

    /// Views of the next step, and the incident that covers it.
    pub(super) fn advance(&mut self, settings: &Settings, minute_of_day: f64) -> (u32, Option<Incident>) {
        let incident = self.incidents.advance(settings);
        let level = self.level.advance(minute_of_day) + incident.map_or(0.0, |incident| incident.shift);
        (cut(level), incident)
    }
}

/// Cuts toward zero and holds at 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is the formula")]
fn cut(level: f64) -> u32 {
    level as u32
}

/// Minute of the UTC day at which an interval starts.
pub(super) fn minute_of_day(interval: Interval) -> f64 {
    f64::from(interval.slot()) * f64::from(interval.length().seconds()) / SECONDS_PER_MINUTE
}

/// All values, step by step, and within a step series by series. Memory: some 100 bytes per series.
#[derive(Clone, Debug)]
pub struct Values {
    settings: Settings,
    series: Vec<SeriesValues>,
    step: u64,
    next_series: usize,
    interval: Interval,
    minute: f64,
}

impl Values {
    /// From the first step on.
    pub fn new(settings: Settings) -> Values {
        let series = (0..settings.series_count()).map(|series| SeriesValues::new(&settings, series)).collect();
        let interval = settings.interval(0);
        Values { settings, series, step: 0, next_series: 0, interval, minute: minute_of_day(interval) }
    }
}

impl Iterator for Values {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        if self.next_series == self.series.len() {
            self.next_series = 0;
            self.step += 1;
            self.interval = self.settings.interval(self.step);
            self.minute = minute_of_day(self.interval);
        }
        if self.step == self.settings.steps() {
            return None;
        }
        let series = self.next_series;
        self.next_series += 1;
        let (views, incident) = self.series[series].advance(&self.settings, self.minute);
        let series = u32::try_from(series).unwrap_or(u32::MAX);
        Some(Value { interval: self.interval, series, views, anomalous: incident.is_some() })
    }
}

/// The values as a detector gets them: one interval per step, the dimensions platform and marketplace, the measures
/// views and revenue, one row per cell.
pub fn closed_intervals(settings: Settings) -> impl Iterator<Item = ClosedInterval> {
    let mut order: Vec<_> = (0..settings.series_count()).map(|series| (settings.key(series), series)).collect();
    order.sort_unstable();
    let steps = settings.steps();
    let mut values = Values::new(settings);
    let mut views = vec![0_u32; order.len()];
    (0..steps).map(move |step| {
        for (place, value) in views.iter_mut().zip(values.by_ref()) {
            *place = value.views;
        }
        let cells = order.iter().map(|(key, series)| cell(key.clone(), views[*series as usize])).collect();
        ClosedInterval { interval: values.settings.interval(step), cells }
    })
}

fn cell(key: SeriesKey, views: u32) -> Cell {
    let mut stats = vec![Stats::EMPTY; 2];
    stats[0].add(f64::from(views));
    stats[1].add(revenue(views));
    Cell { key, rows: 1, stats, sketches: Vec::new() }
}

/// The number that the written revenue reads back as.
#[expect(clippy::cast_precision_loss, reason = "tenths of one value stay far below 2^53")]
fn revenue(views: u32) -> f64 {
    revenue_tenths(views) as f64 / 10.0
}
