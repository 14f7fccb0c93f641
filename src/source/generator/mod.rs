//! Made-up records with known anomalies. [`Data`] is what is made up: ecommerce with its daily wave and its late and
//! malformed records, or one of the simple kinds of [`kinds`], each a small file: trades, clicks, sensor values, and records by a
//! template. [`Lines`] gives them as lines in the order of their arrival, [`Stream`] as one source partition with byte
//! offsets, and [`Data::truth`] says what is planted.
//!
//! The same settings give the same bytes on every machine: integer random numbers, IEEE arithmetic and a software
//! cosine.
//!
//! Absent on purpose: clocks, files and pacing. Whoever plays the stream as live waits for [`Stream::next_arrival`].

mod data;
mod ecommerce;
pub mod kinds;
mod random;
mod stream;

#[cfg(test)]
mod tests;

pub use data::{Data, Lines, Truth};
pub use ecommerce::{
    Extent, Fault, Format, Kind, LABELS_HEADER, Label, LineWriter, Parameters, Record, Records, SeriesSet, Settings,
    SettingsError, Value, Values, closed_intervals, labels, labels_csv,
};
pub use stream::{Limits, Paced, Stream, StreamError};
