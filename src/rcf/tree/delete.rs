//! Removing a point: which one is given by its rank among the tree's points, so that a uniform rank is a uniform member.

use super::super::lanes::{self, with_lanes};
use super::super::points::Points;
use super::{Link, Trees, Work, is_leaf};

/// The point that was removed, and whether its leaf is gone (else a duplicate remains).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Removed {
    pub(in super::super) name: u16,
    pub(in super::super) gone: bool,
}

impl Trees {
    /// Removes the point of the given rank, `0..mass`, counted from left to right.
    pub(in super::super) fn delete(&mut self, tree: usize, mut rank: u32, points: &Points, work: &mut Work) -> Removed {
        let path = &mut work.path;
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
            // no branches: which side it is cannot be guessed
            let right = rank >= left;
            let side = usize::from(right);
            node.left_mass -= u8::from(!right);
            rank -= if right { left } else { 0 };
            below = if right { below - left } else { left };
            path[depth] = (at, side as u16);
            depth += 1;
            at = node.sides[side];
        }
        let removed = Removed { name: at, gone: below == 1 };
        let mut sibling = at;
        if removed.gone && depth > 0 {
            depth -= 1;
            let (parent, side) = path[depth];
            sibling = self.nodes(tree)[usize::from(parent)].sides[1 - usize::from(side)];
            self.write(tree, link_at(&path[..depth]), sibling);
            self.give(tree, parent);
        }
        if let Some(level) = falls.filter(|level| *level < depth) {
            let name = self.turn(tree, path[level].0, link_at(&path[..level]));
            path[level].0 = name;
        }
        if removed.gone && depth > 0 {
            with_lanes!(self.width / 2, self.shrink(tree, depth, sibling, removed.name, points, work));
        }
        removed
    }

    /// Shrinks the boxes along the path after a point below it has gone, from the bottom up, until one stays as it is.
    /// `rest` is what the path leads to now.
    fn shrink<const L: usize>(
        &mut self,
        tree: usize,
        depth: usize,
        rest: u16,
        gone: u16,
        points: &Points,
        work: &mut Work,
    ) {
        let p = &mut work.a[..self.width];
        let b = &mut work.b[..self.width];
        lanes::start::<L>(p, points.read::<L>(gone));
        let mut started = false;
        for &(node, side) in work.path[..depth].iter().rev() {
            let boxed = self.is_boxed(node);
            if boxed && !lanes::touches::<L>(self.box_of::<L>(tree, node), p) {
                return;
            }
            if !started {
                self.copy_box::<L>(tree, rest, points, b);
                started = true;
            }
            let other = self.nodes(tree)[usize::from(node)].sides[1 - usize::from(side)];
            self.grow_by_box::<L>(tree, other, points, b);
            if boxed {
                if lanes::equal_boxes::<L>(self.box_of::<L>(tree, node), b) {
                    return;
                }
                lanes::copy::<L>(self.box_mut::<L>(tree, node), b);
            }
        }
    }
}

/// The link that leads to what follows a path.
fn link_at(path: &[(u16, u16)]) -> Link {
    path.last().map_or(Link::Root, |(node, side)| Link::Side(*node, usize::from(*side)))
}
