//! Building a tree from its description: nodes and leaves from the root down, left first (the order of a snapshot).
//! Nothing is trusted: a description that does not fit is refused, never followed out of bounds.

use super::super::lanes::{self, TOP};
use super::super::points::Points;
use super::super::settings::SAMPLE_MAX;
use super::{Head, Link, NONE, Node, Trees, Work};

/// A tree under construction. The caller reserves it with [`Trees::builder`].
pub(in super::super) struct Builder<'a> {
    trees: &'a mut Trees,
    tree: usize,
    /// Links still to be filled, the next one last.
    open: Vec<Link>,
    root: u16,
    nodes: Vec<Node>,
    /// Masses of the leaves so far.
    masses: Vec<u32>,
}

impl Trees {
    /// Starts to build an empty tree.
    pub(in super::super) fn builder(&mut self, tree: usize) -> Builder<'_> {
        Builder { trees: self, tree, open: vec![Link::Root], root: NONE, nodes: Vec::new(), masses: Vec::new() }
    }
}

impl Builder<'_> {
    pub(in super::super) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    /// Adds a node; false if there is no room.
    pub(in super::super) fn node(&mut self, lane: u8, cut: u16) -> bool {
        let number = self.nodes.len() as u16;
        let Some(link) = self.open.pop().filter(|_| self.nodes.len() < SAMPLE_MAX - 1) else { return false };
        self.fill(link, number);
        self.nodes.push(Node { cut, lane, ..Node::default() });
        self.open.push(Link::Side(number, 1));
        self.open.push(Link::Side(number, 0));
        true
    }

    /// Adds a leaf; false if its mass is impossible.
    pub(in super::super) fn leaf(&mut self, name: u16, mass: u32) -> bool {
        let Some(link) = self.open.pop().filter(|_| mass > 0) else { return false };
        self.fill(link, name);
        self.masses.push(mass);
        true
    }

    fn fill(&mut self, link: Link, name: u16) {
        match link {
            Link::Root => self.root = name,
            Link::Side(node, side) => self.nodes[usize::from(node)].sides[side] = name,
        }
    }

    /// Fills in masses and boxes; false if the mass is not `mass` or the points do not lie as the cuts say.
    pub(in super::super) fn finish(self, mass: u32, points: &Points, work: &mut Work) -> bool {
        let Builder { trees, tree, root, mut nodes, masses, .. } = self;
        let mut leaf_masses = masses.into_iter();
        // masses from the bottom up: children have higher numbers than their parent
        let mut all = vec![0u32; nodes.len()];
        let mut order = Vec::new();
        let mut open = vec![root];
        let mut leaves = Vec::new();
        while let Some(name) = open.pop() {
            if super::is_leaf(name) {
                leaves.push(leaf_masses.next().unwrap_or(0));
                order.push(None);
            } else {
                order.push(Some(name));
                let [left, right] = nodes[usize::from(name)].sides;
                open.extend([right, left]);
            }
        }
        let mut stack = Vec::new();
        for entry in order.into_iter().rev() {
            match entry {
                None => stack.push(leaves.pop().unwrap_or(0)),
                Some(name) => {
                    let (left, right) = (stack.pop().unwrap_or(0), stack.pop().unwrap_or(0));
                    if left > 255 || left.saturating_add(right) > 256 {
                        return false;
                    }
                    nodes[usize::from(name)].left_mass = left as u8;
                    all[usize::from(name)] = left + right;
                    stack.push(left + right);
                }
            }
        }
        if stack.pop() != Some(mass) {
            return false;
        }
        trees.adopt(tree, (root, mass), nodes, &all, points, work)
    }
}

impl Trees {
    /// The same trees with boxes above another mass, in as little room as they need.
    pub(in super::super) fn reboxed(&self, box_mass: usize, points: &Points) -> Trees {
        let mut other = Trees { heads: self.heads.clone(), ..Trees::new(self.len(), self.width / 2, box_mass) };
        let described: Vec<_> = (0..self.len()).map(|tree| self.described(tree)).collect();
        let boxed = |masses: &Vec<u32>| masses.iter().filter(|mass| **mass > other.box_mass).count();
        let rooms = described.iter().map(|(_, _, masses)| (boxed(masses), masses.len() - boxed(masses)));
        let room = rooms.fold((0, 0), |most, room| (most.0.max(room.0), most.1.max(room.1)));
        other.set_room(room.0, room.1, &mut []);
        let mut work = Work::new();
        for (tree, (root, nodes, masses)) in described.into_iter().enumerate() {
            other.clear(tree);
            if self.mass(tree) > 0 {
                // what was a tree is one: its points lie as its cuts say
                let _fits = other.adopt(tree, (root, self.mass(tree)), nodes, &masses, points, &mut work);
            }
        }
        other
    }

    /// The root of a tree, and its nodes and their masses, with names in the order from the root down, left first.
    fn described(&self, tree: usize) -> (u16, Vec<Node>, Vec<u32>) {
        let (mut nodes, mut masses) = (Vec::new(), Vec::new());
        let Head { mass, mut root, .. } = self.heads[tree];
        let mut open = Vec::new();
        if mass > 0 && !super::is_leaf(root) {
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
        (root, nodes, masses)
    }

    /// Takes over nodes whose children come after their parent.
    fn adopt(
        &mut self,
        tree: usize,
        (root, mass): (u16, u32),
        nodes: Vec<Node>,
        masses: &[u32],
        points: &Points,
        work: &mut Work,
    ) -> bool {
        let boxed = masses.iter().filter(|mass| **mass > self.box_mass).count();
        let room = (self.box_room.max(boxed), self.loose_room.max(nodes.len() - boxed));
        if room != (self.box_room, self.loose_room) {
            self.set_room(room.0, room.1, &mut []);
        }
        let mut next = [self.box_room as u16, 0];
        let numbers: Vec<u16> = masses
            .iter()
            .map(|mass| {
                let counter = &mut next[usize::from(*mass > self.box_mass)];
                *counter += 1;
                *counter - 1
            })
            .collect();
        let number = |name: u16| if super::is_leaf(name) { name } else { numbers[usize::from(name)] };
        let head = &mut self.heads[tree];
        head.mass = mass as u16;
        head.root = number(root);
        head.free = [NONE; 2];
        for name in (next[1]..self.box_room as u16).chain(next[0]..self.nodes(tree).len() as u16).rev() {
            self.give(tree, name);
        }
        for (old, node) in nodes.iter().enumerate() {
            *self.node_mut(tree, numbers[old]) = Node { sides: node.sides.map(number), ..*node };
        }
        // boxes from the bottom up, each checked against its cut
        let (left_box, right_box) = (&mut work.a[..self.width], &mut work.b[..self.width]);
        for old in (0..nodes.len()).rev() {
            let node = self.nodes(tree)[usize::from(numbers[old])];
            self.copy_box::<0>(tree, node.sides[0], points, left_box);
            self.copy_box::<0>(tree, node.sides[1], points, right_box);
            let lane = usize::from(node.lane);
            let highest_left = TOP - left_box[self.width / 2 + lane];
            if highest_left > node.cut || right_box[lane] <= node.cut {
                return false;
            }
            if self.is_boxed(numbers[old]) {
                lanes::grow::<0>(left_box, right_box);
                self.box_mut::<0>(tree, numbers[old]).copy_from_slice(left_box);
            }
        }
        true
    }
}
