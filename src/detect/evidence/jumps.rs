//! Evidence of single values: how rare on this series is the step from the last value, and how rare the error? Both are ranked
//! against all that the series has shown, odd or not.
//!
//! On metrics of real services a plain jump says more than any model of what is usual, and says it alike on every series. So these
//! ranks have two uses. For an alarm they are one kind of evidence among three, taken for what they are. In the score, by which
//! intervals are compared over series, they have the last word on a single value: it scores at most twice its rank, however
//! sure the model is, and at least one and a half times its rank, as far as the model does not speak against it.

use super::Rank;
use crate::detect::snapshot::codec;

/// `log10 3`: three kinds of evidence are asked, so each may be three times rarer than it seems.
const COST: f64 = 0.477;
/// Most that a single value scores, and least, in ranks.
const MOST: f64 = 2.0;
const LEAST: f64 = 1.5;
/// By how much a rank may lift the score of the model.
const LIFT: f64 = 2.0;

/// What is known of the steps and the errors of one series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Jumps {
    last: f64,
    steps: Rank,
    misses: Rank,
}

codec!(Jumps { last, steps, misses });

/// The ranks of one value.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Jump {
    step: f64,
    miss: f64,
    is_sure: bool,
}

impl Jumps {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new() -> Jumps {
        Jumps { last: 0.0, steps: Rank::new(), misses: Rank::new() }
    }

    /// Ranks a value of which `expected` was expected, and takes it in. Sizes below `least` are all the same.
    pub(in crate::detect) fn observe(&mut self, value: f64, expected: f64, least: f64) -> Jump {
        let (step, miss) = ((value - self.last).abs(), (value - expected).abs());
        self.last = value;
        let (step_rank, miss_rank) = (self.steps.surprise(step, least), self.misses.surprise(miss, least));
        self.steps.learn(step, least);
        self.misses.learn(miss, least);
        Jump { step: step_rank, miss: miss_rank, is_sure: true }
    }

    /// The next step is one from this value.
    pub(in crate::detect) fn stand_at(&mut self, value: f64) {
        self.last = value;
    }
}

impl Jump {
    /// The same where it is not sure what was expected: the error says nothing for itself.
    pub(in crate::detect) fn with_doubt(self, is_sure: bool) -> Jump {
        Jump { is_sure, ..self }
    }

    /// The score that they are worth beside other evidence.
    pub(in crate::detect) fn score(&self) -> f64 {
        self.largest() - COST
    }

    /// The score of an interval by which it is compared with others, where the model says `score`, of this value alone or of
    /// a wider window.
    pub(in crate::detect) fn compared(&self, score: f64, is_alone: bool) -> f64 {
        let score = if is_alone { score.min(MOST * self.step.max(self.miss)) } else { score };
        score.max((LEAST * self.largest() - COST).min(score + LIFT))
    }

    fn largest(&self) -> f64 {
        if self.is_sure { self.step.max(self.miss) } else { self.step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks of a value after 600 steps between 0 and 10.
    fn jump(value: f64) -> Jump {
        let mut jumps = Jumps::new();
        for step in 0..600u32 {
            jumps.observe(f64::from(step * 7919 % 11), 5.0, 1e-9);
        }
        jumps.observe(value, 5.0, 1e-9)
    }

    #[test]
    fn the_score_of_a_single_value_lies_between_its_ranks() {
        let (usual, odd) = (jump(6.0), jump(60.0));
        assert!(odd.compared(300.0, true) > 4.0 && odd.compared(300.0, true) < 20.0);
        assert!(usual.compared(300.0, true) < odd.compared(300.0, true));
        assert_eq!(odd.compared(300.0, false), 300.0, "a window has its own ranks");
        assert_eq!(odd.compared(1.0, true), 3.0, "a jump that nothing else supports");
        assert_eq!(usual.compared(2.0, false), 2.0);
    }

    #[test]
    fn an_error_counts_where_it_is_sure_what_was_expected() {
        let mut jumps = Jumps::new();
        (0..600).for_each(|_| _ = jumps.observe(5.0, 5.0, 0.1));
        jumps.stand_at(50.0);
        let jump = jumps.observe(50.0, 5.0, 0.1);
        assert!(jump.score() > 4.0);
        assert!(jump.with_doubt(false).score() < 3.0);
    }
}
