//! All trees of a forest in two arrays, nodes and boxes; inserting and deleting points.
//!
//! A *name* (16 bits) below 512 is a node of the tree, from 512 on a leaf: the point of that name in `points`.
//! A node keeps the mass of its left side only; with the tree's mass at the root every mass follows on the way down,
//! those of the leaves (duplicates) too. Nodes of more than `box_mass` have names below `box_room` and own the box of
//! the same number; the others follow. Free nodes of either kind are chained. No result depends on a name.
//!
//! Insertion goes from the root down (Guha et al. 2016, algorithm 1): with `gap` the distance of the point to the box
//! and `sides` the sum of the box's sides, a cut of the joint box separates the two with probability
//! `gap / (gap + sides)`. One integer drawn from `0..gap + sides` decides, and if it is below `gap` it is itself
//! uniform over the places where a separating cut can lie.

mod build;
mod change;
mod cut;
mod delete;
mod insert;
mod walk;

#[cfg(test)]
mod tests;

pub(super) use build::{Builder, Described};
pub(super) use walk::{Place, Visit};

use super::lanes;
use super::points::{FIRST, Points};

/// Deepest possible leaf: one node of 255 per level.
const DEPTH_MAX: usize = 256;
/// End of a chain of free nodes.
const NONE: u16 = u16::MAX;

/// An inner node: lanes up to `cut` go left.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Node {
    pub(super) cut: u16,
    pub(super) lane: u8,
    /// Mass of the left side, 1 to 255.
    pub(super) left_mass: u8,
    /// Left and right side.
    pub(super) sides: [u16; 2],
}

/// One tree's entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    /// Points, counting duplicates; 0: no tree yet.
    pub(super) mass: u16,
    /// Name of the root.
    pub(super) root: u16,
    /// First free node without and with a box.
    free: [u16; 2],
}

/// Where a name is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    Root,
    Side(u16, usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trees {
    /// Values of a box: two per lane.
    width: usize,
    /// Nodes with a box reserved per tree, and as many boxes.
    box_room: usize,
    /// Nodes without a box reserved per tree.
    loose_room: usize,
    box_mass: u32,
    /// Points that each tree will have; 0 if that is not known.
    sample: usize,
    /// So many trees have room, the first ones; the others are empty.
    in_use: usize,
    heads: Vec<Head>,
    nodes: Vec<Node>,
    boxes: Vec<u16>,
}

/// Room to work on a tree: two boxes and a path. Made once per block, not per tree.
pub(super) struct Work {
    a: Scratch,
    b: Scratch,
    path: [(u16, u16); DEPTH_MAX],
}

type Scratch = [u16; 2 * super::settings::LANES_MAX];

impl Work {
    pub(super) fn new() -> Work {
        Work {
            a: [0; 2 * super::settings::LANES_MAX],
            b: [0; 2 * super::settings::LANES_MAX],
            path: [(0, 0); DEPTH_MAX],
        }
    }
}

#[inline]
pub(super) fn is_leaf(name: u16) -> bool {
    name >= FIRST
}

impl Trees {
    pub(super) fn new(trees: usize, lanes: usize, box_mass: usize) -> Trees {
        Trees {
            width: 2 * lanes,
            box_room: 0,
            loose_room: 0,
            box_mass: box_mass as u32,
            sample: 0,
            in_use: trees,
            heads: vec![Head { mass: 0, root: 0, free: [NONE; 2] }; trees],
            nodes: Vec::new(),
            boxes: Vec::new(),
        }
    }

    /// Trees that will have so many points each: room for them is made in few steps. A tree of another size only takes
    /// more of them.
    pub(super) fn expecting(self, sample: usize) -> Trees {
        Trees { sample, ..self }
    }

    /// The first of them alone, until they are completed.
    pub(super) fn beginning_with(self, trees: usize) -> Trees {
        Trees { in_use: trees, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Trees that are not left out for now.
    #[inline]
    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    #[inline]
    pub(super) fn head(&self, tree: usize) -> Head {
        self.heads[tree]
    }

    #[inline]
    pub(super) fn mass(&self, tree: usize) -> u32 {
        u32::from(self.heads[tree].mass)
    }

    /// The nodes of one tree, by name.
    #[inline]
    pub(super) fn nodes(&self, tree: usize) -> &[Node] {
        let room = self.box_room + self.loose_room;
        &self.nodes[tree * room..][..room]
    }

    #[inline]
    fn nodes_mut(&mut self, tree: usize) -> &mut [Node] {
        let room = self.box_room + self.loose_room;
        &mut self.nodes[tree * room..][..room]
    }

    /// Nodes and boxes of one tree, by name.
    #[inline]
    fn parts_mut(&mut self, tree: usize) -> (&mut [Node], &mut [u16]) {
        let (room, boxes) = (self.box_room + self.loose_room, self.box_room * self.width);
        (&mut self.nodes[tree * room..][..room], &mut self.boxes[tree * boxes..][..boxes])
    }

    #[inline]
    fn node_mut(&mut self, tree: usize, name: u16) -> &mut Node {
        &mut self.nodes[tree * (self.box_room + self.loose_room) + usize::from(name)]
    }

    #[inline]
    fn is_boxed(&self, name: u16) -> bool {
        usize::from(name) < self.box_room
    }

    /// The box of a node, for `L` lanes, or any number if `L` is 0.
    #[inline(always)]
    fn box_of<const L: usize>(&self, tree: usize, name: u16) -> &[u16] {
        let width = if L == 0 { self.width } else { 2 * L };
        let at = (tree * self.box_room + usize::from(name)) * width;
        &self.boxes[at..at + width]
    }

    #[inline(always)]
    fn box_mut<const L: usize>(&mut self, tree: usize, name: u16) -> &mut [u16] {
        let width = if L == 0 { self.width } else { 2 * L };
        let at = (tree * self.box_room + usize::from(name)) * width;
        &mut self.boxes[at..at + width]
    }

    pub(super) fn bytes(&self) -> usize {
        self.heads.capacity() * size_of::<Head>()
            + self.nodes.capacity() * size_of::<Node>()
            + self.boxes.capacity() * size_of::<u16>()
    }

    /// Grows `b` by all points below a name.
    #[inline(always)]
    fn grow_by_points<const L: usize>(&self, tree: usize, name: u16, points: &Points, b: &mut [u16]) {
        if is_leaf(name) {
            lanes::grow_point::<L>(b, points.read::<L>(name));
        } else {
            self.grow_by_leaves::<L>(tree, name, points, b);
        }
    }

    fn grow_by_leaves<const L: usize>(&self, tree: usize, node: u16, points: &Points, b: &mut [u16]) {
        let [left, right] = self.nodes(tree)[usize::from(node)].sides;
        self.grow_by_points::<L>(tree, left, points, b);
        self.grow_by_points::<L>(tree, right, points, b);
    }

    /// Writes the box of a name to `b`: stored, or made from the points.
    #[inline(always)]
    fn copy_box<const L: usize>(&self, tree: usize, name: u16, points: &Points, b: &mut [u16]) {
        if is_leaf(name) {
            lanes::start::<L>(b, points.read::<L>(name));
        } else if self.is_boxed(name) {
            lanes::copy::<L>(b, self.box_of::<L>(tree, name));
        } else {
            self.start_box::<L>(tree, name, points, b);
        }
    }

    /// Writes the box of a node that owns none to `b`.
    #[inline(always)]
    fn start_box<const L: usize>(&self, tree: usize, node: u16, points: &Points, b: &mut [u16]) {
        let [left, right] = self.nodes(tree)[usize::from(node)].sides;
        let (leaf, other) = if is_leaf(left) { (left, right) } else { (right, left) };
        if is_leaf(leaf) {
            lanes::start::<L>(b, points.read::<L>(leaf));
            self.grow_by_points::<L>(tree, other, points, b);
        } else {
            b.fill(lanes::TOP);
            self.grow_by_leaves::<L>(tree, node, points, b);
        }
    }

    /// Grows `b` by the box of a name.
    #[inline(always)]
    fn grow_by_box<const L: usize>(&self, tree: usize, name: u16, points: &Points, b: &mut [u16]) {
        if self.is_boxed(name) {
            lanes::grow::<L>(b, self.box_of::<L>(tree, name));
        } else {
            self.grow_by_points::<L>(tree, name, points, b);
        }
    }

    /// Every leaf of a tree with its mass, left to right.
    pub(super) fn leaves(&self, tree: usize) -> Vec<(u16, u32)> {
        let head = self.heads[tree];
        let mut found = Vec::with_capacity(usize::from(head.mass));
        let mut open = Vec::with_capacity(usize::from(head.mass));
        if head.mass > 0 {
            open.push((head.root, u32::from(head.mass)));
        }
        while let Some((name, mass)) = open.pop() {
            if is_leaf(name) {
                found.push((name, mass));
            } else {
                let node = self.nodes(tree)[usize::from(name)];
                let left = u32::from(node.left_mass);
                open.push((node.sides[1], mass - left));
                open.push((node.sides[0], left));
            }
        }
        found
    }

    /// Rewrites every point's name.
    pub(super) fn rename(&mut self, renamed: &super::points::Renamed) {
        if renamed.is_nothing() {
            return;
        }
        for head in self.heads.iter_mut().filter(|head| head.mass > 0 && is_leaf(head.root)) {
            head.root = renamed.of(head.root);
        }
        for name in self.nodes.iter_mut().flat_map(|node| &mut node.sides) {
            // the links of free nodes are no points
            if is_leaf(*name) && *name != NONE {
                *name = renamed.of(*name);
            }
        }
    }
}
