//! What leaves the line when an interval closes: its rows, the rows that came too late for earlier intervals, the
//! records that could not be used, and the account of them all.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;
use serde::{Deserialize, Serialize};

use super::{Interval, Packed, Picked, Position, Reject, Rows, SourcePartition, Tally, Timestamp};

/// One interval that has closed, with all that leaves the line with it.
#[derive(Debug)]
pub struct Closing {
    /// 1 for the first interval that closed, then one more each.
    pub sequence: u64,
    /// Which interval.
    pub interval: Interval,
    /// Whether the stream was seen to go past its end; false for an interval that the source's end cut short.
    pub complete: bool,
    /// Its rows.
    pub rows: Held,
    /// Rows of intervals that had closed before.
    pub late: BTreeMap<Interval, Held>,
    /// Records that could not be used.
    pub rejects: Vec<Reject>,
    /// Accounts for every record in this closing.
    pub tally: Tally,
}

/// Rows of one interval.
#[derive(Clone, Debug, Default)]
pub struct Held {
    parts: BTreeMap<SourcePartition, Vec<Piece>>,
}

/// A run of rows of one source partition: as columns, or in a form that they are brought back from before they are
/// looked at.
#[derive(Clone, Debug)]
pub enum Piece {
    /// As columns.
    Here(Rows),
    /// In the batch that they came in.
    Picked(Picked),
    /// In memory, row by row.
    Packed(Packed),
    /// Elsewhere.
    Away(Away),
}

/// Where rows were put: what whoever put them knows them by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// Their number there.
    pub ticket: u64,
    /// How many.
    pub rows: usize,
}

/// Which stretch of a source partition an interval's rows come from: place of the first and of the last row, inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRange {
    /// The source partition.
    pub partition: SourcePartition,
    /// Place of the first row.
    pub first: Position,
    /// Place of the last row.
    pub last: Position,
    /// Rows.
    pub rows: u64,
}

impl Piece {
    fn here(&self) -> Option<&Rows> {
        if let Piece::Here(rows) = self { Some(rows) } else { None }
    }

    fn len(&self) -> usize {
        match self {
            Piece::Here(rows) => rows.len(),
            Piece::Picked(picked) => picked.len(),
            Piece::Packed(packed) => packed.len(),
            Piece::Away(away) => away.rows,
        }
    }
}

impl Closing {
    /// Makes columns of all rows, and brings those that were put away back into memory: before they are looked at.
    ///
    /// # Errors
    /// When `bring` fails, or rows are not what they were.
    pub fn recall<E: From<ArrowError>>(&mut self, mut bring: impl FnMut(&Away) -> Result<Packed, E>) -> Result<(), E> {
        self.rows.recall(&mut bring)?;
        self.late.values_mut().try_for_each(|late| late.recall(&mut bring))
    }

    /// The same where nothing was put away.
    ///
    /// # Errors
    /// When something was, or rows are not what they were.
    pub fn unpack(&mut self) -> Result<(), ArrowError> {
        self.recall(|_| Err(ArrowError::InvalidArgumentError("rows were put away".to_owned())))
    }
}

impl Held {
    /// Takes rows in that stand after those it holds of the same source partition.
    pub fn add(&mut self, partition: SourcePartition, rows: Rows) {
        self.add_piece(partition, Piece::Here(rows));
    }

    /// Takes rows in that stand after those it holds of the same source partition, wherever they are.
    pub fn add_piece(&mut self, partition: SourcePartition, piece: Piece) {
        self.parts.entry(partition).or_default().push(piece);
    }

    /// Makes columns of all rows, and brings those that were put away back into memory: before they are looked at.
    ///
    /// # Errors
    /// When `bring` fails, or rows are not what they were.
    pub fn recall<E: From<ArrowError>>(&mut self, mut bring: impl FnMut(&Away) -> Result<Packed, E>) -> Result<(), E> {
        for piece in self.parts.values_mut().flatten() {
            let rows = match piece {
                Piece::Here(_) => continue,
                Piece::Picked(picked) => picked.unpacked()?,
                Piece::Packed(packed) => packed.unpacked()?,
                Piece::Away(away) => bring(away)?.unpacked()?,
            };
            *piece = Piece::Here(rows);
        }
        Ok(())
    }

    /// The rows that are columns, ordered by source partition and place: the order in which they are written and
    /// judged.
    pub fn rows(&self) -> impl Iterator<Item = &Rows> {
        self.parts.values().flatten().filter_map(Piece::here)
    }

    /// The rows that `keep` says yes to, by source partition and place.
    ///
    /// # Errors
    /// When Arrow cannot take the rows apart.
    pub fn retained(&self, keep: impl Fn(&SourcePartition, Position) -> bool) -> Result<Held, ArrowError> {
        let mut held = Held::default();
        for (partition, parts) in &self.parts {
            for rows in parts.iter().filter_map(Piece::here) {
                let numbers: Vec<u32> = (0..)
                    .zip(rows.positions())
                    .filter(|(_, position)| keep(partition, *position))
                    .map(|(number, _)| number)
                    .collect();
                if !numbers.is_empty() {
                    held.add(partition.clone(), rows.picked(&numbers)?);
                }
            }
        }
        Ok(held)
    }

    /// How many rows, wherever they are.
    pub fn len(&self) -> usize {
        self.parts.values().flatten().map(Piece::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// First and last event time.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        let times = || self.rows().flat_map(|rows| rows.times().iter().copied());
        Some((times().min()?, times().max()?))
    }

    /// Where the rows come from.
    pub fn sources(&self) -> Vec<SourceRange> {
        let range = |(partition, parts): (&SourcePartition, &Vec<Piece>)| {
            let parts = || parts.iter().filter_map(Piece::here);
            Some(SourceRange {
                partition: partition.clone(),
                first: parts().filter_map(|rows| rows.positions().next()).min()?,
                last: parts().filter_map(|rows| rows.positions().next_back()).max()?,
                rows: parts().map(|rows| rows.len() as u64).sum(),
            })
        };
        self.parts.iter().filter_map(range).collect()
    }
}
