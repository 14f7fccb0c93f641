//! Cutting trees from scratch: all points of a sample at once, from the root down. A cut falls on a lane with a
//! probability proportional to the side of the box there, uniformly along it (Guha et al. 2016, definition 1). It takes a
//! part of the time of adding the points one by one, and gives trees of the same distribution.

use super::super::lanes::{self, TOP, with_lanes};
use super::super::points::Points;
use super::super::random::Random;
use super::super::settings::LANES_MAX;
use super::build::Described;
use super::{Node, Trees};

/// The points that are cut.
struct Sample<'a> {
    leaves: &'a [(u16, u32)],
    /// The lanes of each.
    values: Vec<u16>,
    lanes: usize,
}

impl Sample<'_> {
    #[inline(always)]
    fn point<const L: usize>(&self, number: u16) -> &[u16] {
        let lanes = if L == 0 { self.lanes } else { L };
        &self.values[usize::from(number) * lanes..][..lanes]
    }

    fn mass(&self, part: &[u16]) -> u32 {
        part.iter().map(|number| self.leaves[usize::from(*number)].1).sum()
    }
}

/// Part of a sample that is still to be cut: where it lies in the order, its mass, and what leads to it.
struct Part {
    range: (usize, usize),
    mass: u32,
    above: Option<(u16, usize)>,
}

/// A tree and its boxes: those that are kept, in the order of their nodes.
struct Grown {
    described: Described,
    boxes: Vec<u16>,
}

impl Trees {
    /// Cuts the trees that are not in use yet, from the leaves of another; answers how many they are.
    pub(in super::super) fn complete(&mut self, leaves: &[(u16, u32)], points: &Points, random: &mut Random) -> usize {
        let (first, all) = (self.in_use, self.heads.len());
        let values = leaves.iter().flat_map(|(name, _)| points.get(*name)).copied().collect();
        let sample = Sample { leaves, values, lanes: self.width / 2 };
        let mut order: Vec<u16> = (0..leaves.len() as u16).collect();
        let grown = (first..all).map(|_| with_lanes!(sample.lanes, self.grown(&sample, &mut order, random)));
        let grown: Vec<Grown> = grown.collect();
        let (mut box_room, mut loose_room) = (self.box_room, self.loose_room);
        for tree in &grown {
            let boxed = tree.boxes.len() / self.width;
            box_room = box_room.max(boxed);
            loose_room = loose_room.max(tree.described.nodes.len() - boxed);
        }
        if (box_room, loose_room) != (self.box_room, self.loose_room) {
            self.set_room(box_room, loose_room, &mut []);
        }
        self.in_use = all;
        let (nodes, boxes) = (all * (box_room + loose_room), all * box_room * self.width);
        self.nodes.reserve_exact(nodes - self.nodes.len());
        self.nodes.resize(nodes, Node::default());
        self.boxes.reserve_exact(boxes - self.boxes.len());
        self.boxes.resize(boxes, 0);
        for (tree, Grown { described, boxes }) in (first..all).zip(&grown) {
            self.adopt(tree, described);
            self.parts_mut(tree).1[..boxes.len()].copy_from_slice(boxes);
        }
        all - first
    }

    /// One tree of the sample, whose order changes.
    fn grown<const L: usize>(&self, sample: &Sample<'_>, order: &mut [u16], random: &mut Random) -> Grown {
        let (nodes, masses) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        let mut tree = Described { root: 0, mass: sample.mass(order), nodes, masses };
        let mut boxes = Vec::with_capacity(order.len() * self.width);
        let mut room = [0; 2 * LANES_MAX];
        let b = &mut room[..self.width];
        let mut open = vec![Part { range: (0, order.len()), mass: tree.mass, above: None }];
        while let Some(Part { range: (start, end), mass, above }) = open.pop() {
            let part = &mut order[start..end];
            let name = match *part {
                [] => continue,
                [leaf] => sample.leaves[usize::from(leaf)].0,
                [first, ref others @ ..] => {
                    lanes::start::<L>(b, sample.point::<L>(first));
                    others.iter().for_each(|other| lanes::grow_point::<L>(b, sample.point::<L>(*other)));
                    if mass > self.box_mass {
                        boxes.extend_from_slice(b);
                    }
                    let (lane, cut) = drawn::<L>(b, random);
                    let left = parted(part, |number| sample.point::<L>(number)[lane] <= cut);
                    // no two points are equal, so that there are some on both sides
                    let left = left.clamp(1, part.len() - 1);
                    // usually no point stands twice
                    let is_single = mass as usize == part.len();
                    let left_mass = if is_single { left as u32 } else { sample.mass(&part[..left]) };
                    let number = tree.nodes.len() as u16;
                    tree.nodes.push(Node { cut, lane: lane as u8, left_mass: left_mass as u8, sides: [0; 2] });
                    tree.masses.push(mass);
                    let (middle, right_mass) = (start + left, mass - left_mass);
                    open.push(Part { range: (middle, end), mass: right_mass, above: Some((number, 1)) });
                    open.push(Part { range: (start, middle), mass: left_mass, above: Some((number, 0)) });
                    number
                }
            };
            match above {
                Some((node, side)) => tree.nodes[usize::from(node)].sides[side] = name,
                None => tree.root = name,
            }
        }
        Grown { described: tree, boxes }
    }
}

/// A random cut of a box that is not a point.
#[inline(always)]
fn drawn<const L: usize>(b: &[u16], random: &mut Random) -> (usize, u16) {
    let mut draw = random.below(lanes::apart::<L>(b, b).sides);
    let (low, high) = b.split_at(b.len() / 2);
    for (lane, (low, high)) in low.iter().zip(high).enumerate() {
        let side = u32::from(TOP - high - low);
        if draw < side {
            return (lane, low + draw as u16);
        }
        draw -= side;
    }
    (0, low[0])
}

/// Moves what goes left to the front; answers how many points that are.
#[inline(always)]
fn parted(part: &mut [u16], goes_left: impl Fn(u16) -> bool) -> usize {
    let mut left = 0;
    for i in 0..part.len() {
        // no branches: which side it is cannot be guessed
        let is_left = goes_left(part[i]);
        part.swap(left, i);
        left += usize::from(is_left);
    }
    left
}
