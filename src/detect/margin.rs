//! Which changes count: margins around what is expected, and the side that is asked for.
//!
//! With `e` what is expected, a value within `e - m` to `e + m` is a small change, where `m` is the larger of the least
//! change and the least ratio times `|e|`. A small change is a normal value: it is not told, and it teaches what any normal
//! value teaches. A change to the side that nobody asked for is not told either, but it is an incident all the same:
//! the model waits until it is over, or lasts so long that it is normal, and its end is no change to the other side.
//!
//! Here are pure functions of numbers; `series` and `fleet` ask them where an alarm would begin, where an episode would
//! go on, and before anything is said.

use super::judgement::{Judgement, State};
use super::severity::severity;

/// The largest least change.
pub const MIN_CHANGE_MAX: f64 = 1e15;
/// The largest least ratio: a hundred times what is expected.
pub const MIN_CHANGE_RATIO_MAX: f64 = 100.0;
/// Score of what is not told, as a share of the alarm's.
const BELOW: f64 = 0.95;

/// The sides to which a change is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sides {
    /// Both.
    #[default]
    Both,
    /// Above what is expected.
    High,
    /// Below it.
    Low,
}

impl Sides {
    /// All, with their names in settings.
    pub const NAMES: [(&'static str, Sides); 3] = [("both", Sides::Both), ("high", Sides::High), ("low", Sides::Low)];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Sides::Both => "both",
            Sides::High => "high",
            Sides::Low => "low",
        }
    }
}

/// Which changes of a measure count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Margin {
    change: f64,
    ratio: f64,
    sides: Sides,
}

/// What cannot be a margin.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum MarginError {
    /// The least change is out of range.
    #[error("a least change of {0}; hint: use 0 to {MIN_CHANGE_MAX}, in the unit of the measure")]
    Change(f64),
    /// The least ratio is out of range.
    #[error("a least ratio of {0}; hint: use 0 to {MIN_CHANGE_RATIO_MAX}, for example 0.1 for 10 %")]
    Ratio(f64),
}

impl Margin {
    /// Every change counts.
    pub const NONE: Margin = Margin { change: 0.0, ratio: 0.0, sides: Sides::Both };

    /// Changes count that exceed `change`, in the unit of the measure, and `ratio` of what is expected.
    ///
    /// # Errors
    /// Outside 0 to 1e15, and outside 0 to 100.
    pub fn new(change: f64, ratio: f64, sides: Sides) -> Result<Margin, MarginError> {
        if !(0.0..=MIN_CHANGE_MAX).contains(&change) {
            return Err(MarginError::Change(change));
        }
        if !(0.0..=MIN_CHANGE_RATIO_MAX).contains(&ratio) {
            return Err(MarginError::Ratio(ratio));
        }
        Ok(Margin { change, ratio, sides })
    }

    /// Least change, in the unit of the measure; 0 for none.
    pub fn change(&self) -> f64 {
        self.change
    }

    /// Least change as a share of what is expected; 0 for none.
    pub fn ratio(&self) -> f64 {
        self.ratio
    }

    /// The sides that are asked for.
    pub fn sides(&self) -> Sides {
        self.sides
    }

    /// The largest change from `expected` that does not count.
    pub(super) fn at(&self, expected: f64) -> f64 {
        self.change.max(self.ratio * expected.abs())
    }

    /// Whether a change from `expected` is too small to count.
    pub(super) fn is_small(&self, change: f64, expected: f64) -> bool {
        let margin = self.at(expected);
        margin > 0.0 && change.abs() <= margin
    }

    /// Whether a value is a change that counts: to a side that is asked for, and not too small.
    pub(super) fn counts(&self, value: f64, expected: f64) -> bool {
        self.asks(value >= expected) && !self.is_small(value - expected, expected)
    }

    /// Whether changes to this side are asked for.
    pub(super) fn asks(&self, high: bool) -> bool {
        match self.sides {
            Sides::Both => true,
            Sides::High => high,
            Sides::Low => !high,
        }
    }

    /// The judgement of a value as it is told: with a band that has every value that is not told because of the margins.
    pub(super) fn told(&self, judgement: Judgement, value: f64, alarm: f64) -> Judgement {
        if *self == Margin::NONE {
            return judgement;
        }
        let judgement = self.widened(judgement, value);
        let Judgement { expected, .. } = judgement;
        if self.counts(value, expected) {
            return judgement;
        }
        let is_asked = self.asks(value >= expected);
        // at the margin an alarm would begin
        let most = if is_asked { severity((value - expected).abs() / self.at(expected)) } else { 0.0 };
        Judgement { severity: judgement.severity.min(most), ..silenced(judgement, alarm) }
    }

    /// A judgement that says something else of a value than how far it is from what is expected: it stays, with a wider
    /// band.
    pub(super) fn widened(&self, judgement: Judgement, value: f64) -> Judgement {
        if *self == Margin::NONE {
            return judgement;
        }
        let Judgement { expected, lower, upper, .. } = judgement;
        let margin = self.at(expected);
        // a band above 0 stays there as long as the values do
        let floor = if lower >= 0.0 && value >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let (mut low, mut high) = (lower.min((expected - margin).max(floor)), upper.max(expected + margin));
        if !self.asks(false) {
            low = low.min(value);
        }
        if !self.asks(true) {
            high = high.max(value);
        }
        Judgement { lower: low, upper: high, ..judgement }
    }

    /// The judgement of an interval without a value as it is told: silence is below.
    pub(super) fn told_of_silence(&self, judgement: Judgement, alarm: f64) -> Judgement {
        let widened = self.widened(judgement, judgement.expected);
        if self.asks(false) { widened } else { Judgement { severity: 0.0, ..silenced(widened, alarm) } }
    }

    /// What it does to a series, in words; none for [`Margin::NONE`].
    pub fn description(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.change > 0.0 {
            words.push(format!("changes up to {} are ignored", self.change));
        }
        if self.ratio > 0.0 {
            words.push(format!("changes up to {} % are ignored", 100.0 * self.ratio));
        }
        if self.sides != Sides::Both {
            words.push(format!("{} values alone are told", self.sides.name()));
        }
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn silenced(judgement: Judgement, alarm: f64) -> Judgement {
    let state = match judgement.state {
        State::Anomalous { .. } => State::Normal,
        other => other,
    };
    Judgement { score: judgement.score.min(BELOW * alarm), state, ..judgement }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn margin(change: f64, ratio: f64, sides: Sides) -> Margin {
        Margin::new(change, ratio, sides).unwrap()
    }

    fn alarm(expected: f64, value: f64) -> Judgement {
        let state = State::Anomalous { high: value >= expected, since: 3 };
        let (lower, upper) = (expected - 1.0, expected + 1.0);
        Judgement { expected, lower, upper, has_scale: true, score: 9.0, severity: 90.0, state }
    }

    #[test]
    fn margins_are_checked() {
        assert_eq!(Margin::new(-1.0, 0.0, Sides::Both), Err(MarginError::Change(-1.0)));
        assert_eq!(Margin::new(2e15, 0.0, Sides::Both), Err(MarginError::Change(2e15)));
        assert_eq!(Margin::new(0.0, 101.0, Sides::Both), Err(MarginError::Ratio(101.0)));
        assert!(Margin::new(f64::NAN, 0.0, Sides::Both).is_err() && Margin::new(0.0, f64::NAN, Sides::Both).is_err());
        assert_eq!(Margin::new(0.0, 0.0, Sides::Both), Ok(Margin::NONE));
    }

    #[test]
    fn the_larger_of_both_margins_holds() {
        let both = margin(5.0, 0.1, Sides::Both);
        assert_eq!((both.at(20.0), both.at(200.0), both.at(-200.0)), (5.0, 20.0, 20.0));
        assert!(both.is_small(5.0, 20.0) && both.is_small(-5.0, 20.0) && !both.is_small(5.1, 20.0));
        assert!(!Margin::NONE.is_small(0.0, 20.0), "without margins nothing is small");
    }

    #[test]
    fn a_small_change_is_normal_and_a_larger_one_is_told_as_it_was() {
        let both = margin(5.0, 0.1, Sides::Both);
        let small = both.told(alarm(20.0, 24.0), 24.0, 4.0);
        assert_eq!((small.state, small.lower, small.upper, small.score), (State::Normal, 15.0, 25.0, 3.8));
        assert!(small.severity < 29.3, "{small:?}");
        let large = both.told(alarm(20.0, 26.0), 26.0, 4.0);
        assert_eq!(large, Judgement { lower: 15.0, upper: 25.0, ..alarm(20.0, 26.0) });
        assert_eq!(Margin::NONE.told(alarm(20.0, 20.1), 20.1, 4.0), alarm(20.0, 20.1));
    }

    #[test]
    fn the_side_that_nobody_asked_for_is_not_told() {
        let high = margin(0.0, 0.0, Sides::High);
        let low = high.told(alarm(20.0, 3.0), 3.0, 4.0);
        assert_eq!((low.state, low.lower, low.upper, low.severity), (State::Normal, 3.0, 21.0, 0.0));
        assert_eq!(high.told(alarm(20.0, 30.0), 30.0, 4.0), alarm(20.0, 30.0));
        let silence = Judgement { state: State::Anomalous { high: false, since: 1 }, ..alarm(20.0, 20.0) };
        assert_eq!(high.told_of_silence(silence, 4.0).state, State::Normal);
        assert_eq!(margin(9.0, 0.0, Sides::Low).told_of_silence(silence, 4.0).state, silence.state);
    }

    proptest! {
        /// As far as the margins go, inside the band and not told are the same.
        #[test]
        fn whatever_is_not_told_lies_in_the_band(
            expected in -100.0..100.0f64, value in -200.0..200.0f64, change in 0.0..50.0f64, ratio in 0.0..2.0f64,
            sides in 0..3usize, is_negative in any::<bool>(),
        ) {
            let margin = margin(change, ratio, Sides::NAMES[sides].1);
            let (expected, value) = if is_negative { (expected, value) } else { (expected.abs(), value.abs()) };
            // a band without width: the margins alone make it
            let judgement = Judgement { lower: expected, upper: expected, ..alarm(expected, value) };
            let told = margin.told(judgement, value, 4.0);
            let is_inside = (told.lower..=told.upper).contains(&value);
            let is_near_edge = ((value - expected).abs() - margin.at(expected)).abs() < 1e-9;
            prop_assert!(is_near_edge || is_inside == (told.state == State::Normal), "{:?}", told);
            prop_assert!(told.lower <= expected && expected <= told.upper);
            prop_assert!(is_negative || told.lower >= 0.0);
        }
    }
}
