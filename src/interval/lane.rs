//! Watermarks. A *lane* is what one watermark is for: all files of a source, which are read one after the other, or one
//! shard of a stream, which is read beside the others. What is late in a lane is decided by that lane alone, so it does
//! not matter in which order lanes are read; an interval closes once every lane has passed it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::SourcePartition;

/// How source partitions share watermarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// One for all: they are read one after the other.
    One,
    /// One for each: they are read side by side.
    PerPartition,
}

/// The name of the one lane.
const ALL: &str = "*";

impl Lanes {
    /// The lane of a source partition.
    pub fn of(self, partition: &SourcePartition) -> SourcePartition {
        match self {
            Lanes::One => self.all(),
            Lanes::PerPartition => partition.clone(),
        }
    }

    /// The lane that all share, where they do.
    pub fn all(self) -> SourcePartition {
        SourcePartition::new(ALL)
    }
}

/// One lane. Its watermark is the largest of three, each of which follows from the lane's own records or was written
/// down before it was used: so it is the same when they are read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lane {
    /// Where the lanes ended that it goes on from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    inherited_micros: Option<i64>,
    /// The largest event time seen in it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    seen_micros: Option<i64>,
    /// What it was raised to while it was silent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    raised_micros: Option<i64>,
    /// How many records in a row lay too far ahead.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(super) ahead_run: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Lane {
    /// A lane that goes on from a watermark.
    pub(super) fn from(watermark_micros: Option<i64>) -> Lane {
        Lane { inherited_micros: watermark_micros, ..Lane::default() }
    }

    pub(super) fn watermark(&self) -> Option<i64> {
        self.inherited_micros.max(self.seen_micros).max(self.raised_micros)
    }

    pub(super) fn see(&mut self, micros: i64) {
        self.seen_micros = self.seen_micros.max(Some(micros));
    }

    pub(super) fn raise(&mut self, micros: i64) {
        self.raised_micros = self.raised_micros.max(Some(micros));
    }

    /// Is known to have passed an instant.
    pub(super) fn goes_on_from(&mut self, watermark_micros: Option<i64>) {
        self.inherited_micros = self.inherited_micros.max(watermark_micros);
    }

    /// Goes on from one more lane: from the earlier of their ends.
    fn also_from(&mut self, watermark_micros: Option<i64>) {
        self.inherited_micros = self.inherited_micros.min(watermark_micros);
    }
}

/// All lanes by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Watermarks(BTreeMap<SourcePartition, Lane>);

impl Watermarks {
    pub(super) fn get(&self, lane: &SourcePartition) -> Option<Lane> {
        self.0.get(lane).copied()
    }

    pub(super) fn set(&mut self, name: SourcePartition, lane: Lane) {
        self.0.insert(name, lane);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SourcePartition, &Lane)> {
        self.0.iter()
    }

    /// The watermark of them all: none while one of them has none.
    pub(super) fn lowest(&self) -> Option<i64> {
        self.0.values().map(Lane::watermark).min().flatten()
    }

    pub(super) fn raise_all(&mut self, micros: i64) {
        self.0.values_mut().for_each(|lane| lane.raise(micros));
    }

    /// A lane has ended and others go on from it. One with several ends goes on from the earliest of them: until the
    /// last of its predecessors has ended that one held every interval open, so nothing closed that it could pass.
    pub(super) fn hand_over(&mut self, ended: &SourcePartition, successors: &[SourcePartition]) {
        let end = self.0.remove(ended).and_then(|lane| lane.watermark());
        for successor in successors {
            self.0.entry(successor.clone()).and_modify(|lane| lane.also_from(end)).or_insert_with(|| Lane::from(end));
        }
    }
}
