//! Sliding windows: what a measure takes of an interval is what it takes of the last intervals together. Sums, counts and
//! extremes of single intervals are kept for as long as the widest window reaches, and merged for each interval, the oldest
//! first, so that the same intervals give the same bits wherever one began (D1). The detector sees intervals whose slots
//! hold the window already, and knows nothing of it.
//!
//! Kept are intervals as they came in time. So who goes on with a detector fills the window again from the partitions
//! (D2), and late rows change no later interval but by revisions, one for each window that they are in.

use std::collections::{BTreeMap, VecDeque};

use super::intake::Intake;
use crate::model::{Cell, ClosedInterval, Interval, SeriesKey, Sketch, Stats};

/// The last intervals.
#[derive(Clone, Debug)]
pub struct Sliding {
    /// How many intervals each slot of a cell reaches over, this one among them.
    widths: Vec<u32>,
    /// The same for each of its sketches.
    sketch_widths: Vec<u32>,
    /// Intervals with rows, the oldest first.
    kept: VecDeque<ClosedInterval>,
    last: Option<Interval>,
}

impl Sliding {
    /// For the slots of an intake; none where no slot reaches beyond its interval.
    pub fn of(intake: &Intake) -> Option<Sliding> {
        let [widths, sketch_widths] = intake.widths();
        let is_needed = widths.iter().chain(&sketch_widths).any(|width| *width > 1);
        is_needed.then(|| Sliding { widths, sketch_widths, kept: VecDeque::new(), last: None })
    }

    /// Intervals before the coming one that it rests on.
    pub fn reach(&self) -> u32 {
        self.widths.iter().chain(&self.sketch_widths).copied().max().unwrap_or(1) - 1
    }

    /// Takes an interval in without giving anything: it was judged before.
    pub fn remember(&mut self, closed: &ClosedInterval) {
        let first = closed.interval.number() - i64::from(self.reach());
        self.kept.push_back(closed.clone());
        while self.kept.front().is_some_and(|kept| kept.interval.number() <= first) {
            self.kept.pop_front();
        }
        self.last = Some(closed.interval);
    }

    /// Says which interval was judged last: there may have been intervals without rows.
    pub fn go_on_after(&mut self, last: Interval) {
        self.last = Some(last);
    }

    /// What is to be judged with the next interval: those without rows before it into which a window still reaches, and
    /// itself. O(cells x width).
    pub fn slide(&mut self, closed: &ClosedInterval) -> Vec<ClosedInterval> {
        let mut slid = Vec::new();
        if let (Some(last), Some(kept)) = (self.last, self.kept.back()) {
            let passed = closed.interval.number() - last.number() - 1;
            let reached = kept.interval.number() + i64::from(self.reach()) - last.number();
            slid.extend((1..=passed.min(reached)).map(|step| self.window(last.offset(step), None)));
        }
        slid.push(self.window(closed.interval, Some(closed)));
        if self.last.is_none_or(|last| last < closed.interval) {
            self.remember(closed);
        }
        slid
    }

    /// What late rows of an interval bring it, and the intervals after it whose windows they are in.
    pub fn late(&self, late: &ClosedInterval) -> Vec<ClosedInterval> {
        let later = (1..=self.reach()).map(|step| {
            let cell = |cell: &Cell| {
                let stats = cell.stats.iter().zip(&self.widths);
                let stats: Vec<Stats> =
                    stats.map(|(stats, width)| if *width > step { *stats } else { Stats::EMPTY }).collect();
                let is_empty = stats.iter().all(|stats| stats.count() == 0);
                (!is_empty).then(|| Cell { key: cell.key.clone(), rows: 0, stats, sketches: Vec::new() })
            };
            let cells = late.cells.iter().filter_map(cell).collect();
            ClosedInterval { interval: late.interval.offset(step.into()), cells }
        });
        std::iter::once(late.clone()).chain(later.filter(|later| !later.cells.is_empty())).collect()
    }

    /// An interval with the windows that end with it.
    fn window(&self, interval: Interval, own: Option<&ClosedInterval>) -> ClosedInterval {
        let mut cells: BTreeMap<&SeriesKey, Cell> = BTreeMap::new();
        for kept in self.kept.iter().chain(own) {
            let back = interval.number() - kept.interval.number();
            for cell in &kept.cells {
                let empty = || Cell {
                    key: cell.key.clone(),
                    rows: 0,
                    stats: vec![Stats::EMPTY; self.widths.len()],
                    sketches: cell.sketches.iter().map(Sketch::emptied).collect(),
                };
                let merged = cells.entry(&cell.key).or_insert_with(empty);
                merged.rows += if back == 0 { cell.rows } else { 0 };
                for ((merged, stats), width) in merged.stats.iter_mut().zip(&cell.stats).zip(&self.widths) {
                    if back < i64::from(*width) {
                        merged.merge(stats);
                    }
                }
                let sketches = merged.sketches.iter_mut().zip(&cell.sketches).zip(&self.sketch_widths);
                for ((merged, sketch), _) in sketches.filter(|(_, width)| back < i64::from(**width)) {
                    merged.merge(sketch);
                }
            }
        }
        let has_stats = |cell: &Cell| cell.stats.iter().any(|stats| stats.count() > 0);
        let has_sketches = |cell: &Cell| !cell.sketches.iter().all(Sketch::is_empty);
        let is_there = |cell: &Cell| cell.rows > 0 || has_stats(cell) || has_sketches(cell);
        ClosedInterval { interval, cells: cells.into_values().filter(is_there).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Take;
    use crate::model::{Columns, Length, MeasureType};

    fn intake(width: u32) -> Intake {
        let columns = Columns {
            dimensions: vec!["shop".into()],
            timestamp: "at".into(),
            keep: vec![],
            measures: vec![("views".into(), MeasureType::Integer)],
        };
        Intake::new(&columns, [Take::new(Some("views".into()), Vec::new()).over(width)]).unwrap()
    }

    fn at(step: i64) -> Interval {
        Interval::containing(0, Length::from_seconds(10).unwrap()).offset(step)
    }

    fn closed(step: i64, data: &[(&str, f64)]) -> ClosedInterval {
        let cell = |(key, value): &(&str, f64)| {
            let mut stats = Stats::EMPTY;
            stats.add(*value);
            Cell { key: SeriesKey::new([*key]), rows: 1, stats: vec![stats; 2], sketches: Vec::new() }
        };
        ClosedInterval { interval: at(step), cells: data.iter().map(cell).collect() }
    }

    /// Key, rows, sum by itself and over the window.
    type Shown = (String, u64, f64, f64);

    /// Of each interval: which, and its cells.
    fn shown(slid: &[ClosedInterval]) -> Vec<(i64, Vec<Shown>)> {
        let cell = |cell: &Cell| (cell.key.to_string(), cell.rows, cell.stats[0].sum(), cell.stats[1].sum());
        slid.iter().map(|slid| (slid.interval.number(), slid.cells.iter().map(cell).collect())).collect()
    }

    fn row(key: &str, rows: u64, own: f64, window: f64) -> Shown {
        (key.to_owned(), rows, own, window)
    }

    #[test]
    fn a_window_reaches_over_the_last_intervals_and_through_silence() {
        assert!(Sliding::of(&intake(1)).is_none());
        let mut sliding = Sliding::of(&intake(3)).unwrap();
        assert_eq!(shown(&sliding.slide(&closed(1, &[("a", 1.0)]))), [(1, vec![row("a", 1, 1.0, 1.0)])]);
        let second = shown(&sliding.slide(&closed(2, &[("a", 2.0), ("b", 5.0)])));
        assert_eq!(second, [(2, vec![row("a", 1, 2.0, 3.0), row("b", 1, 5.0, 5.0)])]);
        let third = shown(&sliding.slide(&closed(7, &[("b", 1.0)])));
        let silent = |step, a, b| (step, vec![row("a", 0, 0.0, a), row("b", 0, 0.0, b)]);
        assert_eq!(third, [silent(3, 3.0, 5.0), silent(4, 2.0, 5.0), (7, vec![row("b", 1, 1.0, 1.0)])]);
    }

    #[test]
    fn who_remembers_goes_on_as_one_that_never_stopped() {
        let mut straight = Sliding::of(&intake(4)).unwrap();
        let all: Vec<ClosedInterval> =
            [1, 2, 3, 5, 6, 9, 10].map(|step| closed(step, &[("a", 0.1 * step as f64)])).into();
        for from in 1..all.len() {
            let mut other = Sliding::of(&intake(4)).unwrap();
            straight.kept.clear();
            straight.last = None;
            for closed in &all[..from] {
                straight.slide(closed);
            }
            let last = all[from - 1].interval.number();
            let reach = i64::from(other.reach());
            let needed = all[..from].iter().filter(|closed| last - closed.interval.number() < reach);
            needed.for_each(|closed| other.remember(closed));
            for closed in &all[from..] {
                assert_eq!(other.slide(closed), straight.slide(closed));
            }
        }
    }

    #[test]
    fn late_rows_are_in_each_window_that_reaches_over_them() {
        let sliding = Sliding::of(&intake(3)).unwrap();
        let late = shown(&sliding.late(&closed(4, &[("a", 7.0)])));
        let later = |step| (step, vec![row("a", 0, 0.0, 7.0)]);
        assert_eq!(late, [(4, vec![row("a", 1, 7.0, 7.0)]), later(5), later(6)]);
    }
}
