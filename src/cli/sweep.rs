//! `backtest --sweep`: a table with a line for each sensitivity, and the plot of precision over recall.

use std::io::Write;
use std::path::Path;

use super::args::Sensitivities;
use super::backtest::{print_history, print_unknown};
use super::host::block_on;
use super::listener::Terminal;
use super::plot::{self, Mark, Point};
use super::{CliError, format};
use crate::config::Config;
use crate::job::backtest::{self, Span, Step, Sweep};

pub(super) fn sweep(
    config: &Config,
    span: &Span,
    Sensitivities(sensitivities): &Sensitivities,
    plot: Option<&Path>,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let mut terminal = Terminal::new(out);
    let sweep = block_on(&mut terminal, |host| backtest::sweep(config, span, sensitivities, host));
    let out = terminal.finish();
    let Sweep { summary, learned, steps } = sweep?;
    print_history(out, &summary, learned)?;
    writeln!(out, "time       {:.1} s", summary.elapsed.as_secs_f64())?;
    let seconds = u64::from(config.interval.length.seconds());
    if span.labels.is_some() {
        let incidents = steps.first().map_or(0, |step| step.score.incidents);
        writeln!(out, "incidents  {}", format::count(incidents as u64))?;
        if let Some(unknown) = steps.first().and_then(|step| step.score.unknown.as_ref()) {
            print_unknown(out, unknown)?;
        }
        writeln!(out, "\nSENSITIVITY  FINDINGS  FALSE/SERIES-WEEK  PRECISION  RECALL     F1  DELAY")?;
        steps.iter().try_for_each(|step| labelled_line(out, step, seconds))?;
        writeln!(
            out,
            "\nDELAY is the lower median of the time from an incident's first interval to the first that is flagged"
        )?;
    } else {
        writeln!(out, "\nSENSITIVITY  FINDINGS  ALERTS  ALERTS/SERIES-WEEK")?;
        steps.iter().try_for_each(|step| line(out, step))?;
        writeln!(out, "\nALERTS are runs of flagged intervals; `--labels` tells which of them are false")?;
    }
    if let Some(path) = plot {
        let svg = plot::precision_recall(&points(&steps));
        std::fs::write(path, svg).map_err(|source| CliError::Output { path: path.to_owned(), source })?;
    }
    Ok(())
}

fn labelled_line(out: &mut impl Write, step: &Step, seconds: u64) -> Result<(), CliError> {
    let score = &step.score;
    let delay = score.delay_median.map_or_else(|| "n/a".into(), |delay| format::time(delay * seconds));
    let line = format!(
        "{:<11}  {:>8}  {:>17}  {:>9}  {:>6}  {:>5}  {delay:<10}{}",
        step.sensitivity,
        format::count(step.findings),
        format::figure(score.false_per_series_week()),
        format::figure(score.precision()),
        format::figure(score.recall()),
        format::figure(score.f1()),
        remark(step),
    );
    Ok(writeln!(out, "{}", line.trim_end())?)
}

fn line(out: &mut impl Write, step: &Step) -> Result<(), CliError> {
    let line = format!(
        "{:<11}  {:>8}  {:>6}  {:>18}{}",
        step.sensitivity,
        format::count(step.findings),
        format::count(step.score.episodes as u64),
        format::figure(step.score.false_per_series_week()),
        remark(step),
    );
    Ok(writeln!(out, "{}", line.trim_end())?)
}

fn remark(step: &Step) -> &'static str {
    match (step.is_configured, step.is_shipped) {
        (true, true) => "  configured, shipped",
        (true, false) => "  configured",
        (false, true) => "  shipped",
        (false, false) => "",
    }
}

/// The points of the curve; a sensitivity at which nothing was found has no precision.
fn points(steps: &[Step]) -> Vec<Point> {
    let each = steps.iter().filter_map(|step| {
        let (recall, precision) = (step.score.recall()?, step.score.precision()?);
        let mark = match (step.is_shipped, step.is_configured) {
            (true, _) => Mark::Shipped,
            (false, true) => Mark::Configured,
            (false, false) => Mark::Plain,
        };
        Some(Point { label: step.sensitivity.to_string(), recall, precision, mark })
    });
    each.collect()
}
