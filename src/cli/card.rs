//! `explain` of an incident: all there is to know about it on one card, for the terminal, as JSON, or as a page that needs
//! nothing beside itself. What the data brought is escaped before it becomes part of a page.

use std::io::{self, Write};
use std::path::Path;

use chrono::{NaiveDate, TimeDelta};
use serde_json::json;

use super::args::{Explain, OutputFormat};
use super::format;
use super::{CliError, anomalies, incidents};
use crate::alert::{AnomalyTable, IncidentTable, latest};
use crate::config::Config;
use crate::incident::{clause, is_similar, what};
use crate::job::incidents::{Behind, behind};
use crate::model::{AnomalyGroup, Direction, Incident, IncidentKind, IncidentState, LateFindings};

/// Look-alikes that are shown, the latest first.
const ALIKE_MAX: usize = 10;
/// Series that are shown of the worst interval.
const FINDINGS_MAX: usize = 10;
/// Bars of a line of values, the lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is known of an incident.
struct Card {
    /// All its revisions, the newest last.
    revisions: Vec<Incident>,
    /// Anomaly groups of its measures in its time, in order.
    groups: Vec<AnomalyGroup>,
    /// Others like it, the latest first.
    alike: Vec<Incident>,
    /// The partition of its first interval.
    behind: Vec<Behind>,
    /// What computes it again.
    command: String,
}

pub(super) fn explain(config: &Config, args: &Explain, out: &mut impl Write) -> Result<(), CliError> {
    let card = Card::read(config, &args.id, &args.config)?;
    match args.format {
        _ if args.html => card.page(out)?,
        OutputFormat::Table if !args.json => card.text(out)?,
        OutputFormat::Csv if !args.json => incidents::csv(std::slice::from_ref(card.now()), out)?,
        OutputFormat::Table | OutputFormat::Json | OutputFormat::Csv => {
            serde_json::to_writer(&mut *out, &card.json()).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

impl Card {
    fn read(config: &Config, id: &str, path: &Path) -> Result<Card, CliError> {
        let all = anomalies::stored(config, async |store| {
            IncidentTable::new(store).read(NaiveDate::MIN, NaiveDate::MAX).await
        })?;
        let mut revisions: Vec<Incident> = all.iter().filter(|incident| incident.id == id).cloned().collect();
        let Some(now) = latest(revisions.clone()).pop() else {
            return Err(CliError::NoIncident { id: id.to_owned(), url: config.partition.url.clone() });
        };
        revisions.push(now.clone());
        revisions.dedup();
        let (from, to) = (now.since, now.until.unwrap_or(now.interval.end()));
        let last = (to - TimeDelta::seconds(1)).date();
        let mut groups =
            anomalies::stored(config, async |store| AnomalyTable::new(store).read(from.date(), last).await)?;
        let measures = now.measures();
        groups.retain(|group| {
            (from..to).contains(&group.interval.start()) && (measures.is_empty() || measures.contains(&group.measure))
        });
        let mut alike = latest(all);
        let names = &config.select.dimensions;
        alike.retain(|other| {
            other.id != now.id && other.state != IncidentState::Merged && is_similar(other, &now, names)
        });
        alike.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.id.cmp(&b.id)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
        let behind = runtime.block_on(behind(config, now.since))?;
        let path = path.display();
        let command =
            format!("tidewatch backtest {path} --from {} --to {last} --incidents incidents.jsonl", from.date());
        Ok(Card { revisions, groups, alike, behind, command })
    }

    /// The newest revision; there is one.
    fn now(&self) -> &Incident {
        &self.revisions[self.revisions.len() - 1]
    }

    /// The group of the interval in which most was wrong.
    fn worst(&self) -> Option<&AnomalyGroup> {
        let measure = self.now().causes.first().map(|cause| cause.measure.as_str());
        let of_lead = self.groups.iter().filter(|group| measure.is_none_or(|measure| group.measure == measure));
        of_lead.reduce(|worst, group| if group.findings.len() > worst.findings.len() { group } else { worst })
    }

    /// Name and text of each line about it as a whole.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let incident = self.now();
        let mut facts = vec![
            ("id", incident.id.clone()),
            ("state", incident.state.to_string()),
            ("since", incident.since.to_string()),
        ];
        facts.extend(incident.until.map(|until| ("until", until.to_string())));
        let minutes = incident.duration * u64::from(incident.interval.length().seconds()) / 60;
        facts.push(("lasted", format!("{} ({} intervals)", format::time(60 * minutes), incident.duration)));
        facts.push(("severity", format!("{:.0} of 100 at most, {:.0} now", incident.severity_max, incident.severity)));
        let sure = match incident.surprise {
            surprise if surprise >= 15.0 => "beyond doubt".to_owned(),
            surprise => format!("once in 10^{surprise:.0} by chance"),
        };
        facts.push(("how sure", sure));
        let of = if incident.kind == IncidentKind::Data {
            "of what is usual is missing"
        } else {
            "of all that was expected"
        };
        let impact = match &incident.shard {
            Some(_) => format!("nothing was judged from {} on until it was over", incident.since),
            None => format!("{:.1} % {of}", incident.impact * 100.0),
        };
        facts.push(("impact", impact));
        if incident.reopened > 0 {
            facts.push(("came back", format!("{} times within a day", incident.reopened)));
        }
        facts.extend(incident.acknowledged.map(|at| ("attended", format!("since {at}"))));
        facts.extend(incident.silenced.as_ref().map(|name| ("silenced", format!("by {name}"))));
        let late = incident.late;
        if late != LateFindings::default() {
            let LateFindings { confirmed, withdrawn, raised } = late;
            let text = format!("confirmed {confirmed} of its anomalies, withdrew {withdrawn}, raised {raised}");
            facts.push(("late rows", text));
        }
        if incident.state == IncidentState::LevelShift {
            facts.push(("over", "what lasts is the new level".to_owned()));
        }
        facts.extend(incident.end_reason.map(|reason| ("over", reason.to_string())));
        facts.extend(incident.merged_into.as_ref().map(|id| ("part of", id.clone())));
        facts
    }

    /// The causes by measure: a line, and how deep it stands.
    fn tree(&self) -> Vec<(usize, String)> {
        let incident = self.now();
        let mut lines = Vec::new();
        for measure in incident.measures() {
            lines.push((0, measure.clone()));
            for cause in incident.causes.iter().filter(|cause| cause.measure == measure) {
                let share = if cause.share == 0.0 {
                    String::new()
                } else {
                    format!(", {:.0} % of the deviation", cause.share * 100.0)
                };
                lines.push((1, format!("{}{share}", clause(cause))));
                let bounds = [cause.value, cause.expected, cause.lower, cause.upper].map(format::value);
                let [value, expected, lower, upper] = bounds;
                lines.push((2, format!("{value} instead of {expected} (band {lower} to {upper})")));
            }
        }
        if incident.external {
            lines.push((0, "everything moved alike: the cause lies outside the dimensions".to_owned()));
        }
        lines
    }

    fn findings(&self) -> Vec<String> {
        let Some(worst) = self.worst() else { return Vec::new() };
        let shown = worst.findings.iter().take(FINDINGS_MAX).map(|finding| format::finding_line(worst, finding));
        let more = worst.findings.len().saturating_sub(FINDINGS_MAX);
        shown.chain((more > 0).then(|| format!("and {more} more"))).collect()
    }

    fn behind_lines(&self) -> Vec<String> {
        let line = |behind: &Behind| format!("{}: {} rows, revision {}", behind.name, behind.rows, behind.revision);
        self.behind.iter().map(line).collect()
    }

    fn alike_lines(&self) -> Vec<String> {
        let line = |other: &Incident| {
            format!("{}  {:>3.0}  {}  {}  {}", other.since, other.severity_max, other.state, what(other), other.id)
        };
        self.alike.iter().take(ALIKE_MAX).map(line).collect()
    }

    fn history(&self) -> Vec<String> {
        let line = |revision: &Incident| {
            format!("{}  {:<11} severity {:.0}", revision.interval, revision.state.to_string(), revision.severity)
        };
        self.revisions.iter().map(line).collect()
    }

    /// Titles and lines below the facts.
    fn sections(&self) -> Vec<(&'static str, Vec<String>)> {
        let tree = self.tree().into_iter().map(|(depth, line)| format!("{}{line}", "  ".repeat(depth))).collect();
        let sections = [
            ("causes", tree),
            ("series in its worst interval", self.findings()),
            ("what became of it", self.history()),
            ("others like it", self.alike_lines()),
            ("rows of its first interval", self.behind_lines()),
            ("to compute it again", vec![self.command.clone()]),
        ];
        sections.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
    }

    fn text(&self, out: &mut impl Write) -> Result<(), CliError> {
        writeln!(out, "{}\n", what(self.now()))?;
        for (name, text) in self.facts() {
            writeln!(out, "{name:<10} {text}")?;
        }
        let track = &self.now().track;
        if track.values.len() > 1 {
            let (values, expected) = lines_of_bars(&track.values, &track.expected);
            writeln!(out, "\nvalue      {values}\nexpected   {expected}")?;
        }
        for (title, lines) in self.sections() {
            writeln!(out, "\n{title}")?;
            lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let behind =
            |behind: &Behind| json!({ "manifest": behind.name, "rows": behind.rows, "revision": behind.revision });
        json!({
            "incident": self.now(),
            "what": what(self.now()),
            "revisions": self.revisions,
            "groups": self.groups,
            "alike": self.alike.iter().take(ALIKE_MAX).collect::<Vec<_>>(),
            "partition": self.behind.iter().map(behind).collect::<Vec<_>>(),
            "command": self.command,
        })
    }

    fn page(&self, out: &mut impl Write) -> Result<(), CliError> {
        let title = escaped(&what(self.now()));
        writeln!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>\
             body{{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}}\
             h1{{font-size:1.3em}}h2{{font-size:1em;margin-top:2em}}\
             td{{padding-right:1.5em;vertical-align:top}}pre{{overflow-x:auto;background:#f5f5f5;padding:.7em}}\
             </style></head><body>\n<h1>{title}</h1>\n<table>"
        )?;
        for (name, text) in self.facts() {
            writeln!(out, "<tr><td>{name}</td><td>{}</td></tr>", escaped(&text))?;
        }
        writeln!(out, "</table>")?;
        let track = &self.now().track;
        if track.values.len() > 1 {
            writeln!(out, "{}", drawing(&track.values, &track.expected, self.now().direction))?;
        }
        for (title, lines) in self.sections() {
            let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
            writeln!(out, "<h2>{title}</h2>\n<pre>{}</pre>", lines.join("\n"))?;
        }
        Ok(writeln!(out, "</body></html>")?)
    }
}

/// Text as part of a page.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The least and the largest of what is finite, with 0 where it is near.
fn range(values: &[f64], expected: &[f64]) -> (f64, f64) {
    let all = || values.iter().chain(expected).copied().filter(|value| value.is_finite());
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if low > 0.0 && low < 0.5 * high { (0.0, high) } else { (low, high) }
}

/// How far up a value is, 0 to 1.
fn height(value: f64, (low, high): (f64, f64)) -> f64 {
    if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
}

fn lines_of_bars(values: &[f64], expected: &[f64]) -> (String, String) {
    let range = range(values, expected);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
    let bar = |value: &f64| BARS[(height(*value, range) * (BARS.len() - 1) as f64).round() as usize];
    (values.iter().map(bar).collect(), expected.iter().map(bar).collect())
}

/// Both lines as a drawing: what was expected in grey, what came in red, or blue where it is above.
fn drawing(values: &[f64], expected: &[f64], direction: Direction) -> String {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 160.0;
    let range = range(values, expected);
    let points = |line: &[f64]| {
        let at = |(at, value): (usize, &f64)| {
            let x = WIDTH * at as f64 / (line.len().max(2) - 1) as f64;
            format!("{x:.1},{:.1}", HEIGHT * (1.0 - height(*value, range)))
        };
        line.iter().enumerate().map(at).collect::<Vec<_>>().join(" ")
    };
    let colour = if direction == Direction::High { "#1f5fbf" } else { "#bf2f1f" };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-4 -4 {} {}\" width=\"100%\" role=\"img\">\
         <polyline fill=\"none\" stroke=\"#999999\" stroke-width=\"2\" points=\"{}\"/>\
         <polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/></svg>",
        WIDTH + 8.0,
        HEIGHT + 8.0,
        points(expected),
        points(values),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dimensions, IncidentCause, Interval, Length, Track};

    fn card(value: &str) -> Card {
        let interval = Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(300).unwrap());
        let incident = Incident {
            id: "incident-20240304-0000-00000001".to_owned(),
            revision: 1,
            interval,
            kind: IncidentKind::Values,
            shard: None,
            state: IncidentState::Open,
            direction: Direction::Low,
            since: interval.start(),
            until: None,
            severity: 71.0,
            severity_max: 72.0,
            surprise: 20.0,
            impact: 0.125,
            duration: 15,
            causes: vec![IncidentCause {
                measure: "views".to_owned(),
                dimensions: Dimensions::of([("shop".to_owned(), value.to_owned())]),
                direction: Direction::Low,
                share: 0.75,
                value: 4.0,
                expected: 10.0,
                lower: 8.0,
                upper: 12.0,
            }],
            external: false,
            reopened: 0,
            acknowledged: None,
            silenced: None,
            merged_into: None,
            late: LateFindings { withdrawn: 2, ..LateFindings::default() },
            end_reason: None,
            track: Track { values: vec![10.0, 0.0, 5.0], expected: vec![10.0, 10.0, 10.0] },
        };
        let behind = vec![Behind { name: "data/m.json".to_owned(), rows: 7, revision: 1 }];
        let command = "tidewatch backtest a.toml".to_owned();
        Card { revisions: vec![incident], groups: Vec::new(), alike: Vec::new(), behind, command }
    }

    #[test]
    fn a_card_says_what_since_when_how_sure_and_how_to_compute_it_again() {
        let mut out = Vec::new();
        card("a").text(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "views 60 % below expected at shop=a\n",
            "since      2024-03-04 00:00:00",
            "lasted     1 h 15 min (15 intervals)",
            "how sure   beyond doubt",
            "late rows  confirmed 0 of its anomalies, withdrew 2, raised 0",
            "impact     12.5 % of all that was expected",
            "value      █▁▅",
            "expected   ███",
            "  views 60 % below expected at shop=a, 75 % of the deviation",
            "4.00 instead of 10.00 (band 8.00 to 12.00)",
            "data/m.json: 7 rows, revision 1",
            "tidewatch backtest a.toml",
        ] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
    }

    #[test]
    fn nothing_of_the_data_is_markup_in_a_page() {
        let mut out = Vec::new();
        card("<script>alert('&\"')</script>").page(&mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(&#39;&amp;&quot;&#39;)"), "{page}");
        assert!(page.contains("<polyline") && !page.contains("http://") || page.contains("xmlns"), "{page}");
        assert!(!page.contains("src=") && !page.contains("href="), "it needs nothing beside itself");
    }

    #[test]
    fn a_card_as_json_has_the_incident_and_what_is_around_it() {
        let json = card("a").json();
        assert_eq!(json["incident"]["id"], "incident-20240304-0000-00000001");
        assert_eq!(json["partition"][0]["rows"], 7);
        assert_eq!(json["what"], "views 60 % below expected at shop=a");
    }

    #[test]
    fn bars_are_drawn_where_all_values_are_the_same() {
        assert_eq!(lines_of_bars(&[3.0, 3.0], &[3.0, 3.0]).0, "▅▅");
    }
}
