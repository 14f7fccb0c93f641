//! The forest's own generator: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). Eight bytes of state, integer arithmetic
//! only, passes BigCrush; one per forest, so that a snapshot holds it and nothing else shares it.

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    pub(super) fn state(&self) -> u64 {
        self.state
    }

    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform over `0..bound` (multiply and shift; the bias is below `bound / 2^64`). `bound` 0 gives 0.
    #[inline]
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u32
    }
}
