//! Arithmetic on 16-bit lanes: the inner loops of the forest.
//!
//! A box over `d` lanes is `2d` numbers: the `d` minima, then the `d` *complements* of the maxima (`65535 - max`).
//! A point is mirrored the same way: its lanes, then their complements. With that, growing a box is one minimum over
//! `2d` lanes, and the distance of a point to a box is one saturating subtraction over `2d` lanes:
//! `min - p` on the first half, `p - max` on the second. All sums are exact integers below 2^25, so that vectors of any
//! width give the same.

use wide::{i16x8, i32x4, u16x8};

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

/// How a point lies to a box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Apart {
    /// Distance of the point to the box, summed over lanes; 0 inside.
    pub(super) gap: u32,
    /// Sum of the sides of the box.
    pub(super) sides: u32,
}

/// Whether the mirrored point `p` lies in the box `b`: much less work than to tell how far outside it is.
#[inline(always)]
pub(super) fn holds<const L: usize>(b: &[u16], p: &[u16]) -> bool {
    let ((b8, b), (p8, p)) = (mirrored::<L>(b).as_chunks::<8>(), mirrored::<L>(p).as_chunks::<8>());
    let beyond =
        b8.iter().zip(p8).fold(u16x8::ZERO, |beyond, (b, p)| beyond | u16x8::new(*b).saturating_sub(u16x8::new(*p)));
    let rest = b.iter().zip(p).fold(0, |beyond, (b, p)| beyond | b.saturating_sub(*p));
    bytemuck::cast::<u16x8, u128>(beyond) == 0 && rest == 0
}

/// How the mirrored point `p` lies to the box `b`.
#[inline(always)]
pub(super) fn apart<const L: usize>(b: &[u16], p: &[u16]) -> Apart {
    if L == 4 {
        return apart_of_four(b, p);
    }
    let ((bl, bh), (pl, ph)) = (halves::<L>(b), halves::<L>(p));
    let ((bl8, bl), (bh8, bh)) = (bl.as_chunks::<8>(), bh.as_chunks::<8>());
    let ((pl8, pl), (ph8, ph)) = (pl.as_chunks::<8>(), ph.as_chunks::<8>());
    let mut sums = Sums::new();
    for (((bl, bh), pl), ph) in bl8.iter().zip(bh8).zip(pl8).zip(ph8) {
        sums.add(*bl, *bh, *pl, *ph);
    }
    let ((bl4, bl), (bh4, bh)) = (bl.as_chunks::<4>(), bh.as_chunks::<4>());
    let ((pl4, pl), (ph4, ph)) = (pl.as_chunks::<4>(), ph.as_chunks::<4>());
    for (((bl, bh), pl), ph) in bl4.iter().zip(bh4).zip(pl4).zip(ph4) {
        sums.add(eight(*bl), eight(*bh), eight(*pl), eight(*ph));
    }
    let [mut gap, mut narrowness] = if bl8.is_empty() && bl4.is_empty() { [0, 0] } else { sums.total() };
    for (((bl, bh), pl), ph) in bl.iter().zip(bh).zip(pl).zip(ph) {
        gap += u32::from(bl.saturating_sub(*pl) | bh.saturating_sub(*ph));
        narrowness += u32::from(bl + bh);
    }
    Apart { gap, sides: u32::from(TOP) * halves::<L>(b).0.len() as u32 - narrowness }
}

/// Over four lanes, minima and complements are one vector.
#[inline(always)]
fn apart_of_four(b: &[u16], p: &[u16]) -> Apart {
    let (Some(b), Some(p)) = (b.first_chunk::<8>(), p.first_chunk::<8>()) else { return Apart { gap: 0, sides: 0 } };
    let (b, p) = (u16x8::new(*b), u16x8::new(*p));
    let [gap, narrowness] = Sums { gap: in_pairs(b.saturating_sub(p)), narrowness: in_pairs(b), lanes: 8 }.total();
    Apart { gap, sides: 4 * u32::from(TOP) - narrowness }
}

#[inline(always)]
fn eight(v: [u16; 4]) -> [u16; 8] {
    [v[0], v[1], v[2], v[3], 0, 0, 0, 0]
}

/// Sums over lanes, eight at a time.
///
/// The vector instruction that adds lanes in pairs takes them as signed numbers, so 32,768 is taken from each lane and
/// given back at the end.
#[derive(Clone, Copy)]
struct Sums {
    /// Of the distances outside the box, which are on one side at most.
    gap: i32x4,
    /// Of `TOP` less the side: `65535 - (max - min)`, which is `min + complement`.
    narrowness: i32x4,
    lanes: u32,
}

impl Sums {
    #[inline(always)]
    fn new() -> Sums {
        Sums { gap: i32x4::ZERO, narrowness: i32x4::ZERO, lanes: 0 }
    }

    #[inline(always)]
    fn add(&mut self, bl: [u16; 8], bh: [u16; 8], pl: [u16; 8], ph: [u16; 8]) {
        let [bl, bh, pl, ph] = [bl, bh, pl, ph].map(u16x8::new);
        self.gap += in_pairs(bl.saturating_sub(pl) | bh.saturating_sub(ph));
        self.narrowness += in_pairs(bl + bh);
        self.lanes += 8;
    }

    /// Gap and narrowness.
    #[inline(always)]
    fn total(self) -> [u32; 2] {
        [self.gap, self.narrowness].map(|sum| (sum.reduce_add() as u32).wrapping_add(self.lanes << 15))
    }
}

#[inline(always)]
fn in_pairs(v: u16x8) -> i32x4 {
    let signed: i16x8 = bytemuck::cast(v ^ u16x8::splat(1 << 15));
    signed.dot(i16x8::ONE)
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
    if let (4, Some(b)) = (L, b.first_chunk_mut::<8>()) {
        *b = mirrored_four(p).to_array();
        return;
    }
    mirror(point::<L>(p), mirrored_mut::<L>(b), |_, p| p);
}

/// Grows the box `b` to hold the point `p` (not mirrored).
#[inline(always)]
pub(super) fn grow_point<const L: usize>(b: &mut [u16], p: &[u16]) {
    if let (4, Some(b)) = (L, b.first_chunk_mut::<8>()) {
        let before = u16x8::new(*b);
        // the smaller of both, by instructions that every machine has
        *b = (before - before.saturating_sub(mirrored_four(p))).to_array();
        return;
    }
    mirror(point::<L>(p), mirrored_mut::<L>(b), u16::min);
}

/// A point of four lanes, mirrored: a lane's complement has all its bits changed.
#[inline(always)]
fn mirrored_four(p: &[u16]) -> u16x8 {
    let low: u64 = p.first_chunk::<4>().map_or(0, |p| bytemuck::cast(*p));
    bytemuck::cast([low, !low])
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
