//! Recall and precision by episodes on the sample world.

use super::{harness, world};
use crate::detect::Detector;

#[test]
fn the_sample_world_is_judged_well_on_several_seeds() {
    for seed in 1..=6 {
        let world = world::ecommerce(seed, 7, 0.0005);
        let mut detector = Detector::new(harness::settings(0.05, seed));
        let flags = harness::flags(&mut detector, &harness::intervals(&world));
        let counts = harness::count(&world, &flags, 0, 0);
        assert!(counts.incidents > 10);
        assert!(counts.recall() >= 0.85, "seed {seed}: {counts:?}");
        assert!(counts.precision() >= 0.9, "seed {seed}: {counts:?}");
    }
}

/// Two weeks of warm-up and four of incidents, one fifth as easy as they come.
#[test]
fn incidents_of_eight_kinds_are_found_among_counts() {
    for profile in 0..2 {
        let world = world::services(7, 14, 42, 64, profile);
        let intervals = harness::intervals(&world);
        let from = 14 * 288;
        let mut detector = Detector::new(harness::settings(0.05, 7));
        let counts = harness::count(&world, &harness::flags(&mut detector, &intervals), from, 6);
        let series_weeks = 80.0 * (intervals.len() - from) as f64 / 2016.0;
        assert!(counts.recall() >= 0.55, "{counts:?}");
        assert!((counts.false_hours as f64) < 0.2 * series_weeks, "{counts:?}");
        assert!(counts.delay() <= 3, "{counts:?}");
    }
}
