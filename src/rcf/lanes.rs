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
        self.read::<0>()
    }

    /// The mirrored lanes, `L` of them, or any number if `L` is 0.
    #[inline(always)]
    pub(super) fn read<const L: usize>(&self) -> &[u16] {
        if L == 0 { &self.mirrored[..2 * self.lanes] } else { &self.mirrored[..2 * L] }
    }

    /// One lane, by the byte that a cut holds.
    #[inline]
    pub(super) fn lane(&self, lane: u8) -> u16 {
        self.mirrored[usize::from(lane)]
    }
}

/// Most lanes for which loops are unrolled.
pub(super) const LANES_UNROLLED: usize = 32;

/// Calls a method whose first constant is the number of lanes, so that its loops are unrolled for common numbers;
/// 0 stands for any.
macro_rules! with_lanes {
    ($lanes:expr, $this:ident . $method:ident ( $($arg:expr),* $(,)? )) => {
        match $lanes {
            1 => $this.$method::<1>($($arg),*),
            2 => $this.$method::<2>($($arg),*),
            4 => $this.$method::<4>($($arg),*),
            8 => $this.$method::<8>($($arg),*),
            12 => $this.$method::<12>($($arg),*),
            16 => $this.$method::<16>($($arg),*),
            20 => $this.$method::<20>($($arg),*),
            24 => $this.$method::<24>($($arg),*),
            32 => $this.$method::<32>($($arg),*),
            _ => $this.$method::<0>($($arg),*),
        }
    };
}
pub(super) use with_lanes;

/// A point as a slice whose length the compiler knows, unless `L` is 0.
#[inline(always)]
fn point<const L: usize>(p: &[u16]) -> &[u16] {
    if L == 0 { p } else { &p[..L] }
}

/// A box or mirrored point as a slice whose length the compiler knows, unless `L` is 0.
#[inline(always)]
fn mirrored<const L: usize>(b: &[u16]) -> &[u16] {
    if L == 0 { b } else { &b[..2 * L] }
}

#[inline(always)]
fn mirrored_mut<const L: usize>(b: &mut [u16]) -> &mut [u16] {
    if L == 0 { b } else { &mut b[..2 * L] }
}

/// Sum over lanes of the distance of the mirrored point `p` to the box `b`; 0 inside.
#[inline(always)]
pub(super) fn gap<const L: usize>(b: &[u16], p: &[u16]) -> u32 {
    let ((bl, bh), (pl, ph)) = (halves::<L>(b), halves::<L>(p));
    // A lane is outside on one side at most, so that both sides can be joined before they are widened. Joined by
    // subtraction: the compiler would reorder the operands of a sum or an `or`, lane by lane, and shuffle for it.
    let inside = |i: usize| (TOP - bl[i].saturating_sub(pl[i])).saturating_sub(bh[i].saturating_sub(ph[i]));
    u32::from(TOP) * bl.len() as u32 - sum(bl.len(), inside)
}

/// Sum of the sides of the box `b`.
#[inline(always)]
pub(super) fn sides<const L: usize>(b: &[u16]) -> u32 {
    let (low, high) = halves::<L>(b);
    // max - min = 65535 - complement - min
    sum(low.len(), |i| TOP.wrapping_sub(low[i].wrapping_add(high[i])))
}

/// Sum of `f` over `0..lanes`, eight lanes at a time in a form that the compiler turns into vectors.
#[inline(always)]
fn sum(lanes: usize, f: impl Fn(usize) -> u16) -> u32 {
    let mut total = 0;
    let mut at = 0;
    while at + 8 <= lanes {
        let mut eight = [0; 8];
        for (i, v) in eight.iter_mut().enumerate() {
            *v = f(at + i);
        }
        total += eight.iter().map(|v| u32::from(*v)).sum::<u32>();
        at += 8;
    }
    if at + 4 <= lanes {
        let mut four = [0; 4];
        for (i, v) in four.iter_mut().enumerate() {
            *v = f(at + i);
        }
        total += four.iter().map(|v| u32::from(*v)).sum::<u32>();
        at += 4;
    }
    while at < lanes {
        total += u32::from(f(at));
        at += 1;
    }
    total
}

#[inline(always)]
fn halves<const L: usize>(b: &[u16]) -> (&[u16], &[u16]) {
    let b = mirrored::<L>(b);
    b.split_at(b.len() / 2)
}

/// Grows the box `b` to hold the mirrored point or box `p`.
#[inline(always)]
pub(super) fn grow<const L: usize>(b: &mut [u16], p: &[u16]) {
    for (b, p) in mirrored_mut::<L>(b).iter_mut().zip(mirrored::<L>(p)) {
        *b = (*b).min(*p);
    }
}

/// Makes `b` the mirrored point or box `p`.
#[inline(always)]
pub(super) fn copy<const L: usize>(b: &mut [u16], p: &[u16]) {
    mirrored_mut::<L>(b).copy_from_slice(mirrored::<L>(p));
}

/// Makes `b` the box of the single point `p` (not mirrored).
#[inline(always)]
pub(super) fn start<const L: usize>(b: &mut [u16], p: &[u16]) {
    mirror(point::<L>(p), mirrored_mut::<L>(b), |_, p| p);
}

/// Grows the box `b` to hold the point `p` (not mirrored).
#[inline(always)]
pub(super) fn grow_point<const L: usize>(b: &mut [u16], p: &[u16]) {
    mirror(point::<L>(p), mirrored_mut::<L>(b), u16::min);
}

/// Applies `f` to `b` and the mirrored `p`; by eights, which are read before they are written, so that the compiler
/// sees that nothing overlaps.
#[inline(always)]
fn mirror(p: &[u16], b: &mut [u16], f: impl Fn(u16, u16) -> u16) {
    let (low, high) = b.split_at_mut(p.len());
    let (p8, p) = p.as_chunks::<8>();
    let ((low8, low), (high8, high)) = (low.as_chunks_mut::<8>(), high.as_chunks_mut::<8>());
    for ((low8, high8), p8) in low8.iter_mut().zip(high8).zip(p8) {
        let (mut l, mut h, p) = (*low8, *high8, *p8);
        for i in 0..8 {
            l[i] = f(l[i], p[i]);
            h[i] = f(h[i], TOP - p[i]);
        }
        (*low8, *high8) = (l, h);
    }
    for ((l, h), p) in low.iter_mut().zip(high).zip(p) {
        *l = f(*l, *p);
        *h = f(*h, TOP - *p);
    }
}

/// Sum over lanes of the distance between two points (neither mirrored).
pub(super) fn distance(a: &[u16], b: &[u16]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}

/// Whether two points are equal (neither mirrored).
#[inline(always)]
pub(super) fn equal<const L: usize>(a: &[u16], b: &[u16]) -> bool {
    point::<L>(a).iter().zip(point::<L>(b)).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Whether two boxes are equal.
#[inline(always)]
pub(super) fn equal_boxes<const L: usize>(a: &[u16], b: &[u16]) -> bool {
    mirrored::<L>(a).iter().zip(mirrored::<L>(b)).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Whether the mirrored point lies on a face of the box.
#[inline(always)]
pub(super) fn touches<const L: usize>(b: &[u16], p: &[u16]) -> bool {
    mirrored::<L>(b).iter().zip(mirrored::<L>(p)).fold(false, |any, (b, p)| any | (b == p))
}
