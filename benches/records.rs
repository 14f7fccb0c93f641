//! What scoring record by record costs: time for each record, the whole state and the increment that a checkpoint writes, for
//! one forest and for a forest per key.
//!
//! `cargo bench --bench records` prints a line for each number of keys. Two columns, the forests of
//! `config/stock-trades.toml` (100 trees of 256 records), and enough records to fill every sample. Each figure is the median
//! of five; one thread.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at any surprise")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use tidewatch::detect::Sequential;
use tidewatch::detect::records::{RecordDetector, Settings, Shape, Wanted};
use tidewatch::job::{Clock as _, SystemClock};
use tidewatch::model::{Columns, Interval, Length, MeasureType, Rows, Timestamp};

const KEYS: [u64; 4] = [1, 10, 100, 1000];
/// Of each key before anything is measured: its sample is full, and replaced in part.
const RECORDS_BEFORE: u64 = 400;
const RUNS: usize = 5;
const SHAPE: Shape = Shape { trees: 100, sample: 256, shingle: 1, time_decay: 100_000, ready_after: 256 };

fn columns() -> Columns {
    Columns {
        dimensions: vec!["key".into()],
        timestamp: "at".into(),
        keep: Vec::new(),
        measures: vec![("price".into(), MeasureType::Float), ("quantity".into(), MeasureType::Float)],
    }
}

/// So many records of each key, in turn.
fn rows(keys: u64, of_each: u64, random: &mut Pcg64Mcg) -> Rows {
    let count = keys * of_each;
    let mut numbers = || -> ArrayRef {
        #[expect(clippy::cast_precision_loss, reason = "some number")]
        let all = (0..count).map(|_| (random.next_u64() >> 40) as f64 / 1e4);
        Arc::new(Float64Array::from_iter_values(all))
    };
    let (prices, quantities) = (numbers(), numbers());
    let names = StringArray::from_iter_values((0..count).map(|number| format!("key-{:06}", number % keys)));
    let times = StringArray::from_iter_values((0..count).map(|_| "then"));
    let arrays: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(times), prices, quantities];
    let batch = RecordBatch::try_new(columns().schema(), arrays).unwrap();
    let times = vec![Timestamp::from_micros(1_000_000).unwrap(); usize::try_from(count).unwrap()];
    Rows::new(batch, times, (0..count).collect()).unwrap()
}

/// The median of some runs, in milliseconds, and what the last gave.
fn timed<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let mut last = None;
    let mut millis: Vec<f64> = (0..RUNS)
        .map(|_| {
            let clock = SystemClock::start();
            last = Some(run());
            clock.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    (millis[RUNS / 2], last.unwrap())
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn main() {
    let names = ["us a record", "state kB", "to write ms", "to read ms", "increment kB", "to write ms"];
    println!("{:>6}{}", "keys", names.map(|name| format!("{name:>14}")).concat());
    for keys in KEYS {
        let scored = vec![("price".to_owned(), 0), ("quantity".to_owned(), 1)];
        let settings = Settings::new(scored, SHAPE, 42).unwrap().with_forest_per_key(keys > 1).with_memory(8 << 30);
        let mut detector = RecordDetector::new(settings.clone(), columns());
        let mut random = Pcg64Mcg::new(7);
        let first = Interval::containing(0, Length::from_seconds(60).unwrap());
        let wanted = Wanted::AtLeast(1.2);
        detector.observe(first, &[rows(keys, RECORDS_BEFORE, &mut random)], wanted, &Sequential);
        let of_each = 1000_u64.div_ceil(keys);
        let mut number = 0;
        let (of_interval, _) = timed(|| {
            number += 1;
            let rows = [rows(keys, of_each, &mut random)];
            detector.observe(first.offset(number), &rows, wanted, &Sequential).len()
        });
        let (write, bytes) = timed(|| detector.snapshot());
        let (read, _) = timed(|| RecordDetector::restore(settings.clone(), columns(), &bytes).unwrap());
        while !detector.increment().is_last {}
        let mut increments: Vec<(f64, usize)> = Vec::new();
        for _ in 0..RUNS {
            number += 1;
            let rows = [rows(keys, of_each, &mut random)];
            detector.observe(first.offset(number), &rows, wanted, &Sequential);
            let clock = SystemClock::start();
            let increment = detector.increment();
            assert!(increment.is_last);
            increments.push((clock.elapsed().as_secs_f64() * 1e3, increment.bytes.len()));
        }
        increments.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (millis, part) = increments[RUNS / 2];
        let micros = of_interval * 1e3 / (keys * of_each) as f64;
        let [whole, part] = [bytes.len(), part].map(|bytes| bytes as f64 / 1e3);
        println!("{keys:>6}{micros:>14.1}{whole:>14.0}{write:>14.2}{read:>14.2}{part:>14.0}{millis:>14.2}");
    }
}
