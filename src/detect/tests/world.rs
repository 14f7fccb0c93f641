//! Worlds to detect in: values per series and interval, and which of them are abnormal.

use super::random::Random;

/// One series of a world.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) key: Vec<String>,
    pub(crate) values: Vec<Option<f64>>,
    /// First and last abnormal interval, both inclusive, with what it is and the number of the incident: several series
    /// may share one.
    pub(crate) incidents: Vec<(usize, usize, String, usize)>,
}

/// The sample generator: 21 series of views, and the revenue that follows them.
pub(crate) fn ecommerce(seed: u64, days: usize, chance: f64) -> Vec<(Truth, Truth)> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    let mut count = 0;
    for platform in ["pc_web", "mobile_web", "mobile_app"] {
        for marketplace in ["us", "uk", "de", "fr", "es", "it", "jp"] {
            let peak = random.within(200.0, 400.0);
            let peak_time = random.within(720.0, 1260.0);
            let offset = random.within(100.0, 200.0);
            let size = random.within(2.0, 10.0);
            let (mut views, mut incidents) = (Vec::new(), Vec::new());
            let (mut left, mut shift) = (0usize, 0.0);
            for step in 0..days * 288 {
                if left == 0 && random.unit() < chance {
                    left = (random.within(1.0, 300.0) / 5.0).ceil() as usize;
                    shift = random.within(100.0, 600.0) * if random.unit() < 0.5 { 1.0 } else { -1.0 };
                    incidents.push((step, (step + left - 1).min(days * 288 - 1), "shift".to_owned(), count));
                    count += 1;
                }
                let minute = (step % 288) as f64 * 5.0;
                let wave = libm::cos(std::f64::consts::TAU * (minute - peak_time) / 1440.0) + 1.0;
                let mut value = peak * wave + offset + random.within(-size, size);
                if left > 0 {
                    value += shift;
                    left -= 1;
                }
                views.push(libm::trunc(value).max(0.0));
            }
            let key = vec![platform.to_owned(), marketplace.to_owned()];
            let revenue = views.iter().map(|value| Some(0.3 * value)).collect();
            let views = views.into_iter().map(Some).collect();
            all.push((
                Truth { key: key.clone(), values: views, incidents: incidents.clone() },
                Truth { key, values: revenue, incidents },
            ));
        }
    }
    all
}

/// Kinds of incident.
pub(crate) const KINDS: [&str; 8] = ["dip", "spike", "level", "drift", "seasonal", "flat", "dropout", "missing"];

/// Counts with a daily and weekly shape, autocorrelated noise and a slow trend: 4 platforms times 10 marketplaces,
/// views and revenue. Incidents begin after `quiet` days. `profile` 0 or 1 changes shapes, noise and weekends.
pub(crate) fn services(seed: u64, quiet: usize, days: usize, count: usize, profile: u32) -> Vec<(Truth, Truth)> {
    let mut random = Random::new(seed ^ 0xabcdef);
    let steps = days * 288;
    let markets: Vec<Market> = (0..10).map(|_| Market::draw(&mut random, profile)).collect();
    let platform_weight: Vec<f64> = (0..4).map(|_| random.within(0.5, 1.5)).collect();
    let mut cells = Vec::new();
    for weight in &platform_weight {
        for market in &markets {
            let base = libm::exp(random.within(libm::log(0.7), libm::log(8000.0))) * weight.sqrt();
            let phi = random.within(0.7, 0.95);
            let ar = if profile == 0 { random.within(0.01, 0.04) } else { random.within(0.02, 0.06) };
            let white = random.within(0.005, 0.03);
            let (mut state, mut rates, mut noise) = (0.0, Vec::new(), Vec::new());
            for step in 0..steps {
                state = phi * state + ar * (1.0 - phi * phi).sqrt() * random.gauss();
                let mean = base * market.shape(step);
                rates.push(mean * (1.0 + state + white * random.gauss()).max(0.0));
                noise.push((ar * ar + white * white).sqrt());
            }
            cells.push((rates, noise));
        }
    }
    let mut plans: Vec<Vec<Plan>> = vec![Vec::new(); 40];
    for index in 0..count {
        let kind = index % KINDS.len();
        let z = [9.0, 5.0, 3.0][random.below(3)];
        let place = random.unit();
        let (platform, market) = (random.below(4), random.below(10));
        let hit: Vec<usize> = (0..40)
            .filter(|cell| match place {
                p if p < 0.75 => *cell == platform * 10 + market,
                p if p < 0.92 => cell % 10 == market,
                _ => cell / 10 == platform,
            })
            .collect();
        let long: f64 = (8.0f64 / z).powi(2).max(2.0);
        let length = match KINDS[kind] {
            "spike" | "dip" => random.within(long, long + 12.0),
            "missing" => random.within(2.0, 12.0),
            "dropout" | "flat" => random.within(6.0, 48.0),
            "level" => random.within(24.0, 200.0),
            _ => random.within(48.0, 144.0),
        } as usize;
        for _ in 0..200 {
            let start = quiet * 288 + random.below(steps - quiet * 288 - length - 12);
            let both = random.unit() < 0.6;
            let up = random.unit() < 0.5;
            let plan = Plan { index, kind, start, end: start + length - 1, z, both, up };
            let clear = hit.iter().all(|cell| {
                let busy = cells[*cell].0[start] > 8.0 || hit.len() > 1;
                busy && plans[*cell].iter().all(|other| plan.start > other.end + 288 || other.start > plan.end + 288)
            });
            if clear {
                hit.iter().for_each(|cell| plans[*cell].push(plan));
                break;
            }
        }
    }
    cells
        .iter()
        .zip(&plans)
        .enumerate()
        .map(|(cell, ((rates, noise), plans))| render(&mut random, cell, rates, noise[0], plans))
        .collect()
}

struct Market {
    peak: f64,
    width: f64,
    second: f64,
    weekend: f64,
    trend: f64,
    pulse: f64,
}

impl Market {
    fn draw(random: &mut Random, profile: u32) -> Market {
        Market {
            peak: random.within(10.0, 22.0),
            width: random.within(0.5, 0.9),
            second: random.within(0.0, 0.25),
            weekend: if profile == 0 { random.within(0.7, 1.2) } else { random.within(0.4, 1.5) },
            trend: random.within(-0.05, 0.1),
            pulse: if profile == 0 { 0.0 } else { random.within(0.0, 0.4) },
        }
    }

    fn shape(&self, step: usize) -> f64 {
        let hour = (step % 288) as f64 / 12.0;
        let wave = 1.0
            + self.width * libm::cos(std::f64::consts::TAU * (hour - self.peak) / 24.0)
            + self.second * libm::cos(2.0 * std::f64::consts::TAU * (hour - self.peak) / 24.0);
        let weekday = (step / 288) % 7;
        let weekend = if weekday >= 5 { self.weekend } else { 1.0 };
        let pulse = if step.is_multiple_of(12) { 1.0 + self.pulse } else { 1.0 };
        wave.max(0.05) * weekend * pulse * (1.0 + self.trend * step as f64 / 2016.0 / 4.0)
    }
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    index: usize,
    kind: usize,
    start: usize,
    end: usize,
    z: f64,
    both: bool,
    up: bool,
}

fn render(random: &mut Random, cell: usize, rates: &[f64], noise: f64, plans: &[Plan]) -> (Truth, Truth) {
    let mut key = vec![format!("p{}", cell / 10), format!("m{}", cell % 10)];
    key.truncate(2);
    let conversion = random.within(0.05, 0.4);
    let price = random.within(5.0, 60.0);
    let mut views: Vec<f64> = Vec::new();
    let mut revenue: Vec<f64> = Vec::new();
    for (step, rate) in rates.iter().enumerate() {
        let (mut to_views, mut to_revenue) = (*rate, *rate);
        let mut hold = None;
        for plan in plans.iter().filter(|plan| (plan.start..=plan.end).contains(&step)) {
            let sigma_views = (rate + rate * rate * noise * noise).sqrt().max(0.5);
            let orders = rate * conversion;
            let sigma_orders = (orders + orders * orders * noise * noise).sqrt().max(0.5) / conversion;
            let part = (step - plan.start + 1) as f64 / (plan.end - plan.start + 1) as f64;
            let sign = match KINDS[plan.kind] {
                "spike" => 1.0,
                "dip" => -1.0,
                _ if plan.up => 1.0,
                _ => -1.0,
            };
            let change = |sigma: f64| match KINDS[plan.kind] {
                "spike" | "dip" | "level" => sign * plan.z * sigma,
                "drift" => sign * plan.z * sigma * part,
                "seasonal" => plan.z * sigma * libm::sin(part * 2.0 * std::f64::consts::TAU),
                "dropout" | "missing" => -1e12,
                _ => 0.0,
            };
            if KINDS[plan.kind] == "flat" {
                hold = Some(plan.both);
            }
            to_views = (rate + change(sigma_views)).max(0.0);
            if plan.both {
                to_revenue = (rate + change(sigma_orders)).max(0.0);
            }
        }
        let orders = random.poisson(to_revenue * conversion);
        let fresh_views = random.poisson(to_views);
        let fresh_revenue =
            libm::round(100.0 * orders * price * libm::exp(0.3 * random.gauss() / orders.max(1.0).sqrt())) / 100.0;
        views.push(if hold.is_some() && step > 0 { views[step - 1] } else { fresh_views });
        revenue.push(if hold == Some(true) && step > 0 { revenue[step - 1] } else { fresh_revenue });
    }
    let incidents = |both_only: bool| -> Vec<(usize, usize, String, usize)> {
        let shown = plans.iter().filter(|plan| !both_only || plan.both);
        shown
            .map(|plan| {
                let hardness = if plan.z > 8.0 {
                    "easy"
                } else if plan.z > 4.0 {
                    "medium"
                } else {
                    "hard"
                };
                (plan.start, plan.end, format!("{} {hardness}", KINDS[plan.kind]), plan.index)
            })
            .collect()
    };
    let sent = |values: Vec<f64>| values.into_iter().map(|value| (value > 0.0).then_some(value)).collect();
    (
        Truth { key: key.clone(), values: sent(views), incidents: incidents(false) },
        Truth { key, values: sent(revenue), incidents: incidents(true) },
    )
}
