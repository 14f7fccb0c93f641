//! A made world: 4 platforms x 10 marketplaces, views and revenue, 80 series at five minutes; two weeks to learn from, four
//! that are scored, 64 incidents in them. Everything follows from the seed and the profile.
//!
//! `rate = base x shape of the local day x weekday x slow trends (of the marketplace, of the platform) x exp(AR(1) + white)`
//! with `base` log-uniform over 0.7 to 8000 per interval, so that a quarter of the cells are sparse. Views are Poisson counts;
//! revenue is a Poisson number of orders, each of log-normal value. An interval with 0 sends no record.

use super::incident::{Incident, Kind, Measures, Plan, plan};
use super::profile::{DAY, Market, Profile, Trend};
use super::random::Random;

pub(crate) const PLATFORMS: usize = 4;
pub(crate) const MARKETS: usize = 10;
pub(crate) const CELLS: usize = PLATFORMS * MARKETS;
/// Views and revenue of each cell: series `2 cell` and `2 cell + 1`.
pub(crate) const SERIES: usize = 2 * CELLS;
/// First step that is scored, and the end.
pub(crate) const WARM: usize = 14 * DAY;
pub(crate) const STEPS: usize = 42 * DAY;
/// Spread of the logarithm of the value of an order, and the variance of that value relative to its mean.
const VALUE_SPREAD: f64 = 0.5;
const VALUE_VARIANCE: f64 = 0.284_025;

/// A world as the detectors see it, and what is known of it.
pub(crate) struct World {
    pub(crate) profile: Profile,
    /// Per series; 0 is no record.
    pub(crate) values: Vec<Vec<f64>>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) cells: Vec<Cell>,
}

/// What the two series of a platform and marketplace are made from.
pub(crate) struct Cell {
    pub(crate) market: Market,
    base: f64,
    platform_trend: Trend,
    /// Hours that this platform is later than the marketplace.
    late: f64,
    /// Orders per view, and the mean value of an order.
    conversion: f64,
    price: f64,
    /// Relative noise of the rate, both parts together.
    noise: f64,
    slow: (f64, f64),
    white: f64,
}

impl Cell {
    /// Expected views of an interval; `shift` moves the day by hours.
    pub(crate) fn rate(&self, step: usize, shift: f64) -> f64 {
        self.base * self.market.rate(step, shift + self.late) * self.platform_trend.at(step)
    }

    /// Standard deviation of an interval of views, or of revenue, relative to its mean.
    pub(crate) fn spread(&self, step: usize, of_revenue: bool) -> f64 {
        let rate = self.rate(step, 0.0);
        let counts = if of_revenue { (1.0 + VALUE_VARIANCE) / (rate * self.conversion) } else { 1.0 / rate };
        (counts + self.noise * self.noise).sqrt()
    }

    /// Mean number of views, or orders, of an interval over a week.
    pub(crate) fn mean_count(&self, of_revenue: bool) -> f64 {
        let mean = (0..7 * DAY).step_by(7).map(|step| self.rate(step, 0.0)).sum::<f64>() / DAY as f64;
        if of_revenue { mean * self.conversion } else { mean }
    }
}

impl World {
    pub(crate) fn new(seed: u64, profile: Profile) -> World {
        let mut random = Random::new(seed);
        let scored = (WARM / DAY, STEPS / DAY);
        let holiday = scored.0 + 7 * random.below(4) + random.below(5);
        let markets: Vec<Market> = (0..MARKETS).map(|_| Market::draw(&mut random, profile, scored, holiday)).collect();
        let platforms: Vec<(f64, Trend)> =
            (0..PLATFORMS).map(|_| (random.within((-1.0, 1.0)), Trend::draw(&mut random))).collect();
        let noise = profile.noise();
        let cells: Vec<Cell> = (0..CELLS)
            .map(|cell| {
                let (late, platform_trend) = platforms[cell / MARKETS];
                let (slow, white) = (random.within(noise.slow), random.within(noise.white));
                Cell {
                    market: markets[cell % MARKETS].clone(),
                    base: libm::exp(random.within((libm::log(0.7), libm::log(8000.0)))),
                    platform_trend,
                    late,
                    conversion: libm::exp(random.within((libm::log(0.02), libm::log(0.4)))),
                    price: random.within((5.0, 60.0)),
                    noise: (slow * slow + white * white).sqrt(),
                    slow: (slow, random.within(noise.memory)),
                    white,
                }
            })
            .collect();
        let (incidents, plans) = plan(&mut random, &cells);
        let values = cells.iter().zip(&plans).flat_map(|(cell, plans)| render(&mut random, cell, plans)).collect();
        World { profile, values, incidents, cells }
    }

    /// Whether the cell of a series has few counts.
    pub(crate) fn is_sparse(&self, series: usize) -> bool {
        self.cells[series / 2].mean_count(series % 2 == 1) < 5.0
    }
}

/// Views and revenue of a cell with its incidents.
fn render(random: &mut Random, cell: &Cell, plans: &[Plan]) -> [Vec<f64>; 2] {
    let (mut views, mut revenue) = (Vec::with_capacity(STEPS), Vec::with_capacity(STEPS));
    let (slow, memory) = cell.slow;
    let mut state = slow * random.gauss();
    for step in 0..STEPS {
        state = memory * state + slow * (1.0 - memory * memory).sqrt() * random.gauss();
        let noise = libm::exp(state + cell.white * random.gauss());
        let rate = cell.rate(step, 0.0);
        let active = plans.iter().find(|plan| (plan.start..=plan.end).contains(&step));
        let factor = active.map_or(1.0, |plan| match plan.shift {
            Some(shift) => (1.0 + plan.change * (cell.rate(step, shift) / rate - 1.0)).max(0.0),
            None => (1.0 + plan.change_at(step)).max(0.0),
        });
        let hits = |revenue: bool| active.is_some_and(|plan| plan.measures.has(revenue));
        let rate_of = |revenue: bool| rate * noise * if hits(revenue) { factor } else { 1.0 };
        let (count, paid) = (random.poisson(rate_of(false)), orders(random, cell, rate_of(true)));
        let is_flat = active.is_some_and(|plan| plan.kind == Kind::Flat);
        let held = |revenue: bool, fresh: f64, past: &[f64]| match past.last() {
            Some(last) if is_flat && hits(revenue) => *last,
            _ => fresh,
        };
        let (count, paid) = (held(false, count, &views), held(true, paid, &revenue));
        views.push(count);
        revenue.push(paid);
    }
    [views, revenue]
}

fn orders(random: &mut Random, cell: &Cell, views: f64) -> f64 {
    let count = random.poisson(views * cell.conversion);
    let total = if count < 20.0 {
        let mean = VALUE_SPREAD * VALUE_SPREAD / 2.0;
        (0..count as usize).map(|_| libm::exp(VALUE_SPREAD * random.gauss() - mean)).sum()
    } else {
        count + (count * VALUE_VARIANCE).sqrt() * random.gauss()
    };
    libm::round(100.0 * cell.price * total.max(0.0)) / 100.0
}

impl Measures {
    /// Whether views, or revenue, are hit.
    pub(crate) fn has(self, revenue: bool) -> bool {
        match self {
            Measures::Both => true,
            Measures::Views => !revenue,
            Measures::Revenue => revenue,
        }
    }
}
