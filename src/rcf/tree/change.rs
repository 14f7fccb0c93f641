//! Keeping a tree's nodes dense and the boxed ones first: adding, removing, promoting and demoting nodes.
//! Every move rewrites the one link that leads to the moved node; the link is found by descending to a leaf below it.

use super::super::points::Points;
use super::{Link, Node, Trees, is_leaf};

impl Trees {
    fn read(&self, tree: usize, link: Link) -> u16 {
        match link {
            Link::Root => self.heads[tree].root,
            Link::Side(node, side) => self.nodes(tree)[usize::from(node)].sides[side],
        }
    }

    pub(super) fn write(&mut self, tree: usize, link: Link, name: u16) {
        match link {
            Link::Root => self.heads[tree].root = name,
            Link::Side(node, side) => self.node_mut(tree, node).sides[side] = name,
        }
    }

    /// The link that leads to a node.
    fn link_to(&self, tree: usize, node: u16, points: &Points) -> Link {
        let nodes = self.nodes(tree);
        let mut below = node;
        while !is_leaf(below) {
            below = nodes[usize::from(below)].sides[0];
        }
        let point = points.get(below);
        let mut at = self.heads[tree].root;
        let mut link = Link::Root;
        while at != node && !is_leaf(at) {
            let n = nodes[usize::from(at)];
            let side = usize::from(point[usize::from(n.lane)] > n.cut);
            link = Link::Side(at, side);
            at = n.sides[side];
        }
        debug_assert_eq!(at, node, "every node is reached by the points below it");
        link
    }

    /// Moves a node (and its box) to a free number.
    fn relocate(&mut self, tree: usize, from: u16, to: u16, points: &Points) {
        let link = self.link_to(tree, from, points);
        *self.node_mut(tree, to) = self.nodes(tree)[usize::from(from)];
        self.write(tree, link, to);
    }

    fn move_box(&mut self, tree: usize, from: u16, to: u16) {
        let at = |name: u16| (tree * self.box_room + usize::from(name)) * self.width;
        let (from, to) = (at(from), at(to));
        self.boxes.copy_within(from..from + self.width, to);
    }

    /// Exchanges the numbers of two nodes.
    fn swap(&mut self, tree: usize, a: u16, b: u16, points: &Points) {
        if a == b {
            return;
        }
        let moved = |link| match link {
            Link::Side(node, side) if node == a => Link::Side(b, side),
            Link::Side(node, side) if node == b => Link::Side(a, side),
            link => link,
        };
        let (to_a, to_b) = (moved(self.link_to(tree, a, points)), moved(self.link_to(tree, b, points)));
        let at = tree * self.node_room;
        self.nodes.swap(at + usize::from(a), at + usize::from(b));
        self.write(tree, to_a, b);
        self.write(tree, to_b, a);
    }

    /// Hangs a new node between `link` and what it leads to, which becomes the side other than `side`; the new point is `side`.
    /// `b` is its box.
    pub(super) fn split(
        &mut self,
        tree: usize,
        link: Link,
        mut node: Node,
        side: usize,
        boxed: Option<&[u16]>,
        points: &Points,
    ) {
        let last = u16::from(self.heads[tree].nodes);
        let mut number = last;
        if let Some(b) = boxed {
            number = self.open_box(tree);
            if number != last {
                self.relocate(tree, number, last, points);
            }
            self.box_mut(tree, number).copy_from_slice(b);
            self.heads[tree].boxed += 1;
        }
        self.heads[tree].nodes += 1;
        node.sides[1 - side] = self.read(tree, link);
        *self.node_mut(tree, number) = node;
        self.write(tree, link, number);
    }

    /// Gives a node a box; answers its new number.
    pub(super) fn promote(&mut self, tree: usize, node: u16, b: &[u16], points: &Points) -> u16 {
        let number = self.open_box(tree);
        self.swap(tree, node, number, points);
        self.box_mut(tree, number).copy_from_slice(b);
        self.heads[tree].boxed += 1;
        number
    }

    /// Takes the box from a node.
    pub(super) fn demote(&mut self, tree: usize, node: u16, points: &Points) {
        let last = u16::from(self.heads[tree].boxed) - 1;
        self.swap(tree, node, last, points);
        self.move_box(tree, last, node);
        self.heads[tree].boxed -= 1;
    }

    /// Frees the number of a node that no link leads to. Calls `moved(from, to)` for nodes that change their number.
    pub(super) fn free(&mut self, tree: usize, node: u16, points: &Points, mut moved: impl FnMut(u16, u16)) {
        let mut hole = node;
        if self.is_boxed(tree, node) {
            let last = u16::from(self.heads[tree].boxed) - 1;
            if last != hole {
                self.relocate(tree, last, hole, points);
                self.move_box(tree, last, hole);
                moved(last, hole);
                hole = last;
            }
            self.heads[tree].boxed -= 1;
        }
        let last = u16::from(self.heads[tree].nodes) - 1;
        if last != hole {
            self.relocate(tree, last, hole, points);
            moved(last, hole);
        }
        self.heads[tree].nodes -= 1;
    }

    /// The number that the next boxed node gets; makes room for one more box in every tree if there is none.
    fn open_box(&mut self, tree: usize) -> u16 {
        let number = u16::from(self.heads[tree].boxed);
        if usize::from(number) == self.box_room {
            let room = (self.box_room + (self.box_room / 16).max(4)).min(self.node_room);
            self.set_box_room(room);
        }
        number
    }

    pub(super) fn set_box_room(&mut self, room: usize) {
        let mut boxes = Vec::new();
        boxes.reserve_exact(room * self.width * self.heads.len());
        for (tree, head) in self.heads.iter().enumerate() {
            let at = tree * self.box_room * self.width;
            boxes.extend_from_slice(&self.boxes[at..at + usize::from(head.boxed) * self.width]);
            boxes.resize((tree + 1) * room * self.width, 0);
        }
        self.boxes = boxes;
        self.box_room = room;
    }
}
