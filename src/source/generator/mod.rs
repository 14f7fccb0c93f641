//! Made-up ecommerce records with known incidents: a daily wave of views per platform and marketplace, noise, now and
//! then a shift of the level that lasts minutes to hours, and revenue in a fixed proportion to views.
//!
//! Three layers, each usable alone. [`Values`] is the plain truth: views per series and step. [`Records`] splits each
//! value into records that add up to it and sends them slightly out of order, a few late, a few malformed besides.
//! [`Stream`] renders the records as one source partition with byte offsets. [`labels()`] says where the incidents are.
//!
//! The same [`Settings`] give the same bytes on every machine: integer random numbers, IEEE arithmetic and a software
//! cosine. Each series has random streams of its own, seeded by its names, one per purpose (shape and noise, incidents,
//! records, faults), so more series, more days, another incident rate or another record layer leave the rest as it was.
//!
//! Absent on purpose: clocks, files and pacing. Whoever plays the stream as live waits for [`Stream::next_arrival`].

mod incidents;
mod labels;
mod line;
mod parameters;
mod random;
mod records;
mod settings;
mod stream;
mod values;

#[cfg(test)]
mod tests;

pub use labels::{LABELS_HEADER, Label, labels, labels_csv};
pub use line::{Format, LineWriter};
pub use parameters::{Extent, Parameters, SeriesSet};
pub use records::{Fault, Kind, Record, Records};
pub use settings::{Settings, SettingsError};
pub use stream::{Limits, Paced, Stream, StreamError};
pub use values::{Value, Values, closed_intervals};
