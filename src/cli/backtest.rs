//! `backtest`.

use std::collections::BTreeSet;
use std::io::Write;

use super::args;
use super::format;
use super::host::block_on;
use super::listener::Terminal;
use super::{CliError, dates};
use crate::config::Config;
use crate::job::backtest::{self, From, Options, Report};
use crate::job::score::Score;
use crate::model::AnomalyGroup;

pub(super) fn backtest(config: &Config, args: &args::Backtest, out: &mut impl Write) -> Result<(), CliError> {
    let (from, to) = dates(args.from, args.to)?;
    let options = Options {
        input: args.input.map(|input| match input {
            args::Input::Partitions => From::Partitions,
            args::Input::Source => From::Source,
        }),
        from,
        to,
        labels: args.labels.clone(),
        scores: args.scores.clone(),
        anomalies: args.anomalies.clone(),
    };
    let mut terminal = Terminal::new(out);
    let report = block_on(&mut terminal, |host| backtest::run(config, &options, host));
    let out = terminal.finish();
    let Report { summary, learned, score, groups } = report?;
    let after = match learned {
        0 => String::new(),
        learned => format!(", after {} to learn from", format::count(learned)),
    };
    writeln!(out, "intervals  {} judged{after}", format::count(summary.intervals))?;
    if summary.stopped {
        writeln!(out, "stopped    before the end of the history: what follows is about a part of it")?;
    }
    writeln!(out, "series     {}", format::series(summary.series, summary.learning))?;
    let (findings, anomalies) = (format::count(summary.findings), format::count(anomalies(&groups)));
    writeln!(out, "findings   {findings} in {anomalies} anomalies")?;
    writeln!(out, "time       {:.1} s", summary.elapsed.as_secs_f64())?;
    if let Some(score) = score {
        print_score(out, &score)?;
    }
    Ok(())
}

/// An anomaly is what has one beginning on one series of one measure.
fn anomalies(groups: &[AnomalyGroup]) -> u64 {
    let beginnings = groups.iter().flat_map(|group| {
        group.findings.iter().map(|finding| (group.measure.as_str(), &finding.dimensions, finding.since))
    });
    beginnings.collect::<BTreeSet<_>>().len() as u64
}

fn print_score(out: &mut impl Write, score: &Score) -> Result<(), CliError> {
    let learning = match score.while_learning {
        0 => String::new(),
        n => format!(" ({n} while their series was learning)"),
    };
    writeln!(out, "incidents  {} of {} found{learning}", score.found, score.incidents)?;
    if let Some(unknown) = &score.unknown {
        writeln!(
            out,
            "           {} on no series that was judged, first in line {}:",
            unknown.incidents, unknown.line
        )?;
        writeln!(out, "           {}: {}", unknown.series, unknown.hint)?;
    }
    writeln!(out, "episodes   {}, {} of them false", score.episodes, score.false_episodes)?;
    writeln!(out, "recall     {}", format::figure(score.recall()))?;
    writeln!(out, "precision  {}", format::figure(score.precision()))?;
    writeln!(out, "F1         {}", format::figure(score.f1()))?;
    let delay = score.delay_median.map_or_else(|| "none found".into(), |delay| format!("{delay} intervals"));
    writeln!(out, "delay      {delay} (lower median)")?;
    writeln!(out, "false      {} per series and week", format::figure(score.false_per_series_week()))?;
    Ok(())
}
