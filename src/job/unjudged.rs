//! Intervals that are committed and wait for the detector.
//!
//! A detector of many series is judged faster in several intervals at once than in one after the other: what it knows of a
//! series is fetched once for all of them. Where intervals close one right after the other, as in a history that is caught
//! up with, they wait a moment for each other. One that comes alone, as in a live stream, does not wait. The verdicts and
//! their order are the same.

use std::time::Duration;

use crate::model::{ClosedInterval, Closing, Held};

/// The first to come waits so long at most, if another one came as short a time before it.
const WAIT: Duration = Duration::from_millis(300);
/// So many are judged at once, or fewer that have so many cells.
const INTERVALS_MAX: usize = 128;
const CELLS_MAX: usize = 1 << 15;

/// Whether so many are to be judged at once, and no more.
pub(super) fn are_enough(closed: &[ClosedInterval]) -> bool {
    let cells = || closed.iter().map(|closed| closed.cells.len()).sum::<usize>();
    closed.len() >= INTERVALS_MAX || cells() >= CELLS_MAX
}

/// Committed intervals, in their order.
#[derive(Default)]
pub(super) struct Unjudged {
    /// Without their rows.
    closings: Vec<Closing>,
    cells: Vec<ClosedInterval>,
    /// Until when the first may wait.
    until: Duration,
    /// When the last came.
    last: Option<Duration>,
}

impl Unjudged {
    /// Adds one that was committed now, and what the detector sees of it.
    pub(super) fn push(&mut self, closing: Closing, cells: ClosedInterval, now: Duration) {
        if self.cells.is_empty() {
            let is_alone = self.last.is_none_or(|last| now.saturating_sub(last) > WAIT);
            self.until = if is_alone { now } else { now + WAIT };
        }
        self.last = Some(now);
        self.closings.push(Closing { rows: Held::default(), ..closing });
        self.cells.push(cells);
    }

    /// Time until they are to be judged, none where there are none.
    pub(super) fn left(&self, now: Duration) -> Option<Duration> {
        if self.cells.is_empty() {
            return None;
        }
        Some(if are_enough(&self.cells) { Duration::ZERO } else { self.until.saturating_sub(now) })
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> (Vec<Closing>, Vec<ClosedInterval>) {
        (std::mem::take(&mut self.closings), std::mem::take(&mut self.cells))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Cell, Interval, Length, SeriesKey, Tally};

    fn push(unjudged: &mut Unjudged, number: i64, cells: usize, now: Duration) {
        let cell = Cell { key: SeriesKey::new(["a"]), rows: 1, stats: Vec::new(), sketches: Vec::new() };
        let interval = Interval::containing(0, Length::from_seconds(300).unwrap()).offset(number);
        let closing = Closing {
            sequence: 1,
            interval,
            complete: true,
            rows: Held::default(),
            late: BTreeMap::new(),
            rejects: Vec::new(),
            tally: Tally::default(),
        };
        unjudged.push(closing, ClosedInterval { interval, cells: vec![cell; cells] }, now);
    }

    #[test]
    fn they_wait_a_moment_for_each_other_unless_they_are_many() {
        let ms = Duration::from_millis;
        let mut unjudged = Unjudged::default();
        assert_eq!(unjudged.left(ms(7)), None);
        push(&mut unjudged, 0, 1, ms(7));
        assert_eq!(unjudged.left(ms(7)), Some(ms(0)), "it came alone");
        unjudged.take();
        push(&mut unjudged, 1, 1, ms(20));
        push(&mut unjudged, 2, 1, ms(90));
        assert_eq!(unjudged.left(ms(100)), Some(ms(220)));
        assert_eq!(unjudged.left(ms(400)), Some(ms(0)));
        push(&mut unjudged, 3, CELLS_MAX, ms(91));
        assert_eq!(unjudged.left(ms(100)), Some(ms(0)));
        let (closings, cells) = unjudged.take();
        assert_eq!((closings.len(), cells.len(), unjudged.left(ms(100))), (3, 3, None));
        (0..INTERVALS_MAX as i64).for_each(|at| push(&mut unjudged, at, 0, ms(100)));
        assert_eq!(unjudged.left(ms(100)), Some(ms(0)));
        unjudged.take();
        push(&mut unjudged, 0, 1, ms(900));
        assert_eq!(unjudged.left(ms(900)), Some(ms(0)), "it came alone again");
    }
}
