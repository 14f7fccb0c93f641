//! `check`: a configuration that is valid meets its data. `discover`: data without a configuration gets one.

use std::io::Write;
use std::path::Path;

use super::CliError;
use super::{format, host, records, speaks};
use crate::alert::Delivery;
use crate::config::{Config, Origin};
use crate::decode::discover::{ColumnReport, Discovery, Distinct, Role};
use crate::decode::{Format, Header};
use crate::job::inspect::{self, Inspection};
use crate::job::probe::{self, Outcome, Report, Step};
use crate::job::{Clock as _, SystemClock};
use crate::model::{ColumnType, MeasureType};

/// Above so many values a dimension makes more series than anyone reads.
const DIMENSION_VALUES_MANY: u64 = 1000;

pub(super) fn check(config: &Config, send: bool, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(out, "the configuration is valid")?;
    let runtime = host::runtime().map_err(CliError::Runtime)?;
    let stream = runtime.block_on(probe::source(config));
    stream.iter().try_for_each(|report| connect(out, report))?;
    let mut reports = runtime.block_on(probe::stores(config));
    if send {
        reports.extend(runtime.block_on(probe::receivers(config, SystemClock::start().now())));
    }
    reports.iter().try_for_each(|report| connect(out, report))?;
    if !stream.iter().chain(&reports).all(Report::is_fine) {
        return Err(CliError::Unusable);
    }
    writeln!(out, "\na look at its data:\n")?;
    let inspection = runtime.block_on(inspect::inspect(config, SystemClock::start().now()))?;
    if let Some(discovery) = &inspection.discovery {
        columns(out, discovery, |column| role(config, &column.name))?;
        writeln!(out)?;
    }
    expect(out, config, &inspection)?;
    warn(out, &inspection)
}

/// One line for each step of a probe.
fn connect(out: &mut impl Write, report: &Report) -> Result<(), CliError> {
    writeln!(out, "\n{:<10} {}", report.purpose, report.place)?;
    for Step { name, outcome } in &report.steps {
        match outcome {
            Outcome::Fine(word) => writeln!(out, "{}", format!("  ok       {name} {word}").trim_end())?,
            Outcome::Failed(reason) => {
                writeln!(out, "  FAILED   {name}")?;
                let lines = format::hint_on_a_line(reason);
                lines.lines().try_for_each(|line| writeln!(out, "           {}", line.trim()))?;
            }
        }
    }
    Ok(())
}

/// What a configuration uses a column for.
fn role(config: &Config, name: &str) -> String {
    let select = &config.select;
    let is_measure = select.measures.iter().any(|(measure, _)| measure == name);
    let role = match name {
        _ if name == select.timestamp => "timestamp",
        _ if select.dimensions.iter().any(|dimension| dimension == name) => "dimension",
        _ if is_measure => "measure",
        _ if select.keep.iter().any(|kept| kept == name) => "kept",
        _ => "-",
    };
    role.to_owned()
}

fn columns(
    out: &mut impl Write,
    discovery: &Discovery,
    role: impl Fn(&ColumnReport) -> String,
) -> Result<(), CliError> {
    writeln!(out, "{:<20} {:<9} {:<10} {:>8} {:>10}  EXAMPLES", "COLUMN", "TYPE", "USED AS", "MISSING", "DISTINCT")?;
    for column in &discovery.columns {
        let kind = match column.kind {
            ColumnType::Text if column.times.is_some() => "time",
            ColumnType::Text => "text",
            ColumnType::Integer => "integer",
            ColumnType::Float => "float",
        };
        let distinct = match column.distinct {
            Distinct::Exactly(count) => format::count(count),
            Distinct::AtLeast(count) => format!("{}+", format::count(count)),
        };
        let missing = format!("{:.1} %", column.missing_share * 100.0);
        let examples = column.examples.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        writeln!(out, "{:<20} {kind:<9} {:<10} {missing:>8} {distinct:>10}  {examples}", column.name, role(column))?;
    }
    Ok(())
}

fn expect(out: &mut impl Write, config: &Config, inspection: &Inspection) -> Result<(), CliError> {
    let rejected: u64 = inspection.rejected.values().map(|(count, _)| count).sum();
    let (rows, filtered) = (format::count(inspection.rows), format::count(inspection.filtered));
    writeln!(out, "sample     {rows} rows, {filtered} of them filtered; {} records rejected", format::count(rejected))?;
    if inspection.dropped > 0 {
        writeln!(out, "           {} more records were dropped by hooks", format::count(inspection.dropped))?;
    }
    for (reason, (count, example)) in &inspection.rejected {
        writeln!(out, "           {} {reason}: {example}", format::count(*count))?;
    }
    if let Some((first, last)) = inspection.times {
        writeln!(out, "time       {first} to {last}")?;
    }
    let dimensions = inspection.dimensions.iter().map(|(name, values)| format!("{name} {}", format::count(*values)));
    writeln!(out, "dimensions {}", dimensions.collect::<Vec<_>>().join(", "))?;
    if let (Some(of), Some(plan)) = (&config.detect.records, &inspection.records) {
        return records::expect(out, config, (of, plan), inspection);
    }
    let Inspection { combinations, series, series_bytes, .. } = inspection;
    let measures = series.checked_div(*combinations).unwrap_or(0);
    let combinations = format::count(*combinations);
    writeln!(out, "series     {} ({combinations} combinations x {measures} measures)", format::count(*series))?;
    rules(out, config)?;
    receivers(out, config)?;
    let memory = format::size(series * series_bytes);
    writeln!(out, "memory     {memory} for the detector, {} a series that has learned", format::size(*series_bytes))?;
    let (held, out_of_budget) = inspection.forms();
    let held: Vec<String> =
        held.iter().rev().map(|(form, series)| format!("{} {}", format::count(*series), form.name())).collect();
    let sizes = inspection.form_bytes.iter().rev();
    let sizes: Vec<String> = sizes.map(|(form, bytes)| format!("{} {}", format::size(*bytes), form.name())).collect();
    let budget = format::size(inspection.memory_bytes);
    writeln!(out, "budget     {budget}: {}; set aside for a series: {}", held.join(", "), sizes.join(", "))?;
    if out_of_budget > 0 {
        let count = format::count(out_of_budget);
        writeln!(
            out,
            "warning: {count} series are beyond the budget even in the smallest form; raise `detect.memory`"
        )?;
    }
    speaks::expected(out, config, inspection)?;
    speaks::past(out, config, inspection)
}

/// What is not to be told.
fn rules(out: &mut impl Write, config: &Config) -> Result<(), CliError> {
    let mut title = "rules";
    for measure in &config.detect.measures {
        let what = match &measure.origin {
            Origin::Rows { take, .. } if measure.is_counter => Some(format!("the increase of {}", take.description())),
            Origin::Rows { take, .. } if take.is_plain() => None,
            _ => Some(measure.description()),
        };
        let rules: Vec<String> = what.into_iter().chain(measure.margin.description()).collect();
        if !rules.is_empty() {
            writeln!(out, "{title:<10} `{}`: {}", measure.name, rules.join(", "))?;
            title = "";
        }
    }
    let mut title = "calendars";
    for calendar in &config.detect.calendars {
        writeln!(out, "{title:<10} `{}`: {}", calendar.name(), calendar.description())?;
        title = "";
    }
    Ok(())
}

/// Who is told of what.
fn receivers(out: &mut impl Write, config: &Config) -> Result<(), CliError> {
    for (title, routes) in [("alerts", &config.alerts), ("deliveries", &config.deliveries)] {
        let mut title = title;
        for route in routes {
            let filter = route.filter.description();
            match &route.delivery {
                None => writeln!(out, "{title:<10} shown here: {filter}")?,
                Some(Delivery { receiver, format, .. }) => {
                    let (name, place, format) = (&route.name, receiver.place(), format.name());
                    writeln!(out, "{title:<10} `{name}`: {place} as {format}: {filter}")?;
                }
            }
            title = "";
        }
    }
    Ok(())
}

fn warn(out: &mut impl Write, inspection: &Inspection) -> Result<(), CliError> {
    let rejected: u64 = inspection.rejected.values().map(|(count, _)| count).sum();
    if inspection.rows == 0 {
        writeln!(out, "warning: no record of the sample becomes a row")?;
    } else if rejected * 20 > inspection.rows {
        writeln!(out, "warning: more than 5 % of the sample is rejected")?;
    }
    if inspection.rows > 0 && inspection.filtered == inspection.rows {
        writeln!(out, "warning: the filters drop every row of the sample")?;
    }
    for (name, values) in inspection.dimensions.iter().filter(|(_, values)| *values > DIMENSION_VALUES_MANY) {
        let values = format::count(*values);
        writeln!(out, "warning: dimension `{name}` has {values} values; each combination is a series of its own")?;
    }
    for reason in &inspection.unusable {
        writeln!(out, "warning: {}", format::hint_on_a_line(&reason.to_string()))?;
    }
    Ok(())
}

pub(super) fn discover(path: &Path, out: &mut impl Write) -> Result<(), CliError> {
    let discovery = inspect::discover_files(path)??;
    let names = |wanted: fn(&Role) -> bool| {
        discovery.columns.iter().filter(move |column| wanted(&column.role)).collect::<Vec<_>>()
    };
    let dimensions = names(|role| *role == Role::Dimension);
    let measures = names(|role| matches!(role, Role::Measure(_)));
    writeln!(out, "# Written from a sample of {} records. Check every line that has a `?`.\n#", discovery.records)?;
    let mut table = Vec::new();
    columns(&mut table, &discovery, |column| guessed(&column.role).to_owned())?;
    for line in String::from_utf8_lossy(&table).lines() {
        writeln!(out, "# {}", line.trim_end())?;
    }
    writeln!(out, "\n[source.files]\npath = {}", quoted(&path.display().to_string()))?;
    writeln!(out, "# follow = true          # wait for more\n\n[decode]")?;
    match &discovery.format {
        Format::JsonLines => writeln!(out, "format = \"json_lines\"")?,
        Format::Csv { dialect, header } => {
            let delimiter = quoted(&char::from(dialect.delimiter()).to_string());
            writeln!(out, "format = \"csv\"\ndelimiter = {delimiter}")?;
            if let Header::Names(names) = header {
                let names = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
                writeln!(out, "header = [{names}]   # ? the files have none: give the columns names")?;
            }
        }
    }
    writeln!(out, "\n[select]")?;
    match discovery.timestamp() {
        Some((column, times)) => {
            writeln!(out, "timestamp = {}", quoted(&column.name))?;
            writeln!(out, "timestamp_format = {}", quoted(&times.format.to_string()))?;
            for other in &times.others {
                writeln!(out, "# ? it may as well be {}", quoted(&other.to_string()))?;
            }
        }
        None => writeln!(out, "timestamp = \"\"           # ? no column looks like a time")?,
    }
    let list =
        |columns: &[&ColumnReport]| columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
    writeln!(out, "dimensions = [{}]   # ? a series per combination of their values", list(&dimensions))?;
    writeln!(out, "measures = [{}]", list(&measures))?;
    writeln!(out, "\n[select.types]")?;
    for column in &measures {
        let kind = if column.role == Role::Measure(MeasureType::Integer) { "integer" } else { "float" };
        writeln!(out, "{} = \"{kind}\"", quoted(&column.name))?;
    }
    writeln!(out, "\n[interval]\nlength = \"5m\"\noffset = \"60s\"           # ? how late records may be")?;
    writeln!(out, "\n[partition]\nurl = \"out/data\"         # ? a directory of its own\n")?;
    for column in &measures {
        writeln!(out, "[[detect.measure]]\ncolumn = {}", quoted(&column.name))?;
        writeln!(out, "aggregation = \"sum\"      # ? or avg, count, min, max\n")?;
    }
    Ok(writeln!(out, "[[alert]]\nseverity_threshold = 70")?)
}

fn guessed(role: &Role) -> &'static str {
    match role {
        Role::Timestamp => "timestamp",
        Role::Dimension => "dimension",
        Role::Measure(_) => "measure",
        Role::Nested | Role::Other => "-",
    }
}

/// A TOML text.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown() {
        let text = "[source.stdin]\n[select]\ntimestamp = 'at'\ndimensions = ['shop']\nmeasures = ['views', 'bytes']\n\
                    [partition]\nurl = 'out/x'\n\
                    [[detect.measure]]\ncolumn = 'views'\nmin_change = 50\nmin_change_ratio = 0.1\ndirection = 'high'\n\
                    [[detect.measure]]\ncolumn = 'views'\naggregation = 'avg'\n\
                    [[detect.measure]]\ncolumn = 'bytes'\naggregation = 'max'\ncounter = true\n\
                    [[detect.calendar]]\nname = 'holidays'\ndates = ['2026-12-25', '2027-01-01']\n\
                    dimensions = { shop = ['a', 'b'] }\n\
                    [[detect.calendar]]\nname = 'backups'\nweekly = 'sat 22:00-sun 04:00'\n";
        let config = crate::config::parse(text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let mut out = Vec::new();
        rules(&mut out, &config).unwrap();
        let lines = [
            "rules      `views`: changes up to 50 are ignored, changes up to 10 % are ignored, high values alone are told",
            "           `bytes_increase`: the increase of `bytes`",
            "calendars  `holidays`: 2 stretches, the first from 2026-12-25T00:00:00Z: shop a or b",
            "           `backups`: 1 stretch of every week: all series",
        ];
        assert_eq!(String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn what_is_written_for_a_file_without_a_header_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in.csv");
        let line = |at: u32| format!("2024-03-04 10:{at:02}:00,{},{}\n", ["a", "b"][at as usize % 2], 100 + at);
        std::fs::write(&path, (0..60).map(line).collect::<String>()).unwrap();
        let mut out = Vec::new();
        discover(&path, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#"header = ["column_1", "column_2", "column_3"]"#), "{text}");
        let config = crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let runtime = host::runtime().unwrap();
        let inspection = runtime.block_on(inspect::inspect(&config, SystemClock::start().now())).unwrap();
        assert_eq!((inspection.rows, inspection.combinations), (60, 2), "{text}");
        assert!(inspection.rejected.is_empty(), "{:?}", inspection.rejected);
    }
}
