//! `anomalies` and `explain`: the anomaly table as a table, JSON lines or CSV. What people read tells what late rows did to
//! a finding; the other two are the lines as they were written.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::NaiveDate;

use super::args::{Anomalies, Explain, OutputFormat};
use super::format;
use super::{CliError, card, dates, records, revisions};
use crate::alert::{AnomalyTable, Revision, TableError};
use crate::config::Config;
use crate::job::JobError;
use crate::model::{AnomalyGroup, Direction, Finding, nearest};
use crate::store::{Place, Store};

pub(super) fn list(config: &Config, args: &Anomalies, out: &mut impl Write) -> Result<(), CliError> {
    let (from, to) = dates(args.from, args.to)?;
    if config.detect.records.is_some() {
        return records::list(config, args, (from, to), out);
    }
    if args.revisions {
        return revisions::list(config, args, (from, to), out);
    }
    let mut groups = read(config, from, to)?;
    if let Some(measure) = &args.measure {
        groups.retain(|group| group.measure == *measure);
        // the table may know measures that the configuration no longer has
        if groups.is_empty() {
            known(config, measure)?;
        }
    }
    groups.retain(|group| group.severity >= args.severity);
    let revised = match args.format {
        OutputFormat::Table => revisions::latest(&revisions::read(config, from, to)?),
        OutputFormat::Json | OutputFormat::Csv => BTreeMap::new(),
    };
    print(config, &groups, &revised, args.format, out)?;
    if groups.is_empty() {
        // to whoever reads along; nobody there is no reason to fail
        let _ = writeln!(io::stderr(), "no anomalies");
    }
    Ok(())
}

pub(super) fn known(config: &Config, measure: &str) -> Result<(), CliError> {
    let names = || config.detect.measures.iter().map(|measure| &*measure.name);
    if names().any(|name| name == measure) {
        return Ok(());
    }
    let hint = match nearest(measure, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    Err(CliError::NoMeasure { measure: measure.to_owned(), hint })
}

pub(super) fn explain(config: &Config, args: &Explain, out: &mut impl Write) -> Result<(), CliError> {
    if args.id.starts_with("incident-") {
        return card::explain(config, args, out);
    }
    if args.html {
        return Err(CliError::NoPage(args.id.clone()));
    }
    if config.detect.records.is_some() {
        return records::explain(config, &args.id, date_of(&args.id), out);
    }
    let (from, to) = date_of(&args.id).map_or((NaiveDate::MIN, NaiveDate::MAX), |date| (date, date));
    let mut groups = read(config, from, to)?;
    groups.retain(|group| group.id == args.id || group.findings.iter().any(|finding| finding.id == args.id));
    let Some(group) = groups.first() else {
        return Err(CliError::NoAnomaly { id: args.id.clone(), url: config.partition.url.clone() });
    };
    match args.format {
        OutputFormat::Table | OutputFormat::Csv if args.json => {
            print(config, &groups, &BTreeMap::new(), OutputFormat::Json, out)
        }
        OutputFormat::Table => of_group(group, &args.id, &revisions::read(config, from, to)?, out),
        format => print(config, &groups, &BTreeMap::new(), format, out),
    }
}

/// The local date in an id, `<measure>-<yyyymmdd>-<hhmm>...` or `-<hhmmss>...`: one day of the table is read and not years.
fn date_of(id: &str) -> Option<NaiveDate> {
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = id.split('-').collect();
    let is_clock = |part: &str| digits(part, 4) || digits(part, 6);
    let date = parts.windows(2).rev().find(|pair| digits(pair[0], 8) && is_clock(pair[1]))?[0];
    NaiveDate::parse_from_str(date, "%Y%m%d").ok()
}

fn read(config: &Config, from: NaiveDate, to: NaiveDate) -> Result<Vec<AnomalyGroup>, CliError> {
    stored(config, async |store| AnomalyTable::new(store).read(from, to).await)
}

/// Reads what is stored beside the partitions.
pub(super) fn stored<T>(
    config: &Config,
    read: impl AsyncFnOnce(Store) -> Result<T, TableError>,
) -> Result<T, CliError> {
    let url = &config.partition.url;
    let place = Place::parse(url).map_err(JobError::from)?;
    if place.directory().is_some_and(|directory| !directory.is_dir()) {
        return Err(CliError::NoTable { url: url.clone() });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let read = async { Ok::<_, JobError>(read(Store::open(url, &config.store).await?).await?) };
    Ok(runtime.block_on(read)?)
}

fn print(
    config: &Config,
    groups: &[AnomalyGroup],
    revised: &BTreeMap<String, Revision>,
    how: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CliError> {
    match how {
        OutputFormat::Table => {
            let widest = groups.iter().flat_map(|group| &group.findings).map(|finding| finding.id.len()).max();
            let width = widest.unwrap_or(0);
            writeln!(out, "{:<width$}  {}", "ID", format::FINDING_HEADER)?;
            for group in groups {
                for finding in &group.findings {
                    let status = revised.get(&finding.id).map(|revision| format!("  {}", format::status(revision)));
                    let line = format::finding_line(group, finding);
                    writeln!(out, "{:<width$}  {line}{}", finding.id, status.unwrap_or_default())?;
                }
                for line in format::cause_lines(group) {
                    writeln!(out, "{:<width$}  {line}", "")?;
                }
            }
        }
        OutputFormat::Json => {
            for group in groups {
                serde_json::to_writer(&mut *out, group).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        }
        OutputFormat::Csv => csv(config, groups, out)?,
    }
    Ok(())
}

fn findings(groups: &[AnomalyGroup]) -> impl Iterator<Item = (&AnomalyGroup, &Finding)> {
    groups.iter().flat_map(|group| group.findings.iter().map(move |finding| (group, finding)))
}

fn csv(config: &Config, groups: &[AnomalyGroup], out: &mut impl Write) -> Result<(), CliError> {
    let mut writer = csv::Writer::from_writer(out);
    let dimensions = config.select.dimensions.iter().map(String::as_str);
    let front = ["id", "group", "interval_start", "since", "measure"].into_iter();
    let back = ["value", "expected", "lower", "upper", "direction", "score", "severity"];
    writer.write_record(front.chain(dimensions).chain(back)).map_err(failed)?;
    for (group, finding) in findings(groups) {
        let (interval, since) = (group.interval.to_string(), finding.since.to_string());
        let front = [finding.id.as_str(), &group.id, &interval, &since, &group.measure];
        let numbers = [finding.expected, finding.lower, finding.upper].map(|number| number.to_string());
        let value = finding.value.map(|value| value.to_string()).unwrap_or_default();
        let last = [finding.score, finding.severity].map(|number| number.to_string());
        let direction = match finding.direction {
            Direction::High => "high",
            Direction::Low => "low",
        };
        let dimensions = finding.dimensions.iter().map(|(_, value)| value);
        let back = std::iter::once(value.as_str()).chain(numbers.iter().map(String::as_str)).chain([direction]);
        let record = front.into_iter().chain(dimensions).chain(back).chain(last.iter().map(String::as_str));
        writer.write_record(record).map_err(failed)?;
    }
    Ok(writer.flush()?)
}

/// A reader that went away must be told from other failures: the conversion of the csv crate forgets it.
pub(super) fn failed(error: csv::Error) -> CliError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => CliError::Print(error),
        kind => CliError::Print(io::Error::other(format!("{kind:?}"))),
    }
}

/// One anomaly group for people, with what late rows did to it.
fn of_group(group: &AnomalyGroup, id: &str, revisions: &[Revision], out: &mut impl Write) -> Result<(), CliError> {
    writeln!(
        out,
        "{}  {} in the interval from {} to {}",
        group.id,
        group.measure,
        group.interval,
        group.interval.end()
    )?;
    writeln!(out, "severity  {:.0} of 100", group.severity)?;
    for finding in group.findings.iter().filter(|finding| group.id == id || finding.id == id) {
        let given = finding.value.map_or_else(|| "nothing".into(), format::value);
        let deviation = finding.value.unwrap_or(0.0) - finding.expected;
        let by = format!("{}{}", if deviation >= 0.0 { "+" } else { "" }, format::value(deviation));
        writeln!(out, "\n{}", finding.dimensions)?;
        writeln!(out, "  id        {}", finding.id)?;
        writeln!(out, "  since     {}", finding.since)?;
        writeln!(out, "  value     {given}, expected {} ({by})", format::value(finding.expected))?;
        writeln!(out, "  band      {} to {}", format::value(finding.lower), format::value(finding.upper))?;
        writeln!(out, "  severity  {:.0}, score {}", finding.severity, format::value(finding.score))?;
        for revision in revisions.iter().filter(|revision| revision.id == finding.id) {
            let at = revision.revised_with;
            writeln!(out, "  revised   {}, with the interval of {at}", format::status(revision))?;
        }
    }
    let causes = format::cause_lines(group);
    if !causes.is_empty() {
        writeln!(out)?;
    }
    for line in causes {
        writeln!(out, "{line}")?;
    }
    for contribution in &group.contributions {
        let share = |share: &crate::model::Share| format!("{} {:.0} %", share.value, share.share * 100.0);
        let shares: Vec<_> = contribution.values.iter().map(share).collect();
        writeln!(out, "\n{}: {}", contribution.dimension, shares.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Args, Command};
    use super::*;

    #[test]
    fn an_id_tells_its_date() {
        let date = NaiveDate::from_ymd_opt(2024, 3, 10);
        for id in ["views-20240310-2350", "views-20240310-2350-f81d6cfdd7e8", "a-19990101-0000-20240310-2350"] {
            assert_eq!(date_of(id), date, "{id}");
        }
        assert_eq!((date_of("views"), date_of("views-20241310-2350")), (None, None));
    }

    fn listed(url: &str, options: &[&str]) -> Result<String, CliError> {
        let text = format!(
            "[source.stdin]\n[select]\ntimestamp = 'at'\ndimensions = ['shop']\nmeasures = ['views']\n\
             [partition]\nurl = '{url}'\n"
        );
        let config = crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let typed = ["tidewatch", "anomalies", "a.toml"].iter().chain(options);
        let Command::Anomalies(args) = Args::parse_from(typed).command else { panic!("anomalies") };
        let mut out = Vec::new();
        list(&config, &args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_table_that_is_not_there_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let url = directory.path().join("none");
        let error = listed(&url.display().to_string(), &[]).unwrap_err().to_string();
        assert!(error.contains("none` does not exist; hint:"), "{error}");
        assert!(!url.exists());
    }

    #[test]
    fn an_empty_table_has_its_header_and_a_slip_gets_the_nearest_measure() {
        let directory = tempfile::tempdir().unwrap();
        let url = directory.path().display().to_string();
        assert_eq!(
            listed(&url, &["--measure", "views"]).unwrap().trim_end(),
            format!("ID  {}", format::FINDING_HEADER)
        );
        assert_eq!(listed(&url, &["--format", "csv"]).unwrap().lines().count(), 1);
        let error = listed(&url, &["--measure", "vievs"]).unwrap_err().to_string();
        assert!(error.contains("`--measure vievs`") && error.contains("did you mean `views`?"), "{error}");
        let error = listed(&url, &["--from", "2024-03-05", "--to", "2024-03-04"]).unwrap_err();
        assert!(matches!(error, CliError::DateOrder { .. }), "{error}");
    }
}
