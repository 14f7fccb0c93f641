//! Several intervals judged at once: what is said, and what is known afterwards, is what it would be one after the other.

use std::sync::Arc;

use proptest::prelude::*;

use super::fleet::Halves;
use super::random::Random;
use crate::detect::{
    Aggregation, Calendar, Detector, ForestShape, Form, Measure, Sequential, Settings, Sizes, Stretch, Weekly,
};
use crate::model::{Cell, ClosedInterval, Interval, Length, SeriesKey, Stats, Zone};

/// A fleet with intervals of an hour; half of it is ignored for some hours of the week.
fn settings(budget: Option<[u64; 3]>) -> Settings {
    let measure = |name: &str, aggregation| Measure::new(Arc::from(name), 0, aggregation);
    let counter = measure("increase", Aggregation::Max).with_counter().unwrap();
    let measures = vec![measure("sum", Aggregation::Sum), measure("mean", Aggregation::Avg), counter];
    let length = Length::from_seconds(3600).unwrap();
    let settings = Settings::new(vec!["host".to_owned()], measures, length, 7).unwrap();
    let settings = settings.with_forest(ForestShape { trees: 4, sample: 16, shingle: 2, time_decay: 2560 }).unwrap();
    let weekly = vec![Weekly::new(60 * 30, 60 * 35).unwrap()];
    let calendar = Calendar::weekly("some", weekly, Zone::UTC, Stretch::ALWAYS).unwrap();
    let calendar = calendar.only(vec![("host".to_owned(), (0..5).map(|host| host.to_string()).collect())]);
    let settings = settings.with_calendars(vec![calendar], Zone::UTC).unwrap();
    let sizes = Sizes::of(&settings);
    let bytes = budget.map_or(u64::MAX, |keys| {
        let all: u64 = Form::ALL.into_iter().zip(keys).map(|(form, keys)| keys * sizes.of_form(form)).sum();
        (all + sizes.of_form(Form::Full)) * 20 / 19 + 1
    });
    settings.with_memory(bytes)
}

/// Hosts of which some are away for a while, some come late, and one comes once and is forgotten.
fn cells(step: usize, random: &mut Random) -> Vec<Cell> {
    let mut cells = Vec::new();
    for host in 0..10 {
        let is_there = match host {
            0..4 => true,
            4..7 => (step / 60 + host).is_multiple_of(2),
            7 | 8 => step > 20 * host,
            _ => step == 5 || step == 150,
        };
        if is_there && random.unit() > 0.05 {
            let mut stats = Stats::EMPTY;
            (0..10 + host).for_each(|_| stats.add(step as f64 + 10.0 * random.gauss()));
            cells.push(Cell {
                key: SeriesKey::new([host.to_string().as_str()]),
                rows: 10,
                stats: vec![stats],
                sketches: Vec::new(),
            });
        }
    }
    cells
}

/// Gives the longest run.
fn compare(seed: u64, budget: Option<[u64; 3]>, checkpoints: bool) -> usize {
    let settings = settings(budget);
    let (mut one, mut several) = (Detector::new(settings.clone()), Detector::new(settings.clone()));
    let mut random = Random::new(seed);
    let mut at = Interval::containing(0, settings.length());
    let (mut waiting, mut longest) = (Vec::new(), 0);
    for step in 0..320 {
        // now and then nothing comes for a while, or for longer than is walked through
        at = at.offset(match random.below(60) {
            0 => 40,
            1 => 4,
            _ => 1,
        });
        waiting.push(ClosedInterval { interval: at, cells: cells(step, &mut random) });
        if waiting.len() < 1 + random.below(24) {
            continue;
        }
        let expected: Vec<_> = waiting.iter().map(|closed| one.observe(closed)).collect();
        let mut said = Vec::new();
        while said.len() < waiting.len() {
            let run = if step % 2 == 0 {
                several.observe_run_on(&waiting[said.len()..], &Halves)
            } else {
                several.observe_run_on(&waiting[said.len()..], &Sequential)
            };
            longest = longest.max(run.len());
            assert!(!run.is_empty());
            said.extend(run);
        }
        assert!(said == expected, "points differ at {step}");
        waiting.clear();
        if random.below(3) == 0 {
            // late rows of an interval that is judged, or will be
            let late = at.offset(2 - random.below(8) as i64);
            let late = ClosedInterval { interval: late, cells: cells(step, &mut random) };
            one.revise(&late);
            several.revise(&late);
        }
        assert_eq!(one.take_revised(), several.take_revised());
        assert_eq!((one.last(), one.status()), (several.last(), several.status()));
        if checkpoints {
            assert!(one.increment().bytes == several.increment().bytes, "increments differ at {step}");
        }
    }
    assert!(one.snapshot() == several.snapshot(), "states differ");
    longest
}

#[test]
fn intervals_that_are_judged_at_once_say_the_same() {
    assert!(compare(1, None, true) > 10, "they are judged at once");
    // where memory is short, most of them one after the other
    compare(1, Some([3, 4, 3]), true);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whoever_comes_and_goes(seed in 0..1000u64, is_short in any::<bool>(), checkpoints in any::<bool>()) {
        compare(seed, is_short.then_some([2, 4, 5]), checkpoints);
    }
}
