//! The tree against its definition: masses, boxes, cuts; insert and delete as inverses; the distribution of cuts.

use proptest::prelude::*;

use super::super::lanes::{self, Query};
use super::super::points::Points;
use super::super::random::Random;
use super::*;

const SAMPLE: usize = 64;

/// A tree, its points and a generator.
struct Bed {
    trees: Trees,
    points: Points,
    random: Random,
    lanes: usize,
}

impl Bed {
    fn new(lanes: usize, box_mass: usize, seed: u64) -> Bed {
        Bed::of(Trees::new(1, lanes, box_mass), lanes, seed)
    }

    fn of(trees: Trees, lanes: usize, seed: u64) -> Bed {
        Bed { trees, points: Points::new(lanes, 1), random: Random::new(seed), lanes }
    }

    fn query(&self, point: &[u16]) -> Query {
        let mut q = Query::new(self.lanes);
        point.iter().enumerate().for_each(|(lane, v)| q.set(lane, *v));
        q
    }

    fn insert(&mut self, point: &[u16]) {
        let (name, _) = self.points.append(point);
        let q = self.query(point);
        if self.trees.insert(0, &q, name, 1, &self.points, &mut self.random, &mut Work::new()) {
            self.points.hold(name);
        }
    }

    fn delete(&mut self, rank: u32) -> Vec<u16> {
        let removed = self.trees.delete(0, rank, &self.points, &mut Work::new());
        if removed.gone {
            self.points.release(removed.name);
        }
        self.points.get(removed.name).to_vec()
    }

    /// Rank of a point's leaf.
    fn rank(&self, point: &[u16]) -> u32 {
        let mut rank = 0;
        for (name, mass) in self.trees.leaves(0) {
            if self.points.get(name) == point {
                return rank;
            }
            rank += mass;
        }
        panic!("the point is not in the tree")
    }

    /// The tree from the root down: cuts, masses, points, boxes. Numbers of nodes do not show.
    fn shape(&self) -> Vec<String> {
        let head = self.trees.head(0);
        let mut shape = Vec::new();
        let mut open = vec![(head.root, u32::from(head.mass))];
        while let Some((name, mass)) = open.pop().filter(|_| head.mass > 0) {
            if is_leaf(name) {
                shape.push(format!("leaf {:?} x {mass}", self.points.get(name)));
            } else {
                let node = self.trees.nodes(0)[usize::from(name)];
                let mut b = vec![0; 2 * self.lanes];
                self.trees.copy_box::<0>(0, name, &self.points, &mut b);
                shape.push(format!("cut {} at {} mass {mass} box {b:?}", node.lane, node.cut));
                let left = u32::from(node.left_mass);
                open.extend([(node.sides[1], mass - left), (node.sides[0], left)]);
            }
        }
        shape
    }

    /// Checks every rule of the layout; answers the multiset of points held.
    fn verify(&self) -> Vec<Vec<u16>> {
        self.verify_tree(0)
    }

    fn verify_tree(&self, tree: usize) -> Vec<Vec<u16>> {
        let head = self.trees.head(tree);
        let mut held = Vec::new();
        let mut numbers = Vec::new();
        if head.mass > 0 {
            self.verify_below(tree, head.root, u32::from(head.mass), &mut held, &mut numbers);
        }
        // every node is in the tree or free, and none twice
        for mut free in head.free {
            while free != NONE {
                numbers.push(free);
                free = self.trees.nodes(tree)[usize::from(free)].sides[0];
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..self.trees.nodes(tree).len() as u16).collect::<Vec<_>>(), "no node is lost");
        assert_eq!(held.len(), usize::from(head.mass), "mass is conserved");
        held.sort();
        held
    }

    fn verify_below(
        &self,
        tree: usize,
        name: u16,
        mass: u32,
        held: &mut Vec<Vec<u16>>,
        numbers: &mut Vec<u16>,
    ) -> Vec<u16> {
        if is_leaf(name) {
            assert!(mass > 0 && self.points.is_held(name));
            let point = self.points.get(name);
            (0..mass).for_each(|_| held.push(point.to_vec()));
            let mut b = vec![0; 2 * self.lanes];
            lanes::start::<0>(&mut b, point);
            return b;
        }
        numbers.push(name);
        let node = self.trees.nodes(tree)[usize::from(name)];
        let left_mass = u32::from(node.left_mass);
        assert!(left_mass > 0 && left_mass < mass);
        let left = self.verify_below(tree, node.sides[0], left_mass, held, numbers);
        let mut b = self.verify_below(tree, node.sides[1], mass - left_mass, held, numbers);
        let lane = usize::from(node.lane);
        assert!(lanes::TOP - left[self.lanes + lane] <= node.cut && node.cut < b[lane], "the cut separates");
        lanes::grow::<0>(&mut b, &left);
        assert_eq!(self.trees.is_boxed(name), mass > self.trees.box_mass, "boxes above the mass");
        if self.trees.is_boxed(name) {
            assert_eq!(self.trees.box_of::<0>(tree, name), b, "boxes are tight");
        }
        b
    }
}

/// What to do next: insert a point, or delete the member at a share of the mass.
#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<u16>),
    Delete(f64),
    Trim,
}

fn point(lanes: usize) -> impl Strategy<Value = Vec<u16>> {
    // few values, so that equal points and equal coordinates are common; and the ends of the grid
    proptest::collection::vec(prop_oneof![4 => 0u16..6, 1 => Just(u16::MAX), 2 => any::<u16>()], lanes)
}

fn steps(lanes: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![3 => point(lanes).prop_map(Step::Insert), 2 => (0.0..1.0).prop_map(Step::Delete), 1 => Just(Step::Trim)];
    proptest::collection::vec(step, 1..120)
}

fn box_mass() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1usize), Just(2), Just(3), Just(8), Just(256)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_mass_boxes_and_cuts(steps in steps(3), box_mass in box_mass(), seed: u64) {
        let mut bed = Bed::new(3, box_mass, seed);
        let mut expected: Vec<Vec<u16>> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(point) if expected.len() < SAMPLE => {
                    bed.insert(&point);
                    expected.push(point);
                }
                Step::Delete(share) if !expected.is_empty() => {
                    let gone = bed.delete((share * expected.len() as f64) as u32);
                    let at = expected.iter().position(|p| *p == gone).expect("a member was deleted");
                    expected.swap_remove(at);
                }
                Step::Trim => {
                    let before = bed.shape();
                    bed.trees.trim();
                    prop_assert_eq!(bed.shape(), before);
                }
                _ => {}
            }
            expected.sort();
            prop_assert_eq!(bed.verify(), expected.clone());
        }
    }

    #[test]
    fn insert_then_delete_restores_the_tree(
        first in proptest::collection::vec(point(3), 1..40), extra in point(3), box_mass in box_mass(), seed: u64,
    ) {
        let mut bed = Bed::new(3, box_mass, seed);
        first.iter().for_each(|p| bed.insert(p));
        let before = bed.shape();
        bed.insert(&extra);
        prop_assert_ne!(bed.shape(), before.clone());
        bed.delete(bed.rank(&extra));
        prop_assert_eq!(bed.shape(), before);
        bed.verify();
    }

    #[test]
    fn completed_trees_hold_the_points_of_the_first(
        all in proptest::collection::vec(point(4), 1..SAMPLE), box_mass in box_mass(), seed: u64, lanes in 1..=4usize,
    ) {
        let trees = Trees::new(4, lanes, box_mass).beginning_with(1).expecting(SAMPLE);
        let mut bed = Bed::of(trees, lanes, seed);
        all.iter().for_each(|point| bed.insert(&point[..lanes]));
        let before = (bed.shape(), bed.trees.nodes.len());
        let leaves = bed.trees.leaves(0);
        let more = bed.trees.complete(&leaves, &bed.points, &mut bed.random);
        prop_assert_eq!((more, bed.trees.in_use()), (3, 4));
        prop_assert!(bed.trees.nodes.len() >= 4 * before.1, "there was no room for them before");
        prop_assert_eq!(bed.shape(), before.0, "the first stays as it is");
        for tree in 0..4 {
            prop_assert_eq!(bed.verify_tree(tree), bed.verify());
        }
    }

    #[test]
    fn the_box_mass_changes_no_result(steps in steps(2), a in box_mass(), b in box_mass(), seed: u64) {
        let (mut a, mut b) = (Bed::new(2, a, seed), Bed::new(2, b, seed));
        for step in steps {
            let mass = a.trees.mass(0);
            match step {
                Step::Insert(p) if mass < SAMPLE as u32 => [&mut a, &mut b].into_iter().for_each(|bed| bed.insert(&p)),
                Step::Delete(share) if mass > 0 => {
                    let rank = (share * f64::from(mass)) as u32;
                    prop_assert_eq!(a.delete(rank), b.delete(rank));
                }
                _ => {}
            }
            prop_assert_eq!(a.shape(), b.shape());
        }
    }
}

/// Pearson's statistic.
fn chi_square(seen: &[f64], expected: &[f64]) -> f64 {
    seen.iter().zip(expected).map(|(s, e)| (s - e) * (s - e) / e).sum()
}

/// The root cuts of many trees over the same points, as (lane, cut).
fn root_cuts(build: impl Fn(&mut Bed, &mut Random), count: u64) -> Vec<(u8, u16)> {
    let mut order = Random::new(99);
    (0..count)
        .map(|seed| {
            let mut bed = Bed::of(Trees::new(2, 3, 2).beginning_with(1), 3, seed * 7919);
            build(&mut bed, &mut order);
            let tree = bed.trees.in_use() - 1;
            let node = bed.trees.nodes(tree)[usize::from(bed.trees.head(tree).root)];
            (node.lane, node.cut)
        })
        .collect()
}

fn shuffled(mut points: Vec<[u16; 3]>, random: &mut Random) -> Vec<[u16; 3]> {
    for i in (1..points.len()).rev() {
        points.swap(i, random.below(i as u32 + 1) as usize);
    }
    points
}

/// Points whose box has sides 1000, 3000 and 6000.
fn members() -> Vec<[u16; 3]> {
    vec![
        [0, 500, 9000],
        [1000, 3500, 9100],
        [400, 800, 15000],
        [300, 900, 14000],
        [700, 2000, 9050],
        [600, 2100, 12000],
    ]
}

#[test]
fn root_cuts_fall_in_proportion_to_the_sides() {
    let count = 20_000;
    let inserted = root_cuts(|bed, order| shuffled(members(), order).iter().for_each(|p| bed.insert(p)), count);
    // the same set, reached over visitors that came and went
    let visited = root_cuts(
        |bed, order| {
            let visitors = vec![[5, 4000, 60000], [40_000, 10, 9500], [500, 1500, 10_000], [0, 0, 0]];
            shuffled([members(), visitors.clone()].concat(), order).iter().for_each(|p| bed.insert(p));
            for visitor in visitors {
                bed.delete(bed.rank(&visitor));
            }
        },
        count,
    );
    // or cut at once, as another tree of the same points
    let completed = root_cuts(
        |bed, _| {
            members().iter().for_each(|p| bed.insert(p));
            let leaves = bed.trees.leaves(0);
            bed.trees.complete(&leaves, &bed.points, &mut bed.random);
        },
        count,
    );
    for cuts in [inserted, visited, completed] {
        let n = count as f64;
        let mut lanes = [0.0; 3];
        cuts.iter().for_each(|(lane, _)| lanes[usize::from(*lane)] += 1.0);
        // 2 degrees of freedom: above 13.8 once in a thousand
        let statistic = chi_square(&lanes, &[n * 0.1, n * 0.3, n * 0.6]);
        assert!(statistic < 13.8, "lanes {lanes:?}: {statistic}");
        let mut places = [0.0; 6];
        for (_, cut) in cuts.iter().filter(|(lane, _)| *lane == 2) {
            places[usize::from((cut - 9000) / 1000)] += 1.0;
        }
        // 5 degrees of freedom: above 20.5 once in a thousand
        let statistic = chi_square(&places, &[lanes[2] / 6.0; 6]);
        assert!(statistic < 20.5, "places {places:?}: {statistic}");
    }
}
