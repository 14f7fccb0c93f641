//! The detector's verdicts at several sensitivities over the same history: what each of them costs in false alerts and
//! gains in incidents that are found.

use super::several::Several;
use super::walk::{End, input, walk};
use super::{Span, several};
use crate::config::Config;
use crate::detect::{SENSITIVITY, Settings, SettingsError};
use crate::job::error::JobError;
use crate::job::host::{Host, Summary};
use crate::job::judge;
use crate::job::score::Score;
use crate::model::Columns;

/// What came out at several sensitivities.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Intervals and series.
    pub summary: Summary,
    /// Intervals before the first date, which the detectors learned from.
    pub learned: u64,
    /// One for each sensitivity, the least sensitive first.
    pub steps: Vec<Step>,
}

/// What came out at one sensitivity.
#[derive(Clone, Debug)]
pub struct Step {
    /// Expected false alerts per series and week.
    pub sensitivity: f64,
    /// Whether it is the one that the configuration has.
    pub is_configured: bool,
    /// Whether it is the one that holds where a configuration says nothing.
    pub is_shipped: bool,
    /// Findings.
    pub findings: u64,
    /// The figures; without labels, every episode counts as false and nothing else is known.
    pub score: Score,
}

/// Runs a detector for each of these sensitivities, that of the configuration, and the shipped one.
///
/// # Errors
/// When a sensitivity is out of range, there is no history, or it cannot be read.
pub async fn sweep(config: &Config, span: &Span, sensitivities: &[f64], mut host: Host<'_>) -> Result<Sweep, JobError> {
    if config.detect.records.is_some() {
        let hint = "`--scores` writes the score of every record";
        return Err(JobError::OfIntervals { what: "`--sweep`", hint });
    }
    let from = input(config, span).await?;
    let make = |columns: &Columns| Several::new(config, span, columns, ladder(config, columns, sensitivities)?);
    let (several, read) = walk(config, (from, End::Date(span.to)), &mut host, make).await?;
    let (summary, learned, said) = several.finish(read, &host);
    let steps = said.into_iter().map(|several::Said { settings, findings, score, .. }| {
        let sensitivity = settings.sensitivity();
        let is = |other: f64| sensitivity.total_cmp(&other).is_eq();
        let (is_configured, is_shipped) = (is(config.detect.sensitivity), is(SENSITIVITY));
        Step { sensitivity, is_configured, is_shipped, findings, score }
    });
    Ok(Sweep { summary, learned, steps: steps.collect() })
}

fn ladder(config: &Config, columns: &Columns, sensitivities: &[f64]) -> Result<Vec<Settings>, JobError> {
    let mut all = [sensitivities, &[config.detect.sensitivity, SENSITIVITY]].concat();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let settings = judge::settings(config, columns)?;
    let each = all.into_iter().map(|sensitivity| settings.clone().with_sensitivity(sensitivity));
    Ok(each.collect::<Result<Vec<_>, SettingsError>>()?)
}
