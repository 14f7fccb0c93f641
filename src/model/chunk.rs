//! What a source gives: a run of whole records of one source partition, as bytes.

use bytes::Bytes;

use super::{Places, Position, SourcePartition};

/// Whole records of one source partition, newline-ended except perhaps the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where the records come from.
    pub partition: SourcePartition,
    /// The header record of a CSV partition that has one; it is not among the records.
    pub header: Option<Bytes>,
    /// Offset of the first byte of `bytes`: in the (decompressed) partition, or as `places` tells.
    pub offset: u64,
    /// What offsets stand for.
    pub places: Places,
    /// The records.
    pub bytes: Bytes,
    /// Where the partition stands once these records are taken.
    pub read_to: Position,
    /// Where `read_to` is the partition's end: the partitions that go on where it ended. None of them is read before
    /// all that it goes on from have ended.
    pub successors: Vec<SourcePartition>,
}

impl Chunk {
    /// A chunk of a partition that is a run of bytes and has no header.
    pub fn of_bytes(partition: SourcePartition, offset: u64, bytes: Bytes, read_to: Position) -> Chunk {
        let (header, places, successors) = (None, Places::Bytes, Vec::new());
        Chunk { partition, header, offset, places, bytes, read_to, successors }
    }

    /// The same chunk with the header record of its partition.
    #[must_use]
    pub fn with_header(self, header: Option<Bytes>) -> Chunk {
        Chunk { header, ..self }
    }
}
