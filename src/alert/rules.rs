//! Which findings are shown on the terminal, and which of their revisions: those that an `[[alert]]` without a receiver
//! lets pass.

use super::filter::Filter;
use super::revisions::{Revision, Status};
use crate::model::{AnomalyGroup, Finding, NoticeKind};

/// The groups to show, each with those of its findings that a filter lets pass by their own figures: a weak finding is
/// not shown because a strong one stands beside it. Contributions and causes stay those of the whole group.
pub fn worth_telling<'a>(
    filters: impl Iterator<Item = &'a Filter> + Clone,
    groups: &[AnomalyGroup],
) -> Vec<AnomalyGroup> {
    let told = |group: &AnomalyGroup| {
        let mut findings = group.findings.clone();
        findings.retain(|finding| {
            let Finding { dimensions, severity, score, .. } = finding;
            filters.clone().any(|filter| filter.lets_series_pass(&group.measure, dimensions, *severity, *score))
        });
        (!findings.is_empty()).then(|| AnomalyGroup { findings, ..group.clone() })
    };
    groups.iter().filter_map(told).collect()
}

/// The revisions to show: those that a filter lets pass by the severity that was told, or that there is now. So whoever
/// was alarmed by a finding hears that it is withdrawn. That one is confirmed is no news: it is in the table alone.
pub fn revisions_worth_telling<'a>(
    filters: impl Iterator<Item = &'a Filter> + Clone,
    revisions: &[Revision],
) -> Vec<Revision> {
    let passes = |revision: &&Revision| {
        let kind = match revision.status {
            Status::Confirmed => return false,
            Status::Withdrawn => NoticeKind::Withdrawn,
            Status::Raised => NoticeKind::Raised,
        };
        let severity = revision.severity_before.unwrap_or(0.0).max(revision.severity);
        let Revision { measure, dimensions, .. } = revision;
        // a revision has no score of its own
        let mut kinds = filters.clone().filter(|filter| filter.has_kind(kind));
        kinds.any(|filter| filter.lets_series_pass(measure, dimensions, severity, f64::INFINITY))
    };
    revisions.iter().filter(passes).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dimensions, Direction, Interval, Length, RootCause, SeriesKey};

    fn group(measure: &str, severities: &[f64]) -> AnomalyGroup {
        let interval = Interval::containing(0, Length::from_seconds(300).unwrap());
        let finding = |severity: &f64| Finding {
            id: format!("{measure}-{severity}"),
            dimensions: Dimensions::new(&[], &SeriesKey::new([])),
            since: interval.start(),
            value: None,
            expected: 1.0,
            lower: 0.0,
            upper: 2.0,
            direction: Direction::Low,
            score: 5.0,
            severity: *severity,
        };
        AnomalyGroup {
            id: measure.to_owned(),
            measure: measure.to_owned(),
            interval,
            severity: severities[0],
            findings: severities.iter().map(finding).collect(),
            contributions: Vec::new(),
            root_cause: RootCause::default(),
        }
    }

    fn told(rules: &[(f64, &[&str])]) -> Vec<String> {
        let filter = |(severity_threshold, measures): &(f64, &[&str])| Filter {
            severity_threshold: *severity_threshold,
            measures: measures.iter().map(ToString::to_string).collect(),
            ..Filter::default()
        };
        let groups = [group("views", &[90.0, 70.0, 20.0]), group("revenue", &[60.0])];
        let told = worth_telling(rules.iter().map(filter).collect::<Vec<_>>().iter(), &groups);
        told.iter().flat_map(|group| group.findings.iter().map(|finding| finding.id.clone())).collect()
    }

    #[test]
    fn a_finding_is_told_by_its_own_severity_and_measure() {
        assert_eq!(told(&[(70.0, &[])]), ["views-90", "views-70"]);
        assert_eq!(told(&[(80.0, &[]), (50.0, &["revenue"])]), ["views-90", "revenue-60"]);
        assert_eq!(told(&[(0.0, &["revenue"])]), ["revenue-60"]);
        assert!(told(&[(95.0, &[])]).is_empty() && told(&[]).is_empty());
    }

    #[test]
    fn a_revision_is_told_by_what_was_told_or_is_and_only_where_it_is_news() {
        let interval = Interval::containing(0, Length::from_seconds(300).unwrap());
        let revision = |status, severity_before, severity| Revision {
            id: format!("{status}-{severity}"),
            measure: "views".to_owned(),
            interval_start: interval.start(),
            interval_end: interval.end(),
            dimensions: Dimensions::new(&[], &SeriesKey::new([])),
            status,
            revised_with: interval.offset(3).start(),
            since: interval.start(),
            value_before: None,
            value: 1.0,
            expected: 1.0,
            lower: 0.0,
            upper: 2.0,
            direction: Direction::Low,
            severity_before,
            severity,
        };
        let revisions = [
            revision(Status::Withdrawn, Some(80.0), 3.0),
            revision(Status::Confirmed, Some(80.0), 90.0),
            revision(Status::Raised, None, 60.0),
        ];
        let told = |threshold, measures: &[&str]| {
            let measures = measures.iter().map(ToString::to_string).collect();
            let filter = Filter { severity_threshold: threshold, measures, ..Filter::default() };
            let told = revisions_worth_telling([filter].iter(), &revisions);
            told.into_iter().map(|revision| revision.id).collect::<Vec<_>>()
        };
        assert_eq!(told(50.0, &[]), ["withdrawn-3", "raised-60"]);
        assert_eq!(told(70.0, &["views"]), ["withdrawn-3"]);
        assert!(told(90.0, &[]).is_empty() && told(0.0, &["revenue"]).is_empty());
    }
}
