//! Where an interval stands in its day and its week.

use crate::model::{Interval, Length};

/// Bins of a day that the weekly shape tells apart.
const BINS_PER_DAY_MAX: u32 = 24;
const DAYS_PER_WEEK: u32 = 7;

/// The place of an interval in its day and week.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Place {
    /// Number in the endless row of intervals.
    pub(in crate::detect) number: i64,
    /// Which interval of its day, from 0.
    pub(in crate::detect) slot: usize,
    /// Weekly bin that it falls in.
    pub(in crate::detect) bin: usize,
    /// The neighbour towards which it leans, and how far (0 to 0.5).
    pub(in crate::detect) lean: (usize, f64),
}

impl Place {
    /// Of this interval.
    pub(in crate::detect) fn of(interval: Interval) -> Place {
        let per_day = interval.length().per_day();
        let bins = Place::bins_per_day(interval.length());
        let slot = interval.slot();
        let width = per_day / bins;
        let bin = interval.weekday() * bins + slot / width;
        let week = DAYS_PER_WEEK * bins;
        // centre of the slot within its bin, -0.5 to 0.5
        let offset = (f64::from(slot % width) + 0.5) / f64::from(width) - 0.5;
        let neighbour = if offset < 0.0 { (bin + week - 1) % week } else { (bin + 1) % week };
        // a weekend begins at midnight, not gradually
        let neighbour = if neighbour / bins == bin / bins { neighbour } else { bin };
        Place {
            number: interval.number(),
            slot: slot as usize,
            bin: bin as usize,
            lean: (neighbour as usize, offset.abs()),
        }
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
    fn bins_lean_to_the_nearer_neighbour_of_their_day() {
        let length = Length::from_seconds(300).unwrap();
        // 1970-01-01 was a Thursday
        let monday = Interval::containing(4 * 86_400_000_000, length);
        let place = Place::of(monday);
        assert_eq!((place.slot, place.bin, place.lean.0), (0, 0, 0), "midnight parts the days");
        assert_eq!((Place::of(monday.offset(7)).bin, Place::of(monday.offset(7)).lean.0), (0, 1));
        assert_eq!((Place::of(monday.offset(13)).bin, Place::of(monday.offset(13)).lean.0), (1, 0));
        for seconds in [60, 300, 600, 1800, 3600, 5400, 7200, 86_400] {
            let length = Length::from_seconds(seconds).unwrap();
            for step in 0..2 * 7 * i64::from(length.per_day()) {
                let place = Place::of(Interval::containing(0, length).offset(step));
                assert!(place.bin < Place::bins(length) && place.lean.0 < Place::bins(length));
                assert!((0.0..=0.5).contains(&place.lean.1));
            }
        }
    }
}
