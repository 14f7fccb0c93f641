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
pub(super) struct Halves;

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
    let measure = Measure::new(Arc::from("latency"), 0, Aggregation::Avg);
    let length = Length::from_seconds(900).unwrap();
    let settings = Settings::new(vec!["host".to_owned()], vec![measure], length, 7).unwrap();
    settings
        .with_forest(ForestShape { trees: 16, sample: 64, shingle: 4, time_decay: 2560 })
        .unwrap()
        .with_memory(memory_bytes)
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
    Cell { key: SeriesKey::new([key]), rows: rows as u64, stats: vec![stats], sketches: Vec::new() }
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

/// Shops of 0.5 to 7.85 orders in an interval on average, all in the smallest form.
#[test]
fn the_smallest_form_is_quiet_on_sparse_counts_and_sees_them_change() {
    let measure = Measure::new(Arc::from("orders"), 0, Aggregation::Count);
    let length = Length::from_seconds(900).unwrap();
    let settings = Settings::new(vec!["shop".to_owned()], vec![measure], length, 7).unwrap();
    let sizes = Sizes::of(&settings);
    let settings = settings.with_memory(60 * sizes.of_form(Form::Tail) + sizes.of_form(Form::Full));
    let mut detector = Detector::new(settings);
    let mut random = Random::new(17);
    // every fifth shop has four times as many for two hours, another fifth of them next to nothing for six
    let (more, none) = (96 * 13 + 40..96 * 13 + 48, 96 * 12 + 30..96 * 12 + 54);
    let (mut false_alarms, mut found, mut absolute, mut expected) = (0, [[false; 50]; 2], 0.0, 0.0);
    for step in 0..96 * 14 {
        let factor = |shop: usize| match shop % 5 {
            0 if more.contains(&step) => 4.0,
            1 if none.contains(&step) => 0.02,
            _ => 1.0,
        };
        let mean = |at: usize| (0.5 + 0.15 * at as f64) * factor(at);
        let orders: Vec<(String, usize)> =
            (0..50).map(|at| (format!("{at:02}"), shop(mean(at), step, &mut random))).collect();
        let sent: Vec<(String, usize)> = orders.into_iter().filter(|(_, orders)| *orders > 0).collect();
        for point in detector.observe(&interval(step, &mut random, &sent)) {
            harness::check(&point);
            let at: usize = point.key.values().next().unwrap().parse().unwrap();
            let is_alarm = matches!(point.state, PointState::Anomalous { .. });
            // an alarm of a window of 64 intervals goes on while that is off
            let near = |range: &std::ops::Range<usize>| (range.start..range.end + 32).contains(&step);
            match at % 5 {
                0 if near(&more) => found[0][at] |= is_alarm,
                1 if near(&none) => found[1][at] |= is_alarm,
                _ => false_alarms += usize::from(is_alarm),
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
    let [more, none] = found.map(|found| found.iter().filter(|found| **found).count());
    assert!(more >= 8, "{more} of 10 with four times as many for eight intervals");
    assert!(none >= 7, "{none} of 10 in which next to nothing came for 24 intervals");
    assert!(false_alarms <= 5, "{false_alarms} of {}", 50 * 96 * 14);
}

#[test]
fn the_light_get_along_without_a_forest_where_memory_is_short() {
    let measure = Measure::new(Arc::from("orders"), 0, Aggregation::Count);
    let length = Length::from_seconds(900).unwrap();
    let settings = Settings::new(vec!["shop".to_owned()], vec![measure], length, 7).unwrap();
    let sizes = Sizes::of(&settings);
    // room for all in compact form, not in full
    let settings = settings.with_memory(20 * sizes.of_form(Form::Compact) + 2 * sizes.of_form(Form::Full));
    let mut detector = Detector::new(settings);
    let mut random = Random::new(5);
    for step in 0..96 * 3 {
        let orders = |at: usize| random.poisson(if at < 10 { 3.0 } else { 40.0 }) as usize;
        let mut sent: Vec<(String, usize)> =
            (0..20).zip((0..20).map(orders)).map(|(at, n)| (format!("{at:02}"), n)).collect();
        sent.retain(|(_, orders)| *orders > 0);
        detector.observe(&interval(step, &mut random, &sent));
    }
    let heavy = |key: &SeriesKey| key.values().next().unwrap() >= "10";
    assert!(detector.kept().all(|(key, form)| heavy(key) == (form != Form::Tail)), "{:?}", detector.status());
    assert!(detector.status().full > 0, "what the light leave is for the others");
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
