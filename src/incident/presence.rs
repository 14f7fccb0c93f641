//! Whether the data comes at all: rows and series of an interval against what has come lately and a day ago.
//!
//! Data is missing where the rows, or the series that sent any, are at most a tenth of what is usual: the mean of the
//! last hour or so of intervals that had their data, or what came at the same time a day ago if that is less. So a shop
//! that is quiet every night is not missing. A handful of rows or series may be away by chance and is never missing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Of what is usual, at which data is missing.
const MISSING: f64 = 0.1;
/// Rows, and series, that are usual at the least where their absence says something.
const ROWS_MIN: f64 = 20.0;
const SERIES_MIN: f64 = 10.0;
/// Intervals that must have come before anything is usual.
const KNOWN_MIN: u32 = 12;
/// Weight of an interval in the mean of the last ones.
const WEIGHT: f64 = 1.0 / 12.0;

/// What has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Presence {
    /// Mean of rows and of series.
    usual: [f64; 2],
    known: u32,
    /// The last interval, and rows and series up to it, over a day and a little more.
    last: Option<i64>,
    day: VecDeque<[u64; 2]>,
}

impl Presence {
    /// Takes an interval in: the share of what is usual that is missing, where the data is.
    ///
    /// `known` is how many series are judged: where a calendar leaves most of them out, the others are not missing.
    pub(super) fn step(&mut self, now: i64, per_day: u32, (rows, series, known): (u64, u64, u64)) -> Option<f64> {
        let per_day = per_day as usize;
        if self.last.is_some_and(|last| now != last + 1) {
            self.day.clear();
        }
        self.last = Some(now);
        let here = [rows, series];
        // the intervals around this time a day ago; the newest is at the back
        let yesterday = |of: usize| {
            let at = self.day.len().checked_sub(per_day)?;
            let around = [at.checked_sub(1), Some(at), Some(at + 1)];
            let seen = around.into_iter().flatten().filter_map(|at| self.day.get(at)).map(|there| there[of] as f64);
            Some(seen.fold(f64::INFINITY, f64::min))
        };
        let share = |of: usize, least: f64| {
            let usual = match yesterday(of) {
                Some(there) => there.min(self.usual[of]),
                // before a day is known a quiet hour may be an ordinary one
                None if rows > 0 => return None,
                None => self.usual[of],
            };
            (usual >= least && here[of] as f64 <= MISSING * usual).then(|| 1.0 - here[of] as f64 / usual)
        };
        let of_series = share(1, SERIES_MIN).filter(|_| series as f64 <= MISSING * known as f64);
        let missing = [share(0, ROWS_MIN), of_series]
            .into_iter()
            .flatten()
            .fold(None, |most, share| Some(f64::max(most.unwrap_or(0.0), share)));
        let missing = missing.filter(|_| self.known >= KNOWN_MIN);
        if missing.is_none() {
            let weight = if self.known == 0 { 1.0 } else { WEIGHT.max(1.0 / f64::from(self.known + 1)) };
            for (usual, here) in self.usual.iter_mut().zip(here) {
                *usual += weight * (here as f64 - *usual);
            }
            self.known = self.known.saturating_add(1);
        }
        self.day.push_back(here);
        while self.day.len() > per_day + 1 {
            self.day.pop_front();
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(rows: impl Iterator<Item = (u64, u64)>) -> Vec<i64> {
        let mut presence = Presence::default();
        (0..).zip(rows).filter_map(|(at, here)| presence.step(at, 24, (here.0, here.1, 500)).map(|_| at)).collect()
    }

    #[test]
    fn what_does_not_come_is_missing_until_it_does() {
        let outage = (0..60).map(|at| if (30..40).contains(&at) { (0, 0) } else { (1000, 100) });
        assert_eq!(missing(outage), (30..40).collect::<Vec<_>>());
        let most_series = (0..40).map(|at| if at == 30 { (400, 9) } else { (1000, 100) });
        assert_eq!(missing(most_series), [30]);
        assert!(missing((0..40).map(|at| if at == 30 { (150, 15) } else { (1000, 100) })).is_empty());
        assert!(missing((0..40).map(|at| if at == 30 { (0, 0) } else { (15, 5) })).is_empty(), "a handful");
        let early = |at| if at == 6 { (0, 0) } else { (1000, 100) };
        assert!(missing((0..40).map(early)).is_empty(), "nothing is usual yet");
    }

    #[test]
    fn a_night_is_not_missing() {
        let day = |at: u64| if at % 24 < 6 { (20, 5) } else { (5000, 500) };
        assert!(missing((6..24 * 5).map(day)).is_empty());
        let broken = |at: u64| if at == 82 { (0, 0) } else { day(at) };
        assert_eq!(missing((0..24 * 5).map(broken)), [82], "an outage by day is");
    }
}
