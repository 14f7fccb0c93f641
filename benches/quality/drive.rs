//! Drives the shipped detector through the library: the cells of each interval in, scores and alarms out. Partitions do not
//! change verdicts (D1), so none are made.

use std::sync::Arc;

use tidewatch::detect::{Aggregation, Detector, Measure, Settings};
use tidewatch::model::{Cell, ClosedInterval, Interval, Length, PointState, SeriesKey, Stats};

use super::peer::{QUIET, Top};
use super::world::{CELLS, MARKETS, SERIES, World};

/// What a detector said of the series of a case.
pub(crate) struct Judged {
    pub(crate) scores: Vec<Vec<f32>>,
    /// Own errors, as `peer` says.
    pub(crate) errors: Vec<Vec<f32>>,
    pub(crate) alarms: Vec<Vec<bool>>,
}

impl Judged {
    fn new(series: usize, steps: usize) -> Judged {
        let numbers = vec![vec![0.0; steps]; series];
        Judged { scores: numbers.clone(), errors: numbers, alarms: vec![vec![false; steps]; series] }
    }
}

/// Settings as shipped.
pub(crate) fn settings(
    names: &[&str],
    aggregation: Aggregation,
    dimensions: &[&str],
    minutes: usize,
    seed: u64,
) -> Settings {
    let measures = names.iter().enumerate();
    let measures = measures.map(|(column, name)| Measure::new(Arc::from(*name), column, aggregation)).collect();
    let dimensions = dimensions.iter().map(|name| (*name).to_owned()).collect();
    Settings::new(dimensions, measures, Length::from_seconds(60 * minutes as u64).unwrap(), seed).unwrap()
}

/// A world through one detector; its first day is a Monday.
pub(crate) fn world(world: &World, seed: u64) -> Judged {
    let mut detector =
        Detector::new(settings(&["views", "revenue"], Aggregation::Sum, &["platform", "marketplace"], 5, seed));
    let keys: Vec<SeriesKey> = (0..CELLS)
        .map(|cell| {
            let (platform, market) = (format!("p{}", cell / MARKETS), format!("m{}", cell % MARKETS));
            SeriesKey::new([platform.as_str(), market.as_str()])
        })
        .collect();
    let steps = world.values[0].len();
    let first = monday(5);
    let mut judged = Judged::new(SERIES, steps);
    let mut tops = vec![Top::default(); SERIES];
    for step in 0..steps {
        let cells = keys.iter().enumerate().filter_map(|(cell, key)| {
            let stats: Vec<Stats> = (0..2).map(|measure| stats(world.values[2 * cell + measure][step])).collect();
            let rows = stats.iter().map(Stats::count).max().unwrap_or(0);
            (rows > 0).then(|| Cell { key: key.clone(), rows, stats, sketches: Vec::new() })
        });
        let closed = ClosedInterval { interval: first.offset(step as i64), cells: cells.collect() };
        for point in detector.observe(&closed) {
            let at = (point.interval.number() - first.number()) as usize;
            let digit = |text: &str| usize::from(text.as_bytes()[1] - b'0');
            let cell = point.key.values().fold(0, |sum, value| sum * MARKETS + digit(value));
            let series = 2 * cell + usize::from(&*point.measure == "revenue");
            let error = (world.values[series][at] - point.expected).abs();
            judged.errors[series][at] = tops[series].rank(error, QUIET) as f32;
            judged.scores[series][at] = point.score as f32;
            judged.alarms[series][at] = matches!(point.state, PointState::Anomalous { .. });
        }
    }
    judged
}

/// One series of means that begins at `first`; an interval without value has none.
pub(crate) fn single(values: &[Option<f64>], first: Interval, seed: u64) -> Judged {
    let minutes = first.length().seconds() as usize / 60;
    let mut detector = Detector::new(settings(&["value"], Aggregation::Avg, &[], minutes, seed));
    let mut judged = Judged::new(1, values.len());
    let mut top = Top::default();
    for (step, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let mut stats = Stats::EMPTY;
        stats.add(*value);
        let cells = vec![Cell { key: SeriesKey::new([]), rows: 1, stats: vec![stats], sketches: Vec::new() }];
        for point in detector.observe(&ClosedInterval { interval: first.offset(step as i64), cells }) {
            let at = (point.interval.number() - first.number()) as usize;
            let error = point.value.map_or(0.0, |value| top.rank((value - point.expected).abs(), QUIET));
            judged.errors[0][at] = error as f32;
            judged.scores[0][at] = point.score as f32;
            judged.alarms[0][at] = matches!(point.state, PointState::Anomalous { .. });
        }
    }
    judged
}

/// The first interval of a Monday.
pub(crate) fn monday(minutes: i64) -> Interval {
    let length = Length::from_seconds(60 * minutes as u64).unwrap();
    Interval::containing((4 + 7 * 2800) * 86_400_000_000, length)
}

fn stats(value: f64) -> Stats {
    let mut stats = Stats::EMPTY;
    if value > 0.0 {
        stats.add(value);
    }
    stats
}
