//! Lanes that have fallen silent: what must be raised so that an interval closes without them, the raise itself, and
//! raises that are made again after a restart, at the progress at which they were made the first time.

use std::sync::Arc;

use super::lane::{Lane, Lanes};
use super::resume::Raise;
use super::{CloseAt, Intervals, ScatterError};
use crate::model::{Closing, Interval, Progress, SourcePartition, Timestamp};

impl Intervals {
    /// What must be raised so that the first open interval closes although these lanes are silent: it does when every
    /// other lane has passed it, or, where all are silent, when `now` has. Nothing, if it must stay open.
    pub fn plan(&self, is_silent: impl Fn(&SourcePartition) -> bool, now: Timestamp) -> Vec<Raise> {
        let Some(close) = self.next_close().filter(|_| self.settings.close == CloseAt::Watermark) else {
            return Vec::new();
        };
        let to_micros = close.micros();
        let is_behind = |lane: &Lane| lane.watermark().is_none_or(|watermark| watermark < to_micros);
        let (silent, others): (Vec<_>, Vec<_>) = self.state.lanes.iter().partition(|(name, _)| is_silent(name));
        if others.iter().any(|(_, lane)| is_behind(lane)) || (others.is_empty() && now < close) {
            return Vec::new();
        }
        let raise = |name: &SourcePartition| Raise { lane: name.clone(), at: self.progress_of(name), to_micros };
        silent.iter().filter(|(_, lane)| is_behind(lane)).map(|(name, _)| raise(name)).collect()
    }

    /// The lanes that hold the first open interval open while another one that has come to `least` has passed it, and that
    /// interval.
    pub fn behind(&self, least: Timestamp) -> Option<(Interval, Vec<SourcePartition>)> {
        let first = *self.open.keys().next()?;
        let close = self.closes_at(first).micros();
        let is_behind = |lane: &Lane| lane.watermark().is_none_or(|watermark| watermark < close);
        let (behind, others): (Vec<_>, Vec<_>) = self.state.lanes.iter().partition(|(_, lane)| is_behind(lane));
        let is_there = |lane: &Lane| lane.watermark().is_some_and(|watermark| watermark >= least.micros());
        let is_held = others.iter().any(|(_, lane)| is_there(lane));
        is_held.then(|| (first, behind.into_iter().map(|(name, _)| name.clone()).collect()))
    }

    /// Raises the watermarks of silent lanes as planned.
    ///
    /// # Errors
    /// When Arrow cannot take the rows apart.
    pub fn raise(&mut self, raises: Vec<Raise>) -> Result<Vec<Closing>, ScatterError> {
        let mut closings = self.due_raises()?;
        for raise in raises {
            closings.extend(self.apply(raise)?);
        }
        Ok(closings)
    }

    /// Makes the raises again that were made at or before this progress, before the job started again.
    pub(super) fn due_raises(&mut self) -> Result<Vec<Closing>, ScatterError> {
        let mut closings = Vec::new();
        while let Some(raise) = self.trail.due(&self.progress) {
            closings.extend(self.apply(raise)?);
        }
        Ok(closings)
    }

    fn apply(&mut self, raise: Raise) -> Result<Vec<Closing>, ScatterError> {
        if let Some(mut lane) = self.state.lanes.get(&raise.lane) {
            lane.raise(raise.to_micros.clamp(Timestamp::MIN.micros(), Timestamp::MAX.micros()));
            Arc::make_mut(&mut self.state.lanes).set(raise.lane.clone(), lane);
        }
        self.trail.raised(raise, self.oldest());
        self.close_passed()
    }

    /// How far the source partitions of a lane have been read.
    fn progress_of(&self, lane: &SourcePartition) -> Progress {
        match self.settings.lanes {
            Lanes::One => (*self.progress).clone(),
            Lanes::PerPartition => {
                let mut progress = Progress::default();
                if let Some(position) = self.progress.get(lane) {
                    progress.set(lane.clone(), position);
                }
                progress
            }
        }
    }
}
