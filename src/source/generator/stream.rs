//! The records as one source partition: bytes with offsets, cut into chunks, resumable at any record.
//!
//! The partition is virtual: nothing is stored, so a resume makes everything before its offset again and drops it, at
//! about a second per gigabyte. The stream ends with the last step; its last chunk reads to the end.

use bytes::Bytes;

use crate::model::{Chunk, Position, SourcePartition, Timestamp};

use super::data::{Data, Lines};
use super::ecommerce::Format;

const PARTITION: &str = "generator";

/// How far one chunk may reach. It takes one record at least, if one has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most so many bytes.
    pub bytes_max: usize,
    /// At most so many records.
    pub records_max: usize,
    /// Only records that arrive at or before this instant.
    pub arrived_by: Timestamp,
}

/// A chunk, and when the last of its records arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paced {
    /// The chunk.
    pub chunk: Chunk,
    /// Arrival of its last record; arrivals never fall back.
    pub arrival: Timestamp,
}

/// A place to resume at that the stream does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A record begins before the offset and ends after it.
    #[error("offset {0} of the generated stream lies inside a record; hint: resume with the settings of the first run")]
    InsideRecord(u64),
    /// The stream is shorter.
    #[error("the generated stream ends before offset {0}; hint: resume with the settings of the first run")]
    PastEnd(u64),
}

/// The virtual source partition `generator`.
#[derive(Clone, Debug)]
pub struct Stream {
    lines: Lines,
    header: Option<Bytes>,
    partition: SourcePartition,
    offset: u64,
    /// Where chunks must end, ascending.
    cuts: Vec<u64>,
    /// The next record as written, with its arrival: it may not have fitted the last chunk. No record is empty.
    line: Vec<u8>,
    arrival: Option<Timestamp>,
}

impl Stream {
    /// From the first record on.
    pub fn new(data: impl Into<Data>, format: Format) -> Stream {
        let data = data.into();
        Stream {
            lines: Lines::new(&data, format),
            header: data.header(format).map(Bytes::from),
            partition: Stream::partition(),
            offset: 0,
            cuts: Vec::new(),
            line: Vec::new(),
            arrival: None,
        }
    }

    /// From the record at byte `from` on; a chunk ends at each of `cuts`.
    ///
    /// # Errors
    /// When no record begins at `from`.
    pub fn resume(data: impl Into<Data>, format: Format, from: u64, mut cuts: Vec<u64>) -> Result<Stream, StreamError> {
        let mut stream = Stream::new(data, format);
        while stream.offset < from {
            if !stream.render() {
                return Err(StreamError::PastEnd(from));
            }
            stream.take();
        }
        if stream.offset != from {
            return Err(StreamError::InsideRecord(from));
        }
        cuts.sort_unstable();
        stream.cuts = cuts;
        Ok(stream)
    }

    /// The name of the one partition.
    pub fn partition() -> SourcePartition {
        SourcePartition::new(PARTITION)
    }

    /// Offset of the next record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// When the next record arrives; none once the stream has ended.
    pub fn next_arrival(&mut self) -> Option<Timestamp> {
        if self.line.is_empty() { self.lines.next_arrival() } else { self.arrival }
    }

    /// The next records within `limits`; none when the next one arrives later or the stream has ended.
    ///
    /// # Errors
    /// When a cut lies inside a record or past the end.
    pub fn next_chunk(&mut self, limits: Limits) -> Result<Option<Paced>, StreamError> {
        let cut = self.next_cut();
        let offset = self.offset;
        let (mut bytes, mut records, mut last) = (Vec::new(), 0, None);
        while records < limits.records_max.max(1) && cut != Some(self.offset) {
            let Some(arrival) = self.next_arrival() else { break };
            if arrival > limits.arrived_by {
                break;
            }
            self.render();
            if records > 0 && bytes.len() + self.line.len() > limits.bytes_max {
                break;
            }
            bytes.extend_from_slice(&self.line);
            self.take();
            records += 1;
            last = Some(arrival);
            if let Some(cut) = cut.filter(|cut| *cut < self.offset) {
                return Err(StreamError::InsideRecord(cut));
            }
        }
        if let (Some(cut), None) = (cut.filter(|cut| *cut > self.offset), self.next_arrival()) {
            return Err(StreamError::PastEnd(cut));
        }
        Ok(last.map(|arrival| Paced { chunk: self.chunk(offset, bytes), arrival }))
    }

    /// The next place where a chunk must end.
    fn next_cut(&self) -> Option<u64> {
        self.cuts.iter().copied().find(|cut| *cut > self.offset)
    }

    /// Writes the next record into `line`, unless it is there; `false` at the end of the stream.
    fn render(&mut self) -> bool {
        if self.line.is_empty() {
            self.arrival = self.lines.next_arrival();
            self.lines.write(&mut self.line);
        }
        !self.line.is_empty()
    }

    /// Moves on past the record in `line`.
    fn take(&mut self) {
        self.offset += self.line.len() as u64;
        self.line.clear();
    }

    fn chunk(&mut self, offset: u64, bytes: Vec<u8>) -> Chunk {
        let here = Position::Offset(self.offset);
        let read_to = if self.next_arrival().is_some() { here } else { Position::End };
        let header = self.header.clone();
        Chunk::of_bytes(self.partition.clone(), offset, Bytes::from(bytes), read_to).with_header(header)
    }
}
