//! The way of a point through a tree: down along the cuts to a leaf, then up again while it lies outside the boxes.
//! Scores, attribution and density are visitors of the way up; an ancestor of a box that holds the point holds it too,
//! so the visit ends there.

use super::super::lanes::{self, Query};
use super::super::points::Points;
use super::{DEPTH_MAX, SCRATCH, Trees, is_leaf};

/// Where on the way up: mass and depth of the node or leaf, and the mass of the tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Place {
    pub(in super::super) mass: u32,
    pub(in super::super) depth: usize,
    pub(in super::super) total: u32,
}

/// What is done on the way up. Each answers whether to go on.
pub(in super::super) trait Visit {
    /// The leaf whose cell the point falls into.
    fn leaf(&mut self, point: &[u16], place: Place) -> bool;
    /// An ancestor with its box.
    fn node(&mut self, b: &[u16], place: Place) -> bool;
}

impl Trees {
    /// Takes a visitor along the way of `q`. An empty tree is not visited.
    #[inline]
    pub(in super::super) fn visit(&self, tree: usize, q: &Query, points: &Points, visitor: &mut impl Visit) {
        let head = self.heads[tree];
        if head.mass == 0 {
            return;
        }
        let total = u32::from(head.mass);
        let nodes = self.nodes(tree);
        let mut path = [(0u16, 0u16); DEPTH_MAX];
        let mut depth = 0;
        let mut mass = head.mass;
        let mut at = head.root;
        while !is_leaf(at) {
            let node = nodes[usize::from(at)];
            path[depth] = (at, mass);
            depth += 1;
            let right = q.lane(node.lane) > node.cut;
            let left = u16::from(node.left_mass);
            mass = if right { mass - left } else { left };
            at = node.sides[usize::from(right)];
        }
        let leaf = points.get(at);
        if !visitor.leaf(leaf, Place { mass: u32::from(mass), depth, total }) {
            return;
        }
        let mut scratch = SCRATCH;
        let b = &mut scratch[..self.width];
        lanes::start(b, leaf);
        for depth in (0..depth).rev() {
            let (node, mass) = path[depth];
            let place = Place { mass: u32::from(mass), depth, total };
            let go_on = if self.is_boxed(tree, node) {
                visitor.node(self.box_of(tree, node), place)
            } else {
                let n = nodes[usize::from(node)];
                let side = usize::from(q.lane(n.lane) > n.cut);
                self.grow_by_points(tree, n.sides[1 - side], points, b);
                visitor.node(b, place)
            };
            if !go_on {
                return;
            }
        }
    }
}
