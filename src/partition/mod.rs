//! Closed intervals become objects, and objects become rows again.
//!
//! A closing is committed in this order: part objects of its rows under names that follow from the interval alone, then
//! the manifest, which is created and never replaced: its presence *is* the commit. Rows that came too late for an
//! earlier interval follow as a further revision of that interval, with objects and a manifest of its own beside the
//! first; nothing that was committed is ever rewritten, and all objects of a folder together hold every row once. A
//! closing that is committed again after a crash finds its manifest and changes nothing. A part is never overwritten
//! either, since another job's manifest may name it: other bytes under its name make a copy under another one, and what
//! the manifest of a revision does not name is deleted once that manifest is there.
//!
//! What is not here: when an interval closes (`interval`), what the rows mean (`detect`).

mod csv;
mod descriptor;
mod encode;
mod manifest;
mod read;
mod rejects;
mod write;

pub use descriptor::{Descriptor, DescriptorError};
pub use encode::EncodeError;
pub use manifest::{Manifest, ManifestError, ObjectEntry};
pub use read::{Content, Listed, Objects, ReadError, Reader, Tree};
pub use write::{CommitError, Committed, Encoded, Writer};

/// Largest part object by default, before its format compresses it.
pub const OBJECT_BYTES_MAX: usize = 128 << 20;

#[cfg(test)]
mod tests;
