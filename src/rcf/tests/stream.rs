//! The forest on streams: planted anomalies, constant and repeated input, extreme scales, refused input.

use proptest::prelude::*;

use super::super::random::Random;
use super::super::{Forest, InputError, Scores, Settings, SettingsError};
use super::{normal, uniform};

fn forest(dims: usize, shingle: usize) -> Forest {
    Forest::new(Settings::new(dims, shingle).and_then(|s| s.trees(30)).unwrap().seed(11))
}

fn all_fine(s: &Scores) -> bool {
    [s.expected_depth, s.log_mass, s.displacement].iter().all(|v| v.is_finite() && *v >= 0.0)
}

/// A noisy sine with spikes: values and whether each is a spike.
fn spiky(seed: u64, count: usize) -> Vec<(f64, bool)> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|t| {
            let base = 100.0 * (t as f64 * std::f64::consts::TAU / 100.0).sin() + 5.0 * normal(&mut random);
            let spike = t > 500 && uniform(&mut random) < 0.005;
            (if spike { base + 80.0 + 60.0 * uniform(&mut random) } else { base }, spike)
        })
        .collect()
}

/// Probability that a spike scores above a normal point.
fn auc(scored: &[(f64, bool)]) -> f64 {
    let mut order: Vec<&(f64, bool)> = scored.iter().collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let spikes = scored.iter().filter(|(_, spike)| *spike).count() as f64;
    let (mut below, mut wins) = (0.0, 0.0);
    for (_, spike) in order {
        if *spike {
            wins += below;
        } else {
            below += 1.0;
        }
    }
    wins / (spikes * below)
}

#[test]
fn planted_spikes_are_found() {
    let mut forest = forest(1, 8);
    let (mut depth, mut log_mass, mut displacement) = (Vec::new(), Vec::new(), Vec::new());
    for (value, spike) in spiky(1, 12_000) {
        let s = forest.observe(&[value]).unwrap();
        assert!(all_fine(&s));
        if forest.points() > 500 {
            depth.push((s.expected_depth, spike));
            log_mass.push((s.log_mass, spike));
            displacement.push((s.displacement, spike));
        }
    }
    for (name, scored) in [("depth", depth), ("log mass", log_mass), ("displacement", displacement)] {
        let auc = auc(&scored);
        assert!(auc > 0.95, "{name}: {auc}");
    }
}

#[test]
fn attribution_names_the_newest_block_and_the_direction() {
    let mut forest = forest(2, 4);
    let mut random = Random::new(2);
    for t in 0..2000 {
        let wave = (t as f64 / 15.0).sin();
        forest.update(&[10.0 * wave + normal(&mut random) * 0.3, 5.0 + normal(&mut random) * 0.3]).unwrap();
    }
    let block = [0.0, -30.0];
    let parts = forest.attribution(&block).unwrap();
    let score = forest.score(&block).unwrap().expected_depth;
    assert!((parts.sum() - score).abs() < 1e-5 * score);
    assert!(parts.low[7] > 0.8 * score, "{parts:?}");
    // far outside the grid as well
    let block = [1e9, 5.0];
    let parts = forest.attribution(&block).unwrap();
    let score = forest.score(&block).unwrap().expected_depth;
    assert!((parts.sum() - score).abs() < 1e-5 * score);
    assert!(parts.high[6] > 0.95 * score, "{parts:?}");
}

#[test]
fn expected_values_follow_the_wave() {
    let mut forest = forest(1, 8);
    let mut random = Random::new(3);
    let wave = |t: usize| 50.0 + 20.0 * (t as f64 * std::f64::consts::TAU / 48.0).sin();
    let (mut error, mut inside) = (0.0, 0);
    for t in 0..4000 {
        let value = wave(t) + normal(&mut random);
        if t >= 3000 {
            let range = forest.forecast().unwrap()[0];
            assert!(range.low <= range.median && range.median <= range.high);
            assert_eq!(forest.expected(&[f64::NAN], &[0]).unwrap()[0], range, "a missing value is not looked at");
            error += (range.median - value).abs() / 1000.0;
            inside += usize::from(range.low <= value && value <= range.high);
        }
        forest.update(&[value]).unwrap();
    }
    // the noise alone gives 0.8; the mean would give 12.7
    assert!(error < 3.0, "{error}");
    assert!(inside > 600, "{inside} of 1000 inside the 80 % range");
}

#[test]
fn expected_uses_the_other_coordinates() {
    let mut forest = forest(2, 1);
    let mut random = Random::new(4);
    for _ in 0..2000 {
        let x = uniform(&mut random) * 100.0;
        forest.update(&[x, 200.0 - x]).unwrap();
    }
    for x in [10.0, 50.0, 90.0] {
        let ranges = forest.expected(&[x, 0.0], &[1]).unwrap();
        assert!((ranges[0].median - (200.0 - x)).abs() < 6.0, "{x}: {ranges:?}");
    }
    assert_eq!(forest.expected(&[1.0, 2.0], &[2]), Err(InputError::Coordinate { coordinate: 2, dims_base: 2 }));
}

#[test]
fn neighbours_and_density() {
    let mut forest = forest(2, 1);
    let mut random = Random::new(5);
    for t in 0..3000 {
        let centre = if t % 10 == 0 { 100.0 } else { 0.0 };
        forest.update(&[centre + normal(&mut random), centre + normal(&mut random)]).unwrap();
    }
    let near = forest.neighbours(&[100.0, 100.0], 3).unwrap();
    assert!(near.len() == 3 && near[0].distance < 2.0);
    assert!(near.windows(2).all(|w| w[0].distance <= w[1].distance));
    let dense = forest.density(&[0.0, 0.0]).unwrap();
    let sparse = forest.density(&[100.0, 100.0]).unwrap();
    let empty = forest.density(&[50.0, 50.0]).unwrap();
    assert!(dense > sparse && sparse > empty && empty >= 0.0, "{dense} {sparse} {empty}");
}

#[test]
fn the_first_points_are_learnt_as_they_are() {
    let values = [3.0, -7.5, 120.0, 0.25, 44.0, 43.0, -9.0, 8.0, 61.0, 2.0, 5.0, -100.0, 17.0];
    let mut forest = Forest::new(Settings::new(1, 8).and_then(|s| s.trees(20)).unwrap());
    for (t, value) in values.iter().enumerate() {
        forest.update(&[*value]).unwrap();
        if t >= 7 {
            let before = &values[..t];
            let near = forest.neighbours(&[*value], 50).unwrap();
            for found in near {
                let known = before.iter().chain([value]).copied().collect::<Vec<f64>>();
                let matches = known.windows(8).any(|w| w.iter().zip(&found.point).all(|(a, b)| (a - b).abs() < 0.05));
                assert!(matches, "{t}: {found:?}");
            }
        }
    }
}

#[test]
fn constant_input_is_quiet_and_a_change_is_not() {
    let mut forest = forest(1, 4);
    for _ in 0..1000 {
        let s = forest.observe(&[7.25]).unwrap();
        assert!(all_fine(&s) && s.expected_depth < 1.0, "{s:?}");
    }
    let quiet = forest.score(&[7.25]).unwrap();
    let change = forest.score(&[7.5]).unwrap();
    assert!(change.expected_depth > 4.0 * quiet.expected_depth && change.log_mass > 0.99, "{quiet:?} {change:?}");
    assert_eq!(forest.forecast().unwrap()[0].median, 7.25);
    let bytes = forest.memory_bytes();
    (0..2000).for_each(|_| forest.update(&[7.25]).unwrap());
    assert_eq!(forest.memory_bytes(), bytes, "repetition costs nothing");
}

#[test]
fn scaling_by_a_power_of_two_changes_no_score() {
    let run = |scale: f64| -> Vec<Scores> {
        let mut forest = forest(1, 4);
        spiky(6, 1500).iter().map(|(value, _)| forest.observe(&[value * scale]).unwrap()).collect()
    };
    let one = run(1.0);
    for exponent in [-900, -300, -20, 3, 40, 900] {
        assert_eq!(run(2.0f64.powi(exponent)), one, "2^{exponent}");
    }
}

#[test]
fn extreme_numbers_are_finite_scores() {
    let extreme =
        [0.0, 1.0, -1.0, 1e300, -1e300, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e-300, 1e9, 1e9 + 1e-7];
    let mut random = Random::new(8);
    let mut forest = forest(2, 3);
    for t in 0..1500 {
        let pick = |random: &mut Random| extreme[random.below(extreme.len() as u32) as usize];
        let block = if t % 3 == 0 { [pick(&mut random), pick(&mut random)] } else { [normal(&mut random), 1.0] };
        let s = forest.observe(&block).unwrap();
        assert!(all_fine(&s), "{t} {block:?}: {s:?}");
        if t > 100 && t % 50 == 0 {
            assert!(forest.attribution(&block).unwrap().sum().is_finite());
            assert!(forest.density(&block).unwrap().is_finite());
            assert!(forest.neighbours(&block, 5).unwrap().iter().all(|n| n.distance.is_finite()));
            assert!(forest.forecast().unwrap().iter().all(|r| r.low.is_finite() && r.high.is_finite()));
        }
    }
}

#[test]
fn one_wild_value_does_not_flatten_the_rest() {
    let run = |wild_at: Option<usize>| {
        let mut forest = forest(1, 1);
        let mut random = Random::new(9);
        for t in 0..6000 {
            let usual = 100.0 + normal(&mut random);
            forest.update(&[if Some(t) == wild_at { 1e12 } else { usual }]).unwrap();
        }
        [forest.score(&[100.5]).unwrap().log_mass, forest.score(&[110.0]).unwrap().log_mass]
    };
    let clean = run(None);
    assert!(clean[1] > clean[0] + 0.3, "{clean:?}");
    for wild_at in [5, 40, 2000, 5990] {
        let wild = run(Some(wild_at));
        // a point in the middle is a leaf's matter and varies more
        assert!(wild[0] < 0.3 && (wild[1] - clean[1]).abs() < 0.08, "{wild_at}: {wild:?} {clean:?}");
    }
}

#[test]
fn a_level_shift_of_any_size_is_learnt() {
    for factor in [3.0, 1e3, 1e6, 1e-3, 1e-6] {
        let mut forest = forest(1, 2);
        let mut random = Random::new(10);
        for t in 0..20_000 {
            let level = if t < 3000 { 1.0 } else { factor };
            forest.update(&[level * (100.0 + normal(&mut random))]).unwrap();
        }
        forest.update(&[factor * 100.0]).unwrap();
        let usual = forest.score(&[factor * 100.2]).unwrap();
        let odd = forest.score(&[factor * 130.0]).unwrap();
        assert!(odd.log_mass > usual.log_mass + 0.3, "{factor}: {usual:?} {odd:?}");
        let expected = forest.forecast().unwrap()[0].median / factor;
        assert!((97.0..103.0).contains(&expected), "{factor}: {expected}");
    }
}

#[test]
fn weak_decay_and_long_shingles_fit_the_names() {
    let settings = Settings::new(1, 24).and_then(|s| s.trees(60)?.time_decay(0.0)).unwrap();
    let mut forest = Forest::new(settings);
    let mut random = Random::new(12);
    for t in 0..40_000 {
        forest.update(&[(t as f64 / 50.0).sin() + 0.1 * normal(&mut random)]).unwrap();
    }
    assert!(all_fine(&forest.score(&[0.3]).unwrap()));
    assert!(Forest::from_bytes(&forest.to_bytes()).is_ok());
}

#[test]
fn wrong_input_is_refused_and_changes_nothing() {
    let mut forest = forest(2, 2);
    let mut random = Random::new(13);
    (0..300).for_each(|_| forest.update(&[normal(&mut random), normal(&mut random)]).unwrap());
    let before = forest.clone();
    for bad in
        [vec![], vec![1.0], vec![1.0; 3], vec![f64::NAN, 1.0], vec![1.0, f64::INFINITY], vec![f64::NEG_INFINITY, 0.0]]
    {
        assert!(forest.update(&bad).is_err());
        assert!(forest.observe(&bad).is_err());
        assert!(forest.score(&bad).is_err());
        assert!(forest.attribution(&bad).is_err());
        assert!(forest.density(&bad).is_err());
        assert!(forest.neighbours(&bad, 1).is_err());
        assert!(forest.expected(&bad, &[]).is_err());
    }
    assert_eq!(forest, before);
    assert_eq!(forest.update(&[1.0]), Err(InputError::Length { expected: 2, found: 1 }));
}

#[test]
fn impossible_settings_are_refused() {
    let fine = Settings::new(1, 8).unwrap();
    assert_eq!(Settings::new(0, 1), Err(SettingsError::Lanes { dims_base: 0, shingle: 1 }));
    assert!(Settings::new(usize::MAX, 2).is_err() && Settings::new(257, 1).is_err() && Settings::new(16, 17).is_err());
    assert!(fine.clone().trees(0).is_err() && fine.clone().trees(254).is_err());
    assert!(fine.clone().sample_size(1).is_err() && fine.clone().sample_size(257).is_err());
    assert!([-1.0, 1.0, f64::NAN].into_iter().all(|v| fine.clone().time_decay(v).is_err()));
    assert!([0.0, 1.1, f64::NAN].into_iter().all(|v| fine.clone().initial_accept(v).is_err()));
    assert!(fine.clone().box_mass(0).is_err() && fine.box_mass(257).is_err());
}

#[test]
fn nothing_is_scored_before_it_is_ready() {
    let mut forest = Forest::new(Settings::new(1, 3).unwrap().output_after(10));
    assert_eq!(forest.forecast(), None);
    assert_eq!(forest.expected(&[1.0], &[0]), Ok(Vec::new()));
    for t in 0..12 {
        assert!(!forest.is_ready());
        assert_eq!(forest.observe(&[f64::from(t)]).unwrap(), Scores::default());
    }
    assert!(forest.is_ready() && forest.points() == 10);
    assert!(forest.score(&[5.0]).unwrap().expected_depth > 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_finite_stream_scores_finite_and_the_box_mass_does_not_matter(
        values in proptest::collection::vec(prop_oneof![any::<f64>(), -5.0..5.0, Just(3.0)], 60..300),
        seed: u64,
    ) {
        let build = |mass| {
            let s = Settings::new(1, 3).and_then(|s| s.trees(5)?.sample_size(32)?.box_mass(mass)?.initial_accept(0.5));
            Forest::new(s.unwrap().seed(seed).output_after(4))
        };
        let (mut small, mut large) = (build(64), build(1));
        for value in values.into_iter().filter(|v| v.is_finite()) {
            let s = small.observe(&[value]).unwrap();
            prop_assert!(all_fine(&s));
            prop_assert_eq!(s, large.observe(&[value]).unwrap());
        }
    }
}

#[test]
fn trees_that_fill_at_different_times_forget_alike() {
    let settings =
        Settings::new(1, 1).and_then(|s| s.trees(60)?.sample_size(64)?.time_decay(0.0)?.initial_accept(0.05));
    let mut forest = Forest::new(settings.unwrap().seed(3));
    // the value is the time, so that a sample shows its age
    let mut worst: f64 = 0.0;
    for t in 1..=600u32 {
        forest.update(&[f64::from(t)]).unwrap();
        if t % 50 == 0 {
            let mut means = [0.0; 2];
            for tree in 0..60 {
                let leaves = forest.trees.leaves(tree);
                let sum: f64 = leaves.iter().map(|(name, _)| forest.frame.value(0, forest.points.get(*name)[0])).sum();
                means[tree % 2] += sum / leaves.len() as f64 / 30.0;
            }
            // uniform ages have a spread of 0.29 t, the mean of 30 trees of 64 a standard error of 0.007 t
            worst = worst.max((means[0] - means[1]).abs() / f64::from(t));
        }
    }
    assert!(worst < 0.04, "{worst}");
}

/// The same bits on every machine and in every build. A change here is a change of results: raise the snapshot version.
#[test]
fn results_are_these_bits() {
    let settings = Settings::new(2, 4).and_then(|s| s.trees(20)?.sample_size(64)?.initial_accept(0.5)).unwrap();
    let mut forest = Forest::new(settings.seed(2026).output_after(20));
    let mut random = Random::new(99);
    let mut bits = 0u64;
    for t in 0..3000 {
        // sums and products only: no function whose last bit could differ
        let wild = if t % 500 == 250 { 40.0 } else { 1.0 };
        let block = [normal(&mut random) * wild, f64::from(t % 50) + uniform(&mut random)];
        let s = forest.observe(&block).unwrap();
        for value in [s.expected_depth, s.log_mass, s.displacement] {
            bits = bits.rotate_left(5) ^ value.to_bits();
        }
    }
    let range = forest.forecast().unwrap()[1];
    let bytes = forest.to_bytes();
    // without the snapshot's own checksum, or any forest would give the same
    let found = (bits, range.median.to_bits(), crc32fast::hash(&bytes[..bytes.len() - 4]));
    assert_eq!(found, (201930270315560538, 4604543590893355008, 199942092));
}

#[test]
fn what_is_set_aside_is_enough_and_not_much_more() {
    for (shingle, trees, sample, mass) in [
        (8, 30, 256, 3),
        (8, 30, 256, 24),
        (4, 40, 256, 3),
        (4, 40, 256, 8),
        (4, 40, 256, 24),
        (4, 10, 64, 3),
        (4, 10, 64, 24),
    ] {
        let settings =
            Settings::new(1, shingle).and_then(|s| s.trees(trees)?.sample_size(sample)?.box_mass(mass)).unwrap();
        // every other one grows up
        let settings = if trees == 30 || mass == 8 { settings.young_trees(8).unwrap() } else { settings };
        let set_aside = settings.memory_bytes_steady();
        for kind in 0..5 {
            let mut forest = Forest::new(settings.clone().seed(kind));
            let mut random = Random::new(5 + kind);
            let mut most = 0;
            for t in 0..12_000u32 {
                let noise = normal(&mut random);
                let value = match kind {
                    0 => noise,
                    1 => 100.0 * (f64::from(t) / 19.0).sin() + 10.0 * noise,
                    2 => (2.0 * noise).round(),
                    3 => (2.0 * noise).exp().min(8.0),
                    _ => 0.01 * noise + if t % 50 == 0 { 8.0 } else { 0.0 },
                };
                forest.update(&[value]).unwrap();
                most = most.max(forest.memory_bytes());
            }
            assert!(most <= set_aside, "{settings:?}, stream {kind}: {most} of {set_aside}");
            assert!(most * 4 > set_aside * 3, "{settings:?}, stream {kind}: {most} of {set_aside}");
        }
    }
}

#[test]
fn a_usual_point_is_told_from_some_trees_and_a_rare_one_from_all() {
    let mut random = Random::new(23);
    let mut forest = Forest::new(Settings::new(1, 4).unwrap().trees(30).unwrap().seed(9));
    let least = Scores { expected_depth: 1.4, log_mass: 0.55, displacement: f64::INFINITY };
    let reaches = |scores: &Scores| scores.expected_depth >= least.expected_depth || scores.log_mass >= least.log_mass;
    let (mut rare, mut usual, mut short) = (0, 0, 0);
    for step in 0..4000u32 {
        let spike = if step % 97 == 0 { 4.0 + normal(&mut random).abs() } else { 0.0 };
        let value = 3.0 * (f64::from(step) * std::f64::consts::TAU / 48.0).sin() + 0.3 * normal(&mut random) + spike;
        let (all, some) = (forest.score(&[value]).unwrap(), forest.score_from(&[value], &least).unwrap());
        if forest.is_ready() && reaches(&all) {
            rare += 1;
            assert_eq!(some, all, "at {step}");
        } else if forest.is_ready() {
            usual += 1;
            short += u32::from(some != all);
            assert!(!reaches(&some), "at {step}: {some:?} of {all:?}");
        }
        forest.update(&[value]).unwrap();
    }
    assert!(rare > 30 && usual > 3000, "{rare} rare, {usual} usual");
    assert!(10 * short > 5 * usual, "{short} of {usual} told from some trees");
}

#[test]
fn a_forest_that_grew_up_is_like_one_that_had_all_its_trees() {
    let mut random = Random::new(31);
    let values: Vec<f64> = (0..120).map(|_| normal(&mut random)).collect();
    let probes = [0.0, 1.5, 4.0];
    // mean and variance of the score of each probe over many seeds, while young and afterwards
    let scored = |young: usize, points: usize| {
        let settings = Settings::new(1, 2).and_then(|s| s.trees(20)?.sample_size(64)?.young_trees(young)).unwrap();
        let scores = (0..150).map(|seed| {
            let mut forest = Forest::new(settings.clone().output_after(10).seed(seed));
            values[..points].iter().for_each(|value| forest.update(&[*value]).unwrap());
            (forest.memory_bytes(), probes.map(|probe| forest.score(&[probe]).unwrap().expected_depth))
        });
        let scores: Vec<(usize, [f64; 3])> = scores.collect();
        let moments = [0, 1, 2].map(|at| {
            let mean = scores.iter().map(|(_, scores)| scores[at]).sum::<f64>() / 150.0;
            (mean, scores.iter().map(|(_, scores)| (scores[at] - mean).powi(2)).sum::<f64>() / 149.0)
        });
        (scores[0].0, moments)
    };
    for (points, is_young) in [(40, true), (66, false), (120, false)] {
        let ((few_bytes, few), (all_bytes, all)) = (scored(4, points), scored(20, points));
        for ((few, few_variance), (all, all_variance)) in few.into_iter().zip(all) {
            let error = ((few_variance + all_variance) / 150.0).sqrt();
            assert!((few - all).abs() < 4.0 * error, "{points} points: {few} and {all} +- {error}");
            let spread = few_variance / all_variance;
            assert!(if is_young { spread > 2.0 } else { spread < 2.0 }, "{points} points: {spread}");
        }
        assert_eq!(3 * few_bytes < all_bytes, is_young, "{points} points: {few_bytes} and {all_bytes} bytes");
    }
}
