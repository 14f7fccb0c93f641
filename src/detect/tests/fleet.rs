//! Many series: spread over threads, within a budget, the same points.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::random::Random;
use super::{harness, world};
use crate::detect::{Aggregation, Detector, ForestShape, Form, Measure, Settings, Sizes, Spread};
use crate::model::{Cell, ClosedInterval, Interval, Length, Point, SeriesKey, Stats};

/// Two threads, the later half first.
struct Halves;

impl Spread for Halves {
    fn each_run<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut [T]) + Sync)) {
        let (front, back) = items.split_at_mut(items.len() / 2);
        thread::scope(|scope| {
            scope.spawn(|| work(back));
            thread::yield_now();
            work(front);
        });
    }
}

#[test]
fn two_threads_say_what_one_says() {
    let intervals = harness::intervals(&world::ecommerce(5, 3, 0.002));
    let settings = harness::settings(0.05, 3);
    let (mut one, mut two) = (Detector::new(settings.clone()), Detector::new(settings.clone()));
    for (step, closed) in intervals.iter().enumerate() {
        // with a day in which nothing came
        if (400..690).contains(&step) {
            continue;
        }
        if step == 333 {
            two = Detector::restore(settings.clone(), &two.snapshot()).unwrap();
        }
        assert_eq!(one.observe(closed), two.observe_on(closed, &Halves));
    }
    assert_eq!(one.snapshot(), two.snapshot());
}

/// A fleet of one mean per key, in intervals of 15 minutes.
fn settings(memory_bytes: u64) -> Settings {
    let measure = Measure { name: Arc::from("latency"), column: 0, aggregation: Aggregation::Avg };
    let length = Length::from_seconds(900).unwrap();
    let settings = Settings::new(vec!["host".to_owned()], vec![measure], length, 7).unwrap();
    settings.with_forest(ForestShape { trees: 8, sample: 32, shingle: 3 }).unwrap().with_memory(memory_bytes)
}

/// An interval with these keys, each with so many rows.
fn interval(step: usize, random: &mut Random, keys: &[(String, usize)]) -> ClosedInterval {
    let mut cells: Vec<Cell> = keys.iter().map(|(key, rows)| cell(key, *rows, random)).collect();
    cells.sort_by(|a, b| a.key.cmp(&b.key));
    let length = Length::from_seconds(900).unwrap();
    ClosedInterval { interval: Interval::containing(0, length).offset(step as i64), cells }
}

fn cell(key: &str, rows: usize, random: &mut Random) -> Cell {
    let mut stats = Stats::EMPTY;
    (0..rows).for_each(|_| stats.add(100.0 + 10.0 * random.gauss()));
    Cell { key: SeriesKey::new([key]), rows: rows as u64, stats: vec![stats] }
}

/// Keys that come and go: which send in which interval, and how much. Host `n` sends about `n` rows.
fn hosts(step: usize, random: &mut Random, count: usize) -> Vec<(String, usize)> {
    let mut hosts = Vec::new();
    for host in 0..count {
        // every third one is away for two days and longer now and then
        let away = host % 3 == 1 && (step / 200 + host) % 2 == 1;
        let born = host * 7 % 150;
        if !away && step >= born && random.unit() < 0.9 {
            hosts.push((format!("host-{host:03}"), 1 + host / 2 + random.below(3)));
        }
    }
    hosts
}

/// Runs a fleet of 30 for 600 intervals within budgets that a `change` sets, and gives all points.
fn run(detector: &mut Detector, mut look: impl FnMut(usize, &mut Detector)) -> Vec<Vec<Point>> {
    let mut random = Random::new(11);
    let step = |step: usize| {
        let hosts = hosts(step, &mut random, 30);
        let points = detector.observe(&interval(step, &mut random, &hosts));
        look(step, detector);
        points
    };
    (0..600).map(step).collect()
}

/// A budget between that of the smallest forms and that of the largest of 30 keys.
fn budget(share: f64) -> u64 {
    let sizes = Sizes::of(&settings(0));
    let [low, high] = [Form::Compact, Form::Full].map(|form| 30.0 * sizes.of_form(form) as f64);
    (low + share * (high - low)) as u64
}

#[test]
fn forms_change_nothing_that_is_said() {
    let straight = run(&mut Detector::new(settings(u64::MAX)), |_, _| {});
    let (mut seen, mut parked) = ([0usize; 2], 0);
    let tight = run(&mut Detector::new(settings(budget(0.3))), |_, detector| {
        let status = detector.status();
        seen = [seen[0].max(status.compact), seen[1].max(status.full)];
        parked = parked.max(status.parked);
    });
    assert!(straight == tight, "points differ");
    assert!(seen[0] > 10 && seen[1] > 5 && parked > 3, "{seen:?}, {parked} parked");
}

#[test]
fn a_fleet_goes_on_from_a_snapshot_bit_for_bit() {
    let settings = settings(budget(0.3));
    let mut straight = Detector::new(settings.clone());
    let mut broken = Detector::new(settings.clone());
    let points = run(&mut straight, |_, _| {});
    let others = run(&mut broken, |step, detector| {
        if step % 61 == 17 {
            let bytes = detector.snapshot_on(&Halves);
            let status = detector.status();
            *detector = Detector::restore(settings.clone(), &bytes).unwrap();
            assert_eq!(detector.status(), status);
            assert_eq!(detector.snapshot(), bytes);
        }
    });
    assert!(points == others, "points differ");
    assert!(straight.snapshot() == broken.snapshot(), "states differ");
}

#[test]
fn the_heavy_are_quick_whatever_their_names() {
    let forms = |name: &dyn Fn(&str) -> String| {
        let mut detector = Detector::new(settings(budget(0.9)));
        let mut random = Random::new(11);
        for step in 0..300 {
            let mut keys: Vec<_> =
                (0..30).map(|host| (format!("host-{host:03}"), 1 + host / 2 + random.below(3))).collect();
            keys.retain(|_| step < 5 || random.unit() < 0.9);
            keys.iter_mut().for_each(|(key, _)| *key = name(key));
            // the values of a key must not depend on its place in the order
            let mut cells: Vec<Cell> = Vec::new();
            keys.iter().for_each(|(key, rows)| cells.push(cell(key, *rows, &mut random)));
            cells.sort_by(|a, b| a.key.cmp(&b.key));
            let length = Length::from_seconds(900).unwrap();
            detector.observe(&ClosedInterval { interval: Interval::containing(0, length).offset(step as i64), cells });
        }
        let kept = detector.kept();
        kept.map(|(key, form)| (key.to_string(), form)).collect::<BTreeMap<String, Form>>()
    };
    let plain = forms(&str::to_owned);
    // the other way round, and of other lengths
    let turned =
        |key: &str| format!("{}{}", 999 - key[5..].parse::<usize>().unwrap(), &"xxxxxxxxxxxx"[..key.len() % 5]);
    let renamed = forms(&turned);
    assert!(plain.values().filter(|form| **form == Form::Full).count() > 4, "{plain:?}");
    assert!(plain["host-029"] == Form::Full && plain["host-000"] == Form::Compact, "{plain:?}");
    for (key, form) in &plain {
        assert_eq!(renamed[&turned(key)], *form, "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_budget_is_kept_whoever_comes(
        share in 0.0..1.2f64,
        arrivals in proptest::collection::vec(proptest::collection::vec((0..30usize, 1..40usize), 0..12), 40..90),
    ) {
        let settings = settings(budget(share));
        let mut detector = Detector::new(settings.clone());
        let mut random = Random::new(3);
        for (step, keys) in arrivals.into_iter().enumerate() {
            let keys: BTreeMap<String, usize> = keys.into_iter().map(|(key, rows)| (format!("{key:02}"), rows)).collect();
            let known = detector.series_count();
            detector.observe(&interval(step, &mut random, &keys.clone().into_iter().collect::<Vec<_>>()));
            let status = detector.status();
            prop_assert!(status.set_aside_bytes <= settings.memory_bytes());
            prop_assert!(detector.memory_bytes() as u64 <= status.set_aside_bytes, "what is set aside is enough");
            prop_assert_eq!(status.full + status.compact, status.series, "nobody is dropped");
            prop_assert!(status.series >= known.min(keys.len()));
        }
    }
}
