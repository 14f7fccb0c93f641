//! The checked parameters of a forest. A [`Settings`] value is always possible; a forest cannot be built from anything else.

use super::error::SettingsError;
use super::forest::{Forest, recent_blocks};
use super::tree::{Head, Node};

/// Most lanes in a point: a cut's lane is one byte.
pub(super) const LANES_MAX: usize = 256;
/// Most points in a tree: a mass on the left side is one byte.
pub(super) const SAMPLE_MAX: usize = 256;
/// Most trees: all members of all samples, and one more, have 16-bit names.
pub(super) const TREES_MAX: usize = 253;

/// Room for nodes, and for points, as a multiple of what lives.
const NODES: f64 = 1.07;
const POINTS: f64 = 1.125;

/// Share of a tree's nodes that have boxes above a mass, and some room: measured, see [`Settings::memory_bytes_steady`].
fn box_share(mass: usize) -> f64 {
    (BOXES / (mass as f64 + BOXES_AFTER)).min(1.0)
}

const BOXES: f64 = 5.8;
const BOXES_AFTER: f64 = 5.0;

/// Parameters of a [`Forest`]. Start with [`Settings::new`], then change what differs from the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub(super) dims_base: usize,
    pub(super) shingle: usize,
    pub(super) trees: usize,
    /// Trees of a young forest; 0 for all.
    pub(super) young_trees: usize,
    pub(super) sample_size: usize,
    pub(super) time_decay: f64,
    pub(super) initial_accept: f64,
    pub(super) output_after: u64,
    pub(super) box_mass: usize,
    pub(super) seed: u64,
}

impl Settings {
    /// A forest over blocks of `dims_base` values, `shingle` blocks to a point; 50 trees of 256 points, decay 1/2560,
    /// every early point accepted, first score after 64 points, boxes above mass 3, seed 0.
    pub fn new(dims_base: usize, shingle: usize) -> Result<Settings, SettingsError> {
        let lanes = dims_base.checked_mul(shingle).unwrap_or(0);
        if !(1..=LANES_MAX).contains(&lanes) {
            return Err(SettingsError::Lanes { dims_base, shingle });
        }
        Ok(Settings {
            dims_base,
            shingle,
            trees: 50,
            young_trees: 0,
            sample_size: 256,
            time_decay: 1.0 / 2560.0,
            initial_accept: 1.0,
            output_after: 64,
            box_mass: 3,
            seed: 0,
        })
    }

    /// Number of trees, 1 to 253. Time and memory are proportional to it; the spread of a score falls with its root.
    pub fn trees(mut self, trees: usize) -> Result<Settings, SettingsError> {
        if !(1..=TREES_MAX).contains(&trees) {
            return Err(SettingsError::Trees(trees));
        }
        self.trees = trees;
        Ok(self)
    }

    /// Trees until the sample is full; the others are then cut from the points of the first, which are all points so far,
    /// and are as good as if they had been there (Guha et al. 2016, theorem 1). What a young forest takes of time and
    /// memory falls in proportion, and its scores spread more. Without effect where [`Settings::initial_accept`] is below
    /// 1, so that trees differ from the start, and where there are no more trees.
    pub fn young_trees(mut self, trees: usize) -> Result<Settings, SettingsError> {
        if !(1..=TREES_MAX).contains(&trees) {
            return Err(SettingsError::Trees(trees));
        }
        self.young_trees = trees;
        Ok(self)
    }

    /// Points held by each tree, 2 to 256.
    pub fn sample_size(mut self, points: usize) -> Result<Settings, SettingsError> {
        if !(2..=SAMPLE_MAX).contains(&points) {
            return Err(SettingsError::SampleSize(points));
        }
        self.sample_size = points;
        Ok(self)
    }

    /// Decay per point: a point of age `a` is in a sample with probability proportional to `exp(-decay * a)`. 0 forgets nothing.
    pub fn time_decay(mut self, decay: f64) -> Result<Settings, SettingsError> {
        if !(0.0..1.0).contains(&decay) {
            return Err(SettingsError::TimeDecay(decay));
        }
        self.time_decay = decay;
        Ok(self)
    }

    /// Share of the sample that takes every point; from there to full the probability falls linearly to 0.
    /// Below 1 the trees differ from the start. 1 fills all trees with the first points.
    pub fn initial_accept(mut self, fraction: f64) -> Result<Settings, SettingsError> {
        if !(fraction > 0.0 && fraction <= 1.0) {
            return Err(SettingsError::InitialAccept(fraction));
        }
        self.initial_accept = fraction;
        Ok(self)
    }

    /// Points learnt before the first score; until then scores are 0 and [`Forest::is_ready`](super::Forest::is_ready) is false.
    pub fn output_after(mut self, points: u64) -> Settings {
        self.output_after = points;
        self
    }

    /// Boxes are kept for subtrees of more than this mass (1 to 256), smaller ones are rebuilt from their points when
    /// needed. Results do not depend on it; memory falls and time rises with it: for 30 trees over 8 lanes 242 KB at 3
    /// (the default), 177 KB at 8, 136 KB and twice the time at 24.
    pub fn box_mass(mut self, mass: usize) -> Result<Settings, SettingsError> {
        if !(1..=SAMPLE_MAX).contains(&mass) {
            return Err(SettingsError::BoxMass(mass));
        }
        self.box_mass = mass;
        Ok(self)
    }

    /// Seed of the forest's generator.
    pub fn seed(mut self, seed: u64) -> Settings {
        self.seed = seed;
        self
    }

    /// Trees that a forest begins with.
    pub(super) fn first_trees(&self) -> usize {
        let has_young = self.young_trees > 0 && self.initial_accept >= 1.0;
        if has_young { self.young_trees.min(self.trees) } else { self.trees }
    }

    /// Bytes to set aside for a forest in its steady state, before there is one. With `N` points in each of `T` trees,
    /// shingle `s`, decay `l` and `a = N l`, the blocks that some tree holds are
    /// `1/l * sum over k = 1..T s of (1 - (1-a)^k) / k`; the store has room for an eighth more. A tree has `N` nodes and a fifteenth
    /// more. How many of them have boxes depends on the data: set aside is what data without order, waves, whole numbers,
    /// heavy tails and lone spikes take at most. Magnitudes that double at every step take a quarter more where few
    /// boxes are kept, a constant next to nothing.
    pub fn memory_bytes_steady(&self) -> usize {
        let (trees, sample) = (self.trees as f64, self.sample_size as f64);
        let boxes = (sample * box_share(self.box_mass) + 5.0).min(sample);
        let nodes = NODES * sample + 4.0;
        let tree = size_of::<Head>() as f64 + nodes * size_of::<Node>() as f64 + boxes * 4.0 * self.lanes() as f64;
        let unit = (2 * self.dims_base + 1) as f64;
        let points = POINTS * self.units_steady() * unit + 64.0 * unit;
        let rest = 8 * self.dims_base * recent_blocks(self) + 10 * self.dims_base + size_of::<Forest>();
        (trees * tree + points) as usize + rest
    }

    /// Blocks that some tree holds, in the steady state.
    fn units_steady(&self) -> f64 {
        let all = (self.trees * self.sample_size * self.shingle) as f64;
        let a = self.sample_size as f64 * self.time_decay;
        if a <= 0.0 || a >= 1.0 {
            return all;
        }
        let (mut sum, mut stay) = (0.0, 1.0);
        for k in 1..=self.trees * self.shingle {
            stay *= 1.0 - a;
            sum += (1.0 - stay) / k as f64;
        }
        (sum / self.time_decay).min(all)
    }

    /// Values in one block.
    pub fn dims_base(&self) -> usize {
        self.dims_base
    }

    /// Blocks in one point.
    pub fn shingle(&self) -> usize {
        self.shingle
    }

    /// Coordinates of one point: `dims_base * shingle`.
    pub fn lanes(&self) -> usize {
        self.dims_base * self.shingle
    }
}
