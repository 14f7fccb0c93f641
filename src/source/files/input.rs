//! One open file as a stream of bytes, plain or gzip.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::Compression;
use crate::source::cut::{Fill, Filled};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const GZIP_BUFFER_BYTES: usize = 128 << 10;

/// An open file.
#[derive(Debug)]
pub(super) struct Input {
    bytes: Reader,
    /// What an end of the file means.
    at_end: Filled,
    /// A failure that came after some bytes and is told once those are taken.
    failed: Option<io::Error>,
    /// Whether a compressed file has ended as it should.
    ended: bool,
}

#[derive(Debug)]
enum Reader {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<Counted>>>),
}

impl Input {
    /// Opens a file; `follow` says that it may still be written to.
    pub(super) fn open(path: &Path, compression: Compression, follow: bool) -> io::Result<Input> {
        let mut file = File::open(path)?;
        let bytes = if is_gzip(&mut file, path, compression)? {
            let counted = Counted { file, count: 0 };
            Reader::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(GZIP_BUFFER_BYTES, counted))))
        } else {
            Reader::Plain(file)
        };
        Ok(Input { bytes, at_end: if follow { Filled::Pause } else { Filled::End }, failed: None, ended: false })
    }

    /// Whether the file is compressed: then it cannot seek, and it is finished when it ends.
    pub(super) fn is_gzip(&self) -> bool {
        matches!(self.bytes, Reader::Gzip(_))
    }

    /// Whether it is a compressed file that has been read to its proper end.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Goes to a byte of a plain file; a compressed file stays where it is.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        match &mut self.bytes {
            Reader::Plain(file) => file.seek(SeekFrom::Start(offset)).map(|_| ()),
            Reader::Gzip(_) => Ok(()),
        }
    }

    /// Bytes taken from a compressed file on disk; none for a plain file, whose offset says it.
    pub(super) fn compressed_read(&self) -> Option<u64> {
        match &self.bytes {
            Reader::Plain(_) => None,
            Reader::Gzip(decoder) => Some(decoder.get_ref().get_ref().count),
        }
    }

    fn read(&mut self, buffer: &mut Vec<u8>, want: usize) -> io::Result<Filled> {
        let limit = want as u64;
        let before = buffer.len();
        buffer.reserve(want);
        let result = match &mut self.bytes {
            Reader::Plain(file) => file.take(limit).read_to_end(buffer),
            Reader::Gzip(decoder) => decoder.by_ref().take(limit).read_to_end(buffer),
        };
        match result {
            Ok(0) if self.is_gzip() => {
                self.ended = true;
                Ok(Filled::End)
            }
            Ok(0) => Ok(self.at_end),
            Ok(_) => Ok(Filled::Some),
            Err(error) if buffer.len() > before => {
                self.failed = Some(error);
                Ok(Filled::Some)
            }
            Err(error) => Err(error),
        }
    }
}

impl Fill for Input {
    fn fill(&mut self, buffer: &mut Vec<u8>, want: usize) -> io::Result<Filled> {
        let filled = match self.failed.take() {
            Some(error) => Err(error),
            None => self.read(buffer, want),
        };
        match filled {
            // a compressed file that is still being written ends anywhere
            Err(error) if self.at_end == Filled::Pause && error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(Filled::Pause)
            }
            other => other,
        }
    }
}

fn is_gzip(file: &mut File, path: &Path, compression: Compression) -> io::Result<bool> {
    match compression {
        Compression::None => Ok(false),
        Compression::Gzip => Ok(true),
        Compression::Auto if has_gzip_extension(path) => Ok(true),
        Compression::Auto => {
            let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
            file.take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
            file.seek(SeekFrom::Start(0))?;
            Ok(magic == GZIP_MAGIC)
        }
    }
}

fn has_gzip_extension(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz") || extension.eq_ignore_ascii_case("gzip"))
}

/// A file that counts the bytes taken from it.
#[derive(Debug)]
struct Counted {
    file: File,
    count: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}
