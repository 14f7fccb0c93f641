//! Ecommerce records: a daily wave of views per platform and marketplace, noise, now and then a shift of the level that
//! lasts minutes to hours, and revenue in a fixed proportion to views.
//!
//! Two layers, each usable alone. [`Values`] is the plain truth: views per series and step. [`Records`] splits each value
//! into records that add up to it and sends them slightly out of order, a few late, a few malformed besides; [`LineWriter`]
//! writes them. [`labels()`] says where the incidents are.
//!
//! Each series has random streams of its own, seeded by its names, one per purpose (shape and noise, incidents, records,
//! faults), so more series, more days, another incident rate or another record layer leave the rest as it was.

mod incidents;
mod labels;
mod line;
mod parameters;
mod records;
mod settings;
mod values;

pub use labels::{LABELS_HEADER, Label, labels, labels_csv};
pub use line::{Format, LineWriter};
pub use parameters::{Extent, Parameters, SeriesSet};
pub use records::{Fault, Kind, Record, Records};
pub use settings::{Settings, SettingsError};
pub use values::{Value, Values, closed_intervals};
