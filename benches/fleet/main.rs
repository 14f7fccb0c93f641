//! Many series through one interval: time to judge and to write the state down, bytes of a series in each form.
//!
//! `scripts/bench/fleet` builds and runs it: `--series N` (20,000), `--mix F/C/T` the shares of full, compact and tail
//! series in percent (0/100/0), `--threads N` (all cores), `--trees`, `--shingle`, `--sample` the forests (30, 8, 256),
//! `--learn N` the intervals that each template learns (6,000), `--templates N` (300). Series in steady state are costly
//! to make, so some hundred different ones are grown and copied; each copy is then judged for an interval with a value of
//! its own. Times are of one interval: all series updated and scored (the first touches the memory of the copies for the
//! first time, and moves series that the detector would rather have in another form), then the whole state written, piece
//! by piece, and dropped. `--increments` goes on with increments, one after each interval, and the restoring from them; it
//! takes as much of the temporary directory as the state. `--quality` measures instead what each form finds (`quality`).

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at any surprise")]

mod quality;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tidewatch::detect::{Aggregation, Detector, ForestShape, Form, Increment, Measure, Restoring, Settings, Sizes};
use tidewatch::job::Threads;
use tidewatch::model::{Cell, ClosedInterval, Interval, Length, SeriesKey, Stats};

/// Rows of an interval of a series in each form, the smallest first.
const ROWS: [u64; Form::ALL.len()] = [2, 40, 800];

/// Intervals, each with an increment, until all members were written.
const ROUND: i64 = 32;

struct Options {
    series: usize,
    /// Series in each form, the smallest first.
    mix: [usize; Form::ALL.len()],
    threads: Threads,
    shape: ForestShape,
    learn: usize,
    templates: usize,
    rounds: usize,
    increments: bool,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let text = |name: &str| args.iter().position(|arg| arg == name).map(|at| args.get(at + 1).unwrap());
    let number = |name: &str, usual: usize| text(name).map_or(usual, |text| text.parse().unwrap());
    let threads = NonZeroUsize::new(number("--threads", 0)).map_or_else(Threads::all, Threads::new);
    let shape = ForestShape {
        trees: number("--trees", 30),
        sample: number("--sample", 256),
        shingle: number("--shingle", 8),
        time_decay: 2560,
    };
    let series = number("--series", 20_000);
    let mix = text("--mix").map_or("0/100/0", String::as_str).split('/').map(|part| part.parse::<f64>().unwrap());
    let mix: Vec<usize> = mix.map(|percent| (percent * series as f64 / 100.0).round() as usize).collect();
    if args.iter().any(|arg| arg == "--quality") {
        return quality::print(number("--seed", 1) as u64);
    }
    run(&Options {
        series: mix.iter().sum(),
        mix: [mix[2], mix[1], mix[0]],
        threads,
        shape,
        learn: number("--learn", 6000),
        templates: number("--templates", 300),
        rounds: number("--rounds", 3),
        increments: args.iter().any(|arg| arg == "--increments"),
    });
}

fn run(options: &Options) {
    let Options { series, threads, .. } = *options;
    let [tail, compact, full] = options.mix;
    println!(
        "{series} series: {full} full, {compact} compact, {tail} tail; forests of {} trees, {} points, shingle {}; {} threads",
        options.shape.trees,
        options.shape.sample,
        options.shape.shingle,
        threads.count()
    );
    println!("copies of {} different series in each form, each {} intervals old", options.templates, options.learn);
    println!("\n{:24} {:>9} {:>9} {:>12}", "growing them", "wall s", "CPU s", "CPU us/series");

    let sizes = Sizes::of(&settings(options, u64::MAX));
    let grown = grow(options);
    println!("\nbytes of a series: set aside, held (mean of the templates, with the sums over all of them)");
    let held = grown.each_ref().map(|(_, detector)| detector.memory_bytes() as u64 / options.templates as u64);
    for ((form, _), held) in grown.iter().zip(held) {
        println!("  {:8} {:>9} {held:>9}", form.name(), sizes.of_form(*form));
    }

    // the sums over all series need some too
    let needed: u64 = Form::ALL.iter().zip(options.mix).map(|(form, count)| count as u64 * sizes.of_form(*form)).sum();
    let mut fleet = Detector::new(settings(options, needed + sizes.of_form(Form::Full)));
    let before = resident_bytes();
    let forms: Vec<Form> =
        Form::ALL.iter().zip(options.mix).flat_map(|(form, count)| std::iter::repeat_n(*form, count)).collect();
    for (number, form) in forms.iter().enumerate() {
        let (_, template) = grown.iter().find(|(other, _)| other == form).unwrap();
        assert!(fleet.adopt(key(number), template, &key(number % options.templates)), "series {number}");
    }
    let stated = fleet.memory_bytes();
    let resident = resident_bytes().saturating_sub(before);
    println!("\nthe fleet states {} MB, the system counts {} MB more", stated / 1_000_000, resident / 1_000_000);

    println!("\n{:24} {:>9} {:>9} {:>12}", "one interval", "wall s", "CPU s", "CPU us/series");
    let last = fleet.last().unwrap_or_else(|| interval(options.learn - 1));
    for round in 1..=options.rounds {
        let closed = ClosedInterval {
            interval: last.offset(round as i64),
            cells: (0..series).map(|at| cell(at, options.learn + round, ROWS[forms[at] as usize])).collect(),
        };
        let points = timed("update and score", series, || fleet.observe_on(&closed, &threads));
        assert_eq!(points.len(), series);
    }
    let status = fleet.status();
    println!("  now {} full, {} compact, {} tail", status.full, status.compact, status.tail);
    let mut bytes = 0;
    timed("snapshot", series, || fleet.snapshot_in_pieces(&threads, |piece| bytes += piece.len()));
    println!("\nsnapshot {} MB, {} bytes a series", bytes / 1_000_000, bytes / series.max(1));
    println!("peak resident memory {} MB", peak_bytes() / 1_000_000);
    if !options.increments {
        return;
    }
    increments(fleet, options, last.offset(options.rounds as i64));
}

/// One increment after each interval of a round, kept in files; then the detector from them.
fn increments(mut fleet: Detector, options: &Options, last: Interval) {
    let Options { series, threads, .. } = *options;
    let directory = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut keep = |increment: Increment, number: usize| {
        let path = directory.path().join(number.to_string());
        std::fs::write(&path, &increment.bytes).unwrap();
        files.push(path);
        files.drain(..files.len() - increment.chain);
        (increment.bytes.len(), increment.is_last)
    };
    let mut number = 0;
    while !keep(fleet.increment_on(&threads), number).1 {
        number += 1;
    }
    println!("\n{:24} {:>9} {:>9} {:>12}", "increments", "wall s", "CPU s", "CPU us/series");
    for round in 1..=ROUND {
        let interval = last.offset(round);
        let cells = (0..series).map(|at| cell(at, interval.number() as usize, ROWS[1])).collect();
        fleet.observe_on(&ClosedInterval { interval, cells }, &threads);
        let mut write = || fleet.increment_on(&threads);
        let increment = if round == ROUND { timed("one interval's", series, write) } else { write() };
        number += 1;
        let bytes = keep(increment, number).0;
        if round == ROUND {
            println!("  {bytes} bytes, {} a series", bytes / series.max(1));
        }
    }
    drop(fleet);
    let restored = timed("restoring", series, || {
        let mut restoring = Restoring::new(settings(options, u64::MAX));
        files.iter().for_each(|path| restoring.take(&std::fs::read(path).unwrap(), &threads).unwrap());
        println!("  from {} increments, {} intervals replayed", files.len(), restoring.replayed());
        restoring.finish().unwrap()
    });
    assert_eq!(restored.series_count(), series);
}

/// Templates in each form, the smallest first, as heavy as those that they stand for.
fn grow(options: &Options) -> [(Form, Detector); Form::ALL.len()] {
    Form::ALL.map(|form| {
        let sizes = Sizes::of(&settings(options, u64::MAX));
        let all = sizes.of_form(form) * options.templates as u64;
        // the sums over all, and the twentieth that nobody moves up into
        let budget = if form == Form::Full { u64::MAX } else { (all + sizes.of_form(Form::Full)) * 20 / 19 + 1 };
        let mut detector = Detector::new(settings(options, budget));
        timed(form.name(), options.templates, || {
            for step in 0..options.learn {
                // as heavy as each other: all of them fit into a form or none
                let cells = (0..options.templates).map(|at| cell(at, step, ROWS[form as usize])).collect();
                detector.observe_on(&ClosedInterval { interval: interval(step), cells }, &options.threads);
            }
        });
        assert!(detector.kept().all(|(_, kept)| kept == form), "{} {:?}", form.name(), detector.status());
        (form, detector)
    })
}

fn interval(step: usize) -> Interval {
    Interval::containing(0, Length::from_seconds(300).unwrap()).offset(step as i64)
}

fn settings(options: &Options, memory_bytes: u64) -> Settings {
    let measure = Measure::new(Arc::from("views"), 0, Aggregation::Sum);
    let length = Length::from_seconds(300).unwrap();
    let settings = Settings::new(vec!["shop".to_owned()], vec![measure], length, 1).unwrap();
    settings.with_forest(options.shape).unwrap().with_memory(memory_bytes)
}

fn key(number: usize) -> SeriesKey {
    SeriesKey::new([format!("shop-{number:08}").as_str()])
}

/// A value of series `number`: a daily wave of its own height and phase, and noise.
fn cell(number: usize, step: usize, rows: u64) -> Cell {
    let mut stats = Stats::EMPTY;
    let level = 100.0 * (1 + number % 17) as f64;
    let wave = (std::f64::consts::TAU * (step as f64 / 288.0 + number as f64 / 101.0)).sin();
    let noise: f64 = (0..4).map(|part| uniform(number as u64, step as u64, part)).sum::<f64>() - 2.0;
    stats.add(level * (2.0 + wave + 0.3 * noise));
    Cell { key: key(number), rows, stats: vec![stats], sketches: Vec::new() }
}

/// 0 to 1, the same on every machine.
fn uniform(number: u64, step: u64, part: u64) -> f64 {
    let mut z = (number << 40 ^ step << 8 ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn timed<T>(name: &str, series: usize, work: impl FnOnce() -> T) -> T {
    let (wall, cpu) = (wall_s(), cpu_s());
    let done = work();
    let (wall, cpu) = (wall_s() - wall, cpu_s() - cpu);
    println!("  {name:22} {wall:9.2} {cpu:9.2} {:12.1}", cpu * 1e6 / series.max(1) as f64);
    done
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn wall_s() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// CPU time of this process in seconds, user and system, in steps of a hundredth; threads that have ended count too.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn resident_bytes() -> usize {
    let read = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    read.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn peak_bytes() -> usize {
    let read = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = read.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1024
}
