//! `backtest`.

use std::io::Write;

use chrono::NaiveDate;

use super::CliError;
use super::args;
use super::format;
use super::host::block_on;
use super::listener::Terminal;
use crate::config::Config;
use crate::job::backtest::{self, From, Options, Report};
use crate::job::score::Score;

pub(super) fn backtest(config: &Config, args: &args::Backtest, out: &mut impl Write) -> Result<(), CliError> {
    let options = Options {
        input: args.input.map(|input| match input {
            args::Input::Partitions => From::Partitions,
            args::Input::Source => From::Source,
        }),
        from: args.from.unwrap_or(NaiveDate::MIN),
        to: args.to.unwrap_or(NaiveDate::MAX),
        labels: args.labels.clone(),
        scores: args.scores.clone(),
        anomalies: args.anomalies.clone(),
    };
    let mut terminal = Terminal::new(out);
    let report = block_on(&mut terminal, |host| backtest::run(config, &options, host));
    let out = terminal.finish();
    let Report { summary, score, groups } = report?;
    writeln!(out, "intervals  {} judged", format::count(summary.intervals))?;
    writeln!(
        out,
        "series     {}, {} of them still learning",
        format::count(summary.series),
        format::count(summary.learning)
    )?;
    let begun = groups.iter().flat_map(|group| group.findings.iter().filter(|finding| finding.since == group.interval));
    let begun = format::count(begun.count() as u64);
    writeln!(out, "findings   {} in {begun} anomalies", format::count(summary.findings))?;
    writeln!(out, "time       {:.1} s", summary.elapsed.as_secs_f64())?;
    if let Some(score) = score {
        print_score(out, &score)?;
    }
    Ok(())
}

fn print_score(out: &mut impl Write, score: &Score) -> Result<(), CliError> {
    let learning = match score.while_learning {
        0 => String::new(),
        n => format!(" ({n} while their series was learning)"),
    };
    writeln!(out, "incidents  {} of {} found{learning}", score.found, score.incidents)?;
    writeln!(out, "episodes   {}, {} of them false", score.episodes, score.false_episodes)?;
    writeln!(out, "recall     {:.3}", score.recall())?;
    writeln!(out, "precision  {:.3}", score.precision())?;
    writeln!(out, "F1         {:.3}", score.f1())?;
    let delay = score.delay_median.map_or_else(|| "none found".into(), |delay| format!("{delay} intervals"));
    writeln!(out, "delay      {delay} (median)")?;
    writeln!(out, "false      {:.3} per series and week", score.false_per_series_week())?;
    Ok(())
}
