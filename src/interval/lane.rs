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

/// What a lane has reached, while a batch is taken in record by record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    watermark: Option<i64>,
    /// The largest event time of the batch so far.
    largest: Option<i64>,
    /// How far ahead of the lane an event time may lie; any, if there is none.
    ahead_max_micros: Option<i64>,
    /// Event times up to here need no further look; none while one is needed for all.
    plain_to_micros: Option<i64>,
}

impl Seen {
    /// What a lane has reached before the next record.
    pub(super) fn of(lane: &Lane, ahead_max_micros: Option<i64>) -> Seen {
        let is_plain = lane.ahead_run == 0;
        let mut seen = Seen { watermark: lane.watermark(), largest: None, ahead_max_micros, plain_to_micros: None };
        seen.plain_to_micros = seen.plain_to().filter(|_| is_plain);
        seen
    }

    /// Whether an event time is not too far ahead, as the one before was not.
    #[inline]
    pub(super) fn is_plain(&self, micros: i64) -> bool {
        self.plain_to_micros.is_some_and(|to| micros <= to)
    }

    #[inline]
    pub(super) fn see(&mut self, micros: i64) {
        if self.largest < Some(micros) {
            self.largest = Some(micros);
        }
        if self.watermark < Some(micros) {
            self.watermark = Some(micros);
            self.plain_to_micros = self.plain_to();
        }
    }

    pub(super) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// Brings the lane up to date.
    pub(super) fn tell(&self, lane: &mut Lane) {
        if let Some(micros) = self.largest {
            lane.see(micros);
        }
    }

    fn plain_to(&self) -> Option<i64> {
        match self.ahead_max_micros {
            None => Some(i64::MAX),
            Some(ahead_max) => self.watermark.map(|watermark| watermark.saturating_add(ahead_max)),
        }
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
