//! The way of a point through the trees: down along the cuts to a leaf, then up again while it lies outside the boxes.
//! Scores, attribution and density are visitors of the way up; an ancestor of a box that holds the point holds it too,
//! so the visit ends there.
//!
//! Going down is a chain of loads that wait for each other; eight trees go down side by side to fill the waiting.

use super::super::lanes::{self, Query, with_lanes};
use super::super::points::Points;
use super::{Head, Trees, is_leaf};

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
const TOGETHER: usize = 8;
/// Levels remembered on the way down; a deeper way is walked again from where the memory ends.
const LEVELS: usize = 32;

/// A step down: the name and the mass of a node, or of the leaf in the end.
#[derive(Clone, Copy, Default)]
struct Step {
    name: u16,
    mass: u16,
}

impl Trees {
    /// Takes a visitor along the way of `q` through every tree that is not empty.
    #[inline]
    pub(in super::super) fn visit(&self, q: &Query, points: &Points, visitor: &mut impl Visit) {
        with_lanes!(self.width / 2, self.visit_lanes(q, points, visitor))
    }

    fn visit_lanes<const L: usize>(&self, q: &Query, points: &Points, visitor: &mut impl Visit) {
        let mut paths = [[Step::default(); TOGETHER]; LEVELS];
        let mut scratch = [0; 2 * super::super::settings::LANES_MAX];
        let b = &mut scratch[..self.width];
        for (group, heads) in self.heads.chunks(TOGETHER).enumerate() {
            let first = group * TOGETHER;
            let (leaves, depths) = self.descend(first, heads, q, &mut paths);
            for (i, head) in heads.iter().enumerate().filter(|(_, head)| head.mass > 0) {
                visitor.begin(u32::from(head.mass));
                let (leaf, depth) = (leaves[i % TOGETHER], depths[i % TOGETHER]);
                if depth <= LEVELS {
                    let way = |level: usize| paths[level][i % TOGETHER];
                    self.climb::<L>(first + i, leaf, depth, way, q, points, visitor, b);
                } else {
                    self.climb_far(first + i, leaf, q, points, visitor, b);
                }
                visitor.end(u32::from(head.mass));
            }
        }
    }

    /// Goes down in up to eight trees; answers leaves and depths, and the steps of the first levels in `paths`.
    #[inline(always)]
    fn descend(
        &self,
        first: usize,
        heads: &[Head],
        q: &Query,
        paths: &mut [[Step; TOGETHER]; LEVELS],
    ) -> ([Step; TOGETHER], [usize; TOGETHER]) {
        let room = self.box_room + self.loose_room;
        let mut at = [Step { name: super::NONE, mass: 0 }; TOGETHER];
        let mut base = [0; TOGETHER];
        let mut depths = [0; TOGETHER];
        for (i, head) in heads.iter().enumerate().filter(|(_, head)| head.mass > 0) {
            at[i % TOGETHER] = Step { name: head.root, mass: head.mass };
            base[i % TOGETHER] = (first + i) * room;
        }
        if self.nodes.is_empty() {
            return (at, depths);
        }
        let mut level = 0;
        let mut spare = [Step::default(); TOGETHER];
        loop {
            let path = paths.get_mut(level).unwrap_or(&mut spare);
            let mut open = 0;
            for i in 0..TOGETHER {
                // no branch: a tree that has arrived stays at its leaf (and reads its first node for nothing)
                let step = at[i];
                let on = !is_leaf(step.name);
                let node = self.nodes[base[i] + if on { usize::from(step.name) } else { 0 }];
                path[i] = step;
                let right = q.lane(node.lane) > node.cut;
                let left = u16::from(node.left_mass);
                let mass = if right { step.mass.wrapping_sub(left) } else { left };
                let name = node.sides[usize::from(right)];
                at[i] = if on { Step { name, mass } } else { step };
                depths[i] += usize::from(on);
                open += usize::from(on);
            }
            if open == 0 {
                return (at, depths);
            }
            level += 1;
        }
    }

    /// Goes up from a leaf too deep for the remembered levels.
    #[inline(never)]
    fn climb_far(&self, tree: usize, leaf: Step, q: &Query, points: &Points, visitor: &mut impl Visit, b: &mut [u16]) {
        let head = self.heads[tree];
        let mut way = Vec::new();
        let mut step = Step { name: head.root, mass: head.mass };
        while !is_leaf(step.name) {
            way.push(step);
            let node = self.nodes(tree)[usize::from(step.name)];
            let right = q.lane(node.lane) > node.cut;
            let left = u16::from(node.left_mass);
            step = Step { name: node.sides[usize::from(right)], mass: if right { step.mass - left } else { left } };
        }
        self.climb::<0>(tree, leaf, way.len(), |level| way[level], q, points, visitor, b);
    }

    /// Goes up from a leaf.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the inner loop of a visit, split off to be read")]
    fn climb<const L: usize>(
        &self,
        tree: usize,
        leaf: Step,
        depth: usize,
        way: impl Fn(usize) -> Step,
        q: &Query,
        points: &Points,
        visitor: &mut impl Visit,
        b: &mut [u16],
    ) {
        let total = self.mass(tree);
        let point = points.read::<L>(leaf.name);
        if !visitor.leaf::<L>(point, Place { mass: u32::from(leaf.mass), depth, total }) {
            return;
        }
        let mut started = false;
        for depth in (0..depth).rev() {
            let Step { name, mass } = way(depth);
            let place = Place { mass: u32::from(mass), depth, total };
            let go_on = if self.is_boxed(name) {
                visitor.node::<L>(self.box_of::<L>(tree, name), place)
            } else {
                if !started {
                    lanes::start::<L>(b, point);
                    started = true;
                }
                let node = self.nodes(tree)[usize::from(name)];
                let right = q.lane(node.lane) > node.cut;
                self.grow_by_points::<L>(tree, node.sides[usize::from(!right)], points, b);
                visitor.node::<L>(b, place)
            };
            if !go_on {
                return;
            }
        }
    }
}
