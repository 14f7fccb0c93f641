//! The sampler against its formula: the newest point's chance, and how fast points leave.

use super::super::random::Random;
use super::super::sampler::{Sampler, Verdict};

#[test]
fn steady_acceptance_follows_the_decay() {
    // decay * N = 0.1: N * (1 - e^-decay)
    let mut sampler = Sampler::new(1.0 / 2560.0, 1.0, 0.0);
    (0..100_000).for_each(|_| sampler.advance());
    let chance = sampler.chance(256) as f64 / 4_294_967_296.0;
    assert!((chance - 256.0 * (1.0 - (-1.0f64 / 2560.0).exp())).abs() < 1e-6, "{chance}");
    assert!((0.0995..0.1).contains(&chance));
}

#[test]
fn without_decay_it_is_the_classic_reservoir() {
    let mut sampler = Sampler::new(0.0, 1.0, 0.0);
    for t in 1..=5000u32 {
        sampler.advance();
        let chance = sampler.chance(256) as f64 / 4_294_967_296.0;
        assert!((chance - (256.0 / f64::from(t)).min(1.0)).abs() < 1e-9);
    }
}

#[test]
fn inclusion_decays_exponentially_with_age() {
    let (decay, capacity, steps, rounds) = (0.01, 16, 600u32, 4000);
    let mut by_age = vec![0.0; 300];
    let mut random = Random::new(5);
    for _ in 0..rounds {
        let mut sampler = Sampler::new(decay, 1.0, 0.0);
        let mut sample: Vec<u32> = Vec::new();
        for t in 0..steps {
            sampler.advance();
            if sample.len() < capacity {
                sample.push(t);
            } else if (random.next() >> 32) < sampler.chance(capacity as u32) {
                let evicted = random.below(capacity as u32) as usize;
                sample[evicted] = t;
            }
        }
        for t in sample {
            if let Some(count) = by_age.get_mut((steps - 1 - t) as usize) {
                *count += 1.0;
            }
        }
    }
    // ten bins of thirty ages each
    let mut statistic = 0.0;
    for bin in 0..10 {
        let ages = bin * 30..bin * 30 + 30;
        let seen: f64 = by_age[ages.clone()].iter().sum();
        let share: f64 = ages.map(|age| (-decay * age as f64).exp()).sum::<f64>() * (1.0 - (-decay).exp());
        let expected = f64::from(rounds) * capacity as f64 * share / (1.0 - (-decay * f64::from(steps)).exp());
        statistic += (seen - expected) * (seen - expected) / expected;
    }
    // 10 degrees of freedom: above 29.6 once in a thousand
    assert!(statistic < 29.6, "{statistic}");
}

#[test]
fn an_early_fraction_makes_trees_differ() {
    let mut random = Random::new(1);
    let mut sampler = Sampler::new(0.0, 0.25, 0.0);
    let mut kept = 0u32;
    let (mut refused, mut replaced) = (0, 0);
    for _ in 0..100 {
        sampler.advance();
        match sampler.early(kept, 64, &mut random) {
            Verdict::Add => kept += 1,
            Verdict::Replace => replaced += 1,
            Verdict::Refuse => refused += 1,
        }
        if kept < 16 {
            assert_eq!((refused, replaced), (0, 0), "the first quarter takes all");
        }
    }
    assert!(kept < 64 && refused > 0 && replaced > 0, "{kept} {refused} {replaced}");
}
