//! Where an interval stands in its day and its week.

use crate::model::{Interval, Length};

/// Bins of a day that the weekly shape tells apart.
const BINS_PER_DAY_MAX: u32 = 24;
const DAYS_PER_WEEK: u32 = 7;
/// Slots of a day that the daily shape tells apart: minutes. Shorter intervals share one.
const SLOTS_PER_DAY_MAX: u32 = 1440;

/// The place of an interval in its day and week.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Place {
    /// Number in the endless row of intervals.
    pub(in crate::detect) number: i64,
    /// Which interval of its day, from 0.
    pub(in crate::detect) of_day: usize,
    /// Slot of the daily shape that it falls in: an interval of its day, or a minute of several.
    pub(in crate::detect) slot: usize,
    /// Weekly bin that it falls in.
    pub(in crate::detect) bin: usize,
    /// The neighbour towards which it leans, and how far (0 to 0.5).
    pub(in crate::detect) lean: (usize, f64),
    weekday: usize,
    per_day: usize,
    bins_per_day: usize,
    per_slot: usize,
}

impl Place {
    /// Of this interval.
    pub(in crate::detect) fn of(interval: Interval) -> Place {
        let place = Place {
            number: interval.number(),
            of_day: 0,
            slot: 0,
            bin: 0,
            lean: (0, 0.0),
            weekday: 0,
            per_day: interval.length().per_day() as usize,
            bins_per_day: Place::bins_per_day(interval.length()) as usize,
            per_slot: Place::per_slot(interval.length()) as usize,
        };
        place.at(interval.weekday() as usize, interval.slot() as usize)
    }

    /// Intervals of a day.
    pub(in crate::detect) fn per_day(&self) -> u32 {
        self.per_day as u32
    }

    /// Whether it is the first of its weekly bin.
    pub(in crate::detect) fn begins_bin(&self) -> bool {
        self.of_day.is_multiple_of(self.per_day / self.bins_per_day)
    }

    /// The place so many intervals earlier, within a week.
    pub(in crate::detect) fn before(&self, back: usize) -> Place {
        let week = DAYS_PER_WEEK as usize * self.per_day;
        let earlier = (self.weekday * self.per_day + self.of_day + week - back % week) % week;
        let place = self.at(earlier / self.per_day, earlier % self.per_day);
        Place { number: self.number - back as i64, ..place }
    }

    /// The same time of the day, so many days further on in the week.
    pub(in crate::detect) fn ahead(&self, days: usize) -> Place {
        self.at((self.weekday + days) % DAYS_PER_WEEK as usize, self.of_day)
    }

    fn at(&self, weekday: usize, of_day: usize) -> Place {
        let width = self.per_day / self.bins_per_day;
        let week = DAYS_PER_WEEK as usize * self.bins_per_day;
        let bin = weekday * self.bins_per_day + of_day / width;
        // centre of the interval within its bin, -0.5 to 0.5
        let offset = ((of_day % width) as f64 + 0.5) / width as f64 - 0.5;
        let neighbour = if offset < 0.0 { (bin + week - 1) % week } else { (bin + 1) % week };
        let slot = of_day / self.per_slot.max(1);
        Place { of_day, slot, bin, lean: (neighbour, offset.abs()), weekday, ..*self }
    }

    /// Intervals that share a slot of the daily shape: 1 for all of a minute and longer.
    pub(in crate::detect) fn per_slot(length: Length) -> u32 {
        let per_day = length.per_day();
        if per_day <= SLOTS_PER_DAY_MAX {
            return 1;
        }
        let slots = (1..=SLOTS_PER_DAY_MAX).rev().find(|slots| per_day.is_multiple_of(*slots));
        per_day / slots.unwrap_or(1)
    }

    /// Weekly bins of one day: hours, or whole intervals where those are longer or do not divide into hours.
    pub(in crate::detect) fn bins_per_day(length: Length) -> u32 {
        let per_day = length.per_day();
        if per_day.is_multiple_of(BINS_PER_DAY_MAX) {
            BINS_PER_DAY_MAX
        } else {
            // the largest divisor that is no finer than an hour
            (1..=BINS_PER_DAY_MAX).rev().find(|bins| per_day.is_multiple_of(*bins)).unwrap_or(1)
        }
    }

    /// Weekly bins in all.
    pub(in crate::detect) fn bins(length: Length) -> usize {
        (DAYS_PER_WEEK * Place::bins_per_day(length)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_lean_to_the_nearer_neighbour() {
        let length = Length::from_seconds(300).unwrap();
        // 1970-01-01 was a Thursday
        let monday = Interval::containing(4 * 86_400_000_000, length);
        let place = Place::of(monday);
        assert_eq!((place.slot, place.bin, place.lean.0), (0, 0, 167), "the last hour of the week before");
        let sunday = place.ahead(6);
        assert_eq!((sunday.bin, sunday.lean.0), (6 * 24, 6 * 24 - 1));
        assert_eq!(sunday.ahead(1).bin, place.bin);
        assert_eq!((Place::of(monday.offset(7)).bin, Place::of(monday.offset(7)).lean.0), (0, 1));
        assert_eq!((Place::of(monday.offset(13)).bin, Place::of(monday.offset(13)).lean.0), (1, 0));
        for seconds in [10, 54, 60, 90, 300, 600, 1800, 3600, 5400, 7200, 86_400] {
            let length = Length::from_seconds(seconds).unwrap();
            for step in 0..2 * 7 * i64::from(length.per_day()) {
                let place = Place::of(Interval::containing(0, length).offset(step));
                assert!(place.bin < Place::bins(length) && place.lean.0 < Place::bins(length));
                assert!((0.0..=0.5).contains(&place.lean.1));
                assert!(place.slot < (length.per_day() / Place::per_slot(length)) as usize);
            }
        }
    }

    #[test]
    fn a_week_that_is_ahead_goes_on_over_midnight() {
        let first = Interval::containing(0, Length::from_seconds(300).unwrap());
        for step in 0..7 * 288 {
            for days in 0..7 {
                let now = Place::of(first.offset(step)).ahead(days);
                let before = Place::of(first.offset(step + 1)).ahead(days).before(1);
                assert_eq!((now.bin, now.of_day), (before.bin, before.of_day), "{step} {days}");
            }
        }
    }

    #[test]
    fn a_day_has_no_more_slots_than_minutes() {
        let slots = |seconds| {
            let length = Length::from_seconds(seconds).unwrap();
            (length.per_day() / Place::per_slot(length), Place::per_slot(length))
        };
        assert_eq!(
            [1, 10, 54, 60, 90, 300].map(slots),
            [(1440, 60), (1440, 6), (800, 2), (1440, 1), (960, 1), (288, 1)]
        );
        let place = Place::of(Interval::containing(86_399_000_000, Length::from_seconds(1).unwrap()));
        assert_eq!((place.of_day, place.slot), (86_399, 1439));
        assert_eq!(place.before(86_399).slot, 0);
    }
}
