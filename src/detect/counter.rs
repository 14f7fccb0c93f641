//! A counter that only grows, such as the requests since a process began: what is judged is its increase.
//!
//! A counter that falls was reset, and what it shows is its increase since then. After an interval without a value the
//! first increase is not known, because it belongs to more than one interval; no more is it at the beginning.

use super::snapshot::codec;

/// The counter of one series, as it was in the last interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counter {
    last: Option<f64>,
}

codec!(Counter { last });

/// What an interval says of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Increase {
    /// There was no value.
    Silent,
    /// There was one, but not in the interval before.
    Unknown,
    /// It grew by so much.
    By(f64),
}

impl Counter {
    /// Takes the value of the next interval.
    pub(super) fn take(&mut self, value: Option<f64>) -> Increase {
        let last = std::mem::replace(&mut self.last, value);
        match (last, value) {
            (_, None) => Increase::Silent,
            (None, Some(_)) => Increase::Unknown,
            (Some(last), Some(now)) if now >= last => Increase::By((now - last).min(f64::MAX)),
            (Some(_), Some(now)) => Increase::By(now.max(0.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_is_reset_and_pauses() {
        let mut counter = Counter::default();
        let values = [Some(7.0), Some(9.0), Some(9.0), Some(4.0), None, Some(20.0), Some(21.0)];
        let said: Vec<Increase> = values.into_iter().map(|value| counter.take(value)).collect();
        use Increase::{By, Silent, Unknown};
        assert_eq!(said, [Unknown, By(2.0), By(0.0), By(4.0), Silent, Unknown, By(1.0)]);
    }

    #[test]
    fn whatever_comes_an_increase_is_finite_and_not_negative() {
        let mut counter = Counter::default();
        for value in [-f64::MAX, f64::MAX, -3.0, 0.0, f64::MIN_POSITIVE] {
            if let Increase::By(by) = counter.take(Some(value)) {
                assert!(by.is_finite() && by >= 0.0, "{by}");
            }
        }
    }
}
