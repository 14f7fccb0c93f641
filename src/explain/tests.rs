//! Grouping, ids and X1.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Nature, groups as groups_of};
use crate::model::{AnomalyGroup, Direction, Interval, Length, Point, PointState, RootCause, SeriesKey, SharesOf};

fn groups(points: &[Point], names: &[String]) -> Vec<AnomalyGroup> {
    groups_of(points, names, |_| Nature::AddsUp)
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

/// A point that is as expected, but where `factor` says otherwise.
fn market(step: i64, platform: usize, market: usize, factor: f64) -> Point {
    let expected = 1000.0 + 100.0 * (platform + market) as f64;
    // a percent up or down, as if by chance
    let wobble = 1.0 + 0.01 * (((platform * 7 + market * 3) % 5) as f64 - 2.0);
    let key = [format!("p{platform}"), format!("m{market}")];
    let mut point = point(step, "views", [&key[0], &key[1]], Some(expected * wobble * factor), expected, 70.0);
    (point.lower, point.upper) = (0.85 * expected, 1.15 * expected);
    if (0.85..1.15).contains(&(wobble * factor)) {
        point.state = PointState::Normal;
    }
    point
}

fn markets(factor: impl Fn(usize, usize) -> f64) -> Vec<Point> {
    (0..4).flat_map(|p| (0..6).map(move |m| (p, m))).map(|(p, m)| market(0, p, m, factor(p, m))).collect()
}

#[test]
fn a_group_names_the_slice_that_broke_and_not_its_series() {
    let points = markets(|_, market| if market == 2 { 0.3 } else { 1.0 });
    let [group] = &groups(&points, &names())[..] else { panic!("one group") };
    let root = &group.root_cause;
    assert_eq!(group.findings.len(), 4);
    assert_eq!(root.causes.len(), 1, "{root:?}");
    assert_eq!(root.causes[0].dimensions.to_string(), "marketplace=m2");
    let expected: f64 = (0..4).map(|p| market(0, p, 2, 1.0).expected).sum();
    assert!((root.causes[0].expected - expected).abs() < 1e-6 && root.causes[0].value < 0.32 * expected);
    assert!((root.causes[0].share - 1.0).abs() < 0.1 && (root.causes[0].share + root.unexplained - 1.0).abs() < 1e-9);
    assert!(!root.external && root.shares_of == SharesOf::Net);
}

#[test]
fn what_moves_every_series_lies_outside_the_dimensions() {
    let [group] = &groups(&markets(|_, _| 0.6), &names())[..] else { panic!("one group") };
    assert!(group.root_cause.external && group.root_cause.causes.is_empty(), "{:?}", group.root_cause);
    let alone = groups(&[market(0, 0, 0, 0.5)], &names());
    assert_eq!(alone[0].root_cause, RootCause::default(), "one series says nothing of the others");
}

#[test]
fn a_slice_is_not_widened_to_a_dimension_that_is_the_same_everywhere() {
    let at = |market: usize, factor: f64| {
        let mut point = market_of_one(market, factor);
        point.key = SeriesKey::new(["web", &format!("m{market}")]);
        point
    };
    let points: Vec<Point> = (0..11).map(|market| at(market, if market == 0 { 0.5 } else { 0.8 })).collect();
    let [group] = &groups(&points, &names())[..] else { panic!("one group") };
    assert_eq!(group.root_cause.causes[0].dimensions.to_string(), "marketplace=m0", "{:?}", group.root_cause);
}

/// A point of the first of some markets, which is a third of all, or of another one.
fn market_of_one(market: usize, factor: f64) -> Point {
    let expected = if market == 0 { 1000.0 } else { 200.0 };
    let mut point = point(0, "views", ["", ""], Some(expected * factor), expected, 70.0);
    (point.lower, point.upper) = (0.85 * expected, 1.15 * expected);
    point
}

#[test]
fn a_band_that_was_cut_at_nothing_does_not_make_a_quiet_series_sure() {
    let mut points = markets(|_, market| if market == 2 { 0.3 } else { 1.0 });
    let mut quiet = point(0, "views", ["p9", "m9"], Some(60.5), 10.5, 0.0);
    (quiet.lower, quiet.upper, quiet.state) = (0.0, 200.0, PointState::Normal);
    points.push(quiet);
    let [group] = &groups(&points, &names())[..] else { panic!("one group") };
    let causes: Vec<String> = group.root_cause.causes.iter().map(|cause| cause.dimensions.to_string()).collect();
    assert_eq!(causes, ["marketplace=m2"]);
}

#[test]
fn causes_are_those_of_the_interval_and_the_measure() {
    let mut points = markets(|platform, _| if platform == 1 { 2.0 } else { 1.0 });
    let calm = groups(&points, &names());
    for step in [-1, 1] {
        points.extend((0..4).flat_map(|p| (0..6).map(move |m| market(step, p, m, 0.2))));
    }
    let mut other = markets(|_, _| 0.1);
    other.iter_mut().for_each(|point| point.measure = Arc::from("revenue"));
    points.extend(other);
    let all = groups(&points, &names());
    let same = all.iter().find(|group| group.id == calm[0].id).unwrap();
    assert_eq!(same.root_cause, calm[0].root_cause);
    assert_eq!(calm[0].root_cause.causes[0].dimensions.to_string(), "platform=p1");
}

#[test]
fn a_sum_without_rows_fell_to_nothing_and_a_mean_without_rows_is_unknown() {
    let mut points = markets(|_, market| if market == 4 { 0.0 } else { 1.0 });
    points.iter_mut().filter(|point| point.value == Some(0.0)).for_each(|point| point.value = None);
    let sum = groups_of(&points, &names(), |_| Nature::AddsUp);
    assert_eq!(sum[0].root_cause.causes[0].dimensions.to_string(), "marketplace=m4");
    assert_eq!(sum[0].root_cause.causes[0].value, 0.0);
    let mean = groups_of(&points, &names(), |_| Nature::Apart);
    assert!(mean[0].root_cause.causes.is_empty());
    let fell = groups_of(&markets(|_, market| if market == 4 { 0.5 } else { 1.0 }), &names(), |_| Nature::Apart);
    let cause = &fell[0].root_cause.causes[0];
    assert_eq!(
        (cause.dimensions.to_string().as_str(), fell[0].root_cause.shares_of),
        ("marketplace=m4", SharesOf::Gross)
    );
    assert!(cause.expected < 2000.0, "the mean of four series");
}

#[test]
fn who_is_still_learning_is_no_witness() {
    let mut points = markets(|platform, _| if platform == 3 { 0.4 } else { 1.0 });
    let learning = point(0, "views", ["p9", "m9"], Some(1e9), 1.0, 0.0);
    points.push(Point { state: PointState::Learning { remaining: 5 }, ..learning });
    let causes = &groups(&points, &names())[0].root_cause.causes;
    assert_eq!(causes.iter().map(|cause| cause.dimensions.to_string()).collect::<Vec<_>>(), ["platform=p3"]);
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
            let root = &group.root_cause;
            let shares: f64 = root.causes.iter().map(|cause| cause.share).sum();
            prop_assert!((shares + root.unexplained - 1.0).abs() < 1e-9, "{root:?}");
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
