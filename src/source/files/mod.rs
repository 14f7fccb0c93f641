//! Files as a source: one, a directory or a glob, plain or gzip, finite or followed while they grow.
//!
//! Files are read one after the other in the order of their names; each is a source partition (see `list` for the
//! names). A plain file's position is always an offset, because it may grow between two runs; a gzip file's position
//! counts decompressed bytes and becomes [`Position::End`] once it has ended, after which it is never opened again.
//!
//! At the end of a finite source an unfinished last line counts as a record. With `follow` it waits for its newline, a
//! gzip file that ends in the middle waits for its rest, and files that appear later come after those already known.
//! A file that is renamed is a new partition.

mod input;
mod list;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use self::input::Input;
use self::list::Found;
use super::cut::{CutSettings, Cutter};
use super::{Next, Quiet, Resume, SourceError};
use crate::model::{Chunk, Framing, Position, SourcePartition};

/// About how many bytes one chunk has, unless configured.
pub const CHUNK_BYTES: usize = 1 << 20;
/// How many bytes a record may have, unless configured: the most that a stream's large records have.
pub const RECORD_BYTES_MAX: usize = 10 << 20;

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Gzip where the name ends in `.gz` or `.gzip` or the file begins with gzip's magic bytes.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// Gzip, of one or more members.
    Gzip,
}

/// Which files are read and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A file, a directory or a glob.
    pub path: PathBuf,
    /// What a record is.
    pub framing: Framing,
    /// Whether the first record of each file is a header.
    pub header: bool,
    /// How the files are compressed.
    pub compression: Compression,
    /// Whether to wait for more at the end.
    pub follow: bool,
    /// About how many bytes one chunk has.
    pub chunk_bytes: usize,
    /// A longer record is shortened to this many bytes and one more, and decode rejects it.
    pub record_bytes_max: usize,
}

impl Settings {
    /// A finite source of lines without a header.
    pub fn lines(path: impl Into<PathBuf>) -> Settings {
        Settings {
            path: path.into(),
            framing: Framing::Lines,
            header: false,
            compression: Compression::Auto,
            follow: false,
            chunk_bytes: CHUNK_BYTES,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }
}

/// Files being read.
#[derive(Debug)]
pub struct Files {
    settings: Settings,
    resume: Resume,
    /// What was read before and has to be read again, in the order of the first time.
    again: VecDeque<(SourcePartition, Position)>,
    /// In reading order.
    entries: Vec<Entry>,
    known: BTreeMap<SourcePartition, usize>,
    /// The next entry to look at in this pass.
    cursor: usize,
    current: Option<Current>,
}

/// One file of the source.
#[derive(Debug)]
struct Entry {
    partition: SourcePartition,
    path: PathBuf,
    /// Bytes on disk when last looked at.
    size: u64,
    /// `size` when the file was last read to its end: until it changes there is nothing new.
    taken: Option<u64>,
    /// Offset of the next record.
    position: u64,
    /// Up to where the file was read by an earlier run.
    read_to: Option<Position>,
    /// Where chunks must end, ascending.
    cuts: Vec<u64>,
    /// Whether it never has to be opened again.
    finished: bool,
}

/// The open file.
#[derive(Debug)]
struct Current {
    index: usize,
    input: Input,
    cutter: Cutter,
    header: Option<Bytes>,
}

impl Entry {
    /// Whether everything before a place has been read.
    fn is_read(&self, to: Position) -> bool {
        self.finished || matches!(to, Position::Offset(to) if to <= self.position)
    }
}

impl Files {
    /// Lists the files and checks that those that were begun are still there.
    ///
    /// # Errors
    /// When there is no file (with `follow`, when the path does not exist), or one that must be read again is gone.
    pub fn open(settings: Settings, resume: &Resume) -> Result<Files, SourceError> {
        let found = list::list(&settings.path)?;
        if found.is_empty() && !settings.follow {
            return Err(SourceError::NoMatch(settings.path));
        }
        let mut files = Files {
            settings,
            resume: resume.clone(),
            again: resume.order.iter().cloned().collect(),
            entries: Vec::new(),
            known: BTreeMap::new(),
            cursor: 0,
            current: None,
        };
        for file in found {
            files.add(file);
        }
        files.check_replayed()?;
        Ok(files)
    }

    /// The next chunk. Does not wait for files to grow.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, shrank, or went before it was finished.
    #[expect(clippy::should_implement_trait, reason = "it may fail, and having nothing now is not the end")]
    pub fn next(&mut self) -> Result<Next, SourceError> {
        let mut listed_again = false;
        loop {
            if self.current.is_some() {
                if let Some(chunk) = self.read()? {
                    return Ok(Next::Chunk(chunk));
                }
            } else if let Some(index) = self.next_again() {
                self.current = self.enter(index)?;
                if self.current.is_none() {
                    self.again.pop_front();
                }
            } else if let Some(index) = self.pick() {
                self.current = self.enter(index)?;
            } else if !self.settings.follow {
                return Ok(Next::End);
            } else if listed_again {
                return Ok(Next::Idle(Quiet::All));
            } else {
                self.list_again()?;
                listed_again = true;
            }
        }
    }

    /// Bytes on disk of all files known so far.
    pub fn total_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }

    /// Bytes on disk read so far, by this run or an earlier one.
    pub fn bytes_read(&self) -> u64 {
        let open = self.current.as_ref();
        let read = |(index, entry): (usize, &Entry)| match open.filter(|current| current.index == index) {
            Some(current) => current.input.compressed_read().unwrap_or(current.cutter.filled()),
            None if entry.finished || entry.taken.is_some() => entry.size,
            None => entry.position.min(entry.size),
        };
        self.entries.iter().enumerate().map(read).sum()
    }

    fn add(&mut self, file: Found) {
        let Found { partition, path, size } = file;
        let from = self.resume.from.get(&partition);
        let position = from.and_then(Position::offset).unwrap_or(0);
        let read_to = self.resume.read_to.get(&partition).or(from);
        let cuts = self.resume.cuts_of(&partition);
        self.known.insert(partition.clone(), self.entries.len());
        self.entries.push(Entry {
            partition,
            path,
            size,
            taken: (size == 0 && read_to.is_none()).then_some(0),
            position,
            read_to,
            cuts,
            finished: from == Some(Position::End),
        });
    }

    /// A file whose rows are still needed must be there.
    fn check_replayed(&self) -> Result<(), SourceError> {
        for (partition, read_to) in self.resume.read_to.iter() {
            let from = self.resume.from.get(partition);
            if from != Some(read_to) && !self.known.contains_key(partition) {
                let position = match from {
                    Some(Position::Offset(offset)) => offset,
                    _ => 0,
                };
                return Err(SourceError::Vanished { path: PathBuf::from(partition.name()), position });
            }
        }
        Ok(())
    }

    /// The next file with something to read again; none once everything has been.
    fn next_again(&mut self) -> Option<usize> {
        while let Some((partition, to)) = self.again.front() {
            let index = self.known.get(partition).copied();
            if let Some(index) = index.filter(|index| !self.entries[*index].is_read(*to)) {
                return Some(index);
            }
            self.again.pop_front();
        }
        None
    }

    /// The next file with something to read in this pass.
    fn pick(&mut self) -> Option<usize> {
        let ahead = self.entries.iter().enumerate().skip(self.cursor);
        let index =
            ahead.filter(|(_, entry)| !entry.finished && entry.taken != Some(entry.size)).map(|(at, _)| at).next();
        self.cursor = index.map_or(self.entries.len(), |index| index + 1);
        index
    }

    /// Opens a file where it is to be continued; none where its header is not whole yet.
    fn enter(&mut self, index: usize) -> Result<Option<Current>, SourceError> {
        let Settings { framing, chunk_bytes, record_bytes_max, .. } = self.settings;
        let entry = &mut self.entries[index];
        let Some(size) = list::file_size(&entry.path)? else {
            return Err(SourceError::Vanished { path: entry.path.clone(), position: entry.position });
        };
        entry.size = size;
        let refused = |error| SourceError::Read { path: entry.path.clone(), offset: entry.position, error };
        let mut input = Input::open(&entry.path, self.settings.compression, self.settings.follow).map_err(refused)?;
        let position = entry.position.max(entry.read_to.and_then(Position::offset).unwrap_or(0));
        if !input.is_gzip() && position > size {
            return Err(SourceError::Shrunk { path: entry.path.clone(), size, position });
        }

        let settings = CutSettings { framing, chunk_bytes, record_bytes_max };
        let mut cutter = Cutter::new(settings, 0);
        let header = if self.settings.header {
            let header = cutter.header(&mut input).map_err(|error| broken(entry, &input, &cutter, error))?;
            if header.is_none() {
                entry.taken = Some(size);
                return Ok(None);
            }
            header
        } else {
            None
        };
        if input.is_gzip() {
            let offset = entry.position;
            let reached =
                cutter.discard_to(&mut input, offset).map_err(|error| broken(entry, &input, &cutter, error))?;
            if !reached {
                let size = cutter.filled();
                return Err(SourceError::Shrunk { path: entry.path.clone(), size, position: offset });
            }
        } else if entry.position > cutter.offset() {
            input.seek(entry.position).map_err(refused)?;
            cutter = Cutter::new(settings, entry.position);
        }
        Ok(Some(Current { index, input, cutter, header }))
    }

    /// The next chunk of the open file; closes it where there is none.
    fn read(&mut self) -> Result<Option<Chunk>, SourceError> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let Current { index, input, cutter, header } = current;
        let entry = &mut self.entries[*index];
        let stop = entry.cuts.iter().copied().find(|cut| *cut > cutter.offset());
        let cut = cutter.next(input, stop).map_err(|error| broken(entry, input, cutter, error))?;
        let ended = input.is_ended() && stop.is_none() && cut.as_ref().is_none_or(|cut| cut.last);
        let chunk = match cut {
            Some(cut) => {
                entry.position = cut.end;
                let read_to = if ended { Position::End } else { Position::Offset(cut.end) };
                Some((cut.offset, cut.bytes, read_to))
            }
            None => match stop {
                Some(position) => {
                    let size = cutter.filled();
                    return Err(SourceError::Shrunk { path: entry.path.clone(), size, position });
                }
                None => ended.then(|| (entry.position, Bytes::new(), Position::End)),
            },
        };
        let chunk = chunk.map(|(offset, bytes, read_to)| {
            Chunk::of_bytes(entry.partition.clone(), offset, bytes, read_to).with_header(header.clone())
        });
        if ended || chunk.is_none() {
            entry.finished = ended;
            entry.taken = Some(entry.size);
            self.current = None;
        }
        if let Some((partition, to)) = self.again.front()
            && (chunk.is_none() || (entry.partition == *partition && entry.is_read(*to)))
        {
            self.again.pop_front();
            self.current = None;
        }
        Ok(chunk)
    }

    /// Looks for new files and for growth.
    fn list_again(&mut self) -> Result<(), SourceError> {
        let found = match list::list(&self.settings.path) {
            // a single file that has gone: whether that matters is decided below
            Err(SourceError::NotFound(_)) => Vec::new(),
            found => found?,
        };
        let mut seen = vec![false; self.entries.len()];
        for file in found {
            match self.known.get(&file.partition) {
                Some(&index) => {
                    self.entries[index].size = file.size;
                    seen[index] = true;
                }
                None => self.add(file),
            }
        }
        for (entry, _) in self.entries.iter().zip(seen).filter(|(_, seen)| !seen) {
            // what was read to its last byte may go
            if !entry.finished && entry.position < entry.size {
                return Err(SourceError::Vanished { path: entry.path.clone(), position: entry.position });
            }
        }
        self.cursor = 0;
        Ok(())
    }
}

/// A failed read, told in the user's words.
fn broken(entry: &Entry, input: &Input, cutter: &Cutter, error: io::Error) -> SourceError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let (path, offset) = (entry.path.clone(), cutter.filled());
    if input.is_gzip() && matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) {
        SourceError::Gzip { path, offset, error }
    } else {
        SourceError::Read { path, offset, error }
    }
}

#[cfg(test)]
mod tests;
