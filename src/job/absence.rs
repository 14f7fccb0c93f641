//! Data that does not come, by the clock: which intervals have passed while a live source brought nothing that moved event
//! time on.
//!
//! Only a source that was near the clock can fall behind it. One that is caught up with, or read again from years ago, is
//! not missed when it pauses. A job that is started again goes on from the last interval that was judged, near the clock as
//! it was when that was saved. And it must have been still for `interval.idle_timeout`, and for an interval: that a shard waits for another or that records lag
//! behind by a few minutes is no absence.

use std::time::Duration;

use crate::model::{Interval, Length, Timestamp, Zone};

/// Behind the clock, within which a source is live.
const LIVE_MICROS: i64 = 3600 * 1_000_000;

/// How event time moves against the clock.
#[derive(Debug)]
pub(super) struct Absence {
    zone: Zone,
    offset_micros: i64,
    /// How long it must have been still.
    still: Duration,
    /// The largest event time, when it was reached, and whether that was near the clock.
    reached: Option<(Timestamp, Duration, bool)>,
}

impl Absence {
    /// Before anything has come.
    pub(super) fn new(zone: Zone, (length, offset_micros): (Duration, u64), idle_timeout: Duration) -> Absence {
        let offset_micros = i64::try_from(offset_micros).unwrap_or(i64::MAX);
        Absence { zone, offset_micros, still: idle_timeout.max(length), reached: None }
    }

    /// As a job left it: the end of its last interval, whether that was live, and now.
    pub(super) fn resume(mut self, known: Option<Interval>, was_live: bool, at: Duration) -> Absence {
        self.reached = known.map(|known| (known.end_instant(self.zone), at, was_live));
        self
    }

    /// Whether event time was near the clock when it was reached.
    pub(super) fn is_live(&self) -> bool {
        self.reached.is_some_and(|(.., is_live)| is_live)
    }

    /// Event time is here, at a time of the clock and of the job.
    pub(super) fn moved(&mut self, watermark: Option<Timestamp>, now: Timestamp, at: Duration) {
        let Some(watermark) = watermark else { return };
        if self.reached.is_none_or(|(before, ..)| before < watermark) {
            let is_live = now.micros().saturating_sub(watermark.micros()) <= LIVE_MICROS;
            self.reached = Some((watermark, at, is_live));
        }
    }

    /// The last interval that the clock has passed with nothing in it, after one that is known.
    pub(super) fn passed(&self, known: Interval, now: Timestamp, at: Duration) -> Option<Interval> {
        let (_, since, is_live) = self.reached?;
        if !is_live || at < since + self.still {
            return None;
        }
        self.over(known.length(), now).filter(|last| *last > known)
    }

    /// The last interval that the clock has passed.
    pub(super) fn over(&self, length: Length, now: Timestamp) -> Option<Interval> {
        let over = now.micros().saturating_sub(self.offset_micros);
        let is_over = |interval: &Interval| interval.end_instant(self.zone).micros() <= over;
        let over = Timestamp::from_micros(over).ok()?;
        let last = Interval::containing(self.zone.to_local_micros(over), length).offset(-1);
        Some(last).filter(is_over)
    }

    /// Whether an interval should have closed long enough ago.
    pub(super) fn is_overdue(&self, held: Interval, now: Timestamp) -> bool {
        let still = i64::try_from(self.still.as_micros()).unwrap_or(i64::MAX);
        let due = held.end_instant(self.zone).micros().saturating_add(self.offset_micros).saturating_add(still);
        now.micros() >= due
    }

    /// From when on event time is near the clock.
    pub(super) fn live_from(now: Timestamp) -> Timestamp {
        now.saturating_add_micros(-LIVE_MICROS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_was_live_is_absent_once_the_clock_has_passed_an_interval() {
        let length = Length::from_seconds(300).unwrap();
        let known = Interval::containing(86_400_000_000 * 19_786, length);
        let at = |seconds: i64| known.end_instant(Zone::UTC).saturating_add_micros(1_000_000 * seconds);
        let job = Duration::from_secs;
        let absence = |reached: i64, clock: i64| {
            let mut absence = Absence::new(Zone::UTC, (job(300), 60_000_000), job(30));
            absence.moved(Some(at(reached)), at(clock), job(1000));
            absence.moved(Some(at(reached - 100)), at(clock), job(5000));
            absence
        };
        let live = absence(0, 60);
        assert_eq!(live.passed(known, at(359), job(1400)), None, "the offset is not over");
        assert_eq!(live.passed(known, at(360), job(1299)), None, "still for too short a time");
        assert_eq!(live.passed(known, at(360), job(1300)), Some(known.offset(1)));
        assert_eq!(live.passed(known, at(3000), job(4000)), Some(known.offset(9)));
        assert_eq!(live.passed(known.offset(9), at(3000), job(4000)), None, "all of them are known");
        assert_eq!(absence(0, 4000).passed(known, at(9000), job(9000)), None, "it was never live");
        for (was_live, expected) in [(true, Some(known.offset(9))), (false, None)] {
            let started = Absence::new(Zone::UTC, (job(300), 60_000_000), job(30));
            let mut started = started.resume(Some(known), was_live, job(0));
            assert_eq!(started.passed(known, at(3000), job(299)), None, "it may only be slow to begin");
            assert_eq!((started.passed(known, at(3000), job(300)), started.is_live()), (expected, was_live));
            // what was not read while the job was away comes first
            started.moved(Some(at(-100)), at(9000), job(200));
            assert_eq!(started.is_live(), was_live, "it is known already");
            started.moved(Some(at(600)), at(9000), job(200));
            assert_eq!(started.passed(known, at(9000), job(9000)), None, "far behind the clock");
        }
    }
}
