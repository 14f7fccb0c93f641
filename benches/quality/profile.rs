//! What a quiet world looks like: shapes of the day and the week, noise, pulses on the hour, holidays. Three profiles
//! that differ in all of these; incidents know nothing of them.

use std::f64::consts::TAU;

use super::random::Random;

/// Intervals of a day and of a week, at five minutes.
pub(crate) const DAY: usize = 288;
pub(crate) const WEEK: usize = 7 * DAY;

/// How the quiet series of a world are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Smooth waves, lively weekends, little noise.
    Shop,
    /// Office hours with a lunch dip, quiet weekends, pulses on the hour, a holiday per marketplace.
    Office,
    /// A sharp evening peak over a low floor, rough and slow noise, pulses every half hour, a holiday for all.
    Evening,
}

/// Ranges of what is drawn per cell.
pub(crate) struct Noise {
    /// Standard deviation and memory of the autocorrelated part, relative to the rate.
    pub(crate) slow: (f64, f64),
    pub(crate) memory: (f64, f64),
    /// Standard deviation of the white part.
    pub(crate) white: (f64, f64),
}

impl Profile {
    pub(crate) const ALL: [Profile; 3] = [Profile::Shop, Profile::Office, Profile::Evening];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Profile::Shop => "shop",
            Profile::Office => "office",
            Profile::Evening => "evening",
        }
    }

    pub(crate) fn noise(self) -> Noise {
        match self {
            Profile::Shop => Noise { slow: (0.01, 0.03), memory: (0.7, 0.9), white: (0.005, 0.02) },
            Profile::Office => Noise { slow: (0.015, 0.05), memory: (0.75, 0.95), white: (0.01, 0.03) },
            Profile::Evening => Noise { slow: (0.02, 0.06), memory: (0.85, 0.97), white: (0.01, 0.03) },
        }
    }
}

/// What the cells of a marketplace share.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    profile: Profile,
    /// Hours that its clock is ahead.
    zone: f64,
    /// Hour of the peak, or of the opening.
    peak: f64,
    /// Depth of the day: amplitude, night level, or sharpness.
    depth: f64,
    second: f64,
    weekdays: [f64; 7],
    pulse: f64,
    trend: Trend,
    /// Local day that is like a Sunday.
    holiday: Option<usize>,
}

/// A slow change of the level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trend {
    slope: f64,
    size: f64,
    period: f64,
    phase: f64,
}

impl Trend {
    pub(crate) fn draw(random: &mut Random) -> Trend {
        Trend {
            slope: random.within((-0.02, 0.03)),
            size: random.within((0.02, 0.07)),
            period: random.within((12.0, 40.0)),
            phase: random.unit(),
        }
    }

    pub(crate) fn at(&self, step: usize) -> f64 {
        let days = step as f64 / DAY as f64;
        1.0 + self.slope * days / 7.0 + self.size * libm::sin(TAU * (days / self.period + self.phase))
    }
}

impl Market {
    /// `holiday` is the day that all marketplaces of the world share, where the profile has one.
    pub(crate) fn draw(random: &mut Random, profile: Profile, scored: (usize, usize), holiday: usize) -> Market {
        let zone = libm::round(random.within((-8.0, 9.0)));
        let (peak, depth, second, weekend) = match profile {
            Profile::Shop => ((12.0, 21.0), (0.5, 0.85), (0.0, 0.25), (0.8, 1.3)),
            Profile::Office => ((7.0, 10.0), (0.08, 0.3), (0.0, 0.2), (0.25, 0.75)),
            Profile::Evening => ((18.5, 22.0), (1.2, 3.0), (0.08, 0.25), (1.0, 1.5)),
        };
        let (peak, depth) = (random.within(peak), random.within(depth));
        let (second, weekend) = (random.within(second), random.within(weekend));
        let mut weekdays = [0.0; 7];
        for (day, factor) in weekdays.iter_mut().enumerate() {
            *factor = random.within((0.95, 1.05)) * if day >= 5 { weekend } else { 1.0 };
        }
        let pulse = match profile {
            Profile::Shop => 0.0,
            Profile::Office => random.within((0.0, 0.35)),
            Profile::Evening => random.within((0.0, 0.2)),
        };
        let weekday = loop {
            let day = scored.0 + random.below(scored.1 - scored.0);
            if day % 7 < 5 {
                break day;
            }
        };
        let holiday = match profile {
            Profile::Shop => None,
            Profile::Office => Some(weekday),
            Profile::Evening => Some(holiday),
        };
        Market { profile, zone, peak, depth, second, weekdays, pulse, trend: Trend::draw(random), holiday }
    }

    /// Relative rate at a step, the slow trend included; `shift` moves the day by hours.
    pub(crate) fn rate(&self, step: usize, shift: f64) -> f64 {
        let local = self.local(step);
        let hour = (local % DAY) as f64 / 12.0 - shift;
        let factor = if self.is_holiday(step) { self.weekdays[6] * 0.95 } else { self.weekdays[local / DAY % 7] };
        self.day(hour) * factor * self.pulse(step) * self.trend.at(step)
    }

    /// Whether it is the local holiday.
    pub(crate) fn is_holiday(&self, step: usize) -> bool {
        self.holiday == Some((self.local(step) / DAY).saturating_sub(7))
    }

    /// Local time in intervals; a week ahead, so that it is never negative.
    fn local(&self, step: usize) -> usize {
        (step as f64 + self.zone * 12.0 + WEEK as f64) as usize
    }

    fn day(&self, hour: f64) -> f64 {
        let angle = TAU * (hour - self.peak) / 24.0;
        match self.profile {
            Profile::Shop => (1.0 + self.depth * libm::cos(angle) + self.second * libm::cos(2.0 * angle)).max(0.05),
            Profile::Office => {
                let hour = hour.rem_euclid(24.0);
                let edge = |at: f64| 1.0 / (1.0 + libm::exp(-(hour - at) / 0.6));
                let open = (edge(self.peak) - edge(self.peak + 9.5)).max(0.0);
                let lunch = self.second * libm::exp(-(hour - self.peak - 4.0) * (hour - self.peak - 4.0) / 0.8);
                self.depth + (1.0 - self.depth) * open * (1.0 - lunch)
            }
            Profile::Evening => {
                self.second
                    + (1.0 - self.second) * libm::exp(self.depth * (libm::cos(angle) - 1.0))
                    + 0.05 * libm::cos(2.0 * angle).max(0.0)
            }
        }
    }

    fn pulse(&self, step: usize) -> f64 {
        let every = if self.profile == Profile::Evening { 6 } else { 12 };
        if step.is_multiple_of(every) { 1.0 + self.pulse } else { 1.0 }
    }
}
