//! `backtest`: which of its three forms is asked for, and the one that runs one detector.

use std::collections::BTreeSet;
use std::io::Write;

use super::args;
use super::format;
use super::host::block_on;
use super::listener::Terminal;
use super::{CliError, against, dates, sweep};
use crate::config::{self, Config};
use crate::job::backtest::promote::{Promoted, Target};
use crate::job::backtest::{self, From, Options, Report, Span};
use crate::job::score::{Score, Unknown};
use crate::job::{RecordScore, Summary};
use crate::model::AnomalyGroup;

pub(super) fn backtest(config: &Config, args: &args::Backtest, out: &mut impl Write) -> Result<(), CliError> {
    let (from, to) = dates(args.from, args.to)?;
    let input = args.input.map(|input| match input {
        args::Input::Partitions => From::Partitions,
        args::Input::Source => From::Source,
    });
    let span = Span { input, from, to, labels: args.labels.clone() };
    if let Some(sensitivities) = &args.sweep {
        return sweep::sweep(config, &span, sensitivities, args.plot.as_deref(), out);
    }
    if let Some(other) = &args.against {
        return against::against((config, &config::load(other)?), &span, args.against_out.as_deref(), out);
    }
    let promote = args.promote.map(|job| match job {
        args::Promote::Run => Target::Run,
        args::Promote::Detect => Target::Detect,
    });
    let (scores, anomalies, revisions) = (args.scores.clone(), args.anomalies.clone(), args.revisions.clone());
    let incidents = args.incidents.clone();
    let options = Options { span, scores, anomalies, revisions, incidents, promote };
    one(config, &options, out)
}

fn one(config: &Config, options: &Options, out: &mut impl Write) -> Result<(), CliError> {
    let mut terminal = Terminal::new(out);
    let report = block_on(&mut terminal, |host| backtest::run(config, options, host));
    let out = terminal.finish();
    let Report { summary, learned, learned_after, score, record_score, groups, promoted } = report?;
    print_history(out, &summary, learned)?;
    let (findings, anomalies) = (format::count(summary.findings), format::count(anomalies(&groups)));
    match &summary.records {
        Some(_) => writeln!(out, "findings   {findings}")?,
        None => {
            writeln!(out, "findings   {findings} in {anomalies} anomalies{}", format::revised(summary.revisions))?;
            writeln!(out, "incidents  {}", format::count(summary.incidents))?;
        }
    }
    writeln!(out, "time       {:.1} s", summary.elapsed.as_secs_f64())?;
    if let Some(score) = score {
        print_score(out, &score)?;
    }
    if let Some(score) = record_score {
        print_record_score(out, &score)?;
    }
    if let Some(promoted) = promoted {
        print_promoted(out, &promoted, learned_after)?;
    }
    Ok(())
}

/// What was judged.
pub(super) fn print_history(out: &mut impl Write, summary: &Summary, learned: u64) -> Result<(), CliError> {
    let after = match learned {
        0 => String::new(),
        learned => format!(", after {} to learn from", format::count(learned)),
    };
    writeln!(out, "intervals  {} judged{after}", format::count(summary.intervals))?;
    if summary.stopped {
        writeln!(out, "stopped    before the end of the history: what follows is about a part of it")?;
    }
    match &summary.records {
        Some(records) => writeln!(out, "records    {}", format::records(records))?,
        None => writeln!(out, "series     {}", format::series(summary.series, summary.learning, summary.speaks))?,
    }
    Ok(())
}

/// Figures of records.
fn print_record_score(out: &mut impl Write, score: &RecordScore) -> Result<(), CliError> {
    let learning = match score.while_learning {
        0 => String::new(),
        n => format!(" ({} while their forest learned)", format::count(n)),
    };
    let (found, labelled) = (format::count(score.found), format::count(score.labelled));
    writeln!(out, "labelled   {found} of {labelled} found{learning}")?;
    if score.unknown > 0 {
        writeln!(out, "           {} labels name no record that was scored", format::count(score.unknown))?;
    }
    writeln!(out, "false      {} of {} told", format::count(score.told - score.found), format::count(score.told))?;
    writeln!(out, "recall     {}", format::figure(score.recall()))?;
    writeln!(out, "precision  {}", format::figure(score.precision()))?;
    Ok(writeln!(out, "F1         {}", format::figure(score.f1()))?)
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
        print_unknown(out, unknown)?;
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

/// Labels that name no series.
pub(super) fn print_unknown(out: &mut impl Write, unknown: &Unknown) -> Result<(), CliError> {
    writeln!(out, "           {} on no series that was judged, first in line {}:", unknown.incidents, unknown.line)?;
    writeln!(out, "           {}: {}", unknown.series, unknown.hint)?;
    Ok(())
}

fn print_promoted(out: &mut impl Write, promoted: &Promoted, learned_after: u64) -> Result<(), CliError> {
    let Promoted { target, state, last, replaced } = promoted;
    let command = target.command();
    let in_place = if *replaced { ", in place of the one that was there" } else { "" };
    writeln!(out, "promoted   to the state in {state}{in_place}")?;
    if learned_after > 0 {
        let after = format::count(learned_after);
        writeln!(out, "           it learned from the {after} intervals after the last date as well")?;
    }
    writeln!(out, "           `tidewatch {command}` goes on after the interval of {last}")?;
    Ok(())
}
