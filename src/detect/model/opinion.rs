//! What a baseline says: of one place, of a window of values, and of one that another baseline judged first. What it
//! learns for that is told by `baselines`.

use super::level::Level;
use super::running::Row;

/// Number of baselines: multiplicative, additive, and the level alone.
pub(super) const KINDS: usize = 3;
pub(super) const MULTIPLICATIVE: usize = 0;
pub(super) const ADDITIVE: usize = 1;
pub(super) const ALONE: usize = 2;

/// What a baseline's shape says of one place: a value, and the unit of levels around it there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::detect) struct Shape {
    pub(super) value: f64,
    pub(super) unit: f64,
}

impl Shape {
    /// The value that a level makes here.
    pub(in crate::detect) fn at(&self, level: f64) -> f64 {
        self.value + self.unit * level
    }

    /// The level that makes a value here.
    pub(in crate::detect) fn level(&self, value: f64) -> f64 {
        (value - self.value) / self.unit.max(1e-12)
    }
}

/// The shapes of all baselines at one place; none where not yet known.
pub(in crate::detect) type Shapes = [Option<Shape>; KINDS];

/// Sums over a window that ends with the coming value, as a baseline has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Sums {
    pub(in crate::detect) value: f64,
    pub(in crate::detect) variance: f64,
    pub(super) shape: Shape,
    /// Levels before it.
    pub(super) before: Level,
}

impl Sums {
    /// What a level makes of the window.
    pub(in crate::detect) fn at(&self, level: f64) -> f64 {
        self.shape.at(level)
    }

    /// The level before the window that moves least.
    pub(in crate::detect) fn anchor(&self) -> f64 {
        self.before[2]
    }
}

/// What came, and what some baseline makes of it: sums over the same intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Opinion {
    pub(in crate::detect) value: f64,
    pub(in crate::detect) expected: f64,
    pub(in crate::detect) variance: f64,
}

/// What is added up of one interval.
pub(super) fn row(shapes: &Shapes, value: f64, variance: f64) -> Row {
    let of = |kind: usize| shapes[kind].map_or(0.0, |shape| shape.value);
    [value, variance, of(MULTIPLICATIVE), of(ADDITIVE)]
}

/// What a baseline's shape says of a window.
pub(super) fn shape_of(kind: usize, &[.., multiplicative, additive]: &Row, width: usize) -> Shape {
    match kind {
        MULTIPLICATIVE => Shape { value: multiplicative, unit: multiplicative },
        ADDITIVE => Shape { value: additive, unit: width as f64 },
        _ => Shape { value: 0.0, unit: width as f64 },
    }
}
