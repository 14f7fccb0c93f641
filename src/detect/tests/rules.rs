//! The rules that a user sets: small changes, sides, calendars, counters.

use std::sync::Arc;

use super::harness::check;
use super::random::Random;
use super::single::{self, DAY, cell, closed, interval, is_anomalous, sent, settings};
use crate::detect::{
    Aggregation, Calendar, Detector, Form, Margin, Measure, Settings, Sides, Sizes, SnapshotError, Stretch,
};
use crate::model::{ClosedInterval, Direction, Point, PointState, Timestamp, Zone};

fn measure(aggregation: Aggregation) -> Measure {
    Measure::new(Arc::from("views"), 0, aggregation)
}

fn with_margin(change: f64, ratio: f64, sides: Sides) -> Settings {
    settings(measure(Aggregation::Avg).with_margin(Margin::new(change, ratio, sides).unwrap()))
}

fn run(settings: Settings, values: &[Option<f64>]) -> Vec<Point> {
    single::run(Detector::new(settings), values)
}

fn told(points: &[Point]) -> Vec<usize> {
    points.iter().enumerate().filter(|(_, point)| is_anomalous(point)).map(|(step, _)| step).collect()
}

/// A daily curve of 500 on average with Gaussian noise of 8.
fn daily(seed: u64, days: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    (0..days * DAY)
        .map(|step| {
            let angle = std::f64::consts::TAU * (step % DAY) as f64 / DAY as f64;
            500.0 - 100.0 * libm::cos(angle - 0.7) + 8.0 * random.gauss()
        })
        .collect()
}

/// Mean distance of what was expected from the values.
fn error(points: &[Point]) -> f64 {
    points.iter().map(|point| (point.expected - point.value.unwrap()).abs()).sum::<f64>() / points.len() as f64
}

#[test]
fn a_small_shift_is_not_told_and_is_learned_sooner_than_an_incident() {
    let mut values = daily(1, 6);
    let shift = 3 * DAY + 100;
    values[shift..].iter_mut().for_each(|value| *value += 120.0);
    let plain = run(settings(measure(Aggregation::Avg)), &sent(&values));
    assert!(is_anomalous(&plain[shift]) && is_anomalous(&plain[shift + 24]), "without margins it is an incident");
    for (change, ratio) in [(200.0, 0.0), (0.0, 0.5), (200.0, 0.01)] {
        let points = run(with_margin(change, ratio, Sides::Both), &sent(&values));
        assert_eq!(told(&points), [] as [usize; 0], "{change} {ratio}");
        let alarm = plain[shift].score;
        assert!(points.iter().all(|point| point.score < alarm.min(4.6)), "scores stay below the alarm's");
        let hour = shift + 12..shift + 24;
        assert!(error(&points[hour.clone()]) < 40.0, "{change} {ratio}: {}", error(&points[hour.clone()]));
        assert!(error(&plain[hour.clone()]) > 80.0, "while an incident is waited for: {}", error(&plain[hour]));
        assert!(error(&points[5 * DAY..]) < 20.0);
    }
}

#[test]
fn what_exceeds_the_margin_is_told_and_ends_at_it() {
    let mut values = daily(2, 5);
    let start = 3 * DAY + 100;
    values[start..start + 12].iter_mut().for_each(|value| *value += 300.0);
    // still clearly off, but within the margin: that is the level now
    values[start + 12..].iter_mut().for_each(|value| *value += 100.0);
    let points = run(with_margin(150.0, 0.0, Sides::Both), &sent(&values));
    assert_eq!(told(&points), (start..start + 12).collect::<Vec<_>>());
    assert!(error(&points[start + 20..start + 40]) < 40.0, "{}", error(&points[start + 20..start + 40]));
    assert!(points[start].upper >= points[start].expected + 150.0 && points[start].upper < values[start]);
    for point in &points {
        let value = point.value.unwrap();
        let is_inside = (point.expected - 150.0..=point.expected + 150.0).contains(&value);
        assert!(!is_inside || !is_anomalous(point), "{point:?}");
        assert!(!is_inside || (point.lower..=point.upper).contains(&value), "{point:?}");
    }
}

#[test]
fn the_side_that_nobody_asked_for_is_waited_for() {
    for (sides, sign) in [(Sides::High, -1.0), (Sides::Low, 1.0)] {
        let mut values = daily(3, 7);
        // more of them in a week than a side may have
        for start in (0..6).map(|number| 4 * DAY + 10 + 60 * number) {
            values[start..start + 20].iter_mut().for_each(|value| *value += sign * 250.0);
        }
        let other = 6 * DAY + 100;
        values[other..other + 6].iter_mut().for_each(|value| *value -= sign * 250.0);
        let points = run(with_margin(0.0, 0.0, sides), &sent(&values));
        assert_eq!(told(&points), (other..other + 6).collect::<Vec<_>>(), "{sides:?}");
        let direction = if sides == Sides::High { Direction::High } else { Direction::Low };
        assert_eq!(points[other].state, PointState::Anomalous { direction, since: interval(other) });
        let alarm = points[other].score;
        assert!(points[..other].iter().all(|point| point.score < alarm));
        for point in &points[4 * DAY..other] {
            assert!((point.lower..=point.upper).contains(&point.value.unwrap()) || point.severity < 30.0, "{point:?}");
        }
    }
}

#[test]
fn margins_silence_neither_a_gap_nor_a_flat_line_and_high_alone_silences_gaps() {
    let mut gap = sent(&daily(4, 5));
    gap[4 * DAY + 50..4 * DAY + 60].fill(None);
    let is_told = |settings, values: &[Option<f64>]| !told(&run(settings, values)).is_empty();
    assert!(is_told(with_margin(1000.0, 0.0, Sides::Both), &gap));
    assert!(is_told(with_margin(0.0, 0.0, Sides::Low), &gap));
    assert!(!is_told(with_margin(0.0, 0.0, Sides::High), &gap));
    let mut flat = daily(4, 5);
    let frozen = flat[4 * DAY + 60];
    flat[4 * DAY + 60..4 * DAY + 120].fill(frozen);
    for sides in [Sides::Both, Sides::High, Sides::Low] {
        assert!(is_told(with_margin(1000.0, 0.0, sides), &sent(&flat)), "{sides:?}");
    }
}

#[test]
fn the_smallest_form_keeps_the_margins_too() {
    let mut random = Random::new(5);
    let mut values: Vec<Option<f64>> = (0..10 * DAY).map(|_| Some(100.0 + 5.0 * random.gauss())).collect();
    let (small, large) = (8 * DAY, 9 * DAY);
    values[small..].iter_mut().flatten().for_each(|value| *value += 60.0);
    values[large..large + 10].iter_mut().flatten().for_each(|value| *value += 160.0);
    let tail = |settings: Settings| {
        let bytes = Sizes::of(&settings).of_form(Form::Tail);
        settings.with_memory(bytes)
    };
    let plain = run(tail(settings(measure(Aggregation::Avg))), &values);
    assert!(is_anomalous(&plain[small]) && is_anomalous(&plain[large]));
    let points = run(tail(with_margin(100.0, 0.0, Sides::Both)), &values);
    let (held, learned) = (plain[small + 200].expected, points[small + 200].expected);
    assert!(held < 102.0 && learned > 106.0, "{held} {learned}");
    let told = told(&points);
    assert!(told.contains(&large) && told.iter().all(|step| *step >= large), "{told:?}");
    assert!(points[small].lower <= (points[small].expected - 100.0).max(0.0));
}

/// Stretches from one step on and before another, of these series.
fn calendar(steps: &[(usize, usize)], only: &[&str]) -> Calendar {
    let instant = |step: usize| Zone::UTC.to_instant(interval(step).start()).unwrap();
    let stretches = steps.iter().map(|(from, to)| Stretch::new(instant(*from), instant(*to)).unwrap());
    let calendar = Calendar::new("known", stretches.collect()).unwrap();
    if only.is_empty() {
        return calendar;
    }
    calendar.only(vec![("cell".to_owned(), only.iter().map(|value| (*value).to_owned()).collect())])
}

fn with_calendar(aggregation: Aggregation, steps: &[(usize, usize)], only: &[&str]) -> Settings {
    settings(measure(aggregation)).with_calendars(vec![calendar(steps, only)], Zone::UTC).unwrap()
}

#[test]
fn what_a_calendar_ignores_is_not_told_and_teaches_nothing() {
    let windows = [(3 * DAY, 4 * DAY), (5 * DAY + 100, 5 * DAY + 130)];
    let is_ignored = |step: usize| windows.iter().any(|(from, to)| (*from..*to).contains(&step));
    for (aggregation, form) in
        [(Aggregation::Sum, Form::Full), (Aggregation::Avg, Form::Full), (Aggregation::Sum, Form::Tail)]
    {
        let values = sent(&daily(6, 7));
        let mut others = values.clone();
        let mut random = Random::new(7);
        for (step, value) in others.iter_mut().enumerate().filter(|(step, _)| is_ignored(*step)) {
            *value = (step % 3 > 0).then(|| 5000.0 * random.gauss());
        }
        let with = || {
            let settings = with_calendar(aggregation, &windows, &[]);
            let sizes = Sizes::of(&settings);
            settings.with_memory(if form == Form::Full { u64::MAX } else { sizes.of_form(form) })
        };
        let (mut one, mut other) = (Detector::new(with()), Detector::new(with()));
        for step in 0..values.len() {
            let (a, b) = (one.observe(&closed(step, values[step])), other.observe(&closed(step, others[step])));
            if is_ignored(step) {
                for point in a.iter().chain(&b) {
                    check(point);
                    assert_eq!((point.state, point.score, point.severity), (PointState::Normal, 0.0, 0.0));
                }
            } else {
                assert_eq!(a, b, "{step}");
                assert!(!is_anomalous(&a[0]), "{aggregation:?}: {:?}", a[0]);
            }
        }
        assert_eq!(one.snapshot(), other.snapshot(), "{aggregation:?} {form:?}");
        assert!(one.kept().all(|(_, kept)| kept == form));
    }
}

#[test]
fn without_the_calendar_the_holiday_is_an_incident_and_with_it_the_day_after_is_as_expected() {
    let mut values = daily(8, 7);
    values[4 * DAY..5 * DAY].iter_mut().for_each(|value| *value *= 0.4);
    let plain = run(settings(measure(Aggregation::Avg)), &sent(&values));
    assert!(!told(&plain).is_empty());
    let points = run(with_calendar(Aggregation::Avg, &[(4 * DAY, 5 * DAY)], &[]), &sent(&values));
    assert_eq!(told(&points), [] as [usize; 0]);
    assert!(error(&points[5 * DAY..5 * DAY + 12]) < 15.0, "{}", error(&points[5 * DAY..5 * DAY + 12]));
}

#[test]
fn an_open_episode_is_held_over_a_window() {
    let mut values = daily(9, 5);
    let start = 3 * DAY + 100;
    values[start..start + 36].iter_mut().for_each(|value| *value += 300.0);
    let window = (start + 12, start + 24);
    let points = run(with_calendar(Aggregation::Avg, &[window], &[]), &sent(&values));
    let expected: Vec<usize> = (start..window.0).chain(window.1..start + 36).collect();
    assert_eq!(told(&points), expected);
    let state = PointState::Anomalous { direction: Direction::High, since: interval(start) };
    assert_eq!((points[start].state, points[window.1].state), (state, state));
}

#[test]
fn a_window_without_rows_is_no_dropout() {
    let window = (3 * DAY + 100, 3 * DAY + 120);
    for (aggregation, comes) in [(Aggregation::Sum, true), (Aggregation::Avg, true), (Aggregation::Sum, false)] {
        let mut values = sent(&daily(10, 5));
        values[window.0..window.1].fill(None);
        let mut detector = Detector::new(with_calendar(aggregation, &[window], &[]));
        let mut points = Vec::new();
        for (step, value) in values.iter().enumerate() {
            // intervals may also be passed over
            if comes || value.is_some() {
                points.extend(detector.observe(&closed(step, *value)));
            }
        }
        assert_eq!(told(&points), [] as [usize; 0], "{aggregation:?} {comes}");
        assert_eq!(points.len(), values.len());
    }
}

#[test]
fn a_calendar_of_some_series_leaves_the_others_alone() {
    let (start, values) = (3 * DAY + 100, daily(11, 5));
    let observe = |settings: Settings| {
        let mut detector = Detector::new(settings);
        let mut points = Vec::new();
        for (step, value) in values.iter().enumerate() {
            let value = if (start..start + 12).contains(&step) { 0.0 } else { *value };
            let cells = vec![cell("a", value), cell("b", value)];
            points.extend(detector.observe(&ClosedInterval { interval: interval(step), cells }));
        }
        points
    };
    let points = observe(with_calendar(Aggregation::Sum, &[(start, start + 12)], &["a", "c"]));
    let plain = observe(settings(measure(Aggregation::Sum)));
    let of = |points: &[Point], key: &str| -> Vec<Point> {
        points.iter().filter(|point| point.key.to_string() == key).cloned().collect()
    };
    assert_eq!(told(&of(&points, "a")), [] as [usize; 0]);
    assert_eq!(of(&points, "b"), of(&plain, "b"));
    assert!(is_anomalous(&of(&plain, "b")[start]) && is_anomalous(&of(&plain, "a")[start]));
}

#[test]
fn a_state_is_of_its_margins_and_of_the_calendars_of_its_past() {
    let values = sent(&daily(12, 1));
    let state = |settings: Settings| {
        let mut detector = Detector::new(settings);
        values.iter().enumerate().for_each(|(step, value)| drop(detector.observe(&closed(step, *value))));
        detector.snapshot()
    };
    let refused = |settings: Settings, state: &[u8]| match Detector::restore(settings, state) {
        Err(SnapshotError::Settings { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    let margins = state(with_margin(5.0, 0.0, Sides::Both));
    assert_eq!(refused(with_margin(6.0, 0.0, Sides::Both), &margins), "measure `views`");
    assert_eq!(refused(with_margin(5.0, 0.0, Sides::High), &margins), "measure `views`");
    assert!(Detector::restore(with_margin(5.0, 0.0, Sides::Both), &margins).is_ok());

    let past = [(100, 110)];
    let both = [(100, 110), (2 * DAY, 3 * DAY)];
    let known = state(with_calendar(Aggregation::Avg, &past, &[]));
    assert!(Detector::restore(with_calendar(Aggregation::Avg, &both, &[]), &known).is_ok(), "a holiday to come");
    for other in [settings(measure(Aggregation::Avg)), with_calendar(Aggregation::Avg, &past, &["a"])] {
        assert!(refused(other, &known).starts_with("calendars for the time up to 2019-11-05"), "{known:?}");
    }
    let none = state(settings(measure(Aggregation::Avg)));
    assert!(Detector::restore(with_calendar(Aggregation::Avg, &[(2 * DAY, 3 * DAY)], &[]), &none).is_ok());
    assert!(refused(with_calendar(Aggregation::Avg, &past, &[]), &none).starts_with("calendars"));
    let within = Stretch::new(Timestamp::MIN, Timestamp::MAX);
    assert_eq!(within, Ok(Stretch::ALWAYS));
}

fn counter() -> Settings {
    settings(measure(Aggregation::Max).with_counter().unwrap())
}

/// A counter that grows by these.
fn counted(from: f64, increases: &[f64]) -> Vec<Option<f64>> {
    let mut total = from;
    increases
        .iter()
        .map(|increase| {
            total += increase.round();
            Some(total)
        })
        .collect()
}

#[test]
fn the_increase_of_a_counter_is_judged_as_if_it_came_itself() {
    let mut increases: Vec<f64> = daily(13, 5).iter().map(|value| value.round()).collect();
    let start = 4 * DAY;
    increases[start..start + 6].iter_mut().for_each(|value| *value += 300.0);
    let points = run(counter(), &counted(1e6, &increases));
    assert_eq!((points[0].value, points[0].score), (None, 0.0));
    let mut plain = Detector::new(settings(measure(Aggregation::Max)));
    for step in 1..increases.len() {
        let expected = plain.observe(&closed(step, Some(increases[step])));
        assert_eq!(points[step..=step], expected[..], "{step}");
    }
    assert_eq!(told(&points), (start..start + 6).collect::<Vec<_>>());
}

#[test]
fn a_reset_is_no_anomaly_and_a_gap_gives_no_increase() {
    let increases: Vec<f64> = daily(14, 5).iter().map(|value| value.round()).collect();
    let mut values = counted(0.0, &increases[..4 * DAY]);
    // the process begins anew at the beginning of an interval
    values.extend(counted(0.0, &increases[4 * DAY..]));
    let reset = 4 * DAY;
    let gap = reset + 50;
    values[gap] = None;
    let points = run(counter(), &values);
    assert_eq!(points[reset].value, Some(increases[reset]));
    assert_eq!((points[gap].value, points[gap + 1].value), (None, None));
    assert_eq!(points[gap + 2].value, Some(increases[gap + 2]));
    assert_eq!(points[gap + 1].state, PointState::Normal);
    assert_eq!(told(&points), [] as [usize; 0]);
    // without the rule it would be far from what is expected
    let plain = &run(settings(measure(Aggregation::Max)), &values)[reset];
    assert!(plain.value.unwrap() < plain.lower, "{plain:?}");
}

#[test]
fn a_counter_goes_on_after_a_restart_and_in_a_window() {
    let increases: Vec<f64> = daily(15, 2).iter().map(|value| value.round()).collect();
    let values = counted(50.0, &increases);
    let settings = || {
        let stretch = calendar(&[(300, 310)], &[]);
        counter().with_calendars(vec![stretch], Zone::UTC).unwrap()
    };
    let (mut straight, mut broken) = (Detector::new(settings()), Detector::new(settings()));
    for (step, value) in values.iter().enumerate() {
        let points = straight.observe(&closed(step, *value));
        assert_eq!(points, broken.observe(&closed(step, *value)));
        assert_eq!(points[0].value, Some(increases[step]).filter(|_| step > 0), "{step}");
        broken = Detector::restore(settings(), &broken.snapshot()).unwrap();
    }
    let plain = Detector::restore(self::settings(measure(Aggregation::Max)), &straight.snapshot());
    assert!(matches!(plain, Err(SnapshotError::Settings { .. })), "{plain:?}");
}

/// A walk without a season is somewhere else after a day: it may take some intervals until what is expected has followed.
#[test]
fn after_a_window_a_series_is_given_time_to_be_found_again() {
    let window = (5 * DAY, 6 * DAY);
    let mut alarmed = 0;
    for seed in 0..20 {
        let mut random = Random::new(100 + seed);
        let mut level = 1000.0;
        let mut next = || {
            level += 10.0 * random.gauss();
            level + 4.0 * random.gauss()
        };
        let values: Vec<f64> = (0..window.1 + 24).map(|_| next()).collect();
        let points = run(with_calendar(Aggregation::Avg, &[window], &[]), &sent(&values));
        alarmed += usize::from(told(&points).iter().any(|step| *step >= window.1));
    }
    assert!(alarmed <= 10, "{alarmed} of 20");
    // and a service that comes back wrong is found all the same
    let mut values = daily(21, 7);
    values[window.1..].iter_mut().for_each(|value| *value += 150.0);
    let points = run(with_calendar(Aggregation::Avg, &[window], &[]), &sent(&values));
    assert!(told(&points).first().is_some_and(|first| (window.1..window.1 + 6).contains(first)));
}
