//! A forest as bytes and back, exactly: a restored forest goes on bit for bit like the one that was stored.
//!
//! Layout, little endian: magic `TWRF`, version u16, settings, frame, recent real values, generator, sampler, points;
//! then the trees as a stream of bits; last a CRC-32 of all before. A tree is written from the root down, left first:
//! for a node a 1, its lane, its cut; for a leaf a 0, its point, and a 1 if it stands once, else a 0 and its mass.
//! Lanes and points take as many bits as they need. Masses and boxes are not written: they follow from the leaves.
//! Dead values are left out, so equal forests give equal bytes. Trees that a young forest does not have yet are empty.

use super::error::SnapshotError;
use super::forest::{Forest, recent_blocks};
use super::frame::Frame;
use super::points::{FIRST, Points, Renamed, Stored};
use super::random::Random;
use super::sampler::Sampler;
use super::settings::{SAMPLE_MAX, Settings};
use super::tree::{Builder, Described, Trees, is_leaf};

const MAGIC: &[u8; 4] = b"TWRF";
/// 1 was without the trees of a young forest.
const VERSION: u16 = 2;

impl Forest {
    /// The forest as bytes: versioned, checksummed, compact (about a quarter of the memory).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut points = self.points.clone();
        let renamed = points.squeeze();
        let stored = points.stored();
        let sizes = Sizes::new(&self.settings, &stored);
        let mut out = Writer::default();
        out.bytes.reserve_exact(self.snapshot_room(&stored, sizes));
        out.bytes.extend_from_slice(MAGIC);
        out.u16(VERSION);
        write_settings(&mut out, &self.settings);
        out.u16((self.frame.exponent() + 2000) as u16);
        self.frame.offsets().iter().for_each(|v| out.f64(*v));
        self.frame.edges().iter().for_each(|[low, high]| out.u8(u8::from(*low) | u8::from(*high) << 1));
        self.recent.iter().for_each(|v| out.f64(*v));
        out.u64(self.blocks);
        out.u64(self.random.state());
        out.f64(self.sampler.weight());
        out.u8(u8::from(stored.whole));
        out.u16(stored.gap as u16);
        out.u32(stored.values.len() as u32);
        stored.values.iter().for_each(|v| out.u16(*v));
        let mut open = Vec::new();
        (0..self.trees.len()).for_each(|tree| write_tree(&mut out, &self.trees, tree, &renamed, sizes, &mut open));
        out.finish()
    }

    /// Bytes that are enough for a snapshot, as a rule; a leaf of many equal points takes more.
    fn snapshot_room(&self, stored: &Stored<'_>, sizes: Sizes) -> usize {
        let members: usize = (0..self.trees.len()).map(|tree| self.trees.mass(tree) as usize).sum();
        let bits = members * (2 + sizes.name + 17 + sizes.lane) as usize + 16 * self.trees.len();
        let head = 128 + 9 * self.settings.dims_base + size_of_val(&self.recent[..]);
        head + size_of_val(stored.values) + bits / 8
    }

    /// Restores a forest from [`Forest::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Forest, SnapshotError> {
        let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return Err(SnapshotError::NotASnapshot) };
        if head != MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        let mut version = Reader::new(rest);
        let found = version.u16()?;
        if found > VERSION {
            return Err(SnapshotError::Newer { found, newest: VERSION });
        }
        let Some((body, sum)) = bytes.split_last_chunk::<4>() else {
            return Err(SnapshotError::Damaged("it is cut short"));
        };
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(SnapshotError::Damaged("its checksum is wrong"));
        }
        let mut input = Reader::new(body.get(6..).unwrap_or_default());
        let settings = read_settings(&mut input, found)?;
        let dims = settings.dims_base;
        let exponent = i32::from(input.u16()?) - 2000;
        let offsets = input.list(dims, Reader::f64)?;
        let edges = input.list(dims, |r| r.u8().map(|b| [b & 1 != 0, b & 2 != 0]))?;
        let recent = input.list(recent_blocks(&settings) * dims, Reader::f64)?;
        let blocks = input.u64()?;
        let random = Random::new(input.u64()?);
        let weight = input.f64()?;
        let (whole, gap, count) = (input.u8()? != 0, usize::from(input.u16()?), input.u32()? as usize);
        let values = input.list(count, Reader::u16)?;
        let stored = Stored { whole: whole && settings.shingle > 1, gap: gap.min(settings.shingle), values: &values };
        let unit = if stored.whole { settings.lanes() } else { dims };
        if !count.is_multiple_of(unit) || count / unit > usize::from(u16::MAX - FIRST) + 1 {
            return Err(SnapshotError::Damaged("its points do not fit"));
        }
        let numbers = offsets.iter().all(|v| v.abs() <= f64::MAX / 16.0)
            && recent.iter().all(|v| v.is_finite())
            && (0.0..=f64::MAX).contains(&weight)
            && blocks <= u64::MAX / 2;
        if !numbers {
            return Err(SnapshotError::Damaged("it holds impossible numbers"));
        }
        let sizes = Sizes::new(&settings, &stored);
        let mut points = Points::restore(dims, settings.shingle, &stored);
        let trees = (0..settings.trees).map(|_| read_tree(&mut input, &mut points, &settings, sizes));
        let trees: Vec<_> = trees.collect::<Result<_, _>>()?;
        // the last trees are cut when the others are full: until then they are empty
        let is_young = trees.last().is_none_or(Option::is_none);
        let in_use = if is_young { settings.first_trees() } else { settings.trees };
        let trees = Trees::build(&trees, in_use, settings.lanes(), settings.box_mass, &points)
            .ok_or(SnapshotError::Damaged("a tree does not fit its points"))?;
        Ok(Forest {
            frame: Frame::of(exponent, offsets, edges),
            recent,
            blocks,
            sampler: Sampler::new(settings.time_decay, settings.initial_accept, weight),
            random,
            points,
            trees: trees.expecting(settings.sample_size),
            settings,
        })
    }
}

fn write_settings(out: &mut Writer, s: &Settings) {
    out.u16(s.dims_base as u16);
    out.u16(s.shingle as u16);
    out.u16(s.trees as u16);
    out.u16(s.young_trees as u16);
    out.u16(s.sample_size as u16);
    out.u16(s.box_mass as u16);
    out.f64(s.time_decay);
    out.f64(s.initial_accept);
    out.u64(s.output_after);
    out.u64(s.seed);
}

fn read_settings(input: &mut Reader<'_>, version: u16) -> Result<Settings, SnapshotError> {
    let mut size = || input.u16().map(usize::from);
    let (dims_base, shingle, trees) = (size()?, size()?, size()?);
    let young_trees = if version > 1 { size()? } else { 0 };
    let (sample_size, box_mass) = (size()?, size()?);
    let (decay, accept, after, seed) = (input.f64()?, input.f64()?, input.u64()?, input.u64()?);
    Settings::new(dims_base, shingle)
        .and_then(|s| s.trees(trees))
        .and_then(|s| if young_trees > 0 { s.young_trees(young_trees) } else { Ok(s) })
        .and_then(|s| s.sample_size(sample_size))
        .and_then(|s| s.box_mass(box_mass))
        .and_then(|s| s.time_decay(decay))
        .and_then(|s| s.initial_accept(accept))
        .map(|s| s.output_after(after).seed(seed))
        .map_err(|_| SnapshotError::Damaged("its settings are not possible"))
}

/// Bits of the parts of a tree.
#[derive(Clone, Copy)]
struct Sizes {
    lane: u32,
    name: u32,
}

impl Sizes {
    fn new(settings: &Settings, stored: &Stored<'_>) -> Sizes {
        let bits = |count: usize| usize::BITS - count.saturating_sub(1).leading_zeros();
        let unit = if stored.whole { settings.lanes() } else { settings.dims_base };
        Sizes { lane: bits(settings.lanes()), name: bits(stored.values.len() / unit) }
    }
}

fn write_tree(
    out: &mut Writer,
    trees: &Trees,
    tree: usize,
    renamed: &Renamed,
    sizes: Sizes,
    open: &mut Vec<(u16, u16)>,
) {
    let head = trees.head(tree);
    out.bits(u32::from(head.mass), 16);
    if head.mass == 0 {
        return;
    }
    let nodes = trees.nodes(tree);
    open.push((head.root, head.mass));
    while let Some((name, mass)) = open.pop() {
        if is_leaf(name) {
            let point = u32::from(renamed.of(name) - FIRST);
            out.bits(point << 1 | u32::from(mass == 1) << (1 + sizes.name), sizes.name + 2);
            if mass > 1 {
                out.bits(u32::from(mass), 16);
            }
        } else {
            let node = nodes[usize::from(name)];
            let cut = u32::from(node.cut) << (1 + sizes.lane);
            out.bits(1 | u32::from(node.lane) << 1 | cut, 17 + sizes.lane);
            let left = u16::from(node.left_mass);
            open.push((node.sides[1], mass - left));
            open.push((node.sides[0], left));
        }
    }
}

/// A tree; none if it is empty.
fn read_tree(
    input: &mut Reader<'_>,
    points: &mut Points,
    settings: &Settings,
    sizes: Sizes,
) -> Result<Option<Described>, SnapshotError> {
    let mass = input.bits(16)?;
    if mass as usize > settings.sample_size {
        return Err(SnapshotError::Damaged("a tree is too large"));
    }
    if mass == 0 {
        return Ok(None);
    }
    let mut builder = Builder::new((mass as usize).min(SAMPLE_MAX));
    while !builder.is_complete() {
        let whole = if input.bits(1)? == 1 {
            let lane = input.bits(sizes.lane)? as usize;
            let cut = input.bits(16)? as u16;
            lane < settings.lanes() && builder.node(lane as u8, cut)
        } else {
            let name = FIRST.saturating_add(input.bits(sizes.name)? as u16);
            let mass = if input.bits(1)? == 1 { 1 } else { input.bits(16)? };
            let fits = points.contains(name) && builder.leaf(name, mass);
            if fits {
                points.hold(name);
            }
            fits
        };
        if !whole {
            return Err(SnapshotError::Damaged("a tree does not fit"));
        }
    }
    builder.finish(mass).map(Some).ok_or(SnapshotError::Damaged("the masses of a tree do not fit"))
}

/// Bytes, then bits: the bits fill whole bytes from the lowest up.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl Writer {
    fn u8(&mut self, v: u8) {
        self.bytes.push(v);
    }
    fn u16(&mut self, v: u16) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }
    fn u32(&mut self, v: u32) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }
    fn u64(&mut self, v: u64) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }
    fn f64(&mut self, v: f64) {
        self.u64(v.to_bits());
    }

    /// Appends the lowest `count` bits of `v`, at most 32; the others are 0.
    fn bits(&mut self, v: u32, count: u32) {
        self.pending |= u64::from(v) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.u32(self.pending as u32);
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.u8(self.pending as u8);
            self.pending >>= 8;
            self.count = self.count.saturating_sub(8);
        }
        let sum = crc32fast::hash(&self.bytes);
        self.u32(sum);
        self.bytes
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    pending: u64,
    count: u32,
}

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8]) -> Reader<'a> {
        Reader { rest, pending: 0, count: 0 }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(SnapshotError::Damaged("it is cut short"))?;
        self.rest = rest;
        Ok(*head)
    }
    fn u8(&mut self) -> Result<u8, SnapshotError> {
        self.take::<1>().map(|b| b[0])
    }
    fn u16(&mut self) -> Result<u16, SnapshotError> {
        self.take().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Result<u32, SnapshotError> {
        self.take().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64, SnapshotError> {
        self.take().map(u64::from_le_bytes)
    }
    fn f64(&mut self) -> Result<f64, SnapshotError> {
        self.u64().map(f64::from_bits)
    }

    fn list<T>(
        &mut self,
        count: usize,
        read: impl Fn(&mut Reader<'a>) -> Result<T, SnapshotError>,
    ) -> Result<Vec<T>, SnapshotError> {
        (0..count).map(|_| read(self)).collect()
    }

    /// The next bits, at most 32.
    fn bits(&mut self, count: u32) -> Result<u32, SnapshotError> {
        while self.count < count {
            if let Some((word, rest)) = self.rest.split_first_chunk::<4>() {
                self.pending |= u64::from(u32::from_le_bytes(*word)) << self.count;
                (self.rest, self.count) = (rest, self.count + 32);
            } else {
                self.pending |= u64::from(self.u8()?) << self.count;
                self.count += 8;
            }
        }
        let v = self.pending & ((1 << count) - 1);
        self.pending >>= count;
        self.count -= count;
        Ok(v as u32)
    }
}
