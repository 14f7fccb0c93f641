//! Where records come from. A source gives chunks of whole records and says when it has none at the moment ([`Next`]);
//! it blocks on its own reading and on nothing else, uses no clock, and the job runs it on a thread of its own.
//! A source knows bytes and positions; what a record means is decode's.

pub mod files;
pub mod generator;
pub mod kinesis;
pub mod stdin;

mod cut;

use std::io;
use std::path::PathBuf;

use crate::model::{Chunk, Position, Progress, SourcePartition};

/// What a source has next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Whole records. Rarely a chunk is empty and only moves its partition's position.
    Chunk(Chunk),
    /// Nothing new at the moment: ask again later.
    Idle(Quiet),
    /// Everything has been read and nothing more will come.
    End,
}

/// Which partitions have been read as far as they go at the moment. One that cannot be reached is none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// All of them.
    All,
    /// These.
    Of(Vec<SourcePartition>),
}

/// From where a source continues. In every partition `from` is at or before `read_to`; records between the two were
/// read before and come again. A chunk ends exactly at `read_to` and at each of `cuts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Where to begin in each partition.
    pub from: Progress,
    /// Up to where each partition was read before.
    pub read_to: Progress,
    /// Further places where chunks must end.
    pub cuts: Vec<Progress>,
    /// In which order partitions were read from `from` on, each up to where. What is read again comes in this order,
    /// and before anything new.
    pub order: Vec<(SourcePartition, Position)>,
}

impl Resume {
    /// Offsets at which chunks of a partition must end, ascending.
    fn cuts_of(&self, partition: &SourcePartition) -> Vec<u64> {
        let places = self.cuts.iter().chain([&self.read_to]).filter_map(|place| place.get(partition));
        let order = self.order.iter().filter(|(read, _)| read == partition).map(|(_, to)| *to);
        let mut cuts: Vec<u64> = places.chain(order).filter_map(Position::offset).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }
}

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The configured path is not there.
    #[error("`{}` does not exist; hint: `source.files.path` is a file, a directory or a glob such as `data/*.json`, relative to the working directory", .0.display())]
    NotFound(PathBuf),
    /// The configured path is there and has no file to read.
    #[error("no file matches `{}`; hint: in a directory all files are read except those whose names begin with `.` or `_`", .0.display())]
    NoMatch(PathBuf),
    /// The path is neither a file nor a directory.
    #[error("`{}` is neither a file nor a directory; hint: read a pipe with `[source.stdin]`", .0.display())]
    NotAFile(PathBuf),
    /// The path is no valid glob.
    #[error("glob `{pattern}`: {reason}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file name that is not UTF-8 cannot name a partition.
    #[error("file name `{}` is not UTF-8; hint: rename the file", .0.display())]
    Name(PathBuf),
    /// The operating system refused a read.
    #[error("reading `{}` at byte {offset}: {error}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// How far it had been read, in decompressed bytes.
        offset: u64,
        /// What the system said.
        error: io::Error,
    },
    /// A gzip file is damaged or ends in the middle.
    #[error("gzip file `{}` is damaged after {offset} decompressed bytes: {error}; hint: replace the file with an intact copy; its records so far keep their positions", .path.display())]
    Gzip {
        /// Which file.
        path: PathBuf,
        /// How far it had been read, in decompressed bytes.
        offset: u64,
        /// What is wrong with it.
        error: io::Error,
    },
    /// A file has fewer bytes than were read from it before.
    #[error("`{}` has {size} bytes, but {position} were read before; hint: a file that is read may grow but not shrink or be replaced; give new data a new name", .path.display())]
    Shrunk {
        /// Which file.
        path: PathBuf,
        /// Its size now, in decompressed bytes.
        size: u64,
        /// How far it was read.
        position: u64,
    },
    /// A file that must be read again or further is gone.
    #[error("`{}` is gone, but only its first {position} bytes were read; hint: put the file back; it may go once its last record's interval is closed", .path.display())]
    Vanished {
        /// Which file.
        path: PathBuf,
        /// How far it was read, in decompressed bytes.
        position: u64,
    },
    /// A Kinesis stream cannot be read.
    #[error(transparent)]
    Kinesis(#[from] kinesis::KinesisError),
    /// The generated stream cannot be resumed.
    #[error(transparent)]
    Generator(#[from] generator::StreamError),
}
