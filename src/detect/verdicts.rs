//! What was said of the last intervals, and what becomes of it when one of them is revised.
//!
//! An interval closes once; rows that come later make a revision of it. The detector has judged by then, and the model
//! stays as it was taught. What can still be put right is the verdict: each series is remembered with its value and the
//! band that it was given, the late rows are added to the value, and the new value is held against the old band.
//!
//! ```text
//! was          revised value            outcome
//! anomalous    outside the band         confirmed
//! anomalous    in the band              withdrawn   (and normal from now on)
//! normal       crosses into outside     raised      (and anomalous from now on)
//! normal       otherwise                nothing is said
//! ```
//!
//! The ends of the band are where an interval by itself would alarm. An anomaly whose value lay within its band (a flat
//! line, a sum over several intervals) does not hang on that value: it stands, unless the value leaves the band, which
//! confirms it. A normal value that lay outside, because it was known as a habit or followed a break, is not raised for
//! being there still. Of a series that was learning, or had no scale yet, nothing is said.
//!
//! The rules that a user sets hold for late rows too. A revised value within the margins, or on a side that nobody asked
//! for, is normal, and the band that is given reaches as far as that value. Of an interval that a calendar has a series pass
//! over nothing is said. Nor is anything said of a counter: its band is one of increases, and a late value would change
//! the increase of its interval and of the next, for which neither the counter before nor the one after is remembered.
//! Nor of a number of different values and of a percentile, of which the values would have to be remembered.
//!
//! A measure that follows from others is worked out anew from their values with the late rows, so these are remembered of
//! measures that are part of an expression even where nothing was said of them.
//!
//! Remembered are the last day of intervals, 1440 at most, or as many as fit into [`BYTES`], one at least: a row that comes later than
//! that revises its partition and no verdict. Rows of an interval that nobody has judged yet (it had none in time, and
//! nothing came since) wait until it is judged as empty. All of it is a function of the intervals and late rows so far, in
//! their order (D1), and part of the detector's state (D2): the ring of a key is written with its series, the rest with
//! what all series have together.

mod said;

use std::collections::{BTreeMap, VecDeque};

pub use said::Outcome;
pub(super) use said::{Anomaly, Revision};
use said::{Said, joined};

use super::arrival::Arrival;
use super::derived;
use super::fleet;
use super::settings::Measure;
use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};
use crate::model::SeriesKey;

/// Bytes that may be remembered.
const BYTES: usize = 64 << 20;
/// Intervals that are remembered at most: a day of minutes.
const REACH_MAX: u32 = 1440;
/// Keys that may wait in one interval that is not judged yet; beyond that it is not revised.
const WAITING_MAX: usize = 1 << 16;

/// Adds what came later of the same key.
fn join(all: &mut Arrival, late: &Arrival, measures: &[Measure]) {
    all.rows = all.rows.saturating_add(late.rows);
    all.magnitude += late.magnitude;
    for ((given, late), measure) in all.given.iter_mut().zip(&late.given).zip(measures) {
        *given = joined(*given, *late, measure.aggregation()).unwrap_or(*given);
    }
}

/// What was said of the series of one key: of one interval after the other, the last of them the last that was judged,
/// each with an entry per measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recent(VecDeque<Said>);

impl Recent {
    /// Whether it could be of so many measures.
    pub(super) fn fits(&self, measures: usize) -> bool {
        self.0.len().is_multiple_of(measures.max(1))
    }

    fn note(&mut self, said: &[Option<fleet::Said>], rows: &[u64], measures: &[Measure], reach: usize) {
        let (count, most) = (measures.len(), reach.saturating_mul(measures.len()));
        let surplus = (self.0.len() + count).saturating_sub(most);
        self.0.drain(..surplus.min(self.0.len()));
        // room for no more than is remembered in the end
        let wanted = self.0.len() + count;
        if wanted > self.0.capacity() {
            self.0.reserve_exact((2 * wanted).min(most.max(wanted)) - self.0.len());
        } else if self.0.capacity() / 2 > most {
            self.0.shrink_to(most);
        }
        self.0.extend(measures.iter().enumerate().map(|(at, measure)| match &said[at] {
            Some(said) => Said::of(said, rows[at], measure),
            None => Said::Nothing,
        }));
    }

    /// Where the verdicts of the interval `back` intervals before the last are.
    fn place(&self, back: usize, measures: usize) -> Option<usize> {
        self.0.len().checked_sub(back.checked_add(1)?.checked_mul(measures)?)
    }
}

impl Codec for Recent {
    fn write(&self, to: &mut Writer) {
        to.small(self.0.len() as u64);
        self.0.iter().for_each(|said| said.write(to));
    }
    fn read(from: &mut Reader<'_>) -> Result<Recent, SnapshotError> {
        let count = from.small()?;
        (0..count).map(|_| Said::read(from)).collect::<Result<_, _>>().map(Recent)
    }
}

/// What is remembered of all series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdicts {
    /// Of the keys that the fleet has.
    pub(super) recent: BTreeMap<SeriesKey, Recent>,
    common: Common,
}

/// What is remembered of the intervals, whatever their series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Common {
    /// Rows of each of the last intervals, the last that was judged at the end; none where some were not taken in.
    rows: Vec<Option<u64>>,
    /// Late rows of intervals that are not judged yet, by their numbers; none where there were too many.
    waiting: Vec<(i64, Option<Vec<Arrival>>)>,
}

codec!(Common { rows, waiting });

impl Verdicts {
    /// How many intervals are remembered of so many series.
    pub(super) fn reach(per_day: u32, series: usize) -> usize {
        (BYTES / size_of::<Said>().saturating_mul(series.max(1))).clamp(1, per_day.clamp(1, REACH_MAX) as usize)
    }

    /// What is not of one key.
    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    /// Puts that in.
    pub(super) fn restore(&mut self, common: Common) {
        self.common = common;
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        let entry = size_of::<SeriesKey>() + size_of::<Recent>();
        self.recent.values().map(|recent| entry + recent.0.capacity() * size_of::<Said>()).sum()
    }

    /// Rows that an interval is known to have; none where it is not remembered.
    pub(super) fn rows(&self, last: i64, number: i64) -> Option<u64> {
        if number > last {
            let waiting = self.common.waiting.iter().find(|(waiting, _)| *waiting == number);
            let Some((_, arrivals)) = waiting else { return Some(0) };
            return arrivals.as_ref().map(|arrivals| arrivals.iter().map(|arrival| arrival.rows).sum());
        }
        let back = back(last, number)?;
        *self.common.rows.iter().rev().nth(back)?
    }

    /// Counts the rows of an interval that is judged.
    pub(super) fn count(&mut self, arrivals: &[Arrival], reach: usize) {
        let rows = &mut self.common.rows;
        rows.push(Some(arrivals.iter().map(|arrival| arrival.rows).sum()));
        rows.drain(..rows.len().saturating_sub(reach));
    }

    /// Notes what was said of an interval: an entry per measure for each key, in the order of the keys.
    pub(super) fn note(
        &mut self,
        arrivals: &[Arrival],
        said: &[Option<fleet::Said>],
        measures: &[Measure],
        reach: usize,
    ) {
        for arrival in arrivals {
            if !self.recent.contains_key(&arrival.key) {
                self.recent.insert(arrival.key.clone(), Recent::default());
            }
        }
        let mut arrivals = arrivals.iter().peekable();
        let mut rows = vec![0; measures.len()];
        for ((key, recent), said) in self.recent.iter_mut().zip(said.chunks_exact(measures.len())) {
            // both sides are ordered by key
            while arrivals.next_if(|arrival| arrival.key < *key).is_some() {}
            let arrival = arrivals.next_if(|arrival| arrival.key == *key);
            for (at, rows) in rows.iter_mut().enumerate() {
                *rows = arrival.and_then(|arrival| arrival.given.get(at)).map_or(0, |given| given.rows);
            }
            recent.note(said, &rows, measures, reach);
        }
    }

    /// Forgets keys that the fleet has forgotten.
    pub(super) fn keep(&mut self, count: usize, is_there: impl Fn(&SeriesKey) -> bool) {
        if self.recent.len() != count {
            self.recent.retain(|key, _| is_there(key));
        }
    }

    /// Time was skipped: late rows may come for what was skipped, of which nothing was said.
    pub(super) fn jump(&mut self) {
        self.recent.values_mut().for_each(|recent| recent.0.clear());
    }

    /// The same for the intervals.
    pub(super) fn jump_common(&mut self) {
        self.common.rows.clear();
    }

    /// Takes late rows in of an interval that is not judged yet.
    pub(super) fn wait(&mut self, number: i64, arrivals: Vec<Arrival>, measures: &[Measure]) {
        let waiting = &mut self.common.waiting;
        let found = waiting.binary_search_by_key(&number, |(number, _)| *number);
        if let Err(at) = found {
            waiting.insert(at, (number, Some(Vec::new())));
        }
        let there = &mut waiting[found.unwrap_or_else(|at| at)].1;
        let Some(all) = there else { return };
        for arrival in arrivals {
            match all.binary_search_by(|other| other.key.cmp(&arrival.key)) {
                Ok(at) => join(&mut all[at], &arrival, measures),
                Err(at) => all.insert(at, arrival),
            }
        }
        if all.len() > WAITING_MAX {
            *there = None;
        }
    }

    /// Whether late rows wait for an interval.
    pub(super) fn is_waiting(&self) -> bool {
        !self.common.waiting.is_empty()
    }

    /// What waits for an interval that has been judged; what waited for one before it, which was not, is dropped.
    pub(super) fn waited(&mut self, number: i64) -> Vec<Arrival> {
        let waiting = &mut self.common.waiting;
        waiting.retain(|(waiting, _)| *waiting >= number);
        match waiting.first() {
            Some((first, _)) if *first == number => match waiting.remove(0).1 {
                Some(arrivals) => arrivals,
                None => {
                    if let Some(rows) = self.common.rows.last_mut() {
                        *rows = None;
                    }
                    Vec::new()
                }
            },
            _ => Vec::new(),
        }
    }

    /// Adds late rows to the count of an interval; false where it is not remembered.
    pub(super) fn add(&mut self, last: i64, number: i64, arrivals: &[Arrival]) -> bool {
        let Some(back) = back(last, number) else { return false };
        let Some(Some(rows)) = self.common.rows.iter_mut().rev().nth(back) else { return false };
        *rows += arrivals.iter().map(|arrival| arrival.rows).sum::<u64>();
        true
    }

    /// Holds late rows of an interval against what was said of it: what becomes of the verdicts, by measure and key.
    pub(super) fn revise(
        &mut self,
        (last, number): (i64, i64),
        arrivals: &[Arrival],
        measures: &[Measure],
    ) -> Vec<(usize, SeriesKey, Revision)> {
        let Some(back) = back(last, number) else { return Vec::new() };
        let mut revised = Vec::new();
        for Arrival { key, given, .. } in arrivals {
            let Some(recent) = self.recent.get_mut(key) else { continue };
            let Some(place) = recent.place(back, measures.len()) else { continue };
            for (at, (measure, late)) in measures.iter().zip(given).enumerate() {
                let said = recent.0.get_mut(place + at);
                let revision = said.and_then(|said| said.revise(number, *late, measure));
                revised.extend(revision.map(|revision| (at, key.clone(), revision)));
            }
            for (at, measure) in measures.iter().enumerate().filter(|(_, measure)| measure.expression().is_some()) {
                // of different values and percentiles what came in time alone is known
                let known = |operand: usize| {
                    let said = recent.0.get(place + operand).filter(|_| measures[operand].aggregation().is_joinable());
                    said.and_then(Said::given)
                };
                let Some(now) = derived::given(measures, at, &known) else { continue };
                let revision = recent.0.get_mut(place + at).and_then(|said| said.rework(number, now, measure));
                revised.extend(revision.map(|revision| (at, key.clone(), revision)));
            }
        }
        revised.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        revised
    }
}

/// How many intervals one lies before the last; none where it lies after it.
fn back(last: i64, number: i64) -> Option<usize> {
    last.checked_sub(number).and_then(|back| usize::try_from(back).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_remembered_or_what_fits() {
        assert_eq!(Verdicts::reach(288, 0), 288);
        assert_eq!(Verdicts::reach(288, 100), 288);
        assert_eq!(Verdicts::reach(1, 100), 1);
        let fleet = Verdicts::reach(288, 20_000);
        assert!((20..288).contains(&fleet), "{fleet}");
        assert!(fleet * 20_000 * size_of::<Said>() <= BYTES);
        assert_eq!(Verdicts::reach(288, usize::MAX), 1);
    }
}
