//! What the scan is given: the leaves of one interval, by codes of dimension values.

/// What is larger is taken for no number: its square must still be one.
const LARGEST: f64 = 1e100;

/// A number and what was expected of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// What came.
    pub value: f64,
    /// What was expected.
    pub expected: f64,
}

impl Amount {
    /// None of it.
    pub const ZERO: Amount = Amount { value: 0.0, expected: 0.0 };

    /// How much more came than was expected.
    pub fn deviation(self) -> f64 {
        self.value - self.expected
    }

    fn is_sane(self) -> bool {
        self.value.abs() < LARGEST && self.expected.abs() < LARGEST
    }
}

/// How leaves become the number of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They add up: sums and counts.
    Additive,
    /// A part of a whole, both of which add up and are counts: click-through rate, conversion.
    Ratio,
    /// A sum over a count: the mean of an amount.
    Average,
    /// They do not add up, and nothing is known that does: means without counts, extremes, percentiles.
    Level,
}

/// The leaves of one interval and measure.
#[derive(Clone, Debug)]
pub struct Leaves {
    kind: Kind,
    dimensions: usize,
    pub(super) codes: Vec<u32>,
    pub(super) amounts: Vec<Amount>,
    /// Denominators, where the kind has them.
    pub(super) over: Vec<Amount>,
    /// Variance of the forecast's error; 0 where it is not known.
    pub(super) variances: Vec<f64>,
}

impl Leaves {
    /// No leaf yet, of a kind without denominators.
    pub fn new(kind: Kind, dimensions: usize) -> Leaves {
        Leaves { kind, dimensions, codes: Vec::new(), amounts: Vec::new(), over: Vec::new(), variances: Vec::new() }
    }

    /// Adds a leaf: a code for each dimension, its amount, and the standard deviation of the forecast's error, 0 where that
    /// is not known. Leaves of the same codes are one. A leaf that is no number, or one beyond 1e100, is none.
    pub fn push(&mut self, codes: &[u32], amount: Amount, deviation: f64) {
        self.push_over(codes, amount, Amount::ZERO, deviation);
    }

    /// Adds a leaf of a ratio or an average: numerator and denominator, sum and count.
    pub fn push_over(&mut self, codes: &[u32], amount: Amount, over: Amount, deviation: f64) {
        let variance = deviation * deviation;
        if codes.len() != self.dimensions || !(amount.is_sane() && over.is_sane() && variance < LARGEST) {
            return;
        }
        self.codes.extend_from_slice(codes);
        self.amounts.push(amount);
        self.variances.push(variance);
        if self.kind.has_denominator() {
            self.over.push(over);
        }
    }

    /// How they become the number of a slice.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of dimensions.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.amounts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }
}

impl Kind {
    pub(super) fn has_denominator(self) -> bool {
        matches!(self, Kind::Ratio | Kind::Average)
    }
}
