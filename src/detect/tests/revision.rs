//! Late rows at the detector: what is said of them, also where margins, calendars and counters have a say, and that nothing
//! else changes.

use std::sync::Arc;

use crate::detect::{
    Aggregation, Calendar, Detector, ForestShape, Margin, Measure, Outcome, Revised, Settings, Sides, Stretch,
};
use crate::model::{Cell, ClosedInterval, Direction, Interval, Length, Point, PointState, SeriesKey, Stats, Zone};

const MINUTES: u64 = 15;

fn measure(aggregation: Aggregation) -> Measure {
    Measure::new(Arc::from("orders"), 0, aggregation)
}

fn settings(aggregation: Aggregation) -> Settings {
    settings_of(vec![measure(aggregation)])
}

fn settings_of(measures: Vec<Measure>) -> Settings {
    let length = Length::from_seconds(MINUTES * 60).unwrap();
    let settings = Settings::new(vec!["shop".to_owned()], measures, length, 7).unwrap();
    settings.with_forest(ForestShape { trees: 5, sample: 32, shingle: 2, time_decay: 2560 }).unwrap()
}

fn at(step: i64) -> Interval {
    Interval::containing(0, Length::from_seconds(MINUTES * 60).unwrap()).offset(step)
}

fn cell(shop: &str, values: &[f64]) -> Cell {
    let mut stats = Stats::EMPTY;
    values.iter().for_each(|value| stats.add(*value));
    Cell { key: SeriesKey::new([shop]), rows: values.len() as u64, stats: vec![stats], sketches: Vec::new() }
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
    known_with(settings(aggregation))
}

fn known_with(settings: Settings) -> Detector {
    let mut detector = Detector::new(settings);
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
            let of_a = |point: &&Point| point.interval == at(step) && point.key == SeriesKey::new(["a"]);
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

#[test]
fn a_revised_value_within_the_margins_is_not_raised() {
    let with = |margin| known_with(settings_of(vec![measure(Aggregation::Sum).with_margin(margin)]));
    for (margin, is_small) in [
        (Margin::NONE, false),
        (Margin::new(50.0, 0.0, Sides::Both).unwrap(), true),
        (Margin::new(1.0, 0.5, Sides::Both).unwrap(), true),
    ] {
        for sign in [1.0, -1.0] {
            let mut detector = with(margin);
            detector.revise(&closed(190, vec![cell("a", &[40.0 * sign])]));
            let raised = |step| vec![("a".to_owned(), step, Outcome::Raised)];
            assert_eq!(told(&mut detector), if is_small { Vec::new() } else { raised(190) }, "{margin:?} {sign}");
            detector.revise(&closed(189, vec![cell("a", &[60.0 * sign])]));
            assert_eq!(told(&mut detector), raised(189), "{margin:?} {sign}");
        }
    }
}

#[test]
fn late_rows_on_a_side_that_nobody_asked_for_are_not_told() {
    for (sides, sign) in [(Sides::High, 1.0), (Sides::Low, -1.0)] {
        let margin = Margin::new(0.0, 0.0, sides).unwrap();
        let mut detector = known_with(settings_of(vec![measure(Aggregation::Sum).with_margin(margin)]));
        // a normal value on the other side, and an anomaly on this one
        let values = [cell("a", &[102.0 - 2.0 * sign]), cell("b", &[102.0 + 300.0 * sign])];
        let points = detector.observe(&closed(192, values.to_vec()));
        let [normal, odd] = &points[..] else { panic!("{points:?}") };
        assert_eq!((normal.state, normal.severity), (PointState::Normal, 0.0));
        assert!(matches!(odd.state, PointState::Anomalous { .. }), "{odd:?}");
        detector.revise(&closed(192, vec![cell("a", &[-80.0 * sign])]));
        assert!(told(&mut detector).is_empty(), "{sides:?}");
        detector.revise(&closed(192, vec![cell("a", &[160.0 * sign]), cell("b", &[-380.0 * sign])]));
        let revised = detector.take_revised();
        let [raised, withdrawn] = &revised[..] else { panic!("{revised:?}") };
        let direction = if sides == Sides::High { Direction::High } else { Direction::Low };
        assert_eq!((raised.outcome, raised.direction), (Outcome::Raised, direction));
        assert_eq!((withdrawn.outcome, withdrawn.direction), (Outcome::Withdrawn, direction));
        assert_eq!((withdrawn.severity_before, withdrawn.severity), (Some(odd.severity), 0.0));
        assert!((withdrawn.lower..=withdrawn.upper).contains(&withdrawn.value), "{withdrawn:?}");
        // a band that was given is not forgotten for it
        detector.revise(&closed(192, vec![cell("b", &[380.0 * sign])]));
        assert_eq!(told(&mut detector), [("b".to_owned(), 192, Outcome::Raised)]);
    }
}

#[test]
fn what_a_calendar_ignores_says_no_revisions() {
    let stretch = Stretch::new(at(191).end_instant(Zone::UTC), at(194).end_instant(Zone::UTC)).unwrap();
    let calendar = Calendar::new("works", vec![stretch]).unwrap().only(vec![("shop".to_owned(), vec!["a".to_owned()])]);
    for aggregation in [Aggregation::Sum, Aggregation::Avg] {
        let settings = || settings(aggregation).with_calendars(vec![calendar.clone()], Zone::UTC).unwrap();
        let mut detector = known_with(settings());
        let both = |step: i64, value: f64| closed(step, vec![cell("a", &[value]), cell("b", &[value])]);
        detector.observe(&both(192, usual(192)));
        // nothing comes in time for 193, and what is late waits for it
        detector.revise(&both(193, 1e6));
        detector.observe(&both(194, usual(194)));
        detector.observe(&both(195, usual(195)));
        let mut restored = Detector::restore(settings(), &detector.snapshot()).unwrap();
        let waited = told(&mut detector);
        assert!(waited.iter().all(|(key, step, _)| key == "b" && *step == 193) && waited.len() == 1, "{waited:?}");
        for detector in [&mut detector, &mut restored] {
            for step in 191..196 {
                detector.revise(&both(step, 1e6));
            }
            let said = told(detector);
            let of = |key: &str| -> Vec<i64> {
                said.iter().filter(|(other, ..)| other == key).map(|(_, step, _)| *step).collect()
            };
            assert_eq!(of("a"), [191, 195], "{aggregation:?}");
            assert_eq!(of("b"), [191, 192, 193, 194, 195], "{aggregation:?}");
        }
    }
}

#[test]
fn a_counter_says_no_revisions() {
    let most = Measure::new(Arc::from("most"), 0, Aggregation::Max);
    let measures = || vec![measure(Aggregation::Max).with_counter().unwrap(), most.clone()];
    let mut detector = Detector::new(settings_of(measures()));
    let mut total = 1e6;
    for step in 0..192 {
        total += usual(step);
        let points = detector.observe(&closed(step, vec![cell("a", &[total])]));
        assert!(step < 100 || points[0].value.is_some_and(|increase| increase < 200.0), "{points:?}");
    }
    let mut restored = Detector::restore(settings_of(measures()), &detector.snapshot()).unwrap();
    for detector in [&mut detector, &mut restored] {
        // far beyond the band of increases, as any value of the counter is; then beyond the band of the values too
        detector.revise(&closed(190, vec![cell("a", &[total])]));
        detector.revise(&closed(190, vec![cell("a", &[2.0 * total])]));
        let revised = detector.take_revised();
        assert!(!revised.is_empty() && revised.iter().all(|revised| &*revised.measure == "most"), "{revised:?}");
        // and the increases after it are those of what came in time
        let points = detector.observe(&closed(192, vec![cell("a", &[total + 100.0])]));
        assert_eq!(points[0].value, Some(100.0));
    }
}
