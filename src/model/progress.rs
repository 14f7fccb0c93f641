//! How far a source has been read. A source consists of partitions (files, shards), each with an order of its own; a
//! progress says for each of them up to where its records have been taken, exclusive.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Position;

/// One ordered part of a source: a file, a shard, standard input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourcePartition(Arc<str>);

impl SourcePartition {
    /// Names a partition; the name is stable over restarts.
    pub fn new(name: &str) -> SourcePartition {
        SourcePartition(Arc::from(name))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Up to where each source partition has been read. A partition that is not named has not been begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Progress(BTreeMap<SourcePartition, Position>);

impl Progress {
    /// Where `partition` stands.
    pub fn get(&self, partition: &SourcePartition) -> Option<Position> {
        self.0.get(partition).copied()
    }

    /// Moves `partition` to `position`.
    pub fn set(&mut self, partition: SourcePartition, position: Position) {
        self.0.insert(partition, position);
    }

    /// All partitions with their positions, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&SourcePartition, Position)> {
        self.0.iter().map(|(partition, position)| (partition, *position))
    }

    /// For each partition the further of its two positions.
    #[must_use]
    pub fn furthest(&self, other: &Progress) -> Progress {
        let mut furthest = self.clone();
        for (partition, position) in other.iter().filter(|(partition, at)| self.get(partition) < Some(*at)) {
            furthest.set(partition.clone(), position);
        }
        furthest
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
