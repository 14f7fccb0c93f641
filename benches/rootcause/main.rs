//! Does the lattice scan name the cause? Made cases whose truth is known, real ones with labels, and the time that it takes;
//! beside RiskLoc on the same cases.
//!
//! `scripts/bench/rootcause` builds and runs it, `--help` lists the parts and options. Reading order: `case` (leaves and the
//! truth), `scaled` and `counted` (the generators), `real`, `riskloc` (the peer), `score`, `cost`; `stream` (incidents).
//!
//! Columns: `F1`, `precision`, `recall` over all elements of a family, exact matches alone; `exact` cases whose whole set is
//! right; `slices` F1 of the leaves that are named, by volume, mean of the cases; `share` mean error of the causes' shares,
//! of those found and of all, in which one that is not found counts as a share of 0; `external` cases flagged so;
//! `ms` on the processor, mean and 95th percentile. Those of the streams: `from` which severity on incidents are told; `told`
//! notices, digests too; `found` of the planted incidents; `incidents` that were told, and those `of none` that was planted;
//! notices `per true` one that was found; the V-measure; how many opened `later` than in their second interval; notices of the
//! level that stays, and how often it was said to be learned; incidents of data and of values while the source was gone;
//! incidents of the two `disjoint` causes; `groups`, which is what a notice per measure and interval would tell.

#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at any surprise")]

mod case;
mod clock;
mod cost;
mod counted;
mod options;
#[path = "../quality/random.rs"]
mod random;
mod real;
mod riskloc;
mod scaled;
mod score;
mod stream;
#[path = "../quality/threads.rs"]
mod threads;

use case::Case;
use counted::Plot;
use options::{Options, USAGE};
use random::Random;
use score::{Answer, Score};
use tidewatch::explain::lattice::{Kind, explain};

fn main() -> std::process::ExitCode {
    if std::env::args().any(|arg| arg == "--help" || arg == "-h") {
        print!("{USAGE}");
        return std::process::ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            println!("{problem}");
            return std::process::ExitCode::FAILURE;
        }
    };
    for part in &options.parts {
        match part.as_str() {
            "families" => families(&options),
            "nothing" => nothing(&options),
            "outside" => outside(&options),
            "mix" => mix(&options),
            "real" => real(&options),
            "stream" => stream(&options),
            _ => cost::run(),
        }
    }
    std::process::ExitCode::SUCCESS
}

type Maker = fn(&mut Random) -> Case;

fn families(options: &Options) {
    header(&format!("causes, {} cases of each family", options.cases));
    let makers: [(&str, Maker); 4] = [
        ("L", |random| scaled::L.case(random, false)),
        ("S", |random| scaled::S.case(random, false)),
        ("P", |random| counted::case(random, Kind::Additive, Plot::Causes)),
        ("D", |random| counted::case(random, Kind::Ratio, Plot::Causes)),
    ];
    for (name, maker) in makers {
        run(options, name, &mut made(options, maker), options.peer);
    }
}

fn nothing(options: &Options) {
    header(&format!("nothing happened, {} cases of each family: `said` are false causes", options.cases));
    let makers: [(&str, Maker); 4] = [
        ("L", |random| scaled::L.case(random, true)),
        ("S", |random| scaled::S.case(random, true)),
        ("P", |random| counted::case(random, Kind::Additive, Plot::Nothing)),
        ("D", |random| counted::case(random, Kind::Ratio, Plot::Nothing)),
    ];
    for (name, maker) in makers {
        run(options, name, &mut made(options, maker), options.peer);
    }
}

fn outside(options: &Options) {
    header("the guilty dimension is not there: `external` is what counts, `said` are false causes");
    let makers: [(&str, Maker); 2] = [
        ("P", |random| counted::case(random, Kind::Additive, Plot::Outside)),
        ("D", |random| counted::case(random, Kind::Ratio, Plot::Outside)),
    ];
    for (name, maker) in makers {
        run(options, name, &mut made(options, maker), false);
    }
}

fn mix(options: &Options) {
    header("volume moved between leaves, no rate did: `said` are false causes of the rate");
    run(options, "D", &mut made(options, |random| counted::case(random, Kind::Ratio, Plot::Mix)), false);
}

fn real(options: &Options) {
    let directory = options.data.join("rs");
    if !directory.is_dir() {
        println!("\n== rs: skipped, there is no {}; hint: --data or TIDEWATCH_QUALITY", directory.display());
        return;
    }
    header("real success ratios");
    run(options, "RS", &mut real::cases(&directory).into_iter(), options.peer);
}

/// 14 days of 1,000 series, 500 of each of two measures.
fn stream(options: &Options) {
    println!("\n== incidents in {} streams of 14 days and 1,000 series, told from a severity on", options.streams);
    println!("{:<10}{}", "seed", stream::header());
    let seeds: Vec<u64> = (options.first_seed..options.first_seed + options.streams).collect();
    let followed = threads::each(seeds, options.threads, |seed| {
        let forest = tidewatch::detect::ForestShape::default();
        let size = stream::Size { values: [10, 10, 5], days: 14, learning: 4, slices: 20, forest };
        (seed, stream::run(&size, seed))
    });
    for (seed, followers) in followed {
        for figures in followers {
            println!("{seed:<10}{}", figures.line());
            figures.told.iter().filter(|_| options.verbose).for_each(|line| println!("    {line}"));
        }
    }
}

fn made(options: &Options, maker: Maker) -> impl Iterator<Item = Case> + use<> {
    let first = options.first_seed;
    (0..options.cases).map(move |at| maker(&mut Random::new(first + at)))
}

fn header(title: &str) {
    println!("\n== {title}");
    println!(
        "{:<3} {:<10} {:>6} {:>9} {:>7} {:>6} {:>7} {:>12} {:>9} {:>5} {:>8} {:>8}",
        "", "", "F1", "precision", "recall", "exact", "slices", "share", "external", "said", "ms", "ms 95 %"
    );
}

fn run(options: &Options, name: &str, cases: &mut dyn Iterator<Item = Case>, with_peer: bool) {
    let (mut own, mut peer) = (Score::default(), Score::default());
    for case in cases {
        let answer = scan(&case);
        own.add(&case, &answer);
        let is_exact =
            answer.slices.len() == case.truth.len() && answer.slices.iter().all(|slice| case.truth.contains(slice));
        if options.verbose && !(is_exact && answer.external == case.is_external) {
            println!("{}: {:?}, said {:?}, external {}", case.name, case.truth, answer.slices, answer.external);
        }
        if with_peer {
            let start = clock::cpu();
            let slices = riskloc::locate(&case);
            let seconds = clock::cpu() - start;
            peer.add(&case, &Answer { slices, shares: Vec::new(), external: false, seconds });
        }
    }
    line(name, "tidewatch", &own);
    if with_peer {
        line("", "RiskLoc", &peer);
        println!("{:<14} {:.0} times the time of the scan", "", peer.milliseconds().0 / own.milliseconds().0.max(1e-9));
    }
}

fn scan(case: &Case) -> Answer {
    let leaves = case.leaves();
    let start = clock::cpu();
    let said = explain(&leaves);
    let seconds = clock::cpu() - start;
    Answer {
        slices: said.causes.iter().map(|cause| cause.slice.clone()).collect(),
        shares: said.causes.iter().map(|cause| cause.share).collect(),
        external: said.external,
        seconds,
    }
}

fn line(name: &str, method: &str, score: &Score) {
    let (mean, high) = score.milliseconds();
    let shares = score.share_errors().map_or_else(String::new, |(found, all)| format!("{found:.3} {all:.3}"));
    println!(
        "{name:<3} {method:<10} {:>6.3} {:>9.3} {:>7.3} {:>6.2} {:>7.3} {shares:>12} {:>9.3} {:>5} {mean:>8.2} {high:>8.2}",
        score.f1(),
        score.precision(),
        score.recall(),
        score.exact(),
        score.slice_f1(),
        score.external(),
        score.said(),
    );
}
