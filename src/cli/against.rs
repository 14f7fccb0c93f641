//! `backtest --against`: what a second configuration gains and loses over the same history.

use std::io::Write;
use std::path::Path;

use super::backtest::print_history;
use super::host::block_on;
use super::listener::Terminal;
use super::{CliError, format};
use crate::config::Config;
use crate::job::backtest::{self, Against, Change, Kind, Side, Span};

pub(super) fn against(
    (config, other): (&Config, &Config),
    span: &Span,
    csv: Option<&Path>,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let mut terminal = Terminal::new(out);
    let against = block_on(&mut terminal, |host| backtest::against(config, other, span, csv, host));
    let out = terminal.finish();
    let Against { summary, learned, sides, changes } = against?;
    if !changes.is_empty() {
        writeln!(out, "CHANGE  FROM                 UNTIL                MEASURE          SEV A  SEV B  WHERE")?;
        changes.iter().try_for_each(|change| line(out, change))?;
        writeln!(out)?;
    }
    print_history(out, &summary, learned)?;
    writeln!(out, "time       {:.1} s", summary.elapsed.as_secs_f64())?;
    for (name, side) in ["first", "second"].into_iter().zip(&sides) {
        let (findings, anomalies) = (format::count(side.findings), format::count(side.anomalies));
        writeln!(out, "{name:<10} {findings} findings in {anomalies} anomalies{}", figures(side))?;
    }
    let of = |kind| format::count(changes.iter().filter(|change| change.kind() == kind).count() as u64);
    let (gained, lost, kept) = (of(Kind::Gained), of(Kind::Lost), of(Kind::Kept));
    writeln!(out, "change     {gained} gained, {lost} lost, {kept} kept, where anomalies that overlap are one")?;
    Ok(())
}

fn line(out: &mut impl Write, change: &Change) -> Result<(), CliError> {
    let severity = |at: usize| change.parts[at].map_or_else(|| "-".to_owned(), |part| format!("{:.0}", part.severity));
    let (from, until) = (change.first.to_string(), change.last.end().to_string());
    let kind = change.kind().name();
    let (a, b, dimensions) = (severity(0), severity(1), &change.dimensions);
    Ok(writeln!(out, "{kind:<6}  {from:<19}  {until:<19}  {:<15}  {a:>5}  {b:>5}  {dimensions}", change.measure)?)
}

fn figures(side: &Side) -> String {
    let Some(score) = &side.score else { return String::new() };
    format!(
        ": precision {}, recall {}, F1 {}, {} false per series and week",
        format::figure(score.precision()),
        format::figure(score.recall()),
        format::figure(score.f1()),
        format::figure(score.false_per_series_week()),
    )
}
