//! How long it takes until a series speaks, for `check`: from its first row on, and with the history that is there.

use std::io::Write;

use super::CliError;
use super::format;
use crate::config::Config;
use crate::job::inspect::Inspection;
use crate::job::{GoesOn, Past};

/// Without any history.
pub(super) fn expected(out: &mut impl Write, config: &Config, inspection: &Inspection) -> Result<(), CliError> {
    let warm_up = inspection.warm_up_intervals;
    let time = time(config, u64::from(warm_up));
    writeln!(out, "speaks     {warm_up} intervals ({time}) after a series' first row")?;
    let [daily, weekly] = inspection.shape_days.map(|count| days(count.into()));
    writeln!(out, "           the shape of its day is known after {daily}, that of its week after {weekly}")?;
    Ok(())
}

/// What is there to begin with: a detector, or partitions that one can learn from.
pub(super) fn past(out: &mut impl Write, config: &Config, inspection: &Inspection) -> Result<(), CliError> {
    goes_on(out, inspection)?;
    if !inspection.goes_on.is_empty() {
        return Ok(());
    }
    let Some(past) = &inspection.past else {
        writeln!(out, "history    none: each series learns from its first row on")?;
        return Ok(());
    };
    let Past { first, last, intervals, is_ours } = past;
    let [_, weekly] = inspection.shape_days;
    let known =
        if past.days() > u64::from(weekly) { format!(" in the last {}", days(weekly.into())) } else { String::new() };
    let (intervals, span) = (format::count(*intervals), days(past.days()));
    writeln!(out, "history    {intervals} intervals{known} of {span}, {first} to {last}")?;
    for line in learned(config, past, inspection) {
        writeln!(out, "           {line}")?;
    }
    if *is_ours {
        writeln!(out, "           `detect` learns from it by itself, `run` by `tidewatch backtest CONFIG --promote`")?;
    } else {
        writeln!(out, "           `detect` learns from it by itself")?;
    }
    Ok(())
}

/// The detectors that jobs go on with.
pub(super) fn goes_on(out: &mut impl Write, inspection: &Inspection) -> Result<(), CliError> {
    for GoesOn { command, judged } in &inspection.goes_on {
        writeln!(out, "detector   `{command}` goes on with the one that has judged up to {judged}")?;
        writeln!(out, "           `tidewatch status CONFIG` tells what still learns, and how long")?;
    }
    Ok(())
}

/// What a series knows that was there all the time.
fn learned(config: &Config, past: &Past, inspection: &Inspection) -> Vec<String> {
    let left = |need: u32| u64::from(need).saturating_sub(past.days());
    let shape = |of: &str, need: u32| match left(need) {
        0 => format!("the shape of {of} is known"),
        left => format!("the shape of {of} is known after {} more", days(left)),
    };
    let speaks = match u64::from(inspection.warm_up_intervals).saturating_sub(past.intervals) {
        0 => "a series that is in it speaks at once".to_owned(),
        left => format!("a series that is in it speaks {left} intervals ({}) later", time(config, left)),
    };
    let [daily, weekly] = inspection.shape_days;
    vec![format!("with it {speaks};"), [shape("its day", daily), shape("its week", weekly)].join(", ")]
}

fn time(config: &Config, intervals: u64) -> String {
    format::time(intervals * u64::from(config.interval.length.seconds()))
}

fn days(count: u64) -> String {
    match count {
        1 => "1 day".to_owned(),
        14 => "2 weeks".to_owned(),
        _ => format!("{} days", format::count(count)),
    }
}
