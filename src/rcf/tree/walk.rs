//! The way of a point through the trees: down along the cuts to a leaf, then up again while it lies outside the boxes.
//! Scores, attribution and density are visitors of the way up; an ancestor of a box that holds the point holds it too,
//! so the visit ends there.
//!
//! Going down is a chain of loads that wait for each other; eight trees go down side by side to fill the waiting.

use super::super::lanes::{self, Query};
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
    fn leaf(&mut self, point: &[u16], place: Place) -> bool;
    /// An ancestor with its box.
    fn node(&mut self, b: &[u16], place: Place) -> bool;
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
        let mut paths = [[Step::default(); TOGETHER]; LEVELS];
        let mut scratch = [0; 2 * super::super::settings::LANES_MAX];
        let b = &mut scratch[..self.width];
        let room = self.box_room + self.loose_room;
        for (group, heads) in self.heads.chunks(TOGETHER).enumerate() {
            let first = group * TOGETHER;
            let nodes = &self.nodes[first * room..];
            let (leaves, depths) = self.descend(heads, nodes, q, &mut paths);
            for (i, head) in heads.iter().enumerate().filter(|(_, head)| head.mass > 0) {
                visitor.begin(u32::from(head.mass));
                let (leaf, depth) = (leaves[i], depths[i]);
                if depth <= LEVELS {
                    self.climb(first + i, leaf, depth, |level| paths[level][i], q, points, visitor, b);
                } else {
                    self.climb_far(first + i, leaf, q, points, visitor, b);
                }
                visitor.end(u32::from(head.mass));
            }
        }
    }

    /// Goes down in up to eight trees; answers leaves and depths, and the steps of the first levels in `paths`.
    #[inline]
    fn descend(
        &self,
        heads: &[Head],
        nodes: &[super::Node],
        q: &Query,
        paths: &mut [[Step; TOGETHER]; LEVELS],
    ) -> ([Step; TOGETHER], [usize; TOGETHER]) {
        let room = self.box_room + self.loose_room;
        let mut at = [Step::default(); TOGETHER];
        let mut depths = [0; TOGETHER];
        for (at, head) in at.iter_mut().zip(heads) {
            *at = Step { name: if head.mass > 0 { head.root } else { super::NONE }, mass: head.mass };
        }
        let mut level = 0;
        loop {
            let mut open = false;
            for i in 0..heads.len() {
                let step = at[i];
                if is_leaf(step.name) {
                    continue;
                }
                open = true;
                let node = nodes[i * room + usize::from(step.name)];
                if level < LEVELS {
                    paths[level][i] = step;
                }
                depths[i] = level + 1;
                let right = q.lane(node.lane) > node.cut;
                let left = u16::from(node.left_mass);
                at[i] = Step {
                    name: node.sides[usize::from(right)],
                    mass: if right { step.mass - left } else { left },
                };
            }
            if !open {
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
        self.climb(tree, leaf, way.len(), |level| way[level], q, points, visitor, b);
    }

    /// Goes up from a leaf.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the inner loop of a visit, split off to be read")]
    fn climb(
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
        let point = points.get(leaf.name);
        if !visitor.leaf(point, Place { mass: u32::from(leaf.mass), depth, total }) {
            return;
        }
        let mut started = false;
        for depth in (0..depth).rev() {
            let Step { name, mass } = way(depth);
            let place = Place { mass: u32::from(mass), depth, total };
            let go_on = if self.is_boxed(name) {
                visitor.node(self.box_of(tree, name), place)
            } else {
                if !started {
                    lanes::start(b, point);
                    started = true;
                }
                let node = self.nodes(tree)[usize::from(name)];
                let right = q.lane(node.lane) > node.cut;
                self.grow_by_points(tree, node.sides[usize::from(!right)], points, b);
                visitor.node(b, place)
            };
            if !go_on {
                return;
            }
        }
    }
}
