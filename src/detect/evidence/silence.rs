//! Silence of a series whose empty intervals have no value (a mean, a minimum, a maximum). With `q` the learned
//! probability that this part of the day brings a value, a gap of intervals has the probability of the product of
//! `1 - q`. Laplace's rule keeps `q` below 1: two hundred intervals that all sent make one that does not a matter of
//! 1 in 200, two in a row of 1 in 40,000. (A quantity that adds up has the value 0 there and needs no rule.)

use super::super::snapshot::codec;

const PARTS: usize = 48;
const SEEN_LEAST: u32 = 24;
const MEMORY: u32 = 2000;
const PART_MEMORY: u32 = 100;
/// Intervals that the whole day stands in for in each of its parts.
const PRIOR: f64 = 1.0;
const GAP_SHORT: u32 = 6;
const SURPRISE_MAX: f64 = 300.0;

/// Presence of one series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Silence {
    rate: [f64; PARTS],
    seen: [u32; PARTS],
    whole: f64,
    intervals: u32,
    surprise: f64,
    gap: u32,
}

codec!(Silence { rate, seen, whole, intervals, surprise, gap });

impl Silence {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new() -> Silence {
        Silence { rate: [0.0; PARTS], seen: [0; PARTS], whole: 0.0, intervals: 0, surprise: 0.0, gap: 0 }
    }

    /// Takes an interval in and gives `-log10` of the probability of the gap that it ends or continues.
    pub(in crate::detect) fn observe(&mut self, present: bool, share: f64) -> f64 {
        let part = ((share * PARTS as f64) as usize).min(PARTS - 1);
        let absent_chance = 1.0 - self.presence(part);
        if present {
            (self.surprise, self.gap) = (0.0, 0);
        } else if self.intervals >= SEEN_LEAST {
            self.gap = self.gap.saturating_add(1);
            self.surprise = (self.surprise - libm::log10(absent_chance)).min(SURPRISE_MAX);
        }
        // the first intervals of a gap teach little, so that they do not explain each other away
        let weight = if (1..=GAP_SHORT).contains(&self.gap) { 0.25 } else { 1.0 };
        let now = if present { 1.0 } else { 0.0 };
        self.intervals = (self.intervals + 1).min(MEMORY);
        self.whole += weight * (now - self.whole) / f64::from(self.intervals);
        self.seen[part] = (self.seen[part] + 1).min(PART_MEMORY);
        self.rate[part] += weight * (now - self.rate[part]) / f64::from(self.seen[part]);
        self.surprise
    }

    /// Intervals of the present gap.
    pub(in crate::detect) fn gap(&self) -> u32 {
        self.gap
    }

    /// The gap has been told and is the new normal.
    pub(in crate::detect) fn accept(&mut self) {
        self.surprise = 0.0;
    }

    fn presence(&self, part: usize) -> f64 {
        let intervals = f64::from(self.intervals);
        let whole = (self.whole * intervals + 1.0) / (intervals + 2.0);
        let seen = f64::from(self.seen[part]);
        whole.min((self.rate[part] * seen + whole * PRIOR) / (seen + PRIOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_sender_that_stops_is_seen_soon_and_a_nightly_pause_is_not() {
        let mut steady = Silence::new();
        for step in 0..400 {
            assert_eq!(steady.observe(true, f64::from(step % 288) / 288.0), 0.0);
        }
        let surprises: Vec<f64> = (0..3).map(|_| steady.observe(false, 0.5)).collect();
        assert!(surprises[0] > 1.5 && surprises[2] > 4.6, "{surprises:?}");

        let mut office = Silence::new();
        let mut largest = 0.0f64;
        for step in 0..288 * 20 {
            let share = f64::from(step % 288) / 288.0;
            let surprise = office.observe((0.3..0.7).contains(&share), share);
            if step > 288 * 10 {
                largest = largest.max(surprise);
            }
        }
        assert!(largest < 4.0, "{largest}");
    }
}
