//! Time of one scan on the processor, by number of leaves and of cuboids. One cause is planted, so that all steps are taken.

use tidewatch::explain::lattice::{Amount, Kind, Leaves, explain};

use crate::case::product;
use crate::clock;
use crate::random::Random;

pub(crate) fn run() {
    println!("\n== cost of one scan, ms on the processor: mean of the runs, and the slowest");
    println!("{:<36} {:>9} {:>8} {:>8} {:>8} {:>6}", "leaves", "number", "cuboids", "mean", "slowest", "found");
    of("10 x 12 x 10 x 8", &[10, 12, 10, 8], 1.0, 40);
    of("10 x 12 x 10 x 8 x 5, all", &[10, 12, 10, 8, 5], 1.0, 40);
    of("20 x 24 x 20 x 16 x 10, 1 in 32", &[20, 24, 20, 16, 10], 1.0 / 32.0, 40);
    of("50 x 50 x 40, all", &[50, 50, 40], 1.0, 20);
    of("100 x 100 x 100, all", &[100, 100, 100], 1.0, 10);
    of("1000 x 500 x 200, 1 in 100", &[1000, 500, 200], 0.01, 10);
}

fn of(name: &str, sizes: &[u32], density: f64, runs: usize) {
    let mut random = Random::new(5);
    let d = sizes.len();
    let mut leaves = Leaves::new(Kind::Additive, d);
    for codes in product(sizes).chunks_exact(d) {
        if density < 1.0 && !random.is(density) {
            continue;
        }
        let expected = 200.0 * random.unit();
        let factor = if codes[0] == 3 { 0.3 } else { 1.0 };
        leaves.push(codes, Amount { value: random.poisson(factor * expected), expected }, 0.0);
    }
    let (mut total, mut slowest, mut found) = (0.0, 0.0f64, 0);
    for _ in 0..runs {
        let start = clock::cpu();
        found = explain(&leaves).causes.len();
        let took = clock::cpu() - start;
        total += took;
        slowest = slowest.max(took);
    }
    let mean = 1e3 * total / runs as f64;
    let (count, cuboids) = (leaves.len(), (1usize << d) - 1);
    println!("{name:<36} {count:>9} {cuboids:>8} {mean:>8.1} {:>8.1} {found:>6}", 1e3 * slowest);
}
