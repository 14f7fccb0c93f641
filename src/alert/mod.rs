//! What is told, and to whom: the anomaly table beside the data, and the findings that are worth an alert.
//!
//! A sink sees each group at least once; a group keeps its id, so a repeat can be recognised (A1).

mod rules;
mod table;

pub use rules::{Rule, worth_telling};
pub use table::{AnomalyTable, TableError};
