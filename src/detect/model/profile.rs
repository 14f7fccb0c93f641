//! The shape of a day, and how the hours of each weekday differ from it, in one of two ways to put them together:
//!
//! - multiplicative: `value = daily[slot] x weekly[bin]`, for quantities that scale (a weekend has a third of the traffic);
//! - additive: `value = daily[slot] + weekly[bin]`.
//!
//! Each part is learned with the other taken away (backfitting). The multiplicative parts are ratios of exponentially fading
//! sums, `daily = S(x) / S(weekly)` and `weekly = S(x) / S(daily)`, so that intervals weigh as much as they have events.
//! The daily gain `max(1/(n+1), 1/8)` reaches back about eight days, the weekly one about three weeks. What is learned was
//! cleaned before: an anomaly teaches nothing.
//!
//! A slot that few days or few events are known of borrows from its neighbours. After a day a single slot carries the
//! whole noise of that day, so the mean of the slots within a quarter of an hour stands in for it, with triangular weights,
//! as far as no edge lies between (a pulse on the hour stays a pulse), and gives way with the days. Where a slot
//! has seen fewer than thirty events (`sum / dispersion`), sums over as many neighbours as make up for it are taken.
//!
//! Intervals shorter than a minute share a slot: a shape of 1440 places is what a day costs at most, 40 kB. What is
//! counted of a slot is then visits, and a day of it is as many of them as intervals share it.
//!
//! A weekly bin starts as "like the other days" and moves with what it has seen; between the centres of two bins it
//! goes straight, unless they differ by a fifth: a weekend begins at midnight, not gradually.

use super::Place;
use crate::detect::habit::Recurrence;
use crate::detect::snapshot::codec;
use crate::model::Length;

/// Days that a slot remembers.
const DAYS: f64 = 8.0;
/// Days of a slot that are counted.
const DAYS_COUNTED: u16 = 255;
/// Gain of a slot that has changed its habit, and of a weekly bin, for each of its intervals.
const ADOPTION_GAIN: f64 = 0.9;
const WEEKLY_ADOPTION_GAIN: f64 = 0.25;
/// Weeks that a weekly bin remembers.
const WEEKS: f64 = 3.0;
/// Events that a weekly bin must see to be believed half; and weeks, where it multiplies and where it is added.
const PRIOR_EVENTS: f64 = 12.0;
const PRIOR_WEEKS: f64 = 0.05;
const PRIOR_WEEKS_ADDED: f64 = 0.15;
/// Bounds of a weekly factor.
const FACTOR: (f64, f64) = (0.02, 8.0);
/// Weekly bins that differ by this share have an edge between them.
const WEEKLY_EDGE: f64 = 0.2;
/// Events below which a slot borrows from neighbours that are not near, and those that the mean of all slots is worth.
const EVENTS: f64 = 30.0;
const MEAN_EVENTS: f64 = 10.0;
/// A neighbour further away than this many mean differences is beyond an edge.
const EDGE: f64 = 5.0;
/// Memory of the mean difference, in slots, and of the mean, in intervals.
const ROUGH_MEMORY: u32 = 300;
const MEAN_MEMORY: u32 = 3000;
/// How far a slot looks around, in seconds, and in how many days it half stops doing so.
const SMOOTHING_SECONDS: u32 = 900;
const SMOOTHING_DAYS: f64 = 4.0;

/// The learned shape of one series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Profile {
    is_multiplicative: bool,
    /// Fading sums per slot; the weights are none where additive: they are all 1.
    sums: Vec<f64>,
    weights: Vec<f64>,
    /// Intervals that each has seen, 255 days of them at most.
    seen_in: Vec<u16>,
    /// The same per weekly bin.
    weekly: Vec<f64>,
    base: Vec<f64>,
    visits: Vec<u16>,
    radius: usize,
    per_bin: u16,
    per_slot: u16,
    mean: f64,
    /// Mean difference of neighbouring slots.
    rough: f64,
    seen: u32,
    /// Size of an event.
    dispersion: f64,
}

codec!(Profile {
    is_multiplicative,
    sums,
    weights,
    seen_in,
    weekly,
    base,
    visits,
    radius,
    per_bin,
    per_slot,
    mean,
    rough,
    seen,
    dispersion
});

impl Profile {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new(length: Length, is_multiplicative: bool) -> Profile {
        let per_slot = Place::per_slot(length);
        let (slots, bins) = ((length.per_day() / per_slot) as usize, Place::bins(length));
        let slot_seconds = length.seconds() * per_slot;
        let per_bin = length.per_day() / Place::bins_per_day(length);
        Profile {
            is_multiplicative,
            sums: vec![0.0; slots],
            weights: vec![0.0; if is_multiplicative { slots } else { 0 }],
            seen_in: vec![0; slots],
            weekly: vec![0.0; bins],
            base: vec![0.0; if is_multiplicative { bins } else { 0 }],
            visits: vec![0; bins],
            radius: ((SMOOTHING_SECONDS / slot_seconds) as usize).min(slots.saturating_sub(1) / 2),
            per_bin: u16::try_from(per_bin).unwrap_or(u16::MAX),
            per_slot: u16::try_from(per_slot).unwrap_or(u16::MAX),
            mean: 0.0,
            rough: 0.0,
            seen: 0,
            dispersion: 0.0,
        }
    }

    /// Whether this hour of this weekday has been seen.
    pub(in crate::detect) fn knows(&self, place: &Place) -> bool {
        self.visits[place.bin] >= self.per_bin
    }

    /// The shape at a place; none where this slot was never seen.
    pub(in crate::detect) fn at(&self, place: &Place) -> Option<f64> {
        (self.seen_in[place.slot] > 0).then(|| {
            let (daily, weekly) = (self.daily(place.slot), self.difference(place));
            if self.is_multiplicative { (daily * weekly).max(0.0) } else { daily + weekly }
        })
    }

    /// Takes a cleaned value in, of a series whose events are of the size `dispersion`.
    pub(in crate::detect) fn learn(&mut self, place: &Place, value: f64, dispersion: f64) {
        self.dispersion = dispersion;
        self.mean += (value - self.mean) / f64::from(self.seen.min(MEAN_MEMORY - 1) + 1);
        if self.seen_in[place.slot] > 0 {
            let gain = (1.0 / (f64::from(self.visits[place.bin]) + 1.0)).max(1.0 / (WEEKS * f64::from(self.per_bin)));
            self.learn_weekly(place, value, gain);
        }
        let most = DAYS * f64::from(self.per_slot);
        let gain = (1.0 / (f64::from(self.seen_in[place.slot]) + 1.0)).max(1.0 / most);
        self.learn_daily(place, value, gain);
        self.seen = self.seen.saturating_add(1);
        self.roughen(place.slot);
    }

    /// Takes a value in that has come at this time of the day, or of the week, twice and is no noise.
    pub(in crate::detect) fn adopt(&mut self, place: &Place, value: f64, recurrence: Recurrence) {
        if self.seen_in[place.slot] > 0 && recurrence == Recurrence::Weekly {
            let gain = (ADOPTION_GAIN / f64::from(self.per_bin)).max(WEEKLY_ADOPTION_GAIN);
            self.learn_weekly(place, value, gain);
        } else {
            // one of several intervals that share the slot
            self.learn_daily(place, value, ADOPTION_GAIN / f64::from(self.per_slot));
        }
    }

    /// Bytes on the heap.
    pub(in crate::detect) fn heap_bytes(&self) -> usize {
        let numbers = [&self.sums, &self.weights, &self.weekly, &self.base];
        let numbers = numbers.iter().map(|list| 8 * list.capacity()).sum::<usize>();
        numbers + 2 * (self.seen_in.capacity() + self.visits.capacity())
    }

    fn learn_weekly(&mut self, place: &Place, value: f64, gain: f64) {
        let (bin, daily) = (place.bin, self.daily(place.slot));
        if self.is_multiplicative {
            self.weekly[bin] += gain * (value - self.weekly[bin]);
            self.base[bin] += gain * (daily - self.base[bin]);
        } else {
            self.weekly[bin] += gain * (value - daily - self.weekly[bin]);
        }
        self.visits[bin] = self.visits[bin].saturating_add(1);
    }

    fn learn_daily(&mut self, place: &Place, value: f64, gain: f64) {
        let (slot, weekly) = (place.slot, self.difference(place));
        if self.is_multiplicative {
            self.sums[slot] += gain * (value - self.sums[slot]);
            self.weights[slot] += gain * (weekly - self.weights[slot]);
        } else {
            self.sums[slot] += gain * (value - weekly - self.sums[slot]);
        }
        self.seen_in[slot] = self.seen_in[slot].saturating_add(1).min(DAYS_COUNTED.saturating_mul(self.per_slot));
    }

    /// What is known of one slot alone.
    fn alone(&self, slot: usize) -> f64 {
        match self.weights.get(slot) {
            Some(weight) if *weight > 1e-12 => self.sums[slot] / weight,
            Some(_) => 0.0,
            None => self.sums[slot],
        }
    }

    fn daily(&self, slot: usize) -> f64 {
        let (visits, per_slot) = (f64::from(self.seen_in[slot]), f64::from(self.per_slot));
        let days = visits / per_slot;
        if self.is_multiplicative && self.dispersion > 0.0 {
            let events = self.mean * visits.min(DAYS * per_slot) / self.dispersion;
            if events < EVENTS {
                return self.wide(slot, events);
            }
        }
        if self.radius == 0 {
            return self.alone(slot);
        }
        let trust = days / (days + SMOOTHING_DAYS);
        trust * self.alone(slot) + (1.0 - trust) * self.near(slot)
    }

    /// Mean of the near neighbours on this side of every edge.
    fn near(&self, slot: usize) -> f64 {
        let here = self.alone(slot);
        let (mut sum, mut weights) = (0.0, 0.0);
        self.each_around(slot, self.radius, |other, weight| {
            let value = self.alone(other);
            if (value - here).abs() <= EDGE * self.rough {
                sum += weight * value;
                weights += weight;
            }
        });
        if weights > 0.0 { sum / weights } else { here }
    }

    /// Ratio of sums over as many neighbours as few events ask for, and the mean.
    fn wide(&self, slot: usize, events: f64) -> f64 {
        let radius = ((EVENTS / events.max(1e-3)) as usize).clamp(self.radius, self.sums.len() / 8);
        let (mut sum, mut weights) = (0.0, 0.0);
        self.each_around(slot, radius, |other, weight| {
            sum += weight * self.sums[other];
            weights += weight * self.weights[other];
        });
        let prior = MEAN_EVENTS / events.max(1e-9) * (radius + 1) as f64;
        (sum + prior * self.mean) / (weights + prior)
    }

    /// Visits the slots around one that have been seen, with triangular weights.
    #[inline]
    fn each_around(&self, slot: usize, radius: usize, mut visit: impl FnMut(usize, f64)) {
        let slots = self.seen_in.len();
        let mut other = if slot < radius { slot + slots - radius } else { slot - radius };
        let mut weight = 0.0;
        for step in 0..2 * radius + 1 {
            weight += if step <= radius { 1.0 } else { -1.0 };
            if self.seen_in[other] > 0 {
                visit(other, weight);
            }
            other = if other + 1 < slots { other + 1 } else { 0 };
        }
    }

    /// Weekly part, between the centres of two neighbouring bins.
    fn difference(&self, place: &Place) -> f64 {
        let (neighbour, lean) = place.lean;
        let here = self.weekly_of(place.bin);
        if self.visits[place.bin] < self.per_bin || self.visits[neighbour] < self.per_bin {
            return here;
        }
        let there = self.weekly_of(neighbour);
        if self.is_edge(here, there) { here } else { (1.0 - lean) * here + lean * there }
    }

    /// Whether the weekly bin of a place is known to differ from the one before it.
    pub(in crate::detect) fn has_edge(&self, place: &Place) -> bool {
        let before = (place.bin + self.weekly.len() - 1) % self.weekly.len();
        let is_known = [place.bin, before].iter().all(|bin| self.visits[*bin] >= self.per_bin);
        is_known && self.is_edge(self.weekly_of(place.bin), self.weekly_of(before))
    }

    fn is_edge(&self, here: f64, there: f64) -> bool {
        let most = if self.is_multiplicative { here.max(there) } else { self.mean.abs() };
        (here - there).abs() > WEEKLY_EDGE * most
    }

    fn weekly_of(&self, bin: usize) -> f64 {
        let per_bin = f64::from(self.per_bin);
        let most = WEEKS * per_bin;
        let visits = f64::from(self.visits[bin]).min(most);
        match self.base.get(bin) {
            // what an hour is like is known after it
            Some(_) if visits < per_bin => 1.0,
            None if visits < per_bin => 0.0,
            Some(base) => {
                let prior = PRIOR_WEEKS * per_bin + PRIOR_EVENTS * self.dispersion / base.max(1e-9);
                let factor = visits * self.weekly[bin] / base.max(1e-12) + prior;
                (factor / (visits + prior)).clamp(FACTOR.0, FACTOR.1)
            }
            None => self.weekly[bin] * visits / (visits + PRIOR_WEEKS_ADDED * per_bin),
        }
    }

    fn roughen(&mut self, slot: usize) {
        let before = (slot + self.sums.len() - 1) % self.sums.len();
        if self.seen_in[before] > 0 {
            let seen = self.seen.min(ROUGH_MEMORY);
            let step = (self.alone(slot) - self.alone(before)).abs();
            let step = if self.seen > 8 { step.min(EDGE * self.rough.max(f64::MIN_POSITIVE)) } else { step };
            self.rough += (step - self.rough) / f64::from(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Interval;

    const DISPERSION: f64 = 1.0;

    fn learned(length: Length, is_multiplicative: bool, days: i64, truth: impl Fn(Interval) -> f64) -> Profile {
        let mut profile = Profile::new(length, is_multiplicative);
        let start = Interval::containing(0, length);
        for step in 0..i64::from(length.per_day()) * days {
            let interval = start.offset(step);
            profile.learn(&Place::of(interval), truth(interval), DISPERSION);
        }
        profile
    }

    #[test]
    fn a_weekend_is_known_after_two() {
        let length = Length::from_seconds(3600).unwrap();
        let truth = |interval: Interval| {
            let day = 1e3 * f64::from(10 + interval.slot() * (24 - interval.slot()));
            if interval.weekday() >= 5 { 0.4 * day } else { day }
        };
        let profile = learned(length, true, 28, truth);
        let start = Interval::containing(0, length);
        for step in 24 * 28..24 * 35 {
            let interval = start.offset(step);
            let guess = profile.at(&Place::of(interval)).unwrap();
            assert!((guess / truth(interval) - 1.0).abs() < 0.05, "{interval}: {guess} for {}", truth(interval));
        }
    }

    #[test]
    fn what_is_below_zero_adds_up() {
        let length = Length::from_seconds(3600).unwrap();
        let truth = |interval: Interval| {
            let day = f64::from(interval.slot()) - 12.0;
            if interval.weekday() == 2 { day - 30.0 } else { day }
        };
        let profile = learned(length, false, 35, truth);
        let start = Interval::containing(0, length);
        for step in 24 * 35..24 * 42 {
            let interval = start.offset(step);
            let guess = profile.at(&Place::of(interval)).unwrap();
            assert!((guess - truth(interval)).abs() < 4.0, "{interval}: {guess} for {}", truth(interval));
        }
    }

    #[test]
    fn a_slot_never_seen_has_no_shape() {
        let length = Length::from_seconds(300).unwrap();
        let mut profile = Profile::new(length, true);
        let first = Interval::containing(0, length);
        profile.learn(&Place::of(first), 500.0, DISPERSION);
        assert!((profile.at(&Place::of(first)).unwrap() - 500.0).abs() < 1e-9);
        assert_eq!(profile.at(&Place::of(first.offset(1))), None);
    }

    #[test]
    fn ten_seconds_share_the_shape_of_their_minute() {
        let length = Length::from_seconds(10).unwrap();
        let truth = |interval: Interval| {
            let minute = f64::from(interval.slot() / 6);
            // what differs within the minute is noise to the shape
            1000.0 + minute + f64::from(interval.slot() % 6) - 2.5
        };
        let profile = learned(length, true, 3, truth);
        assert!(profile.heap_bytes() < 45_000, "{}", profile.heap_bytes());
        let start = Interval::containing(0, length);
        for step in (8640 * 3..8640 * 4).step_by(7) {
            let interval = start.offset(step);
            let guess = profile.at(&Place::of(interval)).unwrap();
            assert!((guess / truth(interval) - 1.0).abs() < 0.02, "{interval}: {guess} for {}", truth(interval));
        }
    }

    #[test]
    fn few_events_are_spread_over_their_neighbours() {
        let length = Length::from_seconds(300).unwrap();
        // one event every second hour, always in the same slot
        let profile = learned(length, true, 14, |interval| f64::from(u8::from(interval.slot() % 24 == 0)));
        let start = Interval::containing(0, length);
        let shapes: Vec<f64> = (0..288).map(|step| profile.at(&Place::of(start.offset(step))).unwrap()).collect();
        let most = shapes.iter().copied().fold(0.0, f64::max);
        assert!(most < 3.0 / 24.0, "{most}");
    }
}
