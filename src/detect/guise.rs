//! Days that follow the shape of another weekday: holidays, and weekends that begin at another hour than thought.
//!
//! On such a day the week is some days ahead: a holiday on a Wednesday goes as if it were four days later. Said so and not as a
//! weekday, it holds where the day of the people begins at another hour than the day of the clock. The day teaches the weekday that
//! it follows, not its own: one holiday on a Thursday says nothing of Thursdays. What follows another weekday a week
//! later again is no holiday; `series` then teaches it to its own weekday too.

use super::snapshot::codec;

/// Guises that are remembered: a week of days, and borders within.
const KEPT: usize = 12;
/// By how many intervals a guise may begin earlier than the one of a week ago.
const ONSET: i64 = 3;

/// The guise of a series, and those of its last week.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Guises {
    now: Option<Guise>,
    worn: Vec<Worn>,
}

codec!(Guises { now, worn });

/// By how many days the week is ahead, and for how many intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Guise {
    days: u8,
    left: u32,
}

codec!(Guise { days, left });

/// A guise from its first interval to the one after its last.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worn {
    since: i64,
    until: i64,
}

codec!(Worn { since, until });

impl Guises {
    /// By how many days the week is ahead in the coming interval; 0 where it is not.
    pub(super) fn step(&mut self) -> usize {
        self.now = self.now.map(|guise| Guise { left: guise.left - 1, ..guise }).filter(|guise| guise.left > 0);
        self.now.map_or(0, |guise| usize::from(guise.days))
    }

    /// From this interval on, for a day, the week is so many days ahead; 0 ends that.
    pub(super) fn put_on(&mut self, number: i64, days: usize, per_day: u32) {
        let day = i64::from(per_day);
        if let Some(last) = self.worn.last_mut() {
            last.until = last.until.min(number);
        }
        if days == 0 {
            return self.take_off();
        }
        self.worn.retain(|worn| worn.until > number - 8 * day);
        if self.worn.len() == KEPT {
            self.worn.remove(0);
        }
        self.worn.push(Worn { since: number, until: number + day });
        self.now = Some(Guise { days: days as u8, left: per_day });
    }

    /// Whether another weekday is followed.
    pub(super) fn is_worn(&self) -> bool {
        self.now.is_some()
    }

    /// Whether one was followed at this time a week ago, or a little later.
    pub(super) fn was_worn(&self, number: i64, per_day: u32) -> bool {
        let then = number - 7 * i64::from(per_day);
        self.worn.iter().any(|worn| (worn.since - ONSET..worn.until).contains(&then))
    }

    /// From here on a day is what it is.
    pub(super) fn take_off(&mut self) {
        self.now = None;
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.worn.capacity() * size_of::<Worn>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guise_lasts_a_day_and_is_remembered_for_a_week() {
        let mut guises = Guises::default();
        assert!(!guises.was_worn(3016, 288));
        guises.put_on(1000, 6, 288);
        assert_eq!((1..288).map(|_| guises.step()).collect::<Vec<_>>(), [6; 287]);
        assert_eq!(guises.step(), 0);
        assert!(!guises.is_worn());
        let was_worn = |number: i64| guises.was_worn(number + 7 * 288, 288);
        assert_eq!([990, 998, 1000, 1287, 1288].map(was_worn), [false, true, true, true, false]);
    }

    #[test]
    fn a_guise_ends_where_the_next_begins_and_the_memory_is_bounded() {
        let mut guises = Guises::default();
        guises.put_on(1000, 5, 288);
        guises.put_on(1100, 6, 288);
        assert_eq!(guises.step(), 6);
        guises.put_on(1200, 0, 288);
        assert_eq!(guises.step(), 0, "a day is what it is");
        (0..1000).for_each(|step| guises.put_on(1200 + step, 6, 288));
        assert!(guises.heap_bytes() <= 16 * size_of::<Worn>());
    }
}
