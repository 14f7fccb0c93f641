//! The scattering of a batch over intervals. Rows that are in time are noted as runs of row numbers, interval by
//! interval, and are copied once the whole batch is noted; which interval a row is in is looked up in a small table
//! of stretches of time, and only worked out for a stretch that has not been met.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use crate::model::{Chunk, Interval, Length, Reject, Rows, Timestamp, Zone};

/// Stretches that are remembered: a day of five-minute intervals, and some.
const STRETCHES: i64 = 512;
/// Clocks are not set twice within it.
const STRETCH_MICROS: i64 = 900 * 1_000_000;
/// Intervals that are remembered; then all are forgotten.
const LISTS_MAX: usize = 4096;

/// The rows of one batch on their way to their intervals.
#[derive(Debug)]
pub(super) struct Scatter {
    zone: Zone,
    length: Length,
    /// Length of a stretch.
    step_micros: i64,
    /// Each at the place that its number gives it.
    stretches: Box<[Stretch]>,
    /// The one that was asked for last.
    last: Stretch,
    lists: Vec<List>,
    /// Places in `lists`.
    places: BTreeMap<Interval, usize>,
    /// Places of lists with rows.
    filled: Vec<usize>,
    /// Runs of late rows by the interval they ride on and the interval they belong to.
    late: BTreeMap<(Interval, Interval), Vec<Range<usize>>>,
}

/// Instants that are all in one interval: empty in the beginning.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from_micros: i64,
    to_micros: i64,
    target: Target,
    /// Place in `lists`.
    place: usize,
}

/// Rows of one interval that are in time.
#[derive(Debug)]
struct List {
    interval: Interval,
    rows: usize,
    runs: Vec<Range<usize>>,
}

/// An interval, and when it closes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) interval: Interval,
    pub(super) closes_micros: i64,
}

impl Scatter {
    pub(super) fn new(zone: Zone, length: Length) -> Scatter {
        let target = Target { interval: Interval::containing(0, length), closes_micros: 0 };
        let nothing = Stretch { from_micros: 0, to_micros: 0, target, place: 0 };
        Scatter {
            zone,
            length,
            step_micros: length.micros().min(STRETCH_MICROS),
            stretches: (0..STRETCHES).map(|_| nothing).collect(),
            last: nothing,
            lists: Vec::new(),
            places: BTreeMap::new(),
            filled: Vec::new(),
            late: BTreeMap::new(),
        }
    }

    /// The interval of an instant; `closes_at` says when one closes.
    #[inline]
    pub(super) fn find(&mut self, time: Timestamp, closes_at: impl FnOnce(Interval) -> Timestamp) -> Target {
        let micros = time.micros();
        if !self.last.holds(micros) {
            let place = usize::try_from(micros.div_euclid(self.step_micros).rem_euclid(STRETCHES)).unwrap_or(0);
            if !self.stretches[place].holds(micros) {
                self.stretches[place] = self.stretch(time, closes_at);
            }
            self.last = self.stretches[place];
        }
        self.last.target
    }

    /// Notes a row of the interval that was found last.
    #[inline]
    pub(super) fn add(&mut self, row: usize) {
        if let Some(list) = self.lists.get_mut(self.last.place) {
            if list.rows == 0 {
                self.filled.push(self.last.place);
            }
            list.rows += 1;
            extend(&mut list.runs, row);
        }
    }

    /// Notes a row that is late.
    pub(super) fn add_late(&mut self, carrier: Interval, interval: Interval, row: usize) {
        extend(self.late.entry((carrier, interval)).or_default(), row);
    }

    /// The rows that are in time, by interval: how many, and which.
    pub(super) fn in_time(&self) -> impl Iterator<Item = (Interval, usize, &[Range<usize>])> {
        let lists = self.filled.iter().filter_map(|place| self.lists.get(*place));
        lists.map(|list| (list.interval, list.rows, &list.runs[..]))
    }

    /// The late rows, by the interval they ride on and the one they belong to.
    pub(super) fn late(&self) -> impl Iterator<Item = (Interval, Interval, &[Range<usize>])> {
        self.late.iter().map(|((carrier, interval), runs)| (*carrier, *interval, &runs[..]))
    }

    /// Is ready for the next batch.
    pub(super) fn clear(&mut self) {
        self.late.clear();
        for place in self.filled.drain(..) {
            if let Some(list) = self.lists.get_mut(place) {
                list.rows = 0;
                list.runs.clear();
            }
        }
        if self.lists.len() >= LISTS_MAX {
            *self = Scatter::new(self.zone, self.length);
        }
    }

    /// What lies around an instant in its interval and under the same offset of the zone.
    fn stretch(&mut self, time: Timestamp, closes_at: impl FnOnce(Interval) -> Timestamp) -> Stretch {
        let micros = time.micros();
        let local = self.zone.to_local_micros(time);
        let interval = Interval::containing(local, self.length);
        let lists = &mut self.lists;
        let place = *self.places.entry(interval).or_insert_with(|| {
            lists.push(List { interval, rows: 0, runs: Vec::new() });
            lists.len() - 1
        });
        let target = Target { interval, closes_micros: closes_at(interval).micros() };
        let begin = micros - local.rem_euclid(self.length.micros());
        let from = micros.div_euclid(self.step_micros) * self.step_micros;
        let (from_micros, to_micros) = (from.max(begin), (from + self.step_micros).min(begin + self.length.micros()));
        let offset = |micros| Timestamp::from_micros(micros).map(|at| self.zone.to_local_micros(at) - at.micros());
        if offset(from_micros).is_ok_and(|first| offset(to_micros - 1) == Ok(first)) {
            Stretch { from_micros, to_micros, target, place }
        } else {
            Stretch { from_micros: micros, to_micros: micros + 1, target, place }
        }
    }
}

impl Stretch {
    fn holds(&self, micros: i64) -> bool {
        self.from_micros <= micros && micros < self.to_micros
    }
}

fn extend(runs: &mut Vec<Range<usize>>, row: usize) {
    match runs.last_mut() {
        Some(run) if run.end == row => run.end += 1,
        _ => runs.push(row..row + 1),
    }
}

/// The bytes of one record: up to where the next record begins, without the line end.
pub(super) fn record_at(chunk: &Chunk, rows: &Rows, row: usize, next_reject: Option<&Reject>) -> Bytes {
    let bytes = &chunk.bytes;
    let index =
        |offset: u64| usize::try_from(offset.saturating_sub(chunk.offset)).unwrap_or(bytes.len()).min(bytes.len());
    let start = rows.offsets().get(row).map_or(bytes.len(), |offset| index(*offset));
    let next_row = rows.offsets().get(row + 1).map_or(bytes.len(), |offset| index(*offset));
    let end = next_reject.map_or(next_row, |reject| index(reject.offset).min(next_row)).max(start);
    let record = bytes.slice(start..end);
    let kept = record.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    record.slice(..kept)
}
