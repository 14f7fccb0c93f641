//! The manifest of one revision of one interval: what it consists of, where its rows came from, and the account of all
//! records that left with it. Nothing in it depends on the machine, the time of day or the number of attempts, so a
//! commit that is repeated after a crash makes the same bytes.

use serde::{Deserialize, Serialize};

use crate::model::{Held, Interval, SourceRange, Tally};

const VERSION: u32 = 1;

/// What one revision of one interval consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// Which interval.
    pub interval: Interval,
    /// 0 for the rows that came in time; each later revision adds rows that came late.
    pub revision: u32,
    /// Number of the closing with which it was committed: the order of all commits of a job.
    pub sequence: u64,
    /// Whether the stream was seen to go past the end of the interval; false for the last interval of a source that
    /// ended within it, which is not judged.
    pub complete: bool,
    /// Rows of this revision.
    pub rows: u64,
    /// First event time of this revision.
    pub first_event_time: Option<String>,
    /// Last event time of this revision.
    pub last_event_time: Option<String>,
    /// Where the rows came from: the progress at which this revision was made.
    pub sources: Vec<SourceRange>,
    /// All records that left the line with this closing (only with revision 0): read = written + late + filtered +
    /// rejected.
    pub accounting: Option<Accounting>,
    /// The objects, in order.
    pub objects: Vec<ObjectEntry>,
}

/// The account of a closing, with its sum spelled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    read: u64,
    #[serde(flatten)]
    tally: Tally,
}

/// One object of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEntry {
    /// Its name in the interval's folder.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// CRC-32 of its bytes, eight hexadecimal digits.
    pub crc32: String,
}

impl ObjectEntry {
    /// Describes an object of these bytes.
    pub fn new(name: String, rows: u64, bytes: &[u8]) -> ObjectEntry {
        ObjectEntry { name, rows, bytes: bytes.len() as u64, crc32: format!("{:08x}", crc32fast::hash(bytes)) }
    }

    /// Whether these are the bytes it was made for.
    pub fn describes(&self, bytes: &[u8]) -> bool {
        self.bytes == bytes.len() as u64 && self.crc32 == format!("{:08x}", crc32fast::hash(bytes))
    }
}

/// A manifest that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON of a manifest.
    #[error("not a manifest: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer version of the program.
    #[error("manifest of version {0}, this program reads up to {VERSION}; hint: use a newer version")]
    Newer(u32),
}

/// Which revision a manifest is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) interval: Interval,
    pub(super) revision: u32,
    pub(super) sequence: u64,
    pub(super) complete: bool,
    pub(super) tally: Option<Tally>,
}

impl Manifest {
    /// Describes one revision.
    pub(super) fn new(head: Head, rows: &Held, objects: Vec<ObjectEntry>) -> Manifest {
        let Head { interval, revision, sequence, complete, tally } = head;
        let times = rows.time_range();
        Manifest {
            version: VERSION,
            interval,
            revision,
            sequence,
            complete,
            rows: objects.iter().map(|object| object.rows).sum(),
            first_event_time: times.map(|(first, _)| first.to_string()),
            last_event_time: times.map(|(_, last)| last.to_string()),
            sources: rows.sources(),
            accounting: tally.map(|tally| Accounting { read: tally.read(), tally }),
            objects,
        }
    }

    /// Its JSON.
    ///
    /// # Errors
    /// Never for a manifest that was built here; the serialiser's own.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the JSON of a manifest.
    ///
    /// # Errors
    /// When it is none, or of a newer version.
    pub fn from_json(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version > VERSION {
            return Err(ManifestError::Newer(version));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The account of the closing.
    pub fn tally(&self) -> Option<Tally> {
        self.accounting.map(|accounting| accounting.tally)
    }
}
