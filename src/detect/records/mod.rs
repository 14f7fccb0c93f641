//! The detector of records: each row of a closed interval is scored by itself, by one random cut forest over one or
//! several numeric columns jointly, or by one per key (the row's dimensions).
//!
//! ```text
//!  rows of an interval ── by key ──> Scale ──> Forest ── score, shares of the columns ──> ScoredRecord ── chosen
//! ```
//!
//! Rows are taken when their interval closes, in the order in which they are committed: what is said of them is a
//! function of the partitions, the settings and the seed (D1). Keys do not touch each other, so they are worked on side
//! by side.
//!
//! A forest takes half a megabyte, and keys may be without number. Their forests stay within [`Settings::memory_bytes`]:
//! see `keys` for who has one of its own and what becomes of the others.
//!
//! Read in this order: [`Settings`], `scale` (what columns of different size mean), `model` (one forest), `keys`,
//! [`RecordDetector`], [`Choice`] (which of the scored records are told, and in which order), `increment` (the state in
//! pieces).

mod choice;
mod detector;
mod increment;
mod keys;
mod model;
mod scale;
mod settings;

pub use choice::Choice;
pub use detector::{RecordDetector, Status, Wanted};
pub use increment::RestoringRecords;
pub use scale::Scaling;
pub use settings::{COLUMNS_MAX, SAMPLE, SHINGLE, Settings, SettingsError, Shape, TIME_DECAY, TREES};

#[cfg(test)]
mod tests;
