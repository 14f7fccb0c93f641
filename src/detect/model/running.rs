//! Sums over the last 2, 4, 8, 16 and 32 values, the coming one among them, without adding them up again at each step: of
//! every power of two below the widest window, the sums over so many values are kept as long as they are needed. A sum over
//! twice as many is one of them and the one before it. Nothing is ever taken away from a sum, so rounding does not pile up.
//!
//! 31 rows in all, one for each value of the past that a window of 32 covers.

use crate::detect::snapshot::codec;

/// Widths of the windows, in intervals.
pub(in crate::detect) const WIDTHS: [usize; WINDOWS] = [1, 2, 4, 8, 16, 32];
/// Number of widths.
pub(in crate::detect) const WINDOWS: usize = 6;
/// The widest window, in intervals.
pub(super) const WINDOW_MAX: usize = WIDTHS[WINDOWS - 1];

/// What is added up: value, variance, and the shapes that multiply and add.
pub(super) type Row = [f64; 4];

/// The sums of the past.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running {
    /// For every width `w` but the widest, from row `w - 1` on: the last `w` sums over `w` values, a ring.
    rows: [Row; WINDOW_MAX - 1],
    /// Values seen, within the widest window.
    step: u8,
}

codec!(Running { rows, step });

impl Running {
    /// Of a series that nothing is known of.
    pub(super) fn new() -> Running {
        Running { rows: [[0.0; 4]; WINDOW_MAX - 1], step: 0 }
    }

    /// Takes a value in.
    pub(super) fn learn(&mut self, mut row: Row) {
        for width in &WIDTHS[..WINDOWS - 1] {
            let before = &mut self.rows[oldest(*width, self.step)];
            let twice = plus(&row, before);
            *before = row;
            row = twice;
        }
        self.step = (self.step + 1) % WINDOW_MAX as u8;
    }

    /// The sums over the windows that end with the coming value.
    pub(super) fn with(&self, mut row: Row) -> [Row; WINDOWS] {
        let mut all = [row; WINDOWS];
        for (all, width) in all[1..].iter_mut().zip(WIDTHS) {
            row = plus(&row, &self.rows[oldest(width, self.step)]);
            *all = row;
        }
        all
    }
}

/// Where the sum over the `width` values before the last `width - 1` lies: what the coming value makes the oldest.
fn oldest(width: usize, step: u8) -> usize {
    width - 1 + (usize::from(step) & (width - 1))
}

fn plus(one: &Row, other: &Row) -> Row {
    std::array::from_fn(|at| one[at] + other[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_last_values() {
        let (mut sums, mut past) = (Running::new(), Vec::new());
        for step in 0..200u32 {
            let row = [1.0, 10.0, -0.5, 3.0].map(|unit| unit * f64::from(step * step % 101));
            past.push(row);
            for (width, all) in WIDTHS.iter().zip(sums.with(row)) {
                let window = &past[past.len().saturating_sub(*width)..];
                let added = window.iter().fold([0.0; 4], |sum, row| plus(&sum, row));
                assert_eq!(all, added, "the last {width} at {step}");
            }
            sums.learn(row);
        }
    }

    #[test]
    fn rounding_does_not_pile_up() {
        let mut sums = Running::new();
        (0..1000).for_each(|_| sums.learn([1e60; 4]));
        (0..31).for_each(|_| sums.learn([0.1; 4]));
        assert!((sums.with([0.1; 4])[5][0] - 3.2).abs() < 1e-14);
    }
}
