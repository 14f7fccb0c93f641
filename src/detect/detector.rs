//! All series of a job: one state per dimension combination and measure, stepped in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fleet::{Candidate, Change, Form, Member, Sizes, plan};
use super::judgement::{Context, Judgement, State};
use super::model::Place;
use super::series::{Series, VALUE_MAX, WARM_UP};
use super::settings::{Aggregation, Measure, Settings};
use super::snapshot::{self, Codec, Reader, SnapshotError, Writer};
use super::sparse::{Given, Parent};
use super::spread::{Sequential, Spread, on_each};
use crate::model::{Cell, ClosedInterval, Direction, Interval, Point, PointState, SeriesKey, Stats};

/// The continuous detector. [`Detector::observe`] is its one step.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: Settings,
    contexts: Vec<Context>,
    last: Option<Interval>,
    sizes: Sizes,
    /// The sum over all series of each measure, once some of them are judged by their share of it.
    totals: Vec<Series>,
    series: BTreeMap<SeriesKey, Member>,
}

/// Keys whose state is written at the same time.
const SNAPSHOT_BATCH: usize = 1024;

/// What a series was given and said.
type Said = Option<(Option<f64>, Judgement)>;

/// The series of one key in a step, with the places for what they say.
struct Task<'a> {
    key: &'a SeriesKey,
    member: &'a mut Member,
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
    /// Series in full form.
    pub full: usize,
    /// In compact form.
    pub compact: usize,
    /// Series without a forest.
    pub tail: usize,
    /// Series whose forest is parked, full or compact.
    pub parked: usize,
    /// Bytes set aside for them, at most the budget: above it only if even the smallest forms take more.
    pub set_aside_bytes: u64,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings) -> Detector {
        let alarm = -libm::log10(settings.alarm_probability());
        let per_day = settings.length().per_day();
        let contexts = settings.measures().iter();
        let contexts =
            contexts.map(|measure| Context { per_day, alarm, empty_is_zero: measure.aggregation.empty_is_zero() });
        let (contexts, sizes) = (contexts.collect(), Sizes::of(&settings));
        Detector { contexts, sizes, settings, last: None, totals: Vec::new(), series: BTreeMap::new() }
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
                self.series.values_mut().for_each(Member::jump);
                self.totals.iter_mut().for_each(Series::jump);
            }
        }
        self.last = Some(closed.interval);
        self.step(closed.interval, &closed.cells, &mut points, spread);
        points
    }

    /// The whole state as bytes: versioned, with a checksum, exact to the bit (D2).
    pub fn snapshot(&self) -> Vec<u8> {
        self.snapshot_on(&Sequential)
    }

    /// [`Detector::snapshot`] with the series spread over what the caller has; the same bytes.
    pub fn snapshot_on(&self, spread: &impl Spread) -> Vec<u8> {
        snapshot::seal(&self.settings, |to| self.write_state(spread, |bytes| to.append(bytes)))
    }

    /// Gives the state in pieces, as they follow the header in [`Detector::snapshot`]; so a large one need not lie in
    /// memory as a whole.
    pub fn snapshot_in_pieces(&self, spread: &impl Spread, put: impl FnMut(&[u8])) {
        self.write_state(spread, put);
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
        let key = |key: &SeriesKey| 16 + key.values().map(|value| size_of::<Box<str>>() + value.len()).sum::<usize>();
        let entry = (size_of::<SeriesKey>() + size_of::<Member>()) * 3 / 2;
        let members = self.series.iter().map(|(at, member)| entry + key(at) + member.heap_bytes());
        members.chain(self.totals.iter().map(Series::bytes)).sum()
    }

    /// Bytes set aside for the series of one key.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// How far the series have learned, and how they are kept.
    pub fn status(&self) -> Status {
        let measures = self.contexts.len();
        let remaining = || self.series.values().flat_map(Member::remaining);
        let members = |is: &dyn Fn(&Member) -> bool| measures * self.series.values().filter(|m| is(m)).count();
        Status {
            series: self.series_count(),
            learning: remaining().filter(|remaining| *remaining > 0).count(),
            remaining: remaining().max().unwrap_or(0),
            full: members(&|member| member.form() == Form::Full),
            compact: members(&|member| member.form() == Form::Compact),
            tail: members(&|member| member.form() == Form::Tail),
            parked: members(&Member::is_parked),
            set_aside_bytes: self.set_aside_for_totals()
                + self.series.values().map(|member| member.set_aside(&self.sizes)).sum::<u64>(),
        }
    }

    /// The form of the series of each key.
    pub fn kept(&self) -> impl Iterator<Item = (&SeriesKey, Form)> {
        self.series.iter().map(|(key, member)| (key, member.form()))
    }

    /// Takes over what another detector knows of the series of one key, in its form, under another key of ours.
    /// False where the other knows nothing of them or has other measures.
    pub fn adopt(&mut self, key: SeriesKey, other: &Detector, like: &SeriesKey) -> bool {
        let same = self.settings.description() == other.settings.description();
        let member = other.series.get(like).filter(|_| same);
        member.is_some_and(|member| self.series.insert(key, member.clone()).is_none())
    }

    /// Decides about the forms for an interval with these cells, and changes those that are to be changed: first who
    /// becomes smaller, then who becomes larger, so that the budget is kept on the way.
    fn arrange(&mut self, cells: &[Cell], spread: &impl Spread) {
        let budget = self.settings.memory_bytes();
        let is_roomy = self.sizes.of_form(Form::Full).saturating_mul(self.series.len() as u64) <= budget;
        let mut cells = cells.iter().peekable();
        let mut members = Vec::with_capacity(self.series.len());
        for (key, member) in &mut self.series {
            while cells.next_if(|cell| cell.key < *key).is_some() {}
            let has_rows = cells.next_if(|cell| cell.key == *key).is_some();
            members.push((key, member, has_rows));
        }
        let change = |key: &SeriesKey, member: &Member, form: Form| match member.form() {
            Form::Tail => Change::Begin(form, new_series(&self.settings, key)),
            _ => Change::Turn(form),
        };
        if is_roomy {
            let others = members.into_iter().filter(|(_, m, _)| m.form() != Form::Full || m.is_parked());
            let changes = others.map(|(key, member, _)| {
                let change = change(key, member, Form::Full);
                (member, change)
            });
            return make(changes.collect(), spread);
        }
        let (cold, awake): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(_, member, has_rows)| !has_rows && member.is_cold(&self.contexts));
        let mut cold: Vec<&mut Member> = cold.into_iter().map(|(_, member, _)| member).collect();
        make(cold.iter_mut().filter(|m| !m.is_parked()).map(|m| (&mut **m, Change::Park)).collect(), spread);
        let parked: u64 = cold.iter().map(|member| member.set_aside(&self.sizes)).sum();
        let mut candidates: Vec<Candidate> = awake.iter().map(|(_, member, _)| member.candidate()).collect();
        // the totals are there, or will be as soon as they are needed
        let fixed = parked + self.sizes.of_form(Form::Full);
        plan(&mut candidates, &Form::ALL.map(|form| self.sizes.of_form(form)), budget.saturating_sub(fixed));
        let changes =
            awake.into_iter().zip(&candidates).map(|((key, member, _), to)| (key, member, Form::ALL[to.level]));
        let changes = changes.filter(|(_, member, form)| member.form() != *form || member.is_parked());
        let (smaller, larger): (Vec<_>, Vec<_>) = changes
            .partition(|(_, member, form)| *form < member.form() && (!member.is_parked() || *form == Form::Tail));
        for changes in [smaller, larger] {
            let changes = changes.into_iter().map(|(key, member, form)| {
                let change = change(key, member, form);
                (member, change)
            });
            make(changes.collect(), spread);
        }
        if self.totals.is_empty() && self.series.values().any(|member| member.form() == Form::Tail) {
            self.totals = new_series(&self.settings, &SeriesKey::new([]));
        }
    }

    fn set_aside_for_totals(&self) -> u64 {
        if self.totals.is_empty() { 0 } else { self.sizes.of_form(Form::Full) }
    }

    /// Steps the sums over all series, and says what each measure's is and was forecast to be.
    fn step_totals(&mut self, place: &Place, cells: &[Cell]) -> Vec<Parent> {
        let mut parents = Vec::with_capacity(self.contexts.len());
        for (index, context) in self.contexts.iter().enumerate() {
            let Measure { column, aggregation, .. } = self.settings.measures()[index];
            let values = cells.iter().filter_map(|cell| value_of(cell, column, aggregation));
            let value: f64 = values.sum::<f64>().clamp(-VALUE_MAX, VALUE_MAX);
            let mut forecast = None;
            if let Some(total) = self.totals.get_mut(index).filter(|_| context.empty_is_zero) {
                let judgement = total.step(context, place, Some(value));
                forecast = Some(judgement.expected).filter(|_| total.remaining() == 0);
            }
            parents.push(Parent { value, forecast });
        }
        parents
    }

    fn step(&mut self, interval: Interval, cells: &[Cell], points: &mut Vec<Point>, spread: &impl Spread) {
        for cell in cells {
            if !self.series.contains_key(&cell.key) {
                self.series.insert(cell.key.clone(), Member::new(self.contexts.len()));
            }
        }
        self.arrange(cells, spread);
        let place = Place::of(interval);
        let parents = self.step_totals(&place, cells);
        let (measures, contexts) = (self.settings.measures(), &self.contexts);
        let mut said: Vec<Said> = vec![None; self.series.len() * measures.len()];
        let mut cells = cells.iter().peekable();
        let mut tasks = Vec::with_capacity(self.series.len());
        for ((key, member), said) in self.series.iter_mut().zip(said.chunks_exact_mut(measures.len())) {
            // both sides are ordered by key
            while cells.next_if(|cell| cell.key < *key).is_some() {}
            let cell = cells.next_if(|cell| cell.key == *key);
            tasks.push(Task { key, member, cell, said });
        }
        on_each(spread, &mut tasks, &|task| {
            task.member.weigh(task.cell);
            for (index, Measure { column, aggregation, .. }) in measures.iter().enumerate() {
                let value = task.cell.and_then(|cell| value_of(cell, *column, *aggregation));
                let rows = task.cell.and_then(|cell| cell.stats.get(*column)).map_or(0, Stats::count);
                let given = Given { value, rows };
                let judgement = task.member.step(index, &contexts[index], &place, given, parents[index]);
                task.said[index] = Some((value, judgement));
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
        self.series.retain(|_, member| !member.is_gone(per_day));
    }

    fn write_state(&self, spread: &impl Spread, mut put: impl FnMut(&[u8])) {
        let mut head = Writer::default();
        self.last.map(Interval::number).write(&mut head);
        self.totals.write(&mut head);
        self.series.len().write(&mut head);
        put(&head.into_bytes());
        let mut series = self.series.iter().peekable();
        while series.peek().is_some() {
            let batch = series.by_ref().take(SNAPSHOT_BATCH);
            let mut batch: Vec<_> = batch.map(|(key, member)| (key, member, Vec::new())).collect();
            on_each(spread, &mut batch, &|(key, member, bytes)| {
                let mut to = Writer::default();
                key.values().map(str::to_owned).collect::<Vec<String>>().write(&mut to);
                member.write(&mut to);
                *bytes = to.into_bytes();
            });
            batch.iter().for_each(|(_, _, bytes)| put(bytes));
        }
    }

    fn read_state(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let length = self.settings.length();
        self.last = Option::<i64>::read(from)?.map(|number| Interval::containing(0, length).offset(number));
        self.totals = Vec::read(from)?;
        if !self.totals.is_empty() && self.totals.len() != self.contexts.len() {
            return Err(SnapshotError::Inconsistent("a total"));
        }
        for _ in 0..usize::read(from)? {
            let key = Vec::<String>::read(from)?;
            let member = Member::read(from)?;
            if !member.fits(self.contexts.len()) {
                return Err(SnapshotError::Inconsistent("a series"));
            }
            self.series.insert(SeriesKey::new(key.iter().map(String::as_str)), member);
        }
        Ok(())
    }
}

/// Series of a key that nothing is known of.
fn new_series(settings: &Settings, key: &SeriesKey) -> Vec<Series> {
    let (length, forest) = (settings.length(), settings.forest());
    let seed = |name: &str| seed_of(settings.seed(), name, key);
    settings.measures().iter().map(|measure| Series::new(length, forest, seed(&measure.name))).collect()
}

/// Makes changes of members.
fn make(mut changes: Vec<(&mut Member, Change)>, spread: &impl Spread) {
    on_each(spread, &mut changes, &|(member, change)| member.change(change));
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
