//! Nodes and boxes as places: taking, giving back, making room. A node moves only when it gains or loses its box.

use super::super::points::FIRST;
use super::super::settings::SAMPLE_MAX;
use super::{Link, NONE, Node, Trees, is_leaf};

impl Trees {
    pub(super) fn write(&mut self, tree: usize, link: Link, name: u16) {
        match link {
            Link::Root => self.heads[tree].root = name,
            Link::Side(node, side) => self.node_mut(tree, node).sides[side] = name,
        }
    }

    /// Takes a free node, with or without a box. Making room renames nodes: `keep` are names to be kept right.
    pub(super) fn take(&mut self, tree: usize, boxed: bool, keep: &mut [&mut u16]) -> u16 {
        if self.heads[tree].free[usize::from(boxed)] == NONE {
            self.make_room(boxed, keep);
        }
        let name = self.heads[tree].free[usize::from(boxed)];
        self.heads[tree].free[usize::from(boxed)] = self.node_mut(tree, name).sides[0];
        name
    }

    /// Gives a node back.
    pub(super) fn give(&mut self, tree: usize, name: u16) {
        let free = &mut self.heads[tree].free[usize::from(usize::from(name) < self.box_room)];
        let next = std::mem::replace(free, name);
        *self.node_mut(tree, name) = Node { sides: [next, NONE], ..Node::default() };
    }

    /// Moves a node to the other kind; `link` leads to it. Answers its new name.
    pub(super) fn turn(&mut self, tree: usize, name: u16, mut link: Link) -> u16 {
        let mut name = name;
        let boxed = !self.is_boxed(name);
        let to = match &mut link {
            Link::Root => self.take(tree, boxed, &mut [&mut name]),
            Link::Side(node, _) => self.take(tree, boxed, &mut [&mut name, node]),
        };
        *self.node_mut(tree, to) = self.nodes(tree)[usize::from(name)];
        self.give(tree, name);
        self.write(tree, link, to);
        to
    }

    /// Empties a tree.
    pub(in super::super) fn clear(&mut self, tree: usize) {
        self.heads[tree].mass = 0;
        self.heads[tree].free = [NONE; 2];
        for name in (0..self.nodes(tree).len() as u16).rev() {
            self.give(tree, name);
        }
    }

    /// Room for more nodes of one kind in every tree: while the trees fill up, for three times as many more or as many as
    /// they will have if that goes on as it began; then for six or a thirty-second more. Nodes without a box come after
    /// those with one, so that their names move up when boxes are added.
    fn make_room(&mut self, boxed: bool, keep: &mut [&mut u16]) {
        let mass = self.heads.iter().map(|head| usize::from(head.mass)).max().unwrap_or(0);
        let grown = |room: usize| {
            let full = if mass < self.sample { room * self.sample / mass.max(1) } else { 0 };
            let more = full.saturating_sub(room).min((3 * room).max(6));
            (room + more.max(room / 32).max(6)).min(SAMPLE_MAX - 1)
        };
        let (box_room, loose_room) =
            if boxed { (grown(self.box_room), self.loose_room) } else { (self.box_room, grown(self.loose_room)) };
        self.set_room(box_room, loose_room, keep);
    }

    pub(super) fn set_room(&mut self, box_room: usize, loose_room: usize, keep: &mut [&mut u16]) {
        let (old_box, old_loose) = (self.box_room, self.loose_room);
        let moved = (box_room - old_box) as u16;
        // no branches: whether a side is a leaf cannot be guessed
        let loose = FIRST - old_box as u16;
        let rename = |name: u16| name + moved * u16::from(name.wrapping_sub(old_box as u16) < loose);
        let count = self.in_use;
        let mut nodes = Vec::new();
        nodes.reserve_exact(count * (box_room + loose_room));
        for tree in 0..count {
            let (boxed, loose) = self.nodes(tree).split_at(old_box);
            nodes.extend_from_slice(boxed);
            nodes.resize(nodes.len() + box_room - old_box, Node::default());
            nodes.extend_from_slice(loose);
            nodes.resize(nodes.len() + loose_room - old_loose, Node::default());
        }
        if moved > 0 {
            nodes.iter_mut().flat_map(|node| &mut node.sides).for_each(|name| *name = rename(*name));
        }
        self.nodes = nodes;
        if box_room > old_box {
            let mut boxes = Vec::new();
            boxes.reserve_exact(count * box_room * self.width);
            for old in self.boxes.chunks_exact((old_box * self.width).max(1)) {
                boxes.extend_from_slice(old);
                boxes.resize(boxes.len() + (box_room - old_box) * self.width, 0);
            }
            boxes.resize(count * box_room * self.width, 0);
            self.boxes = boxes;
        }
        (self.box_room, self.loose_room) = (box_room, loose_room);
        for tree in 0..count {
            let head = &mut self.heads[tree];
            head.root = rename(head.root);
            head.free = head.free.map(rename);
            for name in (old_box..box_room).chain(box_room + old_loose..box_room + loose_room).rev() {
                self.give(tree, name as u16);
            }
        }
        keep.iter_mut().for_each(|name| **name = rename(**name));
    }

    /// Gives back room that no tree has needed for a while: what is in use, and a little more, stays. Young trees will need
    /// theirs, unless most of it is empty.
    pub(in super::super) fn trim(&mut self) {
        let used = |tree: usize, boxed: bool| {
            let room = if boxed { self.box_room } else { self.loose_room };
            room - self.count_free(tree, boxed)
        };
        let room = self.box_room + self.loose_room;
        let are_young = self.heads[..self.in_use].iter().any(|head| usize::from(head.mass) < self.sample);
        let is_kept = |used: usize| room <= used + used / 16 + 6 || are_young && room <= 4 * used + 24;
        let most = |boxed: bool| (0..self.in_use).map(|tree| used(tree, boxed)).max().unwrap_or(0);
        let (most_boxed, most_loose) = (most(true), most(false));
        if is_kept(most_boxed + most_loose) {
            return;
        }
        let (box_room, loose_room) = ((most_boxed + 2).min(self.box_room), (most_loose + 2).min(self.loose_room));
        let mut tight = Trees { nodes: Vec::new(), boxes: Vec::new(), heads: self.heads.clone(), ..*self };
        (tight.box_room, tight.loose_room) = (box_room, loose_room);
        tight.nodes = vec![Node::default(); self.in_use * (box_room + loose_room)];
        tight.boxes = vec![0; self.in_use * box_room * self.width];
        for tree in 0..self.in_use {
            self.copy_to(tree, &mut tight);
        }
        *self = tight;
    }

    /// Copies a tree to where its nodes have other names.
    fn copy_to(&self, tree: usize, to: &mut Trees) {
        to.clear(tree);
        to.heads[tree].mass = self.heads[tree].mass;
        let mut open = vec![(self.heads[tree].root, Link::Root)];
        while let Some((name, link)) = open.pop() {
            if is_leaf(name) {
                to.write(tree, link, name);
                continue;
            }
            let fresh = to.take(tree, self.is_boxed(name), &mut []);
            to.write(tree, link, fresh);
            let node = self.nodes(tree)[usize::from(name)];
            *to.node_mut(tree, fresh) = node;
            if self.is_boxed(name) {
                to.box_mut::<0>(tree, fresh).copy_from_slice(self.box_of::<0>(tree, name));
            }
            open.extend([(node.sides[1], Link::Side(fresh, 1)), (node.sides[0], Link::Side(fresh, 0))]);
        }
    }

    fn count_free(&self, tree: usize, boxed: bool) -> usize {
        let mut at = self.heads[tree].free[usize::from(boxed)];
        let mut count = 0;
        while at != NONE {
            count += 1;
            at = self.nodes(tree)[usize::from(at)].sides[0];
        }
        count
    }
}
