//! Evidence from sums: how far are the last `w` values together from what was expected before them? A jump shows at `w = 1`, a
//! small lasting change only in a wide window.
//!
//! With the sums `X` of the values, `M` of what was expected and `V` of the variances, the statistic is `z = (X - M) / sqrt V`, or,
//! where values add up, the signed root of the deviance of a Poisson variable of that variance,
//! `z = +- sqrt(2 (X ln(X / M) - X + M) M / V)`, which is the same for small distances and knows that counts are skewed and end at 0.
//!
//! Six widths are judged by the level foreseen from before them, and two, 8 and 32, by the anchor too, which shows what creeps in.
//! Each statistic has its own two sides, which turn `z` into a probability on this series. The largest surprise leads; because
//! eight statistics are asked, what the largest of them exceeds in 5 % of the intervals is followed too, and
//! taken for what it is: `score = surprise - (mark - 1.3)`.
//!
//! A tail says little of what lies far beyond everything that taught it, and what was odd has taught it little. So each statistic
//! is ranked too, among normal intervals and the first ones of incidents, and surprises by at most twice its rank.
//!
//! The score compares intervals over all series. Whether there is an alarm is decided by *rarity*, which is the same surprise but
//! where values add up: there the far end of each side has a tail of its own, and eight statistics cost what they are worth
//! far out, `10^0.9`.

use super::{Rank, Side};
use crate::detect::model::{Opinion, Sums, WIDTHS, WINDOWS};
use crate::detect::snapshot::codec;

/// Windows that are judged by the anchor too.
const ANCHORED: [usize; 2] = [3, 5];
const STATISTICS: usize = WINDOWS + ANCHORED.len();
/// Widths up to this index are judged from the first.
const NARROW: usize = 2;
/// What the largest surprise exceeds in this share of the intervals, if there were one statistic alone.
const SHARE: f64 = 0.05;
const AT_SHARE: f64 = 1.301_03;
/// The same before anything was seen, and bounds of it.
const MARK: f64 = 1.8;
const MARKS: (f64, f64) = (AT_SHARE, 11.0);
const MEMORY: f64 = 3000.0;
/// `log10 e`: how fast an exponential tail falls.
const STEP: f64 = std::f64::consts::LOG10_E / SHARE;
const CALM: f64 = 10.0 / SHARE;
/// What asking eight statistics costs far out, where they are rarely odd together.
const COST: f64 = 0.9;
/// Most that a distance surprises, in ranks; distances below this are all the same, and no surprise up to this is asked
/// for its rank.
const RANKS: f64 = 2.0;
const LEAST: f64 = 0.1;
const ORDINARY: f64 = 2.0;

/// How far the values of a window are out, for each statistic that can judge.
pub(in crate::detect) type Distances = [Option<f64>; STATISTICS];

/// What the windows have learned.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Windows {
    adds_up: bool,
    /// Above and below.
    sides: [[Side; 2]; STATISTICS],
    ranks: [Rank; STATISTICS],
    mark: f64,
    seen: f64,
}

codec!(Windows { adds_up, sides, ranks, mark, seen });

/// What is asked of the windows.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Question {
    /// The least that is expected of an interval.
    pub(in crate::detect) least: f64,
    /// Whether wide windows may speak, and the anchor.
    pub(in crate::detect) is_wide: bool,
}

/// The statistic that is furthest out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Lead {
    statistic: usize,
    /// Intervals of its window.
    pub(in crate::detect) width: usize,
    /// The level by which it judged.
    pub(in crate::detect) level: f64,
    /// Sum of the errors, in the unit of the values.
    pub(in crate::detect) error: f64,
    /// Standard deviation of that sum, before it is known what is usual here.
    deviation: f64,
    /// What is said of it, and the largest surprise of all.
    pub(in crate::detect) odds: Odds,
}

/// `-log10` of a probability on this series: as intervals are compared, and as alarms are decided.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::detect) struct Odds {
    pub(in crate::detect) surprise: f64,
    pub(in crate::detect) rarity: f64,
}

impl Odds {
    /// The lesser of each.
    pub(in crate::detect) fn min(self, other: Odds) -> Odds {
        Odds { surprise: self.surprise.min(other.surprise), rarity: self.rarity.min(other.rarity) }
    }
}

impl Windows {
    /// Of a series that nothing is known of, whose values add up or not.
    pub(in crate::detect) fn new(adds_up: bool) -> Windows {
        let (sides, ranks) = ([[Side::new(adds_up); 2]; STATISTICS], [Rank::new(); STATISTICS]);
        Windows { adds_up, sides, ranks, mark: MARK, seen: 0.0 }
    }

    /// Judges the windows that end with a value, where `ahead` gives the level foreseen for each. The lead, if any may speak, and all distances.
    pub(in crate::detect) fn judge(
        &self,
        sums: &[Option<Sums>; WINDOWS],
        ahead: impl Fn(usize, &Sums) -> f64,
        question: Question,
    ) -> (Option<Lead>, Distances) {
        let (mut lead, mut distances): (Option<Lead>, Distances) = (None, [None; STATISTICS]);
        let mut largest = 0.0f64;
        let mut ask = |statistic: usize, window: usize, sums: &Sums, level: f64| {
            let width = WIDTHS[window];
            let expected = sums.at(level).max(question.least * width as f64);
            let opinion = Opinion { value: sums.value, expected, variance: sums.variance };
            let z = distance(&opinion, self.adds_up);
            distances[statistic] = Some(z);
            let odds = self.odds(statistic, z);
            largest = largest.max(odds.surprise);
            if lead.is_none_or(|lead| odds.rarity > lead.odds.rarity) {
                let (error, deviation) = (sums.value - expected, sums.variance.sqrt());
                lead = Some(Lead { statistic, width, level, error, deviation, odds });
            }
        };
        for (window, sums) in sums.iter().enumerate() {
            let Some(sums) = sums.filter(|_| window < NARROW || question.is_wide) else { break };
            ask(window, window, &sums, ahead(window, &sums));
            if let Some(at) = ANCHORED.iter().position(|other| *other == window && question.is_wide) {
                ask(WINDOWS + at, window, &sums, sums.anchor());
            }
        }
        let lead = lead.map(|lead| Lead { odds: Odds { surprise: largest, ..lead.odds }, ..lead });
        (lead, distances)
    }

    /// What is said of another opinion by the statistic that leads.
    pub(in crate::detect) fn odds_of(&self, lead: &Lead, opinion: Opinion) -> Odds {
        self.odds(lead.statistic, distance(&opinion, self.adds_up))
    }

    /// Whether alarms are decided by something else than what the score is made of.
    pub(in crate::detect) fn decides_apart(&self) -> bool {
        self.adds_up
    }

    /// The score of a surprise that is the largest of all.
    pub(in crate::detect) fn score(&self, surprise: f64) -> f64 {
        (surprise - (self.mark - AT_SHARE)).max(0.0)
    }

    /// What a rarity that is the largest of all says for an alarm, in the unit of the score.
    pub(in crate::detect) fn decision(&self, rarity: f64) -> f64 {
        (rarity - self.cost()).max(0.0)
    }

    /// The mean error per interval at which the statistic that leads alarms at this score.
    pub(in crate::detect) fn threshold(&self, lead: &Lead, score: f64) -> f64 {
        let size = self.size(self.side(lead.statistic, lead.error), score);
        (size * lead.deviation).min(lead.error.abs()) / lead.width as f64
    }

    /// The distances of a single value, below and above, at which it alarms at this score, in standard deviations.
    pub(in crate::detect) fn reach(&self, score: f64) -> (f64, f64) {
        let [above, below] = &self.sides[0];
        (self.size(below, score), self.size(above, score))
    }

    /// What is usual of a single error, over that of a Gaussian of the variance that was stated.
    pub(in crate::detect) fn scale(&self) -> f64 {
        self.sides[0][0].scale().max(self.sides[0][1].scale())
    }

    /// Takes the distances of a normal interval in, and the largest surprise of all evidence.
    pub(in crate::detect) fn learn(&mut self, distances: &Distances, largest: f64) {
        for (sides, z) in self.sides.iter_mut().zip(distances) {
            if let Some(z) = z {
                learn(sides, *z);
            }
        }
        self.note(distances);
        self.seen = (self.seen + 1.0).min(MEMORY);
        let was = if largest > self.mark { 1.0 } else { 0.0 };
        self.mark = (self.mark + STEP / (self.seen + CALM) * (was - SHARE)).clamp(MARKS.0, MARKS.1);
    }

    /// Takes distances in for their ranks alone, as those of an interval that raises an alarm.
    pub(in crate::detect) fn note(&mut self, distances: &Distances) {
        for (rank, z) in self.ranks.iter_mut().zip(distances) {
            if let Some(z) = z {
                rank.learn(z.abs(), LEAST);
            }
        }
    }

    /// Takes the distance of a single value in, in standard deviations.
    pub(in crate::detect) fn learn_one(&mut self, z: f64) {
        learn(&mut self.sides[0], z);
    }

    fn odds(&self, statistic: usize, z: f64) -> Odds {
        let (side, size) = (self.side(statistic, z), z.abs());
        let (surprise, rarity) = (side.surprise(size), side.rarity(size));
        if surprise.max(rarity) <= ORDINARY {
            return Odds { surprise, rarity };
        }
        let most = (RANKS * self.ranks[statistic].surprise(size, LEAST)).max(ORDINARY);
        Odds { surprise: surprise.min(most), rarity: rarity.min(most) }
    }

    /// The distance on one side that alarms at a score.
    fn size(&self, side: &Side, score: f64) -> f64 {
        side.size_of_rarity(score + self.cost())
    }

    /// What asking all statistics costs an alarm.
    fn cost(&self) -> f64 {
        if self.adds_up { COST } else { self.mark - AT_SHARE }
    }

    fn side(&self, statistic: usize, z: f64) -> &Side {
        &self.sides[statistic][usize::from(z < 0.0)]
    }
}

fn learn([above, below]: &mut [Side; 2], z: f64) {
    above.learn(z.max(0.0));
    below.learn((-z).max(0.0));
}

fn distance(&Opinion { value, expected, variance }: &Opinion, adds_up: bool) -> f64 {
    let error = value - expected;
    let variance = variance.max(1e-300);
    if !adds_up || expected <= 0.0 || value < 0.0 {
        return error / variance.sqrt();
    }
    let deviance = if value > 0.0 { value * libm::log(value / expected) - error } else { expected };
    (2.0 * deviance.max(0.0) * expected / variance).sqrt().copysign(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_counts_is_that_of_a_gaussian_for_small_ones_and_bounded_below() {
        let of = |value, expected, variance, adds_up| distance(&Opinion { value, expected, variance }, adds_up);
        assert!((of(1010.0, 1000.0, 1000.0, true) - 10.0 / 1000f64.sqrt()).abs() < 0.01);
        assert_eq!(of(-3.0, 0.0, 9.0, false), -1.0);
        assert!((of(0.0, 8.0, 8.0, true) + 4.0).abs() < 1e-12, "nothing where 8 were expected");
        assert!(of(16.0, 8.0, 8.0, true) < 8.0 / 8f64.sqrt(), "skewed upwards");
    }
}
