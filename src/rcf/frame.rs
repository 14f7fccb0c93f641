//! From real numbers to the 16-bit grid and back.
//!
//! All lanes share one step, a power of two, so that lengths compare across dimensions as they do in the data; each base
//! dimension has its own offset. A power of two makes the arithmetic exact: moving to a finer step loses nothing.
//!
//! The grid follows the data. A new value outside it widens the step (or moves the offset) until the live values use
//! at most a quarter of the grid - but never so far that the typical deviation falls below 32 steps: one wild value must
//! not flatten the rest. Beyond that limit a value is *learnt* at the grid's edge, while it is *scored* at its true
//! distance ([`Frame::query`]), as long as no learnt value lies at that edge.
//!
//! When to look at the data is the forest's business; here is only the arithmetic.

use super::lanes::{Query, TOP};

/// Smallest exponent of the step: its inverse is still finite.
const EXPONENT_MIN: i32 = -1000;
/// Values beyond 2^1000 are treated as 2^1000, so that differences stay finite.
const EXPONENT_MAX: i32 = 1000;
/// After a change of step the live values use at most this many steps: a quarter of the grid.
const STEPS_USED: f64 = 16_384.0;
/// The typical deviation is kept at this many steps at least.
const STEPS_TYPICAL: f64 = 32.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    exponent: i32,
    step: f64,
    inverse: f64,
    offsets: Vec<f64>,
    /// Per base dimension: a learnt value lies at the lower / upper edge.
    edges: Vec<[bool; 2]>,
}

/// The values a frame must hold, per base dimension, and their typical deviation.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
    /// Largest over the dimensions; 0 if unknown.
    pub(super) deviation: f64,
}

impl Extent {
    pub(super) fn new(dims: usize) -> Extent {
        Extent { low: vec![f64::MAX; dims], high: vec![f64::MIN; dims], deviation: 0.0 }
    }

    pub(super) fn include(&mut self, dim: usize, value: f64) {
        let value = bounded(value);
        self.low[dim] = self.low[dim].min(value);
        self.high[dim] = self.high[dim].max(value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.low.iter().zip(&self.high).any(|(l, h)| l > h)
    }

    fn span(&self) -> f64 {
        self.low.iter().zip(&self.high).map(|(l, h)| h - l).fold(0.0, f64::max)
    }
}

impl Frame {
    /// A frame around nothing yet; the first block widens it.
    pub(super) fn new(dims: usize) -> Frame {
        Frame::of(EXPONENT_MIN, vec![0.0; dims], vec![[false; 2]; dims])
    }

    pub(super) fn of(exponent: i32, offsets: Vec<f64>, edges: Vec<[bool; 2]>) -> Frame {
        let exponent = exponent.clamp(EXPONENT_MIN, EXPONENT_MAX);
        Frame { exponent, step: power(exponent), inverse: power(-exponent), offsets, edges }
    }

    pub(super) fn exponent(&self) -> i32 {
        self.exponent
    }

    pub(super) fn step(&self) -> f64 {
        self.step
    }

    pub(super) fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    pub(super) fn edges(&self) -> &[[bool; 2]] {
        &self.edges
    }

    pub(super) fn set_edges(&mut self, dim: usize, edges: [bool; 2]) {
        self.edges[dim] = edges;
    }

    pub(super) fn bytes(&self) -> usize {
        self.offsets.capacity() * size_of::<f64>() + self.edges.capacity() * size_of::<[bool; 2]>()
    }

    #[inline]
    fn scaled(&self, dim: usize, value: f64) -> f64 {
        (bounded(value) - self.offsets[dim]) * self.inverse
    }

    /// The nearest coordinate on the grid.
    #[inline]
    pub(super) fn coordinate(&self, dim: usize, value: f64) -> u16 {
        // a float to integer cast saturates
        (self.scaled(dim, value) + 0.5) as u16
    }

    pub(super) fn holds(&self, dim: usize, value: f64) -> bool {
        let y = self.scaled(dim, value);
        (0.0..=f64::from(TOP)).contains(&y)
    }

    /// Steps by which a value lies outside the grid: negative below, positive above, 0 inside or where a learnt value
    /// lies at that edge (then nothing is known of the true distance).
    pub(super) fn beyond(&self, dim: usize, value: f64) -> f64 {
        let y = self.scaled(dim, value);
        if y < 0.0 && !self.edges[dim][0] {
            y
        } else if y > f64::from(TOP) && !self.edges[dim][1] {
            y - f64::from(TOP)
        } else {
            0.0
        }
    }

    pub(super) fn value(&self, dim: usize, coordinate: u16) -> f64 {
        self.offsets[dim] + f64::from(coordinate) * self.step
    }

    /// Puts a real value into one lane of a query.
    #[inline]
    pub(super) fn query(&self, query: &mut Query, lane: usize, dim: usize, value: f64) {
        query.set(lane, self.coordinate(dim, value));
        if !self.holds(dim, value) {
            query.beyond = (query.beyond + self.beyond(dim, value).abs() as f32).min(1e30);
        }
    }

    /// The frame to use when `block` does not fit; `None` if the present one has to do and the block goes to the edge.
    /// `live` are the learnt and recent values without the block.
    pub(super) fn widened(&self, live: &Extent, block: &[f64]) -> Option<Frame> {
        let mut all = live.clone();
        for (dim, value) in block.iter().enumerate() {
            all.include(dim, *value);
        }
        let need = exponent_for(all.span()).max(self.precision(&all));
        let limit = if live.deviation > 0.0 { floor_log2(live.deviation / STEPS_TYPICAL) } else { EXPONENT_MAX };
        let frame = if live.is_empty() {
            Frame::around(need, &all)
        } else if need <= limit {
            Frame::around(need.max(self.exponent), &all)
        } else {
            Frame::around(limit.max(self.exponent), live)
        };
        let coarser = frame.exponent > self.exponent || live.is_empty();
        let moved = need <= limit && frame.offsets != self.offsets;
        (coarser || moved).then_some(frame)
    }

    /// A finer frame if the live values leave most of the grid unused, or if it is so coarse that the typical deviation
    /// is lost (then wild learnt values move to the edge).
    pub(super) fn refined(&self, live: &Extent, centre: &[f64]) -> Option<Frame> {
        let need = exponent_for(live.span()).max(self.precision(live));
        if live.span() > 0.0 && need + 4 <= self.exponent {
            return Some(Frame::around(need, live));
        }
        if live.deviation > 0.0 && live.deviation < self.step * STEPS_TYPICAL / 4.0 {
            let exponent = floor_log2(live.deviation / STEPS_TYPICAL).max(self.precision(live));
            if exponent < self.exponent {
                let mut around = Extent::new(centre.len());
                for (dim, value) in centre.iter().enumerate() {
                    around.include(dim, *value);
                }
                return Some(Frame::around(exponent, &around));
            }
        }
        None
    }

    /// The finest step that a double can still resolve at these values.
    fn precision(&self, extent: &Extent) -> i32 {
        let largest = extent.low.iter().chain(&extent.high).fold(0.0, |m: f64, v| m.max(v.abs()));
        if largest > 0.0 { (floor_log2(largest) - 51).max(EXPONENT_MIN) } else { EXPONENT_MIN }
    }

    fn around(exponent: i32, extent: &Extent) -> Frame {
        let exponent = exponent.clamp(EXPONENT_MIN, EXPONENT_MAX - 16);
        let (step, inverse) = (power(exponent), power(-exponent));
        let offset = |(low, high): (&f64, &f64)| {
            let middle = low * 0.5 + high * 0.5;
            // a multiple of the step, so that whole steps move coordinates by whole numbers
            (libm::floor(middle * inverse) - 32_768.0) * step
        };
        let offsets: Vec<f64> = extent.low.iter().zip(&extent.high).map(offset).collect();
        let edges = vec![[false; 2]; offsets.len()];
        Frame { exponent, step, inverse, offsets, edges }
    }
}

/// Smallest exponent whose step holds `span` in a quarter of the grid.
fn exponent_for(span: f64) -> i32 {
    if span > 0.0 { floor_log2(span / STEPS_USED) + 1 } else { EXPONENT_MIN }
}

/// `floor(log2(x))` for positive x, read from its bits; subnormal numbers count as the smallest.
fn floor_log2(x: f64) -> i32 {
    let exponent = ((x.to_bits() >> 52) & 0x7FF) as i32;
    (exponent - 1023).clamp(EXPONENT_MIN, EXPONENT_MAX)
}

/// `2^exponent`, exact.
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

fn bounded(value: f64) -> f64 {
    let limit = power(EXPONENT_MAX);
    value.clamp(-limit, limit)
}
