//! The way of a point through the trees: down along the cuts to a leaf, then up again while it lies outside the boxes.
//! Scores, attribution and density are visitors of the way up; an ancestor of a box that holds the point holds it too,
//! so the visit ends there.
//!
//! Going down is a chain of loads that wait for each other; four trees go down side by side to fill the waiting, and
//! when one has arrived, the next takes its place.

use super::super::lanes::{self, LANES_UNROLLED, Query, with_lanes};
use super::super::points::{FIRST, Points};
use super::super::settings::LANES_MAX;
use super::{Node, Trees};

/// Where on the way up: mass and depth of the node or leaf, and the mass of the tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Place {
    pub(in super::super) mass: u32,
    pub(in super::super) depth: usize,
    pub(in super::super) total: u32,
}

/// What is done on the way up. Each answers whether to go on.
pub(in super::super) trait Visit {
    /// A tree begins.
    fn begin(&mut self, total: u32);
    /// The leaf whose cell the point falls into.
    fn leaf<const L: usize>(&mut self, point: &[u16], place: Place) -> bool;
    /// An ancestor with its box.
    fn node<const L: usize>(&mut self, b: &[u16], place: Place) -> bool;
    /// The tree is done.
    fn end(&mut self, total: u32);
}

/// Trees that go down together.
const TOGETHER: usize = 4;
/// Levels remembered on the way down; a deeper way is walked again.
const LEVELS: usize = 64;

/// The steps of one way down, a ring over the levels: the node in the low half, its mass in the high half.
type Way = [u32; LEVELS];

/// A tree on its way down.
#[derive(Clone, Copy, Default)]
struct Walker {
    tree: usize,
    /// The tree's first node.
    base: usize,
    /// Name of the node or leaf it stands at, and its mass.
    at: u32,
    mass: u32,
    /// Where its way begins, and which way is its own.
    start: usize,
    way: usize,
}

impl Walker {
    fn has_arrived(&self) -> bool {
        self.at >= u32::from(FIRST)
    }

    /// One step down; remembers the node left.
    #[inline(always)]
    fn step(&mut self, nodes: &[Node], q: &Query, way: &mut Way, level: usize) {
        let node = &nodes[self.base + self.at as usize];
        way[level % LEVELS] = self.at | self.mass << 16;
        // no branch: which side it is cannot be guessed
        let right = q.lane(node.lane) > node.cut;
        let left = u32::from(node.left_mass);
        self.mass = if right { self.mass.wrapping_sub(left) } else { left };
        self.at = u32::from(node.sides[usize::from(right)]);
    }
}

impl Trees {
    /// Takes a visitor along the way of `q` through every tree that is not empty.
    #[inline]
    pub(in super::super) fn visit(&self, q: &Query, points: &Points, visitor: &mut impl Visit) {
        with_lanes!(self.width / 2, self.visit_lanes(q, points, visitor))
    }

    fn visit_lanes<const L: usize>(&self, q: &Query, points: &Points, visitor: &mut impl Visit) {
        let mut ways = [[0; LEVELS]; TOGETHER];
        let mut walkers = [Walker::default(); TOGETHER];
        let mut count = 0;
        let mut next = 0;
        while let Some(walker) = self.set_out(&mut next, 0, count).filter(|_| count < TOGETHER) {
            walkers[count] = walker;
            count += 1;
        }
        let mut level = 0;
        while count > 0 {
            if count == TOGETHER {
                // a copy of its own, so that it can live in registers
                let mut together = walkers;
                while !together.iter().any(Walker::has_arrived) {
                    for (walker, way) in together.iter_mut().zip(&mut ways) {
                        walker.step(&self.nodes, q, way, level);
                    }
                    level += 1;
                }
                walkers = together;
            } else {
                while !walkers[..count].iter().any(Walker::has_arrived) {
                    for walker in &mut walkers[..count] {
                        walker.step(&self.nodes, q, &mut ways[walker.way], level);
                    }
                    level += 1;
                }
            }
            let mut i = 0;
            while i < count {
                let walker = walkers[i];
                if !walker.has_arrived() {
                    i += 1;
                    continue;
                }
                self.arrive::<L>(&walker, &ways[walker.way], level, q, points, visitor);
                match self.set_out(&mut next, level, walker.way) {
                    Some(another) => walkers[i] = another,
                    None => {
                        count -= 1;
                        walkers.swap(i, count);
                    }
                }
            }
        }
    }

    /// The next tree that is not empty, at its root.
    #[inline(always)]
    fn set_out(&self, next: &mut usize, level: usize, way: usize) -> Option<Walker> {
        loop {
            let tree = *next;
            let head = self.heads.get(tree)?;
            *next += 1;
            if head.mass > 0 {
                let base = tree * (self.box_room + self.loose_room);
                return Some(Walker { tree, base, at: u32::from(head.root), mass: u32::from(head.mass), start: level, way });
            }
        }
    }

    /// From the leaf up.
    #[inline(always)]
    fn arrive<const L: usize>(
        &self,
        walker: &Walker,
        way: &Way,
        level: usize,
        q: &Query,
        points: &Points,
        visitor: &mut impl Visit,
    ) {
        let total = self.mass(walker.tree);
        visitor.begin(total);
        let depth = level - walker.start;
        if depth <= LEVELS {
            self.climb::<L>(walker, depth, |depth| way[(walker.start + depth) % LEVELS], q, points, visitor);
        } else {
            self.climb_far(walker, q, points, visitor);
        }
        visitor.end(total);
    }

    /// Goes up from a leaf too deep for the remembered levels.
    #[inline(never)]
    fn climb_far(&self, walker: &Walker, q: &Query, points: &Points, visitor: &mut impl Visit) {
        let head = self.heads[walker.tree];
        let mut again = Walker { at: u32::from(head.root), mass: u32::from(head.mass), ..*walker };
        let mut way = Vec::new();
        while !again.has_arrived() {
            let mut step = [0; LEVELS];
            again.step(&self.nodes, q, &mut step, 0);
            way.push(step[0]);
        }
        self.climb::<0>(walker, way.len(), |depth| way[depth], q, points, visitor);
    }

    /// Goes up from a leaf.
    #[inline(always)]
    fn climb<const L: usize>(
        &self,
        walker: &Walker,
        depth: usize,
        way: impl Fn(usize) -> u32,
        q: &Query,
        points: &Points,
        visitor: &mut impl Visit,
    ) {
        let (tree, total) = (walker.tree, self.mass(walker.tree));
        let point = points.read::<L>(walker.at as u16);
        if !visitor.leaf::<L>(point, Place { mass: walker.mass, depth, total }) {
            return;
        }
        let mut depth = depth;
        // the boxes of small subtrees are made from their points
        if depth > 0 && !self.is_boxed(way(depth - 1) as u16) {
            let mut scratch = Scratch::<L>::new();
            let b = scratch.as_mut(self.width);
            lanes::start::<L>(b, point);
            while depth > 0 && !self.is_boxed(way(depth - 1) as u16) {
                depth -= 1;
                let step = way(depth);
                let node = self.nodes[walker.base + usize::from(step as u16)];
                let right = q.lane(node.lane) > node.cut;
                self.grow_by_points::<L>(tree, node.sides[usize::from(!right)], points, b);
                if !visitor.node::<L>(b, Place { mass: step >> 16, depth, total }) {
                    return;
                }
            }
        }
        while depth > 0 {
            depth -= 1;
            let step = way(depth);
            if !visitor.node::<L>(self.box_of::<L>(tree, step as u16), Place { mass: step >> 16, depth, total }) {
                return;
            }
        }
    }
}

/// Room for one box of `L` lanes; only as large as needed, because it is cleared each time.
enum Scratch<const L: usize> {
    Small([u16; 2 * LANES_UNROLLED]),
    Any([u16; 2 * LANES_MAX]),
}

impl<const L: usize> Scratch<L> {
    #[inline(always)]
    fn new() -> Scratch<L> {
        if (1..=LANES_UNROLLED).contains(&L) { Scratch::Small([0; 2 * LANES_UNROLLED]) } else { Scratch::Any([0; 2 * LANES_MAX]) }
    }

    #[inline(always)]
    fn as_mut(&mut self, width: usize) -> &mut [u16] {
        match self {
            Scratch::Small(b) => &mut b[..2 * L],
            Scratch::Any(b) => &mut b[..width],
        }
    }
}
