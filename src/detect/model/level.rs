//! Levels around a shape, at three speeds, and how much of their differences lasts.
//!
//! With `value = shape + unit x level` (`unit` is the shape itself where level and shape multiply, else 1), the level at
//! speed `g` is the ratio of fading sums `S_g(value - shape) / S_g(unit)`: fast (a few intervals), slow (eight hours) and the
//! anchor (two days).
//!
//! A level that is off may come back at once, in an hour, or never; which of them it is differs by series and by how far
//! one looks ahead. So the mean level over the next `w` intervals is foreseen as
//! `anchor + a (slow - anchor) + b (fast - slow)`, with `a` and `b` by least squares on this series, for every `w`: 0 where
//! the noise is white, 1 for a random walk, above 1 while a slope goes on.

use crate::detect::snapshot::codec;

/// Speeds of a level.
const SPEEDS: usize = 3;
/// Gain of the fast level.
const FAST: f64 = 0.3;
/// Memory of the slow level and of the anchor, in days, and their bounds, in intervals.
const SLOW: (f64, f64, f64) = (1.0 / 2.88, 12.0, 100.0);
const ANCHOR: (f64, f64, f64) = (2.0, 48.0, 2000.0);

/// Where the unit is less there is no level.
const UNIT_LEAST: f64 = 1e-9;

/// Fast, slow, anchor.
pub(in crate::detect) type Level = [f64; SPEEDS];

/// The gains of the three levels of a series with so many intervals a day.
pub(in crate::detect) fn gains(per_day: u32) -> Level {
    let gain = |(days, least, most): (f64, f64, f64)| 1.0 / (f64::from(per_day) * days).clamp(least, most);
    [FAST, gain(SLOW), gain(ANCHOR)]
}

/// The three levels, and the fading sums of the units: a level times its unit is the other sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::detect) struct Levels {
    levels: Level,
    units: Level,
    seen: u32,
}

codec!(Levels { levels, units, seen });

impl Levels {
    /// The levels now.
    pub(in crate::detect) fn now(&self) -> Level {
        self.levels
    }

    /// Takes a distance from the shape in, where the unit is `unit`; levels stay within `bounds`.
    pub(in crate::detect) fn learn(&mut self, distance: f64, unit: f64, gains: &Level, bounds: (f64, f64)) {
        self.seen = self.seen.saturating_add(1);
        let early = 1.0 / f64::from(self.seen);
        for (at, gain) in gains.iter().enumerate() {
            let gain = gain.max(early);
            let sum = self.levels[at] * self.units[at];
            let sum = sum + gain * (distance - sum);
            self.units[at] += gain * (unit - self.units[at]);
            let is_known = self.units[at] > UNIT_LEAST;
            self.levels[at] = if is_known { (sum / self.units[at]).clamp(bounds.0, bounds.1) } else { 0.0 };
        }
    }

    /// Makes the levels these.
    pub(in crate::detect) fn set(&mut self, level: &Level) {
        self.levels = *level;
    }
}

/// How much of the differences between the levels lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Reversion {
    /// Means of the products of the regressors, and of each with the target.
    squares: [f64; 3],
    targets: [f64; 2],
    seen: u32,
    /// Mean magnitude of the errors.
    error: f64,
    lasts: [f64; 2],
}

codec!(Reversion { squares, targets, seen, error, lasts });

impl Reversion {
    const MEMORY: u32 = 2000;
    /// What is believed before anything was seen, and how many targets that is worth.
    const PRIOR: [f64; 2] = [1.0, 1.0];
    const WORTH: f64 = 6.0;
    /// Bounds of the coefficients.
    const BOUNDS: [(f64, f64); 2] = [(-0.2, 1.5), (-0.2, 2.0)];
    /// A target further away than this many mean errors counts as that far.
    const CUT: f64 = 4.0;
    /// Targets before anything is cut.
    const EARLY: u32 = 20;

    pub(in crate::detect) fn new() -> Reversion {
        Reversion { squares: [0.0; 3], targets: [0.0; 2], seen: 0, error: 0.0, lasts: Reversion::PRIOR }
    }

    /// The level foreseen.
    pub(in crate::detect) fn ahead(&self, [fast, slow, anchor]: Level) -> f64 {
        anchor + self.lasts[0] * (slow - anchor) + self.lasts[1] * (fast - slow)
    }

    /// Takes in what became of a level, with the weight of what it was measured by; an error of `least` is never cut.
    pub(in crate::detect) fn learn(&mut self, [fast, slow, anchor]: Level, became: f64, weight: f64, least: f64) {
        self.seen = (self.seen + 1).min(Reversion::MEMORY);
        let gain = 1.0 / f64::from(self.seen);
        let (far, near) = (weight * (slow - anchor), weight * (fast - slow));
        let foreseen = self.lasts[0] * far + self.lasts[1] * near;
        let error = weight * (became - anchor) - foreseen;
        let cut =
            if self.seen > Reversion::EARLY { (Reversion::CUT * self.error).max(weight * least) } else { f64::MAX };
        let error = error.clamp(-cut, cut);
        self.error += gain * (error.abs() - self.error);
        let target = foreseen + error;
        let follow = |mean: &mut f64, value: f64| *mean += gain * (value - *mean);
        follow(&mut self.squares[0], far * far);
        follow(&mut self.squares[1], far * near);
        follow(&mut self.squares[2], near * near);
        follow(&mut self.targets[0], far * target);
        follow(&mut self.targets[1], near * target);
        self.solve(gain);
    }

    /// Solves the normal equations, with a prior that fades as the gain does.
    fn solve(&mut self, gain: f64) {
        let ridge = Reversion::WORTH * gain;
        let [far, both, near] = self.squares;
        let (ridge_far, ridge_near) = (ridge * far + 1e-30, ridge * near + 1e-30);
        let (a, d) = (far + ridge_far, near + ridge_near);
        let (x, y) =
            (self.targets[0] + ridge_far * Reversion::PRIOR[0], self.targets[1] + ridge_near * Reversion::PRIOR[1]);
        let determinant = a * d - both * both;
        if determinant > 1e-12 * a * d {
            let inverse = 1.0 / determinant;
            let solution = [(x * d - y * both) * inverse, (y * a - x * both) * inverse];
            self.lasts = std::array::from_fn(|at| {
                let (low, high) = Reversion::BOUNDS[at];
                solution[at].clamp(low, high)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDITIVE: (f64, f64) = (f64::MIN, f64::MAX);

    /// Levels over a stream around 10, and what lasts of their differences at the next value.
    fn lasting(next: impl Fn(f64, f64) -> f64) -> [f64; 2] {
        let (mut levels, mut reversion, gains) = (Levels::default(), Reversion::new(), gains(288));
        let (mut value, mut noise) = (10.0, 0x9e37_79b9_u32);
        for step in 0..6000 {
            // a linear congruence is noise enough
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value = next(value, f64::from(noise) / f64::from(u32::MAX) - 0.5);
            if step > 50 {
                reversion.learn(levels.now(), value, 1.0, 0.0);
            }
            levels.learn(value, 1.0, &gains, ADDITIVE);
        }
        reversion.lasts
    }

    #[test]
    fn white_noise_comes_back_at_once_and_a_random_walk_never() {
        let white = lasting(|_, noise| 10.0 + noise);
        assert!(white[1].abs() < 0.2, "{white:?}");
        let walk = lasting(|value, noise| value + noise);
        assert!(walk[0] > 0.8 && walk[1] > 0.8, "{walk:?}");
    }

    #[test]
    fn a_level_is_the_ratio_of_what_came_to_what_was_expected() {
        let (mut levels, gains) = (Levels::default(), gains(288));
        for step in 0..3000 {
            let shape = f64::from(100 + step % 7);
            levels.learn(1.25 * shape - shape, shape, &gains, (-1.0, 20.0));
        }
        assert!(levels.now().iter().all(|level| (level - 0.25).abs() < 1e-9), "{:?}", levels.now());
        levels.set(&[0.0, 0.5, -0.5]);
        assert_eq!(levels.now(), [0.0, 0.5, -0.5]);
    }
}
