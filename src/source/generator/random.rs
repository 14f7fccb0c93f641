//! Random numbers with the same bits on every machine: a PCG generator with 128 bits of state, and the few
//! distributions that the generator needs, in integer and IEEE arithmetic alone.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// What a stream of random numbers is for. Purposes have streams of their own, so that a knob of one leaves the
/// others as they were.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Shape of the daily wave, then noise.
    Level = 1,
    /// Start, length and size of incidents.
    Incidents = 2,
    /// Split into records, their event times and jitter.
    Records = 3,
    /// Late and malformed records.
    Faults = 4,
}

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(Pcg64Mcg);

impl Random {
    /// The stream of one series for one purpose: a function of the seed, the names and the purpose alone.
    pub(super) fn new(seed: u64, (platform, marketplace): (&str, &str), purpose: Purpose) -> Random {
        let name = fnv1a(platform.bytes().chain([0]).chain(marketplace.bytes()));
        let base = mix(mix(seed) ^ name).wrapping_add(purpose as u64);
        Random(Pcg64Mcg::new((u128::from(mix(base)) << 64) | u128::from(mix(!base))))
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform in `[low, high)`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..bound` up to a bias of `bound / 2^64`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        scale(self.bits(), bound)
    }

    /// Uniform in `0..bound`, up to a bias of `bound / 2^64`.
    pub(super) fn below_u32(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(u64::from(bound))).unwrap_or(0)
    }
}

/// The high half of `bits * bound`.
fn scale(bits: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(bits) * u128::from(bound)) >> 64).unwrap_or(0)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) after its increment.
fn mix(value: u64) -> u64 {
    let a = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    c ^ (c >> 31)
}

/// FNV-1a of 64 bits.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_names_and_purpose_and_repeat() {
        let first = |seed, names, purpose| Random::new(seed, names, purpose).bits();
        let base = first(1, ("a", "b"), Purpose::Level);
        assert_eq!(base, first(1, ("a", "b"), Purpose::Level));
        assert_ne!(base, first(2, ("a", "b"), Purpose::Level));
        assert_ne!(base, first(1, ("ab", ""), Purpose::Level));
        assert_ne!(base, first(1, ("a", "b"), Purpose::Records));
    }

    #[test]
    fn distributions_keep_to_their_ranges_and_means() {
        let mut random = Random::new(7, ("a", "b"), Purpose::Level);
        let mut sum = 0.0;
        for _ in 0..100_000 {
            let x = random.between(2.0, 10.0);
            assert!((2.0..10.0).contains(&x));
            sum += x;
            assert!(random.below(300) < 300);
        }
        assert!((sum / 100_000.0 - 6.0).abs() < 0.05, "mean {}", sum / 100_000.0);
        assert_eq!(random.below(0), 0);
        assert_eq!(scale(u64::MAX, 300), 299);
        assert_eq!(scale(0, 300), 0);
    }
}
