//! Time series from CSV files: a time, a value, perhaps a label per line; onto even intervals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use tidewatch::model::{Interval, Length};

pub(crate) struct Row {
    pub(crate) time: String,
    pub(crate) micros: i64,
    pub(crate) value: f64,
    pub(crate) label: bool,
}

/// `category/name.csv` of all files below a directory, in order.
pub(crate) fn files(directory: &Path) -> Vec<(String, String, PathBuf)> {
    let list = |path: &Path| {
        let mut all: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    };
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut files = Vec::new();
    for folder in list(directory).into_iter().filter(|path| path.is_dir()) {
        let all = list(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "csv"));
        files.extend(all.map(|path| (name(&folder), name(&path), path)));
    }
    files
}

pub(crate) fn read(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    // a row without a value is none
    let records = reader.records().map(|record| record.unwrap()).filter(|record| !record[1].trim().is_empty());
    let rows = records.map(|record| {
        let time = record[0].trim().trim_end_matches('Z').replace('T', " ");
        let parsed = NaiveDateTime::parse_from_str(&time, "%Y-%m-%d %H:%M:%S%.f");
        let parsed = parsed.or_else(|_| NaiveDateTime::parse_from_str(&time, "%Y-%m-%d %H:%M")).unwrap();
        Row {
            micros: parsed.and_utc().timestamp_micros(),
            time: record[0].to_owned(),
            value: record[1].trim().parse().unwrap(),
            label: record.get(2).is_some_and(|label| label.trim().parse::<f64>().is_ok_and(|label| label > 0.0)),
        }
    });
    rows.collect()
}

/// The most frequent distance of two rows in minutes, and the nearest length that an interval can have.
pub(crate) fn minutes(rows: &[Row]) -> (f64, usize) {
    let mut steps: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in rows.windows(2) {
        let step = pair[1].micros - pair[0].micros;
        if step > 0 {
            *steps.entry(step).or_default() += 1;
        }
    }
    let most = steps.iter().max_by_key(|(_, count)| **count).map_or(300_000_000, |(step, _)| *step);
    let minutes = most as f64 / 60e6;
    let far = |length: &usize| libm::fabs(libm::log(*length as f64 / minutes));
    let valid = (1..=1440).filter(|length| 1440 % length == 0);
    (minutes, valid.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap())
}

/// Means per interval, whether any row of it is labelled, and the first interval.
pub(crate) struct Even {
    pub(crate) first: Interval,
    pub(crate) values: Vec<Option<f64>>,
    pub(crate) labels: Vec<bool>,
}

pub(crate) fn even(rows: &[Row], minutes: usize) -> Even {
    let length = Length::from_seconds(60 * minutes as u64).unwrap();
    let of = |row: &Row| Interval::containing(row.micros, length);
    let (first, last) = (rows.iter().map(of).min().unwrap(), rows.iter().map(of).max().unwrap());
    let count = (last.number() - first.number() + 1) as usize;
    let mut sums = vec![(0.0, 0.0); count];
    let mut labels = vec![false; count];
    for row in rows {
        let at = (of(row).number() - first.number()) as usize;
        sums[at].0 += row.value;
        sums[at].1 += 1.0;
        labels[at] |= row.label;
    }
    let values = sums.into_iter().map(|(sum, count)| (count > 0.0).then(|| sum / count)).collect();
    Even { first, values, labels }
}
