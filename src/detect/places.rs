//! Where the cell of a row is, by its dimension values: a table of hashes in the order of the cells.
//!
//! Every row of a stream passes here once, so that a look takes a few multiplications and one comparison. The hash is
//! keyed anew for every process: nobody who sends values can know which of them fall together. Places are only looked up,
//! never walked, so that nothing depends on the key (D1).

use std::hash::{BuildHasher, RandomState};

/// An entry of the table: nobody, or the place of a cell and one more.
type Entry = u32;

/// Mixed into every value; odd, without a pattern (digits of pi).
const MIX: u64 = 0x243f_6a88_85a3_08d3;

/// Entries up to which a table is kept sparse.
const SPARSE_MAX: usize = 1 << 13;

/// Places by hashes.
#[derive(Clone, Debug)]
pub(super) struct Places {
    key: u64,
    /// Full hashes by place.
    hashes: Vec<u64>,
    /// A power of two of entries: at most half of them taken, or an eighth while that is little memory, so that most looks
    /// end at the first.
    table: Vec<Entry>,
}

impl Places {
    pub(super) fn new() -> Places {
        Places { key: RandomState::new().hash_one(MIX), hashes: Vec::new(), table: vec![0; 64] }
    }

    /// The hash of some values.
    #[inline]
    pub(super) fn hash<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> u64 {
        values.fold(self.key, mixed)
    }

    /// The hash of no values.
    pub(super) fn key(&self) -> u64 {
        self.key
    }

    /// The hash of some values, and one more that is a word.
    #[inline]
    pub(super) fn hash_word(hash: u64, word: u64) -> u64 {
        folded(hash ^ word)
    }

    /// The place with this hash for which `is_it` is true, or where the next cell will be.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        self.find_short(hash, |place| self.hashes[place] == hash && is_it(place))
    }

    /// The same where `is_it` takes no longer than to look at the whole hash.
    #[inline]
    pub(super) fn find_short(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = hash as usize;
        loop {
            let place = (self.table[at & (self.table.len() - 1)] as usize).checked_sub(1)?;
            if is_it(place) {
                return Some(place);
            }
            at = at.wrapping_add(1);
        }
    }

    /// Adds the next cell, which was not found.
    pub(super) fn push(&mut self, hash: u64) {
        self.hashes.push(hash);
        let room = if self.table.len() < SPARSE_MAX { 8 } else { 2 };
        if room * self.hashes.len() > self.table.len() {
            self.table = vec![0; 2 * self.table.len()];
            (0..self.hashes.len()).for_each(|place| self.enter(place));
        } else {
            self.enter(self.hashes.len() - 1);
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.hashes.clear();
        self.table.fill(0);
    }

    fn enter(&mut self, place: usize) {
        let mask = self.table.len() - 1;
        let mut at = self.hashes[place] as usize & mask;
        while self.table[at] != 0 {
            at = (at + 1) & mask;
        }
        self.table[at] = place as Entry + 1;
    }
}

/// Takes a value in with its length, so that values that join alike stay apart.
#[inline]
fn mixed(hash: u64, value: &[u8]) -> u64 {
    let hash = folded(hash ^ value.len() as u64);
    if let (Some(first), Some(last)) = (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        let words = value.as_chunks::<8>().0.iter().skip(1);
        let hash = words
            .fold(folded(hash ^ u64::from_le_bytes(*first)), |hash, word| folded(hash ^ u64::from_le_bytes(*word)));
        // overlaps with the word before it
        folded(hash ^ u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (value.first_chunk::<4>(), value.last_chunk::<4>()) {
        folded(hash ^ (u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))))
    } else {
        folded(hash ^ value.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    }
}

/// Both halves of the product with a number without a pattern.
#[inline]
fn folded(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(MIX | 1);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// The places of values that come in this order.
    fn places(all: &[Vec<Vec<u8>>]) -> Vec<usize> {
        let mut places = Places::new();
        let mut cells: Vec<&[Vec<u8>]> = Vec::new();
        let mut found = Vec::new();
        for values in all {
            let hash = places.hash(values.iter().map(Vec::as_slice));
            found.push(places.find(hash, |place| cells[place] == values).unwrap_or_else(|| {
                places.push(hash);
                cells.push(values);
                cells.len() - 1
            }));
        }
        found
    }

    fn expected(all: &[Vec<Vec<u8>>]) -> Vec<usize> {
        let mut known = HashMap::new();
        let place = |values| {
            let next = known.len();
            *known.entry(values).or_insert(next)
        };
        all.iter().map(place).collect()
    }

    proptest! {
        #[test]
        fn equal_values_have_one_place_and_others_another(
            all in proptest::collection::vec(proptest::collection::vec(proptest::collection::vec(0..2u8, 0..20), 0..3), 0..400),
        ) {
            prop_assert_eq!(places(&all), expected(&all));
        }
    }

    #[test]
    fn many_keys_hardly_fall_together() {
        let mut places = Places::new();
        let keys: Vec<String> = (0..20_000).map(|number| format!("host-{number:06}")).collect();
        for key in &keys {
            places.push(places.hash([key.as_bytes(), b"us"].into_iter()));
        }
        let mut hashes = places.hashes.clone();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), keys.len());
        let mask = places.table.len() - 1;
        let away = |place: usize| {
            let at = places.table.iter().position(|entry| *entry as usize == place + 1).unwrap();
            at.wrapping_sub(places.hashes[place] as usize & mask) & mask
        };
        let steps: usize = (0..keys.len()).step_by(100).map(away).sum();
        assert!(steps < 300, "{steps} steps for 200 keys");
        places.clear();
        assert_eq!(places.find(hashes[0], |_| true), None);
    }
}
