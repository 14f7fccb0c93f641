//! Late rows at the detector: what is said of them, and that nothing else changes.

use std::sync::Arc;

use crate::detect::{Aggregation, Detector, ForestShape, Measure, Outcome, Revised, Settings};
use crate::model::{Cell, ClosedInterval, Direction, Interval, Length, PointState, SeriesKey, Stats};

const MINUTES: u64 = 15;

fn settings(aggregation: Aggregation) -> Settings {
    let measure = Measure { name: Arc::from("orders"), column: 0, aggregation };
    let length = Length::from_seconds(MINUTES * 60).unwrap();
    let settings = Settings::new(vec!["shop".to_owned()], vec![measure], length, 7).unwrap();
    settings.with_forest(ForestShape { trees: 5, sample: 32, shingle: 2 }).unwrap()
}

fn at(step: i64) -> Interval {
    Interval::containing(0, Length::from_seconds(MINUTES * 60).unwrap()).offset(step)
}

fn cell(shop: &str, values: &[f64]) -> Cell {
    let mut stats = Stats::EMPTY;
    values.iter().for_each(|value| stats.add(*value));
    Cell { key: SeriesKey::new([shop]), rows: values.len() as u64, stats: vec![stats] }
}

fn closed(step: i64, cells: Vec<Cell>) -> ClosedInterval {
    ClosedInterval { interval: at(step), cells }
}

/// Around 100, never twice the same.
fn usual(step: i64) -> f64 {
    100.0 + 4.0 * (step as f64 * 0.618_033_988_75).fract()
}

/// A detector that has seen two shops for two days.
fn known(aggregation: Aggregation) -> Detector {
    let mut detector = Detector::new(settings(aggregation));
    for step in 0..192 {
        detector.observe(&closed(step, vec![cell("a", &[usual(step)]), cell("b", &[usual(step + 7)])]));
    }
    detector
}

fn told(detector: &mut Detector) -> Vec<(String, i64, Outcome)> {
    let of = |revised: Revised| (revised.key.to_string(), revised.interval.number() - at(0).number(), revised.outcome);
    detector.take_revised().into_iter().map(of).collect()
}

#[test]
fn half_of_the_rows_come_late() {
    let mut detector = known(Aggregation::Sum);
    let points = detector.observe(&closed(192, vec![cell("a", &[20.0]), cell("b", &[usual(3)])]));
    let [low, normal] = &points[..] else { panic!("{points:?}") };
    assert!(matches!(low.state, PointState::Anomalous { direction: Direction::Low, .. }), "{low:?}");
    assert_eq!(normal.state, PointState::Normal);
    assert_eq!(detector.known_rows(at(192)), Some(2));
    detector.observe(&closed(193, vec![cell("a", &[usual(193)]), cell("b", &[usual(4)])]));
    detector.revise(&closed(192, vec![cell("a", &[50.0, 32.0]), cell("b", &[400.0]), cell("new", &[1.0])]));
    let revised = detector.take_revised();
    let [withdrawn, raised] = &revised[..] else { panic!("{revised:?}") };
    assert_eq!((withdrawn.outcome, withdrawn.value_before, withdrawn.value), (Outcome::Withdrawn, Some(20.0), 102.0));
    assert_eq!((withdrawn.expected, withdrawn.lower, withdrawn.upper), (low.expected, low.lower, low.upper));
    assert_eq!((withdrawn.severity_before, withdrawn.direction), (Some(low.severity), Direction::Low));
    assert_eq!((raised.outcome, raised.key.to_string().as_str()), (Outcome::Raised, "b"));
    assert_eq!((raised.severity_before, raised.direction, raised.since), (None, Direction::High, at(192)));
    assert!(raised.severity > 29.0 && withdrawn.severity < 29.0, "{revised:?}");
    assert_eq!(detector.known_rows(at(192)), Some(6));
    assert!(detector.take_revised().is_empty(), "told once");
}

#[test]
fn a_revision_teaches_nothing() {
    let (mut revised, mut straight) = (known(Aggregation::Sum), known(Aggregation::Sum));
    for step in 192..400 {
        let cells = vec![cell("a", &[usual(step)]), cell("b", &[usual(step + 7)])];
        let interval = closed(step, cells);
        assert_eq!(revised.observe(&interval), straight.observe(&interval), "{step}");
        if step % 5 == 0 {
            revised.revise(&closed(step - 3, vec![cell("a", &[1e6]), cell("c", &[5.0])]));
        }
    }
    assert!(!revised.take_revised().is_empty());
    assert_eq!(revised.status(), straight.status());
}

#[test]
fn what_is_too_long_ago_is_not_remembered() {
    let mut detector = known(Aggregation::Sum);
    assert_eq!([detector.known_rows(at(95)), detector.known_rows(at(96))], [None, Some(2)]);
    detector.revise(&closed(95, vec![cell("a", &[1e6])]));
    assert!(told(&mut detector).is_empty());
    detector.revise(&closed(96, vec![cell("a", &[1e6])]));
    assert_eq!(told(&mut detector), [("a".to_owned(), 96, Outcome::Raised)]);
    // after time was skipped nothing is
    detector.observe(&closed(900, vec![cell("a", &[usual(1)])]));
    assert_eq!(detector.known_rows(at(899)), None);
    detector.revise(&closed(191, vec![cell("a", &[1e6])]));
    assert!(told(&mut detector).is_empty());
}

#[test]
fn a_detector_that_has_judged_nothing_has_nothing_to_revise() {
    let mut detector = Detector::new(settings(Aggregation::Sum));
    detector.revise(&closed(5, vec![cell("a", &[1.0])]));
    assert_eq!(detector.known_rows(at(5)), None);
    detector.observe(&closed(6, vec![cell("a", &[1.0])]));
    assert!(told(&mut detector).is_empty());
}

#[test]
fn rows_of_an_interval_that_is_not_judged_yet_wait_for_it() {
    for aggregation in [Aggregation::Sum, Aggregation::Avg] {
        let mut detector = known(aggregation);
        let late = |step: i64, part: f64| closed(step, vec![cell("a", &[usual(step) * part])]);
        let part = if aggregation == Aggregation::Sum { 0.5 } else { 1.0 };
        // nothing came in time from 192 to 199, and two batches late before anything else did
        for step in [193, 192, 193] {
            detector.revise(&late(step, part));
        }
        detector.revise(&late(192 + 200, 1.0));
        assert_eq!([192, 193, 194].map(|step| detector.known_rows(at(step))), [Some(1), Some(2), Some(0)]);
        assert!(told(&mut detector).is_empty());
        let mut restored = Detector::restore(settings(aggregation), &detector.snapshot()).unwrap();
        let next = closed(200, vec![cell("a", &[usual(200)]), cell("b", &[usual(207)])]);
        let points = detector.observe(&next);
        let was_odd = |step: i64| {
            let of_a = |point: &&crate::model::Point| point.interval == at(step) && point.key == SeriesKey::new(["a"]);
            matches!(points.iter().find(of_a).unwrap().state, PointState::Anomalous { .. })
        };
        let revised = told(&mut detector);
        if aggregation == Aggregation::Sum {
            assert!(was_odd(192) && was_odd(193));
            // half of it in one batch, all of it in two
            let expected = [("a".to_owned(), 192, Outcome::Confirmed), ("a".to_owned(), 193, Outcome::Withdrawn)];
            assert_eq!(revised, expected);
        } else {
            assert!(revised.iter().all(|(_, step, outcome)| was_odd(*step) && *outcome == Outcome::Withdrawn));
        }
        restored.observe(&next);
        assert_eq!(told(&mut restored), revised, "what waits is part of the state");
        assert_eq!(detector.snapshot(), restored.snapshot());
        assert_eq!(detector.known_rows(at(193)), Some(2));
    }
}

#[test]
fn status_tells_who_learns_by_form() {
    let mut detector = known(Aggregation::Sum);
    detector.observe(&closed(192, vec![cell("a", &[usual(1)]), cell("new", &[usual(2)])]));
    let status = detector.status();
    assert_eq!((status.series, status.full, status.learning, status.remaining), (3, 3, 1, 27));
    assert_eq!(status.learning_in, [(0, 0), (0, 0), (1, 27)]);
}
