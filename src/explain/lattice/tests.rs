//! What the scan promises of any leaves, and what it says of a few.

use proptest::prelude::*;

use super::*;

const SIZES: [u32; 3] = [4, 6, 5];

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Roughly normal.
    fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Leaf {
    codes: Vec<u32>,
    amount: Amount,
    over: Amount,
}

/// Leaves of every combination, forecast to some percent, whose amounts are changed by `factor`.
fn world(seed: u64, error: f64, factor: impl Fn(&[u32]) -> f64) -> Vec<Leaf> {
    let mut random = Random(seed);
    let mut leaves = Vec::new();
    for a in 0..SIZES[0] {
        for b in 0..SIZES[1] {
            for c in 0..SIZES[2] {
                let codes = vec![a, b, c];
                let expected = 1000.0 + 9000.0 * random.unit();
                let value = expected * (1.0 + error * random.noise()) * factor(&codes);
                leaves.push(Leaf { codes, amount: Amount { value, expected }, over: Amount::ZERO });
            }
        }
    }
    leaves
}

fn of(kind: Kind, leaves: &[Leaf]) -> Explanation {
    let mut all = Leaves::new(kind, SIZES.len());
    leaves.iter().for_each(|leaf| all.push_over(&leaf.codes, leaf.amount, leaf.over, 0.0));
    explain(&all)
}

fn slices(explanation: &Explanation) -> Vec<Vec<(usize, u32)>> {
    let mut slices: Vec<_> = explanation.causes.iter().map(|cause| cause.slice.clone()).collect();
    slices.sort();
    slices
}

fn adds_up(explanation: &Explanation) -> bool {
    let sum = explanation.causes.iter().map(|cause| cause.share).sum::<f64>() + explanation.unexplained;
    let matrix =
        explanation.matrix.iter().all(|shares| (shares.iter().map(|share| share.1).sum::<f64>() - 1.0).abs() < 1e-9);
    (sum - 1.0).abs() < 1e-9 && matrix
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs()))
}

#[test]
fn one_broken_slice_is_the_cause_and_has_its_share() {
    let said = of(Kind::Additive, &world(1, 0.02, |codes| if codes[0] == 2 && codes[2] == 3 { 0.4 } else { 1.0 }));
    assert_eq!(slices(&said), [[(0, 2), (2, 3)]]);
    let cause = &said.causes[0];
    assert!((cause.amount.value / cause.amount.expected - 0.4).abs() < 0.02 && cause.shift < -0.5);
    assert!(cause.share > 0.8 && cause.share < 1.2 && adds_up(&said) && !said.external);
    assert_eq!((cause.leaves, cause.effects), (6, None));
    // all of what the causes explain is at these two values, and evenly spread over the third dimension
    assert_eq!((said.matrix[0].len(), said.matrix[1].len(), said.matrix[2][0].0), (1, 6, 3));
}

#[test]
fn two_slices_that_overlap_in_nothing_are_two_causes_that_may_offset_each_other() {
    let factor = |codes: &[u32]| match (codes[0], codes[1]) {
        (0, _) => 0.5,
        (1, 2) => 2.5,
        _ => 1.0,
    };
    let said = of(Kind::Additive, &world(2, 0.02, factor));
    assert_eq!(slices(&said), [vec![(0, 0)], vec![(0, 1), (1, 2)]]);
    assert!(adds_up(&said));
    // half of all leaves are off: how far they usually are must be known
    let mut even = Leaves::new(Kind::Additive, SIZES.len());
    for leaf in world(3, 0.01, |_| 1.0) {
        let factor = [0.6, 1.4, 1.001, 0.999][leaf.codes[0] as usize];
        even.push(&leaf.codes, Amount { value: 5000.0 * factor, expected: 5000.0 }, 250.0);
    }
    let said = explain(&even);
    assert_eq!((slices(&said), said.basis), (vec![vec![(0, 0)], vec![(0, 1)]], Basis::Gross));
    assert!(adds_up(&said) && said.causes.iter().all(|cause| (cause.share - 0.5).abs() < 0.01));
}

#[test]
fn where_nothing_happened_nothing_is_said() {
    for seed in 0..200 {
        let said = of(Kind::Additive, &world(seed, 0.08, |_| 1.0));
        assert!(said.causes.is_empty() && !said.external && said.matrix.is_empty(), "{seed}: {said:?}");
        assert!(near(said.unexplained, 1.0));
    }
    for none in [vec![], world(1, 0.0, |_| 0.0)[..0].to_vec()] {
        assert!(of(Kind::Ratio, &none).causes.is_empty());
    }
    assert!(explain(&Leaves::new(Kind::Additive, 0)).causes.is_empty());
}

#[test]
fn what_moves_everything_alike_lies_outside() {
    for (seed, factor) in [(1, 0.7), (2, 1.2), (3, 0.94)] {
        let said = of(Kind::Additive, &world(seed, 0.05, |_| factor));
        assert!(said.external && said.causes.is_empty(), "{factor}: {said:?}");
    }
}

#[test]
fn a_value_that_is_the_same_everywhere_is_no_second_cause() {
    let plot = |codes: &[u32]| if codes[0] == 2 { 0.2 } else { 0.9 };
    let mut leaves = world(8, 0.02, plot);
    leaves.iter_mut().for_each(|leaf| leaf.codes.push(0));
    let mut all = Leaves::new(Kind::Additive, SIZES.len() + 1);
    leaves.iter().for_each(|leaf| all.push_over(&leaf.codes, leaf.amount, leaf.over, 0.0));
    assert_eq!(slices(&explain(&all)), slices(&of(Kind::Additive, &world(8, 0.02, plot))));
    assert_eq!(slices(&explain(&all)), [[(0, 2)]]);
}

#[test]
fn a_whole_that_is_one_leaf_or_one_dimension_is_explained_too() {
    let mut leaves = Leaves::new(Kind::Additive, 1);
    for code in 0..30 {
        leaves.push(
            &[code],
            Amount { value: if code == 7 { 2.0 } else { 1000.0 }, expected: 1000.0 + f64::from(code) },
            30.0,
        );
    }
    let said = explain(&leaves);
    assert_eq!(slices(&said), [[(0, 7)]]);
    assert!((said.causes[0].share - 0.7).abs() < 0.05, "998 of 1433");
}

/// Rates of 10 %, or less where the factor says so.
fn rates(seed: u64, kind: Kind, factor: impl Fn(&[u32]) -> f64) -> Vec<Leaf> {
    let mut random = Random(seed);
    let mut leaves = world(seed, 0.03, |_| 1.0);
    for leaf in &mut leaves {
        let rate = if kind == Kind::Ratio { 0.05 + 0.1 * random.unit() } else { 20.0 + 10.0 * random.unit() };
        leaf.over = leaf.amount;
        leaf.amount.expected = rate * leaf.over.expected;
        let mean = rate * factor(&leaf.codes) * leaf.over.value;
        leaf.amount.value = (mean + mean.sqrt() * random.noise()).max(0.0);
    }
    leaves
}

#[test]
fn a_rate_that_fell_in_one_slice_is_a_rate_effect() {
    for kind in [Kind::Ratio, Kind::Average] {
        let said = of(kind, &rates(4, kind, |codes| if codes[1] == 4 { 0.5 } else { 1.0 }));
        assert_eq!(slices(&said), [[(1, 4)]], "{kind:?}");
        let (cause, rate) = (&said.causes[0], said.rate.unwrap());
        let effects = cause.effects.unwrap();
        assert!(effects.rate < 0.0 && effects.mix.abs() < 0.1 * effects.rate.abs() && adds_up(&said));
        let change = said.total.deviation();
        assert!(near(rate.effects.rate + rate.effects.mix, change) && near(rate.numerator + rate.denominator, change));
        assert!(rate.numerator < 0.0 && rate.denominator.abs() < 0.2 * rate.numerator.abs());
    }
}

#[test]
fn a_success_rate_is_judged_by_its_failures() {
    let mut leaves = rates(5, Kind::Ratio, |codes| if codes[2] == 1 { 3.0 } else { 1.0 });
    for leaf in &mut leaves {
        leaf.amount =
            Amount { value: leaf.over.value - leaf.amount.value, expected: leaf.over.expected - leaf.amount.expected };
    }
    let said = of(Kind::Ratio, &leaves);
    assert_eq!(slices(&said), [[(2, 1)]]);
    assert!(said.causes[0].shift < 0.0 && said.causes[0].amount.value < said.causes[0].amount.expected);
}

#[test]
fn traffic_that_moved_is_a_mix_effect_and_no_cause_of_the_rate() {
    let mut leaves = rates(6, Kind::Ratio, |_| 1.0);
    for leaf in &mut leaves {
        // half of the dimension has a high rate, and loses its traffic
        let rate = if leaf.codes[0] < 2 { 0.3 } else { 0.05 };
        let left = if leaf.codes[0] < 2 { 0.4 } else { 1.0 };
        leaf.over.value = leaf.over.expected * left;
        leaf.amount = Amount { value: rate * leaf.over.value, expected: rate * leaf.over.expected };
    }
    let said = of(Kind::Ratio, &leaves);
    let rate = said.rate.unwrap();
    assert!(said.causes.is_empty(), "{said:?}");
    assert!(
        rate.effects.rate.abs() < 1e-9 && near(rate.effects.mix, said.total.deviation()) && rate.effects.mix < -0.02
    );
}

/// Leaves of no pattern at all, some of them twice.
fn any_leaves() -> impl Strategy<Value = Vec<Leaf>> {
    let amount = || (0.0f64..1e6, 0.0f64..1e6).prop_map(|(value, expected)| Amount { value, expected });
    let leaf = (prop::collection::vec(0u32..4, 3), amount(), amount());
    let leaf = leaf.prop_map(|(codes, amount, over)| Leaf { codes, amount, over });
    prop::collection::vec(leaf, 1..80)
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Additive, Kind::Ratio, Kind::Average, Kind::Level])
}

/// A planted slice, in one of two worlds, and how the leaves are turned.
fn any_cause() -> impl Strategy<Value = (u64, Vec<Option<u32>>, f64)> {
    let slice = SIZES.map(|size| prop::option::of(0..size)).to_vec();
    let slice = slice.prop_filter("of a dimension", |slice| slice.iter().any(Option::is_some));
    (0u64..1000, slice, prop::sample::select(vec![0.1, 0.4, 2.5]))
}

fn planted(seed: u64, slice: &[Option<u32>], factor: f64) -> Vec<Leaf> {
    let is_inside =
        |codes: &[u32]| codes.iter().zip(slice).all(|(code, wanted)| wanted.is_none_or(|wanted| wanted == *code));
    world(seed, 0.03, |codes| if is_inside(codes) { factor } else { 1.0 })
}

proptest! {
    #[test]
    fn shares_add_up_whatever_comes(kind in any_kind(), leaves in any_leaves()) {
        let said = of(kind, &leaves);
        prop_assert!(adds_up(&said), "{said:?}");
        prop_assert!(said.causes.iter().all(|cause| cause.share.is_finite() && cause.gain.is_finite() && cause.leaves > 0));
        let leaves: usize = said.causes.iter().map(|cause| cause.leaves).sum();
        prop_assert!(leaves <= 64, "no leaf is in two causes");
    }

    #[test]
    fn a_planted_slice_is_found_in_any_order((seed, slice, factor) in any_cause(), turn in 1usize..119) {
        let mut leaves = planted(seed, &slice, factor);
        let said = of(Kind::Additive, &leaves);
        let wanted: Vec<(usize, u32)> = slice.iter().enumerate().filter_map(|(dim, code)| code.map(|code| (dim, code))).collect();
        prop_assert_eq!(slices(&said), vec![wanted]);
        leaves.rotate_left(turn);
        leaves.reverse();
        let turned = of(Kind::Additive, &leaves);
        prop_assert_eq!(slices(&said), slices(&turned));
        prop_assert!(near(said.causes[0].share, turned.causes[0].share) && near(said.causes[0].gain, turned.causes[0].gain));
    }

    #[test]
    fn a_leaf_in_two_parts_is_one_leaf((seed, slice, factor) in any_cause(), every in 1usize..9) {
        let leaves = planted(seed, &slice, factor);
        let mut parts = Vec::new();
        for (at, leaf) in leaves.iter().enumerate() {
            let cut = if at % every == 0 { 0.25 } else { 0.0 };
            for part in [cut, 1.0 - cut].into_iter().filter(|part| *part > 0.0) {
                let amount = Amount { value: part * leaf.amount.value, expected: part * leaf.amount.expected };
                parts.push(Leaf { amount, ..leaf.clone() });
            }
        }
        let (whole, parts) = (of(Kind::Additive, &leaves), of(Kind::Additive, &parts));
        prop_assert_eq!(slices(&whole), slices(&parts));
        prop_assert!(near(whole.unexplained, parts.unexplained));
    }

    #[test]
    fn codes_are_names_and_their_size_means_nothing((seed, slice, factor) in any_cause(), far in 1u32..1_000_000) {
        let leaves = planted(seed, &slice, factor);
        let mut renamed = leaves.clone();
        renamed.iter_mut().for_each(|leaf| leaf.codes.iter_mut().for_each(|code| *code = (5 - *code) * far));
        let (said, other) = (of(Kind::Additive, &leaves), of(Kind::Additive, &renamed));
        let back = |(dim, code): &(usize, u32)| (*dim, 5 - code / far);
        let mut named: Vec<Vec<_>> = slices(&other).iter().map(|slice| slice.iter().map(back).collect()).collect();
        named.sort();
        prop_assert_eq!(slices(&said), named);
    }

    #[test]
    fn the_unit_of_an_amount_means_nothing((seed, slice, factor) in any_cause(), unit in prop::sample::select(vec![1e-6, 0.01, 1e9])) {
        let leaves = planted(seed, &slice, factor);
        let mut scaled = leaves.clone();
        for leaf in &mut scaled {
            leaf.amount = Amount { value: unit * leaf.amount.value, expected: unit * leaf.amount.expected };
        }
        prop_assert_eq!(slices(&of(Kind::Additive, &leaves)), slices(&of(Kind::Additive, &scaled)));
    }
}
