//! Snapshots: a restored detector is the one that was saved (D2), and anything else is refused.

use super::{harness, world};
use crate::detect::{Detector, SnapshotError};

#[test]
fn a_restored_detector_goes_on_bit_for_bit() {
    let world = world::ecommerce(3, 3, 0.002);
    let intervals = harness::intervals(&world);
    let settings = harness::settings(0.05, 3);
    let mut straight = Detector::new(settings.clone());
    let mut broken = Detector::new(settings.clone());
    for (step, closed) in intervals.iter().enumerate() {
        if step % 97 == 13 {
            let bytes = broken.snapshot();
            broken = Detector::restore(settings.clone(), &bytes).unwrap();
            assert_eq!(broken.snapshot(), bytes);
        }
        assert_eq!(straight.observe(closed), broken.observe(closed));
    }
    assert_eq!(straight.snapshot(), broken.snapshot());
}

#[test]
fn a_state_of_other_settings_or_damaged_is_refused() {
    let settings = harness::settings(0.05, 3);
    let mut detector = Detector::new(settings.clone());
    for closed in harness::intervals(&world::ecommerce(3, 1, 0.0)).iter().take(5) {
        detector.observe(closed);
    }
    let bytes = detector.snapshot();
    let error = Detector::restore(harness::settings(0.1, 3), &bytes).unwrap_err();
    assert!(error.to_string().contains("sensitivity `0.05`, the settings say `0.1`"), "{error}");
    let error = Detector::restore(harness::settings(0.05, 4), &bytes).unwrap_err();
    assert!(error.to_string().contains("seed"), "{error}");
    assert_eq!(Detector::restore(settings.clone(), b"PAR1").unwrap_err(), SnapshotError::Foreign);
    for at in (0..bytes.len()).step_by(101) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Detector::restore(settings.clone(), &damaged).is_err(), "byte {at}");
        assert!(Detector::restore(settings.clone(), &bytes[..at]).is_err(), "cut at {at}");
    }
}
