//! Arithmetic on 16-bit lanes: the inner loops of the forest.
//!
//! A box over `d` lanes is `2d` numbers: the `d` minima, then the `d` *complements* of the maxima (`65535 - max`).
//! A point is mirrored the same way: its lanes, then their complements. With that, growing a box is one minimum over
//! `2d` lanes, and the distance of a point to a box is one saturating subtraction over `2d` lanes:
//! `min - p` on the first half, `p - max` on the second. All sums are exact integers below 2^25.

use super::settings::LANES_MAX;

/// Largest coordinate.
pub(super) const TOP: u16 = u16::MAX;

/// A point as the trees see it: mirrored lanes, and how far it lies beyond the grid.
#[derive(Clone)]
pub(super) struct Query {
    mirrored: [u16; 2 * LANES_MAX],
    lanes: usize,
    /// Distance outside the grid in steps, summed over lanes. It adds to the distance from every box.
    pub(super) beyond: f32,
}

impl Query {
    pub(super) fn new(lanes: usize) -> Query {
        Query { mirrored: [0; 2 * LANES_MAX], lanes, beyond: 0.0 }
    }

    #[inline]
    pub(super) fn set(&mut self, lane: usize, value: u16) {
        self.mirrored[lane] = value;
        self.mirrored[self.lanes + lane] = TOP - value;
    }

    #[inline]
    pub(super) fn lanes(&self) -> &[u16] {
        &self.mirrored[..self.lanes]
    }

    #[inline]
    pub(super) fn mirrored(&self) -> &[u16] {
        &self.mirrored[..2 * self.lanes]
    }

    /// One lane, by the byte that a cut holds.
    #[inline]
    pub(super) fn lane(&self, lane: u8) -> u16 {
        self.mirrored[usize::from(lane)]
    }
}

/// How a point lies to a box: `gap` is the distance outside (sum over lanes), `sides` the sum of the box's sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Apart {
    pub(super) gap: u32,
    pub(super) sides: u32,
}

/// Distance of the mirrored point `p` to the box `b`, and the box's size, in one pass.
#[inline]
pub(super) fn apart(b: &[u16], p: &[u16]) -> Apart {
    let mut gap = [0u32; 8];
    let mut sum = [0u32; 8];
    let (bs, b_rest) = b.as_chunks::<8>();
    let (ps, p_rest) = p.as_chunks::<8>();
    for (b, p) in bs.iter().zip(ps) {
        for i in 0..8 {
            gap[i] += u32::from(b[i].saturating_sub(p[i]));
            sum[i] += u32::from(b[i]);
        }
    }
    let mut gap: u32 = gap.iter().sum();
    let mut sum: u32 = sum.iter().sum();
    for (b, p) in b_rest.iter().zip(p_rest) {
        gap += u32::from(b.saturating_sub(*p));
        sum += u32::from(*b);
    }
    let sides = u32::from(TOP) * (b.len() as u32 / 2) - sum;
    Apart { gap, sides }
}

/// Grows the box `b` to hold the mirrored point or box `p`.
#[inline]
pub(super) fn grow(b: &mut [u16], p: &[u16]) {
    for (b, p) in b.iter_mut().zip(p) {
        *b = (*b).min(*p);
    }
}

/// Makes `b` the box of the single point `p` (not mirrored).
#[inline]
pub(super) fn start(b: &mut [u16], p: &[u16]) {
    let (low, high) = b.split_at_mut(p.len());
    low.copy_from_slice(p);
    for (h, p) in high.iter_mut().zip(p) {
        *h = TOP - *p;
    }
}

/// Grows the box `b` to hold the point `p` (not mirrored).
#[inline]
pub(super) fn grow_point(b: &mut [u16], p: &[u16]) {
    let (low, high) = b.split_at_mut(p.len());
    for (l, p) in low.iter_mut().zip(p) {
        *l = (*l).min(*p);
    }
    for (h, p) in high.iter_mut().zip(p) {
        *h = (*h).min(TOP - *p);
    }
}

/// Sum over lanes of the distance between two points (neither mirrored).
#[inline]
pub(super) fn distance(a: &[u16], b: &[u16]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}

/// Whether the mirrored point lies on a face of the box.
#[inline]
pub(super) fn touches(b: &[u16], p: &[u16]) -> bool {
    let mut any = false;
    for (b, p) in b.iter().zip(p) {
        any |= b == p;
    }
    any
}
