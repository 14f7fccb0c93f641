//! The cells of an open interval: which rows belong together, found by their dimension values.
//!
//! Every row of a stream passes here once. Values of a few bytes, as those of most dimensions are, become a word each, and
//! a row's cell is found by comparing words; a block of rows goes column by column as far as they do not depend on each
//! other.

use std::ops::Range;

use arrow_array::StringArray;

use super::places::Places;
use crate::model::SeriesKey;

/// Rows whose cells are looked for together.
const BLOCK: usize = 512;

/// Stands for a value that is too long for a word: no short one has this length.
const LONG: u64 = u64::MAX;

/// By length, the bytes of a word that belong to a short value, and what tells its length.
const SHORT: [(u64, u64); 8] = {
    let mut short = [(0, 0); 8];
    let mut length = 0;
    while length < 8 {
        short[length] = ((1 << (8 * length)) - 1, (length as u64) << 56);
        length += 1;
    }
    short
};

/// Keys and row counts of cells, in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    dimensions: usize,
    keys: Vec<SeriesKey>,
    counts: Vec<u64>,
    places: Places,
    /// The dimension values of each cell as words, where all are short; otherwise all are [`LONG`].
    words: Vec<u64>,
    /// Those of a block of rows, dimension by dimension.
    asked: Vec<u64>,
    /// The place of each row of a batch.
    rows_at: Vec<u32>,
}

impl Cells {
    /// Of rows with so many dimensions.
    pub(super) fn new(dimensions: usize) -> Cells {
        Cells {
            dimensions,
            keys: Vec::new(),
            counts: Vec::new(),
            places: Places::new(),
            words: Vec::new(),
            asked: vec![0; dimensions * BLOCK],
            rows_at: Vec::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Gives the keys and row counts of all cells, and forgets them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (SeriesKey, u64)> {
        self.places.clear();
        self.words.clear();
        self.keys.drain(..).zip(self.counts.drain(..))
    }

    /// The place of the cell of each row that was counted last.
    pub(super) fn places(&self) -> &[u32] {
        &self.rows_at
    }

    /// Counts rows in their cells, which are made where there are none.
    pub(super) fn count(&mut self, keys: &[&StringArray], rows: usize) {
        // taken out, so that cells can be made while they are read
        let (mut asked, mut rows_at) = (std::mem::take(&mut self.asked), std::mem::take(&mut self.rows_at));
        rows_at.clear();
        rows_at.resize(rows, 0);
        for (block, rows_at) in rows_at.chunks_mut(BLOCK).enumerate() {
            let rows = block * BLOCK..block * BLOCK + rows_at.len();
            let mut are_short = true;
            for (key, asked) in keys.iter().zip(asked.chunks_exact_mut(BLOCK)) {
                are_short &= write_words(key, rows.clone(), asked);
            }
            // of the usual numbers of dimensions each has code of its own, without loops over them
            match (are_short, self.dimensions) {
                (true, 1) => self.count_short::<1>(keys, rows, &asked, rows_at),
                (true, 2) => self.count_short::<2>(keys, rows, &asked, rows_at),
                (true, 3) => self.count_short::<3>(keys, rows, &asked, rows_at),
                (true, 4) => self.count_short::<4>(keys, rows, &asked, rows_at),
                _ => self.count_any(keys, rows, &asked, rows_at),
            }
        }
        (self.asked, self.rows_at) = (asked, rows_at);
    }

    /// Counts a block of rows of `W` dimensions with short values.
    fn count_short<const W: usize>(
        &mut self,
        keys: &[&StringArray],
        rows: Range<usize>,
        asked: &[u64],
        rows_at: &mut [u32],
    ) {
        let asked: [&[u64]; W] = std::array::from_fn(|at| &asked[at * BLOCK..][..rows_at.len()]);
        let mut found = 0;
        while found < rows_at.len() {
            // as far as nothing new comes, without a look at what could be made
            let (places, (known, _)) = (&self.places, self.words.as_chunks::<W>());
            let mut new = None;
            for (i, row_at) in rows_at.iter_mut().enumerate().skip(found) {
                let words = asked.map(|asked| asked[i]);
                let hash = words.iter().fold(places.key(), |hash, word| Places::hash_word(hash, *word));
                // a few words, for which a call takes longer than they do
                let Some(place) = places.find_short(hash, |place| known[place] == words) else {
                    new = Some((i, words, hash));
                    break;
                };
                *row_at = place as u32;
            }
            let until = new.map_or(rows_at.len(), |(i, ..)| i);
            rows_at[found..until].iter().for_each(|place| self.counts[*place as usize] += 1);
            found = until;
            if let Some((i, words, hash)) = new {
                self.add(keys, rows.start + i, hash, words.into_iter());
            }
        }
    }

    /// Counts a block of rows, whatever their values.
    fn count_any(&mut self, keys: &[&StringArray], rows: Range<usize>, asked: &[u64], rows_at: &mut [u32]) {
        for (i, (row, row_at)) in rows.zip(rows_at).enumerate() {
            let words = (0..self.dimensions).map(|at| asked[at * BLOCK + i]);
            let (hash, place) = if words.clone().any(|word| word == LONG) {
                let hash = self.places.hash(keys.iter().map(|key| key.value(row).as_bytes()));
                let is_it = |place: usize| self.keys[place].values().eq(keys.iter().map(|key| key.value(row)));
                (hash, self.places.find(hash, is_it))
            } else {
                let hash = words.clone().fold(self.places.key(), Places::hash_word);
                let is_it = |place: usize| {
                    self.words[place * self.dimensions..].iter().copied().take(self.dimensions).eq(words.clone())
                };
                (hash, self.places.find_short(hash, is_it))
            };
            let place = match place {
                Some(place) => place,
                None => self.add(keys, row, hash, words),
            };
            self.counts[place] += 1;
            *row_at = place as u32;
        }
    }

    #[cold]
    fn add(&mut self, keys: &[&StringArray], row: usize, hash: u64, words: impl Iterator<Item = u64> + Clone) -> usize {
        self.places.push(hash);
        let is_long = words.clone().any(|word| word == LONG);
        self.words.extend(words.map(|word| if is_long { LONG } else { word }));
        self.keys.push(SeriesKey::new(keys.iter().map(|key| key.value(row))));
        self.counts.push(0);
        self.keys.len() - 1
    }
}

/// Writes each of some values of at most seven bytes as a word with its length in the highest byte, any other as [`LONG`];
/// answers whether there is none of these.
fn write_words(key: &StringArray, rows: Range<usize>, words: &mut [u64]) -> bool {
    let (ends, bytes) = (&key.value_offsets()[rows.start..=rows.end], key.value_data());
    let mut are_short = true;
    for (word, pair) in words.iter_mut().zip(ends.windows(2)) {
        let (start, end) = (pair[0].cast_unsigned() as usize, pair[1].cast_unsigned() as usize);
        let length = end - start;
        let Some((mask, tag)) = SHORT.get(length) else {
            (*word, are_short) = (LONG, false);
            continue;
        };
        let text = match bytes.get(start..start + 8).and_then(<[u8]>::first_chunk::<8>) {
            Some(chunk) => u64::from_le_bytes(*chunk) & mask,
            None => bytes[start..end].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        *word = text | tag;
    }
    are_short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is counted of rows in batches of some size: for each row the values of the cell that it was counted in, and
    /// how many rows each cell has.
    fn counted(rows: &[Vec<String>], dimensions: usize, batch: usize) -> (Vec<SeriesKey>, Vec<(SeriesKey, u64)>) {
        let mut cells = Cells::new(dimensions);
        let mut at = Vec::new();
        for rows in rows.chunks(batch) {
            let column = |at: usize| StringArray::from_iter_values(rows.iter().map(|row| &row[at]));
            let columns: Vec<StringArray> = (0..dimensions).map(column).collect();
            cells.count(&columns.iter().collect::<Vec<_>>(), rows.len());
            at.extend(cells.places().iter().map(|place| cells.keys[*place as usize].clone()));
        }
        (at, cells.drain().collect())
    }

    fn key(row: &[String]) -> SeriesKey {
        SeriesKey::new(row.iter().map(String::as_str))
    }

    /// Each value beside each, in as many dimensions.
    fn combined(values: &[&str], dimensions: usize) -> Vec<Vec<String>> {
        (0..dimensions).fold(vec![Vec::new()], |rows, _| {
            let longer = |row: &Vec<String>| {
                let row = row.clone();
                values.iter().map(move |value| [row.clone(), vec![(*value).to_owned()]].concat()).collect::<Vec<_>>()
            };
            rows.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn short_and_long_values_have_cells_of_their_own() {
        let long = ["1234567", "12345678", "123456789", "", "\0", "\0\0", "é", "1234567\0"];
        for dimensions in 1..=3 {
            let once = combined(&long, dimensions);
            let rows: Vec<Vec<String>> = once.iter().chain(once.iter().rev()).cloned().collect();
            for batch in [1, 7, BLOCK, rows.len()] {
                let (at, cells) = counted(&rows, dimensions, batch);
                assert_eq!(at, rows.iter().map(|row| key(row)).collect::<Vec<_>>());
                assert_eq!(cells, once.iter().map(|row| (key(row), 2)).collect::<Vec<_>>());
            }
        }
    }

    proptest! {
        #[test]
        fn every_row_is_counted_in_its_cell(
            (dimensions, rows) in (1..=6usize).prop_flat_map(|dimensions| {
                let row = proptest::collection::vec("[ab]{0,9}", dimensions);
                (Just(dimensions), proptest::collection::vec(row, 0..1200))
            }),
            batch in 1..1200usize,
        ) {
            let (at, cells) = counted(&rows, dimensions, batch);
            prop_assert_eq!(at, rows.iter().map(|row| key(row)).collect::<Vec<_>>());
            let mut expected: Vec<(SeriesKey, u64)> = Vec::new();
            for row in &rows {
                let key = key(row);
                match expected.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, count)) => *count += 1,
                    None => expected.push((key, 1)),
                }
            }
            prop_assert_eq!(cells, expected);
        }
    }

    #[test]
    fn parts_of_columns_and_rows_without_dimensions_are_counted() {
        let mut cells = Cells::new(1);
        let column = StringArray::from_iter_values(["a", "b", "a", "a much longer one", "c", "a"]);
        cells.count(&[&column.slice(2, 3)], 3);
        assert_eq!(cells.places(), [0, 1, 2]);
        cells.count(&[&column.slice(6, 0)], 0);
        assert_eq!(cells.places(), [0u32; 0]);
        let keys: Vec<String> = cells.drain().map(|(key, _)| key.to_string()).collect();
        assert_eq!(keys, ["a", "a much longer one", "c"]);
        let mut whole = Cells::new(0);
        whole.count(&[], 1000);
        assert_eq!(whole.drain().collect::<Vec<_>>(), [(SeriesKey::new([]), 1000)]);
    }

    #[test]
    fn what_was_drained_is_forgotten() {
        let mut cells = Cells::new(1);
        for _ in 0..2 {
            cells.count(&[&StringArray::from_iter_values(["a", "a much longer one", "a"])], 3);
            assert_eq!((cells.places(), cells.len()), (&[0, 1, 0][..], 2));
            let counts: Vec<u64> = cells.drain().map(|(_, count)| count).collect();
            assert_eq!((counts, cells.len()), (vec![2, 1], 0));
        }
    }
}
