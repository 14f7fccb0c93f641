//! Notices of what the detector found: of a group of findings, and of what late rows did to one. Pure: the same group
//! gives the same notice, with the same id, in every run (A1).
//!
//! All notices about one anomaly share a thread: the measure, and the interval in which it began. A group that is made
//! of an anomaly which began earlier is an update of it.

use std::fmt::Write as _;

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::revisions::{Revision, Status};
use crate::model::{AnomalyGroup, Cause, Direction, Finding, Notice, NoticeKind, SharesOf, Timestamp};

/// A subject is no longer than this, in characters: what the strictest receiver takes.
const TITLE_CHARACTERS_MAX: usize = 99;
/// So many series are named in a short message,
const SHORT_SERIES_MAX: usize = 3;
/// and so many in a long one; the body has all.
const LONG_SERIES_MAX: usize = 50;

/// What is told of the findings of one measure in one interval.
pub fn of_group(group: &AnomalyGroup) -> Notice {
    let since = group.findings.iter().map(|finding| finding.since).min().unwrap_or(group.interval.start());
    let begins = group.findings.iter().any(|finding| finding.since == group.interval.start());
    let direction = common(group.findings.iter().map(|finding| finding.direction));
    let side = direction.map_or("off", word);
    let head = match &group.findings[..] {
        [finding] => format!(
            "{} {side}: {}, {} expected, {}",
            group.measure,
            given(finding.value),
            number(finding.expected),
            place(finding)
        ),
        findings => {
            format!("{} {side}: {} series, severity {:.0}", group.measure, findings.len(), group.severity)
        }
    };
    let when = format!("interval {} to {}", group.interval.start(), group.interval.end().format("%H:%M:%S"));
    Notice {
        id: group.id.clone(),
        thread: thread(&group.measure, since),
        kind: if begins { NoticeKind::Opened } else { NoticeKind::Updated },
        time: group.interval.start(),
        measures: vec![group.measure.clone()],
        slices: group.findings.iter().map(|finding| finding.dimensions.clone()).collect(),
        direction,
        severity: group.severity,
        score: group.findings.iter().map(|finding| finding.score).fold(0.0, f64::max),
        title: title(&head),
        text: text(group, &when, SHORT_SERIES_MAX, false),
        long_text: text(group, &when, LONG_SERIES_MAX, true),
        body: body(group),
    }
}

/// What is told of a finding that late rows have changed; nothing where it is confirmed.
pub fn of_revision(revision: &Revision) -> Option<Notice> {
    let (kind, said) = match revision.status {
        Status::Confirmed => return None,
        Status::Withdrawn => (NoticeKind::Withdrawn, "is no longer anomalous with the rows that came late"),
        Status::Raised => (NoticeKind::Raised, "is anomalous with the rows that came late"),
    };
    let Revision { measure, dimensions, status, .. } = revision;
    let head = format!("{measure} {status}: {}", shown(&dimensions.to_string()));
    let before = given(revision.value_before);
    let lines = format!(
        "{measure} of {}, interval {} to {}, {said}\nvalue {}, before {before}; expected {} ({} to {})\nseverity {:.0}",
        shown(&dimensions.to_string()),
        revision.interval_start,
        revision.interval_end.format("%H:%M:%S"),
        number(revision.value),
        number(revision.expected),
        number(revision.lower),
        number(revision.upper),
        revision.severity,
    );
    Some(Notice {
        id: format!("{}-{status}-{}", revision.id, revision.revised_with.format("%Y%m%d-%H%M%S")),
        thread: thread(measure, revision.since),
        kind,
        time: revision.interval_start,
        measures: vec![measure.clone()],
        slices: vec![dimensions.clone()],
        direction: Some(revision.direction),
        // whoever was told of it by its old severity hears that it is withdrawn
        severity: revision.severity_before.unwrap_or(0.0).max(revision.severity),
        score: 0.0,
        title: title(&head),
        long_text: format!("{lines}; anomalous since {}", revision.since),
        text: lines,
        body: body(revision),
    })
}

/// A message that says that it is a test, made at this time.
pub fn test(now: Timestamp) -> Notice {
    let time = chrono::DateTime::from_timestamp_micros(now.micros()).unwrap_or_default().naive_utc();
    let id = format!("test-{}", time.format("%Y%m%d-%H%M%S"));
    let text = "this is a test message of `tidewatch check --send`: nothing is wrong";
    Notice {
        thread: id.clone(),
        kind: NoticeKind::Resolved,
        time,
        measures: vec!["test".to_owned()],
        slices: Vec::new(),
        direction: None,
        severity: 0.0,
        score: 0.0,
        title: title("test message of tidewatch"),
        text: text.to_owned(),
        long_text: text.to_owned(),
        body: json!({ "test": true, "text": text }),
        id,
    }
}

/// A line that is short enough for a subject.
pub fn title(text: &str) -> String {
    let text = shown(text);
    if text.chars().count() <= TITLE_CHARACTERS_MAX {
        return text;
    }
    text.chars().take(TITLE_CHARACTERS_MAX - 1).chain(['…']).collect()
}

/// A number as people read it: whole above a thousand, four figures below.
pub(super) fn number(number: f64) -> String {
    if number == number.trunc() || number.abs() >= 1000.0 {
        return format!("{number:.0}");
    }
    let before = number.abs().log10().floor().max(-9.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
    let decimals = (3.0 - before) as usize;
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thread(measure: &str, since: NaiveDateTime) -> String {
    format!("{measure}-since-{}", since.format("%Y%m%d-%H%M%S"))
}

/// Control characters have no place on a line.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn common(mut directions: impl Iterator<Item = Direction>) -> Option<Direction> {
    let first = directions.next()?;
    directions.all(|direction| direction == first).then_some(first)
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::High => "high",
        Direction::Low => "low",
    }
}

fn given(value: Option<f64>) -> String {
    value.map_or_else(|| "nothing".to_owned(), number)
}

fn place(finding: &Finding) -> String {
    let place = shown(&finding.dimensions.to_string());
    if place.is_empty() { "all".to_owned() } else { place }
}

fn text(group: &AnomalyGroup, when: &str, series_max: usize, long: bool) -> String {
    let mut text = format!("{}, {when}, severity {:.0}", shown(&group.measure), group.severity);
    for finding in group.findings.iter().take(series_max) {
        let Finding { value, expected, lower, upper, direction, severity, since, .. } = finding;
        let _ = write!(
            text,
            "\n{} {}: {}, expected {} ({} to {}), severity {severity:.0}, since {since}",
            place(finding),
            word(*direction),
            given(*value),
            number(*expected),
            number(*lower),
            number(*upper),
        );
    }
    if let Some(more @ 1..) = group.findings.len().checked_sub(series_max) {
        let _ = write!(text, "\nand {more} more series");
    }
    causes(group, &mut text);
    for contribution in group.contributions.iter().filter(|_| long) {
        let shares = contribution.values.iter().take(series_max);
        let shares: Vec<String> =
            shares.map(|share| format!("{} {:.0} %", shown(&share.value), share.share * 100.0)).collect();
        let _ = write!(text, "\n{}: {}", shown(&contribution.dimension), shares.join(", "));
    }
    text
}

fn causes(group: &AnomalyGroup, text: &mut String) {
    let cause = &group.root_cause;
    let of = match cause.shares_of {
        SharesOf::Net => "of the deviation",
        SharesOf::Gross => "of all deviations",
    };
    for Cause { dimensions, share, value, expected } in &cause.causes {
        let _ = write!(
            text,
            "\ncause: {}, {:.0} % {of}, {} where {} was expected",
            shown(&dimensions.to_string()),
            share * 100.0,
            number(*value),
            number(*expected)
        );
    }
    if !cause.causes.is_empty() && cause.unexplained.abs() >= 0.005 {
        let _ = write!(text, "\nunexplained: {:.0} % {of}", cause.unexplained * 100.0);
    }
    if cause.external {
        text.push_str("\ncause: outside the dimensions, all series moved");
    }
}

/// What cannot be written as JSON has non-finite numbers, which a finding never has (R1).
fn body(what: &impl Serialize) -> Value {
    serde_json::to_value(what).unwrap_or_else(|error| json!({ "error": error.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::{group, revision};

    #[test]
    fn a_group_is_told_in_every_length() {
        let told = of_group(&group());
        assert_eq!((told.id.as_str(), told.thread.as_str()), ("views-20240304-0425", "views-since-20240304-042000"));
        assert_eq!((told.kind, told.direction), (NoticeKind::Opened, Some(Direction::Low)));
        assert_eq!((told.severity, told.score, told.slices.len()), (81.5, 5.25, 2));
        assert_eq!(told.title, "views low: 2 series, severity 82");
        let text = "views, interval 2024-03-04 04:25:00 to 04:30:00, severity 82\n\
                    shop=a, kind=web low: 12.5, expected 140 (120 to 160.2), severity 82, since 2024-03-04 04:25:00\n\
                    shop=b, kind=web low: nothing, expected 0.125 (0 to 1), severity 40, since 2024-03-04 04:20:00\n\
                    cause: kind=web, 75 % of the deviation, 12.5 where 140.1 was expected\n\
                    unexplained: 25 % of the deviation";
        assert_eq!(told.text, text);
        assert_eq!(told.long_text, format!("{text}\nshop: a 99 %, b 1 %\nkind: web 100 %"));
        assert_eq!(told.body["findings"][0]["expected"], 140.0);
        assert_eq!(told.body["causes"][0]["dimensions"]["kind"], "web");
    }

    #[test]
    fn one_series_is_named_in_the_title_and_what_lasts_is_an_update() {
        let mut group = group();
        group.findings.remove(0);
        let told = of_group(&group);
        assert_eq!(told.title, "views low: nothing, 0.125 expected, shop=b, kind=web");
        assert_eq!((told.kind, told.thread.as_str()), (NoticeKind::Updated, "views-since-20240304-042000"));
    }

    #[test]
    fn a_title_is_one_short_line() {
        assert_eq!(title("a\nb\tc"), "a b c");
        let long = title(&"é".repeat(400));
        assert_eq!((long.chars().count(), long.ends_with('…')), (TITLE_CHARACTERS_MAX, true));
    }

    #[test]
    fn a_revision_is_told_unless_it_confirms() {
        assert!(of_revision(&revision(Status::Confirmed)).is_none());
        let told = of_revision(&revision(Status::Withdrawn)).unwrap();
        assert_eq!(told.id, "views-20240304-0425-0-withdrawn-20240304-044000");
        assert_eq!((told.thread.as_str(), told.kind), ("views-since-20240304-042000", NoticeKind::Withdrawn));
        assert_eq!((told.severity, told.title.as_str()), (80.0, "views withdrawn: shop=a, kind=web"));
        assert!(told.text.contains("value 130, before nothing; expected 140 (120 to 160)"), "{}", told.text);
        assert_eq!(of_revision(&revision(Status::Raised)).unwrap().kind, NoticeKind::Raised);
    }

    #[test]
    fn numbers_are_short() {
        for (given, short) in
            [(0.0, "0"), (12.0, "12"), (1234.5, "1234"), (999.94, "999.9"), (0.123_456, "0.1235"), (-3.5, "-3.5")]
        {
            assert_eq!(number(given), short);
        }
    }
}
