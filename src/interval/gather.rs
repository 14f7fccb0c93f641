//! The rows of an open interval, source partition by source partition: few large pieces, however finely the intervals
//! are mixed in the stream. An interval that has much of a batch leaves its rows there; else they are packed together.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::ArrowError;

use crate::model::{Held, Packed, Packing, Picked, Piece, Room, Rows, SourcePartition};

/// A piece has about so many rows, or so many bytes of texts, but for those that come in one batch.
const PIECE_ROWS: usize = 16_384;
const PIECE_TEXTS: usize = 1 << 30;
/// So many rows stay in their batch if they are at least this part of it: all of it stays in memory with them.
const PICKED_ROWS: usize = 512;
const PICKED_PART: usize = 4;
/// If all that is to be packed of a batch is less than this part of it, the rest is not looked at.
const PICKED_FIRST: usize = 4;

/// Room is made for so many bytes at most because the last piece took them, or one of another source partition.
const USUAL_MAX: usize = 1 << 20;
const TAKEN_MAX: usize = 1 << 16;

/// Rows of a batch, which are packed once one of them must be.
pub(super) struct Incoming<'a> {
    rows: &'a Arc<Rows>,
    /// Bytes of the batch, which whoever leaves rows in it first has to answer for.
    bytes: usize,
    /// Whether so few are to be packed that they are picked before.
    is_picked_first: bool,
    packing: Option<Packing<'a>>,
}

/// Rows by source partition, in the order of each.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Ordered by partition.
    parts: Vec<(SourcePartition, Part)>,
    /// Which of them was asked for last: the next batch is of the same, as a rule.
    last: usize,
}

#[derive(Debug, Default)]
struct Part {
    pieces: Vec<Piece>,
    /// Rows that are not a piece yet.
    open: Option<Packed>,
    /// What the last piece took, or one of another source partition: room for so much, and some, is made at once.
    /// Pieces that are put away together differ little, and what does not fit is copied once more.
    usual: Room,
}

impl<'a> Incoming<'a> {
    /// Rows that go to intervals in such numbers; so many besides are late.
    pub(super) fn new(rows: &'a Arc<Rows>, counts: impl Iterator<Item = usize>, late: usize) -> Incoming<'a> {
        let packed = late + counts.filter(|count| !stays(*count, rows)).sum::<usize>();
        Incoming { rows, bytes: rows.bytes(), is_picked_first: PICKED_FIRST * packed < rows.len(), packing: None }
    }

    fn packing(&mut self) -> Result<&Packing<'a>, ArrowError> {
        Ok(match &mut self.packing {
            Some(packing) => packing,
            none => none.insert(Packing::of(self.rows)?),
        })
    }
}

/// Whether so many rows stay in their batch.
fn stays(count: usize, rows: &Rows) -> bool {
    count >= PICKED_ROWS && PICKED_PART * count >= rows.len()
}

impl Gather {
    /// Takes runs of rows of a batch, so many rows in their order; gives by how many bytes more is held.
    pub(super) fn add(
        &mut self,
        partition: &SourcePartition,
        incoming: &mut Incoming<'_>,
        (count, runs): (usize, &[Range<usize>]),
    ) -> Result<usize, ArrowError> {
        if !stays(count, incoming.rows) {
            return self.pack(partition, incoming, (count, runs));
        }
        let part = self.part(partition);
        part.seal();
        part.pieces.push(Piece::Picked(Picked::new(incoming.rows, runs)));
        Ok(std::mem::take(&mut incoming.bytes) + size_of_val(runs))
    }

    /// The same for rows that keep no batch in memory, however many they are.
    pub(super) fn pack(
        &mut self,
        partition: &SourcePartition,
        incoming: &mut Incoming<'_>,
        (count, runs): (usize, &[Range<usize>]),
    ) -> Result<usize, ArrowError> {
        let part = self.part(partition);
        if incoming.is_picked_first {
            let rows = Picked::new(incoming.rows, runs).unpacked()?;
            return Ok(part.pack(&Packing::of(&rows)?, std::slice::from_ref(&(0..count))));
        }
        Ok(part.pack(incoming.packing()?, runs))
    }

    fn part(&mut self, partition: &SourcePartition) -> &mut Part {
        if self.parts.get(self.last).is_none_or(|(there, _)| there != partition) {
            self.last = match self.parts.binary_search_by(|(there, _)| there.cmp(partition)) {
                Ok(at) => at,
                Err(at) => {
                    // files of one stream are much alike
                    let usual = self.parts.last().map_or(Room::default(), |(_, part)| part.taken());
                    self.parts.insert(at, (partition.clone(), Part { usual, ..Part::default() }));
                    at
                }
            };
        }
        &mut self.parts[self.last].1
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Gives each piece that is in memory away, and keeps what comes back for it.
    pub(super) fn put_away<E: From<ArrowError>>(
        &mut self,
        mut put: impl FnMut(Packed) -> Result<Piece, E>,
    ) -> Result<(), E> {
        for (_, part) in &mut self.parts {
            part.seal();
            let away = std::mem::take(&mut part.pieces).into_iter().map(|piece| match piece {
                Piece::Here(rows) => put(Packed::of(&rows)?),
                Piece::Picked(picked) => put(picked.packed()?),
                Piece::Packed(packed) => put(packed),
                Piece::Away(_) => Ok(piece),
            });
            part.pieces = away.collect::<Result<_, E>>()?;
        }
        Ok(())
    }

    /// All rows.
    pub(super) fn finish(self) -> Held {
        let mut held = Held::default();
        for (partition, mut part) in self.parts {
            part.seal();
            part.pieces.into_iter().for_each(|piece| held.add_piece(partition.clone(), piece));
        }
        held
    }
}

impl Part {
    fn pack(&mut self, packing: &Packing<'_>, runs: &[Range<usize>]) -> usize {
        if self.open.as_ref().is_some_and(|open| !open.takes(packing)) {
            self.seal();
        }
        let open = self.open.get_or_insert_with(|| Packed::new(packing, self.usual.and_some()));
        let more = packing.copy(runs, open);
        // places that are not offsets are those of one batch
        if open.len() >= PIECE_ROWS || open.room().texts >= PIECE_TEXTS || !open.has_offsets() {
            self.seal();
        }
        more
    }

    /// What its last piece took, up to what is made room for on the word of another part.
    fn taken(&self) -> Room {
        self.open.as_ref().map_or(self.usual, Packed::room).at_most(TAKEN_MAX)
    }

    fn seal(&mut self) {
        if let Some(packed) = self.open.take() {
            self.usual = packed.room().at_most(USUAL_MAX);
            self.pieces.push(Piece::Packed(packed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use arrow_schema::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Away, Timestamp};

    /// Rows with numbers that follow one another.
    fn rows(numbers: Range<usize>) -> Rows {
        let schema = Schema::new(vec![Field::new("number", DataType::Int64, true)]);
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers.clone().map(|n| n as i64).collect::<Int64Array>())];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let times = numbers.clone().map(|n| Timestamp::from_micros(n as i64).unwrap()).collect();
        Rows::new(batch, times, numbers.map(|n| n as u64).collect()).unwrap()
    }

    proptest! {
        /// Whatever comes as a slice and whatever is packed, put away in between or not, comes out in its order.
        #[test]
        fn what_is_gathered_comes_out_in_order(
            batches in proptest::collection::vec((
                prop_oneof![1..50usize, 1024..1200usize], 0..2000usize, any::<bool>(), any::<bool>(),
            ), 1..12),
        ) {
            let (mut gather, partition) = (Gather::default(), SourcePartition::new("p"));
            let (mut expected, mut held, mut first) = (Vec::new(), 0, 0);
            let mut away: Vec<Packed> = Vec::new();
            for (count, others, put_away, is_split) in batches {
                let rows = Arc::new(rows(first..first + count + others));
                first += count + others;
                let (half, all) = (others + count / 2, others + count);
                let runs = if is_split { vec![0..1, others + 1..all] } else { vec![others..half, half..all] };
                let runs: Vec<Range<usize>> = runs.into_iter().filter(|run| !run.is_empty()).collect();
                let count = runs.iter().map(Range::len).sum();
                let mut incoming = Incoming::new(&rows, std::iter::once(count), 0);
                held += gather.add(&partition, &mut incoming, (count, &runs)).unwrap();
                let picked = |run: &Range<usize>| rows.offsets()[run.clone()].to_vec();
                expected.extend(runs.iter().flat_map(picked));
                if put_away {
                    let put = |packed: Packed| {
                        let piece = Piece::Away(Away { ticket: away.len() as u64, rows: packed.len() });
                        away.push(packed);
                        Ok::<_, ArrowError>(piece)
                    };
                    gather.put_away(put).unwrap();
                }
            }
            let mut all = gather.finish();
            prop_assert_eq!(all.len(), expected.len());
            all.recall(|piece| Ok::<_, ArrowError>(away[piece.ticket as usize].clone())).unwrap();
            let found: Vec<u64> = all.rows().flat_map(Rows::offsets).copied().collect();
            prop_assert_eq!(&found, &expected);
            prop_assert!(held >= expected.len() * 16);
        }
    }
}
