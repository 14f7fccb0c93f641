//! Writes a data set.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::thread;

use crate::data::{Order, Shape};
use crate::expected::Sums;
use crate::{Failure, option};

pub fn run(directory: &Path, words: &[&str]) -> Result<String, Failure> {
    let order = if option(words, "--order", "time".to_owned()) == "random" { Order::Random } else { Order::Time };
    let shape = Shape {
        records: option(words, "--records", 10_000_000),
        order,
        series: option(words, "--series", 100),
        days: option(words, "--days", 1),
    };
    let (files, minutes) = (option(words, "--files", 40), option(words, "--minutes", 5));
    fs::create_dir_all(directory)?;
    let halves: Vec<Result<Sums, Failure>> = thread::scope(|scope| {
        let half = |first: u64| {
            move || {
                (first..files).step_by(2).try_fold(Sums::default(), |mut sums, file| {
                    let records = shape.records * file / files..shape.records * (file + 1) / files;
                    sums.merge(write(&directory.join(format!("part-{file:05}.jsonl")), shape, records, minutes * 60)?);
                    Ok(sums)
                })
            }
        };
        [0, 1].map(|first| scope.spawn(half(first))).map(|half| half.join().unwrap()).into_iter().collect()
    });
    let mut sums = Sums::default();
    for half in halves {
        sums.merge(half?);
    }
    sums.write(&directory.with_extension("expected"))?;
    Ok(format!("{} records, {} intervals", sums.rows(), sums.0.len()))
}

fn write(path: &Path, shape: Shape, records: std::ops::Range<u64>, seconds: u64) -> Result<Sums, Failure> {
    let mut sums = Sums::default();
    let mut file = File::create(path)?;
    let mut buffer = String::with_capacity(2 << 20);
    for id in records {
        let record = shape.record(id);
        record.write(&mut buffer);
        sums.add(record.time / seconds * seconds, record.hash());
        if buffer.len() > 1 << 20 {
            file.write_all(buffer.as_bytes())?;
            buffer.clear();
        }
    }
    file.write_all(buffer.as_bytes())?;
    Ok(sums)
}
