//! One series at five minutes: its intervals in, its points out.

use super::harness::check;
use crate::detect::{Detector, ForestShape, Measure, Settings};
use crate::model::{Cell, ClosedInterval, Interval, Length, Point, PointState, SeriesKey, Stats};

/// Intervals of a day at five minutes.
pub(crate) const DAY: usize = 288;

/// An interval of five minutes, so many after the beginning of a Monday.
pub(crate) fn interval(step: usize) -> Interval {
    Interval::containing(4 * 86_400_000_000, Length::from_seconds(300).unwrap()).offset((7 * 2600 * DAY + step) as i64)
}

/// A cell of one row.
pub(crate) fn cell(key: &str, value: f64) -> Cell {
    let mut stats = Stats::EMPTY;
    stats.add(value);
    Cell { key: SeriesKey::new([key]), rows: 1, stats: vec![stats], sketches: Vec::new() }
}

/// An interval of the series `a` alone.
pub(crate) fn closed(step: usize, value: Option<f64>) -> ClosedInterval {
    ClosedInterval { interval: interval(step), cells: value.map(|value| cell("a", value)).into_iter().collect() }
}

/// What a detector says of the series `a`, each point checked.
pub(crate) fn run(mut detector: Detector, values: &[Option<f64>]) -> Vec<Point> {
    let points: Vec<Point> =
        values.iter().enumerate().flat_map(|(step, value)| detector.observe(&closed(step, *value))).collect();
    points.iter().for_each(check);
    points
}

pub(crate) fn is_anomalous(point: &Point) -> bool {
    matches!(point.state, PointState::Anomalous { .. })
}

/// Settings for one measure, with a small forest: the forest's part is tested elsewhere.
pub(crate) fn settings(measure: Measure) -> Settings {
    let settings = Settings::new(vec!["cell".into()], vec![measure], Length::from_seconds(300).unwrap(), 1).unwrap();
    settings.with_forest(ForestShape { trees: 10, sample: 64, shingle: 4, time_decay: 2560 }).unwrap()
}

/// A value for every interval.
pub(crate) fn sent(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|value| Some(*value)).collect()
}
