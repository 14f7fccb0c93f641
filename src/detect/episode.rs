//! An incident is one episode: from the alarm until the series is back, or until the new level has been learned.
//!
//! While an episode is open the model learns nothing from the values: it is fed with what was expected, so a long
//! incident does not become normal and its end is no second incident. Two ways to know what was expected:
//!
//! - *held*: the level that the alarm was judged by is held, and the shape moves on under it.
//! - *riding*, in the first days, while no shape is known and a held level would soon be wrong: the series is followed with
//!   the size of the first jump taken off; the incident ends when a value is nearer to the level without the jump, or
//!   jumps back.
//!
//! A held episode also walks the level towards the new one, by one threshold in a quarter of a day but at least by the
//! whole step in a day: a shift just above the threshold is accepted within about three hours, any shift within a day. After that the
//! old level is remembered for four days as an echo: going back to it is a return, not an incident.

use super::snapshot::{Codec, Reader, SnapshotError, Writer, codec};

/// The share of the alarm's deviation at which an episode is over.
const EXIT: f64 = 0.5;
/// A deviation that took a wide window to see is accepted up to this many times sooner.
const HURRY_MAX: f64 = 3.0;
/// Normal intervals in a row that end an episode.
const QUIET: u32 = 2;
/// A jump back of this share of the first one ends a riding episode; a deviation below this share of the mean is a return.
const BACK: f64 = 0.3;
/// Days that a level is remembered, and how near a value must come, as a share of the shift.
const ECHO_DAYS: u32 = 4;
const NEARER: f64 = 0.35;

/// How the normal level is known during an episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    /// This level is held.
    Held {
        /// The level before the alarm, of the baseline that spoke.
        level: f64,
    },
    /// The series is followed with the jump taken off.
    Riding {
        /// The jump.
        jump: f64,
    },
}

impl Codec for Mode {
    fn write(&self, to: &mut Writer) {
        match self {
            Mode::Held { level } => (0u8, *level).write(to),
            Mode::Riding { jump } => (1u8, *jump).write(to),
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Mode, SnapshotError> {
        match <(u8, f64)>::read(from)? {
            (0, level) => Ok(Mode::Held { level }),
            (1, jump) => Ok(Mode::Riding { jump }),
            _ => Err(SnapshotError::Inconsistent("an episode")),
        }
    }
}

/// An open episode.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Episode {
    /// Number of its first interval.
    pub(super) since: i64,
    /// Whether it is above.
    pub(super) high: bool,
    /// How the normal level is known.
    pub(super) mode: Mode,
    /// Mean deviation per interval that begins an alarm, in standard deviations.
    threshold: f64,
    /// Gain of the mean deviation: 1 for a jump, less for an alarm of a wide window.
    gain: f64,
    /// Mean deviation now.
    deviation: f64,
    /// How much of it the level has already walked.
    accepted: f64,
    age: u32,
    /// Longest time that a riding episode may take: as long as normal was known, at most half a day.
    patience: u32,
    quiet: u32,
}

codec!(Episode { since, high, mode, threshold, gain, deviation, accepted, age, patience, quiet });

/// What an interval means to an open episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Still anomalous.
    Goes,
    /// Looks normal, not yet believed.
    Quiet,
    /// Back to normal.
    Ends,
    /// The new level, this far from the old one, is normal now.
    Accepted(f64),
}

impl Episode {
    /// Opened by an alarm of a window of `width` intervals with this mean deviation, on a series known for `known` intervals.
    pub(super) fn new(since: i64, mode: Mode, deviation: f64, threshold: f64, width: usize, known: u32) -> Episode {
        Episode {
            since,
            high: deviation >= 0.0,
            mode,
            threshold,
            gain: 2.0 / (width as f64 + 1.0),
            deviation,
            accepted: 0.0,
            age: 0,
            patience: known,
            quiet: 0,
        }
    }

    /// Mean deviation that begins an alarm, where the standard deviation is `deviation`.
    pub(super) fn threshold(&self, deviation: f64) -> f64 {
        self.threshold * deviation
    }

    /// Takes the next interval: `expected` without the incident, the standard deviation `noise` there, the length of a day,
    /// and the largest change that does not count.
    pub(super) fn step(&mut self, value: f64, expected: f64, noise: f64, (per_day, margin): (u32, f64)) -> Outcome {
        self.age = self.age.saturating_add(1);
        let threshold = self.threshold * noise;
        match self.mode {
            Mode::Held { .. } => self.step_held(value - expected, threshold, (per_day, margin)),
            // without margins a value that is as expected is nearer to it than to the jump
            Mode::Riding { .. } if (value - expected).abs() <= margin => Outcome::Ends,
            Mode::Riding { jump } => self.step_riding(value - expected, jump, threshold, per_day),
        }
    }

    fn step_held(&mut self, deviation: f64, threshold: f64, (per_day, margin): (u32, f64)) -> Outcome {
        if deviation.abs() <= EXIT * threshold && deviation.abs() < BACK * self.deviation.abs() {
            // a clear return needs no averaging
            self.deviation = deviation;
        } else {
            self.deviation += self.gain * (deviation - self.deviation);
        }
        let day = f64::from(per_day.clamp(24, 1440));
        let hurry = (1.0 / self.gain).min(HURRY_MAX);
        let pace = (hurry * threshold / (day / 4.0)).max(self.deviation.abs() / day);
        let gap = self.deviation - self.accepted;
        self.accepted += gap.clamp(-pace, pace);
        let rest = self.deviation - self.accepted;

        // on its own side an episode is over at half the threshold; on the other side, and once it was quiet, nothing
        // goes on below the whole
        let (high, quiet) = (self.high, self.quiet);
        let near = |distance: f64| {
            let on = (distance >= 0.0) == high && quiet == 0;
            let limit = if on { EXIT * threshold } else { threshold };
            distance.abs() <= limit.max(margin)
        };
        if near(self.deviation) {
            self.quiet += 1;
            return if self.quiet >= QUIET { Outcome::Ends } else { Outcome::Quiet };
        }
        self.quiet = 0;
        if near(rest) {
            return Outcome::Accepted(self.deviation);
        }
        if f64::from(self.age) > day {
            return Outcome::Accepted(self.deviation);
        }
        self.high = rest >= 0.0;
        Outcome::Goes
    }

    fn step_riding(&mut self, deviation: f64, jump: f64, threshold: f64, per_day: u32) -> Outcome {
        let against = deviation - jump;
        let back = (against < 0.0) != (jump < 0.0) && against.abs() > threshold.max(BACK * jump.abs());
        if deviation.abs() < against.abs() || back {
            return Outcome::Ends;
        }
        self.deviation = deviation;
        if self.age > self.patience.min(per_day.clamp(24, 1440) / 2) { Outcome::Accepted(jump) } else { Outcome::Goes }
    }
}

/// The level before an accepted shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Echo {
    level: f64,
    /// In standard deviations.
    tolerance: f64,
    left: u32,
}

codec!(Echo { level, tolerance, left });

impl Echo {
    /// Of the level that an episode had held.
    pub(super) fn new(episode: &Episode, level: f64, per_day: u32) -> Echo {
        Echo { level, tolerance: episode.threshold, left: ECHO_DAYS * per_day.clamp(24, 1440) }
    }

    /// The old level.
    pub(super) fn level(&self) -> f64 {
        self.level
    }

    /// Whether an error is a matter of how the new level goes with the shape, which nobody knows yet to better than a third
    /// of the shift.
    pub(super) fn is_unsure(&self, error: f64, old: f64, new: f64) -> bool {
        error.abs() <= NEARER * (new - old).abs()
    }

    /// One interval older; false when forgotten.
    pub(super) fn age(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// Whether a value is back where the old level would have it, rather than where the new one has.
    pub(super) fn matches(&self, value: f64, old: f64, new: f64, noise: f64) -> bool {
        (value - old).abs() <= (self.tolerance * noise).max(NEARER * (new - old).abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length of a day, and no margin.
    const DAY: (u32, f64) = (288, 0.0);

    fn held(deviation: f64) -> Episode {
        Episode::new(0, Mode::Held { level: 0.0 }, deviation, 10.0, 1, 600)
    }

    #[test]
    fn a_lasting_shift_is_accepted_within_a_day_and_a_small_one_sooner() {
        for (shift, longest) in [(12.0, 60), (100.0, 288), (1e6, 288)] {
            let mut episode = held(shift);
            let steps = (1..400).find(|_| episode.step(shift, 0.0, 1.0, DAY) == Outcome::Accepted(shift));
            assert!(steps.unwrap() <= longest, "{shift}: {steps:?}");
        }
    }

    #[test]
    fn five_hours_of_a_strong_incident_stay_one_episode() {
        let mut episode = held(60.0);
        assert!((1..=60).all(|_| episode.step(60.0, 0.0, 1.0, DAY) == Outcome::Goes));
        assert_eq!(episode.step(1.0, 0.0, 1.0, DAY), Outcome::Quiet);
        assert_eq!(episode.step(-1.0, 0.0, 1.0, DAY), Outcome::Ends);
    }

    #[test]
    fn an_episode_ends_within_the_margin() {
        let steps = |mut episode: Episode, value: f64, margin: f64| {
            [(); 2].map(|()| episode.step(value, 0.0, 1.0, (288, margin)))
        };
        assert_eq!(steps(held(60.0), 25.0, 0.0), [Outcome::Goes, Outcome::Goes]);
        assert_eq!(steps(held(60.0), 25.0, 30.0), [Outcome::Quiet, Outcome::Ends]);
        assert_eq!(steps(held(60.0), 35.0, 30.0), [Outcome::Goes, Outcome::Goes]);
        let riding = || Episode::new(0, Mode::Riding { jump: -200.0 }, -200.0, 20.0, 1, 60);
        assert_eq!(steps(riding(), -180.0, 0.0)[0], Outcome::Goes);
        assert_eq!(steps(riding(), -180.0, 190.0)[0], Outcome::Ends);
    }

    #[test]
    fn the_other_side_is_the_same_episode() {
        let mut episode = held(60.0);
        episode.step(60.0, 0.0, 1.0, DAY);
        assert_eq!(episode.step(-60.0, 0.0, 1.0, DAY), Outcome::Goes);
        assert_eq!((episode.since, episode.high), (0, false));
    }

    #[test]
    fn a_riding_episode_ends_where_the_jump_is_undone() {
        let mut episode = Episode::new(0, Mode::Riding { jump: -200.0 }, -200.0, 20.0, 1, 60);
        assert_eq!(episode.step(95.0, 300.0, 1.0, DAY), Outcome::Goes);
        assert_eq!(episode.step(290.0, 300.0, 1.0, DAY), Outcome::Ends);
        let mut clipped = Episode::new(0, Mode::Riding { jump: -300.0 }, -300.0, 20.0, 1, 60);
        assert_eq!(clipped.step(0.0, 300.0, 1.0, DAY), Outcome::Goes);
        assert_eq!(clipped.step(110.0, 300.0, 1.0, DAY), Outcome::Ends, "up by 110 against the direction of the jump");
    }
}
