//! The 64 incidents of a world: eight kinds in equal shares; 75 % in one cell, 17 % in a marketplace, 8 % on a platform;
//! 60 % in both measures.
//!
//! Difficulty is `z = |change| / noise of one interval`, in the cell that shows it best: easy about 9, medium about 5, hard
//! about 3, and always `z sqrt(length) >= 8`. A drift reaches its z at 70 % of its length; a seasonal change moves the day by
//! hours and has its z on the mean. A dropout leaves at most 12 % and a missing interval nothing: their z is what the cell
//! offers at that time, so they are placed where it fits. A flat line repeats the last value: easy from two hours, medium
//! from one, hard from 40 minutes, in cells where values do not repeat by themselves.

use super::profile::DAY;
use super::random::Random;
use super::world::{CELLS, Cell, MARKETS, PLATFORMS, STEPS, WARM};

pub(crate) const COUNT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Dip,
    Spike,
    Level,
    Drift,
    Seasonal,
    Flat,
    Dropout,
    Missing,
}

impl Kind {
    pub(crate) const ALL: [Kind; 8] =
        [Kind::Dip, Kind::Spike, Kind::Level, Kind::Drift, Kind::Seasonal, Kind::Flat, Kind::Dropout, Kind::Missing];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Dip => "dip",
            Kind::Spike => "spike",
            Kind::Level => "level shift",
            Kind::Drift => "drift",
            Kind::Seasonal => "seasonal change",
            Kind::Flat => "flat line",
            Kind::Dropout => "dropout",
            Kind::Missing => "missing",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difficulty {
    Easy,
    Medium,
    Hard,
}

impl Difficulty {
    pub(crate) const ALL: [Difficulty; 3] = [Difficulty::Easy, Difficulty::Medium, Difficulty::Hard];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Difficulty::Easy => "easy",
            Difficulty::Medium => "medium",
            Difficulty::Hard => "hard",
        }
    }

    fn z(self) -> (f64, f64) {
        match self {
            Difficulty::Easy => (7.5, 11.0),
            Difficulty::Medium => (4.2, 6.0),
            Difficulty::Hard => (2.6, 3.6),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Cell,
    Market,
    Platform,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measures {
    Both,
    Views,
    Revenue,
}

/// An incident as the scorer knows it; first and last step are inside.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) kind: Kind,
    pub(crate) difficulty: Difficulty,
    pub(crate) scope: Scope,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The series that it is labelled on.
    pub(crate) series: Vec<usize>,
}

/// What it does to a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) measures: Measures,
    /// Relative change of the rate; of a seasonal change the share of the way to the other shape.
    pub(crate) change: f64,
    pub(crate) shift: Option<f64>,
}

impl Plan {
    /// Relative change at a step.
    pub(crate) fn change_at(&self, step: usize) -> f64 {
        match self.kind {
            Kind::Flat => 0.0,
            Kind::Drift => {
                let part = (step - self.start + 1) as f64 / (self.end - self.start + 1) as f64;
                self.change * (part / 0.7).min(1.0)
            }
            _ => self.change,
        }
    }
}

/// The incidents of a world, and what each cell gets of them.
pub(crate) fn plan(random: &mut Random, cells: &[Cell]) -> (Vec<Incident>, Vec<Vec<Plan>>) {
    let mut incidents = Vec::new();
    let mut plans: Vec<Vec<Plan>> = vec![Vec::new(); CELLS];
    for index in 0..COUNT {
        let kind = Kind::ALL[index % Kind::ALL.len()];
        let difficulty = Difficulty::ALL[(index / Kind::ALL.len() + index % Kind::ALL.len()) % Difficulty::ALL.len()];
        let scope = match random.unit() {
            unit if unit < 0.75 => Scope::Cell,
            unit if unit < 0.92 => Scope::Market,
            _ => Scope::Platform,
        };
        let measures = match random.unit() {
            _ if kind == Kind::Missing => Measures::Both,
            unit if unit < 0.6 => Measures::Both,
            unit if unit < 0.8 => Measures::Views,
            _ => Measures::Revenue,
        };
        for attempt in 0..6000 {
            // where no place fits a wide one, a single cell has it
            let scope = if attempt < 3000 { scope } else { Scope::Cell };
            let (platform, market) = (random.below(PLATFORMS), random.below(MARKETS));
            let hit: Vec<usize> = (0..CELLS)
                .filter(|cell| match scope {
                    Scope::Cell => *cell == platform * MARKETS + market,
                    Scope::Market => cell % MARKETS == market,
                    Scope::Platform => cell / MARKETS == platform,
                })
                .collect();
            let start = WARM + random.below(STEPS - WARM - DAY / 2);
            let revenue = measures == Measures::Revenue;
            // the cell that shows it best
            let spread = |cell: &usize| cells[*cell].spread(start, revenue);
            let Some(best) = hit.iter().copied().min_by(|a, b| spread(a).total_cmp(&spread(b))) else { continue };
            let Some(plan) = place(random, &cells[best], kind, difficulty, start, measures) else { continue };
            let apart = |other: &Plan| plan.start > other.end + DAY || other.start > plan.end + DAY;
            if plan.end + 12 >= STEPS || !hit.iter().all(|cell| plans[*cell].iter().all(apart)) {
                continue;
            }
            hit.iter().for_each(|cell| plans[*cell].push(plan));
            let series = hit.iter().flat_map(|cell| [(2 * cell, false), (2 * cell + 1, true)]);
            let series = series.filter(|(_, revenue)| measures.has(*revenue)).map(|(series, _)| series).collect();
            incidents.push(Incident { kind, difficulty, scope, start: plan.start, end: plan.end, series });
            break;
        }
    }
    (incidents, plans)
}

/// What an incident does, if it can be of this kind and difficulty in this cell at this time.
fn place(
    random: &mut Random,
    cell: &Cell,
    kind: Kind,
    difficulty: Difficulty,
    start: usize,
    measures: Measures,
) -> Option<Plan> {
    let revenue = measures == Measures::Revenue;
    let spread = cell.spread(start, revenue);
    let mut z = random.within(difficulty.z());
    let left = if kind == Kind::Dropout { random.within((0.0, 0.12)) } else { 0.0 };
    if matches!(kind, Kind::Dropout | Kind::Missing) {
        z = (1.0 - left) / spread;
        let (low, high) = difficulty.z();
        let high = if difficulty == Difficulty::Easy { f64::INFINITY } else { high };
        if !(low..high).contains(&z) {
            return None;
        }
    }
    let least = libm::ceil((8.0 / z) * (8.0 / z)).max(1.0);
    let range = match kind {
        Kind::Dip | Kind::Spike => (least, least + 10.0),
        Kind::Level => (least.max(24.0), 288.0),
        Kind::Drift => (48.0, 144.0),
        Kind::Seasonal => (144.0, 432.0),
        Kind::Dropout => (least.max(3.0), 48.0),
        Kind::Missing => (least, least.max(12.0)),
        Kind::Flat => match difficulty {
            Difficulty::Easy => (24.0, 72.0),
            Difficulty::Medium => (12.0, 24.0),
            Difficulty::Hard => (8.0, 12.0),
        },
    };
    let length = libm::round(random.within(range)) as usize;
    let end = start + length.max(1) - 1;
    let mean_spread = (start..=end).map(|step| cell.spread(step, revenue)).sum::<f64>() / length.max(1) as f64;
    let up = random.is(0.5);
    let mut shift = None;
    let change = match kind {
        Kind::Spike => z * spread,
        Kind::Dip => -z * spread,
        Kind::Level | Kind::Drift => z * mean_spread * if up { 1.0 } else { -1.0 },
        Kind::Seasonal => {
            let hours = random.within((3.0, 9.0)) * if up { 1.0 } else { -1.0 };
            shift = Some(hours);
            let moved = |step| (cell.rate(step, hours) / cell.rate(step, 0.0) - 1.0).abs() / cell.spread(step, revenue);
            z / ((start..=end).map(moved).sum::<f64>() / length as f64)
        }
        Kind::Dropout => left - 1.0,
        Kind::Missing => -1.0,
        Kind::Flat => 0.0,
    };
    let possible = match kind {
        Kind::Seasonal => change <= 1.0,
        Kind::Flat => cell.rate(start, 0.0) * cell.spread(start, false) > 4.0 && spread < 0.3,
        Kind::Dropout | Kind::Missing => true,
        _ => (-0.95..5.0).contains(&change),
    };
    possible.then_some(Plan { kind, start, end, measures, change, shift })
}
