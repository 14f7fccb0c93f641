//! Adding a point, from the root down.

use super::super::lanes::{self, Apart, Query, TOP, with_lanes};
use super::super::points::Points;
use super::super::random::Random;
use super::{Link, Node, Trees, Work, is_leaf};

impl Trees {
    /// Adds `mass` copies of a point; answers whether the tree now holds the name `leaf` (false: it held an equal point,
    /// whose mass grew).
    #[expect(clippy::too_many_arguments, reason = "the parts of the forest that an insertion reads or writes")]
    pub(in super::super) fn insert(
        &mut self,
        tree: usize,
        q: &Query,
        leaf: u16,
        mass: u32,
        points: &Points,
        random: &mut Random,
        work: &mut Work,
    ) -> bool {
        with_lanes!(self.width / 2, self.insert_lanes(tree, q, leaf, mass, points, random, work))
    }

    #[expect(clippy::too_many_arguments, reason = "see `insert`")]
    fn insert_lanes<const L: usize>(
        &mut self,
        tree: usize,
        q: &Query,
        leaf: u16,
        mass: u32,
        points: &Points,
        random: &mut Random,
        work: &mut Work,
    ) -> bool {
        let mut below = self.mass(tree);
        self.heads[tree].mass += mass as u16;
        if below == 0 {
            self.heads[tree].root = leaf;
            return true;
        }
        let p = q.read::<L>();
        let b = &mut work.a[..self.width];
        let mut link = Link::Root;
        let mut at = self.heads[tree].root;

        // first the nodes that own a box; most of the boxes hold the point
        let (box_room, width) = (self.box_room, if L == 0 { self.width } else { 2 * L });
        let (nodes, boxes) = self.parts_mut(tree);
        while usize::from(at) < box_room {
            let bounds = &mut boxes[usize::from(at) * width..][..width];
            if !lanes::holds::<L>(bounds, p) {
                let Apart { gap, sides } = lanes::apart::<L>(bounds, p);
                let draw = random.below(gap + sides);
                if draw < gap {
                    lanes::copy::<L>(b, bounds);
                    self.part::<L>(tree, (link, at, below), (leaf, mass, draw), q, b);
                    return true;
                }
                lanes::grow::<L>(bounds, p);
            }
            let side = gain(&mut nodes[usize::from(at)], q, mass, &mut below);
            link = Link::Side(at, side);
            at = nodes[usize::from(at)].sides[side];
        }
        // then those without, of which some may get one
        loop {
            self.copy_box::<L>(tree, at, points, b);
            let Apart { gap, sides } = lanes::apart::<L>(b, p);
            if gap > 0 {
                let draw = random.below(gap + sides);
                if draw < gap {
                    self.part::<L>(tree, (link, at, below), (leaf, mass, draw), q, b);
                    return true;
                }
            }
            if is_leaf(at) {
                return false;
            }
            if below + mass > self.box_mass {
                lanes::grow::<L>(b, p);
                at = self.turn(tree, at, link);
                lanes::copy::<L>(self.box_mut::<L>(tree, at), b);
            }
            let node = self.node_mut(tree, at);
            let side = gain(node, q, mass, &mut below);
            (link, at) = (Link::Side(at, side), node.sides[side]);
        }
    }

    /// Hangs a node between `link` and `at`, of which `b` is the box: it parts them from a new leaf by the cut at the
    /// `draw`-th place between.
    fn part<const L: usize>(
        &mut self,
        tree: usize,
        (mut link, mut at, below): (Link, u16, u32),
        (leaf, mass, draw): (u16, u32, u32),
        q: &Query,
        b: &mut [u16],
    ) {
        let (mut node, side) = separating(b, q.read::<L>(), draw);
        let is_boxed = below + mass > self.box_mass;
        let name = match &mut link {
            Link::Root => self.take(tree, is_boxed, &mut [&mut at]),
            Link::Side(above, _) => self.take(tree, is_boxed, &mut [&mut at, above]),
        };
        node.left_mass = (if side == 0 { mass } else { below }) as u8;
        node.sides = if side == 0 { [leaf, at] } else { [at, leaf] };
        *self.node_mut(tree, name) = node;
        if is_boxed {
            lanes::grow::<L>(b, q.read::<L>());
            lanes::copy::<L>(self.box_mut::<L>(tree, name), b);
        }
        self.write(tree, link, name);
    }
}

/// Adds to the mass of a node, `below`, which becomes that of the side of the point; answers this side.
#[inline(always)]
fn gain(node: &mut Node, q: &Query, mass: u32, below: &mut u32) -> usize {
    // no branches: which side it is cannot be guessed
    let right = q.lane(node.lane) > node.cut;
    let left = u32::from(node.left_mass);
    node.left_mass += u8::from(!right) * mass as u8;
    *below = if right { *below - left } else { left };
    usize::from(right)
}

/// The cut at the `draw`-th place of the gap between a box and a mirrored point, and the side of the point.
fn separating(b: &[u16], p: &[u16], mut draw: u32) -> (Node, usize) {
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
