//! Where records are scored: what `check` says of it, and `anomalies` and `explain` over the table of records.

use std::io::{self, Write};

use chrono::NaiveDate;
use serde_json::Value;
use serde_json::value::RawValue;

use super::anomalies::{failed, stored};
use super::args::{Anomalies, OutputFormat};
use super::{CliError, format, speaks};
use crate::alert::RecordTable;
use crate::config::{Config, Records};
use crate::job::JobError;
use crate::job::inspect::{Inspection, RecordPlan};

/// How records will be scored.
pub(super) fn expect(
    out: &mut impl Write,
    config: &Config,
    (records, plan): (&Records, &RecordPlan),
    inspection: &Inspection,
) -> Result<(), CliError> {
    let columns = records.columns.join(", ");
    let shape = records.shape;
    let keys = if records.per_key { inspection.combinations } else { 1 };
    let per = if records.per_key { "one forest per combination" } else { "one forest for all" };
    writeln!(out, "records    each is scored over {columns}; {per}, scale {}", records.scaling.name())?;
    let decay = format::count(shape.time_decay);
    writeln!(
        out,
        "forest     {} trees of {} records, shingle {}, time decay {decay}",
        shape.trees, shape.sample, shape.shingle
    )?;
    let top = records.choice.top_per_second.map_or_else(String::new, |top| format!(", {top} a second at most"));
    writeln!(out, "told       scores of {} and more{top}", records.choice.score_threshold)?;
    writeln!(out, "speaks     after {} records of a forest", format::count(shape.ready_after))?;
    let (keys_now, forest) = (format::count(keys), format::size(plan.forest_bytes));
    let (most, budget) = (format::count(plan.keys_max), format::size(inspection.memory_bytes));
    writeln!(out, "memory     {keys_now} forests of {forest} at most; the budget of {budget} holds {most}")?;
    if keys > plan.keys_max {
        let more = format::count(keys - plan.keys_max);
        writeln!(out, "warning: {more} keys of the sample share one forest: the lightest; raise `detect.memory`")?;
    }
    speaks::goes_on(out, inspection)?;
    if !config.alerts.is_empty() {
        writeln!(out, "warning: `[[alert]]` is for intervals; scored records are shown while the job runs")?;
    }
    Ok(())
}

/// `anomalies`.
pub(super) fn list(
    config: &Config,
    args: &Anomalies,
    (from, to): (NaiveDate, NaiveDate),
    out: &mut impl Write,
) -> Result<(), CliError> {
    for (what, is_given) in [
        ("`--revisions`", args.revisions),
        ("`--measure`", args.measure.is_some()),
        ("`--severity`", args.severity > 0.0),
    ] {
        if is_given {
            let hint = "the table of records has scores; `--format json` gives all of it";
            return Err(JobError::OfIntervals { what, hint }.into());
        }
    }
    let lines = stored(config, async |store| RecordTable::new(store).read(from, to).await)?;
    match args.format {
        OutputFormat::Json => lines.iter().try_for_each(|line| writeln!(out, "{}", line.get()))?,
        OutputFormat::Table => {
            writeln!(out, "{:<28} {:>7}  RECORD", "ID", "SCORE")?;
            for line in lines.iter().map(|line| parsed(line)) {
                let score = line["ANOMALY_SCORE"].as_f64().unwrap_or_default();
                writeln!(out, "{:<28} {score:>7.3}  {}", text(&line["ANOMALY_ID"]), columns(config, &line))?;
            }
        }
        OutputFormat::Csv => csv(config, &lines, out)?,
    }
    if lines.is_empty() {
        // to whoever reads along; nobody there is no reason to fail
        let _ = writeln!(io::stderr(), "no records");
    }
    Ok(())
}

/// `explain`.
pub(super) fn explain(
    config: &Config,
    id: &str,
    date: Option<NaiveDate>,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let (from, to) = date.map_or((NaiveDate::MIN, NaiveDate::MAX), |date| (date, date));
    let lines = stored(config, async |store| RecordTable::new(store).read(from, to).await)?;
    let missing = || CliError::NoAnomaly { id: id.to_owned(), url: config.partition.url.clone() };
    let line = lines.iter().map(|line| parsed(line)).find(|line| line["ANOMALY_ID"] == id).ok_or_else(missing)?;
    writeln!(out, "{id}  score {}", line["ANOMALY_SCORE"])?;
    let shares = line["ANOMALY_EXPLANATION"].as_object();
    for (name, value) in own(config, &line) {
        let share = shares.and_then(|shares| shares.get(name)).map_or_else(String::new, |share| {
            let direction = text(&share["DIRECTION"]);
            format!("  {direction}, {} of the score, strength {}", share["ATTRIBUTION_SCORE"], share["STRENGTH"])
        });
        writeln!(out, "  {name:<16} {}{share}", text(value))?;
    }
    Ok(())
}

/// A line, which is JSON.
fn parsed(line: &RawValue) -> Value {
    serde_json::from_str(line.get()).unwrap_or_default()
}

/// Names of the columns, in the order of the partition.
fn names(config: &Config) -> impl Iterator<Item = &str> {
    let select = &config.select;
    let front = select.dimensions.iter().chain([&select.timestamp]).chain(&select.keep);
    front.chain(select.measures.iter().map(|(name, _)| name)).map(String::as_str)
}

/// The columns of the record itself.
fn own<'a>(config: &'a Config, line: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value)> {
    names(config).map(|name| (name, &line[name]))
}

fn columns(config: &Config, line: &Value) -> String {
    own(config, line).map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

fn csv(config: &Config, lines: &[Box<RawValue>], out: &mut impl Write) -> Result<(), CliError> {
    let names: Vec<&str> = ["ANOMALY_ID"].into_iter().chain(names(config)).chain(["ANOMALY_SCORE"]).collect();
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(&names).map_err(failed)?;
    for line in lines.iter().map(|line| parsed(line)) {
        writer.write_record(names.iter().map(|name| text(&line[*name]))).map_err(failed)?;
    }
    Ok(writer.flush()?)
}
