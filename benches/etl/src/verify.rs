//! Holds what a job wrote against what it should have: every row of every CSV file in a folder of an interval counts, but
//! for files whose names begin with `_` or `.`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::data;
use crate::expected::{Sums, folder};

pub fn run(directory: &Path, expected: &Path, minutes: u64) -> Result<String, Failure> {
    let expected = Sums::read(expected)?;
    let mut files = Vec::new();
    walk(directory, &mut files)?;
    let mut found = Sums::default();
    for file in &files {
        read(file, minutes * 60, &mut found).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let intervals = expected.0.keys().chain(found.0.keys());
    if let Some(interval) = intervals.into_iter().find(|interval| expected.0.get(interval) != found.0.get(interval)) {
        let rows = |sums: &Sums| sums.0.get(interval).map_or(0, |(rows, _)| *rows);
        let (there, wanted) = (rows(&found), rows(&expected));
        return Err(format!("WRONG: {}: {there} rows where {wanted} belong, or other rows", folder(*interval)).into());
    }
    Ok(format!("VERIFIED {} rows, {} intervals, {} files", found.rows(), found.0.len(), files.len()))
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else if directory.to_string_lossy().contains("intvl_hhmm=")
            && !name.starts_with(['_', '.'])
            && !name.ends_with(".json")
        {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn read(file: &Path, seconds: u64, sums: &mut Sums) -> Result<(), Failure> {
    let mut reader = csv::Reader::from_path(file)?;
    let header = reader.headers()?.clone();
    let column = |name: &str| header.iter().position(|field| field == name).ok_or(format!("no column `{name}`"));
    let [platform, marketplace, time, views, revenue] =
        [column("platform")?, column("marketplace")?, column("event_time")?, column("views")?, column("revenue")?];
    let here = file.to_string_lossy().into_owned();
    let (mut checked, mut row) = (None, csv::StringRecord::new());
    while reader.read_record(&mut row)? {
        let time = seconds_of(&row[time]).ok_or_else(|| format!("`{}` is no time", &row[time]))?;
        let interval = time / seconds * seconds;
        if checked != Some(interval) {
            if !here.contains(&folder(interval)) {
                return Err(format!("a row of {} is here", folder(interval)).into());
            }
            checked = Some(interval);
        }
        sums.add(
            interval,
            data::hash(&row[platform], &row[marketplace], time, row[views].parse()?, row[revenue].parse()?),
        );
    }
    Ok(())
}

/// `2026-01-15 19:18:28`, also with a `T` or with what some writers add behind.
fn seconds_of(text: &str) -> Option<u64> {
    let number = |at: std::ops::Range<usize>| text.get(at)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?)
}
