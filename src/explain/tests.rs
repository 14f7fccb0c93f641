//! Grouping, ids and X1.

use std::sync::Arc;

use proptest::prelude::*;

use super::groups as groups_of;
use crate::model::{AnomalyGroup, Direction, Interval, Length, Point, PointState, SeriesKey};

fn groups(points: &[Point], names: &[String]) -> Vec<AnomalyGroup> {
    groups_of(points, names, |_| true)
}

fn names() -> Vec<String> {
    vec!["platform".to_owned(), "marketplace".to_owned()]
}

fn interval(step: i64) -> Interval {
    Interval::containing(0, Length::from_seconds(300).unwrap()).offset(step)
}

fn point(step: i64, measure: &str, key: [&str; 2], value: Option<f64>, expected: f64, severity: f64) -> Point {
    Point {
        interval: interval(step),
        key: SeriesKey::new(key),
        measure: Arc::from(measure),
        value,
        expected,
        lower: expected - 1.0,
        upper: expected + 1.0,
        score: 5.0,
        severity,
        state: PointState::Anomalous { direction: Direction::Low, since: interval(step - 1) },
    }
}

fn shares(group: &AnomalyGroup, dimension: usize) -> Vec<(&str, f64)> {
    group.contributions[dimension].values.iter().map(|share| (share.value.as_str(), share.share)).collect()
}

#[test]
fn findings_of_one_measure_in_one_interval_are_one_group() {
    let mut quiet = point(0, "views", ["web", "us"], Some(9.0), 9.0, 0.0);
    quiet.state = PointState::Normal;
    let points = [
        point(0, "views", ["web", "de"], Some(10.0), 40.0, 60.0),
        quiet,
        point(0, "views", ["app", "de"], None, 90.0, 80.0),
        point(0, "revenue", ["web", "de"], Some(1.0), 2.0, 40.0),
        point(1, "views", ["web", "de"], Some(1.0), 2.0, 40.0),
    ];
    let groups = groups(&points, &names());
    let ids: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
    assert_eq!(ids, ["views-19700101-0000", "revenue-19700101-0000", "views-19700101-0005"]);
    assert_eq!((groups[0].severity, groups[0].findings.len()), (80.0, 2));
    assert_eq!(groups[0].findings[0].dimensions.to_string(), "platform=app, marketplace=de");
    assert_eq!(groups[0].findings[0].since, interval(-1).start());
    assert_eq!(shares(&groups[0], 0), [("app", 0.75), ("web", 0.25)]);
    assert_eq!(shares(&groups[0], 1), [("de", 1.0)]);
    assert!(self::groups(&points[1..2], &names()).is_empty());
}

#[test]
fn an_id_depends_on_the_point_alone() {
    let points = [
        point(0, "views", ["a", "bc"], Some(10.0), 40.0, 60.0),
        point(0, "views", ["ab", "c"], Some(10.0), 40.0, 60.0),
    ];
    let both = groups(&points, &names());
    let alone = groups(&points[1..], &names());
    assert_ne!(both[0].findings[0].id, both[0].findings[1].id);
    assert_eq!(both[0].findings[1].id, alone[0].findings[0].id);
    assert!(alone[0].findings[0].id.starts_with("views-19700101-0000-"));
}

#[test]
fn no_dimension_means_no_contribution() {
    let mut only = point(0, "views", ["", ""], Some(1.0), 2.0, 50.0);
    only.key = SeriesKey::new([]);
    let groups = groups(&[only], &[]);
    assert!(groups[0].contributions.is_empty());
    assert_eq!(groups[0].findings[0].dimensions.to_string(), "");
}

proptest! {
    #[test]
    fn contributions_add_up(rows in prop::collection::vec(
        (0usize..4, 0usize..6, prop::option::of(-1e12f64..1e12), -1e12f64..1e12, 0.0f64..100.0), 1..60)
    ) {
        let platforms = ["web", "app", "tv", "car"];
        let markets = ["us", "uk", "de", "fr", "it", "jp"];
        let points: Vec<Point> = rows
            .iter()
            .map(|(p, m, value, expected, severity)| {
                point(0, "views", [platforms[*p], markets[*m]], *value, *expected, *severity)
            })
            .collect();
        let found = groups(&points, &names());
        let mut turned = points.clone();
        turned.reverse();
        for group in &found {
            for contribution in &group.contributions {
                let sum: f64 = contribution.values.iter().map(|share| share.share).sum();
                prop_assert!((sum - 1.0).abs() < 1e-9);
                prop_assert!(contribution.values.iter().all(|share| (0.0..=1.0).contains(&share.share)));
                prop_assert!(contribution.values.windows(2).all(|two| two[0].share >= two[1].share));
            }
        }
        let distinct: std::collections::BTreeSet<_> = rows.iter().map(|row| (row.0, row.1)).collect();
        if distinct.len() == rows.len() {
            let ids = |groups: &[AnomalyGroup]| -> Vec<String> {
                groups.iter().flat_map(|group| group.findings.iter().map(|finding| finding.id.clone())).collect()
            };
            prop_assert_eq!(ids(&found), ids(&groups(&turned, &names())));
        }
    }

    #[test]
    fn extreme_and_equal_values_add_up_too(values in prop::collection::vec(prop::sample::select(vec![0.0, 1e308, -1e308, 1e-308]), 1..20)) {
        let keys: Vec<String> = (0..values.len()).map(|at| at.to_string()).collect();
        let points: Vec<Point> = values
            .iter()
            .zip(&keys)
            .map(|(value, key)| point(0, "views", ["web", key], Some(*value), 0.0, 0.0))
            .collect();
        for contribution in &groups(&points, &names())[0].contributions {
            let sum: f64 = contribution.values.iter().map(|share| share.share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
        }
    }
}
