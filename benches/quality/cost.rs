//! `cost`: CPU time per point, in the same run, over the second half of a stream: the bare forest of workload b (one value,
//! shingle 8, 30 trees; `benches/rcf.rs`), and the whole detector as shipped with one series. Medians over the seeds.

use std::hint::black_box;

use tidewatch::detect::{Aggregation, Detector};
use tidewatch::model::{Cell, ClosedInterval, SeriesKey, Stats};
use tidewatch::rcf::{Forest, Settings};

use super::drive;
use super::options::Options;
use super::peer;
use super::profile::Profile;
use super::random::Random;
use super::world::World;

const POINTS: usize = 40_000;

pub(crate) fn run(options: &Options) {
    println!("\n== cost: us of CPU per point, second half of the stream, median of {} seeds", options.seeds);
    let world = World::new(1, Profile::Office);
    let busiest = (0..world.cells.len())
        .max_by(|a, b| world.cells[*a].mean_count(false).total_cmp(&world.cells[*b].mean_count(false)));
    let counts = &world.values[2 * busiest.unwrap_or(0)];
    println!("{:44} {:>10} {:>10}", "", "workload b", "a service");
    let mut rows: Vec<(&str, Vec<[f64; 2]>)> =
        ["bare forest, 1 x 8, 30 trees", "detector as shipped", "krcf, 1 x 8, 30 trees"]
            .map(|name| (name, Vec::new()))
            .into();
    for seed in 1..=options.seeds {
        let streams = [waves(seed), counts.clone()];
        let each = |of: &dyn Fn(&[f64]) -> f64| [of(&streams[0]), of(&streams[1])];
        rows[0].1.push(each(&|values| bare(values, seed)));
        rows[1].1.push(each(&|values| detector(values, seed)));
        if options.peers {
            rows[2].1.push(each(&|values| krcf(values, seed)));
        }
    }
    let medians: Vec<[f64; 2]> =
        rows.iter().map(|(_, all)| [0, 1].map(|at| median(all.iter().map(|one| one[at])))).collect();
    for ((name, all), median) in rows.iter().zip(&medians).filter(|((_, all), _)| !all.is_empty()) {
        let _ = all;
        println!("{name:44} {:10.2} {:10.2}", median[0], median[1]);
    }
    println!(
        "{:44} {:10.2} {:10.2}",
        "detector over bare forest",
        medians[1][0] / medians[0][0],
        medians[1][1] / medians[0][1]
    );
}

/// Noisy sines with spikes, about as workload b.
fn waves(seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let each = (0..POINTS).map(|at| {
        let wave = 100.0 * libm::sin(std::f64::consts::TAU * at as f64 / 120.0);
        let spike =
            if random.is(0.005) { random.within((60.0, 120.0)) * if random.is(0.5) { 1.0 } else { -1.0 } } else { 0.0 };
        wave + 10.0 * random.gauss() + spike
    });
    each.collect()
}

fn timed(values: &[f64], mut step: impl FnMut(usize, f64)) -> f64 {
    let half = values.len() / 2;
    values[..half].iter().enumerate().for_each(|(at, value)| step(at, *value));
    let start = cpu_us();
    values[half..].iter().enumerate().for_each(|(at, value)| step(half + at, *value));
    (cpu_us() - start) / (values.len() - half) as f64
}

fn bare(values: &[f64], seed: u64) -> f64 {
    let settings = Settings::new(1, 8).unwrap().trees(30).unwrap().time_decay(1.0 / 2560.0).unwrap().seed(seed);
    let mut forest = Forest::new(settings);
    timed(values, |_, value| {
        black_box(forest.observe(&[value]).unwrap());
    })
}

fn krcf(values: &[f64], seed: u64) -> f64 {
    let mut forest = peer::new_forest(seed);
    timed(values, |_, value| {
        black_box(forest.score(&[value as f32]).unwrap());
        forest.update(&[value as f32]).unwrap();
    })
}

fn detector(values: &[f64], seed: u64) -> f64 {
    let mut detector = Detector::new(drive::settings(&["value"], Aggregation::Avg, &[], 5, seed));
    let (first, key) = (drive::monday(5), SeriesKey::new([]));
    timed(values, |at, value| {
        let mut stats = Stats::EMPTY;
        stats.add(value);
        let cells = vec![Cell { key: key.clone(), rows: 1, stats: vec![stats], sketches: Vec::new() }];
        black_box(detector.observe(&ClosedInterval { interval: first.offset(at as i64), cells }));
    })
}

/// CPU time of this thread in microseconds; wall time where the system does not tell.
fn cpu_us() -> f64 {
    let read = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    match read.as_deref().and_then(|text| text.split(' ').next()).and_then(|ns| ns.parse::<f64>().ok()) {
        Some(ns) => ns / 1000.0,
        None => wall_us(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn wall_us() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() * 1e6
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
