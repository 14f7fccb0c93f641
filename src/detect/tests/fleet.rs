//! Many series: spread over threads, within a budget, the same points.

use std::thread;

use super::{harness, world};
use crate::detect::{Detector, Spread};

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
