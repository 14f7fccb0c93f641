//! Recall and precision by episodes on the sample world.

use super::{harness, world};
use crate::detect::{Detector, ForestShape, Settings};

/// A small forest: most of the time of these tests is the forest's, most of what they test is not.
const SMALL: ForestShape = ForestShape { trees: 10, sample: 64, shingle: 4, time_decay: 2560 };

fn sample_world(seed: u64, settings: Settings) {
    let world = world::ecommerce(seed, 7, 0.0005);
    let mut detector = Detector::new(settings);
    let flags = harness::flags(&mut detector, &harness::intervals(&world));
    let counts = harness::count(&world, &flags, 0, 0);
    assert!(counts.incidents > 10);
    assert!(counts.recall() >= 0.9, "seed {seed}: {counts:?}");
    assert!(counts.precision() >= 0.9, "seed {seed}: {counts:?}");
}

#[test]
fn the_sample_world_is_judged_well_as_shipped() {
    sample_world(1, harness::settings(0.05, 1));
}

#[test]
fn the_sample_world_is_judged_well_on_several_seeds() {
    for seed in 2..=7 {
        sample_world(seed, harness::settings(0.05, seed).with_forest(SMALL).unwrap());
    }
}

/// Two weeks of warm-up and two of incidents: a third of them easy, a third hard to see.
#[test]
fn incidents_of_eight_kinds_are_found_among_counts() {
    let world = world::services(7, 14, 28, 40, 1);
    let intervals = harness::intervals(&world);
    let from = 14 * 288;
    let mut detector = Detector::new(harness::settings(0.05, 7).with_forest(SMALL).unwrap());
    let counts = harness::count(&world, &harness::flags(&mut detector, &intervals), from, 6);
    let series_weeks = 80.0 * (intervals.len() - from) as f64 / 2016.0;
    assert!(counts.whole_recall() >= 0.6 && counts.recall() >= 0.55, "{counts:?}");
    assert!((counts.false_hours as f64) < 0.15 * series_weeks, "{} false hours", counts.false_hours);
    assert!(counts.delay() <= 6, "delay {}", counts.delay());
}
