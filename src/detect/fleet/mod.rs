//! Many series within a memory budget.
//!
//! A series is kept in one of two forms that say the same to the bit: with a quick forest ([`Form::Full`]) or with a small one
//! ([`Form::Compact`]). The forest of a series that has sent nothing for a while is parked as its snapshot, and woken
//! before the series is judged again. While everything fits, all is full and nothing is parked; where it does not, the
//! lightest move down, and up again when there is room (`plan`).
//!
//! What a form takes is set aside, not measured: [`Sizes`] follows from the settings, so the same history gives the same
//! forms on every machine, after a restart too (D2), and a young series has the room that it will need. Weight is
//! the mean number of rows in an interval, then the mean magnitude of the values: a series' own history, never its name.

mod plan;

use super::evidence::{BOXES_COMPACT, BOXES_FULL, forest_settings};
use super::judgement::Context;
use super::series::Series;
use super::settings::Settings;
use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};
use crate::model::{Cell, SeriesKey, Stats};

pub(super) use plan::{Candidate, plan};

/// A series without rows for so many intervals is cold.
const COLD: u32 = 24;
/// Memory of the weights, in intervals.
const MEMORY: u32 = 576;
/// Intervals without rows that a new series is taken to have behind it: it must show its weight first.
const PRIOR: u32 = 12;
/// Characters set aside for the value of a dimension; the text itself must not decide about forms.
const TEXT_BYTES: usize = 32;
/// Of the list of what was odd in the last week.
const HABIT_BYTES: usize = 1024;

/// How a series is kept. The smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// With a forest of few boxes: about half the memory and twice the time.
    Compact,
    /// With a quick forest.
    Full,
}

impl Form {
    /// All, the smallest first.
    pub const ALL: [Form; 2] = [Form::Compact, Form::Full];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Form::Compact => "compact",
            Form::Full => "full",
        }
    }

    /// Mass above which its forest keeps boxes.
    pub(super) fn box_mass(self) -> usize {
        match self {
            Form::Compact => BOXES_COMPACT,
            Form::Full => BOXES_FULL,
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
    /// Without forests.
    bare: u64,
}

impl Sizes {
    /// Of a detector with these settings.
    pub fn of(settings: &Settings) -> Sizes {
        let shape = settings.forest();
        let series = Series::new(settings.length(), shape, 0).bytes_without_forest() + HABIT_BYTES;
        let name = 16 + settings.dimensions().len() * (size_of::<Box<str>>() + TEXT_BYTES);
        // a tree of keys is two thirds full
        let entry = (size_of::<SeriesKey>() + size_of::<Member>()) * 3 / 2;
        let measures = settings.measures().len();
        let bare = (entry + name + measures * series) as u64;
        let forms = Form::ALL.map(|form| {
            let forest = forest_settings(shape, form.box_mass()).map_or(0, |forest| forest.memory_bytes_steady());
            bare + (measures * forest) as u64
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
    pub(super) all: Vec<Series>,
}

codec!(Member { rows, magnitude, age, form, is_parked, all });

/// What is to become of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Park,
    Turn(Form),
}

impl Member {
    /// Of series that nothing is known of.
    pub(super) fn new(all: Vec<Series>) -> Member {
        Member { rows: 0.0, magnitude: 0.0, age: 0, form: Form::Full, is_parked: false, all }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn is_parked(&self) -> bool {
        self.is_parked
    }

    /// Takes the weight of an interval in.
    #[expect(clippy::cast_precision_loss, reason = "rows of one interval stay far below 2^53")]
    pub(super) fn weigh(&mut self, cell: Option<&Cell>) {
        self.age = self.age.saturating_add(1).min(MEMORY);
        let gain = 1.0 / f64::from(self.age + PRIOR);
        let rows = cell.map_or(0.0, |cell| cell.rows as f64);
        let magnitude: f64 = cell.map_or(0.0, |cell| cell.stats.iter().map(Stats::sum).map(f64::abs).sum());
        self.rows += gain * (rows - self.rows);
        self.magnitude += gain * (magnitude.min(f64::MAX / 4.0) - self.magnitude);
    }

    /// As a candidate for another form, by its number in [`Form::ALL`].
    pub(super) fn candidate(&self) -> Candidate {
        Candidate { rows: self.rows, magnitude: self.magnitude, level: self.form as usize }
    }

    /// Whether its forests have been out of use for a while and will be until it has rows again. An empty interval of
    /// a quantity that adds up is a value, and teaches.
    pub(super) fn is_cold(&self, contexts: &[Context]) -> bool {
        let mut series = self.all.iter().zip(contexts);
        series.all(|(series, context)| !context.empty_is_zero && series.absent() >= COLD)
    }

    /// Makes a change.
    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Park => self.all.iter_mut().for_each(Series::park),
            Change::Turn(form) => self.all.iter_mut().for_each(|series| series.turn(form)),
        }
        self.is_parked = change == Change::Park;
        if let Change::Turn(form) = change {
            self.form = form;
        }
    }

    /// Bytes set aside for it.
    pub(super) fn set_aside(&self, sizes: &Sizes) -> u64 {
        if self.is_parked {
            sizes.bare + self.all.iter().map(|series| series.parked_bytes() as u64).sum::<u64>()
        } else {
            sizes.of_form(self.form)
        }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let spare = (self.all.capacity() - self.all.len()) * size_of::<Series>();
        spare + self.all.iter().map(Series::bytes).sum::<usize>()
    }
}
