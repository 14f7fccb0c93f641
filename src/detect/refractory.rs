//! How new is what is odd? After something odd was said, the same again, or less, is not said for a third of a day; and
//! what a series says often is no longer rare on it, whatever its evidence says.
//!
//! Both work on the score, not on the alarm, so that they hold for whoever ranks intervals of many series by their score.
//! The largest score that was said is kept for a third of a day, and a score below it, or above it by less than a factor of
//! three in probability, is cut to what says nothing. An interval that is clearly odder than what was said is said, unless
//! an alarm's score was reached: what follows is the same event.
//!
//! How often so much was said is counted by quarters of a unit, over about a month: the k-th time is k times less rare,
//! `score - log10 k`, but an alarm keeps at least the score of one. Evidence gives the probability for a series that goes as
//! it is thought to go; one that twice a week is as odd as it should be once in years goes otherwise.

use super::judgement::Context;
use super::snapshot::codec;

/// By how much a score must exceed what was said.
const NEWS: f64 = 0.5;
/// What a score that is no news is cut to, as a share of the alarm's.
const SAID: f64 = 0.5;
/// Share of a day.
const PARTS: u32 = 3;
/// Scores of so many levels below count as the same; levels in a unit of the score, and how many there are.
const SAME: usize = 2;
const LEVELS_PER_UNIT: f64 = 4.0;
const LEVELS: usize = 40;
/// Days after which what was said counts 1/e.
const MEMORY_DAYS: f64 = 30.0;

/// What was said lately.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refractory {
    said: f64,
    left: u32,
    /// How often each level was said, as of so many intervals ago.
    counts: [f64; LEVELS],
    since: u32,
}

codec!(Refractory { said, left, counts, since });

impl Refractory {
    /// Of a series that has said nothing.
    pub(super) fn new() -> Refractory {
        Refractory { said: 0.0, left: 0, counts: [0.0; LEVELS], since: 0 }
    }

    /// The score as it is said, of an interval whose own is `score` and whose extremes add `news` if it is odd at all.
    pub(super) fn say(&mut self, score: f64, news: f64, context: &Context) -> f64 {
        let &Context { alarm, per_day, .. } = context;
        self.left = self.left.saturating_sub(1);
        self.since = self.since.saturating_add(1);
        let least = SAID * alarm;
        let floor = if score >= alarm { alarm } else { least };
        let score = if score >= least { score + news } else { score };
        if score <= least {
            return score;
        }
        let is_news = self.said < alarm && score >= self.said + NEWS;
        if self.left > 0 && !is_news {
            return least;
        }
        (self.said, self.left) = (score, (per_day / PARTS).max(1));
        (score - libm::log10(1.0 + self.count(score, per_day))).max(floor)
    }

    /// How often so much was said before; counts this one.
    fn count(&mut self, score: f64, per_day: u32) -> f64 {
        let kept = libm::exp(-f64::from(self.since) / (MEMORY_DAYS * f64::from(per_day)));
        self.counts.iter_mut().for_each(|count| *count *= kept);
        self.since = 0;
        let level = ((score * LEVELS_PER_UNIT) as usize).min(LEVELS - 1);
        let before = self.counts[level.saturating_sub(SAME)..].iter().sum();
        self.counts[level] += 1.0;
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::margin::Margin;

    const DAY: u32 = 288;
    const CONTEXT: Context =
        Context { per_day: DAY, alarm: 4.6, empty_is_zero: false, margin: Margin::NONE, is_counter: false };

    #[test]
    fn the_same_is_said_once_and_the_odder_at_once() {
        let mut refractory = Refractory::new();
        let mut say = |score| refractory.say(score, 0.0, &CONTEXT);
        assert_eq!(say(1.0), 1.0);
        assert_eq!(say(3.5), 3.5);
        assert_eq!(say(3.6), 2.3);
        assert_eq!(say(4.5), 4.5);
        assert_eq!(say(9.0), 9.0);
        assert_eq!(say(300.0), 2.3, "an alarm is an alarm");
        assert!((0..94).all(|_| say(9.0) == 2.3));
        assert!(say(9.0) > 8.0);
    }

    #[test]
    fn extremes_count_where_something_is_odd() {
        let say = |score| Refractory::new().say(score, 1.5, &CONTEXT);
        assert_eq!([2.0, 2.3, 3.0, 4.6].map(say), [2.0, 3.8, 4.5, 6.1]);
    }

    #[test]
    fn what_is_said_often_is_less_rare_and_the_odder_is_as_rare_as_it_was() {
        let mut refractory = Refractory::new();
        let mut daily = |score| {
            let said = refractory.say(score, 0.0, &CONTEXT);
            (1..DAY).for_each(|_| assert_eq!(refractory.say(0.0, 0.0, &CONTEXT), 0.0));
            said
        };
        let said: Vec<f64> = (0..3).map(|_| daily(4.0)).collect();
        assert!(said[0] == 4.0 && (said[1] - 3.7).abs() < 0.02 && (said[2] - 3.53).abs() < 0.03, "{said:?}");
        assert!(daily(4.3) < 3.8, "hardly odder");
        assert_eq!(daily(6.0), 6.0);
        (0..300).for_each(|_| _ = daily(0.0));
        assert!(daily(4.0) > 3.99, "long ago");
        (0..300).for_each(|_| _ = daily(3.0));
        assert_eq!(daily(3.0), 2.3, "at least what says nothing");
        assert!((0..9).map(|_| daily(4.7)).all(|said| said >= 4.6), "an alarm is at least one");
    }
}
