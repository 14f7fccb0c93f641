//! The way of a point through the trees: down along the cuts to a leaf, then up again while it lies outside the boxes.
//! Scores, attribution and density are visitors of the way up; an ancestor of a box that holds the point holds it too,
//! so the visit ends there.
//!
//! Going down is a chain of loads that wait for each other; four trees go down side by side to fill the waiting.

use std::ops::Range;

use super::super::lanes::{self, LANES_UNROLLED, Query, with_lanes};
use super::super::points::Points;
use super::super::settings::LANES_MAX;
use super::{DEPTH_MAX, Head, Trees, is_leaf};

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
    fn leaf<const L: usize>(&mut self, point: &[u16], place: Place) -> bool;
    /// An ancestor with its box.
    fn node<const L: usize>(&mut self, b: &[u16], place: Place) -> bool;
    /// The tree is done.
    fn end(&mut self, total: u32);
}

/// Trees that go down together.
const TOGETHER: usize = 4;
/// Trees that share one log.
const BATCH: usize = 32;
/// Rows of the log: enough for the deepest tree alone, and usually for eight trees of a column.
const ROWS: usize = DEPTH_MAX;

/// The ways down of a batch of trees. The trees are dealt to four columns, in each of which they go down one after the
/// other; a row holds one step of each column, the node in the low half and its mass in the high half.
struct Log {
    rows: [[u32; TOGETHER]; ROWS],
    /// Per tree: the leaf with its mass, and the row where the way ends. The last four take what idle columns write.
    leaves: [u32; BATCH + TOGETHER],
    ends: [u32; BATCH + TOGETHER],
}

/// Boxes fetched ahead on each way up, from the leaf.
const LEVELS_TOUCHED: usize = 2;

#[inline(always)]
fn pack(name: u16, mass: u32) -> u32 {
    u32::from(name) | mass << 16
}

impl Trees {
    /// Takes a visitor along the way of `q` through every tree that is not empty.
    #[inline]
    pub(in super::super) fn visit(&self, q: &Query, points: &Points, visitor: &mut impl Visit) {
        self.visit_some(0..self.in_use, q, points, visitor);
    }

    /// The same through some of the trees.
    #[inline]
    pub(in super::super) fn visit_some(
        &self,
        trees: Range<usize>,
        q: &Query,
        points: &Points,
        visitor: &mut impl Visit,
    ) {
        with_lanes!(self.width / 2, self.visit_lanes(trees, q, points, visitor))
    }

    fn visit_lanes<const L: usize>(&self, trees: Range<usize>, q: &Query, points: &Points, visitor: &mut impl Visit) {
        let mut log = Log { rows: [[0; TOGETHER]; ROWS], leaves: [0; BATCH + TOGETHER], ends: [0; BATCH + TOGETHER] };
        for first in trees.clone().step_by(BATCH) {
            let heads = &self.heads[first..trees.end.min(first + BATCH)];
            if self.descend(first, heads, q, &mut log) {
                self.touch(first, heads.len(), &log, points);
                let mut starts = [0; TOGETHER];
                for i in 0..heads.len().min(BATCH) {
                    let column = i % TOGETHER;
                    let end = log.ends[i] as usize;
                    let way = &log.rows[starts[column]..end];
                    starts[column] = end;
                    self.climb::<L>(first + i, log.leaves[i], way, column, q, points, visitor);
                }
            } else {
                for tree in (first..first + heads.len()).filter(|tree| self.mass(*tree) > 0) {
                    let (leaf, depth) = self.descend_alone(tree, q, &mut log);
                    self.climb::<L>(tree, leaf, &log.rows[..depth], 0, q, points, visitor);
                }
            }
        }
    }

    /// Goes down in a batch of trees; false if one is too small for it or the log is full.
    ///
    /// Which side is taken cannot be guessed, so that there is no branch on it. When a column has arrived, it goes on at
    /// the root of its next tree; at the end it idles in the first tree.
    #[inline(always)]
    fn descend(&self, first: usize, heads: &[Head], q: &Query, log: &mut Log) -> bool {
        let room = self.box_room + self.loose_room;
        let mut slots: [usize; TOGETHER] = std::array::from_fn(|i| i);
        let mut names = [0; TOGETHER];
        // in the high half, as the log wants them
        let mut masses = [0; TOGETHER];
        let mut base = [0; TOGETHER];
        for i in 0..TOGETHER {
            let (tree, slot) = if i < heads.len() { (i, i) } else { (0, BATCH + i) };
            let head = heads[tree];
            if head.mass == 0 || is_leaf(head.root) {
                return false;
            }
            (slots[i], names[i], masses[i]) = (slot, head.root, u32::from(head.mass) << 16);
            base[i] = (first + tree) * room;
        }
        for (level, row) in log.rows.iter_mut().enumerate() {
            for i in 0..TOGETHER {
                let node = &self.nodes[base[i] + usize::from(names[i])];
                row[i] = u32::from(names[i]) | masses[i];
                let right = q.lane(node.lane) > node.cut;
                let left = u32::from(node.left_mass) << 16;
                masses[i] = if right { masses[i].wrapping_sub(left) } else { left };
                names[i] = node.sides[usize::from(right)];
                if is_leaf(names[i]) {
                    let slot = slots[i];
                    log.leaves[slot] = u32::from(names[i]) | masses[i];
                    log.ends[slot] = level as u32 + 1;
                    let next = slot + TOGETHER;
                    let tree = if next < heads.len() { next } else { 0 };
                    let head = heads[tree];
                    if head.mass == 0 || is_leaf(head.root) {
                        return false;
                    }
                    slots[i] = next.min(BATCH + i);
                    (names[i], masses[i], base[i]) = (head.root, u32::from(head.mass) << 16, (first + tree) * room);
                }
            }
            if slots.iter().all(|slot| *slot >= heads.len()) {
                return true;
            }
        }
        false
    }

    /// Reads a word of what the way up needs first in each tree, so that a forest that is not in the cache is fetched for
    /// many trees at once and not one after the other.
    #[inline(always)]
    fn touch(&self, first: usize, count: usize, log: &Log, points: &Points) {
        let mut touched = 0;
        let mut starts = [0; TOGETHER];
        for i in 0..count.min(BATCH) {
            let column = i % TOGETHER;
            let end = log.ends[i] as usize;
            let way = &log.rows[starts[column]..end];
            starts[column] = end;
            touched ^= points.first(log.leaves[i] as u16);
            for row in way.iter().rev().take(LEVELS_TOUCHED) {
                let name = usize::from(row[column] as u16);
                let at = ((first + i) * self.box_room + name.min(self.box_room)) * self.width;
                touched ^= self.boxes.get(at).copied().unwrap_or(0);
            }
        }
        std::hint::black_box(touched);
    }

    /// Goes down in one tree; answers the leaf with its mass, and the depth.
    fn descend_alone(&self, tree: usize, q: &Query, log: &mut Log) -> (u32, usize) {
        let (nodes, head) = (self.nodes(tree), self.heads[tree]);
        let (mut at, mut mass, mut depth) = (head.root, u32::from(head.mass), 0);
        while !is_leaf(at) {
            log.rows[depth][0] = pack(at, mass);
            depth += 1;
            let node = nodes[usize::from(at)];
            let right = q.lane(node.lane) > node.cut;
            let left = u32::from(node.left_mass);
            mass = if right { mass - left } else { left };
            at = node.sides[usize::from(right)];
        }
        (pack(at, mass), depth)
    }

    /// Goes up from a leaf.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the inner loop of a visit, split off to be read")]
    fn climb<const L: usize>(
        &self,
        tree: usize,
        leaf: u32,
        way: &[[u32; TOGETHER]],
        column: usize,
        q: &Query,
        points: &Points,
        visitor: &mut impl Visit,
    ) {
        let total = self.mass(tree);
        let point = points.read::<L>(leaf as u16);
        if visitor.leaf::<L>(point, Place { mass: leaf >> 16, depth: way.len(), total }) {
            self.climb_boxes::<L>(tree, point, way, column, q, points, visitor);
        }
        visitor.end(total);
    }

    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the inner loop of a visit, split off to be read")]
    fn climb_boxes<const L: usize>(
        &self,
        tree: usize,
        point: &[u16],
        mut way: &[[u32; TOGETHER]],
        column: usize,
        q: &Query,
        points: &Points,
        visitor: &mut impl Visit,
    ) {
        let total = self.mass(tree);
        if way.last().is_some_and(|row| !self.is_boxed(row[column] as u16)) {
            // the room for the box is cleared: no more of it than needed
            way = if (1..=LANES_UNROLLED).contains(&L) {
                let mut b = [0; 2 * LANES_UNROLLED];
                self.climb_points::<L>(tree, point, way, column, q, points, visitor, &mut b[..2 * L])
            } else {
                let mut b = [0; 2 * LANES_MAX];
                self.climb_points::<L>(tree, point, way, column, q, points, visitor, &mut b[..self.width])
            };
        }
        while let Some((row, above)) = way.split_last() {
            let place = Place { mass: row[column] >> 16, depth: above.len(), total };
            if !visitor.node::<L>(self.box_of::<L>(tree, row[column] as u16), place) {
                return;
            }
            way = above;
        }
    }

    /// Goes up while the subtrees are so small that their boxes are made from their points; answers the rest of the way,
    /// nothing if the visit has ended.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the inner loop of a visit, split off to be read")]
    fn climb_points<'a, const L: usize>(
        &self,
        tree: usize,
        point: &[u16],
        mut way: &'a [[u32; TOGETHER]],
        column: usize,
        q: &Query,
        points: &Points,
        visitor: &mut impl Visit,
        b: &mut [u16],
    ) -> &'a [[u32; TOGETHER]] {
        let total = self.mass(tree);
        lanes::start::<L>(b, point);
        while let Some((row, above)) = way.split_last().filter(|(row, _)| !self.is_boxed(row[column] as u16)) {
            let node = self.nodes(tree)[usize::from(row[column] as u16)];
            let right = q.lane(node.lane) > node.cut;
            self.grow_by_points::<L>(tree, node.sides[usize::from(!right)], points, b);
            if !visitor.node::<L>(b, Place { mass: row[column] >> 16, depth: above.len(), total }) {
                return &[];
            }
            way = above;
        }
        way
    }
}
