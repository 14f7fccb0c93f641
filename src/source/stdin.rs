//! Standard input, or anything else that is read once from its beginning to its end. Records are handed on as soon as
//! they are there; positions count from where this process began to read, so each run is a partition with a name of
//! its own, which the caller gives.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use bytes::Bytes;

use super::cut::{CutSettings, Cutter, Fill, Filled};
use super::{Next, SourceError};
use crate::model::{Chunk, Framing, Position, SourcePartition};

/// A pipe holds this much on most systems.
const BUFFER_BYTES: usize = 64 << 10;

/// How standard input is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The partition's name; each run has its own.
    pub partition: SourcePartition,
    /// What a record is.
    pub framing: Framing,
    /// Whether the first record is a header.
    pub header: bool,
    /// About how many bytes one chunk has at most.
    pub chunk_bytes: usize,
    /// A longer record is shortened to this many bytes and one more, and decode rejects it.
    pub record_bytes_max: usize,
}

/// A stream being read.
#[derive(Debug)]
pub struct Stdin<R> {
    partition: SourcePartition,
    input: Live<R>,
    cutter: Cutter,
    header: Header,
}

#[derive(Debug)]
enum Header {
    None,
    Awaited,
    Read(Bytes),
}

impl<R: Read> Stdin<R> {
    /// Begins to read.
    pub fn new(settings: Settings, reader: R) -> Stdin<R> {
        let Settings { partition, framing, header, chunk_bytes, record_bytes_max } = settings;
        Stdin {
            partition,
            input: Live(BufReader::with_capacity(BUFFER_BYTES, reader)),
            cutter: Cutter::new(CutSettings { framing, chunk_bytes, record_bytes_max }, 0),
            header: if header { Header::Awaited } else { Header::None },
        }
    }

    /// Waits for the next records; never [`Next::Idle`].
    ///
    /// # Errors
    /// When the stream cannot be read.
    #[expect(clippy::should_implement_trait, reason = "it may fail, and having nothing now is not the end")]
    pub fn next(&mut self) -> Result<Next, SourceError> {
        let offset = self.cutter.filled();
        match self.read() {
            Ok(Some(chunk)) => Ok(Next::Chunk(chunk)),
            Ok(None) => Ok(Next::End),
            Err(error) => Err(SourceError::Read { path: PathBuf::from(self.partition.name()), offset, error }),
        }
    }

    fn read(&mut self) -> io::Result<Option<Chunk>> {
        if let Header::Awaited = self.header {
            self.header = self.cutter.header(&mut self.input)?.map_or(Header::None, Header::Read);
        }
        let Some(cut) = self.cutter.next(&mut self.input, None)? else { return Ok(None) };
        let header = match &self.header {
            Header::Read(header) => Some(header.clone()),
            Header::None | Header::Awaited => None,
        };
        let read_to = Position::Offset(cut.end);
        Ok(Some(Chunk::of_bytes(self.partition.clone(), cut.offset, cut.bytes, read_to).with_header(header)))
    }
}

/// Gives what there is.
#[derive(Debug)]
struct Live<R>(BufReader<R>);

impl<R: Read> Fill for Live<R> {
    fn fill(&mut self, buffer: &mut Vec<u8>, want: usize) -> io::Result<Filled> {
        let available = loop {
            match self.0.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if available.is_empty() {
            return Ok(Filled::End);
        }
        let taken = available.len().min(want);
        buffer.extend_from_slice(&available[..taken]);
        self.0.consume(taken);
        Ok(Filled::Some)
    }

    fn is_live(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one piece a read.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn settings(framing: Framing, header: bool) -> Settings {
        let partition = SourcePartition::new("stdin");
        Settings { partition, framing, header, chunk_bytes: 1024, record_bytes_max: 8 }
    }

    fn chunks(mut stdin: Stdin<Pieces>) -> Vec<(u64, String, Position)> {
        let mut chunks = Vec::new();
        while let Next::Chunk(chunk) = stdin.next().unwrap() {
            chunks.push((chunk.offset, String::from_utf8(chunk.bytes.to_vec()).unwrap(), chunk.read_to));
        }
        assert_eq!(stdin.next().unwrap(), Next::End);
        chunks
    }

    #[test]
    fn records_come_as_soon_as_they_are_there() {
        let stdin = Stdin::new(settings(Framing::Lines, false), Pieces(vec![b"a\nb", b"c\n", b"d"]));
        assert_eq!(
            chunks(stdin),
            [
                (0, "a\n".to_owned(), Position::Offset(2)),
                (2, "bc\n".to_owned(), Position::Offset(5)),
                (5, "d".to_owned(), Position::Offset(6)),
            ]
        );
    }

    #[test]
    fn a_record_that_is_too_long_is_shortened_and_keeps_its_place() {
        let stdin = Stdin::new(settings(Framing::Lines, false), Pieces(vec![b"a\n0123", b"456789", b"0\nb\n"]));
        assert_eq!(
            chunks(stdin),
            [
                (0, "a\n".to_owned(), Position::Offset(2)),
                (2, "012345678".to_owned(), Position::Offset(14)),
                (14, "b\n".to_owned(), Position::Offset(16)),
            ]
        );
    }

    #[test]
    fn the_header_goes_with_every_chunk() {
        let framing = Framing::Csv(crate::model::CsvDialect::COMMA);
        let mut stdin = Stdin::new(settings(framing, true), Pieces(vec![b"x,", b"y\n1,2\n", b"3,4\n"]));
        for offset in [4, 8] {
            let Next::Chunk(chunk) = stdin.next().unwrap() else { panic!("a chunk") };
            assert_eq!((chunk.offset, chunk.header.as_deref()), (offset, Some(b"x,y\n".as_slice())));
        }
    }
}
