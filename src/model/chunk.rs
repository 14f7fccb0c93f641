//! What a source gives: a run of whole records of one source partition, as bytes.

use std::sync::Arc;

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
    /// What the source knows of the records besides, where that is wanted.
    pub origins: Origins,
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
        Chunk { partition, header, offset, places, bytes, origins: Origins::default(), read_to, successors }
    }

    /// The same chunk with the header record of its partition.
    #[must_use]
    pub fn with_header(self, header: Option<Bytes>) -> Chunk {
        Chunk { header, ..self }
    }
}

/// What a stream knows of a record besides its bytes and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// By which its producer chose the shard.
    pub partition_key: Option<Arc<str>>,
    /// When it came, about, in milliseconds since 1970.
    pub arrival_ms: Option<i64>,
}

/// The origins of the records of a chunk: offset at which each begins in it, ascending. Empty where the source has none, or
/// nobody wants them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Option<Arc<[(u64, Origin)]>>);

impl Origins {
    /// Those of records that begin at these offsets, ascending.
    pub fn new(origins: Vec<(u64, Origin)>) -> Origins {
        Origins(Some(origins).filter(|origins| !origins.is_empty()).map(Arc::from))
    }

    /// That of the record that has the byte at an offset.
    pub fn at(&self, offset: u64) -> Option<&Origin> {
        let origins = self.0.as_deref()?;
        let index = origins.partition_point(|(begin, _)| *begin <= offset).checked_sub(1)?;
        origins.get(index).map(|(_, origin)| origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_that_of_the_record_around_an_offset() {
        let origin = |key: &str| Origin { partition_key: Some(key.into()), arrival_ms: Some(7) };
        let origins = Origins::new(vec![(0, origin("a")), (10, origin("b"))]);
        let key = |offset| origins.at(offset).and_then(|origin| origin.partition_key.as_deref());
        assert_eq!((key(0), key(9), key(10), key(99)), (Some("a"), Some("a"), Some("b"), Some("b")));
        assert_eq!((Origins::default().at(0), Origins::new(Vec::new())), (None, Origins::default()));
    }
}
