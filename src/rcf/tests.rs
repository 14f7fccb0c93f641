//! The forest against its definitions (scores by brute force, sampler, snapshot) and on streams.

mod memory;
mod sampler;
mod score;
mod snapshot;
mod stream;

use super::random::Random;

/// Uniform in 0..1.
fn uniform(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1u64 << 53) as f64
}

/// Standard normal (sum of twelve uniforms: enough for test data).
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}
