//! Removing a point: which one is given by its rank among the tree's points, so that a uniform rank is a uniform member.

use super::super::lanes;
use super::super::points::Points;
use super::{DEPTH_MAX, Link, SCRATCH, Trees, is_leaf};

/// The point that was removed, and whether its leaf is gone (else a duplicate remains).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Removed {
    pub(in super::super) name: u16,
    pub(in super::super) gone: bool,
}

impl Trees {
    /// Removes the point of the given rank, `0..mass`, counted from left to right.
    pub(in super::super) fn delete(&mut self, tree: usize, mut rank: u32, points: &Points) -> Removed {
        let mut path = [(0u16, 0usize); DEPTH_MAX];
        let mut depth = 0;
        let mut below = self.mass(tree);
        let mut at = self.heads[tree].root;
        // the one node whose mass falls to the limit and loses its box
        let mut falls = None;
        self.heads[tree].mass -= 1;
        while !is_leaf(at) {
            if below == self.box_mass + 1 {
                falls = Some(depth);
            }
            let node = self.node_mut(tree, at);
            let left = u32::from(node.left_mass);
            let side = usize::from(rank >= left);
            if side == 0 {
                node.left_mass -= 1;
                below = left;
            } else {
                rank -= left;
                below -= left;
            }
            path[depth] = (at, side);
            depth += 1;
            at = node.sides[side];
        }
        let removed = Removed { name: at, gone: below == 1 };
        if removed.gone && depth > 0 {
            depth -= 1;
            self.cut_off(tree, &mut path[..=depth], points);
            self.shrink(tree, &path[..depth], removed.name, points);
        }
        if let Some(level) = falls.filter(|level| *level < depth) {
            self.demote(tree, path[level].0, points);
        }
        removed
    }

    /// Replaces the last node of the path by its other side.
    fn cut_off(&mut self, tree: usize, path: &mut [(u16, usize)], points: &Points) {
        let Some(((parent, side), above)) = path.split_last_mut() else { return };
        let sibling = self.nodes(tree)[usize::from(*parent)].sides[1 - *side];
        let link = above.last().map_or(Link::Root, |(node, side)| Link::Side(*node, *side));
        self.write(tree, link, sibling);
        self.free(tree, *parent, points, |from, to| {
            for (node, _) in above.iter_mut().filter(|(node, _)| *node == from) {
                *node = to;
            }
        });
    }

    /// Shrinks the boxes along a path after a point below it has gone, from the bottom up, until one stays as it is.
    fn shrink(&mut self, tree: usize, path: &[(u16, usize)], gone: u16, points: &Points) {
        let mut mirrored = SCRATCH;
        let mut scratch = SCRATCH;
        let p = &mut mirrored[..self.width];
        let b = &mut scratch[..self.width];
        lanes::start(p, points.get(gone));
        for &(node, _) in path.iter().rev() {
            if !self.is_boxed(tree, node) {
                continue;
            }
            if !lanes::touches(self.box_of(tree, node), p) {
                return;
            }
            let [left, right] = self.nodes(tree)[usize::from(node)].sides;
            self.copy_box(tree, left, points, b);
            self.grow_by_box(tree, right, points, b);
            if self.box_of(tree, node) == b {
                return;
            }
            self.box_mut(tree, node).copy_from_slice(b);
        }
    }
}
