//! `incidents`, `ack`, `silence`: the incident table as a table, JSON lines or CSV, and what an operator says about it to a
//! job that runs.

use std::io::{self, Write};

use super::anomalies::{failed, known, stored};
use super::args::{Ack, Incidents, OutputFormat, Side, Silence};
use super::{CliError, dates};
use crate::alert::{IncidentTable, latest};
use crate::config::Config;
use crate::incident::{Command, SilenceMatcher, what};
use crate::job::{SystemClock, incidents};
use crate::model::{Direction, Incident, IncidentKind};

pub(super) fn list(config: &Config, args: &Incidents, out: &mut impl Write) -> Result<(), CliError> {
    let (from, to) = dates(args.from, args.to)?;
    let mut incidents = latest(stored(config, async |store| IncidentTable::new(store).read(from, to).await)?);
    incidents.retain(|incident| incident.severity_max >= args.severity && (!args.open || incident.is_live()));
    match args.format {
        OutputFormat::Table => table(&incidents, out)?,
        OutputFormat::Json => {
            for incident in &incidents {
                serde_json::to_writer(&mut *out, incident).map_err(io::Error::from)?;
                writeln!(out)?;
            }
        }
        OutputFormat::Csv => csv(&incidents, out)?,
    }
    if incidents.is_empty() {
        // to whoever reads along; nobody there is no reason to fail
        let _ = writeln!(io::stderr(), "no incidents");
    }
    Ok(())
}

/// All revisions of one incident, the newest last.
pub(super) fn revisions(config: &Config, id: &str) -> Result<Vec<Incident>, CliError> {
    let all = stored(config, async |store| {
        IncidentTable::new(store).read(chrono::NaiveDate::MIN, chrono::NaiveDate::MAX).await
    })?;
    let revisions: Vec<Incident> = all.into_iter().filter(|incident| incident.id == id).collect();
    if revisions.is_empty() {
        return Err(CliError::NoIncident { id: id.to_owned(), url: config.partition.url.clone() });
    }
    Ok(revisions)
}

pub(super) fn acknowledge(config: &Config, args: &Ack, out: &mut impl Write) -> Result<(), CliError> {
    let told = revisions(config, &args.incident)?;
    let seen = told.iter().map(|incident| incident.interval.number()).max().unwrap_or(0);
    let now = latest(told).pop();
    let Some(incident) = now.as_ref().filter(|incident| incident.is_live()) else {
        let state = now.map(|incident| incident.state.to_string()).unwrap_or_default();
        writeln!(out, "{} is {state}: there is nothing to attend to", args.incident)?;
        return Ok(());
    };
    give(config, Command::Acknowledge { incident: incident.id.clone(), seen }, out)
}

pub(super) fn silence(config: &Config, args: &Silence, out: &mut impl Write) -> Result<(), CliError> {
    let name = args.name.clone();
    let Some(seconds) = args.lasts else { return give(config, Command::Unsilence { name }, out) };
    let mut matcher = SilenceMatcher { measures: args.measures.clone(), ..SilenceMatcher::default() };
    args.measures.iter().try_for_each(|measure| known(config, measure))?;
    for given in &args.wheres {
        let pair = given.split_once('=').filter(|(name, _)| config.select.dimensions.iter().any(|known| known == name));
        let Some((name, value)) = pair else {
            let known = config.select.dimensions.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(CliError::Where { given: given.clone(), known });
        };
        match matcher.dimensions.iter_mut().find(|(there, _)| there == name) {
            Some((_, values)) => values.push(value.to_owned()),
            None => matcher.dimensions.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    matcher.direction = args.direction.map(|side| match side {
        Side::High => Direction::High,
        Side::Low => Direction::Low,
    });
    give(config, Command::Silence { name, matcher, seconds }, out)
}

/// Leaves a command where the jobs find it.
pub(super) fn give(config: &Config, command: Command, out: &mut impl Write) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let places = runtime.block_on(incidents::give(config, command, &SystemClock::start()))?;
    for place in places {
        writeln!(out, "given to the job in {place}: it takes effect with the next interval after its next checkpoint")?;
    }
    Ok(())
}

const HEADER: &str = "STATE        SEV  SINCE             UNTIL             WHAT";

fn table(incidents: &[Incident], out: &mut impl Write) -> Result<(), CliError> {
    let width = incidents.iter().map(|incident| incident.id.len()).max().unwrap_or(2);
    writeln!(out, "{:<width$}  {HEADER}", "ID")?;
    for incident in incidents {
        writeln!(out, "{:<width$}  {}", incident.id, line(incident))?;
    }
    Ok(())
}

fn line(incident: &Incident) -> String {
    let time = |at: chrono::NaiveDateTime| at.format("%Y-%m-%d %H:%M").to_string();
    let marks = [
        incident.acknowledged.map(|_| "attended".to_owned()),
        incident.silenced.as_ref().map(|name| format!("silenced by {name}")),
        incident.merged_into.as_ref().map(|id| format!("part of {id}")),
    ];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    let marks = if marks.is_empty() { String::new() } else { format!("  ({})", marks.join(", ")) };
    format!(
        "{:<11}  {:>3.0}  {}  {:<16}  {}{marks}",
        incident.state.to_string(),
        incident.severity_max,
        time(incident.since),
        incident.until.map(time).unwrap_or_default(),
        what(incident),
    )
}

pub(super) fn csv(incidents: &[Incident], out: &mut impl Write) -> Result<(), CliError> {
    let mut writer = csv::Writer::from_writer(out);
    let header = ["id", "kind", "state", "since", "until", "severity", "surprise", "impact", "intervals", "measures"];
    writer.write_record(header.into_iter().chain(["slices", "direction", "reopened"])).map_err(failed)?;
    for incident in incidents {
        let slices: Vec<String> = incident.slices().iter().map(ToString::to_string).collect();
        let fields = [
            incident.id.clone(),
            if incident.kind == IncidentKind::Data { "data" } else { "values" }.to_owned(),
            incident.state.to_string(),
            incident.since.to_string(),
            incident.until.map(|until| until.to_string()).unwrap_or_default(),
            incident.severity_max.to_string(),
            incident.surprise.to_string(),
            incident.impact.to_string(),
            incident.duration.to_string(),
            incident.measures().join("; "),
            slices.join("; "),
            if incident.direction == Direction::High { "high" } else { "low" }.to_owned(),
            incident.reopened.to_string(),
        ];
        writer.write_record(fields).map_err(failed)?;
    }
    Ok(writer.flush()?)
}
