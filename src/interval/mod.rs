//! Which interval a row is in, when an interval closes, and what is late.
//!
//! Everything here is decided record by record, in the order of the source: where the boundaries of chunks and
//! micro-batches fell changes nothing. The *watermark* is the largest event time seen so far. An interval is closed as
//! soon as the watermark reaches its end plus the offset; that happens once (I1), in the order of the intervals, and
//! gives each its *sequence* number. A row whose interval is already closed is late.
//!
//! Late rows, filtered rows and rejects have no open interval of their own. They ride on the interval that holds the
//! watermark when they arrive (it is open by definition) and leave with it, so that every record is accounted for in
//! exactly one [`Closing`] (E1, E3).
//!
//! Nothing is written here, and no clock is read: `job` may [`Intervals::raise`] the watermark when a live source has
//! fallen silent.

mod scatter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow_schema::ArrowError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{
    Batch, Closing, Held, Interval, Length, Position, Progress, Reason, Reject, Rows, SourcePartition, Tally,
    Timestamp, Zone,
};
use scatter::Scatter;

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
}

/// What the stage knows besides the rows it holds; part of the checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    watermark_micros: Option<i64>,
    /// Intervals that close at or before this instant are closed.
    closed_to_micros: Option<i64>,
    /// Sequence number of the last closing.
    pub sequence: u64,
    /// Records taken in.
    pub read: u64,
    ahead_run: u32,
}

/// Where a job that starts again begins to read, and what the stage knew there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Where each source partition is read from.
    pub progress: Progress,
    /// How far each was read when this was noted.
    pub read_to: Progress,
    /// What the stage knew.
    pub state: State,
    /// Watermarks raised after this point, with the progress at which each was raised.
    pub raises: Vec<Raise>,
    /// In which order the source partitions were read from here on, each up to where: what is late depends on it.
    #[serde(default)]
    pub order: Vec<(SourcePartition, Position)>,
}

/// A watermark raised while the source was silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// The progress at which it was raised.
    pub at: Progress,
    /// The watermark it was raised to, in microseconds since 1970.
    pub to_micros: i64,
}

/// An interval that is still open.
#[derive(Debug)]
struct Open {
    rows: Held,
    late: BTreeMap<Interval, Held>,
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
    /// Raises made before this moment.
    raises: u64,
    /// Runs of one source partition that were over before this moment.
    runs: u64,
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
    chunks: u64,
    /// How many raises were made in all, and the last of them: as many as an open interval may have seen.
    raise_count: u64,
    raises: VecDeque<Raise>,
    /// How many runs of one source partition there were in all, and the last of them, each with the place where it
    /// ended: as many as an open interval may have seen.
    run_count: u64,
    runs: VecDeque<(SourcePartition, Position)>,
    /// Raises to be made again, as they were made before the job started again.
    due: VecDeque<Raise>,
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
            state: State { sequence: done.sequence, ..point.state },
            progress: Arc::new(point.progress),
            open: BTreeMap::new(),
            done_to_micros: done.closed_to_micros,
            chunks: 0,
            raise_count: 0,
            raises: VecDeque::new(),
            run_count: 0,
            runs: VecDeque::new(),
            due: point.raises.into(),
        }
    }

    /// Takes one batch in, record by record, and gives the intervals that it closes, in order.
    ///
    /// # Errors
    /// When Arrow cannot take the rows apart.
    pub fn push(&mut self, batch: Batch) -> Result<Vec<Closing>, ScatterError> {
        let mut closings = self.due_raises();
        let before = self.mark();
        self.chunks += 1;
        let Batch { partition, rows, keep, rejects, read_to, bytes, offset } = batch;
        let mut rejects = rejects.into_iter().peekable();
        let mut scatter = Scatter::new(&partition, &rows);
        for (row, (&time, &position)) in rows.times().iter().zip(rows.positions()).enumerate() {
            while let Some(reject) = rejects.next_if(|reject| reject.position < position) {
                self.reject(reject, &before);
            }
            if self.is_ahead(time) {
                let bytes = record_at(&bytes, offset, &rows, row, rejects.peek());
                let reason = Reason::Ahead { time };
                self.reject(Reject { partition: partition.clone(), position, bytes, reason }, &before);
                continue;
            }
            self.advance(time, &mut scatter, &before, &mut closings)?;
            self.place(time, row, keep.get(row).copied().unwrap_or(true), &mut scatter, &before);
        }
        for reject in rejects {
            self.reject(reject, &before);
        }
        scatter.flush(|carrier, interval, rows| self.hold(carrier, interval, &partition, rows, &before))?;
        drop(before);
        self.note_run(&partition, read_to);
        Arc::make_mut(&mut self.progress).set(partition, read_to);
        // at once and not with the next batch: what they closed was committed and must not count as held again
        closings.extend(self.due_raises());
        Ok(closings)
    }

    /// Raises the watermark to `to` where it stands lower, because a live source is silent and time has passed.
    pub fn raise(&mut self, to: Timestamp) -> Vec<Closing> {
        let mut closings = self.due_raises();
        if self.watermark().is_none_or(|now| now < to) {
            closings.extend(self.apply(Raise { at: (*self.progress).clone(), to_micros: to.micros() }));
        }
        closings
    }

    /// Where a job that starts again must begin to read so that it raises the watermark to `to` at this moment.
    pub fn planned_raise(&self, to: Timestamp) -> ResumePoint {
        let mut point = self.resume_point();
        point.raises.push(Raise { at: (*self.progress).clone(), to_micros: to.micros() });
        point
    }

    /// Closes all that is open: the source has ended.
    pub fn finish(&mut self) -> Vec<Closing> {
        let mut closings = self.due_raises();
        let reached = self.watermark();
        let newest = self.open.iter().rev().find(|(_, open)| !open.rows.is_empty()).map(|(interval, _)| *interval);
        if let Some(interval) = newest {
            let end = self.closes_at(interval).micros();
            self.state.watermark_micros = self.state.watermark_micros.max(Some(end));
            self.state.closed_to_micros = self.state.closed_to_micros.max(Some(end));
        }
        while let Some((interval, open)) = self.open.pop_first() {
            let complete = reached.is_some_and(|reached| interval.end_instant(self.settings.zone) <= reached);
            closings.extend(self.close(interval, open, complete));
        }
        closings
    }

    /// Where a job that starts again must begin to read, so that it sees every record that has not left yet.
    pub fn resume_point(&self) -> ResumePoint {
        let earliest = self.open.values().map(|open| &open.begun).min_by_key(|mark| mark.chunk);
        let Mark { progress, state, raises, runs, .. } = earliest.cloned().unwrap_or_else(|| self.mark());
        let raises = last(&self.raises, self.raise_count - raises).cloned().collect();
        let order = last(&self.runs, self.run_count - runs).cloned().collect();
        ResumePoint {
            progress: Arc::unwrap_or_clone(progress),
            read_to: (*self.progress).clone(),
            state,
            raises,
            order,
        }
    }

    /// The instant at which the first open interval with rows of its own closes.
    pub fn next_close(&self) -> Option<Timestamp> {
        let first = self.open.iter().find(|(_, open)| !open.rows.is_empty());
        first.map(|(interval, _)| self.closes_at(*interval))
    }

    /// The largest event time seen, or what it was raised to.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.state.watermark_micros.and_then(|micros| Timestamp::from_micros(micros).ok())
    }

    /// What the stage knows besides its rows.
    pub fn state(&self) -> State {
        self.state
    }

    /// How many records are held and not accounted for in a closing yet.
    pub fn held(&self) -> u64 {
        self.open.values().map(|open| open.tally.read()).sum()
    }

    fn mark(&self) -> Mark {
        Mark {
            chunk: self.chunks,
            progress: self.progress.clone(),
            state: self.state,
            raises: self.raise_count,
            // the last run may go on
            runs: self.run_count.saturating_sub(1),
        }
    }

    /// Notes that a source partition was read up to a place, after whatever was read before.
    fn note_run(&mut self, partition: &SourcePartition, read_to: Position) {
        if let Some((_, to)) = self.runs.back_mut().filter(|(last, _)| last == partition) {
            *to = read_to;
            return;
        }
        let seen = self.open.values().map(|open| open.begun.runs).min().unwrap_or(self.run_count);
        let needed = usize::try_from(self.run_count - seen).unwrap_or(usize::MAX);
        while self.runs.len() > needed {
            self.runs.pop_front();
        }
        self.runs.push_back((partition.clone(), read_to));
        self.run_count += 1;
    }

    /// Makes the raises again that were made at or before this progress, before the job started again.
    fn due_raises(&mut self) -> Vec<Closing> {
        let mut closings = Vec::new();
        while let Some(raise) = self.due.pop_front_if(|raise| reached(&self.progress, &raise.at)) {
            closings.extend(self.apply(raise));
        }
        closings
    }

    fn apply(&mut self, raise: Raise) -> Vec<Closing> {
        let to = Timestamp::MIN.saturating_add_micros(raise.to_micros.saturating_sub(Timestamp::MIN.micros()));
        let seen = self.open.values().map(|open| open.begun.raises).min().unwrap_or(self.raise_count);
        let needed = usize::try_from(self.raise_count - seen).unwrap_or(usize::MAX);
        while self.raises.len() > needed {
            self.raises.pop_front();
        }
        self.raises.push_back(raise);
        self.raise_count += 1;
        if self.watermark().is_none_or(|now| now < to) {
            self.set_watermark(to);
        }
        self.close_passed()
    }

    fn set_watermark(&mut self, to: Timestamp) {
        self.state.watermark_micros = Some(to.micros());
        if self.settings.close == CloseAt::Watermark {
            self.state.closed_to_micros = Some(to.micros());
        }
    }

    fn closes_at(&self, interval: Interval) -> Timestamp {
        let offset = i64::try_from(self.settings.offset_micros).unwrap_or(i64::MAX);
        interval.end_instant(self.settings.zone).saturating_add_micros(offset)
    }

    /// Whether an open interval is passed.
    fn is_due(&self) -> bool {
        self.open.keys().next().is_some_and(|interval| self.is_closed(*interval))
    }

    fn is_closed(&self, interval: Interval) -> bool {
        self.state.closed_to_micros.is_some_and(|closed_to| self.closes_at(interval).micros() <= closed_to)
    }

    /// Whether an event time lies too far ahead to be believed. A long run of them is believed after all.
    fn is_ahead(&mut self, time: Timestamp) -> bool {
        let ahead_max = i64::try_from(self.settings.ahead_max_micros).unwrap_or(i64::MAX);
        let ahead = self.settings.close == CloseAt::Watermark
            && self.watermark().is_some_and(|now| now.saturating_add_micros(ahead_max) < time);
        self.state.ahead_run = if ahead { self.state.ahead_run + 1 } else { 0 };
        if self.state.ahead_run > AHEAD_RUN_MAX {
            self.state.ahead_run = 0;
            return false;
        }
        ahead
    }

    /// Moves the watermark on and closes what it passes.
    fn advance(
        &mut self,
        time: Timestamp,
        scatter: &mut Scatter<'_>,
        before: &Mark,
        closings: &mut Vec<Closing>,
    ) -> Result<(), ScatterError> {
        if self.watermark().is_some_and(|now| now >= time) {
            return Ok(());
        }
        self.set_watermark(time);
        if self.settings.close == CloseAt::Watermark && self.is_due() {
            let partition = scatter.partition();
            scatter.flush(|carrier, interval, rows| self.hold(carrier, interval, partition, rows, before))?;
            closings.extend(self.close_passed());
        }
        Ok(())
    }

    fn close_passed(&mut self) -> Vec<Closing> {
        let mut closings = Vec::new();
        while self.is_due() {
            let Some((interval, open)) = self.open.pop_first() else { break };
            closings.extend(self.close(interval, open, true));
        }
        closings
    }

    fn close(&mut self, interval: Interval, open: Open, complete: bool) -> Option<Closing> {
        if self.done_to_micros.is_some_and(|done_to| self.closes_at(interval).micros() <= done_to) {
            return None;
        }
        self.state.sequence += 1;
        let Open { rows, late, rejects, tally, .. } = open;
        Some(Closing { sequence: self.state.sequence, interval, complete, rows, late, rejects, tally })
    }

    fn interval_of(&self, time: Timestamp) -> Interval {
        Interval::containing(self.settings.zone.to_local_micros(time), self.settings.length)
    }

    /// The interval that holds the watermark: records without an open interval of their own ride on it. Before the
    /// first event time it is the interval that holds 1970-01-01T00:00:00Z.
    fn carrier(&self) -> Interval {
        let epoch = Timestamp::MIN.saturating_add_micros(-Timestamp::MIN.micros());
        self.interval_of(self.watermark().unwrap_or(epoch))
    }

    fn place(&mut self, time: Timestamp, row: usize, keep: bool, scatter: &mut Scatter<'_>, before: &Mark) {
        let interval = self.interval_of(time);
        let closed = self.is_closed(interval);
        let carrier = if keep && !closed { interval } else { self.carrier() };
        self.state.read += 1;
        let tally = &mut self.open_mut(carrier, before).tally;
        match (keep, closed) {
            (false, _) => tally.filtered += 1,
            (true, true) => tally.late += 1,
            (true, false) => tally.written += 1,
        }
        if keep {
            scatter.add(carrier, interval, row);
        }
    }

    fn reject(&mut self, reject: Reject, before: &Mark) {
        let carrier = self.carrier();
        self.state.read += 1;
        let open = self.open_mut(carrier, before);
        open.tally.rejected += 1;
        open.rejects.push(reject);
    }

    fn hold(&mut self, carrier: Interval, interval: Interval, partition: &SourcePartition, rows: Rows, before: &Mark) {
        let open = self.open_mut(carrier, before);
        let held = if carrier == interval { &mut open.rows } else { open.late.entry(interval).or_default() };
        held.add(partition.clone(), rows);
    }

    fn open_mut(&mut self, interval: Interval, before: &Mark) -> &mut Open {
        self.open.entry(interval).or_insert_with(|| Open {
            rows: Held::default(),
            late: BTreeMap::new(),
            rejects: Vec::new(),
            tally: Tally::default(),
            begun: before.clone(),
        })
    }
}

/// The last `count` of a queue.
fn last<T>(queue: &VecDeque<T>, count: u64) -> impl Iterator<Item = &T> {
    queue.iter().skip(queue.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX)))
}

/// Whether every partition of `mark` has been read at least as far as it says.
fn reached(progress: &Progress, mark: &Progress) -> bool {
    mark.iter().all(|(partition, position)| progress.get(partition).is_some_and(|now| now >= position))
}

/// The bytes of one record: up to where the next record begins, without the line end.
fn record_at(bytes: &Bytes, offset: u64, rows: &Rows, row: usize, next_reject: Option<&Reject>) -> Bytes {
    let index =
        |position: u64| usize::try_from(position.saturating_sub(offset)).unwrap_or(bytes.len()).min(bytes.len());
    let start = rows.positions().get(row).map_or(bytes.len(), |position| index(*position));
    let next_row = rows.positions().get(row + 1).map_or(bytes.len(), |position| index(*position));
    let end = next_reject.map_or(next_row, |reject| index(reject.position).min(next_row)).max(start);
    let record = bytes.slice(start..end);
    let kept = record.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    record.slice(..kept)
}

#[cfg(test)]
mod tests;
