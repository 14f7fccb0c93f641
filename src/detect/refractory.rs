//! One event, one alert: after something odd was said, the same again, or less, is not said for a quarter of a day.
//!
//! It works on the score, not on the alarm, so that it holds for whoever ranks intervals by their score: the largest
//! score that was said is kept for a quarter of a day, and a score below it, or above it by less than a factor of three in
//! probability, is cut to what says nothing. An interval that is clearly odder than what was said is said.

use super::snapshot::codec;

/// By how much a score must exceed what was said.
const NEWS: f64 = 0.5;
/// What a score that is no news is cut to, as a share of the alarm's.
const SAID: f64 = 0.5;
/// Share of a day.
const PARTS: u32 = 4;

/// What was said lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Refractory {
    said: f64,
    left: u32,
}

codec!(Refractory { said, left });

impl Refractory {
    /// The score as it is said, of an interval whose own is `score`.
    pub(super) fn say(&mut self, score: f64, alarm: f64, per_day: u32) -> f64 {
        self.left = self.left.saturating_sub(1);
        let least = SAID * alarm;
        if score <= least {
            return score;
        }
        let enough = if self.said >= alarm { f64::INFINITY } else { self.said + NEWS };
        if self.left > 0 && score < enough {
            return least;
        }
        (self.said, self.left) = (score, (per_day / PARTS).max(1));
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_and_the_odder_at_once() {
        let mut refractory = Refractory::default();
        assert_eq!(refractory.say(1.0, 4.6, 288), 1.0);
        assert_eq!(refractory.say(3.5, 4.6, 288), 3.5);
        assert_eq!(refractory.say(3.6, 4.6, 288), 2.3);
        assert_eq!(refractory.say(4.5, 4.6, 288), 4.5);
        assert_eq!(refractory.say(9.0, 4.6, 288), 9.0);
        assert_eq!(refractory.say(300.0, 4.6, 288), 2.3, "an alarm is an alarm");
        for _ in 0..70 {
            assert_eq!(refractory.say(9.0, 4.6, 288), 2.3);
        }
        assert_eq!(refractory.say(9.0, 4.6, 288), 9.0);
    }
}
