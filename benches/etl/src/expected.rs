//! What a data set comes to, interval by interval: the same whoever adds it up and in whatever order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Failure;
use crate::data;

/// Rows and the sum of their hashes, by the interval's start in seconds since 1970.
#[derive(Default, PartialEq, Eq)]
pub struct Sums(pub BTreeMap<u64, (u64, u128)>);

impl Sums {
    pub fn add(&mut self, interval: u64, hash: u128) {
        let (rows, sum) = self.0.entry(interval).or_default();
        *rows += 1;
        *sum = sum.wrapping_add(hash);
    }

    pub fn merge(&mut self, other: Sums) {
        for (interval, (rows, sum)) in other.0 {
            let here = self.0.entry(interval).or_default();
            here.0 += rows;
            here.1 = here.1.wrapping_add(sum);
        }
    }

    pub fn rows(&self) -> u64 {
        self.0.values().map(|(rows, _)| rows).sum()
    }

    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let line = |(interval, (rows, sum)): (&u64, &(u64, u128))| format!("{interval} {rows} {sum:032x}\n");
        Ok(fs::write(path, self.0.iter().map(line).collect::<String>())?)
    }

    pub fn read(path: &Path) -> Result<Sums, Failure> {
        let mut sums = Sums::default();
        for line in fs::read_to_string(path)?.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().ok_or("a line is cut short");
            let (interval, rows) = (word()?.parse()?, word()?.parse()?);
            sums.0.insert(interval, (rows, u128::from_str_radix(word()?, 16)?));
        }
        Ok(sums)
    }
}

/// The folder of an interval, as all jobs write it.
pub fn folder(interval: u64) -> String {
    let (year, month, day) = data::civil(interval / 86_400);
    let (hour, minute) = (interval / 3600 % 24, interval / 60 % 60);
    format!("intvl_date={year}-{month:02}-{day:02}/intvl_hhmm={hour:02}{minute:02}")
}
