//! All series of a job: one state per dimension combination and measure, stepped in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::judgement::{Context, Judgement, State};
use super::model::Place;
use super::series::{Series, WARM_UP};
use super::settings::{Aggregation, Measure, Settings};
use super::snapshot::{self, Codec, Reader, SnapshotError, Writer};
use super::spread::{Sequential, Spread, on_each};
use crate::model::{Cell, ClosedInterval, Direction, Interval, Point, PointState, SeriesKey};

/// The continuous detector. [`Detector::observe`] is its one step.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: Settings,
    contexts: Vec<Context>,
    last: Option<Interval>,
    series: BTreeMap<SeriesKey, Vec<Series>>,
}

/// What a series was given and said.
type Said = Option<(Option<f64>, Judgement)>;

/// The series of one key in a step, with the places for what they say.
struct Task<'a> {
    key: &'a SeriesKey,
    all: &'a mut [Series],
    cell: Option<&'a Cell>,
    said: &'a mut [Said],
}

/// How far a detector has learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Series, one per dimension combination and measure.
    pub series: usize,
    /// Those that still learn.
    pub learning: usize,
    /// Intervals until the last of them speaks.
    pub remaining: u32,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings) -> Detector {
        let alarm = -libm::log10(settings.alarm_probability());
        let per_day = settings.length().per_day();
        let contexts = settings.measures().iter();
        let contexts =
            contexts.map(|measure| Context { per_day, alarm, empty_is_zero: measure.aggregation.empty_is_zero() });
        Detector { contexts: contexts.collect(), settings, last: None, series: BTreeMap::new() }
    }

    /// Intervals that a new series is watched before it speaks.
    pub fn warm_up_intervals() -> u32 {
        WARM_UP
    }

    /// Judges one closed interval: a point per series and measure, ordered by interval, measure and key.
    ///
    /// Intervals come in order, as they close; one that is not later than the last is ignored (its rows were late, its
    /// partition has a new revision, its verdict stands). Intervals that were passed over brought no rows at all: each
    /// is judged as empty, up to a day of them; beyond that the series keep their shapes and start from the level they
    /// find. A series is judged from the interval of its first row on, and forgotten after a long silence.
    pub fn observe(&mut self, closed: &ClosedInterval) -> Vec<Point> {
        self.observe_on(closed, &Sequential)
    }

    /// [`Detector::observe`] with the series spread over what the caller has; the same points, to the bit.
    pub fn observe_on(&mut self, closed: &ClosedInterval, spread: &impl Spread) -> Vec<Point> {
        let mut points = Vec::new();
        if let Some(last) = self.last {
            let passed = closed.interval.number() - last.number() - 1;
            if passed < 0 {
                return points;
            }
            let walked = passed.min(i64::from(self.settings.length().per_day().max(24)));
            for step in 1..=walked {
                self.step(last.offset(step), &[], &mut points, spread);
            }
            if walked < passed {
                self.series.values_mut().flatten().for_each(Series::jump);
            }
        }
        self.last = Some(closed.interval);
        self.step(closed.interval, &closed.cells, &mut points, spread);
        points
    }

    /// The whole state as bytes: versioned, with a checksum, exact to the bit (D2).
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::seal(&self.settings, |to| self.write_state(to))
    }

    /// A detector that goes on where the one that gave `bytes` stood.
    ///
    /// # Errors
    /// When the bytes are damaged, of another version, or learned under other settings.
    pub fn restore(settings: Settings, bytes: &[u8]) -> Result<Detector, SnapshotError> {
        let mut reader = snapshot::open(&settings, bytes)?;
        let mut detector = Detector::new(settings);
        detector.read_state(&mut reader)?;
        reader.finish()?;
        Ok(detector)
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The last interval that was judged.
    pub fn last(&self) -> Option<Interval> {
        self.last
    }

    /// Series, one per dimension combination and measure.
    pub fn series_count(&self) -> usize {
        self.series.len() * self.contexts.len()
    }

    /// Bytes that the state takes.
    pub fn memory_bytes(&self) -> usize {
        let key = |key: &SeriesKey| size_of::<SeriesKey>() + key.values().map(|value| value.len() + 16).sum::<usize>();
        self.series.iter().map(|(at, all)| key(at) + all.iter().map(Series::bytes).sum::<usize>()).sum()
    }

    /// How far the series have learned.
    pub fn status(&self) -> Status {
        let remaining = || self.series.values().flatten().map(Series::remaining);
        Status {
            series: self.series_count(),
            learning: remaining().filter(|remaining| *remaining > 0).count(),
            remaining: remaining().max().unwrap_or(0),
        }
    }

    fn step(&mut self, interval: Interval, cells: &[Cell], points: &mut Vec<Point>, spread: &impl Spread) {
        for cell in cells {
            if !self.series.contains_key(&cell.key) {
                let series = self.new_series(&cell.key);
                self.series.insert(cell.key.clone(), series);
            }
        }
        let (measures, contexts) = (self.settings.measures(), &self.contexts);
        let mut said: Vec<Said> = vec![None; self.series.len() * measures.len()];
        let mut cells = cells.iter().peekable();
        let mut tasks = Vec::with_capacity(self.series.len());
        for ((key, all), said) in self.series.iter_mut().zip(said.chunks_exact_mut(measures.len())) {
            // both sides are ordered by key
            while cells.next_if(|cell| cell.key < *key).is_some() {}
            let cell = cells.next_if(|cell| cell.key == *key);
            tasks.push(Task { key, all, cell, said });
        }
        let place = Place::of(interval);
        on_each(spread, &mut tasks, &|task| {
            for (index, series) in task.all.iter_mut().enumerate() {
                let Measure { column, aggregation, .. } = measures[index];
                let value = task.cell.and_then(|cell| value_of(cell, column, aggregation));
                task.said[index] = Some((value, series.step(&contexts[index], &place, value)));
            }
        });
        points.reserve(tasks.len() * measures.len());
        for (index, measure) in measures.iter().enumerate() {
            for task in &tasks {
                if let Some((value, judgement)) = task.said[index] {
                    points.push(point(interval, task.key, &measure.name, value, judgement));
                }
            }
        }
        let per_day = self.settings.length().per_day();
        self.series.retain(|_, all| !all.iter().all(|series| series.is_gone(per_day)));
    }

    fn new_series(&self, key: &SeriesKey) -> Vec<Series> {
        let (length, forest) = (self.settings.length(), self.settings.forest());
        let seed = |name: &str| seed_of(self.settings.seed(), name, key);
        self.settings.measures().iter().map(|measure| Series::new(length, forest, seed(&measure.name))).collect()
    }

    fn write_state(&self, to: &mut Writer) {
        self.last.map(Interval::number).write(to);
        self.series.len().write(to);
        for (key, all) in &self.series {
            key.values().map(str::to_owned).collect::<Vec<String>>().write(to);
            all.write(to);
        }
    }

    fn read_state(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let length = self.settings.length();
        self.last = Option::<i64>::read(from)?.map(|number| Interval::containing(0, length).offset(number));
        for _ in 0..usize::read(from)? {
            let key = Vec::<String>::read(from)?;
            let all = Vec::<Series>::read(from)?;
            if all.len() != self.contexts.len() {
                return Err(SnapshotError::Inconsistent("a series"));
            }
            self.series.insert(SeriesKey::new(key.iter().map(String::as_str)), all);
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of one interval stay far below 2^53")]
fn value_of(cell: &Cell, column: usize, aggregation: Aggregation) -> Option<f64> {
    let stats = cell.stats.get(column)?;
    match aggregation {
        Aggregation::Sum => (stats.count() > 0).then(|| stats.sum()),
        Aggregation::Avg => stats.mean(),
        Aggregation::Count => Some(stats.count() as f64),
        Aggregation::Min => stats.min(),
        Aggregation::Max => stats.max(),
    }
    .filter(|value| value.is_finite())
}

fn point(interval: Interval, key: &SeriesKey, measure: &Arc<str>, value: Option<f64>, judgement: Judgement) -> Point {
    let Judgement { expected, lower, upper, score, severity, state } = judgement;
    let state = match state {
        State::Learning { remaining } => PointState::Learning { remaining },
        State::Normal => PointState::Normal,
        State::Anomalous { high, since } => PointState::Anomalous {
            direction: if high { Direction::High } else { Direction::Low },
            since: interval.offset(since - interval.number()),
        },
    };
    Point {
        interval,
        key: key.clone(),
        measure: measure.clone(),
        value,
        expected,
        lower,
        upper,
        score,
        severity,
        state,
    }
}

/// A seed of its own for every series: FNV-1a over the measure's name and the key, mixed with the job's seed.
fn seed_of(seed: u64, measure: &str, key: &SeriesKey) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    for part in std::iter::once(measure).chain(key.values()) {
        for byte in part.bytes().chain(std::iter::once(0xff)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}
