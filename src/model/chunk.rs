//! What a source gives: a run of whole records of one source partition, as bytes.

use bytes::Bytes;

use super::{Position, SourcePartition};

/// Whole records of one source partition, newline-ended except perhaps the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where the records come from.
    pub partition: SourcePartition,
    /// The header record of a CSV partition that has one; it is not among the records.
    pub header: Option<Bytes>,
    /// Offset of the first byte of `bytes` in the (decompressed) partition.
    pub offset: u64,
    /// The records.
    pub bytes: Bytes,
    /// Where the partition stands once these records are taken.
    pub read_to: Position,
}
