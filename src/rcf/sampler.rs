//! Which points a tree takes: a reservoir whose inclusion probabilities decay exponentially with age.
//!
//! Chao's procedure (1982): with weights `w_t = exp(-decay * age)` and their sum `W`, a full sample of `N` takes the new
//! point with probability `N / W` and evicts a uniformly drawn member. Then every point is in the sample with probability
//! exactly `N * w_t / W`: a member's chance `N * w_t / W'` is multiplied by `1 - (N/W)/N = W'·e^-decay / W`.
//! At `decay * N = 0.1` the steady acceptance is `N * (1 - e^-decay)`, just under 10 %.
//!
//! No weights are stored: `W` is one number for all trees, and members are equals. A refusal costs a random number.

use super::random::Random;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sampler {
    /// `exp(-decay)`: what a weight loses per point.
    fade: f64,
    /// Sum of the decayed weights of all points seen.
    weight: f64,
    /// Share of the sample that takes every early point.
    initial_accept: f64,
}

/// What a tree does with a new point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    Refuse,
    /// Take it; the tree is not full.
    Add,
    /// Evict a uniformly drawn member, then take it.
    Replace,
}

impl Sampler {
    pub(super) fn new(decay: f64, initial_accept: f64, weight: f64) -> Sampler {
        Sampler { fade: libm::exp(-decay), weight, initial_accept }
    }

    pub(super) fn weight(&self) -> f64 {
        self.weight
    }

    /// A new point has come.
    pub(super) fn advance(&mut self) {
        self.weight = self.weight * self.fade + 1.0;
    }

    /// Chance of the newest point in a sample of `members`, as a fraction of 2^32.
    #[inline]
    pub(super) fn chance(&self, members: u32) -> u64 {
        fraction(f64::from(members) / self.weight)
    }

    /// Decides for a tree that holds `members` of `capacity` points and is not full.
    pub(super) fn early(&self, members: u32, capacity: usize, random: &mut Random) -> Verdict {
        let fill = f64::from(members) / capacity as f64;
        let accept = if fill < self.initial_accept {
            1.0
        } else {
            1.0 - (fill - self.initial_accept) / (1.0 - self.initial_accept)
        };
        let draw = random.next();
        if (draw >> 32) < fraction(accept) {
            Verdict::Add
        } else if (draw & 0xFFFF_FFFF) < self.chance(members) {
            Verdict::Replace
        } else {
            Verdict::Refuse
        }
    }
}

fn fraction(p: f64) -> u64 {
    (p.min(1.0) * 4_294_967_296.0) as u64
}
