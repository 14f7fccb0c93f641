//! Our forest and krcf (the AWS library's Rust port) side by side: speed, size and detection on the four workloads.
//!
//! `cargo bench --bench rcf` prints medians over five seeds; `-- --points N` sets the length of the streams (40,000),
//! `-- --seeds N` the seeds, `-- --only b` one workload, `-- --ours` leaves krcf out, `-- --hot` times ours alone, `-- --cold N` visits N forests of
//! workload b in turn (1,000; 0 skips it). Each seed is one run: both forests learn the same stream, one after the
//! other; a point is scored, then learnt. Time is CPU time of this thread, where the system tells it, over the second
//! half of the stream, when the samples are in their steady state.
//!
//! The streams are noisy sines, 0.5 % of the points carry a spike in one dimension. K is the number of spikes: recall
//! at K is the share of spikes among the K highest scores. Left out are the first half of the stream and the points
//! that still hold an earlier spike in their shingle. Each stream is judged by two forests of each kind, whose figures
//! are averaged; by how much the AUC of krcf's two differ, and Spearman's rank correlation of one with the other, show
//! how much of a difference is the forests' own randomness.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at any surprise")]

use std::hint::black_box;

use krcf::{RandomCutForest, RandomCutForestOptions};
use tidewatch::rcf::{Forest, Scores, Settings};

const DECAY: f64 = 1.0 / 2560.0;

struct Workload {
    name: &'static str,
    dims: usize,
    shingle: usize,
    trees: usize,
}

const WORKLOADS: [Workload; 4] = [
    Workload { name: "a", dims: 1, shingle: 1, trees: 100 },
    Workload { name: "b", dims: 1, shingle: 8, trees: 30 },
    Workload { name: "c", dims: 2, shingle: 8, trees: 50 },
    Workload { name: "d", dims: 5, shingle: 4, trees: 50 },
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, usual: usize| {
        args.iter().position(|a| a == name).map_or(usual, |at| args.get(at + 1).and_then(|v| v.parse().ok()).unwrap())
    };
    let points = number("--points", 40_000);
    let seeds = number("--seeds", 5);
    let cold = number("--cold", 1000);
    let only = args.iter().position(|a| a == "--only").and_then(|at| args.get(at + 1).cloned());
    let ours_only = args.iter().any(|a| a == "--ours");
    if args.iter().any(|a| a == "--hot") {
        return hot(points, number("--mass", 3), only.as_deref());
    }

    println!(
        "hot: one forest, {points} points, score + update, us of CPU per point in the second half (median of {seeds})"
    );
    println!("{:30} {:>8} {:>8} {:>7} {:>8}", "workload", "ours", "krcf", "ratio", "(score)");
    let mut detection = Vec::new();
    for w in WORKLOADS.iter().filter(|w| only.as_deref().is_none_or(|name| name == w.name)) {
        let runs: Vec<Run> = (0..seeds as u64).map(|seed| run(w, points, seed, ours_only)).collect();
        let median = |part: fn(&Run) -> f64| median(runs.iter().map(part).collect());
        let (ours, krcf) = (median(|r| r.ours_us), median(|r| r.krcf_us));
        let shape = format!("{}: {} x {}, {} trees", w.name, w.dims, w.shingle, w.trees);
        println!("{shape:30} {ours:8.2} {krcf:8.2} {:7.1} {:8.2}", krcf / ours, median(|r| r.ours_score_us));
        detection.push((w, runs));
    }

    println!("\ndetection (mean of {seeds}): AUC / recall at K");
    println!(
        "{:4} {:>16} {:>16} {:>16} {:>16} {:>11} {:>11} {:>11}",
        "", "expected depth", "log mass", "displacement", "krcf", "krcf, krcf", "rank, krcf", "krcf, krcf"
    );
    for (w, runs) in &detection {
        let mean = |part: &dyn Fn(&Run) -> f64| runs.iter().map(part).sum::<f64>() / runs.len() as f64;
        let cell = |i: usize| format!("{:.4} / {:.3}", mean(&|r| r.quality[i].0), mean(&|r| r.quality[i].1));
        print!("{:4} {:>16} {:>16} {:>16} {:>16}", w.name, cell(0), cell(1), cell(2), cell(3));
        println!(" {:11.4} {:11.3} {:11.3}", mean(&|r| r.krcf_spread), mean(&|r| r.ranks[0]), mean(&|r| r.ranks[1]));
    }

    println!("\nbytes of one forest after {points} points");
    println!("{:4} {:>10} {:>10} {:>10} {:>10} {:>10}", "", "boxes > 3", "> 8", "> 24", "snapshot", "krcf");
    for (w, runs) in &detection {
        let r = &runs[0];
        println!(
            "{:4} {:10} {:10} {:10} {:10} {:10}",
            w.name, r.bytes[0], r.bytes[1], r.bytes[2], r.snapshot, r.krcf_bytes
        );
    }

    if cold > 0 {
        println!("\ncold: {cold} forests of workload b in turn, one point each, us of CPU per point");
        for mass in [1, 3, 8, 24] {
            let (us, bytes) = cold_ours(cold, mass);
            println!("ours, boxes above {mass:2}  {us:8.2}  {bytes:8} bytes a forest");
        }
        if !ours_only {
            println!("krcf                 {:8.2}", cold_krcf(cold));
        }
    }
}

/// Ours alone, for a profiler: score and update, then update alone, then score alone.
fn hot(points: usize, mass: usize, only: Option<&str>) {
    for w in WORKLOADS.iter().filter(|w| only.is_none_or(|name| name == w.name)) {
        let (blocks, _) = stream(w.dims, 2 * points, 1);
        let (past, future) = blocks.split_at(points);
        let mut forest = learnt(w, past, mass);
        let start = cpu_us();
        for block in future {
            black_box(forest.score(block).unwrap());
            forest.update(block).unwrap();
        }
        let both = cpu_us();
        future.iter().for_each(|block| forest.update(block).unwrap());
        let us = |from: f64, to: f64| (to - from) / points as f64;
        let (both, update) = (us(start, both), us(both, cpu_us()));
        println!("{} both {both:.2} update {update:.2} bytes {}", w.name, forest.memory_bytes());
    }
}

/// What one seed of one workload gave.
struct Run {
    ours_us: f64,
    ours_score_us: f64,
    krcf_us: f64,
    /// AUC and recall at K of our three scores and krcf's, each the mean of two forests on the same stream.
    quality: [(f64, f64); 4],
    /// By how much the AUC of krcf's two forests differ.
    krcf_spread: f64,
    /// Rank correlation of krcf's score with our expected depth, and with krcf's of another seed.
    ranks: [f64; 2],
    /// With boxes above mass 3, 8, 24.
    bytes: [usize; 3],
    snapshot: usize,
    krcf_bytes: usize,
}

fn run(w: &Workload, points: usize, seed: u64, ours_only: bool) -> Run {
    let (blocks, spikes) = stream(w.dims, points, seed);
    let half = points / 2;
    let mut forest = ours(w, seed, 3);
    let mut scores = Vec::with_capacity(points);
    let mut start = 0.0;
    for (t, block) in blocks.iter().enumerate() {
        if t == half {
            start = cpu_us();
        }
        scores.push(forest.observe(block).unwrap());
    }
    let ours_us = (cpu_us() - start) / (points - half) as f64;
    let start = cpu_us();
    for block in &blocks[half..] {
        black_box(forest.score(block).unwrap());
    }
    let ours_score_us = (cpu_us() - start) / (points - half) as f64;

    let mut forest_again = ours(w, seed + 1000, 3);
    let scores_again: Vec<Scores> = blocks.iter().map(|block| forest_again.observe(block).unwrap()).collect();
    let mut theirs = vec![0.0; points];
    let mut theirs_again = vec![0.0; points];
    let (mut krcf_us, mut krcf_bytes) = (0.0, 0);
    if !ours_only {
        let narrow: Vec<Vec<f32>> = blocks.iter().map(|block| block.iter().map(|v| *v as f32).collect()).collect();
        let mut forest = krcf_forest(w, seed);
        krcf_scores(&mut forest, &narrow[..half], &mut theirs[..half]);
        let start = cpu_us();
        krcf_scores(&mut forest, &narrow[half..], &mut theirs[half..]);
        krcf_us = (cpu_us() - start) / (points - half) as f64;
        krcf_scores(&mut krcf_forest(w, seed + 1000), &narrow, &mut theirs_again);
        if seed == 0 {
            let before = resident_bytes();
            let copies: Vec<RandomCutForest> = (0..60).map(|_| forest.clone()).collect();
            krcf_bytes = resident_bytes().saturating_sub(before) / copies.len();
        }
    }
    let bytes = if seed == 0 { [3, 8, 24].map(|mass| learnt(w, &blocks, mass).memory_bytes()) } else { [0; 3] };
    // the second half, without the echoes of earlier spikes
    let judged: Vec<usize> = (half..points).filter(|t| !spikes[t + 1 - w.shingle..*t].contains(&true)).collect();
    let pick = |part: &dyn Fn(usize) -> f64| -> Vec<f64> { judged.iter().map(|t| part(*t)).collect() };
    let spikes: Vec<bool> = judged.iter().map(|t| spikes[*t]).collect();
    let depth = pick(&|t| scores[t].expected_depth);
    let (theirs, theirs_again) = (pick(&|t| theirs[t]), pick(&|t| theirs_again[t]));
    let rank = ranks(&theirs);
    let both = |one: &[f64], two: &[f64]| {
        let mean = |part: fn(&[f64], &[bool]) -> f64| (part(one, &spikes) + part(two, &spikes)) / 2.0;
        (mean(auc), mean(recall))
    };
    let of_ours = |part: fn(&Scores) -> f64| both(&pick(&|t| part(&scores[t])), &pick(&|t| part(&scores_again[t])));
    let [by_depth, by_mass, by_displacement] =
        [of_ours(|s| s.expected_depth), of_ours(|s| s.log_mass), of_ours(|s| s.displacement)];
    Run {
        ours_us,
        ours_score_us,
        krcf_us,
        quality: [by_depth, by_mass, by_displacement, both(&theirs, &theirs_again)],
        krcf_spread: (auc(&theirs, &spikes) - auc(&theirs_again, &spikes)).abs(),
        ranks: [correlation(&ranks(&depth), &rank), correlation(&ranks(&theirs_again), &rank)],
        bytes,
        snapshot: forest.to_bytes().len(),
        krcf_bytes,
    }
}

fn krcf_scores(forest: &mut RandomCutForest, blocks: &[Vec<f32>], scores: &mut [f64]) {
    for (block, score) in blocks.iter().zip(scores) {
        *score = forest.score(block).unwrap();
        forest.update(block).unwrap();
    }
}

fn ours(w: &Workload, seed: u64, box_mass: usize) -> Forest {
    let settings = Settings::new(w.dims, w.shingle).unwrap().trees(w.trees).unwrap().time_decay(DECAY).unwrap();
    Forest::new(settings.box_mass(box_mass).unwrap().seed(seed))
}

fn learnt(w: &Workload, blocks: &[Vec<f64>], box_mass: usize) -> Forest {
    let mut forest = ours(w, 0, box_mass);
    blocks.iter().for_each(|block| forest.update(block).unwrap());
    forest
}

fn krcf_forest(w: &Workload, seed: u64) -> RandomCutForest {
    RandomCutForest::new(RandomCutForestOptions {
        dimensions: w.dims,
        shingle_size: w.shingle,
        num_trees: Some(w.trees),
        sample_size: Some(256),
        lambda: Some(DECAY),
        random_seed: Some(seed),
        internal_shingling: Some(true),
        parallel_execution_enabled: Some(false),
        bounding_box_cache_fraction: Some(1.0),
        ..RandomCutForestOptions::default()
    })
    .unwrap()
}

const COLD: Workload = Workload { name: "b", dims: 1, shingle: 8, trees: 30 };
const COLD_LEARNT: usize = 15_000;
const COLD_ROUNDS: usize = 10;

fn cold_ours(count: usize, box_mass: usize) -> (f64, usize) {
    let (blocks, _) = stream(1, COLD_LEARNT + COLD_ROUNDS, 1);
    let forest = learnt(&COLD, &blocks[..COLD_LEARNT], box_mass);
    let mut forests: Vec<Forest> = (0..count).map(|_| forest.clone()).collect();
    let start = cpu_us();
    for block in &blocks[COLD_LEARNT..] {
        for forest in &mut forests {
            black_box(forest.observe(block).unwrap());
        }
    }
    ((cpu_us() - start) / (count * COLD_ROUNDS) as f64, forests[0].memory_bytes())
}

fn cold_krcf(count: usize) -> f64 {
    let (blocks, _) = stream(1, COLD_LEARNT + COLD_ROUNDS, 1);
    let mut forest = krcf_forest(&COLD, 1);
    blocks[..COLD_LEARNT].iter().for_each(|block| forest.update(&[block[0] as f32]).unwrap());
    let mut forests: Vec<RandomCutForest> = (0..count).map(|_| forest.clone()).collect();
    let start = cpu_us();
    for block in &blocks[COLD_LEARNT..] {
        for forest in &mut forests {
            black_box(forest.score(&[block[0] as f32]).unwrap());
            forest.update(&[block[0] as f32]).unwrap();
        }
    }
    (cpu_us() - start) / (count * COLD_ROUNDS) as f64
}

/// Blocks of noisy sines, and whether each carries a spike.
fn stream(dims: usize, count: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<bool>) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66;
    let mut uniform = move || {
        // xorshift64*: only test data
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut blocks = Vec::with_capacity(count);
    let mut spikes = Vec::with_capacity(count);
    for t in 0..count {
        let spike = uniform() < 0.005;
        let place = (uniform() * dims as f64) as usize;
        let size = (60.0 + 60.0 * uniform()) * if uniform() < 0.5 { -1.0 } else { 1.0 };
        let block = (0..dims).map(|dim| {
            let noise = 10.0 * ((0..12).map(|_| uniform()).sum::<f64>() - 6.0);
            let wave = 100.0 * (std::f64::consts::TAU * (t as f64 / 120.0 + dim as f64 / 7.0)).sin();
            wave + noise + if spike && dim == place { size } else { 0.0 }
        });
        blocks.push(block.collect());
        spikes.push(spike);
    }
    (blocks, spikes)
}

/// CPU time of this thread in microseconds; wall time where the system does not tell.
fn cpu_us() -> f64 {
    let read = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    match read.as_deref().and_then(|s| s.split(' ').next()).and_then(|ns| ns.parse::<f64>().ok()) {
        Some(ns) => ns / 1000.0,
        None => wall_us(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn wall_us() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() * 1e6
}

fn resident_bytes() -> usize {
    let read = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    read.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Ranks with ties at their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let mut to = from;
        while to < order.len() && values[order[to]] == values[order[from]] {
            to += 1;
        }
        for at in &order[from..to] {
            ranks[*at] = (from + to + 1) as f64 / 2.0;
        }
        from = to;
    }
    ranks
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let product =
        |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    product(a, mean_a, b, mean_b) / (product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b)).sqrt()
}

/// Probability that a spike scores above another point.
fn auc(scores: &[f64], spikes: &[bool]) -> f64 {
    let count = spikes.iter().filter(|s| **s).count() as f64;
    let sum: f64 = ranks(scores).iter().zip(spikes).filter(|(_, s)| **s).map(|(r, _)| r).sum();
    (sum - count * (count + 1.0) / 2.0) / (count * (scores.len() as f64 - count))
}

/// Share of the spikes among as many highest scores.
fn recall(scores: &[f64], spikes: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let count = spikes.iter().filter(|s| **s).count();
    order[..count].iter().filter(|at| spikes[**at]).count() as f64 / count as f64
}
