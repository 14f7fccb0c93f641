//! What keeps an honest detector from crying every day at nine: memory of what was odd.
//!
//! - [`Habit`]: the odd values of the last week. A value that is odd again in the same way at the same time of the next day,
//!   or of the next week, is a habit: it is not told again, and the profile learns it.
//! - [`Budget`]: the alarms of the last week. A series that within a week was as odd as this, or odder, three times (`2 + score / alarm`, up to 8) is a series
//!   on which such values are not rare, whatever the tail says: it stays quiet until they are.

use std::collections::BTreeMap;

use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};

/// How near to yesterday's odd value a value must be, as a share of its own deviation.
const ALIKE: f64 = 0.35;
/// By how many intervals less a habit may begin late.
const ONSET: i64 = 3;
/// Odd values that are remembered: a week of minutes.
const ODD_MAX: usize = 7 * 1440;
/// Alarms of the same size that a week may bring, beside those for its size.
const ALARMS: f64 = 2.0;
/// The most, however odd.
const ALARMS_MAX: f64 = 8.0;
/// Alarms that are remembered.
const KEPT: usize = 12;
/// An earlier alarm counts as the same size from this share on.
const SAME: f64 = 0.8;
/// By how much the first alarm of its size in a week may score above an alarm.
const NEWS: f64 = 3.0;

/// What an odd value repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recurrence {
    /// The same time yesterday.
    Daily,
    /// The same time a week ago.
    Weekly,
}

/// An odd value, and whether it repeated another.
type Odd = (f64, bool);

/// Odd values of the last week, by number of interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Habit {
    odd: BTreeMap<i64, Odd>,
    /// The last interval that was recognised.
    followed: i64,
}

impl Habit {
    /// Notes an odd value.
    pub(super) fn note(&mut self, number: i64, value: f64, per_day: u32) {
        self.odd = self.odd.split_off(&(number - 7 * i64::from(per_day)));
        self.odd.insert(number, (value, false));
        if self.odd.len() > ODD_MAX {
            self.odd.pop_first();
        }
    }

    /// Notes an odd value that was known.
    pub(super) fn follow(&mut self, number: i64, value: f64, per_day: u32) {
        self.note(number, value, per_day);
        self.odd.insert(number, (value, true));
        self.followed = number;
    }

    /// Whether any value was odd at this time a week ago, or a little later.
    pub(super) fn was_odd(&self, number: i64, per_day: u32) -> bool {
        let then = number - 7 * i64::from(per_day);
        self.odd.range(then..=then + ONSET).next().is_some()
    }

    /// Whether the value was odd in the same way a day or a week ago.
    pub(super) fn knows(&self, number: i64, value: f64, expected: f64, per_day: u32) -> Option<Recurrence> {
        let day = i64::from(per_day);
        let follows = self.followed == number - 1;
        let begins = !self.odd.contains_key(&(number - 1));
        let alike = |back: i64| {
            let Some((odd, was_habit)) = self.odd.get(&(number - back)) else { return false };
            // two long incidents may overlap in the time of day; a habit also begins at the same time
            let began = begins && !self.odd.contains_key(&(number - back - ONSET));
            (follows || began || *was_habit) && (value - odd).abs() <= ALIKE * (value - expected).abs()
        };
        if alike(day) {
            Some(Recurrence::Daily)
        } else if alike(7 * day) {
            Some(Recurrence::Weekly)
        } else {
            None
        }
    }

    /// Bytes on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.odd.len() * 32
    }
}

impl Codec for Habit {
    fn write(&self, to: &mut Writer) {
        self.odd.iter().map(|(number, odd)| (*number, *odd)).collect::<Vec<(i64, Odd)>>().write(to);
        self.followed.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Habit, SnapshotError> {
        Ok(Habit { odd: Vec::<(i64, Odd)>::read(from)?.into_iter().collect(), followed: i64::read(from)? })
    }
}

/// Alarms of the last week, told or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Budget {
    alarms: Vec<(i64, f64)>,
}

codec!(Budget { alarms });

impl Budget {
    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.alarms.capacity() * size_of::<(i64, f64)>()
    }

    /// Takes an alarm in and says whether it may be told.
    pub(super) fn spend(&mut self, number: i64, score: f64, alarm: f64, per_day: u32) -> bool {
        let week = 7 * i64::from(per_day);
        self.alarms.retain(|(then, _)| number - then < week);
        let alike = self.alike(score);
        if self.alarms.len() == KEPT {
            self.alarms.remove(0);
        }
        self.alarms.push((number, score));
        alike < (ALARMS + score / alarm).min(ALARMS_MAX)
    }

    /// By how much an alarm that was taken in may score above the threshold: the k-th of its size within a week is no longer
    /// the rarest of events, `3 / k^2`.
    pub(super) fn news(&self, score: f64) -> f64 {
        let alike = self.alike(score).max(1.0);
        NEWS / (alike * alike)
    }

    /// Alarms of the last week that were as odd.
    fn alike(&self, score: f64) -> f64 {
        self.alarms.iter().filter(|(_, other)| *other >= SAME * score).count() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_in_the_same_way_a_day_or_a_week_later_is_a_habit() {
        let mut habit = Habit::default();
        habit.note(1000, 80.0, 288);
        assert_eq!(habit.knows(1288, 78.0, 20.0, 288), Some(Recurrence::Daily));
        assert_eq!(habit.knows(1288, 140.0, 20.0, 288), None, "odd in another way");
        assert_eq!(habit.knows(1576, 78.0, 20.0, 288), None, "two days later");
        assert_eq!(habit.knows(3016, 78.0, 20.0, 288), Some(Recurrence::Weekly));
        habit.note(1300, 80.0, 288);
        habit.note(1301, 80.0, 288);
        habit.note(1304, 80.0, 288);
        assert_eq!(habit.knows(1588, 80.0, 20.0, 288), Some(Recurrence::Daily), "begins like the first");
        assert_eq!(habit.knows(1592, 80.0, 20.0, 288), None, "that one had begun before");
        habit.note(3100, 5.0, 288);
        assert_eq!(habit.knows(3016, 78.0, 20.0, 288), None, "older than a week");
    }

    #[test]
    fn after_some_alarms_a_week_the_next_must_be_larger() {
        let mut budget = Budget::default();
        assert!((0..4).all(|day| budget.spend(day * 288, 6.0, 5.0, 288)));
        assert!(!budget.spend(4 * 288, 6.0, 5.0, 288));
        assert!(budget.spend(5 * 288, 20.0, 5.0, 288));
        assert!(!budget.spend(8 * 288, 6.0, 5.0, 288));
        assert!(budget.spend(30 * 288, 6.0, 5.0, 288));
    }
}
