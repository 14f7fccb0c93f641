//! Who is told about what: `[[alert]]` and `[[deliver]]`, each with a filter, a format and one receiver.

use std::collections::BTreeSet;
use std::time::Duration;

use super::raw::Section;
use super::receiver::receiver;
use super::records::{Records, RecordsOutput};
use super::resolve::Detect;
use super::units::{DAY, MB, SECOND};
use crate::alert::format::{Format, Lookout, Template};
use crate::alert::receiver::Settings;
use crate::alert::{Delivery, Filter, Pace, Route, Secret, Tells};
use crate::model::{NoticeKind, nearest};

/// Findings of less severity are in the table alone.
const SEVERITY_THRESHOLD: f64 = 70.0;
const NAME_CHARACTERS_MAX: usize = 64;
const MILLISECOND: Duration = Duration::from_millis(1);

/// What an alert may be about.
const KINDS: [(&str, NoticeKind); 8] = [
    ("opened", NoticeKind::Opened),
    ("updated", NoticeKind::Updated),
    ("reminder", NoticeKind::Reminder),
    ("resolved", NoticeKind::Resolved),
    ("level_shift", NoticeKind::LevelShift),
    ("withdrawn", NoticeKind::Withdrawn),
    ("raised", NoticeKind::Raised),
    ("digest", NoticeKind::Digest),
];

/// What routes may name.
pub(super) struct Known<'a> {
    pub(super) columns: &'a [String],
    pub(super) dimensions: &'a [String],
    pub(super) kept: &'a [String],
    pub(super) detect: Option<&'a Detect>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Of {
    Findings,
    Records,
}

/// `[[alert]]`: of findings.
pub(super) fn alerts(root: &Section<'_>, known: &Known<'_>, names: &mut BTreeSet<String>) -> Vec<Route> {
    root.sections("alert").iter().filter_map(|section| route(section, Of::Findings, known, names)).collect()
}

/// `[[deliver]]`: of scored records.
pub(super) fn deliveries(root: &Section<'_>, known: &Known<'_>, names: &mut BTreeSet<String>) -> Vec<Route> {
    root.sections("deliver").iter().filter_map(|section| route(section, Of::Records, known, names)).collect()
}

fn route(section: &Section<'_>, of: Of, known: &Known<'_>, names: &mut BTreeSet<String>) -> Option<Route> {
    let mut filter = filter(section, of, known);
    let description = section.text("description");
    let format = format(section);
    let receiver = receiver(section);
    let pace = pace(section, receiver.as_ref().ok().and_then(Option::as_ref));
    let given = section.text("name");
    let tells = match of {
        Of::Findings => tells(section, format.as_ref().and_then(Option::as_ref)),
        Of::Records => tells_of_records(section, &filter, known),
    };
    section.finish();
    if of == Of::Records && matches!(receiver, Ok(None)) {
        section.section_problem("has no receiver; hint: for example `[deliver.file]` with `path = \"scores.jsonl\"`");
    }
    if matches!(receiver, Ok(None)) {
        let of_receivers = ["format", "template", "routing_key", "lookout", "name", "timeout", "retry_for"];
        for key in of_receivers.into_iter().filter(|key| section.has(key)) {
            section.problem(key, "is for a receiver, and there is none; hint: for example `[alert.webhook]` below");
        }
    }
    let name = match &receiver {
        Ok(None) => "terminal".to_owned(),
        Ok(Some(receiver)) => name(section, given, receiver.kind(), names),
        Err(()) => name(section, given, "receiver", names),
    };
    let receiver = receiver.ok()?;
    let delivery = match receiver {
        None => None,
        Some(receiver) if receiver.has_own_format() && (section.has("format") || section.has("template")) => {
            let kind = receiver.kind();
            section.problem("format", &format!("is not for `{kind}`, whose messages have a shape of their own"));
            return None;
        }
        Some(receiver) => Some(Delivery { format: format?.unwrap_or(receiver.usual_format()), receiver, pace }),
    };
    filter.level_shifts = delivery.as_ref().is_some_and(Delivery::holds_open);
    Some(Route { name, description, filter, delivery, tells })
}

/// Incidents, if it is not said; findings in the shapes that were made for them.
fn tells(section: &Section<'_>, format: Option<&Format>) -> Tells {
    let usual = match format {
        Some(Format::Lookout(_) | Format::Csv) => Tells::Findings,
        _ => Tells::Incidents,
    };
    let choices = [("incidents", Tells::Incidents), ("findings", Tells::Findings)];
    section.choice("about", usual, &choices)
}

/// Records that are told; all of them where scores below the threshold are asked for and are there.
pub(super) fn tells_of_records(section: &Section<'_>, filter: &Filter, known: &Known<'_>) -> Tells {
    let records = known.detect.and_then(|detect| detect.records.as_ref());
    let is_all = |records: &Records| filter.score_threshold <= 0.0 && records.output == RecordsOutput::All;
    let lower = |records: &Records| filter.score_threshold < records.choice.score_threshold;
    let lower = records.filter(|records| lower(records) || is_all(records));
    match lower.filter(|_| section.has("score_threshold")) {
        None => Tells::Records,
        Some(records) if records.output == RecordsOutput::All => Tells::EveryRecord,
        Some(records) => {
            if filter.score_threshold > 0.0 {
                let (least, told) = (filter.score_threshold, records.choice.score_threshold);
                let hint = "add `output = \"all\"` to `[detect.records]`";
                section.problem(
                    "score_threshold",
                    &format!("is `{least}`, and no score below `detect.records.score_threshold`, {told}, is told; hint: {hint}"),
                );
            }
            Tells::Records
        }
    }
}

/// The name that is given, or that of the receiver's kind with a number behind it where that is taken.
pub(super) fn name(section: &Section<'_>, given: Option<String>, kind: &str, names: &mut BTreeSet<String>) -> String {
    if let Some(name) = given {
        let is_name = (1..=NAME_CHARACTERS_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_name {
            section.problem(
                "name",
                &format!("is `{name}`, allowed are up to {NAME_CHARACTERS_MAX} letters, digits, `-` and `_`"),
            );
        } else if !names.insert(name.clone()) {
            section.problem(
                "name",
                &format!("is `{name}`, which another one has; hint: what waits for a receiver is filed by this name"),
            );
        }
        return name;
    }
    let mut numbered = std::iter::once(kind.to_owned()).chain((2..).map(|number| format!("{kind}-{number}")));
    let free = numbered.find(|name| !names.contains(name)).unwrap_or_default();
    names.insert(free.clone());
    free
}

pub(super) fn filter(section: &Section<'_>, of: Of, known: &Known<'_>) -> Filter {
    let usual = if of == Of::Findings { SEVERITY_THRESHOLD } else { 0.0 };
    let severity_threshold = section.number("severity_threshold", usual, 0.0..=100.0);
    let score_threshold = section.number("score_threshold", 0.0, 0.0..=1e9);
    let measures = section.texts("measures");
    let dimensions = section.section("dimensions").entries();
    let kinds = if of == Of::Findings { kinds(section) } else { Vec::new() };
    let mut measures_known: Vec<&str> =
        known.columns.iter().map(String::as_str).filter(|_| of == Of::Records).collect();
    measures_known.extend(known.detect.iter().flat_map(|detect| detect.measures.iter().map(|measure| &*measure.name)));
    for measure in
        measures.iter().filter(|measure| known.detect.is_some() && !measures_known.contains(&measure.as_str()))
    {
        let near = nearest(measure, measures_known.iter().copied());
        let hint = near.map_or_else(
            || format!("there are {}", measures_known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        section.problem("measures", &format!("names `{measure}`, which is not a measure; hint: {hint}"));
    }
    let kept = known.kept.iter().filter(|_| of == Of::Records);
    let columns: Vec<&str> = known.dimensions.iter().chain(kept).map(String::as_str).collect();
    for (column, values) in &dimensions {
        if !columns.contains(&column.as_str()) {
            let near = nearest(column, columns.iter().copied());
            let hint = near.map_or_else(
                || "the columns are those of `select.dimensions`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            section.problem("dimensions", &format!("names `{column}`, which is not a dimension; hint: {hint}"));
        }
        if values.is_empty() {
            section.problem("dimensions", &format!("has `{column}` with no value, which lets nothing pass"));
        }
    }
    Filter { severity_threshold, score_threshold, measures, dimensions, kinds, level_shifts: false }
}

fn kinds(section: &Section<'_>) -> Vec<NoticeKind> {
    let mut kinds = Vec::new();
    for word in section.texts("kinds") {
        match KINDS.iter().find(|(name, _)| *name == word) {
            Some((_, kind)) => kinds.push(*kind),
            None => {
                let near = nearest(&word, KINDS.iter().map(|(name, _)| *name));
                let hint = near.map_or_else(
                    || format!("there are {}", KINDS.map(|(name, _)| name).join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                section.problem("kinds", &format!("names `{word}`; hint: {hint}"));
            }
        }
    }
    kinds
}

/// The format that is given; the outer `None` is a wrong one.
pub(super) fn format(section: &Section<'_>) -> Option<Option<Format>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Tidewatch,
        Lookout,
        Text,
        Slack,
        Pagerduty,
        Csv,
    }
    let kinds = [
        ("tidewatch", Kind::Tidewatch),
        ("lookout", Kind::Lookout),
        ("text", Kind::Text),
        ("slack", Kind::Slack),
        ("pagerduty", Kind::Pagerduty),
        ("csv", Kind::Csv),
    ];
    let kind = section.choice("format", Kind::Tidewatch, &kinds);
    let template = section.text("template");
    let routing_key = section.text("routing_key");
    let lookout = section.section("lookout");
    let names = Lookout {
        detector_arn: lookout.text("detector_arn").unwrap_or_default(),
        alert_arn: lookout.text("alert_arn").unwrap_or_default(),
        console_url: lookout.text("console_url").unwrap_or_default(),
    };
    lookout.finish();
    if routing_key.is_some() && kind != Kind::Pagerduty {
        section.problem("routing_key", "is for `format = \"pagerduty\"` alone");
    }
    if lookout.is_present() && kind != Kind::Lookout {
        section.problem("lookout", "is for `format = \"lookout\"` alone");
    }
    if let Some(template) = template {
        if section.has("format") {
            section.problem("template", "is a format of its own; hint: leave `format` out");
        }
        let parsed = Template::parse(&template).map_err(|error| section.problem("template", &error.to_string()));
        return parsed.ok().map(|template| Some(Format::Template(template)));
    }
    if !section.has("format") {
        return Some(None);
    }
    Some(Some(match kind {
        Kind::Tidewatch => Format::Tidewatch,
        Kind::Lookout => Format::Lookout(names),
        Kind::Text => Format::Text,
        Kind::Slack => Format::Slack,
        Kind::Csv => Format::Csv,
        Kind::Pagerduty => match routing_key {
            Some(key) => Format::Pagerduty(Secret::new(key)),
            None => {
                section.missing("routing_key", "\"${PAGERDUTY_KEY}\"");
                return None;
            }
        },
    }))
}

pub(super) fn pace(section: &Section<'_>, receiver: Option<&Settings>) -> Pace {
    let usual = receiver.map(Settings::usual_pace).unwrap_or_default();
    let pace = Pace {
        timeout: section.duration("timeout", usual.timeout, 100 * MILLISECOND..=600 * SECOND),
        retry_for: section.duration("retry_for", usual.retry_for, Duration::ZERO..=30 * DAY),
        back_off: section.duration("back_off", usual.back_off, 10 * MILLISECOND..=600 * SECOND),
        back_off_max: section.duration("back_off_max", usual.back_off_max, 10 * MILLISECOND..=3600 * SECOND),
        outbox_bytes_max: section.size("outbox_bytes_max", usual.outbox_bytes_max, MB..=1_000_000 * MB),
    };
    // a first pause above the usual longest one is the longest
    Pace { back_off_max: pace.back_off_max.max(pace.back_off), ..pace }
}
