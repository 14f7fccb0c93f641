//! Baselines: several simple predictors side by side, each a shape (none, the smooth daily one, the weekly one) and a
//! level around it that follows the series at its own speed. None is right for every series; the evidence later takes,
//! per window length, the one whose errors were smallest on this series.
//!
//! With `y = (x - shape) / h(shape)`: `f = level + trend`, `e = y - f`, `level = f + g e`, `trend += g_t e` (Holt). `h` is the
//! noise shape, so a level that is high by day is not carried as high into the night. The bank keeps
//! the last [`WINDOW_MAX`] states, so that a window of the last `w` values can be judged by the level *before* it, and
//! an alarm can take back what the values that raised it have taught.

use super::{Noise, Place, Profile};
use crate::detect::snapshot::codec;

/// The widest window, in intervals.
pub(in crate::detect) const WINDOW_MAX: usize = 20;
/// Number of baselines.
pub(in crate::detect) const BASELINES: usize = 9;
/// Number of shapes.
pub(in crate::detect) const KINDS: usize = 3;

/// The shape under a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::detect) enum Kind {
    /// None: the level itself follows the series.
    Local,
    /// The smooth daily shape.
    Daily,
    /// The daily shape with the weekday's difference.
    Weekly,
}

/// Families of baselines by the speed of their level: within minutes, within an hour or two, within a day.
pub(in crate::detect) const FAMILIES: usize = 3;

/// Shape, family, gain of the level, gain of the trend.
const BANK: [(Kind, usize, f64, f64); BASELINES] = [
    (Kind::Local, 0, 0.5, 0.06),
    (Kind::Local, 0, 0.15, 0.005),
    (Kind::Local, 1, 0.05, 0.0),
    (Kind::Daily, 0, 0.3, 0.0),
    (Kind::Daily, 1, 0.05, 0.0),
    (Kind::Daily, 2, 0.008, 0.0),
    (Kind::Weekly, 0, 0.3, 0.0),
    (Kind::Weekly, 1, 0.05, 0.0),
    (Kind::Weekly, 2, 0.008, 0.0),
];

/// The shape under baseline `index`.
pub(in crate::detect) fn kind(index: usize) -> Kind {
    BANK[index].0
}

/// What a shape says of one place: a value, and the unit in which levels around it are counted there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Shape {
    value: f64,
    unit: f64,
}

impl Shape {
    /// The value that a level makes here.
    pub(in crate::detect) fn at(&self, level: f64) -> f64 {
        self.value + self.unit * level
    }

    /// The level that makes a value here.
    pub(in crate::detect) fn level(&self, value: f64) -> f64 {
        (value - self.value) / self.unit
    }

    /// The same shape, higher by `step`.
    pub(in crate::detect) fn raised(self, step: f64) -> Shape {
        Shape { value: self.value + step, ..self }
    }
}

/// The three shapes at one place; none where not yet known.
pub(in crate::detect) type Shapes = [Option<Shape>; KINDS];

/// The states of all baselines, and the last values around each shape.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Bank {
    level: [f64; BASELINES],
    trend: [f64; BASELINES],
    /// Values that each kind has seen without a break.
    run: [u32; KINDS],
    /// Rings, newest at `head - 1`: `(level, trend)` after each step, and `y` of each kind.
    past: Vec<[(f64, f64); BASELINES]>,
    around: Vec<[f64; KINDS]>,
    head: usize,
}

codec!(Bank { level, trend, run, past, around, head });

impl Bank {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new() -> Bank {
        Bank {
            level: [0.0; BASELINES],
            trend: [0.0; BASELINES],
            run: [0; KINDS],
            past: vec![[(0.0, 0.0); BASELINES]; WINDOW_MAX],
            around: vec![[0.0; KINDS]; WINDOW_MAX],
            head: 0,
        }
    }

    /// The shapes at a place.
    pub(in crate::detect) fn shapes(profile: &Profile, noise: &Noise, place: &Place) -> Shapes {
        let shape = |value: f64| Shape { value, unit: noise.shape(value) };
        let local = Shape { value: 0.0, unit: 1.0 };
        [Some(local), profile.smooth(place).map(shape), profile.weekly(place).map(shape)]
    }

    /// Kind of baseline `index`.
    pub(in crate::detect) fn kind(index: usize) -> Kind {
        kind(index)
    }

    /// Family of baseline `index`.
    pub(in crate::detect) fn family(index: usize) -> usize {
        BANK[index].1
    }

    /// Whether baseline `index` can judge a window of `width` values that ends with the coming one.
    pub(in crate::detect) fn ready(&self, index: usize, width: usize, shapes: &Shapes) -> bool {
        let kind = kind(index) as usize;
        // one state before the window, and some values behind that state
        shapes[kind].is_some() && self.run[kind] as usize >= width + 3
    }

    /// What baseline `index` expected of the coming value from its state before a window of `width` values.
    pub(in crate::detect) fn expected(&self, index: usize, width: usize, shapes: &Shapes) -> Option<f64> {
        let (level, trend) = self.before(index, width);
        shapes[kind(index) as usize].map(|shape| shape.at(level + trend * width as f64))
    }

    /// Sum of the errors of baseline `index` over the window of `width` values that ends with the coming `value`, each
    /// error against the state before the window.
    pub(in crate::detect) fn window_error(&self, index: usize, width: usize, value: f64, shapes: &Shapes) -> f64 {
        let kind = kind(index) as usize;
        let Some(shape) = shapes[kind] else { return 0.0 };
        let (level, trend) = self.before(index, width);
        let mut sum = shape.level(value);
        for back in 1..width {
            sum += self.around[self.at(back)][kind];
        }
        let width = width as f64;
        shape.unit * (sum - width * level - trend * width * (width + 1.0) / 2.0)
    }

    /// Takes a cleaned value in.
    pub(in crate::detect) fn learn(&mut self, value: f64, shapes: &Shapes) {
        let mut around = [0.0; KINDS];
        for (kind, shape) in shapes.iter().enumerate() {
            self.run[kind] = if shape.is_some() { self.run[kind].saturating_add(1) } else { 0 };
            around[kind] = shape.map_or(0.0, |shape| shape.level(value));
        }
        for (index, (kind, _, gain, trend_gain)) in BANK.into_iter().enumerate() {
            let run = self.run[kind as usize];
            let y = around[kind as usize];
            if run <= 1 {
                (self.level[index], self.trend[index]) = (y, 0.0);
                continue;
            }
            let expected = self.level[index] + self.trend[index];
            let error = y - expected;
            self.level[index] = expected + gain.max(1.0 / f64::from(run)) * error;
            self.trend[index] += trend_gain * error;
        }
        self.past[self.head] = std::array::from_fn(|index| (self.level[index], self.trend[index]));
        self.around[self.head] = around;
        self.head = (self.head + 1) % WINDOW_MAX;
    }

    /// Takes back what the last `steps` values taught: every level as it was before them, moved on by its trend.
    pub(in crate::detect) fn take_back(&mut self, steps: usize) {
        if steps == 0 {
            return;
        }
        for index in 0..BASELINES {
            let (level, trend) = self.before(index, steps + 1);
            for back in 1..=steps {
                let ahead = (steps + 1 - back) as f64;
                let at = self.at(back);
                let kind = kind(index) as usize;
                self.past[at][index] = (level + trend * ahead, trend);
                self.around[at][kind] = level + trend * ahead;
            }
            (self.level[index], self.trend[index]) = (level + trend * steps as f64, trend);
        }
    }

    /// Moves every level, now and in the past, by what `step` is here: a shift that has been understood.
    pub(in crate::detect) fn shift(&mut self, step: f64, shapes: &Shapes) {
        let steps = shapes.map(|shape| shape.map_or(0.0, |shape| step / shape.unit));
        for index in 0..BASELINES {
            let step = steps[kind(index) as usize];
            self.level[index] += step;
            self.past.iter_mut().for_each(|states| states[index].0 += step);
        }
        for around in &mut self.around {
            around.iter_mut().zip(steps).for_each(|(y, step)| *y += step);
        }
    }

    /// Bytes on the heap.
    pub(in crate::detect) fn heap_bytes(&self) -> usize {
        self.past.capacity() * size_of::<[(f64, f64); BASELINES]>() + self.around.capacity() * size_of::<[f64; KINDS]>()
    }

    /// State before a window of `width` values that ends with the coming one.
    fn before(&self, index: usize, width: usize) -> (f64, f64) {
        if width <= 1 { (self.level[index], self.trend[index]) } else { self.past[self.at(width)][index] }
    }

    /// Place in the rings of what came `back` values before the coming one.
    fn at(&self, back: usize) -> usize {
        (self.head + WINDOW_MAX - back) % WINDOW_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL_ONLY: Shapes = [Some(Shape { value: 0.0, unit: 1.0 }), None, None];

    #[test]
    fn a_straight_line_is_foreseen() {
        let mut bank = Bank::new();
        for step in 0..200 {
            bank.learn(5.0 + 2.0 * f64::from(step), &LOCAL_ONLY);
        }
        assert!((bank.expected(0, 1, &LOCAL_ONLY).unwrap() - 405.0).abs() < 0.1);
        assert!((bank.expected(0, 10, &LOCAL_ONLY).unwrap() - 405.0).abs() < 0.1);
        assert!(bank.window_error(0, 5, 405.0, &LOCAL_ONLY).abs() < 0.5);
        assert!((bank.window_error(0, 5, 415.0, &LOCAL_ONLY) - 10.0).abs() < 0.5);
        assert!(!bank.ready(3, 1, &LOCAL_ONLY));
    }

    #[test]
    fn what_a_window_taught_can_be_taken_back() {
        let mut bank = Bank::new();
        for _ in 0..50 {
            bank.learn(10.0, &LOCAL_ONLY);
        }
        for _ in 0..4 {
            bank.learn(30.0, &LOCAL_ONLY);
        }
        bank.take_back(4);
        for index in 0..3 {
            assert!((bank.expected(index, 1, &LOCAL_ONLY).unwrap() - 10.0).abs() < 1e-9);
            assert!(bank.window_error(index, 5, 10.0, &LOCAL_ONLY).abs() < 1e-9);
        }
    }
}
