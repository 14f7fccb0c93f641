//! The bytes that a forest states against those that the allocator counts, and that a point allocates nothing.

use allocation_counter::measure;

use super::{normal, uniform};
use crate::rcf::random::Random;
use crate::rcf::{Forest, Settings};

fn settings(dims: usize, shingle: usize, box_mass: usize) -> Settings {
    Settings::new(dims, shingle).and_then(|s| s.trees(20)?.sample_size(128)?.box_mass(box_mass)).unwrap()
}

/// Blocks with jumps, so that the grid moves too.
fn block(dims: usize, random: &mut Random) -> Vec<f64> {
    let wild = if uniform(random) < 0.002 { 1e4 } else { 1.0 };
    (0..dims).map(|_| wild * normal(random)).collect()
}

#[test]
fn the_bytes_stated_are_those_allocated() {
    for (dims, shingle, mass) in [(1, 1, 3), (1, 8, 3), (1, 8, 24), (3, 4, 8)] {
        let mut random = Random::new(3);
        let mut kept = None;
        let counted = measure(|| {
            let mut forest = Forest::new(settings(dims, shingle, mass));
            for _ in 0..3000 {
                forest.update(&block(dims, &mut random)).unwrap();
            }
            kept = Some(forest);
        });
        let forest = kept.unwrap();
        let stated = forest.memory_bytes() - size_of::<Forest>();
        assert_eq!(counted.bytes_current, stated as i64, "{dims} x {shingle}, boxes above {mass}");
        let mut copy = None;
        let counted = measure(|| copy = Some(Forest::from_bytes(&forest.to_bytes()).unwrap()));
        let stated = copy.unwrap().memory_bytes() - size_of::<Forest>();
        assert_eq!(counted.bytes_current, stated as i64, "restored, {dims} x {shingle}, boxes above {mass}");
    }
}

#[test]
fn scoring_allocates_nothing_and_learning_hardly_ever() {
    let mut random = Random::new(9);
    let mut forest = Forest::new(settings(2, 4, 3));
    for _ in 0..6000 {
        forest.update(&[normal(&mut random), normal(&mut random)]).unwrap();
    }
    let scored = measure(|| {
        for _ in 0..500 {
            forest.score(&[normal(&mut random), normal(&mut random)]).unwrap();
        }
    });
    assert_eq!(scored.count_total, 0);
    let learnt = measure(|| {
        for _ in 0..500 {
            forest.update(&[normal(&mut random), normal(&mut random)]).unwrap();
        }
    });
    // now and then the store of points is squeezed, or a tree needs a node more
    assert!(learnt.count_total < 200, "{learnt:?}");
}
