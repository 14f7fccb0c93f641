//! Runs a detector over a world and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::world::Truth;
use crate::detect::{Aggregation, Detector, Measure, Settings};
use crate::model::{Cell, ClosedInterval, Interval, Length, Point, PointState, SeriesKey, Stats};

/// Settings for worlds with views and revenue.
pub(crate) fn settings(sensitivity: f64, seed: u64) -> Settings {
    let measure = |name: &str, column| Measure::new(Arc::from(name), column, Aggregation::Sum);
    let dimensions = vec!["platform".to_owned(), "marketplace".to_owned()];
    let length = Length::from_seconds(300).unwrap();
    let measures = vec![measure("views", 0), measure("revenue", 1)];
    Settings::new(dimensions, measures, length, seed).unwrap().with_sensitivity(sensitivity).unwrap()
}

/// The closed intervals of a world; day 0 is a Monday.
pub(crate) fn intervals(world: &[(Truth, Truth)]) -> Vec<ClosedInterval> {
    let length = Length::from_seconds(300).unwrap();
    let first = Interval::containing(4 * 86_400_000_000, length).offset(288 * 7 * 2600);
    let steps = world[0].0.values.len();
    (0..steps)
        .map(|step| {
            let mut cells: Vec<Cell> = world
                .iter()
                .filter_map(|(views, revenue)| {
                    let mut stats = [Stats::EMPTY; 2];
                    for (stats, truth) in stats.iter_mut().zip([views, revenue]) {
                        if let Some(value) = truth.values[step] {
                            stats.add(value);
                        }
                    }
                    let rows = stats.iter().map(Stats::count).sum();
                    let key = SeriesKey::new(views.key.iter().map(String::as_str));
                    (rows > 0).then(|| Cell { key, rows, stats: stats.to_vec(), sketches: Vec::new() })
                })
                .collect();
            cells.sort_by(|a, b| a.key.cmp(&b.key));
            ClosedInterval { interval: first.offset(step as i64), cells }
        })
        .collect()
}

/// Counts by episodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) incidents: usize,
    pub(crate) found: usize,
    /// Incidents that may span several series, and those found on one of them.
    pub(crate) whole: BTreeSet<usize>,
    pub(crate) whole_found: BTreeSet<usize>,
    pub(crate) episodes: usize,
    pub(crate) false_episodes: usize,
    /// Started hours of alarm away from incidents.
    pub(crate) false_hours: usize,
    pub(crate) delays: Vec<usize>,
    pub(crate) by_kind: BTreeMap<String, (usize, usize)>,
    /// Series and first interval of each false episode, for a look.
    pub(crate) where_false: Vec<(String, usize, usize)>,
    pub(crate) where_missed: Vec<(String, usize, usize, String)>,
}

impl Counts {
    pub(crate) fn recall(&self) -> f64 {
        self.found as f64 / self.incidents.max(1) as f64
    }

    /// Recall of incidents that count as found where one of their series is.
    pub(crate) fn whole_recall(&self) -> f64 {
        self.whole_found.len() as f64 / self.whole.len().max(1) as f64
    }

    pub(crate) fn precision(&self) -> f64 {
        1.0 - self.false_episodes as f64 / self.episodes.max(1) as f64
    }

    pub(crate) fn delay(&self) -> usize {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        delays.get(delays.len() / 2).copied().unwrap_or(0)
    }
}

/// Flags per series: measure and key, then one per interval.
pub(crate) type Flags = BTreeMap<(String, String), Vec<bool>>;

/// Runs a detector and gathers what it flagged.
pub(crate) fn flags(detector: &mut Detector, intervals: &[ClosedInterval]) -> Flags {
    let mut flags = Flags::new();
    let first = intervals[0].interval.number();
    for closed in intervals {
        for point in detector.observe(closed) {
            check(&point);
            let entry = flags.entry((point.measure.to_string(), point.key.to_string()));
            let row = entry.or_insert_with(|| vec![false; intervals.len()]);
            row[(point.interval.number() - first) as usize] = matches!(point.state, PointState::Anomalous { .. });
        }
    }
    flags
}

/// R1 and what every point owes its reader.
pub(crate) fn check(point: &Point) {
    assert!(point.score.is_finite() && point.score >= 0.0, "{point:?}");
    assert!((0.0..=100.0).contains(&point.severity), "{point:?}");
    assert!(point.expected.is_finite() && point.lower.is_finite() && point.upper.is_finite(), "{point:?}");
    assert!(point.lower <= point.expected && point.expected <= point.upper, "{point:?}");
    if let PointState::Anomalous { since, .. } = point.state {
        assert!(since <= point.interval, "{point:?}");
    }
}

/// Compares with the truth from interval `from` on; an alarm up to `grace` intervals after an incident belongs to it.
pub(crate) fn count(world: &[(Truth, Truth)], flags: &Flags, from: usize, grace: usize) -> Counts {
    let mut counts = Counts::default();
    for (views, revenue) in world {
        for (measure, truth) in [("views", views), ("revenue", revenue)] {
            let name = (measure.to_owned(), truth.key.join("/"));
            let Some(row) = flags.get(&name) else { continue };
            for (start, end, kind, index) in &truth.incidents {
                if *start < from {
                    continue;
                }
                counts.incidents += 1;
                counts.whole.insert(*index);
                let hit = (*start..=(end + grace).min(row.len() - 1)).find(|step| row[*step]);
                let entry = counts.by_kind.entry(kind.clone()).or_default();
                entry.1 += 1;
                if let Some(hit) = hit {
                    counts.found += 1;
                    counts.whole_found.insert(*index);
                    entry.0 += 1;
                    counts.delays.push(hit - start);
                } else {
                    counts.where_missed.push((format!("{measure} {}", name.1), *start, *end, kind.clone()));
                }
            }
            let mut step = from;
            while step < row.len() {
                if !row[step] {
                    step += 1;
                    continue;
                }
                let start = step;
                while step < row.len() && row[step] {
                    step += 1;
                }
                counts.episodes += 1;
                let touches = truth.incidents.iter().any(|(s, e, _, _)| start <= e + grace && step > *s);
                if !touches {
                    counts.false_episodes += 1;
                    counts.false_hours += (step - start).div_ceil(12);
                    counts.where_false.push((format!("{measure} {}", name.1), start, step - start));
                }
            }
        }
    }
    counts
}
