//! Which lanes of a live source are silent: read as far as they go, and nothing has moved their watermark for
//! `interval.idle_timeout`. A lane that cannot be reached is not silent. All times are those at which the source spoke, not those at which the
//! job came to hear of it: a job that was held up must not take its own absence for silence.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::interval::Lanes;
use crate::model::SourcePartition;
use crate::source::Quiet;

/// What was heard of each lane.
#[derive(Debug)]
pub(super) struct Silence {
    lanes: Lanes,
    timeout: Duration,
    /// When each lane's watermark last moved, or the lane was first seen quiet; and whether it was quiet when last asked.
    heard: BTreeMap<SourcePartition, (Duration, bool)>,
    /// When the source last spoke at all.
    now: Duration,
}

impl Silence {
    /// Nothing has been heard yet.
    pub(super) fn new(lanes: Lanes, timeout: Duration) -> Silence {
        Silence { lanes, timeout, heard: BTreeMap::new(), now: Duration::ZERO }
    }

    /// A partition gave records that moved its lane on.
    pub(super) fn broken(&mut self, partition: &SourcePartition, at: Duration) {
        let lane = self.lanes.of(partition);
        let is_quiet = self.heard.get(&lane).is_some_and(|(_, is_quiet)| *is_quiet);
        self.heard.insert(lane, (at, is_quiet));
        self.now = at;
    }

    /// The source had nothing to give.
    pub(super) fn kept(&mut self, quiet: &Quiet, at: Duration) {
        self.now = at;
        self.heard.values_mut().for_each(|(_, is_quiet)| *is_quiet = false);
        match quiet {
            Quiet::All => self.keep(self.lanes.all(), at),
            Quiet::Of(partitions) => partitions.iter().for_each(|partition| self.keep(self.lanes.of(partition), at)),
        }
    }

    fn keep(&mut self, lane: SourcePartition, at: Duration) {
        self.heard.entry(lane).or_insert((at, true)).1 = true;
    }

    /// Whether a lane has been silent for long enough.
    pub(super) fn is_silent(&self, lane: &SourcePartition) -> bool {
        self.heard.get(lane).is_some_and(|(heard, is_quiet)| *is_quiet && self.now >= *heard + self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_silent_once_it_was_quiet_for_the_whole_time() {
        let (a, b) = (SourcePartition::new("a"), SourcePartition::new("b"));
        let at = Duration::from_secs;
        let mut silence = Silence::new(Lanes::PerPartition, at(10));
        let silent = |silence: &Silence| [silence.is_silent(&a), silence.is_silent(&b)];
        silence.broken(&a, at(1));
        silence.kept(&Quiet::Of(vec![a.clone(), b.clone()]), at(2));
        silence.kept(&Quiet::Of(vec![a.clone(), b.clone()]), at(11));
        assert_eq!(silent(&silence), [true, false], "b was first seen at 2");
        silence.kept(&Quiet::Of(vec![b.clone()]), at(12));
        assert_eq!(silent(&silence), [false, true], "a cannot be reached");
        silence.broken(&b, at(13));
        silence.kept(&Quiet::Of(vec![a.clone(), b.clone()]), at(14));
        assert_eq!(silent(&silence), [true, false]);
    }
}
