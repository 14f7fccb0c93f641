//! From points to what people read: the anomalous points of one measure in one interval become one group, with ids that
//! stay the same in every run, a share of the deviation for every dimension value, and the slices that are its cause.
//!
//! ```text
//!  points of an interval ──┬── the anomalous ones ── findings, contributions ──┬── AnomalyGroup
//!                          └── all of a measure ──── cause, on top of lattice ─┘
//! ```
//!
//! Where a cause is looked for, the normal points count as much as the others: they say where it is not. Groups are pure functions of the points; nothing is remembered from interval to interval.

mod cause;
mod contribution;
mod id;
pub mod lattice;

use crate::model::{AnomalyGroup, Dimensions, Finding, Interval, Point, PointState, RootCause, SeriesKey};

/// The id that the finding of a series has in its group, if it is one.
pub fn finding_id(measure: &str, interval: Interval, key: &SeriesKey) -> String {
    id::finding(&id::group(measure, interval), key)
}

/// How the values of a measure's series become that of all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nature<'a> {
    /// They add up.
    AddsUp,
    /// They do not: means without counts, extremes.
    Apart,
    /// They are quotients of two measures that add up, times a number.
    Ratio {
        /// The measure above.
        numerator: &'a str,
        /// The measure below.
        denominator: &'a str,
        /// The number.
        scale: f64,
        /// Whether both are counts.
        is_counted: bool,
    },
}

/// Groups the anomalous points by interval and measure: groups ordered by interval, then by the order in which measures
/// appear among the points; findings by severity, largest first, then by key. `nature` says of a measure how
/// the values of its series become one. O(n log n), and the scan for causes of each group.
pub fn groups<'n>(
    points: &[Point],
    dimension_names: &[String],
    nature: impl Fn(&str) -> Nature<'n>,
) -> Vec<AnomalyGroup> {
    let mut measures: Vec<&str> = Vec::new();
    let mut all: Vec<Member<'_>> = Vec::with_capacity(points.len());
    for point in points {
        let known = measures.iter().position(|measure| **measure == *point.measure);
        let measure = known.unwrap_or_else(|| {
            measures.push(&point.measure);
            measures.len() - 1
        });
        all.push((point.interval, measure, point));
    }
    let is_anomalous = |member: &&Member<'_>| matches!(member.2.state, PointState::Anomalous { .. });
    let mut members: Vec<Member<'_>> = all.iter().filter(is_anomalous).copied().collect();
    members.sort_by(|a, b| {
        let severity = b.2.severity.total_cmp(&a.2.severity);
        (a.0, a.1).cmp(&(b.0, b.1)).then(severity).then_with(|| a.2.key.cmp(&b.2.key))
    });
    let of_one = |a: &Member<'_>, b: &Member<'_>| (a.0, a.1) == (b.0, b.1);
    let (all, measures) = (&all, &measures);
    let grouped = members.chunk_by(of_one).map(|members| {
        let measure = measures[members[0].1];
        let beside = |measure: &str| {
            let number = measures.iter().position(|other| *other == measure).unwrap_or(measures.len());
            all.iter().filter(move |other| (other.0, other.1) == (members[0].0, number)).map(|other| other.2)
        };
        let mut group = group(members, measure, dimension_names);
        group.root_cause = match nature(measure) {
            Nature::AddsUp => cause::root_cause(beside(measure), dimension_names, true),
            Nature::Apart => cause::root_cause(beside(measure), dimension_names, false),
            Nature::Ratio { numerator, denominator, scale, is_counted } => {
                let sides = (beside(numerator), beside(denominator));
                cause::root_cause_of_ratio(sides, dimension_names, scale, is_counted)
            }
        };
        group
    });
    grouped.collect()
}

/// Interval, measure and point.
type Member<'a> = (Interval, usize, &'a Point);

fn group(members: &[Member<'_>], measure: &str, dimension_names: &[String]) -> AnomalyGroup {
    let interval = members[0].0;
    let id = id::group(measure, interval);
    let points: Vec<&Point> = members.iter().map(|(_, _, point)| *point).collect();
    AnomalyGroup {
        measure: measure.to_owned(),
        interval,
        severity: points[0].severity,
        findings: points.iter().filter_map(|point| finding(point, &id, dimension_names)).collect(),
        contributions: contribution::contributions(&points, dimension_names),
        root_cause: RootCause::default(),
        id,
    }
}

fn finding(point: &Point, group: &str, dimension_names: &[String]) -> Option<Finding> {
    let PointState::Anomalous { direction, since } = point.state else { return None };
    Some(Finding {
        id: id::finding(group, &point.key),
        dimensions: Dimensions::new(dimension_names, &point.key),
        since: since.start(),
        value: point.value,
        expected: point.expected,
        lower: point.lower,
        upper: point.upper,
        direction,
        score: point.score,
        severity: point.severity,
    })
}

#[cfg(test)]
mod tests;
