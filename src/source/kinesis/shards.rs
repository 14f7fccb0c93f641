//! The shards of a stream and their descent: which are read, from where, and which wait. No service is asked here.
//!
//! A shard that is split or merged ends, and others go on with its hash keys. Records of one key are in order only if a
//! shard is read after all that it descends from have been handed on to their end. A shard that was there before the
//! first one that was read (an ancestor) is never read: the start left it out.

use std::collections::{BTreeMap, BTreeSet};

use super::aggregate::HashKeys;
use crate::model::{Position, Progress, SourcePartition};

/// A shard as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) id: SourcePartition,
    /// The shards that it goes on from: one after a split, two after a merge.
    pub(super) parents: Vec<SourcePartition>,
    /// Whether records are still added.
    pub(super) is_open: bool,
    pub(super) hash_keys: HashKeys,
}

/// Where a job that has read nothing yet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// In the oldest listed shards, here; the others follow from their beginning.
    Oldest(Position),
    /// In the shards that are open, here.
    Open(Position),
}

/// A shard that was being read and is no longer there: what it held was kept too short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) id: SourcePartition,
    pub(super) position: Position,
    pub(super) successors: Vec<SourcePartition>,
}

/// All shards that are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Lineage(BTreeMap<SourcePartition, Known>);

#[derive(Clone, Debug)]
struct Known {
    parents: Vec<SourcePartition>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Never read.
    Ignored,
    /// Begins at this position once all its parents have ended.
    Waits(Shard, Position),
    /// Is being read.
    Read,
    /// Has been handed on to its end.
    Ended,
}

impl Lineage {
    /// The shards of a job that has read nothing yet.
    pub(super) fn first(listing: Vec<Shard>, first: First) -> Lineage {
        let listed: BTreeSet<SourcePartition> = listing.iter().map(|shard| shard.id.clone()).collect();
        let mut lineage = Lineage::default();
        for shard in listing {
            let is_oldest = !shard.parents.iter().any(|parent| listed.contains(parent));
            let begin = match first {
                First::Oldest(position) => Some(if is_oldest { position } else { Position::Start }),
                First::Open(position) => shard.is_open.then_some(position),
            };
            lineage.add(shard, begin);
        }
        lineage
    }

    /// The shards of a job that continues. Those that have expired count as read until they are said to have ended.
    pub(super) fn resume(listing: Vec<Shard>, from: &Progress) -> (Lineage, Vec<Expired>) {
        let mut lineage = Lineage::default();
        let (begun, new): (Vec<Shard>, Vec<Shard>) =
            listing.iter().cloned().partition(|shard| from.get(&shard.id).is_some());
        for shard in begun {
            match from.get(&shard.id) {
                Some(Position::End) => lineage.put(shard.id, shard.parents, State::Ended),
                position => lineage.add(shard, position),
            }
        }
        let mut expired = Vec::new();
        for (id, position) in from.iter() {
            if lineage.0.contains_key(id) {
                continue;
            }
            let state = if position == Position::End { State::Ended } else { State::Read };
            if state == State::Read {
                expired.push(Expired { id: id.clone(), position, successors: successors(id, &listing) });
            }
            lineage.put(id.clone(), Vec::new(), state);
        }
        lineage.learn(new);
        (lineage, expired)
    }

    /// Takes further shards in: those that descend from a shard that is read, and those whose descent is not known, will
    /// be read from their beginning; ancestors of known shards will not.
    pub(super) fn learn(&mut self, listing: Vec<Shard>) {
        let parents: BTreeMap<_, _> = listing.iter().map(|shard| (shard.id.clone(), shard.parents.clone())).collect();
        let mut ancestors = BTreeSet::new();
        let mut open: Vec<SourcePartition> = self.0.values().flat_map(|known| known.parents.clone()).collect();
        while let Some(id) = open.pop() {
            if ancestors.insert(id.clone()) {
                open.extend(parents.get(&id).cloned().unwrap_or_default());
            }
        }
        for shard in parents_first(listing) {
            if self.0.contains_key(&shard.id) {
                continue;
            }
            let descends = shard
                .parents
                .iter()
                .any(|parent| self.0.get(parent).is_some_and(|known| known.state != State::Ignored));
            let is_read = descends || !ancestors.contains(&shard.id);
            self.add(shard, is_read.then_some(Position::Start));
        }
    }

    /// Gives the shards that need not wait any longer, in the order of their names, with where each begins. From now on
    /// they are read.
    pub(super) fn take_ready(&mut self) -> Vec<(Shard, Position)> {
        let is_unfinished = |id: &SourcePartition| {
            self.0.get(id).is_some_and(|known| matches!(known.state, State::Waits(..) | State::Read))
        };
        let ready: Vec<(Shard, Position)> = self
            .0
            .values()
            .filter(|known| !known.parents.iter().any(is_unfinished))
            .filter_map(|known| match &known.state {
                State::Waits(shard, position) => Some((shard.clone(), *position)),
                _ => None,
            })
            .collect();
        for (shard, _) in &ready {
            self.put(shard.id.clone(), shard.parents.clone(), State::Read);
        }
        ready
    }

    /// A shard has been handed on to its end.
    pub(super) fn end(&mut self, id: &SourcePartition) {
        if let Some(known) = self.0.get_mut(id) {
            known.state = State::Ended;
        }
    }

    /// Whether no shard is read and none waits.
    pub(super) fn is_finished(&self) -> bool {
        self.0.values().all(|known| matches!(known.state, State::Ignored | State::Ended))
    }

    fn add(&mut self, shard: Shard, begin: Option<Position>) {
        let (id, parents) = (shard.id.clone(), shard.parents.clone());
        let state = begin.map_or(State::Ignored, |position| State::Waits(shard, position));
        self.put(id, parents, state);
    }

    fn put(&mut self, id: SourcePartition, parents: Vec<SourcePartition>, state: State) {
        self.0.insert(id, Known { parents, state });
    }
}

/// The shards that go on from one, in the order of their names.
pub(super) fn successors(id: &SourcePartition, listing: &[Shard]) -> Vec<SourcePartition> {
    let children = listing.iter().filter(|shard| shard.parents.contains(id));
    let children: BTreeSet<SourcePartition> = children.map(|shard| shard.id.clone()).collect();
    children.into_iter().collect()
}

/// The same shards, each after its parents.
fn parents_first(listing: Vec<Shard>) -> Vec<Shard> {
    let mut sorted = Vec::with_capacity(listing.len());
    let mut left = listing;
    while !left.is_empty() {
        let waiting: BTreeSet<SourcePartition> = left.iter().map(|shard| shard.id.clone()).collect();
        let has_parent = |shard: &Shard| shard.parents.iter().any(|parent| waiting.contains(parent));
        let (later, now): (Vec<Shard>, Vec<Shard>) = left.into_iter().partition(has_parent);
        if now.is_empty() {
            // no service lists shards that descend from themselves
            sorted.extend(later);
            break;
        }
        sorted.extend(now);
        left = later;
    }
    sorted
}

#[cfg(test)]
mod tests;
