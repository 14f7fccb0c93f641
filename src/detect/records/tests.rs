//! The detector of records as a whole: what it says, that it says it again after a restart, and that it stays within its
//! memory.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;
use crate::detect::{Increment, Sequential, SnapshotError};
use crate::model::{Columns, Direction, Field, Interval, Length, MeasureType, Rows, ScoredRecord, Timestamp};

/// One trade: ticker, price, quantity.
type Trade = (String, Option<f64>, i64);

const SHAPE: Shape = Shape { trees: 40, sample: 128, shingle: 1, time_decay: 1280, ready_after: 64 };

fn columns() -> Columns {
    Columns {
        dimensions: vec!["ticker".into()],
        timestamp: "at".into(),
        keep: vec!["id".into()],
        measures: vec![("price".into(), MeasureType::Float), ("quantity".into(), MeasureType::Integer)],
    }
}

fn settings(shape: Shape) -> Settings {
    let scored = vec![("price".to_owned(), 0), ("quantity".to_owned(), 1)];
    Settings::new(scored, shape, 7).unwrap().with_scaling(Scaling::Normalize)
}

fn interval(number: i64) -> Interval {
    Interval::containing(0, Length::from_seconds(60).unwrap()).offset(number)
}

fn rows(trades: &[Trade]) -> Rows {
    let texts = |text: &dyn Fn(&Trade) -> String| -> ArrayRef {
        Arc::new(trades.iter().map(|trade| Some(text(trade))).collect::<StringArray>())
    };
    let prices: Float64Array = trades.iter().map(|trade| trade.1).collect();
    let quantities: Int64Array = trades.iter().map(|trade| Some(trade.2)).collect();
    let arrays = vec![
        texts(&|trade| trade.0.clone()),
        texts(&|_| "then".to_owned()),
        texts(&|trade| format!("t{}", trade.2)),
        Arc::new(prices) as ArrayRef,
        Arc::new(quantities),
    ];
    let batch = RecordBatch::try_new(columns().schema(), arrays).unwrap();
    let times = vec![Timestamp::from_micros(1_000_000).unwrap(); trades.len()];
    Rows::new(batch, times, (0..trades.len() as u64).collect()).unwrap()
}

/// Ordinary trades of some tickers, in no order of size.
fn trades(count: u32, tickers: u32) -> Vec<Trade> {
    let trade = |n: u32| {
        let mixed = n.wrapping_mul(2_654_435_761) >> 8;
        let (price, quantity) = (20.0 + f64::from(mixed % 1000) / 25.0, 10 + i64::from(mixed / 1000 % 90));
        (format!("T{:04}", mixed % tickers), Some(price), quantity)
    };
    (0..count).map(trade).collect()
}

fn observed(detector: &mut RecordDetector, number: i64, trades: &[Trade]) -> Vec<ScoredRecord> {
    detector.observe(interval(number), &[rows(trades)], Wanted::All, &Sequential)
}

#[test]
fn a_wild_record_stands_out_and_its_columns_say_why() {
    let mut detector = RecordDetector::new(settings(SHAPE), columns());
    observed(&mut detector, 0, &trades(2000, 1));
    let mut some = trades(50, 1);
    some[20] = ("T0000".into(), Some(900.0), 50);
    some[30] = ("T0000".into(), Some(40.0), -4000);
    some[40] = ("T0000".into(), None, 50);
    let said = observed(&mut detector, 1, &some);
    assert_eq!(said.len(), 49);
    assert_eq!((detector.status().scored, detector.status().unscored), (2049, 1));
    let typical = said.iter().filter(|record| ![20, 30].contains(&record.number)).map(|record| record.score);
    let typical = typical.fold(0.0, f64::max);
    let [high, low] = [20, 30].map(|number| said.iter().find(|record| record.number == number).unwrap());
    assert!(high.score > 2.0 * typical && low.score > 2.0 * typical, "{typical} {} {}", high.score, low.score);
    let main = |record: &ScoredRecord| {
        let share = record.main_share().unwrap();
        (share.column.clone(), share.direction, share.score > 0.8 * record.score, share.strength > 0.8 * share.score)
    };
    assert_eq!(main(high), ("price".to_owned(), Direction::High, true, true));
    assert_eq!(main(low), ("quantity".to_owned(), Direction::Low, true, true));
    assert_eq!(
        (high.field("id"), high.field("quantity")),
        (Some(&Field::Text("t50".into())), Some(&Field::Integer(50)))
    );
    let some = detector.observe(interval(2), &[rows(&trades(50, 1))], Wanted::AtLeast(1e9), &Sequential);
    assert!(some.is_empty() && detector.status().scored == 2099);
}

#[test]
fn records_are_scored_0_until_their_forest_is_ready() {
    for (shingle, ready_after) in [(1, 256), (8, 40), (1, 1)] {
        let shape = Shape { shingle, ready_after, ..SHAPE };
        let mut detector = RecordDetector::new(settings(shape).with_scaling(Scaling::None), columns());
        let said = observed(&mut detector, 0, &trades(300, 1));
        let first = said.iter().position(|record| record.score > 0.0);
        assert_eq!(first, usize::try_from(ready_after).ok(), "shingle {shingle}");
        assert!(said.iter().all(|record| record.explanation.is_empty() == (record.score <= 0.0)));
    }
}

#[test]
fn how_the_rows_are_cut_does_not_matter() {
    let all = trades(900, 3);
    let per_key = settings(SHAPE).with_forest_per_key(true);
    let mut whole = RecordDetector::new(per_key.clone(), columns());
    let mut cut = RecordDetector::new(per_key, columns());
    let said = observed(&mut whole, 0, &all);
    let parts: Vec<Rows> = [&all[..100], &all[100..101], &all[101..]].map(rows).to_vec();
    assert_eq!(cut.observe(interval(0), &parts, Wanted::All, &Sequential), said);
    assert_eq!(cut.snapshot(), whole.snapshot());
}

#[test]
fn a_restored_detector_goes_on_as_if_it_had_never_stopped() {
    for settings in [
        settings(SHAPE),
        settings(SHAPE).with_scaling(Scaling::None),
        // room for a few keys of thirty
        settings(SHAPE).with_forest_per_key(true).with_memory(2_000_000),
        settings(Shape { shingle: 4, ..SHAPE }).with_forest_per_key(true),
    ] {
        let mut one = RecordDetector::new(settings.clone(), columns());
        let mut other = one.clone();
        for number in 0..12 {
            // the gap lets keys grow light
            let number = if number > 8 { number + 500 } else { number };
            let some = trades(150 + u32::try_from(number % 500).unwrap() * 13, 30);
            let bytes = other.snapshot();
            RecordDetector::check(&settings, &bytes).unwrap();
            other = RecordDetector::restore(settings.clone(), columns(), &bytes).unwrap();
            assert_eq!(observed(&mut one, number, &some), observed(&mut other, number, &some));
        }
        assert_eq!(one.snapshot(), other.snapshot());
    }
}

/// Records of keys that come and go.
fn shifting(number: i64) -> Vec<Trade> {
    let first = u32::try_from(number).unwrap() / 7 * 3;
    let count = 60 + u32::try_from(number * 37 % 90).unwrap();
    let heavy = (0..count)
        .map(|n| (format!("T{:04}", first + n % 5), Some(20.0 + f64::from(n * 7919 % 13)), i64::from(n % 11)));
    trades(40, 25).into_iter().chain(heavy).collect()
}

/// Increments until there is nothing more to write, each with a quarter of the forests.
fn increments(detector: &mut RecordDetector, into: &mut Vec<Vec<u8>>) -> usize {
    loop {
        let Increment { bytes, chain, is_last, .. } = detector.increment_at(4, 0);
        into.push(bytes);
        if is_last {
            return chain;
        }
    }
}

fn restored(settings: &Settings, chain: &[Vec<u8>]) -> Result<RecordDetector, SnapshotError> {
    let mut restoring = RestoringRecords::new(settings.clone(), columns());
    chain.iter().try_for_each(|increment| restoring.take(increment))?;
    restoring.finish()
}

#[test]
fn a_detector_restored_from_increments_goes_on_as_if_it_had_not_been() {
    for settings in [
        settings(SHAPE).with_forest_per_key(true).with_memory(1_500_000),
        settings(SHAPE).with_forest_per_key(true).with_memory(1_500_000).with_scaling(Scaling::None),
        settings(SHAPE),
    ] {
        let (mut one, mut all) = (RecordDetector::new(settings.clone(), columns()), Vec::new());
        let (mut replayed, mut chains) = (0, Vec::new());
        for number in 0..70 {
            // some intervals between two checkpoints, and a gap
            let number = if number > 50 { number + 300 } else { number };
            observed(&mut one, number, &shifting(number % 70));
            if number % 5 < 2 {
                continue;
            }
            let chain = increments(&mut one, &mut all);
            chains.push(chain);
            let needed = &all[all.len() - chain..];
            needed.iter().for_each(|increment| RecordDetector::check(&settings, increment).unwrap());
            let mut other = restored(&settings, needed).unwrap();
            assert_eq!(other.snapshot(), one.snapshot(), "interval {number}, from {chain} increments");
            // what is written next is the same as well
            let mut same = one.clone();
            let next = shifting(number % 9);
            assert_eq!(observed(&mut same, number + 1, &next), observed(&mut other, number + 1, &next));
            assert_eq!(same.increment_at(4, 0), other.increment_at(4, 0));
            let mut restoring = RestoringRecords::new(settings.clone(), columns());
            needed.iter().for_each(|increment| restoring.take(increment).unwrap());
            replayed += restoring.replayed();
        }
        let is_in_parts = settings.per_key();
        assert_eq!(replayed > 0, is_in_parts, "{chains:?}");
        assert!(
            chains.iter().all(|chain| if is_in_parts { (2..=8).contains(chain) } else { *chain == 1 }),
            "{chains:?}"
        );
    }
}

#[test]
fn an_increment_is_a_small_part_of_many_forests() {
    let settings = settings(SHAPE).with_forest_per_key(true).with_memory(1 << 30);
    let mut detector = RecordDetector::new(settings, columns());
    observed(&mut detector, 0, &trades(20_000, 100));
    while !detector.increment_at(32, 0).is_last {}
    for number in 1..5 {
        observed(&mut detector, number, &trades(500, 100));
        let increment = detector.increment_at(32, 0);
        let (part, whole) = (increment.bytes.len(), detector.snapshot().len());
        assert!(increment.is_last && part * 16 < whole, "{part} of {whole} bytes");
    }
    // where it would write more than the forests it begins anew
    for number in 5..60 {
        observed(&mut detector, number, &trades(20_000, 100));
    }
    assert!(detector.journal.is_none());
    assert!(!detector.increment_at(32, 0).is_whole);
}

#[test]
fn increments_that_do_not_belong_together_are_refused() {
    let settings = settings(SHAPE).with_forest_per_key(true).with_memory(1_500_000);
    let (mut detector, mut all) = (RecordDetector::new(settings.clone(), columns()), Vec::new());
    for number in 0..6 {
        observed(&mut detector, number, &shifting(number));
        increments(&mut detector, &mut all);
    }
    let chain = detector.increment_at(4, 0).chain;
    let last = &all[all.len() - chain..];
    assert_eq!(restored(&settings, &last[..1]).unwrap_err(), SnapshotError::Incomplete);
    assert_eq!(restored(&settings, &[]).unwrap_err(), SnapshotError::Incomplete);
    let swapped = [last[1].clone(), last[0].clone()];
    let order = SnapshotError::Inconsistent("the order of its increments");
    assert_eq!(restored(&settings, &swapped).unwrap_err(), order);
    for cut in [0, 20, last[0].len() - 1] {
        assert!(restored(&settings, &[last[0][..cut].to_vec()]).is_err());
    }
}

#[test]
fn a_state_of_other_settings_is_refused_with_the_difference() {
    let mut detector = RecordDetector::new(settings(SHAPE), columns());
    observed(&mut detector, 0, &trades(100, 3));
    let bytes = detector.snapshot();
    let refused = |settings: Settings| RecordDetector::restore(settings, columns(), &bytes).unwrap_err().to_string();
    let other = refused(settings(Shape { trees: 41, ..SHAPE }));
    assert_eq!(other, "detector state has trees `40`, the settings say `41`");
    assert!(refused(settings(SHAPE).with_scaling(Scaling::None)).contains("scale"));
    let mut broken = bytes.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    let broken = RecordDetector::restore(settings(SHAPE), columns(), &broken);
    assert_eq!(broken.unwrap_err(), SnapshotError::Checksum);
}

#[test]
fn many_keys_stay_within_the_budget_and_the_heaviest_have_forests() {
    let budget = 3_000_000;
    let settings = settings(SHAPE).with_forest_per_key(true).with_memory(budget);
    let room = settings.keys_max();
    assert!((3..100).contains(&room), "{room}");
    let mut detector = RecordDetector::new(settings, columns());
    // a thousand light keys take all the room before the heavy ones come
    let light = |number: u32| trades(2000, 1000).into_iter().skip(number as usize * 100).take(900);
    let heavy = (0..3000).map(|n| (format!("HEAVY{}", n % 3), Some(50.0 + f64::from(n % 7)), 50));
    let first: Vec<Trade> = light(0).collect();
    observed(&mut detector, 0, &first);
    let late: Vec<Trade> = light(1).chain(heavy).collect();
    for number in 1..6 {
        let said = observed(&mut detector, number, &late);
        assert_eq!(said.len(), late.len(), "every record is scored");
        assert!(detector.memory_bytes() as u64 <= budget, "{} bytes", detector.memory_bytes());
    }
    assert_eq!(detector.status().forests, room + 1);
    assert!(detector.status().sharing > 500);
    // each heavy key knows its own: 50 to 56 is all that it has seen
    let odd = observed(&mut detector, 6, &[("HEAVY1".into(), Some(30.0), 50), ("T0001".into(), Some(30.0), 50)]);
    assert!(odd[0].score > 2.0 * odd[1].score, "{} {}", odd[0].score, odd[1].score);
}

#[test]
fn settings_have_ranges() {
    let new = |columns: usize, shape| {
        let columns = (0..columns).map(|at| (format!("c{at}"), at)).collect();
        Settings::new(columns, shape, 1).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(new(30, SHAPE), Ok(()));
    for (columns, shape, word) in [
        (0, SHAPE, "0 columns"),
        (31, SHAPE, "31 columns"),
        (30, Shape { shingle: 9, ..SHAPE }, "more than 256 values"),
        (1, Shape { time_decay: 128, ..SHAPE }, "not smaller than the time decay"),
        (1, Shape { trees: 254, ..SHAPE }, "254"),
        (1, Shape { sample: 1, ..SHAPE }, "1"),
    ] {
        let error = new(columns, shape).unwrap_err();
        assert!(error.contains(word) && error.contains("hint:"), "{error}");
    }
}

proptest! {
    #[test]
    fn the_shares_of_the_columns_add_up_to_the_score(
        values in prop::collection::vec((-1e6..1e6f64, -1000..1000i64), 80..200),
        wild in (-1e300..1e300f64, any::<i64>()), shingle in 1..4u64, normalize in any::<bool>(),
    ) {
        let scaling = if normalize { Scaling::Normalize } else { Scaling::None };
        let shape = Shape { trees: 20, sample: 32, shingle, time_decay: 320, ready_after: 20 };
        let mut detector = RecordDetector::new(settings(shape).with_scaling(scaling), columns());
        let mut some: Vec<Trade> = values.iter().map(|(price, quantity)| ("T".into(), Some(*price), *quantity)).collect();
        some.push(("T".into(), Some(wild.0), wild.1));
        some.extend_from_within(..5);
        for record in observed(&mut detector, 0, &some) {
            prop_assert!(record.score.is_finite() && record.score >= 0.0);
            let sum: f64 = record.explanation.iter().map(|share| share.score).sum();
            prop_assert!((sum - record.score).abs() < 1e-6, "{sum} {}", record.score);
            let is_sane = record.explanation.iter().all(|share| share.score >= 0.0 && share.strength <= share.score + 1e-9);
            prop_assert!(is_sane, "{record:?}");
        }
    }
}
