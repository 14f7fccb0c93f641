//! Leaves of the same codes made one, and the two ways to number slices: by place, where nearly all combinations of values
//! are there, else by a table of those that are.

use super::leaves::{Amount, Kind, Leaves};

/// A table by place may be so many times larger than what is in it.
const ROOMY: u64 = 4;
/// And so many cells larger in any case.
const SMALL: u64 = 4096;
/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// Merged leaves. A cell without a leaf (numbered by place) has amounts of 0.
pub(super) struct Rows<'a> {
    leaves: &'a Leaves,
    /// Codes of each dimension are below this.
    pub(super) sizes: Vec<usize>,
    /// How cells are numbered.
    pub(super) numbering: Numbering,
    /// A leaf of each cell, for its codes.
    pub(super) leaf: Vec<u32>,
    pub(super) amounts: Vec<Amount>,
    /// Empty where the kind has no denominators.
    pub(super) over: Vec<Amount>,
    pub(super) variances: Vec<f64>,
    /// Whether the variance of each leaf is known.
    pub(super) has_variances: bool,
}

/// How the slices of a cuboid are numbered.
pub(super) enum Numbering {
    /// By place: the last of the dimensions runs fastest.
    Dense,
    /// By a table.
    Sparse(Table),
    /// As the cells are, which are sorted leaves.
    Sorted,
    /// As the cells are, of a cuboid of all dimensions.
    Cells,
}

impl<'a> Rows<'a> {
    pub(super) fn merged(leaves: &'a Leaves) -> Rows<'a> {
        let d = leaves.dimensions();
        let mut sizes = vec![1; d];
        for codes in leaves.codes.chunks_exact(d.max(1)) {
            for (size, code) in sizes.iter_mut().zip(codes) {
                *size = (*size).max(*code as usize + 1);
            }
        }
        let all: Vec<usize> = (0..d).collect();
        let (numbering, cell, leaf) = match cells(&sizes, &all, leaves.len()) {
            Some(cells) => by_place(leaves, &sizes, cells),
            None if is_sorted(leaves) => {
                let all: Vec<u32> = (0..leaves.len() as u32).collect();
                (Numbering::Sorted, all.clone(), all)
            }
            None => by_table(leaves, &all),
        };
        let mut rows = Rows {
            leaves,
            sizes,
            numbering,
            amounts: vec![Amount::ZERO; leaf.len()],
            over: vec![Amount::ZERO; if leaves.kind().has_denominator() { leaf.len() } else { 0 }],
            variances: vec![0.0; leaf.len()],
            leaf,
            has_variances: !leaves.is_empty() && has_variances(leaves),
        };
        for (at, cell) in cell.iter().enumerate() {
            add(&mut rows.amounts[*cell as usize], leaves.amounts[at]);
            rows.variances[*cell as usize] += leaves.variances[at];
        }
        for (over, cell) in leaves.over.iter().zip(&cell) {
            add(&mut rows.over[*cell as usize], *over);
        }
        rows
    }

    pub(super) fn kind(&self) -> Kind {
        self.leaves.kind()
    }

    pub(super) fn dimensions(&self) -> usize {
        self.sizes.len()
    }

    /// The codes of a leaf.
    pub(super) fn codes(&self, leaf: u32) -> &[u32] {
        codes(self.leaves, leaf)
    }

    /// The cell of some codes, if there is one.
    pub(super) fn find(&self, wanted: &[u32]) -> Option<usize> {
        match &self.numbering {
            Numbering::Sparse(table) => {
                let all: Vec<usize> = (0..self.sizes.len()).collect();
                let is_it = |cell: u32| self.codes(self.leaf[cell as usize]) == wanted;
                table.find(hash(wanted, &all), is_it).map(|cell| cell as usize)
            }
            Numbering::Sorted => self.leaf.binary_search_by(|leaf| self.codes(*leaf).cmp(wanted)).ok(),
            Numbering::Dense | Numbering::Cells => {
                let place = wanted.iter().zip(&self.sizes).fold(0, |place, (code, size)| place * size + *code as usize);
                Some(place)
            }
        }
    }

    /// Cells with a leaf, and its codes.
    pub(super) fn live(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let live = self.leaf.iter().enumerate().filter(|(_, leaf)| **leaf != NONE);
        live.map(|(cell, leaf)| (cell, self.codes(*leaf)))
    }
}

/// Whether the leaves are in order, each once: as a detector gives them.
fn is_sorted(leaves: &Leaves) -> bool {
    let mut rows = leaves.codes.chunks_exact(leaves.dimensions().max(1));
    let mut last = rows.next();
    rows.all(|row| last.replace(row).is_none_or(|last| last < row))
}

fn codes(leaves: &Leaves, leaf: u32) -> &[u32] {
    let d = leaves.dimensions();
    let from = leaf as usize * d;
    &leaves.codes[from..from + d]
}

/// Whether it is known of every leaf how sure it is; of one where nothing is and nothing was expected nobody needs to know.
fn has_variances(leaves: &Leaves) -> bool {
    let is_nothing = |amount: &Amount| amount.value == 0.0 && amount.expected == 0.0;
    leaves.variances.iter().zip(&leaves.amounts).all(|(variance, amount)| *variance > 0.0 || is_nothing(amount))
}

fn add(to: &mut Amount, amount: Amount) {
    to.value += amount.value;
    to.expected += amount.expected;
}

/// How many cells dimensions have by place, where that is not much more than `filled`.
pub(super) fn cells(sizes: &[usize], dims: &[usize], filled: usize) -> Option<usize> {
    let limit = ROOMY * filled as u64 + SMALL;
    let product = dims.iter().try_fold(1u64, |product, dim| product.checked_mul(sizes[*dim] as u64))?;
    (product <= limit).then_some(product as usize)
}

/// The place of codes in a cuboid.
pub(super) fn place(sizes: &[usize], dims: &[usize], codes: &[u32]) -> usize {
    dims.iter().fold(0, |place, dim| place * sizes[*dim] + codes[*dim] as usize)
}

type Numbered = (Numbering, Vec<u32>, Vec<u32>);

fn by_place(leaves: &Leaves, sizes: &[usize], cells: usize) -> Numbered {
    let mut leaf = vec![NONE; cells];
    let place = |codes: &[u32]| codes.iter().zip(sizes).fold(0, |place, (code, size)| place * size + *code as usize);
    let cell: Vec<u32> = match sizes.len() {
        0 => vec![0; leaves.len()],
        d => leaves.codes.chunks_exact(d).map(|codes| place(codes) as u32).collect(),
    };
    for (at, cell) in (0..).zip(&cell) {
        leaf[*cell as usize] = at;
    }
    (Numbering::Dense, cell, leaf)
}

fn by_table(leaves: &Leaves, all: &[usize]) -> Numbered {
    let mut table = Table::with_room(leaves.len());
    let mut leaf = Vec::with_capacity(leaves.len());
    let same = |a: u32, b: u32| codes(leaves, a) == codes(leaves, b);
    let cells = (0..leaves.len() as u32).map(|at| table.number(at, hash(codes(leaves, at), all), &mut leaf, same));
    let cells = cells.collect();
    (Numbering::Sparse(table), cells, leaf)
}

/// Of the codes of some dimensions. Any good mixer does; this one is the finaliser of SplitMix64, chained.
pub(super) fn hash(codes: &[u32], dims: &[usize]) -> u64 {
    dims.iter().fold(0x9e37_79b9_7f4a_7c15, |hash: u64, dim| {
        let mixed = (hash ^ u64::from(codes[*dim])).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 29)
    })
}

/// Numbers for what is there, in the order in which it is met: open addressing, at most half full.
pub(super) struct Table {
    slots: Vec<u32>,
}

impl Table {
    pub(super) fn with_room(count: usize) -> Table {
        Table { slots: vec![NONE; (2 * count).next_power_of_two().max(2)] }
    }

    fn slots(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        let start = (hash >> 20) as usize;
        (0..=mask).map(move |step| (start + step) & mask)
    }

    /// The number of `leaf`: that of the leaf in `firsts` that is the same, or the next.
    pub(super) fn number(
        &mut self,
        leaf: u32,
        hash: u64,
        firsts: &mut Vec<u32>,
        is_same: impl Fn(u32, u32) -> bool,
    ) -> u32 {
        for slot in self.slots(hash) {
            let number = self.slots[slot];
            if number == NONE {
                let next = firsts.len() as u32;
                self.slots[slot] = next;
                firsts.push(leaf);
                return next;
            }
            if is_same(firsts[number as usize], leaf) {
                return number;
            }
        }
        NONE
    }

    /// The number under a hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.slots(hash).map(|slot| self.slots[slot]).take_while(|number| *number != NONE).find(|number| is_it(*number))
    }
}
