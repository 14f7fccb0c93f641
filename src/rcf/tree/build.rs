//! Building a tree from its description: nodes and leaves from the root down, left first (the order of a snapshot).
//! Nothing is trusted: a description that does not fit is refused, never followed out of bounds.

use super::super::lanes::{self, TOP, with_lanes};
use super::super::points::Points;
use super::super::settings::SAMPLE_MAX;
use super::{Head, Link, NONE, Node, Trees};

/// A tree without places: nodes from the root down, left first, so that children come after their parent.
pub(in super::super) struct Described {
    pub(super) root: u16,
    pub(super) mass: u32,
    pub(super) nodes: Vec<Node>,
    /// By node.
    pub(super) masses: Vec<u32>,
}

/// A tree that is being described.
pub(in super::super) struct Builder {
    /// Links still to be filled, the next one last.
    open: Vec<Link>,
    /// Numbers of the nodes, or names of the leaves with their masses, in the order in which they came.
    order: Vec<Result<u16, u32>>,
    root: u16,
    nodes: Vec<Node>,
}

impl Builder {
    /// Of a tree with at most so many leaves.
    pub(in super::super) fn new(leaves: usize) -> Builder {
        let (order, nodes) = (Vec::with_capacity(2 * leaves), Vec::with_capacity(leaves));
        Builder { open: vec![Link::Root], order, root: NONE, nodes }
    }

    pub(in super::super) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    /// Adds a node; false if there is no room.
    pub(in super::super) fn node(&mut self, lane: u8, cut: u16) -> bool {
        let number = self.nodes.len() as u16;
        let Some(link) = self.open.pop().filter(|_| self.nodes.len() < SAMPLE_MAX - 1) else { return false };
        self.fill(link, number);
        self.nodes.push(Node { cut, lane, ..Node::default() });
        self.order.push(Ok(number));
        self.open.push(Link::Side(number, 1));
        self.open.push(Link::Side(number, 0));
        true
    }

    /// Adds a leaf; false if its mass is impossible.
    pub(in super::super) fn leaf(&mut self, name: u16, mass: u32) -> bool {
        let Some(link) = self.open.pop().filter(|_| mass > 0) else { return false };
        self.fill(link, name);
        self.order.push(Err(mass));
        true
    }

    fn fill(&mut self, link: Link, name: u16) {
        match link {
            Link::Root => self.root = name,
            Link::Side(node, side) => self.nodes[usize::from(node)].sides[side] = name,
        }
    }

    /// The tree with its masses filled in; none if they do not sum to `mass` or are impossible.
    pub(in super::super) fn finish(self, mass: u32) -> Option<Described> {
        let Builder { order, root, mut nodes, .. } = self;
        let mut masses = vec![0; nodes.len()];
        // from the bottom up: what comes last is on top
        let mut below = Vec::new();
        for entry in order.into_iter().rev() {
            let sum = match entry {
                Err(mass) => mass,
                Ok(number) => {
                    let (left, right): (u32, u32) = (below.pop()?, below.pop()?);
                    if left >= SAMPLE_MAX as u32 || left.saturating_add(right) > SAMPLE_MAX as u32 {
                        return None;
                    }
                    nodes[usize::from(number)].left_mass = left as u8;
                    masses[usize::from(number)] = left + right;
                    left + right
                }
            };
            below.push(sum);
        }
        (below == [mass]).then_some(Described { root, mass, nodes, masses })
    }
}

impl Trees {
    /// Trees as described, of which the first `in_use` have room, as little as they need; none if the points do not lie as
    /// the cuts say. An empty tree is described by nothing.
    pub(in super::super) fn build(
        trees: &[Option<Described>],
        in_use: usize,
        lanes: usize,
        box_mass: usize,
        points: &Points,
    ) -> Option<Trees> {
        if trees.iter().skip(in_use).any(Option::is_some) {
            return None;
        }
        let mut built = Trees::new(trees.len(), lanes, box_mass).beginning_with(in_use);
        let limit = built.box_mass;
        let boxed = |tree: &Described| tree.masses.iter().filter(|mass| **mass > limit).count();
        let rooms = trees.iter().flatten().map(|tree| (boxed(tree), tree.nodes.len() - boxed(tree)));
        let room = rooms.fold((0, 0), |most, room| (most.0.max(room.0), most.1.max(room.1)));
        built.set_room(room.0, room.1, &mut []);
        let mut boxes = Vec::new();
        for (tree, described) in trees.iter().enumerate() {
            if let Some(described) = described {
                built.adopt(tree, described);
                if !with_lanes!(lanes, built.fill_boxes(tree, described, points, &mut boxes)) {
                    return None;
                }
            }
        }
        Some(built)
    }

    /// The same trees with boxes above another mass, in as little room as they need.
    pub(in super::super) fn reboxed(&self, box_mass: usize, points: &Points) -> Option<Trees> {
        let described: Vec<_> = (0..self.len()).map(|tree| self.described(tree)).collect();
        Trees::build(&described, self.in_use, self.width / 2, box_mass, points)
    }

    fn described(&self, tree: usize) -> Option<Described> {
        let (mut nodes, mut masses) = (Vec::new(), Vec::new());
        let Head { mass, mut root, .. } = self.heads[tree];
        let mut open = Vec::new();
        if mass == 0 {
            return None;
        }
        if !super::is_leaf(root) {
            open.push((root, u32::from(mass), None));
            root = 0;
        }
        while let Some((name, mass, link)) = open.pop() {
            let number = nodes.len() as u16;
            if let Some((parent, side)) = link {
                let parent: &mut Node = &mut nodes[usize::from(parent)];
                parent.sides[side] = number;
            }
            let node = self.nodes(tree)[usize::from(name)];
            let left = u32::from(node.left_mass);
            for (side, mass) in [(1, mass - left), (0, left)] {
                if !super::is_leaf(node.sides[side]) {
                    open.push((node.sides[side], mass, Some((number, side))));
                }
            }
            nodes.push(node);
            masses.push(mass);
        }
        Some(Described { root, mass: u32::from(mass), nodes, masses })
    }

    /// Takes over the nodes of a tree, for which there is room: those with a box first, each kind in its order.
    pub(super) fn adopt(&mut self, tree: usize, described: &Described) {
        let names = self.names(described);
        let name = |number: u16| if super::is_leaf(number) { number } else { names[usize::from(number)] };
        let head = &mut self.heads[tree];
        (head.mass, head.root, head.free) = (described.mass as u16, name(described.root), [NONE; 2]);
        let boxed = names.iter().filter(|name| usize::from(**name) < self.box_room).count();
        let loose = self.box_room + names.len() - boxed;
        for free in (boxed..self.box_room).chain(loose..self.nodes(tree).len()).rev() {
            self.give(tree, free as u16);
        }
        for (number, node) in described.nodes.iter().enumerate() {
            *self.node_mut(tree, names[number]) = Node { sides: node.sides.map(name), ..*node };
        }
    }

    /// The names that nodes get here.
    fn names(&self, described: &Described) -> Vec<u16> {
        let mut next = [self.box_room as u16, 0];
        let names = described.masses.iter().map(|mass| {
            let counter = &mut next[usize::from(*mass > self.box_mass)];
            *counter += 1;
            *counter - 1
        });
        names.collect()
    }

    /// Makes the boxes of a tree from the bottom up, each checked against its cut; false if one does not fit. `boxes` is
    /// room for one per node.
    fn fill_boxes<const L: usize>(
        &mut self,
        tree: usize,
        described: &Described,
        points: &Points,
        boxes: &mut Vec<u16>,
    ) -> bool {
        let names = self.names(described);
        let width = self.width;
        boxes.resize(boxes.len().max(names.len() * width), 0);
        for (number, node) in described.nodes.iter().enumerate().rev() {
            // children come after their parent
            let (before, after) = boxes.split_at_mut((number + 1) * width);
            let b = &mut before[number * width..];
            let box_of = |child: u16| &after[(usize::from(child) - number - 1) * width..][..width];
            let ([left, right], lane) = (node.sides, usize::from(node.lane));
            if super::is_leaf(left) {
                lanes::start::<L>(b, points.read::<L>(left));
            } else {
                lanes::copy::<L>(b, box_of(left));
            }
            let highest_left = TOP - b[width / 2 + lane];
            let lowest_right = if super::is_leaf(right) {
                let point = points.read::<L>(right);
                lanes::grow_point::<L>(b, point);
                point[lane]
            } else {
                lanes::grow::<L>(b, box_of(right));
                box_of(right)[lane]
            };
            if highest_left > node.cut || lowest_right <= node.cut {
                return false;
            }
            if self.is_boxed(names[number]) {
                lanes::copy::<L>(self.box_mut::<L>(tree, names[number]), b);
            }
        }
        true
    }
}
