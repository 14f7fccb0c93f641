//! `feedback`: what people think of an incident, given to the job that runs; and, before that, what it would have changed.

use std::io::Write;

use super::anomalies::stored;
use super::args::{Feedback, Thought};
use super::{CliError, incidents};
use crate::alert::{IncidentTable, latest};
use crate::config::Config;
use crate::incident::{About, Command, Given, Opinion, feedback_points, is_similar, shifted, what};
use crate::job::incidents as job;
use crate::model::{Incident, IncidentState};

/// Opinions about the same hour of the week from which on a calendar is proposed.
const HABIT: usize = 3;
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn feedback(config: &Config, args: &Feedback, out: &mut impl Write) -> Result<(), CliError> {
    let opinion = match args.opinion {
        Thought::Useful => Opinion::Useful,
        Thought::Expected => Opinion::Expected,
        Thought::WrongCause => Opinion::WrongCause,
    };
    let (from, to) = (chrono::NaiveDate::MIN, chrono::NaiveDate::MAX);
    let all = latest(stored(config, async |store| IncidentTable::new(store).read(from, to).await)?);
    let Some(incident) = all.iter().find(|incident| incident.id == args.incident) else {
        return Err(CliError::NoIncident { id: args.incident.clone(), url: config.partition.url.clone() });
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let given = runtime.block_on(job::opinions(config))?;
    if args.dry_run {
        return dry(config, (incident, opinion), &all, &given, out);
    }
    let about = |cause: &crate::model::IncidentCause| About {
        measure: cause.measure.clone(),
        dimensions: cause.dimensions.clone(),
        direction: cause.direction,
    };
    let command = Command::Feedback {
        incident: incident.id.clone(),
        about: incident.causes.iter().map(about).collect(),
        since: incident.since,
        opinion,
    };
    incidents::give(config, command, out)?;
    propose(config, (incident, opinion), &all, &given, out)
}

/// What the change would have done to the incidents so far, had it been made before them.
fn dry(
    config: &Config,
    (incident, opinion): (&Incident, Opinion),
    all: &[Incident],
    given: &[Given],
    out: &mut impl Write,
) -> Result<(), CliError> {
    let threshold = config.incident.severity_threshold;
    let by = feedback_points(opinion);
    let alike: Vec<&Incident> = all
        .iter()
        .filter(|other| other.state != IncidentState::Merged && is_similar(other, incident, &config.select.dimensions))
        .collect();
    writeln!(out, "{by:+.0} points for {} incidents like it; {threshold:.0} and more is told", alike.len())?;
    let mut changed = 0;
    for other in alike {
        let (before, after) = (other.severity_max, shifted(other.severity_max, by));
        let told = match (before >= threshold, after >= threshold) {
            (true, false) => "would not have been told",
            (false, true) => "would have been told",
            _ => continue,
        };
        changed += 1;
        let known = given.iter().find(|given| given.incident == other.id).map(|given| match given.opinion {
            Opinion::Useful => ", which was called useful",
            Opinion::Expected => ", which was called expected",
            Opinion::WrongCause => ", which was called wrong in its cause",
        });
        let (since, what, known) = (other.since, what(other), known.unwrap_or_default());
        writeln!(out, "{}  {since}  {before:.0} -> {after:.0}  {told}{known}: {what}", other.id)?;
    }
    if changed == 0 {
        writeln!(out, "no incident so far would have been told otherwise")?;
    }
    Ok(())
}

/// What is expected at the same hour every week is a calendar.
fn propose(
    config: &Config,
    (incident, opinion): (&Incident, Opinion),
    all: &[Incident],
    given: &[Given],
    out: &mut impl Write,
) -> Result<(), CliError> {
    let hour = crate::incident::hour_of_week(incident.since);
    let is_like = |given: &&Given| {
        let other = all.iter().find(|other| other.id == given.incident && other.id != incident.id);
        given.opinion == Opinion::Expected
            && given.hour == hour
            && other.is_some_and(|other| is_similar(other, incident, &config.select.dimensions))
    };
    if opinion != Opinion::Expected || given.iter().filter(is_like).count() + 1 < HABIT {
        return Ok(());
    }
    let (day, at) = (WEEKDAYS[(hour / 24 % 7) as usize], hour % 24);
    writeln!(out, "\nthis is expected every week at this hour: a calendar would keep it from being judged\n")?;
    writeln!(out, "[[detect.calendar]]\nname = \"expected {day} {at:02}:00\"")?;
    writeln!(out, "weekly = \"{day} {at:02}:00-{day} {:02}:00\"", at + 1)?;
    if let Some(slice) = incident.slices().first().filter(|slice| slice.iter().next().is_some()) {
        let pairs: Vec<String> = slice.iter().map(|(name, value)| format!("{name} = [{value:?}]")).collect();
        writeln!(out, "dimensions = {{ {} }}", pairs.join(", "))?;
    }
    Ok(())
}
