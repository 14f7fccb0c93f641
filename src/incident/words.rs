//! An incident in words: a title, a few lines, all there is to say; and the notice that carries them.

use serde_json::Value;

use crate::model::{
    Dimensions, Direction, Incident, IncidentCause, IncidentKind, IncidentState, Notice, NoticeKind, show_value,
};

/// Characters of a title: what the strictest receiver takes as a subject.
const TITLE_MAX: usize = 99;
/// Relative deviation from which on a cause names an incident.
const SAYS_MIN: f64 = 0.05;
/// Causes in a short text.
const CAUSES_MAX: usize = 3;

/// The notice of an incident as it is now.
pub(super) fn notice(incident: &Incident, kind: NoticeKind) -> Notice {
    let mut body = serde_json::to_value(incident).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut body {
        members.insert("notice".to_owned(), serde_json::to_value(kind).unwrap_or(Value::Null));
    }
    Notice {
        id: format!("{}-{}", incident.id, incident.revision),
        thread: incident.id.clone(),
        kind,
        time: incident.interval.start(),
        measures: incident.measures(),
        slices: incident.slices(),
        direction: (!incident.causes.is_empty()).then_some(incident.direction),
        severity: incident.severity_max,
        score: incident.surprise,
        title: title(incident, kind),
        text: text(incident, kind),
        long_text: long_text(incident, kind),
        body,
    }
}

/// One line of at most [`TITLE_MAX`] characters.
pub(super) fn title(incident: &Incident, kind: NoticeKind) -> String {
    let front = match kind {
        NoticeKind::Resolved if incident.merged_into.is_some() => "Part of another incident: ",
        NoticeKind::Opened if incident.reopened > 0 => "Back: ",
        NoticeKind::Updated => "Update: ",
        NoticeKind::Reminder => "Still open: ",
        NoticeKind::Resolved => "Resolved: ",
        NoticeKind::LevelShift => "New level: ",
        NoticeKind::Withdrawn => "Withdrawn: ",
        _ => "",
    };
    cut(&format!("{front}{}", what(incident)))
}

/// What is wrong, in a clause: `views 63 % below expected at platform=web, and 1 more`.
pub fn what(incident: &Incident) -> String {
    if let Some(shard) = &incident.shard {
        return format!("shard {shard} lags behind the others, and no interval closes");
    }
    if incident.kind == IncidentKind::Data && !incident.causes.is_empty() {
        let mut places = incident.slices().iter().map(place).collect::<Vec<_>>();
        let more = if places.len() > 1 { format!(", and {} more", places.len() - 1) } else { String::new() };
        return format!("no data {}{more}", places.swap_remove(0));
    }
    let size =
        |cause: &&IncidentCause| (cause.value - cause.expected).abs() / cause.expected.abs().max(f64::MIN_POSITIVE);
    // what opened it, as long as that says something
    let first = incident.causes.first().filter(|cause| size(cause) >= SAYS_MIN);
    let Some(first) = first.or_else(|| incident.causes.iter().max_by(|a, b| size(a).total_cmp(&size(b)))) else {
        return format!("data is missing, {:.0} % of what is usual", incident.impact * 100.0);
    };
    let more = match incident.causes.len() {
        1 => String::new(),
        all => format!(", and {} more", all - 1),
    };
    format!("{}{more}", clause(first))
}

/// One cause in a clause.
pub fn clause(cause: &IncidentCause) -> String {
    let side = match cause.direction {
        Direction::High => "above",
        Direction::Low => "below",
    };
    let place = place(&cause.dimensions);
    let by = match (cause.value - cause.expected).abs() / cause.expected.abs() {
        share if share.is_finite() && share < 100.0 => format!("{:.0} % {side}", share * 100.0),
        _ => format!("far {side}"),
    };
    format!("{} {by} expected {place}", cause.measure)
}

fn place(slice: &Dimensions) -> String {
    match slice.to_string() {
        all if all.is_empty() => "everywhere".to_owned(),
        place => format!("at {place}"),
    }
}

fn text(incident: &Incident, kind: NoticeKind) -> String {
    let mut lines = vec![title(incident, kind)];
    let state = match incident.until {
        Some(until) => format!("from {} to {until}", incident.since),
        None => format!("since {}", incident.since),
    };
    lines.push(format!("severity {:.0} of 100, {state}", incident.severity_max));
    for cause in incident.causes.iter().take(CAUSES_MAX) {
        lines.push(format!("{}: {} instead of {}", clause(cause), show_value(cause.value), show_value(cause.expected)));
    }
    lines.extend(incident.end_reason.map(|reason| reason.to_string()));
    lines.push(format!("id {}", incident.id));
    lines.join("\n")
}

fn long_text(incident: &Incident, kind: NoticeKind) -> String {
    let mut lines = vec![title(incident, kind), String::new()];
    let mut say = |name: &str, text: String| lines.push(format!("{name:<10} {text}"));
    say("id", incident.id.clone());
    say("state", incident.state.to_string());
    say("since", incident.since.to_string());
    if let Some(until) = incident.until {
        say("until", until.to_string());
    }
    say("lasted", format!("{} intervals of {} s", incident.duration, incident.interval.length().seconds()));
    say("severity", format!("{:.0} of 100, {:.0} at most", incident.severity, incident.severity_max));
    say("surprise", format!("{:.1} (-log10 of the probability)", incident.surprise.min(99.9)));
    match &incident.shard {
        Some(_) => say("impact", format!("nothing is judged from {} on", incident.since)),
        None => say("impact", format!("{:.1} % of all that was expected", incident.impact * 100.0)),
    }
    if let Some(at) = incident.acknowledged {
        say("attended", format!("since {at}"));
    }
    lines.extend(incident.end_reason.map(|reason| reason.to_string()));
    if incident.state == IncidentState::LevelShift {
        lines.push("what lasts is the new normal: it is not told again".to_owned());
    }
    for cause in &incident.causes {
        lines.push(String::new());
        lines.push(clause(cause));
        lines.push(format!("  value      {}, expected {}", show_value(cause.value), show_value(cause.expected)));
        lines.push(format!("  band       {} to {}", show_value(cause.lower), show_value(cause.upper)));
        if cause.share != 0.0 {
            lines.push(format!("  share      {:.0} % of the deviation of {}", cause.share * 100.0, cause.measure));
        }
    }
    if incident.external {
        lines.extend([String::new(), "everything moved alike: the cause lies outside the dimensions".to_owned()]);
    }
    lines.extend([String::new(), format!("tidewatch explain CONFIG {}", incident.id)]);
    lines.join("\n")
}

/// The first characters of a line.
pub(super) fn cut(line: &str) -> String {
    if line.chars().count() <= TITLE_MAX {
        return line.to_owned();
    }
    line.chars().take(TITLE_MAX - 1).chain(std::iter::once('…')).collect()
}
