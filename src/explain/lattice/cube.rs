//! The sums of every slice of every cuboid. Each cuboid is summed up from the smallest one that has one dimension more, the
//! largest ones from the cells, so that all together cost little more than the largest do.

use super::rows::{self, NONE, Numbering, Rows, Table};

/// Dimensions that a cause may name. With few dimensions there may be all of them.
const LAYERS_MAX: usize = 4;
/// Up to so many dimensions.
const FEW: usize = 5;
/// Beyond so many dimensions none is looked at.
const DIMENSIONS_MAX: usize = u64::BITS as usize - 1;
/// Slices times cuboids beyond which the deepest layers are not looked at.
const WORK_MAX: usize = 20_000_000;

/// All cuboids, the largest first; the last one has no dimension and one slice, which is everything.
pub(super) struct Cube {
    pub(super) cuboids: Vec<Cuboid>,
    /// By mask of dimensions, where there are few of them; positions in `cuboids`.
    by_mask: std::collections::BTreeMap<u64, usize>,
}

/// One subset of the dimensions.
pub(super) struct Cuboid {
    pub(super) dims: Vec<usize>,
    /// The cuboid that it is summed up from; none: the cells.
    from: Option<usize>,
    roll: Roll,
    numbering: Numbering,
    /// A leaf of each slice, where they are numbered by a table.
    leaf: Vec<u32>,
    /// Weight and score of each slice.
    pub(super) sums: Vec<[f64; 2]>,
    /// Slices that have a weight before any is taken out.
    pub(super) live: usize,
}

/// Which slice of the cuboid each slice of the larger one is in.
enum Roll {
    /// The same one.
    Same,
    /// Both are by place: `size` values of the dimension that is dropped, `low` slices that differ in those behind it.
    Place { size: usize, low: usize },
    /// As listed.
    Listed(Vec<u32>),
}

fn mask(dims: &[usize]) -> u64 {
    dims.iter().fold(0, |mask, dim| mask | 1 << dim)
}

impl Cube {
    /// Lays out the cuboids and sums them up.
    pub(super) fn new(rows: &Rows<'_>, cells: &[[f64; 2]]) -> Cube {
        let mut cube = Cube { cuboids: Vec::new(), by_mask: std::collections::BTreeMap::new() };
        let d = rows.dimensions();
        let top = layers(d, rows.leaf.len());
        for layer in (0..=top).rev() {
            for dims in subsets(d, layer) {
                let from = (0..d)
                    .filter(|dim| layer < top && !dims.contains(dim))
                    .filter_map(|dim| cube.by_mask.get(&(mask(&dims) | 1 << dim)).copied());
                let from = from.min_by_key(|at| cube.cuboids[*at].slices());
                let cuboid = Cuboid::new(rows, &cube.cuboids, from, dims);
                cube.by_mask.insert(mask(&cuboid.dims), cube.cuboids.len());
                cube.cuboids.push(cuboid);
            }
        }
        cube.sum_up(cells);
        for cuboid in &mut cube.cuboids {
            cuboid.live = cuboid.sums.iter().filter(|sums| sums[0] > 0.0).count();
        }
        cube
    }

    /// Sums all cuboids up from the cells, again after some were taken out.
    pub(super) fn sum_up(&mut self, cells: &[[f64; 2]]) {
        for at in 0..self.cuboids.len() {
            let (larger, rest) = self.cuboids.split_at_mut(at);
            let cuboid = &mut rest[0];
            let from = cuboid.from.map_or(cells, |from| &larger[from].sums);
            cuboid.sums.fill([0.0; 2]);
            cuboid.roll.add(from, &mut cuboid.sums);
        }
    }

    /// Weight and score of the slice of some dimensions that a leaf is in; none where the cuboid is not looked at.
    pub(super) fn sums(&self, rows: &Rows<'_>, dims: &[usize], codes: &[u32]) -> Option<[f64; 2]> {
        let cuboid = &self.cuboids[*self.by_mask.get(&mask(dims))?];
        cuboid.find(rows, codes).map(|slice| cuboid.sums[slice])
    }
}

impl Cuboid {
    fn new(rows: &Rows<'_>, larger: &[Cuboid], from: Option<usize>, dims: Vec<usize>) -> Cuboid {
        let filled = from.map_or(rows.leaf.len(), |from| larger[from].slices());
        let above: Vec<usize> = from.map_or_else(|| (0..rows.dimensions()).collect(), |from| larger[from].dims.clone());
        let is_dense = from.map_or(matches!(rows.numbering, Numbering::Dense), |from| larger[from].is_dense());
        let dropped: Vec<usize> = above.iter().copied().filter(|dim| !dims.contains(dim)).collect();
        let by_place = rows::cells(&rows.sizes, &dims, filled);
        let (numbering, leaf, slices, roll) = match (by_place, &dropped[..]) {
            (Some(slices), []) if is_dense => (Numbering::Dense, Vec::new(), slices, Roll::Same),
            (Some(slices), [dim]) if is_dense => {
                let low = above.iter().filter(|other| *other > dim).map(|other| rows.sizes[*other]).product();
                (Numbering::Dense, Vec::new(), slices, Roll::Place { size: rows.sizes[*dim], low })
            }
            (_, []) => (Numbering::Cells, Vec::new(), filled, Roll::Same),
            (Some(slices), _) => {
                let place = |slice: usize| match leaf_of(rows, larger, from, slice) {
                    NONE => NONE,
                    leaf => rows::place(&rows.sizes, &dims, rows.codes(leaf)) as u32,
                };
                (Numbering::Dense, Vec::new(), slices, Roll::Listed((0..filled).map(place).collect()))
            }
            (None, _) => {
                let (mut table, mut firsts) = (Table::with_room(filled), Vec::new());
                let same = |a: u32, b: u32| {
                    let (a, b) = (rows.codes(a), rows.codes(b));
                    dims.iter().all(|dim| a[*dim] == b[*dim])
                };
                let number = |slice: usize| match leaf_of(rows, larger, from, slice) {
                    NONE => NONE,
                    leaf => table.number(leaf, rows::hash(rows.codes(leaf), &dims), &mut firsts, same),
                };
                let listed = (0..filled).map(number).collect();
                let slices = firsts.len();
                (Numbering::Sparse(table), firsts, slices, Roll::Listed(listed))
            }
        };
        Cuboid { dims, from, roll, numbering, leaf, sums: vec![[0.0; 2]; slices], live: 0 }
    }

    fn slices(&self) -> usize {
        self.sums.len()
    }

    fn is_dense(&self) -> bool {
        matches!(self.numbering, Numbering::Dense)
    }

    /// The codes of a slice, in the order of the dimensions.
    pub(super) fn values(&self, rows: &Rows<'_>, slice: usize) -> Vec<u32> {
        if !self.is_dense() {
            let codes = rows.codes(if self.leaf.is_empty() { rows.leaf[slice] } else { self.leaf[slice] });
            return self.dims.iter().map(|dim| codes[*dim]).collect();
        }
        let mut place = slice;
        let mut values: Vec<u32> = Vec::with_capacity(self.dims.len());
        for dim in self.dims.iter().rev() {
            values.push((place % rows.sizes[*dim]) as u32);
            place /= rows.sizes[*dim];
        }
        values.reverse();
        values
    }

    fn find(&self, rows: &Rows<'_>, codes: &[u32]) -> Option<usize> {
        match &self.numbering {
            Numbering::Dense => Some(rows::place(&rows.sizes, &self.dims, codes)),
            Numbering::Cells | Numbering::Sorted => rows.find(codes),
            Numbering::Sparse(table) => {
                let is_it = |slice: u32| {
                    let other = rows.codes(self.leaf[slice as usize]);
                    self.dims.iter().all(|dim| other[*dim] == codes[*dim])
                };
                table.find(rows::hash(codes, &self.dims), is_it).map(|slice| slice as usize)
            }
        }
    }
}

/// A leaf in a slice of a cuboid that is numbered by a table, or in a cell.
fn leaf_of(rows: &Rows<'_>, larger: &[Cuboid], from: Option<usize>, slice: usize) -> u32 {
    let of = from.map_or(&rows.leaf, |from| if larger[from].leaf.is_empty() { &rows.leaf } else { &larger[from].leaf });
    of[slice]
}

impl Roll {
    fn add(&self, from: &[[f64; 2]], to: &mut [[f64; 2]]) {
        let add = |to: &mut [f64; 2], from: &[f64; 2]| {
            to[0] += from[0];
            to[1] += from[1];
        };
        match self {
            Roll::Same => to.copy_from_slice(from),
            Roll::Place { size, low: 1 } => {
                for (to, from) in to.iter_mut().zip(from.chunks_exact(*size)) {
                    from.iter().for_each(|from| add(to, from));
                }
            }
            Roll::Place { size, low } => {
                for (to, from) in to.chunks_exact_mut(*low).zip(from.chunks_exact(low * size)) {
                    for from in from.chunks_exact(*low) {
                        to.iter_mut().zip(from).for_each(|(to, from)| add(to, from));
                    }
                }
            }
            Roll::Listed(listed) => {
                for (slice, from) in listed.iter().zip(from).filter(|(slice, _)| **slice != NONE) {
                    add(&mut to[*slice as usize], from);
                }
            }
        }
    }
}

/// How many dimensions a cause may name.
fn layers(dimensions: usize, cells: usize) -> usize {
    if dimensions > DIMENSIONS_MAX {
        return 0;
    }
    let most = if dimensions <= FEW { dimensions } else { LAYERS_MAX };
    let fits = |layers: &usize| {
        (0..=*layers).map(|layer| choose(dimensions, layer)).sum::<usize>().saturating_mul(cells) <= WORK_MAX
    };
    (1..=most).rev().find(fits).unwrap_or(most.min(1))
}

fn choose(from: usize, count: usize) -> usize {
    (0..count).fold(1, |ways, at| ways * (from - at) / (at + 1))
}

/// All subsets of `count` of `0..from`, in order.
fn subsets(from: usize, count: usize) -> Vec<Vec<usize>> {
    let mut subsets = vec![Vec::new()];
    for _ in 0..count {
        let longer = |subset: &Vec<usize>| {
            let next = subset.last().map_or(0, |last| last + 1);
            let subset = subset.clone();
            (next..from).map(move |dim| [&subset[..], &[dim]].concat())
        };
        subsets = subsets.iter().flat_map(longer).collect();
    }
    subsets
}
