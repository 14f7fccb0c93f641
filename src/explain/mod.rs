//! From points to what people read: the anomalous points of one measure in one interval become one group, with ids that
//! stay the same in every run and a share of the deviation for every dimension value.
//!
//! Groups are pure functions of the points; nothing is remembered from interval to interval.

mod contribution;
mod id;

use crate::model::{AnomalyGroup, Dimensions, Finding, Interval, Point, PointState};

/// Groups the anomalous points by interval and measure: groups ordered by interval, then by the order in which measures
/// appear among the points; findings by severity, largest first, then by key. O(n log n).
pub fn groups(points: &[Point], dimension_names: &[String]) -> Vec<AnomalyGroup> {
    let mut measures: Vec<&str> = Vec::new();
    let mut members: Vec<(Interval, usize, &Point)> = Vec::new();
    for point in points {
        let known = measures.iter().position(|measure| **measure == *point.measure);
        let measure = known.unwrap_or_else(|| {
            measures.push(&point.measure);
            measures.len() - 1
        });
        if matches!(point.state, PointState::Anomalous { .. }) {
            members.push((point.interval, measure, point));
        }
    }
    members.sort_by(|a, b| {
        let severity = b.2.severity.total_cmp(&a.2.severity);
        (a.0, a.1).cmp(&(b.0, b.1)).then(severity).then_with(|| a.2.key.cmp(&b.2.key))
    });
    let of_one = |a: &(Interval, usize, &Point), b: &(Interval, usize, &Point)| (a.0, a.1) == (b.0, b.1);
    members.chunk_by(of_one).map(|members| group(members, measures[members[0].1], dimension_names)).collect()
}

fn group(members: &[(Interval, usize, &Point)], measure: &str, dimension_names: &[String]) -> AnomalyGroup {
    let interval = members[0].0;
    let id = id::group(measure, interval);
    let points: Vec<&Point> = members.iter().map(|(_, _, point)| *point).collect();
    AnomalyGroup {
        measure: measure.to_owned(),
        interval,
        severity: points[0].severity,
        findings: points.iter().filter_map(|point| finding(point, &id, dimension_names)).collect(),
        contributions: contribution::contributions(&points, dimension_names),
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
