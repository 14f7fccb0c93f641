//! `anomalies --revisions`: the table of revisions as a table, JSON lines or CSV.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::NaiveDate;

use super::CliError;
use super::anomalies::{failed, known, stored};
use super::args::{Anomalies, OutputFormat};
use super::format;
use crate::alert::{Revision, RevisionTable};
use crate::config::Config;
use crate::model::Direction;

pub(super) fn list(
    config: &Config,
    args: &Anomalies,
    (from, to): (NaiveDate, NaiveDate),
    out: &mut impl Write,
) -> Result<(), CliError> {
    let mut revisions = read(config, from, to)?;
    if let Some(measure) = &args.measure {
        revisions.retain(|revision| revision.measure == *measure);
        if revisions.is_empty() {
            known(config, measure)?;
        }
    }
    revisions.retain(|revision| revision.severity_before.unwrap_or(0.0).max(revision.severity) >= args.severity);
    match args.format {
        OutputFormat::Table => table(&revisions, out)?,
        OutputFormat::Json => {
            for revision in &revisions {
                serde_json::to_writer(&mut *out, revision).map_err(io::Error::from)?;
                writeln!(out)?;
            }
        }
        OutputFormat::Csv => csv(config, &revisions, out)?,
    }
    if revisions.is_empty() {
        // to whoever reads along; nobody there is no reason to fail
        let _ = writeln!(io::stderr(), "no revisions");
    }
    Ok(())
}

pub(super) fn read(config: &Config, from: NaiveDate, to: NaiveDate) -> Result<Vec<Revision>, CliError> {
    stored(config, async |store| RevisionTable::new(store).read(from, to).await)
}

/// The revision that holds of each finding: the last of those in order.
pub(super) fn latest(revisions: &[Revision]) -> BTreeMap<String, Revision> {
    let mut latest: BTreeMap<String, Revision> = BTreeMap::new();
    for revision in revisions {
        let is_older = latest.get(&revision.id).is_some_and(|there| there.revised_with > revision.revised_with);
        if !is_older {
            latest.insert(revision.id.clone(), revision.clone());
        }
    }
    latest
}

fn table(revisions: &[Revision], out: &mut impl Write) -> Result<(), CliError> {
    let width = revisions.iter().map(|revision| revision.id.len()).max().unwrap_or(0);
    writeln!(out, "{:<width$}  {}", "ID", format::FINDING_HEADER)?;
    for revision in revisions {
        writeln!(out, "{:<width$}  {}", revision.id, format::revision_line(revision))?;
    }
    Ok(())
}

fn csv(config: &Config, revisions: &[Revision], out: &mut impl Write) -> Result<(), CliError> {
    let mut writer = csv::Writer::from_writer(out);
    let dimensions = config.select.dimensions.iter().map(String::as_str);
    let front = ["id", "interval_start", "measure"].into_iter();
    let back = ["status", "revised_with", "since", "value_before", "value", "expected", "lower", "upper", "direction"];
    let last = ["severity_before", "severity"];
    writer.write_record(front.chain(dimensions).chain(back).chain(last)).map_err(failed)?;
    let optional = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    for revision in revisions {
        let direction = match revision.direction {
            Direction::High => "high",
            Direction::Low => "low",
        };
        let front = [revision.id.clone(), revision.interval_start.to_string(), revision.measure.clone()];
        let dimensions = revision.dimensions.iter().map(|(_, value)| value.to_owned());
        let back = [
            revision.status.to_string(),
            revision.revised_with.to_string(),
            revision.since.to_string(),
            optional(revision.value_before),
            revision.value.to_string(),
            revision.expected.to_string(),
            revision.lower.to_string(),
            revision.upper.to_string(),
            direction.to_owned(),
            optional(revision.severity_before),
            revision.severity.to_string(),
        ];
        writer.write_record(front.into_iter().chain(dimensions).chain(back)).map_err(failed)?;
    }
    Ok(writer.flush()?)
}
