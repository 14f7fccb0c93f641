//! Many series: spread over threads, within a budget, the same points.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::random::Random;
use super::{harness, world};
use crate::detect::{Aggregation, Detector, ForestShape, Form, Measure, Settings, Sizes, Spread};
use crate::model::{Cell, ClosedInterval, Interval, Length, Point, PointState, SeriesKey, Stats};

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
    settings.with_forest(ForestShape { trees: 16, sample: 64, shingle: 4 }).unwrap().with_memory(memory_bytes)
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

/// A budget for so many keys in each form, the smallest first.
fn budget(keys: [u64; 3]) -> u64 {
    let sizes = Sizes::of(&settings(0));
    let all: u64 = Form::ALL.into_iter().zip(keys).map(|(form, keys)| keys * sizes.of_form(form)).sum();
    // the totals, and the twentieth that nobody moves up into
    (all + sizes.of_form(Form::Full)) * 20 / 19 + 1
}

#[test]
fn full_compact_and_parked_forests_say_the_same() {
    let straight = run(&mut Detector::new(settings(u64::MAX)), |_, _| {});
    let (mut seen, mut parked) = ([0usize; 2], 0);
    let tight = run(&mut Detector::new(settings(budget([0, 23, 8]))), |_, detector| {
        let status = detector.status();
        assert_eq!(status.tail, 0);
        seen = [seen[0].max(status.compact), seen[1].max(status.full)];
        parked = parked.max(status.parked);
    });
    assert!(straight == tight, "points differ");
    assert!(seen[0] > 5 && seen[1] > 5 && parked > 3, "{seen:?}, {parked} parked");
}

#[test]
fn a_fleet_goes_on_from_a_snapshot_bit_for_bit() {
    let settings = settings(budget([14, 5, 3]));
    let mut straight = Detector::new(settings.clone());
    let mut broken = Detector::new(settings.clone());
    let points = run(&mut straight, |_, _| {});
    let mut seen = [0usize; 4];
    let others = run(&mut broken, |step, detector| {
        let status = detector.status();
        let now = [status.tail, status.compact, status.full, status.parked];
        seen = std::array::from_fn(|form| seen[form].max(now[form]));
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
    assert!(seen.iter().all(|most| *most > 1), "{seen:?}");
}

#[test]
fn the_heavy_are_quick_whatever_their_names() {
    let forms = |keys: [u64; 3], name: &dyn Fn(&str) -> String| {
        let mut detector = Detector::new(settings(budget(keys)));
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
    // the other way round, and of other lengths
    let turned =
        |key: &str| format!("{}{}", 999 - key[5..].parse::<usize>().unwrap(), &"xxxxxxxxxxxx"[..key.len() % 5]);
    for (keys, low, high) in [([14, 16, 0], Form::Tail, Form::Compact), ([0, 18, 11], Form::Compact, Form::Full)] {
        let plain = forms(keys, &str::to_owned);
        let renamed = forms(keys, &turned);
        assert!([low, high].iter().all(|form| plain.values().filter(|kept| *kept == form).count() > 5), "{plain:?}");
        assert!(plain["host-029"] == high && plain["host-000"] == low, "{plain:?}");
        for (key, form) in &plain {
            assert_eq!(renamed[&turned(key)], *form, "{key}");
        }
    }
}

/// Counts that come one by one, `mean` in an interval on average, more by day than by night.
fn shop(mean: f64, step: usize, random: &mut Random) -> usize {
    let day = 1.0 + 0.8 * libm::sin(std::f64::consts::TAU * step as f64 / 96.0);
    random.poisson(mean * day) as usize
}

/// A guard and no measure of recall: the bursts are those of series with a mean of 3.5 rows and more. Of sparser ones (means
/// of 0.5 to 2.9 were tried) none was found.
#[test]
fn the_smallest_form_is_quiet_on_sparse_counts_and_sees_them_change() {
    let measure = Measure { name: Arc::from("orders"), column: 0, aggregation: Aggregation::Count };
    let length = Length::from_seconds(900).unwrap();
    let settings = Settings::new(vec!["shop".to_owned()], vec![measure], length, 7).unwrap();
    let sizes = Sizes::of(&settings);
    let settings = settings.with_memory(60 * sizes.of_form(Form::Tail) + sizes.of_form(Form::Full));
    let mut detector = Detector::new(settings);
    let mut random = Random::new(17);
    let (mut false_alarms, mut found, mut absolute, mut expected) = (0, 0, 0.0, 0.0);
    for step in 0..96 * 14 {
        let burst = |shop: usize| step == 96 * 13 + 48 && shop >= 20 && shop.is_multiple_of(4);
        let mean = |at: usize| (0.5 + 0.15 * at as f64) * if burst(at) { 6.0 } else { 1.0 };
        let orders: Vec<(String, usize)> =
            (0..50).map(|at| (format!("{at:02}"), shop(mean(at), step, &mut random))).collect();
        let sent: Vec<(String, usize)> = orders.into_iter().filter(|(_, orders)| *orders > 0).collect();
        for point in detector.observe(&interval(step, &mut random, &sent)) {
            harness::check(&point);
            let at: usize = point.key.values().next().unwrap().parse().unwrap();
            let is_anomalous = matches!(point.state, PointState::Anomalous { .. });
            match (burst(at), is_anomalous) {
                (true, true) => found += 1,
                (false, true) => false_alarms += 1,
                _ => {}
            }
            if step > 96 * 7 {
                let day = 1.0 + 0.8 * libm::sin(std::f64::consts::TAU * step as f64 / 96.0);
                absolute += (point.expected - (0.5 + 0.15 * at as f64) * day).abs();
                expected += (0.5 + 0.15 * at as f64) * day;
            }
        }
    }
    let status = detector.status();
    assert_eq!((status.tail, status.full, status.compact), (50, 0, 0));
    assert!(absolute / expected < 0.15, "the expected values are off by {}", absolute / expected);
    assert_eq!(found, 8, "six times as many, for one interval, where 3.5 and more are expected");
    assert!(false_alarms <= 10, "{false_alarms} of {}", 50 * 96 * 14);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_budget_is_kept_whoever_comes(
        tail in 0..31u64,
        full in 0..31u64,
        arrivals in proptest::collection::vec(proptest::collection::vec((0..30usize, 1..40usize), 0..12), 40..90),
    ) {
        let settings = settings(budget([tail.max(full), 30 - tail, full]));
        let mut detector = Detector::new(settings.clone());
        let mut random = Random::new(3);
        for (step, keys) in arrivals.into_iter().enumerate() {
            let keys: BTreeMap<String, usize> = keys.into_iter().map(|(key, rows)| (format!("{key:02}"), rows)).collect();
            let known = detector.series_count();
            detector.observe(&interval(step, &mut random, &keys.clone().into_iter().collect::<Vec<_>>()));
            let status = detector.status();
            prop_assert!(status.set_aside_bytes <= settings.memory_bytes());
            prop_assert!(detector.memory_bytes() as u64 <= status.set_aside_bytes, "what is set aside is enough");
            prop_assert_eq!(status.full + status.compact + status.tail, status.series, "nobody is dropped");
            prop_assert!(status.series >= known.min(keys.len()));
        }
    }
}
