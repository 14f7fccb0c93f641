//! Many series within a memory budget.
//!
//! A series is kept with a quick forest ([`Form::Full`]), with a small one ([`Form::Compact`]) that says the same to the
//! bit, or without one ([`Form::Tail`], see `sparse`). The forest of a series that has sent nothing for a while is parked
//! as its snapshot, and woken before the series is judged again. While everything fits, all is full and nothing is
//! parked; where it does not, those with a few rows in an interval, which forests have little to tell of, get along without
//! one, and of the others the lightest move down, and up again when there is room (`plan`). The smallest form is
//! kept beside the others, so that whoever moves down goes on at once, and whoever moves up is judged by it until
//! the new forest speaks.
//!
//! What a form takes is set aside, not measured: [`Sizes`] follows from the settings, so the same history gives the same
//! forms on every machine, after a restart too (D2), and a young series has the room that it will need. Weight is
//! the mean number of rows in an interval, then the mean magnitude of the values: a series' own history, never its name.
//!
//! Here is one member, the series of a key; `step` has all of them.

mod plan;
mod step;

use super::arrival::Arrival;
use super::counter::{Counter, Increase};
use super::evidence::{BOXES_COMPACT, BOXES_FULL, forest_settings};
use super::judgement::{Context, Judgement};
use super::model::Place;
use super::series::Series;
use super::settings::{Measure, Settings};
use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};
use super::sparse::{Given, Parent, Sparse};
use crate::model::SeriesKey;

use plan::{Candidate, INCUMBENT, plan};

pub(super) use step::{Fleet, Moment, Said};

/// A series without rows for so many intervals is cold.
const COLD: u32 = 24;
/// Memory of the weights, in intervals.
const MEMORY: u32 = 576;
/// Mean rows of an interval below which a series is light.
const LIGHT: f64 = 8.0;
/// Intervals without rows that a new series is taken to have behind it: it must show its weight first.
const PRIOR: u32 = 12;
/// Characters set aside for the value of a dimension; the text itself must not decide about forms.
const TEXT_BYTES: usize = 32;
/// Of the list of what was odd in the last week.
const HABIT_BYTES: usize = 1024;

/// How a series is kept. The smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Without a forest: its share of what all series have together.
    Tail,
    /// With a forest of few boxes: about half the memory and twice the time.
    Compact,
    /// With a quick forest.
    Full,
}

impl Form {
    /// All, the smallest first.
    pub const ALL: [Form; 3] = [Form::Tail, Form::Compact, Form::Full];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Form::Tail => "tail",
            Form::Compact => "compact",
            Form::Full => "full",
        }
    }

    /// Mass above which its forest keeps boxes, if it has one.
    pub(super) fn box_mass(self) -> Option<usize> {
        match self {
            Form::Tail => None,
            Form::Compact => Some(BOXES_COMPACT),
            Form::Full => Some(BOXES_FULL),
        }
    }
}

impl Codec for Form {
    fn write(&self, to: &mut Writer) {
        (*self as u8).write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Form, SnapshotError> {
        let number = usize::from(u8::read(from)?);
        Form::ALL.get(number).copied().ok_or(SnapshotError::Inconsistent("a form"))
    }
}

/// Bytes set aside for the series of one key: one series per measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    forms: [u64; Form::ALL.len()],
    /// With series whose forests lie elsewhere.
    bare: u64,
}

impl Sizes {
    /// Of a detector with these settings.
    pub fn of(settings: &Settings) -> Sizes {
        let shape = settings.forest();
        let series = Series::new(settings.length(), shape, 0, true).bytes_without_forest() + HABIT_BYTES;
        let name = 16 + settings.dimensions().len() * (size_of::<Box<str>>() + TEXT_BYTES);
        // a tree of keys is two thirds full
        let entry = (size_of::<SeriesKey>() + size_of::<Member>()) * 3 / 2;
        let measures = settings.measures().len();
        let counters = counters_of(settings) * size_of::<Counter>();
        let tail = (entry + name + counters + measures * size_of::<Sparse>()) as u64;
        let bare = tail + (measures * series) as u64;
        let forms = Form::ALL.map(|form| {
            let forest = form.box_mass().and_then(|mass| forest_settings(shape, mass));
            forest.map_or(tail, |forest| bare + (measures * forest.memory_bytes_steady()) as u64)
        });
        Sizes { forms, bare }
    }

    /// Of a form.
    pub fn of_form(&self, form: Form) -> u64 {
        self.forms[form as usize]
    }
}

/// The series of one key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    /// Mean rows of an interval, and mean magnitude of what they sum to.
    rows: f64,
    magnitude: f64,
    age: u32,
    form: Form,
    is_parked: bool,
    /// Whether its forests are younger than it is.
    is_late: bool,
    /// One for each measure, if one of them is a counter.
    counters: Vec<Counter>,
    sparse: Vec<Sparse>,
    /// None in the smallest form.
    all: Vec<Series>,
}

codec!(Member { rows, magnitude, age, form, is_parked, is_late, counters, sparse, all });

/// What is to become of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Keep its forests as snapshots.
    Park,
    /// Take another form.
    Turn(Form),
    /// Take a form with a forest for the first time, or again.
    Begin(Form),
}

impl Codec for Change {
    fn write(&self, to: &mut Writer) {
        match self {
            Change::Park => 0u8.write(to),
            Change::Turn(form) => (1u8, *form).write(to),
            Change::Begin(form) => (2u8, *form).write(to),
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Change, SnapshotError> {
        match u8::read(from)? {
            0 => Ok(Change::Park),
            1 => Form::read(from).map(Change::Turn),
            2 => Form::read(from).map(Change::Begin),
            _ => Err(SnapshotError::Inconsistent("a change")),
        }
    }
}

impl Member {
    /// Of the series of a key that nothing is known of.
    pub(super) fn new(settings: &Settings) -> Member {
        Member {
            rows: 0.0,
            magnitude: 0.0,
            age: 0,
            form: Form::Tail,
            is_parked: false,
            is_late: false,
            counters: vec![Counter::default(); counters_of(settings)],
            sparse: vec![Sparse::new(); settings.measures().len()],
            all: Vec::new(),
        }
    }

    /// Whether a detector with these settings could have it.
    pub(super) fn fits(&self, settings: &Settings) -> bool {
        let measures = settings.measures().len();
        let series = if self.form == Form::Tail { 0 } else { measures };
        self.sparse.len() == measures && self.all.len() == series && self.counters.len() == counters_of(settings)
    }

    /// What there is to judge of measure `index` where the rows brought `given`; none where a value cannot be judged,
    /// because it is a counter's first.
    pub(super) fn reading(&mut self, index: usize, context: &Context, given: Given) -> Option<Given> {
        let Some(counter) = self.counters.get_mut(index).filter(|_| context.is_counter) else { return Some(given) };
        match counter.take(given.value) {
            Increase::Silent => Some(given),
            Increase::Unknown => None,
            Increase::By(increase) => Some(Given { value: Some(increase), ..given }),
        }
    }

    /// Judges an interval of measure `index`.
    pub(super) fn step(
        &mut self,
        index: usize,
        context: &Context,
        place: &Place,
        given: Given,
        parent: Parent,
    ) -> Judgement {
        let small = self.sparse[index].step(context, place, given, parent);
        let small = match given.value.or(context.empty_is_zero.then_some(0.0)) {
            Some(value) => context.margin.told(small, value, context.alarm),
            None => context.margin.widened(small, small.expected),
        };
        let Some(series) = self.all.get_mut(index) else { return small };
        let whole = series.step(context, place, given.value);
        if self.is_late && series.remaining() > 0 { small } else { whole }
    }

    /// Passes over an interval of measure `index`, which is neither judged nor taught: says what was expected of it.
    pub(super) fn pass(&mut self, index: usize, context: &Context, place: &Place, parent: Parent) -> Judgement {
        let small = self.sparse[index].pass(context, place, parent);
        let Some(series) = self.all.get_mut(index) else { return context.margin.widened(small, small.expected) };
        let whole = series.pass(context, place);
        let said = if self.is_late && series.remaining() > 0 { small } else { whole };
        context.margin.widened(said, said.expected)
    }

    /// Intervals until its series speak.
    pub(super) fn remaining(&self) -> impl Iterator<Item = u32> {
        self.sparse.iter().map(Sparse::remaining)
    }

    /// Whether all have been silent for so long that they may be forgotten.
    pub(super) fn is_gone(&self, per_day: u32) -> bool {
        self.sparse.iter().all(|sparse| sparse.is_gone(per_day))
    }

    /// Intervals for which it is certain that they will not be ([`Member::is_gone`]).
    pub(super) fn stays(&self, per_day: u32) -> u32 {
        self.sparse.iter().map(|sparse| sparse.stays(per_day)).max().unwrap_or(0)
    }

    /// Time was skipped.
    pub(super) fn jump(&mut self) {
        self.all.iter_mut().for_each(Series::jump);
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn is_parked(&self) -> bool {
        self.is_parked
    }

    /// Takes the weight of an interval in.
    #[expect(clippy::cast_precision_loss, reason = "rows of one interval stay far below 2^53")]
    pub(super) fn weigh(&mut self, arrival: Option<&Arrival>) {
        self.age = self.age.saturating_add(1).min(MEMORY);
        let gain = 1.0 / f64::from(self.age + PRIOR);
        let rows = arrival.map_or(0.0, |arrival| arrival.rows as f64);
        let magnitude = arrival.map_or(0.0, |arrival| arrival.magnitude);
        self.rows += gain * (rows - self.rows);
        self.magnitude += gain * (magnitude.min(f64::MAX / 4.0) - self.magnitude);
    }

    /// Whether a forest has nothing to tell of it: values that add up and come one by one, a few in an interval, are
    /// judged better by their sums over several intervals. Who has a forest keeps it until it is clearly lighter.
    pub(super) fn is_light(&self, contexts: &[Context]) -> bool {
        let limit = if self.form == Form::Tail { LIGHT } else { LIGHT / INCUMBENT };
        self.rows < limit && contexts.iter().all(|context| context.empty_is_zero)
    }

    /// As a candidate for another form, by its number in [`Form::ALL`].
    pub(super) fn candidate(&self) -> Candidate {
        Candidate { rows: self.rows, magnitude: self.magnitude, level: self.form as usize }
    }

    /// Whether its forests have been out of use for a while and will be until it has rows again. An empty interval of
    /// a quantity that adds up is a value, and teaches.
    pub(super) fn is_cold(&self, contexts: &[Context]) -> bool {
        let mut series = self.all.iter().zip(contexts);
        self.form != Form::Tail && series.all(|(series, context)| !context.empty_is_zero && series.absent() >= COLD)
    }

    /// Makes a change; `series` are those that it begins with.
    pub(super) fn change(&mut self, change: Change, series: impl FnOnce() -> Vec<Series>) {
        self.is_parked = change == Change::Park;
        match change {
            Change::Park => self.all.iter_mut().for_each(|series| series.forest_mut().park()),
            Change::Begin(form) => (self.form, self.is_late, self.all) = (form, self.age > 0, series()),
            Change::Turn(form) => self.form = form,
        }
        match self.form.box_mass() {
            Some(mass) if !self.is_parked => {
                self.all.iter_mut().for_each(|series| series.forest_mut().set_box_mass(mass))
            }
            Some(_) => {}
            None => self.all = Vec::new(),
        }
    }

    /// Bytes set aside for it.
    pub(super) fn set_aside(&self, sizes: &Sizes) -> u64 {
        if self.is_parked {
            sizes.bare + self.all.iter().map(|series| series.forest().parked_bytes() as u64).sum::<u64>()
        } else {
            sizes.of_form(self.form)
        }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let spare = (self.all.capacity() - self.all.len()) * size_of::<Series>();
        let sparse = self.sparse.capacity() * size_of::<Sparse>() + self.counters.capacity() * size_of::<Counter>();
        sparse + spare + self.all.iter().map(Series::bytes).sum::<usize>()
    }
}

/// Counters that are kept for a key.
fn counters_of(settings: &Settings) -> usize {
    let measures = settings.measures();
    if measures.iter().any(Measure::is_counter) { measures.len() } else { 0 }
}
