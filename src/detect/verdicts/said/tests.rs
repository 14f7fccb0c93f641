//! The comparison by itself: a band, a value, late rows.

use super::*;
use crate::detect::Sides;

const SUM: Aggregation = Aggregation::Sum;

fn measure(aggregation: Aggregation) -> Measure {
    Measure::new("orders".into(), 0, aggregation)
}

fn judged(value: Option<f64>, rows: u64, state: State, aggregation: Aggregation) -> Said {
    let off = (value.unwrap_or(0.0) - 100.0).abs();
    let (lower, upper, severity) = (80.0, 120.0, severity(off / 20.0));
    let judgement = Judgement { expected: 100.0, lower, upper, has_scale: true, score: 1.0, severity, state };
    Said::of(&fleet::Said { value, judgement, is_judged: true }, rows, &measure(aggregation))
}

const LOW: State = State::Anomalous { high: false, since: 40 };

fn late(value: f64, rows: u64) -> Given {
    Given { value: Some(value), rows }
}

/// What is said of late rows for interval 42, one batch after the other.
fn outcomes(mut said: Said, late: &[Given], aggregation: Aggregation) -> Vec<Option<(Outcome, f64)>> {
    let measure = measure(aggregation);
    let revise = |late: &Given| said.revise(42, *late, &measure).map(|revision| (revision.outcome, revision.value));
    late.iter().map(revise).collect()
}

#[test]
fn a_finding_is_confirmed_until_the_value_is_in_the_band_and_then_withdrawn() {
    let batches = [late(10.0, 1), late(50.0, 5), late(20.0, 2), late(30.0, 3), late(5.0, 1)];
    let said = outcomes(judged(Some(20.0), 2, LOW, SUM), &batches, SUM);
    let expected = [
        Some((Outcome::Confirmed, 30.0)),
        Some((Outcome::Withdrawn, 80.0)),
        None,
        Some((Outcome::Raised, 130.0)),
        Some((Outcome::Confirmed, 135.0)),
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_normal_value_is_raised_only_where_it_crosses_the_end_of_the_band() {
    assert_eq!(outcomes(judged(Some(100.0), 9, State::Normal, SUM), &[late(20.0, 1)], SUM), [None]);
    let said = outcomes(judged(Some(100.0), 9, State::Normal, SUM), &[late(20.5, 1)], SUM);
    assert_eq!(said, [Some((Outcome::Raised, 120.5))]);
    // known as a habit, and still there
    assert_eq!(outcomes(judged(Some(150.0), 9, State::Normal, SUM), &[late(1.0, 1)], SUM), [None]);
    // back in the band, and out of it again
    let said = outcomes(judged(Some(50.0), 9, State::Normal, SUM), &[late(50.0, 1), late(30.0, 1)], SUM);
    assert_eq!(said, [None, Some((Outcome::Raised, 130.0))]);
}

#[test]
fn an_anomaly_that_does_not_hang_on_the_value_stands() {
    let flat = judged(Some(100.0), 9, LOW, SUM);
    assert_eq!(outcomes(flat, &[late(1.0, 1), late(40.0, 1)], SUM), [None, Some((Outcome::Confirmed, 141.0))]);
}

#[test]
fn silence_is_withdrawn_by_rows_within_the_band() {
    for aggregation in [Aggregation::Avg, Aggregation::Sum] {
        let said = outcomes(judged(None, 0, LOW, aggregation), &[late(90.0, 3)], aggregation);
        assert_eq!(said, [Some((Outcome::Withdrawn, 90.0))], "{aggregation:?}");
    }
    let said = outcomes(judged(None, 0, State::Normal, Aggregation::Avg), &[late(300.0, 3)], Aggregation::Avg);
    assert_eq!(said, [Some((Outcome::Raised, 300.0))]);
}

#[test]
fn rows_without_a_value_and_series_without_a_scale_say_nothing() {
    let nothing = Given { value: None, rows: 0 };
    assert_eq!(outcomes(judged(Some(20.0), 2, LOW, SUM), &[nothing], SUM), [None]);
    let none = Given { value: Some(0.0), rows: 0 };
    assert_eq!(outcomes(judged(Some(20.0), 2, LOW, Aggregation::Count), &[none], Aggregation::Count), [None]);
    let learning = judged(Some(20.0), 2, State::Learning { remaining: 3 }, SUM);
    assert_eq!(outcomes(learning, &[late(1e9, 1)], SUM), [None]);
    // a band around a value that nothing was held against
    let (lower, upper, state) = (90.0, 110.0, State::Normal);
    let judgement = Judgement { expected: 100.0, lower, upper, has_scale: false, score: 0.0, severity: 0.0, state };
    let said = fleet::Said { value: Some(110.0), judgement, is_judged: true };
    assert_eq!(outcomes(Said::of(&said, 1, &measure(SUM)), &[late(1e9, 1)], SUM), [None]);
}

#[test]
fn late_rows_are_added_as_the_measure_adds_rows() {
    let batches = [late(60.0, 1), late(200.0, 1)];
    let value = |aggregation, state| {
        let mut said = judged(Some(100.0), 3, state, aggregation);
        let measure = measure(aggregation);
        let revise = |late: &Given| said.revise(42, *late, &measure);
        batches.iter().filter_map(revise).last().map(|revision| revision.value)
    };
    assert_eq!(value(SUM, LOW), Some(360.0));
    assert_eq!(value(Aggregation::Count, LOW), Some(360.0));
    assert_eq!(value(Aggregation::Min, LOW), Some(60.0));
    assert_eq!(value(Aggregation::Max, LOW), Some(200.0));
    // (300 + 60) / 4 = 90, (360 + 200) / 5 = 112: within the band
    assert_eq!(value(Aggregation::Avg, LOW), None);
    let mut said = judged(Some(50.0), 3, LOW, Aggregation::Avg);
    assert_eq!(said.revise(42, late(60.0, 1), &measure(Aggregation::Avg)).unwrap().value, 52.5);
}

#[test]
fn sums_beyond_all_numbers_stay_numbers() {
    let mut said = judged(Some(f64::MAX), 1, LOW, SUM);
    let revision = said.revise(42, late(f64::MAX, 1), &measure(SUM)).unwrap();
    assert_eq!((revision.value, revision.severity), (f64::MAX, 100.0));
}

#[test]
fn what_an_anomaly_began_with_is_kept_and_a_raised_one_begins_here() {
    let mut said = judged(Some(20.0), 2, LOW, SUM);
    let told = said.revise(42, late(1.0, 1), &measure(SUM)).unwrap().told.unwrap();
    assert_eq!((told.since, told.high), (40, false));
    assert!(told.severity > 70.0, "{}", told.severity);
    let mut said = judged(Some(100.0), 2, State::Normal, SUM);
    assert!(said.revise(42, late(99.0, 1), &measure(SUM)).unwrap().told.is_none());
    let told = said.revise(42, late(1.0, 1), &measure(SUM)).unwrap().told.unwrap();
    assert_eq!((told.since, told.high), (42, true));
}

#[test]
fn a_revised_value_within_the_margins_is_normal() {
    let margin = Margin::new(50.0, 0.1, Sides::Both).unwrap();
    let measure = measure(SUM).with_margin(margin);
    // the band ends at 0, as a band does where no value was below
    let mut said = Said::Normal(Band { value: Some(20.0), rows: 1, expected: 20.0, lower: 0.0, upper: 70.0 });
    assert!(said.revise(42, late(-25.0, 1), &measure).is_none(), "a change of 25");
    assert!(said.revise(42, late(74.0, 1), &measure).is_none(), "49 more than expected");
    let raised = said.revise(42, late(-104.0, 1), &measure).unwrap();
    assert_eq!((raised.outcome, raised.value, raised.lower, raised.high), (Outcome::Raised, -35.0, -30.0, false));
    let withdrawn = said.revise(42, late(10.0, 1), &measure).unwrap();
    assert_eq!((withdrawn.outcome, withdrawn.value, withdrawn.lower), (Outcome::Withdrawn, -25.0, -30.0));
    assert!(withdrawn.severity < 29.3, "{}", withdrawn.severity);
}

#[test]
fn a_revised_value_on_a_side_that_nobody_asked_for_is_normal() {
    let measure = measure(SUM).with_margin(Margin::new(0.0, 0.0, Sides::High).unwrap());
    let mut said = judged(Some(100.0), 1, State::Normal, SUM);
    assert!(said.revise(42, late(-90.0, 1), &measure).is_none(), "10 is below");
    let raised = said.revise(42, late(190.0, 1), &measure).unwrap();
    assert_eq!((raised.outcome, raised.lower, raised.upper), (Outcome::Raised, 80.0, 120.0));
    let withdrawn = said.revise(42, late(-190.0, 1), &measure).unwrap();
    assert_eq!((withdrawn.outcome, withdrawn.lower, withdrawn.severity), (Outcome::Withdrawn, 10.0, 0.0));
    assert!(withdrawn.told.is_some_and(|told| told.high));
}

#[test]
fn nothing_is_noted_of_what_was_passed_over_and_of_counters() {
    let (lower, upper, state) = (80.0, 120.0, State::Normal);
    let judgement = Judgement { expected: 100.0, lower, upper, has_scale: true, score: 0.0, severity: 0.0, state };
    let said = |is_judged| fleet::Said { value: Some(100.0), judgement, is_judged };
    let most = measure(Aggregation::Max);
    assert!(matches!(Said::of(&said(true), 1, &most), Said::Normal(_)));
    assert_eq!(Said::of(&said(false), 1, &most), Said::Nothing);
    assert_eq!(Said::of(&said(true), 1, &most.with_counter().unwrap()), Said::Nothing);
}
