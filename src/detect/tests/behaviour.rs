//! What the detector owes its users, rule by rule, on single series.

use std::sync::Arc;

use proptest::prelude::*;

use super::harness::check;
use super::random::Random;
use super::single::{self, DAY, cell, closed, interval, is_anomalous, sent, settings};
use crate::detect::{Aggregation, Detector, Measure};
use crate::model::{ClosedInterval, Direction, Interval, Point, PointState};

fn detector(aggregation: Aggregation) -> Detector {
    Detector::new(settings(Measure::new(Arc::from("views"), 0, aggregation)))
}

fn run(aggregation: Aggregation, values: &[Option<f64>]) -> Vec<Point> {
    single::run(detector(aggregation), values)
}

/// First and last step of each flagged run.
fn runs(points: &[Point]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (step, _) in points.iter().enumerate().filter(|(_, point)| is_anomalous(point)) {
        match runs.last_mut() {
            Some(last) if last.1 + 1 == step => last.1 = step,
            _ => runs.push((step, step)),
        }
    }
    runs
}

/// A daily curve with Gaussian noise.
fn daily(seed: u64, days: usize, noise: f64) -> Vec<f64> {
    let mut random = Random::new(seed);
    (0..days * DAY)
        .map(|step| {
            let angle = std::f64::consts::TAU * (step % DAY) as f64 / DAY as f64;
            500.0 - 300.0 * libm::cos(angle - 0.7) + noise * random.gauss()
        })
        .collect()
}

#[test]
fn four_clean_weeks_stay_within_the_stated_rate() {
    // 30 series x 4 weeks at 0.05 a week: 6 expected, 15 are very unlikely
    let episodes: usize = (0..30).map(|seed| runs(&run(Aggregation::Sum, &sent(&daily(seed, 28, 10.0)))).len()).sum();
    assert!(episodes <= 15, "{episodes}");
}

#[test]
fn slopes_of_the_first_day_do_not_alarm() {
    for seed in 0..20 {
        for noise in [0.5, 3.0, 30.0] {
            let points = run(Aggregation::Sum, &sent(&daily(seed, 2, noise)));
            assert!(runs(&points).len() <= 1, "seed {seed}, noise {noise}: {:?}", runs(&points));
        }
    }
}

#[test]
fn a_series_speaks_after_the_warm_up_and_says_so_before() {
    let points = run(Aggregation::Sum, &sent(&daily(1, 1, 10.0)));
    let warm_up = Detector::warm_up_intervals() as usize;
    assert_eq!(points[0].state, PointState::Learning { remaining: warm_up as u32 - 1 });
    assert_eq!(points[warm_up - 2].state, PointState::Learning { remaining: 1 });
    assert_eq!(points[warm_up - 1].state, PointState::Normal);
    assert!(points[..warm_up - 1].iter().all(|point| point.score == 0.0 && point.severity == 0.0));
}

#[test]
fn a_jump_is_found_at_once_on_the_first_day_and_later() {
    for start in [60, 200, 3 * DAY + 100] {
        for shift in [-150.0, 150.0, 600.0] {
            let mut values = daily(2, 5, 5.0);
            values[start..start + 6].iter_mut().for_each(|value| *value += shift);
            let points = run(Aggregation::Sum, &sent(&values));
            let direction = if shift > 0.0 { Direction::High } else { Direction::Low };
            let state = PointState::Anomalous { direction, since: interval(start) };
            assert_eq!(points[start].state, state, "{start} {shift}");
            assert_eq!(points[start + 3].state, state, "{start} {shift}");
            let value = values[start];
            assert!(value < points[start].lower || value > points[start].upper);
            assert!(points[start].severity > 29.0);
        }
    }
}

#[test]
fn a_long_anomaly_is_one_episode_and_its_end_is_none() {
    for (start, length) in [(60, 20), (3 * DAY + 50, 60), (3 * DAY + 100, 120)] {
        for shift in [-200.0, 250.0] {
            let mut values = daily(3, 7, 8.0);
            values[start..start + length].iter_mut().for_each(|value| *value = (*value + shift).max(0.0));
            let points = run(Aggregation::Sum, &sent(&values));
            assert_eq!(runs(&points), [(start, start + length - 1)], "{start} {length} {shift}");
        }
    }
}

#[test]
fn a_level_shift_is_told_once_and_learned_within_a_day() {
    // within the first week nobody knows whether it is what such a weekday is like
    let mut values = daily(4, 17, 8.0);
    values[8 * DAY + 40..].iter_mut().for_each(|value| *value += 180.0);
    let points = run(Aggregation::Sum, &sent(&values));
    let runs = runs(&points);
    // a week later, where the shape of that weekday is learned anew, it may be told for a moment
    assert!(runs[1..].iter().all(|run| run.0 >= 15 * DAY && run.1 - run.0 < 3), "{runs:?}");
    assert_eq!(runs[0].0, 8 * DAY + 40);
    assert!(runs[0].1 < 9 * DAY + 40, "{runs:?}");
    let last = &points[17 * DAY - 1];
    assert!((last.expected - values[17 * DAY - 1]).abs() < 60.0, "{last:?}");
}

#[test]
fn going_back_soon_after_a_learned_shift_is_no_incident() {
    let mut values = daily(5, 10, 8.0);
    values[5 * DAY..6 * DAY].iter_mut().for_each(|value| *value += 40.0);
    let points = run(Aggregation::Sum, &sent(&values));
    let late: Vec<_> = runs(&points).into_iter().filter(|run| run.0 >= 6 * DAY).collect();
    assert!(late.is_empty(), "{late:?}");
}

/// Weeks with a quiet weekend, which begins and ends at an hour of UTC's Friday and Sunday.
fn weeks(seed: u64, weeks: usize, hour: u32) -> Vec<f64> {
    let mut values = daily(seed, 7 * weeks, 8.0);
    for (step, value) in values.iter_mut().enumerate() {
        let at = interval(step);
        let hours = 24 * at.weekday() + at.slot() / 12;
        if (4 * 24 + hour..6 * 24 + hour).contains(&hours) {
            *value *= 0.3;
        }
    }
    values
}

#[test]
fn a_weekend_at_odd_hours_is_known_after_two() {
    for hour in [5, 17] {
        let runs = runs(&run(Aggregation::Sum, &sent(&weeks(11, 6, hour))));
        let late: Vec<_> = runs.into_iter().filter(|run| run.0 >= 15 * DAY).collect();
        // one of the eight borders may still be told for a moment
        assert!(late.len() <= 1 && late.iter().all(|run| run.1 - run.0 < 6), "{hour}: {late:?}");
    }
}

#[test]
fn a_holiday_may_begin_at_any_hour() {
    for hour in [5, 17] {
        let mut values = weeks(14, 5, hour);
        let begins = |step: &usize| (interval(*step).weekday(), interval(*step).slot()) == (2, 12 * hour);
        let start = (28 * DAY..).find(begins).unwrap();
        values[start..start + DAY].iter_mut().for_each(|value| *value *= 0.3);
        let runs = runs(&run(Aggregation::Sum, &sent(&values)));
        let told: Vec<_> = runs.into_iter().filter(|run| run.1 >= start && run.0 < start + DAY).collect();
        assert!(told.is_empty(), "{hour}: {told:?}");
    }
}

#[test]
fn an_incident_as_deep_as_a_weekend_is_told() {
    let mut values = weeks(12, 5, 17);
    let start = (28 * DAY..).find(|step| interval(*step).weekday() == 2 && interval(*step).slot() == 130).unwrap();
    values[start..start + 8].iter_mut().for_each(|value| *value *= 0.3);
    let runs = runs(&run(Aggregation::Sum, &sent(&values)));
    assert!(runs.contains(&(start, start + 7)), "{runs:?}");
}

#[test]
fn a_new_daily_habit_is_told_at_most_twice() {
    let mut values = daily(6, 12, 5.0);
    for day in 4..12 {
        values[day * DAY + 100..day * DAY + 106].iter_mut().for_each(|value| *value += 300.0);
    }
    let points = run(Aggregation::Sum, &sent(&values));
    let runs = runs(&points);
    // twice at length; its edges may be told once more for an interval or two
    assert!((1..=2).contains(&runs.iter().filter(|run| run.1 - run.0 >= 3).count()), "{runs:?}");
    assert!(runs.len() <= 4, "{runs:?}");
    assert_eq!(runs[0].0, 4 * DAY + 100);
}

/// Sharp steps at the weekend's edges are nearly as quiet as the stated rate: 3 false alerts in 36 series-weeks were
/// measured over twelve seeds, after three weeks of learning.
#[test]
fn weekends_are_learned() {
    let mut alerts = 0;
    for seed in 1..=6 {
        let mut values = daily(seed, 42, 8.0);
        for (step, value) in values.iter_mut().enumerate() {
            if (step / DAY) % 7 >= 5 {
                *value *= 0.6;
            }
        }
        let points = run(Aggregation::Sum, &sent(&values));
        alerts += runs(&points).into_iter().filter(|run| run.0 >= 21 * DAY).count();
    }
    // six series, three weeks each; unlearned, each weekend has two edges
    assert!(alerts < 6 * 3, "{alerts} alerts");
}

#[test]
fn a_flat_line_has_no_noise_and_a_change_in_it_is_an_anomaly() {
    for level in [0.0, 1.0, -40.0, 1e-9, 1e12] {
        let mut values = vec![level; 2 * DAY];
        let points = run(Aggregation::Avg, &sent(&values));
        assert!(runs(&points).is_empty(), "{level}");
        values[400] = if level == 0.0 { 3.0 } else { level * 1.5 };
        let points = run(Aggregation::Avg, &sent(&values));
        assert_eq!(runs(&points), [(400, 400)], "{level}");
    }
}

#[test]
fn a_noisy_line_that_goes_flat_is_an_anomaly() {
    let mut values = daily(8, 5, 10.0);
    let frozen = values[4 * DAY + 60];
    values[4 * DAY + 60..4 * DAY + 84].iter_mut().for_each(|value| *value = frozen);
    let points = run(Aggregation::Sum, &sent(&values));
    assert!(points[4 * DAY + 60..4 * DAY + 75].iter().any(is_anomalous));
}

#[test]
fn a_sender_that_stops_is_a_dropout_with_and_without_a_zero() {
    for (aggregation, within) in [(Aggregation::Sum, 1), (Aggregation::Avg, 4)] {
        let mut values = sent(&daily(9, 4, 10.0));
        values[3 * DAY + 100..3 * DAY + 130].fill(None);
        let points = run(aggregation, &values);
        let runs = runs(&points);
        assert_eq!(runs.len(), 1, "{aggregation:?} {runs:?}");
        assert!((3 * DAY + 100..3 * DAY + 100 + within).contains(&runs[0].0), "{aggregation:?} {runs:?}");
        assert_eq!(runs[0].1, 3 * DAY + 129);
        let low = matches!(points[runs[0].0].state, PointState::Anomalous { direction: Direction::Low, .. });
        assert!(low && points[runs[0].0].value.is_none());
    }
}

#[test]
fn intervals_that_never_came_are_walked_one_by_one_up_to_a_day() {
    let values = daily(10, 4, 10.0);
    let mut detector = detector(Aggregation::Sum);
    for (step, value) in values[..2 * DAY].iter().enumerate() {
        detector.observe(&closed(step, Some(*value)));
    }
    let points = detector.observe(&closed(2 * DAY + 5, Some(values[2 * DAY + 5])));
    let numbers: Vec<Interval> = points.iter().map(|point| point.interval).collect();
    assert_eq!(numbers, (2 * DAY..2 * DAY + 6).map(interval).collect::<Vec<_>>());
    assert!(points[..5].iter().all(|point| point.value.is_none() && is_anomalous(point)));
    assert!(!is_anomalous(&points[5]), "it is back: {:?}", points[5]);

    assert!(detector.observe(&closed(2 * DAY + 5, Some(1.0))).is_empty(), "an interval is judged once");
    assert!(detector.observe(&closed(2 * DAY, Some(1.0))).is_empty(), "and in order");
    let points = detector.observe(&closed(9 * DAY + 3, Some(500.0)));
    assert_eq!(points.len(), DAY + 1, "a day of the gap, and the interval itself");
    points.iter().for_each(check);
}

#[test]
fn series_come_late_and_are_forgotten_after_long_silence() {
    let mut detector = detector(Aggregation::Sum);
    for step in 0..10 * DAY {
        let mut cells = vec![cell("steady", 100.0 + (step % 7) as f64)];
        if (200..260).contains(&step) {
            cells.insert(0, cell("guest", 50.0));
        }
        let points = detector.observe(&ClosedInterval { interval: interval(step), cells });
        if step == 200 {
            assert_eq!(detector.series_count(), 2);
            assert!(matches!(points[0].state, PointState::Learning { .. }), "a new series learns first");
            assert_eq!(detector.status().learning, 1);
        }
    }
    assert_eq!(detector.series_count(), 1);
    assert_eq!(detector.status().learning, 0);
}

#[test]
fn rare_single_events_are_no_incidents_and_a_burst_is() {
    let mut random = Random::new(11);
    let mut values: Vec<Option<f64>> =
        (0..14 * DAY).map(|_| Some(random.poisson(0.05)).filter(|count| *count > 0.0)).collect();
    // a series begins with its first row
    values[0] = Some(1.0);
    let points = run(Aggregation::Count, &values.iter().map(|v| v.map(|_| 1.0)).collect::<Vec<_>>());
    assert!(runs(&points).len() <= 1, "{:?}", runs(&points));
    values[12 * DAY..12 * DAY + 12].fill(Some(6.0));
    let points = run(Aggregation::Sum, &values);

    assert!(points[12 * DAY..12 * DAY + 12].iter().any(is_anomalous));
}

#[test]
fn only_the_shape_counts_not_the_scale_or_the_sign() {
    let mut values = daily(12, 5, 10.0);
    values[4 * DAY + 30..4 * DAY + 50].iter_mut().for_each(|value| *value += 200.0);
    let reference = runs(&run(Aggregation::Avg, &sent(&values)));
    assert_eq!(reference, [(4 * DAY + 30, 4 * DAY + 49)]);
    for factor in [libm::exp2(-40.0), libm::exp2(30.0), 1e-9, 1e12] {
        let scaled: Vec<f64> = values.iter().map(|value| value * factor).collect();
        assert_eq!(runs(&run(Aggregation::Avg, &sent(&scaled))), reference, "{factor}");
    }
    let negative: Vec<f64> = values.iter().map(|value| -value).collect();
    let found = runs(&run(Aggregation::Avg, &sent(&negative)));
    assert!(found.contains(&(4 * DAY + 30, 4 * DAY + 49)), "{found:?}");
}

#[test]
fn what_comes_later_changes_no_verdict() {
    let mut values = daily(13, 4, 10.0);
    let points = run(Aggregation::Sum, &sent(&values));
    values[3 * DAY..].iter_mut().for_each(|value| *value = 9.0);
    assert_eq!(run(Aggregation::Sum, &sent(&values))[..3 * DAY], points[..3 * DAY]);
}

fn any_value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        4 => (-1000.0f64..1000.0).prop_map(Some),
        2 => Just(None),
        2 => Just(Some(0.0)),
        1 => prop::sample::select(vec![1e308, -1e308, 1e-308, 1e-9, 1e12, f64::MAX, f64::MIN_POSITIVE]).prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// R1 and every other promise of a point hold for any stream, and so does D2.
    #[test]
    fn any_stream_gives_sound_points_and_survives_a_restart(
        values in prop::collection::vec(any_value(), 30..400),
        cut in 0usize..400,
        sum in any::<bool>(),
    ) {
        let aggregation = if sum { Aggregation::Sum } else { Aggregation::Min };
        let mut straight = detector(aggregation);
        let mut restored = detector(aggregation);
        for (step, value) in values.iter().enumerate() {
            let points = straight.observe(&closed(step, *value));
            points.iter().for_each(check);
            prop_assert_eq!(&points, &restored.observe(&closed(step, *value)));
            if step == cut {
                restored = Detector::restore(restored.settings().clone(), &restored.snapshot()).unwrap();
            }
        }
        prop_assert_eq!(straight.snapshot(), restored.snapshot());
    }
}
