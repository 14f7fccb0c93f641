//! The forest: one stream of blocks in, questions about the next block answered. Checks come first, so that a refused
//! block changes nothing; the arithmetic is in the other files.

use super::attribution::{self, Attribution};
use super::error::{InputError, SettingsError};
use super::frame::{Extent, Frame};
use super::impute::{self, Range};
use super::lanes::Query;
use super::neighbour::{self, Neighbour};
use super::points::Points;
use super::random::Random;
use super::sampler::{Sampler, Verdict};
use super::score::{self, Scores};
use super::settings::Settings;
use super::tree::{Trees, Work};

/// Real values of this many blocks at least are remembered, to judge the step of the grid.
const RECENT_MIN: usize = 32;
/// Before so many blocks nothing is typical yet, and the grid takes any value.
const BLOCKS_TYPICAL: u64 = 16;
/// So many members of the samples are enough to judge it.
const MEMBERS_JUDGED: usize = 1024;
/// The grid is checked after this many blocks, and at smaller powers of two.
const CHECK_EVERY: u64 = 2048;

/// A random cut forest over a stream of blocks.
///
/// ```text
/// let mut forest = Forest::new(Settings::new(1, 8)?.trees(30)?.seed(1));
/// for block in stream { let scores = forest.observe(&block)?; }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    pub(super) settings: Settings,
    pub(super) frame: Frame,
    /// Real values of the last blocks, a ring of `recent_blocks` blocks.
    pub(super) recent: Vec<f64>,
    /// Blocks seen.
    pub(super) blocks: u64,
    pub(super) sampler: Sampler,
    pub(super) random: Random,
    pub(super) points: Points,
    pub(super) trees: Trees,
}

impl Forest {
    /// An empty forest. It allocates points, nodes and boxes as they come.
    pub fn new(settings: Settings) -> Forest {
        let s = &settings;
        Forest {
            frame: Frame::new(s.dims_base),
            recent: vec![0.0; recent_blocks(s) * s.dims_base],
            blocks: 0,
            sampler: Sampler::new(s.time_decay, s.initial_accept, 0.0),
            random: Random::new(s.seed),
            points: Points::new(s.dims_base, s.shingle),
            trees: Trees::new(s.trees, s.lanes(), s.box_mass).beginning_with(s.first_trees()).expecting(s.sample_size),
            settings,
        }
    }

    /// Learns one block. Time: a fraction of a microsecond per tree that takes the point, near nothing for the others; at the
    /// end of a forest's youth ([`Settings::young_trees`]) some ten microseconds per tree that is cut.
    pub fn update(&mut self, block: &[f64]) -> Result<(), InputError> {
        self.check(block)?;
        self.fit(block);
        let q = self.query(block);
        self.take(block, &q);
        Ok(())
    }

    /// Scores of the point that would end in `block`, without learning it. All 0 until [`Forest::is_ready`].
    pub fn score(&self, block: &[f64]) -> Result<Scores, InputError> {
        self.check(block)?;
        if !self.is_ready() {
            return Ok(Scores::default());
        }
        Ok(score::scores(&self.trees, &self.points, &self.query(block)))
    }

    /// [`Forest::score`] for who asks only whether a score is as large as in `least`: a point that the first trees agree to
    /// be more usual, by three standard errors, gets the mean over these alone. That takes half the time, and the rest
    /// of a forest need not be fetched.
    pub fn score_from(&self, block: &[f64], least: &Scores) -> Result<Scores, InputError> {
        self.check(block)?;
        if !self.is_ready() {
            return Ok(Scores::default());
        }
        Ok(score::scores_from(least, &self.trees, &self.points, &self.query(block)))
    }

    /// Scores a block, then learns it: [`Forest::score`] and [`Forest::update`] in one.
    pub fn observe(&mut self, block: &[f64]) -> Result<Scores, InputError> {
        self.check(block)?;
        let mut q = self.query(block);
        let mut scores = Scores::default();
        if self.is_ready() {
            scores = score::scores(&self.trees, &self.points, &q);
        }
        if self.fit(block) {
            q = self.query(block);
        }
        self.take(block, &q);
        Ok(scores)
    }

    /// The expected-depth score of a block split over the lanes of its point. All 0 until [`Forest::is_ready`].
    pub fn attribution(&self, block: &[f64]) -> Result<Attribution, InputError> {
        self.check(block)?;
        let lanes = self.settings.lanes();
        if !self.is_ready() {
            return Ok(Attribution::zero(lanes));
        }
        let mut beyond = Vec::with_capacity(lanes);
        self.each_lane(block, |_, dim, value| beyond.push(self.frame.beyond(dim, value)));
        Ok(attribution::attribution(&self.trees, &self.points, &self.query(block), &beyond))
    }

    /// Where the `missing` coordinates of the newest block are expected, given its other coordinates and the blocks
    /// before: one range per entry of `missing`, in its order. The values of the block at `missing` are not looked at.
    /// Empty if nothing is learnt yet.
    pub fn expected(&self, block: &[f64], missing: &[usize]) -> Result<Vec<Range>, InputError> {
        let dims_base = self.settings.dims_base;
        if let Some(coordinate) = missing.iter().copied().find(|c| *c >= dims_base) {
            return Err(InputError::Coordinate { coordinate, dims_base });
        }
        let mut filled = block.to_vec();
        for coordinate in missing {
            if let Some(value) = filled.get_mut(*coordinate) {
                *value = self.frame.value(*coordinate, 0);
            }
        }
        self.check(&filled)?;
        if self.points() == 0 {
            return Ok(Vec::new());
        }
        let first = dims_base * (self.settings.shingle - 1);
        let lanes: Vec<usize> = missing.iter().map(|coordinate| first + coordinate).collect();
        let found = impute::quantiles(&self.trees, &self.points, &self.query(&filled), &lanes);
        let real = |(q, dim): (&[u16; 3], &usize)| {
            let [low, median, high] = q.map(|v| self.frame.value(*dim, v));
            Range { low, median, high }
        };
        Ok(found.iter().zip(missing).map(real).collect())
    }

    /// The next block given the last ones, one range per coordinate. `None` if nothing is learnt yet.
    pub fn forecast(&self) -> Option<Vec<Range>> {
        let all: Vec<usize> = (0..self.settings.dims_base).collect();
        let ranges = self.expected(&vec![0.0; all.len()], &all).ok()?;
        (!ranges.is_empty()).then_some(ranges)
    }

    /// Up to `n` learnt points that the block's point falls to, nearest first.
    pub fn neighbours(&self, block: &[f64], n: usize) -> Result<Vec<Neighbour>, InputError> {
        self.check(block)?;
        if self.points() == 0 {
            return Ok(Vec::new());
        }
        let mut asked = Vec::with_capacity(self.settings.lanes());
        self.each_lane(block, |_, _, value| asked.push(value));
        let dims = self.settings.dims_base;
        let leaves = neighbour::leaves(&self.trees, &self.query(block));
        Ok(neighbour::nearest(&self.points, leaves, n, &asked, |lane, v| self.frame.value(lane % dims, v)))
    }

    /// Learnt points per unit of length (L1 over all lanes) around the block's point; see `score`. 0 until ready.
    pub fn density(&self, block: &[f64]) -> Result<f64, InputError> {
        self.check(block)?;
        if !self.is_ready() {
            return Ok(0.0);
        }
        Ok(score::density(&self.trees, &self.points, &self.query(block)) / self.frame.step())
    }

    /// Points seen: blocks since the first shingle was complete.
    pub fn points(&self) -> u64 {
        (self.blocks + 1).saturating_sub(self.settings.shingle as u64)
    }

    /// Whether [`Settings::output_after`] points have been seen (at least one), so that scores mean something.
    pub fn is_ready(&self) -> bool {
        self.points() >= self.settings.output_after.max(1)
    }

    /// The settings it was built with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Bytes that the forest holds, this struct and all it owns, exactly (the allocator's own rounding aside).
    pub fn memory_bytes(&self) -> usize {
        size_of::<Forest>()
            + self.frame.bytes()
            + self.recent.capacity() * size_of::<f64>()
            + self.points.bytes()
            + self.trees.bytes()
    }

    /// Keeps boxes above another mass from now on, in no more room than that needs; see [`Settings::box_mass`]. No answer
    /// changes. Time: about that of 100 blocks.
    ///
    /// # Errors
    /// When the mass is out of range.
    pub fn set_box_mass(&mut self, mass: usize) -> Result<(), SettingsError> {
        let settings = self.settings.clone().box_mass(mass)?;
        if settings != self.settings {
            self.squeeze();
            // what was a forest is one: its points lie as its cuts say
            if let Some(trees) = self.trees.reboxed(mass, &self.points) {
                (self.trees, self.settings) = (trees.expecting(settings.sample_size), settings);
            }
        }
        Ok(())
    }

    fn check(&self, block: &[f64]) -> Result<(), InputError> {
        let expected = self.settings.dims_base;
        if block.len() != expected {
            return Err(InputError::Length { expected, found: block.len() });
        }
        match block.iter().position(|value| !value.is_finite()) {
            Some(position) => Err(InputError::NotFinite { position, value: block[position] }),
            None => Ok(()),
        }
    }

    /// Remembers the block, and learns its point if the shingle is complete.
    fn take(&mut self, block: &[f64], q: &Query) {
        let dims = self.settings.dims_base;
        let at = self.slot(self.blocks) * dims;
        self.recent[at..at + dims].copy_from_slice(block);
        self.blocks += 1;
        if self.blocks >= self.settings.shingle as u64 {
            self.learn(q);
        }
    }

    /// Where a block is remembered.
    fn slot(&self, block: u64) -> usize {
        block as usize & (recent_blocks(&self.settings) - 1)
    }

    /// The block seen `age` blocks ago, 0 for the last.
    fn recent_block(&self, age: usize) -> &[f64] {
        let dims = self.settings.dims_base;
        let at = self.slot(self.blocks.wrapping_sub(1 + age as u64)) * dims;
        &self.recent[at..at + dims]
    }

    /// Calls `put(lane, dim, value)` for each lane of the point that ends in `block`.
    fn each_lane(&self, block: &[f64], mut put: impl FnMut(usize, usize, f64)) {
        let (dims, shingle) = (self.settings.dims_base, self.settings.shingle);
        for j in 0..shingle {
            let values = if j + 1 == shingle { block } else { self.recent_block(shingle - 2 - j) };
            for (dim, value) in values.iter().enumerate() {
                put(j * dims + dim, dim, *value);
            }
        }
    }

    fn query(&self, block: &[f64]) -> Query {
        let mut q = Query::new(self.settings.lanes());
        self.each_lane(block, |lane, dim, value| self.frame.query(&mut q, lane, dim, value));
        q
    }

    /// Offers the newest point to every tree.
    fn learn(&mut self, q: &Query) {
        self.sampler.advance();
        let capacity = self.settings.sample_size;
        let chance = self.sampler.chance(capacity as u32);
        let mut stored = None;
        let mut work = None;
        for tree in 0..self.trees.in_use() {
            let mass = self.trees.mass(tree);
            let replace = if mass as usize == capacity {
                // nine in ten end here at the usual decay
                if (self.random.next() >> 32) >= chance {
                    continue;
                }
                true
            } else {
                match self.sampler.early(mass, capacity, &mut self.random) {
                    Verdict::Refuse => continue,
                    Verdict::Add => false,
                    Verdict::Replace => true,
                }
            };
            let (name, _) = *stored.get_or_insert_with(|| {
                if self.points.is_full() {
                    self.trees.rename(&self.points.squeeze());
                }
                self.points.append(q.lanes())
            });
            let work = work.get_or_insert_with(Work::new);
            if replace {
                let rank = self.random.below(mass);
                let removed = self.trees.delete(tree, rank, &self.points, work);
                if removed.gone {
                    self.points.release(removed.name);
                }
            }
            if self.trees.insert(tree, q, name, 1, &self.points, &mut self.random, work) {
                self.points.hold(name);
            }
        }
        match stored {
            Some((name, mark)) if !self.points.is_held(name) => {
                self.points.undo(mark);
                self.points.skip();
            }
            Some(_) => self.note_edges(q),
            None => self.points.skip(),
        }
        if self.trees.in_use() < self.trees.len() && self.trees.mass(0) as usize == capacity {
            self.grow_up();
        }
    }

    /// Cuts the trees that were left out while the forest was young. The others hold the same points, all so far.
    fn grow_up(&mut self) {
        let leaves = self.trees.leaves(0);
        let more = self.trees.complete(&leaves, &self.points, &mut self.random);
        for (name, _) in leaves {
            (0..more).for_each(|_| self.points.hold(name));
        }
    }

    /// Remembers that a value at the grid's edge was learnt.
    fn note_edges(&mut self, q: &Query) {
        let dims = self.settings.dims_base;
        for (lane, value) in q.lanes().iter().enumerate() {
            if *value == 0 || *value == u16::MAX {
                let [low, high] = self.frame.edges()[lane % dims];
                self.frame.set_edges(lane % dims, [low || *value == 0, high || *value == u16::MAX]);
            }
        }
    }

    /// Makes the grid fit for a new block, and now and then for the live values; answers whether it looked.
    fn fit(&mut self, block: &[f64]) -> bool {
        let mut looked = false;
        if !(0..block.len()).all(|dim| self.frame.holds(dim, block[dim])) {
            self.squeeze();
            let (live, _) = self.extent();
            if let Some(frame) = self.frame.widened(&live, block) {
                self.change_frame(frame);
            }
            looked = true;
        }
        let due =
            self.blocks.is_multiple_of(CHECK_EVERY) || (self.blocks.is_power_of_two() && self.blocks < CHECK_EVERY);
        if due && self.blocks >= RECENT_MIN as u64 {
            self.squeeze();
            self.trees.trim();
            let (live, centre) = self.extent();
            match self.frame.refined(&live, &centre) {
                Some(frame) => self.change_frame(frame),
                None => self.renew_edges(),
            }
            looked = true;
        }
        looked
    }

    fn squeeze(&mut self) {
        let renamed = self.points.squeeze();
        self.trees.rename(&renamed);
    }

    /// Range and typical deviation of the learnt and recent values, and the middle of the recent ones.
    fn extent(&self) -> (Extent, Vec<f64>) {
        let dims = self.settings.dims_base;
        let ages = (self.blocks as usize).min(self.recent.len() / dims);
        let sample = self.members();
        let mut extent = Extent::new(dims);
        let mut centre = Vec::with_capacity(dims);
        for dim in 0..dims {
            for end in [self.points.column(dim).min(), self.points.column(dim).max()].into_iter().flatten() {
                extent.include(dim, self.frame.value(dim, end));
            }
            let mut recent: Vec<f64> = (0..ages).map(|age| self.recent_block(age)[dim]).collect();
            if self.points() == 0 {
                // the first point is still being gathered
                recent.iter().for_each(|value| extent.include(dim, *value));
            }
            let middle = quantile(&mut recent, 0.5, f64::total_cmp).unwrap_or(0.0);
            let mut away: Vec<f64> = recent.iter().map(|v| (v - middle).abs()).filter(|d| *d > 0.0).collect();
            let from_recent = quantile(&mut away, 0.5, f64::total_cmp).unwrap_or(0.0);
            let mut learnt: Vec<u16> = sample.iter().map(|name| self.points.get(*name)[dim]).collect();
            let learnt_middle = quantile(&mut learnt, 0.5, u16::cmp).unwrap_or(0);
            for v in &mut learnt {
                *v = v.abs_diff(learnt_middle);
            }
            // one step apart may be rounding
            let steps = quantile(&mut learnt, 0.9, u16::cmp).filter(|v| *v > 1).unwrap_or(0);
            if self.blocks >= BLOCKS_TYPICAL {
                extent.deviation = extent.deviation.max(from_recent).max(f64::from(steps) * self.frame.step());
            }
            centre.push(middle);
        }
        (extent, centre)
    }

    /// The members of the first trees, as often as they are held: enough to judge what is typical.
    fn members(&self) -> Vec<u16> {
        let mut names = Vec::new();
        for tree in 0..self.trees.in_use() {
            for (name, mass) in self.trees.leaves(tree) {
                names.extend(std::iter::repeat_n(name, mass as usize));
            }
            if names.len() >= MEMBERS_JUDGED {
                break;
            }
        }
        names
    }

    fn renew_edges(&mut self) {
        for dim in 0..self.settings.dims_base {
            if self.frame.edges()[dim] != [false, false] {
                let low = self.points.column(dim).any(|v| v == 0);
                let high = self.points.column(dim).any(|v| v == u16::MAX);
                self.frame.set_edges(dim, [low, high]);
            }
        }
    }

    /// Moves all points to another grid and builds the trees anew from their samples, which is as good as the old ones
    /// (Guha et al. 2016, theorem 1: a tree built by insertion is distributed like one cut from scratch).
    fn change_frame(&mut self, to: Frame) {
        let from = std::mem::replace(&mut self.frame, to);
        let frame = &self.frame;
        self.points.rewrite(|dim, v| frame.coordinate(dim, from.value(dim, v)));
        self.renew_edges_from(&from);
        let mut q = Query::new(self.settings.lanes());
        let mut work = Work::new();
        for tree in 0..self.trees.in_use() {
            let leaves = self.trees.leaves(tree);
            self.trees.clear(tree);
            for (name, mass) in leaves {
                for (lane, v) in self.points.get(name).iter().enumerate() {
                    q.set(lane, *v);
                }
                if !self.trees.insert(tree, &q, name, mass, &self.points, &mut self.random, &mut work) {
                    self.points.release(name);
                }
            }
        }
    }

    /// After a change of frame: a value once learnt at an edge is still of unknown distance.
    fn renew_edges_from(&mut self, from: &Frame) {
        for dim in 0..self.settings.dims_base {
            let mut edges = from.edges()[dim];
            for v in self.points.column(dim) {
                edges[0] |= v == 0;
                edges[1] |= v == u16::MAX;
            }
            self.frame.set_edges(dim, edges);
        }
    }
}

/// Blocks whose real values are remembered, a power of two.
pub(super) fn recent_blocks(settings: &Settings) -> usize {
    settings.shingle.max(RECENT_MIN).next_power_of_two()
}

/// The value at a share of the sorted list.
fn quantile<T: Copy>(list: &mut [T], share: f64, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> Option<T> {
    let at = (list.len().checked_sub(1)? as f64 * share) as usize;
    let (_, value, _) = list.select_nth_unstable_by(at, order);
    Some(*value)
}
