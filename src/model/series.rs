//! Series: what is measured over time for one combination of dimension values, and the aggregates of one interval.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Distinct, Interval, Quantiles};

/// One combination of dimension values, in the order of the configured dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesKey(Arc<[Box<str>]>);

impl SeriesKey {
    /// The combination of these values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> SeriesKey {
        SeriesKey(values.into_iter().map(Box::from).collect())
    }

    /// The values.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// The values with slashes between: `pc_web/us`.
impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// Mergeable aggregates of one measure column over some rows; missing values do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Stats {
    /// Of no value.
    pub const EMPTY: Stats = Stats { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// Takes one finite value in.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        // one instruction each, where `f64::min` has to ask for what is no number
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
    }

    /// Takes in what others hold, whose values came after these.
    pub fn merge(&mut self, other: &Stats) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, 0 for none.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean.
    #[expect(clippy::cast_precision_loss, reason = "counts of one interval stay far below 2^53")]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The smallest.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }
}

/// What is known of values beside their [`Stats`]: mergeable too, and whatever the order, the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Sketch {
    /// How many different ones there are.
    Distinct(Distinct),
    /// How they are distributed.
    Quantiles(Quantiles),
}

impl Sketch {
    /// One of the same kind, of no values.
    #[must_use]
    pub fn emptied(&self) -> Sketch {
        match self {
            Sketch::Distinct(_) => Sketch::Distinct(Distinct::default()),
            Sketch::Quantiles(_) => Sketch::Quantiles(Quantiles::default()),
        }
    }

    /// Takes in what another one of its kind holds.
    pub fn merge(&mut self, other: &Sketch) {
        match (self, other) {
            (Sketch::Distinct(here), Sketch::Distinct(other)) => here.merge(other),
            (Sketch::Quantiles(here), Sketch::Quantiles(other)) => here.merge(other),
            (Sketch::Distinct(_), _) | (Sketch::Quantiles(_), _) => {}
        }
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        match self {
            Sketch::Distinct(distinct) => distinct.is_empty(),
            Sketch::Quantiles(quantiles) => quantiles.count() == 0,
        }
    }
}

/// The aggregates of one series in one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Which series.
    pub key: SeriesKey,
    /// How many rows.
    pub rows: u64,
    /// One entry per measure column of [`super::Columns`], empty where no measure takes it, and what else measures take.
    pub stats: Vec<Stats>,
    /// Of columns of which some measure asks for them.
    pub sketches: Vec<Sketch>,
}

/// One closed interval as the detector sees it: its cells, ordered by key, each key once.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedInterval {
    /// Which interval.
    pub interval: Interval,
    /// Its cells.
    pub cells: Vec<Cell>,
}
