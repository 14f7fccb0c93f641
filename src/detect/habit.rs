//! What keeps an honest detector from crying every day at nine: memory of what was odd.
//!
//! - [`Habit`]: the odd values of the last day, by slot. A value that is odd again in the same way at the same time of the
//!   next day is a habit: it is not told again, and the profile learns it.
//! - [`Budget`]: the alarms of the last week. A series that within a week was as odd as this, or odder, three times (`2 + score / alarm`, up to 8) is a series
//!   on which such values are not rare, whatever the tail says: it stays quiet until they are.

use std::collections::BTreeMap;

use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};

/// How near to yesterday's odd value a value must be, as a share of its own deviation.
const ALIKE: f64 = 0.35;
/// Alarms of the same size that a week may bring, beside those for its size.
const ALARMS: f64 = 2.0;
/// The most, however odd.
const ALARMS_MAX: f64 = 8.0;
/// Alarms that are remembered.
const KEPT: usize = 12;
/// An earlier alarm counts as the same size from this share on.
const SAME: f64 = 0.8;

/// Odd values of the last day.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Habit {
    odd: BTreeMap<u32, (i64, f64)>,
}

impl Habit {
    /// Notes an odd value.
    pub(super) fn note(&mut self, slot: usize, number: i64, value: f64) {
        self.odd.insert(slot as u32, (number, value));
    }

    /// Forgets this slot: its value was normal.
    pub(super) fn clear(&mut self, slot: usize) {
        self.odd.remove(&(slot as u32));
    }

    /// Whether the value was odd in the same way a day ago.
    pub(super) fn knows(&self, slot: usize, number: i64, value: f64, expected: f64, per_day: u32) -> bool {
        self.odd.get(&(slot as u32)).is_some_and(|(then, odd)| {
            number - then == i64::from(per_day) && (value - odd).abs() <= ALIKE * (value - expected).abs()
        })
    }

    /// Bytes on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.odd.len() * 32
    }
}

impl Codec for Habit {
    fn write(&self, to: &mut Writer) {
        self.odd.iter().map(|(slot, odd)| (*slot, *odd)).collect::<Vec<(u32, (i64, f64))>>().write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Habit, SnapshotError> {
        Ok(Habit { odd: Vec::<(u32, (i64, f64))>::read(from)?.into_iter().collect() })
    }
}

/// Alarms of the last week, told or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Budget {
    alarms: Vec<(i64, f64)>,
}

codec!(Budget { alarms });

impl Budget {
    /// Takes an alarm in and says whether it may be told.
    pub(super) fn spend(&mut self, number: i64, score: f64, alarm: f64, per_day: u32) -> bool {
        let week = 7 * i64::from(per_day);
        self.alarms.retain(|(then, _)| number - then < week);
        let alike = self.alarms.iter().filter(|(_, other)| *other >= SAME * score).count();
        if self.alarms.len() == KEPT {
            self.alarms.remove(0);
        }
        self.alarms.push((number, score));
        (alike as f64) < (ALARMS + score / alarm).min(ALARMS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_in_the_same_way_a_day_later_is_a_habit() {
        let mut habit = Habit::default();
        habit.note(108, 1000, 80.0);
        assert!(habit.knows(108, 1288, 78.0, 20.0, 288));
        assert!(!habit.knows(108, 1288, 140.0, 20.0, 288), "odd in another way");
        assert!(!habit.knows(108, 1576, 78.0, 20.0, 288), "two days later");
        habit.clear(108);
        assert!(!habit.knows(108, 1288, 78.0, 20.0, 288));
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
