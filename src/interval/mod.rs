//! Which interval a row is in, when an interval closes, and what is late.
//!
//! Everything here is decided record by record, in the order of the source: where the boundaries of chunks and
//! micro-batches fell changes nothing. The *watermark* of a lane (see [`Lanes`]) is the largest event time seen in it so
//! far. An interval is closed as soon as the watermark of every lane has reached its end plus the offset; that happens
//! once (I1), in the order of the intervals, and gives each its *sequence* number. A row whose interval its own lane has
//! passed is late.
//!
//! Late rows, filtered rows and rejects have no open interval of their own. They ride on the interval that holds their
//! lane's watermark when they arrive (it is open by definition) and leave with it, so that every record is accounted for
//! in exactly one [`Closing`] (E1, E3). With a lane for each source partition, what leaves with an interval follows from
//! the records of each partition alone: in which order the partitions were read changes nothing.
//!
//! Nothing is written here, and no clock is read: `job` may [`Intervals::raise`] the watermark of lanes that have fallen
//! silent, once it has written down that it does.

mod gather;
mod lane;
mod others;
mod raise;
mod resume;
mod scatter;
mod trail;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::ArrowError;

use crate::model::{
    Batch, Chunk, Closing, Interval, Length, Packed, Piece, Position, Progress, Reason, Reject, Rows, SourcePartition,
    Tally, Timestamp, Zone,
};
use gather::{Gather, Incoming};
use lane::{Lane, Seen};
use others::{Other, Others};
use scatter::{Scatter, record_at};
use trail::{Moment, Trail};

pub use lane::Lanes;
pub use resume::{Raise, ResumePoint, State};

/// After so many records in a row that lie too far ahead, the stream has really moved on.
const AHEAD_RUN_MAX: u32 = 10;

/// When intervals close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseAt {
    /// As soon as the watermark has passed an interval's end plus the offset.
    Watermark,
    /// All at the end of a finite source: for history in no order of time.
    End,
}

/// Settings of the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Length of the intervals.
    pub length: Length,
    /// The zone in whose civil time they lie.
    pub zone: Zone,
    /// How long after its end an interval stays open, in microseconds.
    pub offset_micros: u64,
    /// How far ahead of the watermark an event time may lie, in microseconds.
    pub ahead_max_micros: u64,
    /// When intervals close.
    pub close: CloseAt,
    /// Which source partitions share a watermark.
    pub lanes: Lanes,
}

/// An interval that is still open.
#[derive(Debug)]
struct Open {
    rows: Gather,
    /// Bytes of these rows that are in memory.
    bytes: usize,
    late: BTreeMap<Interval, Gather>,
    rejects: Vec<Reject>,
    tally: Tally,
    /// Where to read from to see all of it again.
    begun: Mark,
}

/// A moment between two chunks.
#[derive(Clone, Debug)]
struct Mark {
    chunk: u64,
    progress: Arc<Progress>,
    state: State,
    moment: Moment,
}

/// The open intervals.
#[derive(Debug)]
pub struct Intervals {
    settings: Settings,
    state: State,
    /// Shared with the marks: copied when it moves on and a mark holds it.
    progress: Arc<Progress>,
    open: BTreeMap<Interval, Open>,
    /// What was closed at this instant was committed before the job started again: it is computed and dropped.
    done_to_micros: Option<i64>,
    /// How far each source partition was read before the job started again.
    read_before: Progress,
    /// Records taken in before the place that was read from again, and records that were dropped since.
    replayed: u64,
    chunks: u64,
    trail: Trail,
    /// Bytes of rows that are held in memory.
    held_bytes: usize,
    /// Taken while a batch is scattered.
    scatter: Option<Box<Scatter>>,
}

/// Rows that could not be taken apart; a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("rows could not be taken apart: {0}")]
pub struct ScatterError(#[from] ArrowError);

impl Intervals {
    /// A stage that has seen nothing.
    pub fn new(settings: Settings) -> Intervals {
        Intervals::resume(settings, ResumePoint::default(), State::default())
    }

    /// A stage that reads again from `point`; what `done` calls closed was committed before and is not given again.
    pub fn resume(settings: Settings, point: ResumePoint, done: State) -> Intervals {
        Intervals {
            settings,
            replayed: point.state.read,
            read_before: point.read_to,
            state: State { sequence: done.sequence, ..point.state },
            progress: Arc::new(point.progress),
            open: BTreeMap::new(),
            done_to_micros: done.closed_to_micros,
            chunks: 0,
            trail: Trail::resume(point.raises, point.order),
            held_bytes: 0,
            scatter: None,
        }
    }

    /// Takes in that a source has these partitions: each holds every interval open until it has passed it or is raised.
    /// Until a lane has a watermark, event times are believed up to about `now`. Says whether there is one among the
    /// partitions that was not known.
    pub fn begin(&mut self, partitions: &Progress, now: Timestamp) -> bool {
        let from = self.state.closed_to_micros.max(self.done_to_micros);
        if !partitions.is_empty() {
            self.state.begun_micros = self.state.begun_micros.or(Some(now.micros()));
        }
        let mut is_new = false;
        for (partition, position) in partitions.iter() {
            if self.progress.get(partition).is_none() {
                is_new = true;
                Arc::make_mut(&mut self.state.lanes).set(self.settings.lanes.of(partition), Lane::from(from));
                Arc::make_mut(&mut self.progress).set(partition.clone(), position);
            }
        }
        is_new
    }

    /// Takes one batch in, record by record, and gives the intervals that it closes, in order.
    ///
    /// # Errors
    /// When Arrow cannot take the rows apart.
    pub fn push(&mut self, batch: Batch) -> Result<Vec<Closing>, ScatterError> {
        let mut closings = self.due_raises()?;
        let before = self.mark();
        self.chunks += 1;
        let Batch { rows, keep, rejects, dropped, chunk } = batch;
        let rows = Arc::new(rows);
        let name = self.settings.lanes.of(&chunk.partition);
        let mut lane = self.state.lanes.get(&name).unwrap_or_else(|| Lane::from(self.state.closed_to_micros));
        if self.is_new(&chunk) {
            lane.goes_on_from(self.done_to_micros);
        }
        let mut others = Others::new(rejects, dropped);
        let Settings { zone, length, close, .. } = self.settings;
        let mut scatter = self.scatter.take().unwrap_or_else(|| Box::new(Scatter::new(zone, length)));
        let mut seen = Seen::of(&lane, self.ahead_max_micros());
        for (row, (&time, &offset)) in rows.times().iter().zip(rows.offsets()).enumerate() {
            while let Some(other) = others.before(offset) {
                seen.tell(&mut lane);
                self.account(&lane, other, &before);
            }
            let micros = time.micros();
            if !seen.is_plain(micros) {
                seen.tell(&mut lane);
                if self.is_ahead(&mut lane, time) {
                    let reject = Reject {
                        partition: chunk.partition.clone(),
                        offset,
                        place: chunk.places.at(offset),
                        bytes: record_at(&chunk, &rows, row, others.reject()),
                        reason: Reason::Ahead { time },
                    };
                    self.account(&lane, Other::Reject(reject), &before);
                    seen = Seen::of(&lane, self.ahead_max_micros());
                    continue;
                }
                lane.see(micros);
                seen = Seen::of(&lane, self.ahead_max_micros());
            }
            seen.see(micros);
            let target = scatter.find(time, |interval| self.closes_at(interval));
            let passed_to = match close {
                CloseAt::Watermark => seen.watermark(),
                CloseAt::End => self.state.closed_to_micros,
            };
            let is_late = passed_to.is_some_and(|to| target.closes_micros <= to);
            let keep = keep.get(row).copied().unwrap_or(true);
            if keep && !is_late {
                scatter.add(row);
                continue;
            }
            seen.tell(&mut lane);
            let carrier = self.carrier(&lane);
            self.state.read += 1;
            let tally = &mut self.open_mut(carrier, &before).tally;
            if keep {
                tally.late += 1;
                scatter.add_late(carrier, target.interval, row);
            } else {
                tally.filtered += 1;
            }
        }
        seen.tell(&mut lane);
        while let Some(other) = others.pop() {
            self.account(&lane, other, &before);
        }
        self.hold(&scatter, &chunk.partition, &rows, &before)?;
        scatter.clear();
        self.scatter = Some(scatter);
        drop(before);
        Arc::make_mut(&mut self.state.lanes).set(name, lane);
        self.move_on(&chunk);
        closings.extend(self.close_passed()?);
        // at once and not with the next batch: what they closed was committed and must not count as held again
        closings.extend(self.due_raises()?);
        Ok(closings)
    }

    /// Closes all that is open: the source has ended.
    ///
    /// # Errors
    /// When Arrow cannot take the rows apart.
    pub fn finish(&mut self) -> Result<Vec<Closing>, ScatterError> {
        let mut closings = self.due_raises()?;
        let reached = self.watermark();
        let newest = self.open.iter().rev().find(|(_, open)| !open.rows.is_empty()).map(|(interval, _)| *interval);
        if let Some(interval) = newest {
            let end = self.closes_at(interval).micros();
            Arc::make_mut(&mut self.state.lanes).raise_all(end);
            self.state.closed_to_micros = self.state.closed_to_micros.max(Some(end));
        }
        while let Some((interval, open)) = self.open.pop_first() {
            let complete = reached.is_some_and(|reached| interval.end_instant(self.settings.zone) <= reached);
            closings.extend(self.close(interval, open, complete)?);
        }
        Ok(closings)
    }

    /// Where a job that starts again must begin to read, so that it sees every record that has not left yet.
    pub fn resume_point(&self) -> ResumePoint {
        let earliest = self.open.values().map(|open| &open.begun).min_by_key(|mark| mark.chunk);
        let Mark { progress, state, moment, .. } = earliest.cloned().unwrap_or_else(|| self.mark());
        ResumePoint {
            progress: Arc::unwrap_or_clone(progress),
            read_to: self.progress.furthest(&self.read_before),
            state,
            raises: self.trail.raises_since(moment),
            order: self.trail.order_since(moment),
        }
    }

    /// The instant at which the first open interval closes, also where it holds nothing but late rows and rejects.
    pub fn next_close(&self) -> Option<Timestamp> {
        self.open.keys().next().map(|interval| self.closes_at(*interval))
    }

    /// What a source partition's lane has reached.
    pub fn watermark_of(&self, partition: &SourcePartition) -> Option<Timestamp> {
        let lane = self.state.lanes.get(&self.settings.lanes.of(partition))?;
        lane.watermark().and_then(|micros| Timestamp::from_micros(micros).ok())
    }

    /// The lane that holds the intervals open: the one that has reached least.
    pub fn slowest(&self) -> Option<&SourcePartition> {
        self.state.lanes.iter().min_by_key(|(_, lane)| lane.watermark()).map(|(name, _)| name)
    }

    /// What every lane has reached.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.state.lanes.lowest().and_then(|micros| Timestamp::from_micros(micros).ok())
    }

    /// What the stage knows besides its rows.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is closed and counted, for a checkpoint: also what was before the job started again.
    pub fn done(&self) -> State {
        let closed_to_micros = self.state.closed_to_micros.max(self.done_to_micros);
        State { closed_to_micros, ..self.state.clone() }
    }

    /// How many bytes of rows in time are held in memory.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Gives each piece of rows in time that is in memory to `put`, and holds what comes back in its place.
    ///
    /// # Errors
    /// When `put` fails, or Arrow cannot put the rows together.
    pub fn put_away<E: From<ArrowError>>(&mut self, mut put: impl FnMut(Packed) -> Result<Piece, E>) -> Result<(), E> {
        for open in self.open.values_mut() {
            open.rows.put_away(&mut put)?;
            self.held_bytes -= std::mem::take(&mut open.bytes);
        }
        Ok(())
    }

    /// How many records are held and not accounted for in a closing yet.
    pub fn held(&self) -> u64 {
        self.open.values().map(|open| open.tally.read()).sum()
    }

    /// How many records were accounted for in closings that were committed before the job started again.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    fn mark(&self) -> Mark {
        Mark {
            chunk: self.chunks,
            progress: self.progress.clone(),
            state: self.state.clone(),
            moment: self.trail.now(),
        }
    }

    /// Whether a chunk lies beyond what was read before the job started again. When that was noted every lane had passed
    /// what is done. A lane whose records in between are gone, because its stream kept them too short, would not find
    /// that out by itself, and would take rows that come too late for rows that come again.
    fn is_new(&self, chunk: &Chunk) -> bool {
        let is_beyond = |read_to| match chunk.bytes.is_empty() {
            true => chunk.read_to > read_to,
            false => chunk.places.at(chunk.offset) >= read_to,
        };
        self.settings.lanes == Lanes::PerPartition && self.read_before.get(&chunk.partition).is_none_or(is_beyond)
    }

    /// Notes how far a source partition has been read.
    fn move_on(&mut self, chunk: &Chunk) {
        let Chunk { partition, read_to, successors, .. } = chunk;
        let progress = Arc::make_mut(&mut self.progress);
        progress.set(partition.clone(), *read_to);
        match self.settings.lanes {
            Lanes::One => self.trail.read(partition, *read_to, self.oldest()),
            Lanes::PerPartition if *read_to == Position::End => {
                for successor in successors {
                    if progress.get(successor).is_none() {
                        progress.set(successor.clone(), Position::Start);
                    }
                }
                Arc::make_mut(&mut self.state.lanes).hand_over(partition, successors);
            }
            Lanes::PerPartition => {}
        }
    }

    /// The earliest moment that a resume point may begin at.
    fn oldest(&self) -> Option<Moment> {
        self.open.values().map(|open| &open.begun).min_by_key(|mark| mark.chunk).map(|mark| mark.moment)
    }

    fn closes_at(&self, interval: Interval) -> Timestamp {
        let offset = i64::try_from(self.settings.offset_micros).unwrap_or(i64::MAX);
        interval.end_instant(self.settings.zone).saturating_add_micros(offset)
    }

    /// How far ahead of a lane an event time may lie; any, where intervals close at the end.
    fn ahead_max_micros(&self) -> Option<i64> {
        let is_checked = self.settings.close == CloseAt::Watermark;
        is_checked.then(|| i64::try_from(self.settings.ahead_max_micros).unwrap_or(i64::MAX))
    }

    /// Whether an event time lies too far ahead to be believed. A long run of them is believed after all.
    fn is_ahead(&self, lane: &mut Lane, time: Timestamp) -> bool {
        let ahead = self.ahead_max_micros().is_some_and(|ahead_max| {
            let now = lane.watermark().or(self.state.begun_micros);
            now.is_some_and(|now| now.saturating_add(ahead_max) < time.micros())
        });
        lane.ahead_run = if ahead { lane.ahead_run + 1 } else { 0 };
        if lane.ahead_run > AHEAD_RUN_MAX {
            lane.ahead_run = 0;
            return false;
        }
        ahead
    }

    /// Closes what every lane has passed.
    fn close_passed(&mut self) -> Result<Vec<Closing>, ScatterError> {
        if self.settings.close == CloseAt::Watermark {
            self.state.closed_to_micros = self.state.closed_to_micros.max(self.state.lanes.lowest());
        }
        let mut closings = Vec::new();
        while let Some((interval, _)) = self.open.first_key_value()
            && self.state.closed_to_micros.is_some_and(|to| self.closes_at(*interval).micros() <= to)
        {
            let Some((interval, open)) = self.open.pop_first() else { break };
            closings.extend(self.close(interval, open, true)?);
        }
        Ok(closings)
    }

    fn close(&mut self, interval: Interval, open: Open, complete: bool) -> Result<Option<Closing>, ScatterError> {
        self.held_bytes -= open.bytes;
        if self.done_to_micros.is_some_and(|done_to| self.closes_at(interval).micros() <= done_to) {
            self.replayed += open.tally.read();
            return Ok(None);
        }
        self.state.sequence += 1;
        let Open { rows, late, mut rejects, tally, .. } = open;
        let rows = rows.finish();
        let late = late.into_iter().map(|(interval, rows)| (interval, rows.finish())).collect();
        // as the rows are: it does not show in which order partitions were read
        rejects.sort_by(|a, b| (&a.partition, a.place).cmp(&(&b.partition, b.place)));
        Ok(Some(Closing { sequence: self.state.sequence, interval, complete, rows, late, rejects, tally }))
    }

    fn interval_of(&self, time: Timestamp) -> Interval {
        Interval::containing(self.settings.zone.to_local_micros(time), self.settings.length)
    }

    /// The interval that holds a lane's watermark: records without an open interval of their own ride on it. Before the
    /// first event time it is the interval that holds 1970-01-01T00:00:00Z.
    fn carrier(&self, lane: &Lane) -> Interval {
        self.interval_of(Timestamp::from_micros(lane.watermark().unwrap_or(0)).unwrap_or(Timestamp::MIN))
    }

    /// Accounts for a record without an event time that is known.
    fn account(&mut self, lane: &Lane, other: Other, before: &Mark) {
        let carrier = self.carrier(lane);
        self.state.read += 1;
        let open = self.open_mut(carrier, before);
        match other {
            Other::Reject(reject) => {
                open.tally.rejected += 1;
                open.rejects.push(reject);
            }
            Other::Dropped => open.tally.filtered += 1,
        }
    }

    /// Gives the rows of a batch to the intervals that hold them now.
    fn hold(
        &mut self,
        scatter: &Scatter,
        partition: &SourcePartition,
        rows: &Arc<Rows>,
        before: &Mark,
    ) -> Result<(), ScatterError> {
        let late = scatter.late().flat_map(|(_, _, runs)| runs).map(ExactSizeIterator::len).sum();
        let mut incoming = Incoming::new(rows, scatter.in_time().map(|(_, count, _)| count), late);
        for (interval, count, runs) in scatter.in_time() {
            let open = self.open_mut(interval, before);
            open.tally.written += count as u64;
            let more = open.rows.add(partition, &mut incoming, (count, runs))?;
            open.bytes += more;
            self.held_bytes += more;
            self.state.read += count as u64;
        }
        for (carrier, interval, runs) in scatter.late() {
            let late = &mut self.open_mut(carrier, before).late;
            let count = runs.iter().map(ExactSizeIterator::len).sum();
            late.entry(interval).or_default().pack(partition, &mut incoming, (count, runs))?;
        }
        Ok(())
    }

    fn open_mut(&mut self, interval: Interval, before: &Mark) -> &mut Open {
        self.open.entry(interval).or_insert_with(|| Open {
            rows: Gather::default(),
            bytes: 0,
            late: BTreeMap::new(),
            rejects: Vec::new(),
            tally: Tally::default(),
            begun: before.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
