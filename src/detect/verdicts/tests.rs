//! The comparison by itself: a band, a value, late rows.

use super::*;

const SUM: Aggregation = Aggregation::Sum;

fn judged(value: Option<f64>, rows: u64, state: State, aggregation: Aggregation) -> Said {
    let off = (value.unwrap_or(0.0) - 100.0).abs();
    let judgement =
        Judgement { expected: 100.0, lower: 80.0, upper: 120.0, score: 1.0, severity: severity(off / 20.0), state };
    Said::of(value, rows, &judgement, aggregation)
}

const LOW: State = State::Anomalous { high: false, since: 40 };

fn late(value: f64, rows: u64) -> Given {
    Given { value: Some(value), rows }
}

/// What is said of late rows for interval 42, one batch after the other.
fn outcomes(mut said: Said, late: &[Given], aggregation: Aggregation) -> Vec<Option<(Outcome, f64)>> {
    let revise = |late: &Given| said.revise(42, *late, aggregation).map(|revision| (revision.outcome, revision.value));
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
    let judgement =
        Judgement { expected: 100.0, lower: 90.0, upper: 110.0, score: 0.0, severity: 0.0, state: State::Normal };
    assert_eq!(outcomes(Said::of(Some(110.0), 1, &judgement, SUM), &[late(1e9, 1)], SUM), [None]);
}

#[test]
fn late_rows_are_added_as_the_measure_adds_rows() {
    let batches = [late(60.0, 1), late(200.0, 1)];
    let value = |aggregation, state| {
        let mut said = judged(Some(100.0), 3, state, aggregation);
        let revise = |late: &Given| said.revise(42, *late, aggregation);
        batches.iter().filter_map(revise).last().map(|revision| revision.value)
    };
    assert_eq!(value(SUM, LOW), Some(360.0));
    assert_eq!(value(Aggregation::Count, LOW), Some(360.0));
    assert_eq!(value(Aggregation::Min, LOW), Some(60.0));
    assert_eq!(value(Aggregation::Max, LOW), Some(200.0));
    // (300 + 60) / 4 = 90, (360 + 200) / 5 = 112: within the band
    assert_eq!(value(Aggregation::Avg, LOW), None);
    let mut said = judged(Some(50.0), 3, LOW, Aggregation::Avg);
    assert_eq!(said.revise(42, late(60.0, 1), Aggregation::Avg).unwrap().value, 52.5);
}

#[test]
fn sums_beyond_all_numbers_stay_numbers() {
    let mut said = judged(Some(f64::MAX), 1, LOW, SUM);
    let revision = said.revise(42, late(f64::MAX, 1), SUM).unwrap();
    assert_eq!((revision.value, revision.severity), (f64::MAX, 100.0));
}

#[test]
fn what_an_anomaly_began_with_is_kept_and_a_raised_one_begins_here() {
    let mut said = judged(Some(20.0), 2, LOW, SUM);
    let told = said.revise(42, late(1.0, 1), SUM).unwrap().told.unwrap();
    assert_eq!((told.since, told.high), (40, false));
    assert!(told.severity > 70.0, "{}", told.severity);
    let mut said = judged(Some(100.0), 2, State::Normal, SUM);
    assert!(said.revise(42, late(99.0, 1), SUM).unwrap().told.is_none());
    let told = said.revise(42, late(1.0, 1), SUM).unwrap().told.unwrap();
    assert_eq!((told.since, told.high), (42, true));
}

#[test]
fn a_day_is_remembered_or_what_fits() {
    assert_eq!(Verdicts::reach(288, 0), 288);
    assert_eq!(Verdicts::reach(288, 100), 288);
    assert_eq!(Verdicts::reach(1, 100), 1);
    let fleet = Verdicts::reach(288, 20_000);
    assert!((20..288).contains(&fleet), "{fleet}");
    assert!(fleet * 20_000 * size_of::<Said>() <= BYTES);
    assert_eq!(Verdicts::reach(288, usize::MAX), 1);
}
