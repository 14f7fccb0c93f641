//! A snapshot continues bit for bit; damage and later versions are errors, never panics.

use super::super::random::Random;
use super::super::{Forest, Settings, SnapshotError};
use super::normal;

fn stream(seed: u64, dims: usize, count: usize) -> Vec<Vec<f64>> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|t| {
            // some whole numbers, so that equal points occur; some wild ones, so that the grid moves
            let wild = if t % 97 == 0 { 1e6 } else { 1.0 };
            (0..dims)
                .map(|d| wild * (10.0 * (t as f64 / 20.0 + d as f64).sin() + normal(&mut random)).round())
                .collect()
        })
        .collect()
}

fn settings(dims: usize, shingle: usize) -> Settings {
    let settings = Settings::new(dims, shingle).and_then(|s| s.trees(12)?.sample_size(48)).unwrap();
    settings.seed(77).output_after(5)
}

fn forest(dims: usize, shingle: usize) -> Forest {
    Forest::new(settings(dims, shingle).initial_accept(0.3).unwrap())
}

/// One that has a part of its trees until its sample is full.
fn growing_forest(dims: usize, shingle: usize) -> Forest {
    Forest::new(settings(dims, shingle).young_trees(5).unwrap())
}

#[test]
fn a_restored_forest_continues_bit_for_bit() {
    let forests = [(1, 1), (1, 6), (3, 4)].map(|(dims, shingle)| (dims, forest(dims, shingle)));
    let growing = [(1, 1), (1, 4), (3, 4)].map(|(dims, shingle)| (dims, growing_forest(dims, shingle)));
    for (dims, mut kept) in forests.into_iter().chain(growing) {
        let blocks = stream(dims as u64, dims, 3000);
        for (t, block) in blocks.iter().enumerate() {
            if [0, 1, 4, 17, 47, 49, 52, 64, 300, 1023, 1024, 1500, 2049].contains(&t) {
                let bytes = kept.to_bytes();
                let mut restored = Forest::from_bytes(&bytes).unwrap();
                assert_eq!(restored.to_bytes(), bytes, "equal forests, equal bytes");
                let mut original = kept.clone();
                for (u, block) in blocks[t..].iter().enumerate() {
                    assert_eq!(original.observe(block), restored.observe(block));
                    if u % 100 == 0 {
                        assert_eq!(original.attribution(block), restored.attribution(block));
                        assert_eq!(original.forecast(), restored.forecast());
                        assert_eq!(original.neighbours(block, 3), restored.neighbours(block, 3));
                    }
                }
                assert_eq!(original.to_bytes(), restored.to_bytes());
            }
            kept.update(block).unwrap();
        }
    }
}

#[test]
fn damage_is_an_error() {
    let mut forest = forest(2, 3);
    stream(4, 2, 200).iter().for_each(|block| forest.update(block).unwrap());
    let bytes = forest.to_bytes();
    assert_eq!(Forest::from_bytes(b""), Err(SnapshotError::NotASnapshot));
    assert_eq!(Forest::from_bytes(b"no forest at all"), Err(SnapshotError::NotASnapshot));
    for at in (4..bytes.len()).step_by(37) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        assert!(Forest::from_bytes(&bad).is_err(), "byte {at}");
    }
    for length in (0..bytes.len()).step_by(101) {
        assert!(Forest::from_bytes(&bytes[..length]).is_err(), "length {length}");
    }
    let mut newer = bytes.clone();
    newer[4] = 9;
    assert_eq!(Forest::from_bytes(&newer), Err(SnapshotError::Newer { found: 9, newest: 2 }));
}

#[test]
fn damage_under_a_right_checksum_is_an_error_or_a_forest_but_no_panic() {
    let mut grown = forest(2, 3);
    stream(4, 2, 200).iter().for_each(|block| grown.update(block).unwrap());
    let mut young = growing_forest(2, 3);
    stream(4, 2, 40).iter().for_each(|block| young.update(block).unwrap());
    for bytes in [grown.to_bytes(), young.to_bytes()] {
        for at in 6..bytes.len() - 4 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let end = bad.len() - 4;
            let sum = crc32fast::hash(&bad[..end]);
            bad[end..].copy_from_slice(&sum.to_le_bytes());
            if let Ok(mut odd) = Forest::from_bytes(&bad) {
                for block in stream(5, odd.settings().dims_base(), 20) {
                    let scores = odd.observe(&block).unwrap();
                    assert!(scores.expected_depth.is_finite() && scores.expected_depth >= 0.0);
                }
            }
        }
    }
}

#[test]
fn a_forest_of_the_version_before_has_all_its_trees() {
    let mut forest = Forest::new(settings(1, 4));
    stream(6, 1, 30).iter().for_each(|block| forest.update(block).unwrap());
    let bytes = forest.to_bytes();
    // magic, version 2, dimensions, shingle, trees; then the trees of a young forest, which version 1 has not
    let mut before = [&bytes[..4], &1u16.to_le_bytes(), &bytes[6..12], &bytes[14..bytes.len() - 4]].concat();
    let sum = crc32fast::hash(&before);
    before.extend_from_slice(&sum.to_le_bytes());
    assert_eq!(Forest::from_bytes(&before).unwrap(), Forest::from_bytes(&bytes).unwrap());
}

#[test]
fn other_boxes_change_no_answer() {
    for (dims, shingle) in [(1, 1), (1, 6), (3, 4)] {
        let blocks = stream(dims as u64, dims, 2600);
        let (mut straight, mut changed) = (forest(dims, shingle), forest(dims, shingle));
        for (t, block) in blocks.iter().enumerate() {
            if t % 50 == 7 || t < 12 {
                changed.set_box_mass([1, 3, 8, 24, 256][t % 5]).unwrap();
            }
            assert_eq!(straight.observe(block), changed.observe(block));
        }
        changed.set_box_mass(3).unwrap();
        assert_eq!(straight.to_bytes(), changed.to_bytes());
        let large = changed.memory_bytes();
        changed.set_box_mass(24).unwrap();
        assert!(changed.memory_bytes() < large);
        assert_eq!(Forest::from_bytes(&changed.to_bytes()).unwrap().to_bytes(), changed.to_bytes());
        assert!(changed.set_box_mass(0).is_err());
    }
}
