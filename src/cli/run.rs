//! `run`, `etl`, `detect`.

use std::io::Write;

use super::CliError;
use super::args;
use super::format;
use super::host::block_on;
use super::listener::Terminal;
use crate::config::Config;
use crate::job::live::{self, Line};
use crate::job::{Start, Summary, follow};
use crate::model::Tally;

/// More than one record of so many is too many to be rejected or late.
const MANY_OF: u64 = 20;

pub(super) fn run(config: &Config, start: args::Start, out: &mut impl Write) -> Result<(), CliError> {
    line(config, Line::Run, start_of(start), out)
}

pub(super) fn etl(config: &Config, out: &mut impl Write) -> Result<(), CliError> {
    line(config, Line::Etl, Start::GoOn, out)
}

fn line(config: &Config, line: Line, start: Start, out: &mut impl Write) -> Result<(), CliError> {
    let mut terminal = Terminal::new(out);
    let summary = block_on(&mut terminal, |host| live::run(config, line, start, host));
    report(terminal.finish(), config, &summary?)
}

fn start_of(start: args::Start) -> Start {
    if start.rebuild { Start::Rebuild } else { Start::GoOn }
}

pub(super) fn detect(config: &Config, once: bool, start: args::Start, out: &mut impl Write) -> Result<(), CliError> {
    let mut terminal = Terminal::new(out);
    let summary = block_on(&mut terminal, |host| follow::run(config, once, start_of(start), host));
    report_detect(terminal.finish(), config, &summary?)
}

fn report(out: &mut impl Write, config: &Config, summary: &Summary) -> Result<(), CliError> {
    writeln!(out, "{}", format::summary(summary))?;
    table(out, config, summary.findings)?;
    let state = &config.job.state;
    if summary.stopped {
        writeln!(out, "stopped    at the checkpoint in {state}; start again to go on")?;
    } else if summary.resumed && summary.read == 0 {
        let again = begin_again(&config.partition.url, state);
        writeln!(out, "done       before: all input was read; {again}")?;
    }
    for warning in warnings(&summary.tally, summary.held, &config.partition.url) {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}

fn report_detect(out: &mut impl Write, config: &Config, summary: &follow::Summary) -> Result<(), CliError> {
    let (now, all) = (format::count(summary.judged), format::count(summary.intervals));
    writeln!(out, "intervals  {now} judged now, {all} in all")?;
    match &summary.records {
        Some(records) => writeln!(out, "records    {}", format::records(records))?,
        None => {
            writeln!(out, "series     {}", format::series(summary.series, summary.learning, summary.speaks))?;
        }
    }
    writeln!(out, "findings   {} in all", format::count(summary.findings))?;
    writeln!(out, "time       {:.1} s", summary.elapsed.as_secs_f64())?;
    table(out, config, summary.findings)?;
    writeln!(out, "state      {}", summary.state)?;
    if summary.stopped {
        writeln!(out, "stopped    at its checkpoint; start again to go on")?;
    } else if summary.judged == 0 {
        writeln!(out, "done       before: no interval is complete that was not judged")?;
    }
    if summary.rejected > 0 {
        let rejected = format::count(summary.rejected);
        writeln!(out, "warning: {rejected} records of the partitions could not be read and are left out")?;
    }
    Ok(())
}

fn table(out: &mut impl Write, config: &Config, findings: u64) -> Result<(), CliError> {
    if findings > 0 && config.detect.records.is_some() {
        writeln!(out, "table      {}/records; `tidewatch anomalies CONFIG` lists it", config.partition.url)?;
    } else if findings > 0 {
        writeln!(out, "table      {}/anomalies; `tidewatch anomalies CONFIG` lists it", config.partition.url)?;
    }
    Ok(())
}

/// What to remove for a fresh start, and what goes with it.
fn begin_again(url: &str, state: &str) -> String {
    let (url, state) = (url.trim_end_matches('/'), state.trim_end_matches('/'));
    if state.strip_prefix(url).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        format!("to begin again remove {url}, and with it its partitions and anomalies")
    } else {
        format!("to begin again remove {state} and {url}, and with it its partitions and anomalies")
    }
}

/// What an account shows that whoever runs the job should look at.
fn warnings(tally: &Tally, held: u64, url: &str) -> Vec<String> {
    let read = tally.read() + held;
    let is_many = |part: u64| part.saturating_mul(MANY_OF) > read;
    let share = |part: u64| format!("{} of {} records", format::count(part), format::count(read));
    let url = url.trim_end_matches('/');
    let mut warnings = Vec::new();
    if is_many(tally.rejected) {
        warnings
            .push(format!("{} are rejected; hint: {url}/rejects holds them with their reasons", share(tally.rejected)));
    }
    if is_many(tally.late) {
        warnings.push(format!(
            "{} are late; hint: set a larger `interval.offset`, or `interval.close = \"end\"` for history in no order of time",
            share(tally.late)
        ));
    }
    if tally.filtered > 0 && tally.filtered + tally.rejected == read {
        warnings.push("the filters drop every row; hint: check `select.filters`".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_looks_wrong_is_warned_of() {
        let told = |written, late, filtered, rejected| {
            let warnings = warnings(&Tally { written, late, filtered, rejected }, 0, "out/x");
            warnings.iter().map(|warning| warning.split(';').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(told(90, 5, 0, 5).is_empty() && told(0, 0, 0, 0).is_empty() && told(1, 0, 99, 0).is_empty());
        assert_eq!(told(94, 0, 0, 6), ["6 of 100 records are rejected"]);
        assert_eq!(told(9_000, 1_000, 0, 0), ["1,000 of 10,000 records are late"]);
        assert_eq!(told(0, 0, 99, 1), ["the filters drop every row"]);
        let with_held = warnings(&Tally { late: 6, ..Tally::default() }, 194, "out/x");
        assert!(with_held.is_empty(), "{with_held:?}");
        let rejects = &warnings(&Tally { rejected: 1, ..Tally::default() }, 0, "out/x")[0];
        assert!(rejects.contains("out/x/rejects"), "{rejects}");
    }

    #[test]
    fn what_a_fresh_start_removes_is_said() {
        assert_eq!(
            begin_again("out/x/", "out/x/state"),
            "to begin again remove out/x, and with it its partitions and anomalies"
        );
        assert!(begin_again("out/x", "out/xy").starts_with("to begin again remove out/xy and out/x,"));
    }
}
