//! Adding a point, from the root down.

use super::super::lanes::{self, Apart, Query, TOP};
use super::super::points::Points;
use super::super::random::Random;
use super::{Link, Node, SCRATCH, Trees, is_leaf};

impl Trees {
    /// Adds `mass` copies of a point; answers whether the tree now holds the name `leaf` (false: it held an equal point,
    /// whose mass grew).
    pub(in super::super) fn insert(
        &mut self,
        tree: usize,
        q: &Query,
        leaf: u16,
        mass: u32,
        points: &Points,
        random: &mut Random,
    ) -> bool {
        let mut below = self.mass(tree);
        self.heads[tree].mass += mass as u16;
        if below == 0 {
            self.heads[tree].root = leaf;
            return true;
        }
        let p = q.mirrored();
        let mut scratch = SCRATCH;
        let b = &mut scratch[..self.width];
        let mut link = Link::Root;
        let mut at = self.heads[tree].root;
        loop {
            let boxed = !is_leaf(at) && self.is_boxed(tree, at);
            let apart = if boxed {
                lanes::apart(self.box_of(tree, at), p)
            } else {
                self.copy_box(tree, at, points, b);
                lanes::apart(b, p)
            };
            if apart.gap > 0 {
                let draw = random.below(apart.gap + apart.sides);
                if draw < apart.gap {
                    if boxed {
                        b.copy_from_slice(self.box_of(tree, at));
                    }
                    let (mut node, side) = separating(b, q, draw);
                    node.left_mass = (if side == 0 { mass } else { below }) as u8;
                    node.sides[side] = leaf;
                    lanes::grow(b, p);
                    let keeps = below + mass > self.box_mass;
                    self.split(tree, link, node, side, keeps.then_some(&*b), points);
                    return true;
                }
            }
            if is_leaf(at) {
                return false;
            }
            if boxed {
                if apart.gap > 0 {
                    lanes::grow(self.box_mut(tree, at), p);
                }
            } else if below + mass > self.box_mass {
                lanes::grow(b, p);
                at = self.promote(tree, at, b, points);
            }
            let node = self.node_mut(tree, at);
            let side = usize::from(q.lane(node.lane) > node.cut);
            let left = u32::from(node.left_mass);
            if side == 0 {
                node.left_mass += mass as u8;
                below = left;
            } else {
                below -= left;
            }
            link = Link::Side(at, side);
            at = node.sides[side];
        }
    }
}

/// The cut at the `draw`-th place of the gap between box and point, and the side of the point.
fn separating(b: &[u16], q: &Query, mut draw: u32) -> (Node, usize) {
    let p = q.mirrored();
    let count = p.len() / 2;
    let mut lane = 0;
    for (i, (b, p)) in b.iter().zip(p).enumerate() {
        let gap = u32::from(b.saturating_sub(*p));
        if draw < gap {
            lane = i;
            break;
        }
        draw -= gap;
    }
    // below the box: p <= cut < min, the point goes left; above it: max <= cut < p, the point goes right
    let (cut, side, lane) =
        if lane < count { (p[lane] + draw as u16, 0, lane) } else { (TOP - b[lane] + draw as u16, 1, lane - count) };
    (Node { cut, lane: lane as u8, ..Node::default() }, side)
}

impl Apart {
    /// Probability that a random cut of the joint box separates; `beyond` lengthens the gap.
    #[inline]
    pub(in super::super) fn separation(self, beyond: f32) -> f32 {
        let gap = self.gap as f32 + beyond;
        if gap > 0.0 { gap / (gap + self.sides as f32) } else { 0.0 }
    }
}
