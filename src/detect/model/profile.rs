//! The shape of a day, and how the hours of each weekday differ from it.
//!
//! `value = daily[slot] + weekly[bin]`, both learned by exponential means with the other part taken away (backfitting):
//! `daily += g (x - weekly - daily)`, `weekly += g' (x - daily - weekly)`, where `g = max(1/(n+1), 1/8)` reaches back
//! about eight days and `g'` about three weeks. `x` has been cleaned before: an anomaly teaches nothing. The smooth
//! variant is the mean of the neighbouring slots within a quarter of an hour, with triangular weights: after one day
//! the single slots carry the whole noise of that day, their neighbourhood does not.

use super::Place;
use crate::detect::habit::Recurrence;
use crate::detect::snapshot::codec;
use crate::model::Length;

/// Smallest gain of a daily slot.
const DAILY_GAIN: f64 = 1.0 / 8.0;
/// Gain of a slot that has changed its habit.
const ADOPTION_GAIN: f64 = 0.6;
/// Gain of a weekly bin that has changed its habit, for each of its intervals.
const WEEKLY_ADOPTION_GAIN: f64 = 0.2;
/// Weeks that a weekly bin remembers.
const WEEKS: f64 = 3.0;
/// How far a slot looks around, in seconds.
const SMOOTHING_SECONDS: u32 = 900;

/// The learned shape of one series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Profile {
    daily: Vec<f64>,
    days: Vec<u16>,
    weekly: Vec<f64>,
    visits: Vec<u16>,
    radius: usize,
    per_bin: f64,
}

codec!(Profile { daily, days, weekly, visits, radius, per_bin });

impl Profile {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new(length: Length) -> Profile {
        let (slots, bins) = (length.per_day() as usize, Place::bins(length));
        Profile {
            daily: vec![0.0; slots],
            days: vec![0; slots],
            weekly: vec![0.0; bins],
            visits: vec![0; bins],
            radius: ((SMOOTHING_SECONDS / length.seconds()) as usize).min(slots.saturating_sub(1) / 2),
            per_bin: f64::from(length.per_day() / Place::bins_per_day(length)),
        }
    }

    /// The daily shape alone, smoothed; none where this slot was never seen.
    pub(in crate::detect) fn smooth(&self, place: &Place) -> Option<f64> {
        if self.days[place.slot] == 0 {
            return None;
        }
        let slots = self.daily.len();
        let (mut sum, mut weights) = (0.0, 0.0);
        let mut weight = 1.0;
        for step in 0..=2 * self.radius {
            let slot = (place.slot + slots + step - self.radius) % slots;
            if self.days[slot] > 0 {
                sum += weight * self.daily[slot];
                weights += weight;
            }
            weight += if step < self.radius { 1.0 } else { -1.0 };
        }
        Some(sum / weights)
    }

    /// The daily shape and the difference of this weekday's hour; none where this slot was never seen.
    pub(in crate::detect) fn weekly(&self, place: &Place) -> Option<f64> {
        (self.days[place.slot] > 0).then(|| self.daily[place.slot] + self.difference(place))
    }

    /// Takes a cleaned value in.
    pub(in crate::detect) fn learn(&mut self, place: &Place, value: f64) {
        let difference = self.difference(place);
        let days = f64::from(self.days[place.slot]);
        if days > 0.0 {
            let visits = f64::from(self.visits[place.bin]);
            let gain = (1.0 / (visits + 1.0)).max(1.0 / (WEEKS * self.per_bin));
            self.weekly[place.bin] += gain * (value - self.daily[place.slot] - self.weekly[place.bin]);
            self.visits[place.bin] = self.visits[place.bin].saturating_add(1);
        }
        let gain = (1.0 / (days + 1.0)).max(DAILY_GAIN);
        self.daily[place.slot] += gain * (value - difference - self.daily[place.slot]);
        self.days[place.slot] = self.days[place.slot].saturating_add(1);
    }

    /// Takes a value in that has come at this time of the day, or of the week, twice and is no noise.
    pub(in crate::detect) fn adopt(&mut self, place: &Place, value: f64, recurrence: Recurrence) {
        let rest = value - self.difference(place) - self.daily[place.slot];
        if self.days[place.slot] == 0 {
            self.daily[place.slot] = value;
        } else if recurrence == Recurrence::Weekly {
            self.weekly[place.bin] += (ADOPTION_GAIN / self.per_bin).max(WEEKLY_ADOPTION_GAIN) * rest;
            self.visits[place.bin] = self.visits[place.bin].saturating_add(1);
        } else {
            self.daily[place.slot] += ADOPTION_GAIN * rest;
        }
        self.days[place.slot] = self.days[place.slot].saturating_add(1);
    }

    /// Bytes on the heap.
    pub(in crate::detect) fn heap_bytes(&self) -> usize {
        8 * (self.daily.capacity() + self.weekly.capacity()) + 2 * (self.days.capacity() + self.visits.capacity())
    }

    /// Weekly difference, between the centres of two neighbouring bins.
    fn difference(&self, place: &Place) -> f64 {
        let (neighbour, lean) = place.lean;
        if self.visits[place.bin] == 0 {
            0.0
        } else if self.visits[neighbour] == 0 {
            self.weekly[place.bin]
        } else {
            (1.0 - lean) * self.weekly[place.bin] + lean * self.weekly[neighbour]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Interval;

    #[test]
    fn a_weekday_shape_is_learned_within_three_weeks() {
        let length = Length::from_seconds(3600).unwrap();
        let mut profile = Profile::new(length);
        let truth = |interval: Interval| {
            let day = f64::from(interval.slot() * (24 - interval.slot()));
            if interval.weekday() >= 5 { 0.5 * day } else { day }
        };
        let start = Interval::containing(0, length);
        for step in 0..24 * 28 {
            let interval = start.offset(step);
            profile.learn(&Place::of(interval), truth(interval));
        }
        for step in 24 * 28..24 * 35 {
            let interval = start.offset(step);
            let guess = profile.weekly(&Place::of(interval)).unwrap();
            assert!((guess - truth(interval)).abs() < 12.0, "{interval}: {guess} for {}", truth(interval));
        }
    }

    #[test]
    fn a_slot_never_seen_has_no_shape() {
        let length = Length::from_seconds(300).unwrap();
        let mut profile = Profile::new(length);
        let first = Interval::containing(0, length);
        profile.learn(&Place::of(first), 5.0);
        assert_eq!(profile.smooth(&Place::of(first)), Some(5.0));
        assert_eq!(profile.smooth(&Place::of(first.offset(1))), None);
        assert_eq!(profile.weekly(&Place::of(first.offset(1))), None);
    }
}
